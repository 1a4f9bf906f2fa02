"""The program ``lfp-snn``: its commands, and how it ends."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError
from rich.console import Console
from rich.markup import escape

from lfp_snn import __version__
from lfp_snn.cli import data
from lfp_snn.cli.compare import compare
from lfp_snn.cli.convert import convert
from lfp_snn.cli.doctor import doctor
from lfp_snn.cli.evaluate import evaluate
from lfp_snn.cli.explain import explain
from lfp_snn.cli.process import first_process
from lfp_snn.cli.show import show
from lfp_snn.cli.sweep import sweep
from lfp_snn.cli.train import train
from lfp_snn.errors import LfpError
from lfp_snn.kernels.memory import keep_memory

_HELP = """Train spiking networks on event data by Layer-wise Feedback Propagation.

Begin with `lfp-snn train`: it records handwritten digits with a simulated event camera (nothing is downloaded), trains
a spiking network on them and draws what it learned."""

app = App(name="lfp-snn", help=_HELP, version=__version__, help_format="markdown", suppress_keyboard_interrupt=False)
app.command(train)
app.command(evaluate, name="eval")
app.command(explain)
app.command(doctor)
app.command(compare)
app.command(sweep)
app.command(data.app)
app.command(show)
app.command(convert)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : sequence of str, optional
        What was typed after ``lfp-snn``. Default: ``sys.argv``.

    Returns
    -------
    int
        0: done; 2: something to be put right by the user, said on standard error; 130: interrupted.
    """
    keep_memory()
    console = Console(stderr=True, highlight=False)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # how DDP starts is of no interest
    try:
        app(
            sys.argv[1:] if arguments is None else list(arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except (LfpError, CycloptsError) as e:
        if first_process():
            console.print(f"[bold red]error:[/bold red] {escape(str(e))}", soft_wrap=True)
        return 2
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0
