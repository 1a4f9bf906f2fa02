"""lfp_snn: spiking neural networks trained by Layer-wise Feedback Propagation."""

from lfp_snn import rewards, synapses
from lfp_snn.activations import Sign, Step
from lfp_snn.containers import Residual, Sequential, fold
from lfp_snn.kernels.memory import keep_memory
from lfp_snn.neurons import ALIF, LI, LIF, CubaLIF, SpikingNeuron, decay, keep_membranes
from lfp_snn.propagation import LFP, fire, input_relevance, register_function, register_module, register_neuron

__version__ = "0.1.0"

__all__ = [
    "ALIF",
    "LFP",
    "LI",
    "LIF",
    "CubaLIF",
    "Residual",
    "Sequential",
    "Sign",
    "SpikingNeuron",
    "Step",
    "decay",
    "fire",
    "fold",
    "input_relevance",
    "keep_membranes",
    "keep_memory",
    "register_function",
    "register_module",
    "register_neuron",
    "rewards",
    "synapses",
]
