"""What a few seeds can tell: means with confidence intervals, paired tests, ranks.

Accuracies of runs with the same seed are a pair: same initial weights, same order of the data, same validation split.
The differences of pairs are looked at, so what a seed does to both methods drops out.

What three seeds can show, and what they cannot, is said by `CAUTION`, which is printed in every report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
CAUTION = (
    "What a few seeds can show, and what they cannot: a paired t-test of three pairs has two degrees of freedom, so "
    "t has to exceed 4.3 for p < 0.05. Only differences of more than 2.5 of their own standard deviations are "
    "found, and after the correction for several methods only larger ones. A difference that is not significant is "
    "no evidence that two methods are equal: read its confidence interval. The test takes differences to be "
    "normally distributed, which three values cannot confirm. Seeds vary the training and the validation split, "
    "never the test set: how far the figures would move on other test examples is another matter (98 % of 10,000 "
    "examples has a standard error of 0.14 points)."
)
"""What the tests can show with three seeds, and what they cannot."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, and how well it is known."""

    n: int
    mean: float
    sd: float | None
    """Sample standard deviation (n - 1); None for a single value."""
    low: float | None
    """Lower end of the 95 % confidence interval of the mean (Student's t)."""
    high: float | None


@dataclass(frozen=True)
class Paired:
    """A method against a baseline, over the seeds that both have."""

    difference: Estimate
    """Method minus baseline; without an interval where the differences have no spread."""
    p: float | None
    """Two-sided paired t-test; None where it says nothing: a single pair, or differences without any spread."""
    p_holm: float | None = None
    """The same, corrected for the number of methods that are compared."""

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.p_holm is not None and self.p_holm < 1 - CONFIDENCE


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate a mean.

    Parameters
    ----------
    values : sequence of float
        One a seed, at least one.

    Returns
    -------
    Estimate
        Mean, sample standard deviation, 95 % confidence interval.

    Examples
    --------
    >>> e = estimate([0.97, 0.98, 0.99])
    >>> round(e.mean, 2), round(e.sd, 2), round(e.low, 3), round(e.high, 3)
    (0.98, 0.01, 0.955, 1.005)
    """
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Estimate(n, mean, None, None, None)
    sd = float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / n**0.5
    return Estimate(n, mean, sd, mean - half, mean + half)


def paired(values: Mapping[int, float], baseline: Mapping[int, float]) -> Paired | None:
    """Compare a method with a baseline, seed by seed.

    Parameters
    ----------
    values, baseline : mapping
        Seed -> accuracy.

    Returns
    -------
    Paired or None
        None if no seed is in both. The p value of equal values in all pairs is 1.

    Examples
    --------
    >>> result = paired({0: 0.90, 1: 0.92, 2: 0.91}, {0: 0.95, 1: 0.96, 2: 0.97})
    >>> round(result.difference.mean, 2), round(result.p, 3)
    (-0.05, 0.013)
    """
    seeds = sorted(set(values) & set(baseline))
    if not seeds:
        return None
    differences = np.array([values[seed] - baseline[seed] for seed in seeds])
    difference = estimate(list(differences))
    if len(seeds) < 2 or np.ptp(differences) < 1e-12:  # no spread but that of rounding: t would be 0/0 or infinite
        equal = len(seeds) > 1 and bool(np.all(np.abs(differences) < 1e-12))
        return Paired(replace(difference, low=None, high=None), 1.0 if equal else None)
    return Paired(difference, float(stats.ttest_1samp(differences, 0.0).pvalue))


def against_baseline(accuracies: Mapping[str, Mapping[int, float]], baseline: str) -> dict[str, Paired]:
    """Compare every method of a network with one of them.

    Parameters
    ----------
    accuracies : mapping
        Method -> seed -> accuracy.
    baseline : str
        The method that all others are compared with.

    Returns
    -------
    dict
        Method -> comparison, with p values corrected by Holm's method; without the baseline, and without methods that
        share no seed with it.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    reference = accuracies.get(baseline, {})
    pairs = {m: p for m, values in accuracies.items() if m != baseline and (p := paired(values, reference)) is not None}
    corrected = holm({method: pair.p for method, pair in pairs.items() if pair.p is not None})
    return {method: Paired(pair.difference, pair.p, corrected.get(method)) for method, pair in pairs.items()}


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Correct p values for their number.

    Parameters
    ----------
    p : mapping
        Name -> p value.

    Returns
    -------
    dict
        Name -> corrected p value, by Holm's step-down method.

    Examples
    --------
    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected, largest = {}, 0.0
    for k, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(p) - k) * value))
        corrected[name] = largest
    return corrected


def mean_ranks(means: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Rank methods on each network and average.

    Parameters
    ----------
    means : sequence of mapping
        Per network: method -> mean accuracy, minus infinity for a method that came to no result.

    Returns
    -------
    dict
        Method -> mean rank over the networks it was tried on; 1 is the best, equal ones share the mean of their ranks.

    Examples
    --------
    >>> mean_ranks([{"lfp": 0.98, "surrogate": 0.97}, {"lfp": 0.9, "surrogate": 0.9}])
    {'lfp': 1.25, 'surrogate': 1.75}
    """
    ranks: dict[str, list[float]] = {}
    for network in means:
        for method, rank in zip(network, stats.rankdata([-mean for mean in network.values()]), strict=True):
            ranks.setdefault(method, []).append(float(rank))
    return {method: float(np.mean(values)) for method, values in ranks.items()}
