"""PerplexityDisplay: what maps of several perplexities are like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skdec.plotting._axes import axes_for
from skdec.plotting._colors import categorical_colors, grey

if TYPE_CHECKING:
    from skdec.diagnostics import PerplexityTable

NAMES = {
    "singularity": "singularity score",
    "perturbation": "perturbation score",
    "pbic": "pBIC",
    "neighbor_recall": "neighbours kept",
}


class PerplexityDisplay:
    """The scores of a table of perplexities, each as a share of its largest.

    Vertical lines stand where the table advises a perplexity: at the elbow of the
    singularity scores, and at the least pBIC.  A score that is not finite is not drawn.

    Parameters
    ----------
    table : PerplexityTable
        What :func:`skdec.diagnostics.perplexity_table` gives.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it is drawn.
    figure_ : matplotlib.figure.Figure
        The figure of these axes.
    lines_ : dict of str to Line2D
        The curve of each score, by its name in the table.
    advice_ : dict of str to Line2D
        The vertical lines: "elbow" and "least_pbic".
    legend_ : Legend
        The legend, outside of the axes.

    See Also
    --------
    skdec.diagnostics.perplexity_table : The scores.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.diagnostics import perplexity_table
    >>> from skdec.plotting import PerplexityDisplay
    >>> X = load_iris().data
    >>> table = perplexity_table(ExactTSNE(random_state=0), X, [5, 15, 40], rows=30)
    >>> sorted(PerplexityDisplay.from_arrays(table).advice_)
    ['elbow', 'least_pbic']
    """

    def __init__(self, table: PerplexityTable) -> None:
        self.table = table

    @classmethod
    def from_arrays(
        cls, table: PerplexityTable, *, ax: Any = None, **plot_options: Any
    ) -> Self:
        """Draw a table.

        Parameters
        ----------
        table : PerplexityTable
            What :func:`skdec.diagnostics.perplexity_table` gives.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : PerplexityDisplay
            The Display, drawn.
        """
        return cls(table).plot(ax=ax, **plot_options)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.  With axes given, no state of
            pyplot is touched.

        Returns
        -------
        display : PerplexityDisplay
            This Display.
        """
        ax = axes_for(ax, figsize=(6.8, 4.0))
        self.ax_, self.figure_ = ax, ax.figure
        table, colors = self.table, categorical_colors(len(NAMES))
        self.lines_ = {}
        for (name, text), color in zip(NAMES.items(), colors, strict=True):
            values = np.array(getattr(table, name), dtype=np.float64)
            values[~np.isfinite(values)] = np.nan
            if not np.isnan(values).all():
                (self.lines_[name],) = ax.plot(
                    table.perplexity, values / (np.nanmax(values) or 1.0), "o-",
                    markersize=4, color=color, label=text,
                )  # fmt: skip
        advice = {"elbow": ("--", "elbow"), "least_pbic": (":", "least pBIC")}
        self.advice_ = {
            name: ax.axvline(
                getattr(table, name), color=grey(), linestyle=style, linewidth=1.2,
                label=f"{text}: {getattr(table, name):g}",
            )
            for name, (style, text) in advice.items()
        }  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks(table.perplexity, [f"{value:g}" for value in table.perplexity])
        ax.minorticks_off()
        ax.set_xlabel("perplexity")
        ax.set_ylabel("score, as a share of its largest")
        self.legend_ = ax.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False,
            borderaxespad=0.0,
        )  # fmt: skip
        return self
