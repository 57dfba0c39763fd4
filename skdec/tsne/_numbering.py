"""Points numbered as they lie in the map, so that neighbours share the cache."""

import numpy as np

from skdec.kernels import graphs
from skdec.kernels.types import CSRGraph

# Points are numbered after so many evaluations, and again whenever there have been
# twice as many: most of what moves in a map moves early.
FIRST = 25

# What an entry costs to take to its new place, in pairs of the embedding.
PAIRS_PER_ENTRY = 10

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
    the map is larger than that.

    Parameters
    ----------
    P : csr_matrix or csr_array of shape (n_samples, n_samples)
        Affinities.
    threads : Threads
        Where points are numbered.
    """

    def __init__(self, P, threads):
        self._given, self._threads = CSRGraph(P.data, P.indices, P.indptr), threads
        self._order, self._age, self._next = None, 0, FIRST
        self.graph = self._given

    def follow(self, Y):
        """Count one evaluation, and number the points anew where it is time."""
        self._age += 1
        if self._age < self._next or not np.isfinite(Y).all():
            return
        self._next = 2 * self._age
        self.graph = None  # or there would be three of them
        self._order = z_order(Y)
        self.graph = renumbered(self._given, self._order, self._threads)

    def numbered(self, Y):
        """The points of (n_axes, n) in the order of the graph."""
        # Y[:, order] takes ten times as long
        return Y if self._order is None else Y.take(self._order, axis=1)

    def put_back(self, values, out):
        """Values of (n_axes, n) in the order of the graph, each to its point."""
        for row, theirs in zip(out, values, strict=True):
            row[slice(None) if self._order is None else self._order] = theirs


def renumbered(graph, order, threads):
    """The graph in which ``order[r]`` is point r."""
    n = len(order)
    place = np.empty(n, np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    edges = np.zeros_like(graph.edges)
    np.cumsum(np.diff(graph.edges)[order], out=edges[1:])
    new = CSRGraph(np.empty_like(graph.values), np.empty_like(graph.columns), edges)
    threads.run_ranges(
        lambda start, stop: graphs.renumber(graph, order, place, start, stop, new),
        n,
        PAIRS_PER_ENTRY * len(graph.columns),
    )
    return new
