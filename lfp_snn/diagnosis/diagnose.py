"""Look at a network while it learns a few batches, and say what was seen."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any

import torch

from lfp_snn.diagnosis.activity import Activity, ActivityMeter
from lfp_snn.diagnosis.advice import Advice, advise
from lfp_snn.diagnosis.conservation import Conservation, conservation
from lfp_snn.diagnosis.learning import Lesson
from lfp_snn.diagnosis.message import Message, MessageMeter
from lfp_snn.diagnosis.probe import LINEAR, Probe, Seen
from lfp_snn.diagnosis.update import Update, updates
from lfp_snn.errors import ConfigError, LfpError, NonFiniteError, SilenceWarning
from lfp_snn.neurons import LI
from lfp_snn.rewards import scores
from lfp_snn.training.build import Task
from lfp_snn.training.config import Config
from lfp_snn.training.fabric import make_fabric


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes
    ----------
    name, kind : str
        Its name in the network, and the class of the module.
    output : bool
        Whether it is the network's output.
    spiking : bool
        Whether it is made of spiking neurons.
    activity : Activity or None
        How much its units fire; None for membranes and logits.
    message : Message or None
        What came back to it; None if nothing did.
    conservation : Conservation or None
        What LFP loses there; None for other methods.
    """

    name: str
    kind: str
    output: bool
    spiking: bool
    activity: Activity | None
    message: Message | None
    conservation: Conservation | None


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` saw.

    Attributes
    ----------
    config : Config
        Of the run.
    batches, examples : int
        What was looked at.
    accuracy : float
        Share of these (training) examples that are decided right.
    rewarded : bool
        Whether messages are rewards (LFP), rather than gradients.
    layers : tuple of Layer
        From input to output.
    parameters : tuple of Update
        One a trained parameter.
    diverged : bool
        Whether training these batches at the full learning rate ended in NaN.
    """

    config: Config
    batches: int
    examples: int
    accuracy: float
    rewarded: bool
    layers: tuple[Layer, ...]
    parameters: tuple[Update, ...]
    diverged: bool

    def advice(self) -> list[Advice]:
        """Return what stands out and which option to change, the most serious first; empty if nothing does."""
        return advise(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, the advice included, as plain values (for JSON)."""
        advice = [dataclasses.asdict(a) for a in self.advice()]
        return {**dataclasses.asdict(self), "config": self.config.to_dict(), "advice": advice}


def diagnose(config: Config, task: Task, batches: int = 8) -> Diagnosis:
    """Look at a network while it learns some batches of its training set; the network itself is not changed.

    Activity, messages and conservation are measured with the weights as they are, in full precision and in one
    process; then a copy makes one step of the optimiser a batch, with a fresh state, at the full learning rate
    ``optimizer.lr``.

    Parameters
    ----------
    config : Config
        Of the run.
    task : Task
        Data, method and network, as :func:`lfp_snn.training.build.build` or
        :func:`lfp_snn.training.rerun.load_run` return them.
    batches : int
        How many batches to look at.

    Raises
    ------
    ConfigError
        If there is no batch to look at.
    LfpError
        If the network's weights or outputs are NaN or infinite.

    Examples
    --------
    >>> from lfp_snn.training.build import build
    >>> from lfp_snn.training.config import apply
    >>> config = apply(Config(), {"data": {"name": "digits"}, "encoder": {"steps": 8}, "model": {"hidden": [20]}})
    >>> diagnosis = diagnose(config, build(config), batches=2)
    >>> [(layer.name, layer.kind, layer.activity.units) for layer in diagnosis.layers]
    [('2', 'LIF', 20), ('4', 'LIF', 10)]
    """
    if batches < 1:
        raise ConfigError(f"a diagnosis needs at least one batch, got batches={batches}")
    single = dataclasses.replace(config.training, devices=1, precision="32")
    device = make_fabric(dataclasses.replace(config, training=single)).device
    network = copy.deepcopy(task.network).to(device).train()
    if bad := [name for name, p in network.named_parameters() if not bool(torch.isfinite(p).all())]:
        raise LfpError(f"weights are NaN or infinite, there is nothing to diagnose: {', '.join(bad)}")
    lesson = Lesson(config, task, network, device, batches)
    rewarded = task.method.takes_reward
    try:
        with warnings.catch_warnings(action="ignore", category=SilenceWarning):  # of which there is more to say below
            look = _look(lesson)
            kept = conservation(lesson) if rewarded else {}
    except NonFiniteError as e:
        raise LfpError(f"the network cannot be diagnosed: {e}") from e
    parameters, diverged = updates(lesson)
    layers = tuple(dataclasses.replace(layer, conservation=kept.get(layer.name)) for layer in look.layers())
    return Diagnosis(
        config=config,
        batches=look.batches,
        examples=look.examples,
        accuracy=look.right / look.examples,
        rewarded=rewarded,
        layers=layers,
        parameters=parameters,
        diverged=diverged,
    )


class _Look:
    """The layers, as they are measured batch by batch."""

    def __init__(self) -> None:
        self.batches = self.examples = self.right = 0
        self._kinds: dict[str, Seen] = {}
        self._activity: dict[str, ActivityMeter] = {}
        self._messages: dict[str, MessageMeter] = {}

    def add(self, layer: Seen, batch: int, lengths: torch.Tensor | None, rewarded: bool) -> None:
        """Add one batch of a layer."""
        self._kinds.setdefault(layer.name, layer)
        if not isinstance(layer.module, (LI, *LINEAR)):
            meter = self._activity.setdefault(layer.name, ActivityMeter(layer.spiking))
            meter.add(layer.output(batch), lengths)
        message = layer.message(batch, rewarded)
        if message is not None:
            self._messages.setdefault(layer.name, MessageMeter()).add(message, lengths)

    def layers(self) -> list[Layer]:
        """Return what was measured."""
        *_, last = self._kinds
        at_output = self._messages[last].size if last in self._messages else 0.0
        return [
            Layer(
                name=name,
                kind=type(seen.module).__name__,
                output=name == last,
                spiking=seen.spiking,
                activity=self._activity[name].result() if name in self._activity else None,
                message=self._messages[name].result(at_output) if name in self._messages else None,
                conservation=None,
            )
            for name, seen in self._kinds.items()
        ]


def _look(lesson: Lesson) -> _Look:
    """Measure activity and messages, weights unchanged."""
    look = _Look()
    with Probe(lesson.network) as probe, lesson.task.method.attach(lesson.network) as learner:
        for batch in lesson.batches():
            probe.clear()
            output, _ = lesson.learn(learner, batch)
            lesson.network.zero_grad()
            for layer in probe.layers():
                look.add(layer, len(batch.target), batch.lengths, lesson.task.method.takes_reward)
            look.batches += 1
            look.examples += len(batch.target)
            look.right += int((scores(output.detach(), batch.lengths).argmax(-1) == batch.target).sum())
    return look
