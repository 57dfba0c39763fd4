"""The affinities over lists of neighbours as one symmetric sparse matrix.

SciPy's P + P.T needs many times the memory of its result.  Here the points are taken
in stripes, each with the edges that lead to it, so that little is held beside the
result; p is computed from the scales wherever it is needed, which costs less than to
keep it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from skdec.kernels import graphs
from skdec.kernels.types import Copies, CSRGraph, OwnLists, RowSums

# A stripe has so many edges, its own and those that lead to it.  All lists are read
# once for each stripe, so that there are not many.
EDGES_PER_STRIPE, MAX_STRIPES = 2**20, 16

# What an edge costs, in pairs of the embedding.
PAIRS_PER_EDGE = 50

# So many in-edges are counted at a time, which NumPy copies; of very many points more,
# because each time something is done for every point.
EDGES_PER_COUNT, EDGES_PER_POINT = 2**22, 4


@dataclass(frozen=True)
class SymmetricGraph:
    """Symmetric affinities over neighbours, and the sums of their rows.

    Attributes
    ----------
    P : CSR array
        p_ij = (p_{j|i} + p_{i|j})/2n, or /2 under conditional normalisation.
    sums : RowSums
        Of each row, in float64.
    """

    P: sparse.csr_array
    sums: RowSums


def symmetric_graph(neighbors, scales, joint, dtype, threads, weights=None):
    """The symmetric p over lists of neighbours, from the scales of their rows.

    With weights, summed over the copies of both points; a point is in its own list.
    """
    columns, D = neighbors.columns, neighbors.D
    n, k = columns.shape
    in_edges = _edges_before(columns)
    before = in_edges + k * np.arange(n + 1)
    stripes = _stripes(before)
    # room for graphs in which no two points are neighbours of each other; what stays
    # unused is not taken from the machine
    whole = _empty_graph(before[-1], dtype, before)
    sums = RowSums(np.empty(n, np.int64), np.empty(n), np.empty(n))

    def task(start, stop):
        for first, last in pairwise(stripes[start : stop + 1]):
            edges = in_edges[first : last + 1] - in_edges[first]
            transposed = _empty_graph(edges[-1], D.dtype, edges)
            graphs.transpose_stripe(columns, D, first, transposed)
            copies = None
            if weights is not None:
                counts_in = _empty_graph(edges[-1], D.dtype, edges)
                graphs.transpose_stripe(columns, neighbors.counts, first, counts_in)
                copies = Copies(weights, neighbors.counts, counts_in.values)
            own = _own_lists(columns, first, last)
            room = slice(before[first], before[last])
            graphs.symmetric_stripe(
                own,
                D,
                transposed,
                scales,
                copies,
                joint,
                whole.columns[room],
                whole.values[room],
                RowSums(*(part[first:last] for part in sums)),
            )

    threads.run_ranges(task, len(stripes) - 1, PAIRS_PER_EDGE * before[-1])
    return SymmetricGraph(_closed_up(whole, stripes, sums.length), sums)


def _edges_before(columns):
    """How many edges lead to the points before each one, and to all."""
    n, k = columns.shape
    before = np.zeros(n + 1, np.int64)
    n_edges = max(EDGES_PER_COUNT, EDGES_PER_POINT * n)
    for b in gen_batches(n, max(1, n_edges // k)):
        before[1:] += np.bincount(columns[b].ravel(), minlength=n)
    return np.cumsum(before, out=before)


def _stripes(edges_before):
    """The limits of stripes with about the same number of edges."""
    n_edges = edges_before[-1]
    n_stripes = min(MAX_STRIPES, -(-n_edges // EDGES_PER_STRIPE))
    limits = n_edges * np.arange(1, n_stripes) // n_stripes
    inner = np.searchsorted(edges_before, limits)
    return np.unique([0, *inner, len(edges_before) - 1])


def _own_lists(columns, first, last):
    """The lists of some points, by column."""
    k = columns.shape[1]
    bits = k.bit_length()
    keys = (columns[first:last].astype(np.int64) << bits) | np.arange(k)
    keys.sort(axis=1)
    return OwnLists(keys, bits, first)


def _empty_graph(n_edges, dtype, edges):
    return CSRGraph(np.empty(n_edges, dtype), np.empty(n_edges, np.int32), edges)


def _closed_up(whole, stripes, lengths):
    """The graph of all stripes, one after the other, in the memory it has."""
    n = len(lengths)
    edges = np.zeros(n + 1, np.int64)
    np.cumsum(lengths, out=edges[1:])
    for part in (whole.values, whole.columns):
        for first, last in pairwise(stripes):
            start, length = whole.edges[first], edges[last] - edges[first]
            part[edges[first] : edges[last]] = part[start : start + length]
        part.resize(edges[-1], refcheck=False)
    if edges[-1] < 2**31:
        # for the sake of 64-bit edges SciPy would copy the columns to 64 bits
        edges = edges.astype(np.int32)
    return sparse.csr_array((whole.values, whole.columns, edges), shape=(n, n))
