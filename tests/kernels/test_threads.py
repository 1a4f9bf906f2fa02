"""Slices of the batch on several threads."""

import multiprocessing
import threading

import numpy as np
import pytest
import torch

from lfp_snn import LIF
from lfp_snn.kernels import threads
from lfp_snn.kernels.bits import find


@pytest.fixture(params=["openmp", "pool"])
def kind(request, monkeypatch):
    """Take OpenMP's threads, and those for systems without it."""
    if request.param == "pool":
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    elif threads._openmp() is None:
        pytest.skip("this build of torch does not run on OpenMP")
    return request.param


@pytest.mark.parametrize(("batch", "parts"), [(5, 1), (5, 2), (7, 3), (16, 16)])
def test_slices_cover_the_batch_once(kind, batch, parts):
    counts, seen = np.zeros(batch), []

    def work(part, first, last):
        counts[first:last] += 1
        seen.append(part)

    threads.in_parts(work, batch, parts)
    assert (counts == 1).all()
    assert sorted(seen) == list(range(parts))


def test_parts_run_on_threads_of_their_own(kind):
    idents, both = set(), threading.Barrier(2, timeout=20)

    def work(part, first, last):
        both.wait()  # passes only if two threads are here at a time
        idents.add(threading.get_ident())

    threads.in_parts(work, 2, 2)
    assert len(idents) == 2


def test_all_parts_run_where_openmp_gives_fewer_threads(monkeypatch):
    if threads._openmp() is None:
        pytest.skip("this build of torch does not run on OpenMP")
    seen = []
    openmp = threads._openmp()

    class One:
        omp_get_thread_num, omp_get_num_threads = openmp.omp_get_thread_num, openmp.omp_get_num_threads

        def GOMP_parallel(self, body, data, parts, flags):
            openmp.GOMP_parallel(body, data, 1, flags)

    monkeypatch.setattr(threads, "_openmp", One)
    threads.in_parts(lambda part, first, last: seen.append(part), 6, 3)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_on_any_thread_is_raised(kind, bad):
    def work(part, first, last):
        if part == bad:
            raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        threads.in_parts(work, 4, 2)


def _spikes(x):
    torch.set_num_threads(2)
    return LIF(beta=0.9)(x)[0].sum().item()


def test_python_threads_may_call_kernels_at_the_same_time(kind):
    x = 0.5 * torch.ones(8, 64, 600)
    want, found = _spikes(x), []
    started = [threading.Thread(target=lambda: found.append(_spikes(x))) for _ in range(4)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
    assert found == [want] * 4


def _counted(x):
    torch.set_num_threads(2)
    return find(x).total


def test_a_forked_process_runs_kernels_too():
    x = torch.ones(64, 4 * threads.GRAIN)
    want = _counted(x)  # OpenMP's threads have started here; a fork does not have them
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        assert pool.apply_async(_counted, (x,)).get(60) == want
