"""Where the centroids start: scikit-learn's k-means, run from several seeds."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from skdec._rows import merge_rows
from skdec._validation import check_matrix, largest_magnitude, power_of_two

ROWS_PER_BATCH = 4096

# Data of more numbers than this are not copied to be merged.
MERGED_ENTRIES = 2**20

# Of which the starts are found, however wide the data.
LEAST_ROWS_PER_CLUSTER = 50

# On fewer, k-means runs get in each other's way more than they gain side by side.
WORTH_A_THREAD = 2**18


def check_init(init, n_clusters, n_features):
    """An array of starting centroids as float64, checked; names and callables pass."""
    if isinstance(init, str) or callable(init):
        return init
    centers = check_matrix(init, "init").astype(np.float64)
    if centers.shape != (n_clusters, n_features):
        raise ValueError(
            f"init must have shape ({n_clusters}, {n_features}), a row for each "
            f"cluster and a column for each feature clustered; got {centers.shape}"
        )
    return centers


@dataclass
class Beginning:
    """What the iterations start from."""

    rows: object  # {ndarray, CSR matrix}: distinct and in order of value, or X itself
    weight: np.ndarray  # of the rows, float64
    centers: list  # the starts, float64, in the units of X
    spread: float  # within-cluster standard deviation per dimension of the best


def begin(X, weight, init, n_clusters, seeds, threads):
    """Find rows to iterate over, centroids to start from and their spread.

    Data of at most 2^20 stored numbers are merged to distinct rows, in order of value:
    so integer weights are the same thing as repeated rows, and the order of the rows
    is of no consequence.  Larger data are used as they are, without a copy, and the
    starts are found in a random sample of that size.

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
    stored = X.nnz if sparse.issparse(X) else X.size
    if stored <= MERGED_ENTRIES:
        rows, weight = sample, sample_weight = merge_rows(X, weight)
    else:
        rows, weight = X, np.ones(X.shape[0]) if weight is None else weight
        n_rows = MERGED_ENTRIES * X.shape[0] // stored
        n_rows = max(LEAST_ROWS_PER_CLUSTER * n_clusters, n_rows)
        drawn = np.flatnonzero(weight > 0)
        rng = np.random.RandomState(seeds[0])
        drawn = rng.permutation(drawn)[:n_rows]
        sample, sample_weight = merge_rows(X[drawn], weight[drawn])
    # a power of two, so exact: keeps squares in range for data at 1e-30 or 1e30
    unit = power_of_two(largest_magnitude(sample))
    sample = (sample / sample.dtype.type(unit)).astype(X.dtype, copy=False)
    found = _starts((sample, sample_weight, unit), init, n_clusters, seeds, threads)
    spread = _spread(sample, sample_weight, min(inertia for _, inertia in found))
    centers = [center.astype(np.float64) * unit for center, _ in found]
    return Beginning(rows, weight, centers, spread * unit)


def _starts(data, init, n_clusters, seeds, threads):
    """Starting centroids and their inertia in units of the data, a pair per start."""
    # here, because importing sklearn.cluster takes as long as all of skdec
    from sklearn.cluster import KMeans

    rows, weight, unit = data
    if isinstance(init, np.ndarray):
        centers = init / unit
        return [(centers, _inertia(rows, weight, centers))]
    if rows.shape[0] <= n_clusters:
        if rows.shape[0] < n_clusters:
            warnings.warn(
                f"n_clusters ({n_clusters}) exceeds the number of distinct rows with "
                f"positive weight ({rows.shape[0]}): some centroids coincide",
                ConvergenceWarning,
                stacklevel=7,
            )
        dense = rows.toarray() if sparse.issparse(rows) else rows
        return [(np.resize(dense, (n_clusters, rows.shape[1])), 0.0)]
    runs = []
    for seed in seeds:
        first = init
        if callable(init):
            random_state = np.random.RandomState(seed)
            first = init(rows * unit, n_clusters, random_state=random_state)
            first = check_init(np.asarray(first), n_clusters, rows.shape[1]) / unit
        runs.append(KMeans(n_clusters, init=first, n_init=1, random_state=seed))

    def run(kmeans):
        kmeans.fit(rows, sample_weight=weight)
        return kmeans.cluster_centers_, float(kmeans.inertia_)

    return threads.map(run, runs, rows.shape[0] * rows.shape[1] > WORTH_A_THREAD)


def _spread(rows, weight, inertia):
    """Within-cluster standard deviation per dimension.

    Where every row is a centroid, half that of the whole; where it vanishes too there
    is no scale to find, and it is 1.
    """
    total = weight.sum(dtype=np.float64) * rows.shape[1]
    if inertia <= 0:
        mean = np.asarray(weight @ rows).reshape(1, -1) / weight.sum()
        inertia = _inertia(rows, weight, mean) / 4
    return np.sqrt(inertia / total) if inertia > 0 else 1.0


def _inertia(rows, weight, centers):
    return sum(
        float(weight[batch] @ np.square(nearest[0]))
        for batch, nearest in nearest_distances(rows, centers, 1)
    )


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
