"""Recordings: their check, and many of them in one array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lfp_snn.data import EVENT_DTYPE, EventSource, Recordings, check_events, check_sensor_size, make_events
from lfp_snn.errors import DataError


def raw(**columns: object) -> np.ndarray:
    """Return a structured array of any dtypes, unchecked."""
    arrays = {k: np.atleast_1d(np.asarray(v)) for k, v in columns.items()}
    out = np.zeros(max(map(len, arrays.values())), [(k, a.dtype) for k, a in arrays.items()])
    for k, a in arrays.items():
        out[k] = a
    return out


GOOD = make_events([1, 2, 3], [0, 1, 2], [10, 10, 40], [True, False, True])


def test_good_recording_is_not_copied() -> None:
    assert check_events(GOOD, (34, 34, 2)) is GOOD


def test_dtype_is_tonics() -> None:
    tonic_io = pytest.importorskip("tonic.io")
    assert tonic_io.events_struct == EVENT_DTYPE


def test_other_dtypes_are_converted() -> None:
    events = check_events(raw(t=[0, 5], x=[1, 2], p=[1, 0]), (700, 1, 1))
    assert events.dtype == EVENT_DTYPE
    assert events["x"].tolist() == [1, 2]
    assert events["y"].tolist() == [0, 0]
    assert events["p"].tolist() == [True, False]


def test_fractional_microseconds_are_cut_off() -> None:
    assert check_events(raw(x=[0, 0], t=[0.9, 1.2], p=[0, 1]))["t"].tolist() == [0, 1]


def test_empty_recording_is_valid_unless_refused() -> None:
    empty = np.empty(0, EVENT_DTYPE)
    assert len(check_events(empty, (34, 34, 2))) == 0
    with pytest.raises(DataError, match="holds no event"):
        check_events(empty, allow_empty=False)


def test_polarity_of_a_sensor_of_one_polarity_is_not_looked_at() -> None:
    assert len(check_events(raw(x=[0], t=[0], p=[-1]), (700, 1, 1))) == 1


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (np.zeros((3, 4)), "not a structured array"),
        (np.zeros((2, 2), EVENT_DTYPE), "not a structured array"),
        ([1, 2, 3], "but list"),
        (None, "but NoneType"),
        (raw(x=[0], y=[0], t=[0]), "no field p"),
        (raw(y=[0]), "no field x, t, p"),
        (raw(x=["a"], t=[0], p=[0]), "field x holds"),
        (raw(x=[0], t=[np.nan], p=[0]), "field t holds NaN"),
        (raw(x=[np.inf], t=[0], p=[0]), "field x holds NaN or infinity"),
        (raw(x=[34], y=[0], t=[0], p=[0]), "x = 34 is outside the sensor, which has x from 0 to 33"),
        (raw(x=[0], y=[-1], t=[0], p=[0]), "y = -1 is outside"),
        (raw(x=[0, 1], y=[0, 99], t=[0, 1], p=[0, 0]), "y = 99 is outside"),
        (raw(x=[0], y=[0], t=[0], p=[-1]), "polarity -1 to -1"),
        (raw(x=[0, 1], y=[0, 0], t=[0, 1], p=[-1, 1]), "convert -1/\\+1"),
        (raw(x=[0], y=[0], t=[0], p=[2]), "polarity 2"),
        (raw(x=[0, 0], y=[0, 0], t=[5, 4], p=[0, 0]), "event 1 at 4 follows 5"),
        (raw(x=[0], y=[0], t=[2**63], p=[0]), "does not fit into microseconds"),
        (raw(x=[0], y=[0], t=[1e30], p=[0]), "does not fit into microseconds"),
        (raw(x=[0], y=[0], t=[2**62], p=[0]), "does not fit into microseconds"),
        (raw(x=[0, 0], y=[0, 0], t=[-(2**62), 0], p=[0, 0]), "does not fit into microseconds"),
    ],
)
def test_bad_recordings(events: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_events(events, (34, 34, 2), where="file 7")


def test_error_names_the_recording() -> None:
    with pytest.raises(DataError, match=r"^file 7: "):
        check_events(raw(x=[99], y=[0], t=[0], p=[0]), (34, 34, 2), where="file 7")


def test_coordinates_without_a_sensor_must_fit_the_dtype() -> None:
    with pytest.raises(DataError, match="x = 40000 is outside"):
        check_events(raw(x=[40_000], y=[0], t=[0], p=[0]))


@pytest.mark.parametrize(
    "size", [(34, 34), (34, 34, 3), (0, 34, 2), (34, -1, 2), "abc", 5, (None, 1, 1), (2**16, 1, 1)]
)
def test_bad_sensor_sizes(size: object) -> None:
    with pytest.raises(DataError, match="a sensor size is"):
        check_sensor_size(size)  # type: ignore[arg-type]


def test_make_events_broadcasts_and_checks() -> None:
    assert len(make_events([1, 2, 3], 0, [1, 2, 3], True)) == 3
    with pytest.raises(DataError, match="different lengths"):
        make_events([1, 2], [1, 2, 3], 0, True)
    with pytest.raises(DataError, match="one-dimensional"):
        make_events(np.zeros((2, 2)), 0, 0, True)
    with pytest.raises(DataError, match="not ascending"):
        make_events([1, 2], 0, [3, 1], True)


def test_recordings_are_views() -> None:
    joined = Recordings.join([GOOD, np.empty(0, EVENT_DTYPE), GOOD[1:]])
    assert [len(r) for r in joined] == [3, 0, 2]
    assert np.shares_memory(joined[2], joined.events)
    assert (joined[-1] == GOOD[1:]).all()
    with pytest.raises(IndexError):
        joined[3]
    assert [len(r) for r in joined[1:]] == [0, 2]
    assert [len(r) for r in joined.take([2, 0])] == [2, 3]


def test_no_recording_is_a_recordings_of_length_0() -> None:
    assert len(Recordings.join([])) == 0


def test_join_names_the_bad_recording() -> None:
    with pytest.raises(DataError, match="recording 1: x = 99"):
        Recordings.join([GOOD, raw(x=[99], y=[0], t=[0], p=[0])], (34, 34, 2))


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 2, 1, 3], [], [[0, 3]]])
def test_offsets_must_fit(offsets: list[int]) -> None:
    with pytest.raises(DataError, match="offsets must ascend"):
        Recordings(GOOD, np.array(offsets, np.int64))


def test_recordings_must_have_the_dtype() -> None:
    with pytest.raises(DataError, match="events must be"):
        Recordings(raw(x=[0], t=[0], p=[0]), np.array([0, 1]))


def test_key_of_recordings_depends_on_content_and_cuts() -> None:
    a = Recordings.join([GOOD, GOOD])
    assert a.cache_key() == Recordings.join([GOOD, GOOD]).cache_key()
    assert a.cache_key() != Recordings.join([GOOD, GOOD[1:]]).cache_key()
    assert a.cache_key() != Recordings.join([a.events[:2], a.events[2:3], a.events[3:]]).cache_key()


@pytest.mark.parametrize("labels", [np.zeros(3, np.int64), np.zeros(2), np.zeros((2, 1), np.int64)])
def test_source_needs_a_label_for_each(labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="labels must be integers"):
        EventSource(Recordings.join([GOOD, GOOD]), labels, (Path("x"),))
