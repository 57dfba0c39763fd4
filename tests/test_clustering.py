"""StudentTClustering: fixed point, starts, weights, stopping, score."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV

import skdec
from skdec import StudentTClustering
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
    P = naive.target_distribution(Q, w)
    assert model.cluster_centers_.dtype == model.predict_proba(X).dtype == dtype
    assert_allclose(model.predict_proba(X), Q, **loose)
    assert_allclose(model.transform(X), Q, **loose)
    assert_array_equal(model.labels_, Q.argmax(axis=1))
    assert_allclose(model.cluster_frequencies_, naive.frequencies(Q, w), **loose)
    assert_allclose(model.kl_divergence_, naive.kl_divergence(P, Q, w), **loose)
    assert_allclose(model.evidence_, naive.evidence(Z, centers, dof, w), **loose)


@pytest.mark.parametrize("update_interval", [1, 3])
def test_ends_where_the_gradient_vanishes(update_interval):
    model = StudentTClustering(
        4, tol=1e-10, max_iter=5000, update_interval=update_interval, random_state=0
    ).fit(BLOBS)
    Z, centers = in_units(model, BLOBS)
    _, _, gradient = skdec.clustering_loss(Z, centers)
    assert model.converged_
    assert np.abs(gradient).max() < 1e-6


@pytest.mark.parametrize("update_interval", [7, 50])
def test_convergence_is_judged_on_a_fresh_target(update_interval):
    settings = {"random_state": 0, "tol": 1e-3, "max_iter": 20_000}
    often = StudentTClustering(3, **settings).fit(IRIS)
    rare = StudentTClustering(3, update_interval=update_interval, **settings).fit(IRIS)
    assert rare.converged_
    assert rare.n_iter_ >= 2 * update_interval
    largest = []
    for model in (often, rare):
        Z, centers = in_units(model, IRIS)
        largest.append(np.abs(skdec.clustering_loss(Z, centers)[2]).max())
    assert largest[1] <= 3 * largest[0]


def test_bandwidth_one_is_the_formula_of_the_paper():
    model = StudentTClustering(4, bandwidth=1.0, random_state=0).fit(BLOBS)
    Q = skdec.soft_assignment(BLOBS, model.cluster_centers_)
    assert_allclose(model.predict_proba(BLOBS), Q, rtol=1e-12)


def test_automatic_bandwidth_is_half_the_spread_of_the_best_start():
    model = StudentTClustering(4, random_state=0).fit(BLOBS)
    best = KMeans(4, n_init=20, random_state=0).fit(BLOBS)
    expected = 0.5 * np.sqrt(best.inertia_ / BLOBS.size)
    assert_allclose(model.bandwidth_, expected, rtol=1e-3)


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


def test_the_start_with_the_highest_evidence_is_kept(monkeypatch):
    import skdec.clustering

    kept = []
    iterate = StudentTClustering._iterate

    def spy(self, *arguments):
        kept.append(iterate(self, *arguments))
        return kept[-1]

    monkeypatch.setattr(StudentTClustering, "_iterate", spy)
    X = load_digits().data
    model = StudentTClustering(10, n_init=6, random_state=1).fit(X)
    evidence = [run.evidence for run in kept]
    assert len(evidence) == 6
    assert max(evidence) - min(evidence) > 10 * skdec.clustering.EVIDENCE_TIE
    assert_allclose(model.evidence_, max(evidence), atol=skdec.clustering.EVIDENCE_TIE)


def test_init():
    seeds = BLOBS[[0, 5, 9, 20]]
    model = StudentTClustering(4, init=seeds).fit(BLOBS)
    listed = StudentTClustering(4, init=seeds.tolist()).fit(BLOBS)
    assert_array_equal(model.labels_, listed.labels_)
    # an array is the start itself: one tiny step must stay near it
    with pytest.warns(ConvergenceWarning):
        near = StudentTClustering(4, init=seeds, max_iter=1, bandwidth=1e-3).fit(BLOBS)
    assert np.abs(near.cluster_centers_ - seeds).max() < 0.5
    for init in ("random", lambda X, k, random_state: X[:k] * 1.0):
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
    with pytest.warns(ConvergenceWarning, match="did not settle within max_iter=2"):
        model = StudentTClustering(4, max_iter=2, random_state=0).fit(BLOBS)
    assert not model.converged_
    assert model.n_iter_ == 2


def test_quiet_labels_alone_do_not_stop():
    # at the k-means solution no label changes for a while, yet the centroids move
    start = KMeans(3, n_init=10, random_state=0).fit(IRIS).cluster_centers_
    model = StudentTClustering(3, init=start, bandwidth=0.3).fit(IRIS)
    assert model.n_iter_ > 5
    shift = np.abs(model.cluster_centers_ - start).max() / 0.3
    assert shift > 0.1


def test_verbose_reports(capsys):
    StudentTClustering(4, verbose=1, n_init=3, random_state=0).fit(BLOBS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[StudentTClustering] start 0: ")
    StudentTClustering(4, verbose=2, n_init=1, random_state=0).fit(BLOBS)
    assert "start 0 step 0: changed = 1.0" in capsys.readouterr().out


def test_score_is_the_simplified_silhouette(fitted):
    w = np.linspace(0, 2, len(BLOBS))
    expected = naive.simplified_silhouette(BLOBS, fitted.cluster_centers_, w)
    assert_allclose(fitted.score(BLOBS, sample_weight=w), expected)
    assert_allclose(fitted.score(BLOBS), naive.simplified_silhouette(
        BLOBS, fitted.cluster_centers_, np.ones(300)))  # fmt: skip
    assert 0 < fitted.score(BLOBS) < 1
    assert StudentTClustering(1).fit(BLOBS).score(BLOBS) == 0


@pytest.mark.parametrize("k", [3, 5])
def test_default_score_picks_the_number_of_clusters(k):
    X, _ = make_blobs(250, n_features=3, centers=k, cluster_std=0.6,
                      center_box=(-12, 12), random_state=k)  # fmt: skip
    search = GridSearchCV(
        StudentTClustering(random_state=0, n_init=5), {"n_clusters": range(2, 9)}, cv=3
    ).fit(X)
    assert search.best_params_ == {"n_clusters": k}


def test_before_fit():
    for method in ("predict", "predict_proba", "transform", "score"):
        with pytest.raises(NotFittedError):
            getattr(StudentTClustering(), method)(BLOBS)


def test_input_is_left_alone():
    X, weight = BLOBS.copy(), np.ones(len(BLOBS))
    StudentTClustering(4).fit(X, sample_weight=weight).score(X)
    assert_array_equal(X, BLOBS)
    assert_array_equal(weight, 1)
