"""Regression learns by LFP: one number from ten, and a series from its past."""

from __future__ import annotations

import torch

from benchmarks.regression import diabetes, forecast, linear_forecast, mackey_glass, number, series


def test_a_number() -> None:
    """0.46 is what linear regression reaches on average."""
    assert number(1, lfp=True, lr=3e-3, validate=False) > 0.3


def test_a_series() -> None:
    """Better than linear regression on the last values."""
    assert forecast(0, lfp=True, lr=3e-3, validate=False) > max(0.93, linear_forecast())


def test_the_series_looks_like_that_of_mackey_and_glass() -> None:
    values = mackey_glass(500)
    assert abs(float(values.mean())) < 1e-4
    assert abs(float(values.std()) - 1) < 1e-4
    peaks = ((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])).sum()
    assert 500 / 60 < int(peaks) < 500 / 20  # a quasi-period of about 50, with smaller peaks between


def test_training_never_sees_what_is_scored() -> None:
    (_, known), (now, _) = series(validate=False)
    late = {tuple(window) for window in now[:, :, 0].T.tolist()}
    assert not late & {tuple(window) for window in known[:, :, 0].T.tolist()}
    (a, _), (b, _) = diabetes(0, validate=True)
    assert not {tuple(row) for row in a.tolist()} & {tuple(row) for row in b.tolist()}
    assert torch.allclose(a.mean(0), torch.zeros(10), atol=1e-5)
