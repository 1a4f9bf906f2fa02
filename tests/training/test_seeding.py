"""Seeds and determinism."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from lfp_snn.training.seeding import derive, determinism, seed_all


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002 - this generator is meant


def test_same_place_same_numbers_another_place_others() -> None:
    draws = []
    for position in [(0, 1), (0, 1), (0, 2), (1, 1)]:
        seed_all(*position)
        draws.append(draw())
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_derived_seeds_differ_in_every_position() -> None:
    seeds = {derive(seed, epoch, rank) for seed in range(4) for epoch in range(4) for rank in range(4)}
    assert len(seeds) == 64
    assert len({derive(0), derive(0, 0), derive(0, 0, 0)}) == 3


def test_determinism_is_put_back_even_after_an_error() -> None:
    before = torch.are_deterministic_algorithms_enabled()

    def fail() -> None:
        with determinism():
            assert torch.are_deterministic_algorithms_enabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.are_deterministic_algorithms_enabled() == before
    with determinism(False):
        assert torch.are_deterministic_algorithms_enabled() == before
