"""``lfp-snn train``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from lfp_snn.cli.options import dotted
from lfp_snn.cli.process import first_process
from lfp_snn.errors import ConfigError, suggest
from lfp_snn.rules import RULES, SHARINGS
from lfp_snn.training import presets, resume
from lfp_snn.training import train as run
from lfp_snn.training.choices import REGISTRIES
from lfp_snn.training.config import Config, apply, read_toml
from lfp_snn.training.run_folder import default_path

WHAT = Group("What to train", sort_key=1)
HOW = Group("How long, where", sort_key=2)

HANDY = ["preset", "config", "data", "model", "rule", "method", "epochs", "seed"]
HANDY += ["out", "resume", "devices", "data-root", "dry-run"]
_RULE = "How layers or spiking neurons share their reward"


def _known(text: str, names: Iterable[str]) -> str:
    """Word the help of an option that takes a name."""
    return f"{text}: {', '.join(names)}."


def _kind_of_rule(name: str | None) -> str:
    """Return the key that a rule's name belongs to: layers and neurons have different rules."""
    if name is not None and name not in RULES and name not in SHARINGS:
        raise ConfigError(suggest(name, [*RULES, *SHARINGS], "rule"))
    return "sharing" if name in SHARINGS else "name"


def train(
    *more: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    preset: Annotated[str | None, Parameter(group=WHAT, help=_known("A ready configuration", presets.names()))] = None,
    config: Annotated[Path | None, Parameter(group=WHAT)] = None,
    data: Annotated[str | None, Parameter(group=WHAT)] = None,
    model: Annotated[str | None, Parameter(group=WHAT, help=_known("Network", REGISTRIES["model"]))] = None,
    rule: Annotated[str | None, Parameter(group=WHAT, help=_known(_RULE, [*RULES, *SHARINGS]))] = None,
    method: Annotated[str | None, Parameter(group=WHAT, help=_known("Way to learn", REGISTRIES["method"]))] = None,
    epochs: Annotated[int | None, Parameter(group=HOW)] = None,
    seed: Annotated[int | None, Parameter(group=HOW)] = None,
    out: Annotated[Path | None, Parameter(group=HOW)] = None,
    resume_run: Annotated[Path | None, Parameter(name="--resume", group=HOW)] = None,
    devices: Annotated[int | None, Parameter(group=HOW)] = None,
    data_root: Annotated[str | None, Parameter(group=HOW)] = None,
    dry_run: Annotated[bool, Parameter(group=HOW, negative=())] = False,
) -> None:
    """Train a network and write a run folder: configuration, metrics, checkpoints, figures.

    Without options it trains the preset `event-digits`. Every key of the configuration is an option too, written with
    a dot; `--dry-run` lists them all, each with what it means. Later layers win: defaults, preset, file, options.

    For example:

        lfp-snn train

        lfp-snn train --preset mnist-mlp --epochs 3 --seed 1

        lfp-snn train --preset nmnist-cnn --data-root ~/data --optimizer.lr 0.002 --model.neuron_options.beta 0.8

        lfp-snn train --config mine.toml --method surrogate --out runs/baseline

        lfp-snn train --resume runs/event-digits/20260101-120000-seed0

    Parameters
    ----------
    config
        A TOML file with the keys that `--dry-run` shows.
    data
        Data set; see `lfp-snn data list`.
    epochs
        Passes over the training set.
    seed
        Of weights, order, augmentation and the validation split.
    out
        Folder of the run, new or empty. Default: runs/PRESET/TIME-seedK.
    resume_run
        Go on with an interrupted run in its folder, to the same numbers as without the break.
    devices
        Processes on the CPU, or GPUs.
    data_root
        Folder of the data sets. Default: $LFP_SNN_DATA.
    dry_run
        Print the whole configuration as TOML and do nothing.
    """
    # The options without a dot that stand for one with a dot.
    short = {
        "data.name": data,
        "model.name": model,
        f"rule.{_kind_of_rule(rule)}": rule,
        "method.name": method,
        "training.epochs": epochs,
        "training.seed": seed,
        "training.devices": devices,
        "data.root": data_root,
    }
    given = {name: value for name, value in short.items() if value is not None}
    if resume_run is not None:
        others = {"--preset": preset, "--config": config, "--out": out, "--dry-run": dry_run or None}
        asked = [name for name, value in others.items() if value is not None] + [f"--{name}" for name in given]
        if asked := [*asked, *(token for token in more if token.startswith("--"))]:
            raise ConfigError(f"a resumed run keeps its configuration: drop {', '.join(asked)}, or start a new run")
        result = resume(resume_run)
    else:
        layer = dotted(more, [f"--{name}" for name in HANDY])
        for name, value in given.items():
            section, _, key = name.partition(".")
            layer.setdefault(section, {})[key] = value
        chosen, label = resolve(preset, config, layer)
        if dry_run:
            print(chosen.to_toml())
            return
        result = run(chosen, out or default_path(chosen, label))
    if first_process():
        print(f"test accuracy {100 * result['test_accuracy']:.2f} %   {result['folder']}")


def resolve(preset: str | None, file: Path | None, layer: dict[str, Any]) -> tuple[Config, str]:
    """Put the layers of a configuration on top of each other: defaults, preset, file, command line.

    Parameters
    ----------
    preset : str, optional
        Its name. Without a preset, a file or another data set, it is ``event-digits``.
    file : path, optional
        A TOML file.
    layer : dict
        From the command line.

    Returns
    -------
    tuple of Config, str
        The configuration, and a label for the default folder.

    Raises
    ------
    ConfigError
        For anything wrong in one of the layers.

    Examples
    --------
    >>> config, label = resolve(None, None, {"training": {"epochs": 2}})
    >>> config.data.name, config.training.epochs, label
    ('event-digits', 2, 'event-digits')
    """
    if preset is None and file is None and "name" not in layer.get("data", {}):
        preset = "event-digits"
    config = Config()
    if preset is not None:
        config = apply(config, presets.read(preset), f"preset {preset}")
    if file is not None:
        config = apply(config, read_toml(file), str(file))
    config = apply(config, layer, "command line")
    return config, preset or (file.stem if file else config.data.name)
