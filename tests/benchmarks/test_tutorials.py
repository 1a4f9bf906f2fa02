"""The tutorials of snnTorch and norse: LFP is at most five lines away, the page shows these lines, and it learns."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("snntorch")
pytest.importorskip("norse")

from benchmarks.tutorials import common, norse_mnist, snntorch_5, snntorch_6

TUTORIALS = [snntorch_5, snntorch_6, norse_mnist]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "adapters" / "tutorials.md"


def lines(function: Callable[..., None]) -> list[str]:
    """Return the code of a function, without its name, docstring and blank lines."""
    source = inspect.getsource(function).splitlines()
    docstring = ast.parse("\n".join(source)).body[0].body[0]
    kept = source[: docstring.lineno - 1] + source[docstring.end_lineno :]
    return [line.replace(f"def {function.__name__}(", "def train(") for line in kept if line.strip()]


def diff(tutorial: ModuleType) -> list[str]:
    """Return what has to be changed in the tutorial's training to have it by LFP, as a diff of all its lines."""
    whole = difflib.unified_diff(lines(tutorial.surrogate), lines(tutorial.lfp), lineterm="", n=100)
    return list(whole)[3:]


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda t: t.__name__.rpartition(".")[2])
def test_lfp_is_at_most_five_lines_away_and_the_page_shows_them(tutorial: ModuleType) -> None:
    found = diff(tutorial)
    assert any("LFP().attach" in line for line in found if line.startswith("+"))
    assert 1 <= sum(line.startswith("+") for line in found) <= 5
    assert 1 <= sum(line.startswith("-") for line in found) <= 5
    shown = [block.splitlines() for block in re.findall(r"^```diff\n(.*?)^```", PAGE.read_text(), re.M | re.S)]
    assert [line.rstrip() for line in found] in shown


def learnt(
    tutorial: Any, form: Callable[..., None], make: Callable[[], nn.Module], root: Path, examples: int, batch: int
) -> tuple[float, float]:
    """Train on a few hundred images and return the accuracy on 250 others, before and after."""
    train, test = common.images(root=root)
    torch.manual_seed(0)
    net, few = make(), (test[0][:250], test[1][:250])
    before = common.accuracy(net, tutorial.scores, few)
    form(net, common.Batches((train[0][:examples], train[1][:examples]), batch))
    return before, common.accuracy(net, tutorial.scores, few)


@pytest.mark.parametrize("form", ["lfp", "converted"])
def test_tutorial_5_learns(form: str, data_root: Path) -> None:
    before, after = learnt(snntorch_5, getattr(snntorch_5, form), snntorch_5.Net, data_root, 960, 32)
    assert before < 30
    assert after > 70


@pytest.mark.parametrize("form", ["lfp", "converted"])
def test_tutorial_6_learns(form: str, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snntorch_6, "STEPS", 10)
    before, after = learnt(snntorch_6, getattr(snntorch_6, form), snntorch_6.network, data_root, 800, 16)
    assert before < 30
    assert after > 60


def test_norses_task_learns(data_root: Path) -> None:
    before, after = learnt(norse_mnist, norse_mnist.lfp, norse_mnist.Net, data_root, 960, 16)
    assert before < 25
    assert after > 35


def test_both_forms_of_a_tutorial_train_alike(data_root: Path) -> None:
    """One step of the network as it is and of the converted one: the same parameters."""

    def trained(form: Callable[..., None]) -> list[Tensor]:
        torch.manual_seed(0)
        net = snntorch_5.Net()
        form(net, [(x, y)])
        return [p.detach() for p in net.parameters()]

    (images, labels), _ = common.images(root=data_root)
    x, y = images[:32], labels[:32]
    for one, other in zip(trained(snntorch_5.lfp), trained(snntorch_5.converted), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)  # Adam divides by what may be almost nothing
