#!/usr/bin/env python3
"""Check the original CIFAR-10 and pack it into one file.

    python prepare_cifar10.py SOURCE DATA_ROOT

SOURCE is cifar-10-python.tar.gz, the "python version" of https://www.cs.toronto.edu/~kriz/cifar.html, or the folder
cifar-10-batches-py that is in it. Writes DATA_ROOT/cifar10/cifar10.npz with train_images [50000, 32, 32, 3] uint8,
train_labels [50000] int64, test_images and test_labels.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np

MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""Of the original files. They are pickles, which can run code, so none is opened before its sum is right."""


def read_batches(source: Path) -> dict[str, bytes]:
    """Read the batches' bytes from the archive or the folder."""
    if source.is_dir():
        return {name: (source / name).read_bytes() for name in MD5 if (source / name).is_file()}
    try:
        with tarfile.open(source) as archive:
            members = {Path(m.name).name: m for m in archive if m.isfile()}
            files = {name: archive.extractfile(members[name]) for name in MD5 if name in members}
            return {name: file.read() for name, file in files.items() if file is not None}
    except (OSError, tarfile.TarError) as e:
        raise SystemExit(f"{source} cannot be read: {e}") from None


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="cifar-10-python.tar.gz, or the folder cifar-10-batches-py")
    parser.add_argument("data_root", type=Path, help="cifar10/cifar10.npz is written into it")
    arguments = parser.parse_args()
    raw = read_batches(arguments.source)
    for name, md5 in MD5.items():
        if name not in raw:
            raise SystemExit(f"{arguments.source} has no {name}")
        if hashlib.md5(raw[name], usedforsecurity=False).hexdigest() != md5:
            raise SystemExit(f"{name} is not the original: its md5 sum is not {md5}")
    images, labels = [], []
    for name in MD5:
        batch = pickle.loads(raw[name], encoding="bytes")
        images.append(batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(np.array(batch[b"labels"], np.int64))
    folder = arguments.data_root / "cifar10"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "cifar10.npz",
        train_images=np.concatenate(images[:-1]),
        train_labels=np.concatenate(labels[:-1]),
        test_images=images[-1],
        test_labels=labels[-1],
    )
    print(f"CIFAR-10 is in {folder / 'cifar10.npz'}")


if __name__ == "__main__":
    main()
