"""tonic's transforms, by name or as objects, in this package's pipeline.

A configuration lists them as tables, ``[{name = "Denoise", filter_time = 10000}, {name = "CenterCrop", size = 26}]``;
in Python the objects of `tonic.transforms` do as well, and so does any function from events to events. What they need
around them is done here: they learn the sensor's size, get a copy they may change, never an empty recording, draw the
same random numbers whenever they see the same recording, and their result is put into order of time, cut to the sensor
and checked.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import random
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lfp_snn.data.binning import Binning, ByCount, ByEvents, ByWindow
from lfp_snn.data.events import EVENT_DTYPE, Events, SensorSize, check_events, check_sensor_size
from lfp_snn.errors import ConfigError, DataError, LfpError, require, suggest

TransformSpec: TypeAlias = str | Mapping[str, Any] | Callable[[Events], Any]
"""A transform's name, a table with its ``name`` and options, or the thing itself."""

_NO_EVENTS = ("NumpyAsType", "Repeat", "ToOneHotEncoding")
_GLOBAL_GENERATOR = threading.Lock()


@dataclass(frozen=True)
class Transform:
    """A transform from events to events with all it needs around it.

    tonic draws from NumPy's global generator. With a ``seed`` that is seeded here, from the seed and the recording's
    own bytes, and put back as it was afterwards: the same recording always gives the same result, whatever came before
    and in whichever process, and nothing outside notices. Without one the caller sees to the generator, as
    `lfp_snn.data.event_dataset.EventDataset` does for augmentation.

    Parameters
    ----------
    transform : callable
        Events to events.
    sensor_size : (W, H, P)
        Before the transform.
    output_size : (W, H, P)
        After it; what lies outside is dropped, as `tonic.transforms.SpatialJitter` may leave some there.
    seed : int or None
        See above.

    Examples
    --------
    >>> from lfp_snn.data.events import make_events
    >>> first = Transform(lambda events: events[:1], (34, 34, 2), (34, 34, 2))
    >>> len(first(make_events([1, 2], 0, [10, 20], True)))
    1
    """

    transform: Callable[[Events], Any]
    sensor_size: SensorSize
    output_size: SensorSize
    seed: int | None = 0

    def __call__(self, events: Events) -> Events:
        """Transform a recording.

        Parameters
        ----------
        events : ndarray
            A recording; it is left as it is.

        Returns
        -------
        ndarray
            Events of `lfp_snn.data.events.EVENT_DTYPE`, in order of time.

        Raises
        ------
        DataError
            If the transform fails on this recording, or gives something else than events.
        """
        events = check_events(events, self.sensor_size)
        if not len(events):
            return events
        mine = copy.deepcopy(self.transform)  # some of tonic's keep values of the first recording they see
        try:
            with _seeded(self.seed, events):
                out = mine(events.copy())
        except LfpError:
            raise
        except Exception as e:
            raise DataError(f"{self.transform!r} failed on a recording of {len(events)} events: {e}") from e
        return self._tidy(out)

    def _tidy(self, out: Any) -> Events:
        """Put the result into order of time, drop what is outside the sensor, and check it."""
        if isinstance(out, np.ndarray) and out.ndim == 1 and not len(out):
            return np.empty(0, EVENT_DTYPE)
        names = getattr(getattr(out, "dtype", None), "names", None) or ()
        if {"x", "y", "t"} <= set(names):
            w, h, _ = self.output_size
            inside = (out["x"] >= 0) & (out["x"] < w) & (out["y"] >= 0) & (out["y"] < h)
            out = out if inside.all() else out[inside]
            if (out["t"][1:] < out["t"][:-1]).any():
                out = out[np.argsort(out["t"], kind="stable")]
        return check_events(out, self.output_size, where=f"the result of {self.transform!r}")


@contextmanager
def _seeded(seed: int | None, events: Events) -> Iterator[None]:
    """Seed NumPy's and Python's global generators for a recording, and restore them after."""
    if seed is None:
        yield
        return
    with _GLOBAL_GENERATOR:
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
        word = zlib.crc32(events.tobytes(), seed & 0xFFFFFFFF)
        np.random.seed(word)  # noqa: NPY002
        random.seed(word)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def make_transforms(
    specs: Sequence[TransformSpec], sensor_size: Sequence[int], seed: int | None = 0
) -> tuple[tuple[Transform, ...], SensorSize, Binning | None]:
    """Make the transforms of a data set.

    Parameters
    ----------
    specs : sequence of str, mapping or callable
        Applied in this order. A table ``{"name": "Denoise", "filter_time": 10000}`` makes `tonic.transforms.Denoise`;
        ``sensor_size`` is filled in where it is left out, and follows crops and downsampling. ``Compose`` (option
        ``transforms``) is its parts one after the other. ``ToFrame`` may come last: it becomes the binning that gives
        the same frames.
    sensor_size : (W, H, P)
        Of the recordings.
    seed : int or None
        For the random ones, see `Transform`.

    Returns
    -------
    tuple
        The transforms, the sensor size after them, and the binning that a last ``ToFrame`` asks for, else None.

    Raises
    ------
    ConfigError
        For an unknown transform or option (with the closest known one), a bad value, or a transform that gives no
        events.
    MissingExtraError
        If tonic is needed and not installed.

    Examples
    --------
    >>> make_transforms([{"name": "CenterCrop", "size": 20}], (34, 34, 2))[1]
    (20, 20, 2)
    """
    size = check_sensor_size(sensor_size)
    steps: list[Transform] = []
    binning: Binning | None = None
    for spec in _flatten(specs):
        if binning is not None:
            raise ConfigError("ToFrame makes frames of events, so it must be the last transform")
        transform = _make(spec, size)
        name = type(transform).__name__
        if _is_tonic(transform) and name == "ToFrame":
            binning = _binning(transform)
        elif _is_tonic(transform) and (name.startswith("To") or name in _NO_EVENTS):
            raise ConfigError(f"{name} gives no events; of those only ToFrame has a place here, as the last transform")
        else:
            output = _output_size(transform, size)
            steps.append(Transform(transform, size, output, seed))
            size = output
    return tuple(steps), size, binning


def make_random_transforms(specs: Sequence[TransformSpec], sensor_size: Sequence[int]) -> tuple[Transform, ...]:
    """Make transforms for augmentation: random anew at each epoch, for training recordings only.

    Parameters
    ----------
    specs : sequence of str, mapping or callable
        As for `make_transforms`.
    sensor_size : (W, H, P)
        Of the recordings; it must stay, as validation and test recordings are not changed.

    Returns
    -------
    tuple of Transform
        Without a seed of their own.

    Raises
    ------
    ConfigError, MissingExtraError
        As `make_transforms`; also if they change the sensor size.

    Examples
    --------
    >>> make_random_transforms([{"name": "DropEvent", "p": 0.2}], (34, 34, 2))[0].transform
    DropEvent(p=0.2)
    """
    steps, size, binning = make_transforms(specs, sensor_size, seed=None)
    if size != tuple(sensor_size) or binning is not None:
        raise ConfigError("random transforms are for training only, so they must leave the sensor size as it is")
    return steps


def _flatten(specs: Sequence[TransformSpec]) -> Iterator[TransformSpec]:
    """Take every Compose apart."""
    if isinstance(specs, (str, Mapping)) or not isinstance(specs, Sequence):
        raise ConfigError(f"transforms must be a list of tables, each with a name, got {specs!r}")
    for spec in specs:
        if isinstance(spec, Mapping) and spec.get("name") == "Compose":
            if set(spec) != {"name", "transforms"}:
                raise ConfigError("Compose takes one option, transforms: a list of transforms")
            yield from _flatten(spec["transforms"])
        elif _is_tonic(spec) and type(spec).__name__ == "Compose":
            yield from _flatten(list(getattr(spec, "transforms", ())))
        else:
            yield spec


def _is_tonic(transform: object) -> bool:
    return type(transform).__module__ == "tonic.transforms"


def _make(spec: TransformSpec, size: SensorSize) -> Callable[[Events], Any]:
    """Make one transform."""
    if not isinstance(spec, (str, Mapping)):
        if not callable(spec):
            raise ConfigError(f"a transform is a name, a table with a name, or a callable, got {spec!r}")
        return spec
    options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"a transform needs a name, as in {{'name': 'Denoise', 'filter_time': 10000}}; got {spec!r}")
    module = require("tonic.transforms", "events")
    known: dict[str, Any] = {
        n: c for n, c in inspect.getmembers(module, dataclasses.is_dataclass) if inspect.isclass(c)
    }
    if name not in known:
        raise ConfigError(suggest(name, [*known, "Compose"], "transform"))
    fields = [f.name for f in dataclasses.fields(known[name])]
    for option in options:
        if option not in fields:
            raise ConfigError(suggest(option, fields, f"option of {name}"))
    if "sensor_size" in fields:
        options.setdefault("sensor_size", size)
    try:
        made: Callable[[Events], Any] = known[name](**{k: _tuples(v) for k, v in options.items()})
    except (TypeError, ValueError, AssertionError) as e:
        raise ConfigError(f"{name}: {str(e) or 'a value is out of range'}") from e
    return made


def _tuples(value: Any) -> Any:
    """Turn lists, which is all that a configuration file has, into the tuples that tonic looks for."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _output_size(transform: object, size: SensorSize) -> SensorSize:
    """Return the sensor size after a transform."""
    w, h, p = size
    name = type(transform).__name__ if _is_tonic(transform) else ""
    options: dict[str, Any] = vars(transform) if name else {}
    target = options.get("target_size")
    if name == "CenterCrop":
        target = options["size"]
    if name == "MergePolarities":
        return w, h, 1
    if name == "Downsample" and target is None:
        factor = options["spatial_factor"]
        fx, fy = factor if isinstance(factor, tuple) else (factor, factor)
        target = (math.floor((w - 1) * fx) + 1, math.floor((h - 1) * fy) + 1)
    if target is None:
        return size
    tw, th = (target, target) if isinstance(target, int) else target
    if name == "RandomCrop" and (tw > w or th > h):
        raise ConfigError(f"RandomCrop to {tw}x{th} does not fit into a sensor of {w}x{h}")
    try:
        return check_sensor_size((tw, th, p))
    except DataError as e:
        raise ConfigError(f"{name}: {e}") from e


def _binning(frame: Any) -> Binning:
    """Return the binning that gives what ToFrame gives."""
    asked = {n: v for n in ("time_window", "event_count", "n_time_bins", "n_event_bins") if (v := getattr(frame, n))}
    if len(asked) != 1:
        raise ConfigError("ToFrame needs exactly one of time_window, event_count and n_time_bins")
    if (
        frame.overlap
        or "n_event_bins" in asked
        or any(getattr(frame, n, None) is not None for n in ("start_time", "end_time"))
    ):
        raise ConfigError("ToFrame with overlap, n_event_bins, start_time or end_time has no counterpart here")
    if "n_time_bins" in asked:
        return ByCount(asked["n_time_bins"])
    if "time_window" in asked:
        return ByWindow(int(asked["time_window"]), incomplete=frame.include_incomplete)
    return ByEvents(asked["event_count"])
