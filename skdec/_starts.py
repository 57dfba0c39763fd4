"""Where the centroids start: scikit-learn's k-means, run from several seeds."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from skdec._rows import merge_rows
from skdec._validation import (
    check_matrix,
    largest_magnitude,
    power_of_two,
    with_short_indices,
)
from skdec._warn import warn

ROWS_PER_BATCH = 4096

# Starts are found in a sample of so many numbers, or of these rows if rows are wide (in
# a few hundred rows of 2,000 features k-means finds no clusters), but not more numbers
# than the last; and of so many rows a cluster.  Data up to that size are merged whole.
MERGED_ENTRIES, MERGED_ROWS, WIDEST_ENTRIES = 2**20, 5000, 2**24
LEAST_ROWS_PER_CLUSTER = 50

# On fewer, k-means runs get in each other's way more than they gain side by side.
WORTH_A_THREAD = 2**16

# Of a given start, in units of the largest entry of X.
FARTHEST = 1e6

# Rows by whose pairs the dimension of the spread is estimated.
DIMENSION_ROWS = 1000

# Largest error of the squared distances of sparse rows, as a share of their mean.
SPARSE_ERROR = 1e-6

# What rounding leaves of the difference between a row and a mean, both up to 2.
ROUNDING = 16 * np.finfo(np.float64).eps
TINY = np.finfo(np.float64).tiny


def check_init(init, n_clusters, n_features):
    """An array of starting centroids as float64, checked; names and callables pass."""
    if isinstance(init, str) or callable(init):
        return init
    return check_array_init(init, n_clusters, n_features)


def check_array_init(init, n_clusters, n_features):
    """Starting centroids as float64."""
    centers = check_matrix(init, "init").astype(np.float64)
    if centers.shape != (n_clusters, n_features):
        raise ValueError(
            f"init must have shape ({n_clusters}, {n_features}), a row for each "
            f"cluster and a column for each feature clustered; got {centers.shape}"
        )
    return centers


class Spread(NamedTuple):
    """How far rows are from the means of their clusters."""

    distance: (
        float  # root mean square ‖x − m‖, √tr W of the within-cluster covariance W
    )
    dimension: float  # (tr W)² / tr W², from 1 to the number of features

    def per_dimension(self):
        """Standard deviation in each of the dimensions that the spread fills."""
        return self.distance / np.sqrt(self.dimension)


@dataclass(frozen=True)
class Beginning:
    """What the iterations start from."""

    rows: object  # {ndarray, CSR matrix}: distinct and ordered by value, or X itself
    weight: np.ndarray  # of the rows, float64
    sample: object  # the rows in which the starts were found, in the units of X
    sample_weight: np.ndarray
    centers: list  # the starts, float64, in the units of X, by increasing inertia
    spread: Spread  # of the first, in the units of X
    n_rows: float  # effective number of the sample's rows, (Σ w)² / Σ w²
    too_few: bool  # fewer distinct rows than clusters


def begin(X, weight, init, n_clusters, seeds, threads):
    """Find rows to iterate over, centroids to start from and their spread.

    Data of at most 2^20 stored numbers, or 5,000 rows of at most 2^24, are merged to
    distinct rows, in an order that depends on their values alone: so integer weights
    are the same thing as repeated rows, and neither the order of the rows nor whether
    they are stored dense or sparse is of consequence.  Larger data are used as they
    are, without a copy, and the starts are found in a random sample of that size.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, validated.
    weight : ndarray of shape (n_samples,) or None
        Their weights, not all zero.
    init : str, callable or ndarray of shape (n_clusters, n_features)
        As given to the estimator; checked.
    n_clusters : int
        Number of centroids.
    seeds : ndarray of int
        One per start.
    threads : Threads
        Runs the k-means side by side, each on one thread.
    """
    # scikit-learn's k-means takes no others
    X = with_short_indices(X) if sparse.issparse(X) else X
    most = _sample_size(X, n_clusters)
    if X.shape[0] <= most:
        rows, weight = sample, sample_weight = merge_rows(X, weight)
    else:
        rows, weight = X, np.ones(X.shape[0]) if weight is None else weight
        drawn = np.flatnonzero(weight > 0)
        rng = np.random.RandomState(seeds[0])
        drawn = rng.permutation(drawn)[:most]
        sample, sample_weight = merge_rows(X[drawn], weight[drawn])
    # a power of two, so exact: keeps squares in range for data at 1e-30 or 1e30
    unit = power_of_two(largest_magnitude(sample))
    scaled = (sample / sample.dtype.type(unit)).astype(X.dtype, copy=False)
    if sparse.issparse(X) and sample.shape[0] > 1:
        _check_precision(scaled, sample_weight)
    if isinstance(init, np.ndarray):
        # so far out no row is near: finite, it is put back among the rows
        found = [np.clip(init / unit, -FARTHEST, FARTHEST)]
    elif scaled.shape[0] <= n_clusters:
        dense = scaled.toarray() if sparse.issparse(scaled) else scaled
        found = [np.resize(dense, (n_clusters, scaled.shape[1]))]
    else:
        found = _starts(scaled, sample_weight, unit, init, n_clusters, seeds, threads)
    spread = within_spread(scaled, sample_weight, found[0])
    too_few = sample.shape[0] < n_clusters
    if too_few:
        warn(
            f"n_clusters ({n_clusters}) exceeds the number of distinct rows with "
            f"positive weight ({sample.shape[0]}): some centroids coincide",
            ConvergenceWarning,
        )
    return Beginning(
        rows=rows,
        weight=weight,
        sample=sample,
        sample_weight=sample_weight,
        centers=[centers.astype(np.float64) * unit for centers in found],
        spread=Spread(spread.distance * unit, spread.dimension),
        n_rows=float(sample_weight.sum() ** 2 / np.square(sample_weight).sum()),
        too_few=too_few,
    )


def _check_precision(rows, weight):
    """Raise where D = ‖x‖² + ‖μ‖² − 2 x·μ of sparse rows is lost in rounding."""
    squares = rows.multiply(rows).sum(axis=1, dtype=np.float64)
    length = np.average(np.asarray(squares).reshape(-1), weights=weight)
    mean = np.asarray(rows.T @ weight).reshape(-1) / weight.sum()
    spread = max(length - mean @ mean, 0.0)
    if np.finfo(np.float64).eps * length > SPARSE_ERROR * spread:
        raise ValueError(
            "X: sparse rows must not be much farther from zero than from each other; "
            f"got a root mean square length {np.sqrt(length / max(spread, TINY)):.3g} "
            "times the deviation from the mean, so that distances are lost in "
            "rounding.  Pass dense rows, or subtract an offset from columns without "
            "zeros"
        )


def _sample_size(X, n_clusters):
    """Rows that are merged and in which starts are found, at most."""
    stored = max(1, X.nnz if sparse.issparse(X) else X.size)
    widest = min(MERGED_ROWS, WIDEST_ENTRIES * X.shape[0] // stored)
    narrow = MERGED_ENTRIES * X.shape[0] // stored
    return max(narrow, widest, LEAST_ROWS_PER_CLUSTER * n_clusters)


def _starts(rows, weight, unit, init, n_clusters, seeds, threads):
    """Starting centroids of the seeds in units of the data, by increasing inertia."""
    # here, because importing sklearn.cluster takes as long as all of skdec
    from sklearn.cluster import KMeans

    runs = []
    for seed in seeds:
        first = init
        if callable(init):
            random_state = np.random.RandomState(seed)
            first = init(rows * unit, n_clusters, random_state=random_state)
            first = check_array_init(first, n_clusters, rows.shape[1]) / unit
        runs.append(KMeans(n_clusters, init=first, n_init=1, random_state=seed))

    def run(kmeans):
        return kmeans.fit(rows, sample_weight=weight)

    side_by_side = rows.shape[0] * rows.shape[1] > WORTH_A_THREAD
    fitted = threads.map(run, runs, side_by_side)
    order = np.argsort([kmeans.inertia_ for kmeans in fitted], kind="stable")
    return [fitted[i].cluster_centers_ for i in order]


def within_spread(rows, weight, centers):
    """The spread of the rows, in units of their largest entry, about cluster means.

    Where every row is a mean itself, its standard deviation is half the distance of the
    two nearest rows; where all rows are one there is no scale to find, and it is 1 in
    each dimension.
    """
    n_features, k = rows.shape[1], len(centers)
    centers = centers.astype(rows.dtype, copy=False)
    labels, _ = pairwise_distances_argmin_min(rows, centers)
    share = weight / weight.sum()
    where = labels, np.arange(len(labels))
    members = sparse.csr_matrix((share, where), (k, len(labels)))
    mass = np.asarray(members.sum(axis=1)).reshape(-1)
    sums = members @ rows
    sums = sums.toarray() if sparse.issparse(sums) else np.asarray(sums)
    means = sums / np.maximum(mass, TINY)[:, None]
    rng = np.random.RandomState(0)
    chosen = np.sort(rng.permutation(len(labels))[:DIMENSION_ROWS])
    variance = 0.0
    for batch in gen_batches(rows.shape[0], ROWS_PER_BATCH):
        squares = _residual_squares(rows[batch], means, labels[batch])
        variance += float(share[batch] @ squares)
    if variance <= n_features * ROUNDING**2:
        return Spread(_half_gap(rows), float(n_features))
    products = _residual_products(rows[chosen], means, labels[chosen])
    dimension = _dimension(products, share[chosen])
    return Spread(np.sqrt(variance), float(np.clip(dimension, 1, n_features)))


def _residual_squares(rows, means, labels):
    """‖x_i − m_i‖², m_i the mean of its cluster."""
    if sparse.issparse(rows):
        squares = np.asarray(rows.multiply(rows).sum(axis=1, dtype=np.float64))
        lengths = np.einsum("ij,ij->i", means, means)[labels]
        along = (rows @ means.T)[np.arange(len(labels)), labels]
        squares = squares.reshape(-1) + lengths - 2 * along
        # what is left where a row is its own mean is rounding
        floor = lengths * len(means) * np.finfo(np.float64).eps
        return np.where(squares > floor, squares, 0)
    residual = rows - means[labels]
    return np.einsum("ij,ij->i", residual, residual)


def _residual_products(rows, means, labels):
    """(x_i − m_i)·(x_l − m_l) of all pairs of rows."""
    if sparse.issparse(rows):
        products = (rows @ rows.T).toarray().astype(np.float64)
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
    return float(min(gaps)) / 2


def nearest_distances(X, centers, n_nearest, unit=1.0):
    """Distances of X/unit to the nearest centroids in batches of rows, float64."""
    measure = euclidean_distances if sparse.issparse(X) else cdist
    for batch in gen_batches(X.shape[0], ROWS_PER_BATCH):
        distances = measure(X[batch] / np.float64(unit), centers)
        distances.partition(n_nearest - 1, axis=1)
        yield batch, distances[:, :n_nearest].T


def simplified_silhouette(X, centers, weight):
    """Weighted mean of (b − a)/max(a, b), a and b the two smallest centroid distances.

    0 where both vanish, and for a single centroid.
    """
    if len(centers) == 1:
        return 0.0
    # in units of the data: squares neither overflow nor vanish
    largest = max(largest_magnitude(X), largest_magnitude(centers))
    unit = np.float64(power_of_two(largest))
    values = np.empty(X.shape[0])
    for batch, (a, b) in nearest_distances(X, centers / unit, 2, unit):
        values[batch] = np.divide(b - a, b, out=np.zeros_like(b), where=b > 0)
    return float(np.average(values, weights=weight))
