r"""What each input, spike and membrane contributed to a decision: LFP's reward, read as an explanation.

The score of a class is handed to the output as if it were a reward, and LFP shares it out among layers, steps and
connections down to the input: :math:`R = x\, g` at any place is the part that the place contributed (layer-wise
relevance propagation, Bach et al. 2015, doi 10.1371/journal.pone.0130140; for LFP arXiv 2308.12053). How the network
was trained does not matter.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from lfp_snn.containers import State
from lfp_snn.diagnosis.probe import Probe
from lfp_snn.errors import ConfigError, ShapeError, SilenceWarning
from lfp_snn.forward import mode
from lfp_snn.neurons import ALIF, SpikingNeuron
from lfp_snn.propagation import LFP
from lfp_snn.rewards import Given, Reward, scores
from lfp_snn.rewards.base import one_hot, valid
from lfp_snn.rules.sharing import Conserving, Contribution, Sharing

Against: TypeAlias = int | Tensor | Literal["next", "rest"] | None
"""Whose score is subtracted from that of the explained class."""


@dataclass(frozen=True)
class Layer:
    """What one hidden layer did, and the part that it had in the decision.

    Attributes
    ----------
    output : Tensor
        Its spikes ``[T, B, ...]``, or activations ``[B, ...]``.
    relevance : Tensor
        Of each spike or activation, of the same shape.
    membrane, threshold : Tensor or None
        Of spiking neurons, ``[T, B, ...]``: they fire where the membrane is above.
    carried : Tensor or None
        Relevance that step ``t`` owes to the membrane it found, ``[T, B, ...]``: how much of the decision was made
        before.
    """

    output: Tensor
    relevance: Tensor
    membrane: Tensor | None = None
    threshold: Tensor | None = None
    carried: Tensor | None = None


@dataclass(frozen=True)
class Explanation:
    """Why a network decided as it did, for each example of a batch.

    Attributes
    ----------
    x : Tensor
        The input, ``[T, B, ...]`` or, for a network without time, ``[B, ...]``.
    relevance : Tensor
        Of each element of the input: positive for what spoke for the class.
    output : Tensor
        Of the network, ``[T, B, C]`` or ``[B, C]``.
    scores : Tensor
        ``[B, C]``; the largest is the decision.
    target : Tensor
        ``[B]``, the class that is explained.
    reward : Tensor
        What was handed to the output, of its shape, and is explained: the score of the class (minus others').
    layers : dict
        Name of a module -> `Layer`, in the order in which they ran.
    lengths : Tensor or None
        ``[B]``, the valid steps.
    """

    x: Tensor
    relevance: Tensor
    output: Tensor
    scores: Tensor
    target: Tensor
    reward: Tensor
    layers: dict[str, Layer]
    lengths: Tensor | None = None

    def __repr__(self) -> str:
        """Say what it is of, without the numbers."""
        shape, classes = list(self.x.shape), self.target.tolist()
        return f"Explanation(x={shape}, target={classes[:8]}{'...' * (len(classes) > 8)}, layers={list(self.layers)})"

    def explained(self) -> Tensor:
        """Return the score that is explained, ``[B]``: of the class, minus that of others."""
        return self.reward.sum((0, 2) if self.temporal else (1,))

    def arrived(self) -> Tensor:
        """Return what of it is found at the input, ``[B]``; biases, resets and stabilisers keep the rest."""
        return self.relevance.flatten(2).sum(2).sum(0) if self.temporal else self.relevance.flatten(1).sum(1)

    @property
    def temporal(self) -> bool:
        """Whether the input runs over time."""
        return self.output.dim() == 3

    def over_time(self) -> Tensor:
        """Return the relevance of each step, ``[T, B]``."""
        return self.relevance.flatten(2).sum(2)

    def over_space(self) -> Tensor:
        """Return the relevance of each pixel ``[B, H, W]`` (or channel ``[B, N]``): steps and polarities summed."""
        r = self.relevance.sum(0) if self.temporal else self.relevance
        return r.sum(1) if r.dim() == 4 else r

    def missing(self) -> Tensor:
        """Return the share of the reward that did not arrive at the input, ``[B]``: kept by biases, resets, epsilon."""
        given = self.explained()
        return (given - self.arrived()) / given.abs().clamp(min=torch.finfo(given.dtype).tiny)

    def sample(self, index: int) -> Explanation:
        """Return the explanation of one example, as a batch of one."""
        batch = len(self.target)
        if not -batch <= index < batch:
            raise IndexError(f"no example {index} in a batch of {batch}")
        chosen = slice(index % batch, index % batch + 1)

        def pick(q: Tensor, over_time: bool) -> Tensor:
            return q[:, chosen] if over_time else q[chosen]

        layers = {
            name: Layer(*(None if q is None else pick(q, self.temporal) for q in vars(layer).values()))  # type: ignore[arg-type]
            for name, layer in self.layers.items()
        }
        timed = (self.x, self.relevance, self.output, self.reward)
        x, relevance, output, reward = (pick(q, self.temporal) for q in timed)
        lengths = None if self.lengths is None else self.lengths[chosen]
        return Explanation(x, relevance, output, self.scores[chosen], self.target[chosen], reward, layers, lengths)


def explain(
    network: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    *,
    against: Against = None,
    reward: Reward | Tensor | None = None,
    steps: int | None = None,
    lengths: Tensor | None = None,
    state: State = None,
    lfp: LFP | None = None,
    training: bool = False,
) -> Explanation:
    """Explain the decisions of a network, whatever it was trained by.

    Parameters
    ----------
    network : nn.Module
        Of this package, or one that LFP can be attached to. It is left as it was: weights, their gradients, buffers
        and modes are not touched.
    x : Tensor
        The input ``[T, B, ...]``, or ``[B, ...]`` for a network without time or together with ``steps``.
    target : int or Tensor, optional
        The class to explain, one for all or ``[B]``. By default the one the network decided for. (A class whose output
        neuron was silent has a score of 0, of which nothing is to be explained.)
    against : int, Tensor, "next" or "rest", optional
        A class whose score is subtracted: why this one, and not that one? ``"next"`` is the best of the others,
        ``"rest"`` the mean of all others.
    reward : Reward or Tensor, optional
        What is handed to the output instead of the score: a criterion of :mod:`lfp_snn.rewards` (``target`` is then
        what it takes), or the reward itself, of the output's shape.
    steps : int, optional
        For how long a static input runs. It is explained for every step.
    lengths : Tensor, optional
        ``[B]``, the valid steps of each example.
    state : State, optional
        From which a :class:`~lfp_snn.Sequential` goes on (see its ``run``); what it owes to the time before is not
        shared out further.
    lfp : LFP, optional
        The rules. By default neurons share by ``Conserving``, under which relevance is not lost on its way through time
        (for what other rules give, see :mod:`lfp_snn.explain.faithfulness`); in a network with adapting thresholds,
        where that has no bound, by ``Contribution``.
    training : bool
        Whether to run as in training, with batch statistics and dropout.

    Returns
    -------
    Explanation
        Its relevances add up to the explained score, but for what biases, resets and stabilisers keep.

    Raises
    ------
    ShapeError
        If input, target and lengths do not fit together.
    UnknownLayerError
        At a layer for which there is no rule.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> _ = torch.manual_seed(0)
    >>> net = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LIF())
    >>> why = explain(net, (torch.rand(10, 2, 4) > 0.5).float(), target=1)
    >>> why.relevance.shape, list(why.layers), why.layers["1"].relevance.shape
    (torch.Size([10, 2, 4]), ['1', '3'], torch.Size([10, 2, 8]))
    """
    if steps is not None:
        if steps < 1:
            raise ShapeError(f"steps must be at least 1, got {steps}")
        x = x.expand(steps, *x.shape)
    x = x.detach().clone().requires_grad_()
    rules = copy.copy(lfp) if lfp is not None else LFP(sharing=_sharing(network))
    rules.record, rules.homeostasis, rules.keep_feedback = _can_record(network), None, False
    neurons = {name: m for name, m in network.named_modules() if isinstance(m, SpikingNeuron)}
    for neuron in neurons.values():
        neuron.record = None
    quiet = warnings.catch_warnings(action="ignore", category=SilenceWarning)  # that is about learning
    with quiet, mode(network, training), Probe(network) as probe, torch.enable_grad(), rules.context(network):
        output: Tensor = network(x) if state is None else network(x, state=state)
        if not isinstance(output, Tensor):
            raise ShapeError(f"the network must return its output alone, got {type(output).__name__}")
        batch = output.shape[-2]
        z = scores(output.detach(), lengths)
        chosen = z.argmax(-1) if target is None else _classes(target, batch, z)
        if reward is None:
            given = _score(output.detach(), z, chosen, against, lengths)
        else:
            given = reward.reward(output.detach(), chosen, lengths) if isinstance(reward, Reward) else reward
        loss = Given()(output, given, lengths)
        (g,) = torch.autograd.grad(loss, x, allow_unused=True)
    relevance = torch.zeros_like(x) if g is None else -batch * x.detach() * g
    layers = {}
    for seen in probe.layers():
        if seen.name in neurons:
            layers[seen.name] = _spiking(neurons[seen.name], seen.output(batch), batch)
        elif (message := seen.message(batch, reward=True)) is not None:
            layers[seen.name] = Layer(seen.output(batch), message)
    if output.dim() == 2:
        layers = {name: Layer(layer.output[0], layer.relevance[0]) for name, layer in layers.items()}
    for neuron in neurons.values():
        neuron.record = None
    return Explanation(x.detach(), relevance, output.detach(), z, chosen, given, layers, lengths)


def _sharing(network: nn.Module) -> Sharing:
    """Return how neurons share relevance by default."""
    return Contribution() if any(isinstance(m, ALIF) for m in network.modules()) else Conserving()


def _can_record(network: nn.Module) -> bool:
    """Whether the neurons are ours."""
    return any(isinstance(m, SpikingNeuron) for m in network.modules())


def _classes(target: int | Tensor, batch: int, z: Tensor) -> Tensor:
    """Return a class for each example."""
    return torch.full((batch,), target, device=z.device) if isinstance(target, int) else target.to(z.device)


def _score(output: Tensor, z: Tensor, target: Tensor, against: Against, lengths: Tensor | None) -> Tensor:
    """Return the reward that makes up the score of a class (minus that of others)."""
    wanted = contrast(z, target, against)
    return output * wanted if output.dim() == 2 else output * wanted * valid(output, lengths)


def next_best(z: Tensor, target: Tensor) -> Tensor:
    """Return the best ``[B]`` of the other classes, by the scores ``z`` ``[B, C]``.

    Examples
    --------
    >>> next_best(torch.tensor([[0.1, 0.5, 0.9]]), torch.tensor([2])).tolist()
    [1]
    """
    return z.detach().scatter(1, target[:, None], -torch.inf).argmax(-1)


def contrast(z: Tensor, target: Tensor, against: Against) -> Tensor:
    """Return the weights ``[B, C]`` of the scores ``z`` in what is explained: 1 for the class, negative against others.

    Raises
    ------
    ConfigError
        If ``against`` is a word that is not known.
    """
    wanted = one_hot(target, z)
    if against is None:
        return wanted
    if against == "rest":
        return wanted - (1 - wanted) / max(1, z.shape[1] - 1)
    if against == "next":
        return wanted - one_hot(next_best(z, target), z)
    if not isinstance(against, int | Tensor):
        raise ConfigError(f"against is a class, classes [B], 'next', 'rest' or None, got {against!r}")
    return wanted - one_hot(_classes(against, len(target), z), z)


def _spiking(neuron: SpikingNeuron, output: Tensor, batch: int) -> Layer:
    """Return what a layer of spiking neurons kept; reward that never came is none."""
    if neuron.record is None:
        return Layer(output, torch.zeros_like(output))
    spikes, relevance, membrane, threshold, carried = neuron.record
    return Layer(spikes.detach(), batch * relevance, membrane, threshold, batch * carried)
