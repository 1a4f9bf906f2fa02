"""How one call of a spiking neuron answers what comes back to it: by which rule, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from lfp_snn.kernels import Dynamics, Parameters, Start, select
from lfp_snn.neurons.ambient import RateTerm
from lfp_snn.neurons.half import round_membrane
from lfp_snn.neurons.handover import Place
from lfp_snn.neurons.parameters import carried_membrane, threshold_of
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
        The membrane :math:`u_t` that was compared with the threshold.
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
        u: Tensor,
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
        kernels, s = select(u), self.surrogate
        if self.sharing is not None:
            rule = self.sharing
            readout = (rule.denominator, rule.epsilon, self.readout)
            return kernels.backward_lfp(message, u, p, start, carry, dynamics, *readout, static, over)  # type: ignore[no-any-return]
        how = (type(s).derivative, s.slope, s.attach_reset)
        return kernels.backward_surrogate(message, u, p, start, carry, dynamics, *how, static, over)  # type: ignore[no-any-return]

    def kept(self, u: Tensor, spikes: Tensor, p: Parameters, start: Start) -> Tensor:
        """Return the membrane ``[T, B, N]`` as it is to be kept for the backward pass."""
        return round_membrane(u, spikes, threshold_of(spikes, p, start)) if self.half else u

    def keep(
        self, message: Tensor, n: Tensor, u: Tensor, spikes: Tensor, p: Parameters, start: Start, dynamics: Dynamics
    ) -> None:
        """Record what came to the spikes, each ``[T, B, N]``, and the density ``n`` of the membrane's terms."""
        if self.record is None:
            return
        threshold, carried = threshold_of(spikes, p, start), torch.zeros_like(u)
        if len(n) == len(u):
            carried = -p.beta * carried_membrane(u, spikes, p, start, dynamics) * n
        relevance = -message if self.readout else -message * spikes
        self.record(Record(spikes, relevance, u, threshold.expand_as(u), carried))

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
