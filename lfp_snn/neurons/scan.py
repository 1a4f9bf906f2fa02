"""One differentiable operation for all steps of a spiking neuron: one forward pass, two backward passes.

The forward pass is the neuron's scan. The backward pass shares reward out by a sharing rule (LFP) or back-propagates a
gradient with a surrogate derivative. Both need the membrane only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lfp_snn.kernels import Dynamics, Parameters, Start, select
from lfp_snn.neurons.ambient import RateTerm
from lfp_snn.neurons.half import round_membrane
from lfp_snn.neurons.later import Place
from lfp_snn.neurons.spare import is_spare
from lfp_snn.neurons.surrogate import Surrogate
from lfp_snn.rules.sharing import Sharing

Carry = tuple[Tensor, Tensor | None]


class Record(NamedTuple):
    r"""What a neuron keeps of a backward pass, each ``[T, B, ...]``.

    Attributes
    ----------
    spikes : Tensor
        What the neurons fired.
    relevance : Tensor
        Reward of each spike.
    membrane : Tensor
        The membrane :math:`v_t` that was compared with the threshold.
    threshold : Tensor
        That threshold, with adaptation.
    carried : Tensor
        Reward :math:`Q = \beta w\, n_t` that a step passes back to the step before, where the membrane came from. Zeros
        where a constant current's message was summed over time.
    """

    spikes: Tensor
    relevance: Tensor
    membrane: Tensor
    threshold: Tensor
    carried: Tensor


@dataclass
class Backward:
    """How one call of a neuron answers the message that comes back to it.

    ``readout`` is set after the forward pass on the neuron whose spikes are the network's output: the message it
    receives is the reward itself, so that silent output neurons can be rewarded. ``integrates`` is set where the
    output is not spikes: a neuron that runs step by step and whose spikes nobody takes is an integrator then. With
    ``half`` the membrane is kept in 16 bits.
    """

    sharing: Sharing | None
    surrogate: Surrogate
    rate_term: RateTerm | None = None
    record: Callable[[Record], None] | None = None
    readout: bool = False
    integrates: bool = False
    half: bool = False
    place: Place = field(default_factory=Place)

    def scan(
        self,
        message: Tensor,
        v: Tensor,
        p: Parameters,
        start: Start,
        carry: Carry,
        dynamics: Dynamics,
        static: bool,
        over: bool = False,
    ) -> tuple[Tensor, Carry]:
        """Answer ``message`` ``[T, B, N]`` with that of the current, and the carry of membrane and adaptation.

        ``over``: nobody needs the membrane afterwards, and the answer may take its place.
        """
        kernels, s = select(v), self.surrogate
        if self.sharing is not None:
            rule = self.sharing
            readout = (rule.denominator, rule.epsilon, self.readout)
            return kernels.backward_lfp(message, v, p, start, carry, dynamics, *readout, static, over)  # type: ignore[no-any-return]
        how = (type(s).derivative, s.slope, s.attach_reset)
        return kernels.backward_surrogate(message, v, p, start, carry, dynamics, *how, static, over)  # type: ignore[no-any-return]

    def kept(self, v: Tensor, spikes: Tensor, p: Parameters, start: Start) -> Tensor:
        """Return the membrane ``[T, B, N]`` as it is to be kept for the backward pass."""
        return round_membrane(v, spikes, threshold_of(spikes, p, start)) if self.half else v

    def keep(
        self, message: Tensor, n: Tensor, v: Tensor, spikes: Tensor, p: Parameters, start: Start, dynamics: Dynamics
    ) -> None:
        """Record what came to the spikes, each ``[T, B, N]``, and the density ``n`` of the membrane's terms."""
        if self.record is None:
            return
        threshold, carried = threshold_of(spikes, p, start), torch.zeros_like(v)
        if len(n) == len(v):
            carried = -p.beta * _carried(v, spikes, p, start, dynamics) * n
        relevance = -message if self.readout else -message * spikes
        self.record(Record(spikes, relevance, v, threshold.expand_as(v), carried))

    def after(self, answer: Tensor, spikes: Tensor | None, shape: torch.Size) -> None:
        """Add the homeostatic term to the answer, where it is wanted; ``shape`` is that of the spikes."""
        if spikes is None:
            return
        if self.rate_term is not None and not self.readout:
            (steps, batch), (mean, all_steps) = shape[:2], self.place.rate()
            rate = mean.reshape(shape[2], -1).mean(1)  # per neuron, or per channel of a feature map
            each = self.rate_term.density(rate) / (all_steps * batch) * (steps // len(answer))
            answer -= each[:, None].expand(-1, answer.shape[2] // len(each)).reshape(-1)

    @property
    def takes_reward(self) -> bool:
        """Whether what comes back is shared out as a reward (:mod:`lfp_snn.rewards.arrival`)."""
        return self.sharing is not None

    @property
    def needs_spikes(self) -> bool:
        """Whether the spikes themselves must be kept for the backward pass."""
        return self.record is not None or self.rate_term is not None


def adaptation(spikes: Tensor, p: Parameters, start: Start) -> Tensor | None:
    """Return the adaptation ``a[t]`` that each step's threshold used, ``[T, B, N]``, or ``None`` without adaptation."""
    if start.a is None or p.rho is None:
        return None
    spikes_before = torch.cat([start.a[None] - p.rho * start.a, spikes[:-1]])
    history: Tensor = select(spikes).filter_forward(spikes_before, p.rho, start.a, len(spikes))
    return history


def threshold_of(spikes: Tensor, p: Parameters, start: Start) -> Tensor:
    """Return the threshold of each step, with adaptation ``[T, B, N]``, else ``[N]`` or ``[1]``."""
    a = adaptation(spikes, p, start)
    return p.theta if a is None or p.kappa is None else p.theta + p.kappa * a


def _carried(v: Tensor, spikes: Tensor, p: Parameters, start: Start, dynamics: Dynamics) -> Tensor:
    """Return the membrane that decays into each step, ``[T, B, N]``."""
    s_prev, v_prev = torch.cat([start.s[None], spikes[:-1]]), torch.cat([start.v[None], v[:-1]])
    if dynamics.reset == "zero":
        return v_prev * (1 - s_prev)
    return v_prev if dynamics.reset == "none" or dynamics.delayed else v_prev - s_prev * p.theta


def parameter_messages(
    answer: Tensor,
    v: Tensor,
    spikes: Tensor,
    p: Parameters,
    start: Start,
    dynamics: Dynamics,
    lfp: bool,
    after: tuple[Tensor, Tensor | None] | None = None,
) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor | None]]:
    """Return the messages of the neuron's own parameters (before any scaling), each ``[N]``.

    ``after`` is what the step after the last answers, and the message of its adaptation; those of the first step are
    the second value.

    Every parameter is a weight of the state update: decay times membrane, minus threshold times reset, and so on. The
    threshold (base and adapting) is also what the membrane is compared with: a term ``-theta`` of the decision.
    """
    s_prev, a = torch.cat([start.s[None], spikes[:-1]]), adaptation(spikes, p, start)
    carried = _carried(v, spikes, p, start, dynamics)
    through = p.beta * (1 - spikes) if dynamics.reset == "zero" else p.beta
    # The message of the decision "membrane against threshold": for a gradient, without what came through the membrane.
    next_answer, next_a = (torch.zeros_like(answer[0]), None) if after is None else after
    later = torch.cat([answer[1:], next_answer[None]])
    decision = answer if lfp else answer - through * later
    theta = -decision
    if dynamics.reset == "subtract":
        theta = theta - s_prev * answer * (1 if dynamics.delayed else p.beta)
    messages = {"beta": (carried * answer).sum((0, 1)), "theta": theta.sum((0, 1))}
    first = None
    if a is not None and p.kappa is not None and p.rho is not None:
        g_a, first = select(v).filter_backward(-p.kappa * decision, p.rho, False, next_a)
        messages["kappa"] = (-a * decision).sum((0, 1))
        # The adaptation before a step decays into it; what decays into the first step is that of the start.
        messages["rho"] = (a[:-1] * g_a[1:]).sum((0, 1))
        if next_a is not None:
            messages["rho"] += (a[-1] * next_a).sum(0)
    return messages, (answer[0].clone(), first)


def fit(message: Tensor, parameter: Tensor, features: torch.Size) -> Tensor:
    """Sum a message ``[N]`` over the features that share an entry of a parameter, as broadcasting does."""
    return message.reshape(features).sum_to_size(parameter.shape)


def needed(
    messages: dict[str, Tensor],
    parameters: tuple[Tensor | None, ...],
    needs: tuple[bool, ...],
    features: torch.Size,
) -> list[Tensor | None]:
    """Return the messages of ``(beta, theta, kappa, rho)`` in their shapes, ``None`` where none is needed."""
    named = zip(Parameters._fields, parameters, needs, strict=True)
    return [fit(messages[name], q, features) if need and q is not None else None for name, q, need in named]


def flat(parameter: Tensor | None, features: torch.Size) -> Tensor | None:
    """Return a parameter as the kernels want it: ``[1]`` for a scalar, else one entry a neuron."""
    if parameter is None:
        return None
    return parameter.reshape(1) if parameter.numel() == 1 else parameter.expand(features).reshape(-1)


def graph_is_kept() -> bool:
    """Whether the backward pass that runs may be run again (``retain_graph=True``)."""
    asked: Any = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return True if asked is None else bool(asked())


def after_last(x: Tensor) -> Tensor:
    """Return the last step of ``[T, ...]`` as a copy: a view of it would keep all steps in memory."""
    return x[-1].detach().clone()


class Scan(torch.autograd.Function):
    """``spikes, v, a = Scan.apply(x, beta, theta, kappa, rho, start, steps, dynamics, backward)``.

    ``x`` is ``[T, B, ...]`` or, for a constant current, ``[1, B, ...]``; ``v`` and ``a`` are those after the last step.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        beta: Tensor,
        theta: Tensor,
        kappa: Tensor | None,
        rho: Tensor | None,
        start: Start,
        steps: int,
        dynamics: Dynamics,
        backward: Backward,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Run all steps."""
        features = x.shape[2:]
        flats = [flat(q, features) for q in (beta, theta, kappa, rho)]
        p = Parameters(*flats)  # type: ignore[arg-type]
        keep = any(ctx.needs_input_grad)
        spikes, v, a = select(x).forward(x.flatten(2), p, start, steps, dynamics, keep, is_spare(x))
        out: Tensor = spikes.reshape(steps, *x.shape[1:]).data  # not a view: it may be overwritten (spikes += skip)
        if keep:
            ctx.dynamics, ctx.backward_, ctx.shape, ctx.steps = dynamics, backward, x.shape, steps
            ctx.learns = any(ctx.needs_input_grad[1:5])
            kept = out if ctx.learns or backward.needs_spikes else None
            ctx.dtype = v.dtype
            ctx.save_for_backward(backward.kept(v, spikes, p, start), kept, beta, theta, kappa, rho, *start)
        last = after_last(v)
        ctx.mark_non_differentiable(*(q for q in (last, a) if q is not None))
        ctx.set_materialize_grads(False)
        return out, last, a

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, message: Tensor | None, *_: Any) -> Any:
        """Share the reward out, or back-propagate the gradient."""
        if message is None:
            return (None,) * 9
        v, spikes, beta, theta, kappa, rho, *state = ctx.saved_tensors
        start, features, how = Start(*state), ctx.shape[2:], ctx.backward_
        p = Parameters(*(flat(q, features) for q in (beta, theta, kappa, rho)))  # type: ignore[arg-type]
        v, message = v.to(ctx.dtype), message.to(ctx.dtype).flatten(2)
        flat_spikes = None if spikes is None else spikes.flatten(2)
        none = torch.zeros_like(v[0]), None if start.a is None else torch.zeros_like(v[0])
        static = ctx.shape[0] < ctx.steps and not ctx.learns
        carry, after = how.place.message or (none, None)
        over = flat_spikes is None and (how.half or not graph_is_kept())
        answer, carry = how.scan(message, v, p, start, carry, ctx.dynamics, static, over)
        learnt: dict[str, Tensor] = {}
        if flat_spikes is not None and ctx.learns:
            own = answer, v, flat_spikes, p, start, ctx.dynamics, how.sharing is not None
            learnt, after = parameter_messages(*own, after)
        how.place.leave((carry, after))
        if flat_spikes is not None:
            how.keep(message, answer, v, flat_spikes, p, start, ctx.dynamics)
        if ctx.learns and ctx.shape[0] < ctx.steps:
            answer = answer.sum(0, keepdim=True)
        how.after(answer, flat_spikes, torch.Size((ctx.steps, *ctx.shape[1:])))
        parameters = needed(learnt, (beta, theta, kappa, rho), ctx.needs_input_grad[1:5], features)
        return answer.reshape(ctx.shape), *parameters, None, None, None, None
