"""N-MNIST, DVS128 Gesture, CIFAR10-DVS: what is there is used, what is missing is named, nothing is fetched."""

from __future__ import annotations

import pickle
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tonic.dataset
import tonic.datasets
import torch

from lfp_snn.data import Recordings, load, loader, make_events
from lfp_snn.data import tonic_sets as module
from lfp_snn.data.recordings import Recording, write_recording
from lfp_snn.errors import ConfigError, DataError, MissingDataError, MissingExtraError


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every try to download fail."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was started")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(tonic.dataset.Dataset, "download", refuse)


# ---- N-MNIST ---------------------------------------------------------------------------------------------------------


def write_nmnist(root: Path, train: int = 4, test: int = 2) -> None:
    """Write recordings in N-MNIST's layout and format; digit d has events at x = d only."""
    for part, n in (("Train", train), ("Test", test)):
        for digit in range(10):
            folder = root / "NMNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for i in range(n):
                rows = [(digit, y, y % 2, 1000 * y) for y in range(30)]
                raw = b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, p, t in rows)
                (folder / f"{i + 1:05d}.bin").write_bytes(raw)


@pytest.fixture
def few(data_root: Path, tmp_path: Path) -> Path:
    """Return a data root with a few of the real recordings, five a digit and part."""
    root = tmp_path / "few"
    for part in ("Train", "Test"):
        for digit in range(10):
            folder = root / "NMNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for file in sorted((data_root / "NMNIST" / part / str(digit)).glob("*.bin"))[:5]:
                (folder / file.name).symlink_to(file)
    return root


def test_nmnist_official_parts(data_root: Path) -> None:
    splits = load("nmnist", data_root)
    assert (splits.shape, splits.classes, splits.temporal) == ((2, 34, 34), 10, True)
    assert splits.class_names == tuple("0123456789")
    labels = np.concatenate([splits.train.labels, splits.val.labels])
    assert np.bincount(labels).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert np.bincount(splits.test.labels).tolist() == [4, 7, 4, 6, 7, 3, 5, 8, 1, 5]
    assert len(splits.val) == 100
    batch = splits.test.__getitems__([0, 1])
    assert batch.x.shape == (20, 2, 2, 34, 34)
    assert batch.lengths is None


def test_nmnist_frames_are_those_of_tonic(data_root: Path) -> None:
    class NMNIST(tonic.datasets.NMNIST):
        def _check_exists(self) -> bool:
            return True

    theirs = NMNIST(str(data_root), train=False)
    ours = load("nmnist", data_root, n_bins=8).test
    to_frame = tonic.transforms.ToFrame(sensor_size=(34, 34, 2), n_time_bins=8)
    order = sorted(range(len(theirs)), key=lambda i: theirs.data[i])
    for k in (0, 17, 49):
        events, label = theirs[order[k]]
        assert torch.equal(ours[k][0], torch.from_numpy(to_frame(events).astype(np.float32)))
        assert ours[k][1] == label


def test_nmnist_folds(data_root: Path) -> None:
    """Each recording is tested on once; each fold has the mixture of classes of the whole."""
    whole = np.array([101, 123, 103, 99, 112, 95, 99, 125, 88, 105])
    seen, counts = [], []
    for fold in range(4):
        splits = load("nmnist", data_root, folds=4, fold=fold, n_bins=1, val_fraction=0.1)
        assert len(splits.train) + len(splits.val) + len(splits.test) == 1050
        assert len(splits.val) == pytest.approx(79, abs=3)
        counts.append(np.bincount(splits.test.labels))
        x = splits.test.__getitems__(list(range(len(splits.test)))).x
        seen += [frame.numpy().tobytes() for frame in x[0]]
        trained = splits.train.__getitems__(list(range(len(splits.train)))).x
        assert not {frame.numpy().tobytes() for frame in trained[0]} & set(seen[-len(splits.test) :])
    assert len(set(seen)) == 1050
    np.testing.assert_array_equal(np.sum(counts, axis=0), whole)
    assert np.abs(np.array(counts) - whole / 4).max() < 1


def test_nmnist_folds_depend_on_their_own_seed_only(tmp_path: Path) -> None:
    write_nmnist(tmp_path)

    def tested(**options: Any) -> list[int]:
        return load("nmnist", tmp_path, folds=3, **options).test.labels.tolist()

    def recordings(**options: Any) -> torch.Tensor:
        test = load("nmnist", tmp_path, folds=3, **options).test
        return test.__getitems__(list(range(len(test)))).x

    assert tested(seed=0) == tested(seed=5)
    assert torch.equal(recordings(seed=0), recordings(seed=5))


def test_nmnist_other_than_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set too large for the memory gives the same batches, read as they are asked for, also by workers."""
    write_nmnist(tmp_path)
    for options in ({}, {"folds": 3, "fold": 1}):
        with monkeypatch.context() as patch:
            memory = load("nmnist", tmp_path, cache=False, **options)
            patch.setattr(module, "MEMORY_LIMIT", 0)
            access = load("nmnist", tmp_path, cache=False, **options)
        assert isinstance(memory.train.recordings, Recordings)
        assert not isinstance(access.train.recordings, Recordings)
        for part in ("train", "val", "test"):
            a, b = getattr(memory, part), getattr(access, part)
            numbers = list(range(len(a)))
            assert torch.equal(a.__getitems__(numbers).x, b.__getitems__(numbers).x)
            assert torch.equal(a.__getitems__(numbers).target, b.__getitems__(numbers).target)
        assert len(pickle.loads(pickle.dumps(access.test))) == len(access.test)
        batches = loader(access.test, batch_size=4, shuffle=False, seed=0, num_workers=2)
        assert sum(len(batch.target) for batch in batches) == len(access.test)


def test_nmnist_options_of_tonic(few: Path) -> None:
    def events(**options: Any) -> torch.Tensor:
        return load("nmnist", few, window_us=400_000, **options).test.__getitems__([0, 1, 2]).x

    plain, first = events().sum(), events(first_saccade_only=True).sum()
    assert 0.2 < first / plain < 0.5
    assert not torch.equal(events(stabilize=True), events())


def test_nmnist_with_transforms_and_cache(few: Path, tmp_path: Path) -> None:
    crop = {"name": "CenterCrop", "size": 28}
    splits = load("nmnist", few, transforms=[crop], n_bins=4, cache_dir=tmp_path / "cache")
    assert splits.shape == (2, 28, 28)
    assert list((tmp_path / "cache").iterdir())
    frames = {"name": "ToFrame", "n_time_bins": 4}
    again = load("nmnist", few, transforms=[crop, frames], cache=False)
    numbers = [0, 7, 11]
    assert torch.equal(splits.test.__getitems__(numbers).x, again.test.__getitems__(numbers).x)


def test_nmnist_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as error:
        load("nmnist", tmp_path)
    for part in (str(tmp_path / "NMNIST" / "Train"), "https://www.garrickorchard.com/datasets/n-mnist", "--data-root"):
        assert part in str(error.value)
    write_nmnist(tmp_path, test=0)
    with pytest.raises(MissingDataError, match=r"no .*NMNIST/Test"):
        load("nmnist", tmp_path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the file is empty"),
        (bytes(7), "cannot be read as a recording of NMNIST"),
        (bytes([50, 3, 0, 0, 1]), "x = 50 is outside the sensor"),
    ],
)
def test_nmnist_damaged(tmp_path: Path, raw: bytes, message: str) -> None:
    write_nmnist(tmp_path)
    path = tmp_path / "NMNIST" / "Train" / "3" / "00002.bin"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=message) as error:
        load("nmnist", tmp_path)
    assert str(path) in str(error.value)


def test_events_out_of_order_are_sorted(tmp_path: Path) -> None:
    write_nmnist(tmp_path)
    path = tmp_path / "NMNIST" / "Test" / "0" / "00001.bin"
    raw = path.read_bytes()
    expected = load("nmnist", tmp_path, n_bins=5).test.__getitems__([0]).x
    path.write_bytes(raw[10:15] + raw[:10] + raw[15:])
    assert torch.equal(load("nmnist", tmp_path, n_bins=5).test.__getitems__([0]).x, expected)


def test_nmnist_wrong_options(tmp_path: Path) -> None:
    write_nmnist(tmp_path)
    for folds in (1, 7, 2.5, True):
        with pytest.raises(ConfigError, match="folds must be a number from 2 to 6"):
            load("nmnist", tmp_path, folds=folds)
    for fold in (-1, 3, True):
        with pytest.raises(ConfigError, match="fold must be a number from 0 to 2"):
            load("nmnist", tmp_path, folds=3, fold=fold)
    with pytest.raises(ConfigError, match="did you mean 'folds'"):
        load("nmnist", tmp_path, foldes=3)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nmnist(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "tonic.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lfp-snn\[events\]'"):
        load("nmnist", tmp_path)


# ---- DVS128 Gesture --------------------------------------------------------------------------------------------------


def test_gestures(tmp_path: Path) -> None:
    """Recordings as tonic keeps them: an array of x, y, p, t in milliseconds, named after the gesture."""
    rng = np.random.default_rng(0)
    with pytest.raises(MissingDataError) as error:
        load("dvs-gesture", tmp_path)
    assert "https://figshare.com/ndownloader/files/38022171" in str(error.value)
    assert str(tmp_path / "DVSGesture" / "ibmGestureTrain") in str(error.value)
    for part, users in (("Train", 4), ("Test", 2)):
        for user in range(1, users + 1):
            folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / f"user{user:02d}_fluorescent"
            folder.mkdir(parents=True)
            for gesture in range(11):
                t = np.sort(rng.integers(0, 500, 200))
                xy = rng.integers(0, 128, (200, 2))
                np.save(folder / f"{gesture}.npy", np.column_stack([xy, rng.integers(0, 2, 200), t]))
    splits = load("dvs-gesture", tmp_path, window_us=10_000, val_fraction=0.25)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (33, 11, 22)
    assert np.bincount(splits.test.labels).tolist() == [2] * 11
    assert (splits.shape, splits.class_names[1], len(splits.class_names)) == ((2, 128, 128), "Right hand wave", 11)
    batch = splits.test.__getitems__(list(range(22)))
    assert batch.x.sum() == 22 * 200
    assert 45 < batch.x.shape[0] <= 50
    path = tmp_path / "DVSGesture" / "ibmGestureTest" / "user01_fluorescent" / "5.npy"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError) as damaged:
        load("dvs-gesture", tmp_path)
    assert f"{path}: cannot be read as a recording of DVSGesture" in str(damaged.value)


# ---- CIFAR10-DVS -----------------------------------------------------------------------------------------------------


def test_cifar10_dvs(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as error:
        load("cifar10-dvs", tmp_path)
    assert "https://figshare.com/ndownloader/files/38023437" in str(error.value)
    names = list(tonic.datasets.CIFAR10DVS.classes)
    rng = np.random.default_rng(0)
    for name in names:
        (tmp_path / "CIFAR10DVS" / name).mkdir(parents=True)
        for i in range(5):
            t = np.sort(rng.integers(0, 300_000, 120))
            events = make_events(rng.integers(0, 128, 120), rng.integers(0, 128, 120), t, rng.random(120) > 0.5)
            path = tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{i}.aedat4"
            write_recording(path, Recording(events, (128, 128, 2), ""))
    splits = load("cifar10-dvs", tmp_path, test_fraction=0.2, val_fraction=0.25, window_us=500_000)
    assert splits.class_names == tuple(names)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (30, 10, 10)
    assert sorted(splits.test.labels.tolist()) == list(range(10))
    assert splits.test.__getitems__([0, 9]).x.sum() == 240
    same = load("cifar10-dvs", tmp_path, test_fraction=0.2, seed=4, window_us=500_000)
    assert torch.equal(same.test.__getitems__([0, 9]).x, splits.test.__getitems__([0, 9]).x)
    other = load("cifar10-dvs", tmp_path, test_fraction=0.2, split_seed=4, window_us=500_000)
    assert not torch.equal(other.test.__getitems__(list(range(10))).x, splits.test.__getitems__(list(range(10))).x)
    damaged = tmp_path / "CIFAR10DVS" / "cat" / "cifar10_cat_0.aedat4"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cifar10_cat_0.aedat4: truncated"):
        load("cifar10-dvs", tmp_path)
