"""How far each point of a map can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import check_is_fitted

from skdec.diagnostics._rows import chosen_rows
from skdec.tsne._blocked import BlockedDistances
from skdec.tsne._checks import check_rows, missing
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._left_out import (
    ATTRACTIONS_AT_A_TIME,
    LeftOut,
    LeftOutObjective,
    point_terms,
)
from skdec.tsne._placement import FittedMap
from skdec.utils.numbers import largest_magnitude, power_of_two
from skdec.utils.threads import Threads

if TYPE_CHECKING:
    from skdec.utils.typing import FloatArray, IntArray, MatrixLike, RandomState

# Numbers of moved rows, which are dense, that are held at a time.
ELEMENTS_AT_A_TIME = 4_000_000


@dataclass(frozen=True)
class Reliability:
    """Scores of single points of a map, in the order of ``rows``.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), int
        Which training rows the scores are of.
    perturbation : ndarray of shape (n_rows,)
        How far a point jumps, in the units of the map, when its row moves a little:
        the largest distance from its place over all directions and lengths.  Large
        where the map is overconfident, at gaps that the data do not have.  NaN without
        directions.
    singularity : ndarray of shape (n_rows,)
        1/λ_min of the Hessian of the point's loss at the minimum that its place leads
        to.  Large where the place is badly determined.  Infinite where there is none.
    displacement : ndarray of shape (n_rows,)
        How far the nearest minimum of the point's loss is from its place, in the units
        of the map: about 0 in a map that has settled.
    jump : ndarray of shape (n_rows, n_components)
        Where the point jumps to, of the largest of its jumps; NaN without directions.
    n_lost : int
        How many of the perturbed rows found no place in the map, but on its rim.
    """

    rows: IntArray
    perturbation: FloatArray
    singularity: FloatArray
    displacement: FloatArray
    jump: FloatArray
    n_lost: int


def reliability(
    tsne: Any,
    X: MatrixLike,
    *,
    rows: int | Sequence[int] | None = None,
    n_directions: int = 3,
    lengths: float | Sequence[float] = 1.0,
    random_state: RandomState = None,
    n_jobs: int | None = -1,
) -> Reliability:
    """Score how far each point of a fitted map can be believed.

    Each row in turn is left out of the map, and placed anew with all others held where
    they are: once as it is, and once for every small step along and against the leading
    principal components of X.

    Parameters
    ----------
    tsne : ExactTSNE
        A fitted estimator.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Its training rows.
    rows : int, array-like of int or None, default=None
        The rows to score: some, that many drawn at random, or all.
    n_directions : int, default=3
        Principal components along which rows are moved.  0 leaves out the perturbation
        score, which takes nearly all of the time.
    lengths : float or array-like of float, default=1.0
        How far rows are moved, in units of their own bandwidth σ_i, with
        p_{j|i} ∝ exp(−d²/2σ_i²).  Of another metric than the Euclidean σ_i is made a
        length by what lengths its distances to the row's neighbours have.
    random_state : int, RandomState instance or None, default=None
        Draws the rows.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.  The result is bitwise the same for every value.

    Returns
    -------
    scores : Reliability
        ``perturbation``, ``singularity`` and more of each row.

    Raises
    ------
    ValueError
        If X is not what the map was fitted on, the metric is "precomputed" or one of
        booleans, so that rows cannot be moved, the map was fitted with
        ``sample_weight``, or a parameter is out of its range.
    TypeError
        If the map was fitted to affinities, or to a dask array whose rows have stayed
        in their blocks.

    See Also
    --------
    skdec.diagnostics.neighbor_recall : The share of neighbours that a map keeps.

    Notes
    -----
    The loss of a point is what of KL depends on its place, times n/2 for joint
    normalisation, so that scores of maps of different size compare.  Part 9 of
    docs/gradients.md derives it and its Hessian; docs/reliability.md says where the
    scores differ from the paper's.

    References
    ----------
    Liu, Ma, Zhong: Assessing and improving reliability of neighbor embedding methods: a
    map-continuity perspective, Nature Communications 2025 (perturbation and singularity
    score).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.diagnostics import reliability
    >>> X = load_iris().data
    >>> scores = reliability(ExactTSNE(random_state=0).fit(X), X, rows=20)
    >>> scores.perturbation.shape
    (20,)
    """
    check_is_fitted(tsne)
    placing = tsne._known_rows("reliability")
    _check_moves(placing)
    exact, metric = placing.n_neighbors is None, placing.distances.metric
    X = check_rows(tsne, X, metric, exact=exact, reset=False)
    check_present(X)
    _check_training_rows(placing, tsne.embedding_, X)
    placing = _of_single_rows(placing, X)
    n_samples = X.shape[0]
    chosen = chosen_rows(rows, n_samples, random_state)
    lengths = checked_lengths(lengths, n_directions)
    with Threads(n_jobs, hold_blas=True) as threads:
        fitted = FittedMap(tsne.embedding_, placing.kernel)
        left_out = LeftOut.of(placing, placing.joint, threads)
        terms = point_terms(
            fitted, chosen, placing.joint, placing.exaggeration, threads
        )
        moves = Moves(_steps(X, n_directions, lengths), left_out.sigma(), _spread(X))
        size = _batch_size(left_out.width * (len(moves.steps) + 1), X.shape[1])
        parts = []
        for first in range(0, len(chosen), size):
            b = slice(first, first + size)
            own, part = chosen[b], terms._replace(log_rest=terms.log_rest[b])
            parts.append(_score(X, own, moves, left_out, fitted, part))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    perturbation, singularity, displacement, jump, lost = columns
    return Reliability(
        chosen, perturbation, singularity, displacement, jump, int(lost.sum())
    )


def _batch_size(attractions, n_features):
    """How many rows, of so many attractions and features each, are scored at a time."""
    most = ATTRACTIONS_AT_A_TIME // attractions, ELEMENTS_AT_A_TIME // n_features
    return max(1, min(most))


class Moves(NamedTuple):
    """How rows are moved."""

    steps: list  # vectors, in units of the bandwidth
    sigma: np.ndarray  # the bandwidth of each row, by the metric of the map
    farthest: float  # no bandwidth is taken for more

    def of(self, X, own, distances, graph):
        """The moves of some rows, each (n_rows, n_features)."""
        length = self.sigma[own]
        if len(self.steps) and not distances.euclidean:
            length = length * _length_of_distance(X, own, distances, graph)
        length = np.minimum(length, self.farthest)[:, None]
        return (length * step for step in self.steps)


def _length_of_distance(X, own, distances, graph):
    """Euclidean lengths for a distance of 1 by a metric, around some rows.

    The root of Σ_j a_j ‖x_i − x_j‖² / Σ_j a_j d(x_i, x_j)² over those that attract row
    i: a cosine, which knows no length, has the same moves in whatever unit X is.
    """
    unit, lengths = power_of_two(largest_magnitude(X)), np.zeros(len(own))
    for r, i in enumerate(own):
        edge = slice(graph.edges[r], graph.edges[r + 1])
        attraction, columns = graph.values[edge], graph.columns[edge]
        squares = attraction @ distances.between(distances.rows[[i]], columns)[0]
        if squares > 0:
            away = _dense(X[columns] / unit) - _dense(X[[i]] / unit)
            lengths[r] = np.sqrt(attraction @ np.square(away).sum(axis=1) / squares)
    return lengths * unit / distances.to_original(1.0)


def _score(X, own, moves, left_out, fitted, terms):
    """Scores of some rows, the last of them how many perturbed rows were lost."""
    placing, places = left_out.placing, fitted.points[own]
    prepared = placing.distances.rows[own]
    graph = left_out.attractions(prepared, own)
    objective = LeftOutObjective(fitted, graph, own, terms, left_out.threads)
    settled = objective.settle(places)
    least = np.linalg.eigvalsh(objective.hessians(settled.positions))[:, 0]
    with np.errstate(divide="ignore"):
        singularity = np.where((least > 0) & ~settled.lost, 1 / least, np.inf)
    displacement = np.linalg.norm(settled.positions - places, axis=1)
    farthest, lost = np.full(len(own), -np.inf), np.zeros(len(own), int)
    jump = np.full(places.shape, np.nan)
    for move in moves.of(X, own, placing.distances, graph):
        moved = _dense(X[own]) + move
        graph = left_out.attractions(placing.distances.prepare(moved), own)
        ended = LeftOutObjective(fitted, graph, own, terms, left_out.threads).lowest()
        distance = np.linalg.norm(ended.positions - places, axis=1)
        further = distance > farthest
        farthest[further] = distance[further]
        jump[further] = ended.positions[further] + fitted.center
        lost += ended.lost
    perturbation = farthest if moves.steps else np.full(len(own), np.nan)
    return perturbation, singularity, displacement, jump, lost


def _steps(X, n_directions, lengths):
    """Moves along and against the leading principal components, in units of σ_i."""
    n_directions = min(n_directions, X.shape[1], X.shape[0] - 1)
    if n_directions == 0:
        return []
    solver = "arpack" if sparse.issparse(X) else "auto"
    if sparse.issparse(X) and n_directions == min(X.shape):
        X, solver = X.toarray(), "auto"
    # directions do not depend on the unit, in which squares might overflow
    X = X / power_of_two(largest_magnitude(X))
    # arpack starts from a random vector
    pca = PCA(n_directions, svd_solver=solver, random_state=0)
    with np.errstate(invalid="ignore"):  # what share of no variance each explains
        axes = pca.fit(X).components_
    return [
        sign * length * axis for axis in axes for length in lengths for sign in (1, -1)
    ]


def _dense(rows):
    rows = rows.toarray() if sparse.issparse(rows) else rows
    return rows.astype(np.float64)


def _spread(X):
    """The root mean square distance of rows from their mean."""
    # abs of a sparse X would merge the user's entries in place
    scale = max(largest_magnitude(X), np.finfo(X.dtype).tiny)
    if sparse.issparse(X):
        _, variances = mean_variance_axis((X / scale).astype(np.float64), axis=0)
        return scale * np.sqrt(variances.sum())
    return scale * np.linalg.norm((X / scale).std(axis=0, dtype=np.float64))


def checked_lengths(lengths, n_directions):
    """Lengths as float64, if they and the number of directions are what they can be."""
    if not isinstance(n_directions, Integral) or n_directions < 0:
        raise ValueError(
            f"n_directions must be an int of at least 0; got {n_directions!r}"
        )
    values = np.atleast_1d(lengths)
    numbers = values.dtype.kind in "fiu" and values.ndim == 1 and len(values) > 0
    if not (numbers and np.all(values > 0) and np.isfinite(values).all()):
        raise ValueError(
            f"lengths must be a positive number or several of them; got {lengths!r}"
        )
    return values.astype(np.float64)


def check_present(X):
    """Raise if values are missing, of rows that are to be moved."""
    if missing(X):
        raise ValueError("X must have no missing values, because rows are moved")


def check_moving_metric(metric):
    """Raise unless rows that are moved a little have other distances."""
    named = isinstance(metric, str)
    if named and (metric == "precomputed" or metric in PAIRWISE_BOOLEAN_FUNCTIONS):
        raise ValueError(
            "reliability moves rows a little, and needs rows of numbers; got a map "
            f"with metric={metric!r}"
        )


def _check_moves(placing):
    distances, copies = placing.distances, placing.copies
    check_moving_metric(distances.metric)
    if isinstance(distances, BlockedDistances):
        raise TypeError(
            "reliability moves the training rows, which this map has left with the "
            "workers of Dask; fit to rows in memory"
        )
    if copies is not None and not copies.merged:
        raise ValueError(
            "reliability leaves out one row at a time; this map was fitted with "
            "sample_weight, where a row may be any number of copies: fit it without"
        )


def _of_single_rows(placing, X):
    """The same of every row of X, if identical ones have been merged.

    A row that is left out leaves those that are identical to it.
    """
    if placing.copies is None:
        return placing
    known = placing.distances
    distances = SquaredDistances(X, known.metric, known.metric_params)
    bandwidths = placing.bandwidths
    unit = distances.to_original(1.0) / known.to_original(1.0)
    bandwidths = bandwidths._replace(beta=bandwidths.beta * unit**2)
    return replace(
        placing, distances=distances, bandwidths=bandwidths, copies=None, prepared={}
    )


def _check_training_rows(placing, embedding, X):
    distances, n_samples = placing.distances, len(embedding)
    same = X.shape[0] == n_samples
    if same:
        ours, given = distances.rows, distances.prepare(X)
        if placing.copies is not None:
            which = distances.identical(given)
            theirs = embedding[placing.copies.rows[which]]
            same = which.min() >= 0 and np.array_equal(theirs, embedding)
        elif sparse.issparse(ours):
            same = abs(ours - given).max() == 0
        else:
            same = np.array_equal(ours, given)
    if not same:
        raise ValueError(
            "X must be the rows that the map was fitted on, in their order: "
            f"{n_samples} of them; got {X.shape[0]} rows"
            + (", some of them others" if X.shape[0] == n_samples else "")
        )
