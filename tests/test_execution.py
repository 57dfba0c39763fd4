"""Threads: same bits for every n_jobs, from any thread, in any process."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_info

import skdec
from skdec import ExactTSNE, StudentTClustering
from skdec.execution import Threads, block_size

X = np.random.default_rng(0).normal(size=(1500, 5))


def fit(n_jobs):
    tsne = ExactTSNE(max_iter=40, random_state=0, n_jobs=n_jobs).fit(X[:1100])
    clustering = StudentTClustering(
        6, n_init=4, random_state=0, n_jobs=n_jobs, tol=0.1
    ).fit(np.tile(X, (90, 1)) + np.repeat(np.arange(90.0), 1500)[:, None] * 1e-3)
    return tsne, clustering


def results(tsne, clustering):
    new = X[1100:]
    return [
        tsne.embedding_,
        tsne.kl_divergence_,
        tsne.transform(new),
        clustering.cluster_centers_,
        clustering.labels_,
        clustering.kl_divergence_,
        clustering.evidence_,
        clustering.predict_proba(new),
    ]


@pytest.fixture(scope="module")
def serial():
    return results(*fit(1))


@pytest.mark.parametrize("n_jobs", [2, 3, -1])
def test_bitwise_equal_for_every_n_jobs(serial, n_jobs, monkeypatch):
    # more threads than this machine may have cores
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 8)
    monkeypatch.setattr("skdec.execution._threads.SERIAL_PAIRS", 1000)
    for actual, expected in zip(results(*fit(n_jobs)), serial, strict=True):
        assert_array_equal(actual, expected)


def test_functions_follow_joblib(monkeypatch):
    monkeypatch.setattr("skdec.execution._threads.SERIAL_PAIRS", 0)
    alone = skdec.clustering_loss(X, X[:40])
    P = skdec.joint_affinities(skdec.conditional_affinities(X[:300]))
    loss = skdec.embedding_loss(X[:300], P)
    assert Threads().n_threads == 1
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert Threads().n_threads == min(2, Threads(-1).n_threads)
        for actual, expected in zip(
            skdec.clustering_loss(X, X[:40]), alone, strict=True
        ):
            assert_array_equal(actual, expected)
        assert_array_equal(skdec.embedding_loss(X[:300], P)[1], loss[1])


def test_many_python_threads_at_once(serial):
    with ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(
                lambda: StudentTClustering(4, random_state=0, tol=0.1).fit(X).labels_
            )
            for _ in range(8)
        ]
        labels = [future.result() for future in futures]
    for other in labels[1:]:
        assert_array_equal(other, labels[0])


def _in_child(queue):
    queue.put(ExactTSNE(max_iter=3, random_state=0, n_jobs=2).fit(X[:1000]).embedding_)


def test_forked_process():
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this platform")
    expected = ExactTSNE(max_iter=3, random_state=0, n_jobs=2).fit(X[:1000]).embedding_
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert_array_equal(queue.get(timeout=60), expected)
    child.join(60)
    assert child.exitcode == 0


def blas_threads():
    return [
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]


def test_blas_is_held_inside_and_given_back():
    before = blas_threads()
    with Threads(1, hold_blas=True):
        assert set(blas_threads()) == {1}
        with Threads(1, hold_blas=True):
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    # the thread that held it first must not keep the say
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_held).result() == {1}
    assert blas_threads() == before


def _held():
    with Threads(1, hold_blas=True):
        return set(blas_threads())


def test_no_threads_are_left_behind():
    before = threading.active_count()
    ExactTSNE(max_iter=3, n_jobs=2).fit(X[:1000])
    assert threading.active_count() == before

    def interrupt(start, stop):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Threads(2) as threads:
        threads.rows(interrupt, 10, 10**9)
    assert threading.active_count() == before


@pytest.mark.parametrize("n_rows", [1, 255, 256, 1025, 100_000, 10**7])
def test_blocks(n_rows):
    size = block_size(n_rows)
    assert size % 256 == 0
    assert -(-n_rows // size) <= 64


def test_ranges_cover_the_rows():
    for n_rows in (0, 1, 2, 7):
        seen = []
        with Threads(2) as threads:
            threads.rows(lambda a, b, s=seen: s.extend(range(a, b)), n_rows, 10**9)
        assert sorted(seen) == list(range(n_rows))


def test_overlapping_holders_of_blas_restore_it_once():
    def at_once():
        info = threadpool_info()
        return [pool["num_threads"] for pool in info if pool["user_api"] == "blas"]

    with Threads(1, hold_blas=True):
        pass
    before = at_once()
    first, second = Threads(1, hold_blas=True), Threads(1, hold_blas=True)
    first.__enter__()
    second.__enter__()
    assert set(at_once()) == {1}
    first.__exit__(None, None, None)
    assert set(at_once()) == {1}
    second.__exit__(None, None, None)
    assert at_once() == before


def test_rows_are_not_handed_out_after_the_end():
    threads = Threads(2)
    with threads:
        threads.rows(lambda start, stop: None, 10, 10**9)
    with pytest.raises(RuntimeError, match="inside the with block"):
        threads.rows(lambda start, stop: None, 10, 10**9)
