"""The interactive view in a real browser, without a network: no error, and the slider moves what is shown."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lfp_snn import LI, LIF, Sequential
from lfp_snn.data import ByWindow, bin_events, make_events
from lfp_snn.errors import DataError, MissingExtraError, ShapeError
from lfp_snn.explain import Explanation, explain
from lfp_snn.explain.events import relevance_of_events
from lfp_snn.explain.html import write_html

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,760"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)


def example(height: int = 6) -> tuple[Explanation, np.ndarray]:
    """Explain a recording of 200 events in 10 steps of 1 ms."""
    rng = np.random.default_rng(0)
    size = (8, height, 2 if height > 1 else 1)
    t = np.sort(rng.integers(0, 10_000, 200))
    events = make_events(rng.integers(0, 8, 200), rng.integers(0, height, 200), t, rng.integers(0, 2, 200))
    binning = ByWindow(1000, max_steps=10)
    x = bin_events(events, size, binning)[:, None]
    torch.manual_seed(0)
    net = Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 12), LIF(), nn.Linear(12, 3), LI())
    why = explain(net, x)
    return why, relevance_of_events(events, why.relevance[:, 0], size, binning)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    from selenium import webdriver

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("the interactive view is tested in a browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.set_network_conditions(offline=True, latency=0, throughput=0)
    yield chrome
    chrome.quit()


def state(browser: Any) -> tuple[str, int, list[float]]:
    """Return the slider's label, how many events have a place, and the evidence."""
    label, events, evidence = browser.execute_script(
        "const g = document.getElementById('explanation'), s = g._fullLayout.sliders[0];"
        "const shown = Array.from(g._fullData[0].x).filter(v => v !== null && !isNaN(v)).length;"
        "return [s.steps[s.active].label, shown, Array.from(g._fullData[1].x)];"
    )
    return label, events, evidence


@pytest.mark.parametrize("height", [6, 1], ids=["space", "channels"])
def test_in_a_browser(browser: Any, tmp_path: Path, height: int) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    why, events = example(height)
    page = write_html(why, events, tmp_path / "view.html", ("left", "right", "still"), title="A recording")
    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.CSS_SELECTOR, ".slider-rail-touch-rect"))
    label, shown, evidence = state(browser)
    assert (label, shown) == ("10", 200)
    np.testing.assert_allclose(evidence, why.output[:, 0].sum(0) / 10, rtol=1e-5)
    rail = browser.find_element(By.CSS_SELECTOR, ".slider-rail-touch-rect")
    ActionChains(browser).move_to_element_with_offset(rail, int(-0.2 * rail.size["width"]), 0).click().perform()
    WebDriverWait(browser, 60).until(lambda b: state(b)[0] != "10" and state(b)[1] < 200)
    label, shown, evidence = state(browser)
    step = int(label)
    assert 1 < step < 7
    t = events["t"] - events["t"].min()
    assert abs(shown - int((t <= t.max() * step / 10).sum())) <= 1
    np.testing.assert_allclose(evidence, why.output[:step, 0].sum(0) / 10, rtol=1e-4)
    assert {"left", "right", "still"} <= {
        e.text for e in browser.find_elements(By.CSS_SELECTOR, ".ytick text, .y2tick text")
    }
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    why, events = example()
    page = write_html(why, events, tmp_path / "view.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?http", page)
    assert not list(tmp_path.glob(".*"))  # nothing half-written is left


def test_only_so_many_events_are_shown(tmp_path: Path) -> None:
    why, events = example()
    small = write_html(why, events[:20], tmp_path / "a.html").stat().st_size
    assert write_html(why, np.tile(events, 500), tmp_path / "b.html", most=20).stat().st_size < small + 20_000


def test_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    why, events = example()
    with pytest.raises(DataError, match="a field relevance are needed"):
        write_html(why, events[["x", "y", "t", "p"]], tmp_path / "a.html")
    with pytest.raises(DataError, match="relevance are needed"):
        write_html(why, events[:0], tmp_path / "a.html")
    static = explain(nn.Sequential(nn.Linear(4, 3)), torch.rand(1, 4))
    with pytest.raises(ShapeError, match="needs a network with time"):
        write_html(static, events, tmp_path / "a.html")
    monkeypatch.setitem(__import__("sys").modules, "plotly.graph_objects", None)
    monkeypatch.setitem(__import__("sys").modules, "plotly", None)
    with pytest.raises(MissingExtraError, match=r"lfp-snn\[explain\]"):
        write_html(why, events, tmp_path / "a.html")
    assert not list(tmp_path.iterdir())
