"""N-MNIST, DVS128 Gesture and CIFAR10-DVS, found and read by tonic, split and binned here.

tonic starts a download whenever it does not find what it expects. Here nothing is ever downloaded: a data set that is
not there is an error that says where it comes from. Otherwise files lie as tonic puts them, so a folder that tonic
filled is a data root as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.lib.recfunctions  # tonic uses it without importing it
from sklearn.model_selection import StratifiedKFold

from lfp_snn.data.binning import ByCount
from lfp_snn.data.event_dataset import EventOptions, event_splits
from lfp_snn.data.events import Events, EventSource, Recordings, SensorSize, check_events
from lfp_snn.data.guard import existing_file, reading
from lfp_snn.data.on_access import OnAccess, take
from lfp_snn.data.recordings import read_recording
from lfp_snn.data.root import missing
from lfp_snn.data.splits import Splits, stratified_split
from lfp_snn.data.transforms import TransformSpec, make_random_transforms, make_transforms
from lfp_snn.errors import ConfigError, require

MEMORY_LIMIT = 1 << 28
"""Bytes of files up to which recordings are read into memory (all of N-MNIST has 1.4 GB, a gesture 3 MB)."""

NMNIST_PAGE = "https://www.garrickorchard.com/datasets/n-mnist"
GESTURE_PAGE = "https://research.ibm.com/interactive/dvsgesture/"
CIFAR10_PAGE = "https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671"


@dataclass(frozen=True)
class TonicReader:
    """Read a recording of a tonic data set by its number.

    Parameters
    ----------
    data_set : tonic.dataset.Dataset
        Its ``data`` are the files.
    sensor_size : (W, H, P)
        Of the sensor.
    """

    data_set: Any
    sensor_size: SensorSize

    def __call__(self, index: int) -> Events:
        """Read recording ``index``.

        Parameters
        ----------
        index : int
            In ``data_set.data``.

        Returns
        -------
        ndarray
            Events in order of time.

        Raises
        ------
        MissingDataError, DataError
            If the file is gone, truncated or damaged; the message names it.
        """
        path = existing_file(self.data_set.data[index])
        if path.suffix == ".aedat4":  # tonic's reader of these needs one more package, and may crash on a damaged file
            return read_recording(path, sensor_size=self.sensor_size).events
        with reading(path, f"a recording of {type(self.data_set).__name__}"):
            events, _ = self.data_set[index]
            if (events["t"][1:] < events["t"][:-1]).any():
                events = events[np.argsort(events["t"], kind="stable")]
        return check_events(events, self.sensor_size, where=str(path))


def nmnist(
    root: Path,
    *,
    val_fraction: float,
    seed: int,
    folds: int | None = None,
    fold: int = 0,
    fold_seed: int = 0,
    first_saccade_only: bool = False,
    stabilize: bool = False,
    transforms: Sequence[TransformSpec] = (),
    random_transforms: Sequence[TransformSpec] = (),
    **options: Unpack[EventOptions],
) -> Splits:
    """N-MNIST (Orchard et al. 2015): handwritten digits before a moving event camera, 34 x 34, all of it or a part.

    Parameters
    ----------
    root : Path
        Folder of the data: ``NMNIST/Train/<digit>/*.bin`` and ``NMNIST/Test/<digit>/*.bin`` in it.
    val_fraction, seed
        As `lfp_snn.data.load`.
    folds : int, optional
        Without it the official parts. With it k-fold cross-validation: the recordings of both parts are put together
        and split into so many folds of the same mixture of classes; one is tested on, the others are trained on (and a
        part of them validated on).
    fold : int
        Which fold to test on, from 0 to ``folds`` - 1.
    fold_seed : int
        What the folds are drawn from; not ``seed``, so that runs with different seeds have the same folds.
    first_saccade_only : bool
        Keep the first of the three movements of the camera.
    stabilize : bool
        Take the camera's movement out (the method of the data set's authors).
    transforms, random_transforms : sequence
        For all recordings, and for augmentation: see `lfp_snn.data.transforms`.
    **options
        As every event data set; 20 steps (of about 15 ms) by default.

    Returns
    -------
    Splits
        The parts.

    Raises
    ------
    MissingDataError
        If the recordings are not there.
    DataError
        If a file is damaged.
    ConfigError
        If the fold does not exist, or a class has fewer recordings than there are folds.
    MissingExtraError
        If tonic is not installed.
    """
    found = []
    for part in ("Train", "Test"):
        where = root / "NMNIST" / part
        what = f"{part}.zip, unpack it so that {where}/0 ... 9 hold .bin files,"
        _look("nmnist", where, "[0-9]/*.bin", what, NMNIST_PAGE)
        arguments = {"train": part == "Train", "first_saccade_only": first_saccade_only, "stabilize": stabilize}
        found.append(_tonic("NMNIST", root, where, (34, 34, 2), arguments))
    done = (*([_first_saccade] if first_saccade_only else []), *([_stabilized] if stabilize else []))
    train, test = (dataclasses.replace(_source(reader), transforms=done) for reader in found)
    if folds is not None:
        train, test = _fold(_join(train, test), folds, fold, fold_seed)
    names = [str(digit) for digit in range(10)]
    return _splits(
        "nmnist", train, test, (34, 34, 2), names, 20, val_fraction, seed, transforms, random_transforms, options
    )


def dvs_gesture(
    root: Path,
    *,
    val_fraction: float,
    seed: int,
    transforms: Sequence[TransformSpec] = (),
    random_transforms: Sequence[TransformSpec] = (),
    **options: Unpack[EventOptions],
) -> Splits:
    """DVS128 Gesture (Amir et al. 2017): 11 hand gestures of 29 people, 128 x 128, 1,077 train and 264 test.

    Parameters
    ----------
    root : Path
        Folder of the data: ``DVSGesture/ibmGestureTrain`` and ``DVSGesture/ibmGestureTest`` in it.
    val_fraction, seed
        As `lfp_snn.data.load`.
    transforms, random_transforms : sequence
        For all recordings, and for augmentation: see `lfp_snn.data.transforms`.
    **options
        As every event data set; 20 steps by default, however long a gesture lasts.

    Returns
    -------
    Splits
        The parts.

    Raises
    ------
    MissingDataError
        If the recordings are not there.
    DataError
        If a file is damaged.
    MissingExtraError
        If tonic is not installed.
    """
    size = (128, 128, 2)
    found = []
    for part, number in (("Train", 38022171), ("Test", 38020584)):
        where = root / "DVSGesture" / f"ibmGesture{part}"
        what = f"ibmGesture{part}.tar.gz, unpack it to {where.parent},"
        page = f"https://figshare.com/ndownloader/files/{number} (cut into gestures; the original: {GESTURE_PAGE})"
        _look("dvs-gesture", where, "*/*.npy", what, page)
        found.append(_tonic("DVSGesture", root, where, size, {"train": part == "Train"}))
    names = found[0].data_set.classes
    train, test = (_source(reader) for reader in found)
    return _splits(
        "dvs-gesture", train, test, size, names, 20, val_fraction, seed, transforms, random_transforms, options
    )


def cifar10_dvs(
    root: Path,
    *,
    val_fraction: float,
    seed: int,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    transforms: Sequence[TransformSpec] = (),
    random_transforms: Sequence[TransformSpec] = (),
    **options: Unpack[EventOptions],
) -> Splits:
    """CIFAR10-DVS (Li et al. 2017): 10,000 pictures of CIFAR-10 moved on a screen, 128 x 128.

    There are no official parts; a tenth of each class is tested on, as most papers do.

    Parameters
    ----------
    root : Path
        Folder of the data: ``CIFAR10DVS/<class>/*.aedat4`` in it.
    val_fraction, seed
        As `lfp_snn.data.load`.
    test_fraction : float
        How much of each class is tested on.
    split_seed : int
        What the test part is drawn from; not ``seed``, so that runs with different seeds have the same test part.
    transforms, random_transforms : sequence
        For all recordings, and for augmentation: see `lfp_snn.data.transforms`.
    **options
        As every event data set; 10 steps by default.

    Returns
    -------
    Splits
        The parts.

    Raises
    ------
    MissingDataError
        If the recordings are not there.
    DataError
        If a file is damaged.
    MissingExtraError
        If tonic or faery is not installed.
    """
    size = (128, 128, 2)
    where = root / "CIFAR10DVS"
    what = f"CIFAR10DVS.zip, unpack it and the archives in it so that {where}/airplane ... truck hold .aedat4 files,"
    page = f"https://figshare.com/ndownloader/files/38023437 (as .aedat4; the original: {CIFAR10_PAGE})"
    _look("cifar10-dvs", where, "*/*.aedat4", what, page)
    found = _tonic("CIFAR10DVS", root, where, size, {})
    source = _source(found)
    first, second = stratified_split(source.labels, test_fraction, split_seed)
    train, test, names = take(source, first), take(source, second), list(found.data_set.classes)
    return _splits(
        "cifar10-dvs", train, test, size, names, 10, val_fraction, seed, transforms, random_transforms, options
    )


def _first_saccade(events: Events) -> Events:
    """Do what tonic does for ``first_saccade_only``."""
    return events[events["t"] < 100_000]


def _stabilized(events: Events) -> Events:
    """Do what tonic does for ``stabilize``."""
    from tonic.datasets.nmnist import stabilize

    moved: Events = stabilize(events)
    return moved


def _look(name: str, where: Path, pattern: str, what: str, page: str) -> None:
    """Raise the error that says what to download if there is no such file."""
    if next(where.glob(pattern), None) is None:
        raise missing(name, where, what, page)


def _tonic(name: str, root: Path, where: Path, sensor_size: SensorSize, arguments: dict[str, Any]) -> TonicReader:
    """Make a tonic data set of what is there, without the check that would start a download."""
    data_sets = require("tonic.datasets", "events")
    original = getattr(data_sets, name)
    unchecked = type(name, (original,), {"_check_exists": lambda _: True})  # the name is the folder's, too
    with reading(where, f"tonic's {name}"):
        data_set = unchecked(save_to=str(root), **arguments)
    data_set.__class__ = original  # so that it can be pickled
    return TonicReader(data_set, sensor_size)


def _source(reader: TonicReader) -> EventSource:
    """Return recordings, labels and files, in the order of the files' names whatever order tonic found them in."""
    files = [Path(f) for f in reader.data_set.data]
    order = sorted(range(len(files)), key=lambda i: files[i])
    labels = np.array([reader.data_set.targets[i] for i in order], np.int64)
    recordings: Sequence[Events] = OnAccess(order, reader)
    if sum(f.stat().st_size for f in files) <= MEMORY_LIMIT:
        recordings = Recordings.join(recordings)
    return EventSource(recordings, labels, tuple(files[i] for i in order))


def _join(first: EventSource, second: EventSource) -> EventSource:
    """Put two sources together."""
    a, b = first.recordings, second.recordings
    if isinstance(a, Recordings) and isinstance(b, Recordings):
        joined: Sequence[Events] = Recordings.join([*a, *b])
    else:
        joined = OnAccess([(part, i) for part in (a, b) for i in range(len(part))], _read_pair)
    labels = np.concatenate([first.labels, second.labels])
    return EventSource(joined, labels, first.files + second.files, first.transforms)


def _read_pair(item: tuple[Sequence[Events], int]) -> Events:
    return item[0][item[1]]


def _fold(source: EventSource, folds: int, fold: int, seed: int) -> tuple[EventSource, EventSource]:
    """Return all folds but one, and that one."""
    smallest = int(np.bincount(source.labels).min())
    if isinstance(folds, bool) or not isinstance(folds, int) or not 2 <= folds <= smallest:
        raise ConfigError(
            f"folds must be a number from 2 to {smallest} (the recordings of the rarest class), got {folds!r}"
        )
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < folds:
        raise ConfigError(f"fold must be a number from 0 to {folds - 1}, got {fold!r}")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    train, test = list(splitter.split(np.zeros(len(source)), source.labels))[fold]
    return take(source, train), take(source, test)


def _splits(
    name: str,
    train: EventSource,
    test: EventSource,
    size: SensorSize,
    class_names: Sequence[str],
    steps: int,
    val_fraction: float,
    seed: int,
    transforms: Sequence[TransformSpec],
    random_transforms: Sequence[TransformSpec],
    options: EventOptions,
) -> Splits:
    """Apply transforms and bin."""
    made, after, binning = make_transforms(transforms, size)
    return event_splits(
        name,
        train,
        test,
        sensor_size=after,
        class_names=class_names,
        val_fraction=val_fraction,
        seed=seed,
        default=binning or ByCount(steps),
        transforms=made,
        random_transforms=make_random_transforms(random_transforms, after),
        recorded=size,
        options=options,
    )
