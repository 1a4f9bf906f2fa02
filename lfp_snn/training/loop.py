"""The training loop.

Data -> network -> reward -> feedback -> optimiser, on Lightning Fabric: the same loop runs in one process or several
(DDP), on the CPU or a GPU, in full or mixed precision. Feedback arrives as ``param.grad``, so nothing below knows which
method made it; the one line that chooses is ``method.attach``.

An epoch is the unit of resuming: after each, weights, optimiser, schedule and counters go to ``checkpoints/last.pt``. A
run that was killed begins the interrupted epoch again, and because an epoch depends on (seed, epoch) and on that file
only, it comes to the same numbers as a run that was never interrupted.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from lfp_snn.data import Batch, EpochSampler, loader, set_epoch
from lfp_snn.data.prefetch import prefetch
from lfp_snn.errors import DivergenceError, NonFiniteError, SilenceWarning, require
from lfp_snn.rewards import scores
from lfp_snn.training import build as parts
from lfp_snn.training.build import Task
from lfp_snn.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from lfp_snn.training.config import Config
from lfp_snn.training.effort import Effort
from lfp_snn.training.evaluate import Evaluation, evaluate
from lfp_snn.training.fabric import make_fabric, total
from lfp_snn.training.figures import draw_figures
from lfp_snn.training.memory import in_use, most
from lfp_snn.training.metrics import Tally
from lfp_snn.training.monitor import SpikeMonitor
from lfp_snn.training.progress import Display
from lfp_snn.training.run_folder import RunFolder, default_path
from lfp_snn.training.seeding import determinism, seed_all
from lfp_snn.training.shard import Shard
from lfp_snn.training.state import State
from lfp_snn.training.tensorboard import EpochLog
from lfp_snn.training.warmup import warm_up


def train(config: Config, out: str | Path | None = None, *, display: Display | None = None) -> dict[str, Any]:
    """Train a network as a configuration says.

    Parameters
    ----------
    config : Config
        Everything that was chosen.
    out : path, optional
        Folder of the run; it must be new or empty. Default: ``runs/<data set>/<time>-seed<k>``.
    display : Display, optional
        Shows the progress. Default: on standard error.

    Returns
    -------
    dict
        The summary, as in ``summary.json``; ``folder`` is where it lies.

    Raises
    ------
    ConfigError
        If the configuration cannot work, or the folder is not empty.
    DivergenceError
        If the network diverges; the last good checkpoint is kept.
    """
    fabric = make_fabric(config)
    with determinism(config.training.deterministic):
        task = parts.build(config)
        _check(config, task)
        folder = RunFolder(out or default_path(config))
        if fabric.is_global_zero:
            folder = RunFolder.create(folder.path, config)
        return _launch(fabric, config, task, folder, display)


def resume(path: str | Path, *, display: Display | None = None) -> dict[str, Any]:
    """Go on with a run that was interrupted, and come to the same numbers as if it had not been.

    Parameters
    ----------
    path : path
        Folder of the run.
    display : Display, optional
        Shows the progress.

    Returns
    -------
    dict
        The summary; at once if the run had come to its end.

    Raises
    ------
    ConfigError
        If the folder is not that of a run.
    CheckpointError
        If its last checkpoint is damaged or of another network.
    """
    folder = RunFolder.open(path)
    config = folder.config()
    if (summary := folder.summary()) is not None:
        return summary | {"folder": str(folder.path)}
    fabric = make_fabric(config)
    with determinism(config.training.deterministic):
        return _launch(fabric, config, parts.build(config), folder, display)


def _check(config: Config, task: Task) -> None:
    """Let optimiser, schedule and logs refuse what they do not like before anything is written."""
    parts.scheduler(config.schedule, parts.optimizer(config.optimizer, task.network), 1)
    if config.training.tensorboard:
        require("tensorboard", "tensorboard")


def _launch(fabric: Fabric, config: Config, task: Task, folder: RunFolder, display: Display | None) -> dict[str, Any]:
    """Start the other processes, if any, and run in all of them."""
    fabric.launch()
    folder = RunFolder(fabric.broadcast(str(folder.path)))
    display = display or Display()
    display.on = display.on and fabric.is_global_zero
    with Run(fabric, config, task, folder, display) as run, display:
        run.fit()
        return run.finish()


class Run:
    """One run: everything in its place, and the loop over the epochs.

    Parameters
    ----------
    fabric : Fabric
        Launched.
    config, task, folder, display
        What to do, with what, where, and what to show of it.
    """

    def __init__(self, fabric: Fabric, config: Config, task: Task, folder: RunFolder, display: Display) -> None:
        self.fabric, self.config, self.task, self.folder, self.display = fabric, config, task, folder, display
        self.network = task.network
        # A fused step would undo the loss scaling of float16 by itself, which clipping does not go together with.
        fuse = config.training.precision != "16-mixed"
        optimizer = parts.optimizer(config.optimizer, self.network, fuse=fuse)
        # `model` is the network as Fabric runs it (precision, DDP); `network` the module itself, for everything else.
        self.model, self.optimizer = fabric.setup(self.network, optimizer)
        self.train_batches = self._batches(task.splits.train, training=True)
        self.val_batches = self._batches(task.splits.val)
        self.steps_per_epoch = -(-len(self.train_batches) // config.training.accumulate)
        self.scheduler = parts.scheduler(config.schedule, optimizer, config.training.epochs * self.steps_per_epoch)
        self.monitor = SpikeMonitor(self.network)
        self.effort = Effort(self.network, task.method)
        self.state = State()
        self.log = EpochLog(folder.tensorboard, config.training.tensorboard and fabric.is_global_zero)
        self._exit = ExitStack()

    def __enter__(self) -> Run:
        # That a layer is silent, a run says by itself, of whole epochs.
        self._exit.enter_context(warnings.catch_warnings(action="ignore", category=SilenceWarning))
        self._restore()
        self.state.compile_seconds += warm_up(self.task, self.fabric)
        self.state.memory_built = self.state.memory_built or in_use(self.fabric.device)
        self.learner = self._exit.enter_context(self.task.method.attach(self.network))
        self._exit.callback(self.monitor.remove)
        self._exit.callback(self.log.close)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._exit.close()
        if kind is KeyboardInterrupt:
            self.display.say(f"interrupted; go on with: lfp-snn train --resume {self.folder.path}")

    def _batches(self, dataset: Any, training: bool = False) -> DataLoader[Batch]:
        """Make the loader of this process's share of a part of the data."""
        c, rank, world = self.config, self.fabric.global_rank, self.fabric.world_size
        order = EpochSampler(len(dataset), c.training.seed) if training else range(len(dataset))
        return loader(
            dataset,
            c.data.batch_size // world,
            sampler=Shard(order, rank, world, even=training),
            num_workers=c.data.workers,
            pin_memory=self.fabric.device.type == "cuda",
        )

    def fit(self) -> None:
        """Train epoch after epoch, from where the run is to its end or an early stop."""
        c = self.config.training
        while self.state.epoch < c.epochs and not self._stale():
            row = self.train_epoch()
            row |= self._validate()
            self._keep(row)
        if self._stale():
            self.display.say(f"no better validation accuracy for {c.patience} epochs: stopped early")

    def train_epoch(self) -> dict[str, Any]:
        """Train one epoch and return its figures."""
        c, fabric, state, batches = self.config.training, self.fabric, self.state, self.train_batches
        seed_all(c.seed, state.epoch, fabric.global_rank)
        set_epoch(batches, state.epoch)
        self.model.train()
        self.monitor.reset()
        self.effort.reset()
        self.display.begin_epoch(state.epoch + 1, c.epochs, len(batches))
        tally = Tally(self.task.splits.classes, fabric.device)
        waited, started = 0.0, time.perf_counter()
        alone = not batches.num_workers and getattr(batches.dataset, "independent", False)
        source = prefetch(batches) if alone else iter(batches)
        for i in range(len(batches)):
            asked = time.perf_counter()
            batch = Batch(*fabric.to_device(tuple(next(source))))
            waited += time.perf_counter() - asked
            looking = i % c.sample_every == 0
            first = i - i % c.accumulate
            group = range(first, min(first + c.accumulate, len(batches)))
            output, loss = self._learn(batch, len(group), step=i == group[-1], looking=looking)
            tally.add(loss, scores(output, batch.lengths).argmax(-1), batch.target)
            self.display.advance()
            if looking:
                self._look(loss, tally, time.perf_counter() - started)
        self._require_finite(loss)
        seconds = time.perf_counter() - started
        tally.reduce(fabric)
        state.epoch += 1
        state.examples += tally.examples
        state.train_seconds += seconds
        state.wait_seconds += waited
        state.memory_peak = max(state.memory_peak, most(fabric.device))
        return {
            "epoch": state.epoch,
            "step": state.step,
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": tally.loss,
            "train_accuracy": tally.accuracy,
            "seconds": seconds,
            "examples_per_second": tally.examples / seconds,
            "data_wait_share": waited / seconds,
            **self.effort.row(fabric, tally.examples),
        }

    def _learn(self, batch: Batch, group: int, step: bool, looking: bool) -> tuple[Tensor, Tensor]:
        """Run a batch, one of a group, forwards and its reward backwards; after the last of the group, step."""
        fabric, clip = self.fabric, self.config.training.clip_norm
        with (
            fabric.no_backward_sync(self.model, enabled=not step),
            self._divergence(),
            self.monitor.watch(batch.lengths) if looking else nullcontext(),
            self.effort.watch(len(batch.target)) if looking else nullcontext(),
        ):
            output, loss = self.learner.learn(
                self.task.encode(batch.x),
                batch.target,
                batch.lengths,
                criterion=self.task.criterion,
                steps=self.task.steps,
                run=lambda x: self.task.run(x, self.model),
                send=lambda loss: fabric.backward(loss / group),
            )
        if step:
            self.effort.before_step()
            if clip:
                fabric.clip_gradients(self.model, self.optimizer, max_norm=clip, error_if_nonfinite=False)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.scheduler.step()
            self.state.step += 1
        return output, loss

    def _look(self, loss: Tensor, tally: Tally, seconds: float) -> None:
        """Every k-th batch, see whether all is well, and show it."""
        self._require_finite(loss)
        self.display.note(
            {
                "train_loss": tally.loss,
                "train_accuracy": tally.accuracy,
                "spike_rate": self.monitor.rates(),
                "dead_units": self.monitor.dead_units(),
                "examples_per_second": tally.examples * self.fabric.world_size / seconds,
            }
        )

    @contextmanager
    def _divergence(self) -> Iterator[None]:
        """Take what neurons and rewards say of NaN for a divergence."""
        try:
            yield
        except NonFiniteError as e:
            raise self._diverged(str(e)) from e

    def _require_finite(self, loss: Tensor) -> None:
        """Stop if loss or weights are NaN or infinite."""
        sums = [loss.detach(), *(p.detach().sum() for p in self.network.parameters())]  # NaN stays NaN in a sum
        if total(self.fabric, (~torch.isfinite(torch.stack(sums))).sum()):
            raise self._diverged("loss or weights became NaN or infinite")

    def _diverged(self, why: str) -> DivergenceError:
        """Word what happened, what is left, and what to do."""
        epoch = self.state.epoch
        kept = f"the checkpoint of epoch {epoch} is kept in {self.folder.last}" if epoch else "there is none yet"
        advice = "lower optimizer.lr, or set training.clip_norm (1.0, say)"
        return DivergenceError(f"training stopped in epoch {epoch + 1}: {why}; {kept}. Look at the data, {advice}.")

    def _validate(self) -> dict[str, Any]:
        """Score the network on the validation split and return the figures."""
        result = self._score(self.val_batches)
        for text in self.monitor.warnings():
            self.display.warn(text)
        return {
            "val_reward": result.reward,
            "val_accuracy": result.accuracy,
            "spike_rate": result.spike_rate,
            "dead_units": result.dead_units,
        }

    def _score(self, batches: DataLoader[Batch]) -> Evaluation:
        """Score the network; an encoder that draws spikes draws the same ones each time."""
        seed_all(self.config.training.seed, self.fabric.global_rank)
        return evaluate(self.task, batches, self.monitor, self.fabric)

    def _keep(self, row: dict[str, Any]) -> None:
        """Write down an epoch: figures, best checkpoint, last checkpoint, in an order in which a kill does no harm.

        (Resuming drops lines later than ``last.pt``, and a ``best.pt`` of the lost epoch comes again just the same.)
        """
        better = self.state.improve(row["val_accuracy"], row["val_reward"])
        if self.fabric.is_global_zero:
            self.folder.append_metrics(row)
            self.log.write(row)
            content = self._content()
            if better:
                save_checkpoint(self.folder.best, content)
            save_checkpoint(self.folder.last, content)
        self.display.end_epoch(row, self.config.training.epochs)
        self.fabric.barrier()

    def _stale(self) -> bool:
        """Whether the validation accuracy has not improved for too long."""
        patience = self.config.training.patience
        return bool(patience) and self.state.epoch - self.state.best_epoch >= patience

    def _content(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "config": self.config.to_dict(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "state": dataclasses.asdict(self.state),
        }

    def _restore(self) -> None:
        """Go to where the run's last checkpoint is, or to the beginning if there is none."""
        if self.folder.last.is_file():
            content = load_checkpoint(self.folder.last)
            load_weights(self.network, content["network"], self.folder.last)
            self.optimizer.load_state_dict(content["optimizer"])
            self.scheduler.load_state_dict(content["scheduler"])
            self.fabric.strategy.precision.load_state_dict(content["precision"])
            self.state = State(**content["state"])
        if self.fabric.is_global_zero:
            self.folder.cut_metrics(self.state.epoch)
            self.folder.write_env()

    def finish(self) -> dict[str, Any]:
        """Score the best network on the test split, write the summary, draw the figures."""
        if self.folder.best.is_file():
            load_weights(self.network, load_checkpoint(self.folder.best)["network"], self.folder.best)
        test = self._score(self._batches(self.task.splits.test))
        summary = self._summary(test)
        if self.fabric.is_global_zero:
            self.folder.write_summary(summary)
            if self.config.training.figures:
                draw_figures(self.folder, self.task, self.fabric)
        self.fabric.barrier()
        return summary | {"folder": str(self.folder.path)}

    def _summary(self, test: Evaluation) -> dict[str, Any]:
        """Return the result of the run."""
        state = self.state
        seconds = state.train_seconds or float("nan")
        return {
            "test_accuracy": test.accuracy,
            "best_val_accuracy": state.best_accuracy if state.best_epoch else None,
            "best_epoch": state.best_epoch,
            "epochs": state.epoch,
            "train_seconds": state.train_seconds,
            "compile_seconds": state.compile_seconds,
            "examples_per_second": state.examples / seconds,
            "data_wait_share": state.wait_seconds / seconds,
            "memory": {"built": state.memory_built, "peak": max(state.memory_peak, most(self.fabric.device))},
            "spike_rate": test.spike_rate,
            "dead_units": test.dead_units,
            "units": test.units,
            "class_accuracy": test.class_accuracy,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "seed": self.config.training.seed,
            "config": self.config.to_dict(),
        }
