"""From zennit's rule of a module, a hook, to one of ours.

A hook keeps its options in the closures of its functions, where they are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from inspect import getclosurevars
from typing import Any

import torch
from torch import nn
from zennit import rules as theirs
from zennit.core import Hook, Stabilizer

from lfp_snn.errors import ConfigError
from lfp_snn.rules import layer as ours
from lfp_snn.rules.layer import Part, Rule, Term

LINEAR = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


@dataclass(frozen=True)
class WithoutBias(Rule):
    """Another rule, with a bias of zero (zennit's ``zero_params="bias"``).

    Examples
    --------
    >>> [term.bias is torch.zeros_like for term in WithoutBias(rule=ours.ZPlus()).parts()[0].terms]
    [True, True]
    """

    rule: Rule = field(default_factory=ours.Epsilon)

    def parts(self) -> tuple[Part, ...]:
        """Return the rule's parts, each without its bias."""
        parts = self.rule.parts() or (Part(1.0, (Term(ours.same, ours.same, None),)),)
        return tuple(replace(p, terms=tuple(replace(t, bias=torch.zeros_like) for t in p.terms)) for p in parts)


def from_hook(hook: Hook, module: nn.Module, name: str = "a module") -> Rule:
    """Return our form of the rule that a zennit hook gives to a module.

    Parameters
    ----------
    hook : zennit.core.Hook
        One of zennit's rules: ``Epsilon``, ``Norm``, ``Gamma``, ``ZPlus``, ``AlphaBeta``, ``ZBox``, ``WSquare``,
        ``Flat``, ``Pass``.
    module : nn.Module
        What it is attached to.
    name : str
        The module's name, for error messages.

    Raises
    ------
    ConfigError
        Where the reward would not be shared as zennit shares it: a hook of the user's own or one that modifies
        gradients, a stabiliser that is not a number, a rule with modified weights on a module without weights.

    Examples
    --------
    >>> from_hook(theirs.AlphaBeta(alpha=2.0, beta=1.0), nn.Linear(3, 2))
    AlphaBeta(epsilon=1e-06, alpha=2.0, beta=1.0)
    """
    where = f"{name} ({type(module).__name__})"
    convert = _RULES.get(type(hook))
    if convert is None:
        known = type(hook).__module__ == theirs.__name__
        why = "it modifies gradients and shares no reward" if known else "it is not one of zennit's"
        raise ConfigError(f"{where}: the rule {type(hook).__name__} cannot be taken over: {why}")
    if not isinstance(hook, theirs.Pass) and next(module.children(), None) is not None:
        raise ConfigError(f"{where}: {type(hook).__name__} on a module made of others: give the rules to those")
    rule = convert(hook, where)
    if rule.parts() and not isinstance(module, LINEAR):
        raise ConfigError(f"{where}: {type(hook).__name__} is for linear and convolution layers")
    return rule


def _option(function: Any, name: str, where: str) -> Any:
    """Return what a function of zennit's holds in its closure."""
    held = getclosurevars(function).nonlocals
    if name not in held:
        raise ConfigError(f"{where}: this version of zennit keeps {name!r} elsewhere; 0.5.1 is the version known")
    return held[name]


def _epsilon(hook: Any, where: str) -> float:
    stabilizer = _option(hook.gradient_mapper, "stabilizer_fn", where)
    if type(stabilizer) is not Stabilizer or stabilizer.clip or stabilizer.norm_scale:
        raise ConfigError(f"{where}: {type(hook).__name__} has a stabiliser that is not simply a number to be added")
    return float(stabilizer.epsilon)


def _zeroed(hook: Any, where: str) -> bool:
    """Whether the bias is set to zero."""
    zeroed = hook.param_modifiers[0].zero_params or []
    zeroed = [zeroed] if isinstance(zeroed, str) else list(zeroed)
    if set(zeroed) - {"bias"}:
        raise ConfigError(f"{where}: zero_params={zeroed}: only the bias can be set to zero")
    return bool(zeroed)


def _plain(make: Callable[..., Rule], *options: tuple[str, Callable[[Any], Any]]) -> Callable[[Any, str], Rule]:
    """Return the conversion of a hook with its stabiliser, its ``zero_params`` and options from the functions given."""

    def convert(hook: Any, where: str) -> Rule:
        rule = make(_epsilon(hook, where), **{name: _option(of(hook), name, where) for name, of in options})
        return WithoutBias(rule.epsilon, rule) if _zeroed(hook, where) else rule

    return convert


def _flat(hook: Any, where: str) -> Rule:
    return ours.Flat(_epsilon(hook, where))  # there is no bias in it, whatever zero_params


_RULES: dict[type[Hook], Callable[[Any, str], Rule]] = {
    theirs.Epsilon: _plain(ours.Epsilon),
    theirs.Norm: _plain(ours.Epsilon),
    theirs.Gamma: _plain(ours.Gamma, ("gamma", lambda hook: hook.param_modifiers[0].modifier)),
    theirs.ZPlus: _plain(ours.ZPlus),
    theirs.AlphaBeta: _plain(ours.AlphaBeta, ("alpha", lambda hook: hook.reducer), ("beta", lambda hook: hook.reducer)),
    theirs.ZBox: _plain(
        ours.ZBox, ("low", lambda hook: hook.input_modifiers[1]), ("high", lambda hook: hook.input_modifiers[2])
    ),
    theirs.WSquare: _plain(ours.WSquare),
    theirs.Flat: _flat,
    theirs.Pass: lambda hook, where: ours.Pass(epsilon=0.0),
}
