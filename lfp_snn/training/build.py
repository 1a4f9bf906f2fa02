"""From a configuration to the objects it names: data, network, reward, propagator, optimiser, schedule."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lfp_snn import Sequential, data
from lfp_snn.checkpointing import needs_all_steps
from lfp_snn.data import Splits
from lfp_snn.errors import ConfigError
from lfp_snn.methods import Method
from lfp_snn.methods.base import Criterion
from lfp_snn.models import calibrate
from lfp_snn.neurons import SpikingNeuron, keep_membranes
from lfp_snn.propagation import LFP
from lfp_snn.rewards import Homeostasis, Reward
from lfp_snn.training import choices
from lfp_snn.training.config import Config, EncoderConfig, OptimizerConfig, RuleConfig, ScheduleConfig
from lfp_snn.training.seeding import seed_all


@dataclass(frozen=True)
class Task:
    """What is learned by what: everything of a run but the optimisation.

    Attributes
    ----------
    splits : Splits
        The data.
    network : nn.Module
        With fresh weights.
    reward : Criterion
        Minus the mean reward; its backward pass sends the reward itself (LFP).
    criterion : Criterion
        What the loop calls: the reward, or its differentiable twin for a method that descends on a gradient.
    lfp : LFP
        The propagator, to explain decisions with, whatever the method.
    method : Method
        How the network learns.
    steps : int or None
        Steps for which the network runs on an input without time; None if the input has time, or the network has none.
    encoder : callable or None
        Makes [T, B, ...] of pictures [B, ...].
    """

    splits: Splits
    network: nn.Module
    reward: Criterion
    criterion: Criterion
    lfp: LFP
    method: Method
    steps: int | None = None
    encoder: Callable[[Tensor], Tensor] | None = None

    @property
    def temporal(self) -> bool:
        """Whether what the network is given has a time axis, [T, B, ...]."""
        return self.splits.temporal or self.encoder is not None

    def encode(self, x: Tensor) -> Tensor:
        """Return what the network is given for a batch of data."""
        return x if self.encoder is None else self.encoder(x)

    def run(self, x: Tensor, network: nn.Module | None = None) -> Tensor:
        """Return the output [T, B, C], or [B, C] without time, of the network (or a stand-in) for an encoded batch."""
        network = self.network if network is None else network
        output: Tensor = network(x) if self.steps is None else network(x, steps=self.steps)
        return output


def build(config: Config, *, fresh: bool = True) -> Task:
    """Load the data and build the network, the reward and the propagator that a configuration names.

    Parameters
    ----------
    config : Config
        Of the run; its seed decides the weights.
    fresh : bool
        Whether to scale the weights to ``model.start_rate``. Not needed if trained ones will take their place.

    Raises
    ------
    ConfigError
        If the parts do not fit together.
    MissingDataError
        If the data set is not there.
    """
    c = config.data
    splits = data.load(c.name, c.root or None, val_fraction=c.val_fraction, seed=config.training.seed, **c.options)
    seed_all(config.training.seed)
    network: nn.Module = _call("model", config.model, splits.shape, splits.classes)
    spiking = any(isinstance(m, SpikingNeuron) for m in network.modules())
    if splits.temporal and not spiking:
        raise ConfigError(f"data set {splits.name!r} has a time axis and model {config.model.name!r} has none")
    if splits.temporal and config.encoder != EncoderConfig():
        raise ConfigError(f"data set {splits.name!r} has time steps of its own: [encoder] is for pictures")
    steps = encoder = None
    if spiking and not splits.temporal:
        if config.encoder.name == "constant":
            steps = config.encoder.steps  # the current of the first layer is then computed once
        else:
            encoder = _call("encoder", config.encoder, config.encoder.steps)
    reward = _call("reward", config.reward)
    lfp = propagator(config.rule)
    method = _method(config, lfp)
    if config.training.checkpoint_steps:
        if not (isinstance(network, Sequential) and spiking and method.pieces):
            raise ConfigError(
                f"model {config.model.name} with method {config.method.name} does not take time in pieces: set "
                "training.checkpoint_steps = 0"
            )
        if reason := needs_all_steps(network):
            raise ConfigError(f"{reason}: set training.checkpoint_steps = 0")
        network.checkpoint_steps = config.training.checkpoint_steps
    if config.training.membranes != "full":
        if not spiking:
            raise ConfigError(f"model {config.model.name!r} has no membranes: set training.membranes = 'full'")
        keep_membranes(network, "bfloat16")
    if not method.takes_reward and type(reward).loss is Reward.loss:
        raise ConfigError(
            f"method {config.method.name} descends a loss, which reward {config.reward.name!r} has no counterpart of: "
            "choose another reward.name (softmax, rate-softmax)"
        )
    criterion = reward if method.takes_reward else reward.loss
    task = Task(splits, network, reward, criterion, lfp, method, steps, encoder)
    if fresh and config.model.start_rate and isinstance(network, Sequential):
        size = len(splits.train)
        some = splits.train.__getitems__(list(range(0, size, -(-size // 64)))).x
        calibrate(network, task.encode(some), config.model.start_rate, steps=steps)
    return task


def _method(config: Config, lfp: LFP) -> Method:
    """Build the method, with what it wants of the rest of the configuration."""
    wanted = inspect.signature(choices.builder("method", config.method.name)).parameters
    supplied = {"lfp": lfp, "homeostasis": lfp.homeostasis, "seed": config.training.seed}
    built: Method = _call("method", config.method, **{k: v for k, v in supplied.items() if k in wanted})
    if built.own_loop and (config.training.devices > 1 or config.training.precision not in ("32", "64")):
        raise ConfigError(
            f"method {config.method.name} runs the network step by step, which goes with neither several processes nor "
            "mixed precision: set training.devices = 1 and training.precision = 32"
        )
    return built


def propagator(config: RuleConfig) -> LFP:
    """Build the propagator."""
    if config.rate_low > config.rate_high:
        raise ConfigError(f"rule.rate_low {config.rate_low} is above rule.rate_high {config.rate_high}")
    rates = Homeostasis(config.rate_low, config.rate_high, config.homeostasis) if config.homeostasis else None
    layers = 0.0 if config.name == "zero" else config.epsilon  # the zero rule is the one without a stabiliser
    return LFP(
        epsilon=config.epsilon,
        rule=_call("rule", config, epsilon=layers),
        sharing=config.sharing,
        scale_floor=config.scale_floor,
        homeostasis=rates,
        keep_feedback=False,
    )


def optimizer(config: OptimizerConfig, network: nn.Module, *, fuse: bool = True) -> Optimizer:
    """Build the optimiser of a network's parameters.

    Parameters
    ----------
    config : OptimizerConfig
        Its name and options.
    network : nn.Module
        Whose parameters it changes.
    fuse : bool
        Whether to take torch's fused implementation where there is one and the options do not choose: the step of
        Adam is then two to three times as fast on a CPU, too.
    """
    choosing = {"fused", "foreach", "differentiable"} & config.options.keys()
    fused = {"fused": True} if fuse and not choosing and "fused" in choices.arguments("optimizer", config.name) else {}
    built: Optimizer = _call("optimizer", config, network.parameters(), lr=config.lr, **fused)
    return built


def scheduler(config: ScheduleConfig, target: Optimizer, steps: int) -> LRScheduler:
    """Build the schedule of an optimiser that will make so many steps."""
    built: LRScheduler = _call("schedule", config, target, steps)
    return built


def _call(section: str, config: Any, *supplied: Any, **more: Any) -> Any:
    """Call what a section names; what it refuses is an error of the configuration."""
    try:
        return choices.builder(section, config.name)(*supplied, **more, **config.options)
    except ConfigError:
        raise
    except (TypeError, ValueError) as e:
        raise ConfigError(f"[{section}] {config.name} refuses {config.options or 'its arguments'}: {e}") from e
