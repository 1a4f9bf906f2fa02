"""The picture data sets: MNIST, Fashion-MNIST, CIFAR-10 and scikit-learn's digits."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.event_digits import official_split
from lfp_snn.data.idx import read_idx
from lfp_snn.data.images import ImageOptions, image_splits
from lfp_snn.data.root import missing
from lfp_snn.data.splits import Splits
from lfp_snn.errors import DataError

DEBIAN = Path("/usr/share/datasets")
"""Where Debian's packages of data sets lie."""

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
    folders = [root / "FashionMNIST" / "raw", root / "fashion-mnist", DEBIAN / "fashion-mnist"]
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
