"""Graphs of neighbours and distances that are given."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import kneighbors_graph, radius_neighbors_graph

import skdec
from skdec import ExactTSNE
from tests import naive
from tests.tsne.common import IRIS, SHORT

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


def test_rounding_on_the_diagonal_of_a_graph_is_left_out():
    # far from the origin it can exceed the distances of neighbours
    graph = kneighbors_graph(IRIS, 20, mode="distance")
    tsne = ExactTSNE(perplexity=5, **GRAPH, **SHORT).fit(graph)
    rounded = with_diagonal(graph)
    rounded.setdiag(np.random.default_rng(0).uniform(0, 2, len(IRIS)))
    again = ExactTSNE(perplexity=5, **GRAPH, **SHORT).fit(rounded)
    assert_array_equal(again.embedding_, tsne.embedding_)
    assert_array_equal(again.transform(rounded), again.embedding_)


def graph_with(row, values):
    graph = sparse.lil_matrix(pairwise_distances(IRIS[:40]))
    graph[row] = values
    return graph.tocsr()


@pytest.mark.parametrize(
    "graph, message",
    [
        (
            sparse.csr_array((40, 40)),
            r"X is a sparse graph .* 15 neigh.* row 0 has only 0",
        ),
        (graph_with(7, 0), "X is a sparse graph .* row 7 has only 0"),
        (kneighbors_graph(IRIS[:40], 14, mode="distance"), "row 0 has only 14"),
    ],
)
def test_graphs_that_lack_something_are_refused(graph, message):
    tsne = ExactTSNE(perplexity=5, **GRAPH, **SHORT)
    with pytest.raises(ValueError, match=message):
        tsne.fit(graph)
    enough = tsne.fit(kneighbors_graph(IRIS[:40], 15, mode="distance"))
    with pytest.raises(ValueError, match=r"X is a sparse graph .* row 0 has only 1"):
        enough.transform(sparse.csr_array(np.eye(2, 40, 1) + np.eye(2, 40)[[1, 1]]))


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
