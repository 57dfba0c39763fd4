"""The nearest rows by cosine, which are the nearest of rows of length 1."""

import numpy as np
from scipy import sparse

from skdec.tsne._exact_search import Found


def of_length_1(rows):
    """Rows over their lengths, in float64; rows of 0 stay.

    Over their largest entry first, of which no square vanishes or overflows.
    """
    rows = _divided(rows.astype(np.float64), _largest(rows))
    squares = rows.multiply(rows) if sparse.issparse(rows) else np.square(rows)
    return _divided(rows, np.sqrt(np.asarray(squares.sum(axis=1)).reshape(-1)))


def without_direction(rows):
    """Which rows have no entry but 0."""
    return _largest(rows) == 0


def _largest(rows):
    """The largest magnitude of each row, in float64."""
    largest = abs(rows).max(axis=1)
    largest = largest.toarray() if sparse.issparse(largest) else largest
    return largest.reshape(-1).astype(np.float64)


def _divided(rows, numbers):
    """Each row over a number, or over 1 instead of 0."""
    numbers = np.where(numbers == 0, 1, numbers)
    if not sparse.issparse(rows):
        return rows / numbers[:, None]
    data = rows.data / np.repeat(numbers, np.diff(rows.indptr))
    return type(rows)((data, rows.indices, rows.indptr), shape=rows.shape)


class CosineIndex:
    """Neighbours by 1 − cos(x, y) = ‖u − v‖²/2, where u and v are of length 1.

    Parameters
    ----------
    rows : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Where neighbours are looked for, at least one of them not 0.
    build : callable
        Gives a ``NeighborIndex`` by Euclidean distance of rows.

    Notes
    -----
    A row of 0 is at a right angle to all, other rows of 0 too, as scikit-learn's cosine
    has it.
    """

    squared = False

    def __init__(self, rows, build):
        nowhere = without_direction(rows)
        self._nowhere, self._known = np.flatnonzero(nowhere), np.flatnonzero(~nowhere)
        self._number = np.cumsum(~nowhere) - 1  # of a row among the known
        self._index = build(of_length_1(rows[self._known] if nowhere.any() else rows))
        self.recall = self._index.recall

    def search(self, rows, n_neighbors, threads, own=None):
        """The nearest of rows, as ``NeighborIndex`` has it."""
        nowhere = without_direction(rows)
        if not (len(self._nowhere) or nowhere.any()):
            return self._among_known(rows, n_neighbors, threads, own)
        distances = np.empty((len(nowhere), n_neighbors))
        columns = np.empty(distances.shape, np.intp)
        for some, search in (
            (np.flatnonzero(~nowhere), self._with_nowhere),
            (np.flatnonzero(nowhere), self._from_nowhere),
        ):
            if len(some):
                itself = None if own is None else own[some]
                part = search(rows[some], n_neighbors, threads, itself)
                distances[some], columns[some] = part
        return Found(distances, columns)

    def _among_known(self, rows, n_neighbors, threads, own):
        found = self._index.search(of_length_1(rows), n_neighbors, threads, own)
        D = found.distances if self._index.squared else np.square(found.distances)
        return Found(D / 2, found.columns)

    def _with_nowhere(self, rows, n_neighbors, threads, own):
        """Of rows that are not 0: rows of 0 come in at 1, by their number."""
        most = len(self._known) - (own is not None)
        itself = None if own is None else self._number[own]
        k = min(n_neighbors, most)
        if k == 0:
            known = Found(np.empty((rows.shape[0], 0)), np.empty((rows.shape[0], 0)))
        else:
            known = self._among_known(rows, k, threads, itself)
        others = self._nowhere[:n_neighbors]
        shape = rows.shape[0], len(others)
        D = np.concatenate([known.distances, np.ones(shape)], axis=1)
        columns = self._known[known.columns.astype(np.intp)]
        columns = np.concatenate([columns, np.broadcast_to(others, shape)], axis=1)
        order = np.lexsort((columns, D), axis=1)[:, :n_neighbors]
        return Found(*(np.take_along_axis(a, order, axis=1) for a in (D, columns)))

    def _from_nowhere(self, rows, n_neighbors, threads, own):
        """Of rows of 0: all others are alike, and come by their number."""
        n = rows.shape[0]
        columns = np.tile(np.arange(n_neighbors), (n, 1))
        if own is not None:
            columns += columns >= own[:, None]
        return Found(np.ones(columns.shape), columns)
