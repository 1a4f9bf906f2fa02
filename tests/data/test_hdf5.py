"""Spikes in HDF5 files of SHD's layout: read right, split right, wrong files named."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lfp_snn.data import Recordings, load, loader
from lfp_snn.data import spike_file as module
from lfp_snn.data.hdf5 import read_hdf5
from lfp_snn.data.spike_file import SpikeFile
from lfp_snn.errors import ConfigError, DataError, MissingDataError


def write(
    path: Path,
    rows: list[tuple[Any, Any]],
    labels: Any = None,
    *,
    times_dtype: str = "f4",
    units_dtype: str = "u2",
    keys: list[str] | None = None,
    **options: Any,
) -> Path:
    """Write a file of SHD's layout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (len(rows),), h5py.vlen_dtype(np.dtype(times_dtype)), **options)
        units = file.create_dataset("spikes/units", (len(rows),), h5py.vlen_dtype(np.dtype(units_dtype)), **options)
        for i, (t, u) in enumerate(rows):
            times[i], units[i] = np.asarray(t, times_dtype), np.asarray(u, units_dtype)
        file["labels"] = np.arange(len(rows), dtype=np.uint16) % 2 if labels is None else labels
        if keys:
            file["extra/keys"] = np.array([k.encode() for k in keys])
    return path


def random_rows(n: int, seed: int = 0, channels: int = 700) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 60, n)
    return [(np.sort(rng.random(k)), rng.integers(0, channels, k)) for k in sizes]


# ---- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "count"), [("train", 1700), ("test", 250)])
def test_spoken_digits(data_root: Path, part: str, count: int) -> None:
    path = data_root / "FSDD" / f"fsdd_{part}.h5"
    source, names = read_hdf5(path)
    assert isinstance(source.recordings, Recordings)
    assert names == ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    assert np.bincount(source.labels).tolist() == [count // 10] * 10
    with h5py.File(path) as file:
        units = np.concatenate(file["spikes/units"][()])
        seconds = np.concatenate(file["spikes/times"][()]).astype(np.float64)
        np.testing.assert_array_equal(source.labels, file["labels"])
    np.testing.assert_array_equal(source.recordings.events["x"], units)
    np.testing.assert_array_equal(source.recordings.events["t"], np.rint(seconds * 1e6))


def test_agrees_with_tonic(data_root: Path) -> None:
    hsd = importlib.import_module("tonic.datasets.hsd")

    class FSDD(hsd.HSD):  # type: ignore[name-defined, misc]
        data_filename = "fsdd_test.h5"

    theirs = FSDD(str(data_root))
    file = SpikeFile(data_root / "FSDD" / "fsdd_test.h5")
    for i in (0, 7, 249):
        events, label = theirs[i]
        np.testing.assert_array_equal(file[i]["x"], events["x"])
        assert np.abs(file[i]["t"] - events["t"]).max() <= 1  # tonic cuts microseconds off, here they are rounded
        assert file.labels[i] == label


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (7,)},
        {"chunks": (64,), "maxshape": (None,)},
        {"chunks": (8,), "maxshape": (None,)},
        {"chunks": (8,), "compression": "gzip"},
        {"chunks": (5,), "compression": "gzip", "shuffle": True},
        {"chunks": (5,), "shuffle": True},
        {"times_dtype": "f2"},
        {"times_dtype": "f8", "units_dtype": "i8"},
        {"times_dtype": ">f4", "units_dtype": ">i4"},
    ],
    ids=str,
)
def test_every_layout(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "rows.h5"

    @settings(max_examples=8)
    @given(sizes=st.lists(st.integers(0, 300), min_size=8, max_size=40), seed=st.integers(0, 2**31))
    def check(sizes: list[int], seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows = [(np.sort(rng.random(n)), rng.integers(0, 700, n)) for n in sizes]
        file = SpikeFile(write(path, rows, **options))
        assert file.lengths.tolist() == sizes
        kind = options.get("times_dtype", "f4")
        for (t, u), events, i in zip(rows, file.load(), range(len(rows)), strict=True):
            np.testing.assert_array_equal(events["x"], u)
            np.testing.assert_array_equal(events["t"], np.rint(t.astype(kind).astype("f8") * 1e6))
            np.testing.assert_array_equal(events, file[i])

    check()


def test_classes_without_names(tmp_path: Path) -> None:
    file = SpikeFile(write(tmp_path / "a.h5", random_rows(5), np.array([0, 2, 1, 0, 2])))
    assert file.class_names == ("0", "1", "2")


def test_names_of_any_length(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", random_rows(4))
    with h5py.File(path, "a") as file:
        file["extra/keys"] = ["links", "überall"]
    assert SpikeFile(path).class_names == ("links", "überall")


def test_numbers_of_recordings(data_root: Path) -> None:
    file = SpikeFile(data_root / "FSDD" / "fsdd_test.h5")
    np.testing.assert_array_equal(file[-1], file[249])
    assert [len(e) for e in file[3:7]] == file.lengths[3:7].tolist()
    with pytest.raises(IndexError):
        file[250]


def test_it_can_be_pickled_after_use(data_root: Path) -> None:
    file = SpikeFile(data_root / "FSDD" / "fsdd_test.h5")
    first = file[0]
    copy = pickle.loads(pickle.dumps(file))
    np.testing.assert_array_equal(copy[0], first)


# ---- wrong files -----------------------------------------------------------------------------------------------------


def edit(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        write(path, random_rows(6), keys=["no", "yes"])
        with h5py.File(path, "a") as file:
            change(file)

    return apply


def replace(name: str, data: Any) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        if data is not None:
            file[name] = data

    return edit(change)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((6,), np.uint16)
    layout[:] = h5py.VirtualSource("other.h5", "labels", (6,))
    del file["labels"]
    file.create_virtual_dataset("labels", layout)


def link(file: h5py.File) -> None:
    del file["labels"]
    file["labels"] = h5py.ExternalLink("/etc/passwd", "labels")


def group(file: h5py.File) -> None:
    del file["spikes/times"]
    file.create_group("spikes/times")


def cut(path: Path) -> None:
    write(path, random_rows(6))
    path.write_bytes(path.read_bytes()[:-400])


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no times": (replace("spikes/times", None), "no 'spikes/times'; SHD's layout has"),
    "no spikes": (replace("spikes", None), "no 'spikes/times'; SHD's layout has"),
    "no units": (replace("spikes/units", None), "no 'spikes/units'"),
    "no labels": (replace("labels", None), "no 'labels'"),
    "times are a table": (replace("spikes/times", np.zeros((6, 10))), "'spikes/times' is not a one-dimensional"),
    "times are numbers": (replace("spikes/times", np.zeros(6)), "holds float64, not ragged rows of floating-point"),
    "times are a group": (edit(group), "'spikes/times' is not a one-dimensional"),
    "labels are text": (replace("labels", np.array([b"a"] * 6)), "each needs an integer"),
    "too few labels": (replace("labels", np.zeros(5, int)), "'labels' holds 5 int64; there are 6 recordings"),
    "negative label": (replace("labels", np.array([0, 1, -1, 0, 1, 0])), "labels run from -1 to 1"),
    "label without name": (replace("labels", np.array([0, 1, 2, 0, 1, 0])), "but there are 2 classes"),
    "labels elsewhere": (edit(link), "'labels' is a link to elsewhere"),
    "labels made of another file": (edit(virtual), "'labels' is not a one-dimensional data set"),
    "integer times": (lambda p: write(p, [([0, 1], [0, 1])], times_dtype="i4"), "holds int32, not ragged rows of fl"),
    "units with a point": (lambda p: write(p, random_rows(3), units_dtype="f4"), "not ragged rows of integers"),
    "row of another length": (lambda p: write(p, [([0, 0.1], [1, 2]), ([0.1], [3, 4])]), "rows of different lengths"),
    "compressed otherwise": (lambda p: write(p, random_rows(9), chunks=(3,), compression="lzf"), "h5repack -f GZIP=4"),
    "truncated": (cut, "truncated"),
    "nothing": (lambda p: write(p, []), "'spikes/times' is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(tmp_path: Path, case: str) -> None:
    make, message = WRONG[case]
    path = tmp_path / "wrong.h5"
    make(path)
    with pytest.raises(DataError) as error:
        SpikeFile(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (([0.1, 0.3, 0.2], [1, 2, 3]), "times are not ascending: event 2 at 200000.0 follows 300000.0"),
        (([0.1, np.nan], [1, 2]), "field t holds NaN or infinity"),
        (([0.1, np.inf], [1, 2]), "field t holds NaN or infinity"),
        (([0.1, 0.2], [1, 700]), "x = 700 is outside the sensor, which has x from 0 to 699"),
    ],
)
def test_wrong_recordings(tmp_path: Path, row: tuple[list[float], list[int]], message: str) -> None:
    path = write(tmp_path / "wrong.h5", [*random_rows(2), row])
    file = SpikeFile(path)
    assert len(file[1]) > 0
    for read in (lambda: file[2], file.load):
        with pytest.raises(DataError) as error:
            read()
        assert message in str(error.value)
        assert f"{path}, recording 2" in str(error.value)


# ---- data sets -------------------------------------------------------------------------------------------------------


def test_fsdd_splits(data_root: Path) -> None:
    splits = load("fsdd", data_root, val_fraction=0.1, window_us=20_000, max_steps=30, group=10, binary=True)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (1530, 170, 250)
    assert (splits.shape, splits.classes, splits.temporal) == ((70,), 10, True)
    batch = splits.test.__getitems__([0, 5, 9])
    assert batch.lengths is not None
    assert batch.x.shape == (batch.lengths.max(), 3, 70)
    assert batch.lengths.max() <= 30
    assert set(batch.x.unique().tolist()) == {0.0, 1.0}
    for b, n in enumerate(batch.lengths):
        assert batch.x[n:, b].sum() == 0


def test_what_does_not_fit_into_memory_is_read_on_access(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"window_us": 20_000, "max_steps": 30, "cache": False}
    memory = load("fsdd", data_root, **options)
    monkeypatch.setattr(module, "MEMORY_LIMIT", 0)
    access = load("fsdd", data_root, **options)
    numbers = list(range(0, 250, 25))
    a, b = memory.test.__getitems__(numbers), access.test.__getitems__(numbers)
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.target, b.target)
    batches = loader(access.test, batch_size=125, shuffle=False, seed=0, num_workers=2)
    assert sum(len(batch.target) for batch in batches) == 250


def test_own_files(tmp_path: Path) -> None:
    write(tmp_path / "mine" / "train.h5", random_rows(40, channels=20), keys=["no", "yes"])
    write(tmp_path / "mine" / "test.h5", random_rows(10, 1, channels=20), keys=["no", "yes"])
    write(tmp_path / "mine" / "val.h5", random_rows(6, 2, channels=20), keys=["no", "yes"])
    splits = load("hdf5", tmp_path, train="mine/train.h5", test=tmp_path / "mine" / "test.h5", channels=20)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (36, 4, 10)
    assert (splits.shape, splits.class_names) == ((20,), ("no", "yes"))
    splits = load("hdf5", tmp_path, train="mine/train.h5", test="mine/test.h5", val="mine/val.h5", channels=20)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (40, 6, 10)


def test_a_test_part_is_set_aside_and_stays(tmp_path: Path) -> None:
    write(tmp_path / "all.h5", random_rows(60))
    a = load("hdf5", tmp_path, train="all.h5", seed=0)
    b = load("hdf5", tmp_path, train="all.h5", seed=7)
    assert (len(a.train), len(a.val), len(a.test)) == (44, 4, 12)
    everything = list(range(12))
    assert torch.equal(a.test.__getitems__(everything).x, b.test.__getitems__(everything).x)
    assert len(load("hdf5", tmp_path, train="all.h5", test_fraction=0.5).test) == 30


def test_channels_must_fit(tmp_path: Path) -> None:
    write(tmp_path / "all.h5", random_rows(30))
    with pytest.raises(DataError, match=r"recording \d+: x = \d+ is outside the sensor, which has x from 0 to 99"):
        load("hdf5", tmp_path, train="all.h5", channels=100)


def test_transforms_and_their_sensor(tmp_path: Path) -> None:
    write(tmp_path / "all.h5", random_rows(30))
    crop = {"name": "CropTime", "max": 200_000}
    splits = load("hdf5", tmp_path, train="all.h5", transforms=[crop], cache_dir=tmp_path / "cache")
    batch = splits.train.__getitems__(list(range(len(splits.train))))
    assert batch.lengths is not None
    assert batch.lengths.max() <= 20


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("shd", ["SHD/shd_train.h5", "SHD/shd_test.h5"]),
        ("ssc", ["SSC/ssc_train.h5", "SSC/ssc_valid.h5", "SSC/ssc_test.h5"]),
    ],
)
def test_heidelberg(tmp_path: Path, name: str, files: list[str]) -> None:
    for i, file in enumerate(files):
        with pytest.raises(MissingDataError) as error:
            load(name, tmp_path)
        assert str(tmp_path / file) in str(error.value)
        assert "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/" in str(error.value)
        write(tmp_path / file, random_rows(40 if i == 0 else 8, i), keys=["null", "eins"])
    splits = load(name, tmp_path)
    expected = (36, 4, 8) if name == "shd" else (40, 8, 8)
    assert (len(splits.train), len(splits.val), len(splits.test)) == expected
    assert splits.class_names == ("null", "eins")
    assert splits.shape == (700,)


def test_wrong_options(tmp_path: Path, data_root: Path) -> None:
    with pytest.raises(MissingDataError, match=r"prepare_fsdd\.py"):
        load("fsdd", tmp_path)
    with pytest.raises(MissingDataError, match=r"there is no file .*none.h5"):
        load("hdf5", tmp_path, train="none.h5")
    with pytest.raises(ConfigError, match="did you mean 'channels'"):
        load("hdf5", tmp_path, train="none.h5", chanels=3)
    with pytest.raises(ConfigError, match="needs the option train"):
        load("hdf5", tmp_path)
    with pytest.raises(ConfigError, match="unknown transform 'Denoice': did you mean 'Denoise'"):
        load("fsdd", data_root, transforms=["Denoice"])
