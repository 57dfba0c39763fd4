"""Where the centroids start: scikit-learn's k-means, run from several seeds."""

import warnings

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state, gen_batches

N_INIT = 10
ROWS_PER_BATCH = 65_536


def check_init(init, n_clusters, n_features):
    """An array of starting centroids as float64, checked; names and callables pass."""
    if isinstance(init, str) or callable(init):
        return init
    centers = check_array(init, dtype=np.float64, input_name="init")
    if centers.shape != (n_clusters, n_features):
        raise ValueError(
            f"init must have shape ({n_clusters}, {n_features}), that is (n_clusters, "
            f"n_features); got {centers.shape}"
        )
    return centers


def starts(rows, weight, unit, estimator, threads):
    """Starting centroids and their inertia, one pair per start.

    Parameters
    ----------
    rows : ndarray of shape (n_distinct, n_features)
        Distinct rows in order of value, in units of ``unit``.
    weight : ndarray of shape (n_distinct,)
        Their weights.
    unit : float
        What user-given centroids are to be divided by.
    estimator : StudentTClustering
        Says how many clusters, starts and which kind.
    threads : Threads
        Runs the k-means side by side, each on one thread.
    """
    n_clusters = estimator.n_clusters
    init = check_init(estimator.init, n_clusters, rows.shape[1])
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
    random_state = check_random_state(estimator.random_state)
    n_init = N_INIT if estimator.n_init == "auto" else estimator.n_init
    runs = []
    for seed in random_state.randint(np.iinfo(np.int32).max, size=n_init):
        seeds = init
        if callable(init):
            seeds = init(rows * unit, n_clusters, random_state=seed)
            seeds = check_init(np.asarray(seeds), n_clusters, rows.shape[1]) / unit
        runs.append(KMeans(n_clusters, init=seeds, n_init=1, random_state=seed))

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
    unit = max(float(np.abs(X).max()), np.finfo(X.dtype).tiny)
    values = np.empty(len(X))
    for batch in gen_batches(len(X), ROWS_PER_BATCH):
        # float64 and in units of the data: squares neither overflow nor vanish
        distances = cdist(X[batch] / np.float64(unit), centers / np.float64(unit))
        distances.partition(1, axis=1)
        a, b = distances[:, 0], distances[:, 1]
        values[batch] = np.divide(b - a, b, out=np.zeros_like(b), where=b > 0)
    return float(np.average(values, weights=weight))
