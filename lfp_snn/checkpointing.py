"""Long inputs in little memory: time in pieces, each computed again when its turn in the backward pass comes.

The forward pass keeps the state at the border of each piece and the output. The backward pass goes from the last piece
to the first: a piece is run again from its state, answers its part of the message, and what travels on through
membranes, adaptation and recurrent weights is handed to the piece before (:mod:`lfp_snn.neurons.handover`). So outputs
and messages are those of the whole time at once, for about a third more work; gradient checkpointing (Chen et al. 2016,
arXiv 1604.06174) for networks with state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils.checkpoint import get_device_states, set_device_states

from lfp_snn.neurons import SpikingNeuron
from lfp_snn.neurons.ambient import Ambient, ambient, surrounded
from lfp_snn.neurons.backward import Backward, Record
from lfp_snn.neurons.handover import Handover
from lfp_snn.neurons.surrogate import ATan
from lfp_snn.propagation.feedback import Scaler
from lfp_snn.propagation.mode import LFPMode
from lfp_snn.propagation.readout import spiking_sources
from lfp_snn.synapses import use, way


class Stateful(Protocol):
    """A network that can be run on from a state."""

    def run(self, x: Tensor, state: Any, *, steps: int | None = None) -> tuple[Tensor, Any]:
        """Return the output and the state to go on from."""
        ...


class _Surroundings:
    """What a forward pass found around it, to be put there again."""

    def __init__(self, device: torch.device) -> None:
        self.ambient, self.modes, self.way = ambient(), _get_current_function_mode_stack(), way()  # type: ignore[no-untyped-call]
        kind = device.type if torch.amp.is_autocast_available(device.type) else "cpu"
        self.autocast = kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
        if any(not isinstance(mode, LFPMode) for mode in self.modes):
            names = sorted({type(mode).__name__ for mode in self.modes if not isinstance(mode, LFPMode)})
            raise ValueError(f"time cannot be taken in pieces inside {', '.join(names)}: set checkpoint_steps to 0")

    @contextmanager
    def again(self, by: Ambient) -> Iterator[None]:
        """Put back everything, ``by`` in place of what was asked of neurons."""
        with ExitStack() as stack:
            for context in (surrounded(by), use(self.way), *self.modes):
                stack.enter_context(context)
            stack.enter_context(torch.autocast(*self.autocast))
            yield


class _Run:
    """One run of a network over a long time."""

    def __init__(self, network: nn.Module, x: Tensor, steps: int | None, length: int) -> None:
        self.network, self.x, self.steps = network, x.detach().requires_grad_(x.requires_grad), steps
        self.around, self.handover = _Surroundings(x.device), Handover()
        self.ambient = dataclasses.replace(self.around.ambient, handover=self.handover)
        total = len(x) if steps is None else steps
        self.pieces = [(k, min(k + length, total)) for k in range(0, total, length)]
        self.begun: list[tuple[Any, Tensor, Any]] = []  # the state and those of random numbers at each piece's start
        # Parameters of their own for the pieces: hooks of the real ones are for the sum of all pieces.
        self.own = {p: nn.Parameter(p.detach(), p.requires_grad) for p in network.parameters()}

    @contextmanager
    def own_parameters(self) -> Iterator[None]:
        """Let the network use the pieces' own parameters."""
        modules = list(self.network.modules())
        before = [dict(m._parameters) for m in modules]
        try:
            for m in modules:
                m._parameters.update({n: self.own.get(p, p) for n, p in m._parameters.items()})  # type: ignore[arg-type]
            yield
        finally:
            for m, parameters in zip(modules, before, strict=True):
                m._parameters.update(parameters)

    def begin(self, state: Any) -> None:
        """Note from where the next piece goes on, and begin it for the first time."""
        self.begun.append((state, torch.get_rng_state(), get_device_states(self.x)))
        self.handover.begin(first_time=True)

    def piece(self, k: int, state: Any) -> tuple[Tensor, Any, Tensor]:
        """Run piece ``k`` on from a state; return output, state, and the part of the input that took part."""
        first, end = self.pieces[k]
        part = (self.x if self.steps is not None else self.x[first:end]).detach().requires_grad_(self.x.requires_grad)
        steps = None if self.steps is None else end - first
        y, state = cast(Stateful, self.network).run(part, state, steps=steps)
        return y, state, part

    def with_graph(self, k: int, state: Any) -> tuple[Tensor, Tensor]:
        """Run piece ``k`` such that it can be answered; return the part of the input and the output."""
        scale = self.ambient.scale
        if isinstance(scale, Scaler):
            scale.renew()
        with torch.enable_grad(), self.own_parameters():
            y, _, part = self.piece(k, state)
        return part, y

    def again(self, k: int) -> tuple[Tensor, Tensor]:
        """Run piece ``k`` again, as it was the first time."""
        state, random, (devices, of_devices) = self.begun[k]
        kind = self.x.device.type if devices else "cuda"
        with torch.random.fork_rng(devices, device_type=kind), self.around.again(self.ambient):
            torch.set_rng_state(random)
            set_device_states(devices, of_devices, device_type=kind)
            self.handover.begin()
            return self.with_graph(k, state)


class _Pieces(torch.autograd.Function):
    """``apply(run, x, *parameters)`` is the output over all time."""

    @staticmethod
    def forward(ctx: Any, run: _Run, x: Tensor, *parameters: Tensor) -> Tensor:
        """Run all pieces; only the last one keeps what its answer needs."""
        outputs, state, last = [], None, len(run.pieces) - 1
        with surrounded(dataclasses.replace(run.ambient, scale=_same, record=False)):
            for k in range(last):
                run.begin(state)
                y, state, _ = run.piece(k, state)
                outputs.append(y)
        run.begin(state)
        with surrounded(run.ambient):
            ctx.last = run.with_graph(last, state)
        ctx.run, sources = run, spiking_sources(ctx.last[1])
        ctx.backward_ = None if sources is None else Backward(run.ambient.sharing, ATan())
        return torch.cat([*outputs, ctx.last[1]])

    @staticmethod
    def backward(ctx: Any, message: Tensor) -> Any:
        """Answer from the last piece to the first."""
        run: _Run = ctx.run
        total: dict[Tensor, Tensor] = {}
        neurons = [m for m in run.network.modules() if isinstance(m, SpikingNeuron)] if run.ambient.record else []
        records: dict[SpikingNeuron, list[Record]] = {m: [] for m in neurons}
        g_x: list[Tensor] = []
        run.handover.forget()
        for k in range(len(run.pieces) - 1, -1, -1):
            x, y = run.again(k) if ctx.last is None else ctx.last
            ctx.last = None
            if ctx.backward_ is not None and ctx.backward_.readout:
                for how in spiking_sources(y) or ():
                    how.readout = True
            learning = [(p, own) for p, own in run.own.items() if own.requires_grad]
            wanted = [own for _, own in learning] + [x] * x.requires_grad
            first, end = run.pieces[k]
            answers = torch.autograd.grad(y, wanted, message[first:end], allow_unused=True)
            for (p, _), g in zip(learning, answers, strict=False):
                if g is not None:
                    total[p] = total[p] + g if p in total else g
            g_x += answers[len(learning) :]
            for m in neurons:
                records[m].append(cast(Record, m.record))
        for m in neurons:
            m.record = Record(*(torch.cat(pieces[::-1]) for pieces in zip(*records[m], strict=True)))
        scale = run.ambient.scale
        if isinstance(scale, Scaler) and scale.keep:  # each piece has left its own part only
            for p in run.own:
                p.feedback = -total[p] if p in total else None  # type: ignore[attr-defined]
        answer = None
        if g_x:
            answer = torch.cat(g_x[::-1]) if run.steps is None else torch.stack(g_x).sum(0)
        return None, answer, *(total.get(p) for p in run.own)


def _same(parameter: Tensor) -> Tensor:
    return parameter


def needs_all_steps(network: nn.Module) -> str | None:
    """Return why a network cannot take its time in pieces, ``None`` if it can."""
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in network.modules()):
        return "batch normalisation takes its statistics over all steps"
    return None


@torch.compiler.disable  # type: ignore[untyped-decorator]
def in_pieces(network: nn.Module, x: Tensor, steps: int | None, length: int) -> Tensor:
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
    if reason := needs_all_steps(network):
        raise ValueError(f"{reason}: set checkpoint_steps to 0")
    return _Pieces.apply(_Run(network, x, steps, length), x, *network.parameters())  # type: ignore[no-any-return]
