"""Distances by any metric, of dense and sparse rows."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import (
    DataConversionWarning,
)
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances

import skdec
from skdec import ExactTSNE
from skdec.tsne import _products
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._products import squared_euclidean
from skdec.utils.threads import Threads
from tests import naive
from tests.tsne.common import DIGITS, IRIS, SHORT


@pytest.mark.parametrize("metric, params", [("manhattan", None), ("cosine", None),
                                            ("minkowski", {"p": 3}),
                                            ("seuclidean", None),
                                            ("mahalanobis", None)])  # fmt: skip
def test_metrics_are_those_of_scikit_learn(metric, params):
    settings = {"init": "random", "random_state": 0, "max_iter": 20}
    direct = ExactTSNE(metric=metric, metric_params=params, **settings).fit(IRIS)
    D = pairwise_distances(IRIS, metric=metric, **(params or {}))
    D = (D + D.T) / 2
    np.fill_diagonal(D, 0)
    given = ExactTSNE(metric="precomputed", **settings).fit(D)
    assert_allclose(direct.embedding_, given.embedding_, rtol=1e-3, atol=1e-4)
    assert np.isfinite(direct.transform(IRIS[:5] + 0.01)).all()


@pytest.mark.parametrize("dtype, exponent", [(np.float32, 100), (np.float32, -100),
                                             (float, 700), (float, -700)])  # fmt: skip
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_angles_do_not_depend_on_the_unit(rng, metric, dtype, exponent):
    # of which squares overflow, or vanish
    X, unit = rng.normal(size=(20, 4)).astype(dtype), dtype(2.0**exponent)
    for form in (sparse.csr_array, np.array) if metric == "cosine" else (np.array,):
        one, other = (SquaredDistances(form(x), metric) for x in (X, X * unit))
        new = form(X[:5] + 1), form((X[:5] + 1) * unit)
        D = one.between(one.prepare(new[0]))
        assert_array_equal(other.between(other.prepare(new[1])), D)
    assert_array_equal(other.restore(other.rows), X.astype(float) * unit)
    with Threads(1) as threads:
        found = [distances.nearest(3, threads) for distances in (one, other)]
    assert_array_equal(found[1].columns, found[0].columns)


@pytest.mark.parametrize("metric", ["seuclidean", "mahalanobis"])
def test_what_a_metric_estimates_is_estimated_in_double_precision(rng, metric):
    X = (rng.normal(size=(20, 4)) * 1e25).astype(np.float32)
    unit = float(np.abs(X).max())
    D = SquaredDistances(X, metric).between(X)
    assert_allclose(D, SquaredDistances(X / unit, metric).between(X / unit), rtol=1e-4)


def test_what_a_metric_cannot_estimate(rng):
    X = rng.normal(size=(20, 3))
    constant, wide = np.c_[X, np.ones(20)], X * [1, 1e200, 1]
    for rows, found in ((constant, "feature 3 .* 0"), (wide, "feature 1 .* inf")):
        with pytest.raises(ValueError, match=f"seuclidean' needs .* {found}"):
            SquaredDistances(rows, "seuclidean")
    # rounding leaves the covariance of the second an inverse, which means nothing
    for rows in (constant, np.eye(20), wide):
        with pytest.raises(ValueError, match="mahalanobis' needs X with an invertible"):
            SquaredDistances(rows, "mahalanobis")
    # features of other units are no such thing
    scales = np.array([1e-90, 1.0, 1e90])
    D = SquaredDistances(X * scales, "mahalanobis").between(X * scales)
    assert_allclose(D, SquaredDistances(X, "mahalanobis").between(X), rtol=1e-9)


def test_rows_too_far_away_are_refused_without_a_warning(rng):
    distances = SquaredDistances(rng.normal(size=(5, 2)) * 1e-300)
    with pytest.raises(ValueError, match="X must stay within"):
        distances.prepare(np.full((1, 2), 1e300))


@pytest.mark.parametrize("dtype", [bool, float])
def test_boolean_metric(dtype):
    X = (DIGITS[:60] > 8).astype(dtype)
    tsne = ExactTSNE(metric="jaccard", max_iter=20, perplexity=10).fit(X)
    assert np.isfinite(tsne.transform(DIGITS[60:70] > 8)).all()


def test_metric_params_count_for_euclidean_too():
    settings = {"random_state": 0, "max_iter": 20}
    squares = {"X_norm_squared": None}
    with_params = ExactTSNE(metric_params=squares, **settings).fit(IRIS)
    assert_allclose(
        with_params.embedding_, ExactTSNE(**settings).fit(IRIS).embedding_, atol=1e-3
    )


@pytest.mark.parametrize("n, d", [(2, 3), (65, 1), (101, 50), (200, 7), (2999, 64)])
def test_distances_of_a_row_alone(rng, n, d):
    """BLAS rounds by the shape of a product; those of new rows must not."""
    X, rows = rng.normal(size=(n, d)), rng.normal(size=(70, d))
    # some pairs go by differences
    rows[:20] = X[np.arange(20) % n] + 1e-6
    distances = SquaredDistances(X)
    rows = distances.prepare(rows)
    whole = distances.between(rows, alone=True)
    assert_allclose(whole, distances.between(rows), rtol=1e-10)
    order = rng.permutation(70)
    for chosen in (order, order[:1], order[:31], order[:33], order[7:12]):
        part = distances.between(rows[chosen], alone=True)
        assert_array_equal(part, whole[chosen])


@pytest.mark.parametrize("n, d", [(2, 3), (45, 64), (200, 7), (1111, 30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "metric, params",
    [("cosine", {}), ("nan_euclidean", {}), ("euclidean", {"squared": False})],
)
def test_other_distances_of_a_row_alone(metric, params, dtype, rng, n, d):
    X, new = ((rng.normal(size=(m, d)) + 8).astype(dtype) for m in (n, 70))
    distances = SquaredDistances(X, metric, params)
    rows = distances.prepare(new)
    whole = distances.between(rows, alone=True)
    rtol, atol = (1e-2, 1e-3) if dtype == np.float32 else (1e-9, 1e-12)
    assert_allclose(whole, distances.between(rows), rtol=rtol, atol=atol)
    order = rng.permutation(70)
    for chosen in (order, order[:1], order[:31], order[:33], order[7:12]):
        part = distances.between(rows[chosen], alone=True)
        assert_array_equal(part, whole[chosen])


def test_distances_with_rounding_errors():
    D = 1 - np.corrcoef(IRIS)
    D = np.abs(D) + 1e-16
    tsne = ExactTSNE(metric="precomputed", init="random", max_iter=20).fit(D)
    assert np.isfinite(tsne.embedding_).all()
    assert len(np.unique(tsne.embedding_, axis=0)) > 100


def test_given_distances_lie_by_rows_whatever_columns_are_chosen():
    # NumPy chooses columns into an array the other way round, for which the kernels
    # would be compiled once more
    given = SquaredDistances(pairwise_distances(IRIS), "precomputed")
    D = given.between(given.rows[:10], np.arange(145, 155) % len(IRIS))
    assert D.flags.c_contiguous


def test_callable_metric():
    X = IRIS[::3]

    def city_block(a, b):
        return np.abs(a - b).sum()

    settings = {"random_state": 0, "max_iter": 20, "perplexity": 10}
    embedding = ExactTSNE(metric=city_block, **settings).fit_transform(X)
    expected = ExactTSNE(metric="manhattan", **settings).fit_transform(X)
    assert_allclose(embedding, expected, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array,
                                       sparse.coo_matrix])  # fmt: skip
def test_sparse_rows_are_dense_rows(metric, container, affinities):
    X = np.where(DIGITS[:150] > 6, DIGITS[:150], 0.0)
    X *= np.random.default_rng(0).uniform(1, 1.01, X.shape)  # no ties
    X[7] = X[3]
    settings = {"metric": metric, "affinities": affinities, "init": "random", **SHORT}
    dense = ExactTSNE(**settings).fit(X)
    S = container(X)
    found = ExactTSNE(**settings).fit(S)
    scale = np.abs(dense.embedding_).max()
    assert_allclose(found.embedding_, dense.embedding_, rtol=1e-3, atol=0.05 * scale)
    assert_array_equal(found.embedding_[7], found.embedding_[3])
    assert_array_equal(found.transform(S), found.embedding_)
    new = np.where(DIGITS[150:160] > 6, DIGITS[150:160], 0.0)
    found.embedding_ = dense.embedding_
    assert_allclose(found.transform(container(new)), dense.transform(new), atol=1e-4)


def test_sparse_input_is_left_alone():
    S = sparse.random(100, 30, 0.2, format="csr", random_state=0)
    before = S.copy()
    ExactTSNE(**SHORT).fit(S).transform(S[:5])
    assert (before != S).nnz == 0


def test_near_duplicates_among_sparse_rows():
    # the expanded form ‖a‖² + ‖b‖² − 2a·b would leave nothing of their distance
    X = np.random.default_rng(0).normal(size=(20, 6)) * (np.arange(6) < 4)
    X = np.vstack([X, X * (1 + 1e-7)])
    distances = SquaredDistances(sparse.csr_array(X))
    D = distances.between(distances.rows) * distances.unit**2
    expected = [naive.squared_distance(X[i], X[i + 20]) for i in range(20)]
    assert_allclose(D[np.arange(20), np.arange(20) + 20], expected, rtol=1e-6)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_pairs_whose_products_lose_digits_a_few_at_a_time(rng, monkeypatch, container):
    # heaps, and rows that are near none: 7 entries are two rows, and one is left over
    monkeypatch.setattr(_products, "ENTRIES_AT_ONCE", 7)
    monkeypatch.setattr(_products, "IN_CACHE", 7)
    X = np.repeat(rng.normal(size=(4, 3)), 5, axis=0)
    X[:19] += 1e-6 * rng.normal(size=(19, 3))
    X += [3, -5, 2]
    rows = np.concatenate([X[[0, 6, 7, 19]], rng.normal(size=(2, 3))])
    D = squared_euclidean(container(rows), container(X), (X**2).sum(axis=1))
    expected = [[naive.squared_distance(x, y) for y in X] for x in rows]
    assert_allclose(D, expected, rtol=1e-11)
    assert D[3, 19] == 0


def test_metric_that_takes_no_sparse_rows():
    with pytest.raises((TypeError, ValueError), match="sparse"):
        ExactTSNE(metric="chebyshev", init="random").fit(sparse.eye(50).tocsr())


@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_a_metric_that_is_not_symmetric(normalization):
    """Row i of P is made of the distances from i, whatever those to it."""

    def uphill(a, b):
        return float(np.abs(a - b).sum() * (2 if a[0] < b[0] else 1))

    X = IRIS[:50]
    D = np.array([[uphill(a, b) for b in X] for a in X])
    P = np.array(
        [
            naive.row_given_perplexity(np.square(np.delete(row, i)), 10)
            for i, row in enumerate(D)
        ]
    )
    P = np.array([np.insert(row, i, 0) for i, row in enumerate(P)])
    tsne = ExactTSNE(
        metric=uphill, normalization=normalization, perplexity=10, max_iter=100,
        precision="double", init="random", random_state=0,
    ).fit(X)  # fmt: skip
    if normalization == "joint":
        P = naive.joint_affinities(P)
    kl = naive.embedding_kl(tsne.embedding_, P, 1.0, "student_t", normalization)
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-6)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
def test_one_row_far_away_leaves_the_others_their_neighbours(affinities):
    X = np.random.RandomState(0).randn(200, 5)
    far = X.copy()
    far[0] = 1e12
    kept = []
    for rows in (X, far):
        Y = ExactTSNE(affinities=affinities, random_state=0).fit_transform(rows)
        kept.append(trustworthiness(X[1:], Y[1:]))
    assert kept[1] > kept[0] - 0.02


# all others are as far from the far one
@pytest.mark.filterwarnings("ignore:the perplexity cannot be reached for 1 of 61")
def test_rows_stay_apart_beside_one_that_is_as_far_as_can_be(rng):
    X = rng.normal(size=(60, 3))
    far = np.r_[X, [[1e36] * 3]]
    P = skdec.conditional_affinities(far, perplexity=5)
    expected = skdec.conditional_affinities(X, perplexity=5)
    assert_allclose(P[:60, :60], expected, rtol=1e-5, atol=1e-7)
    tsne = ExactTSNE(perplexity=5, **SHORT).fit(far)
    assert len(np.unique(tsne.embedding_, axis=0)) == 61


NOT_SPARSE = ["mahalanobis", "seuclidean", "chebyshev", "canberra", "correlation",
              "jaccard", "minkowski", "sqeuclidean", "haversine"]  # fmt: skip


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("metric", NOT_SPARSE)
def test_metrics_that_take_no_sparse_rows_say_so(metric, affinities):
    tsne = ExactTSNE(metric=metric, affinities=affinities, init="random", **SHORT)
    with pytest.raises(TypeError, match=f"metric='{metric}' .* X is sparse"):
        tsne.fit(sparse.csr_array(IRIS))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.18237])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_rows_that_are_all_alike(container, value):
    with pytest.warns(UserWarning, match="perplexity cannot be reached"):
        tsne = ExactTSNE(**SHORT).fit(container(np.full((60, 9), value)))
    assert len(np.unique(tsne.embedding_, axis=0)) == 1


def test_a_metric_that_scipy_has_no_more_is_refused():
    with pytest.raises(ValueError, match="The 'metric' parameter of ExactTSNE"):
        ExactTSNE(metric="matching", **SHORT).fit(IRIS > 3)


def test_metrics_of_booleans_say_what_becomes_of_numbers():
    tsne = ExactTSNE(metric="jaccard", perplexity=10, init="random", **SHORT)
    with pytest.warns(DataConversionWarning, match="metric='jaccard' .* of X"):
        tsne.fit(DIGITS[:60])
    as_booleans = tsne.embedding_
    assert_array_equal(tsne.fit_transform(DIGITS[:60] > 0), as_booleans)
    with pytest.warns(DataConversionWarning, match="metric='jaccard' .* of X"):
        assert_array_equal(tsne.transform(DIGITS[:60]), as_booleans)
    with pytest.warns(DataConversionWarning, match="metric='jaccard' .* of X"):
        skdec.conditional_affinities(DIGITS[:60], metric="jaccard", perplexity=10)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
@pytest.mark.parametrize(
    "fitted, other",
    [
        (np.asarray, sparse.csr_matrix),
        (np.asarray, sparse.coo_array),
        (sparse.csr_matrix, np.asarray),
        (sparse.csr_array, np.asarray),
        (sparse.csr_array, sparse.csr_matrix),
    ],
)
def test_rows_in_another_container_are_the_same_rows(fitted, other, metric, affinities):
    settings = {"metric": metric, "affinities": affinities, "perplexity": 10, **SHORT}
    tsne = ExactTSNE(**settings).fit(fitted(DIGITS[:150]))
    new = DIGITS[150:160]
    assert_array_equal(tsne.transform(other(DIGITS[:150])), tsne.embedding_)
    assert_array_equal(tsne.transform(other(new)), tsne.transform(fitted(new)))


def test_many_equal_sparse_rows_cost_no_more_than_different_ones():
    different = sparse.random(800, 2000, 0.02, format="csr", random_state=1)
    equal = sparse.vstack([different[:1]] * 600 + [different[:200]]).tocsr()
    seconds = []
    for rows in (different[:9], different, equal):  # the first compiles
        distances, took = SquaredDistances(rows), []
        for _ in range(5):
            start = time.perf_counter()
            D = distances.between(distances.rows)
            took.append(time.perf_counter() - start)
        seconds.append(min(took))
    assert (D[:601, :601] == 0).all()
    assert seconds[2] < 5 * seconds[1]


def out_of_order(rng, X):
    """The rows as sparse ones: entries in no order, some of them in two parts."""
    n, d = X.shape
    columns = np.array([rng.permutation(d) for _ in X])
    values = np.take_along_axis(X, columns, axis=1)
    columns = np.concatenate([columns, columns[:, :2]], axis=1)
    values = np.concatenate([values, values[:, :2] / 2], axis=1)
    values[:, :2] /= 2
    edges = np.arange(n + 1) * (d + 2)
    return sparse.csr_array((values.ravel(), columns.ravel(), edges), shape=X.shape)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "cityblock"])
def test_the_entries_of_sparse_rows_need_no_order(metric, affinities, rng):
    X = rng.gamma(1.0, size=(60, 8)) + 0.1
    given, settings = out_of_order(rng, X), {"perplexity": 5, **SHORT}
    settings |= {"metric": metric, "affinities": affinities}
    before = given.copy()
    fitted = ExactTSNE(**settings).fit(given[:50])
    expected = ExactTSNE(**settings).fit(sparse.csr_array(X[:50]))
    assert_array_equal(fitted.embedding_, expected.embedding_)
    for new in (given[50:], sparse.csr_array(X[50:])):
        assert_array_equal(
            fitted.transform(new), expected.transform(sparse.csr_array(X[50:]))
        )
    for part in ("data", "indices", "indptr"):
        assert_array_equal(getattr(given, part), getattr(before, part))


@pytest.mark.parametrize("metric, name, value", [("minkowski", "w", [1.0, 2.0, 3, 4]),
                                                 ("seuclidean", "V", [1.0, 2, 3, 4]),
                                                 ])  # fmt: skip
def test_parameters_of_a_metric_may_be_changed_later(metric, name, value):
    given = {name: value}
    tsne = ExactTSNE(metric=metric, metric_params=given, **SHORT)
    expected = tsne.fit(IRIS[::2]).transform(IRIS[1::2])
    value[0] = 50.0
    assert_array_equal(tsne.transform(IRIS[1::2]), expected)
