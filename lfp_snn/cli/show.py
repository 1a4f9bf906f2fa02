"""``lfp-snn show``: what is in a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lfp_snn.cli.picture import as_text, curve, save_pictures
from lfp_snn.cli.selection import Selection
from lfp_snn.data.filters import rates
from lfp_snn.data.noise import activity
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import ConfigError
from lfp_snn.look import animate, whole
from lfp_snn.look import surface as time_surface
from lfp_snn.look.animation import SUFFIXES

_COLUMNS = 40
"""Characters of a curve over time."""
_PIXELS = 64
"""Of a picture, each two characters wide; fewer where the terminal is narrower."""


def show(
    file: Path, /, *, part: Selection = Selection(), out: Path | None = None, surface: float | None = None
) -> None:
    """Show a recording: format, sensor, counts, rates over time, polarity, hot pixels, a picture.

    For example:

        lfp-snn show street.raw

        lfp-snn show street.raw --start 2 --stop 4 --crop 600 300 200 100 --out part.gif --surface 30

    Parameters
    ----------
    file
        The recording (.aedat4, .es, .raw, .dat, .bin, .h5, .npz, .npy).
    part
        Which part of it.
    out
        Save a picture (.png, .jpg, .pdf, .svg) or a film (.gif, .mp4), too.
    surface
        Show time surfaces in these, which fade with this time constant in milliseconds, instead of counts: ON bright,
        OFF dark.
    """
    if surface is not None and out is None:
        raise ConfigError("--surface is for the picture or film of --out, which is missing")
    tau_us = None if surface is None else 1000 * surface
    show_recording(Console(highlight=False, soft_wrap=True), part.read(file), out, tau_us)


def show_recording(console: Console, recording: Recording, out: Path | None, tau_us: float | None = None) -> None:
    """Print what is in a recording, and a picture of all its events.

    Parameters
    ----------
    console : Console
        Where to print.
    recording : Recording
        With at least one event.
    out : Path or None
        The file of a picture or film.
    tau_us : float, optional
        Time constant of time surfaces in it.

    Raises
    ------
    ConfigError, DataError
        If ``out`` cannot be written.
    """
    film = out is not None and out.suffix.lower() in SUFFIXES
    picture = whole(recording)
    if out is not None and film:
        animate(out, recording, tau_us=tau_us)
    elif out is not None and tau_us is not None:
        name = f"time surface, {tau_us / 1000:g} ms"
        save_pictures({name: time_surface(recording, tau_us)}, out)
    elif out is not None:
        save_pictures({f"{len(recording.events):,} events": picture}, out)
    console.print(_facts(recording))
    fits = console.width // 2 if console.is_terminal else _PIXELS
    console.print(as_text(picture, min(_PIXELS, fits)), markup=False)
    if out is not None:
        console.print(f"{'film' if film else 'picture'}: {escape(str(out))}")


def _facts(recording: Recording) -> Table:
    """Return a table of what can be counted."""
    events, (width, height, polarities) = recording.events, recording.sensor_size
    duration_us = int(events["t"][-1]) - int(events["t"][0])
    rate = f"{len(events) / duration_us * 1e6:,.0f} events/s" if duration_us else "all events at one moment"
    table = Table.grid(padding=(0, 2))
    table.add_row("format", recording.format)
    table.add_row("sensor", f"{width} x {height}, {polarities} polarities" if height > 1 else f"{width} channels")
    table.add_row("events", f"{len(events):,}")
    table.add_row("duration", f"{duration_us / 1e6:.6g} s")
    table.add_row("rate", rate)
    if polarities > 1:
        on = float(np.mean(events["p"]))
        table.add_row("polarity", f"{100 * on:.1f} % ON, {100 * (1 - on):.1f} % OFF")
    if duration_us:
        over_time = rates(recording, duration_us // _COLUMNS + 1)
        curves = {"ON": over_time.on, "OFF": over_time.off} if polarities > 1 else {"over time": over_time.on}
        for name, values in curves.items():
            table.add_row(name, f"{curve(values.tolist(), _COLUMNS)} up to {values.max():,.0f} events/s")
    pixels, what = activity(recording), "pixels" if height > 1 else "channels"
    table.add_row("active", f"{len(pixels.x):,} of {width * height:,} {what}")
    top = int(np.argmax(pixels.events))
    place = f"({pixels.x[top]}, {pixels.y[top]})" if height > 1 else f"{pixels.x[top]}"
    most = f", the busiest at {place} with {pixels.events[top]:,} events" if pixels.hot.any() else ""
    table.add_row("hot", f"{int(pixels.hot.sum()):,} {what}{most}")
    return table
