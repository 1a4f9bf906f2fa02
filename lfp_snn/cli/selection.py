"""Which part of a recording a command is about: the options that ``show`` and ``convert`` have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from lfp_snn.data.filters import crop, slice_count, slice_time
from lfp_snn.data.guard import check_whole
from lfp_snn.data.noise import denoise, drop_pixels, hot_pixels
from lfp_snn.data.recordings import Recording, read_recording
from lfp_snn.errors import ConfigError, DataError


@Parameter(name="*", negative=())
@dataclass(frozen=True)
class Selection:
    """A part of a recording. Hot pixels and noise are dropped after the cut in time and before the crop.

    Parameters
    ----------
    start
        Begin so many milliseconds after the first event.
    stop
        End so many milliseconds after the first event.
    first
        Only the first so many events of these.
    crop
        Column and row of a corner, width and height of a region of the sensor.
    denoise
        Drop events without another one nearby in the last so many milliseconds.
    drop_hot
        Drop the events of hot pixels, which send far more than the rest.
    sensor
        Width and height of the sensor, for files that do not say.
    index
        Which recording, for an .h5 file.
    """

    start: float | None = None
    stop: float | None = None
    first: int | None = None
    crop: tuple[int, int, int, int] | None = None
    denoise: float | None = None
    drop_hot: bool = False
    sensor: tuple[int, int] | None = None
    index: int = 0

    def read(self, path: str | Path, otherwise: Sequence[int] | None = None) -> Recording:
        """Read a recording and select this part of it.

        Parameters
        ----------
        path : path
            The file.
        otherwise : (W, H) or (W, H, P), optional
            Sensor size, where neither the file nor an option says one.

        Returns
        -------
        Recording
            With at least one event.

        Raises
        ------
        LfpError
            If the file cannot be read, an option is wrong, or no event is left.
        """
        start_us = _microseconds("--start", self.start or 0.0, 0)
        stop_us = None if self.stop is None else _microseconds("--stop", self.stop, 1)
        window_us = None if self.denoise is None else _microseconds("--denoise", self.denoise, 1)
        whole = read_recording(path, sensor_size=self.sensor, index=self.index, otherwise=otherwise)
        recording = slice_time(whole, start_us, stop_us)
        if self.first is not None:
            check_whole("--first", self.first)
            recording = slice_count(recording, 0, self.first)
        if self.drop_hot:
            recording = drop_pixels(recording, hot_pixels(recording))
        if window_us is not None:
            recording = denoise(recording, window_us)
        if self.crop is not None:
            recording = crop(recording, *self.crop)
        if not len(recording.events):
            raise DataError(f"{path}: no event is left of those that were asked for")
        return recording


def _microseconds(option: str, milliseconds: float, least: int) -> int:
    if not math.isfinite(milliseconds) or round(1000 * milliseconds) < least:
        raise ConfigError(f"{option} must be a number of milliseconds of at least {least / 1000:g}, got {milliseconds}")
    return round(1000 * milliseconds)
