"""Operations in place: which tensor they write to, and what they are out of place.

Under LFP they have the values, aliases and graph that they have without: a linear one runs as it is, for any other the
function is computed out of place and its result copied to where it belongs. What an LFP operation had saved of the
overwritten values is kept first (:func:`lfp_snn.propagation.density.keep_saved`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lfp_snn.errors import UnknownLayerError

# They end like operations in place, but leave every element what it is.
_METADATA = ("requires_grad_", "detach_", "squeeze_", "unsqueeze_", "t_", "transpose_", "swapaxes_", "swapdims_")


@cache
def _flag(func: Any) -> int | None:
    """Return the position of a function's argument ``inplace``, ``None`` if it has none."""
    try:
        return list(inspect.signature(func).parameters).index("inplace")
    except (ValueError, TypeError):
        return None


def _flagged(func: Any, args: Any, kwargs: Any) -> bool:
    at = _flag(func)
    return bool(at is not None and (kwargs.get("inplace") or (at < len(args) and args[at])))


def _ends_in_place(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    if name.startswith("__"):
        return name == "__setitem__" or (name.startswith("__i") and hasattr(Tensor, "__" + name[3:]))
    return name.endswith("_") and name not in _METADATA


def destination(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """Return the tensor that a call overwrites, if any.

    Raises
    ------
    UnknownLayerError
        For ``out=``, through which autograd does not follow.

    Examples
    --------
    >>> x = torch.zeros(2)
    >>> destination(Tensor.add_, (x, 1), {}) is x, destination(F.relu, (x,), {"inplace": True}) is x
    (True, True)
    >>> destination(torch.add, (x, 1), {}) is None
    True
    """
    if kwargs.get("out") is not None:
        name = torch.overrides.resolve_name(func)
        raise UnknownLayerError(f"autograd, and with it LFP, cannot follow {name}(..., out=y): write y = {name}(...)")
    if not (_ends_in_place(func) or _flagged(func, args, kwargs)):
        return None
    x = args[0] if args else kwargs.get("input")
    return x if isinstance(x, Tensor) else None


def out_of_place(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """Return the call that computes what one in place does, and leaves its input alone.

    Examples
    --------
    >>> func, args, kwargs = out_of_place(F.relu, (torch.zeros(2), True), {})
    >>> func is F.relu, args[1]
    (True, False)
    >>> out_of_place(Tensor.__imul__, (), {})[0] is Tensor.__mul__
    True
    """
    if _flagged(func, args, kwargs):
        at = _flag(func)
        args = tuple(False if k == at else x for k, x in enumerate(args))
        return func, args, {k: v for k, v in kwargs.items() if k != "inplace"}
    plain = func.__name__
    if plain.startswith("__i"):
        return getattr(Tensor, "__" + plain[3:]), args, kwargs
    return next(getattr(o, plain[:-1]) for o in (torch, F, Tensor) if hasattr(o, plain[:-1])), args, kwargs


@contextmanager
def writing(func: Callable[..., Any]) -> Iterator[None]:
    """Say what to write instead where autograd forbids to overwrite the output of a function of ours or a neuron's."""
    try:
        yield
    except RuntimeError as e:
        if "is being modified inplace" not in str(e):
            raise
        name = torch.overrides.resolve_name(func) or func.__name__
        raise UnknownLayerError(
            f"{name} cannot overwrite this tensor, a view of what an autograd function made: work on x.clone(), or "
            "write the operation out of place (y = x + z for x += z or x.add_(z))"
        ) from e
