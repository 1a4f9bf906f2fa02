"""Batches made on a thread while the one before is trained on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from lfp_snn.data import ByCount, EventDataset, Recordings, load, make_events
from lfp_snn.data.prefetch import prefetch


def running() -> int:
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


def test_the_next_batch_is_made_meanwhile() -> None:
    made = [threading.Event() for _ in range(3)]

    def source() -> Iterator[int]:
        for k, event in enumerate(made):
            event.set()
            yield k

    batches = prefetch(source())
    assert not made[0].is_set()
    assert next(batches) == 0
    assert made[1].wait(10)
    assert not made[2].is_set()
    assert list(batches) == [1, 2]
    assert running() == 0


def test_an_error_comes_where_its_batch_is_due() -> None:
    def source() -> Iterator[int]:
        yield 0
        raise OSError("the file is gone")

    batches = prefetch(source())
    assert next(batches) == 0
    with pytest.raises(OSError, match="the file is gone"):
        next(batches)
    assert running() == 0


def test_nothing_is_left_running_when_it_is_given_up() -> None:
    batches = prefetch(range(1, 10))
    assert next(batches) == 1
    del batches
    assert running() == 0


def test_what_draws_from_generators_of_others_is_not_independent() -> None:
    recordings = Recordings.join([make_events([1, 2], 0, [0, 900], True)] * 2)
    options = (np.array([0, 1]), (8, 4, 2), ByCount(3))
    assert load("digits").train.independent
    assert EventDataset(recordings, *options).independent
    assert not EventDataset(list(recordings), *options).independent
    assert not EventDataset(recordings, *options, random_transforms=[lambda events: events]).independent
