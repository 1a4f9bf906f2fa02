"""Spikes of many channels in HDF5 files of SHD's layout: SHD, SSC, spoken digits (FSDD), your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from lfp_snn.data.binning import ByWindow
from lfp_snn.data.event_dataset import EventOptions, event_splits
from lfp_snn.data.events import EventSource
from lfp_snn.data.on_access import take
from lfp_snn.data.root import missing
from lfp_snn.data.spike_file import SpikeFile
from lfp_snn.data.splits import Splits, stratified_split
from lfp_snn.data.transforms import TransformSpec, make_random_transforms, make_transforms
from lfp_snn.errors import ConfigError

SHD_PAGE = "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/"
DEFAULT_BINNING = ByWindow(10_000, max_steps=100)
"""10 ms steps, the first second."""


def read_hdf5(path: str | Path, channels: int = 700) -> tuple[EventSource, tuple[str, ...]]:
    """Read an HDF5 file in SHD's layout.

    Parameters
    ----------
    path : path
        The file.
    channels : int
        Number of channels.

    Returns
    -------
    tuple
        Recordings with their labels, and the names of the classes.

    Raises
    ------
    MissingDataError, DataError
        As `SpikeFile`.
    """
    file = SpikeFile(path, channels)
    return file.source(), file.class_names


def _splits(
    name: str,
    parts: dict[str, Path],
    channels: int,
    val_fraction: float,
    seed: int,
    transforms: Sequence[TransformSpec],
    random_transforms: Sequence[TransformSpec],
    options: EventOptions,
    test_fraction: float = 0.2,
) -> Splits:
    """Make the splits from the files of the parts ``train`` and perhaps ``test`` and ``val``."""
    read = {part: read_hdf5(path, channels) for part, path in parts.items()}
    sources = {part: source for part, (source, _) in read.items()}
    if "test" not in sources:
        train, test = stratified_split(sources["train"].labels, test_fraction, seed=0)
        whole = sources["train"]
        sources |= {"train": take(whole, train), "test": take(whole, test)}
    class_names = max((names for _, names in read.values()), key=len)
    steps, sensor_size, binning = make_transforms(transforms, (channels, 1, 1))
    return event_splits(
        name,
        sources["train"],
        sources["test"],
        val=sources.get("val"),
        sensor_size=sensor_size,
        class_names=class_names,
        val_fraction=val_fraction,
        seed=seed,
        default=binning or DEFAULT_BINNING,
        transforms=steps,
        random_transforms=make_random_transforms(random_transforms, sensor_size),
        recorded=(channels, 1, 1),
        options=options,
    )


def shd(
    root: Path,
    *,
    val_fraction: float,
    seed: int,
    transforms: Sequence[TransformSpec] = (),
    random_transforms: Sequence[TransformSpec] = (),
    **options: Unpack[EventOptions],
) -> Splits:
    """Spiking Heidelberg Digits: 20 spoken digits (English, German), 700 channels, 8,156 train and 2,264 test.

    Parameters
    ----------
    root : Path
        Folder of the data: ``SHD/shd_train.h5`` and ``SHD/shd_test.h5`` in it.
    val_fraction, seed
        As `lfp_snn.data.load`.
    transforms, random_transforms : sequence
        For all recordings, and for augmentation: see `lfp_snn.data.transforms`.
    **options
        As every event data set; 10 ms steps, at most 100, by default.

    Returns
    -------
    Splits
        The parts.

    Raises
    ------
    MissingDataError, DataError
        If a file is not there, or not what it should be.
    """
    parts = {part: root / "SHD" / f"shd_{part}.h5" for part in ("train", "test")}
    _all_there("shd", parts, "shd_train.h5.gz and shd_test.h5.gz (unpack them)", SHD_PAGE)
    return _splits("shd", parts, 700, val_fraction, seed, transforms, random_transforms, options)


def ssc(
    root: Path,
    *,
    val_fraction: float,
    seed: int,
    transforms: Sequence[TransformSpec] = (),
    random_transforms: Sequence[TransformSpec] = (),
    **options: Unpack[EventOptions],
) -> Splits:
    """Spiking Speech Commands: 35 words, 700 channels, 75,466 train, 9,981 validation and 20,382 test.

    Parameters
    ----------
    root : Path
        Folder of the data: ``SSC/ssc_train.h5``, ``SSC/ssc_valid.h5`` and ``SSC/ssc_test.h5`` in it.
    val_fraction, seed
        As `lfp_snn.data.load`; the data set's own validation part is used.
    transforms, random_transforms : sequence
        For all recordings, and for augmentation: see `lfp_snn.data.transforms`.
    **options
        As every event data set; 10 ms steps, at most 100, by default.

    Returns
    -------
    Splits
        The parts.

    Raises
    ------
    MissingDataError, DataError
        If a file is not there, or not what it should be.
    """
    parts = {p: root / "SSC" / f"ssc_{n}.h5" for p, n in (("train", "train"), ("val", "valid"), ("test", "test"))}
    _all_there("ssc", parts, "ssc_train.h5.gz, ssc_valid.h5.gz and ssc_test.h5.gz (unpack them)", SHD_PAGE)
    return _splits("ssc", parts, 700, val_fraction, seed, transforms, random_transforms, options)


def fsdd(
    root: Path,
    *,
    val_fraction: float,
    seed: int,
    transforms: Sequence[TransformSpec] = (),
    random_transforms: Sequence[TransformSpec] = (),
    **options: Unpack[EventOptions],
) -> Splits:
    """Free Spoken Digit Dataset as spikes: 10 English digits, 700 channels, 1,700 train and 250 test.

    Parameters
    ----------
    root : Path
        Folder of the data: ``FSDD/fsdd_train.h5`` and ``FSDD/fsdd_test.h5`` in it.
    val_fraction, seed
        As `lfp_snn.data.load`.
    transforms, random_transforms : sequence
        For all recordings, and for augmentation: see `lfp_snn.data.transforms`.
    **options
        As every event data set; 10 ms steps, at most 100, by default.

    Returns
    -------
    Splits
        The parts.

    Raises
    ------
    MissingDataError, DataError
        If a file is not there, or not what it should be.
    """
    parts = {part: root / "FSDD" / f"fsdd_{part}.h5" for part in ("train", "test")}
    page = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    _all_there("fsdd", parts, "the recordings, make spikes of them with datasets/prepare_fsdd.py,", page)
    return _splits("fsdd", parts, 700, val_fraction, seed, transforms, random_transforms, options)


def hdf5(
    root: Path,
    *,
    val_fraction: float,
    seed: int,
    train: str | Path | None = None,
    test: str | Path | None = None,
    val: str | Path | None = None,
    test_fraction: float = 0.2,
    channels: int = 700,
    transforms: Sequence[TransformSpec] = (),
    random_transforms: Sequence[TransformSpec] = (),
    **options: Unpack[EventOptions],
) -> Splits:
    """Your own spikes, in HDF5 files of SHD's layout.

    Parameters
    ----------
    root : Path
        Folder of the data; paths that are not absolute start there.
    val_fraction, seed
        As `lfp_snn.data.load`.
    train : path
        The file to train on.
    test : path, optional
        The file to test on. Without it a part of ``train`` is set aside, always the same one.
    val : path, optional
        The file to validate on.
    test_fraction : float
        How much is set aside if there is no ``test``, of each class.
    channels : int
        Number of channels.
    transforms, random_transforms : sequence
        For all recordings, and for augmentation: see `lfp_snn.data.transforms`.
    **options
        As every event data set; 10 ms steps, at most 100, by default.

    Returns
    -------
    Splits
        The parts.

    Raises
    ------
    ConfigError
        If ``train`` is not given.
    MissingDataError, DataError
        If a file is not there, or does not have SHD's layout.
    """
    if train is None:
        raise ConfigError("data set 'hdf5' needs the option train: the file to train on")
    parts = {p: root / path for p, path in (("train", train), ("test", test), ("val", val)) if path is not None}
    return _splits("hdf5", parts, channels, val_fraction, seed, transforms, random_transforms, options, test_fraction)


def _all_there(name: str, parts: dict[str, Path], what: str, page: str) -> None:
    """Say what to download if a file is missing."""
    for path in parts.values():
        if not path.is_file():
            raise missing(name, path, what, page)
