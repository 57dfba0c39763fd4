"""Where the centroids start: scikit-learn's k-means, run from several seeds.

Or what the user gives instead (``_init``).
"""

from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.random import sample_without_replacement

from skdec.clustering._init import (
    Sample,
    are_labels,
    called,
    clustered,
    given,
    labelled,
    of_clusters,
)
from skdec.clustering._precision import check_precision
from skdec.clustering._spread import (
    Spread,
    cluster_means,
    squared_lengths,
    within_spread,
)
from skdec.utils.blocks import Blocks
from skdec.utils.components import about_mean, weighted_mean
from skdec.utils.duplicates import merge_rows
from skdec.utils.validation import with_short_indices
from skdec.utils.warn import warn
from skdec.utils.weights import Weights

# Size of the sample in which starts are found: so many numbers; if rows are wide, so
# many rows (in a few hundred rows of 2,000 features k-means finds no clusters) of at
# most the third number of numbers; and in any case so many rows a cluster.  Data that
# are no larger are merged whole.
MERGED_ENTRIES, MERGED_ROWS, WIDEST_ENTRIES = 2**20, 5000, 2**24
LEAST_ROWS_PER_CLUSTER = 50

# Every other run of k-means begins with so many principal components a cluster, where
# there are so many times as many.
COMPONENTS_PER_CLUSTER, SPARE_COMPONENTS = 2, 2

# Relative error of their variances: the runs go on among all features.
COMPONENTS_ERROR = 1e-3

# On fewer numbers, k-means runs side by side lose more time than they gain.
WORTH_A_THREAD = 2**16


class KMeansEnd(NamedTuple):
    """Where a k-means run ended."""

    inertia: float
    centers: np.ndarray


@dataclass(frozen=True)
class Starts:
    """What the iterations start from."""

    rows: object  # {ndarray, CSR matrix}: distinct and ordered by value, or X itself
    weights: Weights  # of the rows
    sample: object  # the rows in which the starts were found, in the units of X
    sample_weights: Weights
    centers: list  # the starts, float64, in the units of X, by increasing inertia
    spread: Spread  # of the first, in the units of X
    n_rows: float  # effective number of the sample's rows, (Σ w)² / Σ w²
    too_few: bool  # fewer distinct rows than clusters
    own_clusters: bool  # of the user's own, which are the start as they are


def find_starts(X, weights, init, n_clusters, seeds, threads):
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
    weights : Weights
        Their weights, not all zero.
    init : str, callable, estimator or ndarray of shape (n_clusters, n_features) or \
            (n_samples,)
        As given to the estimator; checked.
    n_clusters : int
        Number of centroids.
    seeds : ndarray of int
        One per start.
    threads : Threads
        Runs the k-means side by side, each on one thread.

    Notes
    -----
    Of wide rows every other start is found among their principal components first.
    """
    # scikit-learn's k-means takes indices of 32 bits only
    X = with_short_indices(X) if sparse.issparse(X) else X
    own_clusters = of_clusters(init)
    if are_labels(init):  # of rows that may be merged below
        init = labelled(init, X, weights, n_clusters)
    # rows of weight 0 count for nothing, so that there may be any number of them
    used = np.flatnonzero(weights.filled(X.shape[0]) > 0)
    most = _sample_size(X, used, n_clusters)
    if len(used) <= most:
        rows, weight = sample, sample_weight = merge_rows(X[used], weights.of(used))
        weights = weights._replace(values=weight)
    else:
        rng = np.random.RandomState(seeds[0])
        drawn = used[sample_without_replacement(len(used), most, random_state=rng)]
        rows, (sample, sample_weight) = X, merge_rows(X[drawn], weights.of(drawn))
    scaled = Sample.of(sample, sample_weight)
    if sparse.issparse(sample) and sample.shape[0] > 1:
        _check_sparse(scaled.rows, sample_weight)
    if isinstance(init, np.ndarray):
        found = [given(init, scaled)]
    elif sample.shape[0] <= n_clusters:
        dense = scaled.rows.toarray() if sparse.issparse(sample) else scaled.rows
        found = [np.resize(dense, (n_clusters, sample.shape[1]))]
    elif own_clusters:
        found = [clustered(init, scaled, n_clusters, seeds[0])]
    else:
        found = _k_means(scaled, init, n_clusters, seeds, threads)
    spread = within_spread(scaled.rows, sample_weight, found[0])
    for i, centers in enumerate(found):
        # of wide rows all starts are large, and are not held twice
        found[i] = scaled.to_original(centers.astype(np.float64))
    too_few = sample.shape[0] < n_clusters
    if too_few:
        of_sample = "" if rows is sample else " in a sample of X"
        warn(
            f"n_clusters ({n_clusters}) exceeds the number of distinct rows with "
            f"positive weight ({sample.shape[0]}){of_sample}: some centroids coincide",
            ConvergenceWarning,
        )
    return Starts(
        rows=rows,
        weights=weights,
        sample=sample,
        sample_weights=weights._replace(values=sample_weight),
        centers=found,
        spread=spread._replace(distance=scaled.to_original(spread.distance)),
        n_rows=float(sample_weight.sum() ** 2 / np.square(sample_weight).sum()),
        too_few=too_few,
        own_clusters=own_clusters,
    )


def _check_sparse(rows, weight):
    """Raise where D = ‖x‖² + ‖μ‖² − 2 x·μ of sparse rows is lost in rounding."""
    length = np.average(squared_lengths(rows), weights=weight)
    mean = np.asarray(rows.T @ weight).reshape(-1) / weight.sum()
    spread = max(length - mean @ mean, 0.0)
    check_precision(length, spread)


def _sample_size(X, used, n_clusters):
    """Rows that are merged and in which starts are found, at most."""
    n_rows = len(used)
    if isinstance(X, Blocks):
        stored = X.n_stored_in(used)
    elif sparse.issparse(X):
        stored = int(np.diff(X.indptr)[used].sum())
    else:
        stored = n_rows * X.shape[1]
    stored = max(1, stored)
    widest = min(MERGED_ROWS, WIDEST_ENTRIES * n_rows // stored)
    narrow = MERGED_ENTRIES * n_rows // stored
    return max(narrow, widest, LEAST_ROWS_PER_CLUSTER * n_clusters)


def _k_means(sample, init, n_clusters, seeds, threads):
    """Starting centroids of the seeds in the unit inside, by increasing inertia."""
    # imported here, because that takes as long as importing all of skdec
    from sklearn.cluster import KMeans

    if sparse.issparse(sample.rows):
        # scikit-learn's ‖x‖² + ‖μ‖² − 2 x·μ are in the precision of the rows
        sample = sample._replace(rows=sample.rows.astype(np.float64))
    inits, spaces = [init] * len(seeds), [None]
    if callable(init):
        inits = [called(init, sample, n_clusters, seed) for seed in seeds]
    elif len(seeds) > 1:
        spaces.append(_components(sample, n_clusters, seeds[0]))

    def run(start):
        number, seed, init = start
        narrow = spaces[number % len(spaces)]
        if narrow is not None:
            coarse = KMeans(n_clusters, init=init, n_init=1, random_state=seed)
            labels = coarse.fit_predict(narrow, sample_weight=sample.weight)
            init = cluster_means(sample.rows, sample.weight, labels, n_clusters)
        kmeans = KMeans(n_clusters, init=init, n_init=1, random_state=seed)
        kmeans.fit(sample.rows, sample_weight=sample.weight)
        # and not what it began with, of wide rows as large
        return KMeansEnd(kmeans.inertia_, kmeans.cluster_centers_)

    side_by_side = np.prod(sample.rows.shape) > WORTH_A_THREAD
    fitted = threads.map(run, list(zip(count(), seeds, inits)), side_by_side)
    order = np.argsort([ended.inertia for ended in fitted], kind="stable")
    return [fitted[i].centers for i in order]


def _components(sample, n_clusters, seed):
    """Rows of the sample along their leading principal components, None if too few.

    In many dimensions the nearest of the random rows that k-means starts from is hardly
    nearer than the others.  Most of what divides the rows into k clusters lies in the
    first k − 1 components (Ding & He 2004, theorem 3.1).
    """
    n_components = COMPONENTS_PER_CLUSTER * n_clusters
    if SPARE_COMPONENTS * n_components > min(sample.rows.shape):
        return None
    from scipy.sparse.linalg import svds  # importing it takes time

    rows, weight = sample.rows.astype(np.float64), sample.weight
    if not sparse.issparse(rows):
        rows -= weighted_mean(rows, weight)
    first = np.random.RandomState(seed).uniform(-1, 1, min(rows.shape))
    _, _, axes = svds(
        about_mean(rows, weight), n_components, v0=first, tol=COMPONENTS_ERROR
    )
    return rows @ axes.T - weighted_mean(rows, weight) @ axes.T
