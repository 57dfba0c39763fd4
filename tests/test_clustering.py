"""StudentTClustering: fixed point, starts, weights, stopping, score."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV

import skdec
from skdec import StudentTClustering
from skdec.clustering._consensus import pairwise_agreement
from skdec.clustering._fixed_embedding import Carrier
from skdec.clustering._form import Form
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._optimizers import StochasticDescent
from skdec.clustering._scaled_rows import scale_rows
from skdec.clustering._self_training import SelfTraining
from skdec.clustering._starts import find_starts
from skdec.clustering._training import Settings
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive

IRIS = load_iris().data
BLOBS, TRUTH = make_blobs(
    300, n_features=4, centers=4, cluster_std=[0.5, 1.0, 1.5, 0.7], random_state=3
)


@pytest.fixture(scope="module")
def fitted():
    return StudentTClustering(4, random_state=0).fit(BLOBS)


def in_units(model, X):
    return X / model.bandwidth_, model.cluster_centers_ / model.bandwidth_


def test_finds_blobs(fitted):
    assert adjusted_rand_score(TRUTH, fitted.labels_) > 0.95
    assert fitted.converged_
    assert fitted.n_iter_ < 300


@pytest.mark.parametrize("dof", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_attributes_are_those_of_the_centroids(dof, dtype):
    X = BLOBS.astype(dtype)
    model = StudentTClustering(4, dof=dof, random_state=0).fit(X)
    Z, centers = in_units(model, X.astype(float))
    w = np.ones(len(X))
    Q = naive.soft_assignment(Z, centers, dof)
    loose = {"rtol": 1e-3 if dtype is np.float32 else 1e-8, "atol": 1e-5}
    P = naive.target_distribution(Q, w, balance=0.5)
    assert model.balance_ == 0.5
    assert model.cluster_centers_.dtype == model.predict_proba(X).dtype == dtype
    assert_allclose(model.predict_proba(X), Q, **loose)
    assert_allclose(model.transform(X), Q, **loose)
    assert_array_equal(model.labels_, Q.argmax(axis=1))
    assert_allclose(model.cluster_frequencies_, naive.frequencies(Q, w), **loose)
    assert_allclose(model.kl_divergence_, naive.kl_divergence(P, Q, w), **loose)
    h = model.bandwidth_
    assert_allclose(model.evidence_, naive.evidence(Z, centers, dof, w, h), **loose)
    means, f = naive.cluster_means(Z, centers, dof, w)
    assert_allclose(model.cluster_means_, means * h, **loose)
    density = naive.log_density(Z * h, means * h, f, dof, h)
    assert_allclose(model.score_samples(X), density, **loose)
    assert_allclose(model.probabilities_, Q.max(axis=1), **loose)
    entropy = -(Q * np.log(Q)).sum(axis=1)
    assert_allclose(model.entropy_samples(X), entropy, rtol=5e-3, atol=1e-4)


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


def test_bandwidth_one_is_the_formula_of_the_paper():
    model = StudentTClustering(4, dof=1.0, bandwidth=1.0, random_state=0).fit(BLOBS)
    Q = skdec.soft_assignment(BLOBS, model.cluster_centers_)
    assert_allclose(model.predict_proba(BLOBS), Q, rtol=1e-12)


def spread_dimension(X, labels):
    """(tr W)² / tr W² of the covariance W within clusters, by pairs of two rows."""
    means = np.array([X[labels == j].mean(axis=0) for j in range(labels.max() + 1)])
    residual = X - means[labels]
    products = np.square(residual @ residual.T)[~np.eye(len(X), dtype=bool)]
    return np.mean(np.square(residual).sum(axis=1)) ** 2 / products.mean()


@pytest.mark.parametrize("dof", [1.0, 3.0, "auto", 100.0])
def test_automatic_bandwidth_is_a_share_of_the_spread_of_the_best_start(dof):
    model = StudentTClustering(4, dof=dof, random_state=0).fit(BLOBS)
    best = KMeans(4, n_init=20, random_state=0).fit(BLOBS)
    dimension = spread_dimension(BLOBS, best.labels_)
    spread = np.sqrt(best.inertia_ / len(BLOBS) / dimension)
    share = np.sqrt(min(model.dof_, 4) / 2)
    assert_allclose(model.bandwidth_, spread * share, rtol=1e-3)


@pytest.mark.parametrize(
    "n_features, n_rows", [(1, 200), (2, 500), (30, 800), (300, 90)]
)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_automatic_dof_is_the_dimension_of_the_spread(n_features, n_rows, form, rng):
    # standard deviations that fall: fewer dimensions than features
    X = rng.normal(size=(n_rows, n_features)) * np.linspace(1, 0.1, n_features)
    model = StudentTClustering(2, n_init=3, random_state=0).fit(form(X))
    best = KMeans(2, n_init=20, random_state=0).fit(X)
    expected = np.clip(spread_dimension(X, best.labels_), 1, n_features)
    assert abs(model.dof_ - expected) <= 0.5 + 0.1 * expected
    assert model.dof_ == np.rint(model.dof_)
    assert n_features < 30 or model.dof_ < 0.8 * n_features


@pytest.mark.parametrize("factor", [1e-3, 0.7, 3.0, 1e4])
@pytest.mark.parametrize(
    "X, k", [(BLOBS, 4), (IRIS, 3), (load_digits().data[:500], 10)]
)
def test_rescaling_changes_no_label(X, k, factor):
    plain = StudentTClustering(k, random_state=0).fit(X)
    scaled = StudentTClustering(k, random_state=0).fit(X * factor)
    assert_array_equal(scaled.labels_, plain.labels_)
    assert_allclose(
        scaled.predict_proba(X * factor), plain.predict_proba(X), rtol=1e-5, atol=1e-6
    )


def test_argmax_of_memberships_is_predict(fitted):
    rng = np.random.default_rng(0)
    centers = fitted.cluster_centers_
    # on, and as near as floats go to, the border between two centroids
    border = (centers[0] + centers[1]) / 2 + 1e-15 * rng.normal(size=(500, 4))
    for X in (BLOBS, border, 1e6 * rng.normal(size=(500, 4)), BLOBS.astype("f")):
        Q = fitted.predict_proba(X)
        assert_array_equal(fitted.predict(X), Q.argmax(axis=1))
        assert_allclose(Q.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(fitted.labels_, fitted.predict(BLOBS))


def test_memberships_do_not_depend_on_batch_or_order(fitted):
    Q = fitted.predict_proba(BLOBS)
    order = np.random.default_rng(0).permutation(len(BLOBS))
    assert_array_equal(fitted.predict_proba(BLOBS[order]), Q[order])
    for i in (0, 17, 299):
        assert_array_equal(fitted.predict_proba(BLOBS[i : i + 1]), Q[i : i + 1])
    assert_array_equal(fitted.predict_proba(BLOBS[40:]), Q[40:])


@pytest.mark.parametrize("n_features", [2, 30])
def test_integer_weights_are_repeated_rows(n_features):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, n_features))
    weight = rng.integers(0, 4, 60)
    order = rng.permutation(weight.sum())
    weighted = StudentTClustering(5, random_state=0, max_iter=2000)
    repeated = StudentTClustering(5, random_state=0, max_iter=2000)
    weighted.fit(X, sample_weight=weight)
    repeated.fit(X.repeat(weight, axis=0)[order])
    assert_array_equal(weighted.cluster_centers_, repeated.cluster_centers_)
    assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    assert_array_equal(weighted.cluster_frequencies_, repeated.cluster_frequencies_)
    assert weighted.kl_divergence_ == repeated.kl_divergence_
    assert weighted.n_iter_ == repeated.n_iter_
    assert_allclose(
        weighted.score(X, sample_weight=weight),
        repeated.score(X.repeat(weight, axis=0)),
    )


def test_order_of_rows_does_not_matter(fitted):
    order = np.random.default_rng(1).permutation(len(BLOBS))
    again = StudentTClustering(4, random_state=0).fit(BLOBS[order])
    assert_array_equal(again.cluster_centers_, fitted.cluster_centers_)
    assert_array_equal(again.labels_, fitted.labels_[order])


def test_weightless_rows_count_for_nothing_but_are_labelled(fitted):
    X = np.vstack([BLOBS, np.full((3, 4), 1e3)])
    weight = np.r_[np.ones(300), np.zeros(3)]
    model = StudentTClustering(4, random_state=0).fit(X, sample_weight=weight)
    assert_array_equal(model.cluster_centers_, fitted.cluster_centers_)
    assert len(model.labels_) == 303
    assert_array_equal(model.labels_, model.predict(X))


def naive_inertia(X, centers):
    return naive.squared_distances(X, centers).min(axis=1).sum()


@pytest.mark.parametrize("first", [0, 10, 30])
def test_starts_are_tried_by_falling_evidence(first):
    X, form = load_digits().data[:200, first : first + 10], Form(3.0, 6.0, 0.5)
    # no two rows are the same, and none is as near to two centroids
    X = X + 0.1 * np.random.RandomState(0).rand(*X.shape)
    with Threads(1) as threads:
        found = find_starts(X, Weights(None), "random", 6, np.arange(12), threads)
        carrier = Carrier(found, Settings(), threads, None, strict=True)
        starts = carrier.ranked(form)
    ones = np.ones(len(X))
    evidence = np.array(
        [naive.evidence(X / 6.0, start / 6.0, 3.0, ones, 6.0) for start in starts]
    )
    assert len(starts) == 12
    # half a nat for each parameter, by the row
    allowed = 6 * found.spread.dimension / (2 * 200)
    assert_allclose(carrier.allowed, allowed)
    assert first != 10 or evidence.max() - evidence.min() > allowed
    for i in range(12):
        assert evidence[i] >= evidence[i:].max() - allowed
    # of those that chance may part the first is the most like all of them
    labels = [naive.squared_distances(X, start).argmin(axis=1) for start in starts]
    alike = np.array(
        [[adjusted_rand_score(a, b) for b in labels] for a in labels]
    )  # fmt: skip
    assert_allclose(pairwise_agreement(np.array(labels), 6), alike, atol=1e-12)
    mean = (alike.sum(axis=1) - 1) / 11
    equal = np.flatnonzero(evidence >= evidence.max() - allowed)
    inertia = np.array([naive_inertia(X, start) for start in starts])
    assert len(equal) > 1
    if mean[equal].max() >= 0.5:
        assert mean[0] == mean[equal].max()
    else:
        assert inertia[0] == inertia[equal].min()


def test_init():
    seeds = BLOBS[[0, 5, 9, 20]]
    model = StudentTClustering(4, init=seeds).fit(BLOBS)
    listed = StudentTClustering(4, init=seeds.tolist()).fit(BLOBS)
    assert_array_equal(model.labels_, listed.labels_)
    # an array is the start itself: one tiny step must stay near it
    with pytest.warns(ConvergenceWarning):
        near = StudentTClustering(4, init=seeds, max_iter=1, bandwidth=1e-3).fit(BLOBS)
    assert np.abs(near.cluster_centers_ - seeds).max() < 0.5
    one_of_each = BLOBS[[np.flatnonzero(j == TRUTH)[0] for j in range(4)]]
    for init in ("random", lambda X, k, random_state: one_of_each):
        other = StudentTClustering(4, init=init, random_state=0).fit(BLOBS)
        assert adjusted_rand_score(TRUTH, other.labels_) > 0.95


def test_callable_init_sees_the_units_of_the_data():
    seen = []

    def init(X, n_clusters, random_state):
        seen.append(np.abs(X).max())
        return X[:n_clusters]

    model = StudentTClustering(4, init=init, n_init=1, max_iter=1000)
    model.fit(BLOBS * 1e20)
    assert_allclose(seen, np.abs(BLOBS).max() * 1e20)


def test_callable_init_gets_a_random_state():
    def init(X, n_clusters, random_state):
        return X[random_state.permutation(len(X))[:n_clusters]]

    model = StudentTClustering(4, init=init, random_state=0).fit(BLOBS)
    assert adjusted_rand_score(TRUTH, model.labels_) > 0.95


def test_random_state():
    X = load_digits().data[:400]
    first = StudentTClustering(10, random_state=4).fit(X)
    again = StudentTClustering(10, random_state=4).fit(X)
    assert_array_equal(first.cluster_centers_, again.cluster_centers_)
    rng = np.random.RandomState(4)
    other = StudentTClustering(10, random_state=rng).fit(X)
    assert_array_equal(first.cluster_centers_, other.cluster_centers_)


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


def test_verbose_reports(capsys):
    StudentTClustering(4, verbose=1, n_init=3, random_state=0).fit(BLOBS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("[StudentTClustering] bandwidth ")
    assert "passes, converged = True, evidence " in lines[0]
    StudentTClustering(4, verbose=2, n_init=1, random_state=0).fit(BLOBS)
    out = capsys.readouterr().out
    assert "] step 1: KL = " in out
    assert "changed = 1.00000, shift = " in out


def test_score_is_the_simplified_silhouette(fitted):
    w = np.linspace(0, 2, len(BLOBS))
    expected = naive.simplified_silhouette(BLOBS, fitted.cluster_centers_, w)
    assert_allclose(fitted.score(BLOBS, sample_weight=w), expected)
    assert_allclose(fitted.score(BLOBS), naive.simplified_silhouette(
        BLOBS, fitted.cluster_centers_, np.ones(300)))  # fmt: skip
    assert 0 < fitted.score(BLOBS) < 1
    assert StudentTClustering(1).fit(BLOBS).score(BLOBS) == 0


def test_before_fit():
    for method in ("predict", "predict_proba", "transform", "score"):
        with pytest.raises(NotFittedError):
            getattr(StudentTClustering(), method)(BLOBS)


def test_input_is_left_alone():
    X, weight = BLOBS.copy(), np.ones(len(BLOBS))
    StudentTClustering(4).fit(X, sample_weight=weight).score(X)
    assert_array_equal(X, BLOBS)
    assert_array_equal(weight, 1)


# ------------------------------------------------- solver: batches, streams, restarts
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


@pytest.mark.parametrize("kept", [2**18, 2**16])  # the second: most of it is followed
@pytest.mark.parametrize("name", ["blobs", "digits"])
def test_partial_fit_ends_near_fit(name, kept, monkeypatch):
    # the smaller keeps some 1,000 digits and 8,000 rows of the blobs
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", kept)
    X, y = load_digits(return_X_y=True)
    if name == "blobs":
        X, y = make_blobs(12_000, 8, centers=6, cluster_std=2.5, random_state=4)
    k, batch_size = len(np.unique(y)), 150
    order = np.random.default_rng(0).permutation(len(X))
    stream = StudentTClustering(k, random_state=0)
    for start in range(0, len(X), batch_size):
        batch = X[order[start : start + batch_size]]
        assert stream.partial_fit(batch) is stream
        assert_array_equal(stream.labels_, stream.predict(batch))
    fitted = StudentTClustering(k, random_state=0).fit(X)
    score = adjusted_rand_score(y, stream.predict(X))
    # what was kept of the digits may have led to another start
    assert score > adjusted_rand_score(y, fitted.labels_) - 0.05
    assert_allclose(stream.cluster_frequencies_.sum(), len(X), rtol=1e-6)


def test_partial_fit_follows_weights_and_goes_on_after_fit():
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, len(BLOBS))
    weighted = StudentTClustering(4, random_state=0).fit(BLOBS)
    repeated = StudentTClustering(4, random_state=0).fit(BLOBS)
    before = weighted.cluster_centers_.copy()
    weighted.partial_fit(BLOBS + 0.3, sample_weight=weight)
    repeated.partial_fit((BLOBS + 0.3).repeat(weight, axis=0))
    assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-9)
    assert_allclose(weighted.kl_divergence_, repeated.kl_divergence_)
    moved = weighted.cluster_centers_ - before
    assert np.abs(moved).max() > 1e-3
    assert weighted.n_steps_ > StudentTClustering(4, random_state=0).fit(BLOBS).n_steps_
    with pytest.raises(
        ValueError, match="n_clusters \\(4\\) must not exceed n_samples"
    ):
        StudentTClustering(4).partial_fit(BLOBS[:3])


def test_partial_fit_keeps_the_first_rows_only_while_they_are_few():
    model = StudentTClustering(4, random_state=0)
    model.partial_fit(BLOBS[:100], sample_weight=np.full(100, 2.0))
    model.partial_fit(BLOBS[100:])
    weight = np.r_[np.full(100, 2.0), np.ones(200)]
    whole = StudentTClustering(4, random_state=0).fit(BLOBS, sample_weight=weight)
    # numbered as after the first batch
    columns = [np.sort(m.cluster_centers_, axis=0) for m in (model, whole)]
    assert_allclose(*columns)
    assert_allclose(model.kl_divergence_, whole.kl_divergence_)
    assert len(pickle.dumps(whole)) < BLOBS.nbytes


def test_partial_fit_of_a_reused_buffer_and_of_a_large_first_batch(monkeypatch):
    buffer, reused = BLOBS[:100].copy(), StudentTClustering(4, random_state=0)
    fresh = StudentTClustering(4, random_state=0)
    for start in (0, 100, 200):
        buffer[:] = BLOBS[start : start + 100]
        reused.partial_fit(buffer)
        fresh.partial_fit(BLOBS[start : start + 100])
    assert_array_equal(reused.cluster_centers_, fresh.cluster_centers_)
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 400)
    large = StudentTClustering(4, random_state=0).partial_fit(BLOBS[:200])
    whole = StudentTClustering(4, random_state=0).fit(BLOBS[:200])
    assert_array_equal(large.cluster_centers_, whole.cluster_centers_)
    assert large.partial_fit(BLOBS[200:]).n_steps_ == whole.n_steps_ + 1


@pytest.mark.parametrize("kept", [2**18, 1])
def test_partial_fit_of_mixed_batches(kept, monkeypatch):
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", kept)
    forms = [np.asarray, sparse.csr_matrix, np.float32, sparse.csr_array]
    mixed, plain = (StudentTClustering(4, random_state=0) for _ in range(2))
    for number, start in enumerate(range(0, 280, 40)):
        batch = BLOBS[start : start + 40]
        mixed.partial_fit(forms[number % 4](batch))
        plain.partial_fit(batch)
        mixed = pickle.loads(pickle.dumps(mixed))
    ordered = (np.sort(m.cluster_centers_, axis=0) for m in (mixed, plain))
    assert_allclose(*ordered, atol=1e-3)


@pytest.mark.parametrize("dtype, factor", [(float, 1), (float, 1e160), (float, 1e-160),
                                           (np.float32, 1e-25)])  # fmt: skip
def test_reseeding_finds_every_blob_at_any_scale(dtype, factor):
    outlier = np.full((1, 4), 60.0)
    start = np.vstack([BLOBS[:1], np.full((3, 4), 1e3) * [[1], [2], [3]]])
    X = (np.vstack([BLOBS, outlier]) * factor).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(
            4, init=start * factor, bandwidth=0.5 * factor, max_iter=3000
        ).fit(X)
    assert model.n_reseeds_ > 0
    assert len(np.unique(model.labels_)) == 4


def test_warnings_point_to_the_caller():
    with pytest.warns(ConvergenceWarning) as caught:
        StudentTClustering(3, max_iter=2, random_state=0).fit(IRIS)
        StudentTClustering(3).fit(np.ones((5, 2)))
    assert [warning.filename for warning in caught] == [__file__] * 2


def test_empty_and_coincident_centroids_are_begun_anew():
    far, twin = BLOBS[[0, 1, 2, 3]].copy(), BLOBS[[0, 0, 2, 3]].copy()
    far[3] = 1e6
    for start in (far, twin):
        model = StudentTClustering(4, init=start, balance=1.0, bandwidth=0.5)
        model.set_params(max_iter=3000).fit(BLOBS)
        assert model.n_reseeds_ > 0
        assert len(np.unique(model.labels_)) == 4
        assert np.isfinite(model.predict_proba(BLOBS)).all()
    assert StudentTClustering(4, random_state=0).fit(BLOBS).n_reseeds_ == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_collapse_is_told(dtype):
    X = BLOBS.astype(dtype)
    with pytest.warns(ConvergenceWarning, match="clusters collapsed.*bandwidth"):
        model = StudentTClustering(4, bandwidth=1e4, random_state=0).fit(X)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.kl_divergence_)


@pytest.mark.parametrize("batch_size", [None, 50])
def test_surplus_centroids_do_not_run_away(batch_size):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3, 1, 20)) * 10 + rng.normal(size=(3, 110, 20))).reshape(
        -1, 20
    )
    farthest = np.linalg.norm(X - X.mean(axis=0), axis=1).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seed in range(3):
            model = StudentTClustering(
                9, n_init=5, random_state=seed, batch_size=batch_size
            ).fit(X)
            distances = np.linalg.norm(model.cluster_centers_ - X.mean(axis=0), axis=1)
            assert distances.max() < 5 * farthest
            assert len(np.unique(model.labels_)) >= 3


def test_kl_samples(fitted):
    rows = fitted.kl_samples(BLOBS)
    assert_allclose(rows.sum(), fitted.kl_divergence_, rtol=1e-6)
    Q = fitted.predict_proba(BLOBS)
    P = Q**2 / np.sqrt(fitted.cluster_frequencies_)
    P /= P.sum(axis=1, keepdims=True)
    assert_allclose(rows, (P * np.log(P / Q)).sum(axis=1), rtol=1e-6, atol=1e-12)
    # where two clusters meet, more than in the middle of one
    centers = fitted.cluster_centers_
    between = fitted.kl_samples(0.45 * centers[:1] + 0.55 * centers[1:2])
    assert between > 10 * fitted.kl_samples(centers).max()


# too many clusters for the blobs may not settle, or collapse, and say so
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("k", [3, 5, 8])
@pytest.mark.parametrize("n_features", [2, 20])
def test_grid_search_picks_the_number_of_clusters(k, n_features):
    rng = np.random.default_rng(k)
    centers = rng.normal(size=(200, n_features)) * 10
    # greedily far from each other, so that the truth is beyond doubt
    chosen = [centers[0]]
    while len(chosen) < k:
        distances = np.linalg.norm(centers[:, None] - np.array(chosen), axis=2)
        chosen.append(centers[distances.min(axis=1).argmax()])
    X, _ = make_blobs(300, centers=np.array(chosen), random_state=k)
    search = GridSearchCV(
        StudentTClustering(random_state=0, n_init=2), {"n_clusters": range(2, 16)}, cv=2
    ).fit(X)
    assert search.best_params_ == {"n_clusters": k}


# ------------------------------------------------------------ larger data, sparse data
def test_large_data_start_from_a_sample(monkeypatch):
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 600)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 150)
    X = np.vstack([BLOBS, BLOBS])
    merged = StudentTClustering(4, random_state=0).fit(BLOBS)
    for rows in (X, sparse.csr_matrix(X)):
        model = StudentTClustering(4, random_state=0).fit(rows)
        assert adjusted_rand_score(model.labels_[:300], merged.labels_) > 0.98
    # given the same start, integer weights are repeated rows here too
    start, weight = merged.cluster_centers_ + 0.3, np.arange(300) % 3
    settings = {"init": start, "bandwidth": 1.0, "dof": 1.0, "tol": 1e-9}
    weighted = StudentTClustering(4, **settings).fit(BLOBS, sample_weight=weight)
    repeated = StudentTClustering(4, **settings).fit(BLOBS.repeat(weight, axis=0))
    assert_allclose(
        weighted.predict_proba(BLOBS), repeated.predict_proba(BLOBS), atol=1e-6
    )


def test_large_data_are_not_copied(monkeypatch, tmp_path):
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 2**14)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 400)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.normal(size=(100_000, 40)).astype(np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = StudentTClustering(5, n_init=1, max_iter=2, tol=100, random_state=0)
    model.fit(X[:20_000])  # compiles
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix]
)
def test_sparse_rows_are_dense_rows(form, dtype):
    X = (load_digits().data[:400] // 4).astype(dtype)
    weight = np.arange(400) % 3
    dense = StudentTClustering(6, random_state=0).fit(X, sample_weight=weight)
    model = StudentTClustering(6, random_state=0).fit(form(X), sample_weight=weight)
    close = {"rtol": 1e-4, "atol": 1e-4}
    assert model.transform(form(X)).dtype == dtype
    with pytest.raises(TypeError, match=r"X is sparse: transform\(X\) gives the same"):
        model.predict_proba(form(X))
    assert_array_equal(model.predict(form(X)), model.transform(form(X)).argmax(axis=1))
    assert adjusted_rand_score(dense.labels_, model.labels_) > 0.95
    same = StudentTClustering(6, init=dense.cluster_centers_, bandwidth=3.0)
    Q = [same.fit(rows).transform(X) for rows in (X, form(X))]
    assert_allclose(*Q, **close)
    assert_allclose(model.score(form(X)), model.score(X), rtol=1e-5)
    assert_allclose(model.kl_samples(form(X)), model.kl_samples(X), atol=1e-4)


def test_sparse_text_stays_sparse():
    rng = np.random.default_rng(0)
    rows, columns = np.repeat(np.arange(2000), 50), rng.integers(50_000, size=100_000)
    X = sparse.csr_matrix((rng.random(100_000), (rows, columns)), (2000, 50_000))
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        StudentTClustering(5, n_init=1, max_iter=3, random_state=0).fit(X).score(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 50_000 * 8 / 4


def test_a_callable_that_gives_sparse_centroids_is_told():
    def first_rows(X, k, random_state):
        return X[:k]

    model = StudentTClustering(3, init=first_rows, random_state=0)
    with pytest.raises(TypeError, match="Sparse data was passed for init"):
        model.fit(sparse.csr_array(BLOBS))


@pytest.mark.parametrize("sample_weight", [[3, 1, 1, 3], [1.9, 0.1, 0.1, 1.9]])
def test_a_start_that_is_kept_is_kept_to_the_bit(sample_weight):
    """Even of centroids on the rim of the ball that holds the rows."""
    X, init = [[0, 0], [0.5, 0], [0.5, 1], [1, 1]], [[0, 0], [1, 1]]
    model = StudentTClustering(2, init=init).fit(X, sample_weight=sample_weight)
    assert model.start_kept_
    assert_array_equal(model.cluster_centers_, init)
