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
        Where neighbours are looked for, none of them 0.
    build : callable
        Gives a ``NeighborIndex`` by Euclidean distance of rows.
    """

    squared = False

    def __init__(self, rows, build):
        self._index = build(of_length_1(rows))
        self.recall = self._index.recall

    def search(self, rows, n_neighbors, threads, own=None):
        """The nearest of rows, as ``NeighborIndex`` has it."""
        found = self._index.search(of_length_1(rows), n_neighbors, threads, own)
        D = found.distances if self._index.squared else np.square(found.distances)
        distances = D / 2
        # a row of 0 is at a right angle to all, as scikit-learn's cosine has it
        distances[without_direction(rows)] = 1.0
        return Found(distances, found.columns)
