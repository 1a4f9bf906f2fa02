"""What is done in a worker process: a run of a comparison, or a trial of a search. Both can be killed at any time.

Each is a function of a folder and a configuration, and leaves its result in the folder. Called again, it goes on where
it was, or does nothing if it had come to its end.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lfp_snn.compare.folder import begun, check, outcome
from lfp_snn.compare.lock import locked
from lfp_snn.errors import DivergenceError
from lfp_snn.training import RunFolder, resume, train
from lfp_snn.training.build import build
from lfp_snn.training.config import Config
from lfp_snn.training.fabric import make_fabric
from lfp_snn.training.loop import Run
from lfp_snn.training.progress import Display
from lfp_snn.training.run_folder import write_json
from lfp_snn.training.seeding import determinism


def do_run(folder: Path, config: Config, prune: Sequence[float]) -> None:
    """Train a network, or go on training it, and measure it.

    Parameters
    ----------
    folder : path
        Of the run.
    config : Config
        Of the run.
    prune : sequence of float
        Shares of the weights to prune, see `lfp_snn.compare.measure`.

    Raises
    ------
    ConfigError
        If the folder holds another run, or the configuration cannot work.
    """
    from lfp_snn.compare.measure import measure_run

    with _alone(folder, config, "measures.json") as begin:
        if begin:
            if RunFolder(folder).config_file.exists():
                resume(folder, display=Display(on=False))
            else:
                train(config, folder, display=Display(on=False))
            write_json(folder / "measures.json", measure_run(folder, prune))


def do_trial(folder: Path, config: Config) -> None:
    """Train a network and write its best validation accuracy, ``trial.json``; nobody looks at the test split.

    Parameters
    ----------
    folder : path
        Of the trial.
    config : Config
        Of the trial.

    Raises
    ------
    ConfigError
        If the folder holds another run, or the configuration cannot work.
    """
    with _alone(folder, config, "trial.json") as begin:
        if begin:
            fabric = make_fabric(config)
            with determinism(config.training.deterministic):
                task = build(config)
                if not RunFolder(folder).config_file.exists():
                    RunFolder.create(folder, config)
                fabric.launch()
                with Run(fabric, config, task, RunFolder.open(folder), Display(on=False)) as run:
                    run.fit()
            write_json(folder / "trial.json", {"val_accuracy": run.state.best_accuracy})
            shutil.rmtree(run.folder.checkpoints)  # a trial is never gone back to, and there are many


@contextmanager
def _alone(folder: Path, config: Config, finished: str) -> Iterator[bool]:
    """Keep other processes from the folder inside, take down a divergence, and tell whether there is work left."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with locked(folder.with_name(f".{folder.name}.lock")):
        check(folder, config)
        if not begun(folder):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            yield outcome(folder, finished) is None
        except DivergenceError as e:
            write_json(folder / "failed.json", {"error": str(e)})
