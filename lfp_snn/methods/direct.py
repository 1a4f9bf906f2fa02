"""Direct feedback alignment: every hidden layer hears the error at the output through random weights of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.errors import ConfigError
from lfp_snn.methods.alignment import random_like
from lfp_snn.methods.base import Learner, surround
from lfp_snn.methods.gradient import SurrogateGradient
from lfp_snn.neurons import SpikingNeuron, TimeModule
from lfp_snn.neurons.ambient import Ambient, RateTerm


class _Hear(torch.autograd.Function):
    """Identity whose backward pass answers with the projected error, whatever the layers above have to say."""

    @staticmethod
    def forward(ctx: Any, spikes: Tensor, learner: DirectLearner, k: int) -> Tensor:
        """Return the spikes."""
        ctx.learner, ctx.k = learner, k
        return spikes.view_as(spikes)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Return ``e B`` for the error ``e`` ``[T, B, C]``."""
        error = ctx.learner.error
        return (error @ ctx.learner.weights(ctx.k, error, g)).reshape(g.shape), None, None


class DirectLearner(Learner):
    """A network whose hidden spiking layers hear the output's error directly."""

    def __init__(self, network: nn.Module, ambient: Ambient, seed: int) -> None:
        neurons = [m for m in network.modules() if isinstance(m, TimeModule)]
        hidden = [m for m in neurons if isinstance(m, SpikingNeuron) and m is not neurons[-1]]
        if not hidden:
            raise ConfigError("method dfa is for networks with hidden spiking layers; this one has none")
        self.seed, self.error = seed, torch.empty(0)
        self._random: dict[int, Tensor] = {}
        hooks = [m.register_forward_hook(self._hear(k)) for k, m in enumerate(hidden)]
        hooks.append(network.register_forward_hook(self._listen))
        super().__init__(network, surround(network, ambient), *(hook.remove for hook in hooks))

    def weights(self, k: int, error: Tensor, g: Tensor) -> Tensor:
        """Return the random weights ``[C, N]`` from the output's error to the ``k``-th hidden layer."""
        if k not in self._random:
            classes = error.shape[-1]
            self._random[k] = random_like(g.new_empty(classes, g[0, 0].numel()), self.seed, k) / classes**0.5
        return self._random[k]

    def _hear(self, k: int) -> Any:
        def hook(module: nn.Module, inputs: Any, output: tuple[Tensor, Any]) -> tuple[Tensor, Any] | None:
            spikes, state = output
            return (_Hear.apply(spikes, self, k), state) if spikes.requires_grad else None

        return hook

    def _listen(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(self._keep)  # type: ignore[no-untyped-call]

    def _keep(self, error: Tensor) -> None:
        self.error = error


class DirectFeedback(SurrogateGradient):
    """Direct feedback alignment with a surrogate derivative (Nøkland 2016, arXiv 1609.01596).

    The message of a hidden layer's spikes is ``e[t] B`` with the error ``e`` at the output and a fixed random ``B``, so
    that no layer waits for the one above; inside a layer (membrane, recurrent weights) the gradient is the usual one.

    Parameters
    ----------
    surrogate, slope, attach_reset, homeostasis
        As for :class:`lfp_snn.methods.SurrogateGradient`.
    seed : int
        Of the random weights, uniform in ``±1/sqrt(classes)``.

    Raises
    ------
    ConfigError
        When attached to a network without hidden spiking layers.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential, rewards
    >>> net, x = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LIF()), torch.rand(2, 4)
    >>> with DirectFeedback(seed=1).attach(net) as learner:
    ...     _ = learner.learn(x, torch.tensor([0, 2]), criterion=rewards.RateCoded().loss, steps=5)
    >>> bool(net[0].weight.grad.abs().sum() > 0)
    True
    """

    pieces = False

    def __init__(
        self,
        surrogate: str = "atan",
        slope: float | None = None,
        attach_reset: bool = False,
        homeostasis: RateTerm | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(surrogate, slope, attach_reset, homeostasis)
        self.seed = seed

    def attach(self, network: nn.Module) -> DirectLearner:
        """Let the hidden layers listen to the output."""
        return DirectLearner(network, self.ambient, self.seed)
