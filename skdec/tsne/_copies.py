"""Rows that stand for copies: identical ones merged, and those with a weight.

What is fitted are distinct rows, each with the number w of its copies.  So a weight is
the same thing as repetition, to the bit; rows of weight 0 take no part.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skdec.tsne._distances import SquaredDistances
from skdec.utils.duplicates import order_keys
from skdec.utils.weights import check_weights

# Between these a weight, and all together, are held in single precision with room for
# their products.
LEAST_WEIGHT, LARGEST_TOTAL = 1e-9, 1e9


class Points(NamedTuple):
    """The rows that are fitted."""

    distances: SquaredDistances  # to them
    first: np.ndarray  # for each, the first one that shares its position
    rows: np.ndarray | None = None  # which rows of X they are; None: all
    weights: np.ndarray | None = None  # how many copies there are; None: 1 of each
    place: np.ndarray | None = None  # of each row of X, which one it is; −1 if none

    def spread(self, positions):
        """Positions of all rows of X; of those that are not fitted, NaN."""
        if self.place is None:
            return positions
        out = positions[self.place]
        out[self.place < 0] = np.nan
        return out


def check_copies(sample_weight, X, metric):
    """How many copies of each row there are, float64; None if 1 of each."""
    weights = check_weights(sample_weight, X).original()
    if weights is None or (weights == 1).all():
        return None
    if metric == "precomputed" and sparse.issparse(X):
        raise ValueError(
            "sample_weight must be None with a sparse graph of precomputed distances, "
            "whose lists are those of rows without weights; give the distances of all "
            "pairs, or the rows"
        )
    least, total = weights[weights > 0].min(), weights.sum()
    if least < LEAST_WEIGHT or not 2 <= total <= LARGEST_TOTAL:
        raise ValueError(
            "sample_weight counts the copies of each row: entries must be 0 or at "
            f"least {LEAST_WEIGHT:g}, and their sum from 2 to {LARGEST_TOTAL:g}; got "
            f"{least:g} and a sum of {total:g}"
        )
    return weights


def fitted_points(X, weights, metric, metric_params):
    """The distinct rows with a weight, in order of value, if that is not all of X."""
    if weights is None:
        distances = SquaredDistances(X, metric, metric_params)
        first = distances.representatives()
        distinct = np.array_equal(first, np.arange(len(first)))
        if distinct or (metric == "precomputed" and sparse.issparse(X)):
            return Points(distances, first)
        weights = np.ones(X.shape[0])
    precomputed = isinstance(metric, str) and metric == "precomputed"
    rows = np.flatnonzero(weights > 0)
    if not precomputed:  # sums must not depend on where a row stands
        rows = rows[_order(X[rows])]
    weights, place = weights[rows], np.full(X.shape[0], -1)
    place[rows] = np.arange(len(rows))
    while True:
        part = X[rows][:, rows] if precomputed else X[rows]
        distances = SquaredDistances(part, metric, metric_params, weights)
        first = distances.representatives()
        kept, which = np.unique(first, return_inverse=True)
        if len(kept) == len(rows):
            return Points(distances, first, rows, weights, place)
        # rows may be told apart by nothing but where they are centred: once more
        weights = np.bincount(which, weights=weights)
        rows, place[place >= 0] = rows[kept], which[place[place >= 0]]


def _order(X):
    """The rows of X in order of value."""
    if not sparse.issparse(X):
        return np.lexsort(X.T[::-1])
    rows = sparse.csr_array(X, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    keys = order_keys(rows)
    return np.array(sorted(range(len(keys)), key=keys.__getitem__))
