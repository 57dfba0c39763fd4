"""What a fitted clustering tells of rows."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV

from skdec import StudentTClustering
from skdec.encoders import LinearEncoder
from tests import naive
from tests.clustering.common import BLOBS


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


def test_labels_beside_a_row_that_needs_double_precision(fitted, monkeypatch):
    monkeypatch.setattr("skdec.clustering._prediction.ROWS_PER_PREDICTION", 100)
    centers = fitted.cluster_centers_
    # on the border rounding decides, and the last row decides how q is rounded
    across = (centers[1] - centers[0]) / np.linalg.norm(centers[1] - centers[0])
    noise = np.random.default_rng(0).normal(size=(501, 4))
    border = centers[:2].mean(axis=0) + noise - np.outer(noise @ across, across)
    border[-1] = 1e20
    X = border.astype(np.float32)
    assert_array_equal(fitted.predict(X), fitted.transform(X).argmax(axis=1))


def test_set_output_concerns_transform_alone():
    model = StudentTClustering(4, random_state=0).set_output(transform="pandas")
    table = model.fit_transform(BLOBS)
    assert isinstance(table, pd.DataFrame)
    Q = model.predict_proba(BLOBS)
    assert type(Q) is np.ndarray
    assert_array_equal(table.to_numpy(), Q)


def test_memberships_do_not_depend_on_batch_or_order(fitted):
    Q = fitted.predict_proba(BLOBS)
    order = np.random.default_rng(0).permutation(len(BLOBS))
    assert_array_equal(fitted.predict_proba(BLOBS[order]), Q[order])
    for i in (0, 17, 299):
        assert_array_equal(fitted.predict_proba(BLOBS[i : i + 1]), Q[i : i + 1])
    assert_array_equal(fitted.predict_proba(BLOBS[40:]), Q[40:])


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
@pytest.mark.parametrize("k", [3, 8])
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


@pytest.mark.parametrize("n_features", [2, 10, 50, 384, 768])
def test_memberships_say_what_share_is_right(n_features):
    rng = np.random.RandomState(1)
    centers = rng.randn(6, n_features)
    centers *= 7 / np.linalg.norm(centers, axis=1, keepdims=True)
    # in the plane the six are next to each other
    centers = centers if n_features > 2 else 7 * np.array(
        [[np.cos(t), np.sin(t)] for t in np.arange(6) * np.pi / 3]
    )  # fmt: skip
    y = rng.randint(6, size=1200)
    X = centers[y] + rng.randn(1200, n_features)
    model = StudentTClustering(6, random_state=0).fit(X)
    table = np.array([np.bincount(y[model.labels_ == j]).max() for j in range(6)])
    assert abs(model.probabilities_.mean() - table.sum() / 1200) < 0.15


def test_entropy_finds_the_rows_between_clusters_and_density_those_far_off():
    X = load_digits().data
    model = StudentTClustering(10, random_state=0).fit(X)
    q = np.sort(model.transform(X), axis=1)
    tenth = len(X) // 10
    torn = set(np.argsort(q[:, -1] - q[:, -2])[:tenth])
    assert len(torn & set(np.argsort(-model.entropy_samples(X))[:tenth])) > tenth / 2
    between = model.cluster_centers_[:2].mean(axis=0, keepdims=True)
    far = X.mean(axis=0, keepdims=True) + 1000
    assert model.score_samples(far) < model.score_samples(X).min() - 50
    assert model.score_samples(between) > model.score_samples(far)
    two = StudentTClustering(2, random_state=0).fit(X[:, :40])
    middle = two.cluster_centers_.mean(axis=0, keepdims=True)
    assert two.kl_samples(middle) < 0.2 * two.kl_samples(X[:, :40]).max()
    assert_allclose(two.entropy_samples(middle), np.log(2), rtol=1e-6)


def test_means_are_typical_rows_where_centroids_are_not():
    X = load_digits().data
    model = StudentTClustering(10, random_state=0).fit(X)
    assert model.cluster_means_.min() >= 0
    assert model.cluster_means_.max() <= 16
    Q = model.predict_proba(X)
    assert_allclose(model.cluster_means_, Q.T @ X / Q.sum(axis=0)[:, None], rtol=1e-6)


class Width(BaseEstimator):
    """An encoder whose width can be changed behind the clustering's back."""

    def __init__(self, n_components=5):
        self.n_components = n_components

    def fit(self, X, y=None, sample_weight=None):
        self.W_ = np.random.RandomState(0).normal(size=(X.shape[1], self.n_components))
        return self

    def transform(self, X):
        return X @ self.W_

    def step(self, X, gradient, sample_weight=None):
        gradient(X @ self.W_)


@pytest.mark.parametrize("width", [2, 6])
def test_an_encoder_of_another_width_is_refused(width, rng):
    X = rng.normal(size=(90, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(3, encoder=Width(), max_iter=2, random_state=0)
        model.fit(X)
    model.encoder_.set_params(n_components=width).fit(X)
    for method in ("predict", "transform", "score", "kl_samples", "score_samples"):
        with pytest.raises(ValueError, match=r"must have 5 columns.*got"):
            getattr(model, method)(X)


def test_what_is_too_large_is_called_by_its_name(rng):
    X = rng.normal(size=(90, 6))
    plain = StudentTClustering(3, random_state=0).fit(X)
    learned = StudentTClustering(
        3, encoder=LinearEncoder(2), tol=0.1, random_state=0
    ).fit(X)
    for model, name in ((plain, "X"), (learned, "encoder_.transform(X)")):
        for method in (model.predict, model.transform, model.score_samples):
            with pytest.raises(ValueError, match=f"^{re.escape(name)} must stay below"):
                method(1e200 * X)


@pytest.mark.parametrize("form", [csr_matrix, csr_array])
def test_sparse_rows_are_refused_where_their_distances_are_lost(form):
    far = BLOBS + 1e8
    model = StudentTClustering(4, random_state=0).fit(far)
    labels, centers = model.labels_, model.cluster_centers_
    for rows in (far, far[:1]):
        for ask in (model.predict, model.transform, model.score, model.kl_samples,
                    model.entropy_samples, model.score_samples,
                    model.partial_fit):  # fmt: skip
            with pytest.raises(ValueError, match=r"X: sparse rows.*farther from zero"):
                ask(form(rows))
    assert model.labels_ is labels and model.cluster_centers_ is centers
    # a row far from all centroids has its distance, and one on a centroid too
    near = StudentTClustering(4, random_state=0).fit(BLOBS)
    for rows in (far, near.cluster_centers_[:1], BLOBS.mean(axis=0, keepdims=True)):
        for name in ("transform", "score_samples", "score"):
            ask = getattr(near, name)
            assert_allclose(ask(form(rows)), ask(rows), rtol=1e-6, atol=1e-6)


def test_entries_in_parts_are_one_entry(fitted):
    whole = csr_matrix(BLOBS)
    parts = csr_matrix(
        (np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2), 2 * whole.indptr),
        whole.shape,
    )
    for method in ("score", "transform", "score_samples"):
        ask = getattr(fitted, method)
        assert_array_equal(ask(parts), ask(whole), err_msg=method)
    assert parts.nnz == 2 * whole.nnz
    encoder = LinearEncoder(2).fit(parts)
    assert encoder.scale_ == LinearEncoder(2).fit(whole).scale_
    assert_array_equal(encoder.transform(parts), encoder.transform(whole))
