"""The propagator at work: one forward pass in which every torch function gets its LFP backward pass.

A ``TorchFunctionMode`` sees each torch call of the pass, whether a module or the user's own ``forward`` makes it, so no
graph is traced and no module is exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lfp_snn.errors import UnknownLayerError
from lfp_snn.neurons.ambient import ambient
from lfp_snn.propagation import attention, linear
from lfp_snn.propagation.density import HandThrough, Stabilise
from lfp_snn.propagation.feedback import DERIVED, Scaler
from lfp_snn.propagation.functions import RECIPROCALS, kind_of, name_of
from lfp_snn.rules.layer import Rule

COMPOSITES = attention.COMPOSITES | linear.COMPOSITES
PENDING = "_lfp_epsilon"
"""Marks a tensor that a linear operation made and whose epsilon rule is left to its consumer: activations and neurons
have a stabiliser of their own, everything else applies :class:`Stabilise` first."""


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _of_parameters(args: Any, kwargs: Any) -> bool:
    """Whether all that could carry a message into a call are parameters, or made of parameters."""
    sources = [x for x in _tensors([*args, *kwargs.values()]) if x.requires_grad]
    return bool(sources) and all(isinstance(x, nn.Parameter) or hasattr(x, DERIVED) for x in sources)


def _replace(value: Any, by: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return by(value)
    if isinstance(value, tuple | list) and any(isinstance(v, Tensor | tuple | list) for v in value):
        return type(value)(_replace(v, by) for v in value)
    return value


def settled(x: Tensor) -> Tensor:
    """Apply the epsilon rule that an operation on a signal left pending on ``x``, if any."""
    epsilon = getattr(x, PENDING, None)
    return x if epsilon is None or hasattr(x, DERIVED) else Stabilise.apply(x, epsilon)


def _pending(y: Any, epsilon: float) -> Any:
    if isinstance(y, Tensor) and y.requires_grad:
        setattr(y, PENDING, epsilon)
    return y


class Pass(TorchFunctionMode):
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
        result = getattr(self, f"_{kind}")(func, args, kwargs)
        if kind in ("view", "structure", "product", "quotient", "mixing") and _of_parameters(args, kwargs):
            for y in _tensors([result]):
                setattr(y, DERIVED, True)
        return result

    @property
    def rule(self) -> Rule:
        """The rule in force."""
        return self.rules[-1]

    def _scaled(self, x: Tensor) -> Tensor:
        return self.scaler(x) if isinstance(x, nn.Parameter) else settled(x)

    def _ready(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Settle what is pending on the inputs and put scaled parameters in their place."""
        return _replace(args, self._scaled), {k: _replace(v, self._scaled) for k, v in kwargs.items()}

    # One method a kind, in the order of the table in functions.py.

    def _convolution(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        apply, x, weight, bias = linear.taken_apart(func, args, kwargs)
        y = linear.under_rule(apply, settled(x), weight, bias, self.rule, self.scaler)
        return y if self.rule.parts() else _pending(y, self.rule.epsilon)

    def _normalisation(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        return _pending(_NORMS[name_of(func)](self, *args, **kwargs), self.rule.epsilon)  # type: ignore[no-any-return]

    def _activation(self, func: Any, args: Any, kwargs: Any) -> Any:
        z, *rest = linear.bound(("input",), args, kwargs)
        options = {k: v for k, v in kwargs.items() if k not in ("input", "inplace")}
        if not isinstance(z, Tensor) or not z.requires_grad:
            return func(*args, **kwargs)
        if _is_divisor(func, rest, kwargs):
            return self._quotient(func, args, kwargs)
        if isinstance(z, nn.Parameter):
            z = self.scaler(z)
        rest, options = self._ready(tuple(rest), options)
        a = _out_of_place(func)(z.detach(), *rest, **options)
        return HandThrough.apply(z, a, getattr(z, PENDING, self.rule.epsilon))

    def _mixing(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._ready(args, kwargs)
        return _pending(_out_of_place(func)(*args, **kwargs), self.rule.epsilon)

    def _structure(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._ready(args, kwargs)
        return func(*args, **kwargs)

    def _view(self, func: Any, args: Any, kwargs: Any) -> Any:
        x = args[0] if args else kwargs.get("input")
        epsilon = getattr(x, PENDING, None)
        if epsilon is None:
            return self._structure(func, args, kwargs)
        return _pending(func(*args, **kwargs), epsilon)

    def _product(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._ready(args, kwargs)
        signals = [k for k, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
        func = _out_of_place(func)
        parameters = [k for k in signals if args[k] in self.scaler]
        if len(signals) < 2 or parameters:
            return func(*args, **kwargs)
        shares = []
        for k in signals:
            others = [x.detach() if j in signals and j != k else x for j, x in enumerate(args)]
            shares.append(func(*others, **kwargs) / len(signals))
        return sum(shares[1:], shares[0])

    def _quotient(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._ready(args, kwargs)
        numerator = () if name_of(func) in RECIPROCALS else args[:1]
        divisors = _replace(tuple(args[len(numerator) :]), Tensor.detach)
        return _out_of_place(func)(*numerator, *divisors, **_replace_values(kwargs))

    def _unknown(self, func: Any, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if not any(y.requires_grad and y.is_floating_point() for y in _tensors([result])):
            return result  # nothing that could carry reward: a size, a comparison, a detached value
        name = torch.overrides.resolve_name(func) or name_of(func)
        advice = (
            "say how it shares reward with lfp_snn.register_function or, for a whole module, lfp_snn.register_module"
        )
        for x in _tensors([*args, *kwargs.values()]):
            if isinstance(x, nn.Parameter) and x.requires_grad:
                owner = self.names.get(id(x), "a parameter outside the model")
                raise UnknownLayerError(f"LFP has no rule for {name}, which uses {owner!r}: {advice}")
        raise UnknownLayerError(f"LFP does not know how {name} shares its reward among its inputs: {advice}")


def _is_divisor(func: Any, exponents: list[Any], kwargs: dict[str, Any]) -> bool:
    """Whether an activation is a power with a negative exponent, which is a quotient."""
    exponent = kwargs.get("exponent", exponents[0] if exponents else None)
    return name_of(func) == "pow" and isinstance(exponent, int | float) and exponent < 0


def _replace_values(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: _replace(v, Tensor.detach) for k, v in kwargs.items()}


def _out_of_place(func: Any) -> Any:
    """Return the function that computes what an in-place one does, and leaves its input alone."""
    plain = getattr(func, "__name__", "")
    if plain.startswith("__i") and plain.endswith("__"):
        return getattr(Tensor, "__" + plain[3:])
    if plain.endswith("_") and not plain.endswith("__"):
        return next(getattr(owner, plain[:-1]) for owner in (torch, F, Tensor) if hasattr(owner, plain[:-1]))
    return func


def _layer_norm(
    lfp: Pass,
    input: Tensor,
    shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    return linear.layer_norm(settled(input), shape, weight, bias, eps, lfp.scaler)


def _rms_norm(lfp: Pass, input: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    return linear.rms_norm(settled(input), shape, weight, eps, lfp.scaler)


def _group_norm(
    lfp: Pass,
    input: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    return linear.group_norm(settled(input), groups, weight, bias, eps, lfp.scaler)


def _instance_norm(
    lfp: Pass,
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
