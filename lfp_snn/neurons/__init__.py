"""Spiking neurons: one a file, time first, explicit state."""

from lfp_snn.neurons.alif import ALIF, ALIFState
from lfp_snn.neurons.base import SpikingNeuron, TimeModule, decay
from lfp_snn.neurons.cuba import CubaLIF, CubaState
from lfp_snn.neurons.li import LI, LIState
from lfp_snn.neurons.lif import LIF, LIFState
from lfp_snn.neurons.membranes import keep_membranes
from lfp_snn.neurons.surrogate import (
    SURROGATES,
    ATan,
    FastSigmoid,
    Heaviside,
    Rectangle,
    SigmoidDerivative,
    StraightThrough,
    SuperSpike,
    Surrogate,
    Triangle,
)

__all__ = [
    "ALIF",
    "LI",
    "LIF",
    "SURROGATES",
    "ALIFState",
    "ATan",
    "CubaLIF",
    "CubaState",
    "FastSigmoid",
    "Heaviside",
    "LIFState",
    "LIState",
    "Rectangle",
    "SigmoidDerivative",
    "SpikingNeuron",
    "StraightThrough",
    "SuperSpike",
    "Surrogate",
    "TimeModule",
    "Triangle",
    "decay",
    "keep_membranes",
]
