"""Feedback alignment: the way back goes through fixed random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lfp_snn.forward import around_forward, inside
from lfp_snn.methods.base import Learner, surround
from lfp_snn.methods.gradient import SurrogateGradient
from lfp_snn.methods.rewire import Rewire, backward_only
from lfp_snn.neurons.ambient import RateTerm
from lfp_snn.propagation.linear import Apply


class FeedbackAlignment(SurrogateGradient):
    """Back-propagation with fixed random weights in place of the transposed ones (Lillicrap et al. 2016).

    Source: doi 10.1038/ncomms13276. Linear layers and convolutions are concerned; recurrent weights of a neuron,
    pooling and normalisation keep their own way back. Each layer runs twice, so a step costs more than by
    back-propagation.

    Parameters
    ----------
    surrogate, slope, attach_reset, homeostasis
        Of spiking neurons, as for :class:`lfp_snn.methods.SurrogateGradient`.
    seed : int
        Of the random weights, uniform in ``±1/sqrt(fan in)``.

    Examples
    --------
    >>> from lfp_snn import rewards
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> with FeedbackAlignment(seed=1).attach(net) as learner:
    ...     _ = learner.learn(torch.rand(2, 4), torch.tensor([0, 2]), criterion=rewards.Softmax().loss)
    >>> net[0].weight.grad.shape
    torch.Size([8, 4])
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

    def attach(self, network: nn.Module) -> Learner:
        """Rewire the layers of every forward pass."""
        random: dict[int, Tensor] = {}

        def wire(k: int, apply: Apply, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            y = apply(x.detach(), weight, bias)
            if not x.requires_grad:
                return y
            if k not in random:
                random[k] = random_like(weight, self.seed, k) / weight[0].numel() ** 0.5
            return y + backward_only(apply(x, random[k], None))

        return Learner(network, surround(network, self.ambient), around_forward(network, inside(lambda: Rewire(wire))))


def random_like(weight: Tensor, seed: int, k: int) -> Tensor:
    """Return the random weights of layer ``k``, uniform in [-1, 1]; the same for the same seed on any device."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + k)
    drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float64) * 2 - 1
    return drawn.to(weight.device, weight.dtype)
