"""Rows about an origin and in units of the bandwidth, as the kernels take them.

There is a class for each way in which distances are measured:

    DenseScaledRows     by differences
    ProductScaledRows   by matrix products, where rounding allows
    SparseScaledRows    by the stored entries

All conversions between the units of X and those inside, z = (x/unit − origin)/h, are
methods of theirs.
"""

import copy
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from skdec.clustering._precision import check_precision, is_lost
from skdec.clustering._spread import ClusterSums, cluster_sums
from skdec.kernels.types import (
    Centers,
    LaneRows,
    ProductRows,
    SparseRows,
    read_only,
)
from skdec.utils.numbers import largest_magnitude, power_of_two, working_dtype
from skdec.utils.validation import with_merged_entries, with_short_indices

# Above these, sums over the rows may overflow.
LARGEST_ENTRY = {np.dtype(np.float32): 1e30, np.dtype(np.float64): 1e290}

# Below these, 1/h is not a number of the dtype.
SMALLEST_UNIT = {np.dtype(np.float32): 1e-30, np.dtype(np.float64): 1e-300}

ROWS_PER_SUM = 1024

# Largest error of D, in units of h², that matrix products may have.
PRODUCT_ERROR = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-9}

# Centroids outside the ball of the rows, by more than rounding, are put so far inside
# it: a row on the rim may be a centroid.
RIM, RIM_ROUNDING = 1e-6, 1e-12


class Ball(NamedTuple):
    """The ball about the weighted mean of the rows that holds all of them."""

    center: np.ndarray
    radius: float

    def hold(self, centers):
        """The centroids, those outside drawn back to the rim along their radius."""
        away = centers - self.center
        lengths = np.linalg.norm(away, axis=1, keepdims=True)
        outside = lengths > self.radius * (1 + RIM_ROUNDING)
        share = np.ones_like(lengths)
        np.divide(self.radius * (1 - RIM), lengths, out=share, where=outside)
        return np.where(outside, self.center + share * away, centers)


def scale_rows(X, centers, bandwidth, *, by_products=False, name="X"):
    """Rows X in units of the bandwidth, without a copy wherever their dtype allows.

    Differences to a centroid nearby are exact when the origin is among the centroids,
    while products with 1/h are not.  Sparse rows have no origin, which would fill them,
    and are computed with in float64.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, validated.
    centers : ndarray of shape (n_clusters, n_features)
        Some centroids, in the units of X; the origin is their mean.
    bandwidth : float
        The unit h.  At 1 rows are left as they are, without an origin.
    by_products : bool, default=False
        Whether dense rows may be measured by matrix products if rounding allows.
    name : str, default="X"
        What they are called in errors.
    """
    check_columns(centers, X.shape[1])
    largest, dense = largest_magnitude(X), not sparse.issparse(X)
    scaling = Scaling.about(centers, bandwidth, largest, X.dtype, dense, name)
    rows = scaling.rows(X)
    return rows.measured_by_products() if by_products else rows


class Scaling(NamedTuple):
    """How rows are taken: z = (x/unit − origin)/h."""

    origin: np.ndarray  # of the dtype in which rows are computed with
    h: float
    unit: float  # a power of two, by which division is exact
    dense: bool

    @classmethod
    def about(cls, centers, bandwidth, largest, dtype, dense, name="X"):
        """The scaling of rows of a largest magnitude, about some centroids."""
        centers, unit = np.asarray(centers, dtype=np.float64), 1.0
        own = np.dtype(dtype if dense else np.float64)
        largest = max(largest, largest_magnitude(centers))
        if not SMALLEST_UNIT[own] < bandwidth or largest > LARGEST_ENTRY[own]:
            unit = power_of_two(bandwidth)
        h = bandwidth / unit
        dtype = working_dtype(own, largest / unit / h, name)
        if unit != 1:
            dtype = np.dtype(np.float64)
        origin = np.zeros(centers.shape[1], dtype)
        if dense and bandwidth != 1:
            shares = centers / unit / len(centers)
            origin = shares.sum(axis=0).astype(dtype)
        return cls(origin, h, unit, dense)

    def rows(self, X):
        """Rows X, measured by differences if they are dense."""
        if self.unit != 1 or (self.dense and X.dtype != self.origin.dtype):
            X = X.astype(np.float64) / self.unit
        if not self.dense:
            return SparseScaledRows(X, self.h, self.unit)
        return DenseScaledRows(X, self.origin, self.h, self.unit)


def check_columns(centers, n_features):
    """Raise unless rows and centroids agree: kernels read without looking."""
    if np.ndim(centers) != 2 or np.shape(centers)[1] != n_features:
        raise ValueError(
            f"rows of {n_features} features need centroids of as many; got shape "
            f"{np.shape(centers)}"
        )


class DenseScaledRows:
    """Dense rows, measured by differences.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, divided by ``unit``.
    origin : ndarray of shape (n_features,)
        What becomes 0, in X's dtype.
    h : float
        The bandwidth, divided by ``unit``.
    unit : float
        A power of two, 1 unless X or the bandwidth would overflow or vanish.
    """

    def __init__(self, X, origin, h, unit):
        self.X, self.origin, self.h, self.unit = X, origin, h, unit
        self.scale, self.dtype = 1 / h, origin.dtype

    @property
    def shape(self):
        """The shape of X."""
        return self.X.shape

    # ------------------------------------------------------------------ conversions
    def to_internal(self, points):
        """Points from the units of X to those inside, float64."""
        points = np.asarray(points, dtype=np.float64) / self.unit
        return (points - self.origin) * self.scale

    def to_original(self, points):
        """Points from the units inside to those of X, float64."""
        return (points / self.scale + self.origin) * self.unit

    def gradient_to_original(self, gradient):
        """∂L/∂x of ∂L/∂z."""
        return gradient * (self.scale / self.unit)

    def ball_to_internal(self, ball):
        """A ball in the units of X, in those inside."""
        radius = ball.radius / (self.h * self.unit)
        return Ball(self.to_internal(ball.center), radius)

    def ball_to_original(self, ball):
        """A ball in the units inside, in those of X."""
        radius = ball.radius * (self.h * self.unit)
        return Ball(self.to_original(ball.center), radius)

    @property
    def log_bandwidth(self):
        """log h in the units of X."""
        return np.log(self.h) + np.log(self.unit)

    # ------------------------------------------------------------- for the kernels
    @property
    def kernel_rows(self):
        """What the kernels are given of the rows."""
        scale = self.dtype.type(self.scale)
        return LaneRows(read_only(self.X), self.origin, scale)

    def kernel_centers(self, centers):
        """Centroids in the units inside, as the kernels measure these rows to them."""
        check_columns(centers, self.shape[1])
        points = np.ascontiguousarray(centers, dtype=self.dtype)
        return Centers(points, np.zeros(len(centers), self.dtype))

    def force_shape(self, centers):
        """The shape in which the kernels add up forces."""
        return centers.shape

    def forces(self, sums, residual, centers):
        """Σ_i c_ij (μ_j − z_i) from what the kernels add up and Σ_i c_ij."""
        return sums

    # ------------------------------------------------------------------ other rows
    def take(self, rows):
        """Some of the rows, in the same units."""
        other = copy.copy(self)
        other.X = self.X[rows]
        return other

    def rescaled(self, factor):
        """The same rows in units of h/factor."""
        other = copy.copy(self)
        other.scale = self.scale * factor
        return other

    def measured_by_products(self):
        """The same rows, measured by matrix products if rounding allows."""
        norms = np.empty(len(self.X), self.dtype)
        for batch in gen_batches(len(norms), ROWS_PER_SUM):
            z = (self.X[batch] - self.origin) * self.dtype.type(self.scale)
            norms[batch] = np.einsum("ij,ij->i", z, z)
        # x·μ is taken of x as it is, not of x − origin
        offset = np.linalg.norm(self.scale * self.origin.astype(np.float64))
        error = (np.sqrt(norms.max(initial=0)) + offset) ** 2 * np.finfo(self.dtype).eps
        if error > PRODUCT_ERROR[self.dtype]:
            return self
        return self.with_norms(norms)

    def with_norms(self, norms):
        """The same rows, measured by matrix products, from ‖z‖² of each."""
        return ProductScaledRows(self.X, self.origin, self.h, self.unit, norms)

    # ------------------------------------------------- sums and distances, float64
    def ball(self, weight):
        """The ball that holds all rows of positive weight, in the units inside."""
        total = weight.sum(dtype=np.float64)
        center = self.mean_of(self.weighted_sum(weight), total)
        return Ball(center, self.radius(weight, center))

    def weighted_sum(self, weight):
        """Σ_i w_i x_i in the units of X divided by ``unit``."""
        sums = np.zeros(self.shape[1])
        for batch in gen_batches(self.shape[0], ROWS_PER_SUM):
            sums += weight[batch].astype(np.float64) @ self.X[batch]
        return sums

    def mean_of(self, weighted_sum, total):
        """The mean of rows, in the units inside, from their weighted sum."""
        return (weighted_sum / total - self.origin) * self.scale

    def radius(self, weight, center):
        """The largest distance of a row of positive weight, in the units inside."""
        largest = 0.0
        for batch in gen_batches(self.shape[0], ROWS_PER_SUM):
            D = self.squared_distances(batch, center)[weight[batch] > 0]
            largest = max(largest, D.max(initial=0))
        return float(np.sqrt(largest))

    def original_distances(self, point):
        """Distance of each row to a point, both in the units of X."""
        batches = gen_batches(self.shape[0], ROWS_PER_SUM)
        point = self.to_internal(point)
        parts = [self.squared_distances(batch, point) for batch in batches]
        return self.h * self.unit * np.sqrt(np.concatenate(parts))

    def squared_distances(self, batch, point):
        """D of some rows to one point, in the units inside."""
        z = (self.X[batch] - self.origin).astype(np.float64) * self.scale - point
        return np.einsum("ij,ij->i", z, z)

    def internal_rows(self, rows):
        """Some of the rows in the units inside, dense."""
        return (self.X[rows].astype(np.float64) - self.origin) * self.scale

    def cluster_sums(self, weight, labels, n_clusters):
        """Weighted sums of the rows of each cluster in the units inside."""
        sums, mass = cluster_sums(self.X, weight, labels, n_clusters)
        moved = sums - np.outer(mass, self.origin.astype(np.float64))
        return ClusterSums(moved * self.scale, mass)


class ProductScaledRows(DenseScaledRows):
    """Dense rows, measured by matrix products: D = ‖z‖² + ‖μ‖² − 2 z·μ.

    Parameters
    ----------
    X, origin, h, unit
        As those of ``DenseScaledRows``.
    norms : ndarray of shape (n_samples,)
        ‖z‖² of each row.
    """

    def __init__(self, X, origin, h, unit, norms):
        super().__init__(X, origin, h, unit)
        self.norms = norms

    @property
    def kernel_rows(self):
        """What the kernels are given of the rows."""
        return ProductRows(read_only(self.X), self.norms)

    def kernel_centers(self, centers):
        """2μ_j/h of (d, k), and ‖μ_j‖² + 2 μ_j·origin/h."""
        check_columns(centers, self.shape[1])
        norms = np.einsum("ij,ij->i", centers, centers)
        norms += 2 * centers @ (self.scale * self.origin)
        points = np.ascontiguousarray(2 * self.scale * centers.T, dtype=self.dtype)
        return Centers(points, norms.astype(self.dtype))

    def forces(self, sums, residual, centers):
        """Σ_i c_ij (μ_j − z_i) from −Σ_i c_ij x_i and Σ_i c_ij."""
        return self.scale * sums + residual[:, None] * (
            centers + self.scale * self.origin
        )

    def take(self, rows):
        """Some of the rows, in the same units."""
        other = super().take(rows)
        other.norms = self.norms[rows]
        return other

    def rescaled(self, factor):
        """The same rows in units of h/factor."""
        other = super().rescaled(factor)
        other.norms = self.norms * self.dtype.type(factor**2)
        return other


class SparseScaledRows(ProductScaledRows):
    """CSR rows, without an origin, measured by their stored entries in float64.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)
        Rows, divided by ``unit``.
    h, unit : float
        As those of ``DenseScaledRows``.
    """

    def __init__(self, X, h, unit):
        X = with_merged_entries(with_short_indices(X))
        # scaled before they are squared: squares of entries at 1e-170 vanish
        data = np.square(X.data.astype(np.float64) * (1 / h))
        parts = data, X.indices, X.indptr
        squares = sparse.csr_matrix(parts, X.shape).sum(axis=1)
        norms = np.asarray(squares).reshape(-1)
        super().__init__(X, np.zeros(X.shape[1]), h, unit, norms)

    @property
    def kernel_rows(self):
        """What the kernels are given of the rows."""
        parts = self.X.data, self.X.indices, self.X.indptr
        return SparseRows(*map(read_only, parts), self.norms)

    def force_shape(self, centers):
        """A row for each feature: an entry adds to one of them."""
        return centers.T.shape

    def forces(self, sums, residual, centers):
        """Σ_i c_ij (μ_j − z_i) from −Σ_i c_ij x_i, transposed, and Σ_i c_ij."""
        return super().forces(sums.T, residual, centers)

    def measured_by_products(self):
        """The same rows: they are already."""
        return self

    def squared_distances(self, batch, point):
        """D of some rows to one point, in the units inside."""
        products = self.X[batch] @ (2 * self.scale * point)
        return np.maximum(self.norms[batch] + point @ point - products, 0)

    def check_precision(self, centers, name="X"):
        """Raise where distances to centroids, in the units of X, are lost in rounding.

        An error counts beside the distances of the centroids, those of the rows, and h.
        """
        if len(self.norms) == 0:
            return
        points, length = self.to_internal(centers), self.norms.mean()
        center = points.mean(axis=0)
        spread = max(1.0, np.square(points - center).sum(axis=1).mean())
        # a product with all rows, which hardly any need
        if is_lost(length, spread):
            spread = max(spread, self.squared_distances(slice(None), center).mean())
        check_precision(length, spread, name)

    def internal_rows(self, rows):
        """Some of the rows in the units inside, dense."""
        return self.X[rows].toarray().astype(np.float64) * self.scale
