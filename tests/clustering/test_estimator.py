"""StudentTClustering as a whole."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skdec import StudentTClustering
from tests import naive
from tests.clustering.common import (
    BLOBS,
    IRIS,
    TRUTH,
    embeddings,
    in_units,
)


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


@pytest.mark.parametrize(
    "X, k", [(BLOBS, 4), (IRIS, 3), (load_digits().data[:500], 10)]
)
def test_rescaling_changes_no_label(X, k):
    plain = StudentTClustering(k, random_state=0).fit(X)
    Q = plain.predict_proba(X)
    for factor in (1e-3, 0.7, 3.0, 1e4):
        scaled = StudentTClustering(k, random_state=0).fit(X * factor)
        assert_array_equal(scaled.labels_, plain.labels_, err_msg=f"times {factor}")
        assert_allclose(scaled.predict_proba(X * factor), Q, rtol=1e-5, atol=1e-6)


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


def test_weights_beside_a_much_larger_one():
    """Those that single precision could not hold beside it count for nothing."""
    weight = np.ones(300)
    weight[7] = 1e50
    X = BLOBS.astype(np.float32)
    alone = (weight > 1).astype(float)
    settings = {"n_init": 2, "max_iter": 20, "random_state": 0}
    for data in (X, np.tile(X, (1, 60)) + np.float32(0.5)):
        with pytest.warns(UserWarning, match="distinct rows"):
            model = StudentTClustering(4, **settings)
            model.fit(data, sample_weight=weight)
        with pytest.warns(UserWarning, match="distinct rows"):
            expected = StudentTClustering(4, **settings)
            expected.fit(data, sample_weight=alone)
        assert_array_equal(model.labels_, expected.labels_)
    double = StudentTClustering(4, **settings).fit(BLOBS, sample_weight=weight)
    assert len(np.unique(double.labels_)) == 4


def test_kl_of_a_pass_in_which_one_batch_has_nearly_all_weight():
    weight = np.ones(300)
    weight[7] = 1e20
    model = StudentTClustering(
        4, batch_size=50, update_interval=3, n_init=2, max_iter=4, tol=0, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(BLOBS, sample_weight=weight)
    assert np.isfinite(model.history_["kl_divergence"]).all()
    assert len(model.history_["kl_divergence"]) > 1


def test_random_state():
    X = load_digits().data[:400]
    first = StudentTClustering(10, random_state=4).fit(X)
    again = StudentTClustering(10, random_state=4).fit(X)
    assert_array_equal(first.cluster_centers_, again.cluster_centers_)
    rng = np.random.RandomState(4)
    other = StudentTClustering(10, random_state=rng).fit(X)
    assert_array_equal(first.cluster_centers_, other.cluster_centers_)


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


def test_input_is_left_alone():
    X, weight = BLOBS.copy(), np.ones(len(BLOBS))
    StudentTClustering(4).fit(X, sample_weight=weight).score(X)
    assert_array_equal(X, BLOBS)
    assert_array_equal(weight, 1)


def test_warnings_point_to_the_caller():
    with pytest.warns(ConvergenceWarning) as caught:
        StudentTClustering(3, max_iter=2, random_state=0).fit(IRIS)
        StudentTClustering(3).fit(np.ones((5, 2)))
    assert [warning.filename for warning in caught] == [__file__] * 2


@pytest.mark.parametrize(
    "form, dtype",
    [
        (sparse.csr_matrix, np.float32),
        (sparse.csc_array, np.float64),
        (sparse.coo_matrix, np.float64),
    ],
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


def agreement_of_kmeans(X, y):
    labels = KMeans(y.max() + 1, n_init=10, random_state=0).fit(X).labels_
    return adjusted_rand_score(y, labels)


@pytest.mark.parametrize(
    "n_features, form, dtype",
    [
        (384, np.asarray, np.float32),
        (100, sparse.csr_matrix, np.float32),
    ],
)
def test_embeddings(n_features, form, dtype):
    X, y = embeddings(n_features)
    rows = form(X.astype(dtype))
    model = StudentTClustering(8, random_state=0).fit(rows)
    score = adjusted_rand_score(y, model.labels_)
    assert score > agreement_of_kmeans(X, y) - 0.02
    assert model.converged_
    batches = StudentTClustering(8, batch_size=225, random_state=0).fit(rows)
    assert adjusted_rand_score(y, batches.labels_) > score - 0.05
    stream = StudentTClustering(8, random_state=0)
    for start in range(0, 900, 300):
        stream.partial_fit(rows[start : start + 300])
    assert adjusted_rand_score(y, stream.predict(rows)) > score - 0.1


def test_cosine_data_by_a_normalizer(rng):
    directions, y = embeddings(200, k=4, n_samples=800)
    lengths = rng.lognormal(0, 1.5, (800, 1))
    model = make_pipeline(Normalizer(), StudentTClustering(4, random_state=0))
    labels = model.fit_predict(directions * lengths)
    assert adjusted_rand_score(y, labels) > 0.95
    plain = StudentTClustering(4, random_state=0).fit(directions)
    assert_array_equal(labels, plain.labels_)


@pytest.mark.parametrize("k", [4, 11])
def test_dense_and_sparse_rows_have_the_same_clusters(k, rng):
    # without structure: nothing but the same starts gives the same clusters
    X = rng.random((400, 12)) * (rng.random((400, 12)) < 0.3)
    dense = StudentTClustering(k, random_state=3, max_iter=3000).fit(X)
    model = StudentTClustering(k, random_state=3, max_iter=3000)
    model.fit(sparse.csr_matrix(X))
    assert adjusted_rand_score(dense.labels_, model.labels_) > 0.97
    assert model.dof_ == dense.dof_
    assert_allclose(model.bandwidth_, dense.bandwidth_, rtol=1e-9)
    assert_allclose(model.evidence_, dense.evidence_, rtol=1e-4)


@pytest.mark.parametrize("magnitude", [1e-300, 1e-170, 1e170, 1e290])
def test_sparse_rows_at_any_magnitude(magnitude, rng):
    X = rng.random((60, 4)) * (rng.random((60, 4)) < 0.6) * magnitude
    dense = StudentTClustering(3, random_state=0).fit(X)
    model = StudentTClustering(3, random_state=0).fit(sparse.csr_matrix(X))
    assert_array_equal(model.labels_, dense.labels_)
    assert_allclose(model.evidence_, dense.evidence_, rtol=1e-6)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_call_that_fails_leaves_the_last_fit_whole(method, rng):
    X = rng.normal(size=(60, 5))
    model = StudentTClustering(3, random_state=0)
    getattr(model, method)(X)
    before, q = dict(vars(model)), model.predict_proba(X)

    def interrupted(X, k, random_state):
        raise KeyboardInterrupt

    failing = [(X[:2, :3], None, {}), (X, -np.ones(60), {}), (X[:, :2], None, {})]
    failing = failing if method == "fit" else failing[1:]
    for rows, weight, _ in failing[:2]:
        with pytest.raises(ValueError):
            getattr(model, method)(rows, sample_weight=weight)
        assert vars(model) == before
    model.set_params(init=interrupted)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(X)
    model.set_params(init="k-means++")
    assert vars(model) == before
    assert_array_equal(model.predict_proba(X), q)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_warning_that_is_an_error_leaves_the_last_fit_whole(method):
    model = StudentTClustering(3, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            model.fit(IRIS)
        assert not hasattr(model, "labels_")
        model.set_params(max_iter=300).fit(IRIS)
        before = dict(vars(model))
        for _ in range(2):
            # a batch of few rows is told of once in a stream
            with pytest.raises(ConvergenceWarning):
                getattr(model.set_params(max_iter=1), method)(IRIS[:10])
            assert vars(model) == {**before, "max_iter": 1}
