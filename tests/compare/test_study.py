"""Studies: what they mean, what they refuse, and that the resolved one means the same."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lfp_snn.compare.study import Study
from lfp_snn.errors import ConfigError

FULL: dict[str, Any] = {
    "title": "LFP and its controls",
    "seeds": 2,
    "methods": ["lfp", "attached"],
    "workers": 3,
    "tune": {"trials": 4, "epochs": 2},
    "measure": {"prune": [0.25]},
    "method": {
        "attached": {"name": "surrogate", "attach_reset": True, "training": {"clip_norm": 1.0}},
    },
    "network": {
        "event-digits": {"training": {"epochs": 3}, "optimizer": {"lr": 0.005}},
        "mine": {"preset": "mnist-mlp", "seeds": [7, 3], "methods": ["surrogate"], "tune": {"trials": 0}},
    },
}


def full(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FULL), **changes}


def test_resolves_networks_methods_and_seeds() -> None:
    study = Study.of(FULL)
    digits, mine = study.networks
    assert (digits.label, digits.methods, digits.seeds) == ("event-digits", ("lfp", "attached"), (0, 1))
    assert (mine.label, mine.methods, mine.seeds) == ("mine", ("surrogate",), (7, 3))
    assert (digits.tune.trials, digits.tune.epochs, mine.tune.trials, mine.tune.epochs) == (4, 2, 0, 2)
    assert (study.title, study.workers, study.measure.prune) == ("LFP and its controls", 3, (0.25,))

    config = study.config(digits, "attached", 1)
    assert (config.data.name, config.model.options["hidden"]) == ("event-digits", [512])
    assert (config.method.name, config.method.options["attach_reset"]) == ("surrogate", True)
    assert (config.training.epochs, config.training.seed, config.training.clip_norm) == (3, 1, 1.0)
    assert config.optimizer.lr == 0.005
    assert not config.training.figures
    config = study.config(digits, "lfp", 0)
    assert (config.method.name, config.method.options, config.training.clip_norm) == ("lfp", {}, 0.0)


def test_every_network_gets_a_seed_before_any_gets_two() -> None:
    order = [(network.label, method, seed) for network, method, seed in Study.of(FULL).runs()]
    assert order == [
        ("event-digits", "lfp", 0),
        ("event-digits", "attached", 0),
        ("mine", "surrogate", 7),
        ("event-digits", "lfp", 1),
        ("event-digits", "attached", 1),
        ("mine", "surrogate", 3),
    ]


def test_the_resolved_study_is_the_same_study() -> None:
    text = Study.of(FULL).to_toml()
    again = Study.of(tomllib.loads(text))
    assert again == Study.of(FULL)
    assert again.to_toml() == text


def test_options_win_for_all_networks() -> None:
    above = {"training": {"epochs": 9}}
    study = Study.of(FULL, above=above, seeds=[5], methods=["lfp"], workers=1, tune={"trials": 1, "epochs": 8})
    assert [(n.label, n.seeds, n.methods) for n in study.networks] == [
        ("event-digits", (5,), ("lfp",)),
        ("mine", (5,), ("lfp",)),
    ]
    assert {n.config.training.epochs for n in study.networks} == {9}
    assert {(n.tune.trials, n.tune.epochs) for n in study.networks} == {(1, 8)}
    assert study.workers == 1


def test_a_method_keeps_the_options_that_the_network_gives_it() -> None:
    network = {"preset": "event-digits", "method": {"name": "surrogate", "surrogate": "triangle"}}
    study = Study.of({"methods": ["scaled-gradient"], "network": {"n": network}})
    method = study.config(study.networks[0], "scaled-gradient", 0).method
    assert (method.name, method.options) == ("scaled-gradient", {"surrogate": "triangle"})


def test_reads_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('[data]\nname = "digits"\n[training]\nepochs = 7\n')
    (tmp_path / "study.toml").write_text('[network.n]\nfile = "base.toml"\noptimizer = { lr = 0.5 }\n')
    (network,) = Study.read(tmp_path / "study.toml").networks
    assert (network.config.data.name, network.config.training.epochs, network.config.optimizer.lr) == ("digits", 7, 0.5)


def one(**keys: Any) -> dict[str, Any]:
    return {"network": {"event-digits": keys}}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": (full(seed=3), "study: unknown key 'seed': did you mean 'seeds'?"),
    "no networks": ({"seeds": 2}, "there is no network: write a table [network.NAME]"),
    "unknown preset": (
        {"network": {"n": {"preset": "mnist-mpl"}}},
        "unknown preset 'mnist-mpl': did you mean 'mnist-mlp'",
    ),
    "neither preset nor data": ({"network": {"n": {}}}, 'study: [network.n] needs a preset = "NAME"'),
    "unknown method": (full(methods=["lpf"]), "[network.event-digits] unknown method 'lpf': did you mean 'lfp'"),
    "unknown label": (full(methods=["atached"]), "unknown method 'atached': did you mean 'attached'"),
    "method of a network": (one(methods=["lpf"]), "[network.event-digits] unknown method 'lpf'"),
    "label without a name": (full(method={"mine": {"slope": 1.0}}), "[method.mine] unknown method 'mine'"),
    "method twice": (full(methods=["lfp", "lfp"]), "methods: there must be one at least, each only once"),
    "no methods": (full(methods=[]), "methods: there must be one at least"),
    "option of a method": (
        full(method={"attached": {"name": "surrogate", "atach_reset": True}}),
        "method attached of network event-digits: [method] unknown key 'atach_reset': did you mean 'attach_reset'",
    ),
    "seed twice": (full(seeds=[1, 2, 1]), "seeds: a number of at least 1, or a list of different ones, got [1, 2, 1]"),
    "no seeds": (full(seeds=0), "seeds: a number of at least 1"),
    "negative seed": (full(seeds=[-1]), "seeds: a number of at least 1, or a list of different ones"),
    "seeds in words": (full(seeds="three"), "study: seeds: expected an integer or a list of integers, got 'three'"),
    "negative trials": (full(tune={"trials": -1}), "tune trials: must be at least 0, got -1"),
    "seed of the search": (full(seeds=[1000]), "tune: seed 1000 is one of the study's own seeds"),
    "unknown key of the search": (full(tune={"trial": 3}), "tune unknown key 'trial': did you mean 'trials'"),
    "search is no table": (full(tune=3), "study: tune is a table, got 3"),
    "no workers": (full(workers=0), "study: workers: must be at least 1, got 0"),
    "prune all": (full(measure={"prune": [1.0]}), "[measure] prune: shares are from 0 to below 1"),
    "unknown key of a network": (one(modle={}), "[network.event-digits] unknown key 'modle': did you mean 'model'"),
    "unknown key of a section": (one(model={"hiden": [3]}), "[network.event-digits]: [model] unknown key 'hiden'"),
    "network is no table": ({"network": {"n": 3}}, "[network.n] is a table, got 3"),
    "name of no folder": ({"network": {"a/b": {"preset": "event-digits"}}}, "a name is made of letters, digits"),
    "several processes": (one(training={"devices": 2}), "training.devices: a run has one process here"),
    "nothing to tune": (
        {**one(optimizer={"lr": 0.0}), "tune": {"trials": 2}},
        "[network.event-digits] optimizer.lr: 0 cannot be tuned",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_says_what_is_wrong(case: str) -> None:
    table, message = WRONG[case]
    with pytest.raises(ConfigError) as error:
        Study.of(table)
    assert message in str(error.value)
