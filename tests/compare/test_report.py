"""The report: valid, alone, complete, and honest about what is missing."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lfp_snn.compare.report import write_report
from lfp_snn.errors import ConfigError
from tests.compare.synthetic import run_path, write_comparison, write_failure

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Check that every tag is closed in its place, and collect what is on the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.headings: list[str] = []
        self.text: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs)
        self.tags.add(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        self.images += [given] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)
        if self.open[-1:] == ["h2"]:
            self.headings.append(data)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_comparison(tmp_path_factory.mktemp("comparison"))
    assert write_report(folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def test_the_table_of_contents_leads_to_every_section(page: Page) -> None:
    assert page.links == [f"#{name}" for name in page.ids]
    assert len(set(page.ids)) == len(page.ids) == len(page.headings)
    assert page.headings[0] == "Results"
    for name in ("How it was made", "Network mlp", "Pruning", "Weights", "Learning rates", "Methods", "Paired tests"):
        assert name in page.headings


def test_nothing_is_asked_of_the_network(out: Path, page: Page) -> None:
    html = (out / "report.html").read_text(encoding="utf-8")
    assert not page.tags & {"script", "link", "iframe", "object", "embed"}
    assert "url(" not in html
    assert "@import" not in html
    assert all((image["src"] or "").startswith("data:image/svg+xml;base64,") for image in page.images)


def test_figures_are_pictures_with_a_description(page: Page) -> None:
    assert len(page.images) == 1 + 2 * 2 + 1 + 2 + 1
    for image in page.images:
        svg = base64.b64decode((image["src"] or "").partition(",")[2])
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert image["alt"]


def test_labels_are_escaped(out: Path, page: Page) -> None:
    assert "Digits <with> & without |time|" in page.text
    assert "with" not in page.tags


def test_all_tables_are_in_the_markdown_too(out: Path, page: Page) -> None:
    markdown = (out / "report.md").read_text(encoding="utf-8")
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = {cell.strip().strip("*").replace("\\|", "|") for line in lines for cell in line.strip("|").split(" | ")}
    assert cells - {"", "---", "---:"} <= {text.strip() for text in page.text}
    assert sum(line.startswith("| ---") for line in lines) == (out / "report.html").read_text().count("<table")
    assert "](" not in markdown
    assert "<img" not in markdown


def test_how_it_was_made(page: Page) -> None:
    text = "".join(page.text)
    assert "3 trials of 2 epochs each (mlp, cnn)" in text
    assert "python 3.11.7, lfp-snn 0.1.0, torch 2.14.1" in text
    assert "[network.mlp]" in text
    assert "attach_reset = True" in text


def test_methods_are_described_by_their_own_words(page: Page) -> None:
    text = "".join(page.text)
    assert "Layer-wise Feedback Propagation" in text
    assert text.count("with a surrogate derivative") == 2  # surrogate, and attached, which is a surrogate too


def test_all_numbers(out: Path) -> None:
    content = json.loads((out / "results.json").read_text())
    cell = content["networks"]["mlp"]["methods"]["surrogate"]
    accuracies = [run["summary"]["test_accuracy"] for run in cell["runs"]]
    assert cell["test_accuracy"]["mean"] == pytest.approx(sum(accuracies) / 3)
    assert [run["seed"] for run in cell["runs"]] == [0, 1, 2]
    assert len(cell["runs"][0]["metrics"]) == 4
    assert content["networks"]["mlp"]["against lfp"]["attached"]["p_holm"] < 0.05
    assert (content["missing"], cell["missing"], cell["tuning"]["lr"]) == (0, [], 0.002)


def test_the_same_results_give_the_same_report(out: Path) -> None:
    names = ("report.html", "report.md", "results.json")
    before = [(out / name).read_bytes() for name in names]
    write_report(out)
    assert [(out / name).read_bytes() for name in names] == before
    assert not list(out.glob(".*.tmp"))


def test_a_comparison_that_is_going_on(tmp_path: Path) -> None:
    write_failure(write_comparison(tmp_path, ["mlp"]), "mlp", "lfp", 0, "loss <became> NaN")
    for seed in range(3):
        (run_path(tmp_path, "mlp", "attached", seed) / "measures.json").unlink()
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "5 of 9 runs came to a result, 1 failed, 3 are missing: this report is preliminary." in page.text
    assert "loss <became> NaN" in page.text
    assert page.text.count("missing") == 3


def test_a_comparison_that_has_just_begun(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('seeds = 1\nmethods = ["lfp"]\n[network.mlp]\n')
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "0 of 1 runs came to a result, 1 are missing: this report is preliminary." in page.text
    assert page.images == []


def test_another_baseline(tmp_path: Path) -> None:
    page = Page(write_report(write_comparison(tmp_path, ["mlp"]), "surrogate").read_text(encoding="utf-8"))
    assert "minus surrogate / points" in page.text


def test_not_the_folder_of_a_comparison(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not the folder of a comparison"):
        write_report(tmp_path)
