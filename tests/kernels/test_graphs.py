"""Symmetric affinities over lists of neighbours."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skdec.kernels import graphs
from skdec.kernels.embedding_fused import plane_blocks_of_graph, space_blocks_of_graph
from skdec.kernels.types import Bandwidths, CSRGraph, Halves
from skdec.tsne import _graph
from skdec.tsne._affinities import graph_affinities
from skdec.tsne._neighbors import Neighbors
from skdec.utils.threads import Threads
from tests import naive
from tests.kernels.common import DTYPES


def random_lists(rng, n, k):
    """Any others, some of them at the same distance."""
    columns = np.array([rng.permutation(np.delete(np.arange(n), i)) for i in range(n)])
    return Neighbors(columns[:, :k], np.sort(rng.integers(1, 9, (n, k)), axis=1) * 1.0)


def everybody_points_to_one(rng, n, k):
    """Of point 0; the last two are nobody's neighbours."""
    columns = np.tile(np.arange(k), (n, 1))
    columns[:k] += np.arange(k) >= np.arange(k)[:, None]
    return Neighbors(columns, np.sort(rng.uniform(1, 2, (n, k)), axis=1))


def far_ones(rng, n, k):
    """All but one neighbour so far that their p are 0."""
    near = random_lists(rng, n, k)
    return Neighbors(near.columns, np.tile([1.0] + [1e6] * (k - 1), (n, 1)))


def of_lists(lists, joint, perplexity=None, beta=None):
    """Dense P of the lists by plain loops, and Σ p log p of what is normalised."""
    n = len(lists.D)
    P = np.zeros((n, n))
    for i, (columns, D) in enumerate(zip(lists.columns, lists.D, strict=True)):
        if beta is not None:
            P[i, columns] = naive.row_given_beta(D, beta)
        else:
            rows = [naive.row_given_perplexity(D, p) for p in perplexity]
            P[i, columns] = sum(rows) / len(rows)
    M = naive.joint_affinities(P) if joint else (P + P.T) / 2
    whose = M if joint else P
    return M, sum(p * np.log(p) for p in whose.ravel() if p > 0)


def found(lists, joint, perplexity=(), beta=np.nan, dtype=np.float64, n_jobs=1):
    bandwidths = Bandwidths(np.array(perplexity, np.float64), beta)
    with Threads(n_jobs) as threads:
        return graph_affinities(lists, bandwidths, joint, dtype, threads, again=True)


@pytest.fixture
def small_stripes(monkeypatch):
    monkeypatch.setattr(_graph, "EDGES_PER_STRIPE", 12)
    monkeypatch.setattr(_graph, "EDGES_PER_COUNT", 12)
    monkeypatch.setattr(_graph, "EDGES_PER_POINT", 0)


@pytest.mark.parametrize("make", [random_lists, everybody_points_to_one, far_ones])
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    "scale", [{"perplexity": [1.6]}, {"perplexity": [1.3, 2.2]}, {"beta": 0.7}]
)
def test_symmetric_affinities_of_lists(rng, small_stripes, scale, joint, make):
    lists = make(rng, 11, 3)
    if make is far_ones:
        scale = {"beta": 0.7}
    graph = found(lists, joint, **scale)
    M, entropy = of_lists(lists, joint, **scale)
    assert_allclose(graph.P.toarray(), M, rtol=1e-6)
    assert_allclose(graph.negentropy, entropy, rtol=1e-7)
    assert_allclose(graph.mass, M.sum(axis=1) if joint else np.ones(11), rtol=1e-7)
    # no two entries of a pair, and none without p
    assert_array_equal(graph.P.indptr, np.r_[0, np.cumsum((M > 0).sum(axis=1))])
    assert_array_equal(graph.P.indices, np.nonzero(M)[1])
    assert_array_equal(graph.P.toarray(), graph.P.toarray().T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("integer", [np.int32, np.int64, np.uint32])
@pytest.mark.parametrize("joint", [True, False])
def test_graphs_are_those_of_scipy(rng, small_stripes, joint, integer, dtype):
    n, k = 17, 4
    lists = random_lists(rng, n, k)
    P = np.array([naive.row_given_beta(D, 0.3) for D in lists.D])
    edges = np.arange(0, n * k + 1, k)
    P = sparse.csr_array((P.ravel(), lists.columns.ravel(), edges), shape=(n, n))
    expected = ((P + P.T) / (2 * n if joint else 2)).tocsr()
    expected.sort_indices()
    columns = lists.columns.astype(integer)
    graph = found(Neighbors(columns, lists.D), joint, beta=0.3, dtype=dtype).P
    assert graph.dtype == dtype
    assert graph.indices.dtype == graph.indptr.dtype == np.int32
    assert graph.has_canonical_format
    assert_array_equal(graph.indices, expected.indices)
    assert_array_equal(graph.indptr, expected.indptr)
    assert_allclose(graph.data, expected.data, rtol=np.finfo(dtype).eps * 8)


def test_p_that_vanish_in_single_precision_are_left_out():
    # e^−110 is none there, and e^−1000 is none anywhere
    columns = np.array([[1, 2, 3], [0, 2, 3], [1, 0, 3], [0, 1, 2]])
    lists = Neighbors(columns, np.tile([0.0, 110, 2000], (4, 1)))
    single, double = (found(lists, False, beta=1.0, dtype=dtype).P for dtype in DTYPES)
    M, _ = of_lists(lists, False, beta=1.0)
    assert_array_equal(single.toarray() > 0, M > 1e-40)
    assert_array_equal(double.toarray() > 0, M > 1e-300)
    assert (M[M > 0] < 1e-40).any()
    assert single.nnz == np.count_nonzero(M > 1e-40)
    assert double.nnz == np.count_nonzero(M > 1e-300)


@pytest.mark.parametrize("make", [random_lists, everybody_points_to_one])
def test_graphs_do_not_depend_on_threads_or_stripes(rng, monkeypatch, make):
    lists = make(rng, 90, 7)
    before = lists.columns.copy(), lists.D.copy()
    whole = found(lists, True, [2.5], dtype=np.float32)
    monkeypatch.setattr("skdec.utils.threads.SERIAL_PAIRS", 0)
    monkeypatch.setattr(_graph, "EDGES_PER_STRIPE", 100)
    for n_jobs in (1, 2, 3):
        graph = found(lists, True, [2.5], dtype=np.float32, n_jobs=n_jobs)
        assert_array_equal(graph.P.data, whole.P.data)
        assert_array_equal(graph.P.indices, whole.P.indices)
        assert_array_equal(graph.P.indptr, whole.P.indptr)
        assert_array_equal(graph.mass, whole.mass)
        assert graph.negentropy == whole.negentropy
    assert_array_equal(lists.columns, before[0])
    assert_array_equal(lists.D, before[1])


def test_stripes_have_about_the_same_number_of_edges(monkeypatch):
    monkeypatch.setattr(_graph, "EDGES_PER_STRIPE", 10)
    edges_before = np.cumsum([0, 2, 2, 2, 2, 2, 20, 2, 2, 2, 2, 2])
    assert_array_equal(_graph._stripes(edges_before), [0, 5, 6, 11])
    monkeypatch.setattr(_graph, "MAX_STRIPES", 2)
    assert_array_equal(_graph._stripes(edges_before), [0, 6, 11])


def test_lists_the_other_way_round(rng):
    lists = random_lists(rng, 9, 3)
    edges, entries = [0], []
    for c in (4, 5, 6):
        entries += [
            (i, D)
            for i in range(9)
            for j, D in zip(lists.columns[i], lists.D[i], strict=True)
            if j == c
        ]
        edges.append(len(entries))
    sources, D = zip(*entries, strict=True)
    before = _graph._edges_before(lists.columns)
    assert_array_equal(before[4:8] - before[4], edges)
    assert_array_equal(before[[0, -1]], [0, 27])
    transposed = CSRGraph(
        np.empty(edges[-1]), np.empty(edges[-1], int), np.array(edges)
    )
    graphs.transpose_stripe(lists.columns, lists.D, 4, transposed)
    assert_array_equal(transposed.columns, sources)
    assert_array_equal(transposed.values, D)


def test_a_renumbered_graph_is_the_permuted_matrix(rng):
    P = sparse.random(60, 60, 0.1, format="csr", random_state=rng)
    P = P.tolil()
    P[3] = 0  # a row without entries
    P, order = P.tocsr(), rng.permutation(60)
    place = np.argsort(order).astype(np.int32)
    expected = P[order][:, order].tocsr()
    found = CSRGraph(np.zeros_like(P.data), np.zeros_like(P.indices), expected.indptr)
    graph = CSRGraph(P.data, P.indices, P.indptr)
    for start, stop in ((0, 17), (17, 60)):
        graphs.renumber(graph, order, place, start, stop, found)
    for r, i in enumerate(order):
        mine, given = (slice(*g.edges[k : k + 2]) for g, k in ((found, r), (graph, i)))
        assert_array_equal(order[found.columns[mine]], P.indices[given])
        assert_array_equal(found.values[mine], P.data[given])


def symmetric_graph(rng, n, dtype, density=0.3):
    """A symmetric P, sorted, with a row that has no entries."""
    P = np.where(rng.random((n, n)) < density, rng.random((n, n)), 0).astype(dtype)
    P = np.triu(P, 1)
    P[3] = P[:, 3] = 0
    return P + P.T


@pytest.mark.parametrize("size", [5, 7, 20, 50])
def test_halves_have_each_edge_within_a_block_once(size, rng):
    n = 20
    P, order = symmetric_graph(rng, n, np.float32), rng.permutation(n)
    given = sparse.csr_array(P)
    graph = CSRGraph(given.data, given.indices, given.indptr)
    made = halves_by_kernels(graph, order, size)
    place = np.argsort(order)
    inner, outer = (
        sparse.csr_array((part.values, part.columns, part.edges), shape=(n, n))
        for part in (made.inner, made.outer)
    )
    block = np.arange(n) // size
    same = block[:, None] == block
    expected = P[order][:, order]
    assert_array_equal(inner.toarray(), np.triu(np.where(same, expected, 0), 1))
    assert_array_equal(outer.toarray(), np.where(same, 0, expected))
    # entries of a row stay in the order that they have
    for r in range(n):
        entries = slice(*given.indptr[[order[r], order[r] + 1]])
        columns = place[given.indices[entries]]
        beyond = [j for j in columns if j // size != r // size]
        assert_array_equal(outer.indices[outer.indptr[r] : outer.indptr[r + 1]], beyond)


def halves_by_kernels(graph, order, size):
    """``Halves`` of blocks of a size, in two parts of rows."""
    n, place = len(order), np.argsort(order).astype(np.int32)
    numbers = np.empty((2, n), graph.edges.dtype)
    for start, stop in ((0, 7), (7, n)):
        graphs.count_halves(graph, order, place, size, start, stop, *numbers)
    parts = []
    for counts in numbers:
        edges = np.concatenate([[0], np.cumsum(counts)]).astype(graph.edges.dtype)
        values = np.empty(edges[-1], graph.values.dtype)
        parts.append(CSRGraph(values, np.empty(edges[-1], np.int32), edges))
    made = Halves(*parts, size)
    for start, stop in ((0, 7), (7, n)):
        graphs.fill_halves(graph, order, place, start, stop, made)
    return made


@pytest.mark.parametrize("dof", [1.0, 0.5])
@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize("size", [5, 6, 20])
def test_the_attraction_of_halves(size, n_axes, dof, rng):
    """Blocks in any order, by plain loops over all pairs."""
    n = 20
    P, Y = symmetric_graph(rng, n, np.float64), rng.normal(size=(n, n_axes))
    given = sparse.csr_array(P)
    graph = CSRGraph(given.data, given.indices, given.indptr)
    made = halves_by_kernels(graph, np.arange(n), size)
    by_blocks = {2: plane_blocks_of_graph, 3: space_blocks_of_graph}[n_axes]
    found = np.full((n, n_axes), np.nan)
    for b in range(-(-n // size))[::-1]:
        by_blocks(Y, made, dof, b, b + 1, found)
    expected = np.zeros((n, n_axes))
    for i in range(n):
        for j in range(n):
            D = naive.squared_distance(Y[i], Y[j])
            weight = naive.weight_2g(D, dof, "student_t")
            expected[i] += P[i, j] * weight * (Y[i] - Y[j])
    assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
