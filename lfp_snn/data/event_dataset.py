"""Event recordings as batches, time first: binned when asked for, augmented if training, padded to the longest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.data.augment import Augment, draw, mix
from lfp_snn.data.batch import Batch
from lfp_snn.data.binning import Binning, ByCount, ByEvents, ByWindow, bin_recordings, event_shape
from lfp_snn.data.cache import Write, cached, describe, describe_files
from lfp_snn.data.events import (
    Events,
    EventSource,
    EventTransform,
    Recordings,
    SensorSize,
    check_events,
    check_sensor_size,
)
from lfp_snn.data.examples import Examples
from lfp_snn.data.frames import FrameDataset
from lfp_snn.data.prepare import Preparation, Transformed, apply
from lfp_snn.data.splits import Splits, stratified_split
from lfp_snn.errors import ConfigError, DataError


class EventDataset(Examples):
    """Event recordings with labels, binned on access.

    Parameters
    ----------
    recordings : sequence of ndarray
        `Recordings` (in memory: fastest; checked once, here) or any sequence of recordings (checked on access).
    labels : ndarray
        int64 [N].
    sensor_size : (W, H, P)
        Coordinates must lie inside it. A sensor (W, 1, 1) gives steps of shape (W,), any other (P, H, W).
    binning : Binning
        `ByCount`, `ByWindow` or `ByEvents`.
    group : int
        Sum this many neighbouring channels (or ``group`` x ``group`` pixels) into one.
    augment : Augment, optional
        Random changes of each recording, drawn from (seed, epoch, index).
    random_transforms : sequence of callables
        Further random changes, events to events, that draw from ``numpy.random`` as tonic's do: it is seeded
        from (seed, epoch, index) for them, and restored.
    seed : int
        Of both.
    preparation : Preparation, optional
        What the recordings went through, to do the same to others.

    Raises
    ------
    DataError
        If recordings, labels and sensor do not fit together.
    ConfigError
        If the options do not.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> recordings = Recordings.join([make_events([1, 2], 0, [0, 900], True), make_events([3], 1, [5], False)])
    >>> data = EventDataset(recordings, np.array([0, 1]), (8, 4, 2), ByWindow(500))
    >>> batch = data.__getitems__([0, 1])
    >>> batch.x.shape, batch.lengths
    (torch.Size([2, 2, 2, 4, 8]), tensor([2, 1]))
    """

    _one, _batch_axis = "recording", 1

    def __init__(
        self,
        recordings: Sequence[Events],
        labels: NDArray[np.int64],
        sensor_size: Sequence[int],
        binning: Binning,
        *,
        group: int = 1,
        augment: Augment | None = None,
        random_transforms: Sequence[EventTransform] = (),
        seed: int = 0,
        preparation: Preparation | None = None,
    ) -> None:
        EventSource(recordings, labels)  # checks that the labels fit
        if not isinstance(binning, ByCount | ByWindow | ByEvents):
            raise ConfigError(f"binning must be ByCount, ByWindow or ByEvents, got {binning!r}")
        self.sensor_size: SensorSize = check_sensor_size(sensor_size)
        if isinstance(group, bool) or not isinstance(group, int) or group < 1:
            raise ConfigError(f"group must be a whole number of at least 1, got {group!r}")
        if isinstance(recordings, Recordings):
            _check_all(recordings, self.sensor_size)
        super().__init__(labels, seed)
        self.recordings, self.binning, self.group = recordings, binning, group
        self.preparation = preparation if preparation is not None else Preparation(self.sensor_size)
        self.shape = event_shape(self.sensor_size, group)
        self._set_changes(augment, random_transforms)

    def _set_changes(self, augment: Augment | None = None, random_transforms: Sequence[EventTransform] = ()) -> None:
        if augment is not None and augment.changes_time and isinstance(self.binning, ByEvents):
            raise ConfigError("time_jitter_us and time_stretch need steps of time, not of a number of events")
        self.augment, self.random_transforms = augment, tuple(random_transforms)

    @property
    def independent(self) -> bool:
        """Whether batches may be made on another thread: not by code of others, which may draw from any generator."""
        return isinstance(self.recordings, Recordings) and not self.random_transforms

    def events(self, index: int) -> Events:
        """Return recording ``index`` as events, not augmented."""
        return check_events(self.recordings[int(self.indices[index])], self.sensor_size, where=f"recording {index}")

    def __getitems__(self, indices: list[int]) -> Batch:
        """Make a batch; x is float32 [T, B, ...], T the steps of the longest."""
        chosen = self.indices[indices]
        x, steps = self._bin(chosen, torch.float32)
        lengths = None if isinstance(self.binning, ByCount) else torch.from_numpy(steps)
        return Batch(x, self._targets(chosen), lengths)

    def _bin(self, chosen: NDArray[np.int64], dtype: torch.dtype) -> tuple[Tensor, NDArray[np.int64]]:
        if isinstance(self.recordings, Recordings) and not self.random_transforms:
            source, rows = self.recordings, chosen
        else:
            source, rows = Recordings.join(self._read(int(i)) for i in chosen), np.arange(len(chosen))
        drawn = None
        if self.augment is not None:
            drawn = draw(self.augment, self.sensor_size, self.seed, self._epoch, chosen)
        start, stop = source.offsets[rows], source.offsets[rows + 1]
        return bin_recordings(
            source.events, start, stop, self.sensor_size, self.binning, group=self.group, drawn=drawn, dtype=dtype
        )

    def _read(self, index: int) -> Events:
        events = self.recordings[index]
        if self.random_transforms:
            with _numpy_seed(self.seed, self._epoch, index):
                events = apply(self.random_transforms, events)
        return check_events(events, self.sensor_size, where=f"recording {index}")

    def frames(self, key: dict[str, Any], *, name: str = "frames", folder: str | Path | None = None) -> FrameDataset:
        """Bin all recordings once, keep the result on disk, and serve it from there.

        Parameters
        ----------
        key : dict
            Everything the recordings depend on, see `lfp_snn.data.cache`; binning, sensor and group are added.
        name : str
            Beginning of the file name.
        folder : path, optional
            See `lfp_snn.data.cache.cache_folder`.

        Returns
        -------
        FrameDataset
            With the same augmentation. Counts stop at 255.

        Raises
        ------
        ConfigError
            If there are changes that only work on events.
        """
        if self.random_transforms:
            raise ConfigError("random transforms work on events, not on binned frames: pass cache=False")
        packed = self.binning.binary
        plain = self.subset(np.arange(len(self)))

        def build(write: Write) -> None:
            lengths = [0]
            for i in range(0, len(plain), 64):
                x, steps = plain._bin(plain.indices[i : i + 64], torch.uint8)
                for b, n in enumerate(steps):
                    flat = x[:n, b].reshape(n, -1).numpy()
                    write("frames", np.packbits(flat, axis=1) if packed else flat)
                lengths += steps.tolist()
            write("offsets", np.cumsum(lengths, dtype=np.int64))

        full_key = {**key, "binning": describe(self.binning), "sensor": list(self.sensor_size), "group": self.group}
        full_key["indices"] = describe(self.indices)
        arrays = cached(name, full_key, build, folder)
        return FrameDataset(
            arrays["frames"], np.asarray(arrays["offsets"]), self.labels, self.shape,
            packed=packed, augment=self.augment, seed=self.seed, source=plain,
        )  # fmt: skip


def _check_all(recordings: Recordings, sensor_size: SensorSize) -> None:
    """Check recordings in memory, fast if all is well and recording by recording for the message if not."""
    events, first = recordings.events, recordings.offsets[1:-1]
    w, h, _ = sensor_size
    if not len(events):
        return
    falls = events["t"][1:] < events["t"][:-1]
    falls[first[(first > 0) & (first < len(events))] - 1] = False  # from one recording to the next
    x, y = events["x"], events["y"]
    if falls.any() or x.min() < 0 or x.max() >= w or y.min() < 0 or y.max() >= h:
        for i, r in enumerate(recordings):
            check_events(r, sensor_size, where=f"recording {i}")


@contextmanager
def _numpy_seed(seed: int, epoch: int, index: int) -> Iterator[None]:
    """Seed numpy's global generator, which tonic's random transforms draw from, and restore it after."""
    word = mix(mix(mix(np.array([seed & (2**64 - 1)], np.uint64)) + np.uint64(epoch)) + np.uint64(index))
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(int(word[0] >> np.uint64(32)))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


class EventOptions(TypedDict, total=False):
    """Options that every event data set takes; a builder declares ``**options: Unpack[EventOptions]``.

    One of the first three chooses the binning (otherwise the data set's default).
    """

    n_bins: int
    """Number of time steps (`ByCount`)."""
    window_us: int
    """Duration of a time step in microseconds (`ByWindow`)."""
    n_events: int
    """Events in a time step (`ByEvents`)."""
    max_steps: int
    """With ``window_us`` and ``n_events``: cut later steps off."""
    binary: bool
    """Clip counts to 1."""
    group: int
    """Sum this many neighbouring channels (or ``group`` x ``group`` pixels) into one."""
    augment: Augment | dict[str, Any] | None
    """Random changes of the training examples."""
    cache: bool
    """Keep the binned examples on disk. Default: only if recordings are read on access or transformed."""
    cache_dir: str | Path | None
    """Folder of that cache."""


def _describable(recordings: Sequence[Events]) -> bool:
    try:
        describe(recordings)
    except ConfigError:
        return False
    return True


def choose_binning(options: EventOptions, default: Binning) -> Binning:
    """Binning that the options ask for.

    Parameters
    ----------
    options : EventOptions
        What the user chose.
    default : Binning
        Taken if none of ``n_bins``, ``window_us``, ``n_events`` is given; ``binary`` and ``max_steps`` still count.

    Returns
    -------
    Binning
        The choice.

    Raises
    ------
    ConfigError
        If two are given, or ``max_steps`` goes with a fixed number of steps.

    Examples
    --------
    >>> choose_binning({"window_us": 10_000, "max_steps": 80}, ByCount(20)).max_steps
    80
    """
    given = [name for name in ("n_bins", "window_us", "n_events") if options.get(name) is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} exclude each other: steps are cut in one way only")
    limit = options.get("max_steps")
    if limit is None and isinstance(default, ByWindow | ByEvents):
        limit = default.max_steps
    binary = options.get("binary", default.binary)
    if given == ["n_bins"] or (not given and isinstance(default, ByCount)):
        if options.get("max_steps") is not None:
            raise ConfigError("max_steps goes with window_us or n_events; with n_bins the number of steps is n_bins")
        return ByCount(options["n_bins"] if given else default.n_bins, binary)  # type: ignore[union-attr]
    if given == ["n_events"] or (not given and isinstance(default, ByEvents)):
        return ByEvents(options["n_events"] if given else default.n_events, limit, binary)  # type: ignore[union-attr]
    start = default.start_us if isinstance(default, ByWindow) else None
    return ByWindow(options["window_us"] if given else default.window_us, limit, binary, start)  # type: ignore[union-attr]


def event_splits(
    name: str,
    train: EventSource,
    test: EventSource,
    *,
    sensor_size: tuple[int, int, int],
    class_names: Sequence[str],
    val_fraction: float,
    seed: int,
    default: Binning,
    val: EventSource | None = None,
    transforms: Sequence[EventTransform] = (),
    random_transforms: Sequence[EventTransform] = (),
    recorded: SensorSize | None = None,
    options: EventOptions | None = None,
) -> Splits:
    """Make the parts of an event data set from its recordings.

    Parameters
    ----------
    name : str
        Of the data set.
    train, test : EventSource
        Recordings, labels and files of the parts.
    sensor_size : (W, H, P)
        After the transforms.
    class_names : sequence of str
        One a class.
    val_fraction, seed
        As `lfp_snn.data.load`.
    default : Binning
        What to do if the options choose no binning.
    val : EventSource, optional
        The data set's own validation part; otherwise it is split off from ``train``.
    transforms : sequence of callables
        Events to events, deterministic, applied to each recording of every part (denoising, cropping ...).
        The cache sees their settings and code, see `lfp_snn.data.cache.describe`.
    random_transforms : sequence of callables
        Events to events, applied to training recordings each time anew, see `EventDataset`.
    recorded : (W, H, P), optional
        Sensor size before the transforms, where they change it.
    options : EventOptions
        What the user chose.

    Returns
    -------
    Splits
        Of `EventDataset`, or of `FrameDataset` where binned examples are kept on disk.

    Raises
    ------
    DataError
        If a recording is not valid or a label is not a class.
    ConfigError
        If options exclude each other.
    """
    chosen: EventOptions = options if options is not None else {}
    binning = choose_binning(chosen, default)
    augment = Augment.of(chosen.get("augment"))
    for part in (train, test, *([val] if val is not None else [])):
        if not len(part):
            raise DataError(f"data set {name!r}: a part of it is empty")
        if part.labels.min() < 0 or part.labels.max() >= len(class_names):
            raise DataError(f"data set {name!r}: label {part.labels.max()} is not one of {len(class_names)} classes")

    def dataset(part: EventSource, label: str) -> EventDataset | FrameDataset:
        recordings = part.recordings
        in_memory = isinstance(recordings, Recordings)
        keep = chosen.get("cache")
        if keep is None:
            on_events = label == "train" and (random_transforms or (augment is not None and augment.changes_time))
            keep = bool(transforms) if in_memory else bool(part.files) and _describable(recordings)
            keep = keep and not on_events
        if transforms:
            recordings = Transformed(recordings, transforms)
            if in_memory and not keep:
                recordings = Recordings.join(recordings)
        how: dict[str, Any] = {"group": chosen.get("group", 1), "seed": seed}
        prepared = Preparation(recorded or sensor_size, (*part.transforms, *transforms))
        data = EventDataset(recordings, part.labels, sensor_size, binning, **how, preparation=prepared)
        if not keep:
            return data
        key = {
            "data": name,
            "files": [] if in_memory else describe_files(part.files),
            "recordings": describe(part.recordings),
            "transforms": describe(list(transforms)),
        }
        return data.frames(key, name=f"{name}-{label}", folder=chosen.get("cache_dir"))

    training = dataset(train, "train")
    if val is None:
        first, second = stratified_split(train.labels, val_fraction, seed)
        validation: EventDataset | FrameDataset = training.subset(second)
    else:
        first, validation = np.arange(len(train)), dataset(val, "val")
    if isinstance(training, EventDataset):
        training = training.subset(first, augment=augment, random_transforms=random_transforms)
    elif random_transforms:
        raise ConfigError("random transforms work on events, not on binned frames: pass cache=False")
    else:
        training = training.subset(first, augment=augment)
    return Splits(
        name=name, train=training, val=validation, test=dataset(test, "test"), shape=training.shape,
        classes=len(class_names), temporal=True, class_names=tuple(class_names),
    )  # fmt: skip
