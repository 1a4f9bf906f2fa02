"""Gradient descent: plain, with a surrogate derivative of the spike, with none, and scaled by the weights."""

from __future__ import annotations

from torch import Tensor, nn

from lfp_snn.errors import ConfigError, suggest
from lfp_snn.methods.base import Learner, Method, surround
from lfp_snn.neurons.ambient import Ambient, RateTerm
from lfp_snn.neurons.surrogate import SURROGATES, Heaviside, Surrogate
from lfp_snn.propagation import LFP


def derivative(name: str, slope: float | None, attach_reset: bool) -> Surrogate:
    """Return a surrogate derivative by name; ``slope`` ``None`` is its own default.

    Raises
    ------
    ConfigError
        If there is none of that name, or the slope is not positive.
    """
    if name not in SURROGATES:
        raise ConfigError(suggest(name, SURROGATES, "surrogate"))
    if slope is not None and not slope > 0:
        raise ConfigError(f"the slope of a surrogate must be positive, got {slope}")
    given = {} if slope is None else {"slope": slope}
    return SURROGATES[name](**given, attach_reset=attach_reset)


class SurrogateGradient(Method):
    """Back-propagation through time with a surrogate derivative of the spike (Neftci et al. 2019, arXiv 1901.09948).

    Parameters
    ----------
    surrogate : str
        Name of the derivative, one of :data:`lfp_snn.neurons.surrogate.SURROGATES`.
    slope : float, optional
        Its steepness; by default its own.
    attach_reset : bool
        Whether the gradient also flows through the reset.
    homeostasis : RateTerm, optional
        A term that keeps hidden neurons in a band of rates, the same as for LFP.

    Raises
    ------
    ConfigError
        For an unknown surrogate.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LIF, Sequential, rewards
    >>> net, x, target = Sequential(nn.Linear(4, 3), LIF()), torch.rand(2, 4), torch.tensor([0, 2])
    >>> with SurrogateGradient("triangle", slope=0.5).attach(net) as learner:
    ...     spikes, loss = learner.learn(x, target, criterion=rewards.RateCoded().loss, steps=5)
    >>> bool(net[0].weight.grad.abs().sum() > 0)
    True
    """

    pieces = True

    def __init__(
        self,
        surrogate: str = "atan",
        slope: float | None = None,
        attach_reset: bool = False,
        homeostasis: RateTerm | None = None,
    ) -> None:
        self.ambient = Ambient(surrogate=derivative(surrogate, slope, attach_reset), rate_term=homeostasis)

    def attach(self, network: nn.Module) -> Learner:
        """Give all neurons the derivative."""
        return Learner(network, surround(network, self.ambient))


class StepGradient(SurrogateGradient):
    """The gradient of the network as it is: through the spike, a step, it is 0 almost everywhere.

    Only what lies behind the last spike can learn: a leaky-integrator readout on random hidden features, and of a
    network whose output is spikes nothing at all. That is why spiking networks need a surrogate, or LFP.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LI, LIF, Sequential, rewards
    >>> _ = torch.manual_seed(0)
    >>> net, x = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LI()), 4 * torch.rand(2, 4)
    >>> with StepGradient().attach(net) as learner:
    ...     _ = learner.learn(x, torch.tensor([0, 2]), criterion=rewards.Softmax().loss, steps=5)
    >>> float(net[0].weight.grad.abs().sum()), bool(net[2].weight.grad.abs().sum() > 0)
    (0.0, True)
    """

    def __init__(self) -> None:
        self.ambient = Ambient(surrogate=Heaviside())


class ScaledGradient(SurrogateGradient):
    """``|w|`` times the surrogate gradient: what LFP's scaling of the parameters does alone.

    For ReLU networks without biases and with the softmax reward it *is* LFP (arXiv 2308.12053, section 3).

    Parameters
    ----------
    surrogate, slope, attach_reset, homeostasis
        As for :class:`SurrogateGradient`.
    lfp : LFP, optional
        Its ``scale_floor`` is used here, too.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import rewards
    >>> net, x, target = nn.Linear(4, 3), torch.rand(2, 4), torch.tensor([0, 2])
    >>> loss = rewards.Softmax().loss(net(x), target)
    >>> (plain,) = torch.autograd.grad(loss, net.weight)
    >>> with ScaledGradient().attach(net) as learner:
    ...     _ = learner.learn(x, target, criterion=rewards.Softmax().loss)
    >>> torch.equal(net.weight.grad, net.weight.abs() * plain)
    True
    """

    def __init__(
        self,
        surrogate: str = "atan",
        slope: float | None = None,
        attach_reset: bool = False,
        homeostasis: RateTerm | None = None,
        lfp: LFP | None = None,
    ) -> None:
        super().__init__(surrogate, slope, attach_reset, homeostasis)
        self.floor = lfp.scale_floor or 0.0 if lfp is not None else 0.0

    def attach(self, network: nn.Module) -> Learner:
        """Scale the gradient of every parameter as it arrives."""

        def scaled(p: nn.Parameter) -> Tensor:
            return p.detach().abs().clamp(min=self.floor)

        parameters = [p for p in network.parameters() if p.requires_grad]
        hooks = [p.register_hook(lambda g, p=p: g * scaled(p)) for p in parameters]  # type: ignore[no-untyped-call]
        return Learner(network, surround(network, self.ambient), *(hook.remove for hook in hooks))


class Gradient(Method):
    """Plain back-propagation: gradient descent for networks without time; neurons use their own surrogates.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import rewards
    >>> net = nn.Linear(4, 3)
    >>> with Gradient().attach(net) as learner:
    ...     _ = learner.learn(torch.rand(2, 4), torch.tensor([0, 2]), criterion=rewards.Softmax().loss)
    >>> net.weight.grad.shape
    torch.Size([3, 4])
    """

    def attach(self, network: nn.Module) -> Learner:
        """Leave the network as it is."""
        return Learner(network)
