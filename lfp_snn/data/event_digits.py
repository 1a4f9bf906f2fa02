"""Event digits: the data set that comes with the package. Real handwritten digits, seen by a simulated event camera.

scikit-learn carries 1,797 digits of 8 x 8 pixels, the test part of the UCI set "Optical Recognition of Handwritten
Digits" (Alpaydin and Kaynak 1998, doi:10.24432/C50P49, CC BY 4.0; 13 writers). Each is recorded once by `CAMERA` of
20 x 20 pixels in three saccades of 50 ms, the way N-MNIST was made (see `lfp_snn.data.simulate`). Nothing is
downloaded; recording takes about two seconds and is kept in the cache.

The official split is fixed: 20 % of each class is the test part. Writers are in both parts, since the source does not
say who wrote what. Digits, camera, split and noise depend on constants in this module only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.binning import ByCount
from lfp_snn.data.cache import Write, cached, describe
from lfp_snn.data.event_dataset import EventOptions, event_splits
from lfp_snn.data.events import EventSource, Recordings
from lfp_snn.data.simulate import EventCamera, record_images
from lfp_snn.data.splits import Splits, stratified_split

SIZE = 20
"""Width and height of the sensor in pixels."""
CAMERA = EventCamera(threshold_on=0.3, threshold_off=0.3, mismatch=0.03, leak_hz=0.1, noise_hz=1.0, eps=0.1, seed=0)
"""Pixels with a tenth of mismatch, one noise event a second and a contrast between ink and paper of 11 to 1."""
DURATION_US = 150_000
"""Length of a recording."""
TEST_FRACTION = 0.2
"""Of each class."""
SPLIT_SEED = 1797
"""Of the official split."""
RECORDING_SEED = 0
"""Of the noise events."""
VERSION = 2
"""Of the data set; part of the cache's key."""


def record_digits(cache_dir: str | Path | None = None) -> tuple[Recordings, NDArray[np.int64]]:
    """Record all 1,797 digits, or read the recordings from the cache.

    Parameters
    ----------
    cache_dir : path, optional
        See `lfp_snn.data.cache_folder`.

    Returns
    -------
    recordings : Recordings
        In scikit-learn's order.
    labels : ndarray
        int64 [1797].

    Examples
    --------
    >>> recordings, labels = record_digits()
    >>> len(recordings), int(labels[0])
    (1797, 0)
    """
    from sklearn.datasets import load_digits  # takes half a second: only when asked for

    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)

    def build(write: Write) -> None:
        recordings = Recordings.join(
            record_images(images, SIZE, CAMERA, seed=RECORDING_SEED, duration_us=DURATION_US), (SIZE, SIZE, 2)
        )
        write("events", recordings.events)
        write("offsets", recordings.offsets)

    key = {
        "version": VERSION,
        "images": describe(images),
        "camera": describe(CAMERA),
        "recording": [SIZE, DURATION_US, RECORDING_SEED],
    }
    arrays = cached("event-digits", key, build, cache_dir)
    return Recordings(np.array(arrays["events"]), np.array(arrays["offsets"])), digits.target.astype(np.int64)


def official_split(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split into the official training and test parts; the same for the static digits.

    Parameters
    ----------
    labels : ndarray
        Of all digits, in scikit-learn's order.

    Returns
    -------
    tuple of ndarray
        Indices, int64 [1438] and [359].

    Examples
    --------
    >>> train, test = official_split(np.arange(1797) % 10)
    >>> len(train) + len(test)
    1797
    """
    return stratified_split(labels, TEST_FRACTION, SPLIT_SEED)


def event_digits(root: Path, *, val_fraction: float, seed: int, **options: Unpack[EventOptions]) -> Splits:
    """Build the event digits for `lfp_snn.data.load`; by default in 15 steps (of 10 ms), ON and OFF apart.

    Parameters
    ----------
    root : Path
        Not used.
    val_fraction, seed
        As `lfp_snn.data.load`.
    **options
        See `lfp_snn.data.EventOptions`.

    Returns
    -------
    Splits
        Examples of shape (2, 20, 20).
    """
    recordings, labels = record_digits(options.get("cache_dir"))
    train, test = official_split(labels)
    return event_splits(
        "event-digits",
        EventSource(recordings.take(train), labels[train]),
        EventSource(recordings.take(test), labels[test]),
        sensor_size=(SIZE, SIZE, 2),
        class_names=tuple("0123456789"),
        val_fraction=val_fraction,
        seed=seed,
        default=ByCount(15),
        options=options,
    )
