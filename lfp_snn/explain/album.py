"""Everything about one decision in a folder: figures, an animation, an interactive view, and the numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from lfp_snn.atomic import whole_file
from lfp_snn.data import (
    EventDataset,
    Events,
    FrameDataset,
    Recording,
    SensorSize,
    bin_events,
    check_events,
    read_recording,
)
from lfp_snn.data.binning import plan
from lfp_snn.data.guard import writing
from lfp_snn.errors import ConfigError, DataError
from lfp_snn.explain import figures
from lfp_snn.explain.events import relevance_of_events
from lfp_snn.explain.html import write_html
from lfp_snn.explain.relevance import Against, Explanation, explain, next_best
from lfp_snn.explain.stream import Decisions
from lfp_snn.training.build import Task
from lfp_snn.training.run_folder import write_json

MOST_CELLS = 2**28
"""Of an input that is explained at once, 1 GiB; a few times that is needed."""


@dataclass(frozen=True)
class Subject:
    """One example of which the decision is explained.

    Attributes
    ----------
    name : str
        What it is called in titles.
    x : Tensor
        The network's input, ``[T, 1, ...]`` or, without time, ``[1, ...]``.
    label : int or None
        Its class, where it is known.
    lengths : Tensor or None
        ``[1]``, its valid steps.
    events : ndarray or None
        Of which the input was made.
    """

    name: str
    x: Tensor
    label: int | None = None
    lengths: Tensor | None = None
    events: Events | None = None


def sample(task: Task, split: str, index: int) -> Subject:
    """Take an example of a run's data.

    Parameters
    ----------
    task : Task
        The run (:func:`lfp_snn.training.rerun.load_run`).
    split : str
        ``train``, ``val`` or ``test``.
    index : int
        Its number there.

    Raises
    ------
    ConfigError
        If there is no such example.
    """
    part = getattr(task.splits, split)
    if not 0 <= index < len(part):
        raise ConfigError(f"the {split} part has examples 0 to {len(part) - 1}, not {index}")
    part = part.subset(np.arange(len(part)))  # as it is: without augmentation
    x, target, lengths = part.__getitems__([index])
    events = part.events(index) if events_of(part) is not None else None
    return Subject(f"{split} example {index}", task.encode(x), int(target), lengths, events)


def recording(task: Task, path: str | Path, number: int = 0) -> Subject:
    """Take a recording from a file, prepared (N-MNIST's ``stabilize``, transforms) and binned as the run's own data.

    Parameters
    ----------
    task : Task
        The run.
    path : path
        See `lfp_snn.data.read_recording`.
    number : int
        Which recording, in a file of many.

    Raises
    ------
    DataError
        If the file cannot be read, its sensor is not that of the run, or the preparation leaves no event.
    ConfigError
        If the run does not work on events.
    """
    found = read_recording(path, index=number, otherwise=events_of_run(task).preparation.sensor_size)
    return prepared(task, found, Path(path).name)


def prepared(task: Task, found: Recording, name: str) -> Subject:
    """Take a recording that was read already; see `recording`."""
    data = events_of_run(task)
    if found.sensor_size != (wanted := data.preparation.sensor_size):
        raise DataError(f"{name}: its sensor is {_size(found.sensor_size)}, that of the run {_size(wanted)}; crop it")
    events = check_events(data.preparation(found.events), data.sensor_size, where=name)
    if not len(events):
        raise DataError(f"{name}: no event is left after the run's own preparation of its data")
    cells = int(np.prod(data.shape))
    steps = int(plan(data.binning, events, np.array([0]), np.array([len(events)]), 1.0).steps[0])
    if steps * cells > MOST_CELLS:
        raise DataError(f"{name}: {steps:,} steps of {cells:,} cells are too many at once: take a part of it")
    x = bin_events(events, data.sensor_size, data.binning, group=data.group)[:, None]
    return Subject(name, x, events=events)


def events_of_run(task: Task) -> EventDataset:
    """Return the events of which a run's data is made.

    Raises
    ------
    ConfigError
        If there are none.
    """
    data = events_of(task.splits.test)
    if data is None:
        raise ConfigError(f"the run's data {task.splits.name!r} is not made of events: no recording can take its place")
    return data


def events_of(part: Any) -> EventDataset | None:
    """Return the events of which a part of the data is made, or ``None`` if it is not made of events."""
    return part.source if isinstance(part, FrameDataset) else part if isinstance(part, EventDataset) else None


def album(
    task: Task, subject: Subject, out: str | Path, *, target: int | None = None, against: Against = None
) -> dict[str, Any]:
    """Explain a decision and write all there is to see into a folder.

    ``explanation.json``, ``relevance.npy`` (the input's) and ``events.npy`` (with the field ``relevance``), figures as
    ``.png``, ``decision.gif`` and, where plotly is installed, ``view.html``. ``layers.npz`` holds what each hidden
    layer did and its part in the decision: ``NAME.output`` and ``NAME.relevance``, ``[T, ...]``, of spiking neurons
    also ``.membrane``, ``.threshold`` and ``.carried``.

    Parameters
    ----------
    task : Task
        The run.
    subject : Subject
        From `sample` or `recording`.
    out : path
        The folder; it is made if need be, and files in it are replaced.
    target : int, optional
        The class to explain; by default the decision.
    against : Against
        See `lfp_snn.explain.explain`.

    Returns
    -------
    dict
        What ``explanation.json`` holds.
    """
    out, names = _folder(Path(out)), task.splits.class_names
    why = explain(task.network, subject.x, target, against=against, steps=task.steps, lengths=subject.lengths)
    decided = int(why.scores.argmax(-1))
    explained = int(why.target)
    title = f"{subject.name}: decided {names[decided]}"
    if subject.label is not None:
        title += f", is {names[subject.label]}"
    other = _other(why, against, names)
    if explained != decided or other is not None:
        title += f"; why {names[explained]}{f' and not {other}' if other else ''}?"
    heading = title.replace("$", r"\$")  # else it would begin a formula
    content: dict[str, Any] = {
        "example": subject.name,
        "class": None if subject.label is None else names[subject.label],
        "decision": names[decided],
        "explained": names[explained],
        "against": other,
        "scores": {name: float(z) for name, z in zip(names, why.scores[0], strict=True)},
        "relevance for": float(why.relevance.clamp(min=0).sum()),
        "relevance against": float(why.relevance.clamp(max=0).sum()),
        "explained score": float(why.explained()),
        "arrived at the input": float(why.arrived()),
    }
    _save(out / "relevance.npy", (why.relevance[:, 0] if why.temporal else why.relevance[0]).cpu().numpy())
    parts = {
        f"{name}.{key}": q for name, layer in why.layers.items() for key, q in vars(layer).items() if q is not None
    }
    arrays = {key: (q[:, 0] if why.temporal else q[0]).cpu().numpy() for key, q in parts.items()}
    with writing(out / "layers.npz") as temporary:
        np.savez_compressed(temporary, **arrays)
    drawn = {"relevance": figures.relevance_map(why, heading)}
    if why.temporal:
        content["steps until decided"] = int(Decisions(why.output, subject.lengths).latency(why.scores.argmax(-1))) + 1
        content["steps"] = len(why.output)
        drawn["time_course"] = figures.time_course(why, names, title=heading)
        if why.x.dim() == 5:
            drawn["frames"] = figures.relevance_frames(why, title=heading)
        spiking = [name for name, layer in why.layers.items() if layer.membrane is not None]
        if spiking:
            drawn["raster"] = figures.raster(why, title=heading)
            drawn["membranes"] = figures.membranes(why, spiking[0], title=heading)
        figures.animate(why, out / "decision.gif", names, title=subject.name.replace("$", r"\$"))
    if (weights := _first_weights(task, why)) is not None:
        drawn["receptive_fields"] = weights
    if subject.events is not None:
        data = events_of_run(task)
        size = data.sensor_size
        events = relevance_of_events(subject.events, why.relevance[:, 0], size, data.binning, group=data.group)
        _save(out / "events.npy", events)
        content["events"] = len(events)
        drawn["cloud"] = figures.event_cloud(events, size, title=heading)
        if size[1] > 1:
            drawn["surfaces"] = figures.surfaces(events, size, title=heading)
        if find_spec("plotly") is not None:
            write_html(why, events, out / "view.html", names, title=title)
    for name, figure in drawn.items():
        figure.savefig(out / f"{name}.png", dpi=200)
    write_json(out / "explanation.json", content)
    return content


def _first_weights(task: Task, why: Explanation) -> Any:
    """Draw the weights of the first layer, if they are those of pictures."""
    first = next((m for m in task.network.modules() if isinstance(m, nn.Linear | nn.Conv2d)), None)
    shape = tuple(why.x.shape[2:] if why.temporal else why.x.shape[1:])
    if first is None or len(shape) != 3:
        return None
    fits = isinstance(first, nn.Linear) and first.in_features == int(np.prod(shape))
    return figures.receptive_fields(first, shape) if fits or isinstance(first, nn.Conv2d) else None


def _folder(path: Path) -> Path:
    """Make a folder, if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ConfigError(f"{path} cannot be made a folder for what is explained: {e.strerror}") from e
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{path}: nothing can be written into this folder")
    return path


def _save(path: Path, array: NDArray[Any]) -> None:
    """Write an array in one atomic step."""
    with whole_file(path) as temporary:
        np.save(temporary, array)


def _size(size: SensorSize) -> str:
    return f"{size[0]} x {size[1]} with {size[2]} polarities" if size[1] > 1 else f"{size[0]} channels"


def _other(why: Explanation, against: Against, names: Sequence[str]) -> str | None:
    """Return whose score was subtracted, in words."""
    if against is None:
        return None
    if against == "rest":
        return "the others"
    return names[int(next_best(why.scores, why.target) if against == "next" else against)]
