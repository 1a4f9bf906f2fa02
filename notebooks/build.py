"""Run the notebooks and keep what they show.

    python notebooks/build.py [NAME ...]

A notebook is written as a script, ``NN_name.py`` (jupytext, percent format); this runs each in a fresh kernel and
writes its pair ``NN_name.ipynb`` with the figures. A notebook that fails leaves the old pair.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import jupytext
import nbclient
import nbformat

HERE = Path(__file__).resolve().parent
LIMIT = 600
"""Seconds that a cell may take; a notebook takes less than two minutes on two free cores."""


def scripts() -> list[Path]:
    """Return the notebooks."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def run(script: Path) -> nbformat.NotebookNode:
    """Run a notebook from a clean kernel and return it with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    notebook = jupytext.read(script)
    nbclient.NotebookClient(notebook, timeout=LIMIT, kernel_name="python3").execute()
    return notebook


def main() -> None:
    """Build all notebooks, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="such as 01_first_steps; default: all")
    names = parser.parse_args().names
    for script in scripts():
        if not names or script.stem in names:
            started = time.perf_counter()
            notebook = run(script)
            for number, cell in enumerate(notebook.cells):
                cell.id = f"cell-{number}"  # the same in every build
                cell.metadata.pop("execution", None)
            temporary = script.with_suffix(".ipynb.tmp")
            nbformat.write(notebook, temporary)
            os.replace(temporary, script.with_suffix(".ipynb"))
            print(f"{script.stem}: {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
