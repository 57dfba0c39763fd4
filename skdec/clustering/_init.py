"""What ``init`` may be, and the centroids that a user's own start gives."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skdec.clustering._spread import cluster_means
from skdec.utils.numbers import largest_magnitude, power_of_two
from skdec.utils.validation import check_matrix

MAX_SEED = np.iinfo(np.int32).max

# Centroids that are given are cut off here, in units of the largest entry of X.
FARTHEST_INIT = 1e6


class Sample(NamedTuple):
    """Rows in which starts are found, in a unit that keeps squares in range."""

    rows: object  # {ndarray, CSR matrix}
    weight: np.ndarray
    unit: float  # a power of two, by which division is exact

    @classmethod
    def of(cls, X, weight):
        """A sample of rows X, which keep their dtype."""
        unit = power_of_two(largest_magnitude(X))
        rows = (X / X.dtype.type(unit)).astype(X.dtype, copy=False)
        return cls(rows, weight, unit)

    def to_internal(self, points):
        """Points from the units of X to those of the sample."""
        return points / self.unit

    def to_original(self, points):
        """Points, or lengths, from the unit of the sample to those of X."""
        return points * self.unit


def gives_clusters(init):
    """Whether ``init`` is an estimator whose clusters are the start.

    To scikit-learn's ``is_clusterer`` a Gaussian mixture is none.
    """
    return hasattr(init, "fit_predict") and not isinstance(init, type)


def is_single(init):
    """Whether ``init`` is one start, however many are asked for."""
    return isinstance(init, np.ndarray) or gives_clusters(init)


def check_init(init, n_clusters, n_features=None):
    """An array of starting centroids as float64, checked; all else passes."""
    if isinstance(init, str) or callable(init) or gives_clusters(init):
        return init
    return check_array_init(init, n_clusters, n_features)


def check_array_init(init, n_clusters, n_features=None):
    """Starting centroids as float64; of any number of columns if that is not known."""
    centers = check_matrix(init, "init").astype(np.float64)
    if n_features is None:
        n_features = centers.shape[1]
    if centers.shape != (n_clusters, n_features):
        raise ValueError(
            f"init must have shape ({n_clusters}, {n_features}), a row for each "
            f"cluster and a column for each feature clustered; got {centers.shape}"
        )
    return centers


def given(init, sample):
    """Centroids of an array, in the unit of the sample."""
    # no row is near a centroid so far out, so that it is placed among the rows
    return np.clip(sample.to_internal(init), -FARTHEST_INIT, FARTHEST_INIT)


def called(init, sample, n_clusters, seed):
    """Centroids, in the unit of the sample, that a callable gives for rows of X."""
    rows = sample.to_original(sample.rows)
    first = init(rows, n_clusters, random_state=np.random.RandomState(seed))
    return sample.to_internal(check_array_init(first, n_clusters, rows.shape[1]))


def clustered(init, sample, n_clusters, seed):
    """The means, in the unit of the sample, of the clusters that an estimator finds."""
    clusterer, rng = clone(init), np.random.RandomState(seed)
    unset = [
        name
        for name, value in sorted(clusterer.get_params().items())
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    clusterer.set_params(**{name: rng.randint(MAX_SEED) for name in unset})
    rows = sample.to_original(sample.rows)
    labels = np.asarray(clusterer.fit_predict(rows))
    if labels.shape != (rows.shape[0],) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"init must label {rows.shape[0]} rows by integers; its fit_predict gave "
            f"{labels.dtype} of shape {labels.shape}"
        )
    # as scikit-learn's clusterers mark noise by −1
    known = np.flatnonzero(labels >= 0)
    names, labels = np.unique(labels[known], return_inverse=True)
    if len(names) != n_clusters:
        raise ValueError(
            f"init must find n_clusters={n_clusters} clusters; it found {len(names)} "
            f"in {rows.shape[0]} rows"
        )
    rows, weight = sample.rows, sample.weight
    if len(known) < rows.shape[0]:
        rows, weight = rows[known], weight[known]
    return cluster_means(rows, weight, labels, n_clusters)
