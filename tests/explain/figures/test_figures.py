"""What is drawn is what was explained, and it can be read in grey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.animation import FFMpegWriter
from PIL import Image
from torch import nn

from lfp_snn import LI, LIF, Sequential
from lfp_snn.data import make_events
from lfp_snn.errors import ConfigError, DataError, ShapeError
from lfp_snn.explain import Explanation, explain, figures
from lfp_snn.explain.faithfulness import Faithfulness
from lfp_snn.explain.figures.animation import MOST_FRAMES
from lfp_snn.explain.figures.cloud import fewer
from lfp_snn.explain.figures.style import RAMP, limits


def explained(*shape: int, steps: int = 8, batch: int = 1, last: nn.Module | None = None) -> Explanation:
    torch.manual_seed(0)
    size = int(np.prod(shape))
    net = Sequential(nn.Flatten(), nn.Linear(size, 12), LIF(), nn.Linear(12, 3), LI() if last is None else last)
    with torch.no_grad():
        net[1].weight.mul_(3)
    return explain(net, (torch.rand(steps, batch, *shape) < 0.4).float())


def luminance(colours: Any) -> np.ndarray:
    return np.asarray(colours)[..., :3] @ [0.2126, 0.7152, 0.0722]


def test_relevance_is_brighter_the_more_it_speaks_for() -> None:
    """In grey, too: against is dark, nothing in the middle, for bright."""
    grey = luminance(mpl.colormaps[RAMP](np.linspace(0, 1, 256)))
    assert (np.diff(grey) > 0).all()
    scale = limits([-2.0, 0.0, 0.5])
    assert scale(0.0) == 0.5
    assert -scale.vmin == scale.vmax
    assert limits([0.0, 0.0])(0.0) == 0.5  # nothing to show is no error


def test_the_map_shows_events_and_relevance() -> None:
    why = explained(2, 5, 4)
    seen, part, *_ = figures.relevance_map(why, "a title").axes
    np.testing.assert_allclose(seen.images[0].get_array(), why.x[:, 0].sum((0, 1)))
    np.testing.assert_allclose(part.images[0].get_array(), why.over_space()[0], rtol=1e-4, atol=1e-6)
    channels = explained(6)
    part = figures.relevance_map(channels).axes[1]
    np.testing.assert_allclose(part.images[0].get_array(), channels.relevance[:, 0].T)
    assert (part.get_xlabel(), figures.relevance_map(channels).axes[0].get_ylabel()) == ("time step", "channel")


def test_frames_show_each_stretch_of_time_where_there_were_events() -> None:
    why = explained(2, 5, 4, steps=9)
    drawn = figures.relevance_frames(why, moments=3)
    for k, axis in enumerate(drawn.axes[:3]):
        part = slice(3 * k, 3 * k + 3)
        want = why.relevance[part, 0].sum((0, 1)).numpy()
        events = why.x[part, 0].sum((0, 1)).numpy() > 0
        got = axis.images[0].get_array()
        np.testing.assert_allclose(np.ma.filled(got, np.nan)[events], want[events], rtol=1e-4, atol=1e-6)
        assert np.ma.getmaskarray(np.ma.masked_invalid(got))[~events].all()
    with pytest.raises(ShapeError, match="draw relevance_map"):
        figures.relevance_frames(explained(6))


def test_the_course_of_time() -> None:
    why = explained(6)
    top, bottom = figures.time_course(why, ("a", "b", "c"), most=2).axes
    heights = np.array([patch.get_height() for patch in top.patches]).reshape(2, -1)
    np.testing.assert_allclose(heights.sum(0), why.over_time()[:, 0], rtol=1e-4, atol=1e-6)
    assert (heights[0] >= 0).all()
    assert (heights[1] <= 0).all()
    named = [line for line in bottom.lines if not line.get_label().startswith("_")]
    final = why.output[:, 0].sum(0) / 8
    assert [line.get_label() for line in named] == [("a", "b", "c")[c] for c in final.argsort(descending=True)[:2]]
    np.testing.assert_allclose(named[0].get_ydata()[-1], final.max(), rtol=1e-5)


def test_the_raster_shows_the_most_relevant_neurons() -> None:
    why = explained(6)
    axis = figures.raster(why, most=5).axes[0]
    layer = why.layers["2"]
    strength = layer.relevance[:, 0].abs().sum(0)
    chosen = strength.topk(5).indices.sort().values
    points = axis.collections[0]
    assert len(points.get_offsets()) == int(layer.output[:, 0][:, chosen].sum())
    t, unit = layer.output[:, 0][:, chosen].nonzero(as_tuple=True)
    np.testing.assert_allclose(points.get_array(), layer.relevance[:, 0][:, chosen][t, unit])
    assert axis.get_title() == "layer 2: 5 most relevant of 12 neurons"
    with pytest.raises(ShapeError, match="needs layers of spiking neurons"):
        figures.raster(explain(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.rand(1, 4)))


def test_membranes() -> None:
    why = explained(6)
    layer = why.layers["2"]
    drawn = figures.membranes(why, "2", [3, 7])
    for axis, n in zip(drawn.axes[:2], (3, 7), strict=True):
        membrane, threshold = axis.lines
        np.testing.assert_allclose(membrane.get_ydata(), layer.membrane[:, 0, n])
        np.testing.assert_allclose(threshold.get_ydata(), layer.threshold[:, 0, n])
        fired = layer.output[:, 0, n] > 0
        assert len(axis.collections[0].get_offsets()) == int(fired.sum())
    assert len(figures.membranes(why, "2", 4).axes) >= 4
    with pytest.raises(ConfigError, match="spiking layer"):
        figures.membranes(why, "1")
    with pytest.raises(ConfigError, match="neurons 0 to 11, not 12"):
        figures.membranes(why, "2", [12])


def test_receptive_fields() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 5, 3)
    axes = figures.receptive_fields(conv, most=3).axes
    largest = conv.weight.flatten(1).norm(dim=1).topk(3).indices.tolist()
    assert [axis.get_title() for axis in axes[:3]] == [str(n) for n in largest]
    field = (conv.weight[:, 1] - conv.weight[:, 0])[largest[0]].detach()
    np.testing.assert_allclose(axes[0].images[0].get_array(), field)
    linear = nn.Linear(2 * 4 * 3, 5)
    assert figures.receptive_fields(linear, (2, 4, 3)).axes[0].images[0].get_array().shape == (4, 3)
    with pytest.raises(ShapeError, match="the layer's 24 inputs"):
        figures.receptive_fields(linear)
    with pytest.raises(ShapeError, match="not LIF"):
        figures.receptive_fields(LIF())


def recorded(n: int, relevant: bool = True) -> np.ndarray:
    rng = np.random.default_rng(0)
    dtype = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")] + [("relevance", "f4")] * relevant
    events = np.zeros(n, dtype)
    events["x"], events["y"], events["t"] = (
        rng.integers(0, 8, n),
        rng.integers(0, 6, n),
        np.sort(rng.integers(0, 9999, n)),
    )
    events["p"] = rng.integers(0, 2, n)
    if relevant:
        events["relevance"] = rng.normal(size=n)
    return events


def test_the_cloud() -> None:
    events = recorded(50)
    (points, *_) = figures.event_cloud(events, (8, 6, 2)).axes[0].collections
    assert sorted(points.get_array().tolist()) == sorted(events["relevance"].tolist())
    on, off = figures.event_cloud(recorded(50, False), (8, 6, 2)).axes[0].collections
    assert len(on.get_offsets()) + len(off.get_offsets()) == 50
    assert luminance(on.get_facecolor())[0] > luminance(off.get_facecolor())[0] + 0.3
    flat = figures.event_cloud(recorded(50), (8, 1, 1)).axes[0]
    assert (flat.name, flat.get_ylabel()) == ("rectilinear", "channel")
    some = figures.event_cloud(events, (8, 6, 2), most=20, title="few")
    assert len(some.axes[0].collections[0].get_array()) == 20
    assert some.get_suptitle() == "few (20 of 50 events)"
    with pytest.raises(DataError, match="no event to draw"):
        figures.event_cloud(events[:0], (8, 6, 2))


def test_of_too_many_events_the_most_relevant_stay() -> None:
    events = recorded(200)
    kept = fewer(events, 40)
    strongest = np.sort(np.abs(events["relevance"]))[-20:]
    assert len(kept) == 40
    assert np.isin(strongest, np.abs(kept["relevance"])).all()
    assert (np.diff(kept["t"]) >= 0).all()
    assert len(fewer(recorded(200, False), 40)) == 40
    assert fewer(events, 200) is events


def test_surfaces_show_recent_events_and_their_relevance() -> None:
    events = recorded(200)
    drawn = figures.surfaces(events, (8, 6, 2), moments=3, title="why")
    *panels, scale = drawn.axes
    assert len(panels) == 3
    assert "relevance" in scale.get_ylabel()
    counts = [len(panel.collections[0].get_offsets()) for panel in panels]
    assert sum(counts) == 200  # every event in one panel
    end = int(events["t"][-1])
    assert panels[-1].get_title() == f"{(end - int(events['t'][0])) / 1000:.4g} ms"
    fade = (end - int(events["t"][0])) / 3
    want = figures.time_surface(events[["x", "y", "t", "p"]], (8, 6, 2), end, fade).max(0)
    np.testing.assert_allclose(panels[-1].images[0].get_array(), want)
    plain = figures.surfaces(recorded(50, False), (8, 6, 2), moments=1, tau_us=10.0)
    assert len(plain.axes) == 1
    assert not plain.axes[0].collections
    with pytest.raises(ShapeError, match="needs a sensor of rows and columns, not 9 channels"):
        figures.surfaces(make_events([1], 0, [1], True), (9, 1, 1))
    with pytest.raises(ConfigError, match="moments must be at least 1"):
        figures.surfaces(events, (8, 6, 2), moments=0)
    with pytest.raises(DataError, match="no event to draw"):
        figures.surfaces(events[:0], (8, 6, 2))


def test_the_time_surface_against_a_loop() -> None:
    events = make_events([1, 1, 2, 0], [0, 0, 3, 1], [0, 500, 800, 2000], [1, 1, 0, 1])
    surface = figures.time_surface(events, (4, 4, 2), at_us=1000, tau_us=400.0)
    want = np.zeros((2, 4, 4))
    for x, y, t, p in events[:3]:
        want[int(p), y, x] = np.exp((t - 1000) / 400)
    np.testing.assert_allclose(surface, want, rtol=1e-6)
    with pytest.raises(ConfigError, match="tau_us must be positive"):
        figures.time_surface(events, (4, 4, 2), at_us=0, tau_us=0)


def test_curves_differ_by_more_than_colour() -> None:
    found = Faithfulness((0.0, 0.2, 1.0), (0.9, 0.3, 0.1), (0.1, 0.8, 0.9), 10)
    left, right = figures.curves({"LFP": found, "random": found, "gradient": found}).axes
    assert len({(line.get_linestyle(), line.get_marker()) for line in left.lines}) == 3
    np.testing.assert_allclose(left.lines[0].get_ydata(), [90, 30, 10])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [10, 80, 90])


def test_the_confusion_matrix() -> None:
    axis, _ = figures.confusion([[3, 1], [0, 0]], ("cat", "dog")).axes
    np.testing.assert_allclose(axis.images[0].get_array(), [[75, 25], [0, 0]])
    assert [t.get_text() for t in axis.get_yticklabels()] == ["cat", "dog"]
    assert {t.get_text() for t in axis.texts} == {"3", "1"}


@pytest.mark.parametrize("shape", [(2, 5, 4), (6,)], ids=["space", "channels"])
def test_an_animation(shape: tuple[int, ...], tmp_path: Path) -> None:
    file = figures.animate(explained(*shape), tmp_path / "why.gif", ("a", "b", "c"))
    with Image.open(file) as movie:
        assert movie.n_frames == 8
        first = np.asarray(movie.convert("L"), float)
        movie.seek(7)
        assert np.abs(np.asarray(movie.convert("L"), float) - first).max() > 50
    assert [p.name for p in tmp_path.iterdir()] == ["why.gif"]


@pytest.mark.skipif(not FFMpegWriter.isAvailable(), reason="needs ffmpeg")
def test_an_mp4(tmp_path: Path) -> None:
    file = figures.animate(explained(6), tmp_path / "why.mp4")
    assert file.read_bytes()[4:8] == b"ftyp"
    assert [p.name for p in tmp_path.iterdir()] == ["why.mp4"]


def test_a_long_animation_has_few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_FRAMES == 200
    monkeypatch.setattr("lfp_snn.explain.figures.animation.MOST_FRAMES", 3)
    with Image.open(figures.animate(explained(6, steps=10), tmp_path / "why.gif")) as movie:
        assert movie.n_frames == 3


def test_animations_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    why = explained(6)
    with pytest.raises(ConfigError, match=r"ends in \.gif or \.mp4, not '\.avi'"):
        figures.animate(why, tmp_path / "a.avi")
    monkeypatch.setattr("matplotlib.animation.FFMpegWriter.isAvailable", lambda: False)
    with pytest.raises(ConfigError, match=r"\.mp4 needs ffmpeg"):
        figures.animate(why, tmp_path / "a.mp4")
    with pytest.raises(ShapeError, match="nothing to animate"):
        figures.animate(explain(nn.Sequential(nn.Linear(4, 3)), torch.rand(1, 4)), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_figures_are_of_one_example() -> None:
    with pytest.raises(ShapeError, match=r"take why\.sample\(0\)"):
        figures.relevance_map(explained(6, batch=2))


def test_text_is_for_paper() -> None:
    for drawn in (figures.relevance_map(explained(2, 5, 4)), figures.time_course(explained(6))):
        assert drawn.get_size_inches()[0] <= 7
        for axis in drawn.axes:
            for text in (axis.title, axis.xaxis.label, axis.yaxis.label, *axis.get_xticklabels()):
                assert 6.5 <= text.get_fontsize() <= 9
