"""The embedded data set: official split, readable digits, the same on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from lfp_snn.data import Recordings, Splits, bin_events, load, record_image
from lfp_snn.data.binning import ByCount
from lfp_snn.data.event_digits import CAMERA, DURATION_US, RECORDING_SEED, SIZE, official_split, record_digits


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def recordings(cache: Path) -> Recordings:
    """Return the recordings, made now: the cache was empty."""
    return record_digits(cache)[0]


@pytest.fixture(scope="module")
def splits(cache: Path, recordings: Recordings) -> Splits:
    assert len(recordings) == 1797
    return load("event-digits", cache_dir=cache)


def test_parts(splits: Splits) -> None:
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [1295, 143, 359]
    assert splits.shape == (2, 20, 20)
    assert splits.classes == 10
    assert splits.temporal
    assert np.bincount(splits.test.labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    batch = splits.test.__getitems__([0, 1, 2])
    assert batch.x.shape == (15, 3, 2, 20, 20)
    assert batch.lengths is None


def test_the_official_split_is_fixed() -> None:
    train, test = official_split(load_digits().target)
    assert len(np.intersect1d(train, test)) == 0
    assert len(train) + len(test) == 1797
    assert test[:8].tolist() == [0, 14, 19, 26, 27, 32, 37, 41]


@pytest.mark.parametrize("i", [0, 5, 1796])
def test_recordings_are_what_the_constants_say(recordings: Recordings, i: int) -> None:
    image = load_digits().images[i].astype(np.float32) / 16
    again = record_image(image, SIZE, CAMERA, seed=(RECORDING_SEED, i), duration_us=DURATION_US)
    assert (recordings[i] == again).all()


def test_recordings_are_like_a_cameras(recordings: Recordings) -> None:
    counts = np.diff(recordings.offsets)
    assert 2000 < counts.mean() < 3500
    assert counts.min() > 1000
    assert recordings.events["t"].min() >= 0
    assert recordings.events["t"].max() <= DURATION_US
    assert 0.45 < recordings.events["p"].mean() < 0.55


def test_the_cache_holds_the_recordings(cache: Path, recordings: Recordings) -> None:
    again, labels = record_digits(cache)
    assert len(list(cache.iterdir())) == 1
    assert (again.events == recordings.events).all()
    assert (again.offsets == recordings.offsets).all()
    assert (labels == load_digits().target).all()


def test_digits_can_be_read(splits: Splits) -> None:
    """A linear classifier reads most of them, not all, from coarse counts without time."""

    def features(part: str) -> np.ndarray:
        data = getattr(splits, part)
        counts = [bin_events(data.events(i), (20, 20, 2), ByCount(1), group=2) for i in range(len(data))]
        return np.sqrt(torch.stack(counts).flatten(1).numpy())

    model = RidgeClassifier(alpha=1.0).fit(features("train"), splits.train.labels)
    assert 0.9 < model.score(features("test"), splits.test.labels) < 0.98


def test_options_apply(cache: Path, recordings: Recordings) -> None:
    splits = load("event-digits", window_us=25_000, binary=True, group=2, cache_dir=cache)
    batch = splits.train.__getitems__([0, 5])
    assert splits.shape == (2, 10, 10)
    assert batch.x.max() == 1
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [6, 6]
    assert len(recordings) == 1797
