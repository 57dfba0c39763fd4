"""ConvergenceDisplay: how a fit came to rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdec.plotting._axes import axes_for
from skdec.plotting._colors import categorical_colors, grey
from skdec.plotting._estimators import steps
from skdec.plotting._legend import legend_under_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# What is drawn on the right-hand axis, if the history has it.
RIGHT = {
    "grad_norm": "norm of the gradient",
    "label_changes": "share of labels changed",
}


class ConvergenceDisplay:
    """KL over the iterations of a fit, with gradient norms or changes of labels.

    KL is on the left-hand axis.  On the right-hand axis, which is logarithmic, is the
    norm of the gradient of a map, or the share of labels that changed in a clustering;
    where none did, the line comes down to the lowest tick.  The first entry is left out
    there: all labels are new.  Entries of one pass are spread over it.  Iterations up
    to the last check with exaggerated affinities, whose gradient is not that of KL, are
    shaded.  What is not a finite number is not drawn.

    Parameters
    ----------
    history : mapping of str to array-like
        "n_iter" and "kl_divergence", and, where there are any, "grad_norm",
        "label_changes" and "exaggeration": ``history_`` of an estimator.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of KL.
    right_ : dict of str to Axes
        The axes on the right, by the name of what is drawn there.
    figure_ : matplotlib.figure.Figure
        The figure of these axes.
    lines_ : dict of str to Line2D
        The lines, by name.
    shade_ : Rectangle or None
        The iterations with exaggeration.
    legend_ : Legend
        The legend, below the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.plotting import ConvergenceDisplay
    >>> tsne = ExactTSNE(random_state=0).fit(load_iris().data)
    >>> display = ConvergenceDisplay.from_estimator(tsne)
    >>> sorted(display.lines_)
    ['grad_norm', 'kl_divergence']
    """

    def __init__(self, history: Mapping[str, ArrayLike]) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, **plot_options: Any
    ) -> Self:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : ExactTSNE, StudentTClustering, or a pipeline or search with one
            A fitted estimator.  Of a pipeline it is the last step that keeps a history.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : ConvergenceDisplay
            The Display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it keeps no history.
        """
        check_is_fitted(estimator)
        found = [getattr(step, "history_", None) for step in steps(estimator)]
        histories = [history for history in found if history is not None]
        if not histories:
            raise TypeError(f"{type(estimator).__name__} keeps no history_ of its fit")
        return cls.from_arrays(histories[-1], ax=ax, **plot_options)

    @classmethod
    def from_arrays(
        cls, history: Mapping[str, ArrayLike], *, ax: Any = None, **plot_options: Any
    ) -> Self:
        """Draw a history.

        Parameters
        ----------
        history : mapping of str to array-like
            "n_iter" and "kl_divergence", and, where there are any, "grad_norm",
            "label_changes" and "exaggeration".
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : ConvergenceDisplay
            The Display, drawn.

        Raises
        ------
        ValueError
            If entries are missing, or there are none.
        """
        return cls(history).plot(ax=ax, **plot_options)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.  With axes given, no state of
            pyplot is touched.

        Returns
        -------
        display : ConvergenceDisplay
            This Display.
        """
        history = _checked(self.history)
        ax = axes_for(ax, figsize=(6.4, 4.0))
        self.ax_, self.figure_ = ax, ax.figure
        n_iter, colors = history["n_iter"], categorical_colors(2)
        passes = "label_changes" in history
        if passes and (np.diff(n_iter) >= 0).all():
            n_iter = _spread(n_iter)
        marker = {"marker": "o", "markersize": 3 if len(n_iter) < 60 else 0}
        (line,) = ax.plot(
            n_iter, history["kl_divergence"], color=colors[0], label="KL(P‖Q)", **marker
        )
        ax.set_xlabel("pass" if passes else "iteration")
        ax.set_ylabel("KL(P‖Q), nats", color=colors[0])
        self.lines_, self.right_ = {"kl_divergence": line}, {}
        for name in (name for name in RIGHT if name in history):
            right = self.right_[name] = _beside(ax)
            (self.lines_[name],) = right.plot(
                n_iter, history[name], color=colors[1], linestyle="--",
                label=RIGHT[name], **marker,
            )  # fmt: skip
            right.set_ylabel(RIGHT[name], color=colors[1])
            _logarithmic(right, history[name])
        self.shade_ = _shade(ax, n_iter, history.get("exaggeration"))
        handles = [*self.lines_.values(), *([self.shade_] if self.shade_ else [])]
        self.legend_ = legend_under_labels(ax, handles)
        return self


def _beside(ax):
    """Axes on the right of others; the figure's current axes, pyplot's, stay so."""
    current = ax.figure.gca()
    right = ax.twinx()
    ax.figure.sca(current)
    return right


def _checked(history):
    """The columns of a history as float64, or an error that tells what is missing."""
    missing = {"n_iter", "kl_divergence"} - set(history)
    if missing:
        raise ValueError(
            f"history must have 'n_iter' and 'kl_divergence'; got {sorted(history)}"
        )
    columns = {name: np.asarray(history[name], np.float64) for name in history}
    shape = columns["n_iter"].shape
    for name, column in columns.items():
        if column.ndim != 1 or column.shape != shape or not len(column):
            raise ValueError(
                "history must have one-dimensional entries of one length, at least 1; "
                f"{name!r} has shape {column.shape}, 'n_iter' {shape}"
            )
        # copies, of which what cannot be drawn is taken out
        columns[name] = np.where(np.isfinite(column), column, np.nan)
    if "label_changes" in columns:
        columns["label_changes"][0] = np.nan
    return columns


def _spread(n_iter):
    """Where entries stand: those of one pass p evenly between p − 1 and p."""
    first = np.searchsorted(n_iter, n_iter)
    count = np.searchsorted(n_iter, n_iter, side="right") - first
    return n_iter - 1 + (np.arange(len(n_iter)) - first + 1) / count


def _logarithmic(ax, values):
    """A logarithmic scale, on which 0 has a place at the foot."""
    values = values[np.isfinite(values)]
    positive = values[values > 0]
    if not len(positive):
        ax.set_ylim(0, 1)
    elif len(positive) == len(values):
        ax.set_yscale("log")
    else:
        # from one power of ten to another, so that ticks tell how much it is
        low, high = np.log10([positive.min(), positive.max()])
        low, high = np.floor(low), max(np.ceil(high), np.floor(low) + 1)
        ax.set_yscale("symlog", linthresh=10**low, linscale=0.5)
        ax.set_ylim(0, 1.1 * 10**high)


def _shade(ax, n_iter, exaggeration):
    """The iterations up to the last check that was more exaggerated than the end."""
    if exaggeration is None:
        return None
    early = np.flatnonzero(exaggeration > exaggeration[-1])
    if not len(early):
        return None
    return ax.axvspan(0, n_iter[early[-1]], color=grey(), alpha=0.2, linewidth=0,
                      label="early exaggeration")  # fmt: skip
