"""Rewards: their formulas against those of the reference written out, masking, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lfp_snn import LFP, LIF, Sequential
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.rewards import (
    REWARDS,
    BinarySigmoid,
    BoundedSoftmax,
    CorrectClass,
    FromLoss,
    Given,
    Homeostasis,
    Judged,
    Maximise,
    Minimise,
    Misclassification,
    RateCoded,
    RateSoftmax,
    Regression,
    Reward,
    Sigmoid,
    Softmax,
    scores,
)

Z = torch.tensor([[1.5, -0.5, 0.2], [-1.0, 2.0, 2.5]])
Y = torch.tensor([0, 1])
ONE_HOT = torch.tensor([[1.0, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (Softmax(), Z * (ONE_HOT - torch.softmax(Z, 1))),
        (Sigmoid(), Z * (ONE_HOT - torch.sigmoid(Z))),
        (BoundedSoftmax(0.1, 0.6), Z * (ONE_HOT - torch.tensor([[1.0, 0.0, 0.1909], [0.0, 0.3716, 1.0]]))),
        (CorrectClass(), torch.tensor([[1.0, 0, 0], [0, 0, 0]])),
        (Misclassification(), torch.tensor([[0.0, 0, 0], [0, 0, -1]])),
        (Maximise(), Z.sign() * (1 - torch.sigmoid(Z))),
        (Minimise(), -Z.sign() * (1 - torch.sigmoid(Z))),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Reward) else "",
)
def test_the_reference_s_formulas(reward: Reward, expected: Tensor) -> None:
    if isinstance(reward, BoundedSoftmax):
        p = torch.softmax(Z, 1)
        expected = Z * (ONE_HOT - torch.where(p > 0.6, 1.0, torch.where(p < 0.1, 0.0, p)))
    torch.testing.assert_close(reward.reward(Z, Y), expected)


def test_sign_only_bounds_the_reward() -> None:
    reward = BoundedSoftmax(0.0, 1.0, sign_only=True).reward(Z, Y)
    torch.testing.assert_close(reward, Z.sign() * (ONE_HOT - torch.softmax(Z, 1)))


def test_binary_sigmoid() -> None:
    z, y = torch.tensor([[0.5], [-2.0]]), torch.tensor([1.0, 0.0])
    torch.testing.assert_close(BinarySigmoid().reward(z, y), z * (y[:, None] - torch.sigmoid(z)))


def test_rate_coded_is_the_reference_s_per_step() -> None:
    spikes = (torch.rand(15, 4, 3) < 0.4).float()
    y = torch.tensor([0, 1, 2, 0])
    one_hot = F.one_hot(y, 3).float().expand(15, 4, 3)
    positive = 1 - torch.sigmoid(spikes.sum(0, keepdim=True) - 15 // 2)
    negative = 1 - torch.sigmoid((spikes - 1).abs().sum(0, keepdim=True) - 15 // 2)
    expected = torch.where(one_hot == 1, torch.ones_like(spikes) * positive, -spikes * negative) / 15
    torch.testing.assert_close(RateCoded().reward(spikes, y), expected)


DIFFERENTIABLE = [
    (Softmax(), Y),
    (Softmax(scale=3.0), Y),
    (Sigmoid(), Y),
    (BinarySigmoid(), ONE_HOT),
    (Regression(), torch.randn(2, 3)),
    (FromLoss(F.cross_entropy), Y),
]


@pytest.mark.parametrize(("reward", "y"), DIFFERENTIABLE, ids=lambda v: repr(v)[:20] if isinstance(v, Reward) else "")
@pytest.mark.parametrize("over_time", [False, True])
def test_the_reward_is_minus_output_times_the_derivative_of_its_loss(
    reward: Reward, y: Tensor, over_time: bool
) -> None:
    """The definition of a reward from a loss (arXiv 2308.12053, eq. for differentiable objectives)."""
    z = (torch.randn(5, 2, 3) if over_time else Z).clone().requires_grad_()
    lengths = torch.tensor([3, 5]) if over_time else None
    reward.loss(z, y, lengths).backward()
    torch.testing.assert_close(reward.reward(z.detach(), y, lengths), -z.detach() * z.grad * 2, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("reward", [RateCoded(), RateSoftmax()], ids=repr)
def test_spike_rewards_lower_their_loss(reward: Reward) -> None:
    torch.manual_seed(0)
    net, x, y = Sequential(nn.Linear(12, 4), LIF()), torch.rand(16, 12), torch.arange(16) % 4
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    before = reward.loss(net(x, steps=12), y).item()
    for _ in range(60):
        optimizer.zero_grad()
        with LFP(scale_floor=0.01).context(net):
            reward(net(x, steps=12), y).backward()
        optimizer.step()
    assert reward.loss(net(x, steps=12), y).item() < 0.8 * before


NAMED: list[tuple[str, Callable[..., Reward], Tensor]] = [
    *((name, make, Y) for name, make in REWARDS.items()),
    ("binary-sigmoid", BinarySigmoid, ONE_HOT),
    ("regression", Regression, Z + 1),
    ("judged", Judged, torch.tensor([1.0, -0.5])),
]


@pytest.mark.parametrize(("name", "make", "y"), NAMED, ids=[n for n, *_ in NAMED])
@given(data=st.data())
@settings(max_examples=10)
def test_padding_changes_nothing(name: str, make: Callable[..., Reward], y: Tensor, data: st.DataObject) -> None:
    """A batch padded with anything rewards valid steps as alone, the padding not at all."""
    lengths = torch.tensor(data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=2)))
    g = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    output = (torch.rand(6, 2, 3, generator=g) < 0.5).float()
    if name not in ("rate", "rate-softmax"):
        output = output + torch.rand(6, 2, 3, generator=g)
    reward = make()
    whole = reward.reward(output, y, lengths)
    for b in range(2):
        n = int(lengths[b])
        alone = reward.reward(output[:n, b : b + 1], y[b : b + 1], lengths[b : b + 1])
        torch.testing.assert_close(whole[:n, b : b + 1], alone)
        assert (whole[n:, b] == 0).all()
    torch.testing.assert_close(reward(output.requires_grad_(), y, lengths), -whole.sum() / 2)


def test_calling_sends_the_reward_not_a_gradient() -> None:
    z = Z.clone().requires_grad_()
    value = Softmax()(z, Y)
    assert value.item() == pytest.approx(float(-Softmax().reward(Z, Y).sum() / 2))
    value.backward()
    torch.testing.assert_close(z.grad, -Softmax().reward(Z, Y) / 2)


def test_judged_rewards_the_decision() -> None:
    assert Judged(baseline=0.5).reward(Z, torch.tensor([1.0, 0.0])).tolist() == [[0.5, 0, 0], [-0.0, -0.0, -0.5]]


def test_scores_is_the_rate_over_valid_steps() -> None:
    output = torch.tensor([1.0, 0.0, 1.0]).reshape(3, 1, 1)
    assert scores(output).item() == pytest.approx(2 / 3)
    assert scores(output, torch.tensor([2])).item() == pytest.approx(0.5)


def test_maximise_one_neuron() -> None:
    reward = Maximise(neuron=1).reward(Z, Y)
    assert (reward[:, [0, 2]] == 0).all()
    assert (reward[:, 1] != 0).all()


SPIKES = torch.zeros(4, 2, 3)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: Softmax()(torch.zeros(3), Y), ShapeError, r"\[B, C\] or \[T, B, C\]"),
        (lambda: Softmax()(torch.zeros(0, 3), Y[:0]), ShapeError, "empty"),
        (lambda: RateCoded()(torch.zeros(0, 2, 3), Y), ShapeError, "empty"),
        (lambda: Softmax()(torch.full((2, 3), torch.nan), Y), ValueError, "NaN"),
        (lambda: Softmax()(Z, Y[:1]), ShapeError, r"shape \[2\]"),
        (lambda: Softmax()(Z, Y.float()), ShapeError, "class numbers"),
        (lambda: Softmax()(Z, torch.tensor([0, 3])), ShapeError, r"0\.\.2"),
        (lambda: Softmax()(Z, torch.tensor([-1, 0])), ShapeError, r"0\.\.2"),
        (lambda: RateCoded()(Z, Y), ShapeError, "spikes"),
        (lambda: RateCoded()(SPIKES, Y, torch.tensor([5, 1])), ShapeError, r"1\.\.4"),
        (lambda: RateCoded()(SPIKES, Y, torch.tensor([0, 1])), ShapeError, r"1\.\.4"),
        (lambda: RateCoded()(SPIKES, Y, torch.tensor([1])), ShapeError, "lengths"),
        (lambda: Softmax()(Z, Y, torch.tensor([1, 1])), ShapeError, "no time axis"),
        (lambda: Given()(Z, Y), ShapeError, "must be the output's"),
        (lambda: Judged()(Z, Z), ShapeError, "one score a sample"),
        (lambda: Regression()(Z, torch.zeros(5)), ShapeError, "does not fit"),
        (lambda: Maximise(neuron=7)(Z, Y), ShapeError, "no output neuron 7"),
        (lambda: Homeostasis(low=0.5, high=0.1), ValueError, "low <= high"),
        (lambda: CorrectClass().loss(Z, Y), NotImplementedError, "no differentiable counterpart"),
    ],
)
def test_wrong_use(call: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_a_loss_of_the_mean_output_or_of_every_step() -> None:
    z = torch.randn(5, 2, 3)
    mean = FromLoss(F.cross_entropy)
    torch.testing.assert_close(mean.reward(z, Y), mean.reward(z, Y, torch.tensor([5, 5])))
    every = FromLoss(lambda output, target: F.cross_entropy(output.flatten(0, 1), target.repeat(5)), every_step=True)
    torch.testing.assert_close(every.reward(z, Y), torch.stack([mean.reward(x, Y) for x in z]) / 5)
    with pytest.raises(ConfigError, match="padding"):
        every.reward(z, Y, torch.tensor([5, 3]))


def test_many_outputs_of_16_bits_are_finite() -> None:
    assert Softmax()(torch.full((70_000, 2), 1.0, dtype=torch.float16), torch.zeros(70_000).long()).isfinite()


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8, torch.bool])
def test_class_numbers_of_any_whole_type(dtype: torch.dtype) -> None:
    assert torch.equal(Softmax().reward(Z, Y.to(dtype)), Softmax().reward(Z, Y))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Softmax()(Z, [0, 1]), "targets must be a tensor of class numbers"),
        (lambda: RateCoded()(torch.zeros(2, 5, 3), Y), r"class numbers of shape \[5\], got .* \[2\]; time comes first"),
        (lambda: BinarySigmoid()(Z, ONE_HOT.t()), r"targets must have the shape of the scores \[2, 3\], got \[3, 2\]"),
    ],
)
def test_targets_that_do_not_fit(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        call()


@pytest.mark.parametrize("reward", [Maximise(), Minimise(), CorrectClass(), Misclassification()], ids=repr)
def test_zeros_of_16_bits(reward: Reward) -> None:
    assert reward.reward(torch.zeros(2, 3, dtype=torch.float16), Y).isfinite().all()
