"""Checkpoints: atomic, checked, safe."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from lfp_snn.errors import CheckpointError
from lfp_snn.training.checkpoint import FORMAT, load_checkpoint, load_weights, save_checkpoint


def content() -> dict[str, object]:
    return {"network": nn.Linear(30, 40).state_dict(), "state": {"epoch": 3, "best": 0.5, "list": [1, None, "a"]}}


def test_round_trip(tmp_path: Path) -> None:
    saved = content()
    save_checkpoint(tmp_path / "a.pt", saved)
    loaded = load_checkpoint(tmp_path / "a.pt")
    assert loaded["format"] == FORMAT
    assert loaded["state"] == saved["state"]
    torch.testing.assert_close(loaded["network"], saved["network"], rtol=0, atol=0)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "a.pt", content())
    before = (tmp_path / "a.pt").read_bytes()

    def refuse(*paths: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path / "a.pt", content())
    assert (tmp_path / "a.pt").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_truncated(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, content())
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(CheckpointError, match=r"truncated or not a checkpoint.*train again"):
        load_checkpoint(path)


def test_a_flipped_byte_in_the_weights_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    saved = content()
    save_checkpoint(path, saved)
    data = bytearray(path.read_bytes())
    weights = saved["network"]["weight"].numpy().tobytes()  # type: ignore[index]
    data[data.index(weights) + 100] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of this version"):
        load_checkpoint(tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of this version"):
        load_checkpoint(tmp_path / "list.pt")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("hacked",)


def test_no_code_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": FORMAT, "network": Evil()}, "evil.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pt", "pickle.pt"):
        with pytest.raises(CheckpointError):
            load_checkpoint(name)
    assert not (tmp_path / "hacked").exists()


def test_weights_of_another_network_are_refused_and_change_nothing() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    wider = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)).state_dict()
    with pytest.raises(CheckpointError, match=r"0\.weight is \[5, 3\] in the checkpoint, \[4, 3\] in the network"):
        load_weights(network, wider, "a.pt")
    with pytest.raises(CheckpointError, match=r"1\.weight is missing in the checkpoint"):
        load_weights(network, nn.Sequential(nn.Linear(3, 4)).state_dict(), "a.pt")
    deeper = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2)).state_dict()
    with pytest.raises(CheckpointError, match=r"2\.weight is not in the network"):
        load_weights(network, deeper, "a.pt")
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
