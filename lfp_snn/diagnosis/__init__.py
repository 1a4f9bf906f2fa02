"""Diagnosis: what goes wrong in a network that does not learn, measured, with advice in words (``lfp-snn doctor``)."""

from lfp_snn.diagnosis.activity import Activity
from lfp_snn.diagnosis.advice import Advice
from lfp_snn.diagnosis.conservation import Conservation
from lfp_snn.diagnosis.diagnose import Diagnosis, Layer, diagnose
from lfp_snn.diagnosis.message import Message
from lfp_snn.diagnosis.update import Update

__all__ = ["Activity", "Advice", "Conservation", "Diagnosis", "Layer", "Message", "Update", "diagnose"]
