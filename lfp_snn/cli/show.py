"""``lfp-snn show``: look at a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lfp_snn.cli.picture import as_text, save_pictures
from lfp_snn.data import read_recording
from lfp_snn.explain.figures import animate_events


def show(file: Path, /, *, sample: int = 0, out: Path | None = None) -> None:
    """Show a recording: how many events, how fast, of which polarity, from which sensor; a picture, an animation.

    Parameters
    ----------
    file
        .aedat4, .es, .raw, .dat, .bin, .h5, .npz or .npy.
    sample
        Which recording, of a file of many.
    out
        Save a picture, too; an animation if the name ends in .gif or .mp4.
    """
    console = Console(highlight=False, soft_wrap=True)
    recording = read_recording(file, index=sample)
    events, (width, height, polarities) = recording.events, recording.sensor_size
    duration = float(events["t"][-1] - events["t"][0]) / 1e6
    on = float(np.mean(events["p"]))
    table = Table.grid(padding=(0, 2))
    table.add_row("format", recording.format)
    table.add_row("sensor", f"{width} x {height}, {polarities} polarities" if height > 1 else f"{width} channels")
    table.add_row("events", f"{len(events):,}")
    table.add_row("duration", f"{duration:.6g} s")
    table.add_row("rate", f"{len(events) / duration:,.0f} events/s" if duration else "all events at one moment")
    if polarities > 1:
        table.add_row("polarity", f"{100 * on:.1f} % ON, {100 * (1 - on):.1f} % OFF")
    active = len(np.unique(events["x"].astype(np.int64) * height + events["y"]))
    table.add_row("active", f"{active:,} of {width * height:,} {'pixels' if height > 1 else 'channels'}")
    console.print(table)
    if height > 1:
        picture = np.zeros((height, width), np.float32)
        np.add.at(picture, (events["y"], events["x"]), 1)
    else:
        bins = np.minimum((events["t"] - events["t"][0]) * 64 // max(1, int(1e6 * duration) + 1), 63)
        picture = np.zeros((width, 64), np.float32)
        np.add.at(picture, (events["x"], bins), 1)
    # A few hot pixels would leave the rest dark.
    picture = np.minimum(picture, np.quantile(picture[picture > 0], 0.95))
    console.print(as_text(picture), markup=False)
    if out is not None and out.suffix.lower() in (".gif", ".mp4"):
        console.print(f"animation: {escape(str(animate_events(recording, out, title=file.name)))}")
    elif out is not None:
        save_pictures({f"{len(events):,} events": picture}, out)
        console.print(f"picture: {escape(str(out))}")
