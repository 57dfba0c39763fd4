"""Where a map starts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier

from skdec import ExactTSNE
from skdec.tsne._initialization import principal_components
from tests.tsne.common import DIGITS, IRIS, SHORT


def test_init(rng):
    start = rng.normal(size=(len(IRIS), 2))
    before = start.copy()
    ExactTSNE(init=start, max_iter=5).fit(IRIS)
    assert_array_equal(start, before)
    one = ExactTSNE(init=start.tolist(), max_iter=5).fit_transform(IRIS)
    assert_array_equal(one, ExactTSNE(init=start, max_iter=5).fit_transform(IRIS))
    for init in ("pca", "random"):
        first = ExactTSNE(init=init, random_state=3, max_iter=5).fit_transform(IRIS)
        again = ExactTSNE(init=init, random_state=3, max_iter=5).fit_transform(IRIS)
        assert_array_equal(first, again)


def test_sparse_rows_start_at_their_principal_components():
    X = np.where(DIGITS[:150] > 6, DIGITS[:150], 0.0)
    dense = principal_components(X, 2, 0)
    assert_allclose(principal_components(sparse.csr_array(X), 2, 0), dense, atol=1e-10)
    narrow = principal_components(sparse.csr_array(X[:, 20:22]), 2, 0)
    assert_allclose(narrow, principal_components(X[:, 20:22], 2, 0), atol=1e-10)


def test_principal_components_have_their_order_signs_and_scale(rng):
    X = rng.normal(size=(80, 5)) * [5, 3, 1, 1, 1]
    start = principal_components(X, 3, 0)
    assert_allclose(start[:, 0].std(), 1e-4)
    assert start[:, 0].std() > start[:, 1].std() > start[:, 2].std()
    order = rng.permutation(80)
    assert_allclose(principal_components(X[order], 3, 0), start[order], atol=1e-12)


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("metric", ["euclidean", "precomputed"])
def test_spectral_start_tells_clusters_apart(n, metric):
    X, labels = make_blobs(n, 6, centers=3, cluster_std=1.5, random_state=0)
    given = pairwise_distances(X) if metric == "precomputed" else X
    settings = {
        "metric": metric,
        "init": "spectral",
        "perplexity": 12,
        "max_iter": 1,
        "random_state": 0,
    }
    # after one step from 1e-4 the map still is its start
    map_ = ExactTSNE(learning_rate=1e-9, **settings).fit_transform(given)
    assert_allclose(map_[:, 0].std(), 1e-4, rtol=1e-3)
    assert KNeighborsClassifier(5).fit(map_, labels).score(map_, labels) > 0.95
    again = ExactTSNE(learning_rate=1e-9, **settings).fit_transform(given)
    assert_array_equal(again, map_)


def test_principal_components_of_distances_fall_back():
    D = pairwise_distances(IRIS)
    with pytest.warns(UserWarning, match="init='spectral' is used instead"):
        found = ExactTSNE(metric="precomputed", **SHORT).fit_transform(D)
    asked = ExactTSNE(metric="precomputed", init="spectral", **SHORT).fit_transform(D)
    assert_array_equal(found, asked)


def test_spectral_start_of_few_and_of_equal_points():
    assert np.isfinite(
        ExactTSNE(5, init="spectral", **SHORT).fit_transform(IRIS[:3])
    ).all()


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_a_large_constant_column_changes_no_start(container):
    X = DIGITS[:200]
    beside = np.column_stack([X, np.full(200, 1e15)])
    starts = [
        principal_components(container(rows), 2, np.random.RandomState(0))
        for rows in (X, beside)
    ]
    assert_allclose(*starts, atol=1e-9)


def test_a_column_far_from_zero_keeps_its_variance_in_the_start():
    X = np.random.RandomState(0).randn(200, 4) * [8, 4, 1, 1]
    starts = [principal_components(X + offset, 2, 0) for offset in (0.0, 1e10)]
    assert_allclose(*starts, atol=1e-3 * np.abs(starts[0]).max())


@pytest.mark.parametrize(
    "init, precision",
    [
        (np.zeros((len(IRIS), 2)), "single"),
        (np.full((len(IRIS), 2), 3.5), "double"),
        # different, but not in single precision
        (1e-60 * np.random.default_rng(0).normal(size=(len(IRIS), 2)), "single"),
    ],
)
def test_points_that_all_start_in_one_place_are_refused(init, precision):
    with pytest.raises(ValueError, match="init must have points in different places"):
        ExactTSNE(init=init, precision=precision, **SHORT).fit(IRIS)


@pytest.mark.parametrize("weighted", [False, True])
def test_places_that_differ_in_rows_that_are_not_fitted_are_one(weighted, rng):
    X, weight, init = rng.normal(size=(40, 3)), None, np.zeros((40, 2))
    init[39] = 1
    if weighted:
        weight = np.r_[np.ones(39), 0]
    else:
        X[39] = X[0]
    with pytest.raises(ValueError, match="for all that are fitted"):
        ExactTSNE(init=init, **SHORT).fit(X, sample_weight=weight)
    # of copies of a single row there is no other
    ExactTSNE(init=np.zeros((2, 2)), **SHORT).fit(X[[0, 0]])


@pytest.mark.parametrize("n_components", [2, 3])
def test_points_may_start_as_far_apart_as_init_may_have_them(n_components):
    """Where the similarity of a loop that is made for maps would vanish."""
    X, far = np.array([[0.0, 1.0], [2.0, 3.0], [5.0, 3.0]]), 1e15
    init = far * np.array(
        [[-1.0] * n_components, [1.0] * n_components, [0.0] * n_components]
    )
    tsne = ExactTSNE(n_components, init=init, perplexity=1.5, max_iter=3).fit(X)
    assert np.isfinite(tsne.kl_divergence_)
    assert tsne.kl_divergence_ > 0
