"""The folder of a comparison that nobody ran: curves by formula, so that what a report should say is known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

QUALITY = {"lfp": 0.97, "surrogate": 0.975, "attached": 0.95, "scaled-gradient": 0.965, "dfa": 0.9}


def write_comparison(
    out: Path,
    networks: Sequence[str] = ("mlp", "cnn"),
    methods: Sequence[str] = ("lfp", "surrogate", "attached"),
    seeds: int = 3,
    epochs: int = 4,
    tuned: bool = True,
) -> Path:
    """Write all files of a comparison that has come to its end, but the checkpoints."""
    study = {
        "title": "Digits <with> & without |time|",
        "seeds": seeds,
        "methods": list(methods),
        "workers": 2,
        "tune": {"trials": 3 if tuned else 0, "epochs": 2, "span": 10.0},
        "measure": {"prune": [0.5, 0.9]},
        "method": {"attached": {"name": "surrogate", "attach_reset": True}},
        "network": {label: {"preset": "event-digits", "training": {"epochs": epochs}} for label in networks},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "study.toml").write_text(tomli_w.dumps(study), encoding="utf-8")
    for k, network in enumerate(networks):
        for method in methods:
            for seed in range(seeds):
                write_run(out, network, method, seed, epochs, quality=QUALITY.get(method, 0.8) - 0.1 * (k % 3))
            if tuned:
                write_tuning(out, network, method)
    return out


def run_path(out: Path, network: str, method: str, seed: int) -> Path:
    return out / "runs" / network / method / f"seed{seed}"


def write_run(out: Path, network: str, method: str, seed: int, epochs: int = 4, quality: float = 0.9) -> Path:
    """Write a finished run whose test accuracy is close to `quality`."""
    folder = run_path(out, network, method, seed)
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, *network.encode(), *method.encode()])
    accuracy = quality + 0.004 * math.sin(seed) + 0.001 * float(random.standard_normal())
    slow = 1 + 0.3 * (len(method) % 4)
    rates = {"1": 0.05 + 0.01 * (len(method) % 5), "3": 0.1}
    rows = [
        {
            "epoch": k,
            "train_accuracy": accuracy,
            "seconds": slow * (1 + 0.1 * seed),
            "val_accuracy": 0.1 + (accuracy - 0.1) * (1 - math.exp(-4 * k / epochs / slow)),
            "spike_rate": {"1": rates["1"] * (1 + 1 / k), "3": 0.1},
            "dead_units": {"1": 10, "3": 0},
            "synops": 1e9 * slow,
            "participation": {"weights": 0.4, "neurons": 0.8},
        }
        for k in range(1, epochs + 1)
    ]
    (folder / "config.toml").write_text(
        tomli_w.dumps({"optimizer": {"lr": 0.002}, "method": {"name": method}, "training": {"seed": seed}}),
        encoding="utf-8",
    )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write(folder / "env.json", ENVIRONMENT)
    write(
        folder / "summary.json",
        {
            "test_accuracy": accuracy,
            "best_val_accuracy": rows[-1]["val_accuracy"],
            "best_epoch": epochs,
            "epochs": epochs,
            "train_seconds": sum(row["seconds"] for row in rows),
            "spike_rate": rates,
            "dead_units": {"1": 10, "3": 0},
            "units": {"1": 100, "3": 10},
            "class_accuracy": [accuracy] * 10,
            "parameters": 1000,
            "seed": seed,
            "memory": {"built": 1e8, "peak": 2e8},
        },
    )
    write(folder / "measures.json", measures(accuracy, slow, random))
    return folder


def measures(accuracy: float, slow: float, random: np.random.Generator) -> dict[str, Any]:
    """Return what is measured after training."""
    weights = {}
    for name, size in (("0.weight", 4000), ("2.weight", 1000)):
        counts, edges = np.histogram(0.1 * slow * random.standard_t(4, size), bins=40)
        weights[name] = {"edges": edges.tolist(), "counts": counts.tolist()}
    return {
        "synops": {
            "inference": {"effective_macs": 1000.0, "effective_acs": 24000.0, "dense": 1e5},
            "training": {"forward": 25000.0, "feedback": 50000.0 * slow, "below": 25000.0, "dense": 3e5},
        },
        "participation": {"weights": 0.4 / slow, "neurons": 0.8, "synapses": 0.05 / slow},
        "pruning": {"0.0": accuracy, "0.5": accuracy - 0.01 * slow, "0.9": accuracy / (1 + slow)},
        "weights": weights,
    }


def write_tuning(out: Path, network: str, method: str) -> Path:
    """Write a search for the learning rate, in which the largest one diverged."""
    folder = out / "tune" / network / method
    folder.mkdir(parents=True, exist_ok=True)
    best = QUALITY.get(method, 0.8)
    trials = [
        {"lr": 0.002, "val_accuracy": best - 0.01},
        {"lr": 0.006, "val_accuracy": None},
        {"lr": 0.0007, "val_accuracy": best - 0.1},
    ]
    write(folder / "tuned.json", {"lr": 0.002, "trials": trials, "epochs": 2})
    return folder / "tuned.json"


def write_failure(out: Path, network: str, method: str, seed: int, error: str) -> None:
    """Replace a run by one that diverged."""
    folder = run_path(out, network, method, seed)
    (folder / "measures.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "failed.json", {"error": error})


def write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


ENVIRONMENT = {
    "command": ["lfp-snn", "compare", "study.toml"],
    "platform": "Linux-6.1-x86_64",
    "machine": "x86_64",
    "cpus": 2,
    "gpus": [],
    "torch_threads": 1,
    "versions": {"python": "3.11.7", "lfp-snn": "0.1.0", "torch": "2.14.1", "tonic": None},
}
