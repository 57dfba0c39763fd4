"""ExactTSNE: what once went wrong in silence, and must not again."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import kneighbors_graph, radius_neighbors_graph
from sklearn.utils.validation import check_is_fitted

from skdec import ExactTSNE
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
    monkeypatch.setattr("skdec.tsne.dense_affinities", full)
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


@pytest.mark.parametrize(
    "graph, message",
    [
        (
            sparse.csr_array((40, 40)),
            r"X is a graph .* 15 neigh.* row 0 has only 0",
        ),
        (graph_with(7, 0), "X is a graph .* row 7 has only 0"),
        (kneighbors_graph(IRIS[:40], 14, mode="distance"), "row 0 has only 14"),
        (sparse.csr_array(1 + pairwise_distances(IRIS[:40])), "X must have a zero dia"),
    ],
)
def test_graphs_that_lack_something_are_refused(graph, message):
    tsne = ExactTSNE(perplexity=5, **GRAPH, **SHORT)
    with pytest.raises(ValueError, match=message):
        tsne.fit(graph)
    enough = tsne.fit(kneighbors_graph(IRIS[:40], 15, mode="distance"))
    with pytest.raises(ValueError, match=r"X is a graph .* row 0 has only 1"):
        enough.transform(sparse.csr_array(np.eye(2, 40, 1) + np.eye(2, 40)[[1, 1]]))
