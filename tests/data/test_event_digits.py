"""The embedded data set: official split, readable digits, the same on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from lfp_snn.data import Splits, bin_events, load
from lfp_snn.data.binning import ByCount
from lfp_snn.data.event_digits import CAMERA, DURATION_US, RECORDING_SEED, SIZE, official_split, record_digits
from lfp_snn.data.simulate import record_images


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return load("event-digits", cache_dir=tmp_path_factory.mktemp("cache"))


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


def test_recordings_are_what_the_constants_say(tmp_path: Path) -> None:
    recordings, labels = record_digits(tmp_path)
    digits = load_digits()
    assert (labels == digits.target).all()
    again = record_images(
        digits.images.astype(np.float32)[:1797] / 16, SIZE, CAMERA, seed=RECORDING_SEED, duration_us=DURATION_US
    )
    for i in (0, 5, 1796):
        assert (recordings[i] == again[i]).all()
    counts = np.diff(recordings.offsets)
    assert 2000 < counts.mean() < 3500
    assert counts.min() > 1000
    assert recordings.events["t"].min() >= 0
    assert recordings.events["t"].max() <= DURATION_US
    assert 0.45 < recordings.events["p"].mean() < 0.55


def test_the_cache_holds_the_recordings(tmp_path: Path) -> None:
    first, _ = record_digits(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    second, _ = record_digits(tmp_path)
    assert (first.events == second.events).all()
    assert (first.offsets == second.offsets).all()


def test_digits_can_be_read(splits: Splits) -> None:
    """A linear classifier reads most of them from counts without time: no trick is needed, and time is not all."""

    def features(part: str) -> np.ndarray:
        data = getattr(splits, part)
        x = torch.stack([bin_events(data.events(i), (20, 20, 2), ByCount(1)) for i in range(len(data))])
        return np.sqrt(x.flatten(1).numpy())

    model = LogisticRegression(C=0.003, max_iter=200).fit(features("train"), splits.train.labels)
    accuracy = model.score(features("test"), splits.test.labels)
    assert 0.9 < accuracy < 0.985


def test_options_apply() -> None:
    splits = load("event-digits", window_us=25_000, binary=True, group=2)
    batch = splits.train.__getitems__([0, 5])
    assert splits.shape == (2, 10, 10)
    assert batch.x.max() == 1
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [6, 6]
