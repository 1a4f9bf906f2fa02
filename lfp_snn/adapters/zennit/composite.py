"""A zennit composite as a propagator: its canonizers while attached, its rules by module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from zennit.canonizers import Canonizer, MergeBatchNorm
from zennit.core import Composite
from zennit.layer import Sum
from zennit.types import Activation

from lfp_snn.adapters.zennit.rules import from_hook
from lfp_snn.errors import ConfigError
from lfp_snn.propagation.lfp import LFP, Attachment
from lfp_snn.propagation.mode import PENDING
from lfp_snn.rules.layer import Epsilon, Pass, Rule


class FromZennit(LFP):
    """LFP by the rules of a zennit composite; made by :func:`from_zennit`.

    Parameters
    ----------
    composite : zennit.core.Composite
        It says which rule each module gets, and which canonizers change the model while LFP is attached.
    rest : Rule, optional
        The rule of layers with parameters that the composite leaves out.
    **options
        As for :class:`lfp_snn.LFP`, but for ``rule``, ``rules`` and ``epsilon``.
    """

    def __init__(self, composite: Composite, rest: Rule | None = None, **options: Any) -> None:
        # zennit hands reward through activations without a stabiliser, so there is none but those of its rules.
        super().__init__(epsilon=0.0, rule=rest if rest is not None else Epsilon(0.0), **options)
        self.composite, self.rest = composite, rest

    def attach(self, model: nn.Module) -> Attachment:
        """Apply the canonizers and attach LFP to ``model`` until the returned attachment is removed."""
        applied: list[Any] = []
        try:
            for canonizer in self.composite.canonizers:
                applied += canonizer.apply(model)
            _check(applied, model)
            inner = super().attach(model)
            handles = [
                module.register_forward_hook(lambda m, a, y, epsilon=rule.epsilon: setattr(y, PENDING, epsilon))
                for module, rule in self._own_rules(model)
                if isinstance(module, Sum)
            ]
        except BaseException:
            _undo(applied)
            raise

        def remove() -> None:
            for handle in handles:
                handle.remove()
            inner.remove()
            _undo(applied)

        return Attachment(remove)

    def _own_rules(self, model: nn.Module) -> Iterator[tuple[nn.Module, Rule]]:
        """Yield the modules with their rules."""
        context: dict[Any, Any] = {}
        for name, module in model.named_modules():
            hook = self.composite.module_map(context, name, module)
            if hook is not None:
                rule = from_hook(hook, module, name or "the model")
                if not (isinstance(rule, Pass) and isinstance(module, Activation)):  # what LFP does there anyway
                    yield module, rule
            elif self.rest is None and next(module.parameters(recurse=False), None) is not None:
                raise ConfigError(
                    f"{name or 'the model'} ({type(module).__name__}) has parameters, but no rule in "
                    f"{type(self.composite).__name__}, where zennit takes the gradient, which shares no reward: add a "
                    "rule to the composite, or say which rule the rest is to have: from_zennit(..., rest=Epsilon())"
                )


def from_zennit(composite: Composite, model: nn.Module, rest: Rule | None = None, **options: Any) -> FromZennit:
    """Return a propagator that shares reward by the rules of a zennit composite.

    Parameters
    ----------
    composite : zennit.core.Composite
        Any of zennit's: ``EpsilonPlus``, ``EpsilonGammaBox``, ``EpsilonAlpha2Beta1`` and their flat variants, a layer
        map, a name map, a mixture of them, with or without canonizers.
    model : nn.Module
        The network that it is for; it is checked here, and comes out as it was.
    rest : Rule, optional
        The rule of layers with parameters that the composite leaves out; default: such layers are an error.
    **options
        As for :class:`lfp_snn.LFP`, but for ``rule``, ``rules`` and ``epsilon``.

    Returns
    -------
    FromZennit
        Attach it to the model, ``with from_zennit(...).context(model):``. The canonizers apply while it is attached.

    Raises
    ------
    ConfigError
        If a module's reward could not be shared as zennit shares it, or a canonizer merges a batch normalisation that
        is in training mode.

    Notes
    -----
    What arrives at the input is zennit's attribution (to 1e-10 in double precision on VGG-11 and ResNet-18), with
    these differences of meaning:

    * Where zennit attaches nothing, it takes relevance for a gradient. LFP goes on sharing reward: at ``+`` without the
      ``Sum`` of a canonizer, at average pooling and smooth activations that are calls, in dropout that is active.
    * The first layer's rules ``ZBox``, ``Flat`` and ``WSquare`` give reward to inputs whatever their value;
      :func:`lfp_snn.input_relevance` is value times density, so it shows none at inputs of exactly 0.
    * Merging canonizers change the parameters while attached: take an optimiser's step after the context.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from zennit.composites import EpsilonPlus
    >>> from lfp_snn import input_relevance, rewards
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    >>> x = torch.rand(2, 1, 4, 4).requires_grad_()
    >>> with from_zennit(EpsilonPlus(), net).context(net):
    ...     rewards.Softmax()(net(x), torch.tensor([0, 2])).backward()
    >>> input_relevance(x).shape
    torch.Size([2, 1, 4, 4])
    """
    propagator = FromZennit(composite, rest, **options)
    propagator.attach(model).remove()
    return propagator


def _check(applied: list[Canonizer], model: nn.Module) -> None:
    """Refuse canonizers that would change what the network computes."""
    names = {module: name for name, module in model.named_modules()}
    for canonizer in applied:
        if isinstance(canonizer, MergeBatchNorm) and canonizer.batch_norm.training:
            raise ConfigError(
                f"a canonizer merges {names.get(canonizer.batch_norm, 'a batch normalisation')}, which is in training "
                "mode: call model.eval() first, or leave the canonizer out"
            )


def _undo(applied: list[Canonizer]) -> None:
    for canonizer in reversed(applied):
        canonizer.remove()
