"""Figures: what is drawn is what was measured, and it can be told apart in grey."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from lfp_snn.compare import figures
from lfp_snn.compare.results import Comparison, Histogram, read_comparison
from tests.compare.synthetic import run_path, write_comparison


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return read_comparison(write_comparison(tmp_path_factory.mktemp("comparison")))


def every_figure(comparison: Comparison) -> Iterator[Figure]:
    networks, look = list(comparison.networks.values()), figures.looks(comparison.methods)
    for several in (figures.accuracy_over_networks, figures.pruning, figures.learning_rates):
        yield several(networks, look)
    for one in (figures.accuracy_of_network, figures.firing_rates, figures.weights):
        yield one(networks[0], look)


def lightness(color: str) -> float:
    """CIE L*, 0 to 100."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    y = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def line(axis: Axes, label: str) -> Line2D:
    (found,) = [line for line in axis.lines if line.get_label() == label]
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 6, 11])
def test_methods_differ_in_grey_value_line_and_marker(count: int) -> None:
    look = figures.looks([f"method {k}" for k in range(count)])
    values = [lightness(style.color) for style in look.values()]
    assert max(values) < 75  # still seen on white paper
    assert all(b - a > 35 / count for a, b in pairwise(values))
    assert len({(style.linestyle, style.marker) for style in look.values()}) == count
    assert len({style.marker for style in look.values()}) == count


def test_every_figure_fits_a_page_and_is_legible(comparison: Comparison) -> None:
    for figure in every_figure(comparison):
        figure.canvas.draw()
        assert figure.get_figwidth() == 7
        texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
        assert min(text.get_fontsize() for text in texts) >= 8
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == list(comparison.methods)


def test_curves_are_means_and_bands_hold_every_seed(comparison: Comparison) -> None:
    network = comparison.networks["mlp"]
    axis = figures.accuracy_of_network(network, figures.looks(comparison.methods)).axes[1]
    runs = network.methods["surrogate"].runs
    curves = 100 * np.array([[row["val_accuracy"] for row in run.metrics] for run in runs])
    seconds = np.array([np.cumsum([row["seconds"] for row in run.metrics]) for run in runs])
    drawn = line(axis, "surrogate")
    assert np.allclose(drawn.get_ydata(), curves.mean(0))
    assert np.allclose(drawn.get_xdata(), seconds.mean(0))
    vertices = axis.collections[1].get_paths()[0].vertices
    for x, values in zip(seconds.mean(0), curves.T, strict=True):
        band = vertices[np.isclose(vertices[:, 0], x), 1]
        assert (band.min(), band.max()) == (pytest.approx(values.min()), pytest.approx(values.max()))


def test_panels_are_networks(comparison: Comparison) -> None:
    figure = figures.accuracy_over_networks(list(comparison.networks.values()), figures.looks(comparison.methods))
    assert [axis.get_title() for axis in figure.axes] == ["mlp", "cnn"]


def test_curves_end_where_the_first_seed_stopped(tmp_path: Path) -> None:
    file = run_path(write_comparison(tmp_path, ["mlp"]), "mlp", "lfp", 0) / "metrics.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))
    comparison = read_comparison(tmp_path)
    figure = figures.accuracy_of_network(comparison.networks["mlp"], figures.looks(comparison.methods))
    assert len(line(figure.axes[0], "lfp").get_xdata()) == 3
    assert len(line(figure.axes[0], "surrogate").get_xdata()) == 4


def test_costs_that_some_run_lacks_have_no_panel(tmp_path: Path) -> None:
    file = run_path(write_comparison(tmp_path, ["mlp"]), "mlp", "lfp", 0) / "metrics.jsonl"
    rows = [json.loads(row) for row in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row | {"synops": None}) + "\n" for row in rows))
    comparison = read_comparison(tmp_path)
    figure = figures.accuracy_of_network(comparison.networks["mlp"], figures.looks(comparison.methods))
    assert [axis.get_xlabel() for axis in figure.axes] == ["epoch", "training time / s"]


def test_perfect_and_hopeless_accuracies_can_be_drawn(tmp_path: Path) -> None:
    write_comparison(tmp_path, ["mlp"], ["lfp", "dfa"], 1)
    for method, accuracy in (("lfp", 1.0), ("dfa", 0.0)):
        file = run_path(tmp_path, "mlp", method, 0) / "metrics.jsonl"
        file.write_text("".join(json.dumps({"epoch": k, "val_accuracy": accuracy}) + "\n" for k in (1, 2)))
    comparison = read_comparison(tmp_path)
    figure = figures.accuracy_of_network(comparison.networks["mlp"], figures.looks(comparison.methods))
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == (0, 100)
    heights = figure.axes[0].transData.transform([(1, 80), (1, 90), (1, 98), (1, 99)])[:, 1]
    assert heights[1] - heights[0] == pytest.approx(heights[3] - heights[2], rel=0.2)


def test_firing_rates(comparison: Comparison) -> None:
    network = comparison.networks["mlp"]
    over_time, by_layer = figures.firing_rates(network, figures.looks(comparison.methods)).axes
    run = network.methods["lfp"].runs[0]
    assert np.allclose(line(over_time, "lfp").get_ydata(), [100 * row["spike_rate"]["1"] for row in run.metrics])
    assert np.allclose(line(by_layer, "lfp").get_ydata(), [100 * run.layer_rates["1"], 10])
    assert [label.get_text() for label in by_layer.get_xticklabels()] == ["1", "3"]


def test_pruning_by_weights_that_are_kept(comparison: Comparison) -> None:
    networks = list(comparison.networks.values())
    axis = figures.pruning(networks, figures.looks(comparison.methods)).axes[1]
    drawn = line(axis, "attached")
    assert np.allclose(drawn.get_xdata(), [100, 50, 10])
    runs = networks[1].methods["attached"].runs
    assert np.allclose(drawn.get_ydata(), [100 * np.mean([r.pruning[s] for r in runs]) for s in (0.0, 0.5, 0.9)])


def test_learning_rates_and_the_chosen_one(comparison: Comparison) -> None:
    axis = figures.learning_rates(list(comparison.networks.values()), figures.looks(comparison.methods)).axes[0]
    drawn = line(axis, "lfp")
    assert np.allclose(drawn.get_xdata(), [0.0007, 0.002])
    assert np.allclose(drawn.get_ydata(), [87, 96])
    ring = axis.lines[axis.lines.index(drawn) + 1]
    assert np.allclose(ring.get_xydata(), [(0.002, 96)])


def test_weights_have_a_panel_each(comparison: Comparison) -> None:
    figure = figures.weights(comparison.networks["mlp"], figures.looks(comparison.methods))
    assert [axis.get_title() for axis in figure.axes] == ["0.weight", "2.weight"]
    assert {axis.get_yscale() for axis in figure.axes} == {"log"}
    assert [len(axis.patches) for axis in figure.axes] == [3, 3]


counts = st.lists(st.integers(0, 50), min_size=1, max_size=9).filter(sum)
histograms = st.builds(
    lambda c, low, width: Histogram(tuple(low + width * k for k in range(len(c) + 1)), tuple(c)),
    counts,
    st.floats(-2, 2),
    st.floats(0.01, 3),
)


@given(st.lists(histograms, min_size=1, max_size=4))
def test_mean_density_keeps_all_weights(given_: list[Histogram]) -> None:
    edges, density = figures.mean_density(given_)
    assert (density >= -1e-12).all()
    assert float(density @ np.diff(edges)) == pytest.approx(1)


@given(histograms)
def test_mean_density_of_one_histogram_is_its_own(given_: Histogram) -> None:
    edges, density = figures.mean_density([given_])
    assert np.allclose(edges, given_.edges)
    assert np.allclose(density * np.diff(edges), np.array(given_.counts) / sum(given_.counts), atol=1e-9)
