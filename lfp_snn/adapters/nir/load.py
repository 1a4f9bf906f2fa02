"""From NIR to a network of ours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import nir
from torch import nn

from lfp_snn.adapters.nir.euler import check_step
from lfp_snn.adapters.nir.graph import INPUT, Graph
from lfp_snn.adapters.nir.read import module_of, with_recurrence
from lfp_snn.containers import Sequential
from lfp_snn.errors import ConfigError, DataError, MissingDataError

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
    the step before, as in nirtorch. Neurons reset to their leak potential (``reset="zero"``), at which they
    also start; another ``v_reset`` is refused. The resistance goes into the threshold. ``I`` becomes ``LI(beta=1)``,
    ``CubaLI`` two ``LI``, ``Threshold`` a :class:`lfp_snn.Step`. A bias of zeros is none.

    Examples
    --------
    >>> from lfp_snn import LIF
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
        unknown = ", ".join(_unknown_types(path))
        why = f"it has no node type {unknown}" if unknown else f"{type(e).__name__}: {e}"
        raise DataError(f"{path} does not hold a graph that nir {nir.version} can read: {why}") from e


def _unknown_types(path: str | PathLike[str]) -> list[str]:
    """Return the node types in a file that the installed NIR does not have."""
    found: set[str] = set()

    def look(name: str, item: Any) -> None:
        if name.endswith("/type") and isinstance(item, h5py.Dataset):
            found.add(item.asstr()[()])

    with suppress(OSError), h5py.File(path) as file:
        file.visititems(look)
    return sorted(kind for kind in found if not hasattr(nir, kind))


def _checked(graph: Any) -> Any:
    if not isinstance(graph, nir.NIRGraph):
        raise ConfigError(f"from_nir reads a NIRGraph or a file that holds one, got {type(graph).__name__}")
    try:
        graph.validate_structure()
    except ValueError as e:
        raise DataError(f"the graph is broken: {e}") from e
    return graph


@dataclass(frozen=True)
class Joint:
    """A node, and the linear node through which its spikes come back to it, if one does."""

    node: Any
    recurrent: Any = None


def _parts(graph: Any, name: str) -> tuple[dict[str, Joint], list[Edge]]:
    """Return what a graph consists of, without subgraphs, and its edges from `INPUT` to `OUTPUT`."""
    ends: dict[str, str] = {}
    for kind, end in ((nir.Input, INPUT), (nir.Output, OUTPUT)):
        found = [key for key, node in graph.nodes.items() if isinstance(node, kind)]
        if len(found) != 1:
            raise ConfigError(f"{name} has {len(found)} {kind.__name__} nodes ({', '.join(found)}); one is needed")
        ends[found[0]] = end
    edges = [(ends.get(a, a), ends.get(b, b)) for a, b in graph.edges]
    parts: dict[str, Joint] = {}
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
            parts[key] = Joint(node)
    return _with_recurrence(parts, edges)


def _joined(edges: list[Edge], joint: str) -> list[Edge]:
    """Replace a name that only stands for others by these, in the order of the edges."""
    before = [a for a, b in edges if b == joint]
    return [(source, b) for a, b in edges if b != joint for source in (before if a == joint else [a])]


def _with_recurrence(parts: dict[str, Joint], edges: list[Edge]) -> tuple[dict[str, Joint], list[Edge]]:
    """Take every linear node that only leads from a neuron back to it into the neuron."""
    parts = dict(parts)
    for key, part in list(parts.items()):
        into, out = [a for a, b in edges if b == key], [b for a, b in edges if a == key]
        if isinstance(part.node, nir.Linear | nir.Affine) and into == out and len(into) == 1 and into[0] in parts:
            neuron = parts[into[0]]
            if isinstance(neuron.node, nir.IF | nir.LIF | nir.CubaLIF) and neuron.recurrent is None:
                parts[into[0]] = Joint(neuron.node, part.node)
                del parts[key]
                edges = [e for e in edges if key not in e]
    return parts, edges


def _sources(parts: dict[str, Joint], edges: list[Edge]) -> dict[str, list[str]]:
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
    taken = {*dir(Sequential()), *dir(nn.ModuleDict())}
    for name in names:
        label = name.replace(".", "_") or "_"
        while label in labels.values() or label in taken:
            label += "_"
        labels[name] = label
    return labels


def _layer(part: Joint, name: str, dt: float | None) -> nn.Module:
    made = module_of(part.node, name, dt)
    return made if part.recurrent is None else with_recurrence(made, part.recurrent)
