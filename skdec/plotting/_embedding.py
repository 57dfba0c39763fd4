"""EmbeddingDisplay: a map, legible for a hundred and for a million points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import check_is_fitted

from skdec.plotting import _density as density
from skdec.plotting._axes import axes_for, bare, set_limits, unit
from skdec.plotting._coloring import (
    Coloring,
    Scale,
    colors_of_values,
    column,
    palette,
)
from skdec.plotting._colors import grey
from skdec.plotting._estimators import last_step, places, rows_of_last_step
from skdec.plotting._labels import categories
from skdec.plotting._legend import (
    LONGEST_LEGEND,
    draw_legend,
    highlight_handle,
    legend_handle,
)
from skdec.plotting._names import write_names
from skdec.plotting._options import check_options, row_mask
from skdec.plotting._points import draw_density, draw_highlighted, draw_points, strip
from skdec.utils.validation import check_matrix
from skdec.utils.warn import warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import MatrixLike

# From so many points on a picture of their density is drawn.
MANY = 150_000

# How much of their opacity other points keep beside highlighted ones.
FADED = 0.35


class EmbeddingDisplay:
    """A map of points, coloured by labels or by values.

    Size and opacity of the points follow their density, and above 150,000 points a
    picture of the density is drawn in their place, so that a hundred and a million
    points are legible.  Points are drawn in mixed order, because in the order of sorted
    classes the last would cover the others.  Labels have the same colour in every
    Display: that of their number (see :func:`categorical_colors`).  Colours of more
    than some twenty classes are near each other: go by the names written at them.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, n_components)
        Places.  Rows with NaN are not drawn.
    labels : array-like of shape (n_samples,), default=None
        Classes: numbers, strings, a column of a data frame.  −1, NaN and None stand for
        no class, and are drawn grey.
    values : array-like of shape (n_samples,), default=None
        Numbers for the colours, in place of labels.  NaN is drawn grey.
    names : sequence of str or mapping, default=None
        What classes are called: by number, or from label to name.  Strings as labels
        have the order of this sequence, if it is given; they are sorted otherwise.
        Names may hold matplotlib's formulas; labels without are written as they are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it is drawn.
    figure_ : matplotlib.figure.Figure
        The figure of these axes.
    points_ : PathCollection or AxesImage
        All points but highlighted ones, or their density.
    highlighted_ : PathCollection or None
        Highlighted points.
    legend_ : Legend or None
        The legend.
    colorbar_ : Colorbar or None
        The scale of the values.
    texts_ : dict of str to Text
        The names at the clusters.

    See Also
    --------
    MembershipDisplay : How much rows belong to their clusters.
    match_labels : Give clusters the colours of the classes that they match.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.plotting import EmbeddingDisplay
    >>> iris = load_iris()
    >>> tsne = ExactTSNE(random_state=0).fit(iris.data)
    >>> display = EmbeddingDisplay.from_estimator(
    ...     tsne, labels=iris.target, names=iris.target_names
    ... )
    >>> sorted(display.texts_)
    ['setosa', 'versicolor', 'virginica']
    """

    def __init__(
        self,
        embedding: MatrixLike,
        *,
        labels: ArrayLike | None = None,
        values: ArrayLike | None = None,
        names: Sequence[str] | Mapping[Any, str] | None = None,
    ) -> None:
        self.embedding = embedding
        self.labels = labels
        self.values = values
        self.names = names
        self._formulas: bool | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike | None = None,
        *,
        labels: ArrayLike | None = None,
        values: ArrayLike | None = None,
        names: Sequence[str] | Mapping[Any, str] | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the map of a fitted estimator, or new rows placed in it.

        Parameters
        ----------
        estimator : ExactTSNE, StudentTClustering or another transformer
            A fitted estimator, or a pipeline or search with one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows to place: by ``encode``, if the estimator, or a pipeline's last step,
            has it; where a pipeline's last step, after others, clusters them, where it
            is given them; and by ``transform`` otherwise.  None means the training
            rows, from ``embedding_`` or ``encoding_``.
        labels : array-like of shape (n_samples,), default=None
            Classes.  None means ``labels_``, or ``predict(X)``, of an estimator that
            clusters, unless there are values.
        values : array-like of shape (n_samples,), default=None
            Numbers for the colours, in place of labels.
        names : sequence of str or mapping, default=None
            What classes are called: by number, or from label to name.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : EmbeddingDisplay
            The Display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If X is None, and the estimator keeps no map of its training rows.
        """
        check_is_fitted(estimator)
        if labels is None and values is None:
            if X is None:
                labels = getattr(last_step(estimator), "labels_", None)
            elif _gives_classes(last_step(estimator)):
                labels = last_step(estimator).predict(rows_of_last_step(estimator, X))
        return cls.from_arrays(
            places(estimator, X),
            labels=labels,
            values=values,
            names=names,
            ax=ax,
            **plot_options,
        )

    @classmethod
    def from_arrays(
        cls,
        embedding: MatrixLike,
        *,
        labels: ArrayLike | None = None,
        values: ArrayLike | None = None,
        names: Sequence[str] | Mapping[Any, str] | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a map from its places.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_components)
            Places.
        labels : array-like of shape (n_samples,), default=None
            Classes.
        values : array-like of shape (n_samples,), default=None
            Numbers for the colours, in place of labels.
        names : sequence of str or mapping, default=None
            What classes are called: by number, or from label to name.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.
        **plot_options : dict
            Further parameters of ``plot``.

        Returns
        -------
        display : EmbeddingDisplay
            The Display, drawn.
        """
        display = cls(embedding, labels=labels, values=values, names=names)
        return display.plot(ax=ax, **plot_options)

    def plot(
        self,
        ax: Any = None,
        *,
        highlight: ArrayLike | None = None,
        highlight_name: str = "highlighted",
        annotate: bool = True,
        legend: bool | Literal["auto"] = "auto",
        colorbar: bool = True,
        cmap: Any = "viridis",
        vmin: float | None = None,
        vmax: float | None = None,
        norm: Literal["linear", "log"] = "linear",
        order: Literal["mixed", "values"] = "mixed",
        colors: ArrayLike | None = None,
        point_size: float | None = None,
        alpha: float | None = None,
        shading: Literal["auto", "points", "density"] = "auto",
        components: tuple[int, int] = (0, 1),
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None means new axes of pyplot.  With axes given, no state of
            pyplot is touched.
        highlight : array-like of bool, shape (n_samples,), default=None
            Points to draw on top, larger and with an edge, while the others fade.
        highlight_name : str, default="highlighted"
            What the legend calls them.
        annotate : bool, default=True
            Whether classes have their names where they are densest.
        legend : bool or "auto", default="auto"
            Whether there is a legend, outside of the axes.  "auto" draws one for up to
            60 classes.  A figure of one's own should have ``layout="constrained"``,
            which leaves room for it.
        colorbar : bool, default=True
            Whether values have a scale.
        cmap : str or Colormap, default="viridis"
            Colours of values.
        vmin, vmax : float, default=None
            Values of the first and the last colour.  None means the least and the
            largest, but no further beyond the 1st and the 99th percentile than a
            quarter of what is between them; the scale has an arrow at an end that
            values go beyond.
        norm : {"linear", "log"}, default="linear"
            Scale of the colours of values.
        order : {"mixed", "values"}, default="mixed"
            Whether the points with the largest values are drawn last, on top.
        colors : array-like of shape (n_colors, 3 or 4) or list of color, default=None
            Colours of the classes by number, in place of ``categorical_colors``.
        point_size : float, default=None
            Diameter of a point, in typographic points; None means by density.
        alpha : float, default=None
            Opacity of a point; None means by density.
        shading : {"auto", "points", "density"}, default="auto"
            Whether points are drawn, or a picture of their density, with the mean
            colour of the points of each cell.  "auto" is "points" up to 150,000 points.
        components : tuple of two int, default=(0, 1)
            The components to draw where there are more than two; axes then tell which.
            One component is drawn along a strip, in which the height means nothing.

        Returns
        -------
        display : EmbeddingDisplay
            This Display.
        """
        check_options(
            order=order, shading=shading, legend=legend, point_size=point_size,
            alpha=alpha, annotate=annotate, colorbar=colorbar,
        )  # fmt: skip
        points, shown = self._points(components)
        scale = Scale(cmap, vmin, vmax, norm)
        colouring, classes = self._coloring(shown, scale, colors)
        marked = row_mask(highlight, len(shown))[shown]
        ax = axes_for(ax, figsize=(6.4, 4.8))
        self.ax_, self.figure_ = ax, ax.figure
        self._prepare(points, components)
        shade, ranks = _is_shaded(shading, len(points)), self._ranks(order, shown)
        look = self._look(points[~marked], shade, point_size, alpha)
        if marked.any():
            look = look._replace(alpha=look.alpha * FADED)
        # what has no class, or no value, is beneath all others
        beneath = np.lexsort((ranks, ~colouring.grey))
        rest = beneath[~marked[beneath]]
        draw = draw_density if shade else draw_points
        self.points_ = draw(ax, points[rest], colouring.of_points[rest], look)
        self.highlighted_ = draw_highlighted(
            ax, points[marked], colouring.of_points[marked], look, highlight_name
        )
        self.texts_ = {}
        if annotate and classes is not None:
            self.texts_ = write_names(ax, points, classes, self._math)
        self.colorbar_ = None
        if colorbar and colouring.mappable is not None:
            self.colorbar_ = self.figure_.colorbar(
                colouring.mappable, ax=ax, extend=colouring.extend, shrink=0.8
            )
        self.legend_ = self._legend(legend, classes, colouring, colors)
        return self

    def _points(self, components):
        """Places to draw of shape (n_shown, 2), and the mask of the rows shown."""
        embedding = self.embedding
        if np.ndim(embedding) == 1:
            embedding = np.reshape(embedding, (-1, 1))
        Y = check_matrix(
            embedding, "embedding", ensure_all_finite=False, ensure_min_samples=0
        ).astype(np.float64)
        n = Y.shape[1]
        if n == 1:
            components = (0,)
        given = tuple(components) if np.iterable(components) else (components,)
        whole = all(isinstance(c, Integral) and 0 <= c < n for c in given)
        if not whole or len(given) != min(n, 2):
            raise ValueError(
                f"components must be two numbers from 0 to {n - 1}; got {components!r}"
            )
        points = Y[:, list(components)]
        shown = np.isfinite(points).all(axis=1)
        if not shown.all():
            warn(
                f"{np.count_nonzero(~shown)} rows without a finite place are not drawn"
            )
        points = points[shown]
        if n == 1:
            points = np.column_stack([points, strip(points[:, 0])])
        return points, shown

    def _coloring(self, shown, scale, colors):
        """Colours of the rows shown, and their classes, if there are labels."""
        if self.labels is not None and self.values is not None:
            raise ValueError("labels and values cannot both give the colours: got both")
        n = len(shown)
        if self.values is not None:
            values = column(self.values, "values", n)[shown]
            return colors_of_values(values, scale), None
        if self.labels is None:
            only = palette(1, colors)[np.zeros(np.count_nonzero(shown), np.intp)]
            return Coloring(only, np.zeros(len(only), dtype=bool)), None
        classes = categories(self.labels, "labels", n, self.names)
        numbers = classes.numbers[shown]
        # −1 is the last
        table = np.vstack([palette(classes.n_colors, colors), grey()])
        return Coloring(table[numbers], numbers < 0), classes._replace(numbers=numbers)

    def _prepare(self, points, components):
        """Limits and ticks."""
        ax = self.ax_
        one = np.ndim(self.embedding) == 1 or np.shape(self.embedding)[1] == 1
        set_limits(ax, points)
        if one:
            ax.set_yticks([])
            ax.set_xlabel("component 1")
            return
        # the axes keep their size, and show more of the plane: panels stay in line; if
        # both limits are those of other axes, there is but the size to give way
        shared = ax in ax.get_shared_x_axes() and ax in ax.get_shared_y_axes()
        ax.set_aspect("equal", adjustable="box" if shared else "datalim")
        bare(ax)
        if np.shape(self.embedding)[1] > 2:
            ax.set_xlabel(f"component {components[0] + 1}")
            ax.set_ylabel(f"component {components[1] + 1}")

    def _ranks(self, order, shown):
        """When the points shown are drawn: those of higher rank later."""
        if order == "values" and self.values is not None:
            return column(self.values, "values", len(shown))[shown]
        return np.random.default_rng(0).permutation(np.count_nonzero(shown))

    def _look(self, points, shade, point_size, alpha):
        """Size and opacity of points; the opacity of a picture is its own."""
        look = density.look(points, unit(self.ax_))
        if shade:
            look = look._replace(alpha=1.0)
        return density.Look(
            look.diameter if point_size is None else point_size,
            look.alpha if alpha is None else alpha,
        )

    def _legend(self, legend, classes, colouring, colors):
        """The legend outside of the axes, if there is anything to tell."""
        entries = []  # a class may be called as those without one are
        if classes is not None:
            table = palette(classes.n_colors, colors)
            entries = [(name, table[number]) for number, name in classes.names.items()]
        if not legend or (legend == "auto" and len(entries) > LONGEST_LEGEND):
            return None
        if colouring.grey.any():
            entries.append(("no value" if classes is None else "no cluster", grey()))
        handles = [legend_handle(name, color) for name, color in entries]
        if self.highlighted_ is not None:
            handles.append(highlight_handle(self.highlighted_))
        if not handles:
            return None
        below = self.colorbar_ is not None
        return draw_legend(self.ax_, handles, below, self._math)

    @property
    def _math(self):
        """Whether names may hold formulas; labels are data, and are written as such."""
        return self.names is not None if self._formulas is None else self._formulas

    def _written_with(self, formulas):
        """The Display, whose names may hold formulas, or are made of labels."""
        self._formulas = formulas
        return self


def _gives_classes(estimator):
    """Whether what it predicts are classes or clusters."""
    return hasattr(estimator, "predict") and not is_regressor(estimator)


def _is_shaded(shading, n):
    return shading == "density" or (shading == "auto" and n > MANY)
