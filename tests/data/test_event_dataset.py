"""Event data sets: batches, parts, options, frames on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lfp_snn.data import (
    EVENT_DTYPE,
    Augment,
    Binning,
    ByCount,
    ByEvents,
    ByWindow,
    EventDataset,
    EventSource,
    FrameDataset,
    Recordings,
    bin_events,
    event_splits,
)
from lfp_snn.data.event_dataset import choose_binning
from lfp_snn.data.prepare import Transformed
from lfp_snn.errors import ConfigError, DataError

SIZE = (8, 6, 2)
LABELS = np.arange(20) % 2


def some(n: int = 20, seed: int = 0) -> Recordings:
    """Return recordings of different lengths, one of them empty."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        r = np.zeros(0 if i == 3 else rng.integers(1, 80), EVENT_DTYPE)
        r["x"], r["y"], r["p"] = rng.integers(0, 8, len(r)), rng.integers(0, 6, len(r)), rng.integers(0, 2, len(r))
        r["t"] = np.sort(rng.integers(0, 1000 * (i + 1), len(r)))
        out.append(r)
    return Recordings.join(out)


class FromDisk(Sequence[np.ndarray]):
    """Recordings that are read on access; counts how often."""

    reads = 0

    def __init__(self, n: int = 20, seed: int = 0) -> None:
        self.n, self.seed = n, seed

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: Any) -> Any:
        FromDisk.reads += 1
        return some(self.n, self.seed)[index]


class Wrong(FromDisk):
    """Recordings of which one is not valid."""

    def __getitem__(self, index: Any) -> Any:
        events = super().__getitem__(index).copy()
        if index == 5:
            events["x"] = 99
        return events


def first_half(events: np.ndarray) -> np.ndarray:
    return events[: len(events) // 2]


def drop_some(events: np.ndarray) -> np.ndarray:
    """Draw from numpy's global generator, as tonic's transforms do."""
    return events[np.random.random(len(events)) < 0.5]  # noqa: NPY002


@pytest.mark.parametrize("binning", [ByCount(5), ByWindow(700), ByWindow(700, max_steps=3), ByEvents(9)])
def test_batch(binning: Binning) -> None:
    recordings = some()
    data = EventDataset(recordings, LABELS, SIZE, binning)
    chosen = [7, 3, 19, 7]
    batch = data.__getitems__(chosen)
    assert batch.target.tolist() == [1, 1, 1, 1]
    assert batch.x.dtype == torch.float32
    for b, i in enumerate(chosen):
        alone = bin_events(recordings[i], SIZE, binning)
        n = len(alone) if batch.lengths is None else int(batch.lengths[b])
        assert n == len(alone)
        assert torch.equal(batch.x[:n, b], alone)
        assert not batch.x[n:, b].any()
        x, label = data[i]
        assert torch.equal(x, alone)
        assert label == LABELS[i]
    if isinstance(binning, ByCount):
        assert batch.lengths is None
    else:
        assert batch.lengths is not None
        assert batch.lengths.dtype == torch.int64
        assert int(batch.lengths.max()) == len(batch.x)


def test_recordings_read_on_access_give_the_same() -> None:
    a, b = (EventDataset(r, LABELS, SIZE, ByWindow(500)) for r in (some(), FromDisk()))
    for x, y in zip(a.__getitems__([1, 3, 5]), b.__getitems__([1, 3, 5]), strict=True):
        assert torch.equal(x, y)
    assert (a.events(4) == b.events(4)).all()


def test_index_outside_is_an_index_error() -> None:
    data = EventDataset(some(), LABELS, SIZE, ByCount(5))
    assert torch.equal(data[-1][0], data[19][0])
    for i in (20, -21):
        with pytest.raises(IndexError, match="there are 20"):
            data[i]


def test_events_outside_the_sensor_are_refused_at_once_or_on_access() -> None:
    with pytest.raises(DataError, match=r"recording \d+: x = 7 is outside"):
        EventDataset(some(), LABELS, (7, 6, 2), ByCount(5))
    with pytest.raises(DataError, match="recording 5: x = 99"):
        EventDataset(Wrong(), LABELS, SIZE, ByCount(5)).__getitems__([4, 5])


def test_unsorted_recordings_are_refused() -> None:
    good = some()
    events = good.events.copy()
    lo, hi = good.offsets[7:9]
    events["t"][lo:hi] = events["t"][lo:hi][::-1]
    with pytest.raises(DataError, match="recording 7: times are not ascending"):
        EventDataset(Recordings(events, good.offsets), LABELS, SIZE, ByCount(5))


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"group": 0}, ConfigError),
        ({"group": 1.5}, ConfigError),
        ({"binning": 5}, ConfigError),
        ({"labels": LABELS[:5]}, DataError),
        ({"labels": LABELS.astype(float)}, DataError),
        ({"sensor_size": (8, 6)}, DataError),
    ],
)
def test_bad_arguments(how: dict[str, Any], error: type[Exception]) -> None:
    good: dict[str, Any] = {"recordings": some(), "labels": LABELS, "sensor_size": SIZE, "binning": ByCount(5)}
    with pytest.raises(error):
        EventDataset(**{**good, **how})


def test_random_transforms_depend_on_seed_epoch_and_index_only() -> None:
    def batch(indices: list[int], epoch: int, seed: int = 0) -> torch.Tensor:
        data = EventDataset(some(), LABELS, SIZE, ByCount(5), random_transforms=[drop_some], seed=seed)
        data.set_epoch(epoch)
        np.random.random()  # noqa: NPY002 - whatever state numpy's generator is in
        return data.__getitems__(indices).x

    assert torch.equal(batch([4, 9, 11], 0)[:, 2], batch([11], 0)[:, 0])
    assert not torch.equal(batch([11], 0), batch([11], 1))
    assert not torch.equal(batch([11], 0), batch([11], 0, seed=1))
    np.random.seed(3)  # noqa: NPY002
    before = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    batch([4], 0)
    np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    data = EventDataset(some(), LABELS, SIZE, ByCount(5), random_transforms=[drop_some])
    data.__getitems__([1, 2])
    assert np.random.random() == before  # noqa: NPY002 - the generator is as it was


@pytest.mark.parametrize("binning", [ByCount(5), ByWindow(700), ByWindow(700, binary=True), ByCount(4, binary=True)])
def test_frames_are_what_was_binned(tmp_path: Path, binning: Binning) -> None:
    data = EventDataset(some(), LABELS, SIZE, binning)
    FromDisk.reads = 0
    lazy = EventDataset(FromDisk(), LABELS, SIZE, binning)
    for _ in range(2):
        frames = lazy.frames({"data": "x"}, folder=tmp_path)
        assert FromDisk.reads == 20
        for indices in ([0], [3, 5, 5, 19], list(range(20))):
            a, b = data.__getitems__(indices), frames.__getitems__(indices)
            assert torch.equal(a.x, b.x)
            assert torch.equal(a.target, b.target)
            assert (a.lengths is None) == (b.lengths is None)
            if a.lengths is not None and b.lengths is not None:
                assert torch.equal(a.lengths, b.lengths)
        x, label = frames[7]
        assert torch.equal(x, data[7][0])
        assert label == data[7][1]
    assert len(frames) == 20
    assert frames.subset(np.array([3, 4])).labels.tolist() == [1, 0]


def test_frames_of_a_subset_are_another_entry(tmp_path: Path) -> None:
    data = EventDataset(some(), LABELS, SIZE, ByCount(3))
    part = data.subset(np.arange(5, 15))
    a, b = (d.frames({}, folder=tmp_path) for d in (data, part))
    assert torch.equal(a.__getitems__([6]).x, b.__getitems__([1]).x)
    assert b.labels.tolist() == LABELS[5:15].tolist()
    assert len(list(tmp_path.iterdir())) == 2


def source(path: Path | None = None, seed: int = 0, lazy: bool = False) -> EventSource:
    recordings: Sequence[np.ndarray] = FromDisk(20, seed) if lazy else some(20, seed)
    return EventSource(recordings, LABELS, () if path is None else (path,))


def make(train: EventSource, tmp_path: Path, **how: Any) -> Any:
    options = {"cache_dir": tmp_path / "cache", **how.pop("options", {})}
    arguments: dict[str, Any] = {
        "sensor_size": SIZE, "class_names": ("a", "b"), "val_fraction": 0.2, "seed": 0, "default": ByCount(5), **how,
    }  # fmt: skip
    return event_splits("mine", train, source(seed=1), options=options, **arguments)


def test_splits_have_all_parts(tmp_path: Path) -> None:
    splits = make(source(), tmp_path)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [16, 4, 20]
    assert splits.shape == (2, 6, 8)
    assert splits.temporal
    assert splits.class_names == ("a", "b")
    seen = np.concatenate([splits.train.indices, splits.val.indices])
    assert sorted(seen) == list(range(20))
    own = make(source(), tmp_path, val=source(seed=2))
    assert [len(part) for part in (own.train, own.val, own.test)] == [20, 20, 20]


def test_only_training_is_augmented(tmp_path: Path) -> None:
    splits = make(source(), tmp_path, options={"augment": {"shift": 2}}, random_transforms=[drop_some])
    assert splits.train.augment == Augment(shift=2)
    assert splits.train.random_transforms == (drop_some,)
    for part in (splits.val, splits.test):
        assert part.augment is None
        assert part.random_transforms == ()


def test_transforms_apply_to_all_parts(tmp_path: Path) -> None:
    plain, half = make(source(), tmp_path), make(source(), tmp_path, transforms=[first_half], default=ByCount(5))
    for part in ("train", "val", "test"):
        a, b = (getattr(s, part).__getitems__(list(range(4))).x.sum() for s in (plain, half))
        assert 0 < b < 0.6 * a


def test_what_is_cached(tmp_path: Path) -> None:
    file = tmp_path / "source"
    file.write_text("1")

    def kinds(*args: Any, **how: Any) -> list[type]:
        splits = make(*args, tmp_path, **how)
        return [type(part) for part in (splits.train, splits.val, splits.test)]

    events, frames = EventDataset, FrameDataset
    assert kinds(source()) == [events, events, events]
    assert kinds(source(), options={"cache": True}) == [frames, frames, frames]
    assert kinds(source(), transforms=[first_half]) == [frames, frames, frames]
    assert kinds(source(), transforms=[first_half], options={"cache": False}) == [events, events, events]
    assert kinds(source(file, lazy=True)) == [frames, frames, events]
    assert kinds(source(lazy=True)) == [events, events, events]  # from nobody knows where
    stretch = {"augment": {"time_stretch": 0.1}}
    assert kinds(source(file, lazy=True), options=stretch) == [events, events, events]
    assert kinds(source(file, lazy=True), options={"augment": {"shift": 1}}) == [frames, frames, events]
    with pytest.raises(ConfigError, match="pass cache=False"):
        kinds(source(file), options={"cache": True, **stretch})
    with pytest.raises(ConfigError, match="pass cache=False"):
        kinds(source(file), options={"cache": True}, random_transforms=[drop_some])


def test_the_cache_is_renewed_when_anything_changes(tmp_path: Path) -> None:
    file = tmp_path / "source"
    file.write_text("1")

    def entries(**how: Any) -> int:
        make(source(file, how.pop("which", 0), lazy=True), tmp_path, **how)
        return len(list((tmp_path / "cache").iterdir()))

    counts = [
        entries(),
        entries(),
        entries(options={"n_bins": 7}),
        entries(options={"binary": True}),
        entries(options={"group": 2}),
        entries(which=1),
        entries(transforms=[first_half]),
    ]
    file.write_text("another size")
    counts.append(entries())
    # the last but one has two new entries: the transform also applies to the test part
    assert counts == [1, 1, 2, 3, 4, 5, 7, 8]


def test_transformed_reads_on_access_and_keeps_the_original() -> None:
    def reverse(events: np.ndarray) -> np.ndarray:
        events["x"] = 0
        return events

    recordings = some()
    out = Transformed(recordings, [reverse])
    assert not out[5]["x"].any()
    assert recordings[5]["x"].any()
    assert len(out[2:4]) == 2


@pytest.mark.parametrize(
    ("options", "default", "binning"),
    [
        ({}, ByCount(5), ByCount(5)),
        ({"n_bins": 7, "binary": True}, ByWindow(10), ByCount(7, True)),
        ({"window_us": 100, "max_steps": 9}, ByCount(5), ByWindow(100, 9)),
        ({"max_steps": 9}, ByWindow(10, 50, start_us=0), ByWindow(10, 9, start_us=0)),
        ({}, ByWindow(10, 50), ByWindow(10, 50)),
        ({"n_events": 50}, ByCount(5, True), ByEvents(50, None, True)),
    ],
)
def test_choice_of_binning(options: Any, default: Binning, binning: Binning) -> None:
    assert choose_binning(options, default) == binning


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bins": 5, "window_us": 10}, "n_bins and window_us exclude each other"),
        ({"n_bins": 5, "max_steps": 10}, "max_steps goes with"),
        ({"max_steps": 10}, "max_steps goes with"),
        ({"n_bins": 0}, "n_bins must be"),
        ({"group": -1}, "group must be"),
        ({"augment": {"shfit": 1}}, "did you mean 'shift'"),
        ({"binary": 1}, "binary must be"),
    ],
)
def test_bad_options(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(source(), tmp_path, options=options)


def test_labels_must_be_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="label 1 is not one of 1 classes"):
        make(source(), tmp_path, class_names=("a",))
    with pytest.raises(DataError, match="a part of it is empty"):
        make(EventSource(Recordings.join([]), np.zeros(0, np.int64)), tmp_path)


@pytest.mark.parametrize(
    ("frames", "offsets", "message"),
    [
        (np.zeros((4, 5), np.uint8), [0, 4], "frames must be uint8 \\[S, 6\\]"),
        (np.zeros((4, 6)), [0, 4], "frames must be uint8"),
        (np.zeros((4, 6), np.uint8), [0, 3], "offsets must ascend"),
        (np.zeros((4, 6), np.uint8), [0, 2, 4], "offsets must ascend"),
    ],
)
def test_bad_frames(frames: np.ndarray, offsets: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        FrameDataset(frames, np.array(offsets), np.zeros(1, np.int64), (1, 2, 3))
