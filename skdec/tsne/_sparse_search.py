"""The nearest of sparse rows, exactly: products by lists of the entries of a feature.

Texts have few words each: the rows that share one are all that a product takes.
"""

import numpy as np

from skdec.kernels.neighbors import collect, products_by_lists
from skdec.kernels.types import CSRGraph, read_only
from skdec.tsne._exact_search import Found, index_dtype, least_collected, none_yet
from skdec.tsne._products import of_products, squared_norms

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
        shape = rows.shape[0], n_neighbors
        found = Found(np.empty(shape), np.empty(shape, index_dtype(n)))

        def task(first, last):
            for start in range(first, last, size):
                block = slice(start, min(start + size, last))
                itself = None if own is None else own[block]
                nearest = self._nearest(rows[block], n_neighbors, itself)
                for whole, part in zip(found, nearest, strict=True):
                    whole[block] = part

        threads.run_ranges(task, rows.shape[0], int(rows.shape[0] * each))
        return found

    def _nearest(self, rows, n_neighbors, own):
        n = len(self._norms)
        D, index = np.empty((rows.shape[0], n)), index_dtype(n)
        products_by_lists(_entries(rows), self._lists, D)
        of_products(D, rows, self._rows, self._norms, own)
        candidates = none_yet(len(D), n_neighbors, n, D.dtype, index)
        collect(D, 0, n_neighbors, candidates)
        return least_collected(candidates, n_neighbors)


def _entries(matrix):
    """The stored entries of a CSR matrix by row, or of a CSC matrix by column."""
    parts = matrix.data, matrix.indices, matrix.indptr
    return CSRGraph(*map(read_only, parts))
