"""``lfp-snn convert``: a recording, or a part of it, in another format."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lfp_snn.cli.selection import Selection
from lfp_snn.data.recordings import write_recording


def convert(source: Path, target: Path, /, *, part: Selection = Selection()) -> None:
    """Write a recording, or a part of it, in another format. The target is replaced once the new file is whole.

    For example:

        lfp-snn convert street.raw street.aedat4

        lfp-snn convert street.raw part.npz --start 2 --stop 4 --crop 600 300 200 100 --denoise 1

    Parameters
    ----------
    source
        The recording (.aedat4, .es, .raw, .dat, .bin, .h5, .npz, .npy).
    target
        The new file (.aedat4, .es, .raw, .dat, .npz, .npy). Only .npz keeps everything: .npy has no room for the
        sensor's size, .es none for the time of the first event, the formats of cameras none for a single polarity.
    part
        Which part of it.
    """
    recording = part.read(source)
    write_recording(target, recording)
    width, height, _ = recording.sensor_size
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{len(recording.events):,} events, {width} x {height}: {escape(str(target))}")
