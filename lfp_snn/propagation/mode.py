"""The propagator at work: one forward pass in which every torch function gets its LFP backward pass.

A ``TorchFunctionMode`` sees each torch call of the pass, whether a module or the user's own ``forward`` makes it, so no
graph is traced and no module is exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lfp_snn.errors import UnknownLayerError
from lfp_snn.neurons.ambient import ambient
from lfp_snn.propagation import attention, linear
from lfp_snn.propagation.density import HandThrough, HandThroughInto, Stabilise, keep_saved
from lfp_snn.propagation.feedback import DERIVED, Scaler, is_parameter
from lfp_snn.propagation.functions import RECIPROCALS, kind_of, name_of
from lfp_snn.propagation.inplace import destination, out_of_place, writing
from lfp_snn.rules.layer import Rule
from lfp_snn.synapses import mark, max_pool2d

COMPOSITES = attention.COMPOSITES | linear.COMPOSITES
PENDING = "_lfp_epsilon"
"""Marks a tensor that a linear operation made and whose epsilon rule is left to its consumer: activations and neurons
have a stabiliser of their own, everything else stabilises first."""


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _of_parameters(args: Any, kwargs: Any) -> bool:
    """Whether all that could carry a message into a call are parameters, or made of parameters."""
    sources = [x for x in _tensors([*args, *kwargs.values()]) if x.requires_grad]
    return bool(sources) and all(is_parameter(x) or hasattr(x, DERIVED) for x in sources)


def _replace(value: Any, by: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return by(value)
    if isinstance(value, tuple | list) and any(isinstance(v, Tensor | tuple | list) for v in value):
        return type(value)(_replace(v, by) for v in value)
    if isinstance(value, dict):
        return {k: _replace(v, by) for k, v in value.items()}
    return value


def settled(x: Tensor) -> Tensor:
    """Apply the epsilon rule that an operation on a signal left pending on ``x``, if any."""
    epsilon = getattr(x, PENDING, None)
    return x if epsilon is None or hasattr(x, DERIVED) else Stabilise.apply(x, epsilon)


def _pending(y: Any, epsilon: float) -> Any:
    for part in _tensors([y]):
        if part.requires_grad:
            setattr(part, PENDING, epsilon)
    return y


def _settle_in_place(x: Tensor) -> None:
    epsilon = getattr(x, PENDING, None)
    if epsilon is not None:
        delattr(x, PENDING)
        x.copy_(Stabilise.apply(x.clone(), epsilon))


def _mark(x: Tensor, name: str, value: Any) -> None:
    """Set a mark on a tensor, or take it off where the value is ``None``."""
    if value is not None:
        setattr(x, name, value)
    elif hasattr(x, name):
        delattr(x, name)


class LFPMode(TorchFunctionMode):
    """One forward pass under LFP.

    Parameters
    ----------
    rules : list of Rule
        A stack: the rule of the innermost module that has one is the last.
    scaler : Scaler
        Makes gradients of parameters into feedback.
    names : dict
        Name of each parameter by its ``id``, for error messages.
    """

    def __init__(self, rules: list[Rule], scaler: Scaler, names: dict[int, str]) -> None:
        super().__init__()
        self.rules, self.scaler, self.names = rules, scaler, names

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Give ``func`` its LFP backward pass."""
        kwargs = kwargs or {}
        if not torch.is_grad_enabled() or ambient().scale is not self.scaler:  # an inner pass has done its work
            return func(*args, **kwargs)
        composite = COMPOSITES.get(name_of(func))
        if composite is not None:
            with self:  # each part finds its rule
                return composite(*args, **kwargs)
        kind = kind_of(func)
        if kind == "unknown":
            return self._unknown(func, args, kwargs)
        if not any(x.requires_grad for x in _tensors([*args, *kwargs.values()])):
            return func(*args, **kwargs)  # carries no reward; and in place where it is, as a count of batches
        derived = kind in ("view", "structure", "product", "quotient", "mixing") and _of_parameters(args, kwargs)
        x = destination(func, args, kwargs)
        if x is not None:
            result = self._in_place(kind, x, func, args, kwargs)
            _mark(x, DERIVED, derived or None)
            return result
        result = getattr(self, f"_{kind}")(func, args, kwargs)
        if derived:
            for y in _tensors([result]):
                setattr(y, DERIVED, True)
        return result

    @property
    def rule(self) -> Rule:
        """The rule in force."""
        return self.rules[-1]

    def _scaled(self, x: Tensor) -> Tensor:
        return self.scaler(x) if is_parameter(x) else settled(x)

    def _ready(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Settle what is pending on the inputs and put scaled parameters in their place."""
        return _replace(args, self._scaled), _replace(kwargs, self._scaled)

    def _in_place(self, kind: str, x: Tensor, func: Any, args: Any, kwargs: Any) -> Any:
        """Run a call that overwrites ``x``, and return what it returns."""
        result: Any = x
        rest, kwargs = args[1:], {k: v for k, v in kwargs.items() if k != "input"}
        keep_saved(x)
        with writing(func):
            if x._base is not None and hasattr(x._base, PENDING):
                _settle_in_place(x._base)
                _mark(x, PENDING, None)
            if kind in ("mixing", "structure", "view"):  # linear: autograd's own operation in place is exact
                _settle_in_place(x)
                rest, kwargs = self._ready(rest, kwargs)
                result, epsilon = func(x, *rest, **kwargs), self.rule.epsilon if kind == "mixing" else None
            else:
                old = x.clone()
                _mark(old, PENDING, getattr(x, PENDING, None))
                rest, kwargs = _replace((rest, kwargs), lambda other: old if other is x else other)
                func, args, kwargs = out_of_place(func, (old, *rest), kwargs)
                if kind == "activation" and not x._is_view():
                    y = self._activation(func, args, kwargs, into=x)  # the same, and one tensor less to keep
                else:
                    y = getattr(self, f"_{kind}")(func, args, kwargs)
                epsilon = None if y is x else getattr(y, PENDING, None)
                if y is not x:
                    x.copy_(y)
            _mark(x, PENDING, epsilon if x.requires_grad else None)
            if x._is_view():  # what it is a view of shows the same values, and nobody would settle them there
                _settle_in_place(x)
        return result

    # One method a kind, in the order of the table in functions.py.

    def _convolution(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        apply, x, weight, bias = linear.taken_apart(func, args, kwargs)
        y = linear.under_rule(apply, settled(x), weight, bias, self.rule, self.scaler)
        return y if self.rule.parts() else _pending(y, self.rule.epsilon)

    def _normalisation(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        return _pending(_NORMS[name_of(func)](self, *args, **kwargs), self.rule.epsilon)  # type: ignore[no-any-return]

    def _activation(self, func: Any, args: Any, kwargs: Any, into: Tensor | None = None) -> Any:
        z, *rest = linear.bound(("input",), args, kwargs)
        options = {k: v for k, v in kwargs.items() if k != "input"}
        if not isinstance(z, Tensor) or not z.requires_grad:
            return func(*args, **kwargs)
        if _is_divisor(func, rest, kwargs):
            return self._quotient(func, args, kwargs)
        if is_parameter(z):
            z = self.scaler(z)
        rest, options = self._ready(tuple(rest), options)
        a = func(z.detach(), *rest, **options)
        epsilon = getattr(z, PENDING, self.rule.epsilon)
        return HandThrough.apply(z, a, epsilon) if into is None else HandThroughInto.apply(into, z, a, epsilon)

    def _mixing(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._ready(args, kwargs)
        return _pending(func(*args, **kwargs), self.rule.epsilon)

    def _structure(self, func: Any, args: Any, kwargs: Any) -> Any:
        ready, kwargs = self._ready(args, kwargs)
        result = func(*ready, **kwargs)
        if name_of(func) == "dropout" and isinstance(args[0], Tensor):
            mark(result, as_in=args[0])  # what it silences gives no message either
        # A function that did nothing (a cast to the same type) returns the tensor that the caller knows.
        return next((x for x, y in zip(args, ready, strict=True) if result is y and hasattr(x, PENDING)), result)

    def _view(self, func: Any, args: Any, kwargs: Any) -> Any:
        x = args[0] if args else kwargs.get("input")
        if func is F.max_pool2d:
            func = max_pool2d
        epsilon = getattr(x, PENDING, None)
        if epsilon is None or kwargs.get("return_indices"):
            y = self._structure(func, args, kwargs)
        else:
            y = _pending(func(*args, **kwargs), epsilon)
        return mark(y, as_in=x) if isinstance(y, Tensor) else y

    def _product(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._ready(args, kwargs)
        factors = [x for x in _tensors([args, list(kwargs.values())]) if x.requires_grad]
        if len(factors) < 2 or any(x in self.scaler for x in factors):
            return func(*args, **kwargs)

        def share(k: int) -> Any:
            """Return the part of the k-th factor: the others are constants."""
            numbers = count()
            values = _replace((args, kwargs), lambda x: x if not x.requires_grad or next(numbers) == k else x.detach())
            return func(*values[0], **values[1]) / len(factors)

        return sum((share(k) for k in range(1, len(factors))), share(0))

    def _quotient(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._ready(args, kwargs)
        numerator = () if name_of(func) in RECIPROCALS else args[:1]
        divisors = _replace(tuple(args[len(numerator) :]), Tensor.detach)
        return func(*numerator, *divisors, **_replace(kwargs, Tensor.detach))

    def _unknown(self, func: Any, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if not any(y.requires_grad and y.is_floating_point() for y in _tensors([result])):
            return result  # nothing that could carry reward: a size, a comparison, a detached value
        name = torch.overrides.resolve_name(func) or name_of(func)
        advice = (
            "say how it shares reward with lfp_snn.register_function or, for a whole module, lfp_snn.register_module"
        )
        for x in _tensors([*args, *kwargs.values()]):
            if is_parameter(x) and x.requires_grad:
                owner = self.names.get(id(x), "a parameter outside the model")
                raise UnknownLayerError(f"LFP has no rule for {name}, which uses {owner!r}: {advice}")
        raise UnknownLayerError(f"LFP does not know how {name} shares its reward among its inputs: {advice}")


def _is_divisor(func: Any, exponents: list[Any], kwargs: dict[str, Any]) -> bool:
    """Whether an activation is a power with a negative exponent, which is a quotient."""
    exponent = kwargs.get("exponent", exponents[0] if exponents else None)
    return name_of(func) == "pow" and isinstance(exponent, int | float) and exponent < 0


def _layer_norm(
    lfp: LFPMode,
    input: Tensor,
    shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    return linear.layer_norm(settled(input), shape, weight, bias, eps, lfp.scaler)


def _rms_norm(
    lfp: LFPMode, input: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    return linear.rms_norm(settled(input), shape, weight, eps, lfp.scaler)


def _group_norm(
    lfp: LFPMode,
    input: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    return linear.group_norm(settled(input), groups, weight, bias, eps, lfp.scaler)


def _instance_norm(
    lfp: LFPMode,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats or running_mean is not None:
        raise UnknownLayerError("LFP handles instance normalisation without running statistics only")
    return linear.group_norm(settled(input), input.shape[1], weight, bias, eps, lfp.scaler)


_NORMS: dict[str, Callable[..., Tensor]] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
}
