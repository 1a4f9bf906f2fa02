"""A comparison that is killed by SIGKILL and begun again: nothing finished is lost or done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch

from lfp_snn.compare.runs import compare
from lfp_snn.compare.study import Study
from lfp_snn.training import RunFolder
from tests.compare.inline import TINY, Inline

LONG = 80
STUDY = {
    "seeds": 1,
    "workers": 2,
    "methods": ["lfp", "long"],
    "measure": {"prune": [0.5]},
    "method": {"long": {"name": "surrogate", "training": {"epochs": LONG}}},
    "network": {"tiny": {**TINY, "data": {"name": "digits", "batch_size": 100}}},
}
CLOCKS = {"seconds", "train_seconds", "compile_seconds", "examples_per_second", "data_wait_share", "memory"}


def start(study: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lfp_snn", "compare", str(study), "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def workers(out: Path) -> list[int]:
    """Return the processes of this machine that hold a file in the folder open."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            files = [os.readlink(fd) for fd in (process / "fd").iterdir()]
        except OSError:
            continue
        if any(name.startswith(f"{out}/runs/") for name in files):
            found.append(int(process.name))
    return found


def written(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return which files there are, and when each was written."""
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


def results(path: Path) -> dict[str, Any]:
    folder = RunFolder.open(path)
    summary, measures = folder.summary(), json.loads((path / "measures.json").read_text())
    assert summary is not None
    clockless = [{k: v for k, v in row.items() if k not in CLOCKS} for row in [summary, *folder.metrics()]]
    return {"rows": clockless, "measures": measures}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the workers in /proc")
def test_killed_and_begun_again(tmp_path: Path) -> None:
    study, out = tmp_path / "study.toml", tmp_path / "out"
    study.write_text(tomli_w.dumps(STUDY))
    short, long = (out / "runs" / "tiny" / method / "seed0" for method in ("lfp", "long"))

    process = start(study, out)
    wait_until(lambda: (short / "measures.json").exists() and len(RunFolder(long).metrics()) > 1, process)
    left = set(workers(out))
    assert left
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 30
    while left & set(workers(out)):
        assert time.monotonic() < until, "the workers outlive the process that started them"
        time.sleep(0.01)
    epochs = len(RunFolder(long).metrics())
    assert 0 < epochs < LONG
    before = written(short)

    process = start(study, out)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert printed.decode().splitlines() == [str(out / "report.md"), str(out / "report.html")]
    assert b"1 of 2 were done before" in errors
    assert written(short) == before
    assert (out / "report.html").stat().st_size > 1000

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers had
    compare(Study.of(STUDY), tmp_path / "undisturbed", executor=Inline())
    torch.set_num_threads(threads)
    for method in ("lfp", "long"):
        of_killed, of_other = (results(p / "runs" / "tiny" / method / "seed0") for p in (out, tmp_path / "undisturbed"))
        assert of_killed == of_other
