"""The loop on a fixed embedding: steps, batches, and where they end."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

import skdec
from skdec import StudentTClustering
from skdec.clustering._form import Form, make_objective
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._optimizers import CentroidDescent, StochasticDescent
from skdec.clustering._scaled_rows import scale_rows
from skdec.clustering._self_training import EXACT_AFTER, SelfTraining
from skdec.clustering._training import Settings
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive
from tests.clustering.common import (
    BLOBS,
    IRIS,
    distances_from_mean,
    embeddings,
    in_units,
)


@pytest.mark.parametrize("update_interval", [1, 3])
def test_ends_where_the_gradient_vanishes(update_interval):
    model = StudentTClustering(
        4,
        dof=1.0,
        balance=1.0,
        tol=1e-10,
        max_iter=5000,
        update_interval=update_interval,
        random_state=0,
    ).fit(BLOBS)
    Z, centers = in_units(model, BLOBS)
    _, _, gradient = skdec.clustering_loss(Z, centers)
    assert model.converged_
    assert np.abs(gradient).max() < 1e-6


@pytest.mark.parametrize("update_interval", [7, 50])
def test_convergence_is_judged_on_a_fresh_target(update_interval):
    settings = {"dof": 1.0, "balance": 1.0, "random_state": 0, "max_iter": 20_000}
    often = StudentTClustering(3, **settings).fit(IRIS)
    rare = StudentTClustering(3, update_interval=update_interval, **settings).fit(IRIS)
    assert rare.converged_
    assert rare.n_iter_ > update_interval
    largest = []
    for model in (often, rare):
        Z, centers = in_units(model, IRIS)
        largest.append(np.abs(skdec.clustering_loss(Z, centers)[2]).max())
    assert largest[1] <= 3 * largest[0]


def test_max_iter_is_never_silent():
    with pytest.warns(
        ConvergenceWarning, match="did not settle within max_iter=2 passes"
    ):
        model = StudentTClustering(3, max_iter=2, random_state=0).fit(IRIS)
    assert not model.converged_
    assert model.n_iter_ == 2


def test_quiet_labels_alone_do_not_stop():
    # at the k-means solution no label changes for a while, yet the centroids move
    start = KMeans(3, n_init=10, random_state=0).fit(IRIS).cluster_centers_
    model = StudentTClustering(3, dof=1.0, init=start, bandwidth=0.3).fit(IRIS)
    assert model.n_iter_ > 5
    shift = np.abs(model.cluster_centers_ - start).max() / 0.3
    assert shift > 0.1


def test_history_has_an_entry_for_every_refresh():
    model = StudentTClustering(3, random_state=0).fit(IRIS)
    history = model.history_
    assert_array_equal(history["n_iter"], np.arange(1, model.n_iter_ + 1))
    assert history["label_changes"][0] == 1
    assert history["label_changes"][-1] <= 1e-3
    assert model.n_steps_ == model.n_iter_
    # KL of the centroids before each step; the last is one small step from the end
    assert_allclose(history["kl_divergence"][-1], model.kl_divergence_, rtol=1e-2)
    rare = StudentTClustering(3, update_interval=5, random_state=0).fit(IRIS)
    assert_array_equal(np.diff(rare.history_["n_iter"]), 5)


def test_history_is_the_divergence_of_each_step():
    start = KMeans(3, n_init=10, random_state=0).fit(IRIS).cluster_centers_
    weight = np.linspace(1e3, 3e3, len(IRIS))
    with pytest.warns(ConvergenceWarning):
        model = StudentTClustering(3, init=start, bandwidth=0.5, max_iter=1)
        model.fit(IRIS, sample_weight=weight)
    Z, centers = IRIS / 0.5, start / 0.5
    Q = naive.soft_assignment(Z, centers, model.dof_)
    # the first target is made with the frequencies of the start itself
    P = naive.target_distribution(Q, weight, balance=model.balance_)
    expected = naive.kl_divergence(P, Q, weight)
    assert_allclose(model.history_["kl_divergence"], [expected], rtol=1e-8)


@pytest.mark.parametrize("batch_size", [50, 128])
@pytest.mark.parametrize("X, k", [(BLOBS, 4), (load_digits().data, 10)])
def test_batches_end_where_all_rows_do(X, k, batch_size):
    settings = {"n_init": 3, "random_state": 0}
    whole = StudentTClustering(k, **settings).fit(X)
    model = StudentTClustering(k, batch_size=batch_size, **settings).fit(X)
    assert adjusted_rand_score(whole.labels_, model.labels_) > 0.97
    assert model.n_steps_ == model.n_iter_ * -(-len(np.unique(X, axis=0)) // batch_size)
    assert len(model.history_["kl_divergence"]) == model.n_iter_


def test_a_batch_of_all_rows_is_no_batch():
    whole = StudentTClustering(4, random_state=0).fit(BLOBS)
    model = StudentTClustering(4, batch_size=300, random_state=0).fit(BLOBS)
    assert_array_equal(whole.cluster_centers_, model.cluster_centers_)


def test_target_of_a_row_does_not_depend_on_its_batch():
    rows = np.vstack([BLOBS[:1], BLOBS[:1] + 1])
    with Threads(1) as threads:
        seen = []
        for others in (BLOBS[5:9], BLOBS[100:140]):
            X = np.vstack([rows, others])
            frame = scale_rows(X, BLOBS[:4], 1.0, by_products=True)
            weight = np.r_[1.0, 1.0, np.zeros(len(others))]
            objective = ClusteringObjective(frame, Weights(weight), 1.0, threads)
            ball = frame.ball(np.ones(len(X)))
            run = SelfTraining(BLOBS[:4], StochasticDescent(), Settings(), ball, None)
            run.frequencies = np.array([0.1, 0.2, 0.3, 0.4])
            seen.append(run.step(objective, share=0.1)[0].gradient)
    assert_array_equal(*seen)
    P = skdec.soft_assignment(rows, BLOBS[:4]) ** 2 / [0.1, 0.2, 0.3, 0.4]
    P /= P.sum(axis=1, keepdims=True)
    expected = naive.clustering_gradients(rows, BLOBS[:4], 1.0, P, np.ones(2))[1]
    assert_allclose(seen[0], expected)


def started(centers):
    frame = scale_rows(BLOBS, BLOBS[:4], 1.0, by_products=True)
    with Threads(1) as threads:
        objective = ClusteringObjective(
            frame, Weights(np.ones(len(BLOBS))), 1.0, threads
        )
        ball = frame.ball(objective.weight)
        start = frame.to_internal(centers)
        run = SelfTraining(start, StochasticDescent(), Settings(), ball, None)
        run.frequencies, run.n_steps = np.array([0.1, 0.2, 0.3, 0.4]), 100
        run.step(objective, share=0.25)
    return run, ball


def test_frequencies_of_batches_are_a_running_mean():
    Q = naive.soft_assignment(BLOBS, BLOBS[:4], 1.0)
    run, _ = started(BLOBS[:4])
    expected = 0.75 * np.array([0.1, 0.2, 0.3, 0.4]) + 0.25 * Q.mean(axis=0)
    assert_allclose(run.frequencies, expected)


def test_a_centroid_does_not_leave_the_data_behind():
    centers = BLOBS[:4].copy()
    centers[3] = 1e9
    run, ball = started(centers)
    farthest = np.linalg.norm(BLOBS - BLOBS.mean(axis=0), axis=1).max()
    assert_allclose(ball.radius, farthest)
    assert np.linalg.norm(run.centers - ball.center, axis=1).max() < farthest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_tolerance_is_met(dtype):
    X = make_blobs(300, 2, centers=4, random_state=2)[0].astype(dtype)
    model = StudentTClustering(4, tol=0.0, max_iter=3000, random_state=0).fit(X)
    assert model.converged_


class Counting(SelfTraining):
    """Remembers the target of each step, and the frequencies that were true."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = []

    def step(self, objective, *arguments):
        centers = self.centers
        sums = super().step(objective, *arguments)
        f = objective.frequencies(centers) / objective.total
        self.seen.append((self.target, f, sums[0].kl / objective.total))
        return sums


@pytest.mark.parametrize("n_features", [3, 200])
def test_no_step_is_taken_with_frequencies_far_off(n_features):
    X, _ = embeddings(n_features, k=6, n_samples=600)
    start = KMeans(6, n_init=1, random_state=0).fit(X).cluster_centers_
    # nearly even memberships: the hard case
    form = Form(1.0, 2 * X.std() * np.sqrt(n_features), 1.0)
    with Threads(1) as threads:
        objective = make_objective(X, Weights(None), start, form, threads)
        run = Counting(
            objective.rows.to_internal(start),
            CentroidDescent(),
            Settings(max_iter=EXACT_AFTER + 10, tol=0.0),
            objective.rows.ball(objective.weight),
            None,
        )
        run.run(objective)
    off = [0.5 * (f @ np.square(np.log(target / f))) / kl for target, f, kl in run.seen]
    assert len(off) == EXACT_AFTER + 10
    assert max(off) <= 1e-2
    assert max(off[EXACT_AFTER:]) < 1e-12
    # most of them were not summed up before
    assert np.count_nonzero(np.array(off[:EXACT_AFTER]) > 1e-12) > EXACT_AFTER / 4


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"balance": 0.0},
        {"balance": 20.0},
        {"dof": 1.0},
        {"bandwidth": 3.0},
        {"batch_size": 100},
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_structure_no_centroid_leaves_the_data(kwargs, dtype):
    X = np.random.RandomState(0).rand(500, 40).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(8, random_state=0, **kwargs).fit(X)
    farthest = distances_from_mean(X, X).max()
    assert distances_from_mean(X, model.cluster_centers_).max() < farthest * (1 + 1e-6)
    assert len(np.unique(model.labels_)) == 8
    assert np.isfinite(model.evidence_)


def test_label_changes_are_those_since_the_entry_before(rng):
    """Of labels that change and change back between two refreshes there are none."""
    X, labels = rng.random((500, 40)), []
    model = StudentTClustering(
        8, dof=1.0, bandwidth=1.0, balance=1.0, update_interval=20, init=X[:8],
        max_iter=400, tol=0.0, callback=lambda i, kl, now: labels.append(now.labels()),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    found = model.history_["label_changes"]
    expected = [np.mean(a != b) for a, b in pairwise(labels[-len(found) :])]
    assert_allclose(found[1:], expected, atol=1e-12)
    assert max(expected) > 0
