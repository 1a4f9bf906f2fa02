"""A search by optuna's TPE sampler (Bergstra et al. 2011) that comes to the same values again after a break.

Nothing of the search is kept but the results of its trials. What trial k tries depends on the seed and on the results
of trials 0 ... k - ahead alone, whatever the order in which they end; so a search that is begun anew, and finds the
results of old trials in place of new ones, asks for the same values as before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lfp_snn.compare.space import Space
from lfp_snn.errors import require


class Search:
    """Ask for the values of trials, and tell how good they were.

    Parameters
    ----------
    space : mapping
        Key -> `Range` or `Choice`.
    seed : int
        Of the sampler.
    first : sequence of mapping
        Values of the first trials, in part or in whole; the sampler takes over after them.
    startup : int
        Trials (the first among them) before the sampler heeds results.
    ahead : int
        Trials that may be under way at a time.

    Raises
    ------
    MissingExtraError
        If optuna is not installed.

    Examples
    --------
    >>> from lfp_snn.compare.space import Range
    >>> search = Search({"lr": Range(0.001, 0.1, log=True)}, first=[{"lr": 0.01}])
    >>> search.ask()
    {'lr': 0.01}
    >>> search.ready(), search.tell(0, 0.9), search.ready()
    (False, None, True)
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        first: Sequence[Mapping[str, Any]] = (),
        startup: int = 10,
        ahead: int = 1,
    ) -> None:
        optuna: Any = require("optuna", "compare")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        for values in first:
            self._study.enqueue_trial({key: space[key].parameter(value) for key, value in values.items()})
        self.space, self.ahead = space, ahead
        self.values: list[dict[str, Any]] = []
        """What each trial tries."""
        self.scores: dict[int, float] = {}
        """What has been told."""
        self._trials: list[Any] = []
        self._told = 0

    def ready(self) -> bool:
        """Whether the next trial can be asked for."""
        return all(k in self.scores for k in range(len(self.values) - self.ahead + 1))

    def ask(self) -> dict[str, Any]:
        """Return the values of the next trial."""
        while self._told < len(self.values) - self.ahead + 1:
            self._study.tell(self._trials[self._told], self.scores[self._told])
            self._told += 1
        trial = self._study.ask()
        self._trials.append(trial)
        self.values.append({key: options.suggest(trial, key) for key, options in self.space.items()})
        return self.values[-1]

    def tell(self, number: int, score: float) -> None:
        """Say how good a trial was."""
        self.scores[number] = score

    def best(self) -> int:
        """Return the number of the best trial so far, the first among equals."""
        return max(sorted(self.scores), key=lambda k: self.scores[k])
