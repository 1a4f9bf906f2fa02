"""What a person sees while a network trains: a live line on a terminal, one plain line an epoch anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text


class Display:
    """Show the progress of training on a console.

    Parameters
    ----------
    console : Console, optional
        Where to write. Default: standard error, so that standard output stays free for results.
    on : bool
        Whether to show anything (other processes of a DDP run do not).
    """

    def __init__(self, console: Console | None = None, on: bool = True) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.on = on
        self._warned: set[str] = set()
        self._live: Live | None = None
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self.console, auto_refresh=False)
        self._task = self._bar.add_task("", total=None)
        self._note = Text()

    def __enter__(self) -> Display:
        if self.on and self.console.is_terminal:
            both = Group(self._bar, self._note)
            self._live = Live(both, console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Write a line."""
        if self.on:
            self.console.print(escape(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Write a warning, each only once a run."""
        if self.on and text not in self._warned:
            self._warned.add(text)
            self.console.print(f"[yellow]warning:[/yellow] {escape(text)}", soft_wrap=True)

    def begin_epoch(self, epoch: int, epochs: int, batches: int) -> None:
        """Start the bar of an epoch."""
        if self._live is not None:
            self._bar.reset(self._task, total=batches, description=f"epoch {epoch}/{epochs}")

    def advance(self) -> None:
        """Move the bar by a batch."""
        if self._live is not None:
            self._bar.advance(self._task)

    def note(self, values: dict[str, Any]) -> None:
        """Show figures below the bar."""
        self._note.plain = line(values)

    def end_epoch(self, row: dict[str, Any], epochs: int) -> None:
        """Write the line of an epoch."""
        shown = {k: v for k, v in row.items() if k in _LABELS}
        self.say(f"epoch {row['epoch']}/{epochs}  {line(shown)}")


_LABELS = {
    "train_loss": "loss",
    "train_accuracy": "train",
    "val_accuracy": "val",
    "spike_rate": "rates",
    "dead_units": "dead",
    "examples_per_second": "examples/s",
}


def line(values: dict[str, Any]) -> str:
    """Word figures in a line, rates and silent units layer by layer.

    Examples
    --------
    >>> line({"val_accuracy": 0.95, "spike_rate": {"1": 0.05, "3": 0.1}, "dead_units": {"1": 2, "3": 0}})
    'val 95.0 %  rates 5.0/10.0 %  dead 2/0'
    """
    parts = []
    for key, value in values.items():
        label = _LABELS.get(key, key)
        if key.endswith("accuracy"):
            text = f"{100 * value:.1f} %"
        elif key == "spike_rate":
            text = "/".join(f"{100 * r:.1f}" for r in value.values()) + " %"
        elif isinstance(value, dict):
            text = "/".join(str(v) for v in value.values())
        elif isinstance(value, float):
            text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        else:
            text = str(value)
        if value != {}:
            parts.append(f"{label} {text}")
    return "  ".join(parts)
