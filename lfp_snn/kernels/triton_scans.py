"""The scans over time as Triton kernels: a program takes a block of neurons through all steps, in registers.

Each step reads and writes the memory of one row once; what :mod:`lfp_snn.kernels.gpu` hands over is contiguous.
``rows`` is the number of neurons of all samples; ``each`` is 1 where a parameter has an entry a neuron, 0 for a scalar.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc,untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl

_BLOCKS = [64, 128, 256, 512] if not triton.knobs.runtime.interpret else [128]
"""Sizes of a block among which the fastest is chosen for each number of rows, when it is first run."""


def tuned(kernel):
    """Choose the block for a number of rows by trying: kernels write to outputs only, so that they may run twice."""
    configs = [triton.Config({"BLOCK": block}, num_warps=max(1, block // 128)) for block in _BLOCKS]
    return triton.autotune(configs, key=["rows"])(kernel)


@triton.jit
def _parameters(beta, theta, kappa, rho, n, each, ADAPTIVE: tl.constexpr, WIDE: tl.constexpr):
    b, th = tl.load(beta + n * each).to(WIDE), tl.load(theta + n * each).to(WIDE)
    ka, rh = b, b
    if ADAPTIVE:
        ka, rh = tl.load(kappa + n * each).to(WIDE), tl.load(rho + n * each).to(WIDE)
    return b, th, ka, rh


@triton.jit
def _carried(u, s, th, TO_ZERO: tl.constexpr, SUBTRACT: tl.constexpr, DELAYED: tl.constexpr):
    """Return what of the membrane decays into the next step, and what a delayed reset subtracts there."""
    w, reset = u, u * 0
    if TO_ZERO:
        w = u - u * s
    elif SUBTRACT:
        if DELAYED:
            reset = s * th
        else:
            w = u - s * th
    return w, reset


@tuned
@triton.jit
def forward(
    current, beta, theta, kappa, rho, u0, s0, a0, spikes, membrane, a_last,
    rows, features, steps, stride, each,
    KEEP: tl.constexpr, TO_ZERO: tl.constexpr, SUBTRACT: tl.constexpr, DELAYED: tl.constexpr, ADAPTIVE: tl.constexpr,
    WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Run the neurons; ``stride`` is from one step's currents to the next, 0 for a constant current."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < rows
    be, th, ka, rh = _parameters(beta, theta, kappa, rho, at % features, each, ADAPTIVE, WIDE)
    u = tl.load(u0 + at, mask=inside, other=0).to(WIDE)
    s = tl.load(s0 + at, mask=inside, other=0).to(WIDE)
    a = u * 0
    if ADAPTIVE:
        a = tl.load(a0 + at, mask=inside, other=0).to(WIDE)
    for _ in range(steps):
        w, reset = _carried(u, s, th, TO_ZERO, SUBTRACT, DELAYED)
        u = be * w + tl.load(current + at, mask=inside, other=0).to(WIDE) - reset
        u = u.to(membrane.dtype.element_ty).to(WIDE)  # as it is kept: the backward pass finds the same spikes
        bar = th
        if ADAPTIVE:
            bar = th + ka * a
        s = (u > bar).to(WIDE)
        tl.store(spikes + at, s, mask=inside)
        if KEEP:
            tl.store(membrane + at, u, mask=inside)
            membrane += rows
        if ADAPTIVE:
            a = rh * a + s
        current += stride
        spikes += rows
    if not KEEP:
        tl.store(membrane + at, u, mask=inside)
    if ADAPTIVE:
        tl.store(a_last + at, a, mask=inside)


@triton.jit
def _replay(u, at, inside, a, th, ka, rh, past, rows, steps, WIDE: tl.constexpr):
    """Write down the adaptation that each step's threshold used."""
    for _ in range(steps):
        tl.store(past + at, a, mask=inside)
        s = (tl.load(u + at, mask=inside, other=0).to(WIDE) > th + ka * a).to(WIDE)
        a = rh * a + s
        u += rows
        past += rows
    tl.debug_barrier()


@tuned
@triton.jit
def backward_lfp(
    message, u, beta, theta, kappa, rho, u0, s0, a0, q0, g_a0, past, density, q_last, g_a_last,
    rows, features, steps, end, each,
    DENOMINATOR: tl.constexpr, EPSILON: tl.constexpr, READOUT: tl.constexpr, STATIC: tl.constexpr,
    TO_ZERO: tl.constexpr, SUBTRACT: tl.constexpr, DELAYED: tl.constexpr, ADAPTIVE: tl.constexpr,
    WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Share reward out from the last step, ``end`` elements after the first, to the first."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < rows
    be, th, ka, rh = _parameters(beta, theta, kappa, rho, at % features, each, ADAPTIVE, WIDE)
    u_start = tl.load(u0 + at, mask=inside, other=0).to(WIDE)
    s_start = tl.load(s0 + at, mask=inside, other=0).to(WIDE)
    q = tl.load(q0 + at, mask=inside, other=0).to(WIDE)
    a, g_a, total = u_start * 0, u_start * 0, u_start * 0
    if ADAPTIVE:
        g_a = tl.load(g_a0 + at, mask=inside, other=0).to(WIDE)
        _replay(u, at, inside, tl.load(a0 + at, mask=inside, other=0).to(WIDE), th, ka, rh, past, rows, steps, WIDE)
        past += end
        a = tl.load(past + at, mask=inside, other=0).to(WIDE)
    message += end
    u += end
    if not STATIC:
        density += end
    x = tl.load(u + at, mask=inside, other=0).to(WIDE)
    for k in range(steps):
        earlier = inside & (k + 1 < steps)
        u_prev = tl.where(k + 1 < steps, tl.load(u - rows + at, mask=earlier, other=0).to(WIDE), u_start)
        a_prev, bar, adapt = a, th, a * 0
        if ADAPTIVE:
            a_prev = tl.load(past - rows + at, mask=earlier, other=0).to(WIDE)
            adapt = ka * a
            bar = th + ka * a_prev
        s_prev = tl.where(k + 1 < steps, (u_prev > bar).to(WIDE), s_start)
        w, reset = _carried(u_prev, s_prev, th, TO_ZERO, SUBTRACT, DELAYED)
        s = (x > th + adapt).to(WIDE)
        m = tl.load(message + at, mask=inside, other=0).to(WIDE)
        reward = m
        if not READOUT:
            reward = s * m
        if ADAPTIVE:
            reward += s * g_a
        d = DENOMINATOR(w, x - (be * w - reset), be, reset, adapt, x)
        d += tl.where(d >= 0, EPSILON, -EPSILON).to(WIDE)
        g = tl.where(d == 0, 0, (reward + q) / d)
        q = be * w * g
        if ADAPTIVE:
            g_a = rh * g_a - ka * g
        if STATIC:
            total += g
        else:
            tl.store(density + at, g, mask=inside)
            density -= rows
        message -= rows
        u -= rows
        past -= rows
        x, a = u_prev, a_prev
    if STATIC:
        tl.store(density + at, total, mask=inside)
    tl.store(q_last + at, q, mask=inside)
    if ADAPTIVE:
        tl.store(g_a_last + at, g_a, mask=inside)


@tuned
@triton.jit
def backward_surrogate(
    message, u, beta, theta, kappa, rho, a0, g_v0, g_a0, past, gradient, g_v_last, g_a_last,
    rows, features, steps, end, each,
    DERIVATIVE: tl.constexpr, SLOPE: tl.constexpr, ATTACH: tl.constexpr, STATIC: tl.constexpr,
    TO_ZERO: tl.constexpr, DELAYED: tl.constexpr, ADAPTIVE: tl.constexpr,
    WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Back-propagate through time; ``ATTACH`` is never set where spikes do not reset the membrane."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < rows
    be, th, ka, rh = _parameters(beta, theta, kappa, rho, at % features, each, ADAPTIVE, WIDE)
    g = tl.load(g_v0 + at, mask=inside, other=0).to(WIDE)
    slope = (g * 0 + SLOPE).to(WIDE)
    g_a, total = g * 0, g * 0
    if ADAPTIVE:
        g_a = tl.load(g_a0 + at, mask=inside, other=0).to(WIDE)
        _replay(u, at, inside, tl.load(a0 + at, mask=inside, other=0).to(WIDE), th, ka, rh, past, rows, steps, WIDE)
        past += end
    message += end
    u += end
    if not STATIC:
        gradient += end
    for _ in range(steps):
        x = tl.load(u + at, mask=inside, other=0).to(WIDE)
        g_s = tl.load(message + at, mask=inside, other=0).to(WIDE)
        bar = th
        if ADAPTIVE:
            bar = th + ka * tl.load(past + at, mask=inside, other=0).to(WIDE)
            g_s += g_a
        if ATTACH:
            if TO_ZERO:
                g_s -= be * x * g
            elif DELAYED:
                g_s -= th * g
            else:
                g_s -= be * th * g
        e = g_s * DERIVATIVE(x - bar, slope)
        if TO_ZERO:
            g = tl.where(x > bar, 0.0, g).to(WIDE)
        g = e + be * g
        if ADAPTIVE:
            g_a = rh * g_a - ka * e
        if STATIC:
            total += g
        else:
            tl.store(gradient + at, g, mask=inside)
            gradient -= rows
        message -= rows
        u -= rows
        past -= rows
    if STATIC:
        tl.store(gradient + at, total, mask=inside)
    tl.store(g_v_last + at, g, mask=inside)
    if ADAPTIVE:
        tl.store(g_a_last + at, g_a, mask=inside)


@tuned
@triton.jit
def filter_scan(
    x, decay, start, y, last, rows, features, steps, first, x_stride, y_stride, each,
    SUM: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Integrate from element ``first`` on, in steps of ``x_stride`` (negative: backwards); ``SUM`` over time."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < rows
    k = tl.load(decay + (at % features) * each).to(WIDE)
    state = tl.load(start + at, mask=inside, other=0).to(WIDE)
    total = state * 0
    x += first
    if not SUM:
        y += first
    for _ in range(steps):
        state = k * state + tl.load(x + at, mask=inside, other=0).to(WIDE)
        if SUM:
            total += state
        else:
            tl.store(y + at, state, mask=inside)
            y += y_stride
        x += x_stride
    if SUM:
        tl.store(y + at, total, mask=inside)
    tl.store(last + at, state, mask=inside)
