from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lfp_snn.cli.app import main
from lfp_snn.data import Recording, make_events, write_recording


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    shorter = ("--epochs", "1", "--data.n_bins", "5", "--model.hidden", "[20]", "--training.figures", "false")
    assert main(["train", "--preset", "event-digits", "--model", "lif-mlp", *shorter, "--out", str(folder)]) == 0
    return folder


def test_an_example(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(run), "--sample", "3", "--against", "next", "--out", str(tmp_path / "why")]) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "why" / "explanation.json").read_text())
    assert f"decision: {found['decision']}" in said
    assert found["example"] == "test example 3"
    assert main(["explain", str(run), "--split", "val", "--why", "7"]) == 0
    found = json.loads((run / "explain-val-example-0" / "explanation.json").read_text())
    assert found["explained"] == "7"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sample", "99999"], "the test part has examples 0 to"),
        (["--why", "11"], "class '11'"),
        (["--against", "best"], "class 'best'"),
        (["--file", "nowhere.es"], "there is no file nowhere.es"),
        (["--out", __file__], "cannot be made a folder"),
    ],
)
def test_errors(run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(run), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_a_part_of_a_file(run: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y, t = rng.integers(0, 40, 2000), rng.integers(0, 30, 2000), np.sort(rng.integers(0, 300_000, 2000))
    write_recording(tmp_path / "wide.npz", Recording(make_events(x, y, t, rng.random(2000) < 0.5), (40, 30, 2), ""))
    where = ["--start", "100", "--stop", "250", "--crop", "5", "6", "20", "20", "--out", str(tmp_path / "why")]
    assert main(["explain", str(run), "--file", str(tmp_path / "wide.npz"), *where]) == 0
    found = np.load(tmp_path / "why" / "events.npy")
    first = t[0]
    inside = (t >= first + 100_000) & (t < first + 250_000) & (x >= 5) & (x < 25) & (y >= 6) & (y < 26)
    assert len(found) == inside.sum() > 100
    assert np.array_equal(found["t"], t[inside])


@pytest.mark.parametrize("suffix", [".aedat4", ".es", ".raw", ".dat", ".bin", ".h5", ".npy", ".npz"])
@pytest.mark.parametrize("content", ["empty", "random", "other", "truncated"])
def test_hostile_files(
    run: Path, tmp_path: Path, suffix: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clear error, not a traceback, whatever a file holds."""
    rng = np.random.default_rng(0)
    text = {"empty": b"", "random": rng.bytes(999), "other": b"%PDF-1.7\n" + rng.bytes(4000)}.get(content, b"")
    if content == "truncated":
        kind = suffix if suffix not in (".bin", ".h5") else ".npz"  # which cannot be written
        events = make_events(rng.integers(0, 20, 3000), rng.integers(0, 20, 3000), np.arange(3000), True)
        write_recording(tmp_path / f"good{kind}", Recording(events, (20, 20, 2), ""))
        text = (tmp_path / f"good{kind}").read_bytes()
        text = text[:-1] if suffix == ".raw" else text[: len(text) // 2 + 1]  # a stream of whole words is whole
    (tmp_path / f"bad{suffix}").write_bytes(text)
    assert main(["explain", str(run), "--file", str(tmp_path / f"bad{suffix}")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
