"""Pictures: MNIST's family, CIFAR-10, digits; batches, normalisation, augmentation."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lfp_snn.data import Augment, ImageDataset, load
from lfp_snn.data.augment import draw
from lfp_snn.errors import ConfigError, DataError, MissingDataError


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path, zipped: bool = True, train: int = 60, test: int = 20) -> dict[str, np.ndarray]:
    """Write a tiny data set in the layout of MNIST and return its arrays by file name."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", train), ("t10k", test)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = (np.arange(n) % 10).astype(np.uint8)
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return arrays


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw")])
def test_mnists_family(tmp_path: Path, name: str, folder: str, zipped: bool) -> None:
    arrays = write_mnist(tmp_path / folder, zipped)
    splits = load(name, tmp_path)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [50, 10, 20]
    assert splits.shape == (1, 28, 28)
    assert splits.classes == 10
    assert not splits.temporal
    batch = splits.test.__getitems__([3, 19])
    assert batch.lengths is None
    assert batch.x.dtype == torch.float32
    expected = arrays["t10k-images-idx3-ubyte"][[3, 19], None] / 255.0
    assert np.allclose(batch.x.numpy(), expected)
    assert batch.target.tolist() == [3, 9]


def test_real_mnist(data_root: Path) -> None:
    splits = load("mnist", data_root, val_fraction=1 / 12)
    labels = np.concatenate([splits.train.labels, splits.val.labels])
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(splits.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert abs(len(splits.val) - 5000) < 10
    normalised = load("mnist", data_root, normalise=True)
    x = normalised.train.__getitems__(list(range(5000))).x
    assert abs(float(x.mean())) < 0.02  # 0.1307 and 0.3081 are the known moments of MNIST
    assert normalised.train.mean == pytest.approx([0.1307], abs=1e-4)  # type: ignore[attr-defined]
    assert normalised.train.std == pytest.approx([0.3081], abs=1e-4)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_one_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / f"{name}.gz").unlink()
    with pytest.raises(MissingDataError, match=name):
        load("mnist", tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz"):
        load("mnist", tmp_path)


def test_files_that_do_not_fit_together(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.zeros(59, np.uint8)))
    with pytest.raises(DataError, match="do not fit together"):
        load("mnist", tmp_path)


def test_labels_beyond_the_classes(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.full(60, 10, np.uint8)))
    with pytest.raises(DataError, match="label 10 is not one of 10 classes"):
        load("mnist", tmp_path)


def cifar(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), np.arange(n) % 10


def test_cifar10_from_an_archive(tmp_path: Path) -> None:
    (x, y), (x_test, y_test) = cifar(100, 0), cifar(20, 1)
    (tmp_path / "cifar10").mkdir()
    np.savez(
        tmp_path / "cifar10" / "cifar10.npz", train_images=x, train_labels=y, test_images=x_test, test_labels=y_test
    )
    splits = load("cifar10", tmp_path)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [90, 10, 20]
    assert splits.shape == (3, 32, 32)
    assert splits.class_names[6] == "frog"
    assert np.allclose(splits.test.__getitems__([7]).x[0].numpy(), x_test[7].transpose(2, 0, 1) / 255)


def write_batches(folder: Path, **replace: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Write six tiny batches in the layout of the python version."""
    folder.mkdir(parents=True)
    parts = []
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        x, y = cifar(20, i)
        parts.append((x, y))
        content = {b"data": x.transpose(0, 3, 1, 2).reshape(20, 3072), b"labels": y.tolist(), b"batch_label": b""}
        (folder / name).write_bytes(pickle.dumps(replace.get(name, content), protocol=2))
    return parts


def test_cifar10_from_batches(tmp_path: Path) -> None:
    parts = write_batches(tmp_path / "cifar10" / "cifar-10-batches-py")
    splits = load("cifar10", tmp_path)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [90, 10, 20]
    assert np.allclose(splits.test.__getitems__([7]).x[0].numpy(), parts[5][0][7].transpose(2, 0, 1) / 255)
    assert splits.test.labels.tolist() == parts[5][1].tolist()


class Harmful:
    """An object whose unpickling calls a function."""

    def __reduce__(self) -> Any:
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Harmful(), "it asks for"),
        ({b"data": np.zeros((3, 5), np.uint8), b"labels": [0] * 3}, r"not uint8 \[3, 3072\]"),
        ({b"data": np.zeros((3, 3072)), b"labels": [0] * 3}, "not uint8"),
        ({b"labels": [0]}, "no data and labels"),
        ([1, 2], "no data and labels"),
    ],
)
def test_bad_batches(tmp_path: Path, content: object, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_batches(tmp_path / "cifar-10-batches-py", data_batch_2=content)
    with pytest.raises(DataError, match=message) as info:
        load("cifar10", tmp_path)
    assert "data_batch_2" in str(info.value)
    assert "unpickled" not in capsys.readouterr().out


def test_a_missing_or_truncated_batch_is_named(tmp_path: Path) -> None:
    write_batches(tmp_path / "cifar-10-batches-py")
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:500])
    with pytest.raises(DataError, match="data_batch_3: not a CIFAR-10 batch"):
        load("cifar10", tmp_path)
    batch.unlink()
    with pytest.raises(MissingDataError, match="data_batch_3"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive"])
def test_bad_archives(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cifar10.npz").write_bytes(content)
    with pytest.raises(DataError, match="not a CIFAR-10 archive"):
        load("cifar10", tmp_path)
    np.savez(tmp_path / "cifar10.npz", train_images=np.zeros(3))
    with pytest.raises(DataError, match="not a CIFAR-10 archive"):
        load("cifar10", tmp_path)
    wrong = np.zeros((3, 3, 32, 32), np.uint8)
    np.savez(
        tmp_path / "cifar10.npz",
        train_images=wrong,
        train_labels=np.zeros(3, int),
        test_images=wrong,
        test_labels=np.zeros(3, int),
    )
    with pytest.raises(DataError, match=r"pictures must be uint8 \[N, 32, 32, 3\]"):
        load("cifar10", tmp_path)


def test_static_digits_are_split_as_the_event_digits() -> None:
    static, events = load("digits"), load("event-digits")
    for part in ("train", "val", "test"):
        assert (getattr(static, part).labels == getattr(events, part).labels).all()
    x = static.train.__getitems__(list(range(100))).x
    assert x.min() == 0
    assert x.max() == 1


def test_normalisation_is_by_training_pictures_and_channel() -> None:
    rng = np.random.default_rng(0)
    images = (rng.random((200, 3, 5, 5)) * np.array([50, 100, 255])[:, None, None]).astype(np.uint8)
    from lfp_snn.data.images import image_splits

    labels = np.arange(200) % 2
    splits = image_splits(
        "x",
        (images, labels),
        (images // 2, labels),
        class_names=("a", "b"),
        val_fraction=0.1,
        seed=0,
        options={"normalise": True},
    )
    both = torch.cat([p.__getitems__(list(range(len(p)))).x for p in (splits.train, splits.val)])
    assert torch.allclose(both.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(both.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    assert float(splits.test.__getitems__([0]).x.mean()) < 0


def test_a_constant_channel_is_not_divided_by_nothing() -> None:
    from lfp_snn.data.images import _moments

    assert _moments(np.full((4, 1, 2, 2), 51, np.uint8), 255) == ([pytest.approx(0.2)], [pytest.approx(1.0)])


def dot(n: int = 40) -> ImageDataset:
    """Return pictures of one pixel in the middle of 11 x 9."""
    images = np.zeros((n, 1, 9, 11), np.uint8)
    images[:, 0, 4, 5] = 255
    return ImageDataset(images, np.zeros(n, np.int64))


def test_shift_moves_pictures_to_where_it_says() -> None:
    augment = Augment(shift=3)
    data = dot().subset(np.arange(40), augment=augment)
    x = data.__getitems__(list(range(40))).x[:, 0]
    assert torch.allclose(x.sum((1, 2)), torch.ones(40), atol=1e-5)
    shift = draw(augment, (11, 9, 1), 0, 0, np.arange(40)).matrix[:, [2, 5]]
    columns, rows = x.sum(1) @ torch.arange(11.0), x.sum(2) @ torch.arange(9.0)
    assert np.allclose(columns.numpy(), 5 + shift[:, 0], atol=1e-4)
    assert np.allclose(rows.numpy(), 4 + shift[:, 1], atol=1e-4)


def test_rotation_and_flip_move_pictures_to_where_they_say() -> None:
    images = np.zeros((40, 1, 11, 11), np.uint8)
    images[:, 0, 5, 8] = 255
    augment = Augment(rotate=90, flip=True, zoom=0.2)
    x = ImageDataset(images, np.zeros(40, np.int64), augment=augment).__getitems__(list(range(40))).x[:, 0]
    m = draw(augment, (11, 11, 1), 0, 0, np.arange(40)).matrix
    total = x.sum((1, 2))
    columns, rows = (x.sum(1) @ torch.arange(11.0)) / total, (x.sum(2) @ torch.arange(11.0)) / total
    assert np.abs(columns.numpy() - (m[:, 0] * 8 + m[:, 1] * 5 + m[:, 2])).max() < 0.5
    assert np.abs(rows.numpy() - (m[:, 3] * 8 + m[:, 4] * 5 + m[:, 5])).max() < 0.5


def test_augmenting_by_nothing_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 9, 11), dtype=np.uint8)
    plain = ImageDataset(images, np.zeros(5, np.int64))
    tiny = ImageDataset(images, np.zeros(5, np.int64), augment=Augment(shift=1e-9))
    assert torch.allclose(plain.__getitems__([0, 4]).x, tiny.__getitems__([0, 4]).x, atol=1e-5)


def test_draws_depend_on_seed_epoch_and_index_only() -> None:
    data = dot().subset(np.arange(40), augment=Augment(shift=3))
    together, alone = data.__getitems__([3, 7]).x, data.__getitems__([7]).x
    assert torch.equal(together[1], alone[0])
    data.set_epoch(1)
    assert not torch.equal(data.__getitems__([7]).x, alone)
    data.set_epoch(0)
    assert torch.equal(data.__getitems__([7]).x, alone)


def test_single_pictures() -> None:
    x, label = dot()[3]
    assert x.shape == (1, 9, 11)
    assert label == 0
    with pytest.raises(IndexError, match="there are 40"):
        dot()[40]


@pytest.mark.parametrize("name", ["drop", "jitter", "time_jitter_us", "time_stretch"])
def test_changes_of_events_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="pictures have none"):
        load("digits", augment={name: 0.1})


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((4, 8, 8), np.uint8), np.zeros(4, np.int64)),
        (np.zeros((4, 1, 8, 8)), np.zeros(4, np.int64)),
        (np.zeros((4, 1, 8, 8), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((4, 1, 8, 8), np.uint8), np.zeros(4)),
    ],
)
def test_bad_pictures(images: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="pictures"):
        ImageDataset(images, labels)
