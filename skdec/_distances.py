"""Squared distances to the training rows, a block of rows at a time."""

import numpy as np
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS, euclidean_distances

from skdec._rows import first_occurrences, row_keys
from skdec._validation import power_of_two, zero_distance

# The expanded form ‖a‖² + ‖b‖² − 2a·b keeps about 16 − log10((‖a‖² + ‖b‖²)/D) digits:
# below this ratio the few pairs concerned are computed from their differences instead.
CANCELLATION = 1e-5
ELEMENTS_PER_GATHER = 1_000_000

# Beyond this many units squared distances overflow.
FARTHEST = 1e150


class SquaredDistances:
    """Squared distances between any rows and the rows of X, in units of ``unit``².

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The training rows; with ``metric="precomputed"`` their distance matrix.
    metric : str or callable
        A metric of :func:`sklearn.metrics.pairwise_distances`.
    metric_params : dict or None
        Further parameters of the metric.  What a metric would estimate from its
        input (``V``, ``VI``) is estimated once, from X.

    Attributes
    ----------
    unit : float
        A power of two near the largest magnitude, so that squares neither overflow
        nor vanish for data at 1e-200 or 1e200.
    """

    def __init__(self, X, metric="euclidean", metric_params=None):
        self.metric = metric
        self.metric_params = dict(metric_params or {})
        self.euclidean = metric in ("euclidean", "l2") and not self.metric_params
        self.boolean = metric in PAIRWISE_BOOLEAN_FUNCTIONS
        self.unit = 1.0
        self.n_samples = len(X)
        if self.euclidean:
            self._centre(X)
        elif metric == "precomputed":
            self.rows = X
            self.unit = power_of_two(float(X.max()))
            self._zero = zero_distance(X)
        else:
            # a copy: what was fitted must not change with the caller's array
            self.rows = X.astype(bool if self.boolean else X.dtype)
            self._estimate_metric_params()
            self.unit = power_of_two(float(self._distances(self.rows[:1]).max()))

    def _centre(self, X):
        scale = power_of_two(float(np.abs(X).max()))
        rows = np.divide(X, scale, dtype=np.float64, order="C")
        mean = rows.mean(axis=0)
        spread = power_of_two(float(np.abs(rows - mean).max()))
        self._frame = scale, mean, spread
        self.rows = self.prepare(X)
        self._norms = np.einsum("ij,ij->i", self.rows, self.rows)
        self.unit = scale * spread

    def _estimate_metric_params(self):
        # as scikit-learn does when X is compared with itself
        if self.metric == "seuclidean":
            self.metric_params.setdefault("V", np.var(self.rows, axis=0, ddof=1))
        elif self.metric == "mahalanobis" and not self.metric_params:
            try:
                self.metric_params["VI"] = np.linalg.inv(
                    np.atleast_2d(np.cov(self.rows.T))
                )
            except np.linalg.LinAlgError as error:
                raise ValueError(
                    "metric='mahalanobis' needs X with an invertible covariance, or VI "
                    "in metric_params; that of X is singular"
                ) from error

    def prepare(self, X):
        """X as ``between`` takes it: centred and scaled, or in the training dtype."""
        if not self.euclidean:
            return X.astype(self.rows.dtype, copy=False)
        scale, mean, spread = self._frame
        rows = np.divide(X, scale, dtype=np.float64, order="C")
        rows -= mean
        rows /= spread
        if np.abs(rows).max() > FARTHEST:
            raise ValueError(
                f"X must stay within {FARTHEST:g} times the spread of the training "
                f"rows; got a row {np.abs(rows).max():g} times as far"
            )
        return rows

    def forget_training_distances(self):
        """Drop a precomputed matrix: placing new points needs only theirs."""
        if self.metric == "precomputed":
            self.rows = self.rows[:0].copy()

    def representatives(self):
        """For each training row, the index of the first one identical to it."""
        if self.metric == "precomputed":
            zero = self.rows <= self._zero
            np.fill_diagonal(zero, True)
            return np.argmax(zero, axis=1)
        return first_occurrences(row_keys(self.rows))

    def identical(self, rows):
        """For each prepared row, a training row identical to it, or −1."""
        if self.metric == "precomputed":
            return np.where(rows.min(axis=1) <= self._zero, rows.argmin(axis=1), -1)
        known = {key: i for i, key in enumerate(row_keys(self.rows))}
        return np.array([known.get(key, -1) for key in row_keys(rows)], np.intp)

    def between(self, rows):
        """D between prepared rows and the training rows, float64."""
        if self.euclidean:
            return self._euclidean(rows)
        D = self._distances(rows)
        D /= self.unit
        if D.max() > FARTHEST:
            raise ValueError(
                f"the distances must stay within {FARTHEST:g} times those between the "
                f"training rows; got {D.max():g} times"
            )
        return np.square(D, out=D)

    def _distances(self, rows):
        if self.metric == "precomputed":
            return rows.astype(np.float64)
        D = pairwise_distances(
            rows, self.rows, metric=self.metric, **self.metric_params
        ).astype(np.float64)
        if not np.all(D >= 0) or np.isinf(D).any():
            raise ValueError(
                f"metric={self.metric!r} must give finite distances >= 0 between the "
                f"rows of X; got values from {D.min()} to {D.max()}"
            )
        return D

    def _euclidean(self, rows):
        norms = np.einsum("ij,ij->i", rows, rows)[:, None]
        D = euclidean_distances(
            rows,
            self.rows,
            X_norm_squared=norms,
            Y_norm_squared=self._norms[None, :],
            squared=True,
        )
        i, j = np.nonzero(CANCELLATION * (norms + self._norms) > D)
        gather = max(1, ELEMENTS_PER_GATHER // rows.shape[1])
        for first in range(0, len(i), gather):
            pairs = i[first : first + gather], j[first : first + gather]
            difference = rows[pairs[0]] - self.rows[pairs[1]]
            D[pairs] = np.einsum("ij,ij->i", difference, difference)
        return D
