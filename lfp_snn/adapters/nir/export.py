"""From a network of ours to NIR."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain
from os import PathLike
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from lfp_snn.adapters.nir.euler import check_step
from lfp_snn.adapters.nir.graph import INPUT, Graph
from lfp_snn.adapters.nir.write import WRITERS, BatchNorm, Shape, Site, reason
from lfp_snn.containers import Residual, advance
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.neurons import SpikingNeuron
from lfp_snn.neurons.on_current import Bias

Linear = nn.Linear | nn.Conv1d | nn.Conv2d


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
        How long one step is. The unit is yours; every time constant of the graph is in it. snnTorch reads graphs
        with 1e-4 and cannot be told otherwise; others must be told.
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

    Read back with :func:`from_nir`, a network in single precision gives the same output to the last bit, as far as no
    decay lies between 0 and 1e-8 and no batch normalisation was folded. With resets to zero, so do the feed-forward and
    recurrent LIF, IF and CUBA networks that snnTorch 1.0, norse 1.1 and SpikingJelly 2.0 can read (``tests/adapters``).

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
    like = next(chain(network.parameters(), network.buffers()), torch.empty(0))
    x = torch.zeros(1, 1, *shape, dtype=like.dtype, device=like.device)
    with torch.no_grad():
        entrance = writer.add("input", nir.Input(np.array(shape)), [])
        last, y = writer.walk(network, "", entrance, x)
        writer.add("output", nir.Output(np.array(_shape(y))), last)
    graph = nir.NIRGraph(writer.nodes, writer.edges, metadata={"dt": dt, "producer": "lfp_snn"})
    if path is not None:
        nir.write(path, graph)
    return graph


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
        if type(module) not in WRITERS:
            raise Site(name, (), (), self.dt, self.portable).refusal(module, reason(module))
        try:
            y = advance(module, x, None, None)[0]
        except RuntimeError as e:
            raise ShapeError(f"{name} ({type(module).__name__}) cannot take an input of shape {_shape(x)}: {e}") from e
        site = Site(name, _shape(x), _shape(y), self.dt, self.portable, bias)
        for node in WRITERS[type(module)](module, site):
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
