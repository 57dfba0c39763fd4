"""EmbeddingDisplay: a map, legible for a hundred and for a million points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdec.plotting import _density as density
from skdec.plotting._axes import axes_for, bare, matplotlib, set_limits, unit
from skdec.plotting._coloring import (
    Coloring,
    Scale,
    colors_of_values,
    column,
    palette,
)
from skdec.plotting._colors import grey
from skdec.plotting._labels import categories
from skdec.plotting._legend import draw_legend, highlight_handle, legend_handle
from skdec.plotting._names import write_names
from skdec.utils.validation import POSITIVE, Range, check_matrix, check_unmasked
from skdec.utils.warn import warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import MatrixLike

# From so many points on a picture of their density is drawn.
MANY = 150_000

# A drawing of more points than this is stored as pixels, in formats of lines too.
HEAVY = 5000

# How much of their opacity other points keep beside highlighted ones, and how much
# larger these are, and at least, in typographic points.
FADED, LARGER, LEAST_HIGHLIGHTED = 0.35, 1.6, 3.5

OPACITY = Range(Real, 0, 1, closed="both")

# With more classes there is no legend unless it is asked for.
LONGEST_LEGEND = 60

# The golden ratio: its multiples, modulo 1, are spread evenly.
GOLDEN = (np.sqrt(5) - 1) / 2


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
            has it, and by ``transform`` otherwise.  None means the training rows, from
            ``embedding_`` or ``encoding_``.
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
            elif hasattr(last_step(estimator), "predict"):
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
        _check_choices(order, shading, legend)
        _check_look(point_size, alpha)
        _check_switches(annotate=annotate, colorbar=colorbar)
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
        draw = _draw_density if shade else _draw_points
        self.points_ = draw(ax, points[rest], colouring.of_points[rest], look)
        self.highlighted_ = _highlight(
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
            points = np.column_stack([points, _strip(points[:, 0])])
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
        return self.names is not None


def steps(estimator):
    """The steps of a fitted estimator, of pipelines and searches within it too."""
    # a search that was refitted hands X on to the best estimator
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    # what passes rows on as they are is no step
    own = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    return [inner for step in own for inner in steps(step)] or [estimator]


def last_step(estimator):
    """The last step of a pipeline, or the estimator itself."""
    return steps(estimator)[-1]


def rows_of_last_step(estimator, X):
    """What the last step of a pipeline is given of X; X itself without a pipeline."""
    for step in steps(estimator)[:-1]:
        X = step.transform(X)
    return X


def places(estimator, X=None):
    """Where an estimator has its training rows, or new ones.

    Of a pipeline they are those of its last step that keeps them, and new rows those
    that its last step is given, if that one clusters them.
    """
    if X is not None:
        last = last_step(estimator)
        if not hasattr(last, "encode"):
            return estimator.transform(X)
        return last.encode(rows_of_last_step(estimator, X))
    for step in reversed(steps(estimator)):
        for name in ("embedding_", "encoding_"):
            found = getattr(step, name, None)
            if found is not None:
                return found
    raise TypeError(
        f"{type(estimator).__name__} keeps no map of its training rows (embedding_ or "
        "encoding_): X must be given"
    )


def row_mask(highlight, n):
    """The rows to highlight."""
    if highlight is None:
        return np.zeros(n, dtype=bool)
    check_unmasked(highlight, "highlight")
    mask = np.asarray(highlight)
    if mask.dtype.kind != "b" or mask.shape != (n,):
        raise ValueError(
            f"highlight must be a mask of shape ({n},); got {mask.dtype} of shape "
            f"{mask.shape}"
        )
    return mask


def _check_choices(order, shading, legend):
    """Raise unless each is one of its choices."""
    if order not in ("mixed", "values"):
        raise ValueError(f"order must be 'mixed' or 'values'; got {order!r}")
    if shading not in ("auto", "points", "density"):
        raise ValueError(
            f"shading must be 'auto', 'points' or 'density'; got {shading!r}"
        )
    if legend != "auto" and not isinstance(legend, bool | np.bool_):
        raise ValueError(f"legend must be True, False or 'auto'; got {legend!r}")


def _check_look(point_size, alpha):
    """Raise unless points can have this size and this opacity."""
    if point_size is not None and not POSITIVE.is_satisfied_by(point_size):
        raise ValueError(
            f"point_size must be a positive number or None; got {point_size!r}"
        )
    if alpha is not None and not OPACITY.is_satisfied_by(alpha):
        raise ValueError(f"alpha must be a number from 0 to 1 or None; got {alpha!r}")


def _check_switches(**switches):
    """Raise unless each of them is true or false."""
    for name, value in switches.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be True or False; got {value!r}")


def _is_shaded(shading, n):
    return shading == "density" or (shading == "auto" and n > MANY)


def _strip(x):
    """Heights in a strip, spread evenly among neighbours."""
    heights = np.empty(len(x))
    heights[np.argsort(x, kind="stable")] = (np.arange(len(x)) * GOLDEN) % 1
    return heights * (np.ptp(x) if len(x) else 0.0)


def _draw_points(ax, points, colors, look):
    """Points, the last on top."""
    return ax.scatter(
        *points.T,
        s=look.diameter**2,
        c=colors,
        alpha=look.alpha,
        linewidths=0,
        rasterized=len(points) > HEAVY,
    )


def _draw_density(ax, points, colors, look):
    """A picture of the density of points."""
    extent = (*ax.get_xlim(), *ax.get_ylim())
    size = np.array([extent[3] - extent[2], extent[1] - extent[0]]) * unit(ax)[::-1]
    size = size / max(density.GRAIN, size.max() / density.CELLS)
    shape = np.maximum(np.round(size).astype(int), 1)
    image = density.picture(density.cells(points, extent, shape), colors)
    image[..., 3] *= look.alpha
    return ax.imshow(
        image, extent=extent, origin="lower", aspect=ax.get_aspect(),
        interpolation="nearest",
    )  # fmt: skip


def _highlight(ax, points, colors, look, name):
    """Points on top, with an edge that parts them from all others."""
    if not len(points):
        return None
    diameter = max(LARGER * look.diameter, LEAST_HIGHLIGHTED)
    edge = matplotlib().rcParams["text.color"]
    return ax.scatter(
        *points.T, s=diameter**2, c=colors, edgecolors=edge, linewidths=0.6,
        label=name, zorder=3, rasterized=len(points) > HEAVY,
    )  # fmt: skip
