"""From NIR to a network of ours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from os import PathLike
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

from lfp_snn.activations import Step
from lfp_snn.adapters.nir.euler import ROUNDING, Array, check_step, decay, gain
from lfp_snn.adapters.nir.graph import INPUT, Graph, Scale
from lfp_snn.containers import Sequential
from lfp_snn.errors import ConfigError, DataError, MissingDataError
from lfp_snn.neurons import LI, LIF, CubaLIF
from lfp_snn.neurons.on_current import Bias

OUTPUT = "<output>"
Edge = tuple[str, str]


def from_nir(graph: Any, *, dt: float | None = None) -> Sequential | Graph:
    r"""Return a network of ours for a graph of NIR, or for a file that holds one.

    Parameters
    ----------
    graph : nir.NIRGraph or path
        One input, one output. Subgraphs are read; the only cycle may be that of neurons and a linear layer, which
        becomes their recurrent weights.
    dt : float, optional
        How long one step is, in the unit of the graph's time constants. Default: what :func:`to_nir` left in the graph.
        snnTorch writes for 1e-4.

    Returns
    -------
    Sequential or Graph
        ``[T, B, ...]`` in and out; a :class:`Sequential` where every node has one source, else a :class:`Graph`.
        Modules have the names of the nodes.

    Raises
    ------
    ConfigError
        Where no module does what a node does, or ``dt`` is needed and not known; the node is named.
    DataError, MissingDataError
        If the file does not hold a graph of NIR, or does not exist.

    Notes
    -----
    One step is forward Euler (:mod:`lfp_snn.adapters.nir.euler`), and the recurrent current is that of the spikes of
    the step before, as in every reader of NIR. Neurons reset to their leak potential (``reset="zero"``), at which they
    also start; another ``v_reset`` is refused. The resistance goes into the threshold. ``I`` becomes ``LI(beta=1)``,
    ``CubaLI`` two ``LI``, ``Threshold`` a :class:`lfp_snn.Step`. A bias of zeros is none.

    Examples
    --------
    >>> from lfp_snn.adapters.nir import to_nir
    >>> graph = to_nir(Sequential(nn.Linear(4, 3), LIF(0.75, reset_delay=False, recurrent=3)), dt=1e-3)
    >>> from_nir(graph)
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): LIF(beta=0.75, threshold=1, reset='subtract', reset_delay=False, recurrent=3)
    )
    """
    graph = _checked(_file(graph) if isinstance(graph, str | PathLike) else graph)
    if dt is None and "dt" in graph.metadata:
        dt = float(graph.metadata["dt"])
    dt = None if dt is None else check_step(dt)
    parts, edges = _parts(graph, "the graph")
    sources = _sources(parts, edges)
    order = _order({name: needed for name, needed in sources.items() if name != OUTPUT})
    labels = _labels(order)
    layers = OrderedDict((labels[name], _layer(parts[name], name, dt)) for name in order)
    if [sources[name] for name in [*order, OUTPUT]] == [[name] for name in [INPUT, *order]]:
        return Sequential(layers)
    named = {labels[name]: [labels.get(s, s) for s in sources[name]] for name in order}
    return Graph(layers, named, [labels.get(s, s) for s in sources[OUTPUT]])


def _file(path: str | PathLike[str]) -> Any:
    if not Path(path).exists():
        raise MissingDataError(f"there is no file {path}")
    try:
        return nir.read(path, type_check=False)  # it would infer wrong shapes for grouped and oblong kernels
    except (OSError, KeyError, TypeError, ValueError, AssertionError) as e:
        raise DataError(f"{path} does not hold a graph that NIR {nir.version} can read: {type(e).__name__}: {e}") from e


def _checked(graph: Any) -> Any:
    if not isinstance(graph, nir.NIRGraph):
        raise ConfigError(f"from_nir reads a NIRGraph or a file that holds one, got {type(graph).__name__}")
    try:
        graph.validate_structure()
    except ValueError as e:
        raise DataError(f"the graph is broken: {e}") from e
    return graph


@dataclass(frozen=True)
class Part:
    """A node, and the linear node through which its spikes come back to it, if one does."""

    node: Any
    recurrent: Any = None


def _parts(graph: Any, name: str) -> tuple[dict[str, Part], list[Edge]]:
    """Return what a graph consists of, without subgraphs, and its edges from `INPUT` to `OUTPUT`."""
    ends: dict[str, str] = {}
    for kind, end in ((nir.Input, INPUT), (nir.Output, OUTPUT)):
        found = [key for key, node in graph.nodes.items() if isinstance(node, kind)]
        if len(found) != 1:
            raise ConfigError(f"{name} has {len(found)} {kind.__name__} nodes ({', '.join(found)}); one is needed")
        ends[found[0]] = end
    edges = [(ends.get(a, a), ends.get(b, b)) for a, b in graph.edges]
    parts: dict[str, Part] = {}
    for key, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            within, between = _parts(node, key)
            names = {inner: key if len(within) == 1 else f"{key}.{inner}" for inner in within}
            names |= {INPUT: f"{key} {INPUT}", OUTPUT: f"{key} {OUTPUT}"}
            parts |= {names[inner]: part for inner, part in within.items()}
            edges = [(names[OUTPUT] if a == key else a, names[INPUT] if b == key else b) for a, b in edges]
            edges += [(names[a], names[b]) for a, b in between]
            edges = _joined(_joined(edges, names[INPUT]), names[OUTPUT])
        elif key not in ends:
            parts[key] = Part(node)
    return _with_recurrence(parts, edges)


def _joined(edges: list[Edge], joint: str) -> list[Edge]:
    """Replace a name that only stands for others by these, in the order of the edges."""
    before = [a for a, b in edges if b == joint]
    return [(source, b) for a, b in edges if b != joint for source in (before if a == joint else [a])]


def _with_recurrence(parts: dict[str, Part], edges: list[Edge]) -> tuple[dict[str, Part], list[Edge]]:
    """Take every linear node that only leads from a neuron back to it into the neuron."""
    parts = dict(parts)
    for key, part in list(parts.items()):
        into, out = [a for a, b in edges if b == key], [b for a, b in edges if a == key]
        if isinstance(part.node, nir.Linear | nir.Affine) and into == out and len(into) == 1 and into[0] in parts:
            neuron = parts[into[0]]
            if isinstance(neuron.node, nir.IF | nir.LIF | nir.CubaLIF) and neuron.recurrent is None:
                parts[into[0]] = Part(neuron.node, part.node)
                del parts[key]
                edges = [e for e in edges if key not in e]
    return parts, edges


def _sources(parts: dict[str, Part], edges: list[Edge]) -> dict[str, list[str]]:
    """Return the sources of every part, and of the output."""
    sources = {name: [a for a, b in edges if b == name] for name in [*parts, OUTPUT]}
    for name, needed in sources.items():
        if not needed:
            raise ConfigError(f"nothing leads to {name}: every node needs a source")
    return sources


def _order(sources: dict[str, list[str]]) -> list[str]:
    try:
        return [name for name in TopologicalSorter(sources).static_order() if name != INPUT]
    except CycleError as e:
        raise ConfigError(
            f"the graph has a cycle, {' -> '.join(reversed(e.args[1]))}: the only one that can be read is that of "
            "neurons whose spikes come back to them through one linear node"
        ) from e


def _labels(names: Iterable[str]) -> dict[str, str]:
    """Return for each node a name that a module may have."""
    labels: dict[str, str] = {}
    for name in names:
        label = name.replace(".", "_") or "_"
        while label in labels.values() or hasattr(nn.ModuleDict, label):
            label += "_"
        labels[name] = label
    return labels


def _layer(part: Part, name: str, dt: float | None) -> nn.Module:
    node = part.node
    read, timed = _READERS.get(type(node), (None, False))
    if read is None:
        raise ConfigError(f"{name}: nothing here does what NIR's {type(node).__name__} does")
    if timed and dt is None:
        raise ConfigError(
            f"{name} ({type(node).__name__}) is an equation in continuous time: say how long a step is, "
            "from_nir(graph, dt=...) in the unit of its time constants (snnTorch writes for 1e-4)"
        )
    made = read(node, name, dt)
    return made if part.recurrent is None else _recurrent(made, part.recurrent)


def _recurrent(neuron: Any, weights: Any) -> nn.Module:
    neuron.recurrent = _parameter(weights.weight)
    bias = _bias(weights)
    return neuron if bias is None else Sequential(Bias(bias), neuron)


# One function a type of node. (Some libraries fill the nodes with tensors.)


def _double(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)


def _tensor(array: Any) -> Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.get_default_dtype())


def _parameter(array: Any) -> nn.Parameter:
    return nn.Parameter(_tensor(array))


def _bias(node: Any) -> nn.Parameter | None:
    bias = getattr(node, "bias", None)
    return None if bias is None or not _double(bias).any() else _parameter(bias)


def _compact(array: Array) -> Tensor:
    """Return the smallest tensor that broadcasts to a parameter: one for all, one a channel, or one for each."""
    if array.size and bool((array == array.flat[0]).all()):
        return _tensor(array.flat[0])
    if array.ndim > 1:
        channels = array.reshape(len(array), -1)
        if bool((channels == channels[:, :1]).all()):
            return _tensor(channels[:, 0]).reshape(-1, *[1] * (array.ndim - 1))
    return _tensor(array)


def _linear(node: Any, name: str, dt: Any) -> nn.Module:
    if np.ndim(node.weight) != 2:
        raise ConfigError(f"{name}: weights of shape {list(np.shape(node.weight))}; only matrices can be read")
    outputs, inputs = node.weight.shape
    layer = nn.Linear(inputs, outputs)
    layer.weight, layer.bias = _parameter(node.weight), _bias(node)  # type: ignore[assignment]
    return layer


def _plain(value: Any) -> Any:
    """Return numbers as torch takes them: an int, a tuple of ints, or a word."""
    if isinstance(value, str):
        return value
    numbers = np.asarray(value)
    return int(numbers) if numbers.ndim == 0 else tuple(int(n) for n in numbers)


def _conv(node: Any, name: str, dt: Any) -> nn.Module:
    kind = nn.Conv1d if isinstance(node, nir.Conv1d) else nn.Conv2d
    outputs, inputs, *kernel = node.weight.shape
    groups = int(node.groups)
    how = {key: _plain(getattr(node, key)) for key in ("stride", "padding", "dilation")}
    layer = kind(inputs * groups, outputs, tuple(kernel), groups=groups, **how)
    layer.weight, layer.bias = _parameter(node.weight), _bias(node)
    return layer


def _pool(node: Any, name: str, dt: Any) -> nn.Module:
    divisor = 1 if isinstance(node, nir.SumPool2d) else None
    return nn.AvgPool2d(_plain(node.kernel_size), _plain(node.stride), _plain(node.padding), divisor_override=divisor)


def _flatten(node: Any, name: str, dt: Any) -> nn.Module:
    first, last = (int(d) + 1 if d >= 0 else int(d) for d in (node.start_dim, node.end_dim))
    return nn.Flatten(first, last)


def _scale(node: Any, name: str, dt: Any) -> nn.Module:
    return Scale(_compact(_double(node.scale)))


def _threshold(node: Any, name: str, dt: Any) -> nn.Module:
    threshold = _compact(_double(node.threshold))
    if threshold.numel() != 1:
        raise ConfigError(f"{name}: its thresholds differ, and lfp_snn.Step has one for all")
    return Step(float(threshold))


def _rest(node: Any, name: str) -> Array:
    """Return the potential at which neurons rest, to which they reset."""
    leak = _double(getattr(node, "v_leak", 0.0))
    if not np.allclose(_double(node.v_reset), leak, rtol=ROUNDING, atol=0):
        raise ConfigError(
            f"{name}: v_reset is not v_leak, and a neuron of ours resets to the potential at which it rests"
        )
    return leak


def _reset(node: Any) -> dict[str, Any]:
    """Return the reset that the metadata name; NIR's own is to zero."""
    said = node.metadata
    return {"reset": str(said.get("reset", "zero")), "reset_delay": bool(said.get("reset_delay", True))}


def _threshold_of(node: Any, name: str, g: Array) -> Tensor:
    return _compact((_double(node.v_threshold) - _rest(node, name)) / g)


def _if(node: Any, name: str, dt: float) -> nn.Module:
    return LIF(1.0, _threshold_of(node, name, gain(node.r, dt, name)), **_reset(node))


def _lif(node: Any, name: str, dt: float) -> nn.Module:
    beta, g = decay(node.tau, dt, name), gain(node.r, dt / _double(node.tau), name)
    return LIF(_compact(beta), _threshold_of(node, name, g), **_reset(node))


def _cuba_lif(node: Any, name: str, dt: float) -> nn.Module:
    (alpha, beta), g = _cuba(node, name, dt)
    return CubaLIF(_compact(alpha), _compact(beta), _threshold_of(node, name, g), **_reset(node))


def _cuba(node: Any, name: str, dt: float) -> tuple[list[Array], Array]:
    """Return the decays of current and membrane, and how much of an input arrives in the membrane."""
    decays = [decay(tau, dt, name) for tau in (node.tau_syn, node.tau_mem)]
    rate = dt / _double(node.tau_syn) * (dt / _double(node.tau_mem))
    return decays, gain(_double(node.w_in) * _double(node.r), rate, name)


def _integrators(node: Any, name: str, decays: list[Array], g: Array) -> nn.Module:
    if _double(getattr(node, "v_leak", 0.0)).any():
        raise ConfigError(f"{name}: v_leak is not 0, where the integrators of ours rest")
    chain: list[nn.Module] = [LI(_compact(d)) for d in decays]
    if bool((np.abs(g - 1) > ROUNDING).any()):
        chain.insert(0, Scale(_compact(g)))
    return chain[0] if len(chain) == 1 else Sequential(*chain)


def _i(node: Any, name: str, dt: float) -> nn.Module:
    return _integrators(node, name, [np.ones(())], gain(node.r, dt, name))


def _li(node: Any, name: str, dt: float) -> nn.Module:
    return _integrators(node, name, [decay(node.tau, dt, name)], gain(node.r, dt / _double(node.tau), name))


def _cuba_li(node: Any, name: str, dt: float) -> nn.Module:
    return _integrators(node, name, *_cuba(node, name, dt))


_READERS: dict[type, tuple[Callable[..., nn.Module], bool]] = {
    nir.Affine: (_linear, False),
    nir.Linear: (_linear, False),
    nir.Conv1d: (_conv, False),
    nir.Conv2d: (_conv, False),
    nir.AvgPool2d: (_pool, False),
    nir.SumPool2d: (_pool, False),
    nir.Flatten: (_flatten, False),
    nir.Scale: (_scale, False),
    nir.Threshold: (_threshold, False),
    nir.I: (_i, True),
    nir.IF: (_if, True),
    nir.LIF: (_lif, True),
    nir.LI: (_li, True),
    nir.CubaLI: (_cuba_li, True),
    nir.CubaLIF: (_cuba_lif, True),
}
"""How a node is read, and whether it needs to know how long a step is."""
