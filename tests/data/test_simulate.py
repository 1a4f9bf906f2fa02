"""The simulated event camera: against a slow, obvious pixel, and what must hold for any video."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lfp_snn.data import EVENT_DTYPE, EventCamera, check_events, record_image, record_images, saccades, simulate_events
from lfp_snn.data.simulate import MIN_THRESHOLD
from lfp_snn.errors import ConfigError, DataError

IDEAL = EventCamera(mismatch=0.0, refractory_us=0, leak_hz=0.0, noise_hz=0.0)


def slow_pixel(
    log: list[float], times: list[int], on: float, off: float, leak: float, refractory: int
) -> list[tuple[int, bool]]:
    """Return events (time, polarity) of one pixel that sees this log brightness, one crossing after the other."""
    reference, last, events = log[0], -math.inf, []
    for k in range(len(log) - 1):
        a, b = log[k] + leak * (times[k] - times[0]), log[k + 1] + leak * (times[k + 1] - times[0])
        while (b > a and b >= reference + on) or (b < a and b <= reference - off):
            reference += on if b > a else -off
            t = times[k] + int(max((reference - a) / (b - a), 0.0) * (times[k + 1] - times[k]))
            if t - last >= refractory:
                events.append((t, b > a))
                last = t
    return events


videos = hnp.arrays(
    np.float32, st.tuples(st.integers(2, 8), st.integers(1, 3), st.integers(1, 4)), elements=st.floats(0, 1, width=32)
)
gaps = st.lists(st.integers(1, 20_000), min_size=8, max_size=8)


@given(videos, gaps, st.integers(0, 3000), st.floats(0, 5))
def test_equals_the_slow_pixel(video: np.ndarray, gap: list[int], refractory: int, leak_hz: float) -> None:
    camera = EventCamera(0.21, 0.17, mismatch=0.05, refractory_us=refractory, leak_hz=leak_hz, noise_hz=0.0, eps=0.03)
    times = np.cumsum(gap)[: len(video)]
    events = simulate_events(video, times, camera)
    on, off = camera.thresholds(*video.shape[1:])
    log = np.log(video + np.float32(camera.eps)).astype(float)
    for y, x in np.ndindex(*video.shape[1:]):
        mine = events[(events["x"] == x) & (events["y"] == y)]
        slow = slow_pixel(log[:, y, x].tolist(), times.tolist(), on[y, x], off[y, x], leak_hz * 0.21e-6, refractory)
        assert [(int(e["t"]), bool(e["p"])) for e in mine] == slow


@given(videos, gaps)
def test_events_are_valid_and_polarity_is_the_sign_of_the_change(video: np.ndarray, gap: list[int]) -> None:
    times = np.cumsum(gap)[: len(video)]
    events = check_events(simulate_events(video, times, IDEAL), (*video.shape[:0:-1], 2))
    if len(events):
        assert events["t"].min() >= times[0]
        assert events["t"].max() <= times[-1]
    inside = events[~np.isin(events["t"], times)]  # at a frame's time it may belong to either side
    k = np.searchsorted(times, inside["t"]) - 1
    before, after = (video[k + i, inside["y"], inside["x"]] for i in (0, 1))
    assert ((after > before) == inside["p"]).all()


@given(videos, gaps)
def test_events_carry_the_change_of_log_brightness(video: np.ndarray, gap: list[int]) -> None:
    """The sum of all steps is the whole change, up to one threshold."""
    events = simulate_events(video, np.cumsum(gap)[: len(video)], IDEAL)
    steps = np.zeros(video.shape[1:])
    np.add.at(steps, (events["y"], events["x"]), np.where(events["p"], IDEAL.threshold_on, -IDEAL.threshold_off))
    change = np.log(video[-1] + IDEAL.eps) - np.log(video[0] + IDEAL.eps)
    assert np.abs(steps - change).max() <= IDEAL.threshold_on + 1e-4


def ramp(n: int = 11, low: float = 0.05, high: float = 1.0) -> np.ndarray:
    """Return brightness whose logarithm (with eps = 0.02) rises evenly, [n, 4, 5]."""
    log = np.linspace(np.log(low + 0.02), np.log(high + 0.02), n)
    return (np.exp(log) - 0.02)[:, None, None] * np.ones((1, 4, 5))


def test_crossings_are_interpolated() -> None:
    events = simulate_events(ramp(2), [0, 1_000_000], IDEAL)
    times = np.unique(events["t"])
    expected = 1e6 * 0.2 * np.arange(1, len(times) + 1) / np.log(1.02 / 0.07)
    assert len(times) == 13
    assert np.abs(times - expected).max() < 2


def test_more_frames_change_nothing_for_an_even_ramp() -> None:
    few, many = (simulate_events(ramp(n), np.linspace(0, 1e6, n).astype(int), IDEAL) for n in (2, 101))
    assert len(few) == len(many)
    assert np.abs(few["t"] - many["t"]).max() < 5


def test_thresholds_of_on_and_off_are_apart() -> None:
    camera = EventCamera(0.4, 0.1, mismatch=0, refractory_us=0, leak_hz=0, noise_hz=0)
    up, down = (
        simulate_events(ramp(), np.arange(11) * 100, camera),
        simulate_events(ramp()[::-1], np.arange(11) * 100, camera),
    )
    assert up["p"].all()
    assert not down["p"].any()
    assert len(up) == 20 * int(np.log(1.02 / 0.07) / 0.4)
    assert len(down) == 20 * int(np.log(1.02 / 0.07) / 0.1)


def test_a_still_picture_gives_leak_and_noise_only() -> None:
    still, times = np.full((2, 30, 40), 0.5), [0, 10_000_000]
    assert len(simulate_events(still, times, IDEAL)) == 0
    leaky = simulate_events(still, times, EventCamera(mismatch=0, leak_hz=0.5, noise_hz=0))
    assert leaky["p"].all()
    assert len(leaky) in (4 * 1200, 5 * 1200)
    noisy = simulate_events(still, times, EventCamera(leak_hz=0, noise_hz=2.0))
    assert abs(len(noisy) - 24_000) < 5 * np.sqrt(24_000)
    assert abs(noisy["p"].mean() - 0.5) < 0.02
    assert (np.diff(noisy["t"]) >= 0).all()


def test_refractory_time_is_kept() -> None:
    camera = EventCamera(0.05, 0.05, mismatch=0, refractory_us=5000, leak_hz=0, noise_hz=0)
    events = simulate_events(ramp(), np.arange(11) * 10_000, camera)
    one = events[(events["x"] == 0) & (events["y"] == 0)]
    assert np.diff(one["t"]).min() >= 5000
    assert 15 < len(one) <= 20


def test_mismatch_belongs_to_the_camera_and_noise_to_the_recording() -> None:
    camera = EventCamera(mismatch=0.03, noise_hz=0)
    times = np.arange(11) * 1000
    assert (simulate_events(ramp(), times, camera, seed=1) == simulate_events(ramp(), times, camera, seed=2)).all()
    other = simulate_events(ramp(), times, EventCamera(mismatch=0.03, noise_hz=0, seed=1))
    assert (
        len(other) != len(simulate_events(ramp(), times, camera))
        or (other["t"] != simulate_events(ramp(), times, camera)["t"]).any()
    )
    on, off = camera.thresholds(100, 100)
    assert abs(on.mean() - 0.2) < 0.002
    assert abs(off.std() - 0.03) < 0.002
    noisy = EventCamera(noise_hz=1000)
    a, b, c = (simulate_events(ramp(), times, noisy, seed=s) for s in (1, 2, 1))
    assert len(a) != len(b) or (a != b).any()
    assert (a == c).all()


def test_mismatch_makes_no_threshold_vanish() -> None:
    assert EventCamera(mismatch=10.0).thresholds(50, 50)[0].min() == MIN_THRESHOLD


def test_bytes_are_brightness_from_0_to_1() -> None:
    video = np.random.default_rng(0).integers(0, 256, (4, 5, 6), dtype=np.uint8)
    times = np.arange(4) * 1000
    assert (simulate_events(video, times, IDEAL) == simulate_events(video / np.float32(255), times, IDEAL)).all()


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        (np.zeros((2, 3)), [0, 1], "must be \\[N, H, W\\]"),
        (np.zeros((2, 3, 3, 3)), [0, 1], "must be \\[N, H, W\\]"),
        (np.zeros((1, 3, 3)), [0], "at least two frames"),
        (np.zeros((2, 0, 3)), [0, 1], "must be \\[N, H, W\\]"),
        (np.zeros((2, 3, 3), int), [0, 1], "must be floats .* or uint8"),
        (np.full((2, 3, 3), np.nan), [0, 1], "NaN"),
        (np.full((2, 3, 3), np.inf), [0, 1], "infinity"),
        (np.full((2, 3, 3), -0.1), [0, 1], "negative brightness"),
        (np.zeros((2, 3, 3)), [0, 1, 2], "one a frame"),
        (np.zeros((2, 3, 3)), [0.0, 1.0], "must be integers"),
        (np.zeros((2, 3, 3)), [1, 1], "must ascend"),
        (np.zeros((2, 3, 3)), [1, 0], "must ascend"),
    ],
)
def test_bad_videos(frames: np.ndarray, times: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        simulate_events(frames, times)


@pytest.mark.parametrize(
    "bad",
    [{"threshold_on": 0.0}, {"threshold_off": -1}, {"mismatch": -0.1}, {"refractory_us": -1}, {"leak_hz": float("nan")},
     {"noise_hz": float("inf")}, {"eps": 0.0}],
)  # fmt: skip
def test_bad_cameras(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"event camera: {next(iter(bad))}"):
        EventCamera(**bad)  # type: ignore[arg-type]


def centre(frames: np.ndarray) -> np.ndarray:
    """Return the centre of brightness (x, y) of each frame."""
    total = frames.sum((1, 2))
    _, h, w = frames.shape
    return np.stack([frames.sum(1) @ np.arange(w) / total, frames.sum(2) @ np.arange(h) / total], axis=1)


def test_the_path_is_n_mnists_triangle() -> None:
    """tonic's stabilisation of N-MNIST moves by (3.5, 7), (3.5, -7), (-7, 0) pixels in 105 ms each."""
    spot = np.zeros((5, 5))
    spot[2, 2] = 1.0
    frames, times = saccades(spot, 34, scale=2.0, amplitude=7.0)
    path = centre(frames)
    corners = path[[np.searchsorted(times, 105_000 * k) for k in range(4)]]
    assert np.allclose(np.diff(corners, axis=0), [[3.5, 7], [3.5, -7], [-7, 0]], atol=1e-3)
    assert np.allclose(corners[0], [16.5 - 3.5, 16.5 - 3.5], atol=1e-3)
    speed = np.hypot(*np.diff(path, axis=0).T)
    assert speed.max() < 0.25 * np.pi / 2 + 1e-3
    assert speed[[0, len(speed) // 3, -1]].max() < 0.2 * speed.max()


def test_a_larger_picture_keeps_its_brightness() -> None:
    picture = np.random.default_rng(0).random((8, 8))
    frames, _ = saccades(picture, 40, scale=4.0, amplitude=4.0)
    assert np.allclose(frames.sum((1, 2)), 16 * picture.sum(), rtol=0.02)


def test_at_rest_and_in_place_the_picture_is_itself() -> None:
    picture = np.random.default_rng(0).random((6, 8))
    frames, _ = saccades(picture, (6, 8), scale=1.0, amplitude=0.0)
    assert np.allclose(frames, picture[None], atol=1e-6)


def test_background_is_around_the_picture() -> None:
    frames, _ = saccades(np.ones((4, 4)), 20, scale=2.0, background=0.3)
    assert np.allclose(frames[:, 0, 0], 0.3)


def test_default_scale_keeps_the_picture_on_the_sensor() -> None:
    frames, _ = saccades(np.ones((8, 8)), (20, 30))
    totals = frames.sum((1, 2))
    assert totals.min() > 0.9 * totals.max()


def test_recording_a_moving_digit() -> None:
    digit = np.zeros((8, 8))
    digit[1:7, 3:5] = 1.0
    events = record_image(digit, 20, IDEAL, duration_us=150_000)
    assert 500 < len(events) < 20_000
    assert 0.4 < events["p"].mean() < 0.6  # every edge passes twice
    assert events["t"].max() <= 150_000
    still = record_image(digit, 20, IDEAL, amplitude=0.0)
    assert len(still) == 0


def test_many_pictures_have_noise_of_their_own() -> None:
    blank = np.zeros((3, 8, 8))
    camera = EventCamera(noise_hz=100, leak_hz=0)
    a, b, c = record_images(blank, 10, camera, seed=4)
    assert a.dtype == EVENT_DTYPE
    assert len({x["t"].sum() for x in (a, b, c)}) == 3
    assert (record_images(blank, 10, camera, seed=4)[1] == b).all()


@pytest.mark.parametrize(
    ("image", "how", "error"),
    [
        (np.zeros((2, 3, 4)), {}, DataError),
        (np.zeros((0, 3)), {}, DataError),
        (np.zeros((3, 3), int), {}, DataError),
        (np.full((3, 3), np.nan), {}, DataError),
        (-np.ones((3, 3)), {}, DataError),
        (np.ones((3, 3)), {"background": -1.0}, DataError),
        (np.ones((3, 3)), {"size": 0}, ConfigError),
        (np.ones((3, 3)), {"scale": 0.0}, ConfigError),
        (np.ones((3, 3)), {"amplitude": -1.0}, ConfigError),
        (np.ones((3, 3)), {"step": 0.0}, ConfigError),
        (np.ones((3, 3)), {"duration_us": 2}, ConfigError),
    ],
)
def test_bad_pictures(image: np.ndarray, how: dict[str, float], error: type[Exception]) -> None:
    with pytest.raises(error):
        saccades(image, **how)  # type: ignore[arg-type]
