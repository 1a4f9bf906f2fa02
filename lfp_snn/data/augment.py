"""Random changes of training recordings: shift, rotation, zoom, flip, lost events, jitter, tempo.

What is drawn for a recording depends on ``(seed, epoch, index)`` alone, so neither the batch it is in, nor the number
of workers, nor an interrupted and resumed run makes a difference. Nothing is copied: `lfp_snn.data.binning` applies the
drawn values while it counts events, `lfp_snn.data.frames` while it unpacks binned ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lfp_snn.errors import ConfigError, suggest

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""The increment of splitmix64: keeps the words of neighbouring numbers apart."""


@dataclass(frozen=True)
class Augment:
    """How far training recordings may be changed; 0 (the default) leaves a thing alone.

    Parameters
    ----------
    shift : float
        Each axis of space is moved by up to this many pixels (channels), uniformly.
    rotate : float
        Turned about the centre by up to this many degrees, uniformly (two-dimensional sensors only).
    zoom : float
        Scaled about the centre by a factor from ``1 - zoom`` to ``1 + zoom``, uniformly.
    flip : bool
        Mirrored left to right in half of the cases.
    drop : float
        A fraction from 0 to ``drop`` of the events is lost, each event independently.
    jitter : float
        Each event is moved by a Gaussian of this standard deviation, in pixels (channels).
    time_jitter_us : float
        Each event is moved in time by a Gaussian of this standard deviation, in microseconds.
    time_stretch : float
        The recording is played slower or faster, by a factor from ``1 - time_stretch`` to ``1 + time_stretch``.

    Examples
    --------
    >>> Augment(shift=2, drop=0.1).shift
    2
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    flip: bool = False
    drop: float = 0.0
    jitter: float = 0.0
    time_jitter_us: float = 0.0
    time_stretch: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, str) or not np.isfinite(value) or value < 0:
                raise ConfigError(f"augment: {f.name} must be a number of at least 0, got {value!r}")
        for name in ("zoom", "time_stretch", "drop"):
            if getattr(self, name) >= 1:
                raise ConfigError(f"augment: {name} must be less than 1, got {getattr(self, name)}")

    @classmethod
    def of(cls, options: Augment | Mapping[str, Any] | None) -> Augment | None:
        """Make one from a mapping, as a configuration file has it.

        Parameters
        ----------
        options : Augment, mapping or None
            Fields by name.

        Returns
        -------
        Augment or None
            None if nothing would change.

        Raises
        ------
        ConfigError
            For an unknown field (with the closest known one) or an impossible value.

        Examples
        --------
        >>> Augment.of({"shift": 2})
        Augment(shift=2, rotate=0.0, zoom=0.0, flip=False, drop=0.0, jitter=0.0, time_jitter_us=0.0, time_stretch=0.0)
        """
        if options is None:
            return None
        if not isinstance(options, cls):
            known = [f.name for f in dataclasses.fields(cls)]
            if not isinstance(options, Mapping):
                raise ConfigError(f"augment must be a table of {', '.join(known)}, got {options!r}")
            for name in options:
                if name not in known:
                    raise ConfigError(suggest(name, known, "field of augment"))
            options = cls(**options)
        return None if options == cls() else options

    @property
    def changes_time(self) -> bool:
        """Whether the time of events is changed, which takes events rather than binned frames."""
        return self.time_jitter_us > 0 or self.time_stretch > 0


class Drawn(NamedTuple):
    """What was drawn for each of B recordings.

    Attributes
    ----------
    key : ndarray
        uint64 [B]; the source of further random numbers, one or more an event.
    matrix : ndarray
        float64 [B, 6]: ``x' = m[0]*x + m[1]*y + m[2]``, ``y' = m[3]*x + m[4]*y + m[5]``.
    drop : ndarray
        float64 [B], probability that an event is lost.
    stretch : ndarray
        float64 [B], factor of time.
    jitter, time_jitter_us : float
        Standard deviations, the same for all.
    """

    key: NDArray[np.uint64]
    matrix: NDArray[np.float64]
    drop: NDArray[np.float64]
    stretch: NDArray[np.float64]
    jitter: float
    time_jitter_us: float


def draw(augment: Augment, sensor_size: tuple[int, int, int], seed: int, epoch: int, indices: ArrayLike) -> Drawn:
    """Draw the changes of some recordings.

    Parameters
    ----------
    augment : Augment
        How far they may go.
    sensor_size : (W, H, P)
        Of the recordings.
    seed, epoch : int
        Together with a recording's number they fix what is drawn for it.
    indices : array_like
        Numbers of the recordings, [B].

    Returns
    -------
    Drawn
        One row a recording.

    Examples
    --------
    >>> a = draw(Augment(shift=2), (34, 34, 2), seed=0, epoch=3, indices=[7, 8])
    >>> b = draw(Augment(shift=2), (34, 34, 2), seed=0, epoch=3, indices=[8])
    >>> bool((a.matrix[1] == b.matrix[0]).all())
    True
    """
    w, h, _ = sensor_size
    index = np.asarray(indices, np.uint64)
    base = mix(mix(np.array([seed & (2**64 - 1)], np.uint64)) + np.array([epoch], np.uint64))
    key = mix(base + index * GOLDEN)
    u = 2.0 * uniform(mix(key[:, None] + np.arange(1, 7, dtype=np.uint64) * GOLDEN)) - 1.0  # [B, 6] in [-1, 1)
    angle = np.deg2rad(augment.rotate) * u[:, 0] * (h > 1)
    scale = 1.0 + augment.zoom * u[:, 1]
    mirror = np.where(u[:, 2] < 0, -1.0, 1.0) if augment.flip else np.ones(len(index))
    matrix = np.empty((len(index), 6))
    matrix[:, 0], matrix[:, 1] = scale * np.cos(angle) * mirror, -scale * np.sin(angle)
    matrix[:, 3], matrix[:, 4] = scale * np.sin(angle) * mirror, scale * np.cos(angle)
    cx, cy = (w - 1) / 2, (h - 1) / 2
    matrix[:, 2] = cx - matrix[:, 0] * cx - matrix[:, 1] * cy + augment.shift * u[:, 3]
    matrix[:, 5] = cy - matrix[:, 3] * cx - matrix[:, 4] * cy + augment.shift * u[:, 4] * (h > 1)
    drop_and_tempo = uniform(mix(key[:, None] + np.arange(7, 9, dtype=np.uint64) * GOLDEN))
    return Drawn(
        key,
        matrix,
        augment.drop * drop_and_tempo[:, 0],
        1.0 + augment.time_stretch * (2.0 * drop_and_tempo[:, 1] - 1.0),
        float(augment.jitter),
        float(augment.time_jitter_us),
    )


def mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit integers (the output function of splitmix64, Steele et al. 2014).

    Parameters
    ----------
    z : ndarray
        uint64, any shape.

    Returns
    -------
    ndarray
        uint64, the same shape.

    Examples
    --------
    >>> hex(mix(np.array([0x9E3779B97F4A7C15], np.uint64))[0])
    '0xe220a8397b1dcdaf'
    """
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return out


def uniform(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn 64 random bits into a number from 0 (included) to 1 (excluded).

    Parameters
    ----------
    bits : ndarray
        uint64, any shape.

    Returns
    -------
    ndarray
        float64, the same shape.

    Examples
    --------
    >>> float(uniform(np.array([2**63], np.uint64))[0])
    0.5
    """
    out: Any = (bits >> np.uint64(11)) * 2.0**-53
    return out  # type: ignore[no-any-return]


mix_one: Any = numba.njit(inline="always")(mix)
"""`mix` of one number, inside a compiled loop."""
uniform_one: Any = numba.njit(inline="always")(uniform)
"""`uniform` of one number, inside a compiled loop."""


@numba.njit(cache=True, nogil=True)
def gauss_pair(bits: Any) -> tuple[float, float]:
    """Draw two independent standard normal numbers from one random word (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform_one(mix_one(bits + np.uint64(1)))))
    angle = 2.0 * np.pi * uniform_one(mix_one(bits + np.uint64(2)))
    return radius * np.cos(angle), radius * np.sin(angle)
