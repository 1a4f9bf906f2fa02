"""Cards of data sets: one for each, with a training command that the program accepts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lfp_snn.cli import main
from lfp_snn.data import REGISTRY

FOLDER = Path(__file__).resolve().parents[2] / "datasets"


@pytest.mark.parametrize("name", list(REGISTRY))
def test_each_data_set_has_a_card(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (FOLDER / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    for row in ("Source", "Licence", "Size|Classes", "Input", "Split", "Train"):
        assert re.search(rf"^\| [^|]*({row})", text, re.MULTILINE | re.IGNORECASE), f"the card lacks {row}"
    assert f"[card]({name}.md)" in (FOLDER / "README.md").read_text()
    (row,) = re.findall(r"^\| Train \|(.*)\|$", text, re.MULTILINE)
    commands = re.findall(r"`lfp-snn ([^`]+)`", row)
    assert commands
    for command in commands:
        assert main([*shlex.split(command), "--dry-run"]) == 0, command
        assert f'name = "{name}"' in capsys.readouterr().out


def test_no_card_without_a_data_set() -> None:
    assert {p.stem for p in FOLDER.glob("*.md")} - {"README"} == set(REGISTRY)


def test_scripts_that_are_named_exist() -> None:
    for card in FOLDER.glob("*.md"):
        for script in re.findall(r"prepare_\w+\.(?:py|sh)", card.read_text()):
            assert (FOLDER / script).is_file(), f"{card.name} names {script}"
