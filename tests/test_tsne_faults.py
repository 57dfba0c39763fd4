"""ExactTSNE: what once went wrong in silence, and must not again."""

import subprocess
import sys
import textwrap
import time
import warnings
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    NotFittedError,
)
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import kneighbors_graph, radius_neighbors_graph
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

import skdec
from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import LinearEncoder
from skdec.tsne._distances import SquaredDistances
from skdec.utils import memory
from tests import naive

IRIS = np.unique(load_iris().data, axis=0)
DIGITS = load_digits().data
SHORT = {"random_state": 0, "max_iter": 20}


# -------------------------------------------------------------------------- state
def broken(n_iter, kl, embedding):
    raise RuntimeError("no")


def interrupted(n_iter, kl, embedding):
    raise KeyboardInterrupt


FAILURES = [
    ({"perplexity": 500}, ValueError),
    ({"init": np.ones((3, 2))}, ValueError),
    ({"callback": broken}, RuntimeError),
    ({"callback": interrupted}, KeyboardInterrupt),
    ({"metric": "precomputed"}, ValueError),
]


@pytest.mark.parametrize("parameters, error", FAILURES)
def test_a_failed_refit_leaves_the_estimator_as_it_was(parameters, error):
    tsne = ExactTSNE(**SHORT).fit(IRIS)
    new = IRIS[:3] + 0.01
    before = tsne.transform(new)
    settings = {name: getattr(tsne, name) for name in parameters}
    with pytest.raises(error):
        tsne.set_params(**parameters).fit(DIGITS[:40])
    assert tsne.n_features_in_ == 4
    assert_array_equal(tsne.set_params(**settings).transform(new), before)


@pytest.mark.parametrize("parameters, error", FAILURES)
def test_after_a_failed_first_fit_it_is_not_fitted(parameters, error):
    tsne = ExactTSNE(**{**SHORT, **parameters})
    with pytest.raises(error):
        tsne.fit(DIGITS[:40])
    assert set(vars(tsne)) == set(tsne.get_params())
    with pytest.raises(NotFittedError):
        check_is_fitted(tsne)
    with pytest.raises(NotFittedError):
        tsne.transform(IRIS)


def test_no_memory_leaves_the_estimator_as_it_was(monkeypatch):
    def full(*_):
        raise MemoryError

    tsne = ExactTSNE(**SHORT)
    monkeypatch.setattr("skdec.tsne._estimator.dense_affinities", full)
    with pytest.raises(MemoryError):
        tsne.fit(IRIS)
    assert set(vars(tsne)) == set(tsne.get_params())


def test_a_failed_fit_is_told_to_the_callbacks_of_scikit_learn():
    pytest.importorskip("sklearn.callback")

    class Callback:
        told = False

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, *, X=None):
            pass

        def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
            raise RuntimeError("no")

        def teardown(self, estimator, context):
            self.told = True

    callback = Callback()
    tsne = ExactTSNE(**SHORT).set_callbacks(callback)
    before = set(vars(tsne))
    with pytest.raises(RuntimeError, match="no"):
        tsne.fit(IRIS)
    assert callback.told
    assert set(vars(tsne)) == before


# ------------------------------------------------------------- graphs of neighbours
GRAPHS = {
    "kneighbors_graph": lambda X: kneighbors_graph(X, 31, mode="distance"),
    "radius_neighbors_graph": lambda X: radius_neighbors_graph(X, 9, mode="distance"),
    "all pairs": lambda X: sparse.csr_matrix(pairwise_distances(X)),
    "lil": lambda X: sparse.lil_matrix(pairwise_distances(X)),
}
GRAPH = {"metric": "precomputed", "affinities": "neighbors", "init": "random"}


def with_diagonal(graph):
    """The same graph with an explicit 0 for every sample itself."""
    graph = graph.tocoo()
    n = graph.shape[0]
    row, column = (np.r_[np.arange(n), a] for a in (graph.row, graph.col))
    data = np.r_[np.zeros(n), graph.data]
    return sparse.coo_matrix((data, (row, column)), graph.shape).tocsr()


def of_matrix(graph, perplexity=10):
    """Symmetric p over the nearest of each row, itself left out, by plain loops."""
    graph, k = graph.tocsr(), 3 * perplexity
    P = np.zeros(graph.shape)
    for i in range(len(P)):
        entries = slice(*graph.indptr[i : i + 2])
        columns, values = graph.indices[entries], graph.data[entries]
        others = columns != i
        columns, values = columns[others], values[others]
        nearest = np.argsort(values, kind="stable")[:k]
        D = values[nearest] ** 2
        P[i, columns[nearest]] = naive.row_given_perplexity(D, perplexity)
    return naive.joint_affinities(P)


@pytest.mark.parametrize("form", GRAPHS)
def test_a_graph_needs_not_store_the_sample_itself(form):
    X = np.random.default_rng(0).normal(size=(90, 3))
    graph = GRAPHS[form](X)
    tsne = ExactTSNE(perplexity=10, precision="double", **GRAPH, **SHORT).fit(graph)
    stored = ExactTSNE(perplexity=10, precision="double", **GRAPH, **SHORT)
    assert_array_equal(stored.fit_transform(with_diagonal(graph)), tsne.embedding_)
    expected = naive.embedding_kl(
        tsne.embedding_, of_matrix(graph), 1.0, "student_t", "joint"
    )
    assert_allclose(tsne.kl_divergence_, expected, rtol=1e-6)


def test_zeros_that_a_graph_stores_are_distances():
    X = np.repeat(np.random.default_rng(0).normal(size=(30, 3)), 2, axis=0)
    graph = kneighbors_graph(X, 20, mode="distance")
    P = of_matrix(graph, 5)
    tsne = ExactTSNE(perplexity=5, precision="double", **GRAPH, **SHORT).fit(graph)
    assert (P[::2, 1::2].diagonal() > 1e-3).all()
    expected = naive.embedding_kl(tsne.embedding_, P, 1.0, "student_t", "joint")
    assert_allclose(tsne.kl_divergence_, expected, rtol=1e-6)


def test_entries_in_any_order_and_in_parts_are_one_graph():
    graph = kneighbors_graph(IRIS, 20, mode="distance")
    tsne = ExactTSNE(perplexity=5, **GRAPH, **SHORT).fit(graph)
    entries = np.concatenate([np.arange(a, b)[::-1] for a, b in pairwise(graph.indptr)])
    halves = np.repeat(entries, 2)
    parts = graph.data[halves] / 2, graph.indices[halves], 2 * graph.indptr
    other = sparse.csr_matrix(parts, shape=graph.shape)
    before = other.indices.copy(), other.data.copy()
    again = ExactTSNE(perplexity=5, **GRAPH, **SHORT).fit_transform(other)
    assert_array_equal(again, tsne.embedding_)
    assert_array_equal(other.indices, before[0])
    assert_array_equal(other.data, before[1])


def graph_with(row, values):
    graph = sparse.lil_matrix(pairwise_distances(IRIS[:40]))
    graph[row] = values
    return graph.tocsr()


def test_rounding_on_the_diagonal_of_a_graph_is_left_out():
    # far from the origin it can exceed the distances of neighbours
    graph = kneighbors_graph(IRIS, 20, mode="distance")
    tsne = ExactTSNE(perplexity=5, **GRAPH, **SHORT).fit(graph)
    rounded = with_diagonal(graph)
    rounded.setdiag(np.random.default_rng(0).uniform(0, 2, len(IRIS)))
    again = ExactTSNE(perplexity=5, **GRAPH, **SHORT).fit(rounded)
    assert_array_equal(again.embedding_, tsne.embedding_)
    assert_array_equal(again.transform(rounded), again.embedding_)


@pytest.mark.parametrize(
    "graph, message",
    [
        (
            sparse.csr_array((40, 40)),
            r"X is a graph .* 15 neigh.* row 0 has only 0",
        ),
        (graph_with(7, 0), "X is a graph .* row 7 has only 0"),
        (kneighbors_graph(IRIS[:40], 14, mode="distance"), "row 0 has only 14"),
    ],
)
def test_graphs_that_lack_something_are_refused(graph, message):
    tsne = ExactTSNE(perplexity=5, **GRAPH, **SHORT)
    with pytest.raises(ValueError, match=message):
        tsne.fit(graph)
    enough = tsne.fit(kneighbors_graph(IRIS[:40], 15, mode="distance"))
    with pytest.raises(ValueError, match=r"X is a graph .* row 0 has only 1"):
        enough.transform(sparse.csr_array(np.eye(2, 40, 1) + np.eye(2, 40)[[1, 1]]))


# ---------------------------------------------------------- given distances
def three_clusters(n=20):
    X, labels = make_blobs(3 * n, 4, centers=3, cluster_std=0.5, random_state=0)
    D = pairwise_distances(X)
    return D / D.max(), labels[:, None] == labels


@pytest.mark.parametrize(
    "far, dtype", [(1e11, np.float64), (1e15, np.float64), (1e8, np.float32)]
)
def test_small_distances_are_no_identity(far, dtype):
    D, same = three_clusters()
    D = np.where(same, D, far).astype(dtype)
    tsne = ExactTSNE(metric="precomputed", init="random", perplexity=5, **SHORT).fit(D)
    assert len(np.unique(tsne.embedding_, axis=0)) == len(D)
    assert_array_equal(tsne.transform(D), tsne.embedding_)


def test_zero_distances_need_not_be_transitive():
    # as of rows with missing values: row 0 is at 0 from three others
    D, _ = three_clusters()
    D[0, 5::20] = D[5::20, 0] = 0
    tsne = ExactTSNE(metric="precomputed", init="random", perplexity=5, **SHORT).fit(D)
    assert len(np.unique(tsne.embedding_, axis=0)) == len(D)
    graph = with_diagonal(sparse.csr_array(np.where(D > 0, D, 1e-300)))
    graph.data[graph.data == 1e-300] = 0
    given = ExactTSNE(perplexity=5, **GRAPH, **SHORT).fit(graph)
    assert len(np.unique(given.embedding_, axis=0)) == len(D)


@pytest.mark.parametrize("sparsely", [False, True])
def test_equal_rows_of_distances_share_a_position(sparsely):
    X = np.repeat(np.random.default_rng(0).integers(0, 99, (30, 2)), 2, axis=0) * 1.0
    D = pairwise_distances(X, metric="manhattan")
    if sparsely:
        kind = {"affinities": "neighbors"}
        D = kneighbors_graph(X, 59, mode="distance", metric="manhattan")
    else:
        kind = {"affinities": "exact"}
    tsne = ExactTSNE(
        metric="precomputed", init="random", perplexity=5, **kind, **SHORT
    ).fit(D)
    assert_array_equal(tsne.embedding_[::2], tsne.embedding_[1::2])
    assert len(np.unique(tsne.embedding_, axis=0)) == len(np.unique(X, axis=0))
    assert_array_equal(tsne.transform(D[::-1]), tsne.embedding_[::-1])


def test_samples_with_the_same_neighbours_are_not_the_same():
    # left and right of three others, nearer to each of them than to one another
    X = np.array([[-1.0, 0], [1, 0], [0, 0], [0, 1], [0, -1]])
    X = np.vstack([X, np.random.default_rng(0).normal(size=(5, 2)) + 99])
    graph = kneighbors_graph(X, 3, mode="distance")
    assert_array_equal(graph[0].toarray(), graph[1].toarray())
    tsne = ExactTSNE(perplexity=1, **GRAPH, **SHORT)
    with pytest.warns(UserWarning, match="perplexity cannot be reached"):
        tsne.fit(graph)
    assert len(np.unique(tsne.embedding_, axis=0)) == len(X)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("init", ["random", "spectral"])
def test_infinity_is_no_connection(affinities, init):
    D, same = three_clusters()
    settings = {"metric": "precomputed", "perplexity": 5, "init": init, **SHORT}
    tsne = ExactTSNE(affinities=affinities, precision="double", **settings)
    tsne.fit(np.where(same, D, np.inf))
    P = np.zeros(D.shape)
    for i in range(len(D)):
        others = np.flatnonzero(same[i] & (np.arange(len(D)) != i))
        if affinities == "neighbors":
            others = others[np.argsort(D[i, others])[:15]]
        P[i, others] = naive.row_given_perplexity(D[i, others] ** 2, 5)
    expected = naive.embedding_kl(
        tsne.embedding_, naive.joint_affinities(P), 1.0, "student_t", "joint"
    )
    assert_allclose(tsne.kl_divergence_, expected, rtol=1e-6)
    new = np.where(same, D, np.inf)[:6] * 1.01
    assert np.isfinite(tsne.transform(new)).all()


def test_infinity_in_conditional_affinities():
    D, same = three_clusters()
    whole = np.where(same, D, np.inf)
    part = np.ix_(same[0], same[0])
    P = skdec.conditional_affinities(whole, perplexity=5, metric="precomputed")
    assert (P[~same] == 0).all()
    expected = skdec.conditional_affinities(D[part], perplexity=5, metric="precomputed")
    assert_allclose(P[part], expected, rtol=1e-6, atol=1e-12)
    # no more than the 19 others of a cluster are to be had
    with pytest.warns(UserWarning, match="cannot be reached for 60 of 60 rows"):
        P = skdec.conditional_affinities(whole, perplexity=30, metric="precomputed")
    assert_allclose(P, np.where(same & ~np.eye(60, dtype=bool), 1 / 19, 0))
    P = skdec.conditional_affinities(whole, sigma=1e300, metric="precomputed")
    assert_allclose(P, np.where(same & ~np.eye(60, dtype=bool), 1 / 19, 0))


def test_infinity_in_a_graph_is_as_good_as_no_entry():
    short = kneighbors_graph(IRIS, 20, mode="distance")
    graph = kneighbors_graph(IRIS, 30, mode="distance")
    graph.data[graph.data > short.max(axis=1).toarray().repeat(30)] = np.inf
    graph.data = np.where(short[graph.nonzero()].A1 > 0, graph.data, np.inf)
    settings = {"perplexity": 6, **GRAPH, **SHORT}
    expected = ExactTSNE(**settings).fit_transform(short)
    assert np.isinf(graph.data).sum() == 10 * len(IRIS)
    assert_array_equal(ExactTSNE(**settings).fit_transform(graph), expected)


@pytest.mark.parametrize("what, message", [(np.inf, "row 3 has none"), (np.nan, "NaN")])
def test_rows_without_a_distance_are_refused(what, message):
    D = pairwise_distances(IRIS[:40])
    fitted = ExactTSNE(metric="precomputed", init="random", **SHORT).fit(D)
    D[3] = D[:, 3] = what
    D[3, 3] = 0
    with pytest.raises(ValueError, match=f"X.*{message}"):
        fitted.fit(D)
    with pytest.raises(ValueError, match=f"X.*{message}"):
        skdec.conditional_affinities(D, perplexity=5, metric="precomputed")
    D[3, 3] = what
    with pytest.raises(ValueError, match=f"X.*{message}"):
        fitted.transform(D[:5])


# -------------------------------------------------------------------------- input
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


COUNTS = [
    (ExactTSNE(), ("n_components", "max_iter", "n_iter_without_progress", "n_jobs",
                   "early_exaggeration_iter", "perplexity", "tol", "sigma", "dof")),
    (StudentTClustering(3), ("n_clusters", "n_init", "max_iter", "update_interval",
                             "batch_size", "n_jobs", "tol", "dof", "bandwidth")),
    (LinearEncoder(), ("n_components",)),
]  # fmt: skip


@pytest.mark.parametrize(
    "estimator, name", [(model, name) for model, names in COUNTS for name in names]
)
def test_booleans_are_no_numbers(estimator, name):
    model = clone(estimator).set_params(**{name: True})
    with pytest.raises(ValueError, match=name):
        model.fit(IRIS)


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


@pytest.mark.parametrize("weight", [[0, 1], [0, 1e-300]])
def test_a_row_without_weight_counts_for_nothing(weight):
    P, Q = [[1.0, 0], [0.5, 0.5]], [[0.0, 1], [0.5, 0.5]]
    assert skdec.kl_divergence(P, Q, sample_weight=weight) == 0
    assert skdec.kl_divergence(P, Q) == np.inf
    assert skdec.kl_divergence(P, Q, sample_weight=[1e-300, 1]) == np.inf


def test_divergences_are_not_below_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in (2, 3, 5, 9):
            X = np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)
            told = []
            tsne = ExactTSNE(
                perplexity=n - 1,
                callback=lambda i, kl, Y, t=told: t.append(kl),
                **SHORT,
            ).fit(X)
            assert min(tsne.kl_divergence_, *told) >= 0
        for k, value in ((7, 0.18237), (3, 0.7), (5, 0.3)):
            X = np.full((26, 2), value, np.float32)
            model = StudentTClustering(k, random_state=0).fit(X)
            assert min(model.kl_divergence_, *model.history_["kl_divergence"]) >= 0


def test_a_warning_comes_once_and_points_at_the_line_of_the_caller():
    X = np.repeat(np.arange(3.0), 20)[:, None]
    for affinities, init in (("exact", "spectral"), ("neighbors", "random")):
        tsne = ExactTSNE(perplexity=5, affinities=affinities, init=init, **SHORT)
        for call in (tsne.fit, tsne.fit_transform):
            with pytest.warns(UserWarning, match="cannot be reached") as caught:
                call(X)
            # besides that of the few iterations
            assert [warning.filename for warning in caught] == [__file__] * 2
            assert len({str(warning.message) for warning in caught}) == 2


# ------------------------------------------------------------------------ silence
@pytest.mark.parametrize(
    "init, precision",
    [
        (np.zeros((len(IRIS), 2)), "single"),
        (np.full((len(IRIS), 2), 3.5), "double"),
        # different, but not in single precision
        (1e10 + np.random.default_rng(0).normal(size=(len(IRIS), 2)), "single"),
    ],
)
def test_points_that_all_start_in_one_place_are_refused(init, precision):
    with pytest.raises(ValueError, match="init must have points in different places"):
        ExactTSNE(init=init, precision=precision, **SHORT).fit(IRIS)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"sigma": 1.0, "perplexity": 20}, "perplexity=20 has no effect with sigma=1"),
        ({"sigma": 1.0, "perplexity": [5, 9]}, "perplexity=.* no effect with sigma=1"),
        ({"kernel": "gaussian", "dof": 4}, "dof=4 has no effect with kernel='gaussian"),
        (
            {"metric": "precomputed", "metric_params": {"p": 3}},
            "metric_params={'p': 3}",
        ),
        ({"early_exaggeration_iter": 0, "early_exaggeration": 4.0}, "_iter=0"),
    ],
)
def test_a_parameter_without_effect_is_named_once(parameters, message):
    X = pairwise_distances(IRIS) if "metric" in parameters else IRIS
    with pytest.warns(UserWarning, match=message) as caught:
        ExactTSNE(init="random", **{**SHORT, **parameters}).fit(X)
    # besides that of the few iterations
    assert len(caught) == 2


@pytest.mark.parametrize("early_iter, unfolded", [(50, 155), (0, 75)])
def test_a_map_that_has_not_unfolded_is_told(early_iter, unfolded):
    settings = {"early_exaggeration_iter": early_iter, "random_state": 0, "tol": 0}
    with pytest.warns(ConvergenceWarning, match=f"still unfolding.* {unfolded} iter"):
        ExactTSNE(max_iter=unfolded - 1, **settings).fit(IRIS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ExactTSNE(max_iter=unfolded, **settings).fit(IRIS)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_in_the_place_of_y_are_told(method):
    weight = np.linspace(0, 1, len(IRIS))
    with pytest.warns(UserWarning, match="y is ignored.*sample_weight="):
        getattr(StudentTClustering(3, random_state=0), method)(IRIS, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (None, np.arange(len(IRIS)), weight - 0.5, weight.astype(str)):
            getattr(StudentTClustering(3, random_state=0), method)(IRIS, y)
        StudentTClustering(3, random_state=0).fit(IRIS, weight, weight)


def test_a_parameter_at_its_default_is_not_given():
    for other in ({"sigma": 1.0}, {"kernel": "gaussian"}):
        defaults = {name: ExactTSNE().get_params()[name] for name in
                    ("perplexity", "dof", "early_exaggeration")}  # fmt: skip
        ExactTSNE(**SHORT, **other, **defaults).fit(IRIS)


def test_method_is_exact():
    as_theirs = ExactTSNE(method="exact", **SHORT).fit_transform(IRIS)
    assert_array_equal(as_theirs, ExactTSNE(**SHORT).fit_transform(IRIS))
    with pytest.raises(ValueError, match="method must be 'exact'; got 'barnes_hut'"):
        ExactTSNE(method="barnes_hut", **SHORT).fit(IRIS)


# ----------------------------------------------------------------- dense and sparse
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


# ------------------------------------------------------------------------- memory
@pytest.mark.parametrize(
    "precision, size", [("single", "4.5e-05"), ("double", "9e-05")]
)
def test_memory_is_asked_for_before_work_begins(precision, size, monkeypatch):
    def too_late(*_):
        raise AssertionError

    X = np.random.default_rng(0).normal(size=(150, 3))
    monkeypatch.setattr("skdec.tsne._checks.available", lambda: 40_000)
    tsne = ExactTSNE(precision=precision, **SHORT)
    with monkeypatch.context() as patch:
        patch.setattr("skdec.tsne._estimator.SquaredDistances", too_late)
        with pytest.raises(MemoryError, match=f"samples need {size} GB"):
            tsne.fit(X)
        with pytest.raises(MemoryError, match=r"4e-05 GB are available.*'neighbors'"):
            tsne.fit(X)
    tsne.set_params(affinities="neighbors", perplexity=5).fit(X)
    monkeypatch.setattr("skdec.tsne._checks.available", lambda: 90_000)
    tsne.set_params(affinities="exact").fit(X)


def test_memory_that_there_is(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:    7 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    assert memory.available() == 7 * 1024
    meminfo.write_text("MemTotal: 9 kB\n")
    assert memory._of_machine() == np.inf
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory._of_machine() == np.inf


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits addresses")
def test_a_limit_of_the_address_space_is_seen():
    code = """
        import resource
        from skdec.utils.memory import _of_address_space
        assert _of_address_space() == float("inf")
        resource.setrlimit(resource.RLIMIT_AS, (2**36, 2**36))
        assert 2**35 < _of_address_space() < 2**36
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_many_equal_sparse_rows_cost_no_more_than_different_ones():
    different = sparse.random(800, 2000, 0.02, format="csr", random_state=1)
    equal = sparse.vstack([different[:1]] * 600 + [different[:200]]).tocsr()
    seconds = []
    for rows in (different[:9], different, equal):  # the first compiles
        distances = SquaredDistances(rows)
        start = time.perf_counter()
        D = distances.between(distances.rows)
        seconds.append(time.perf_counter() - start)
    assert (D[:601, :601] == 0).all()
    assert seconds[2] < 5 * seconds[1]


# --------------------------------------------------------------- ties among neighbours
def test_neighbours_depend_on_neither_batch_nor_threads():
    X = DIGITS[np.random.default_rng(0).permutation(1797)]
    distances = SquaredDistances(X[:900])
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            found.append(distances.nearest(90))
    assert_array_equal(found[0][0], found[1][0])
    assert_array_equal(found[0][1], found[1][1])
    rows = distances.prepare(X[900:1000])
    columns, D = distances.nearest(90, rows)
    for i in range(len(rows)):
        one_columns, one_D = distances.nearest(90, rows[i : i + 1])
        assert_array_equal(one_columns[0], columns[i])
        assert_array_equal(one_D[0], D[i])


def test_a_row_alone_is_placed_as_in_a_batch():
    X = DIGITS[np.random.default_rng(0).permutation(1797)]
    tsne = ExactTSNE(affinities="neighbors", random_state=0, max_iter=250).fit(X[:900])
    batch = tsne.transform(X[900:1000])
    single = np.vstack([tsne.transform(row[None]) for row in X[900:1000]])
    assert_array_equal(single, batch)
