"""Where the centroids start: scikit-learn's k-means, run from several seeds."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skdec.clustering._spread import Spread, within_spread
from skdec.utils.duplicates import merge_rows
from skdec.utils.numbers import TINY, largest_magnitude, power_of_two
from skdec.utils.validation import check_matrix, with_short_indices
from skdec.utils.warn import warn

# Starts are found in a sample of so many numbers, or of these rows if rows are wide (in
# a few hundred rows of 2,000 features k-means finds no clusters), but not more numbers
# than the last; and of so many rows a cluster.  Data up to that size are merged whole.
MERGED_ENTRIES, MERGED_ROWS, WIDEST_ENTRIES = 2**20, 5000, 2**24
LEAST_ROWS_PER_CLUSTER = 50

# On fewer, k-means runs get in each other's way more than they gain side by side.
WORTH_A_THREAD = 2**16

# Of a given start, in units of the largest entry of X.
FARTHEST = 1e6

# Largest error of the squared distances of sparse rows, as a share of their mean.
SPARSE_ERROR = 1e-6


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
