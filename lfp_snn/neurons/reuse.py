"""Currents that nobody but the neuron will see: it may write its membrane over them.

Only a container that runs a layer and then its neurons can know, so :class:`lfp_snn.Sequential` says so.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from lfp_snn import graph

_SPARE = "_lfp_spare"
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_KEEP_NO_OUTPUT = re.compile("(Add|Addmm|Mm|Linear|Convolution|EventLinear|DenseLinear|EventConv2d)Backward[0-9]*$")
"""Operations whose backward pass does not look at their output. (A rule with parts of its own does.)"""


def offer(x: Tensor, made_by: nn.Module, taken_by: nn.Module) -> None:
    """Mark ``x`` if it passes from a layer to a neuron with nobody looking on (no hooks, no graph that holds it)."""
    if type(made_by) not in _LAYERS or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return
    if not type(taken_by).forward.__module__.startswith("lfp_snn.") or _is_kept(x):
        return
    pair = made_by, taken_by
    watched = any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in pair)
    replaced = any("forward" in vars(m) for m in pair)  # of one module, as some libraries do to look on
    if not (watched or replaced or torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks):
        setattr(x, _SPARE, x._version)


def is_spare(x: Tensor) -> bool:
    """Whether a tensor was offered, and its memory is in one piece."""
    offered = getattr(x, _SPARE, None)  # asked first: in inference mode, where none is offered, there are no versions
    return offered is not None and offered == x._version and x.is_contiguous()


def _is_kept(x: Tensor) -> bool:
    """Whether the graph holds a tensor that a layer made."""
    return not all(_KEEP_NO_OUTPUT.match(node.name()) for node, _ in graph.made_by(x))
