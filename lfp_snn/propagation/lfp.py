"""The propagator: Layer-wise Feedback Propagation on a model, for a while or for good (arXiv 2308.12053)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lfp_snn.errors import ConfigError, ShapeError, UnknownLayerError, suggest
from lfp_snn.forward import Passage, around_forward, first_input, inside, with_first_input
from lfp_snn.neurons.ambient import Ambient, RateTerm, ambient, surrounded
from lfp_snn.propagation.density import HandThrough
from lfp_snn.propagation.external import Live, alive, live_of
from lfp_snn.propagation.feedback import Scaler, mark_parameters
from lfp_snn.propagation.first_look import FirstLook, first_look
from lfp_snn.propagation.mode import PENDING, LFPMode, settled
from lfp_snn.propagation.readout import receive_reward
from lfp_snn.rules import RULES, SHARINGS, layer
from lfp_snn.rules.layer import Rule
from lfp_snn.rules.sharing import Sharing

M = TypeVar("M", bound=nn.Module)
_activations: set[type[nn.Module]] = set()
_ACTIVATION_MODULES = ("transformers.activations", "timm.layers.activations", "timm.layers.activations_me")
"""Where other libraries keep activations; many are written out (``0.5 * x * (1 + tanh(...))``), yet are one step."""


def register_module(module_type: type[nn.Module]) -> None:
    """Declare a module type without parameters to be an activation: it hands its reward through as a whole.

    For modules whose ``forward`` LFP cannot read, such as a step function made of comparisons. Input and output must
    have the same shape.

    Examples
    --------
    >>> class Gate(nn.Module):
    ...     def forward(self, z):
    ...         return (z > 0.5).float()
    >>> register_module(Gate)
    """
    _activations.add(module_type)


class Attachment:
    """LFP attached to a model; :meth:`remove` takes it off again."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove: Callable[[], None] | None = remove

    def remove(self) -> None:
        """Take LFP off the model. Calling it again does nothing."""
        if self._remove is not None:
            self._remove()
            self._remove = None


class LFP:
    r"""Layer-wise Feedback Propagation.

    Inside, a model's forward pass computes what it always computes; its backward pass shares the reward that a
    :mod:`reward <lfp_snn.rewards>` gives to the output among all layers, steps and connections, and leaves
    ``-feedback`` in each ``parameter.grad``, with

    .. math:: \mathrm{feedback}_W = |W| \cdot g_\mathrm{out} x^\top

    (so that descending along ``grad`` climbs in reward) and the feedback itself in ``parameter.feedback``.

    Parameters
    ----------
    epsilon : float
        Stabiliser of the default rules.
    rule : Rule or str, optional
        How linear operations share reward, or its name in :data:`lfp_snn.rules.RULES`; ``Epsilon(epsilon)`` by default.
    sharing : Sharing or str, optional
        How spiking neurons share reward, or its name in :data:`lfp_snn.rules.SHARINGS`; ``Reference(epsilon)`` by
        default.
    rules : mapping, optional
        Other rules for some modules, by type or by name: ``{nn.Conv2d: Gamma(), "head": ZPlus()}``.
        Names go before types.
    scale_floor : float or None
        Parameters are scaled by ``max(|w|, scale_floor)``. At 0, the reference's behaviour, a parameter that is 0 (a
        fresh bias) never moves. ``None`` leaves the scaling out: LFP's message alone, a control.
    homeostasis : RateTerm, optional
        A term that keeps hidden neurons in a band of firing rates (:class:`lfp_snn.rewards.Homeostasis`).
    record : bool
        Whether each neuron keeps the reward of its spikes, ``neuron.relevance`` ``[T, B, ...]``, in the backward pass.
    keep_feedback : bool
        Whether to leave the feedback of a backward pass in ``parameter.feedback`` (costs a copy of each parameter).

    Raises
    ------
    UnknownLayerError
        In the forward pass, at a layer or function for which there is no rule.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential, rewards
    >>> net = Sequential(nn.Linear(4, 3), LIF())
    >>> reward = rewards.RateCoded()
    >>> with LFP().context(net):
    ...     loss = reward(net(torch.rand(2, 4), steps=5), torch.tensor([0, 2]))
    ...     loss.backward()
    >>> torch.equal(net[0].weight.grad, -net[0].weight.feedback)
    True
    """

    def __init__(
        self,
        epsilon: float = 1e-6,
        rule: Rule | str | None = None,
        sharing: Sharing | str | None = None,
        rules: Mapping[type[nn.Module] | str, Rule] | None = None,
        scale_floor: float | None = 0.0,
        homeostasis: RateTerm | None = None,
        record: bool = False,
        keep_feedback: bool = True,
    ) -> None:
        if not epsilon >= 0:
            raise ValueError(f"epsilon must not be negative, got {epsilon}")
        if scale_floor is not None and not scale_floor >= 0:
            raise ValueError(f"scale_floor must not be negative, got {scale_floor}")
        self.epsilon = epsilon
        self.rule = _chosen(rule or "epsilon", RULES, Rule, "rule", epsilon)
        self.sharing = _chosen(sharing or "reference", SHARINGS, Sharing, "sharing rule", epsilon)
        self.rules = dict(rules or {})
        self.scale_floor, self.homeostasis, self.record = scale_floor, homeostasis, record
        self.keep_feedback = keep_feedback

    @contextmanager
    def context(self, model: M) -> Iterator[M]:
        """Attach LFP to ``model`` inside the ``with`` block, and leave the model as it was, whatever happens."""
        attachment = self.attach(model)
        try:
            yield model
        finally:
            attachment.remove()

    def attach(self, model: nn.Module) -> Attachment:
        """Attach LFP to ``model`` until the returned attachment is removed.

        The innermost of several attachments is in force. A network that ``torch.compile`` made, or ``model.compile()``,
        runs eagerly meanwhile, as the propagator works function by function.
        """
        written = getattr(model, "_orig_mod", model)  # of a compiled network: the names that its author knows
        names = {id(p): name for name, p in written.named_parameters()}
        modules = list(model.modules())
        if any(isinstance(m, torch.jit.ScriptModule) for m in modules):
            raise UnknownLayerError("LFP cannot look into modules made by torch.jit: give it those they were made of")
        rules = [self.rule]

        def passage(module: nn.Module, args: Any, kwargs: Any) -> Passage:
            if not torch.is_grad_enabled():
                return (yield None)
            outermost, look = ambient().sharing is None, first_look(model)
            with ExitStack() as stack:
                if "torch._dynamo" in sys.modules:  # if not, nothing is compiled: attach to what torch.compile returns
                    stack.enter_context(torch.compiler.set_stance("force_eager"))
                mark_parameters(modules)
                scaler = self._scaler()
                stack.enter_context(surrounded(self._ambient(scaler, look)))
                stack.enter_context(LFPMode(rules, scaler, names))
                output = yield None
            if outermost:
                output = receive_reward(output, self.epsilon)
            if look is not None:
                look.close(output)
            return output

        ends = [around_forward(model, passage, first=True)]
        for module, rule in self._own_rules(written):
            ends.append(around_forward(module, inside(partial(_put, rules, rule))))
            if isinstance(rule, layer.Pass):
                ends.append(around_forward(module, partial(_hand_through, epsilon=rule.epsilon)))
        for module in modules:
            if _is_activation(module):
                ends.append(around_forward(module, partial(_as_activation, epsilon=self.epsilon)))
            live = live_of(module)
            if live is not None:
                ends.append(around_forward(module, partial(_run_inside, live=live), first=True))

        in_place = [(m, m._compiled_call_impl) for m in modules if m._compiled_call_impl is not None]
        for module, _ in in_place:
            module._compiled_call_impl = None

        def remove() -> None:
            for end in reversed(ends):
                end()
            for module, call in in_place:
                module._compiled_call_impl = call

        return Attachment(remove)

    def _scaler(self) -> Scaler:
        """Return what makes feedback of one forward pass's parameter gradients."""
        return Scaler(self.scale_floor, self.keep_feedback)

    def _ambient(self, scaler: Scaler, look: FirstLook | None) -> Ambient:
        return Ambient(
            self.sharing,
            scale=scaler,
            settle=settled,
            note=None if look is None else look.note,
            rate_term=self.homeostasis,
            record=self.record,
        )

    def _own_rules(self, model: nn.Module) -> Iterator[tuple[nn.Module, Rule]]:
        """Yield the modules that have a rule of their own."""
        modules = dict(model.named_modules())
        for key in self.rules:
            if isinstance(key, str) and key not in modules:
                raise UnknownLayerError(suggest(key, filter(None, modules), "module"))
        for name, module in modules.items():
            by_type = next((r for t, r in self.rules.items() if isinstance(t, type) and isinstance(module, t)), None)
            rule = self.rules.get(name, by_type)
            if rule is not None:
                yield module, rule


def _chosen(given: Any, known: Mapping[str, Callable[..., Any]], kind: type, what: str, epsilon: float) -> Any:
    """Return a rule, or the one that has this name."""
    if isinstance(given, str):
        if given not in known:
            raise ConfigError(suggest(given, known, what))
        return known[given](epsilon=epsilon) if given != "zero" else known[given]()
    if not isinstance(given, kind):
        raise TypeError(f"a {what} is an object of lfp_snn.rules, or a name, got {given!r}")
    return given


def _is_activation(module: nn.Module) -> bool:
    """Whether a module hands its reward through as a whole."""
    known = type(module).__module__ in _ACTIVATION_MODULES and next(module.parameters(), None) is None
    return known or isinstance(module, tuple(_activations))


# What surrounds the forward pass of some modules (see lfp_snn.forward).


def _as_activation(module: nn.Module, args: Any, kwargs: Any, epsilon: float) -> Passage:
    """Run a module without reward inside, and hand the reward of its output through to its input."""
    x = first_input(args, kwargs)
    through = torch.is_grad_enabled() and x.requires_grad
    with torch.no_grad():
        output = yield None
    return HandThrough.apply(x, output, getattr(x, PENDING, epsilon)) if through else output


def _run_inside(module: nn.Module, args: Any, kwargs: Any, live: Live) -> Passage:
    """Run a neuron of another library inside what its adapter puts around it."""
    with alive(module, live) as finish:
        output = yield None
        output = output if finish is None else finish(output)
        if finish is not None and (note := ambient().note) is not None:
            note(module, next(x for x in pytree.tree_leaves(output) if isinstance(x, Tensor)))
        return output


def _hand_through(module: nn.Module, args: Any, kwargs: Any, epsilon: float) -> Passage:
    """Hand the reward of a module's output through to its input as a whole; its parameters get feedback as ever."""
    x = first_input(args, kwargs)
    if ambient().sharing is None or not torch.is_grad_enabled() or not x.requires_grad:
        return (yield None)
    output = yield with_first_input(args, kwargs, x.detach().clone())
    if not isinstance(output, Tensor) or output.shape != x.shape:
        made = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        name = type(module).__name__
        raise ShapeError(f"{name} is to hand its reward through (rule Pass), but makes {made} of {list(x.shape)}")
    return HandThrough.apply(x, settled(output), getattr(x, PENDING, epsilon))


@contextmanager
def _put(rules: list[Rule], rule: Rule) -> Iterator[None]:
    """Put a rule in force."""
    rules.append(rule)
    try:
        yield
    finally:
        rules.pop()


def input_relevance(x: Tensor) -> Tensor:
    r"""Return the reward that arrived at an input, :math:`R = x\, g`, after a backward pass under LFP.

    ``x`` must have required its gradient before the forward pass. For a static input the reward is summed over time. It
    is that of the batch's mean reward, so multiply by the batch size for the reward of each sample.

    Raises
    ------
    ValueError
        If nothing arrived.

    Examples
    --------
    >>> from lfp_snn import rewards
    >>> net, x = nn.Linear(4, 3), torch.rand(2, 4, requires_grad=True)
    >>> with LFP().context(net):
    ...     rewards.Softmax()(net(x), torch.tensor([0, 2])).backward()
    >>> input_relevance(x).shape
    torch.Size([2, 4])
    """
    if x.grad is None:
        raise ValueError(
            "no reward arrived at this input: call x.requires_grad_() before the forward pass, then backward()"
        )
    return -x.detach() * x.grad
