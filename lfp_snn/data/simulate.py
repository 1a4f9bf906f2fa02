r"""A simulated event camera, for any video, and the saccades that turn a picture into one.

Each pixel of an event camera watches the logarithm of its own brightness, :math:`L = \log(I + \varepsilon)`, and keeps
a reference :math:`L_r`. When :math:`L - L_r` reaches :math:`\theta_{on}` it sends an ON event and raises the reference
by :math:`\theta_{on}`; when it falls to :math:`-\theta_{off}` it sends an OFF event and lowers it by
:math:`\theta_{off}`. Between two frames :math:`L` is taken to change linearly, so each crossing has a time of its own.

Real pixels differ: thresholds vary from pixel to pixel, a pixel is deaf for a moment after an event (the reference
still follows, the event is lost), the reference leaks, which looks like slow brightening, and noise adds events.

Sources: Lichtsteiner, Posch and Delbruck 2008, doi:10.1109/JSSC.2007.914337 (the pixel); Rebecq, Gehrig and Scaramuzza
2018, ESIM (linear interpolation, mismatch, refractory time); Hu, Liu and Delbruck 2021, arXiv:2006.07722, v2e (leak,
shot noise); Orchard et al. 2015, doi:10.3389/fnins.2015.00437 (saccades, N-MNIST).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lfp_snn.data.events import EVENT_DTYPE, Events
from lfp_snn.errors import ConfigError, DataError

MIN_THRESHOLD = 0.01
"""Mismatch makes no pixel more sensitive than this, as in ESIM."""


@dataclass(frozen=True)
class EventCamera:
    """Properties of the pixels; one object is one camera, with the same odd pixels in every recording.

    Parameters
    ----------
    threshold_on, threshold_off : float
        Change of log brightness that causes an event; 0.2 is a contrast of about 20 %.
    mismatch : float
        Standard deviation of both thresholds over pixels.
    refractory_us : int
        Time after an event in which the pixel sends no other.
    leak_hz : float
        Rate of ON events of a pixel that sees no change, caused by the leak.
    noise_hz : float
        Rate of noise events of a pixel; half of them are ON.
    eps : float
        Brightness added before the logarithm: dark current. 1 is white.
    seed : int
        Of the mismatch.

    Raises
    ------
    ConfigError
        If a value is impossible.

    Examples
    --------
    >>> EventCamera(threshold_on=0.3).threshold_off
    0.2
    """

    threshold_on: float = 0.2
    threshold_off: float = 0.2
    mismatch: float = 0.03
    refractory_us: int = 100
    leak_hz: float = 0.1
    noise_hz: float = 0.1
    eps: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("threshold_on", "threshold_off", "mismatch", "refractory_us", "leak_hz", "noise_hz", "eps"):
            value = getattr(self, name)
            least = MIN_THRESHOLD if name.startswith("threshold") else 0
            if not np.isfinite(value) or value < least:
                raise ConfigError(f"event camera: {name} must be a number of at least {least}, got {value!r}")
        if self.eps == 0:
            raise ConfigError("event camera: eps must be greater than 0, black has no logarithm")

    def thresholds(self, height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Thresholds of each pixel.

        Parameters
        ----------
        height, width : int
            Of the sensor.

        Returns
        -------
        tuple of ndarray
            ON and OFF, float64 [height, width].

        Examples
        --------
        >>> on, off = EventCamera(mismatch=0.0).thresholds(2, 3)
        >>> float(on.min()), off.shape
        (0.2, (2, 3))
        """
        noise = np.random.default_rng(self.seed).standard_normal((2, height, width)) * self.mismatch
        on = np.maximum(self.threshold_on + noise[0], MIN_THRESHOLD)
        return on, np.maximum(self.threshold_off + noise[1], MIN_THRESHOLD)


def simulate_events(
    frames: ArrayLike, times_us: ArrayLike, camera: EventCamera | None = None, *, seed: int | Sequence[int] = 0
) -> Events:
    """Record a video with a simulated event camera.

    Parameters
    ----------
    frames : array_like
        Brightness [N, H, W], N >= 2: floats from 0 (black) on, 1 is white; or uint8, where 255 is white. Brightness is
        linear: undo the gamma of a video first. Between frames motion should be below a pixel or so.
    times_us : array_like
        Time of each frame in microseconds, int [N], ascending.
    camera : EventCamera, optional
        Properties of the pixels.
    seed : int or sequence of int
        Of the noise events.

    Returns
    -------
    ndarray
        Events of `lfp_snn.data.EVENT_DTYPE` in ascending time, from the first frame's time to the last's.

    Raises
    ------
    DataError
        If frames or times are not as described.

    Examples
    --------
    >>> import numpy as np
    >>> frames = np.linspace(0.1, 1.0, 5)[:, None, None] * np.ones((1, 4, 6))
    >>> events = simulate_events(frames, np.arange(5) * 1000, EventCamera(mismatch=0, noise_hz=0))
    >>> bool(events["p"].all()), len(events) // 24
    (True, 10)
    """
    camera = camera if camera is not None else EventCamera()
    video, times = _check_video(frames, times_us)
    _, height, width = video.shape
    on, off = camera.thresholds(height, width)
    log = np.log(video + np.float32(camera.eps))
    leak = camera.leak_hz * camera.threshold_on * 1e-6
    events = _crossings(log, times, on, off, leak, int(camera.refractory_us), np.empty(4096, EVENT_DTYPE))
    noise = _noise(camera.noise_hz, times, height, width, np.random.default_rng(seed))
    if len(noise):
        events = np.concatenate([events, noise])
    ordered: Events = events[np.argsort(events["t"], kind="stable")]
    return ordered


def _check_video(frames: ArrayLike, times_us: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    video, times = np.asarray(frames), np.asarray(times_us)
    if video.ndim != 3 or video.shape[0] < 2 or 0 in video.shape:
        raise DataError(f"frames must be [N, H, W] with at least two frames, got {list(video.shape)}")
    if max(video.shape[1:]) > 2**15:
        raise DataError(f"frames must not be wider or higher than 32768 pixels, got {list(video.shape)}")
    if video.dtype == np.uint8:
        video = video.astype(np.float32) / 255
    elif video.dtype.kind != "f":
        raise DataError(f"frames must be floats (1 is white) or uint8 (255 is white), got {video.dtype}")
    if not np.isfinite(video).all():
        raise DataError("frames hold NaN or infinity")
    if video.min() < 0:
        raise DataError(f"frames hold a negative brightness, {video.min():g}")
    if times.shape != video.shape[:1] or times.dtype.kind not in "iu":
        raise DataError(f"times_us must be integers, one a frame ({len(video)}), got {times.dtype} {list(times.shape)}")
    times = times.astype(np.int64)
    if (np.diff(times) <= 0).any():
        raise DataError("times_us must ascend from frame to frame")
    return video.astype(np.float32, copy=False), times


def _noise(rate_hz: float, times: NDArray[np.int64], height: int, width: int, rng: np.random.Generator) -> Events:
    """Draw noise events: a Poisson process in each pixel."""
    n = rng.poisson(rate_hz * 1e-6 * (times[-1] - times[0]) * height * width)
    noise = np.empty(n, EVENT_DTYPE)
    noise["x"], noise["y"] = rng.integers(0, width, n), rng.integers(0, height, n)
    noise["t"], noise["p"] = rng.integers(times[0], times[-1], n), rng.integers(0, 2, n)
    return noise


@numba.njit(cache=True, nogil=True)
def _crossings(log: Any, times: Any, on: Any, off: Any, leak: float, refractory: int, events: Any) -> Any:
    """Find where each pixel's log brightness crosses its thresholds; events is a buffer that grows."""
    n_frames, height, width = log.shape
    n = 0
    reference = log[0].astype(np.float64)
    last = np.full((height, width), times[0] - refractory)
    for k in range(n_frames - 1):
        before, after = leak * (times[k] - times[0]), leak * (times[k + 1] - times[0])
        duration = times[k + 1] - times[k]
        for y in range(height):
            for x in range(width):
                a, b = log[k, y, x] + before, log[k + 1, y, x] + after
                rising = b > a
                step = on[y, x] if rising else -off[y, x]
                while (b >= reference[y, x] + step) if rising else (b <= reference[y, x] + step):
                    if a == b:
                        break
                    reference[y, x] += step
                    t = times[k] + np.int64(max((reference[y, x] - a) / (b - a), 0.0) * duration)
                    if t - last[y, x] < refractory:
                        continue
                    last[y, x] = t
                    if n == len(events):
                        grown = np.empty(2 * n, events.dtype)
                        grown[:n] = events
                        events = grown
                    events[n].x, events[n].y, events[n].t, events[n].p = x, y, t, rising
                    n += 1
    return events[:n].copy()


SACCADE_CORNERS = ((-0.5, -0.5), (0.0, 0.5), (0.5, -0.5))
"""Corners, column and row, of the triangle around which N-MNIST's camera moves."""


def saccades(
    image: ArrayLike,
    size: int | tuple[int, int] = 34,
    *,
    scale: float | None = None,
    amplitude: float | None = None,
    duration_us: int = 315_000,
    step: float = 0.25,
    background: float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Look at a picture in three saccades along a triangle, as N-MNIST was recorded.

    The picture moves from (-a/2, -a/2) to (0, a/2), on to (a/2, -a/2) and back, a being the amplitude; each saccade
    takes a third of the time, starting and ending slowly (a half period of a cosine). It is sampled bilinearly, so it
    moves by fractions of a pixel; a picture much larger than the sensor should be scaled down beforehand.

    Parameters
    ----------
    image : array_like
        Brightness [h, w]: floats (1 is white) or uint8 (255 is white).
    size : int or (height, width)
        Of the sensor.
    scale : float, optional
        Sensor pixels a picture pixel; by default such that the picture with its motion fills the sensor.
    amplitude : float, optional
        Extent of the triangle in sensor pixels, by default a fifth of the sensor's shorter side (N-MNIST: 7 of 34).
    duration_us : int
        Of all three saccades, by default N-MNIST's 315 ms.
    step : float
        Greatest mean motion between frames in sensor pixels; smaller steps give more frames and finer times.
    background : float
        Brightness around the picture.

    Returns
    -------
    frames : ndarray
        float32 [N, H, W].
    times_us : ndarray
        int64 [N], from 0 to ``duration_us``.

    Raises
    ------
    DataError
        If the picture is not as described.
    ConfigError
        If another value is impossible.

    Examples
    --------
    >>> import numpy as np
    >>> frames, times = saccades(np.ones((8, 8)), 16)
    >>> frames.shape[1:], len(times) == len(frames), int(times[-1])
    ((16, 16), True, 315000)
    """
    picture = np.asarray(image)
    if picture.ndim != 2 or 0 in picture.shape:
        raise DataError(f"a picture must be [height, width], got {list(picture.shape)}")
    if picture.dtype == np.uint8:
        picture = picture / np.float32(255)
    elif picture.dtype.kind != "f":
        raise DataError(f"a picture must hold floats (1 is white) or uint8 (255 is white), got {picture.dtype}")
    if not np.isfinite(picture).all():
        raise DataError("the picture holds NaN or infinity")
    if picture.min() < 0 or background < 0:
        raise DataError("the picture or its background holds a negative brightness")
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ConfigError(f"the sensor's size must be at least 1, got {size!r}")
    extent = 0.2 * min(height, width) if amplitude is None else amplitude
    if scale is None:
        scale = min((height - extent) / picture.shape[0], (width - extent) / picture.shape[1])
    if not (scale > 0 and extent >= 0 and step > 0 and duration_us >= 3):
        raise ConfigError(
            f"saccades need scale > 0, amplitude >= 0, step > 0 and duration_us >= 3, "
            f"got {scale}, {extent}, {step}, {duration_us}"
        )
    path, times = _saccade_path(extent, duration_us, step)
    frames = np.empty((len(path), height, width), np.float32)
    _sample(np.ascontiguousarray(picture, np.float32), path, float(scale), np.float32(background), frames)
    return frames, times


def _saccade_path(extent: float, duration_us: int, step: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Positions (x, y) [N, 2] of the picture's centre relative to the sensor's, and their times [N]."""
    corners = extent * np.array([*SACCADE_CORNERS, SACCADE_CORNERS[0]])
    lengths = np.hypot(*np.diff(corners, axis=0).T)
    n = min(max(int(np.ceil(lengths.max() / step)), 1), duration_us // 3)  # frames a saccade
    progress = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    legs = [a + progress[:, None] * (b - a) for a, b in pairwise(corners)]
    times = np.arange(3 * n + 1) * duration_us // (3 * n)
    return np.concatenate([*legs, corners[-1:]]), times.astype(np.int64)


@numba.njit(cache=True, nogil=True)
def _sample(picture: Any, path: Any, scale: float, background: Any, frames: Any) -> None:
    """Sample the picture bilinearly, centred at each position of the path."""
    h, w = picture.shape
    _, height, width = frames.shape
    for k in range(len(path)):
        for y in range(height):
            v = (y - (height - 1) / 2 - path[k, 1]) / scale + (h - 1) / 2
            i = int(np.floor(v))
            fy = v - i
            for x in range(width):
                u = (x - (width - 1) / 2 - path[k, 0]) / scale + (w - 1) / 2
                j = int(np.floor(u))
                fx = u - j
                value = 0.0
                for di in range(2):
                    for dj in range(2):
                        weight = (fy if di else 1 - fy) * (fx if dj else 1 - fx)
                        inside = 0 <= i + di < h and 0 <= j + dj < w
                        value += weight * (picture[i + di, j + dj] if inside else background)
                frames[k, y, x] = value


def record_image(
    image: ArrayLike,
    size: int | tuple[int, int] = 34,
    camera: EventCamera | None = None,
    *,
    seed: int | Sequence[int] = 0,
    **motion: Any,
) -> Events:
    """Record a picture with a simulated event camera that looks at it in saccades.

    Parameters
    ----------
    image : array_like
        Brightness [h, w], see `saccades`.
    size : int or (height, width)
        Of the sensor.
    camera : EventCamera, optional
        Properties of the pixels.
    seed : int or sequence of int
        Of the noise events.
    **motion
        Further arguments of `saccades`.

    Returns
    -------
    ndarray
        Events of `lfp_snn.data.EVENT_DTYPE`.

    Raises
    ------
    DataError, ConfigError
        See `saccades` and `simulate_events`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> events = record_image(load_digits().images[0] / 16, 20)
    >>> events.dtype.names, bool(len(events) > 500)
    (('x', 'y', 't', 'p'), True)
    """
    frames, times = saccades(image, size, **motion)
    return simulate_events(frames, times, camera, seed=seed)


def record_images(
    images: Sequence[ArrayLike] | NDArray[Any],
    size: int | tuple[int, int] = 34,
    camera: EventCamera | None = None,
    *,
    seed: int = 0,
    **motion: Any,
) -> list[Events]:
    """Record many pictures, see `record_image`; picture ``i`` has the noise of seed ``(seed, i)``.

    Parameters
    ----------
    images : sequence of array_like
        Pictures [h, w].
    size, camera, seed, **motion
        As `record_image`.

    Returns
    -------
    list of ndarray
        One recording a picture.

    Examples
    --------
    >>> import numpy as np
    >>> len(record_images(np.zeros((3, 8, 8)), 10))
    3
    """
    return [record_image(image, size, camera, seed=(seed, i), **motion) for i, image in enumerate(images)]
