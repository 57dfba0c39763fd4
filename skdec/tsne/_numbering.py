"""Points numbered as they lie in the map, so that neighbours share the cache."""

import numpy as np

from skdec.kernels import graphs
from skdec.kernels.types import CSRGraph, Halves

# Points are numbered after so many evaluations, and again whenever there have been
# twice as many: most of what moves in a map moves early.
FIRST = 25

# What an entry costs to take to its new place, in pairs of the embedding.
PAIRS_PER_ENTRY = 10

# There are at most so many blocks, and but for two none has fewer rows: the larger they
# are, the more of the edges are within one.  They are what threads share.
BLOCK_ROWS, MOST_BLOCKS = 512, 64

# Places are told apart to 2^-BITS of the map's extent, or as far as a key has room.
BITS, KEY_BITS = 16, 63


def z_order(Y):
    """The points of a map Y of (n_axes, n) along the curve of Morton.

    Its key of a place is the bits of all coordinates, in turns from the highest on, so
    that what lies in one square, or in a quarter of it, follows each other.
    """
    n_axes, n = Y.shape
    n_bits = min(BITS, KEY_BITS // n_axes)
    corner = Y.min(axis=1, keepdims=True).astype(np.float64)
    extent = max((Y.max(axis=1, keepdims=True) - corner).max(), np.finfo(float).tiny)
    place = ((Y - corner) / extent * (2**n_bits - 1)).astype(np.int64)
    key = np.zeros(n, np.int64)
    for bit in range(n_bits):
        for axis in range(n_axes):
            key |= ((place[axis] >> bit) & 1) << (bit * n_axes + axis)
    return np.argsort(key, kind="stable")


class NumberedGraph:
    """A graph, numbered as its points lie in a map while that is descended.

    A row of P then finds its neighbours in few lines of the cache, which tells where
    the map is larger than that, and most of them in its own block of rows.

    Parameters
    ----------
    P : csr_matrix or csr_array of shape (n_samples, n_samples)
        Affinities, symmetric.
    threads : Threads
        Where points are numbered.

    Attributes
    ----------
    graph : CSRGraph or Halves
        P as it is numbered now.
    """

    def __init__(self, P, threads):
        self._given, self._threads = CSRGraph(P.data, P.indices, P.indptr), threads
        self._order, self._age, self._next = None, 0, FIRST
        self.graph = self._given

    def follow(self, Y, *, halved=False):
        """Count one evaluation, and number the points anew where it is time.

        ``halved``: the graph is to be ``Halves``.
        """
        self._age += 1
        if halved and self.graph is self._given:
            self.graph = not_halved(self._given)
        if self._age < self._next or not np.isfinite(Y).all():
            return
        self._next = 2 * self._age
        self.graph = None  # or there would be three of them
        self._order = z_order(Y)
        made = halves if halved else renumbered
        self.graph = made(self._given, self._order, self._threads)

    def numbered(self, Y):
        """The points of (n_axes, n) in the order of the graph."""
        # Y[:, order] takes ten times as long
        return Y if self._order is None else Y.take(self._order, axis=1)

    def put_back(self, values, out):
        """Values of (n_axes, n) in the order of the graph, each to its point."""
        for row, theirs in zip(out, values, strict=True):
            row[slice(None) if self._order is None else self._order] = theirs


def inverse(order):
    """The place of each point in an order."""
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place


def renumbered(graph, order, threads):
    """The graph in which ``order[r]`` is point r."""
    n, place = len(order), inverse(order)
    edges = np.zeros_like(graph.edges)
    np.cumsum(np.diff(graph.edges)[order], out=edges[1:])
    new = CSRGraph(np.empty_like(graph.values), np.empty_like(graph.columns), edges)
    threads.run_ranges(
        lambda start, stop: graphs.renumber(graph, order, place, start, stop, new),
        n,
        PAIRS_PER_ENTRY * len(graph.columns),
    )
    return new


def block_rows(n):
    """Rows of a block, of n in all; blocks are an even number, for two threads."""
    n_blocks = 2 * min(max(n // (2 * BLOCK_ROWS), 1), MOST_BLOCKS // 2)
    return -(-n // n_blocks)


def not_halved(graph):
    """The graph as ``Halves`` of which no edge is counted once, as its points are."""
    empty = CSRGraph(graph.values[:0], graph.columns[:0], np.zeros_like(graph.edges))
    return Halves(empty, graph, block_rows(len(graph.edges) - 1))


def halves(graph, order, threads):
    """The same as ``Halves``."""
    n, place = len(order), inverse(order)
    size, numbers = block_rows(n), np.empty((2, n), graph.edges.dtype)
    cost = PAIRS_PER_ENTRY * len(graph.columns)
    threads.run_ranges(
        lambda start, stop: graphs.count_halves(
            graph, order, place, size, start, stop, *numbers
        ),
        n,
        cost,
    )
    parts = []
    for counts in numbers:
        edges = np.zeros_like(graph.edges)
        np.cumsum(counts, out=edges[1:])
        values, columns = (
            np.empty(edges[-1], a.dtype) for a in (graph.values, graph.columns)
        )
        parts.append(CSRGraph(values, columns, edges))
    new = Halves(*parts, size)
    threads.run_ranges(
        lambda start, stop: graphs.fill_halves(graph, order, place, start, stop, new),
        n,
        cost,
    )
    return new
