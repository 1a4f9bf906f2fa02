"""Learning-rate schedules."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lfp_snn.training.schedules import SCHEDULES


def rates(
    name: str, steps: int, optimizer: type[torch.optim.Optimizer] = torch.optim.SGD, **options: float
) -> list[float]:
    opt = optimizer([nn.Parameter(torch.zeros(1))], lr=0.5)  # type: ignore[call-arg]
    scheduler = SCHEDULES[name](opt, steps, **options)
    seen = []
    for _ in range(steps):
        seen.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return seen


def test_constant() -> None:
    assert rates("constant", 5) == [0.5] * 5


def test_warmup_rises_to_the_rate() -> None:
    seen = rates("constant", 10, warmup=0.4)
    assert seen[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert seen[4:] == pytest.approx([0.5] * 6)


def test_cosine_falls_to_its_final_share() -> None:
    seen = rates("cosine", 100, final=0.1)
    expected = [0.5 * (0.1 + 0.9 * (1 + math.cos(math.pi * k / 100)) / 2) for k in range(100)]
    assert seen == pytest.approx(expected)


def test_step_drops_in_time() -> None:
    assert rates("step", 9, gamma=0.5) == pytest.approx([0.5] * 3 + [0.25] * 3 + [0.125] * 3)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_one_cycle_peaks_at_the_rate(optimizer: type[torch.optim.Optimizer]) -> None:
    seen = rates("one-cycle", 100, optimizer, warmup=0.3)
    assert seen[0] == pytest.approx(0.5 * 0.04)
    assert max(seen) == pytest.approx(0.5)
    assert 25 <= seen.index(max(seen)) <= 32
    assert seen[-1] == pytest.approx(0.5 * 4e-6)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_very_short_trainings(name: str, steps: int) -> None:
    assert len(rates(name, steps)) == steps


@pytest.mark.parametrize("name", SCHEDULES)
def test_goes_on_from_its_state(name: str) -> None:
    def fresh() -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        opt = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=0.5)
        return opt, SCHEDULES[name](opt, 20)

    one, scheduler = fresh()
    for _ in range(7):
        one.step()
        scheduler.step()
    other, again = fresh()
    other.load_state_dict(one.state_dict())
    again.load_state_dict(scheduler.state_dict())
    for _ in range(13):
        assert other.param_groups[0]["lr"] == one.param_groups[0]["lr"]
        assert other.param_groups[0]["betas"] == one.param_groups[0]["betas"]
        for o, s in ((one, scheduler), (other, again)):
            o.step()
            s.step()
