"""Norse neurons that have no conversion, against plain loops over the terms of their update."""

from __future__ import annotations

import norse.torch as norse
import pytest
import torch
from norse.torch.models.conv import ConvNet4
from torch import Tensor, nn

from lfp_snn import LFP, rewards
from lfp_snn.errors import ConfigError, UnknownLayerError
from tests.adapters.norse.networks import BATCH, T, run

DT, N = 0.001, 5


def parameter(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value, dtype=torch.float64))


def shared(reward: Tensor, w: Tensor, i: Tensor, g: float, adapt: Tensor | float = 0.0) -> Tensor:
    """Return the density of a membrane by the reference rule."""
    d = w.abs() + (i - g * w).abs() + abs(adapt)
    return torch.where(d > 0, reward / d, 0.0)


@pytest.mark.parametrize("kind", ["LIF", "LIFBox"])
@pytest.mark.parametrize(("leak", "reset"), [(0.2, -0.3), (0.0, 0.4), (-65.0, -65.0), (-65.0, -70.0)])
def test_leak_reset_and_learnt_parameters(kind: str, leak: float, reset: float) -> None:
    tau, threshold = parameter(150.0), parameter(leak + 1)
    rest, after = parameter(leak), parameter(reset)
    options = {"tau_mem_inv": tau, "v_th": threshold, "v_leak": rest, "v_reset": after}
    cell = getattr(norse, f"{kind}Cell")(getattr(norse, f"{kind}Parameters")(**options), dt=DT)
    x = (8 * torch.rand(T, BATCH, N, dtype=torch.float64)).requires_grad_()
    message = torch.rand(T, BATCH, N, dtype=torch.float64)
    with LFP(epsilon=0.0).context(cell):
        spikes = run(cell, x)
        spikes.backward(message)
    assert cell.p.v_th is threshold

    g, a = DT * 150.0, 1 - DT * 200.0 if kind == "LIF" else 0.0
    u, i, past = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
    for x_t in x.detach():  # u is the membrane away from rest
        jump = i + x_t
        w, u, i = u, (1 - g) * u + g * jump, a * jump
        s = (u > 1).double()
        past.append((w, u, jump, s))
        u = (1 - s) * u + s * (reset - leak)
    assert torch.equal(torch.stack([s for *_, s in past]), spikes)
    assert 0 < spikes.mean() < 1

    g_u, g_i, g_x = torch.zeros_like(u), torch.zeros_like(u), []
    messages = {tau: 0.0, threshold: 0.0, rest: 0.0, after: 0.0}
    for t in reversed(range(T)):
        w, u, jump, s = past[t]
        messages[after] += float((s * g_u).sum())
        n = shared(message[t] + (1 - s) * u * g_u, w, g * jump, g)
        g_i = a * g_i + g * n
        g_x.append(g_i)
        g_u = (1 - g) * n
        messages[tau] += float((DT * (jump - w) * n).sum())
        messages[threshold] -= float(n.sum())
        messages[rest] += float(g * n.sum())
    torch.testing.assert_close(x.grad, torch.stack(g_x[::-1]), rtol=1e-5, atol=1e-7)
    for p, want in messages.items():
        torch.testing.assert_close(p.grad, want * p.detach().abs(), rtol=1e-5, atol=1e-6)
        assert torch.equal(p.feedback, -p.grad)


def test_a_recurrent_layer_with_adapting_thresholds() -> None:
    """Reward goes back through the recurrent weights to the spikes of the step before."""
    cell = norse.LSNNRecurrentCell(4, N, norse.LSNNParameters(tau_adapt_inv=torch.tensor(50.0)), dt=DT).double()
    with torch.no_grad():
        cell.input_weights.mul_(8)
        cell.recurrent_weights.mul_(4)
    W, V = cell.input_weights.detach(), cell.recurrent_weights.detach()
    x = torch.rand(T, BATCH, 4, dtype=torch.float64, requires_grad=True)
    message = torch.rand(T, BATCH, N, dtype=torch.float64)
    with LFP(epsilon=0.0).context(cell):
        spikes = run(cell, x)
        spikes.backward(message)

    g, a, r, kappa = DT * 100.0, 1 - DT * 200.0, 1 - DT * 50.0, float(torch.tensor(1.8))
    v, i, c, z = (torch.zeros(BATCH, N, dtype=torch.float64) for _ in range(4))
    past = []
    for x_t in x.detach():
        w, v, i, c = v, (1 - g) * v + g * i, a * i + x_t @ W.t() + z @ V.t(), r * c
        s = (v > 1 + c).double()
        past.append((w, v, c, s, z))
        v, c, z = (1 - s) * v, c + kappa * s, s
    assert torch.equal(torch.stack([q[3] for q in past]), spikes)
    assert 0 < spikes.mean() < 1

    g_v, g_i, g_c, g_z = (torch.zeros(BATCH, N, dtype=torch.float64) for _ in range(4))
    g_x, g_W, g_V = [], torch.zeros_like(W), torch.zeros_like(V)
    for t in reversed(range(T)):
        w, v, c, s, z = past[t]
        g_x.append(g_i @ W)
        g_W += g_i.t() @ x[t].detach()
        g_V += g_i.t() @ z
        reward = message[t] + s * (kappa * g_c + g_z) + (1 - s) * v * g_v
        n = shared(reward, w, v - (1 - g) * w, g, c)
        g_z = g_i @ V
        g_v, g_i, g_c = (1 - g) * n, a * g_i + g * n, r * (g_c - n)
    torch.testing.assert_close(x.grad, torch.stack(g_x[::-1]), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(cell.input_weights.grad, g_W * W.abs(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(cell.recurrent_weights.grad, g_V * V.abs(), rtol=1e-5, atol=1e-7)


def test_the_network_of_norses_mnist_task() -> None:
    net, x = ConvNet4(), (torch.rand(5, 2, 1, 28, 28) < 0.5).float()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(6)
    want = net(x)
    with LFP().context(net):
        got = net(x)
        rewards.Softmax()(got.amax(0), torch.tensor([1, 3])).backward()
    assert torch.equal(got, want)
    assert want.any()
    for name, p in net.named_parameters():
        assert torch.isfinite(p.grad).all(), name
        assert p.grad.any(), name


@pytest.mark.parametrize("cell", [norse.LIFCell(), norse.LIFRecurrentCell(3, 3), norse.LIFBoxCell()])
def test_sparse_tensors_are_refused(cell: nn.Module) -> None:
    with LFP().context(cell), pytest.raises(ConfigError, match="to_dense"):
        cell(torch.ones(2, 3).to_sparse())


def test_neurons_that_do_not_hold_their_step_are_an_error() -> None:
    cell = norse.CobaLIFCell(3, 3)
    with LFP().context(cell), pytest.raises(UnknownLayerError, match="CobaLIFCell"):
        cell(torch.rand(2, 3))
