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
        Where the spikes would not be the same: a reset to anything but rest (``v_reset = v_leak``; ``LIFBox`` may also
        subtract its threshold), a current without decay within the step (``LSNN``), parameters that the neuron learns.
        Such a network trains as it is, under ``LFP().context(network)``.

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
    learnt = [k for k, q in module.p._asdict().items() if isinstance(q, nn.Parameter)]
    if learnt:
        raise refusal(name, module, f"it learns {', '.join(learnt)}")
    yield from convert(module, name)


def _decays(neuron: Any) -> tuple[Tensor, Tensor]:
    """Return decay and gain of the membrane."""
    gain = torch.as_tensor(neuron.dt * neuron.p.tau_mem_inv, dtype=torch.get_default_dtype())
    return 1 - gain, gain


def _differ(a: Any, b: Any) -> bool:
    return bool((torch.as_tensor(a) != torch.as_tensor(b)).any())


def _reset_to_rest(neuron: Any, name: str) -> Tensor:
    """Return the threshold above rest, where the reset is to rest."""
    p = neuron.p
    if _differ(p.v_leak, p.v_reset):
        raise refusal(name, neuron, f"it rests at v_leak = {p.v_leak} and is reset to v_reset = {p.v_reset}")
    return cast(Tensor, p.v_th - p.v_leak)


def _synapse(neuron: Any) -> Tensor:
    return torch.as_tensor(1 - neuron.dt * neuron.p.tau_syn_inv, dtype=torch.get_default_dtype())


def _lif(neuron: Any, name: str) -> Iterator[nn.Module]:
    beta, gain = _decays(neuron)
    yield CubaLIF(_synapse(neuron), beta, _reset_to_rest(neuron, name) / gain, reset="zero", reset_delay=False)


def _lif_recurrent(neuron: Any, name: str) -> Iterator[nn.Module]:
    size = int(neuron.hidden_size)
    inputs = nn.Linear(int(neuron.input_size), size, bias=False)
    inputs.weight = neuron.input_weights
    yield inputs
    (ours,) = _lif(neuron, name)
    cast(Any, ours).recurrent = neuron.recurrent_weights
    yield ours


def _lif_box(neuron: Any, name: str) -> Iterator[nn.Module]:
    beta, gain = _decays(neuron)
    method = neuron.p.reset_method
    if method is F.reset.reset_subtract:
        if _differ(neuron.p.v_leak, 0):
            raise refusal(
                name, neuron, f"its reset subtracts v_th, and it rests at v_leak = {neuron.p.v_leak}, not at 0"
            )
        yield LIF(beta, neuron.p.v_th / gain, reset="subtract", reset_delay=False)
    elif method is F.reset.reset_value:
        yield LIF(beta, _reset_to_rest(neuron, name) / gain, reset="zero", reset_delay=False)
    else:
        raise refusal(name, neuron, "its reset_method is neither reset_value nor reset_subtract")


def _iaf(neuron: Any, name: str) -> Iterator[nn.Module]:
    if _differ(neuron.p.v_reset, 0):
        raise refusal(name, neuron, f"it rests at 0 and is reset to v_reset = {neuron.p.v_reset}")
    yield LIF(1.0, neuron.p.v_th, reset="zero", reset_delay=False)


def _li(neuron: Any, name: str) -> Iterator[nn.Module]:
    yield LI(_synapse(neuron))
    yield from _li_box(neuron, name)


def _li_box(neuron: Any, name: str) -> Iterator[nn.Module]:
    if _differ(neuron.p.v_leak, 0):
        raise refusal(name, neuron, f"it rests at v_leak = {neuron.p.v_leak}, and an integrator of ours at 0")
    beta, gain = _decays(neuron)
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
