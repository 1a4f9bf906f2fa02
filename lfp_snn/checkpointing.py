"""Long inputs in little memory: time in pieces, each computed again when its turn in the backward pass comes.

The forward pass keeps the state at the border of each piece and the output. The backward pass goes from the last piece
to the first: a piece is run again from its state, answers its part of the message, and what travels on through
membranes, adaptation and recurrent weights is handed to the piece before (:class:`lfp_snn.neurons.later.Later`). So
outputs and messages are those of the whole time at once, for about a third more work; gradient checkpointing (Chen et
al. 2016, arXiv 1604.06174) for networks with state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack

from lfp_snn.neurons import SpikingNeuron
from lfp_snn.neurons.ambient import Ambient, ambient, surrounded
from lfp_snn.neurons.later import Later
from lfp_snn.neurons.scan import Backward
from lfp_snn.neurons.surrogate import ATan
from lfp_snn.propagation.feedback import Scaler
from lfp_snn.propagation.mode import Pass
from lfp_snn.propagation.readout import spiking_sources
from lfp_snn.synapses import use, way


class Stateful(Protocol):
    """A network that can be run on from a state."""

    def run(self, x: Tensor, state: Any, *, steps: int | None = None) -> tuple[Tensor, Any]:
        """Return the output and the state to go on from."""
        ...


class _Surroundings:
    """What a forward pass found around it, to be put there again."""

    def __init__(self) -> None:
        self.ambient, self.modes, self.way = ambient(), _get_current_function_mode_stack(), way()  # type: ignore[no-untyped-call]
        self.autocast = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
        if any(not isinstance(mode, Pass) for mode in self.modes):
            names = sorted({type(mode).__name__ for mode in self.modes if not isinstance(mode, Pass)})
            raise ValueError(f"time cannot be taken in pieces inside {', '.join(names)}: set checkpoint_steps to 0")

    @contextmanager
    def again(self, by: Ambient) -> Iterator[None]:
        """Put back everything, ``by`` in place of what was asked of neurons."""
        with ExitStack() as stack:
            still = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]  # in the forward pass
            modes = () if still else self.modes
            for context in (surrounded(by), use(self.way), *modes):
                stack.enter_context(context)
            enabled, dtype = self.autocast
            stack.enter_context(torch.autocast("cpu", dtype=dtype, enabled=enabled))
            yield


class _Run:
    """One run of a network over a long time."""

    def __init__(self, network: Stateful, steps: int | None, length: int) -> None:
        self.network, self.steps, self.length = network, steps, length
        self.around, self.later = _Surroundings(), Later()
        self.states: list[Any] = []
        # Parameters of their own for the pieces: hooks of the real ones are for the sum of all pieces.
        self.own = {p: nn.Parameter(p.detach(), p.requires_grad) for p in cast(nn.Module, network).parameters()}
        self.random: list[Tensor] = []

    def pieces(self, total: int) -> list[tuple[int, int]]:
        """Return the first step of each piece, and that after its last."""
        return [(k, min(k + self.length, total)) for k in range(0, total, self.length)]

    @contextmanager
    def own_parameters(self) -> Iterator[None]:
        """Let the network use the pieces' own parameters."""
        modules = list(cast(nn.Module, self.network).modules())
        before = [dict(m._parameters) for m in modules]
        try:
            for m in modules:
                m._parameters.update({n: self.own.get(p, p) for n, p in m._parameters.items()})  # type: ignore[arg-type]
            yield
        finally:
            for m, parameters in zip(modules, before, strict=True):
                m._parameters.update(parameters)

    def piece(self, x: Tensor, first: int, end: int, state: Any, first_time: bool = False) -> tuple[Tensor, Any]:
        """Run a piece on from a state."""
        with self.later.piece(first_time):
            if self.steps is None:
                return self.network.run(x[first:end], state)
            return self.network.run(x, state, steps=end - first)

    def with_graph(self, x: Tensor, first: int, end: int, state: Any) -> tuple[Tensor, Tensor]:
        """Run a piece such that it can be answered; return the part of the input that takes part, and the output."""
        scale = self.around.ambient.scale
        if isinstance(scale, Scaler):
            scale.renew()
        with torch.enable_grad(), self.own_parameters():
            part = (x if self.steps is not None else x[first:end]).detach().requires_grad_(x.requires_grad)
            y, _ = self.piece(part, 0, end - first, state)
        return part, y


class _Pieces(torch.autograd.Function):
    """``apply(run, x, *parameters)`` is the output over all time."""

    @staticmethod
    def forward(ctx: Any, run: _Run, x: Tensor, *parameters: Tensor) -> Tensor:
        """Run all pieces; only the last one keeps what its answer needs."""
        ctx.run, ctx.parameters, outputs, state = run, parameters, [], None
        ctx.pieces = run.pieces(len(x) if run.steps is None else run.steps)
        plain = dataclasses.replace(run.around.ambient, scale=_same, record=False, later=run.later)
        for first, end in ctx.pieces:
            run.states.append(state)
            run.random.append(torch.get_rng_state())
            with surrounded(plain):
                y, state = run.piece(x, first, end, state, first_time=True)
            outputs.append(y)
        ctx.x = x.detach().requires_grad_(ctx.needs_input_grad[1])
        ctx.last = _answerable(ctx, len(ctx.pieces) - 1)
        ctx.backward_ = Backward(None, ATan()) if spiking_sources(ctx.last[1]) is not None else None
        return torch.cat(outputs)

    @staticmethod
    def backward(ctx: Any, message: Tensor) -> Any:
        """Answer from the last piece to the first."""
        run, total = ctx.run, cast(list[Tensor | None], [None] * len(ctx.parameters))
        neurons = [m for m in cast(nn.Module, run.network).modules() if isinstance(m, SpikingNeuron)]
        g_x: list[Tensor] = []
        relevance: dict[SpikingNeuron, list[Tensor]] = {m: [] for m in neurons}
        for k in range(len(ctx.pieces) - 1, -1, -1):
            x, y = ctx.last if k == len(ctx.pieces) - 1 else _answerable(ctx, k)
            ctx.last = None
            if ctx.backward_ is not None and ctx.backward_.readout:
                for how in spiking_sources(y) or ():
                    how.readout = True
            first, end = ctx.pieces[k]
            wanted = [q for q in (x, *run.own.values()) if q.requires_grad]
            answers = iter(torch.autograd.grad(y, wanted, message[first:end], allow_unused=True))
            if x.requires_grad:
                g_x.append(next(answers))
            for i, p in enumerate(ctx.parameters):
                g = next(answers) if p.requires_grad else None
                if g is not None:
                    before = total[i]
                    total[i] = g if before is None else before + g
            if run.around.ambient.record:
                for m in neurons:
                    relevance[m].insert(0, cast(Tensor, m.relevance))
        for m in neurons if run.around.ambient.record else []:
            m.relevance = torch.cat(relevance[m])
        scale = run.around.ambient.scale
        if isinstance(scale, Scaler) and scale.keep:  # each piece has left its own part only
            for p, g in zip(ctx.parameters, total, strict=True):
                p.feedback = None if g is None else -g
        answer = None
        if g_x:
            answer = torch.cat(g_x[::-1]) if run.steps is None else torch.stack(g_x).sum(0)
        return None, answer, *total


def _same(parameter: Tensor) -> Tensor:
    return parameter


def _answerable(ctx: Any, k: int) -> tuple[Tensor, Tensor]:
    """Run piece ``k`` again, with the random numbers of the first time."""
    run: _Run = ctx.run
    first, end = ctx.pieces[k]
    around = dataclasses.replace(run.around.ambient, later=run.later)
    with torch.random.fork_rng(devices=[]), run.around.again(around):
        torch.set_rng_state(run.random[k])
        return run.with_graph(ctx.x, first, end, run.states[k])


def in_pieces(network: Stateful, x: Tensor, steps: int | None, length: int) -> Tensor:
    """Return the output ``[T, B, ...]`` of a network from rest, keeping ``length`` steps at a time.

    Parameters
    ----------
    network : Sequential
        Any network with state.
    x, steps
        As for :meth:`lfp_snn.Sequential.forward`.
    length : int
        Steps of a piece.

    Raises
    ------
    ValueError
        Where pieces of time would not give what the whole gives: batch normalisation in training, methods other than
        LFP and back-propagation.

    Examples
    --------
    >>> from lfp_snn import LFP, LIF, Sequential, rewards
    >>> _ = torch.manual_seed(0)
    >>> net, x = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LIF()), torch.rand(1000, 2, 4)
    >>> def feedback():
    ...     with LFP().context(net):
    ...         rewards.RateCoded()(net(x), torch.tensor([0, 2])).backward()
    ...     return net[0].weight.feedback
    >>> whole = feedback()
    >>> net.checkpoint_steps = 100
    >>> torch.allclose(feedback(), whole, rtol=1e-4)
    True
    """
    modules = list(cast(nn.Module, network).modules())
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in modules):
        raise ValueError("batch normalisation takes its statistics over all steps: set checkpoint_steps to 0")
    parameters = list(cast(nn.Module, network).parameters())
    return _Pieces.apply(_Run(network, steps, length), x, *parameters)  # type: ignore[no-any-return]
