"""What each node of NIR is here: the module that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

from lfp_snn.activations import Step
from lfp_snn.adapters.nir.euler import ROUNDING, Array, decay, gain
from lfp_snn.adapters.nir.graph import Scale
from lfp_snn.containers import Sequential
from lfp_snn.errors import ConfigError
from lfp_snn.neurons import LI, LIF, CubaLIF
from lfp_snn.neurons.on_current import Bias


def module_of(node: Any, name: str, dt: float | None) -> nn.Module:
    """Return the module for a node; ``dt`` is how long a step is, ``None`` if that is not known.

    Raises
    ------
    ConfigError
        If there is none, or the node's equation needs ``dt``.
    """
    read, timed = _READERS.get(type(node), (None, False))
    if read is None:
        raise ConfigError(f"{name}: nothing here does what NIR's {type(node).__name__} does")
    if timed and dt is None:
        raise ConfigError(
            f"{name} ({type(node).__name__}) is an equation in continuous time: say how long a step is, "
            "from_nir(graph, dt=...) in the unit of its time constants (snnTorch writes for 1e-4)"
        )
    return read(node, name, dt)


def with_recurrence(neuron: Any, weights: Any) -> nn.Module:
    """Give neurons the weights of a linear node through which their spikes come back to them."""
    neuron.recurrent = _parameter(weights.weight)
    bias = _bias(weights)
    return neuron if bias is None else Sequential(Bias(bias), neuron)


# One function a type of node. (Some libraries fill the nodes with tensors.)


def _double(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)


def _tensor(array: Any) -> Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.get_default_dtype())


def _parameter(array: Any) -> nn.Parameter:
    return nn.Parameter(_tensor(array))


def _bias(node: Any) -> nn.Parameter | None:
    bias = getattr(node, "bias", None)
    return None if bias is None or not _double(bias).any() else _parameter(bias)


def _compact(array: Array) -> Tensor:
    """Return the smallest tensor that broadcasts to a parameter: one for all, one a channel, or one for each."""
    if array.size and bool((array == array.flat[0]).all()):
        return _tensor(array.flat[0])
    if array.ndim > 1:
        channels = array.reshape(len(array), -1)
        if bool((channels == channels[:, :1]).all()):
            return _tensor(channels[:, 0]).reshape(-1, *[1] * (array.ndim - 1))
    return _tensor(array)


def _linear(node: Any, name: str, dt: Any) -> nn.Module:
    if np.ndim(node.weight) != 2:
        raise ConfigError(f"{name}: weights of shape {list(np.shape(node.weight))}; only matrices can be read")
    outputs, inputs = node.weight.shape
    layer = nn.Linear(inputs, outputs)
    layer.weight, layer.bias = _parameter(node.weight), _bias(node)  # type: ignore[assignment]
    return layer


def _plain(value: Any) -> Any:
    """Return numbers as torch takes them: an int, a tuple of ints, or a word."""
    if isinstance(value, str):
        return value
    numbers = np.asarray(value)
    return int(numbers) if numbers.ndim == 0 else tuple(int(n) for n in numbers)


def _conv(node: Any, name: str, dt: Any) -> nn.Module:
    kind = nn.Conv1d if isinstance(node, nir.Conv1d) else nn.Conv2d
    outputs, inputs, *kernel = node.weight.shape
    groups = int(node.groups)
    how = {key: _plain(getattr(node, key)) for key in ("stride", "padding", "dilation")}
    layer = kind(inputs * groups, outputs, tuple(kernel), groups=groups, **how)
    layer.weight, layer.bias = _parameter(node.weight), _bias(node)
    return layer


def _pool(node: Any, name: str, dt: Any) -> nn.Module:
    divisor = 1 if isinstance(node, nir.SumPool2d) else None
    return nn.AvgPool2d(_plain(node.kernel_size), _plain(node.stride), _plain(node.padding), divisor_override=divisor)


def _flatten(node: Any, name: str, dt: Any) -> nn.Module:
    first, last = (int(d) + 1 if d >= 0 else int(d) for d in (node.start_dim, node.end_dim))
    return nn.Flatten(first, last)


def _scale(node: Any, name: str, dt: Any) -> nn.Module:
    return Scale(_compact(_double(node.scale)))


def _threshold(node: Any, name: str, dt: Any) -> nn.Module:
    threshold = _compact(_double(node.threshold))
    if threshold.numel() != 1:
        raise ConfigError(f"{name}: its thresholds differ, and lfp_snn.Step has one for all")
    return Step(float(threshold))


def _rest(node: Any, name: str) -> Array:
    """Return the potential at which neurons rest, to which they reset."""
    leak = _double(getattr(node, "v_leak", 0.0))
    if not np.allclose(_double(node.v_reset), leak, rtol=ROUNDING, atol=0):
        raise ConfigError(
            f"{name}: v_reset is not v_leak, and a neuron of ours resets to the potential at which it rests"
        )
    return leak


def _reset(node: Any) -> dict[str, Any]:
    """Return the reset that the metadata name; NIR's own is to zero."""
    said = node.metadata
    return {"reset": str(said.get("reset", "zero")), "reset_delay": bool(said.get("reset_delay", True))}


def _threshold_of(node: Any, name: str, g: Array) -> Tensor:
    return _compact((_double(node.v_threshold) - _rest(node, name)) / g)


def _if(node: Any, name: str, dt: float) -> nn.Module:
    return LIF(1.0, _threshold_of(node, name, gain(node.r, dt, name)), **_reset(node))


def _lif(node: Any, name: str, dt: float) -> nn.Module:
    beta, g = decay(node.tau, dt, name), gain(node.r, dt / _double(node.tau), name)
    return LIF(_compact(beta), _threshold_of(node, name, g), **_reset(node))


def _cuba_lif(node: Any, name: str, dt: float) -> nn.Module:
    (alpha, beta), g = _cuba(node, name, dt)
    return CubaLIF(_compact(alpha), _compact(beta), _threshold_of(node, name, g), **_reset(node))


def _cuba(node: Any, name: str, dt: float) -> tuple[list[Array], Array]:
    """Return the decays of current and membrane, and how much of an input arrives in the membrane."""
    decays = [decay(tau, dt, name) for tau in (node.tau_syn, node.tau_mem)]
    rate = dt / _double(node.tau_syn) * (dt / _double(node.tau_mem))
    return decays, gain(_double(node.w_in) * _double(node.r), rate, name)


def _integrators(node: Any, name: str, decays: list[Array], g: Array) -> nn.Module:
    if _double(getattr(node, "v_leak", 0.0)).any():
        raise ConfigError(f"{name}: v_leak is not 0, where the integrators of ours rest")
    chain: list[nn.Module] = [LI(_compact(d)) for d in decays]
    if bool((np.abs(g - 1) > ROUNDING).any()):
        chain.insert(0, Scale(_compact(g)))
    return chain[0] if len(chain) == 1 else Sequential(*chain)


def _i(node: Any, name: str, dt: float) -> nn.Module:
    return _integrators(node, name, [np.ones(())], gain(node.r, dt, name))


def _li(node: Any, name: str, dt: float) -> nn.Module:
    return _integrators(node, name, [decay(node.tau, dt, name)], gain(node.r, dt / _double(node.tau), name))


def _cuba_li(node: Any, name: str, dt: float) -> nn.Module:
    return _integrators(node, name, *_cuba(node, name, dt))


_READERS: dict[type, tuple[Callable[..., nn.Module], bool]] = {
    nir.Affine: (_linear, False),
    nir.Linear: (_linear, False),
    nir.Conv1d: (_conv, False),
    nir.Conv2d: (_conv, False),
    nir.AvgPool2d: (_pool, False),
    nir.SumPool2d: (_pool, False),
    nir.Flatten: (_flatten, False),
    nir.Scale: (_scale, False),
    nir.Threshold: (_threshold, False),
    nir.I: (_i, True),
    nir.IF: (_if, True),
    nir.LIF: (_lif, True),
    nir.LI: (_li, True),
    nir.CubaLI: (_cuba_li, True),
    nir.CubaLIF: (_cuba_lif, True),
}
"""How a node is read, and whether it needs to know how long a step is."""
