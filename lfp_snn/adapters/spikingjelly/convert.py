"""From a SpikingJelly network to one of ours, which has fused kernels for LFP, homeostasis and records of relevance."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import torch
from spikingjelly.activation_based import base, layer
from spikingjelly.activation_based import neuron as nodes
from torch import Tensor, nn

from lfp_snn.adapters.conversion import Convert, converted, refusal
from lfp_snn.adapters.spikingjelly.live import known_type, rest
from lfp_snn.containers import Sequential
from lfp_snn.neurons import LI, LIF
from lfp_snn.neurons.ambient import ambient
from lfp_snn.neurons.lif import LIFState
from lfp_snn.neurons.on_current import Gain

CONTAINERS = layer.SeqToANNContainer | layer.MultiStepContainer | layer.StepModeContainer


def from_spikingjelly(network: nn.Module) -> Sequential:
    """Return a network of ours that fires the spikes of a SpikingJelly network.

    Parameters
    ----------
    network : nn.Module
        An ``nn.Sequential`` (nested, or SpikingJelly's containers) of layers and neurons in either step mode, or a
        single neuron. Parameters are taken over as they are: training one network trains the other.

    Returns
    -------
    Sequential
        ``[T, B, ...]`` in, ``[T, B, ...]`` of the last layer out. State is no longer kept between calls.

    Raises
    ------
    ConfigError
        Where the spikes would not be the same. Such a network trains as it is, under ``LFP().context(network)``.

    Notes
    -----
    SpikingJelly's neurons fire at the threshold, ours above it: the threshold becomes the next smaller number. The
    spikes are the same where rounding does not decide: SpikingJelly computes ``v + (x - v)/tau``, ours
    ``(1 - 1/tau)*v + x/tau``. Batch normalisation takes its statistics over all steps, as in step mode ``m``.

    Examples
    --------
    >>> from spikingjelly.activation_based import layer, neuron
    >>> net = nn.Sequential(layer.Linear(4, 8), neuron.IFNode(), layer.Linear(8, 2), neuron.LIFNode(tau=2.0))
    >>> from_spikingjelly(net)
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): LIF(beta=1, threshold=1, reset='zero', reset_delay=False)
      (2): Linear(in_features=8, out_features=2, bias=True)
      (3): Gain()
      (4): LIF(beta=0.5, threshold=1, reset='zero', reset_delay=False)
    )
    """
    return Sequential(*converted(network, "network", _has_steps, _converted))


class ParametricLIF(LIF):
    """Leaky integrate-and-fire neurons whose decay is ``1 - sigmoid(w)``.

    Parameters
    ----------
    w : nn.Parameter
        A scalar.
    decay_input : bool
        Whether the input is multiplied by ``sigmoid(w)``.
    form
        As for :class:`lfp_snn.LIF`.
    """

    def __init__(self, w: nn.Parameter, decay_input: bool, **form: Any) -> None:
        super().__init__(**form)
        del self.beta
        self.w, self.decay_input = w, decay_input

    def _rate(self) -> Tensor:
        return ambient().scale(self.w).sigmoid()

    def _decay(self, name: str) -> Tensor:
        return 1 - self._rate()

    def forward(self, x: Tensor, state: LIFState | None = None, *, steps: int | None = None) -> tuple[Tensor, LIFState]:
        """Run; see :meth:`lfp_snn.LIF.forward`."""
        return super().forward(x * self._rate() if self.decay_input else x, state, steps=steps)

    def extra_repr(self) -> str:
        """Show the parameters."""
        return f"w={float(self.w):.4g}, decay_input={self.decay_input}, reset={self.reset!r}"


def _has_steps(module: nn.Module) -> bool:
    return isinstance(module, base.StepModule) and not isinstance(module, CONTAINERS)


def _converted(module: Any, name: str) -> Iterator[nn.Module]:
    """Yield what a module with a step mode becomes."""
    known = known_type(module)
    if known is not None:
        convert = _CONVERSIONS.get(known)
        if convert is None:
            raise refusal(name, module, f"there is no conversion for {known.__name__}")
        yield from convert(module, name)
    elif any(isinstance(m, base.MemoryModule) for m in module.modules()):
        raise refusal(name, module, "it has a state or an update that no module of ours has")
    elif isinstance(module, nn.Sequential) or "s" not in module.supported_step_mode():
        raise refusal(name, module, "it looks at more than one time step, or has time in another place")
    else:
        single = copy.copy(module)  # with the same parameters and buffers; time is folded into the batch
        single.step_mode = "s"
        yield single


def _form(node: Any) -> dict[str, Any]:
    """Return threshold and reset."""
    theta = torch.tensor(node.v_threshold - rest(node))
    return {
        "threshold": torch.nextafter(theta, theta - 1),  # at the threshold, not above
        "reset": "subtract" if node.v_reset is None else "zero",
        "reset_delay": False,
    }


def _if(node: Any, name: str) -> Iterator[nn.Module]:
    yield LIF(1.0, **_form(node))


def _lif(node: Any, name: str) -> Iterator[nn.Module]:
    if node.decay_input:
        yield Gain(torch.tensor(1 / node.tau))
    yield LIF(1 - 1 / node.tau, **_form(node))


def _plif(node: Any, name: str) -> Iterator[nn.Module]:
    yield ParametricLIF(cast(nn.Parameter, node.w), node.decay_input, **_form(node))


def _integrator(node: Any, name: str) -> Iterator[nn.Module]:
    if node.decode is not None:
        raise refusal(name, node, f"it gives one value for all steps (decode={node.decode!r})")
    tau = getattr(node, "tau", None)
    if tau is not None:
        yield Gain(torch.tensor(1 / tau))
    yield LI(1.0 if tau is None else 1 - 1 / tau)


_CONVERSIONS: dict[type[nn.Module], Convert] = {
    nodes.IFNode: _if,
    nodes.LIFNode: _lif,
    nodes.ParametricLIFNode: _plif,
    nodes.NonSpikingIFNode: _integrator,
    nodes.NonSpikingLIFNode: _integrator,
}
