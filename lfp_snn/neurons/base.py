"""What all neurons share: checking the input, parameters fixed or learnable, and the way to the scan."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lfp_snn.errors import NonFiniteError, ShapeError
from lfp_snn.kernels import Dynamics, Reset, Start
from lfp_snn.neurons import compiled
from lfp_snn.neurons.ambient import ambient
from lfp_snn.neurons.backward import Backward, Record
from lfp_snn.neurons.handover import place_in
from lfp_snn.neurons.recurrent import RecurrentScan
from lfp_snn.neurons.scan import FEW, Scan, one_step
from lfp_snn.neurons.surrogate import ATan, Surrogate
from lfp_snn.synapses import mark

RECURRENT_GAIN = 0.5
"""Gain of the orthogonal matrix with which recurrent weights begin."""


def decay(tau: float, dt: float = 1.0) -> float:
    """Return the decay ``exp(-dt/tau)`` per step of a time constant, both in the same unit.

    Examples
    --------
    >>> round(decay(tau=20.0, dt=1.0), 4)
    0.9512
    """
    if not (tau > 0 and dt > 0):
        raise ValueError(f"time constant and time step must be positive, got tau={tau}, dt={dt}")
    return math.exp(-dt / tau)


class TimeModule(nn.Module):
    """A module that runs over time: ``y, state = module(x, state, steps=...)`` with ``x`` ``[T, B, ...]``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run; what a neuron does inside has rules of its own, so the propagator does not look at its functions."""
        with torch._C.DisableTorchFunction():
            return super().__call__(*args, **kwargs)

    def _add(self, name: str, value: float | Tensor, learn: bool) -> None:
        tensor = torch.as_tensor(value, dtype=torch.get_default_dtype()).detach().clone()
        if learn:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    def _decay(self, name: str) -> Tensor:
        """Return a decay, its value kept in [0, 1] while it is learnt; its message passes the limits unchanged."""
        value: Tensor = getattr(self, name)
        if name not in self._parameters:
            return value
        return ambient().scale(value) + (value.detach().clamp(0, 1) - value.detach())

    def _learnt(self, name: str) -> Tensor:
        value: Tensor = getattr(self, name)
        return ambient().scale(value) if name in self._parameters else value

    def _over_time(self, x: Tensor, steps: int | None) -> tuple[Tensor, int]:
        """Check the input and return it with a time axis, and the number of steps."""
        name = type(self).__name__
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = f"a tensor of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
            raise ShapeError(f"{name} needs a floating-point tensor, got {kind}; convert events with .float()")
        if steps is not None:
            if steps < 1:
                raise ShapeError(f"{name}: steps must be at least 1, got {steps}")
            x = x.unsqueeze(0)
        if x.dim() < 3:
            want = "[B, features...] with steps=T" if steps is not None else "[T, B, features...]"
            shape = list(x.shape[1:] if steps is not None else x.shape)
            raise ShapeError(f"{name} needs an input of shape {want}, got {shape}")
        if x.numel() == 0:
            raise ShapeError(f"{name} got an empty input of shape {list(x.shape)}: no time steps, samples or features")
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()  # the membrane accumulates over time: half precision would lose small currents
        return x, (x.shape[0] if steps is None else steps)

    def _initial(self, value: Tensor | None, x: Tensor, name: str) -> Tensor:
        """Return a state tensor ``[B, ...]``, detached from the past, zeros when there is none."""
        if value is None:
            return torch.zeros_like(x[0], requires_grad=False)
        if value.shape != x.shape[1:]:
            raise ShapeError(
                f"{type(self).__name__}: the state's {name} has shape {list(value.shape)}, the input needs "
                f"{list(x.shape[1:])} ([B, features...]); pass state=None to start at rest"
            )
        return value.detach().to(x.dtype)

    def _check_finite(self, u: Tensor) -> None:
        """Raise if NaN or infinity entered: the membrane keeps it, so the last step is enough to look at."""
        if u.device.type != "cpu" or torch.compiler.is_compiling():
            return
        if not math.isfinite(float(u.detach().sum(dtype=torch.promote_types(u.dtype, torch.float32)))):
            raise NonFiniteError(
                f"the membrane of {type(self).__name__} holds NaN or infinity: look for it in input and weights"
            )


class Rest(NamedTuple):
    """What a scan leaves beside the spikes, each ``[B, ...]``: membrane, adaptation, synaptic current."""

    u: Tensor
    a: Tensor | None
    i: Tensor | None


class SpikingNeuron(TimeModule):
    """Base of the spiking neurons: parameters of membrane and spike, recurrence, and the call of the scan.

    Parameters
    ----------
    beta : float or Tensor
        Decay of the membrane per step, in [0, 1]; a scalar, or a tensor that broadcasts to the features
        (``[N]``, or ``[C, 1, 1]`` for feature maps). :func:`decay` gives it from a time constant.
    threshold : float or Tensor
        The neuron spikes where its membrane is above.
    reset : {"subtract", "zero", "none"}
        What a spike does to the membrane.
    reset_delay : bool
        Whether the reset comes one step later, after the decay (as in snntorch), or at once.
    learn_beta, learn_threshold : bool
        Whether these are trained.
    recurrent : int, optional
        Number of neurons ``N``, to give the layer recurrent weights ``[N, N]``.
    surrogate : Surrogate
        Derivative used when training by gradient; LFP does not use it.

    Attributes
    ----------
    record : Record or None
        Of the last backward pass, where the propagator was asked to record: spikes, the reward of each, the membrane,
        its threshold, and the reward that went back through the membrane.
    half_membrane : bool
        Whether the membrane is kept for the backward pass in bfloat16 (:func:`lfp_snn.keep_membranes`).
    """

    half_membrane: bool = False
    recurrent: nn.Parameter | None
    beta: Tensor
    threshold: Tensor

    def __init__(
        self,
        beta: float | Tensor = 0.9,
        threshold: float | Tensor = 1.0,
        reset: Reset = "subtract",
        reset_delay: bool = True,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        recurrent: int | None = None,
        surrogate: Surrogate | None = None,
    ) -> None:
        super().__init__()
        if reset not in ("subtract", "zero", "none"):
            raise ValueError(f"reset must be 'subtract', 'zero' or 'none', got {reset!r}")
        if surrogate is not None and not isinstance(surrogate, Surrogate):
            raise TypeError(f"surrogate must be one of lfp_snn.neurons' classes, such as ATan(), got {surrogate!r}")
        if isinstance(recurrent, bool) or (recurrent is not None and recurrent < 1):
            raise ValueError(f"recurrent is the number of neurons of the layer, got {recurrent!r}")
        _check_decay("beta", beta)
        if not bool(torch.as_tensor(threshold).isfinite().all()):
            raise ValueError(f"threshold must be finite, got {threshold}")
        self._add("beta", beta, learn_beta)
        self._add("threshold", threshold, learn_threshold)
        self.reset, self.reset_delay = reset, reset_delay
        self.surrogate = surrogate if surrogate is not None else ATan()
        self.record: Record | None = None
        if recurrent is None:
            self.register_parameter("recurrent", None)
        else:
            self.recurrent = nn.Parameter(torch.empty(recurrent, recurrent))
            nn.init.orthogonal_(self.recurrent, gain=RECURRENT_GAIN)

    @property
    def relevance(self) -> Tensor | None:
        """Reward of every spike ``[T, B, ...]`` of the last backward pass, where the propagator was asked to record."""
        return None if self.record is None else self.record.relevance

    def _scan(
        self,
        x: Tensor,
        start: Start,
        steps: int,
        kappa: Tensor | None = None,
        rho: Tensor | None = None,
        alpha: Tensor | None = None,
        i: Tensor | None = None,
    ) -> tuple[Tensor, Rest]:
        """Run all steps and return the spikes with what is left of the state."""
        around = ambient()
        surrogate = around.surrogate or self.surrogate
        keep = partial(self._keep, x.shape[2:]) if around.record else None
        place, half = place_in(around.handover), self.half_membrane
        backward = Backward(around.sharing, surrogate, around.rate_term, keep, half=half, place=place)
        dynamics = Dynamics(self.reset, self.reset_delay, kappa is not None)
        shape = x.shape[1:]
        start = Start(*(None if q is None else q.flatten(1) for q in start))  # type: ignore[arg-type]
        V = None if self.recurrent is None else around.scale(self.recurrent)
        own = self._decay("beta"), self._learnt("threshold"), kappa, rho
        V, alpha, *own = (None if q is None else q.to(x.dtype) for q in (V, alpha, *own))  # type: ignore[assignment]
        if self.recurrent is not None:
            size = math.prod(shape[1:])
            if len(shape) != 2 or size != len(self.recurrent):
                raise ShapeError(
                    f"{type(self).__name__} has recurrent weights for {len(self.recurrent)} neurons, "
                    f"but its input has features {list(shape[1:])}"
                )
        if torch.compiler.is_compiling():
            spikes, u, a, i = compiled.scan((x, V, alpha, *own, *start, i), steps, dynamics, surrogate)
        elif V is None and steps == 1 and not torch.is_grad_enabled() and x.numel() <= FEW:
            spikes, u, a = one_step(x, own, start, dynamics)
            i = None
        elif V is None:
            spikes, u, a = Scan.apply(x, *own, start, steps, dynamics, backward)
            i = None
        else:
            spikes, u, a, i = RecurrentScan.apply(x, V, alpha, *own, start, i, steps, dynamics, backward)
        if around.rate_term is not None:
            backward.place.count(spikes.detach().flatten(2))
        self._check_finite(u)
        if around.sharing is not None:
            mark(spikes)  # reward passes only through a neuron that fired
        if around.note is not None:
            around.note(self, spikes)
        return spikes, Rest(u.reshape(shape), None if a is None else a.reshape(shape), i)

    def _keep(self, features: torch.Size, record: Record) -> None:
        self.record = Record(*(q.reshape(*q.shape[:2], *features) for q in record))

    def extra_repr(self) -> str:
        """Show the parameters that make the neuron."""
        names = ("alpha", "beta", "threshold", "kappa", "rho")
        shown = {name: getattr(self, name) for name in names if hasattr(self, name)}
        text = [f"{k}={q.item():.4g}" if q.numel() == 1 else f"{k}={list(q.shape)}" for k, q in shown.items()]
        text.append(f"reset={self.reset!r}")
        if not self.reset_delay:
            text.append("reset_delay=False")
        if self.recurrent is not None:
            text.append(f"recurrent={len(self.recurrent)}")
        return ", ".join(text)


def _check_decay(name: str, value: Any) -> None:
    """Raise if a decay lies outside [0, 1]."""
    tensor = torch.as_tensor(value)
    if not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise ValueError(f"{name} is a decay per step and must lie in [0, 1], got {value}")
