"""What each module is in NIR: the nodes that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from torch import Tensor, nn

from lfp_snn.activations import Step
from lfp_snn.adapters.nir.euler import Array, time_constant
from lfp_snn.adapters.nir.graph import Scale
from lfp_snn.errors import ConfigError
from lfp_snn.neurons import ALIF, LI, LIF, CubaLIF, SpikingNeuron
from lfp_snn.neurons.on_current import Bias, Gain

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
Shape = tuple[int, ...]


@dataclass
class Site:
    """Where a module stands: its name, the shape of its input and of its output, and the options of the export."""

    name: str
    into: Shape
    out: Shape
    dt: float
    portable: bool
    bias: Tensor | None = None
    """A constant current in front of a neuron with recurrent weights."""

    def refusal(self, module: nn.Module, why: str) -> ConfigError:
        """Return the error that names the module."""
        return ConfigError(f"{self.name} ({type(module).__name__}) has no form in NIR: {why}")

    def each(self, value: Tensor) -> Array:
        """Return a neuron's parameter for each neuron, in double precision."""
        filled: Array = np.array(value.detach().double().cpu().expand(self.out).numpy())
        return filled


def reason(module: nn.Module) -> str:
    """Say why there is no node for a module."""
    if isinstance(module, ALIF):
        return "its neurons have no adaptive threshold"
    if isinstance(module, BatchNorm):
        if module.training:
            return "it normalises by the batch in training mode: call network.eval() first"
        return "it can only be folded, with running statistics, into a linear or convolutional layer right before it"
    if isinstance(module, Bias):
        return "a constant current, save in front of neurons with recurrent weights: add it to the bias of a layer"
    if "MaxPool" in type(module).__name__:
        return "it pools by average or sum, not by maximum: train with nn.AvgPool2d"
    if any(True for _ in module.children()):
        return "it has a forward pass of its own, which cannot be read: write it as an lfp_snn.Sequential"
    if not type(module).__module__.startswith(("torch.", "lfp_snn.")):
        return "it is none of ours: convert it first, where lfp_snn.adapters can"
    return f"its nodes are for {', '.join(t.__name__ for t in WRITERS)}"


# One function a type of module: it returns the nodes that the module becomes, one after the other.


def _numpy(x: Tensor) -> Any:
    return x.detach().cpu().numpy().copy()


def _linear(layer: nn.Linear, site: Site) -> list[Any]:
    if len(site.into) != 1:
        raise site.refusal(layer, f"it acts on the last of several axes, {list(site.into)}: flatten first")
    bias: Tensor | None = layer.bias
    return [nir.Linear(_numpy(layer.weight)) if bias is None else nir.Affine(_numpy(layer.weight), _numpy(bias))]


def _conv(layer: nn.Conv1d | nn.Conv2d, site: Site) -> list[Any]:
    if layer.padding_mode != "zeros":
        raise site.refusal(layer, f"it pads with {layer.padding_mode!r} instead of zeros")
    bias = _numpy(layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias)
    weight, groups = _numpy(layer.weight), layer.groups
    if isinstance(layer, nn.Conv1d):
        padding = layer.padding if isinstance(layer.padding, str) else layer.padding[0]
        return [nir.Conv1d(site.into[1], weight, layer.stride[0], padding, layer.dilation[0], groups, bias)]
    return [nir.Conv2d(site.into[1:], weight, layer.stride, layer.padding, layer.dilation, groups, bias)]


def _pair(value: Any) -> Any:
    return np.array(value if isinstance(value, tuple) else (value, value))


def _avg_pool(layer: nn.AvgPool2d, site: Site) -> list[Any]:
    kernel, padding = _pair(layer.kernel_size), _pair(layer.padding)
    if layer.ceil_mode:
        raise site.refusal(layer, "ceil_mode=True")
    if not layer.count_include_pad and padding.any():
        raise site.refusal(layer, "count_include_pad=False")
    divisor = layer.divisor_override
    if divisor not in (None, 1, int(kernel.prod())):
        raise site.refusal(layer, f"divisor_override={divisor}: NIR has averages and sums")
    node = nir.SumPool2d if divisor == 1 else nir.AvgPool2d
    return [node(kernel, _pair(layer.stride), padding)]


def _flatten(layer: nn.Flatten, site: Site) -> list[Any]:
    first, last = (d - 1 if d > 0 else d for d in (layer.start_dim, layer.end_dim))
    return [nir.Flatten({"input": np.array(site.into)}, first, last)]


def _gain(layer: Gain, site: Site) -> list[Any]:
    return [nir.Scale(_numpy(factor.expand(site.into))) for factor in layer.buffers()]


def _scale(layer: Scale, site: Site) -> list[Any]:
    return [nir.Scale(_numpy(layer.scale.expand(site.into)))]


def _step(layer: Step, site: Site) -> list[Any]:
    return [nir.Threshold(np.full(site.into, float(layer.threshold)))]


def _dropped(layer: nn.Module, site: Site) -> list[Any]:
    return []


def _dropout(layer: Any, site: Site) -> list[Any]:
    if layer.training and layer.p > 0:
        raise site.refusal(layer, "it drops at random in training mode: call network.eval() first")
    return []


def _leak(neuron: Any, name: str, site: Site) -> Array:
    """Return the time constants of a decay that is below 1."""
    decay = np.clip(site.each(getattr(neuron, name)), 0, 1)
    if (decay == 1).any():
        raise site.refusal(neuron, f"{name} is 1 in some of its neurons, so their time constant is infinite")
    return time_constant(decay, site.dt)


def _reset(neuron: SpikingNeuron, site: Site) -> dict[str, Any]:
    """Return what NIR cannot say of a reset."""
    if neuron.reset == "zero":
        return {}
    if site.portable:
        raise site.refusal(
            neuron, f"its neurons reset to a value, not by reset={neuron.reset!r}: use reset='zero' (or portable=False)"
        )
    return {"reset": neuron.reset, "reset_delay": neuron.reset_delay}


def _recurrent(neuron: SpikingNeuron, node: Any, site: Site) -> list[Any]:
    """Return the node, in a subgraph with the recurrent weights if there are any."""
    V, bias = neuron.recurrent, site.bias
    if V is None:
        if bias is not None:
            raise site.refusal(neuron, "a constant current in front of it: add it to the bias of the layer before")
        return [node]
    weights = nir.Linear(_numpy(V)) if bias is None else nir.Affine(_numpy(V), _numpy(bias.expand(len(V))))
    shape = np.array(site.out)
    nodes = {"input": nir.Input(shape), "lif": node, "w_rec": weights, "output": nir.Output(shape)}
    edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    return [nir.NIRGraph(nodes, edges)]


def _lif(neuron: LIF, site: Site) -> list[Any]:
    threshold, zero = site.each(neuron.threshold), np.zeros(site.out)
    reset = _reset(neuron, site)
    if bool((neuron.beta >= 1).all()):
        node = nir.IF(np.full(site.out, 1 / site.dt), threshold, v_reset=zero, metadata=reset)
    else:
        tau = _leak(neuron, "beta", site)
        one, threshold = np.ones(site.out), threshold * (site.dt / tau)
        node = nir.LIF(tau, one, v_leak=zero, v_threshold=threshold, v_reset=zero, metadata=reset)
    return _recurrent(neuron, node, site)


def _cuba_lif(neuron: CubaLIF, site: Site) -> list[Any]:
    tau_syn, tau_mem, zero = _leak(neuron, "alpha", site), _leak(neuron, "beta", site), np.zeros(site.out)
    node = nir.CubaLIF(
        tau_syn,
        tau_mem,
        tau_mem / site.dt,
        v_leak=zero,
        v_threshold=site.each(neuron.threshold),
        v_reset=zero,
        w_in=tau_syn / site.dt,
        metadata=_reset(neuron, site),
    )
    return _recurrent(neuron, node, site)


def _li(neuron: LI, site: Site) -> list[Any]:
    if bool((neuron.beta >= 1).all()):
        return [nir.I(np.full(site.out, 1 / site.dt))]
    tau = _leak(neuron, "beta", site)
    return [nir.LI(tau, tau / site.dt, np.zeros(site.out))]


WRITERS: dict[type[nn.Module], Callable[[Any, Site], list[Any]]] = {
    nn.Linear: _linear,
    nn.Conv1d: _conv,
    nn.Conv2d: _conv,
    nn.AvgPool2d: _avg_pool,
    nn.Flatten: _flatten,
    nn.Identity: _dropped,
    nn.Dropout: _dropout,
    nn.Dropout1d: _dropout,
    nn.Dropout2d: _dropout,
    Gain: _gain,
    Scale: _scale,
    Step: _step,
    LIF: _lif,
    CubaLIF: _cuba_lif,
    LI: _li,
}
"""For each type of module, what gives its nodes."""
