"""The nearest of sparse rows, exactly: products by lists of the entries of a feature.

Texts have few words each: the rows that share one are all that a product takes.
"""

import numpy as np

from skdec.kernels.neighbors import collect, products_by_lists
from skdec.kernels.types import CSRGraph, read_only
from skdec.tsne._exact_search import Found, index_dtype, least_collected, none_yet
from skdec.tsne._products import (
    PAIRS_PER_DIFFERENCE,
    of_products,
    settle_near,
    squared_norms,
)

# Of so many rows, so many distances and so many multiplications products are formed at
# a time: some megabytes, and half a second at most, for Ctrl-C is seen between two.
ROWS_PER_BLOCK, DISTANCES_PER_BLOCK, PRODUCTS_PER_BLOCK = 64, 2**22, 2**28


class SparseIndex:
    """Euclidean neighbours of sparse rows.

    Parameters
    ----------
    rows : CSR matrix of shape (n_samples, n_features)
        Where neighbours are looked for, float64.
    """

    recall, squared = 1.0, True

    def __init__(self, rows):
        self._rows, self._norms = rows, squared_norms(rows)
        lists = rows.tocsc()
        self._lists = _entries(lists)
        # of a row with all others, on average
        in_lists = np.diff(lists.indptr).astype(np.float64)
        self._n_products = in_lists @ in_lists / rows.shape[0]

    def __getstate__(self):
        return {"rows": self._rows}  # the rest is made of them again

    def __setstate__(self, state):
        self.__init__(**state)

    def search(self, rows, n_neighbors, threads, own=None):
        """The nearest of rows, as ``NeighborIndex`` has it."""
        n, each = len(self._norms), len(self._norms) + self._n_products
        most = min(DISTANCES_PER_BLOCK / n, PRODUCTS_PER_BLOCK / each)
        size = int(np.clip(most, 1, ROWS_PER_BLOCK))
        shape, near = (rows.shape[0], n_neighbors), np.zeros(rows.shape[0], bool)
        found = Found(np.empty(shape), np.empty(shape, index_dtype(n)))

        def task(first, last):
            for start in range(first, last, size):
                block = slice(start, min(start + size, last))
                near[block] = self._search(rows, block, own, found)

        def again(first, last):
            for r in doubtful[first:last]:
                self._search(rows, slice(r, r + 1), own, found, by_differences=True)

        threads.run_ranges(task, len(near), int(len(near) * each))
        doubtful = np.flatnonzero(near)
        work = len(doubtful) * (each + PAIRS_PER_DIFFERENCE * n * rows.nnz / len(near))
        threads.run_ranges(again, len(doubtful), int(work))
        return found

    def _search(self, rows, block, own, found, by_differences=False):
        """Find the nearest of a block of rows.

        Returns of which of them products lose digits, where differences do not decide.
        """
        rows, own = rows[block], None if own is None else own[block]
        norms, n_neighbors = squared_norms(rows), found.columns.shape[1]
        D, index = np.empty((len(norms), len(self._norms))), found.columns.dtype
        products_by_lists(_entries(rows), self._lists, D)
        near = of_products(D, norms, self._norms, own)
        if by_differences:
            settle_near(D, rows, self._rows, norms, self._norms, np.flatnonzero(near))
        candidates = none_yet(len(D), n_neighbors, D.shape[1], D.dtype, index)
        collect(D, 0, n_neighbors, candidates)
        nearest = least_collected(candidates, n_neighbors)
        found.distances[block], found.columns[block] = nearest
        return near


def _entries(matrix):
    """The stored entries of a CSR matrix by row, or of a CSC matrix by column."""
    parts = matrix.data, matrix.indices, matrix.indptr
    return CSRGraph(*map(read_only, parts))
