"""Norse's neurons inside LFP, as they are.

A norse module calls a step function. The steps here do the same arithmetic in the same order (tests compare bit by
bit), with the decision as the place where reward is shared out. Leaky integrators have no decision: autograd carries
them.

A membrane rests at ``v_leak``. Reward is shared by what the membrane is away from rest, so that it does not depend on
where a network's zero of potential lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import norse.torch as norse
import norse.torch.functional as F
import torch
from norse.torch.functional.heaviside import heaviside
from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell
from torch import Tensor, nn
from torch.nn.functional import linear

from lfp_snn.errors import ConfigError, UnknownLayerError
from lfp_snn.neurons.ambient import ambient
from lfp_snn.propagation.decision import decide, inner
from lfp_snn.propagation.external import register_neuron

Step = Callable[..., tuple[Tensor, Any]]


def _fire(
    v: Tensor, theta: Tensor, p: Any, *, w: Tensor, beta: Any, reset: F.reset.ResetMethod, adapt: Any = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the spikes of a membrane and what the reset leaves of it."""
    with torch.no_grad():
        rest = torch.as_tensor(getattr(p, "v_leak", 0.0)).detach()
        z = heaviside(v - theta)  # forwards, all of norse's threshold functions are this one
        left = reset(z, v, p.v_reset, theta) - rest
    away, out = decide(v - rest, z, theta, w=w.detach() - rest, beta=beta, adapt=adapt, left=left)
    v = v.detach() + (away - away.detach())  # the bits of v, and the message of what it is away from rest
    return out, reset(z, v, p.v_reset, theta)


def _lif(i_jump: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return spikes, membrane and current of a neuron whose input jumps before the membrane moves."""
    v = state.v + dt * p.tau_mem_inv * ((p.v_leak - state.v) + i_jump)
    i = i_jump + -dt * p.tau_syn_inv * i_jump
    z, v = _fire(v, p.v_th, p, w=state.v, beta=1 - dt * p.tau_mem_inv, reset=F.reset.reset_value)
    return z, v, i


def _lif_feed_forward(x: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
    z, v, i = _lif(state.i + x, state, p, dt)
    return z, state._replace(v=v, i=i)


def _lif_recurrent(x: Tensor, state: Any, W: Tensor, V: Tensor, p: Any, dt: float) -> tuple[Tensor, Any]:
    z, v, i = _lif(state.i + linear(x, W) + linear(inner(state.z), V), state, p, dt)
    return z, state._replace(z=z, v=v, i=i)


def _lif_box(x: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
    v = state.v + dt * p.tau_mem_inv * (x + p.v_leak - state.v)
    z, v = _fire(v, p.v_th, p, w=state.v, beta=1 - dt * p.tau_mem_inv, reset=p.reset_method)
    return z, state._replace(v=v)


def _iaf(x: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
    z, v = _fire(state.v + x, p.v_th, p, w=state.v, beta=1.0, reset=F.reset.reset_value)
    return z, state._replace(v=v)


def _lsnn(state: Any, p: Any, dt: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return spikes, membrane, decayed current and threshold of a neuron with an adapting threshold ``b``."""
    v = state.v + dt * p.tau_mem_inv * ((p.v_leak - state.v) + state.i)
    i = state.i + -dt * p.tau_syn_inv * state.i
    b = state.b + dt * p.tau_adapt_inv * (p.v_th - state.b)
    adapt = (b - p.v_th).detach() if isinstance(b, Tensor) else b - p.v_th
    beta = 1 - dt * p.tau_mem_inv
    z, v = _fire(v, b, p, w=state.v, beta=beta, reset=F.reset.reset_value, adapt=adapt)
    return z, v, i, b + inner(z) * p.beta


def _lsnn_feed_forward(x: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
    z, v, i, b = _lsnn(state, p, dt)
    return z, state._replace(v=v, i=i + x, b=b)


def _lsnn_recurrent(x: Tensor, state: Any, W: Tensor, V: Tensor, p: Any, dt: float) -> tuple[Tensor, Any]:
    z, v, i, b = _lsnn(state, p, dt)
    return z, state._replace(z=z, v=v, i=i + linear(x, W) + linear(inner(state.z), V), b=b)


STEPS: dict[Any, Step] = {
    F.lif.lif_feed_forward_step: _lif_feed_forward,
    F.lif.lif_step: _lif_recurrent,
    F.lif_box.lif_box_feed_forward_step: _lif_box,
    F.iaf.iaf_feed_forward_step: _iaf,
    F.lsnn.lsnn_feed_forward_step: _lsnn_feed_forward,
    F.lsnn.lsnn_step: _lsnn_recurrent,
}
"""Our step for each of norse's."""

INTEGRATORS = (
    F.leaky_integrator.li_feed_forward_step,
    F.leaky_integrator_box.li_box_feed_forward_step,
)


def _sparse(*_: Any) -> Any:
    raise ConfigError("norse's sparse tensors cannot carry reward: give this neuron dense ones (x.to_dense())")


@contextmanager
def live(neuron: Any) -> Iterator[None]:
    """Let a neuron of norse share reward while it runs; parameters that it learns receive feedback."""
    step = getattr(neuron, "activation", None)
    ours = step if step in INTEGRATORS else STEPS.get(step)
    if ours is None:
        raise UnknownLayerError(
            f"LFP does not know norse's {type(neuron).__name__} (step {getattr(step, '__name__', step)!r}); it knows "
            f"{', '.join(sorted({f.__name__ for f in (*STEPS, *INTEGRATORS)}))}"
        )
    p = neuron.p
    learnt = {k: ambient().scale(q) for k, q in p._asdict().items() if isinstance(q, nn.Parameter)}
    before = {"activation": step, "activation_sparse": neuron.activation_sparse, "p": p}
    vars(neuron).update({"activation": ours, "activation_sparse": _sparse, "p": p._replace(**learnt)})
    try:
        yield
    finally:
        vars(neuron).update(before)


for _kind in (SNN, SNNCell, SNNRecurrent, SNNRecurrentCell, norse.CobaLIFCell, norse.LIFCorrelation):
    register_neuron(_kind, live)
register_neuron(norse.LILinearCell, lambda integrator: nullcontext())
