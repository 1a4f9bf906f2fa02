"""Linear operations under a rule (matrix products, convolutions), and normalisation with a constant spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lfp_snn.propagation.density import HandThrough, ShareAmong
from lfp_snn.propagation.feedback import DERIVED, Scaler, is_parameter
from lfp_snn.rules.layer import Rule
from lfp_snn.synapses import product

Apply = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""A linear operation as a function of input, weight and bias."""


def bound(names: tuple[str, ...], args: Any, kwargs: Any) -> list[Any]:
    """Return the first arguments by position or by name, ``None`` where absent, then the other positional ones."""
    return [*(args[k] if k < len(args) else kwargs.get(name) for k, name in enumerate(names)), *args[len(names) :]]


def taken_apart(func: Any, args: Any, kwargs: Any) -> tuple[Apply, Tensor, Tensor, Tensor | None]:
    """Return the call of a linear operation as a function of input, weight and bias, and these three."""
    x, weight, bias, *rest = bound(("input", "weight", "bias"), args, kwargs)
    options = {k: v for k, v in kwargs.items() if k not in ("input", "weight", "bias")}

    def apply(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if options:
            return func(x, w, b, *rest, **options)  # type: ignore[no-any-return]
        return product(func, x, w, b, *rest)

    return apply, x, weight, bias


def under_rule(apply: Apply, x: Tensor, weight: Tensor, bias: Tensor | None, rule: Rule, scaler: Scaler) -> Tensor:
    """Run ``apply`` such that its reward is shared by ``rule``.

    For a rule without parts this is the plain operation, its epsilon still to be applied by whoever takes the result.
    """
    parts = rule.parts()
    if not parts:
        return apply(x, scaler(weight), None if bias is None else scaler(bias))
    outputs = []
    for part in parts:
        total: Tensor | None = None
        for term in part.terms:
            w = scaler.modified(weight, term.weight(weight.detach()))
            b = None if bias is None or term.bias is None else scaler.modified(bias, term.bias(bias.detach()))
            v = term.input(x)
            if term.replaces and x.requires_grad:
                v = HandThrough.apply(x, v.detach(), 0.0)
            y = apply(v, w, b)
            total = y if total is None else total + y
        assert total is not None
        outputs.append(total)
    with torch.no_grad():
        z = apply(x, weight, bias)
    return ShareAmong.apply(z, rule, *outputs)  # type: ignore[no-any-return]


def layer_norm(
    x: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float, scaler: Scaler
) -> Tensor:
    """Layer normalisation with the standard deviation as a constant (AttnLRP, arXiv 2402.05602, section 3.3)."""
    dims = list(range(-len(normalized_shape), 0))
    centred = x - x.mean(dims, keepdim=True)
    rate = (centred.detach().square().mean(dims, keepdim=True) + eps).rsqrt()
    return _affine(centred * rate, weight, bias, None, scaler)


def rms_norm(x: Tensor, normalized_shape: Any, weight: Tensor | None, eps: float | None, scaler: Scaler) -> Tensor:
    """RMS normalisation with the root mean square as a constant."""
    dims = list(range(-len(normalized_shape), 0))
    floor = torch.finfo(x.dtype).eps if eps is None else eps
    return _affine(x * (x.detach().square().mean(dims, keepdim=True) + floor).rsqrt(), weight, None, None, scaler)


def group_norm(
    x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float, scaler: Scaler
) -> Tensor:
    """Group normalisation with the standard deviation as a constant."""
    grouped = x.reshape(x.shape[0], groups, -1)
    centred = grouped - grouped.mean(-1, keepdim=True)
    rate = (centred.detach().square().mean(-1, keepdim=True) + eps).rsqrt()
    return _affine((centred * rate).view_as(x), weight, bias, [1, -1] + [1] * (x.dim() - 2), scaler)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None, shape: list[int] | None, scaler: Scaler) -> Tensor:
    """Return ``x*weight + bias`` with scaled parameters."""
    if weight is not None:
        w = scaler(weight)
        x = x * (w if shape is None else w.view(shape))
    if bias is not None:
        b = scaler(bias)
        x = x + (b if shape is None else b.view(shape))
    return x


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """Return ``beta*input + alpha*(mat1 @ mat2)``; with weights for ``mat2`` it is a linear layer, under its rule.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> b, x, w = torch.rand(3), torch.rand(2, 4), torch.rand(4, 3)
    >>> torch.allclose(addmm(b, x, torch.nn.Parameter(w)), torch.addmm(b, x, w), atol=1e-6)
    True
    """
    if input.dim() == 1 and beta == alpha == 1 and (is_parameter(mat2) or hasattr(mat2, DERIVED)):
        return F.linear(mat1, mat2.t(), input)
    return beta * input + alpha * torch.matmul(mat1, mat2)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """Return ``beta*input + alpha*(batch1 @ batch2)``."""
    return beta * input + alpha * torch.matmul(batch1, batch2)


COMPOSITES: dict[str, Callable[..., Any]] = {"addmm": addmm, "baddbmm": baddbmm}
"""Functions that are spelled out, by their names."""
