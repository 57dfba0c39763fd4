"""Ctrl-C is answered within a second in every phase, and leaves nothing behind."""

import contextlib
import importlib
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.utils import shuffle

from skdec import ExactTSNE, StudentTClustering
from skdec.tsne._numbering import FIRST
from skdec.utils.threads import Threads
from tests.utils.common import held

# Seconds into the phase at which Ctrl-C comes, and until it must have been answered:
# twice what is promised, for machines that are busy with something else too.
INTO, ANSWERED = 0.3, 2.0


def rows(n_samples, n_features):
    return np.random.RandomState(0).standard_normal((n_samples, n_features))


def on_a_curve(n_samples):
    """Rows of which the neighbours are found fast."""
    angle = np.linspace(0, 60, n_samples)
    return shuffle(np.column_stack([angle, np.sin(angle)]), random_state=0)


def graph_map(**parameters):
    settings = {"affinities": "neighbors", "perplexity": 5, "random_state": 0}
    return ExactTSNE(**settings, **parameters)


def clustering(**parameters):
    return StudentTClustering(20, random_state=0, max_iter=10**6, tol=0, **parameters)


# A press that Python drops is followed by another, and the phase must not end before.
ENDLESS = {"max_iter": 10**7, "tol": 0, "min_grad_norm": 0}
# On many cores it would be over before it is pressed.
ALL_PAIRS = {"affinities": "exact", "n_jobs": 2}


def endless(X):
    ExactTSNE(n_jobs=1, **ENDLESS).fit(X)


def placing(X, n_fitted=3000):
    model = ExactTSNE(**ALL_PAIRS, max_iter=60, init="random")
    model.fit(X[:n_fitted]).transform(X[n_fitted:])


# Where a phase begins, and a call that spends seconds there, compiled code included.
PHASES = {
    "calibration": (
        "skdec.tsne._affinities:_calibrate",
        lambda: ExactTSNE(**ALL_PAIRS, max_iter=3).fit(rows(30_000, 5)),
    ),
    "neighbours": (
        "skdec.tsne._exact_search:ProductIndex.search",
        lambda: graph_map().fit(rows(60_000, 80)),
    ),
    "neighbours by another metric": (
        "skdec.tsne._neighbors:ScikitLearnIndex.search",
        lambda: graph_map(metric="manhattan").fit(rows(60_000, 40)),
    ),
    "spectral start": (
        "skdec.tsne._start:spectral",
        lambda: graph_map(init="spectral").fit(on_a_curve(20_000)),
    ),
    "optimisation": (
        "skdec.tsne._gradient_descent:Descent.run",
        lambda: endless(rows(3000, 5)),
    ),
    "long iterations": (
        "skdec.tsne._gradient_descent:Descent.run",
        lambda: graph_map(repulsion="pairs").fit(on_a_curve(30_000)),
    ),
    "a grid": (
        "skdec.tsne._gradient_descent:Descent.run",
        lambda: graph_map(repulsion="grid", **ENDLESS).fit(on_a_curve(8000)),
    ),
    "k-means starts": (
        "skdec.clustering._starts:_k_means",
        lambda: clustering(n_init=1000).fit(rows(20_000, 20)),
    ),
    "clustering steps": (
        "skdec.clustering._self_training:SelfTraining.run",
        lambda: clustering(n_init=1).fit(rows(200_000, 20)),
    ),
    "placing": ("skdec.tsne._placement:place_points", lambda: placing(rows(60_000, 5))),
}


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """The compiler, whom other threads have called, is not asked to answer at once."""
    with warnings.catch_warnings(action="ignore"):
        placing(rows(120, 5), n_fitted=100)
        for repulsion in ("pairs", "grid"):
            # as far as the points are numbered for the first time
            graph_map(repulsion=repulsion, max_iter=FIRST + 1).fit(rows(600, 5))


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase(phase, monkeypatch):
    where, call = PHASES[phase]
    module, _, path = where.partition(":")
    owner, name = importlib.import_module(module), path.rpartition(".")[-1]
    for part in path.split(".")[:-1]:
        owner = getattr(owner, part)
    original, pressed, timers = getattr(owner, name), [], []

    def press():
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    def press_soon():
        timers.append(threading.Timer(INTO, press))
        timers[-1].start()

    def begun(*arguments, **named):
        if not timers:
            press_soon()
        return original(*arguments, **named)

    def dropped(unraisable, report=sys.unraisablehook):
        # Python drops what is raised in a weak reference's callback, of which numba's
        # compiler has many. Nobody is told, and a user presses again.
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            press_soon()
        else:
            report(unraisable)

    monkeypatch.setattr(owner, name, begun)
    monkeypatch.setattr(sys, "unraisablehook", dropped)
    before = n_threads()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        assert time.perf_counter() - pressed[-1] < ANSWERED
    finally:
        all_pressed(timers)
    assert n_threads() == before
    with ThreadPoolExecutor(1) as pool:  # BLAS is nobody's
        assert pool.submit(held).result() == {1}


def all_pressed(timers):
    """After a phase that failed, a press still to come would end the whole run."""
    for timer in timers:
        while timer.is_alive():
            with contextlib.suppress(KeyboardInterrupt):
                timer.join()


def n_threads():
    """But for those of joblib, which scikit-learn's search has; they end when done."""
    return sum(type(t).__name__ != "DummyProcess" for t in threading.enumerate())


def test_a_fit_that_was_interrupted_is_none():
    model = ExactTSNE(callback=lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        model.fit(rows(100, 3))
    assert not hasattr(model, "embedding_")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ranges_that_have_not_begun_are_not_begun(n_jobs):
    begun = []

    def task(start, stop):
        begun.append(start)
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), Threads(n_jobs) as threads:
        threads.run_ranges(task, 1000, 1000 * 2**25)
    assert len(begun) < 10


def test_an_error_of_a_worker_ends_the_others_too():
    begun = []

    def task(start, stop):
        begun.append(start)
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("of a worker")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="of a worker"), Threads(2) as threads:
        threads.run_ranges(task, 1000, 1000 * 2**25)
    assert len(begun) < 100
