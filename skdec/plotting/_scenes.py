"""What a frame of a film shows: a map, or clusters on their way."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skdec.plotting._axes import matplotlib, set_limits
from skdec.plotting._coloring import palette
from skdec.plotting._embedding import EmbeddingDisplay
from skdec.plotting._labels import Categories, match_labels, name_of, plain_names
from skdec.plotting._legend import LONGEST_LEGEND, draw_legend, legend_handle
from skdec.plotting._options import check_options, row_mask

# Size of a centroid, in typographic points, and width of the way that it has gone.
CENTROID, WAY = 11.0, 1.2


class Look(NamedTuple):
    """How scenes look."""

    classes: Categories | None = None  # of the rows
    names: Any = None  # of the clusters, by number, if there are no classes
    view: Any = None  # where rows that are clustered are drawn
    options: Mapping[str, Any] = MappingProxyType({})  # of ``EmbeddingDisplay.plot``

    @property
    def formulas(self):
        """Whether names may hold some: those made of labels are written as they are."""
        return self.names is not None

    def check(self, n_rows, n_clusters=1):
        """Raise, before anything is fitted, unless ``plot`` takes these options."""
        if "ax" in self.options:
            raise TypeError("ax must not be given: a film is drawn on axes of its own")
        plot = signature(EmbeddingDisplay.plot).bind(None, **self.options)
        plot.apply_defaults()
        check_options(**plot.arguments)
        row_mask(self.options.get("highlight"), n_rows)
        n_colors, of = n_clusters, "n_clusters"
        if self.classes is not None:
            # clusters beyond the classes have colours of their own
            more = max(0, n_clusters - max(1, len(self.classes.names)))
            n_colors, of = self.classes.n_colors + more, "labels"
        palette(n_colors, self.options.get("colors"), of)


class Map(NamedTuple):
    """A map at an iteration."""

    n_iter: int
    kl: float
    embedding: np.ndarray


class MapScene:
    """Maps, their rows coloured by class."""

    def __init__(self, look):
        self.classes, self.options = look.classes, look.options
        self.formulas = look.formulas

    def title(self, shown):
        """What is written above it."""
        return f"iteration {shown.n_iter}: KL = {shown.kl:.3f}"

    def draw(self, ax, shown):
        """Draw a ``Map``."""
        # rows of no weight have no place before the end
        there = np.isfinite(shown.embedding).all(axis=1)
        labels = names = None
        if self.classes is not None:
            labels, names = self.classes.numbers[there], self.classes.names
        options = _of_rows(self.options, there)
        display = EmbeddingDisplay(shown.embedding[there], labels=labels, names=names)
        display._written_with(self.formulas).plot(ax, **options)


class Clusters(NamedTuple):
    """Clusters at a moment of a fit."""

    title: str
    run: object  # in which clusters keep their numbers
    rows: np.ndarray  # as they are compared with the centroids
    labels: np.ndarray
    centers: np.ndarray


class ClusterScene:
    """Rows in the colour of their cluster, and the ways of the centroids.

    A cluster keeps its colour for a run.  In the next it has that of the cluster before
    that it matches best, or, if there are classes, that of a class in all runs.

    Parameters
    ----------
    look : Look
        Of rows and clusters.  With a view centroids are drawn at the mean of the rows
        of their cluster.
    joint : bool
        Whether rows are those of an encoder, of which the first two components will do.
    """

    def __init__(self, look, joint=False):
        self.view, self.classes, self.formulas = look.view, look.classes, look.formulas
        names = plain_names(look.names) if look.classes is None else look.classes.names
        if names is not None and not isinstance(names, Mapping):
            names = dict(enumerate(names))
        self.names = names or {}
        own = {"components": (0, 1)} if joint else {}
        self.options = {"annotate": False, **own, **look.options}
        self.components = list(self.options.get("components", (0, 1)))
        self.legend = self.options.pop("legend", "auto")
        self._run = self._numbers = self._before = None
        self._ways = []

    def title(self, shown):
        """What is written above it."""
        return shown.title

    def draw(self, ax, shown):
        """Draw ``Clusters``."""
        places, centers = self._places(shown)
        # a fit that ends before any frame of it has no run
        if self._numbers is None or shown.run != self._run:
            self._numbers = self._numbered(shown.labels, len(centers))
            self._run, self._ways = shown.run, []
        self._before = self._numbers[shown.labels]
        self._ways.append(centers[:, self.components])
        there = np.isfinite(places).all(axis=1)
        options = _of_rows(self.options, there)
        display = EmbeddingDisplay(
            places[there], labels=self._before[there], names=self._names()
        )
        display._written_with(self.formulas).plot(ax, legend=False, **options)
        centroids = self._draw_centroids(ax)
        self._draw_legend(ax, centroids)

    def _places(self, shown):
        """Where rows and centroids are drawn."""
        if self.view is None:
            check_places(shown.rows, self.options)
            return np.asarray(shown.rows), shown.centers
        which = shown.labels, np.arange(len(shown.labels))
        there = np.isfinite(self.view).all(axis=1)
        members = sparse.csr_matrix(
            (there.astype(float), which), (len(shown.centers), len(there))
        )
        counts = np.asarray(members.sum(axis=1)).reshape(-1, 1)
        sums = members @ np.where(there[:, None], self.view, 0.0)
        # a cluster without rows is nowhere
        centers = np.full_like(sums, np.nan)
        return self.view, np.divide(sums, counts, out=centers, where=counts > 0)

    def _numbered(self, labels, k):
        """The number of each cluster, of which its colour is."""
        reference = self._before if self.classes is None else self.classes.numbers
        if reference is None:
            return np.arange(k)
        # one row more of each cluster, of no class, for those that have none
        every = np.append(labels, np.arange(k))
        numbers = match_labels(every, np.append(reference, np.full(k, -1)))[-k:]
        if self.classes is None:
            # those that match none have the numbers that are left of the k
            left = np.setdiff1d(np.arange(k), numbers)
            numbers[numbers >= k] = left
        return numbers

    def _names(self):
        """What clusters are called; no name of a class is for one that is left over."""
        taken = {name_of(n, n, self.names) for n in self.names}
        names = {}
        for number in self._numbers.tolist():
            name = name_of(number, number, self.names)
            while number not in self.names and name in taken:
                name = f"cluster {name}"
            names[number] = name
        return names

    def _table(self):
        """RGBA of each cluster."""
        colors = self.options.get("colors")
        return palette(int(self._numbers.max()) + 1, colors)[self._numbers]

    def _draw_centroids(self, ax):
        """The centroids, and the ways that they have gone."""
        ways, table = np.array(self._ways), self._table()
        edge = matplotlib().rcParams["text.color"]
        for way, color in zip(ways.transpose(1, 2, 0), table, strict=True):
            for width, line in ((2.5 * WAY, edge), (WAY, color)):
                ax.plot(*way, color=line, linewidth=width, zorder=3)
        seen = ways[-1][np.isfinite(ways[-1]).all(axis=1)]
        if len(seen):
            set_limits(ax, seen)
        return ax.scatter(
            *ways[-1].T, s=CENTROID**2, c=table, marker="X", edgecolors=edge,
            linewidths=1.0, zorder=4,
        )  # fmt: skip

    def _draw_legend(self, ax, centroids):
        """What the colours and the crosses are; also of clusters without rows."""
        numbers = np.sort(self._numbers)
        if self.legend is False or (
            self.legend == "auto" and len(numbers) > LONGEST_LEGEND
        ):
            return
        table = dict(zip(self._numbers.tolist(), self._table(), strict=True))
        names = self._names()
        handles = [legend_handle(names[n], table[n]) for n in numbers.tolist()]
        what = "centroids" if self.view is None else "means of rows"
        handles.append(
            matplotlib("lines").Line2D(
                [], [], linestyle="", marker="X", markersize=8, label=what,
                markerfacecolor="none", markeredgecolor=centroids.get_edgecolor()[0],
            )
        )  # fmt: skip
        draw_legend(ax, handles, math=self.formulas)


def _of_rows(options, there):
    """Options of a Display of those rows that have a place."""
    highlight = row_mask(options.get("highlight"), len(there))
    return {**options, "highlight": highlight[there]}


def check_places(rows, options):
    """Raise unless rows are in the plane, or which components to draw is said."""
    shape = np.shape(rows)
    chosen = shape[1] > 2 and "components" in options
    if sparse.issparse(rows) or not (shape[1] == 2 or chosen):
        kind = "sparse, and of" if sparse.issparse(rows) else "of"
        raise ValueError(
            "view must be given, a place for each row such as its place in a map: "
            f"the rows that are clustered are {kind} shape {shape}"
        )
