"""Data: event recordings and images, as batches for spiking networks."""

from __future__ import annotations

from lfp_snn.data.augment import Augment
from lfp_snn.data.batch import Batch
from lfp_snn.data.binning import Binning, ByCount, ByEvents, ByWindow, bin_events
from lfp_snn.data.cache import cache_folder
from lfp_snn.data.encoders import ENCODERS, Constant, Delta, Latency, Rate, delta
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
from lfp_snn.data.idx import read_idx
from lfp_snn.data.images import ImageDataset, ImageOptions
from lfp_snn.data.loader import EpochSampler, loader, set_epoch
from lfp_snn.data.recordings import Recording, read_recording, write_recording
from lfp_snn.data.root import data_root, missing
from lfp_snn.data.simulate import EventCamera, record_image, record_images, saccades, simulate_events
from lfp_snn.data.splits import REGISTRY, BatchDataset, Splits, builder_options, load, stratified_split

__all__ = [
    "ENCODERS",
    "EVENT_DTYPE",
    "REGISTRY",
    "Augment",
    "Batch",
    "BatchDataset",
    "Binning",
    "ByCount",
    "ByEvents",
    "ByWindow",
    "Constant",
    "Delta",
    "EpochSampler",
    "EventCamera",
    "EventDataset",
    "EventOptions",
    "EventSource",
    "Events",
    "FrameDataset",
    "ImageDataset",
    "ImageOptions",
    "Latency",
    "Rate",
    "Recording",
    "Recordings",
    "SensorSize",
    "Splits",
    "bin_events",
    "builder_options",
    "cache_folder",
    "check_events",
    "check_sensor_size",
    "data_root",
    "delta",
    "event_splits",
    "load",
    "loader",
    "make_events",
    "missing",
    "read_idx",
    "read_recording",
    "record_image",
    "record_images",
    "saccades",
    "set_epoch",
    "simulate_events",
    "stratified_split",
    "write_recording",
]
