"""The options of a configuration that would help: which there are depends on method, reward and network."""

from __future__ import annotations

from lfp_snn.training import choices
from lfp_snn.training.config import Config


def wake(config: Config, output: bool, spiking: bool) -> tuple[str, ...]:
    """Return what brings silent units back."""
    if not spiking:
        return (_lr(config, 0.1), *_model(config, "activation", "silu"))
    options = [] if config.model.start_rate >= 0.2 else ["--model.start_rate 0.2"]
    if output:
        return (*options, *_model(config, "readout", "li"))
    return (_homeostasis(config), *options)


def calm(config: Config, output: bool) -> tuple[str, ...]:
    """Return what keeps units from firing all the time."""
    options = ["--model.start_rate 0.05"] if config.model.start_rate > 0.05 else []
    if output:
        return (*options, *_model(config, "readout", "li"))
    high = ["--rule.rate_high 0.2"] if config.rule.rate_high > 0.2 else []
    return (_homeostasis(config), *high, *options, _lr(config, 0.3))


def carry(config: Config, rewarded: bool, spiking: bool) -> tuple[str, ...]:
    """Return what brings a message further down."""
    if not rewarded:
        if "slope" in choices.arguments("method", config.method.name):
            return ("--method.slope 1", "--method.name lfp")
        return ("--method.name surrogate", "--method.name lfp") if spiking else ("--method.name lfp",)
    options = ["--rule.epsilon 1e-6"] if config.rule.epsilon > 1e-6 else []
    if spiking and config.rule.sharing != "conserving":
        options.append("--rule.sharing conserving")
    if not config.rule.scale_floor:
        options.append("--rule.scale_floor 1e-3")
    return tuple(options)


def restrain(config: Config, rewarded: bool, spiking: bool) -> tuple[str, ...]:
    """Return what keeps a message from growing."""
    options = [] if config.training.clip_norm else ["--training.clip_norm 1"]
    if rewarded:
        if spiking and config.rule.sharing != "contribution":
            options.append("--rule.sharing contribution")
        if config.rule.epsilon < 1e-3:
            options.append("--rule.epsilon 1e-3")
    return (*options, _lr(config, 0.1))


def slower(config: Config, factor: float) -> tuple[str, ...]:
    """Return what makes steps shorter by so much."""
    # Other optimisers divide by the size of the gradient: clipping does not shorten their steps.
    clip = config.optimizer.name in ("SGD", "ASGD") and not config.training.clip_norm
    return (_lr(config, factor), *(["--training.clip_norm 1"] if clip else []))


def faster(config: Config, factor: float) -> tuple[str, ...]:
    """Return what makes steps longer, by so much at most."""
    return (_lr(config, min(factor, 1000.0)),)


def reward(config: Config) -> tuple[str, ...]:
    """Return what rewards for longer."""
    name = config.reward.name
    if name == "rate":
        return ("--reward.name rate-softmax",)
    known = choices.arguments("reward", name)
    if "scale" in known:
        scale = config.reward.options.get("scale", 10.0 if name == "rate-softmax" else 1.0)
        return (f"--reward.scale {scale / 3:.1g}",)
    return ("--reward.name softmax",)


def move(config: Config) -> tuple[str, ...]:
    """Return what makes weights move that do not."""
    if not config.optimizer.lr:
        return ("--optimizer.lr 1e-3",)
    if config.method.name == "step-gradient":
        return ("--method.name surrogate", "--method.name lfp")
    if config.method.name in ("lfp", "online-lfp", "scaled-gradient") and not config.rule.scale_floor:
        return ("--rule.scale_floor 1e-3", _lr(config, 10.0))
    return (_lr(config, 10.0),)


def _lr(config: Config, factor: float) -> str:
    return f"--optimizer.lr {config.optimizer.lr * factor:.1g}"


def _homeostasis(config: Config) -> str:
    strength = config.rule.homeostasis
    return f"--rule.homeostasis {10 * strength if strength else 0.1:g}"


def _model(config: Config, key: str, value: str) -> tuple[str, ...]:
    """Return an option of the model, if it has it and another value."""
    if key not in choices.arguments("model", config.model.name) or config.model.options.get(key) == value:
        return ()
    return (f"--model.{key} {value}",)
