"""tonic's transforms in the pipeline: unchanged in what they do, tamed in how."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tonic.transforms
import torch
from hypothesis import given
from hypothesis import strategies as st

from lfp_snn.data import EVENT_DTYPE, ByCount, ByEvents, ByWindow, EventDataset, Events, Recordings, load, make_events
from lfp_snn.data.cache import describe
from lfp_snn.data.transforms import Transform, make_random_transforms, make_transforms
from lfp_snn.errors import ConfigError, DataError, MissingExtraError

SIZE = (34, 30, 2)


def recording(n: int = 400, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 300_000, n))
    return make_events(rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n), t, rng.random(n) > 0.5)


DETERMINISTIC: list[dict[str, Any]] = [
    {"name": "Denoise", "filter_time": 10_000},
    {"name": "CenterCrop", "size": [20, 10]},
    {"name": "CropTime", "min": 1000, "max": 200_000},
    {"name": "Decimation", "n": 3},
    {"name": "Downsample", "spatial_factor": 0.5},
    {"name": "Downsample", "time_factor": 0.001},
    {"name": "MergePolarities"},
    {"name": "RefractoryPeriod", "delta": 1000},
    {"name": "TimeAlignment"},
    {"name": "TimeSkew", "coefficient": 1.5, "offset": 10},
    {"name": "DropPixel", "coordinates": [[3, 4], [5, 6]]},
]
RANDOM: list[dict[str, Any]] = [
    {"name": "DropEvent", "p": 0.2},
    {"name": "DropEvent", "p": [0.1, 0.5]},
    {"name": "DropEventByTime", "duration_ratio": [0.1, 0.4]},
    {"name": "DropEventByArea", "area_ratio": 0.3},
    {"name": "EventDrop"},
    {"name": "RandomFlipLR"},
    {"name": "RandomFlipUD"},
    {"name": "RandomFlipPolarity"},
    {"name": "RandomTimeReversal"},
    {"name": "SpatialJitter", "var_x": 2.0, "var_y": 2.0},
    {"name": "TimeJitter", "std": 1000.0},
    {"name": "UniformNoise", "n": 50},
    {"name": "RandomDropPixel", "p": 0.1},
]


@pytest.mark.parametrize("spec", DETERMINISTIC, ids=str)
def test_same_as_tonic(spec: dict[str, Any]) -> None:
    """What comes out is what tonic's transform gives, whose options are written as a configuration file has them."""
    (step,), size, binning = make_transforms([spec], SIZE)
    assert type(step.transform) is getattr(tonic.transforms, spec["name"])
    assert binning is None
    events = recording()
    expected = step.transform(events.copy())
    result = step(events)
    assert result.dtype == EVENT_DTYPE
    for field in ("x", "y", "t"):
        np.testing.assert_array_equal(result[field], expected[field])
    assert result["x"].max() < size[0]
    assert result["y"].max() < size[1]


@pytest.mark.parametrize("spec", DETERMINISTIC + RANDOM, ids=str)
def test_same_recording_same_result(spec: dict[str, Any]) -> None:
    """Whatever is transformed before, in whichever process, with whatever drawn outside in between."""
    (step,), _, _ = make_transforms([spec], SIZE)
    events, before = recording(), recording().copy()
    first = step(events)
    for other in range(3):
        step(recording(100, other + 1))
    np.random.random(5)  # noqa: NPY002
    np.testing.assert_array_equal(step(events), first)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(step))(events), first)
    np.testing.assert_array_equal(events, before)
    assert (np.diff(first["t"]) >= 0).all()


@pytest.mark.parametrize("spec", RANDOM, ids=str)
def test_another_recording_draws_anew(spec: dict[str, Any]) -> None:
    """Seeds that differ give results that differ; a transform that decides yes or no has some of each."""
    results = []
    for seed in range(12):
        (step,), _, _ = make_transforms([spec], SIZE, seed)
        results.append(step(recording()).tobytes())
    assert len(set(results)) > 1


@pytest.mark.parametrize("spec", RANDOM, ids=str)
def test_generators_outside_are_left_alone(spec: dict[str, Any]) -> None:
    (step,), _, _ = make_transforms([spec], SIZE)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    expected = np.random.random(3).tolist(), random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    step(recording())
    assert (np.random.random(3).tolist(), random.random()) == expected  # noqa: NPY002


def test_generators_are_put_back_after_a_failure() -> None:
    def fail(_events: Events) -> Events:
        np.random.random(7)  # noqa: NPY002
        raise ValueError("no")

    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random(3).tolist()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    with pytest.raises(DataError, match="failed on a recording of 400 events: no"):
        Transform(fail, SIZE, SIZE)(recording())
    assert np.random.random(3).tolist() == expected  # noqa: NPY002


@given(n=st.integers(0, 30), seed=st.integers(0, 1000), which=st.sampled_from(DETERMINISTIC + RANDOM))
def test_tiny_recordings(n: int, seed: int, which: dict[str, Any]) -> None:
    """Also of no event, at which tonic's fail."""
    (step,), (w, h, _), _ = make_transforms([which], SIZE)
    result = step(recording(n, seed))
    assert result.dtype == EVENT_DTYPE
    assert not ((result["x"] >= w) | (result["y"] >= h)).any()
    if n == 0:
        assert len(result) == 0


def test_jittered_events_stay_on_the_sensor_and_in_order() -> None:
    steps, _, _ = make_transforms(
        [{"name": "SpatialJitter", "var_x": 30.0, "var_y": 30.0}, {"name": "TimeJitter", "std": 50_000.0}], SIZE
    )
    events = recording()
    for step in steps:
        events = step(events)
    assert 0 < len(events) < 400
    assert events["x"].min() >= 0
    assert events["x"].max() < SIZE[0]
    assert (np.diff(events["t"]) >= 0).all()


def test_state_of_a_transform_does_not_leak() -> None:
    """tonic's CropTime keeps the last time of the first recording it sees, and would cut the next one there."""
    (step,), _, _ = make_transforms(["CropTime"], SIZE)
    short, long = recording(), recording()
    long["t"] *= 2
    assert len(step(short)) == 400
    assert len(step(long)) == 400


def test_sensor_size_is_followed() -> None:
    specs = [
        {"name": "CenterCrop", "size": 28},
        {"name": "RandomCrop", "target_size": [20, 24]},
        {"name": "Downsample", "spatial_factor": 0.5},
        {"name": "RandomFlipLR", "p": 1.0},
        {"name": "MergePolarities"},
    ]
    steps, size, _ = make_transforms(specs, SIZE)
    assert [s.output_size for s in steps] == [(28, 28, 2), (20, 24, 2), (10, 12, 2), (10, 12, 2), (10, 12, 1)]
    assert size == (10, 12, 1)
    assert steps[1].transform == tonic.transforms.RandomCrop(sensor_size=(28, 28, 2), target_size=(20, 24))
    assert steps[3].transform.sensor_size == (10, 12, 2)  # type: ignore[attr-defined]
    assert make_transforms([{"name": "Downsample", "sensor_size": SIZE, "target_size": [17, 10]}], SIZE)[1] == (
        17,
        10,
        2,
    )


def test_objects_and_compose() -> None:
    t = tonic.transforms
    parts = [t.Denoise(filter_time=10_000), t.CenterCrop(sensor_size=SIZE, size=(20, 20))]
    as_objects = make_transforms(parts, SIZE)
    as_compose = make_transforms([t.Compose(parts)], SIZE)
    tables = [{"name": "Denoise", "filter_time": 10_000}, {"name": "CenterCrop", "size": [20, 20]}]
    as_tables = make_transforms([{"name": "Compose", "transforms": tables}], SIZE)
    assert as_objects == as_compose == as_tables
    assert as_objects[1] == (20, 20, 2)


@pytest.mark.parametrize(
    ("options", "binning"),
    [
        ({"n_time_bins": 7}, ByCount(7)),
        ({"time_window": 25_000.0}, ByWindow(25_000, incomplete=False)),
        ({"time_window": 25_000.0, "include_incomplete": True}, ByWindow(25_000)),
        ({"event_count": 100, "include_incomplete": True}, ByEvents(100)),
    ],
)
def test_to_frame_becomes_the_binning(options: dict[str, Any], binning: object) -> None:
    """The frames are those that tonic makes."""
    steps, size, made = make_transforms([{"name": "TimeAlignment"}, {"name": "ToFrame", **options}], SIZE)
    assert made == binning
    events = recording()
    expected = tonic.transforms.ToFrame(sensor_size=SIZE, **options)(steps[0](events).copy())
    assert made is not None
    data = EventDataset(Recordings.join([steps[0](events)]), np.array([0]), size, made)
    assert torch.equal(data[0][0], torch.from_numpy(expected.astype(np.float32)))


@dataclass(frozen=True)
class Thin:
    """A transform of one's own."""

    every: int = 2

    def __call__(self, events: Events) -> Events:
        return events[:: self.every]


def test_own_transforms_and_their_key() -> None:
    (step,), _, _ = make_transforms([Thin(4)], SIZE)
    assert len(step(recording())) == 100
    (same,), _, _ = make_transforms([Thin(4)], SIZE)
    (other,), _, _ = make_transforms([Thin(3)], SIZE)
    assert describe(step) == describe(same)
    assert describe(step) != describe(other)


def test_the_key_of_a_cache_sees_every_option() -> None:
    keys = [
        describe(list(make_transforms([spec], size, seed)[0]))
        for spec in DETERMINISTIC + RANDOM
        for size in (SIZE, (40, 40, 2))
        for seed in (0, 1)
    ]
    assert len({str(k) for k in keys}) == len(keys)
    again = [describe(list(make_transforms([spec], SIZE, 0)[0])) for spec in DETERMINISTIC + RANDOM]
    assert again == keys[::4]


WRONG: list[tuple[Any, str]] = [
    (["Denoice"], "unknown transform 'Denoice': did you mean 'Denoise'"),
    ([{"name": "Denoise", "filtertime": 3}], "unknown option of Denoise 'filtertime': did you mean 'filter_time'"),
    (["Denoise"], "Denoise: .*missing 1 required positional argument: 'filter_time'"),
    ([{"filter_time": 3}], "a transform needs a name"),
    ([{"name": 3}], "a transform needs a name"),
    ([3], "a transform is a name, a table with a name, or a callable, got 3"),
    ("Denoise", "transforms must be a list"),
    ({"name": "Denoise"}, "transforms must be a list"),
    ([{"name": "RandomFlipLR", "p": 2.0}], "RandomFlipLR: a value is out of range"),
    ([{"name": "RandomCrop", "target_size": [40, 40]}], "RandomCrop to 40x40 does not fit into a sensor of 34x30"),
    ([{"name": "CenterCrop", "size": 0}], "CenterCrop: a sensor size is"),
    ([{"name": "Compose", "transform": []}], "Compose takes one option, transforms"),
    (["Compose"], "did you mean|Compose takes"),
    ([{"name": "ToVoxelGrid", "n_time_bins": 3}], "ToVoxelGrid gives no events; .* only ToFrame"),
    ([{"name": "ToFrame", "n_time_bins": 3}, "MergePolarities"], "ToFrame .* must be the last"),
    ([{"name": "ToFrame"}], "exactly one of"),
    ([{"name": "ToFrame", "n_time_bins": 3, "event_count": 2}], "exactly one of"),
    ([{"name": "ToFrame", "n_event_bins": 3}], "no counterpart here"),
    ([{"name": "ToFrame", "n_time_bins": 3, "overlap": 0.1}], "no counterpart here"),
]


@pytest.mark.parametrize(("specs", "message"), WRONG, ids=str)
def test_wrong_transforms(specs: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_transforms(specs, SIZE)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda _: np.zeros((3, 2)), "not a structured array of events"),
        (lambda _: None, "not a structured array of events"),
        (lambda events: events["x"], "not a structured array of events"),
        (lambda events: 1 // 0, "division"),
    ],
)
def test_transforms_that_misbehave(transform: Callable[[Events], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Transform(transform, SIZE, SIZE)(recording())


def test_random_transforms_must_keep_the_sensor() -> None:
    assert make_random_transforms(RANDOM, SIZE)[0].seed is None
    for spec in ({"name": "CenterCrop", "size": 20}, {"name": "ToFrame", "n_time_bins": 3}):
        with pytest.raises(ConfigError, match="must leave the sensor size as it is"):
            make_random_transforms([spec], SIZE)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tonic.transforms", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lfp-snn\[events\]'"):
        make_transforms([{"name": "Denoise", "filter_time": 10}], SIZE)


def test_augmentation_of_training_recordings_only(data_root: Path) -> None:
    """Random anew at every epoch, the same again for the same epoch, and never on validation or test."""
    options: dict[str, Any] = {"train": "FSDD/fsdd_test.h5", "window_us": 50_000}
    plain = load("hdf5", data_root, **options)
    drop = load("hdf5", data_root, random_transforms=[{"name": "DropEvent", "p": 0.5}], **options)
    numbers = list(range(10))
    reference = plain.train.__getitems__(numbers).x.sum((0, 2))
    drop.train.set_epoch(0)
    first = drop.train.__getitems__(numbers).x
    torch.testing.assert_close(first.sum((0, 2)) / reference, torch.full((10,), 0.5), atol=0.02, rtol=0)
    drop.train.set_epoch(1)
    assert not torch.equal(drop.train.__getitems__(numbers).x, first)
    drop.train.set_epoch(0)
    assert torch.equal(drop.train.__getitems__(numbers).x, first)
    for part in ("val", "test"):
        a, b = getattr(plain, part), getattr(drop, part)
        assert torch.equal(a.__getitems__(numbers).x, b.__getitems__(numbers).x)
