"""From a network of ours to NIR."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from lfp_snn.activations import Step
from lfp_snn.adapters.nir.euler import Array, check_step, time_constant
from lfp_snn.adapters.nir.graph import INPUT, Graph, Scale
from lfp_snn.containers import Residual, advance
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.neurons import ALIF, LI, LIF, CubaLIF, SpikingNeuron
from lfp_snn.neurons.on_current import Bias, Gain

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
Linear = nn.Linear | nn.Conv1d | nn.Conv2d
Shape = tuple[int, ...]


def to_nir(
    network: nn.Module,
    path: str | PathLike[str] | None = None,
    *,
    input_shape: int | Sequence[int] | None = None,
    dt: float = 1e-4,
    portable: bool = False,
) -> Any:
    r"""Return a network as a graph of NIR, and write it to a file if one is named.

    Parameters
    ----------
    network : nn.Module
        Layers and neurons in :class:`lfp_snn.Sequential`, :class:`lfp_snn.Residual` (its paths added) or
        :class:`Graph`, in evaluation mode.
    path : path, optional
        File to write (HDF5, usually ``.nir``).
    input_shape : int or sequence of int, optional
        Shape of the input at one step and for one sample; a network that starts with ``nn.Linear`` knows its own.
    dt : float
        How long one step is. The unit is yours; every time constant of the graph is in it. snnTorch reads graphs with
        1e-4 and cannot be told otherwise, norse and spikingjelly must be told if theirs is another.
    portable : bool
        Whether to refuse what only this package reads back: resets other than to zero.

    Returns
    -------
    nir.NIRGraph
        With ``dt`` in its metadata, for :func:`from_nir`.

    Raises
    ------
    ConfigError
        Where NIR has no node for a module, or not with these options; it is named.
    ShapeError
        If the input shape is needed, or does not fit.

    Notes
    -----
    A neuron's equation is written such that its forward Euler step is the step of ours
    (:mod:`lfp_snn.adapters.nir.euler`): :math:`\tau = \Delta t / (1 - \beta)`. For ``LIF`` the resistance is 1 and the
    membrane is that of ours times :math:`1 - \beta`, threshold included, which all readers understand: norse does not
    look at the resistance. For ``CubaLIF`` and ``LI`` it is :math:`R = \tau / \Delta t`, and the membrane is that of
    ours. ``LIF(beta=1)`` becomes ``IF`` with :math:`R = 1 / \Delta t`.

    NIR resets a neuron to a value, at once: ``reset="zero"``. Any other reset is left in the node's metadata (``reset``
    and ``reset_delay``), where :func:`from_nir` finds it and other programs do not look.

    Recurrent weights become a subgraph ``input -> lif -> output`` with ``lif -> w_rec -> lif``, as snnTorch writes it.
    Batch normalisation is folded into the layer before it (in double precision). Surrogate derivatives and what is
    learnt of a neuron cannot be said.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> graph = to_nir(Sequential(nn.Linear(4, 3), LIF(beta=0.75, reset="zero")), dt=1e-3)
    >>> graph.nodes["1"].tau, graph.nodes["1"].v_threshold
    (array([0.004, 0.004, 0.004]), array([0.25, 0.25, 0.25]))
    >>> graph.edges
    [('input', '0'), ('0', '1'), ('1', 'output')]
    """
    shape = _input_shape(network, input_shape)
    writer = _Writer(check_step(dt), portable)
    like = next(network.parameters(), torch.empty(0))
    x = torch.zeros(1, 1, *shape, dtype=like.dtype, device=like.device)
    with torch.no_grad():
        entrance = writer.add("input", nir.Input(np.array(shape)), [])
        last, y = writer.walk(network, "", entrance, x)
        writer.add("output", nir.Output(np.array(_shape(y))), last)
    graph = nir.NIRGraph(writer.nodes, writer.edges, metadata={"dt": dt, "producer": "lfp_snn"})
    if path is not None:
        nir.write(path, graph)
    return graph


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


class _Writer:
    """Collects nodes and edges while walking through a network with a silent input."""

    def __init__(self, dt: float, portable: bool) -> None:
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.dt, self.portable = dt, portable

    def add(self, name: str, node: Any, sources: Sequence[str]) -> list[str]:
        """Add a node that takes the sum of its sources, and return it as a source."""
        while name in self.nodes:
            name += "_"
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return [name]

    def walk(self, module: nn.Module, name: str, sources: list[str], x: Tensor) -> tuple[list[str], Tensor]:
        """Add a module of the network, and return the sources of its output with what it gives."""
        if isinstance(module, Graph):
            return self._graph(module, name, sources, x)
        if isinstance(module, Residual):
            return self._residual(module, name, sources, x)
        if not isinstance(module, nn.Sequential):
            return self._leaf(module, name or "layer", sources, x)
        for key, child, bias in _folded(_flat(module, name)):
            if bias is None:
                sources, x = self.walk(child, key, sources, x)
            else:
                sources, x = self._leaf(child, key, sources, x, bias)
        return sources, x

    def _leaf(
        self, module: nn.Module, name: str, sources: list[str], x: Tensor, bias: Tensor | None = None
    ) -> tuple[list[str], Tensor]:
        write = _WRITERS.get(type(module))
        if write is None:
            raise Site(name, (), (), self.dt, self.portable).refusal(module, _reason(module))
        try:
            y = advance(module, x, None, None)[0]
        except RuntimeError as e:
            raise ShapeError(f"{name} ({type(module).__name__}) cannot take an input of shape {_shape(x)}: {e}") from e
        site = Site(name, _shape(x), _shape(y), self.dt, self.portable, bias)
        for node in write(module, site):
            node.input_type, node.output_type = {"input": np.array(site.into)}, {"output": np.array(site.out)}
            sources = self.add(name, node, sources)
        return sources, y

    def _residual(self, module: Residual, name: str, sources: list[str], x: Tensor) -> tuple[list[str], Tensor]:
        if module.merge != "add":
            raise ConfigError(
                f"{name} (Residual) merges its paths by {module.merge!r}, and NIR adds what meets: use merge='add'"
            )
        main, y = self.walk(module.body, _join(name, "body"), sources, x)
        skip, z = self.walk(module.shortcut, _join(name, "shortcut"), sources, x)
        if len(skip) > 1 or set(skip) & set(main):  # an edge counts once, and sums are taken from left to right
            skip = self.add(_join(name, "sum"), nir.Scale(np.ones(_shape(z), dtype=np.float32)), skip)
        return [*main, *skip], y

    def _graph(self, module: Graph, name: str, sources: list[str], x: Tensor) -> tuple[list[str], Tensor]:
        values = {INPUT: (sources, x)}

        def summed(needed: Sequence[str]) -> tuple[list[str], Tensor]:
            return list(chain(*(values[s][0] for s in needed))), values[needed[0]][1]

        for key, layer in module.layers.items():
            values[key] = self.walk(layer, _join(name, key), *summed(module.sources[key]))
        return summed(module.output)


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _shape(x: Tensor) -> Shape:
    return tuple(x.shape[2:])


def _input_shape(network: nn.Module, given: int | Sequence[int] | None) -> Shape:
    if given is not None:
        return (given,) if isinstance(given, int) else tuple(int(n) for n in given)
    first = network
    while isinstance(first, nn.Sequential) and len(first):
        first = first[0]
    if not isinstance(first, nn.Linear):
        raise ShapeError(
            f"a network that starts with {type(first).__name__} does not know the shape of its input: "
            "say it, to_nir(network, input_shape=(channels, height, width))"
        )
    return (first.in_features,)


def _flat(module: nn.Sequential, name: str) -> list[tuple[str, nn.Module]]:
    """Return the modules of nested chains as one chain, each with its name."""
    parts: list[tuple[str, nn.Module]] = []
    for key, child in module._modules.items():
        path = _join(name, key)
        assert child is not None
        parts += _flat(child, path) if isinstance(child, nn.Sequential) else [(path, child)]
    return parts


def _folded(parts: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module, Tensor | None]]:
    """Fold batch normalisation into the layer before it, and a constant current into the recurrence after it."""
    folded: list[tuple[str, nn.Module, Tensor | None]] = []
    for name, module in parts:
        key, before, _ = folded[-1] if folded else ("", None, None)
        if isinstance(module, BatchNorm) and _normalises(module) and isinstance(before, Linear):
            folded[-1] = (key, _fused(before, module), None)
        elif isinstance(module, SpikingNeuron) and module.recurrent is not None and isinstance(before, Bias):
            folded[-1] = (name, module, before.bias)
        else:
            folded.append((name, module, None))
    return folded


def _normalises(norm: BatchNorm) -> bool:
    """Whether a normalisation is a fixed affine map."""
    return not norm.training and norm.running_mean is not None


def _fused(layer: Linear, norm: BatchNorm) -> nn.Module:
    """Return a layer that does what it and the normalisation after it do."""
    dtype = next(layer.parameters()).dtype
    wide: Any = copy.deepcopy(layer).double().eval()
    norm = copy.deepcopy(norm).double()
    fused: nn.Module = (fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval)(wide, norm)
    return fused.to(dtype)


def _reason(module: nn.Module) -> str:
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
    return f"its nodes are for {', '.join(t.__name__ for t in _WRITERS)}"


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
    if layer.start_dim == 0:
        raise site.refusal(layer, "it merges the batch with the features (start_dim=0)")
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


_WRITERS: dict[type[nn.Module], Callable[[Any, Site], list[Any]]] = {
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
