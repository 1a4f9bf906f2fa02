"""Reward-modulated spike-timing-dependent plasticity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.containers import fold
from lfp_snn.errors import ConfigError
from lfp_snn.kernels import select
from lfp_snn.methods.base import Criterion, Learner, Method, Run, Send
from lfp_snn.neurons import SpikingNeuron, TimeModule
from lfp_snn.rewards import scores

Weighted = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


class PlasticLearner(Learner):
    """Records what goes into each layer and what its neurons fire, and lets the outcome modulate their STDP."""

    def __init__(self, network: nn.Module, method: RewardModulatedSTDP) -> None:
        self.method = method
        neurons = [m for m in network.modules() if isinstance(m, TimeModule)]
        if not any(isinstance(m, SpikingNeuron) for m in neurons):
            raise ConfigError("method r-stdp is for spiking networks; this one has no spiking neurons")
        self.readout = neurons[-1]
        self.synapses: list[tuple[Weighted, Tensor, Tensor, bool]] = []
        self._before: tuple[Weighted, Tensor] | None = None
        layers = [m for m in network.modules() if isinstance(m, Weighted)]
        hooks = [m.register_forward_hook(self._enter) for m in layers]
        hooks += [m.register_forward_hook(self._leave) for m in neurons]
        super().__init__(network, *(hook.remove for hook in hooks))

    def _enter(self, layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._before = (layer, inputs[0].detach())

    def _leave(self, neuron: nn.Module, inputs: Any, output: tuple[Tensor, Any]) -> tuple[Tensor, Any] | None:
        y, state = output
        if not isinstance(neuron, SpikingNeuron):
            return None
        if self._before is not None:
            self.synapses.append((*self._before, y.detach(), neuron is self.readout))
            self._before = None
        return y.detach(), state

    def learn(
        self,
        x: Tensor,
        target: Tensor,
        lengths: Tensor | None = None,
        *,
        criterion: Criterion,
        steps: int | None = None,
        run: Run | None = None,
        send: Send = torch.autograd.backward,
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`Learner.learn`."""
        self.synapses.clear()
        self._before = None
        output, loss = super().learn(x, target, lengths, criterion=criterion, steps=steps, run=run, send=send)
        decided = scores(output.detach(), lengths).argmax(-1)
        right = (decided == target).to(output.dtype)
        # Rewards weigh as much as punishments, however many there are (Mozafari et al. 2018, section 2.4).
        modulation = right * (1 - right.mean()) - (1 - right) * right.mean()
        for layer, before, after, last in self.synapses:
            who = nn.functional.one_hot(decided, output.shape[-1]).to(output.dtype) if last else None
            self._modulate(layer, before, after, modulation, who)
        self.synapses.clear()
        return output, loss

    def _modulate(self, layer: Weighted, before: Tensor, after: Tensor, m: Tensor, who: Tensor | None) -> None:
        """Add minus the modulated eligibility of a layer's weights to their ``grad``."""
        T, B = after.shape[:2]
        if not (isinstance(layer, nn.Linear) and before.dim() == 3):  # static, or time folded into the batch
            before = before.expand(T, *before.shape) if len(before) == B else before.reshape(T, B, *before.shape[1:])
        m = m.reshape(1, B, *[1] * (after.dim() - 2)) / (T * B)
        if who is not None:
            m = m * who
        method, weight = self.method, layer.weight
        with torch.enable_grad():
            # Pre before post strengthens, post before pre weakens: each is the gradient of a bilinear form.
            causal = (fold(layer, trace(before, method.decay)) * after * m).sum()
            acausal = (fold(layer, before) * trace(after, method.decay) * m).sum()
            (eligibility,) = torch.autograd.grad(causal - method.depression * acausal, weight)
        weight.grad = -eligibility if weight.grad is None else weight.grad - eligibility


def trace(x: Tensor, decay: float) -> Tensor:
    """Return ``y[t] = decay * y[t-1] + x[t]`` of ``[T, B, ...]``."""
    start, rate = torch.zeros_like(x[0]).flatten(1), x.new_tensor([decay])
    y: Tensor = select(x).filter_forward(x.flatten(2), rate, start, len(x))
    return y.reshape(x.shape)


class RewardModulatedSTDP(Method):
    """STDP whose sign and size the outcome decides: +1 for a right decision, -1 for a wrong one (R-STDP).

    Sources: Izhikevich 2007 (doi 10.1093/cercor/bhl152); Mozafari et al. 2018 (arXiv 1804.00227) for the balance of
    reward and punishment, and for output spikes, of which only the winner's synapses learn. A single number reaches the
    hidden layers, so little can be expected of them: it is the baseline without any credit assignment. A
    leaky-integrator readout learns by its own loss (a local delta rule). Recurrent weights and biases of hidden layers
    stay.

    Parameters
    ----------
    decay : float
        Of the traces of spikes, per step, in [0, 1).
    depression : float
        Size of post-before-pre against pre-before-post.

    Raises
    ------
    ConfigError
        If the decay is out of range; when attached to a network without spiking neurons.

    Examples
    --------
    >>> from lfp_snn import LI, LIF, Sequential, rewards
    >>> net, x = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LI()), torch.rand(6, 2, 4)
    >>> with RewardModulatedSTDP().attach(net) as learner:
    ...     _ = learner.learn(x, torch.tensor([0, 2]), criterion=rewards.Softmax().loss)
    >>> net[0].weight.grad.shape
    torch.Size([8, 4])
    """

    def __init__(self, decay: float = 0.8, depression: float = 0.5) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"the decay of a trace must lie in [0, 1), got {decay}")
        self.decay, self.depression = decay, depression

    def attach(self, network: nn.Module) -> PlasticLearner:
        """Watch the layers of every forward pass."""
        return PlasticLearner(network, self)
