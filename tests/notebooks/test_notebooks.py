"""Every notebook runs from a clean kernel, and its pair with the figures shows the same cells."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import jupytext
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
assert _spec is not None
assert _spec.loader is not None
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("script", build.scripts(), ids=lambda p: p.stem)
def test_it_runs(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "LFP_SNN_DATA" in script.read_text():  # it needs a data set that is not part of the package
        monkeypatch.setenv("LFP_SNN_DATA", str(request.getfixturevalue("data_root")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for library in ("OMP", "NUMBA"):  # its kernel has the cores of this worker, not all
        monkeypatch.setenv(f"{library}_NUM_THREADS", str(torch.get_num_threads()))
    notebook = build.run(script)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert not [o for o in outputs if o.get("name") == "stderr" and "Warning" in o["text"]]


@pytest.mark.parametrize("script", build.scripts(), ids=lambda p: p.stem)
def test_its_pair_is_up_to_date(script: Path) -> None:
    pair = jupytext.read(script.with_suffix(".ipynb"))
    written = jupytext.read(script)
    assert [cell.source for cell in pair.cells] == [cell.source for cell in written.cells]
    images = [o for cell in pair.cells for o in cell.get("outputs", ()) if "image/png" in o.get("data", ())]
    assert images


def test_there_are_notebooks() -> None:
    assert len(build.scripts()) >= 9
