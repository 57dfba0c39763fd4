"""Rows about an origin and in units of the bandwidth, as the kernels take them."""

import copy
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from skdec.kernels.rows import LaneRows, ProductRows, SparseRows
from skdec.utils.numbers import largest_magnitude, power_of_two, working_dtype
from skdec.utils.validation import with_short_indices

# Above these, sums over the rows may overflow.
LARGEST_ENTRY = {np.dtype(np.float32): 1e30, np.dtype(np.float64): 1e290}

# Below these, 1/h is not a number of the dtype.
SMALLEST_UNIT = {np.dtype(np.float32): 1e-30, np.dtype(np.float64): 1e-300}
ROWS_PER_BATCH = 1024

# Largest error of D, in units of h², up to which it is had from matrix products.
PRODUCT_ERROR = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-9}

# How far inside the ball of the rows centroids are put that are outside, by more than
# rounding: a row on the rim may be a centroid.
RIM, ROUNDING = 1e-6, 1e-12


class Ball(NamedTuple):
    """The ball about the weighted mean of the rows that holds all of them."""

    center: np.ndarray
    radius: float

    def hold(self, centers):
        """The centroids, those outside drawn back to the rim along their radius."""
        away = centers - self.center
        lengths = np.linalg.norm(away, axis=1, keepdims=True)
        outside = lengths > self.radius * (1 + ROUNDING)
        share = np.ones_like(lengths)
        np.divide(self.radius * (1 - RIM), lengths, out=share, where=outside)
        return np.where(outside, self.center + share * away, centers)


class Frame:
    """Rows X as (x − origin)/h, without a copy of X wherever its dtype allows.

    Differences to a centroid nearby are exact when the origin is among the centroids,
    while products with 1/h are not.  Sparse rows have no origin, which would fill them,
    and are computed with in float64.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, validated.
    centers : ndarray of shape (n_clusters, n_features)
        Some centroids, in the units of X.
    bandwidth : float
        The unit h.
    """

    def __init__(self, X, centers, bandwidth):
        self._check_columns(centers, X.shape[1])
        centers = np.asarray(centers, dtype=np.float64)
        self.sparse = sparse.issparse(X)
        self.unit = 1.0
        dtype = np.dtype(np.float64) if self.sparse else X.dtype
        largest = max(largest_magnitude(X), largest_magnitude(centers))
        if not SMALLEST_UNIT[dtype] < bandwidth or largest > LARGEST_ENTRY[dtype]:
            # a power of two off everything changes nothing else
            self.unit = power_of_two(bandwidth)
        self.h = bandwidth / self.unit
        largest = largest / self.unit / self.h
        self.dtype = working_dtype(dtype, largest, "X")
        if self.unit != 1 or self.dtype != dtype:
            X = X.astype(np.float64) / self.unit
            self.dtype = np.dtype(np.float64)
        self.X = with_short_indices(X) if self.sparse else X
        self.origin = np.zeros(X.shape[1], self.dtype)
        if bandwidth != 1 and not self.sparse:
            shares = centers / self.unit / len(centers)
            self.origin = shares.sum(axis=0).astype(self.dtype)
        self.scale, self._norms = 1 / self.h, None
        if self.sparse:
            if not self.X.has_canonical_format:
                self.X = self.X.copy()
                self.X.sum_duplicates()
            # scaled first: squares of entries at 1e-170 vanish
            data = np.square(self.X.data.astype(np.float64) * self.scale)
            parts = data, self.X.indices, self.X.indptr
            squares = sparse.csr_matrix(parts, self.X.shape).sum(axis=1)
            self._norms = np.asarray(squares).reshape(-1)

    def by_products(self):
        """The same frame, measured by matrix products if rounding allows."""
        other = copy.copy(self)
        if self.sparse:
            return other
        norms = np.empty(len(self.X), self.dtype)
        for batch in gen_batches(len(norms), ROWS_PER_BATCH):
            z = (self.X[batch] - self.origin) * self.dtype.type(self.scale)
            norms[batch] = np.einsum("ij,ij->i", z, z)
        # the product itself is not about the origin
        offset = np.linalg.norm(self.scale * self.origin.astype(np.float64))
        error = (np.sqrt(norms.max()) + offset) ** 2 * np.finfo(self.dtype).eps
        if error <= PRODUCT_ERROR[self.dtype]:
            other._norms = norms
        return other

    def ball(self, weight):
        """The ball that holds all rows of positive weight, in units of the frame."""
        total, sums = weight.sum(dtype=np.float64), np.zeros(self.shape[1])
        batches = list(gen_batches(self.shape[0], ROWS_PER_BATCH))
        for batch in batches:
            sums += weight[batch].astype(np.float64) @ self.X[batch]
        center = (sums / total - self.origin) * self.scale
        largest = 0.0
        for batch in batches:
            D = self._squared_distances(batch, center)[weight[batch] > 0]
            largest = max(largest, D.max(initial=0))
        return Ball(center, float(np.sqrt(largest)))

    def distances(self, center):
        """Distance of each row to one point, float64."""
        batches = gen_batches(self.shape[0], ROWS_PER_BATCH)
        parts = [self._squared_distances(batch, center) for batch in batches]
        return np.sqrt(np.concatenate(parts))

    def _squared_distances(self, batch, center):
        """D of some rows to one point, float64."""
        if self.sparse:
            products = self.X[batch] @ (2 * self.scale * center)
            return np.maximum(self._norms[batch] + center @ center - products, 0)
        z = (self.X[batch] - self.origin).astype(np.float64) * self.scale - center
        return np.einsum("ij,ij->i", z, z)

    @staticmethod
    def _check_columns(centers, n_features):
        """Raise unless rows and centroids agree: kernels read without looking."""
        if np.ndim(centers) != 2 or np.shape(centers)[1] != n_features:
            raise ValueError(
                f"rows of {n_features} features need centroids of as many; got shape "
                f"{np.shape(centers)}"
            )

    @property
    def rows(self):
        """What the kernels are given of the rows."""
        if self.sparse:
            return SparseRows(self.X.data, self.X.indices, self.X.indptr, self._norms)
        if self._norms is not None:
            return ProductRows(self.X, self._norms)
        return LaneRows(self.X, self.origin, self.dtype.type(self.scale))

    @property
    def shape(self):
        """The shape of X."""
        return self.X.shape

    def inside(self, centers):
        """Centroids from the units of X to those of the frame, float64."""
        centers = np.asarray(centers, dtype=np.float64) / self.unit
        return (centers - self.origin) * self.scale

    def outside(self, centers):
        """Centroids from the units of the frame to those of X, float64."""
        return (centers / self.scale + self.origin) * self.unit

    def points_of(self, rows):
        """Some of the rows in units of the frame, dense, float64."""
        X = self.X[rows]
        X = X.toarray() if self.sparse else X
        return (X.astype(np.float64) - self.origin) * self.scale

    def sums_of(self, members, mass):
        """Weighted sums of the rows in units of the frame, float64.

        ``members`` is a sparse matrix of weights, a row for each sum, and ``mass`` the
        sums of these rows.
        """
        sums = members @ self.X
        sums = sums.toarray() if sparse.issparse(sums) else np.asarray(sums)
        return (sums - np.outer(mass, self.origin.astype(np.float64))) * self.scale

    def points(self, centers):
        """Centroids in units of the frame, as the kernels take them."""
        self._check_columns(centers, self.shape[1])
        if self._norms is None:
            return np.ascontiguousarray(centers, dtype=self.dtype)
        norms = np.einsum("ij,ij->i", centers, centers)
        norms += 2 * centers @ (self.scale * self.origin)
        products = np.ascontiguousarray(2 * self.scale * centers.T, dtype=self.dtype)
        return products, norms.astype(self.dtype)

    def force_shape(self, centers):
        """The shape in which the kernels add up forces."""
        return centers.T.shape if self.sparse else centers.shape

    def forces(self, sums, residual, centers):
        """Σ_i c_ij (μ_j − z_i) from what the kernels add up and Σ_i c_ij."""
        if self._norms is None:
            return sums
        sums = sums.T if self.sparse else sums
        return self.scale * sums + residual[:, None] * (
            centers + self.scale * self.origin
        )

    def take(self, rows):
        """The same frame about some of the rows."""
        other = copy.copy(self)
        other.X = self.X[rows]
        if self._norms is not None:
            other._norms = self._norms[rows]
        return other

    def scaled(self, factor):
        """The same rows in units of h/factor."""
        other = copy.copy(self)
        other.scale = self.scale * factor
        if self._norms is not None:
            other._norms = self._norms * self.dtype.type(factor**2)
        return other
