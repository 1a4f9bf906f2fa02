"""The propagator: which local rule each operation of a network gets, and how feedback reaches the parameters."""

from lfp_snn.propagation.external import register_neuron
from lfp_snn.propagation.fire import fire
from lfp_snn.propagation.functions import register_function
from lfp_snn.propagation.lfp import LFP, Attachment, input_relevance, register_module

__all__ = ["LFP", "Attachment", "fire", "input_relevance", "register_function", "register_module", "register_neuron"]
