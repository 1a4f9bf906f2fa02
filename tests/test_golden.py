"""The reference implementation's numbers (``lfprop`` 1.0.0): every case of a directory, so more can be dropped in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lfp_snn
from lfp_snn import LFP, LIF, Sequential, Step, input_relevance, rewards

TOLERANCE = 1e-5
GOLDEN = Path(os.environ.get("LFP_SNN_GOLDEN", Path(__file__).resolve().parents[2] / "shared" / "golden"))


def golden_cases() -> list[Path]:
    """List the cases; the ``golden_dir`` fixture says what is wrong when there are none."""
    return sorted(GOLDEN.glob("*.npz"))


def build(case: Any) -> nn.Module:
    """Build the network that a case describes, with its parameters and buffers."""
    layers: list[nn.Module] = []
    for text in case["layers"]:
        name, _, arguments = str(text).partition("(")
        values = [int(v) for v in re.findall(r"\d+", arguments)]
        if name == "LIF":
            layers.append(LIF(beta=float(case["beta"]), threshold=float(case["threshold"])))
        elif name == "Step":
            layers.append(Step())
        else:
            layers.append(getattr(nn, name)(*values))
    net = Sequential(*layers) if "timesteps" in case else nn.Sequential(*layers)
    with torch.no_grad():
        for key in case:
            kind, _, rest = key.partition(".")
            index, _, name = rest.partition(".")
            if kind in ("param", "buffer"):
                getattr(net[int(index)], name).copy_(torch.from_numpy(np.asarray(case[key])))
    return net.train()


def error(ours: Tensor, theirs: np.ndarray) -> float:
    """Norm of the difference over the norm of the reference."""
    reference = torch.from_numpy(np.asarray(theirs))
    difference = float((ours - reference).norm())
    return difference / float(reference.norm()) if difference else 0.0


@pytest.mark.parametrize("path", golden_cases(), ids=lambda p: p.stem)
def test_golden(path: Path) -> None:
    with np.load(path) as file:
        case = dict(file)
    net = build(case)
    x = torch.from_numpy(case["input"]).requires_grad_()
    static = "timesteps" in case and len(x) == len(case["labels"]) and len(x) != int(case["timesteps"])
    steps = {"steps": int(case["timesteps"])} if static else {}
    with LFP(epsilon=float(case["epsilon"])).context(net):
        output = net(x, **steps)
        reward = torch.from_numpy(case["reward"])
        loss = rewards.Given()(output, reward)
        (loss * output.shape[-2]).backward()
    if "spikes" in case:
        assert torch.equal(output, torch.from_numpy(case["spikes"]))
    else:
        assert error(output.detach(), case["output"]) < TOLERANCE
    for key in (k for k in case if k.startswith("feedback.")):
        _, index, name = key.split(".")
        if name == "bias" and isinstance(net[min(int(index) + 1, len(net) - 1)], nn.BatchNorm2d):
            continue  # has no true feedback: the batch norm removes it, and what the reference holds is rounding
        parameter = getattr(net[int(index)], name)
        assert error(-parameter.grad, case[key]) < TOLERANCE, key
        assert torch.equal(parameter.feedback, -parameter.grad), key
    assert error(input_relevance(x), case["input_relevance"]) < TOLERANCE


def test_the_rate_coded_reward_is_the_reference_s(golden_dir: Path) -> None:
    with np.load(golden_dir / "snn_mlp_events.npz") as case:
        ours = rewards.RateCoded().reward(torch.from_numpy(case["spikes"]), torch.from_numpy(case["labels"]))
        assert error(ours, case["reward"]) < 1e-6


def test_the_softmax_reward_is_the_reference_s(golden_dir: Path) -> None:
    with np.load(golden_dir / "lenet_relu.npz") as case:
        ours = rewards.Softmax().reward(torch.from_numpy(case["output"]), torch.from_numpy(case["labels"]))
        assert error(ours, case["reward"]) < 1e-6


def test_there_are_cases(golden_dir: Path) -> None:
    assert len(golden_cases()) >= 6
    assert lfp_snn.__version__
