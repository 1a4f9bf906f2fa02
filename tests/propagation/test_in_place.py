"""Operations in place: the values they have without LFP, and the feedback of the same network written without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lfp_snn import LFP, LIF, Sequential, rewards
from lfp_snn.errors import UnknownLayerError
from lfp_snn.rules import Gamma

EPSILON = 1e-9


class Net(nn.Module):
    """Two layers of the same input, whose outputs meet in ``join``."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 4)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.join(self.first(x), self.second(x)))


def written(source: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return ``source``, statements about ``h`` and ``o``, as a function that returns ``h``."""
    scope: dict[str, Any] = {"torch": torch, "F": F}
    exec("def join(h, o):\n" + "".join(f"    {line.strip()}\n" for line in source.split(";")) + "    return h", scope)
    return scope["join"]  # type: ignore[no-any-return]


def run(join: Callable[[Tensor, Tensor], Tensor], lfp: LFP | None = None) -> tuple[Tensor, list[Tensor]]:
    """Return the output, and the feedback of each parameter (0 where there is none)."""
    torch.manual_seed(1)
    net, x, y = Net(join).double(), torch.randn(5, 6).double(), torch.tensor([0, 1, 2, 3, 0])
    with (lfp or LFP(epsilon=EPSILON)).context(net):
        z = net(x)
        rewards.Softmax()(z, y).backward()
    return z.detach(), [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]


def assert_equal(given: str, expected: str, lfp: LFP | None = None) -> None:
    torch.manual_seed(1)
    net, x = Net(written(given)).double(), torch.randn(5, 6).double()
    (z, feedback), (z_expected, feedback_expected) = run(written(given), lfp), run(written(expected), lfp)
    assert torch.equal(z, net(x))  # as without LFP
    assert torch.equal(z, z_expected)
    assert any(f.norm() > 0 for f in feedback_expected[2:])
    for f, g in zip(feedback, feedback_expected, strict=True):
        assert (f - g).norm() <= 1e-6 * g.norm()


FORMS = {
    # sums
    "h.add_(o)": "h = h + o",
    "h.add_(o, alpha=2)": "h = torch.add(h, o, alpha=2)",
    "h += o": "h = h + o",
    "h.sub_(o)": "h = h - o",
    "h -= o": "h = h - o",
    "h.add_(h)": "h = h + h",
    "acc = torch.zeros_like(h); acc.add_(h); acc.add_(o); h = acc": "h = torch.zeros_like(h) + h + o",
    # products and quotients
    "h.mul_(o)": "h = h * o",
    "h *= o": "h = h * o",
    "h.mul_(2)": "h = h * 2",
    "h.mul_(h)": "h = h * h",
    "h.div_(o)": "h = h / o",
    "h /= 3": "h = h / 3",
    "acc = torch.ones_like(h); acc.mul_(o); h = acc": "h = torch.ones_like(o) * o",
    # activations
    "h.relu_(); h = h + o": "h = h.relu() + o",
    "F.relu(h, inplace=True); h = h + o": "h = F.relu(h) + o",
    "F.relu(input=h, inplace=True); h = h + o": "h = F.relu(h) + o",
    "F.relu(h, True); h = h + o": "h = F.relu(h) + o",
    "torch.relu_(h); h = h + o": "h = torch.relu(h) + o",
    "F.leaky_relu(h, 0.1, True); h = h + o": "h = F.leaky_relu(h, 0.1) + o",
    "F.leaky_relu_(h, 0.1); h = h + o": "h = F.leaky_relu(h, 0.1) + o",
    "F.hardtanh(h, -0.5, 0.5, True); h = h + o": "h = F.hardtanh(h, -0.5, 0.5) + o",
    "F.silu(h, inplace=True); h = h + o": "h = F.silu(h) + o",
    "h.tanh_(); h.add_(o)": "h = h.tanh() + o",
    "h.clamp_(min=0.1); h = h + o": "h = h.clamp(min=0.1) + o",
    "h **= 2; h = h + o": "h = h.pow(2) + o",
    # choices and moves
    "h[0] = o[0]": "h = torch.cat([o[:1], h[1:]])",
    "h[:, 2:4] = o[:, :2]": "h = torch.cat([h[:, :2], o[:, :2], h[:, 4:]], 1)",
    "acc = torch.zeros_like(h); acc[0] = h[0]; acc[1:] = o[1:]; h = acc": "h = torch.cat([h[:1], o[1:]])",
    "h.index_add_(0, torch.tensor([1, 1]), o[:2])": "h = h.index_add(0, torch.tensor([1, 1]), o[:2])",
    "h.masked_fill_(h > 0, 0.5); h = h + o": "h = h.masked_fill(h > 0, 0.5) + o",
    "h.neg_(); h = h + o": "h = -h + o",
    "h.copy_(o)": "h = o.clone()",
    "h.zero_(); h.add_(o)": "h = torch.zeros_like(h) + o",
    "acc = h.new_zeros(2, 5, 8); acc[0].copy_(h); acc[1].copy_(o); h = acc.sum(0)": "h = torch.stack([h, o]).sum(0)",
    "F.dropout(h, 0.0, True, True); h = h + o": "h = F.dropout(h, 0.0) + o",
    "h.detach_(); h.add_(o)": "h = h.detach() + o",
    # views of the same values, both ways
    "h[0] += o[0]": "h = torch.cat([h[:1] + o[:1], h[1:]])",
    "h[0].add_(o[0])": "h = torch.cat([h[:1] + o[:1], h[1:]])",
    "h[0].relu_(); h = h + o": "h = torch.cat([h[:1].relu(), h[1:]]) + o",
    "v = h.view(-1); v.add_(1.0); h = h + o": "h = (h + 1.0) + o",
    "v = h[1:]; v.mul_(3.0); h = h + o": "h = torch.cat([h[:1], h[1:] * 3.0]) + o",
    "v = h.narrow(1, 0, 4); v.mul_(o[:, :4])": "h = torch.cat([h[:, :4] * o[:, :4], h[:, 4:]], 1)",
    "v = h.T; h.add_(o); h = v.T": "h = (h + o).T.T",
    # what was used before it was overwritten
    "s = h - 1; h.mul_(2); h = h + s + o": "s = h - 1; h = h * 2 + s + o",
    "s = F.gelu(h); h.mul_(o); h = h + s": "s = F.gelu(h); h = h * o + s",
    "s = h.relu(); s.add_(o); h = s": "h = h.relu() + o",
    "h.relu_(); h.add_(o); h.relu_(); h.mul_(2)": "h = (h.relu() + o).relu() * 2",
    "s = F.dropout(h, 0.5, False); s.add_(o)": "h = h + o",
    "s = h.double(); s.mul_(o)": "h = h * o",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_statement_in_place_is_its_spelling_out_of_place(form: str) -> None:
    assert_equal(form, FORMS[form])


@pytest.mark.parametrize("form", ["h.relu_(); h = h + o", "h.add_(o); h.relu_()", "h.mul_(o)", "h[0].add_(o[0])"])
def test_under_a_rule_with_parts(form: str) -> None:
    assert_equal(form, FORMS.get(form, "h = (h + o).relu()"), LFP(rule=Gamma(0.5, EPSILON)))


STEPS = {
    "h.add_(o)": "h = h + o",
    "h.mul_(0.5)": "h = h * 0.5",
    "h.mul_(o)": "h = h * o",
    "F.relu(h, inplace=True)": "h = F.relu(h)",
    "h.tanh_()": "h = h.tanh()",
    "h[1] = o[2]": "h = torch.cat([h[:1], o[2:3], h[2:]])",
    "h[2:].sub_(o[2:])": "h = torch.cat([h[:2], h[2:] - o[2:]])",
    "s = s + h": "s = s + h",
    "s.add_(h)": "s = s + h",
}


@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6))
def test_any_sequence_of_statements(steps: list[str]) -> None:
    source = "s = torch.zeros_like(o); {}; h = h + s + o"
    assert_equal(source.format("; ".join(steps)), source.format("; ".join(STEPS[s] for s in steps)))


@pytest.mark.parametrize("form", ["torch.add(h, o, out=h)", "torch.tanh(h, out=torch.empty_like(h))"])
def test_out_is_an_error_that_says_what_to_write(form: str) -> None:
    name = form.partition("(")[0]
    with pytest.raises(UnknownLayerError, match=rf"{name}\(\.\.\., out=y\): write y = {name}"):
        run(written(form))


def test_what_has_no_rule_is_named() -> None:
    with pytest.raises(UnknownLayerError, match="addcmul_"):
        run(written("h.addcmul_(h, o)"))


def test_modules_in_place_are_seen_by_who_holds_the_tensor() -> None:
    """``x + body(x)`` where the body begins with an activation in place: torch adds the activation, not ``x``."""

    class Block(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.first, self.second, self.act = nn.Linear(6, 6), nn.Linear(6, 6), nn.ReLU(inplace)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            y = self.act(x)
            return (x if self.act.inplace else y) + self.second(y)

    nets = [Block(True), Block(False)]
    nets[1].load_state_dict(nets[0].state_dict())
    x, outputs = torch.randn(4, 6), []
    for net in nets:
        with LFP().context(net):
            outputs.append(net(x))
            rewards.Softmax()(outputs[-1], torch.arange(4)).backward()
    assert torch.equal(outputs[0], nets[0](x))
    assert torch.equal(*outputs)
    for p, q in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-5, atol=1e-8)


def test_a_loop_over_time_that_updates_its_membrane_in_place() -> None:
    class Loop(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.fc, self.head, self.inplace = nn.Linear(6, 8), nn.Linear(8, 4), inplace

        def forward(self, x: Tensor) -> Tensor:
            mem, out = x.new_zeros(len(x), 8), x.new_zeros(len(x), 4)
            for _ in range(4):
                if self.inplace:
                    mem.mul_(0.9).add_(self.fc(x))
                    out.add_(self.head(F.relu(mem - 0.5)))
                else:
                    mem = mem * 0.9 + self.fc(x)
                    out = out + self.head(F.relu(mem - 0.5))
            return out

    nets = [Loop(True).double(), Loop(False).double()]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(4, 6).double()
    for net in nets:
        with LFP().context(net):
            z = net(x)
            rewards.Softmax()(z, torch.arange(4)).backward()
        assert torch.equal(z, net(x))
    for p, q in zip(*(net.parameters() for net in nets), strict=True):
        assert p.grad.norm() > 0
        torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("under_lfp", [True, False])
def test_spikes_may_be_overwritten(under_lfp: bool) -> None:
    class Skip(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.body, self.inplace = Sequential(nn.Linear(6, 6), LIF()), inplace

        def forward(self, x: Tensor) -> Tensor:
            spikes = self.body(x)
            if self.inplace:
                spikes += x
                return spikes
            return spikes + x

    nets = [Skip(True), Skip(False)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = (torch.rand(5, 3, 6) < 0.5).float()
    for net in nets:
        if under_lfp:
            with LFP().context(net):
                rewards.Softmax()(net(x), torch.arange(3)).backward()
        else:
            net(x).square().sum().backward()
    for p, q in zip(*(net.parameters() for net in nets), strict=True):
        assert p.grad.norm() > 0
        assert torch.equal(p.grad, q.grad)


def test_where_autograd_forbids_it_the_error_says_what_to_write() -> None:
    class Halves(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return g

    def join(h: Tensor, o: Tensor) -> Tensor:
        with torch._C.DisableTorchFunction():
            h = Halves.apply(h)
        h.add_(o)
        return h

    with pytest.raises(UnknownLayerError, match=r"torch.Tensor.add_ cannot overwrite .* work on x.clone()"):
        run(join)


def test_parameters_put_together_in_place_are_scaled_once() -> None:
    class Joined(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.a, self.b, self.inplace = nn.Parameter(torch.randn(2, 6)), nn.Parameter(torch.randn(3, 6)), inplace

        def forward(self, x: Tensor) -> Tensor:
            if not self.inplace:
                return F.linear(x, torch.cat([self.a, self.b]))
            weight = torch.zeros(5, 6)
            weight[:2] = self.a
            weight[2:] = self.b
            return F.linear(x, weight)

    nets = [Joined(True), Joined(False)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(4, 6)
    for net in nets:
        with LFP(rule=Gamma(0.5)).context(net):
            rewards.Softmax()(net(x), torch.arange(4)).backward()
    for p, q in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
