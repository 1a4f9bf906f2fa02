"""From an snnTorch network to one of ours, which runs all time steps at once: the same spikes, many times faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import snntorch
import torch
from snntorch._neurons.neurons import SpikingNeuron
from torch import nn

from lfp_snn.adapters.conversion import Convert, converted, refusal
from lfp_snn.adapters.snntorch.live import known, membrane_decay
from lfp_snn.containers import Sequential
from lfp_snn.neurons import LIF, CubaLIF
from lfp_snn.neurons.on_current import Bias, Gain


def from_snntorch(network: nn.Module) -> Sequential:
    """Return a network of ours that fires the spikes of an snnTorch network.

    Parameters
    ----------
    network : nn.Module
        An ``nn.Sequential`` (nested, if need be) of layers and snnTorch neurons, as for ``init_hidden=True``, or a
        single neuron. Layers are taken over as they are, so both networks share their parameters, learnable decays and
        thresholds included: training one trains the other.

    Returns
    -------
    Sequential
        ``[T, B, ...]`` in, spikes ``[T, B, ...]`` of the last layer out. State is no longer kept between calls.

    Raises
    ------
    ConfigError
        Where the spikes would not be the same. Such a network trains as it is, under ``LFP().context(network)``.

    Notes
    -----
    Batch normalisation in training mode takes its statistics over all steps instead of one at a time. With
    ``reset_delay=False`` and a subtracted threshold, snnTorch asks for a second threshold where a membrane is above it
    even after the reset (it was above twice the threshold); ours does not.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), snntorch.Leaky(0.9, init_hidden=True), nn.Linear(8, 2),
    ...                     snntorch.Leaky(0.9, init_hidden=True, output=True))
    >>> from_snntorch(net)
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): LIF(beta=0.9, threshold=1, reset='subtract')
      (2): Linear(in_features=8, out_features=2, bias=True)
      (3): LIF(beta=0.9, threshold=1, reset='subtract')
    )
    """
    return Sequential(*converted(network, "network", _is_neuron, _converted))


def _is_neuron(module: nn.Module) -> bool:
    return isinstance(module, SpikingNeuron) or type(module).__module__.startswith("snntorch.")


def _converted(neuron: Any, name: str) -> Iterator[nn.Module]:
    """Yield what a neuron becomes."""
    convert = _CONVERSIONS.get(type(neuron))
    if convert is None:
        raise refusal(name, neuron, f"there is no conversion for {type(neuron).__name__}", trains=known(neuron))
    _check(neuron, name)
    yield from convert(neuron, name)
    if bool((neuron.graded_spikes_factor != 1).any()):
        yield Gain(neuron.graded_spikes_factor)


def _check(neuron: Any, name: str) -> None:
    """Refuse what no neuron of ours does."""
    if neuron.inhibition:
        raise refusal(name, neuron, "only one of its neurons fires a step (inhibition=True)")
    if neuron.state_quant:
        raise refusal(name, neuron, "its state is quantised (state_quant)")
    if neuron.graded_spikes_factor.requires_grad:
        raise refusal(name, neuron, "the size of its spikes is learnt (learn_graded_spikes_factor=True)")
    delayed = getattr(neuron, "reset_delay", True)
    if neuron.reset_mechanism == "zero" and delayed and not isinstance(neuron, snntorch.Leaky):
        raise refusal(name, neuron, "its reset to zero, a step late, also drops the input of that step")


def _neuron(make: Callable[..., Any], neuron: Any, **more: Any) -> Any:
    """Return a neuron of ours with the form of one of snnTorch's, sharing the parameters that it learns."""
    form = {"reset": neuron.reset_mechanism, "reset_delay": getattr(neuron, "reset_delay", True)}
    learnt = {k: p for k, p in neuron.named_parameters(recurse=False) if k in ("alpha", "beta", "threshold")}
    fixed = {"beta": membrane_decay(neuron), "threshold": neuron.threshold, **more}
    ours = make(**{k: v.detach() for k, v in fixed.items()}, **{f"learn_{k}": True for k in learnt}, **form)
    for key, value in fixed.items():  # as they are: not rounded to torch's default type
        setattr(ours, key, learnt.get(key, value.detach().clone()))
    return ours


def _leaky(neuron: Any, name: str) -> Iterator[nn.Module]:
    yield _neuron(LIF, neuron)


def _synaptic(neuron: Any, name: str) -> Iterator[nn.Module]:
    yield _neuron(CubaLIF, neuron, alpha=neuron.alpha.clamp(0, 1))


def _lapicque(neuron: Any, name: str) -> Iterator[nn.Module]:
    if neuron.beta.requires_grad:
        raise refusal(name, neuron, "it learns a beta that its update does not use (learn_beta=True)")
    R, C = neuron.R, neuron.C
    factors = [torch.as_tensor(q, dtype=torch.get_default_dtype()) for q in (R, 1 / (R * C), neuron.time_step)]
    if any(bool((q != 1).any()) for q in factors):
        yield Gain(*factors)
    yield _neuron(LIF, neuron)


def _recurrent(convert: Convert) -> Convert:
    """Return the conversion of a neuron with recurrent weights, from that of one without."""

    def recurrent(neuron: Any, name: str) -> Iterator[nn.Module]:
        if not neuron.all_to_all:
            raise refusal(name, neuron, "its recurrent weights are one to one (all_to_all=False)")
        if not isinstance(neuron.recurrent, nn.Linear):
            raise refusal(name, neuron, "its recurrent weights are a convolution")
        if neuron.recurrent.bias is not None:
            yield Bias(neuron.recurrent.bias)
        (ours,) = convert(neuron, name)
        ours.recurrent = cast(nn.Parameter, neuron.recurrent.weight)
        yield ours

    return recurrent


_CONVERSIONS: dict[type[nn.Module], Convert] = {
    snntorch.Leaky: _leaky,
    snntorch.RLeaky: _recurrent(_leaky),
    snntorch.Synaptic: _synaptic,
    snntorch.RSynaptic: _recurrent(_synaptic),
    snntorch.Lapicque: _lapicque,
}
