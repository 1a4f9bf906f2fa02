"""Pictures: MNIST, Fashion-MNIST, CIFAR-10 and scikit-learn's digits, in memory as bytes, as float batches."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from lfp_snn.data.augment import Augment, draw
from lfp_snn.data.batch import Batch
from lfp_snn.data.event_digits import official_split
from lfp_snn.data.idx import read_idx
from lfp_snn.data.root import missing
from lfp_snn.data.splits import Splits, stratified_split
from lfp_snn.errors import ConfigError, DataError


class ImageOptions(TypedDict, total=False):
    """Options that every picture data set takes."""

    normalise: bool
    """Subtract the training pictures' mean and divide by their standard deviation, a channel. Default: brightness from
    0 to 1 as it is."""
    augment: Augment | dict[str, Any] | None
    """Random shift, rotation, zoom and flip of the training pictures."""


class ImageDataset(Dataset[tuple[Tensor, int]]):
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
        self.images, self.white, self.mean, self.std, self.seed = images, white, mean, std, seed
        self.indices: NDArray[np.int64] = np.arange(len(images))
        self.labels: NDArray[np.int64] = np.asarray(labels, np.int64)
        self._all_labels = self.labels
        self.shape = images.shape[1:]
        self._epoch = 0
        self._set_changes(augment)

    def _set_changes(self, augment: Augment | None) -> None:
        if augment is not None and (augment.changes_time or augment.drop or augment.jitter):
            raise ConfigError("drop, jitter, time_jitter_us and time_stretch change events; pictures have none")
        self.augment = augment

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.indices)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; augmentation draws from (seed, epoch, index)."""
        self._epoch = epoch

    def subset(self, indices: NDArray[np.int64], *, augment: Augment | None = None) -> ImageDataset:
        """Select some of the pictures, by their place in this data set, with another augmentation."""
        part = copy.copy(self)
        part.indices, part.labels = self.indices[indices], self.labels[indices]
        part._set_changes(augment)
        return part

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one picture [C, H, W] and its label."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"no picture {index}: there are {len(self)}")
        batch = self.__getitems__([index])
        return batch.x[0], int(batch.target[0])

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
        return Batch(x, torch.from_numpy(self._all_labels[chosen]), None)


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


_IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _mnist_family(name: str, folders: Sequence[Path], page: str) -> list[NDArray[Any]]:
    """Read the four files from the first folder that has them, gzipped or not."""
    for folder in folders:
        found = [next((f for f in (folder / n, folder / f"{n}.gz") if f.is_file()), None) for n in _IDX_FILES]
        files = [f for f in found if f is not None]
        if len(files) == len(_IDX_FILES):
            break
        if files:
            absent = [n for n, f in zip(_IDX_FILES, found, strict=True) if f is None]
            raise missing(name, folder / f"{absent[0]}.gz", f"the file {absent[0]}.gz", page)
    else:
        raise missing(name, folders[0] / f"{_IDX_FILES[0]}.gz", f"the four files {', '.join(_IDX_FILES)} (.gz)", page)
    arrays = [read_idx(f) for f in files]
    for images, labels in (arrays[:2], arrays[2:]):
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or images.dtype != np.uint8:
            raise DataError(
                f"{files[0].parent}: pictures {list(images.shape)} and labels {list(labels.shape)} do not fit together"
            )
    return [arrays[0][:, None], arrays[1].astype(np.int64), arrays[2][:, None], arrays[3].astype(np.int64)]


def mnist(root: Path, *, val_fraction: float, seed: int, **options: Unpack[ImageOptions]) -> Splits:
    """Build MNIST for `lfp_snn.data.load`, from ``<root>/MNIST/raw`` (where torchvision also looks).

    Parameters
    ----------
    root : Path
        Data root.
    val_fraction, seed
        As `lfp_snn.data.load`.
    **options
        See `ImageOptions`.

    Returns
    -------
    Splits
        Examples of shape (1, 28, 28).

    Raises
    ------
    MissingDataError, DataError
        If files are missing or damaged.
    """
    folders = [root / "MNIST" / "raw", root / "mnist"]
    x, y, x_test, y_test = _mnist_family("mnist", folders, "http://yann.lecun.com/exdb/mnist")
    names = tuple("0123456789")
    return image_splits(
        "mnist", (x, y), (x_test, y_test), class_names=names, val_fraction=val_fraction, seed=seed, options=options
    )


FASHION_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def fashion_mnist(root: Path, *, val_fraction: float, seed: int, **options: Unpack[ImageOptions]) -> Splits:
    """Build Fashion-MNIST for `lfp_snn.data.load`.

    It is looked for in ``<root>/FashionMNIST/raw`` (where torchvision also looks) and in
    ``/usr/share/datasets/fashion-mnist`` (Debian's package ``dataset-fashion-mnist``).

    Parameters
    ----------
    root : Path
        Data root.
    val_fraction, seed
        As `lfp_snn.data.load`.
    **options
        See `ImageOptions`.

    Returns
    -------
    Splits
        Examples of shape (1, 28, 28).

    Raises
    ------
    MissingDataError, DataError
        If files are missing or damaged.
    """
    folders = [root / "FashionMNIST" / "raw", root / "fashion-mnist", Path("/usr/share/datasets/fashion-mnist")]
    page = "https://github.com/zalandoresearch/fashion-mnist (on Debian: apt install dataset-fashion-mnist)"
    x, y, x_test, y_test = _mnist_family("fashion-mnist", folders, page)
    return image_splits(
        "fashion-mnist", (x, y), (x_test, y_test), class_names=FASHION_CLASSES, val_fraction=val_fraction, seed=seed,
        options=options,
    )  # fmt: skip


CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar10(root: Path, *, val_fraction: float, seed: int, **options: Unpack[ImageOptions]) -> Splits:
    """Build CIFAR-10 for `lfp_snn.data.load`.

    It is looked for in ``<root>/cifar10``, ``<root>`` and ``~/.cache/lfp_snn/cifar10``: a ``cifar10.npz`` with
    ``train_images``, ``train_labels``, ``test_images``, ``test_labels``, or the folder ``cifar-10-batches-py`` of the
    original "python version".

    Parameters
    ----------
    root : Path
        Data root.
    val_fraction, seed
        As `lfp_snn.data.load`.
    **options
        See `ImageOptions`.

    Returns
    -------
    Splits
        Examples of shape (3, 32, 32).

    Raises
    ------
    MissingDataError, DataError
        If files are missing or damaged.
    """
    for folder in (root / "cifar10", root, Path.home() / ".cache" / "lfp_snn" / "cifar10"):
        if (folder / "cifar10.npz").is_file():
            train, test = _cifar_npz(folder / "cifar10.npz")
            break
        if (folder / "cifar-10-batches-py").is_dir():
            batches = folder / "cifar-10-batches-py"
            parts = [_cifar_batch(batches / f"data_batch_{i}") for i in range(1, 6)]
            train = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
            test = _cifar_batch(batches / "test_batch")
            break
    else:
        where = root / "cifar10" / "cifar-10-batches-py"
        what = "and unpack the python version (cifar-10-python.tar.gz)"
        raise missing("cifar10", where, what, "https://www.cs.toronto.edu/~kriz/cifar.html")
    return image_splits(
        "cifar10", train, test, class_names=CIFAR_CLASSES, val_fraction=val_fraction, seed=seed, options=options
    )


def _cifar_npz(path: Path) -> tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = [file[f"{part}_{what}"] for part in ("train", "test") for what in ("images", "labels")]
    except Exception as e:  # zipfile, zlib, struct, KeyError ...: a damaged archive fails in many ways
        raise DataError(f"{path}: not a CIFAR-10 archive, or damaged ({e})") from e
    for images, labels in (arrays[:2], arrays[2:]):
        if images.dtype != np.uint8 or images.shape[1:] != (32, 32, 3) or labels.shape != images.shape[:1]:
            raise DataError(f"{path}: pictures must be uint8 [N, 32, 32, 3] with N labels, got {list(images.shape)}")
    x, y, x_test, y_test = arrays
    planes = (0, 3, 1, 2)
    return (
        (np.ascontiguousarray(x.transpose(planes)), y.astype(np.int64)),
        (np.ascontiguousarray(x_test.transpose(planes)), y_test.astype(np.int64)),
    )


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays and plain containers; anything else a pickle might call is refused."""

    ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.numeric", "_frombuffer"),
            ("numpy._core.numeric", "_frombuffer"),
            ("_codecs", "encode"),
            ("__builtin__", "bytes"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Look up what the pickle names, if it is harmless."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _cifar_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not path.is_file():
        raise missing("cifar10", path, "the python version again", "https://www.cs.toronto.edu/~kriz/cifar.html")
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except Exception as e:  # a damaged pickle fails in many ways
        raise DataError(f"{path}: not a CIFAR-10 batch, or damaged ({e})") from e
    if not isinstance(content, Mapping) or b"data" not in content or b"labels" not in content:
        raise DataError(f"{path}: not a CIFAR-10 batch: no data and labels in it")
    data, labels = content[b"data"], np.asarray(content[b"labels"], np.int64)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (len(labels), 3072):
        raise DataError(f"{path}: not a CIFAR-10 batch: the data are not uint8 [{len(labels)}, 3072]")
    return data.reshape(-1, 3, 32, 32), labels


def digits(root: Path, *, val_fraction: float, seed: int, **options: Unpack[ImageOptions]) -> Splits:
    """Build scikit-learn's digits for `lfp_snn.data.load`, split as the event digits are.

    Parameters
    ----------
    root : Path
        Not used: the digits come with scikit-learn.
    val_fraction, seed
        As `lfp_snn.data.load`.
    **options
        See `ImageOptions`.

    Returns
    -------
    Splits
        Examples of shape (1, 8, 8).
    """
    from sklearn.datasets import load_digits  # takes half a second: only when asked for

    data = load_digits()
    images, labels = data.images.astype(np.uint8)[:, None], data.target.astype(np.int64)
    train, test = official_split(labels)
    return image_splits(
        "digits", (images[train], labels[train]), (images[test], labels[test]), class_names=tuple("0123456789"),
        val_fraction=val_fraction, seed=seed, white=16, options=options,
    )  # fmt: skip
