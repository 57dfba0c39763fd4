"""ReliabilityDisplay: the scores of a map's points, over the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdec.diagnostics import Reliability, reliability
from skdec.plotting._axes import matplotlib
from skdec.plotting._coloring import column
from skdec.plotting._colors import grey
from skdec.plotting._embedding import EmbeddingDisplay
from skdec.plotting._legend import draw_legend, highlight_handle, legend_handle
from skdec.plotting._options import check_legend

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import MatrixLike

    Score = Literal["perturbation", "singularity", "displacement"]

TITLES = {
    "perturbation": "perturbation: how far a point jumps",
    "singularity": "singularity: how loose its place is",
    "displacement": "displacement: how far it is from rest",
}

# From what can be believed to what cannot: both ends show on white and on black.
COLORS = "5b8fd6", "e8a13c", "d21e0f"

# Arrows of jumps that are drawn unless another number is asked for.
JUMPS = 10


class ReliabilityDisplay:
    """How far each point of a map can be believed: its score, over the map.

    The larger a score, the less the point's place can be believed; such points are
    drawn on top.  Rows that were not scored are grey.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, n_components)
        The map.
    scores : Reliability or array-like of shape (n_samples,)
        What :func:`skdec.diagnostics.reliability` gives, or numbers of which large ones
        are doubtful.
    score : {"perturbation", "singularity", "displacement"}, default="perturbation"
        Which of the scores to draw; of an array, what it is called.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it is drawn.
    figure_ : matplotlib.figure.Figure
        The figure of these axes.
    map_ : EmbeddingDisplay
        The points.
    colorbar_ : Colorbar or None
        The scale of the scores; it has an arrow where scores are beyond it, or
        infinite.
    jumps_ : LineCollection or None
        From the places of the largest perturbation scores to where they jump.
    legend_ : Legend or None
        What is grey, what the lines are, and what is highlighted.

    See Also
    --------
    skdec.diagnostics.reliability : The scores.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.plotting import ReliabilityDisplay
    >>> X = load_iris().data
    >>> tsne = ExactTSNE(random_state=0).fit(X)
    >>> display = ReliabilityDisplay.from_estimator(tsne, X, rows=30, random_state=0)
    >>> len(display.scores.rows)
    30
    """

    def __init__(
        self,
        embedding: MatrixLike,
        scores: Reliability | ArrayLike,
        *,
        score: str = "perturbation",
    ) -> None:
        self.embedding = embedding
        self.scores = scores
        self.score = score

    @classmethod
    def from_estimator(
        cls,
        tsne: Any,
        X: MatrixLike,
        *,
        score: Score = "perturbation",
        rows: Any = None,
        n_directions: int = 3,
        lengths: Any = 1.0,
        random_state: Any = None,
        n_jobs: int | None = -1,
        ax: Any = None,
        **plot_options: Any,
    ) -> Self:
        """Score the points of a fitted map, and draw the scores.

        Parameters
        ----------
        tsne : ExactTSNE
            A fitted estimator.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Its training rows.
        score : {"perturbation", "singularity", "displacement"}, default="perturbation"
            Which score to draw.  The perturbation score takes most of the time; it is
            left out where another is drawn.
        rows : int, array-like of int or None, default=None
            The rows to score: that many drawn at random, some, or all.
        n_directions : int, default=3
            Principal components along which rows are moved.
        lengths : float or array-like of float, default=1.0
            How far rows are moved, in units of their own bandwidth.
        random_state : int, RandomState instance or None, default=None
            Draws the rows.
        n_jobs : int or None, default=-1
            Threads; -1 means all cores.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : ReliabilityDisplay
            The Display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(tsne)
        _check_score(score)
        matplotlib()  # before the work
        scores = reliability(
            tsne,
            X,
            rows=rows,
            n_directions=n_directions if score == "perturbation" else 0,
            lengths=lengths,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        return cls.from_arrays(
            tsne.embedding_, scores, score=score, ax=ax, **plot_options
        )

    @classmethod
    def from_arrays(
        cls,
        embedding: MatrixLike,
        scores: Reliability | ArrayLike,
        *,
        score: str = "perturbation",
        ax: Any = None,
        **plot_options: Any,
    ) -> Self:
        """Draw scores over a map.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_components)
            The map.
        scores : Reliability or array-like of shape (n_samples,)
            What :func:`skdec.diagnostics.reliability` gives, or numbers of which large
            ones are doubtful.
        score : str, default="perturbation"
            Which of the scores to draw; of an array, what it is called.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : ReliabilityDisplay
            The Display, drawn.
        """
        display = cls(embedding, scores, score=score)
        return display.plot(ax=ax, **plot_options)

    def plot(self, ax: Any = None, *, n_jumps: int = JUMPS, **map_options: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.  With axes given, no state of
            pyplot is touched.
        n_jumps : int, default=10
            How many of the largest perturbation scores have a line to where their point
            jumps.
        **map_options : dict
            Parameters of ``EmbeddingDisplay.plot``.

        Returns
        -------
        display : ReliabilityDisplay
            This Display.
        """
        values = self._values(np.shape(self.embedding)[0])
        scale = matplotlib("colors").LinearSegmentedColormap.from_list(
            "doubt", [f"#{color}" for color in COLORS]
        )
        spread = "log" if self.score == "singularity" else "linear"
        options = {
            "cmap": scale, "order": "values", "norm": spread, "components": (0, 1),
        } | map_options  # fmt: skip
        legend = options.pop("legend", "auto")
        check_legend(legend)
        # of the axes there is one, here
        self.map_ = EmbeddingDisplay.from_arrays(
            self.embedding, values=values, ax=ax, legend=False, **options
        )
        self.ax_, self.figure_ = self.map_.ax_, self.map_.figure_
        self.colorbar_ = self.map_.colorbar_
        if self.colorbar_ is not None:
            self.colorbar_.set_label(TITLES.get(self.score, self.score))
        self.jumps_ = self._draw_jumps(n_jumps, options["components"])
        self.legend_ = self._legend(np.isnan(values)) if legend else None
        return self

    def _values(self, n):
        """The score of each row of the map; NaN without one."""
        if not isinstance(self.scores, Reliability):
            return column(self.scores, "scores", n)
        _check_score(self.score)
        if self.scores.rows.max() >= n:
            raise ValueError(
                f"scores must be of the rows of embedding, which has {n}; they have "
                f"one of row {self.scores.rows.max()}"
            )
        values = np.full(n, np.nan)
        values[self.scores.rows] = getattr(self.scores, self.score)
        return values

    def _draw_jumps(self, n_jumps, components):
        """Lines from the points of the largest jumps to where they go."""
        scores = self.scores
        if not isinstance(scores, Reliability) or self.score != "perturbation":
            return None
        jumps = np.isfinite(scores.jump).all(axis=1)
        if not jumps.any() or n_jumps < 1 or scores.jump.shape[1] != 2:
            return None
        size = np.where(jumps, scores.perturbation, -np.inf)
        largest = np.argsort(-size, kind="stable")[: min(n_jumps, jumps.sum())]
        places = np.asarray(self.embedding)[scores.rows[largest]]
        lines = np.stack([places, scores.jump[largest]], axis=1)[..., list(components)]
        collection = matplotlib("collections").LineCollection(
            list(lines), colors=matplotlib().rcParams["text.color"], linewidths=0.7,
            alpha=0.6, label=f"jumps of the {len(largest)} largest scores",
        )  # fmt: skip
        return self.ax_.add_collection(collection, autolim=False)

    def _legend(self, unscored):
        """What is to be told besides the scale."""
        handles = []
        if unscored.any():
            handles.append(legend_handle("not scored", grey()))
        if self.jumps_ is not None:
            handles.append(self.jumps_)
        if self.map_.highlighted_ is not None:
            handles.append(highlight_handle(self.map_.highlighted_))
        if not handles:
            return None
        # what is highlighted is written as EmbeddingDisplay writes it
        return draw_legend(self.ax_, handles, below=True, math=False)


def _check_score(score):
    if score not in TITLES:
        raise ValueError(f"score must be one of {sorted(TITLES)}; got {score!r}")
