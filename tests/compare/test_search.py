"""A search comes to the same values again, in whatever order its trials end, and to better values than chance."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from lfp_snn.compare.search import Search
from lfp_snn.compare.space import Choice, Range

SPACE = {"lr": Range(1e-4, 1.0, log=True), "hidden": Choice(([8], [16], [32])), "steps": Range(1, 9)}


def score(values: dict[str, Any]) -> float:
    return -abs(values["steps"] - 6) - len(str(values["hidden"])) - abs(values["lr"] - 0.03)


def search(trials: int, ahead: int = 1, shuffle: int = 0) -> list[dict[str, Any]]:
    """Search; of the trials under way, `shuffle` decides which ends first."""
    asker, chance, running = Search(SPACE, seed=3, startup=4, ahead=ahead), random.Random(shuffle), []
    while len(asker.scores) < trials:
        while asker.ready() and len(asker.values) < trials:
            running.append(len(asker.values))
            asker.ask()
        number = running.pop(chance.randrange(len(running)))
        asker.tell(number, score(asker.values[number]))
    return asker.values


@pytest.mark.parametrize("ahead", [1, 3])
def test_values_do_not_depend_on_which_trial_ends_first(ahead: int) -> None:
    first, *others = [search(12, ahead, shuffle) for shuffle in range(4)]
    assert all(values == first for values in others)
    assert all(
        v["lr"] in SPACE["lr"] and v["hidden"] in SPACE["hidden"] and v["steps"] in SPACE["steps"] for v in first
    )


def test_more_trials_begin_with_the_same_ones() -> None:
    assert search(15)[:9] == search(9)


def test_no_more_than_ahead_are_asked_for() -> None:
    asker = Search(SPACE, ahead=2)
    asker.ask(), asker.ask()
    assert not asker.ready()
    asker.tell(1, 0.5)
    assert not asker.ready()  # the third wants to know of the first
    asker.tell(0, 0.5)
    assert asker.ready()


def test_heeds_results() -> None:
    found = search(40)
    early, late = ([score(v) for v in part] for part in (found[:10], found[-10:]))
    assert sum(late) > sum(early)


def test_begins_with_the_values_that_are_given() -> None:
    first = [{"lr": 0.01, "hidden": [16], "steps": 2}, {"lr": 0.03}]
    asker = Search(SPACE, first=first)
    for k in range(2):
        asker.ask()
        asker.tell(k, 0.0)
    assert asker.values[0] == first[0]
    assert asker.values[1]["lr"] == 0.03


def test_the_first_of_equals_is_the_best() -> None:
    asker = Search(SPACE, ahead=3)
    for _ in range(3):
        asker.ask()
    for k, value in ((2, 0.7), (1, 0.7), (0, 0.1)):
        asker.tell(k, value)
    assert asker.best() == 1


def test_seeds_differ() -> None:
    drawn = [Search(SPACE, seed=seed).ask()["lr"] for seed in range(3)]
    assert all(a != b for a, b in itertools.combinations(drawn, 2))
