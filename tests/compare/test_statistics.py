"""Statistics of a few seeds, against textbook values, simulation and scipy's own paired test."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lfp_snn.compare.statistics import against_baseline, estimate, holm, mean_ranks, paired

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_estimate_by_hand() -> None:
    e = estimate([1.0, 2.0, 4.0])
    assert (e.n, e.mean) == (3, pytest.approx(7 / 3))
    assert e.sd == pytest.approx((((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2) ** 0.5)
    half = 4.302653 * e.sd / 3**0.5  # Student's t for 2 degrees of freedom, from a table
    assert (e.low, e.high) == (pytest.approx(e.mean - half), pytest.approx(e.mean + half))


def test_a_single_seed_has_no_spread() -> None:
    e = estimate([0.9])
    assert (e.n, e.mean, e.sd, e.low, e.high) == (1, 0.9, None, None, None)


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    samples = np.random.default_rng(0).normal(5.0, 2.0, (2000, 3))
    found = [estimate(list(row)) for row in samples]
    share = np.mean([e.low <= 5.0 <= e.high for e in found if e.low is not None and e.high is not None])
    assert 0.935 < share < 0.965


def test_paired_equals_scipy() -> None:
    a, b = [0.91, 0.95, 0.94, 0.90], [0.90, 0.93, 0.91, 0.90]
    result = paired(dict(enumerate(a)), dict(enumerate(b)))
    reference = stats.ttest_rel(a, b)
    interval = reference.confidence_interval(0.95)
    assert result is not None
    assert result.p == pytest.approx(reference.pvalue)
    assert (result.difference.low, result.difference.high) == (
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )


def test_only_common_seeds_are_pairs() -> None:
    result = paired({0: 0.9, 1: 0.8, 5: 0.1}, {0: 0.8, 1: 0.75, 2: 0.9})
    assert result is not None
    assert (result.difference.n, result.difference.mean) == (2, pytest.approx(0.075))
    assert paired({0: 0.9}, {1: 0.9}) is None


def test_pairs_that_allow_no_test() -> None:
    single = paired({0: 0.9}, {0: 0.8})
    equal = paired({0: 0.9, 1: 0.8}, {0: 0.9, 1: 0.8})
    constant = paired({0: 0.9, 1: 0.8, 2: 0.7}, {0: 0.89, 1: 0.79, 2: 0.69})
    assert single is not None
    assert equal is not None
    assert constant is not None
    assert (single.p, equal.p, constant.p) == (None, 1.0, None)
    assert (equal.difference.mean, equal.difference.low, constant.difference.low) == (0.0, None, None)


def test_methods_of_a_network_against_the_baseline() -> None:
    lfp = {0: 0.90, 1: 0.91, 2: 0.92}
    better = {0: 0.951, 1: 0.960, 2: 0.972}
    same = {0: 0.901, 1: 0.909, 2: 0.920}
    result = against_baseline({"lfp": lfp, "better": better, "same": same, "none": {}}, "lfp")
    assert list(result) == ["better", "same"]
    assert result["better"].significant
    assert not result["same"].significant
    assert result["better"].p is not None
    assert result["better"].p_holm == pytest.approx(2 * result["better"].p)
    assert against_baseline({"better": better}, "lfp") == {}


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06}
    )
    assert holm({}) == {}


@given(probabilities)
def test_holm_lies_between_no_correction_and_bonferroni(values: list[float]) -> None:
    p = {str(k): value for k, value in enumerate(values)}
    corrected = holm(p)
    assert corrected.keys() == p.keys()
    assert all(value <= corrected[name] <= min(1.0, len(p) * value) for name, value in p.items())
    order = sorted(p, key=lambda name: p[name])
    assert all(corrected[a] <= corrected[b] for a, b in pairwise(order))


def test_holm_keeps_the_rate_of_false_alarms() -> None:
    random = np.random.default_rng(0)
    draws = [{str(k): float(p) for k, p in enumerate(random.uniform(size=5))} for _ in range(4000)]
    alarms = [min(holm(p).values()) < 0.05 for p in draws]
    assert 0.04 < np.mean(alarms) < 0.06


def test_mean_ranks() -> None:
    networks = [{"a": 0.9, "b": 0.8, "c": 0.8}, {"a": 0.5, "b": 0.7}, {"a": 0.3, "b": float("-inf"), "c": 0.6}]
    assert mean_ranks(networks) == {"a": pytest.approx(5 / 3), "b": pytest.approx(6.5 / 3), "c": pytest.approx(1.75)}
