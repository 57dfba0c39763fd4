"""How far rows are from the means of their clusters, and how well those are apart."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from skdec.utils.numbers import TINY, central_row, largest_magnitude, power_of_two

ROWS_PER_DISTANCE = 4096

# The dimension of the spread is estimated from the pairs of so many rows.
DIMENSION_ROWS = 1000

# What rounding leaves of the difference between a row and a mean, both up to 2.
RESIDUAL_ROUNDING = 16 * np.finfo(np.float64).eps

# The gap between two rows, in units of the largest entry, that bandwidths can still be
# made of, and the one that rounding leaves of ‖x‖² + ‖y‖² − 2 x·y.
LEAST_GAP, LEAST_SPARSE_GAP = 1e-130, np.sqrt(np.finfo(np.float64).eps)


class Spread(NamedTuple):
    """How far rows are from the means of their clusters."""

    distance: (
        float  # root mean square ‖x − m‖, √tr W of the within-cluster covariance W
    )
    dimension: float  # (tr W)² / tr W², from 1 to the number of features

    def per_dimension(self):
        """Standard deviation in each of the dimensions that the spread fills."""
        return self.distance / np.sqrt(self.dimension)


def within_spread(rows, weight, centers):
    """The spread of the rows, in units of their largest entry, about cluster means.

    Where every row is a mean itself, its standard deviation is half the distance of the
    two nearest rows, of a thousand if there are more; where all rows are one there is
    no scale to find, and it is 1 in each dimension.
    """
    if sparse.issparse(rows):
        return _within_spread(rows, weight, centers)
    # features that are the same for all may be as large as they like
    center = central_row(rows)
    rows, centers = rows - center, centers - center
    unit = power_of_two(largest_magnitude(rows))
    spread = _within_spread(rows / unit, weight, centers / unit)
    return spread._replace(distance=spread.distance * unit)


def _within_spread(rows, weight, centers):
    n_features, k = rows.shape[1], len(centers)
    centers = centers.astype(rows.dtype, copy=False)
    labels = _nearest(rows, centers)
    share = weight / weight.sum()
    means = cluster_means(rows, share, labels, k)
    rng = np.random.RandomState(0)
    chosen = np.sort(rng.permutation(len(labels))[:DIMENSION_ROWS])
    variance = 0.0
    for batch in gen_batches(rows.shape[0], ROWS_PER_DISTANCE):
        squares = _residual_squares(rows[batch], means, labels[batch])
        variance += float(share[batch] @ squares)
    if variance <= n_features * RESIDUAL_ROUNDING**2:
        return Spread(_half_gap(rows[chosen]), float(n_features))
    products = _residual_products(rows[chosen], means, labels[chosen])
    dimension = _dimension(products, share[chosen])
    return Spread(np.sqrt(variance), float(np.clip(dimension, 1, n_features)))


class ClusterSums(NamedTuple):
    """What the rows of each cluster sum up to."""

    rows: np.ndarray  # Σ w x, (n_clusters, n_features), float64
    weight: np.ndarray  # Σ w

    def means(self):
        """Their means, 0 where there are none."""
        return self.rows / np.maximum(self.weight, TINY)[:, None]


def cluster_sums(rows, weight, labels, n_clusters):
    """Weighted sums of the rows of each cluster, dense.

    In batches: a product takes all of its rows in double precision.
    """
    sums = np.zeros((n_clusters, rows.shape[1]))
    for batch in gen_batches(rows.shape[0], ROWS_PER_DISTANCE):
        some = labels[batch]
        where = some, np.arange(len(some))
        members = sparse.csr_matrix((weight[batch], where), (n_clusters, len(some)))
        part = members @ rows[batch]
        sums += part.toarray() if sparse.issparse(part) else part
    return ClusterSums(sums, np.bincount(labels, weights=weight, minlength=n_clusters))


def cluster_means(rows, weight, labels, n_clusters):
    """Weighted means of the rows of each cluster, 0 where there are none; dense."""
    return cluster_sums(rows, weight, labels, n_clusters).means()


def _nearest(rows, centers):
    """The nearest centroid of each row, where dense rows may be far from zero."""
    if sparse.issparse(rows):
        return pairwise_distances_argmin_min(rows, centers)[0]
    # of products of rows so far out nothing would be left but rounding
    origin = centers.mean(axis=0)
    return pairwise_distances_argmin_min(rows - origin, centers - origin)[0]


def squared_lengths(rows):
    """‖x‖² of sparse rows, whose squares in single precision would be too coarse."""
    rows = rows.astype(np.float64)
    return np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)


def _residual_squares(rows, means, labels):
    """‖x_i − m_i‖², m_i the mean of its cluster."""
    if sparse.issparse(rows):
        lengths = np.einsum("ij,ij->i", means, means)[labels]
        along = (rows.astype(np.float64) @ means.T)[np.arange(len(labels)), labels]
        squares = squared_lengths(rows) + lengths - 2 * along
        # where a row is its own mean, what is left is the rounding of these sums
        n_added = len(means) + np.diff(rows.indptr)
        floor = lengths * n_added * np.finfo(np.float64).eps
        return np.where(squares > floor, squares, 0)
    residual = rows - means[labels]
    return np.einsum("ij,ij->i", residual, residual)


def _residual_products(rows, means, labels):
    """(x_i − m_i)·(x_l − m_l) of all pairs of rows."""
    if sparse.issparse(rows):
        rows = rows.astype(np.float64)
        products = (rows @ rows.T).toarray()
        across = (rows @ means.T)[:, labels]
        return products - across - across.T + (means @ means.T)[np.ix_(labels, labels)]
    residual = rows - means[labels]
    return residual @ residual.T


def _dimension(products, share):
    """(tr W)² / tr W² from the products of residuals; pairs of one row are left out.

    E[(r·r')²] = tr W² for independent residuals r and r' of covariance W; a row's pair
    with itself would add (r·r)², of which few rows would make far too much.
    """
    pairs = np.outer(share, share)
    np.fill_diagonal(pairs, 0)
    trace = share @ np.diagonal(products) / share.sum()
    of_square = np.sum(pairs * np.square(products)) / max(pairs.sum(), TINY)
    return trace**2 / of_square if of_square > 0 else np.inf


def _half_gap(rows):
    if rows.shape[0] == 1:
        return np.sqrt(rows.shape[1])
    dense = rows.toarray() if sparse.issparse(rows) else rows
    gaps = [nearest[1].min() for _, nearest in nearest_distances(rows, dense, 2)]
    least = LEAST_SPARSE_GAP if sparse.issparse(rows) else LEAST_GAP
    return max(float(min(gaps)), least) / 2


def nearest_distances(X, centers, n_nearest, unit=1.0):
    """Distances of X/unit to the nearest centroids in batches of rows, float64."""
    measure = euclidean_distances if sparse.issparse(X) else cdist
    for batch in gen_batches(X.shape[0], ROWS_PER_DISTANCE):
        distances = measure(X[batch] / np.float64(unit), centers)
        distances.partition(n_nearest - 1, axis=1)
        yield batch, distances[:, :n_nearest].T


def simplified_silhouette(X, centers, weight):
    """Weighted mean of (b − a)/max(a, b), a and b the two smallest centroid distances.

    0 where both vanish, and for a single centroid.
    """
    if len(centers) == 1:
        return 0.0
    # in this unit squares neither overflow nor vanish
    unit = np.float64(power_of_two(max(map(largest_magnitude, (X, centers)))))
    values = np.empty(X.shape[0])
    for batch, (a, b) in nearest_distances(X, centers / unit, 2, unit):
        values[batch] = np.divide(b - a, b, out=np.zeros_like(b), where=b > 0)
    return float(np.average(values, weights=weight))
