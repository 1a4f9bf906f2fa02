"""Synapses whose cost falls with the spikes: linear layers and convolutions, dense or event-driven."""

from lfp_snn.synapses.choice import Way, use, way
from lfp_snn.synapses.mode import event_driven
from lfp_snn.synapses.pooling import max_pool2d
from lfp_snn.synapses.products import mark, outer, product, unmark

__all__ = ["Way", "event_driven", "mark", "max_pool2d", "outer", "product", "unmark", "use", "way"]
