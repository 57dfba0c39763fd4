"""Where the centroids start: scikit-learn's k-means, run from several seeds."""

import warnings

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from skdec._validation import check_matrix, power_of_two

ROWS_PER_BATCH = 65_536


def check_init(init, n_clusters, n_features):
    """An array of starting centroids as float64, checked; names and callables pass."""
    if isinstance(init, str) or callable(init):
        return init
    centers = check_matrix(init, "init").astype(np.float64)
    if centers.shape != (n_clusters, n_features):
        raise ValueError(
            f"init must have shape ({n_clusters}, {n_features}), that is (n_clusters, "
            f"n_features); got {centers.shape}"
        )
    return centers


def starts(data, init, n_clusters, seeds, threads):
    """Starting centroids and their inertia, one pair per start.

    Parameters
    ----------
    data : tuple of (rows, weight, unit)
        Distinct rows in order of value, in units of ``unit``, and their weights.
    init : str, callable or ndarray of shape (n_clusters, n_features)
        As given to the estimator, in the units of the data; checked.
    n_clusters : int
        Number of centroids.
    seeds : ndarray of int
        One per start.
    threads : Threads
        Runs the k-means side by side, each on one thread.
    """
    # here, because importing sklearn.cluster takes as long as all of skdec
    from sklearn.cluster import KMeans

    rows, weight, unit = data
    if isinstance(init, np.ndarray):
        centers = init / unit
        return [(centers, _inertia(rows, weight, centers))]
    if len(rows) <= n_clusters:
        if len(rows) < n_clusters:
            warnings.warn(
                f"n_clusters ({n_clusters}) exceeds the number of distinct rows with "
                f"positive weight ({len(rows)}): some centroids coincide",
                ConvergenceWarning,
                stacklevel=4,
            )
        return [(np.resize(rows, (n_clusters, rows.shape[1])), 0.0)]
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

    return threads.map(run, runs)


def automatic_bandwidth(rows, weight, inertia):
    """Half the within-cluster standard deviation per dimension.

    Where every row is a centroid, half the standard deviation of the whole; where
    that vanishes too there is no scale to find, and it is 1.
    """
    total = weight.sum(dtype=np.float64) * rows.shape[1]
    if inertia <= 0:
        mean = np.average(rows, axis=0, weights=weight)
        inertia = _inertia(rows, weight, mean[None, :])
    return 0.5 * np.sqrt(inertia / total) if inertia > 0 else 1.0


def _inertia(rows, weight, centers):
    batches = gen_batches(len(rows), ROWS_PER_BATCH)
    return sum(
        float(weight[b] @ cdist(rows[b], centers, "sqeuclidean").min(axis=1))
        for b in batches
    )


def simplified_silhouette(X, centers, weight):
    """Weighted mean of (b − a)/max(a, b), a and b the two smallest centroid distances.

    0 where both vanish, and for a single centroid.
    """
    if len(centers) == 1:
        return 0.0
    unit = power_of_two(float(max(np.abs(X).max(), np.abs(centers).max())))
    values = np.empty(len(X))
    for batch in gen_batches(len(X), ROWS_PER_BATCH):
        # float64 and in units of the data: squares neither overflow nor vanish
        distances = cdist(X[batch] / np.float64(unit), centers / np.float64(unit))
        distances.partition(1, axis=1)
        a, b = distances[:, 0], distances[:, 1]
        values[batch] = np.divide(b - a, b, out=np.zeros_like(b), where=b > 0)
    return float(np.average(values, weights=weight))
