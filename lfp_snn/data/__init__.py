"""Data: event recordings and images, as batches for spiking networks."""

from __future__ import annotations

from lfp_snn.data.augment import Augment
from lfp_snn.data.batch import Batch
from lfp_snn.data.binning import Binning, ByCount, ByEvents, ByWindow, bin_events
from lfp_snn.data.cache import cache_folder
from lfp_snn.data.event_dataset import EventDataset, EventOptions, event_splits
from lfp_snn.data.events import (
    EVENT_DTYPE,
    Events,
    EventSource,
    Recordings,
    SensorSize,
    check_events,
    check_sensor_size,
    make_events,
)
from lfp_snn.data.frames import FrameDataset
from lfp_snn.data.loader import EpochSampler, loader, set_epoch
from lfp_snn.data.root import data_root, missing
from lfp_snn.data.splits import REGISTRY, BatchDataset, Splits, builder_options, load, stratified_split

__all__ = [
    "EVENT_DTYPE",
    "REGISTRY",
    "Augment",
    "Batch",
    "BatchDataset",
    "Binning",
    "ByCount",
    "ByEvents",
    "ByWindow",
    "EpochSampler",
    "EventDataset",
    "EventOptions",
    "EventSource",
    "Events",
    "FrameDataset",
    "Recordings",
    "SensorSize",
    "Splits",
    "bin_events",
    "builder_options",
    "cache_folder",
    "check_events",
    "check_sensor_size",
    "data_root",
    "event_splits",
    "load",
    "loader",
    "make_events",
    "missing",
    "set_epoch",
    "stratified_split",
]
