from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lfp_snn import LI, LIF, Sequential
from lfp_snn.explain import Relevance
from lfp_snn.explain.sanity import randomised


class Input:
    """Explains nothing but the input."""

    def __init__(self, network: nn.Module) -> None:
        pass

    def __call__(self, x: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        return x * torch.arange(x[0, 0].numel(), dtype=x.dtype).reshape(x.shape[2:])


def test_what_does_not_look_at_the_network_is_found_out() -> None:
    torch.manual_seed(0)
    net = Sequential(nn.Conv2d(1, 4, 3), LIF(), nn.Flatten(), nn.Linear(64, 16), LIF(), nn.Linear(16, 3), LI())
    with torch.no_grad():
        for k in (0, 3, 5):
            net[k].weight.mul_(3)
    x = (torch.rand(8, 6, 1, 6, 6) > 0.5).float()
    before = copy.deepcopy(net.state_dict())
    found = randomised(net, {"LFP": Relevance, "input": Input}, x, torch.zeros(6, dtype=torch.int64))
    assert list(found["LFP"]) == ["5", "3", "0"]
    assert all(c > 0.999 for c in found["input"].values())
    assert max(found["LFP"].values()) < 0.9
    assert abs(found["LFP"]["0"]) < 0.3  # of the trained order nothing is left
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_no_reasons_have_no_correlation() -> None:
    net = Sequential(nn.Linear(4, 3), LI())
    nn.init.zeros_(net[0].weight)
    found = randomised(net, {"LFP": Relevance}, torch.ones(3, 2, 4), torch.tensor([0, 1]))
    assert found == {"LFP": {"0": 0.0}}
