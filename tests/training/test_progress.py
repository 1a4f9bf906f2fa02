"""What a person sees."""

from __future__ import annotations

import io

from rich.console import Console

from lfp_snn.training.progress import Display

ROW = {
    "epoch": 2,
    "step": 40,
    "lr": 0.001,
    "train_loss": -0.5,
    "train_accuracy": 0.75,
    "val_accuracy": 0.8125,
    "spike_rate": {"1": 0.05, "3": 0.125},
    "dead_units": {"1": 3, "3": 0},
    "examples_per_second": 1234.5,
}


def show(terminal: bool, on: bool = True) -> str:
    file = io.StringIO()
    display = Display(Console(file=file, force_terminal=terminal, width=160, highlight=False), on=on)
    with display:
        display.begin_epoch(2, 5, 10)
        for _ in range(10):
            display.advance()
        display.note({"train_accuracy": 0.5, "spike_rate": {"1": 0.25}})
        display.end_epoch(ROW, 5)
        display.warn("layer 1 [sic] is silent")
        display.warn("layer 1 [sic] is silent")
    return file.getvalue()


def test_plain_lines_without_a_terminal() -> None:
    assert show(terminal=False).splitlines() == [
        "epoch 2/5  loss -0.5  train 75.0 %  val 81.2 %  rates 5.0/12.5 %  dead 3/0  examples/s 1234",
        "warning: layer 1 [sic] is silent",
    ]


def test_a_bar_on_a_terminal() -> None:
    seen = show(terminal=True)
    assert "epoch 2/5" in seen
    assert "10/10" in seen
    assert "train 50.0 %  rates 25.0 %" in seen


def test_silent_when_off() -> None:
    assert show(terminal=False, on=False) == ""
    assert show(terminal=True, on=False) == ""
