"""MembershipDisplay: how much rows belong to their clusters, and which hardly do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skdec.plotting._axes import axes_for, background, matplotlib
from skdec.plotting._coloring import palette
from skdec.plotting._estimators import last_step, rows_of_last_step
from skdec.plotting._labels import name_of, plain_names
from skdec.plotting._legend import legend_under_labels
from skdec.utils.validation import check_distribution

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import MatrixLike

# An outline has at most so many points, more than a picture has lines of pixels.
OUTLINE = 1000

# Between clusters is this share of the rows.
GAP = 0.015

# A cluster with a smaller share of the height has no room for a name.
LEAST_NAMED = 0.02


class MembershipDisplay:
    """The memberships of rows in their clusters, cluster by cluster, sorted.

    As in a silhouette plot, the height of a cluster is its number of rows, and its
    outline is the sorted membership of its rows in it.  Where the outline is to the
    left of the dashed line, rows are ambiguous: these parts are pale.

    Parameters
    ----------
    memberships : array-like of shape (n_samples, n_clusters)
        Memberships; rows sum to 1.
    names : sequence of str or mapping, default=None
        What clusters are called, by number.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it is drawn.
    figure_ : matplotlib.figure.Figure
        The figure of these axes.
    areas_ : dict of int to PolyCollection
        The area of each cluster that has rows.
    ambiguous_ : ndarray of bool, shape (n_samples,)
        The rows whose largest membership is below ``ambiguous``.
    line_ : Line2D
        The dashed line.
    legend_ : Legend
        What the line and the pale parts are.
    texts_ : dict of str to Text
        The names of the clusters.

    See Also
    --------
    EmbeddingDisplay : With ``highlight=display.ambiguous_`` it shows where they are.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import StudentTClustering
    >>> from skdec.plotting import MembershipDisplay
    >>> X = load_iris().data
    >>> model = StudentTClustering(3, random_state=0).fit(X)
    >>> display = MembershipDisplay.from_estimator(model, X)
    >>> display.ambiguous_.shape
    (150,)
    """

    def __init__(
        self,
        memberships: ArrayLike,
        *,
        names: Sequence[str] | Mapping[int, str] | None = None,
    ) -> None:
        self.memberships = memberships
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        names: Sequence[str] | Mapping[int, str] | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the memberships of rows in the clusters of a fitted estimator.

        Parameters
        ----------
        estimator : StudentTClustering or another estimator with ``predict_proba``
            A fitted estimator, or a pipeline that ends with one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        names : sequence of str or mapping, default=None
            What clusters are called, by number.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : MembershipDisplay
            The Display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(estimator)
        memberships = _memberships(estimator, X)
        return cls.from_arrays(memberships, names=names, ax=ax, **plot_options)

    @classmethod
    def from_arrays(
        cls,
        memberships: ArrayLike,
        *,
        names: Sequence[str] | Mapping[int, str] | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> Self:
        """Draw memberships.

        Parameters
        ----------
        memberships : array-like of shape (n_samples, n_clusters)
            Memberships; rows sum to 1.
        names : sequence of str or mapping, default=None
            What clusters are called, by number.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : MembershipDisplay
            The Display, drawn.
        """
        return cls(memberships, names=names).plot(ax=ax, **plot_options)

    def plot(
        self,
        ax: Any = None,
        *,
        ambiguous: float = 0.6,
        colors: ArrayLike | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.  With axes given, no state of
            pyplot is touched.
        ambiguous : float, default=0.6
            Rows whose largest membership is below this are ambiguous.
        colors : array-like of shape (n_colors, 3 or 4) or list of color, default=None
            Colours of the clusters, in place of ``categorical_colors``.

        Returns
        -------
        display : MembershipDisplay
            This Display.
        """
        if not 0 <= ambiguous <= 1:
            raise ValueError(f"ambiguous must be from 0 to 1; got {ambiguous}")
        Q = check_distribution(np.asanyarray(self.memberships), "memberships")
        own, labels = Q.max(axis=1), Q.argmax(axis=1)
        given = plain_names(self.names)
        names = [name_of(number, number, given) for number in range(Q.shape[1])]
        if len(set(names)) < len(names):
            raise ValueError(f"names must differ; got {sorted(names)}")
        table = palette(Q.shape[1], colors, "memberships")
        ax = axes_for(ax, figsize=(6.4, 4.8))
        self.ax_, self.figure_ = ax, ax.figure
        self.ambiguous_ = own < ambiguous
        self.areas_: dict[int, Any] = {}
        self.texts_: dict[str, Any] = {}
        gap, below = GAP * len(Q), 0.0
        for number in range(Q.shape[1]):
            members = np.sort(own[labels == number])
            if not len(members):
                continue
            middle = below + len(members) / 2
            self._draw_cluster(number, members, below, table[number], ambiguous)
            if len(members) > LEAST_NAMED * len(Q):
                name = names[number]
                count = np.count_nonzero(members < ambiguous)
                self.texts_[name] = _write(ax, name, len(members), count, middle)
            below += len(members) + gap
        ax.set_ylim(-gap, max(below, 1.0))
        ax.set_xlim(0, 1)
        ax.set_yticks([])
        ax.set_xlabel("membership in its own cluster")
        ax.set_ylabel(f"{len(Q):,} rows by cluster")
        self._explain(ambiguous)
        return self

    def _draw_cluster(self, number, members, below, color, ambiguous):
        """The area of a cluster, from its least members up."""
        picked = np.unique(np.linspace(0, len(members) - 1, OUTLINE).astype(int))
        # a row is as high as 1: the outline is a staircase, seen from afar a curve
        heights = np.append(below + picked, below + len(members))
        outline = np.append(members[picked], members[-1])
        pale = np.append(members[picked] < ambiguous, members[-1] < ambiguous)
        options = {"step": "post", "linewidth": 0, "facecolor": color}
        self.areas_[number] = self.ax_.fill_betweenx(heights, 0, outline, **options)
        if pale.any():
            pale[1:] |= pale[:-1]  # each step ends where the next begins
            # covered by the background, so that what is pale keeps its hue
            self.ax_.fill_betweenx(
                heights, 0, outline, where=pale, step="post", linewidth=0,
                facecolor=background(self.ax_), alpha=0.6,
            )  # fmt: skip

    def _explain(self, ambiguous):
        ax, share = self.ax_, self.ambiguous_.mean() if len(self.ambiguous_) else 0.0
        text_color = matplotlib().rcParams["text.color"]
        self.line_ = ax.axvline(
            ambiguous, color=text_color, linestyle="--", linewidth=1,
            label=f"below {ambiguous:g} rows are ambiguous: {share:.1%}",
        )  # fmt: skip
        self.legend_ = legend_under_labels(ax, [self.line_])


def _memberships(estimator, X):
    """The memberships of rows in the clusters of a fitted estimator."""
    last, rows = last_step(estimator), rows_of_last_step(estimator, X)
    # of sparse rows StudentTClustering has memberships from transform alone
    if hasattr(last, "encode") and sparse.issparse(rows):
        return last.transform(rows)
    return last.predict_proba(rows)


def _write(ax, name, n_rows, n_ambiguous, height):
    """The name of a cluster beside it, with how many rows it has."""
    return ax.text(
        1.01, height, f"{name}: {n_rows:,} ({n_ambiguous:,} ambiguous)", va="center",
        fontsize=8, transform=ax.get_yaxis_transform(),
    )  # fmt: skip
