"""The interface of the reference implementation, ``lfprop``: its training steps run with the imports changed.

``from lfprop.propagation import propagator_lxt`` becomes ``from lfp_snn.adapters.lfprop import propagator_lxt``, and so
on for every module here. lfprop itself need not be installed.
"""
