"""The reference's training steps, with the imports changed, give the reference's numbers (``lfprop`` 1.0.0)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from lfp_snn import Step
from lfp_snn.adapters.lfprop import propagator_lxt, propagator_snn, reward_functions
from lfp_snn.adapters.lfprop.composites import Composite
from lfp_snn.adapters.lfprop.spiking_networks import SpikingLayer

TOLERANCE = 1e-5
GOLDEN = Path(os.environ.get("LFP_SNN_GOLDEN", Path(__file__).resolve().parents[4] / "shared" / "golden"))


def cases(spiking: bool) -> list[Path]:
    return sorted(path for path in GOLDEN.glob("*.npz") if path.stem.startswith("snn") is spiking)


def read(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)


def build(case: dict[str, Any]) -> tuple[nn.Sequential, list[nn.Module]]:
    """Return the network that a case describes, spiking layers as the reference has them, and its layers in order."""
    layers: list[nn.Module] = []
    for k, text in enumerate(case["layers"]):
        name, _, arguments = str(text).partition("(")
        if name == "LIF":
            last = k == len(case["layers"]) - 1
            options = {"threshold": float(case["threshold"]), "init_hidden": True, "output": last}
            layers.append(snn.Leaky(beta=float(case["beta"]), **options))
        elif name == "Step":
            layers.append(Step())
        else:
            layers.append(getattr(nn, name)(*(int(v) for v in re.findall(r"\d+", arguments))))
    with torch.no_grad():
        for key in case:
            kind, _, rest = key.partition(".")
            index, _, name = rest.partition(".")
            if kind in ("param", "buffer"):
                getattr(layers[int(index)], name).copy_(torch.from_numpy(np.asarray(case[key])))
    blocks: list[nn.Module] = []
    for layer in layers:
        pair = isinstance(layer, snn.Leaky) and isinstance(blocks[-1], nn.Linear | nn.Conv2d)
        blocks.append(SpikingLayer(blocks.pop(), layer) if pair else layer)
    return nn.Sequential(*blocks).train(), layers


def error(ours: Tensor, theirs: np.ndarray) -> float:
    reference = torch.from_numpy(np.asarray(theirs))
    difference = float((ours - reference).norm())
    return difference / float(reference.norm()) if difference else 0.0


def check_feedback(case: dict[str, Any], layers: list[nn.Module]) -> None:
    for key in (k for k in case if k.startswith("feedback.")):
        _, index, name = key.split(".")
        if name == "bias" and isinstance(layers[min(int(index) + 1, len(layers) - 1)], nn.BatchNorm2d):
            continue  # has no true feedback: the batch norm removes it, and what the reference holds is rounding
        parameter: Any = getattr(layers[int(index)], name)
        assert error(parameter.feedback, case[key]) < TOLERANCE, key
        assert torch.equal(parameter.grad, -parameter.feedback), key


@pytest.mark.parametrize("path", cases(spiking=False), ids=lambda p: p.stem)
def test_static_networks(path: Path) -> None:
    """The training step of the reference's README."""
    case = read(path)
    model, layers = build(case)
    inputs = torch.from_numpy(case["input"])
    propagation_composite = propagator_lxt.LFPEpsilonComposite(epsilon=float(case["epsilon"]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.zero_grad()
    with propagation_composite.context(model) as modified:
        inputs = inputs.detach().requires_grad_(True)
        outputs = modified(inputs)
        reward_func = reward_functions.SoftmaxLossReward("cpu")
        reward = torch.from_numpy(reward_func(outputs, torch.from_numpy(case["labels"])).detach().cpu().numpy())
        input_reward = torch.autograd.grad((outputs,), (inputs,), grad_outputs=(reward,), retain_graph=False)[0]
        for _, param in model.named_parameters():
            param.grad = -param.feedback
        check_feedback(case, layers)
        optimizer.step()
    assert error(reward, case["reward"]) < TOLERANCE
    assert error(outputs.detach(), case["output"]) < TOLERANCE
    assert error(input_reward, case["input_relevance"]) < TOLERANCE


@pytest.mark.parametrize("composite", [propagator_snn.LFPSNNEpsilonComposite, propagator_snn.LRPRewardPropagator])
@pytest.mark.parametrize("path", cases(spiking=True), ids=lambda p: p.stem)
def test_spiking_networks(path: Path, composite: type[Composite]) -> None:
    """The training step of the reference's notebook on spiking networks."""
    case = read(path)
    model, layers = build(case)
    n_steps, labels = int(case["timesteps"]), torch.from_numpy(case["labels"])
    inputs = torch.from_numpy(case["input"])
    static = len(inputs) == len(labels) and len(inputs) != n_steps
    reward_func = reward_functions.SnnCorrectClassRewardSpikesRateCoded("cpu")
    with composite().context(model) as modified:
        inputs = inputs.detach().requires_grad_(True)
        u_rec, spk_rec = [], []
        for step in range(n_steps):
            spk_out, u_out = modified(inputs if static else inputs[step])
            u_rec.append(u_out)
            spk_rec.append(spk_out)
        spikes = torch.stack(spk_rec, dim=0)
        reward = torch.from_numpy(reward_func(spikes=spikes, labels=labels).detach().cpu().numpy())
        reward /= n_steps
        input_reward = torch.autograd.grad((spikes,), (inputs,), grad_outputs=(reward,), retain_graph=False)[0]
    for _, param in model.named_parameters():
        param.grad = -param.feedback
    assert torch.equal(spikes, torch.from_numpy(case["spikes"]))
    # Matrix products round otherwise on another processor; the spikes are the same all the same.
    assert error(torch.stack(u_rec).detach(), case["membrane"]) < 1e-6
    assert error(reward, case["reward"]) < TOLERANCE
    assert error(input_reward, case["input_relevance"]) < TOLERANCE
    check_feedback(case, layers)


def test_there_are_cases(golden_dir: Path) -> None:
    assert len(cases(spiking=False)) >= 3
    assert len(cases(spiking=True)) >= 3
