"""The cache: read back what was written, never stale, never damaged, never half written."""

from __future__ import annotations

import functools
import json
import os
import types
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from lfp_snn.data import cache
from lfp_snn.data.cache import Write, cache_folder, cached, describe, describe_files
from lfp_snn.data.events import EVENT_DTYPE
from lfp_snn.errors import ConfigError


class Builder:
    """Writes two arrays and counts how often it had to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, write: Write) -> None:
        self.calls += 1
        write("frames", np.arange(6, dtype=np.uint8).reshape(2, 3))
        write("frames", np.full((1, 3), 9, np.uint8))
        write("events", np.zeros(5, EVENT_DTYPE))
        write("none", np.empty((0, 4)))


def entry(folder: Path) -> Path:
    (path,) = folder.glob("*.lfpcache")
    return path


def test_round_trip(tmp_path: Path) -> None:
    build = Builder()
    for _ in range(3):
        arrays = cached("x", {"n": 1}, build, tmp_path)
        assert arrays["frames"].tolist() == [[0, 1, 2], [3, 4, 5], [9, 9, 9]]
        assert arrays["events"].dtype == EVENT_DTYPE
        assert arrays["none"].shape == (0, 4)
    assert build.calls == 1
    assert os.listdir(tmp_path) == [entry(tmp_path).name]


def test_arrays_are_read_only(tmp_path: Path) -> None:
    arrays = cached("x", {}, Builder(), tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        arrays["frames"][0] = 1


def test_another_key_is_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Builder()
    cached("x", {"n": 1}, build, tmp_path)
    cached("x", {"n": 2}, build, tmp_path)
    assert build.calls == 2
    monkeypatch.setattr(cache, "FORMAT_VERSION", cache.FORMAT_VERSION + 1)
    cached("x", {"n": 1}, build, tmp_path)
    assert build.calls == 3
    assert len(list(tmp_path.glob("*.lfpcache"))) == 3


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    arrays = cached("x", {"n": 1}, Builder(), tmp_path)
    path = entry(tmp_path)
    good = path.read_bytes()
    used = np.zeros(len(good), bool)  # all but the mark at the beginning and the gaps between arrays
    for array in arrays.values():
        if isinstance(array, np.memmap):
            used[array.offset : array.offset + array.nbytes] = True
    used[good.index(b'{"key"') :] = True
    for place in np.flatnonzero(used)[::7]:
        damaged = bytearray(good)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        build = Builder()
        arrays = cached("x", {"n": 1}, build, tmp_path)
        assert arrays["frames"].tolist() == [[0, 1, 2], [3, 4, 5], [9, 9, 9]]
        assert build.calls == 1


@pytest.mark.parametrize("length", [0, 1, 17, 100, -1, -30])
def test_a_truncated_entry_is_made_again(tmp_path: Path, length: int) -> None:
    cached("x", {}, Builder(), tmp_path)
    path = entry(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    build = Builder()
    assert cached("x", {}, build, tmp_path)["frames"].shape == (3, 3)
    assert build.calls == 1


def test_a_gap_in_an_entry_is_noticed(tmp_path: Path) -> None:
    def large(write: Write) -> None:
        write("a", np.arange(10_000))

    cached("x", {}, large, tmp_path)
    path = entry(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:5000] + content[-5000:])
    assert (cached("x", {}, large, tmp_path)["a"] == np.arange(10_000)).all()
    assert path.read_bytes() == content


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_full_disk(descriptor: int, mode: str) -> IO[bytes]:
        os.close(descriptor)
        return open("/dev/full", mode)

    with monkeypatch.context() as patched:
        patched.setattr("lfp_snn.data.cache.os.fdopen", on_a_full_disk)
        with pytest.warns(UserWarning, match=r"No space left on device.*not caching"):
            arrays = cached("x", {}, Builder(), tmp_path)
    assert arrays["frames"].tolist() == [[0, 1, 2], [3, 4, 5], [9, 9, 9]]
    assert os.listdir(tmp_path) == []


def test_an_entry_with_another_key_is_not_taken(tmp_path: Path) -> None:
    """As if two keys had the same hash."""
    cached("x", {"n": 1}, Builder(), tmp_path)
    first = entry(tmp_path)
    content = first.read_bytes()
    first.unlink()
    cached("x", {"n": 2}, Builder(), tmp_path)
    entry(tmp_path).write_bytes(content)
    build = Builder()
    cached("x", {"n": 2}, build, tmp_path)
    assert build.calls == 1


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(write: Write) -> None:
        write("a", np.zeros(10))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cached("x", {}, build, tmp_path)
    assert os.listdir(tmp_path) == []


def test_appending_something_else_is_an_error(tmp_path: Path) -> None:
    def other_shape(write: Write) -> None:
        write("a", np.zeros((1, 2)))
        write("a", np.zeros((1, 3)))

    def closed(write: Write) -> None:
        write("a", np.zeros(1))
        write("b", np.zeros(1))
        write("a", np.zeros(1))

    with pytest.raises(ValueError, match="another shape"):
        cached("x", {}, other_shape, tmp_path)
    with pytest.raises(ValueError, match="already written"):
        cached("x", {}, closed, tmp_path)


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not caching"):
        arrays = cached("x", {}, Builder(), tmp_path / "file" / "cache")
    assert arrays["frames"].tolist() == [[0, 1, 2], [3, 4, 5], [9, 9, 9]]


def test_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LFP_SNN_CACHE", str(tmp_path / "a"))
    assert cache_folder() == tmp_path / "a"
    assert cache_folder(tmp_path / "b") == tmp_path / "b"
    monkeypatch.delenv("LFP_SNN_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "lfp_snn"


def test_files_are_described_by_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    os.utime(file, ns=(1, 1))
    before = describe_files([file])
    assert before == describe_files([file])
    os.utime(file, ns=(2, 2))
    assert describe_files([file]) != before
    file.write_text("12")
    os.utime(file, ns=(1, 1))
    assert describe_files([file]) != before


@dataclass
class Denoise:
    """A transform as tonic has them."""

    time: int

    def __call__(self, events: object) -> object:
        return events


class Crop:
    """A plain class."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def __call__(self, events: object) -> object:
        return events


class Nothing:
    """An object that shows nothing of itself."""

    __slots__ = ()


def scaled(factor: int) -> types.FunctionType:
    def scale(x: int) -> int:
        return x * factor

    return scale


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 2),
        (1, True),
        ("1", 1),
        ([1, [2]], [1, [3]]),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.float32(1), np.float64(1)),
        (Path("a"), Path("b")),
        (range(3), range(4)),
        (Denoise(1), Denoise(2)),
        (Denoise(1), Crop((1, 1))),
        (Crop((1, 2)), Crop((1, 3))),
        (Crop, Denoise),
        (scaled(2), scaled(3)),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: x.real, lambda x: x.imag),
        (lambda x, a=1: x, lambda x, a=2: x),
        (lambda x: [i + 1 for i in x], lambda x: [i + 2 for i in x]),
        (functools.partial(scaled, 1), functools.partial(scaled, 2)),
        (Denoise(1).__call__, Denoise(2).__call__),
        (np.sin, np.cos),
        (len, abs),
    ],
)
def test_different_things_are_described_differently(a: object, b: object) -> None:
    assert json.dumps(describe(a)) != json.dumps(describe(b))
    assert json.dumps(describe(a)) == json.dumps(describe(a))


def test_equal_things_are_described_equally() -> None:
    assert describe(Crop((1, 2))) == describe(Crop((1, 2)))
    assert describe(scaled(2)) == describe(scaled(2))
    assert describe({"b": 1, "a": 2}) == describe({"a": 2, "b": 1})
    assert describe([Denoise(1)]) == describe((Denoise(1),))


def test_changed_code_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = describe(Crop((1, 2)))

    def call(self: Crop, events: list[object]) -> object:
        return events[1:]

    monkeypatch.setattr(Crop, "__call__", call)
    assert describe(Crop((1, 2))) != before


def test_tonics_transforms_are_described() -> None:
    transforms = pytest.importorskip("tonic.transforms")
    a, b = (transforms.Compose([transforms.Denoise(filter_time=t), transforms.DropEvent(p=0.1)]) for t in (1, 2))
    assert describe(a) != describe(b)
    assert "tonic" in str(describe(a))


def test_what_cannot_be_described_is_an_error() -> None:
    with pytest.raises(ConfigError, match="pass cache=False"):
        describe(Nothing())
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ConfigError, match="contains itself"):
        describe(loop)
