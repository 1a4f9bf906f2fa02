"""The libraries: how each builds the network of a workload and takes a training step, as its documentation does it.

Every function returns ``(step, spikes)``: one training step (forward, backward, optimiser), and the spikes of the last
layer ``[T, B, N]`` for fresh weights. Libraries are imported inside, since each process needs one only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.libraries.workloads import BETA, THRESHOLD, Workload

Made = tuple[Callable[[], None], Callable[[], Tensor]]
Weights = Sequence[Tensor]


def _layers(
    workload: Workload,
    weights: Weights,
    neuron: Callable[[], nn.Module],
    recurrent: Callable[[Tensor], nn.Module],
    gain: float = 1.0,
    wrap: Callable[[nn.Module], nn.Module] = lambda layer: layer,
) -> list[nn.Module]:
    """Return the modules of a network; ``wrap`` is put around those that know nothing of time."""
    left, made = list(weights), []
    for kind, *sizes in workload.layers:
        if kind == "lif":
            made.append(neuron())
        elif kind == "recurrent":
            made.append(recurrent(gain * left.pop(0)))
        elif kind in ("linear", "conv"):
            layer: nn.Module = (nn.Linear if kind == "linear" else nn.Conv2d)(*sizes, bias=False)
            layer.weight.data.copy_(gain * left.pop(0))
            made.append(wrap(layer))
        else:
            made.append(wrap(nn.MaxPool2d(*sizes) if kind == "pool" else nn.Flatten()))
    return made


def _loss(workload: Workload, spikes: Tensor, y: Tensor) -> Tensor:
    """Return the loss of the gradient methods: cross-entropy of the spike counts."""
    return spikes.sum() if workload.total else F.cross_entropy(spikes.sum(0), y)


def _trained(net: nn.Module, loss: Callable[[], Tensor], spikes: Callable[[], Tensor]) -> Made:
    """Return the step and the spikes of a network whose parameters' gradient comes from ``loss``."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-5, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    def fired() -> Tensor:
        with torch.no_grad():
            return spikes()

    return step, fired


def network(workload: Workload, weights: Weights, **reset: Any) -> Any:
    """Return the workload's network in this package, its neurons resetting as ``reset`` says."""
    from lfp_snn import LIF, Sequential

    def recurrent(weight: Tensor) -> nn.Module:
        made = LIF(BETA, THRESHOLD, recurrent=len(weight), **reset)
        made.get_parameter("recurrent").data.copy_(weight)
        return made

    return Sequential(*_layers(workload, weights, lambda: LIF(BETA, THRESHOLD, **reset), recurrent))


def ours(workload: Workload, x: Tensor, y: Tensor, weights: Weights, lfp: bool, half: bool = False) -> Made:
    """Train with this package: all steps in one call; with ``half``, membranes are kept in bfloat16."""
    from lfp_snn import LFP, keep_membranes, rewards

    net = network(workload, weights)
    keep_membranes(net, "bfloat16" if half else "full")
    if lfp:
        LFP(keep_feedback=False).attach(net)
    reward, given = rewards.RateCoded(), rewards.Given()

    def run() -> Tensor:
        return net(x, steps=workload.steps) if workload.static else net(x)

    def loss() -> Tensor:
        out = run()
        if not lfp:
            return _loss(workload, out, y)
        if not workload.total:
            return reward(out, y)
        return given(out, torch.ones(()).expand_as(out))

    return _trained(net, loss, run)


def snntorch(workload: Workload, x: Tensor, y: Tensor, weights: Weights) -> Made:
    """Train with snnTorch: hidden states, the loop around ``nn.Sequential`` (tutorial 6), ATan."""
    import snntorch as snn
    from snntorch import surrogate, utils

    options = {"threshold": THRESHOLD, "init_hidden": True, "spike_grad": surrogate.atan()}

    def recurrent(weight: Tensor) -> nn.Module:
        made = snn.RLeaky(BETA, linear_features=len(weight), **options)
        made.recurrent.weight.data.copy_(weight)
        made.recurrent.register_parameter("bias", None)
        return made

    net = nn.Sequential(*_layers(workload, weights, lambda: snn.Leaky(BETA, **options), recurrent))

    def run() -> Tensor:
        utils.reset(net)
        return torch.stack([net(x if workload.static else x[t]) for t in range(workload.steps)])

    return _trained(net, lambda: _loss(workload, run(), y), run)


def norse(workload: Workload, x: Tensor, y: Tensor, weights: Weights) -> Made:
    """Train with norse: cells in a ``SequentialState``, a loop over the steps. LIFBox, its neuron without a current."""
    import norse.torch as norse

    if any(kind == "recurrent" for kind, *_ in workload.layers):
        raise NotImplementedError("norse has no recurrent LIF without a synaptic current")
    p = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(1000 * (1 - BETA)), v_th=torch.tensor(THRESHOLD))
    layers = _layers(workload, weights, lambda: norse.LIFBoxCell(p), nn.Identity, gain=1 / (1 - BETA))
    net = norse.SequentialState(*layers)

    def run() -> Tensor:
        state, out = None, []
        for t in range(workload.steps):
            spikes, state = net(x if workload.static else x[t], state)
            out.append(spikes)
        return torch.stack(out)

    return _trained(net, lambda: _loss(workload, run(), y), run)


def spikingjelly(workload: Workload, x: Tensor, y: Tensor, weights: Weights) -> Made:
    """Train with SpikingJelly: multi-step modules, backend torch. Where layers are recurrent, a loop over the steps."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif(step_mode: str = "m") -> nn.Module:
        how = {"decay_input": False, "v_reset": None, "detach_reset": True, "step_mode": step_mode}
        return neuron.LIFNode(1 / (1 - BETA), v_threshold=THRESHOLD, surrogate_function=surrogate.ATan(), **how)

    class Recurrent(nn.Module):
        def __init__(self, weight: Tensor) -> None:
            super().__init__()
            self.lif, self.back = lif("s"), nn.Linear(*weight.shape, bias=False)
            self.back.weight.data.copy_(weight)

        def forward(self, x_seq: Tensor) -> Tensor:
            y, out = torch.zeros_like(x_seq[0]), []
            for x in x_seq:
                y = self.lif(x + self.back(y))
                out.append(y)
            return torch.stack(out)

    net = nn.Sequential(*_layers(workload, weights, lif, Recurrent, wrap=layer.SeqToANNContainer))

    def run() -> Tensor:
        functional.reset_net(net)
        return net(x.expand(workload.steps, *x.shape) if workload.static else x)

    return _trained(net, lambda: _loss(workload, run(), y), run)


def lfprop(workload: Workload, x: Tensor, y: Tensor, weights: Weights) -> Made:
    """Train with the reference, as its notebook on spiking networks does."""
    import snntorch as snn
    from lfprop.model.spiking_networks import SpikingLayer
    from lfprop.propagation import propagator_snn
    from lfprop.rewards import reward_functions

    if workload.total or any(kind == "recurrent" for kind, *_ in workload.layers):
        raise NotImplementedError("lfprop 1.0.0 classifies, by networks that are not recurrent")
    options: dict[str, Any] = {"threshold": THRESHOLD, "init_hidden": True, "output": False}
    layers = _layers(workload, weights, lambda: snn.Leaky(BETA, **options), nn.Identity)
    layers[-1] = snn.Leaky(BETA, **{**options, "output": True})
    paired: list[nn.Module] = []
    for module in layers:
        pair = isinstance(module, snn.Leaky) and isinstance(paired[-1], nn.Linear | nn.Conv2d)
        paired.append(SpikingLayer(paired.pop(), module) if pair else module)
    net = nn.Sequential(*paired)
    composite = propagator_snn.LFPSNNEpsilonComposite()
    reward_func = reward_functions.SnnCorrectClassRewardSpikesRateCoded("cpu")
    optimizer = torch.optim.Adam(net.parameters(), 1e-5, fused=True)

    def reset() -> None:
        for module in net.modules():
            if isinstance(module, snn.Leaky):
                module.reset_mem()

    def run(model: nn.Module, x: Tensor) -> Tensor:
        return torch.stack([model(x if workload.static else x[t])[0] for t in range(workload.steps)])

    def step() -> None:
        optimizer.zero_grad()
        reset()
        with composite.context(net) as modified:
            inputs = x.detach().requires_grad_(True)
            spikes = run(modified, inputs)
            reward = torch.as_tensor(reward_func(spikes=spikes, labels=y)).detach() / workload.steps
            torch.autograd.grad((spikes,), (inputs,), grad_outputs=(reward,))
        for parameter in net.parameters():
            parameter.grad = -parameter.feedback
        optimizer.step()

    def fired() -> Tensor:
        reset()
        with torch.no_grad():
            return run(net, x)

    return step, fired


def products(workload: Workload, x: Tensor, y: Tensor, weights: Weights) -> Made:
    """Take the dense products of a step alone: forward, of the weights, and, but for the first layer, below.

    By the faster of the libraries that torch comes with.
    """
    from lfp_snn.kernels.dense import matmul

    x = x if workload.static else x.flatten(0, 1)
    shape = (1, *x.shape[1:])
    calls: list[Callable[[], Any]] = []
    left, rows, first = list(weights), len(x), True
    for kind, *sizes in workload.layers:
        if kind == "linear":
            weight = left.pop(0)
            a, g = torch.rand(rows, sizes[0]), torch.rand(rows, sizes[1])
            calls += [lambda a=a, w=weight: matmul(a, w.T), lambda a=a, g=g: matmul(g.T, a)]
            calls += [] if first else [lambda g=g, w=weight: matmul(g, w)]
            shape = (1, sizes[1])
        elif kind == "recurrent":
            weight = left.pop(0)
            s = torch.rand(workload.batch, sizes[0])
            calls += [lambda s=s, w=weight: [matmul(s, w.T) for _ in range(workload.steps)]] * 2
            a = torch.rand(workload.steps * workload.batch, sizes[0])
            calls.append(lambda a=a: matmul(a.T, a))
        elif kind == "conv":
            weight = left.pop(0)
            a = torch.rand(rows, *shape[1:])
            out = F.conv2d(a[:1], weight)
            g, shape = torch.rand(rows, *out.shape[1:]), (1, *out.shape[1:])
            how = ([0], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [not first, True, False])
            calls.append(lambda a=a, w=weight: F.conv2d(a, w))
            calls.append(lambda a=a, g=g, w=weight, how=how: torch.ops.aten.convolution_backward(g, a, w, *how))
        elif kind == "pool":
            shape = (1, shape[1], shape[2] // sizes[0], shape[3] // sizes[0])
        if kind in ("lif", "recurrent"):
            rows, first = workload.steps * workload.batch, False

    def step() -> None:
        for call in calls:
            call()

    return step, lambda: torch.zeros(0)


def traffic(workload: Workload, x: Tensor, weights: Weights) -> int:
    """Return the bytes that a step moves at least where nothing stays in a cache.

    Of a neuron and step (36 bytes): the current is written and read, the membrane written over it and read again; the
    spike is written and read; its message is written and read; and the answer is written and read. Under a picture the
    first layer's current and answer are those of one step. Of a weight (44 bytes): it is read forwards and backwards,
    its message written and scaled, and Adam reads and writes it with its two moments.
    """
    shape, count, first = tuple(x.shape[1 if workload.static else 2 :]), 0, True
    for kind, *sizes in workload.layers:
        if kind == "linear":
            shape = (sizes[1],)
        elif kind == "conv":
            shape = (sizes[1], shape[1] - sizes[2] + 1, shape[2] - sizes[2] + 1)
        elif kind == "pool":
            shape = (shape[0], shape[1] // sizes[0], shape[2] // sizes[0])
        elif kind in ("lif", "recurrent"):
            count += (20 if first and workload.static else 36) * workload.steps * workload.batch * math.prod(shape)
            first = False
    return count + 4 * x.numel() + 44 * sum(w.numel() for w in weights)


def memory(workload: Workload, x: Tensor, y: Tensor, weights: Weights) -> Made:
    """Move the bytes of a step alone: a copy reads one half of them and writes the other."""
    here = torch.zeros(traffic(workload, x, weights) // 8)
    there = torch.zeros_like(here)
    return lambda: there.copy_(here), lambda: torch.zeros(0)


CONTENDERS: dict[str, Callable[..., Made]] = {
    "lfp_snn LFP": lambda *given: ours(*given, lfp=True),
    "lfp_snn LFP, bfloat16": lambda *given: ours(*given, lfp=True, half=True),
    "lfp_snn surrogate": lambda *given: ours(*given, lfp=False),
    "snntorch": snntorch,
    "norse": norse,
    "spikingjelly": spikingjelly,
    "lfprop": lfprop,
    "dense products": products,
    "memory": memory,
}

FLOORS = ("dense products", "memory")
"""Contenders that train nothing: what a step takes at the least if it is dense, and if it moves its bytes."""
