r"""From a norse network to one of ours, which runs all time steps at once.

With norse's Euler step the membrane is :math:`v_t = \beta v_{t-1} + g\, i_t` with :math:`g = dt/\tau_\mathrm{mem}` and
:math:`\beta = 1 - g`. Ours has no gain; in its place the membrane is counted in units of ``g``, and the threshold is
:math:`v_\mathrm{th} / g`. Weights and spikes stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import norse.torch as norse
import norse.torch.functional as F
import torch
from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell
from torch import Tensor, nn

from lfp_snn.adapters.conversion import Convert, converted, refusal
from lfp_snn.containers import Sequential
from lfp_snn.neurons import LI, LIF, CubaLIF
from lfp_snn.neurons.on_current import Gain

NEURONS = SNN | SNNCell | SNNRecurrent | SNNRecurrentCell


def from_norse(network: nn.Module) -> Sequential:
    """Return a network of ours that fires the spikes of a norse network.

    Parameters
    ----------
    network : nn.Module
        A ``norse.torch.SequentialState`` or ``nn.Sequential`` of layers, lifted layers and neurons, or a single neuron.
        Layers are taken over as they are, so both networks share their weights, recurrent ones included.

    Returns
    -------
    Sequential
        ``[T, B, ...]`` in, ``[T, B, ...]`` of the last layer out.

    Raises
    ------
    ConfigError
        Where the spikes would not be the same: a potential that rests or is reset at anything but ``v_leak = 0``
        (``LIFBox`` may also subtract its threshold), a current without decay within the step (``LSNN``). Such a network
        trains as it is, under ``LFP().context(network)``.

    Notes
    -----
    The spikes are the same where rounding does not decide: norse computes ``v + dt/tau*(i - v)``, this
    ``(1 - dt/tau)*v + i``. An epsilon of the sharing rule counts in units of ``dt/tau``, too.

    Examples
    --------
    >>> net = norse.SequentialState(nn.Linear(4, 8), norse.LIFBoxCell(), nn.Linear(8, 2), norse.LIFBoxCell())
    >>> from_norse(net)[1].reset
    'zero'
    """
    return Sequential(*converted(network, "network", _is_neuron, _converted))


def _is_neuron(module: nn.Module) -> bool:
    return isinstance(module, NEURONS | norse.Lift)


def _converted(module: Any, name: str) -> Iterator[nn.Module]:
    """Yield what a neuron, or a lifted module, becomes."""
    if isinstance(module, norse.Lift):
        yield from converted(module.lifted_module, f"{name}.lifted_module", _is_neuron, _converted)
        return
    convert = _CONVERSIONS.get(module.activation)
    if convert is None:
        raise refusal(name, module, "there is no neuron of ours with this update")
    yield from convert(module, name)


def _decays(neuron: Any, name: str) -> tuple[Tensor, Tensor]:
    """Return decay and gain of the membrane; it must rest at 0."""
    p = neuron.p
    if bool((torch.as_tensor(p.v_leak) != 0).any()):
        raise refusal(name, neuron, f"it rests at v_leak = {p.v_leak}, not at 0")
    gain = torch.as_tensor(neuron.dt * p.tau_mem_inv, dtype=torch.get_default_dtype())
    return 1 - gain, gain


def _reset_to_zero(neuron: Any, name: str) -> None:
    if bool((torch.as_tensor(neuron.p.v_reset) != 0).any()):
        raise refusal(name, neuron, f"it is reset to v_reset = {neuron.p.v_reset}, not to 0")


def _synapse(neuron: Any) -> Tensor:
    return torch.as_tensor(1 - neuron.dt * neuron.p.tau_syn_inv, dtype=torch.get_default_dtype())


def _lif(neuron: Any, name: str) -> Iterator[nn.Module]:
    beta, gain = _decays(neuron, name)
    _reset_to_zero(neuron, name)
    yield CubaLIF(_synapse(neuron), beta, neuron.p.v_th / gain, reset="zero", reset_delay=False)


def _lif_recurrent(neuron: Any, name: str) -> Iterator[nn.Module]:
    size = int(neuron.hidden_size)
    inputs = nn.Linear(int(neuron.input_size), size, bias=False)
    inputs.weight = neuron.input_weights
    yield inputs
    (ours,) = _lif(neuron, name)
    cast(Any, ours).recurrent = neuron.recurrent_weights
    yield ours


def _lif_box(neuron: Any, name: str) -> Iterator[nn.Module]:
    beta, gain = _decays(neuron, name)
    subtracts = neuron.p.reset_method is F.reset.reset_subtract
    if not subtracts:
        if neuron.p.reset_method is not F.reset.reset_value:
            raise refusal(name, neuron, "its reset_method is neither reset_value nor reset_subtract")
        _reset_to_zero(neuron, name)
    yield LIF(beta, neuron.p.v_th / gain, reset="subtract" if subtracts else "zero", reset_delay=False)


def _iaf(neuron: Any, name: str) -> Iterator[nn.Module]:
    _reset_to_zero(neuron, name)
    yield LIF(1.0, neuron.p.v_th, reset="zero", reset_delay=False)


def _li(neuron: Any, name: str) -> Iterator[nn.Module]:
    beta, gain = _decays(neuron, name)
    yield LI(_synapse(neuron))
    yield Gain(gain)
    yield LI(beta)


def _li_box(neuron: Any, name: str) -> Iterator[nn.Module]:
    beta, gain = _decays(neuron, name)
    yield Gain(gain)
    yield LI(beta)


_CONVERSIONS: dict[Any, Convert] = {
    F.lif.lif_feed_forward_step: _lif,
    F.lif.lif_step: _lif_recurrent,
    F.lif_box.lif_box_feed_forward_step: _lif_box,
    F.iaf.iaf_feed_forward_step: _iaf,
    F.leaky_integrator.li_feed_forward_step: _li,
    F.leaky_integrator_box.li_box_feed_forward_step: _li_box,
}
