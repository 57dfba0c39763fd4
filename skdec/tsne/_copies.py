"""Rows that stand for copies: identical ones merged, and those with a weight.

Then what is fitted are distinct rows, each with the number w of its copies; rows of
weight 0 take no part.  Rows without weights are merged too where most of them repeat
others, and a weight is then the same thing as repetition, to the bit.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skdec.tsne._blocked import distances_of
from skdec.tsne._checks import check_connected
from skdec.tsne._distances import SquaredDistances
from skdec.utils.blocks import Blocks
from skdec.utils.duplicates import order_keys
from skdec.utils.weights import check_weights

# Between these a weight, and all together, are held in single precision with room for
# their products.
LEAST_WEIGHT, LARGEST_TOTAL = 1e-9, 1e9

# Rows without weights are merged if no larger a share of them is distinct: of points
# that stand for copies a pair takes up to four times as long, as it is met twice.
MERGED_UP_TO = 0.5


class Points(NamedTuple):
    """The rows that are fitted: all of X, or distinct ones that stand for copies."""

    distances: SquaredDistances | None  # to them; None of given affinities
    first: np.ndarray  # of each row of X, the one that it shares its position with
    rows: np.ndarray | None = None  # which rows of X they are; None: all
    weights: np.ndarray | None = None  # how many copies there are; None: 1 of each
    place: np.ndarray | None = None  # of each row of X, which one it is; −1 if none
    merged: bool = False  # whether they stand for rows of X alone, each counted once

    @property
    def n_points(self):
        """How many there are."""
        return len(self.first if self.rows is None else self.rows)

    def spread(self, positions):
        """Positions of all rows of X; of those that are not fitted, NaN."""
        if self.place is None:
            return positions
        out = positions[self.place]
        out[self.place < 0] = np.nan
        return out

    def chosen(self, positions):
        """Positions of these of all rows of X."""
        return positions if self.rows is None else positions[self.rows]


def rows_alone(n_samples):
    """Rows of which nothing is known."""
    return Points(None, np.arange(n_samples))


def check_copies(sample_weight, X, params):
    """How many copies of each row there are, float64; None if 1 of each."""
    if sample_weight is not None and isinstance(X, Blocks):
        raise ValueError(
            "sample_weight must be None where rows stay in the blocks of a dask "
            "collection, which do not leave them to be merged; give the rows in memory"
        )
    weights = check_weights(sample_weight, X).original()
    if weights is None or (weights == 1).all():
        return None
    if params.affinities == "precomputed":
        raise ValueError(
            "sample_weight must be None with affinities='precomputed': P has been made "
            "already, and how copies of rows would change it is not known"
        )
    if is_graph(X, params.metric):
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


def fitted_points(X, weights, metric, metric_params, *, merge=True):
    """The rows to fit, as ``Points``: distinct ones if there are weights.

    Without, also where few are distinct, unless ``merge`` is False.
    """
    n_samples, merged = X.shape[0], weights is None
    if merged:
        distances = distances_of(X, metric, metric_params)
        first = distances.representatives()
        n_distinct = np.count_nonzero(first == np.arange(n_samples))
        many = n_distinct > MERGED_UP_TO * n_samples
        whole = is_graph(X, metric) or isinstance(X, Blocks)
        if many or not merge or whole:
            return Points(distances, first)
        weights = np.ones(n_samples)
    rows, place = np.flatnonzero(weights > 0), np.full(n_samples, -1)
    precomputed = isinstance(metric, str) and metric == "precomputed"
    if not precomputed:  # sums must not depend on where a row stands
        rows = rows[_order(X[rows])]
    weights = weights[rows]
    place[rows] = np.arange(len(rows))
    while True:
        part = X[rows][:, rows] if precomputed else X[rows]
        distances = SquaredDistances(part, metric, metric_params, weights)
        first = distances.representatives()
        kept, which = np.unique(first, return_inverse=True)
        if len(kept) == len(rows):
            if precomputed:
                _check_connected(X, rows, weights)
            leaders = np.where(place < 0, np.arange(n_samples), rows[place])
            return Points(distances, leaders, rows, weights, place, merged)
        # rows may be told apart by nothing but where they are centred: once more
        weights = np.bincount(which, weights=weights)
        rows, place[place >= 0] = rows[kept], which[place[place >= 0]]


def _check_connected(X, rows, weights):
    """Raise unless each row has a finite distance to (another) one that is fitted."""
    if X.max() < np.inf:
        return
    # itself is one of them, which is enough of a row that stands for copies
    n_finite = np.ones(len(X), int)
    n_finite[rows] += weights <= 1
    check_connected(X[:, rows], n_finite, whom="another sample of positive weight")


def is_graph(X, metric):
    """Whether X has the distances to neighbours, of lists that are cut already."""
    return isinstance(metric, str) and metric == "precomputed" and sparse.issparse(X)


def _order(X):
    """The rows of X in order of value."""
    if not sparse.issparse(X):
        return np.lexsort(X.T[::-1])
    rows = sparse.csr_array(X, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    keys = order_keys(rows)
    return np.array(sorted(range(len(keys)), key=keys.__getitem__))
