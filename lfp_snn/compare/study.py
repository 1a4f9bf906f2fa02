"""What is compared: networks x methods x seeds, read from TOML.

.. code-block:: toml

    title = "LFP and its controls"
    seeds = 3                               # 0, 1, 2; or a list
    methods = ["lfp", "surrogate", "attached"]
    workers = 2

    [tune]                                  # the learning rate of every network and method, the same budget for all
    trials = 5
    epochs = 3

    [method.attached]                       # a method with options, under a name of its own
    name = "surrogate"
    attach_reset = true
    training = { clip_norm = 1.0 }          # it may change sections of the configuration too

    [network.small]                         # a preset and/or a file, changed by sections of the configuration
    preset = "mnist-mlp"
    model = { hidden = [256] }
    seeds = 5                               # methods, seeds and tune may differ from those of the study
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from lfp_snn.compare.layers import SECTIONS, fill, known_keys, plain_toml, resolve
from lfp_snn.errors import ConfigError, suggest
from lfp_snn.methods import METHODS
from lfp_snn.training import presets
from lfp_snn.training.config import Config, apply, option, read_toml


@dataclass(frozen=True)
class TuneConfig:
    """How the learning rate of a network and a method is searched, on the validation split."""

    trials: int = option(0, "learning rates that are tried; 0: the network's own is taken", least=0)
    epochs: int = option(3, "length of a trial", least=1)
    span: float = option(10.0, "searched between lr / span and lr * span", least=1)
    seed: int = option(1000, "seed of all trials; none of the study's", least=0)


@dataclass(frozen=True)
class MeasureConfig:
    """What is measured after training."""

    prune: tuple[float, ...] = option((0.5, 0.8, 0.9, 0.95), "shares of the weights that are pruned")


@dataclass(frozen=True)
class Network:
    """One network on one data set.

    Attributes
    ----------
    label : str
        Its name in the study.
    config : Config
        All of it but the method and the seed.
    methods : tuple of str
        The labels of the methods by which it is trained.
    seeds : tuple of int
        Of its runs.
    tune : TuneConfig
        How its learning rates are searched.
    """

    label: str
    config: Config
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    tune: TuneConfig


@dataclass(frozen=True)
class _Head:
    """The fields of a study that are not tables."""

    title: str = option("", "heading of the report")
    seeds: int | list[int] = option(3, "a number of seeds, or a list of them")
    methods: list[str] = option(("lfp", "surrogate", "scaled-gradient"), "what is compared")
    workers: int = option(1, "runs at a time", least=1)


@dataclass(frozen=True)
class Study:
    """A comparison.

    Attributes
    ----------
    title : str
        Heading of the report.
    workers : int
        Runs at a time.
    methods : dict
        Label of a method -> layer of configuration.
    networks : tuple of Network
        What is trained.
    measure : MeasureConfig
        What is measured.

    Examples
    --------
    >>> study = Study.of({"methods": ["lfp", "surrogate"], "seeds": 2, "network": {"event-digits": {}}})
    >>> [(network.label, method, seed) for network, method, seed in study.runs()][:3]
    [('event-digits', 'lfp', 0), ('event-digits', 'surrogate', 0), ('event-digits', 'lfp', 1)]
    """

    title: str
    workers: int
    methods: Mapping[str, Mapping[str, Any]]
    networks: tuple[Network, ...]
    measure: MeasureConfig

    @classmethod
    def read(cls, path: str | Path, above: Mapping[str, Any] | None = None, **changes: Any) -> Study:
        """Read a study from a TOML file; `above` and `changes` as for `of`."""
        return cls.of(read_toml(path), str(path), Path(path).parent, above, **changes)

    @classmethod
    def of(
        cls,
        table: Mapping[str, Any],
        source: str = "study",
        folder: Path | None = None,
        above: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Study:
        """Make a study of a table as TOML has it.

        Parameters
        ----------
        table : mapping
            See the head of this module.
        source : str
            Where it comes from, for the error messages.
        folder : path, optional
            What the paths of files in it are relative to. Default: the working directory.
        above : mapping, optional
            Sections of the configuration that are put on top of every network's.
        **changes
            ``title``, ``workers``, ``seeds``, ``methods`` and ``tune``, in place of the table's and its networks'.

        Raises
        ------
        ConfigError
            For anything that is unknown, of the wrong type or contradictory.
        """
        head_fields = [f.name for f in dataclasses.fields(_Head)]
        known_keys(table, [*head_fields, "tune", "measure", "method", "network"], f"{source}:")
        tune_changes = changes.pop("tune", {})
        table = {**table, **changes, "tune": {**_table(table, "tune", source), **tune_changes}}
        head = fill(_Head(), {k: v for k, v in table.items() if k in head_fields}, f"{source}:")
        labels = _methods(_table(table, "method", source), source)
        networks = []
        for label, given in _table(table, "network", source).items():
            where = f"{source}: [network.{label}]"
            if not isinstance(given, Mapping):
                raise ConfigError(f"{where} is a table, got {given!r}")
            common = {k: v for k, v in changes.items() if k in ("methods", "seeds")}
            own = {**given, **common, "tune": {**table["tune"], **_table(given, "tune", where), **tune_changes}}
            networks.append(_network(label, own, head, labels, where, folder or Path(), above or {}))
        if not networks:
            raise ConfigError(f"{source}: there is no network: write a table [network.NAME]")
        used = {m: labels.get(m, {"method": {"name": m}}) for n in networks for m in n.methods}
        measure = fill(MeasureConfig(), table.get("measure", {}), f"{source}: [measure]")
        if any(not 0 <= share < 1 for share in measure.prune):
            raise ConfigError(f"{source}: [measure] prune: shares are from 0 to below 1, got {list(measure.prune)}")
        study = cls(head.title, head.workers, used, tuple(networks), measure)
        for network in networks:
            for method in network.methods:
                config = study.config(network, method, network.seeds[0])
                if network.tune.trials and not config.optimizer.lr > 0:
                    raise ConfigError(f"{source}: [network.{network.label}] optimizer.lr: 0 cannot be tuned")
        return study

    def config(self, network: Network, method: str, seed: int) -> Config:
        """Return the configuration of a run."""
        config = apply(network.config, self.methods[method], f"method {method} of network {network.label}")
        return apply(config, {"training": {"seed": seed, "figures": False}})

    def runs(self) -> Iterator[tuple[Network, str, int]]:
        """Yield (network, method, seed) in the order of the work: all networks and methods once, then once more."""
        for k in range(max(len(n.seeds) for n in self.networks)):
            for network in self.networks:
                for method in network.methods:
                    if k < len(network.seeds):
                        yield network, method, network.seeds[k]

    def to_toml(self) -> str:
        """Return the study as TOML, with everything that was resolved; it reads as the same study."""
        networks = {
            n.label: {
                "methods": n.methods,
                "seeds": n.seeds,
                "tune": dataclasses.asdict(n.tune),
                **n.config.to_dict(),
            }
            for n in self.networks
        }
        table = {
            "title": self.title,
            "workers": self.workers,
            "seeds": list(dict.fromkeys(s for n in self.networks for s in n.seeds)),
            "methods": list(self.methods),
            "measure": dataclasses.asdict(self.measure),
            "method": {k: {**layer, **layer["method"], "method": None} for k, layer in self.methods.items()},
            "network": networks,
        }
        return tomli_w.dumps(plain_toml(table))


def _table(table: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return a table in a table."""
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: {key} is a table, got {found!r}")
    return found


def _methods(tables: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """Return the layer of configuration of each method that has a table: [method], and what else it changes."""
    layers = {}
    for label, given in tables.items():
        where = f"{source}: [method.{label}]"
        _label(label, where)
        if not isinstance(given, Mapping):
            raise ConfigError(f"{where} is a table, got {given!r}")
        name = given.get("name", label)
        if name not in METHODS:
            raise ConfigError(f"{where} {suggest(name, METHODS, 'method')}")
        sections = {k: v for k, v in given.items() if k in SECTIONS and isinstance(v, Mapping)}
        own = {k: v for k, v in given.items() if k not in sections}
        layers[label] = {**sections, "method": {"name": name, **own}}
    return layers


def _network(
    label: str,
    table: Mapping[str, Any],
    head: _Head,
    labels: Mapping[str, Any],
    where: str,
    folder: Path,
    above: Mapping[str, Any],
) -> Network:
    """Make a network of its table."""
    _label(label, where)
    known_keys(table, ["preset", "file", "methods", "seeds", "tune", *SECTIONS], where)
    own = fill(head, {k: table[k] for k in ("methods", "seeds") if k in table}, where)
    for method in own.methods:
        if method not in labels and method not in METHODS:
            raise ConfigError(f"{where} {suggest(method, [*METHODS, *labels], 'method')}")
    if not own.methods or len(set(own.methods)) < len(own.methods):
        raise ConfigError(f"{where} methods: there must be one at least, each only once, got {list(own.methods)}")
    seeds = tuple(range(own.seeds)) if isinstance(own.seeds, int) else tuple(own.seeds)
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ConfigError(f"{where} seeds: a number of at least 1, or a list of different ones, got {own.seeds}")
    tune = fill(TuneConfig(), table["tune"], f"{where} tune")
    if tune.trials and tune.seed in seeds:
        raise ConfigError(f"{where} tune: seed {tune.seed} is one of the study's own seeds: choose another")
    source = {k: v for k, v in table.items() if k in ("preset", "file", *SECTIONS)}
    if not {"preset", "file", "data"} & source.keys() and label in presets.names():
        source["preset"] = label
    return Network(label, resolve(source, where, folder, above), tuple(own.methods), seeds, tune)


def _label(label: str, where: str) -> None:
    """Check that a name can be that of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", label):
        raise ConfigError(f"{where} a name is made of letters, digits and . _ + -, got {label!r}")
