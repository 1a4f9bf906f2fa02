"""Pictures of data: with characters in a terminal, or as a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lfp_snn.data.guard import writing
from lfp_snn.errors import ConfigError

PICTURES = (".png", ".jpg", ".pdf", ".svg")
_RAMP = " .:-=+*#%@"
_BARS = "▁▂▃▄▅▆▇█"


def flat_picture(x: NDArray[Any], temporal: bool) -> NDArray[np.float32]:
    """Reduce an example to rows and columns.

    Parameters
    ----------
    x : ndarray
        [T, C, H, W] or [T, N] over time, [C, H, W] or [N] without.
    temporal : bool
        Whether the first axis is time.

    Returns
    -------
    ndarray
        [H, W], summed over steps and channels; for inputs without space [N, T], channels over time.
    """
    values = np.abs(np.asarray(x, np.float32))
    if values.ndim >= 3:
        return np.asarray(values.reshape(-1, *values.shape[-2:]).sum(0))
    return values.T if temporal else values.reshape(1, -1)


def as_text(picture: NDArray[Any], width: int = 64) -> str:
    """Draw a picture with characters, dark where it is 0, two characters a pixel.

    Parameters
    ----------
    picture : ndarray
        Values from 0 up, [H, W].
    width : int
        Most pixels a row; a larger picture is shrunk by averaging.

    Examples
    --------
    >>> print(as_text(np.eye(2)))
    @@
      @@
    """
    height, full = picture.shape
    small = _shrink(_shrink(np.asarray(picture, np.float64), 0, min(height, width * 5 // 8)), 1, min(full, width))
    top = small.max() or 1.0
    levels = np.ceil(small / top * (len(_RAMP) - 1)).astype(int)
    return "\n".join("".join(_RAMP[v] * 2 for v in row).rstrip() for row in levels)


def _shrink(picture: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
    """Average neighbours along an axis until it has `size` entries."""
    starts = np.linspace(0, picture.shape[axis], size, endpoint=False).astype(int)
    counts = np.diff(np.append(starts, picture.shape[axis]))
    sums = np.add.reduceat(picture, starts, axis=axis)
    return np.asarray(sums / counts.reshape(-1, *[1] * (1 - axis)))


def curve(values: Sequence[float], width: int) -> str:
    """Draw a curve in a line of text, from 0 to the largest value.

    Parameters
    ----------
    values : sequence of float
        From 0 up.
    width : int
        Most characters; a longer curve is averaged.

    Examples
    --------
    >>> curve([0.0, 1.0, 2.0, 4.0], 12)
    '▁▃▅█'
    >>> len(curve([1.0] * 100, 12))
    12
    """
    if len(values) > width:
        edges = [round(k * len(values) / width) for k in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    top = max(values, default=0.0)
    if len(values) < 2 or top <= 0:
        return _BARS[0] * len(values) if len(values) > 1 else ""
    return "".join(_BARS[round(7 * v / top)] for v in values)


def save_pictures(pictures: dict[str, NDArray[Any]], path: Path) -> None:
    """Save pictures side by side, each with its name.

    Parameters
    ----------
    pictures : dict
        Name -> values [H, W].
    path : path
        The file; its ending says the format, one of `PICTURES`.

    Raises
    ------
    ConfigError
        If it is another format.
    DataError
        If the file cannot be written.
    """
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(f"{path}: a picture ends in {', '.join(PICTURES)}")
    columns = min(5, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(2.2 * columns if len(pictures) > 1 else 6, 2.4 * rows + 1), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, picture) in zip(axes, pictures.items(), strict=False):
        height, width = picture.shape
        similar = 0.25 < height / width < 4
        axis.imshow(picture, cmap="gray", aspect="equal" if similar else "auto", interpolation="nearest")
        axis.set_title(name, fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    with writing(path) as temporary:
        figure.savefig(temporary, dpi=150)
