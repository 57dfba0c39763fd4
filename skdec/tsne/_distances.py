"""Squared distances to the training rows, a block of rows at a time."""

import copy
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS
from sklearn.utils import gen_batches

from skdec.tsne._checks import finite_for, largest_distance, missing
from skdec.tsne._metric_params import estimated_params, is_euclidean
from skdec.tsne._neighbors import (
    BlockIndex,
    Neighbors,
    build_index,
    check_stored,
    nearest_copies,
    nearest_in_graph,
    nearest_in_matrix,
)
from skdec.tsne._products import (
    OTHERS_ALONE,
    ROWS_ALONE,
    squared_euclidean,
    squared_norms,
)
from skdec.utils.duplicates import (
    KnownRows,
    digests,
    first_identical,
    first_occurrences,
)
from skdec.utils.numbers import central_row, largest_magnitude, power_of_two
from skdec.utils.warn import warn

# A thread holds this many float64 distances at a time: a few megabytes.
ELEMENTS_PER_BLOCK = 400_000

# Metrics that do not depend on the unit of the rows, in which squares might overflow or
# vanish.
UNITLESS = {"cosine", "correlation"}

# Metrics that scikit-learn computes by products, which BLAS rounds by their shape.
OF_PRODUCTS = {"cosine", "nan_euclidean", "euclidean", "l2"}

# Metrics that have a finite distance of any two rows of numbers.
ALWAYS_FINITE = {
    "euclidean", "l2", "cosine", "cityblock", "l1", "manhattan", "chebyshev",
    "minkowski", "precomputed",
}  # fmt: skip

# Of parallel rows 1 − cos is up to some times the rounding of 1.
LEAST_COSINE = 8 * np.finfo(np.float64).eps

# Beyond this many units squared distances overflow.
FARTHEST = 1e150


class Centring(NamedTuple):
    """How rows are moved to where nothing overflows: (x/scale − center)/spread."""

    scale: float
    center: np.ndarray | float
    spread: float

    def applied(self, X):
        """Dense rows, moved, in float64."""
        with np.errstate(over="ignore"):  # which ``prepare`` refuses
            rows = np.divide(X, self.scale, dtype=np.float64, order="C")
            rows -= self.center
            rows /= self.spread
        return rows


class SquaredDistances:
    """Squared distances between any rows and the rows of X, in units of ``unit``².

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        The training rows; with ``metric="precomputed"`` their distance matrix, or a
        sparse graph of the distances to neighbours.
    metric : str or callable
        A metric of :func:`sklearn.metrics.pairwise_distances`.
    metric_params : dict or None
        Further parameters of the metric.  What a metric would estimate from its
        input (``V``, ``VI``) is estimated once, from X.
    weights : ndarray of shape (n_samples,) or None
        How many copies of each row there are, for that estimate.

    Attributes
    ----------
    unit : float
        A power of two near the largest magnitude, so that squares neither overflow
        nor vanish for data at 1e-200 or 1e200.
    elements_at_once : int
        So many distances are asked for at a time.
    """

    elements_at_once = ELEMENTS_PER_BLOCK

    def __init__(self, X, metric="euclidean", metric_params=None, weights=None):
        self.metric = metric
        # the caller may go on to change his own
        self.metric_params = copy.deepcopy(metric_params or {})
        self.euclidean = is_euclidean(metric, self.metric_params)
        # those of differences of rows, which are squared once or twice
        self._straight = self.euclidean or (
            metric == "sqeuclidean" and not self.metric_params
        )
        self.boolean = metric in PAIRWISE_BOOLEAN_FUNCTIONS
        self.unit = self._scale = 1.0
        self.n_samples = X.shape[0]
        self._sparse = sparse.issparse(X)
        self._index = self._known = self._norms = self._centring = None
        self._hashes = None
        if self._straight:
            self._centre(X)
            self._norms = squared_norms(self.rows)
        elif metric == "nan_euclidean" and not self.metric_params:
            # products lose what rows far from zero differ by, as in the Euclidean case
            self._centre(X)
        elif metric == "precomputed":
            self.rows = self.prepare(X)
            self.unit = power_of_two(largest_distance(self.rows))
        else:
            if not callable(metric) and metric in UNITLESS:
                self._scale = power_of_two(largest_magnitude(X))
            # copied, because what was fitted must not change with the caller's array;
            # cosines of rows that are nearly parallel are lost in single precision
            dtype = np.float64 if metric == "cosine" else X.dtype
            self.rows = (
                self._as_boolean(X) if self.boolean else self._scaled(X.astype(dtype))
            )
            if not self.metric_params:
                self.metric_params = estimated_params(metric, self.rows, weights)
            self.unit = power_of_two(float(self._distances(self.rows[:1]).max()))

    def __getstate__(self):
        return {**vars(self), "_hashes": None}  # made again when they are needed

    def _centre(self, X):
        scale = power_of_two(_largest(X))
        if sparse.issparse(X):  # which centring would fill
            self._centring = Centring(scale, 0.0, 1.0)
            self.rows = self.prepare(X)
        else:
            # as ``prepare`` does it, in one array
            self.rows = np.divide(X, scale, dtype=np.float64, order="C")
            center = central_row(self.rows)
            self.rows -= center
            spread = power_of_two(_largest(self.rows))
            self.rows /= spread
            self._centring = Centring(scale, center, spread)
            if not self._straight:
                _one_nan(self.rows)
        self.unit = scale * self._centring.spread
        if self._straight and not self.euclidean:
            with np.errstate(over="ignore", under="ignore"):
                squared = np.square(self.unit) if largest_magnitude(self.rows) else 1.0
            if not 0 < squared < np.inf:
                raise ValueError(
                    f"metric='sqeuclidean' of rows of X about {self.unit:g} apart is "
                    "out of the range of numbers: scale X, or take metric='euclidean'"
                )
            self.unit = float(squared)

    def _scaled(self, rows):
        """Rows of any metric but the Euclidean, in ``_scale`` and with one NaN for all.

        In place, without a change of dtype.
        """
        if self._scale != 1:
            values = rows.data if sparse.issparse(rows) else rows
            with np.errstate(over="ignore"):  # an error tells of the distances
                np.divide(values, self._scale, out=values)
        return _one_nan(rows)

    def prepare(self, X):
        """X as ``between`` takes it: centred and scaled, or in the training dtype."""
        if self.metric == "precomputed":
            if sparse.issparse(X):
                X = _filtered(X, X.data < np.inf)
                X.sum_duplicates()
            return X
        if sparse.issparse(X) != self._sparse:
            # only dense rows are centred, and rows are recognised by their bytes
            X = sparse.csr_array(X) if self._sparse else X.toarray()
        if self.boolean:
            return self._as_boolean(X)
        if self._centring is None:
            return self._scaled(X.astype(self.rows.dtype))
        centring = self._centring
        if sparse.issparse(X):
            rows = X.astype(np.float64) / centring.scale
        else:
            rows = centring.applied(X)
        if (largest := _largest(rows)) > FARTHEST:
            raise ValueError(
                f"X must stay within {FARTHEST:g} times the spread of the training "
                f"rows; got a row {largest:g} times as far"
            )
        return rows if self._straight else _one_nan(rows)

    def _as_boolean(self, X):
        if not np.isin(X, (0, 1)).all():
            warn(
                f"metric={self.metric!r} compares booleans: values of X other than 0 "
                "and 1 count as True",
                DataConversionWarning,
            )
        return X.astype(bool)

    def precision(self, sigma):
        """β = 1/σ² in units of D, finite so that 0 · β stays 0; NaN of None."""
        return np.nan if sigma is None else min(self.unit / sigma, FARTHEST) ** 2

    def to_original(self, length):
        """A length in the units of X."""
        return length * self.unit

    def training_rows(self, chosen):
        """Some of the training rows, prepared."""
        return self.rows[chosen]

    def restore(self, rows):
        """Prepared dense rows in the units of X, float64: what ``prepare`` undoes."""
        if self._centring is None:
            return rows.astype(np.float64) * self._scale
        scale, center, spread = self._centring
        return (rows * spread + center) * scale

    def forget_training_distances(self):
        """Drop a precomputed matrix: placing new points needs only theirs."""
        if self.metric == "precomputed":
            self.rows = self.rows[:0].copy()

    def representatives(self):
        """For each training row, the index of the first one identical to it.

        Of precomputed distances only a sample with all distances the same is that: a
        distance of 0 is not transitive where values are missing, and one that is small
        against the largest may be large against all others.
        """
        if self.metric != "precomputed":
            return first_identical(self.rows)
        keys = digests(self.rows)
        first = first_occurrences(keys)
        if sparse.issparse(self.rows):
            # two samples that do not store themselves may have the same row
            graph = _without_diagonal(self.rows)
            first = first_occurrences(digests(_with_diagonal(graph)))
        alike = first_occurrences(keys)
        doubtful = {keys[i] for i in np.flatnonzero(first[alike] != first)}
        # kept for `identical`, which is called when the matrix is gone
        self._known = {key: i for i, key in enumerate(keys) if key not in doubtful}
        return first

    def identical(self, rows):
        """For each prepared row, a training row identical to it, or −1."""
        if self.metric != "precomputed":
            known = self._hashes
            if known is None:  # of two threads that come at once either may set it
                known = self._hashes = KnownRows(self.rows)
            return known.find(rows, self.rows)
        keys = digests(rows.astype(self.rows.dtype, copy=False))
        return np.array([self._known.get(key, -1) for key in keys], np.intp)

    def check_new(self, rows, threads):
        """Raise unless each of these prepared rows has a distance to all others."""
        if callable(self.metric) or self.metric not in ALWAYS_FINITE:
            # which the search for all of them computes
            BlockIndex(self._distances, self.n_samples).search(rows, 1, threads)

    def between(self, rows, columns=None, *, alone=False):
        """D between prepared rows and the (given) training rows, float64.

        ``alone``: of each row to all, the same whatever rows come with it.
        """
        if self._straight:
            return self._of_squares(self._euclidean(rows, columns, alone))
        if alone and self.metric in OF_PRODUCTS and not self._sparse:
            D = self._distances_alone(rows)
        else:
            D = self._distances(rows, columns)
        D /= self._divisor
        self._check_far(D)
        return np.square(D, out=D)

    def nearest(self, n_neighbors, threads, rows=None, weights=None):
        """The nearest training rows of prepared rows, and D to them.

        Without ``rows``, those of the training rows, themselves left out.  With
        weights, so many nearest copies.
        """
        if weights is None:
            return self._nearest(n_neighbors, threads, rows)
        graph = self.metric == "precomputed" and sparse.issparse(rows)
        # fewer entries may be enough than rows without weights would need
        given = _beyond_stored(rows) if graph else rows
        found = nearest_copies(
            lambda n_rows: self._nearest(n_rows, threads, given),
            weights, n_neighbors, rows is None, self.n_samples - (rows is None),
        )  # fmt: skip
        if graph:
            beyond = np.where(np.isinf(found.D), found.counts, 0).sum(axis=1)
            if beyond.any():
                check_stored(rows, n_neighbors, found.counts.sum(axis=1) - beyond)
        return found

    def _nearest(self, n_neighbors, threads, rows):
        """The nearest rows, each of them once."""
        if self.metric == "precomputed":
            given = self.rows if rows is None else rows
            found = self._nearest_given(given, n_neighbors, rows is None)
            recall = np.nan if sparse.issparse(given) else 1.0
            return Neighbors(found.columns, self._squared(found.distances), recall)
        if rows is None or self._index is None:  # a single row is never searched for
            self._index = self._built_index(n_neighbors, threads)
        own = np.arange(self.n_samples) if rows is None else None
        rows = self.rows if rows is None else rows
        found = self._index.search(rows, n_neighbors, threads, own)
        D = found.distances if self._index.squared else self._squared(found.distances)
        if self._straight:
            D = self._of_squares(D)
        return Neighbors(found.columns, D, self._index.recall)

    def exact_index(self, threads):
        """An index of the training rows that misses none of the nearest."""
        return self._built_index(None, threads)

    def _built_index(self, n_neighbors, threads):
        """An index of the training rows, exact without the number that is asked for."""
        # a function need not be a metric, which a tree would take for granted
        if callable(self.metric):
            return BlockIndex(self._distances, self.n_samples)
        of_products = self.metric in OF_PRODUCTS - {"cosine"} and not self._straight
        if of_products and not self._sparse:  # each row alone, as its D are
            return BlockIndex(self._distances_alone, self.n_samples)
        if of_products:  # with parameters, which a search would ignore
            return BlockIndex(self._distances, self.n_samples)
        metric = "euclidean" if self._straight else self.metric
        params = None if self._straight else self.metric_params or None
        return build_index(self.rows, metric, params, n_neighbors, threads)

    def _squared(self, distances):
        """D of the distances that an index or a matrix has."""
        D = distances.astype(np.float64)
        if not self._straight:
            if self.metric != "precomputed":
                self._check_distances(D)
                self._join_parallel(D)
            D /= self._divisor
            self._check_far(D)
        return np.square(D, out=D)

    def _of_squares(self, D):
        """D of squared Euclidean distances, which may be distances themselves."""
        if self.euclidean:
            return D
        self._check_far(D)
        return np.square(D)

    @staticmethod
    def _nearest_given(rows, n_neighbors, own):
        if not sparse.issparse(rows):
            return nearest_in_matrix(rows, n_neighbors, own)
        graph = _without_diagonal(rows) if own else rows
        return nearest_in_graph(graph, n_neighbors, own)

    def _distances(self, rows, columns=None):
        if self.metric == "precomputed":
            rows = rows if columns is None else rows[:, columns]
            return rows.astype(np.float64, order="C")
        others = self.rows if columns is None else self.rows[columns]
        return self._pairwise(rows, others)

    def _distances_alone(self, rows):
        """Distances to all, in products of one shape, whatever is left of it.

        In double precision: of single precision BLAS has other loops for some rows.
        """
        n, rows = self.n_samples, rows.astype(np.float64, copy=False)
        D = np.empty((len(rows), n))
        # few others at a time: they are copied where they are not of the shape
        for columns in gen_batches(n, 16 * OTHERS_ALONE):
            others = self.rows[columns].astype(np.float64, copy=False)
            n_others = len(others)
            others = _padded(others, n_others + -n_others % OTHERS_ALONE)
            for b in gen_batches(len(rows), ROWS_ALONE):
                some = rows[b]
                found = self._pairwise(_padded(some, ROWS_ALONE), others)
                D[b, columns] = found[: len(some), :n_others]
        return D

    @property
    def _divisor(self):
        """What distances are divided by; those of centred rows are in the unit."""
        return self.unit if self._centring is None else 1.0

    def _pairwise(self, rows, others):
        D = pairwise_distances(
            rows,
            others,
            metric=self.metric,
            ensure_all_finite=finite_for(self.metric),
            **self.metric_params,
        ).astype(np.float64, order="C")
        self._check_distances(D)
        self._join_parallel(D)
        return D

    def _join_parallel(self, D):
        """Let distances that are but rounding be 0, so that they are ties."""
        if not callable(self.metric) and self.metric in UNITLESS:
            D[D < LEAST_COSINE] = 0

    def _check_distances(self, D):
        if not np.all(D >= 0) or np.isinf(D).any():
            raise ValueError(
                "All distances should be positive and finite, the metric given "
                f"(metric={self.metric!r}) is not correct: its values go from "
                f"{D.min()} to {D.max()}"
                + (" (missing values of X give NaN)" if np.isnan(D).any() else "")
            )

    @staticmethod
    def _check_far(D):
        largest = largest_distance(D)
        if largest > FARTHEST:
            raise ValueError(
                f"the distances must stay within {FARTHEST:g} times those between the "
                f"training rows; got {largest:g} times"
            )

    def _euclidean(self, rows, columns, alone):
        if columns is None:
            return squared_euclidean(rows, self.rows, self._norms, alone=alone)
        others, norms = self.rows[columns], self._norms[columns]
        return squared_euclidean(rows, others, norms, alone=alone)


def _largest(X):
    """max |x| of the values that are not missing."""
    largest = largest_magnitude(X)
    return largest if largest >= 0 else largest_magnitude(X[~np.isnan(X)])


def _padded(rows, n):
    """The rows and copies of the last, n in all."""
    if len(rows) == n:
        return rows
    return np.concatenate([rows, np.repeat(rows[-1:], n - len(rows), axis=0)])


def _one_nan(rows):
    """The rows, of which some NaN may have other bits, with one NaN for all; in place.

    Rows are recognised by their bits.
    """
    values = rows.data if sparse.issparse(rows) else rows
    if missing(rows):
        values[np.isnan(values)] = np.nan
    return rows


def _beyond_stored(graph):
    """The distances of a graph in a matrix, infinite where none is stored."""
    D = np.full(graph.shape, np.inf, graph.dtype)
    entries = graph.tocoo()
    D[entries.row, entries.col] = entries.data
    return D


def _without_diagonal(graph):
    """The graph alone: some hold the sample itself and some do not."""
    entries = graph.tocoo()
    return _filtered(graph, entries.row != entries.col)


def _with_diagonal(graph):
    """The graph with a distance of 0 of each sample to itself."""
    entries, itself = graph.tocoo(), np.arange(graph.shape[0])
    data = np.r_[np.zeros(len(itself), graph.dtype), entries.data]
    row, column = np.r_[itself, entries.row], np.r_[itself, entries.col]
    return sparse.coo_array((data, (row, column)), shape=graph.shape).tocsr()


def _filtered(graph, keep):
    """A CSR matrix with these of its stored entries alone, zeros among them."""
    ends = np.concatenate([[0], np.cumsum(keep)])[graph.indptr]
    parts = graph.data[keep], graph.indices[keep], ends
    return type(graph)(parts, shape=graph.shape)
