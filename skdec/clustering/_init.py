"""What ``init`` may be, and the centroids that a user's own start gives."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skdec.clustering._spread import ClusterSums, cluster_means, cluster_sums
from skdec.utils.blocks import Blocks
from skdec.utils.numbers import largest_magnitude, power_of_two
from skdec.utils.validation import check_matrix, check_unmasked, naming
from skdec.utils.weights import Weights

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


def is_clusterer(init):
    """Whether ``init`` is an estimator whose clusters are the start.

    To scikit-learn's ``is_clusterer`` a Gaussian mixture is none.
    """
    return hasattr(init, "fit_predict") and not isinstance(init, type)


def _finds_starts(init):
    """Whether ``init`` says how to find starts, and is none itself."""
    return isinstance(init, str) or callable(init) or is_clusterer(init)


def are_labels(init):
    """Whether ``init``, checked, is a label for each row."""
    return isinstance(init, np.ndarray) and init.ndim == 1


def of_clusters(init):
    """Whether ``init``, checked, is of clusters, whose means are the start."""
    return is_clusterer(init) or are_labels(init)


def called_when_single(init):
    """What warnings call ``init``, checked, if it is one start; else None."""
    if of_clusters(init):
        return "Labels" if are_labels(init) else "Estimator"
    return "Explicit initial center position" if isinstance(init, np.ndarray) else None


def check_init(init, n_clusters, weights, n_rows, n_features=None):
    """Starting centroids as float64, or labels as integers; all else passes.

    Labels come as numbers of clusters, and −1 for rows that have no say.
    """
    if _finds_starts(init):
        return init
    with naming("init"):
        dimensions = np.ndim(init)
    if dimensions == 1:
        return _check_label_init(init, n_clusters, weights.filled(n_rows))
    return check_array_init(init, n_clusters, n_features)


def _check_label_init(init, n_clusters, weight):
    check_unmasked(init, "init")
    return _numbered(np.asarray(init), weight, n_clusters, "it has")


def refuse_labels(init):
    """Raise where a start for rows that come in batches labels rows."""
    if not _finds_starts(init) and np.ndim(init) == 1:
        raise ValueError(
            "init must not be labels of rows in partial_fit, which fits the rows of "
            f"several batches together; got {len(init)} labels: begin with fit instead"
        )


def _numbered(labels, weight, n_clusters, got):
    """Labels as numbers of clusters in their order, −1 for rows of none."""
    if labels.shape != weight.shape or labels.dtype.kind not in "iu":
        raise ValueError(
            f"init must label {len(weight)} rows by integers; {got} {labels.dtype} of "
            f"shape {labels.shape}"
        )
    # as scikit-learn's clusterers mark noise by −1
    known = (labels >= 0) & (weight > 0)
    names, numbers = np.unique(labels[known], return_inverse=True)
    if len(names) != n_clusters:
        raise ValueError(
            f"init must have n_clusters={n_clusters} clusters; {got} {len(names)} in "
            f"{len(labels)} rows"
        )
    numbered = np.full(len(labels), -1)
    numbered[known] = numbers
    return numbered


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


def labelled(labels, X, weights, n_clusters):
    """The means of clusters, by the labels of all rows, in the units of these."""
    weight = np.where(labels >= 0, weights.filled(len(labels)), 0.0)
    labels = np.maximum(labels, 0)
    if not isinstance(X, Blocks):
        return cluster_means(X, weight, labels, n_clusters)
    own = X.split(weight), X.split(labels)
    parts = X.map(cluster_sums, *own, n_clusters, task="start")
    return ClusterSums(*map(sum, zip(*parts, strict=True))).means()


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
    labels = _numbered(labels, sample.weight, n_clusters, "its fit_predict gave")
    return labelled(labels, sample.rows, Weights(sample.weight), n_clusters)
