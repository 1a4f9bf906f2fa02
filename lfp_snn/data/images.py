"""Pictures in memory as bytes, as float batches, and the parts of a picture data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lfp_snn.data.augment import Augment, draw
from lfp_snn.data.batch import Batch
from lfp_snn.data.examples import Examples
from lfp_snn.data.splits import Splits, stratified_split
from lfp_snn.errors import ConfigError, DataError


class ImageOptions(TypedDict, total=False):
    """Options that every picture data set takes."""

    normalise: bool
    """Subtract the training pictures' mean and divide by their standard deviation, a channel. Default: brightness from
    0 to 1 as it is."""
    augment: Augment | dict[str, Any] | None
    """Random shift, rotation, zoom and flip of the training pictures."""


class ImageDataset(Examples):
    """Pictures with labels.

    Parameters
    ----------
    images : ndarray
        uint8 [N, C, H, W].
    labels : ndarray
        int64 [N].
    white : int
        The value that becomes 1.
    mean, std : sequence of float, optional
        One a channel, of brightness from 0 to 1: examples are ``(x - mean) / std``.
    augment : Augment, optional
        Random changes, drawn from (seed, epoch, index); only those of space.
    seed : int
        Of augmentation.

    Raises
    ------
    DataError
        If pictures and labels do not fit together.
    ConfigError
        If the augmentation is one of events.

    Examples
    --------
    >>> data = ImageDataset(np.full((4, 1, 8, 8), 255, np.uint8), np.arange(4))
    >>> batch = data.__getitems__([0, 3])
    >>> batch.x.shape, float(batch.x.max())
    (torch.Size([2, 1, 8, 8]), 1.0)
    """

    _one = "picture"

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        *,
        white: int = 255,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        if images.ndim != 4 or images.dtype != np.uint8:
            raise DataError(f"pictures must be uint8 [N, C, H, W], got {images.dtype} {list(images.shape)}")
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
            raise DataError(f"{len(images)} pictures need as many labels, got {labels.dtype} {list(labels.shape)}")
        super().__init__(labels, seed)
        self.images, self.white, self.mean, self.std = images, white, mean, std
        self.shape = images.shape[1:]
        self._set_changes(augment)

    def _set_changes(self, augment: Augment | None = None) -> None:
        if augment is not None and (augment.changes_time or augment.drop or augment.jitter):
            raise ConfigError("drop, jitter, time_jitter_us and time_stretch change events; pictures have none")
        self.augment = augment

    def __getitems__(self, indices: list[int]) -> Batch:
        """Make a batch; x is float32 [B, C, H, W]."""
        chosen = self.indices[indices]
        x = torch.from_numpy(self.images[chosen]).float().div_(self.white)
        if self.augment is not None:
            _, height, width = self.shape
            matrix = draw(self.augment, (width, height, 1), self.seed, self._epoch, chosen).matrix
            x = _warp(x, matrix)
        if self.mean is not None and self.std is not None:
            mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
            x = x.sub_(mean).div_(std)
        return Batch(x, self._targets(chosen), None)


def _warp(x: Tensor, matrix: NDArray[np.float64]) -> Tensor:
    """Move the pixels of x [B, C, H, W] to where matrix [B, 6] takes them, bilinearly, with black outside."""
    _, _, h, w = x.shape
    m = torch.from_numpy(matrix).view(-1, 2, 3)
    inverse = torch.linalg.inv(m[:, :, :2])  # where each pixel of the result comes from
    # grid_sample's coordinates run from -1 to 1 over the centres of the outermost pixels
    to_pixel = torch.tensor([[(w - 1) / 2, 0.0], [0.0, (h - 1) / 2]], dtype=torch.float64)
    centre = torch.tensor([(w - 1) / 2, (h - 1) / 2], dtype=torch.float64)
    linear = torch.linalg.solve(to_pixel, inverse @ to_pixel)
    source = inverse @ (centre - m[:, :, 2]).unsqueeze(-1) - centre.unsqueeze(-1)  # of the centre, relative to it
    theta = torch.cat([linear, torch.linalg.solve(to_pixel, source)], dim=2).to(x.dtype)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=True)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def image_splits(
    name: str,
    train: tuple[NDArray[np.uint8], NDArray[np.int64]],
    test: tuple[NDArray[np.uint8], NDArray[np.int64]],
    *,
    class_names: Sequence[str],
    val_fraction: float,
    seed: int,
    white: int = 255,
    options: ImageOptions | None = None,
) -> Splits:
    """Make the parts of a picture data set.

    Parameters
    ----------
    name : str
        Of the data set.
    train, test : (images, labels)
        uint8 [N, C, H, W] and int64 [N].
    class_names : sequence of str
        One a class.
    val_fraction, seed
        As `lfp_snn.data.load`.
    white : int
        The value that becomes 1.
    options : ImageOptions
        What the user chose.

    Returns
    -------
    Splits
        Of three `ImageDataset`.

    Raises
    ------
    DataError
        If pictures, labels and classes do not fit together.
    """
    chosen: ImageOptions = options if options is not None else {}
    for images, labels in (train, test):
        if not len(images) or images.shape[1:] != train[0].shape[1:]:
            raise DataError(f"data set {name!r}: a part of it is empty, or its pictures have another shape")
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise DataError(f"data set {name!r}: label {labels.max()} is not one of {len(class_names)} classes")
    mean = std = None
    if chosen.get("normalise", False):
        mean, std = _moments(train[0], white)
    whole = ImageDataset(*train, white=white, mean=mean, std=std, seed=seed)
    first, second = stratified_split(train[1], val_fraction, seed)
    return Splits(
        name=name, train=whole.subset(first, augment=Augment.of(chosen.get("augment"))), val=whole.subset(second),
        test=ImageDataset(*test, white=white, mean=mean, std=std, seed=seed), shape=whole.shape,
        classes=len(class_names), temporal=False, class_names=tuple(class_names),
    )  # fmt: skip


def _moments(images: NDArray[np.uint8], white: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, exactly and without a float copy: from the histogram."""
    values = np.arange(256) / white
    mean, std = [], []
    for channel in range(images.shape[1]):
        weight = np.bincount(images[:, channel].reshape(-1), minlength=256) / images[:, channel].size
        m = float(values @ weight)
        mean.append(m)
        std.append(float(np.sqrt(((values - m) ** 2) @ weight)) or 1.0)
    return mean, std
