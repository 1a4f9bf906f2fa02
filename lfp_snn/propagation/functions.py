"""What LFP does at each torch function: the tables behind the propagator.

Every function that carries reward is of one kind.

=============  ======================================================================================================
convolution    also ``linear``: shares reward by the layer's rule, and its parameters receive feedback
normalisation  layer, group, instance, RMS: an affine map with a constant standard deviation
activation     elementwise and not linear: hands its reward through, its derivative is not used
mixing         linear in several inputs (add, average pooling): ordinary autograd, the epsilon rule at the output; batch
               normalisation too, as in the reference: its statistics pass density back like a gradient
structure      linear in each input, or a choice among inputs (reshape, sum, max pooling, dropout ...): ordinary
               autograd on the density is exact. So it is for softmax: its gradient is AttnLRP's rule
view           structure whose elements are (some) elements of its input (reshape, max pooling)
product        of two signals: each factor takes half (AttnLRP's uniform rule, arXiv 2402.05602)
quotient       the denominator is a constant, as are one over a signal, its inverse root and any negative power: so the
               spread that a normalisation written out divides by is a constant, too
=============  ======================================================================================================

Anything else that has parameters or would carry reward is an error, never a silent default; :func:`register_function`
adds to the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch.nn.functional as F

Function = Callable[..., Any]
Kind = Literal[
    "convolution", "normalisation", "activation", "mixing", "structure", "view", "product", "quotient", "unknown"
]

_NAMES: dict[Kind, str] = {
    "convolution": "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "normalisation": "layer_norm group_norm instance_norm rms_norm",
    "activation": """
        relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign softshrink hardshrink
        tanhshrink threshold hardtanh hardsigmoid hardswish logsigmoid log_sigmoid sigmoid tanh rrelu prelu
        clamp clip clamp_min clamp_max sign sgn heaviside round floor ceil trunc fix abs absolute square
        sqrt exp expm1 log log1p erf sin cos tan atan arctan pow float_power expit step""",
    "mixing": """
        add batch_norm avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
        adaptive_avg_pool3d""",
    "view": """
        reshape view view_as reshape_as flatten unflatten permute transpose movedim moveaxis swapaxes
        swapdims squeeze unsqueeze t contiguous clone ravel adjoint get set getitem select narrow split chunk
        tensor_split unbind diagonal expand expand_as broadcast_to detach requires_grad
        max_pool1d max_pool2d max_pool3d""",
    "structure": """
        setitem copy zero fill cat concat concatenate stack hstack vstack dstack index_select gather take
        take_along_dim masked_select masked_fill where roll flip rot90 tile repeat repeat_interleave
        broadcast_tensors tril triu pad unfold fold im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle sum mean
        cumsum nansum neg negative positive sub subtract rsub isub dropout dropout1d dropout2d dropout3d
        alpha_dropout feature_alpha_dropout feature_dropout
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d max_pool1d_with_indices
        max_pool2d_with_indices max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d
        fractional_max_pool2d fractional_max_pool3d amax amin max min maximum minimum fmax fmin median sort
        topk kthvalue interpolate upsample grid_sample embedding embedding_bag softmax log_softmax scatter
        scatter_add index_add index_copy index_put index_fill masked_scatter slice_scatter select_scatter
        atleast_1d atleast_2d as_strided to float double half bfloat16 type cpu cuda type_as""",
    "product": "mul multiply imul rmul matmul rmatmul bmm mm mv dot einsum",
    "quotient": "div divide true_divide truediv itruediv reciprocal rsqrt rdiv rtruediv",
}
RECIPROCALS = ("pow", "reciprocal", "rsqrt", "rdiv", "rtruediv")
"""Quotients whose numerator is a number: constants as a whole."""
_ALIASES = {"iadd": "add", "radd": "add", "ipow": "pow"}
KINDS: dict[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""The kind of each torch function, by its name (an in-place or operator form counts as the function itself)."""

# torch makes these from pairs of functions and leaves them without a name of their own.
_DISPATCHED = {
    getattr(F, name): name
    for name in (
        [f"{kind}max_pool{d}d" for kind in ("", "adaptive_") for d in (1, 2, 3)]
        + [f"fractional_max_pool{d}d" for d in (2, 3)]
    )
}
_registered: dict[Function, Kind] = {}


def name_of(function: Function) -> str:
    """Return the plain name of a torch function: ``"add"`` for ``Tensor.__iadd__``, ``Tensor.add_`` and ``torch.add``.

    Examples
    --------
    >>> import torch
    >>> name_of(torch.Tensor.__iadd__), name_of(torch.relu_)
    ('add', 'relu')
    """
    name: str = _DISPATCHED.get(function) or getattr(function, "__name__", None) or ""
    name = name.strip("_")
    return _ALIASES.get(name, name)


def kind_of(function: Function) -> Kind:
    """Return the kind of a function, ``"unknown"`` if it has none."""
    return _registered.get(function) or KINDS.get(name_of(function), "unknown")


def is_registered(function: Function) -> bool:
    """Whether a function was registered."""
    return function in _registered


def register_function(function: Function, kind: Kind) -> None:
    """Say how LFP treats a function that it does not know.

    Parameters
    ----------
    function : callable
        A torch function (what a ``TorchFunctionMode`` sees), or a ``torch.autograd.Function`` whose own backward pass
        is right for a density, as it is for what is linear (``"structure"``).
    kind : str
        One of the kinds in the module's table.

    Raises
    ------
    ValueError
        If the kind does not exist.

    Examples
    --------
    >>> import torch
    >>> register_function(torch.erfinv, "activation")
    >>> kind_of(torch.erfinv)
    'activation'
    """
    kinds = [k for k in get_args(Kind) if k != "unknown"]
    if kind not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}, got {kind!r}")
    _registered[function] = kind
