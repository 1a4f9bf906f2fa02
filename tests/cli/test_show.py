"""``lfp-snn show`` and ``lfp-snn convert``: what they print and write, and how they say what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lfp_snn.cli import main
from lfp_snn.data import make_events, read_recording
from lfp_snn.data.events import MAX_TIME, Events
from lfp_snn.data.filters import crop, slice_time
from lfp_snn.data.noise import denoise
from lfp_snn.data.recordings import Recording, write_recording

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def noise(n: int = 2000) -> Events:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 32, n), rng.integers(0, 24, n)
    x[::20], y[::20] = 5, 6
    return make_events(x, y, 700 + np.sort(rng.integers(0, 50_000, n)), rng.random(n) < 0.25)


def write(name: str, size: tuple[int, int, int] = (32, 24, 2)) -> Recording:
    recording = Recording(noise(), size, "npz")
    write_recording(name, recording)
    return recording


def facts(text: str) -> dict[str, str]:
    return {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line[:1].isalpha()}


def test_show(capsys: Out) -> None:
    write("a.aedat4")
    assert main(["show", "a.aedat4"]) == 0
    text = capsys.readouterr().out
    found = facts(text)
    assert found["format"] == "aedat4"
    assert found["sensor"] == "32 x 24, 2 polarities"
    assert found["events"] == "2,000"
    assert found["hot"].startswith("1 pixels, the busiest at (5, 6) with 10")
    assert found["polarity"].startswith("2")
    assert set(found["OFF"].split()[0]) <= set("▁▂▃▄▅▆▇█")
    assert len(found["ON"].split()[0]) == 40
    assert "@@" in text.splitlines()[-18]


def test_the_first_events_and_hot_pixels(capsys: Out) -> None:
    events = write("a.npz").events
    assert main(["show", "a.npz", "--first", "100"]) == 0
    assert facts(capsys.readouterr().out)["events"] == "100"
    assert main(["show", "a.npz", "--drop-hot"]) == 0
    others = int((~((events["x"] == 5) & (events["y"] == 6))).sum())
    assert facts(capsys.readouterr().out)["events"] == f"{others:,}"
    assert main(["show", "a.npz", "--first", "0"]) == 2
    assert "--first must be a whole number" in capsys.readouterr().err


def test_time_surfaces(capsys: Out) -> None:
    write("a.npz")
    for out in ("a.png", "a.gif"):
        assert main(["show", "a.npz", "--out", out, "--surface", "20"]) == 0
        assert Path(out).stat().st_size > 1000
    assert main(["show", "a.npz", "--out", "b.png"]) == 0
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()
    for wrong, message in (
        (["--surface", "20"], "--surface is for the picture or film of --out"),
        (["--out", "c.png", "--surface", "0"], "time constant of a time surface must be positive"),
    ):
        assert main(["show", "a.npz", *wrong]) == 2
        assert message in capsys.readouterr().err
    assert not Path("c.png").exists()


def test_data_show_says_the_same_of_a_recording(capsys: Out) -> None:
    write("a.npz")
    main(["show", "a.npz", "--out", "a.png"])
    first = capsys.readouterr().out
    main(["data", "show", "a.npz", "--out", "a.png"])
    assert capsys.readouterr().out == first
    assert first.endswith("picture: a.png\n")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_show_a_part(capsys: Out) -> None:
    whole = write("a.npz")
    part = crop(denoise(slice_time(whole, 2500, 30_000), 4000), 3, 4, 10, 8)
    assert 10 < len(part.events) < len(whole.events) / 4
    options = ["--start", "2.5", "--stop", "30", "--denoise", "4", "--crop", "3", "4", "10", "8"]
    assert main(["show", "a.npz", *options, "--out", "a.gif"]) == 0
    text = capsys.readouterr().out
    assert facts(text)["events"] == f"{len(part.events):,}"
    assert facts(text)["sensor"] == "10 x 8, 2 polarities"
    assert "film: a.gif" in text
    assert Path("a.gif").read_bytes().startswith(b"GIF89a")
    assert main(["convert", "a.npz", "b.npz", *options]) == 0
    assert capsys.readouterr().out == f"{len(part.events):,} events, 10 x 8: b.npz\n"
    written = read_recording("b.npz")
    np.testing.assert_array_equal(written.events, part.events)
    assert written.sensor_size == (10, 8, 2)


def test_channels(capsys: Out, data_root: Path) -> None:
    path = str(data_root / "FSDD" / "fsdd_test.h5")
    assert main(["show", path, "--index", "3"]) == 0
    found = facts(capsys.readouterr().out)
    assert found["sensor"] == "700 channels"
    assert "of 700 channels" in found["active"]
    assert "polarity" not in found
    assert (
        main(["convert", path, "three.npz", "--index", "3", "--crop", "100", "0", "200", "1", "--denoise", "20"]) == 0
    )
    assert read_recording("three.npz").sensor_size == (200, 1, 1)
    assert main(["show", "three.npz", "--out", "three.gif"]) == 0
    assert Path("three.gif").read_bytes()[:6] == b"GIF89a"
    assert main(["show", "three.npz", "--out", "surface.gif", "--surface", "20"]) == 2
    assert "a time surface needs a sensor of rows and columns, not 200 channels" in capsys.readouterr().err


@pytest.mark.parametrize("source", [".aedat4", ".es", ".raw", ".dat", ".npz", ".npy"])
@pytest.mark.parametrize("target", [".aedat4", ".es", ".raw", ".dat", ".npz", ".npy"])
def test_convert(source: str, target: str) -> None:
    write(f"a{source}")
    assert main(["convert", f"a{source}", f"b{target}", "--sensor", "32", "24"]) == 0
    events = read_recording(f"b{target}", sensor_size=(32, 24)).events.copy()
    events["t"] += 700 - events["t"][0]
    expected = noise()
    expected["t"] += 700 - expected["t"][0]
    np.testing.assert_array_equal(events, expected)


def test_convert_in_place() -> None:
    whole = write("a.npz")
    assert main(["convert", "a.npz", "a.npz", "--stop", "10"]) == 0
    np.testing.assert_array_equal(read_recording("a.npz").events, slice_time(whole, 0, 10_000).events)
    assert [p.name for p in Path().iterdir()] == ["a.npz"]


WRONG: dict[str, tuple[list[str], str]] = {
    "no recording": (["show"], "requires an argument"),
    "missing": (["show", "none.raw"], "there is no file none.raw"),
    "no size": (["show", "a.npy"], "or --sensor WIDTH HEIGHT on the command line"),
    "another size": (["show", "a.npz", "--sensor", "9", "9"], "(32, 24, 2), but (9, 9, 2) was asked for"),
    "no sensor": (["show", "a.npy", "--sensor", "0", "9"], "a sensor size is"),
    "nothing left": (["show", "a.npz", "--start", "60"], "a.npz: no event is left of those that were asked for"),
    "start after stop": (["show", "a.npz", "--start", "6", "--stop", "5"], "the end must come after the start"),
    "negative start": (["show", "a.npz", "--start=-1"], "--start must be a number of milliseconds of at least 0"),
    "endless": (["show", "a.npz", "--stop", "inf"], "--stop must be a number of milliseconds of at least"),
    "no number": (["show", "a.npz", "--stop", "nan"], "--stop must be a number of milliseconds"),
    "no window": (["show", "a.npz", "--denoise", "0"], "--denoise must be a number of milliseconds of at least 0.001"),
    "crop outside": (["show", "a.npz", "--crop", "0", "0", "33", "1"], "33 x 1 pixels from (0, 0) on do not lie"),
    "crop of three": (["show", "a.npz", "--crop", "0", "0", "33"], "--crop"),
    "unknown picture": (["show", "a.npz", "--out", "a.raw"], "a picture ends in .png, .jpg, .pdf, .svg"),
    "picture nowhere": (["show", "a.npz", "--out", "no/a.png"], "no/a.png cannot be written: No such file"),
    "film nowhere": (["show", "a.npz", "--out", "no/a.gif"], "no/a.gif cannot be written: No such file or directory"),
    "no ffmpeg": (["show", "a.npz", "--out", "a.mp4"], "needs the program ffmpeg"),
    "sample of one": (["data", "show", "a.npz", "--out", "a.xyz"], "a picture ends in"),
    "no target": (["convert", "a.npz"], "requires an argument"),
    "unknown target": (["convert", "a.npz", "b.bin"], "'.bin' cannot be written; these can: .aedat4, .dat"),
    "target nowhere": (["convert", "a.npz", "no/b.npz"], "no/b.npz cannot be written: No such file or directory"),
    "target is a folder": (["convert", "a.npz", "d.npz"], "d.npz cannot be written: Is a directory"),
    "no room": (["convert", "far.npz", "b.es"], ".es has no room for a duration of 4,611,686,018,427 s"),
    "too many pixels": (["show", "far.npz", "--denoise", "1"], "32768 x 32768 pixels does not fit into memory: crop"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_says_what_is_wrong(case: str, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    write("a.npz")
    write("a.npy")
    far = make_events([0, 2**15 - 1], [0, 2**15 - 1], [0, MAX_TIME], True)
    write_recording("far.npz", Recording(far, (2**15, 2**15, 2), ""))
    Path("d.npz").mkdir()
    before = sorted(Path().iterdir())
    arguments, message = WRONG[case]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("error:")
    assert printed.out == ""
    assert sorted(Path().iterdir()) == before
