"""Choosing the perplexity without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skdec.diagnostics._quality import checked, kept_neighbors, spaces_of
from skdec.diagnostics._reliability import (
    check_moving_metric,
    check_present,
    checked_lengths,
    reliability,
)
from skdec.diagnostics._rows import chosen_rows
from skdec.tsne._blocked import rows_of_collection
from skdec.tsne._checks import resolve_perplexities
from skdec.tsne._fit import ALL_PAIRS
from skdec.utils.blocks import Blocks
from skdec.utils.collection import is_dask

if TYPE_CHECKING:
    from skdec.utils.typing import FloatArray, MatrixLike, RandomState

PERPLEXITIES = 5, 10, 20, 30, 50, 80

# The scores of a map are the means of this share of its points, the largest scores.
UPPER = 0.05


@dataclass(frozen=True)
class PerplexityTable:
    """What maps of several perplexities are like, by increasing perplexity.

    Parameters
    ----------
    perplexity : ndarray of shape (n_perplexities,)
        The perplexities.
    kl : ndarray of shape (n_perplexities,)
        KL(P‖Q) of each map, in nats.
    pbic : ndarray of shape (n_perplexities,)
        2 KL + log(n) · perplexity/n (Cao & Wang 2017, eq. 1); the least is the best.
        With ``normalization="conditional"`` KL, a sum over the rows, is divided by n.
    perturbation : ndarray of shape (n_perplexities,)
        Mean of the largest 5 % of the perturbation scores, in units of the map's root
        mean square radius; NaN without directions.
    singularity : ndarray of shape (n_perplexities,)
        Mean of the largest 5 % of the singularity scores, of those that are finite.
    unsettled : ndarray of shape (n_perplexities,)
        Share of rows whose singularity score is infinite.
    neighbor_recall : ndarray of shape (n_perplexities,)
        Share of the ten nearest neighbours that the map keeps.
    """

    perplexity: FloatArray
    kl: FloatArray
    pbic: FloatArray
    perturbation: FloatArray
    singularity: FloatArray
    unsettled: FloatArray
    neighbor_recall: FloatArray

    @property
    def least_pbic(self) -> float:
        """The perplexity of the least pBIC."""
        return float(self.perplexity[np.argmin(self.pbic)])

    @property
    def elbow(self) -> float:
        """The perplexity where the singularity scores stop falling fast.

        The point of the curve, over log perplexity, that is farthest below the line
        from its first to its last; the largest perplexity, if none is below.  If the
        last score is no less than the first, or there are fewer than three, it is the
        perplexity with the least score.
        """
        x, y = np.log(self.perplexity), self.singularity
        if len(x) < 3 or not np.isfinite(y).all() or y[0] <= y[-1]:
            return float(self.perplexity[np.argmin(y)])
        line = y[0] + (y[-1] - y[0]) * (x - x[0]) / (x[-1] - x[0])
        below = line - y
        return float(self.perplexity[np.argmax(below) if below.max() > 0 else -1])

    def to_dict(self) -> dict[str, FloatArray]:
        """Give the columns by name, as ``pandas.DataFrame`` takes them.

        Returns
        -------
        columns : dict of str to ndarray of shape (n_perplexities,)
            All attributes.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}


def perplexity_table(
    tsne: Any,
    X: MatrixLike,
    perplexities: Sequence[float] | None = None,
    *,
    rows: int | Sequence[int] | None = 500,
    n_directions: int = 3,
    lengths: float | Sequence[float] = 1.0,
    random_state: RandomState = None,
    n_jobs: int | None = -1,
) -> PerplexityTable:
    """Fit maps of several perplexities, and compare them without labels.

    Parameters
    ----------
    tsne : ExactTSNE
        Its copies are fitted; it stays as it is.  ``tol=0`` or a small one lets maps
        settle, which the singularity score asks for.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows.
    perplexities : array-like of float or None, default=None
        The perplexities, in any order, each once.  None stands for those of 5, 10, 20,
        30, 50 and 80 that are below n_samples.
    rows : int, array-like of int or None, default=500
        The rows to score, the same in each map: some, that many drawn at random, or
        all.
    n_directions : int, default=3
        Principal components along which rows are moved; 0 leaves out the perturbation
        score.
    lengths : float or array-like of float, default=1.0
        How far rows are moved, in units of their own bandwidth.
    random_state : int, RandomState instance or None, default=None
        Draws the rows.
    n_jobs : int or None, default=-1
        Threads of the scores; -1 means all cores.

    Returns
    -------
    table : PerplexityTable
        The columns, and what they advise: ``elbow`` and ``least_pbic``.

    Raises
    ------
    ValueError
        If ``perplexities`` are not numbers that differ, a parameter is out of its
        range, X has missing values, the metric is "precomputed" or one of booleans, or
        ``tsne`` has ``sigma`` in place of a perplexity.
    TypeError
        If X are affinities, or a dask array whose rows would stay in their blocks.

    Notes
    -----
    Of Liu, Ma and Zhong is the rule to take a perplexity not below the elbow of the
    singularity scores.  Cao and Wang take the least pBIC.  KL of ``affinities`` over
    neighbours is that of the neighbours.

    References
    ----------
    Liu, Ma, Zhong: Assessing and improving reliability of neighbor embedding methods: a
    map-continuity perspective, Nature Communications 2025.
    Cao, Wang: Automatic selection of t-SNE perplexity, ICML AutoML workshop 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.diagnostics import perplexity_table
    >>> X = load_iris().data
    >>> table = perplexity_table(ExactTSNE(random_state=0), X, [5, 15, 40], rows=30)
    >>> sorted(table.to_dict())[:3]
    ['kl', 'neighbor_recall', 'pbic']
    """
    _check(tsne, n_directions, lengths)
    X = _in_memory(tsne, X)
    n_samples = X.shape[0] if hasattr(X, "shape") else np.shape(X)[0]
    if perplexities is None:
        perplexities = [value for value in PERPLEXITIES if value < n_samples]
        if not perplexities:
            raise ValueError(
                f"X must have more than {PERPLEXITIES[0]} rows if perplexities is "
                f"None; got {n_samples}"
            )
    values = np.sort(resolve_perplexities(perplexities, n_samples, name="perplexities"))
    if np.ndim(perplexities) != 1 or (np.diff(values) == 0).any():
        raise ValueError(
            f"perplexities must be several numbers that differ; got {perplexities!r}"
        )
    rows = chosen_rows(rows, n_samples, random_state)
    lines = [
        _line(clone(tsne).set_params(perplexity=float(value)), X, value, rows,
              n_directions, lengths, n_jobs)
        for value in values
    ]  # fmt: skip
    return PerplexityTable(values, *np.array(lines).T)


def _check(tsne, n_directions, lengths):
    """Raise now what would be raised when the first map has been fitted."""
    checked_lengths(lengths, n_directions)
    check_moving_metric(tsne.metric)
    if tsne.sigma is not None:
        raise ValueError(
            "tsne must have sigma=None, which takes the place of a perplexity; got "
            f"{tsne.sigma!r}"
        )
    if tsne.affinities == "precomputed":
        raise TypeError(
            "perplexity_table needs rows, from which affinities are made; tsne has "
            "affinities='precomputed'"
        )


def _in_memory(tsne, X):
    """Rows of which none is missing; of a dask array fetched once for all maps."""
    if is_dask(X):
        X = rows_of_collection(clone(tsne), X, ALL_PAIRS)
        if isinstance(X, Blocks):
            raise TypeError(
                "perplexity_table moves the training rows, which would stay in their "
                "blocks: fit to rows in memory, X.compute()"
            )
    check_present(checked(X, tsne.metric))
    return X


def _line(tsne, X, perplexity, rows, n_directions, lengths, n_jobs):
    """What the table says of one perplexity, in the order of its columns."""
    Y = tsne.fit(X).embedding_
    scores = reliability(
        tsne, X, rows=rows, n_directions=n_directions, lengths=lengths, n_jobs=n_jobs
    )
    radius = np.linalg.norm(Y.std(axis=0, dtype=np.float64)) or 1.0
    finite = np.isfinite(scores.singularity)
    data, everyone = checked(X, tsne.metric), np.arange(len(Y))
    spaces = spaces_of(data, Y, tsne.metric, tsne.metric_params, everyone)
    conditional = tsne.normalization == "conditional"
    of_one = tsne.kl_divergence_ / (len(Y) if conditional else 1)
    return (
        tsne.kl_divergence_,
        2 * of_one + np.log(len(Y)) * perplexity / len(Y),
        upper_mean(scores.perturbation) / radius,
        upper_mean(scores.singularity[finite]) if finite.any() else np.inf,
        1 - finite.mean(),
        kept_neighbors(spaces, min(10, len(Y) - 1), n_jobs),
    )


def upper_mean(scores):
    """The mean of the largest 5 % of scores."""
    return np.sort(scores)[-max(1, round(UPPER * len(scores))) :].mean()
