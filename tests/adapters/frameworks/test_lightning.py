"""A LightningModule that trains by LFP with automatic optimisation: the recipe of the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lfp_snn import LFP, LIF, Sequential, rewards

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore:.*does not have many workers")


class Classifier(lightning.LightningModule):
    def __init__(self, optimizer: type[torch.optim.Optimizer] = torch.optim.Adam, lr: float = 1e-2) -> None:
        super().__init__()
        self.net = Sequential(nn.Linear(6, 20), LIF(beta=0.9), nn.Linear(20, 3), LIF(beta=0.9))
        self.lfp, self.reward, self.optimizer = LFP(), rewards.RateSoftmax(), lambda p: optimizer(p, lr=lr)
        self.seen: list[list[Tensor]] = []

    def training_step(self, batch: Any, index: int) -> Tensor:
        x, y = batch
        with self.lfp.context(self.net):
            return self.reward(self.net(x, steps=8), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.seen.append([p.grad.clone() for p in self.parameters()])


def data() -> TensorDataset:
    torch.manual_seed(2)
    x = 2 * torch.rand(48, 6)
    return TensorDataset(x, x.view(-1, 3, 2).sum(2).argmax(1))


def module(**options: Any) -> Classifier:
    torch.manual_seed(1)
    return Classifier(**options)


def fit(model: Classifier, folder: Path, batch: int = 16, resume: Path | None = None, **options: Any) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    options = {"max_epochs": 1, "enable_checkpointing": False, "devices": 1} | quiet | options
    trainer = lightning.Trainer(default_root_dir=folder, **options)
    trainer.fit(model, DataLoader(data(), batch), ckpt_path=resume)
    return trainer


def by_hand(model: Classifier, x: Tensor, y: Tensor) -> list[Tensor]:
    model.zero_grad()
    with LFP().context(model.net):
        rewards.RateSoftmax()(model.net(x, steps=8), y).backward()
    return [p.grad.clone() for p in model.parameters()]


def test_it_learns_by_the_feedback_of_a_plain_loop(tmp_path: Path) -> None:
    model, (x, y) = module(), data().tensors
    expected = by_hand(module(), x[:16], y[:16])
    fit(model, tmp_path, max_epochs=40)
    assert all(torch.equal(g, h) for g, h in zip(model.seen[0], expected, strict=True))
    assert any(g.norm() > 0 for g in expected)
    accuracy = (rewards.scores(model.net(x, steps=8)).argmax(-1) == y).float().mean()
    assert accuracy > 0.8


def test_clipping_and_accumulation(tmp_path: Path) -> None:
    x, y = data().tensors
    whole = by_hand(module(), x[:32], y[:32])
    model = module()
    fit(model, tmp_path, accumulate_grad_batches=2)  # the mean of two batches of 16
    for g, h in zip(model.seen[0], whole, strict=True):
        torch.testing.assert_close(g, h, rtol=1e-4, atol=1e-7)

    model = module(optimizer=torch.optim.SGD, lr=1.0)
    before = [p.detach().clone() for p in model.parameters()]
    fit(model, tmp_path, max_steps=1, gradient_clip_val=1e-3)
    moved = torch.cat([(p - q).flatten() for p, q in zip(model.parameters(), before, strict=True)]).norm()
    torch.testing.assert_close(moved, torch.tensor(1e-3), rtol=1e-2, atol=0.0)


def test_resuming_ends_where_one_run_does(tmp_path: Path) -> None:
    whole = module()
    fit(whole, tmp_path, max_epochs=4)
    half = module()
    trainer = fit(half, tmp_path, max_epochs=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    again = Classifier()
    fit(again, tmp_path, max_epochs=4, resume=tmp_path / "half.ckpt")
    assert all(torch.equal(p, q) for p, q in zip(again.parameters(), whole.parameters(), strict=True))
    assert not torch.equal(half.net[0].weight, whole.net[0].weight)


PROCESSES = """
import sys
from pathlib import Path
import torch
from tests.adapters.frameworks.test_lightning import fit, module

model = module()
folder = Path(sys.argv[1])
trainer = fit(model, folder, 24, devices=2, strategy="ddp")  # each half of the data, whatever the order
if trainer.is_global_zero:
    torch.save({"world": trainer.world_size, "feedback": model.seen[0]}, folder / "feedback.pt")
"""


def test_two_processes_give_the_feedback_of_the_whole_batch(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PROCESSES)
    launched = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK")
    environment = {k: v for k, v in os.environ.items() if k not in launched}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-W", "ignore", str(tmp_path / "script.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    shared = torch.load(tmp_path / "feedback.pt", weights_only=True)
    assert shared["world"] == 2
    for g, whole in zip(shared["feedback"], by_hand(module(), *data().tensors), strict=True):
        assert whole.norm() > 0
        assert (g - whole).norm() <= 1e-5 * whole.norm()
