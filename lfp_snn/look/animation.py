"""Recordings as films: ON events white, OFF events black, on grey."""

from __future__ import annotations

from pathlib import Path

from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.figure import Figure

from lfp_snn.data.guard import check_whole, writing
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import ConfigError, DataError
from lfp_snn.look.pictures import LARGEST_FRAME, frames

MAX_FRAMES = 300
"""A GIF is in memory until it is written, 1 MB a frame."""

SUFFIXES = (".gif", ".mp4")

_SIDE, _TITLE = LARGEST_FRAME / 100, 0.32
"""Inches of the picture's longer side, and of the title."""


def animate(
    path: str | Path, recording: Recording, n_frames: int = 100, fps: int = 20, *, tau_us: float | None = None
) -> None:
    """Write a film of a recording; of a one-dimensional sensor, channels over time are uncovered step by step.

    However long the recording and however large its sensor, the film has ``n_frames`` frames of at most 640 x 672 dots;
    `lfp_snn.data.filters.slice_time` and `lfp_snn.data.filters.crop` show a part of it in detail.

    Parameters
    ----------
    path : path
        Ends in ``.gif``, or in ``.mp4``, which needs the program ffmpeg. One that exists is replaced.
    recording : Recording
        With at least one event.
    n_frames : int
        Frames of equal duration, 1 to `MAX_FRAMES`; see `lfp_snn.look.pictures.frames`.
    fps : int
        Frames per second of the film, 1 to 100.
    tau_us : float, optional
        Show time surfaces that fade with this time constant (microseconds), in place of each frame's events.

    Raises
    ------
    ConfigError
        If a number is out of range, the ending is another, or ffmpeg is not there; with ``tau_us``, for a
        one-dimensional sensor.
    DataError
        If the recording has no event, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from lfp_snn.data import make_events
    >>> film = Path(tempfile.mkdtemp()) / "two.gif"
    >>> animate(film, Recording(make_events([1, 2], 0, [10, 20], True), (34, 34, 2), ""), n_frames=2)
    >>> film.read_bytes()[:6]
    b'GIF89a'
    """
    path = Path(path).expanduser()
    check_whole("fps", fps)
    check_whole("n_frames", n_frames)
    if n_frames > MAX_FRAMES or fps > 100:
        raise ConfigError(f"a film has at most {MAX_FRAMES} frames, 100 a second; got {n_frames}, {fps} a second")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{path}: a film ends in {' or '.join(SUFFIXES)}")
    if suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ConfigError(f"{path}: .mp4 needs the program ffmpeg, which is not there; .gif needs nothing")
    if not len(recording.events):
        raise DataError("a film needs at least one event")
    shown = frames(recording, n_frames, tau_us)
    width, height, _ = recording.sensor_size
    if height == 1:
        width = height = 4
    # A film of a very wide or very high sensor is stretched to one of 4 : 1.
    shape = min(max(height / width, 0.25), 4.0)
    across, down = _SIDE * min(1, 1 / shape), _SIDE * min(1, shape)
    across = max(across, 4.0)  # room for the title
    figure = Figure(figsize=(across, down + _TITLE), dpi=100)
    axis = figure.add_axes((0, 0, 1, down / (down + _TITLE)))
    axis.set_axis_off()
    image = axis.imshow([[0]], cmap="gray", vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
    title = axis.set_title("", fontsize=9)
    writer: AbstractMovieWriter = PillowWriter(fps) if suffix == ".gif" else FFMpegWriter(fps)
    with writing(path) as temporary, writer.saving(figure, str(temporary), 100):
        for frame in shown:
            image.set_data(frame.picture)
            title.set_text(f"{frame.start_us / 1000:,.6g} ms: {frame.on:,} ON (white), {frame.off:,} OFF (black)")
            writer.grab_frame()
