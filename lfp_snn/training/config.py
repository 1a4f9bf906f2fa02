"""The configuration of a run: typed, frozen, read from TOML, changed from the command line.

A `Config` has nine sections. All but the last *name* something (a data set, a model, an encoder, a method, a rule, a
reward, an optimiser, a schedule) and carry, next to their own fields, the keyword arguments of what they name:

.. code-block:: toml

    [model]
    name = "lif-mlp"
    start_rate = 0.1    # a field of the section
    hidden = [1000]     # an argument of the model "lif-mlp"

Layers are put on top of each other with `apply`: defaults, then a preset, then a file, then the command line. Every
layer is checked when it is applied: an unknown key or a value of the wrong type is a `ConfigError` that names the
layer, the key and what was expected.
"""

from __future__ import annotations

import dataclasses
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from lfp_snn.errors import ConfigError, suggest
from lfp_snn.rules import SHARINGS
from lfp_snn.training import choices
from lfp_snn.training.values import conform, describe


def option(default: Any, text: str, *, least: float | None = None, most: float | None = None, among: Any = ()) -> Any:
    """Make a field of a section: its default, its help text, and the values it may have."""
    return field(default=default, metadata={"help": text, "least": least, "most": most, "among": tuple(among)})


def options(text: str) -> Any:
    """Make the field that holds the keyword arguments of what a section names."""
    return field(default_factory=dict, metadata={"help": text})


@dataclass(frozen=True)
class DataConfig:
    """Which examples, and how they are batched; other keys are options of the data set."""

    name: str = option("event-digits", "data set (lfp-snn data list)")
    root: str = option("", 'folder of the data sets; "" is $LFP_SNN_DATA')
    val_fraction: float = option(0.1, "share of the training set kept for validation", least=0.01, most=0.9)
    batch_size: int = option(32, "examples a step, over all processes", least=1)
    workers: int = option(0, "processes that load data next to the training", least=0)
    options: dict[str, Any] = options("keyword arguments of the data set")


@dataclass(frozen=True)
class ModelConfig:
    """The network; other keys are arguments of the model's builder."""

    name: str = option("lif-mlp", "model (lfp_snn.models.MODELS)")
    start_rate: float = option(0.1, "spikes a step to which fresh weights are scaled; 0: not at all", least=0, most=0.9)
    options: dict[str, Any] = options("keyword arguments of the model's builder")


@dataclass(frozen=True)
class EncoderConfig:
    """How a picture is shown to a spiking network (data with time of their own are not encoded); other keys are its."""

    name: str = option("constant", "code (lfp_snn.data.ENCODERS)")
    steps: int = option(1, "time steps for which a picture is shown", least=1)
    options: dict[str, Any] = options("keyword arguments of the encoder")


@dataclass(frozen=True)
class MethodConfig:
    """How the network learns; other keys are arguments of the method."""

    name: str = option("lfp", "feedback propagation, or a baseline (lfp_snn.methods.METHODS)")
    options: dict[str, Any] = options("keyword arguments of the method")


@dataclass(frozen=True)
class RuleConfig:
    """How LFP's reward travels back; other keys are fields of the layers' rule."""

    name: str = option("epsilon", "how layers share reward (lfp_snn.rules.RULES)")
    sharing: str = option("reference", "how spiking neurons share reward", among=SHARINGS)
    epsilon: float = option(1e-6, "stabiliser of both", least=0)
    scale_floor: float = option(0.0, "least |w| that scales a parameter's feedback; 0: as in the paper", least=0)
    homeostasis: float = option(0.0, "strength of the reward for hidden rates within bounds; 0: none", least=0)
    rate_low: float = option(0.01, "hidden neurons that fire less are told to fire, in spikes a step", least=0, most=1)
    rate_high: float = option(0.2, "hidden neurons that fire more are told to be silent", least=0, most=1)
    options: dict[str, Any] = options("fields of the layers' rule")


@dataclass(frozen=True)
class RewardConfig:
    """What is rewarded; other keys are arguments of the reward."""

    name: str = option("rate", "reward (lfp_snn.rewards.REWARDS)")
    options: dict[str, Any] = options("keyword arguments of the reward")


@dataclass(frozen=True)
class OptimizerConfig:
    """Any optimiser of torch.optim; other keys are its arguments."""

    name: str = option("Adam", "class of torch.optim")
    lr: float = option(1e-3, "learning rate (the peak, where the schedule varies it)", least=0)
    options: dict[str, Any] = options("keyword arguments of the optimiser")


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes; other keys are arguments of the schedule."""

    name: str = option("one-cycle", "schedule (lfp_snn.training.schedules.SCHEDULES)")
    options: dict[str, Any] = options("keyword arguments of the schedule")


@dataclass(frozen=True)
class TrainingConfig:
    """The loop."""

    epochs: int = option(10, "passes over the training set", least=0)
    seed: int = option(0, "seed of weights, order, augmentation and validation split", least=0)
    accumulate: int = option(1, "batches whose feedback is summed before a step", least=1)
    clip_norm: float = option(0.0, "largest norm of the feedback of all parameters; 0: no clipping", least=0)
    checkpoint_steps: int = option(0, "steps kept at a time, the others are computed again; 0: all", least=0)
    membranes: str = option("full", "how membranes are kept for the backward pass", among=("full", "bfloat16"))
    patience: int = option(0, "stop after so many epochs without a better validation accuracy; 0: never", least=0)
    accelerator: str = option("auto", "where to compute", among=("auto", "cpu", "gpu"))
    devices: int = option(1, "processes (CPU) or GPUs; more than one trains with DDP", least=1)
    precision: str = option("32", "arithmetic", among=("32", "64", "16-mixed", "bf16-mixed"))
    deterministic: bool = option(True, "the same numbers on every run with the same seed, where torch can")
    sample_every: int = option(20, "batches between two looks at firing rates during training", least=1)
    figures: bool = option(True, "draw figures at the end")
    tensorboard: bool = option(False, "also write TensorBoard logs (extra: tensorboard)")


@dataclass(frozen=True)
class Config:
    """All of a run.

    Examples
    --------
    >>> config = apply(Config(), {"training": {"epochs": 3}, "optimizer": {"weight_decay": 0.1}})
    >>> config.training.epochs, config.optimizer.options
    (3, {'weight_decay': 0.1})
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    rule: RuleConfig = field(default_factory=RuleConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain tables, as TOML has them: a section's options lie beside its fields."""
        tables: dict[str, dict[str, Any]] = {}
        for name, section in dataclasses.asdict(self).items():
            options = section.pop("options", {})
            tables[name] = {**section, **options}
        return tables

    def to_toml(self) -> str:
        """Return the configuration as TOML, every field with a comment that says what it is."""
        lines: list[str] = []
        for section in dataclasses.fields(self):
            value = getattr(self, section.name)
            lines += [f"# {type(value).__doc__}", f"[{section.name}]"]
            for f in dataclasses.fields(value):
                if f.name != "options":
                    among = f" ({', '.join(f.metadata['among'])})" if f.metadata["among"] else ""
                    lines.append(f"{_entry(f.name, getattr(value, f.name)):<32}# {f.metadata['help']}{among}")
            if hasattr(value, "options"):
                lines += [_entry(k, v) for k, v in value.options.items() if v is not None]
                lines += _unused(section.name, value)
            lines.append("")
        return "\n".join(lines)


def _entry(key: str, value: Any) -> str:
    """Return ``key = value`` in TOML; a table stays on its line."""
    if isinstance(value, Mapping):
        return f"{key} = {{ {', '.join(_entry(k, v) for k, v in value.items())} }}"
    return tomli_w.dumps({key: value}).rstrip("\n")


def _unused(section: str, value: Any) -> list[str]:
    """Return a comment with the options that the named thing has besides those given."""
    known = choices.arguments(section, value.name)
    free = [f"{k} ({describe(hint)})" for k, hint in known.items() if k != "**" and k not in value.options]
    text = f"{value.name} also takes: {', '.join(free)}"
    return textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="#   ") if free else []


def apply(config: Config, layer: Mapping[str, Any], source: str = "configuration") -> Config:
    """Return `config` with the values of `layer` in place of its own.

    Where a section of the layer names another thing (another model, say), the options that the old one had are kept if
    the new one has them too, and dropped otherwise.

    Parameters
    ----------
    config : Config
        What is below.
    layer : mapping
        Section -> key -> value, from TOML or from the command line.
    source : str
        Where the layer comes from, for the error messages.

    Raises
    ------
    ConfigError
        For an unknown section or key, a value of the wrong type or outside its range, an unknown name.
    """
    names = [f.name for f in dataclasses.fields(config)]
    for name, values in layer.items():
        if name not in names:
            raise ConfigError(f"{source}: {suggest(name, names, 'section')}")
        if not isinstance(values, Mapping):
            raise ConfigError(f"{source}: {name} is a section: write [{name}] and a key, or --{name}.KEY VALUE")
    changed = {name: _apply_section(name, getattr(config, name), values, source) for name, values in layer.items()}
    return dataclasses.replace(config, **changed)


def _apply_section(section: str, old: Any, values: Mapping[str, Any], source: str) -> Any:
    """Apply the values of one section, the name first because the other keys depend on it."""
    hints = get_type_hints(type(old))
    fields = {f.name: f for f in dataclasses.fields(old) if f.name != "options"}
    chosen: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    known: Mapping[str, Any] = {}
    where = f"{source}: [{section}]"
    if "options" in hints:
        name = _checked(where, "name", values.get("name", old.name), str, fields["name"])
        try:
            known = choices.arguments(section, name)
        except ConfigError as e:
            raise ConfigError(f"{where} {e}") from None
        extra = {k: v for k, v in old.options.items() if k in known or "**" in known}
    for key, value in values.items():
        if key in fields:
            chosen[key] = _checked(where, key, value, hints[key], fields[key])
        elif key in known or "**" in known:
            extra[key] = _checked(where, key, value, known.get(key, Any), None)
        else:
            raise ConfigError(f"{where} {suggest(key, [*fields, *known], 'key')}")
    if "options" in hints:
        chosen["options"] = extra
    return dataclasses.replace(old, **chosen)


def _checked(where: str, key: str, value: Any, hint: Any, f: dataclasses.Field[Any] | None) -> Any:
    """Return the value of a key in its type, if it may have it."""
    try:
        value = conform(value, hint)
    except TypeError as e:
        raise ConfigError(f"{where} {key}: {e}") from None
    if f is None:
        return value
    least, most, among = (f.metadata.get(k) for k in ("least", "most", "among"))
    if among and value not in among:
        raise ConfigError(f"{where} {key}: {suggest(value, among, 'value')}")
    # Written so that NaN is refused too.
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{where} {key}: must be {bounds}, got {value}")
    return value


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file as a layer for `apply`.

    Raises
    ------
    ConfigError
        If the file is missing or is not TOML.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"cannot read the configuration file {path}: {e.strerror or e}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} is not valid TOML: {e}") from e


def load_config(path: str | Path) -> Config:
    """Read a whole configuration, such as a run's ``config.toml``; what it leaves out has its default."""
    return apply(Config(), read_toml(path), str(path))
