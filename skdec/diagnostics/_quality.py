"""How much of the data a map keeps, in memory that is linear in the rows."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.stats import spearmanr
from sklearn.utils import check_array, check_consistent_length, gen_batches

from skdec.diagnostics._rows import chosen_rows
from skdec.kernels.affinities import TIE
from skdec.tsne._checks import check_precomputed, check_sparse_metric, finite_for
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._exact_search import Found
from skdec.tsne._neighbors import nearest_in_matrix
from skdec.utils.threads import Threads
from skdec.utils.validation import (
    FLOATS,
    check_unmasked,
    with_merged_entries,
    with_short_indices,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import MatrixLike, RandomState

# Distances that a thread holds at a time.
DISTANCES_PER_TASK = 2_000_000

# Of held-out rows, by a scorer.
SCORED_NEIGHBORS = 5


class Spaces(NamedTuple):
    """The data and the map, as distances, and the rows that are looked at."""

    X: SquaredDistances
    embedding: SquaredDistances
    rows: np.ndarray


def neighbor_recall(
    X: MatrixLike,
    embedding: ArrayLike,
    *,
    n_neighbors: int = 5,
    metric: str | Callable[..., float] = "euclidean",
    sample_size: int | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = -1,
) -> float:
    """Share of the nearest neighbours in the data that are nearest in the map too.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
            (n_samples, n_samples)
        The data, or their distances with ``metric="precomputed"``.
    embedding : array-like of shape (n_samples, n_components)
        The map of the same rows.
    n_neighbors : int, default=5
        How many neighbours count, less than n_samples.
    metric : str or callable, default="euclidean"
        A metric of :func:`sklearn.metrics.pairwise_distances` for X.
    sample_size : int or None, default=None
        Look at the neighbours of that many rows, drawn at random, among all rows; None
        looks at all.
    random_state : int, RandomState instance or None, default=None
        Draws the rows.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.

    Returns
    -------
    recall : float
        From 0 to 1.  A map at random has about n_neighbors/(n_samples − 1).

    Raises
    ------
    ValueError
        If X and embedding have different numbers of rows, or a parameter is out of its
        range, or if distances are not square, symmetric and non-negative.
    TypeError
        If X is sparse, and the metric is "precomputed" or not one of sparse rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec.diagnostics import neighbor_recall
    >>> X = load_iris().data
    >>> neighbor_recall(X, X)
    1.0
    """
    spaces = _spaces(X, embedding, metric, sample_size, random_state)
    return kept_neighbors(spaces, n_neighbors, n_jobs)


def kept_neighbors(spaces, n_neighbors, n_jobs):
    """The share of neighbours in the data that are neighbours in the map."""
    n_samples = spaces.X.n_samples
    _check_n_neighbors(n_neighbors, n_samples, n_samples, "n_samples")
    with Threads(n_jobs, hold_blas=True) as threads:
        theirs = _nearest(spaces.X, spaces.rows, n_neighbors, threads)
        ours = _nearest(spaces.embedding, spaces.rows, n_neighbors, threads)
    return float(
        np.mean([np.isin(a, b).mean() for a, b in zip(theirs, ours, strict=True)])
    )


def trustworthiness(
    X: MatrixLike,
    embedding: ArrayLike,
    *,
    n_neighbors: int = 5,
    metric: str | Callable[..., float] = "euclidean",
    sample_size: int | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = -1,
) -> float:
    """How far neighbours in the map are from being neighbours in the data.

    scikit-learn's :func:`sklearn.manifold.trustworthiness`, in memory that is linear in
    n_samples:

        1 − 2/(n k (2n − 3k − 1)) Σ_i Σ_{j near i in the map} max(0, r(i, j) − k)

    with k = n_neighbors and r(i, j) the rank of j among the neighbours of i in X.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
            (n_samples, n_samples)
        The data, or their distances with ``metric="precomputed"``.
    embedding : array-like of shape (n_samples, n_components)
        The map of the same rows.
    n_neighbors : int, default=5
        How many neighbours count, less than n_samples/2.
    metric : str or callable, default="euclidean"
        A metric of :func:`sklearn.metrics.pairwise_distances` for X.
    sample_size : int or None, default=None
        Look at the neighbours of that many rows, drawn at random, among all rows; None
        looks at all, in a time that grows with n_samples².
    random_state : int, RandomState instance or None, default=None
        Draws the rows.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.

    Returns
    -------
    trustworthiness : float
        From 0 to 1; 1 if all neighbours in the map are neighbours in the data.

    Raises
    ------
    ValueError
        If X and embedding have different numbers of rows, or a parameter is out of its
        range, or if distances are not square, symmetric and non-negative.
    TypeError
        If X is sparse, and the metric is "precomputed" or not one of sparse rows.

    References
    ----------
    Venna, Kaski: Neighborhood preservation in nonlinear projection methods, ICANN 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec.diagnostics import trustworthiness
    >>> X = load_iris().data
    >>> round(trustworthiness(X, X[:, 2:]), 2)
    0.92
    """
    spaces = _spaces(X, embedding, metric, sample_size, random_state)
    return _kept(spaces.X, spaces.embedding, spaces.rows, n_neighbors, n_jobs)


def continuity(
    X: MatrixLike,
    embedding: ArrayLike,
    *,
    n_neighbors: int = 5,
    metric: str | Callable[..., float] = "euclidean",
    sample_size: int | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = -1,
) -> float:
    """How far neighbours in the data are from being neighbours in the map.

    :func:`trustworthiness` with the data and the map in each other's place: low where a
    map tears apart what is near.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
            (n_samples, n_samples)
        The data, or their distances with ``metric="precomputed"``.
    embedding : array-like of shape (n_samples, n_components)
        The map of the same rows.
    n_neighbors : int, default=5
        How many neighbours count, less than n_samples/2.
    metric : str or callable, default="euclidean"
        A metric of :func:`sklearn.metrics.pairwise_distances` for X.
    sample_size : int or None, default=None
        Look at the neighbours of that many rows, drawn at random, among all rows; None
        looks at all, in a time that grows with n_samples².
    random_state : int, RandomState instance or None, default=None
        Draws the rows.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.

    Returns
    -------
    continuity : float
        From 0 to 1; 1 if all neighbours in the data are neighbours in the map.

    Raises
    ------
    ValueError
        If X and embedding have different numbers of rows, or a parameter is out of its
        range, or if distances are not square, symmetric and non-negative.
    TypeError
        If X is sparse, and the metric is "precomputed" or not one of sparse rows.

    References
    ----------
    Venna, Kaski: Neighborhood preservation in nonlinear projection methods, ICANN 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec.diagnostics import continuity
    >>> X = load_iris().data
    >>> round(continuity(X, X[:, 2:]), 2)
    0.95
    """
    spaces = _spaces(X, embedding, metric, sample_size, random_state)
    return _kept(spaces.embedding, spaces.X, spaces.rows, n_neighbors, n_jobs)


def distance_rank_correlation(
    X: MatrixLike,
    embedding: ArrayLike,
    *,
    metric: str | Callable[..., float] = "euclidean",
    sample_size: int | None = 1000,
    random_state: RandomState = None,
) -> float:
    """Give Spearman's rank correlation of distances in the data and in the map.

    Over all pairs of a sample of rows: whether the map keeps the large structure, which
    neighbours do not tell.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
            (n_samples, n_samples)
        The data, or their distances with ``metric="precomputed"``.
    embedding : array-like of shape (n_samples, n_components)
        The map of the same rows.
    metric : str or callable, default="euclidean"
        A metric of :func:`sklearn.metrics.pairwise_distances` for X.
    sample_size : int or None, default=1000
        How many rows are drawn at random; None takes all pairs of all rows, and
        n_samples² memory.
    random_state : int, RandomState instance or None, default=None
        Draws the rows.

    Returns
    -------
    correlation : float
        From −1 to 1; NaN if all distances in either space are the same.

    Raises
    ------
    ValueError
        If X and embedding have different numbers of rows, or a parameter is out of its
        range, or if distances are not square, symmetric and non-negative.
    TypeError
        If X is sparse, and the metric is "precomputed" or not one of sparse rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec.diagnostics import distance_rank_correlation
    >>> X = load_iris().data
    >>> round(distance_rank_correlation(X, 2 * X), 6)
    1.0
    """
    spaces = _spaces(X, embedding, metric, sample_size, random_state)
    if len(spaces.rows) < 2:
        raise ValueError(
            "X must have at least 2 rows, and sample_size be at least 2: distances are "
            f"between rows, of which there is {len(spaces.rows)}"
        )
    one, other = np.triu_indices(len(spaces.rows), 1)
    theirs, ours = (
        space.between(space.rows[spaces.rows], spaces.rows)[one, other]
        for space in (spaces.X, spaces.embedding)
    )
    if any(np.ptp(D) <= TIE * D.max() for D in (theirs, ours)):
        return np.nan
    return float(spearmanr(theirs, ours).statistic)


def neighbor_recall_scorer(estimator: Any, X: MatrixLike, y: Any = None) -> float:
    """:func:`neighbor_recall` of ``estimator.transform(X)``, for ``scoring=``.

    Rows that were held out are placed in the map, and their neighbours among each other
    are compared, five of each: by the metric of ``estimator``, if it has one as
    ExactTSNE has, else by Euclidean distances.

    Parameters
    ----------
    estimator : estimator
        Fitted, with a ``transform``: ExactTSNE, or a pipeline that ends with it, of
        which rows before its first step are compared.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to place, more than five.
    y : Ignored
        Present for API consistency.

    Returns
    -------
    recall : float
        From 0 to 1; greater is better.

    Raises
    ------
    ValueError
        If the metric is "precomputed": X does not have the distances between the rows
        that were held out.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdec import ExactTSNE
    >>> from skdec.diagnostics import neighbor_recall_scorer
    >>> search = GridSearchCV(
    ...     ExactTSNE(random_state=0),
    ...     {"perplexity": [5, 30]},
    ...     scoring=neighbor_recall_scorer,
    ... ).fit(load_iris().data)
    >>> search.best_params_
    {'perplexity': 30}
    """
    spaces = _of_held_out(estimator, X)
    return kept_neighbors(spaces, SCORED_NEIGHBORS, n_jobs=-1)


def trustworthiness_scorer(estimator: Any, X: MatrixLike, y: Any = None) -> float:
    """:func:`trustworthiness` of ``estimator.transform(X)``, for ``scoring=``.

    Parameters
    ----------
    estimator : estimator
        Fitted, with a ``transform``: ExactTSNE, or a pipeline that ends with it.  Rows
        are compared as by :func:`neighbor_recall_scorer`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to place, more than ten.
    y : Ignored
        Present for API consistency.

    Returns
    -------
    trustworthiness : float
        From 0 to 1; greater is better.

    Raises
    ------
    ValueError
        If the metric is "precomputed".
    """
    spaces = _of_held_out(estimator, X)
    return _kept(spaces.X, spaces.embedding, spaces.rows, SCORED_NEIGHBORS, n_jobs=-1)


def spaces_of(X, embedding, metric, metric_params, rows):
    """``Spaces`` of checked data and their map."""
    return Spaces(
        SquaredDistances(X, metric, metric_params), SquaredDistances(embedding), rows
    )


def _of_held_out(estimator, X):
    """``Spaces`` of rows that are placed, by the metric of the map if it has one."""
    metric = getattr(estimator, "metric", "euclidean")
    if isinstance(metric, str) and metric == "precomputed":
        raise ValueError(
            "metric must not be 'precomputed': held-out rows are compared with each "
            "other, and X has their distances to the training rows alone"
        )
    Y, params = estimator.transform(X), getattr(estimator, "metric_params", None)
    placing = getattr(estimator, "_placing", None)
    if placing is not None:  # with what the metric has estimated of the training rows
        metric, params = placing.distances.metric, placing.distances.metric_params
    return _spaces(X, Y, metric, None, None, params)


def _spaces(X, embedding, metric, sample_size, random_state, metric_params=None):
    X = checked(X, metric)
    check_unmasked(embedding, "embedding")
    embedding = check_array(embedding, dtype=FLOATS, input_name="embedding")
    check_consistent_length(X, embedding)
    rows = chosen_rows(sample_size, X.shape[0], random_state, "sample_size")
    return spaces_of(X, embedding, metric, metric_params, rows)


def checked(X, metric):
    """Data that a metric takes, or their distances, or an error."""
    precomputed = isinstance(metric, str) and metric == "precomputed"
    if precomputed and sparse.issparse(X):
        raise TypeError(
            "metric='precomputed' takes the distances of all pairs here, because ranks "
            "among all others count; a sparse graph has those of neighbours alone"
        )
    check_unmasked(X, "X")
    X = check_array(
        X,
        accept_sparse="csr",
        dtype=FLOATS,
        input_name="X",
        ensure_all_finite=finite_for(metric),
    )
    if precomputed:
        check_precomputed(X)
    if not sparse.issparse(X):
        return X
    check_sparse_metric(metric)
    return with_merged_entries(with_short_indices(X))


def _check_n_neighbors(n_neighbors, n_samples, limit, name):
    whole = isinstance(n_neighbors, Integral) and not isinstance(n_neighbors, bool)
    if not (whole and 1 <= n_neighbors < limit):
        raise ValueError(
            f"n_neighbors must be an int from 1 to below {name} ({n_samples} rows); "
            f"got {n_neighbors!r}"
        )


def _nearest(space, rows, n_neighbors, threads):
    """The nearest neighbours of some rows among all others; ties by column."""
    n_others = space.n_samples - 1
    # of one more the distance tells whether the last has a tie
    n_asked = min(n_neighbors + 1, n_others)
    if space.metric == "precomputed":
        found = _nearest_given(space, rows, n_asked)
        squared = True
    else:
        index = space.exact_index(threads)
        found = index.search(space.rows[rows], n_asked, threads, rows)
        squared = index.squared
    columns, last = found.columns[:, :n_neighbors], found.distances[:, -2:]
    if n_asked > n_neighbors:
        apart = 2 * TIE if squared else TIE
        tied = np.flatnonzero(last[:, 1] <= last[:, 0] * (1 + apart))
        size = max(1, DISTANCES_PER_TASK // space.n_samples)
        for some in (tied[i : i + size] for i in range(0, len(tied), size)):
            D = _to_others(space, rows[some])
            columns[some] = _first_of_ties(D, n_neighbors)
    return columns


def _nearest_given(space, rows, n_neighbors):
    """By the distances that are given, of few rows at a time."""
    size = max(1, DISTANCES_PER_TASK // space.n_samples)
    parts = [
        nearest_in_matrix(_to_others(space, rows[b]), n_neighbors, False)
        for b in gen_batches(len(rows), size)
    ]
    return Found(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def _to_others(space, rows):
    """D of some rows to all; to themselves more than anything."""
    D = space.between(space.rows[rows])
    D[np.arange(len(rows)), rows] = np.nan
    return D


def _first_of_ties(D, k):
    """The columns of the k least of each row; of ties with the last the first of them.

    NaN comes last.
    """
    last = np.partition(D, k - 1, axis=1)[:, k - 1 : k]
    nearer, tied = last * (1 - TIE) > D, last * (1 + TIE) >= D
    # a stable sort of what is nearer, ties, and the rest
    return np.argsort(2 - nearer - tied.astype(int), axis=1, kind="stable")[:, :k]


def _kept(true, seen, rows, n_neighbors, n_jobs):
    """1 less the mean excess of the true ranks of neighbours that are seen."""
    n_samples = true.n_samples
    _check_n_neighbors(n_neighbors, n_samples, n_samples / 2, "half of n_samples")
    excess = np.empty(len(rows))
    size = max(1, DISTANCES_PER_TASK // n_samples)
    with Threads(n_jobs, hold_blas=True) as threads:
        columns = _nearest(seen, rows, n_neighbors, threads)
        blocks = list(gen_batches(len(rows), size))

        def task(first, last):
            for b in blocks[first:last]:
                ranks = _ranks(true, rows[b], columns[b])
                excess[b] = np.maximum(ranks - n_neighbors, 0).sum(axis=1)

        threads.run_ranges(task, len(blocks), 100 * n_samples * len(rows))
    largest = n_neighbors * (2 * n_samples - 3 * n_neighbors - 1) / 2
    return float(1 - excess.mean() / largest)


def _ranks(space, rows, columns):
    """Ranks of the given columns among the neighbours of rows; ties by column.

    Distances that rounding may part are ties.
    """
    D = _to_others(space, rows)
    ranks = np.empty(columns.shape, int)
    for k in range(columns.shape[1]):
        j = columns[:, k].astype(np.intp)
        d = np.take_along_axis(D, j[:, None], axis=1)
        least, most = d * (1 - TIE), d * (1 + TIE)
        nearer = np.count_nonzero(least > D, axis=1)
        ranks[:, k] = 1 + nearer
        tied = np.flatnonzero(np.count_nonzero(most >= D, axis=1) > nearer + 1)
        for t in tied:
            before = D[t, : j[t]]
            ranks[t, k] += np.count_nonzero((least[t] <= before) & (before <= most[t]))
    return ranks
