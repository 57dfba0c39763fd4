"""Degrees of freedom and bandwidth that are chosen from the data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.cluster import KMeans

import skdec
from skdec import StudentTClustering
from tests.clustering.common import BLOBS


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
