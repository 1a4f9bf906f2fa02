"""Readers of recordings: what they read is right, and nothing but an error of ours comes out of a bad file."""

from __future__ import annotations

import importlib
import io
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lfp_snn.data import cameras
from lfp_snn.data.aedat import MAX_PACKET
from lfp_snn.data.events import EVENT_DTYPE, Events, make_events
from lfp_snn.data.recordings import Recording, read_recording, write_recording
from lfp_snn.errors import ConfigError, DataError, LfpError, MissingDataError, MissingExtraError

KINDS = (".aedat4", ".es", ".raw", ".dat", ".npz", ".npy")


def events_of(n: int, *, seed: int = 0, size: tuple[int, int] = (32, 24), step: int = 50) -> Events:
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.integers(0, step, n))
    return make_events(rng.integers(0, size[0], n), rng.integers(0, size[1], n), t - t[0], rng.integers(0, 2, n) > 0)


# ---- the right numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "size", "count", "duration_us"),
    [
        ("evt2.raw", "evt2", (640, 480, 2), 521_252, 95_871),
        ("evt3_sample.raw", "evt3", (1280, 720, 2), 219_596, 8_811),
        ("sample.aedat4", "aedat4", (320, 240, 2), 111_954, 589_917),
        ("dvs.es", "es", (320, 240, 2), 473_225, 999_000),
    ],
)
def test_camera_files(
    data_root: Path, name: str, kind: str, size: tuple[int, int, int], count: int, duration_us: int
) -> None:
    recording = read_recording(data_root / "recordings" / name)
    assert recording.format == kind
    assert recording.sensor_size == size
    assert len(recording.events) == count
    assert recording.events.dtype == EVENT_DTYPE
    assert int(recording.events["t"][-1] - recording.events["t"][0]) == duration_us
    assert 0.1 < recording.events["p"].mean() < 0.9


def test_evt2_agrees_with_expelliarmus(data_root: Path) -> None:
    expelliarmus = importlib.import_module("expelliarmus")
    path = data_root / "recordings" / "evt2.raw"
    theirs = expelliarmus.Wizard(encoding="evt2").read(path)
    ours = read_recording(path).events
    for field in ("x", "y", "t", "p"):
        np.testing.assert_array_equal(ours[field], theirs[field])


def plain_evt3(path: Path) -> tuple[list[tuple[int, int, bool]], list[int]]:
    """Decode EVT 3 word by word, as Prophesee's description of the format says it."""
    raw = path.read_bytes()
    at = 0
    while raw[at : at + 1] == b"%":
        at = raw.index(b"\n", at) + 1
    found, times = [], []
    x = y = base = low = high = turns = 0
    polarity = False
    for (word,) in struct.iter_unpack("<H", raw[at:]):
        kind, value = word >> 12, word & 0xFFF
        if kind == 0x0:
            y = value & 0x7FF
        elif kind == 0x2:
            found.append((value & 0x7FF, y, bool(value >> 11)))
            times.append((turns << 24) + (high << 12) + low)
        elif kind == 0x3:
            base, polarity = value & 0x7FF, bool(value >> 11)
        elif kind in (0x4, 0x5):
            width = 12 if kind == 0x4 else 8
            for bit in range(width):
                if value >> bit & 1:
                    found.append((base + bit, y, polarity))
                    times.append((turns << 24) + (high << 12) + low)
            base += width
        elif kind == 0x6:
            low = value
        elif kind == 0x8:
            turns += value < high and high - value > 2048
            high, low = value, 0
        x = base
    assert x >= 0
    return found, times


def test_evt3_agrees_with_a_plain_decoding(data_root: Path) -> None:
    path = data_root / "recordings" / "evt3_sample.raw"
    expected, times = plain_evt3(path)
    ours = read_recording(path).events
    assert [(int(x), int(y), bool(p)) for x, y, p in zip(ours["x"], ours["y"], ours["p"], strict=True)] == expected
    # The camera's clock words step back by a few microseconds now and then; events stay in order of time.
    assert np.abs(ours["t"] - np.array(times)).max() <= 11


def test_nmnist_agrees_with_tonic(data_root: Path) -> None:
    tonic_io = importlib.import_module("tonic.io")
    path = sorted((data_root / "NMNIST" / "Train" / "5").glob("*.bin"))[0]
    theirs = tonic_io.read_mnist_file(path, dtype=np.dtype([("x", int), ("y", int), ("t", int), ("p", int)]))
    recording = read_recording(path)
    assert recording.sensor_size == (34, 34, 2)
    for field in ("x", "y", "t", "p"):
        np.testing.assert_array_equal(recording.events[field], theirs[field])


def test_nmnist_time_overflow(tmp_path: Path) -> None:
    """The 23-bit clock of this format goes on through events of y = 240, each worth 8,192 us."""
    rows = [(3, 4, 1, 100), (0, 240, 0, 0), (5, 6, 0, 50), (0, 240, 0, 0), (0, 240, 0, 0), (7, 8, 1, 60)]
    path = tmp_path / "overflow.bin"
    path.write_bytes(b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, p, t in rows))
    events = read_recording(path).events
    assert events["t"].tolist() == [100, 50 + 8192, 60 + 3 * 8192]
    tonic_io = importlib.import_module("tonic.io")
    theirs = tonic_io.read_mnist_file(path, dtype=np.dtype([("x", int), ("y", int), ("t", int), ("p", int)]))
    np.testing.assert_array_equal(events["t"], theirs["t"])


def test_one_recording_of_many(data_root: Path) -> None:
    path = data_root / "FSDD" / "fsdd_test.h5"
    recording = read_recording(path, index=3, max_events=1000)
    assert recording.format == "hdf5"
    assert recording.sensor_size == (700, 1, 1)
    assert len(recording.events) == 1000
    with h5py.File(path) as file:
        np.testing.assert_array_equal(recording.events["x"], file["spikes/units"][3][:1000])
        seconds = file["spikes/times"][3][:1000].astype(np.float64)
    np.testing.assert_allclose(recording.events["t"], seconds * 1e6, atol=0.5)
    with pytest.raises(DataError, match="no recording 250; the file holds 250"):
        read_recording(path, index=250)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back(tmp_path: Path, kind: str) -> None:
    @settings(max_examples=20)
    @given(n=st.integers(1, 400), seed=st.integers(0, 2**31), step=st.sampled_from([1, 50, 70_000]))
    def round_trip(n: int, seed: int, step: int) -> None:
        events = events_of(n, seed=seed, step=step)
        path = tmp_path / f"file{kind}"
        write_recording(path, Recording(events, (32, 24, 2), ""))
        read = read_recording(path, sensor_size=(32, 24))
        np.testing.assert_array_equal(read.events, events)
        assert read.sensor_size == (32, 24, 2)

    round_trip()


@pytest.mark.parametrize("kind", [".aedat4", ".raw", ".dat", ".npz"])
def test_the_start_is_kept(tmp_path: Path, kind: str) -> None:
    events = events_of(100)
    events["t"] += 1_605_537_493_718_345
    path = tmp_path / f"late{kind}"
    write_recording(path, Recording(events, (32, 24, 2), ""))
    np.testing.assert_array_equal(read_recording(path).events["t"], events["t"])


def test_columns_in_an_archive(tmp_path: Path) -> None:
    """Frames of other programs keep one array a field, times as unsigned or floating-point numbers."""
    events = events_of(50)
    np.savez(tmp_path / "columns.npz", x=events["x"], y=events["y"], t=events["t"].astype(np.uint64), p=events["p"])
    read = read_recording(tmp_path / "columns.npz", sensor_size=(32, 24))
    np.testing.assert_array_equal(read.events, events)


@pytest.mark.parametrize("name", ["evt2.raw", "evt3_sample.raw", "sample.aedat4", "dvs.es"])
def test_the_first_events_only(data_root: Path, name: str) -> None:
    path = data_root / "recordings" / name
    whole = read_recording(path).events
    for n in (1, 1000, 20_000, len(whole) + 5):
        np.testing.assert_array_equal(read_recording(path, max_events=n).events, whole[:n])


# ---- what is wrong with a file ---------------------------------------------------------------------------------------


def header(text: str, data: bytes = b"") -> bytes:
    return text.encode() + data


def npy(array: NDArray[np.generic] | list[object], shape: tuple[int, ...] | None = None) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(array), allow_pickle=True)
    raw = out.getvalue()
    if shape is not None:  # claim another shape than the data have
        at = raw.index(b"'shape': ")
        end = raw.index(b"}", at)
        raw = raw[:at] + f"'shape': {shape}, ".encode() + raw[end:]
        raw = raw[:8] + struct.pack("<H", raw.index(b"\n") - 9) + raw[10:]
    return raw


def npz(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def sized(events: Events) -> bytes:
    return npz({"events.npy": npy(events), "sensor_size.npy": npy(np.array([34, 34, 2]))})


ONE = np.zeros(1, EVENT_DTYPE)
WRONG: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.raw", b"", "the file is empty"),
    "unknown kind": ("a.rwa", b"abc", "did you mean '.raw'"),
    "no kind": ("events", b"abc", "unknown kind of recording 'events'"),
    "text as es": ("a.es", b"hello world, this is text", "not an Event Stream file"),
    "text as aedat4": ("a.aedat4", b"hello", "not an AEDAT 4 file"),
    "older aedat": ("a.aedat4", b"#!AER-DAT3.1\r\n#", "not an AEDAT 4 file"),
    "text as raw": ("a.raw", b"hello", "names no version"),
    "text as dat": ("a.dat", b"hello, world", "not a DAT file, or truncated"),
    "text as npz": ("a.npz", b"hello", "cannot be read as an archive"),
    "text as npy": ("a.npy", b"hello", "cannot be read as a NumPy array"),
    "text as h5": ("a.h5", b"hello", "not an HDF5 file"),
    "text as bin": ("a.bin", b"hello", "x = 104 is outside the sensor"),
    "truncated bin": ("a.bin", bytes(7), "no multiple of 5 bytes"),
    "evt 2.1": ("a.raw", header("% evt 2.1\n% geometry 640x480\n", bytes(8)), "EVT 2.1 cannot be read"),
    "evt 4": ("a.raw", header("% format EVT4;height=720;width=1280\n", bytes(8)), "EVT 4 cannot be read"),
    "no size": ("a.raw", header("% evt 2.0\n", bytes(8)), "pass sensor_size="),
    "no size in dat": ("a.dat", header("% Version 2\n", b"\x0c\x08" + bytes(8)), "pass sensor_size="),
    "size 0": ("a.raw", header("% evt 3.0\n% geometry 0x720\n", bytes(8)), "a sensor size is"),
    "huge size": ("a.raw", header("% evt 3.0\n% geometry 99999x720\n", bytes(8)), "a sensor size is"),
    "no event": ("a.raw", header("% evt 3.0\n% geometry 640x480\n"), "holds no event"),
    "half a word": ("a.raw", header("% evt 3.0\n% geometry 640x480\n", bytes(3)), "truncated in the middle of a word"),
    "endless header": ("a.raw", b"% evt 3.0\n" + b"%" * (cameras.MAX_HEADER + 1), "the header does not end"),
    "header only": ("a.raw", b"% evt 3.0", "the header does not end"),
    "es of no camera": ("a.es", b"Event Stream\x02\x00\x00\x00", "generic"),
    "es without size": ("a.es", b"Event Stream\x02\x00\x00\x01", "cannot be read as Event Stream"),
    "es cut": ("a.es", b"Event Stream\x02\x00\x00\x01\x20\x00\x20\x00\x01\x05", "truncated in the middle of an event"),
    "plain array": ("a.npy", npy(np.zeros((4, 4))), "is no recording"),
    "pickled array": ("a.npy", npy([{}, None]), "is no recording"),
    "array that claims more": ("a.npy", npy(ONE, (10**15,)), "truncated: 1000000000000000 events"),
    "array of nothing": ("a.npy", npy(np.zeros(3, [])), "is no recording"),
    "archive of nothing": ("a.npz", npz({}), "holds nothing; expected events"),
    "archive of other things": ("a.npz", npz({"frames.npy": npy(np.zeros(3))}), "holds frames; expected events"),
    "archive that claims more": ("a.npz", npz({"events.npy": npy(ONE, (10**15,))}), "truncated"),
    "archive in lzma": ("a.npz", npz({"events.npy": npy(ONE)}, zipfile.ZIP_LZMA), "compressed in an unusual way"),
    "columns that differ": (
        "a.npz",
        npz({f"{n}.npy": npy(np.zeros(3 + (n == "t"), int)) for n in "xytp"}),
        "have different lengths",
    ),
    "array without a size": ("a.npy", npy(ONE), "pass sensor_size="),
    "outside the sensor": (
        "a.npz",
        sized(np.array([(40, 1, 1, 0)], EVENT_DTYPE)),
        "x = 40 is outside the sensor",
    ),
    "times that fall": (
        "a.npz",
        sized(np.array([(1, 1, 5, 0), (1, 1, 4, 0)], EVENT_DTYPE)),
        "times are not ascending",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_bad_files(tmp_path: Path, case: str) -> None:
    name, data, message = WRONG[case]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        read_recording(path)
    assert message in str(error.value)
    assert name in str(error.value)


def test_bad_arguments(tmp_path: Path, data_root: Path) -> None:
    path = data_root / "recordings" / "dvs.es"
    with pytest.raises(DataError, match=r"says that its sensor size is .320, 240, 2., but .640, 480, 2. was asked for"):
        read_recording(path, sensor_size=(640, 480))
    for n in (0, -1, 1.5, True):
        with pytest.raises(ConfigError, match="max_events must be a whole number of at least 1"):
            read_recording(path, max_events=n)  # type: ignore[arg-type]
    with pytest.raises(MissingDataError, match="there is no file"):
        read_recording(tmp_path / "none.es")
    with pytest.raises(DataError, match="is a folder"):
        read_recording(tmp_path)
    with pytest.raises(ConfigError, match=r"'.mp4' cannot be written; these can: .aedat4, .dat, .es, .npy, .npz, .raw"):
        write_recording(tmp_path / "a.mp4", Recording(ONE, (34, 34, 2), ""))
    for kind in KINDS:
        (tmp_path / f"folder{kind}").mkdir()
        with pytest.raises(DataError, match=f"folder{kind}.* cannot be"):
            write_recording(tmp_path / f"folder{kind}", Recording(ONE, (34, 34, 2), ""))
    with pytest.raises(DataError, match="holds no event"):
        write_recording(tmp_path / "a.npz", Recording(ONE[:0], (34, 34, 2), ""))
    with pytest.raises(DataError, match="a sensor size is"):
        write_recording(tmp_path / "a.npz", Recording(ONE, (0, 34, 2), ""))


ROOM: dict[str, tuple[list[int], tuple[int, int, int], tuple[str, ...]]] = {
    "times before 0": ([-5, 0], (32, 24, 2), (".aedat4", ".es", ".raw", ".dat")),
    "a pause in more than 16.7 s": ([0, 2**24], (32, 24, 2), (".raw",)),
    "a pause in 16.7 s": ([5, 2**24 + 4], (32, 24, 2), ()),
    "a duration of 4,295 s": ([0, 2**32], (32, 24, 2), (".raw", ".es", ".dat")),
    "a duration of 9,223,372,036,855 s": ([0, 2**62 - 1], (32, 24, 2), (".raw", ".es", ".dat")),
    "a sensor of 2049 columns or rows": ([0, 5], (32, 2049, 2), (".raw",)),
    "a sensor of 32768 columns or rows": ([0, 5], (2**15, 2**15, 2), (".aedat4", ".raw", ".dat")),
}


@pytest.mark.parametrize("case", ROOM)
@pytest.mark.parametrize("kind", [".aedat4", ".es", ".raw", ".dat", ".npz"])
def test_what_a_format_has_no_room_for(tmp_path: Path, case: str, kind: str) -> None:
    """It is refused, or read back as it was; nothing is silently made into something else."""
    times, size, refused = ROOM[case]
    recording = Recording(make_events([1, size[0] - 1], [size[1] - 1, 2], times, True), size, "")
    path = tmp_path / f"a{kind}"
    if kind in refused:
        with pytest.raises(DataError, match=rf"\{kind} has no room for .*; .npz has"):
            write_recording(path, recording)
        assert list(tmp_path.iterdir()) == []
    else:
        write_recording(path, recording)
        read = read_recording(path).events.copy()
        read["t"] += recording.events["t"][0] - read["t"][0]  # .es begins with 0
        np.testing.assert_array_equal(read, recording.events)


@pytest.mark.parametrize("kind", [".raw", ".dat", ".es"])
@pytest.mark.parametrize("pause", [4096, 4095, 1000])
def test_clocks_start_anew(tmp_path: Path, kind: str, pause: int) -> None:
    times = 77 + np.arange(0, 2**25 + 2**24, pause)
    recording = Recording(make_events(np.arange(len(times)) % 32, 0, times, True), (32, 24, 2), "")
    write_recording(tmp_path / f"a{kind}", recording)
    read = read_recording(tmp_path / f"a{kind}").events["t"]
    np.testing.assert_array_equal(read - read[0], times - 77)


@pytest.mark.parametrize("kind", KINDS)
def test_capital_letters(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"A{kind.upper()}"
    write_recording(path, Recording(events_of(50), (32, 24, 2), ""))
    np.testing.assert_array_equal(read_recording(path, sensor_size=(32, 24)).events, events_of(50))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_there_stays_until_the_new_file_is_whole(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{kind}"
    path.write_bytes(b"old")

    def interrupt(source: Path, target: Path) -> None:
        if target == path:
            raise KeyboardInterrupt
        os.rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_recording(path, Recording(events_of(50), (32, 24, 2), ""))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_recording(path, Recording(events_of(50), (32, 24, 2), ""))
    assert path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_that_unfolds_to_gigabytes(tmp_path: Path) -> None:
    """Zeros shrink a thousand times; 100 bytes an event make few events of many bytes."""
    wide = np.zeros(200_000, [*EVENT_DTYPE.descr, ("more", "V87")])
    path = tmp_path / "bomb.npz"
    path.write_bytes(npz({"events.npy": npy(wide), "sensor_size.npy": npy(np.array([34, 34, 2]))}))
    with pytest.raises(DataError, match=r"bomb.npz, events: unpacks to more than 256 times the file's size"):
        read_recording(path)
    assert len(read_recording(path, max_events=100).events) == 100


def test_a_missing_extra_is_named(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faery", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lfp-snn\[events\]'"):
        read_recording(data_root / "recordings" / "dvs.es")


def test_the_panic_of_a_native_reader_is_an_error_of_ours(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {})

    def explode(*_: object, **__: object) -> None:
        raise panic("not yet implemented")

    monkeypatch.setattr(importlib.import_module("faery"), "events_stream_from_file", explode)
    with pytest.raises(DataError, match="cannot be read as Event Stream: not yet implemented"):
        read_recording(data_root / "recordings" / "dvs.es")


@pytest.mark.parametrize(
    ("name", "missing"),
    [("evt2.raw", 1), ("evt3_sample.raw", 1), ("sample.aedat4", 100_000), ("dvs.es", 1), ("dvs.es", 4)],
)
def test_truncated_files(tmp_path: Path, data_root: Path, name: str, missing: int) -> None:
    path = tmp_path / name
    path.write_bytes((data_root / "recordings" / name).read_bytes()[:-missing])
    with pytest.raises(DataError, match="truncated"):
        read_recording(path)


# ---- files made to harm ----------------------------------------------------------------------------------------------


def small_aedat4(path: Path, compression: tuple[str, int] | None, n: int = 300) -> bytes:
    faery = importlib.import_module("faery")
    raw = np.zeros(n, faery.EVENTS_DTYPE)
    raw["t"] = np.arange(n)
    raw["x"] = np.arange(n) % 32
    faery.events_stream_from_array(raw, (32, 24)).to_file(path, compression=compression)
    return path.read_bytes()


def with_packet(file: bytes, payload: bytes) -> bytes:
    """Replace the first packet's bytes."""
    start = 18 + struct.unpack_from("<I", file, 14)[0]
    stream, length = struct.unpack_from("<II", file, start)
    return file[:start] + struct.pack("<II", stream, len(payload)) + payload + file[start + 8 + length :]


@pytest.mark.parametrize("compression", [None, ("lz4", 1), ("lz4", 12), ("zstd", 3), ("zstd", 22)])
def test_every_compression_is_read(tmp_path: Path, compression: tuple[str, int] | None) -> None:
    path = tmp_path / "small.aedat4"
    small_aedat4(path, compression)
    assert read_recording(path).events["t"].tolist() == list(range(300))


def test_a_packet_that_unfolds_to_gigabytes(tmp_path: Path) -> None:
    """Zstandard can name one byte and its number of times: 4 bytes for 128 KiB."""
    path = tmp_path / "bomb.aedat4"
    block = struct.pack("<I", 0b010 | (1 << 17) << 3)[:3] + b"\0"
    last = struct.pack("<I", 0b011 | (1 << 17) << 3)[:3] + b"\0"
    bomb = struct.pack("<I", 0xFD2FB528) + b"\x00\x58" + block * (MAX_PACKET >> 17) + last
    path.write_bytes(with_packet(small_aedat4(path, ("zstd", 3)), bomb))
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match="would decompress to as many as 128 MiB"):
        read_recording(path)


def test_a_file_that_decodes_to_far_too_many_events(tmp_path: Path) -> None:
    path = tmp_path / "zeros.aedat4"
    faery = importlib.import_module("faery")
    raw = np.zeros(500_000, faery.EVENTS_DTYPE)
    faery.events_stream_from_array(raw, (32, 24)).to_file(path, compression=("zstd", 19))
    assert path.stat().st_size * cameras.MAX_EVENTS_PER_BYTE < 500_000
    with pytest.raises(DataError, match="decodes to more than 64 events a byte"):
        read_recording(path)
    assert len(read_recording(path, max_events=100).events) == 100


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("<dv>" + "<node name='a'>" * 200 + "</node>" * 200 + "</dv>", "nested deeper than 64"),
        ("<!DOCTYPE dv [<!ENTITY a 'b'>]><dv>&a;</dv>", "has a document type"),
        ("<dv><node></dv>", "damaged"),
        ("", "damaged"),
    ],
)
def test_descriptions_made_to_harm(tmp_path: Path, what: str, message: str) -> None:
    text = what.encode()
    # A FlatBuffers table of three fields: compression, position of the file's table, text.
    table = struct.pack("<I4s", 20, b"IOHE") + struct.pack("<HHHHH", 10, 20, 4, 8, 16) + b"\0\0"
    table += struct.pack("<iiqI", 12, 0, -1, 4) + struct.pack("<I", len(text)) + text + b"\0"
    path = tmp_path / "header.aedat4"
    path.write_bytes(b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(table)) + table)
    with pytest.raises(DataError, match=message):
        read_recording(path)


def mutate(raw: bytes) -> st.SearchStrategy[bytes]:
    """Cut, and change bytes or whole words: near the beginning, where the headers are, or anywhere."""
    near = st.integers(0, min(2600, len(raw) - 1))
    at = near | st.integers(0, len(raw) - 1)
    byte = st.sampled_from([b"\0", b"\1", b"\x7f", b"\x80", b"\xff"]) | st.binary(min_size=1, max_size=1)
    number = st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(raw), 2 * len(raw)])
    word = number.map(lambda n: struct.pack("<I", n))
    changes = st.lists(st.tuples(at, byte | word), min_size=1, max_size=8)
    end = st.just(len(raw)) | st.integers(0, len(raw))

    def apply(made: tuple[list[tuple[int, bytes]], int]) -> bytes:
        out = bytearray(raw)
        for position, data in made[0]:
            out[position : position + len(data)] = data
        return bytes(out[: made[1]])

    return st.tuples(changes, end).map(apply)


def only_our_errors(raw: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"fuzzed{suffix}"
        path.write_bytes(raw)
        try:
            recording = read_recording(path)
        except LfpError as error:
            named = str(path) in str(error)
            recording = None
    if recording is None:
        assert named
        return
    events, (w, h, _) = recording.events, recording.sensor_size
    assert 0 < len(events) <= cameras.MAX_EVENTS_PER_BYTE * max(len(raw), 1)
    assert (np.diff(events["t"]) >= 0).all()
    assert 0 <= events["x"].min() <= events["x"].max() < w
    assert 0 <= events["y"].min() <= events["y"].max() < h


def make_hdf5(path: Path, **options: object) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (20,), h5py.vlen_dtype(np.float16), **options)
        units = file.create_dataset("spikes/units", (20,), h5py.vlen_dtype(np.uint16), **options)
        for i in range(20):
            n = int(rng.integers(10, 60))
            times[i] = np.sort(rng.random(n)).astype(np.float16)
            units[i] = rng.integers(0, 700, n).astype(np.uint16)
        file.create_dataset("labels", data=np.arange(20, dtype=np.uint16) % 2, **options)
        file.create_dataset("extra/keys", data=["zero", "one"])


def make_real(name: str, size: int) -> Callable[[Path, Path], bytes]:
    return lambda data_root, _folder: (data_root / name).read_bytes()[:size]


def make_written(suffix: str) -> Callable[[Path, Path], bytes]:
    def make(_data_root: Path, folder: Path) -> bytes:
        path = folder / f"seed{suffix}"
        write_recording(path, Recording(events_of(500), (32, 24, 2), ""))
        return path.read_bytes()

    return make


def make_spikes(**options: object) -> Callable[[Path, Path], bytes]:
    def make(_data_root: Path, folder: Path) -> bytes:
        make_hdf5(folder / "seed.h5", **options)
        return (folder / "seed.h5").read_bytes()

    return make


FUZZED: dict[str, tuple[str, Callable[[Path, Path], bytes]]] = {
    "evt2": (".raw", make_real("recordings/evt2.raw", 12_000)),
    "evt3": (".raw", make_real("recordings/evt3_sample.raw", 12_000)),
    "es": (".es", make_real("recordings/dvs.es", 12_000)),
    "aedat4": (".aedat4", make_real("recordings/sample.aedat4", 60_000)),
    "aedat4, whole": (".aedat4", make_written(".aedat4")),
    "aedat4, zstd": (".aedat4", lambda _, folder: small_aedat4(folder / "seed.aedat4", ("zstd", 3))),
    "aedat4, plain": (".aedat4", lambda _, folder: small_aedat4(folder / "seed.aedat4", None)),
    "dat": (".dat", make_written(".dat")),
    "npz": (".npz", make_written(".npz")),
    "npy": (".npy", make_written(".npy")),
    "nmnist": (".bin", make_real("NMNIST/Train/5/00001.bin", 12_000)),
    "hdf5": (".h5", make_spikes()),
    "hdf5, chunks": (".h5", make_spikes(chunks=(7,))),
    "hdf5, gzip": (".h5", make_spikes(chunks=(8,), compression="gzip", shuffle=True)),
}


@pytest.mark.parametrize("what", FUZZED)
def test_damaged_files_give_our_errors_only(data_root: Path, tmp_path: Path, what: str) -> None:
    suffix, make = FUZZED[what]
    raw = make(data_root, tmp_path)

    @settings(max_examples=150)
    @given(mutate(raw))
    def fuzz(damaged: bytes) -> None:
        only_our_errors(damaged, suffix)

    fuzz()


@pytest.mark.parametrize("suffix", [*KINDS, ".bin", ".h5"])
def test_noise_gives_our_errors_only(suffix: str) -> None:
    starts = [b"", b"Event Stream\x02\0\0\x01", b"% evt 3.0\n% geometry 64x64\n", b"% evt 2.0\n% geometry 64x64\n",
              b"#!AER-DAT4.0\r\n", b"\x93NUMPY\x01\0", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"]  # fmt: skip

    @settings(max_examples=60)
    @given(st.sampled_from(starts), st.binary(max_size=600))
    def fuzz(start: bytes, rest: bytes) -> None:
        only_our_errors(start + rest, suffix)

    fuzz()
