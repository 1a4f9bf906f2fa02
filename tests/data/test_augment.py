"""Augmentation: what is drawn, what it does to events and frames, and that nothing but (seed, epoch, index) matters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lfp_snn.data import EVENT_DTYPE, Augment, ByCount, ByEvents, ByWindow, EventDataset, FrameDataset, Recordings
from lfp_snn.data.augment import draw, mix, uniform
from lfp_snn.data.binning import Binning
from lfp_snn.errors import ConfigError

SIZE = (12, 10, 2)
ONE_STEP = ByWindow(10_000)


def dot(x: int, y: int, n: int = 200) -> Recordings:
    """Return 64 recordings of one pixel that is seen n times."""
    events = np.zeros(n, EVENT_DTYPE)
    events["x"], events["y"], events["t"] = x, y, np.arange(n) * 10
    return Recordings.join([events] * 64)


def images(augment: Augment, recordings: Recordings, binning: Binning = ONE_STEP, epoch: int = 0) -> torch.Tensor:
    """Return augmented pictures [64, H, W] of OFF events, from events."""
    data = EventDataset(recordings, np.zeros(64, np.int64), SIZE, binning, augment=augment)
    data.set_epoch(epoch)
    return data.__getitems__(list(range(64))).x.sum(0)[:, 0]


def frame_images(augment: Augment, recordings: Recordings) -> torch.Tensor:
    """Return the same from binned frames."""
    labels = np.zeros(64, np.int64)
    x = EventDataset(recordings, labels, SIZE, ByWindow(10_000)).__getitems__(list(range(64))).x[0]
    frames = x.reshape(64, -1).byte().numpy()
    return (
        FrameDataset(frames, np.arange(65), labels, (2, 10, 12), augment=augment)
        .__getitems__(list(range(64)))
        .x[0, :, 0]
    )


def test_mix_is_splitmix64() -> None:
    """The first outputs of splitmix64 with seed 1234567, as published with the reference code."""
    state = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert mix(state).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_uniform_numbers_are_uniform() -> None:
    u = uniform(mix(np.arange(100_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)))
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, 20, (0, 1))[0]
    assert abs(counts - 5000).max() < 5 * np.sqrt(5000)


@pytest.mark.parametrize("pictures", [images, frame_images])
def test_shift_moves_by_up_to_so_many_pixels(pictures: object) -> None:
    x = pictures(Augment(shift=2), dot(6, 5))  # type: ignore[operator]
    assert (x.sum((1, 2)) == 200).all()
    places = {tuple(p) for p in x.nonzero()[:, 1:].tolist()}
    assert places <= {(5 + i, 6 + j) for i in range(-2, 3) for j in range(-2, 3)}
    assert len(places) > 15


@pytest.mark.parametrize("pictures", [images, frame_images])
def test_what_leaves_the_sensor_is_lost(pictures: object) -> None:
    x = pictures(Augment(shift=3), dot(0, 0))  # type: ignore[operator]
    assert {0.0, 200.0} == set(x.sum((1, 2)).tolist())


@pytest.mark.parametrize("pictures", [images, frame_images])
def test_flip_mirrors_half_of_them(pictures: object) -> None:
    x = pictures(Augment(flip=True), dot(2, 5))  # type: ignore[operator]
    columns = x.sum(1).argmax(1)
    assert set(columns.tolist()) == {2, 9}
    assert 16 < int((columns == 9).sum()) < 48


@pytest.mark.parametrize("pictures", [images, frame_images])
def test_rotation_keeps_the_distance_to_the_centre(pictures: object) -> None:
    x = pictures(Augment(rotate=180), dot(6, 1))  # type: ignore[operator]
    _, rows, columns = x.nonzero().T
    distance = torch.hypot(columns - 5.5, rows - 4.5)
    assert ((distance - np.hypot(0.5, 3.5)).abs() < 0.8).all()
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) > 10


@pytest.mark.parametrize("pictures", [images, frame_images])
def test_zoom_moves_along_the_line_through_the_centre(pictures: object) -> None:
    x = pictures(Augment(zoom=0.5), dot(9, 8))  # type: ignore[operator]
    _, rows, columns = x.nonzero().T
    factor = (columns - 5.5) / 3.5
    assert ((rows - 4.5 - 3.5 * factor).abs() <= 1).all()
    assert factor.min() < 0.7
    assert factor.max() > 1.2


def test_drop_loses_up_to_so_much() -> None:
    kept = images(Augment(drop=0.4), dot(6, 5)).sum((1, 2)) / 200
    assert kept.min() > 0.5
    assert kept.max() > 0.95
    assert abs(float(kept.mean()) - 0.8) < 0.05


def test_jitter_spreads_each_event() -> None:
    x = images(Augment(jitter=1.5), dot(6, 5))
    n = x.sum()
    columns = torch.arange(12.0)
    mean = (x.sum((0, 1)) @ columns) / n
    std = ((x.sum((0, 1)) @ (columns - mean) ** 2) / n).sqrt()
    assert abs(float(mean) - 6) < 0.1
    assert abs(float(std) - np.sqrt(1.5**2 + 1 / 12)) < 0.1


def test_time_jitter_and_stretch_move_events_in_time() -> None:
    rows = dot(6, 5)
    labels = np.zeros(64, np.int64)

    def over_time(augment: Augment) -> torch.Tensor:
        data = EventDataset(rows, labels, SIZE, ByWindow(100), augment=augment)
        return data.__getitems__(list(range(64))).x.sum((2, 3, 4))

    plain = over_time(Augment(shift=1e-9))
    assert (plain[:20] == 10).all()
    jittered = over_time(Augment(time_jitter_us=50))
    assert 1 < float(jittered[1:19].std()) < 5
    assert abs(float(jittered[5:15].mean()) - 10) < 0.3
    stretched = over_time(Augment(time_stretch=0.5))
    assert stretched.sum() == 64 * 200
    assert len(stretched) > 24
    lengths = (stretched > 0).sum(0)
    assert lengths.min() < 13


def test_channels_are_shifted_along_their_axis_only() -> None:
    events = np.zeros(50, EVENT_DTYPE)
    events["x"], events["t"] = 350, np.arange(50)
    data = EventDataset(
        Recordings.join([events] * 64), np.zeros(64, np.int64), (700, 1, 1), ByCount(2),
        augment=Augment(shift=20, rotate=90, zoom=0.1, jitter=2.0),
    )  # fmt: skip
    x = data.__getitems__(list(range(64))).x.sum(0)
    assert (x.sum(1) == 48).all()
    assert 300 < int(x.nonzero()[:, 1].min()) < 345
    assert 355 < int(x.nonzero()[:, 1].max()) < 400


def test_draws_depend_on_seed_epoch_and_index_only() -> None:
    augment = Augment(shift=2, drop=0.3, jitter=0.5)
    recordings = dot(6, 5)

    def batch(indices: list[int], seed: int = 0, epoch: int = 0) -> torch.Tensor:
        data = EventDataset(recordings, np.zeros(64, np.int64), SIZE, ByCount(4), augment=augment, seed=seed)
        data.set_epoch(epoch)
        return data.__getitems__(indices).x

    together, alone = batch([3, 7, 7, 60]), batch([60])
    assert torch.equal(together[:, 3], alone[:, 0])
    assert torch.equal(together[:, 1], together[:, 2])
    assert not torch.equal(together[:, 0], together[:, 1])
    assert not torch.equal(batch([60], epoch=1), alone)
    assert not torch.equal(batch([60], seed=1), alone)
    assert torch.equal(batch([60], epoch=1), batch([60], epoch=1))


def test_a_subset_draws_what_the_whole_draws() -> None:
    data = EventDataset(dot(6, 5), np.zeros(64, np.int64), SIZE, ByCount(4), augment=Augment(shift=3))
    part = data.subset(np.array([10, 20]), augment=Augment(shift=3))
    assert torch.equal(part.__getitems__([1]).x, data.__getitems__([20]).x)
    assert part.subset(np.array([0])).augment is None


def test_negative_seeds_and_large_indices_draw() -> None:
    assert draw(Augment(shift=1), SIZE, -5, 10_000, [2**40]).key.dtype == np.uint64


def test_of_reads_a_table() -> None:
    assert Augment.of(None) is None
    assert Augment.of({}) is None
    assert Augment.of(Augment()) is None
    assert Augment.of({"shift": 2, "flip": True}) == Augment(shift=2, flip=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shfit": 2}, "did you mean 'shift'"),
        ({"shift": -1}, "shift must be a number of at least 0"),
        ({"shift": "far"}, "shift must be a number"),
        ({"drop": 1.0}, "drop must be less than 1"),
        ({"zoom": 2.0}, "zoom must be less than 1"),
        ({"jitter": float("nan")}, "jitter must be a number"),
        (3, "augment must be a table"),
    ],
)
def test_bad_options(options: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Augment.of(options)  # type: ignore[arg-type]


def test_changes_of_time_need_steps_of_time() -> None:
    with pytest.raises(ConfigError, match="need steps of time"):
        images(Augment(time_stretch=0.1), dot(6, 5), ByEvents(10))
    with pytest.raises(ConfigError, match="pass cache=False"):
        frame_images(Augment(time_jitter_us=1), dot(6, 5))
