"""Threads: same bits for every n_jobs, from any thread, in any process."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_validate
from threadpoolctl import threadpool_info

import skdec
from skdec import ExactTSNE, StudentTClustering
from skdec.tsne._numbering import FIRST
from skdec.utils.threads import PAIRS_PER_CALL, SERIAL_PAIRS, Threads, block_size
from tests.utils.common import blas_threads, held

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
    monkeypatch.setattr("skdec.utils.threads.SERIAL_PAIRS", 1000)
    for actual, expected in zip(results(*fit(n_jobs)), serial, strict=True):
        assert_array_equal(actual, expected)


@pytest.mark.parametrize("repulsion", ["grid", "pairs"])
def test_a_fit_over_neighbours_is_bitwise_equal_for_every_n_jobs(
    repulsion, monkeypatch
):
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 8)
    monkeypatch.setattr("skdec.utils.threads.SERIAL_PAIRS", 1000)
    settings = {"affinities": "neighbors", "repulsion": repulsion, "perplexity": 10}
    settings["init"] = 10 * X[:600, :2]  # a smaller map has no grid
    settings["max_iter"] = FIRST + 10  # points have been numbered anew
    fits = [
        ExactTSNE(random_state=0, n_jobs=n_jobs, **settings).fit(X[:600])
        for n_jobs in (1, 2, 3)
    ]
    for fit in fits:
        assert fit.repulsion_ == repulsion
        assert_array_equal(fit.embedding_, fits[0].embedding_)
        assert fit.kl_divergence_ == fits[0].kl_divergence_


def test_functions_follow_joblib(monkeypatch):
    monkeypatch.setattr("skdec.utils.threads.SERIAL_PAIRS", 0)
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


def small_map(n_jobs=2):
    return ExactTSNE(max_iter=3, random_state=0, n_jobs=n_jobs).fit(X[:1000]).embedding_


def small_clustering(n_jobs=2):
    model = StudentTClustering(4, random_state=0, n_init=2, tol=0.1, n_jobs=n_jobs)
    return model.fit(X).cluster_centers_


def small_graph():
    # more features than a tree of neighbours takes: scikit-learn's loops use OpenMP
    wide = np.tile(X[:400], 4)
    return ExactTSNE(
        affinities="neighbors", max_iter=3, random_state=0
    ).fit_transform(wide)  # fmt: skip


def in_a_process():
    return small_map(), small_clustering(), small_graph()


def _in_child(queue):
    queue.put(in_a_process())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_however_they_are_started(method):
    """A forked one after threads have run here."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this platform")
    expected = in_a_process()
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    for actual, other in zip(queue.get(timeout=120), expected, strict=True):
        assert_array_equal(actual, other)
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_workers_of_joblib(backend):
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(small_map)() for _ in range(4))
    for embedding in found:
        assert_array_equal(embedding, small_map())


def test_grids_inside_grids():
    """Threads of a grid in processes of another, each with threads of its own."""
    grid = GridSearchCV(
        StudentTClustering(random_state=0, n_init=2, tol=0.1, n_jobs=2),
        {"n_clusters": [2, 3]}, cv=2, n_jobs=2,
    )  # fmt: skip

    def scores(n_jobs):
        with joblib.parallel_config(backend="threading"):
            outer = cross_validate(grid, X, cv=2, n_jobs=n_jobs)
        return outer["test_score"]

    assert_array_equal(scores(2), scores(1))


def test_processes_that_compile_into_one_cache(tmp_path):
    script = tmp_path / "kernels.py"
    script.write_text("""
from skdec.kernels.jit import kernel

@kernel
def total(x):
    s = 0.0
    for i in range(x):
        s += i
    return s

print(total(10))
""")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    runs = [
        subprocess.Popen(
            [sys.executable, script], stdout=subprocess.PIPE, env=environment
        )
        for _ in range(2)
    ]
    assert [run.communicate(timeout=120)[0].strip() for run in runs] == [b"45.0"] * 2


def test_workers_keep_nothing_of_what_they_have_run():
    class Large:
        pass

    large = Large()
    alive = weakref.ref(large)

    def task(start, stop, large=large):
        pass

    with Threads(2) as threads:
        threads.run_ranges(task, 1000, 1000 * 2**25)
        del large, task
        assert alive() is None


def test_many_fits_keep_no_memory():
    """Some ten fits hold on to less than the ten maps they have made.

    One quiet round among twelve is enough: what is kept of a fit grows in each of them,
    what the interpreter and other packages set up does so only at first.
    """
    allowed = 10 * X[:30, :2].nbytes
    few = X[:30]

    def fit(times):
        for seed in range(times):
            ExactTSNE(max_iter=5, init="random", random_state=seed).fit(few)
            StudentTClustering(3, init=few[:3], tol=0.1).fit(few)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        held = [fit(10)]
        while len(held) < 13 and (len(held) < 2 or held[-1] - held[-2] >= allowed):
            held.append(fit(10))
    finally:
        tracemalloc.stop()
    assert np.diff(held).min() < allowed


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
        assert pool.submit(held).result() == {1}
    assert blas_threads() == before


def test_no_threads_are_left_behind():
    before = threading.active_count()
    ExactTSNE(max_iter=3, n_jobs=2).fit(X[:1000])
    assert threading.active_count() == before

    def interrupt(start, stop):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Threads(2) as threads:
        threads.run_ranges(interrupt, 10, 10**9)
    assert threading.active_count() == before


@pytest.mark.parametrize("n_rows", [1, 255, 256, 1025, 100_000, 10**7])
def test_blocks(n_rows):
    size = block_size(n_rows)
    assert size % 256 == 0
    assert -(-n_rows // size) <= 64


def test_workers_are_started_when_there_is_work_for_them():
    before = threading.active_count()
    with Threads(1) as threads:
        threads.n_threads = 4  # however many cores there are
        threads.run_ranges(lambda start, stop: None, 1000, 10)
        assert threading.active_count() == before
        for n_rows, started in ((2, 1), (3, 2), (1000, 3), (2, 3)):
            threads.run_ranges(lambda start, stop: None, n_rows, 10**6)
            assert threading.active_count() == before + started
    assert threading.active_count() == before


def test_ranges_cover_the_rows():
    for n_rows in (0, 1, 2, 7):
        seen = []
        with Threads(2) as threads:
            threads.run_ranges(
                lambda a, b, s=seen: s.extend(range(a, b)), n_rows, 10**9
            )
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
        threads.run_ranges(lambda start, stop: None, 10, 10**9)
    with pytest.raises(RuntimeError, match="inside the with block"):
        threads.run_ranges(lambda start, stop: None, 10, 10**9)


def test_the_listener_hears_how_much_is_done():
    heard = []
    with Threads(1, listener=heard.append) as threads:
        threads.run_ranges(lambda start, stop: None, 10, 4 * PAIRS_PER_CALL)
    assert heard == [0.25, 0.5, 0.75, 1.0]


def test_the_compiler_is_free_after_an_interruption():
    """Numba may leave its lock with the thread that Ctrl-C has stopped."""
    taken, caller = threading.Event(), threading.get_ident()

    def task(start, stop):
        if threading.get_ident() == caller:
            global_compiler_lock.acquire()
            taken.set()
            raise KeyboardInterrupt
        taken.wait(10)
        with global_compiler_lock:
            pass

    with Threads(2) as threads, pytest.raises(KeyboardInterrupt):
        threads.run_ranges(task, 2, 2 * SERIAL_PAIRS)
    assert not global_compiler_lock.is_locked()
    global_compiler_lock.acquire()
    with Threads(1):
        assert not global_compiler_lock.is_locked()
