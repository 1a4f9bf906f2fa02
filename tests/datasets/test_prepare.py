"""Preparation scripts: what they write is what the data sets read."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import pickle
import struct
import subprocess
import sys
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from lfp_snn.data import load
from lfp_snn.data.spike_file import SpikeFile

FOLDER = Path(__file__).resolve().parents[2] / "datasets"


def script(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ---- CIFAR-10 --------------------------------------------------------------------------------------------------------


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[types.ModuleType, Path]:
    """Return the script, and a folder of small batches that it takes for the original."""
    module, folder = script("prepare_cifar10"), tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in module.MD5:
        raw = pickle.dumps({b"data": rng.integers(0, 256, (20, 3072), np.uint8), b"labels": list(range(10)) * 2})
        (folder / name).write_bytes(raw)
        monkeypatch.setitem(module.MD5, name, hashlib.md5(raw).hexdigest())
    return module, folder


@pytest.mark.parametrize("packed", [False, True])
def test_cifar10(
    cifar10: tuple[types.ModuleType, Path], tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, folder = cifar10
    source = folder
    if packed:
        source = tmp_path / "cifar-10-python.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(folder, "cifar-10-batches-py")
    monkeypatch.setattr(sys, "argv", ["prepare_cifar10.py", str(source), str(tmp_path / "root")])
    module.main()
    prepared = load("cifar10", tmp_path / "root")
    (tmp_path / "plain" / "cifar10").mkdir(parents=True)
    folder.rename(tmp_path / "plain" / "cifar10" / "cifar-10-batches-py")
    original = load("cifar10", tmp_path / "plain")
    for part in ("train", "val", "test"):
        a, b = getattr(prepared, part), getattr(original, part)
        numbers = list(range(len(b)))
        assert torch.equal(a.__getitems__(numbers).x, b.__getitems__(numbers).x)
        assert torch.equal(a.__getitems__(numbers).target, b.__getitems__(numbers).target)


def test_another_cifar10_is_not_opened(
    cifar10: tuple[types.ModuleType, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, folder = cifar10
    monkeypatch.setattr(sys, "argv", ["prepare_cifar10.py", str(folder), str(tmp_path / "root")])
    monkeypatch.setattr(module.pickle, "loads", lambda *_, **__: pytest.fail("a pickle of unknown origin was opened"))
    (folder / "data_batch_3").write_bytes(pickle.dumps({b"data": 1}))
    with pytest.raises(SystemExit, match="data_batch_3 is not the original"):
        module.main()
    (folder / "data_batch_3").unlink()
    with pytest.raises(SystemExit, match="has no data_batch_3"):
        module.main()


# ---- Fashion-MNIST ---------------------------------------------------------------------------------------------------


def test_fashion_mnist(tmp_path: Path) -> None:
    """The files of the package are copied to where the data set looks."""
    installed, root = tmp_path / "installed", tmp_path / "root"
    installed.mkdir()
    for part, n in (("train", 40), ("t10k", 10)):
        images = struct.pack(">4I", 0x803, n, 28, 28) + bytes(n * 784)
        labels = struct.pack(">2I", 0x801, n) + bytes(list(range(10)) * (n // 10))
        (installed / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (installed / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    command = ["sh", str(FOLDER / "prepare_fashion_mnist.sh"), str(root)]
    environment = {"FASHION_MNIST": str(installed), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert f"Fashion-MNIST is in {root}/FashionMNIST/raw" in done.stdout
    splits = load("fashion-mnist", root)
    assert (len(splits.train) + len(splits.val), len(splits.test)) == (40, 10)


# ---- spoken digits ---------------------------------------------------------------------------------------------------


def test_recordings_are_found_in_order(tmp_path: Path) -> None:
    module = script("prepare_fsdd")
    for digit in (1, 0):
        for speaker in ("theo", "anna"):
            for number in (0, 7, 40):
                (tmp_path / f"{digit}_{speaker}_{number}.wav").touch()
    (tmp_path / "notes.wav").touch()
    found = [(t.number, t.digit, t.speaker) for t in module.find(tmp_path, [], 49)]
    assert found == sorted(found)
    assert len(found) == 12
    assert len(list(module.find(tmp_path, ["theo"], 39))) == 4
    with pytest.raises(SystemExit, match="no recordings"):
        module.find(tmp_path, ["eve"], 49)


def test_hair_cells_and_bushy_cells() -> None:
    """At rest a fibre fires at its spontaneous rate, a tone raises it; none fires twice within a millisecond."""
    module = script("prepare_fsdd")
    rate = 24_000.0
    t = np.arange(24_000) / rate
    quiet, loud = np.zeros(len(t)), 200.0 * np.sin(2 * np.pi * 400 * t)
    rest, driven = module.hair_cell(quiet, rate), module.hair_cell(loud, rate)
    assert np.ptp(rest) < 1e-9 * rest[0]  # the model starts in its stationary state
    assert driven.mean() > 1.4 * rest.mean()
    assert driven[:1000].max() > driven[-1000:].max()  # it adapts
    interval = 23 + 1 / rest[0]  # at most one spike in 24 samples
    assert module.fibres(rest, rate, 0).sum() == pytest.approx(40 * 24_000 / interval, rel=0.05)
    for probability in (rest, driven):
        counts = module.fibres(probability, rate, 0)
        np.testing.assert_array_equal(counts, module.fibres(probability, rate, 0))
        assert module.fibres(np.ones(240), rate, 0, n=1).sum() == 10
        fired = module.bushy_cell(counts, rate)
        assert (np.diff(fired) >= 24).all()
    assert len(module.bushy_cell(module.fibres(driven, rate, 0), rate)) > len(
        module.bushy_cell(module.fibres(rest, rate, 0), rate)
    )


def test_spoken_digits_are_written_as_the_data_set_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a membrane that only lets the wave through, so that lauscher is not needed."""
    module = script("prepare_fsdd")
    monkeypatch.setattr(module, "CHANNELS", 700)
    monkeypatch.setattr(module, "membrane", lambda wave: np.repeat(400 * wave[None, ::2], 3, axis=0))
    rng = np.random.default_rng(0)
    for digit in (0, 1):
        for number in (0, 5, 6):
            wave = rng.standard_normal(1000 + 100 * number) * 3000
            wavfile.write(tmp_path / f"{digit}_anna_{number}.wav", 8000, wave.astype(np.int16))
    takes = list(module.find(tmp_path, [], 49))
    pool = types.SimpleNamespace(imap=lambda function, items, _: map(function, items))
    module.write(tmp_path / "spikes.h5", takes, ["anna"], pool)
    file = SpikeFile(tmp_path / "spikes.h5")
    assert file.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert file.class_names == module.NAMES
    for events, take in zip(file, takes, strict=True):
        assert len(events) > 0
        assert events["x"].max() <= 2
        assert events["t"].max() <= (1000 + 100 * take.number) / 8000 * 1e6


def test_waves_are_brought_to_one_form() -> None:
    module = script("prepare_fsdd")
    wave = module.prepare(np.random.default_rng(0).standard_normal(4100), 8000)
    assert len(wave) % module.LENGTHS == 0
    body = wave[module.RATE // 10 : 4 * module.RATE // 10]
    assert np.sqrt(np.mean(body**2)) == pytest.approx(0.3, rel=0.05)
    assert abs(wave[0]) < 1e-6
    assert not wave[4100 * 6 :].any()
