"""Points on axes: each of them, their density, and those on top."""

import numpy as np

from skdec.plotting import _density as density
from skdec.plotting._axes import matplotlib, unit

# A drawing of more points than this is stored as pixels, in formats of lines too.
HEAVY = 5000

# How much larger highlighted points are than others, and at least, in typographic
# points.
LARGER, LEAST_HIGHLIGHTED = 1.6, 3.5

# The golden ratio: its multiples, modulo 1, are spread evenly.
GOLDEN = (np.sqrt(5) - 1) / 2


def strip(x):
    """Heights in a strip, spread evenly among neighbours."""
    heights = np.empty(len(x))
    heights[np.argsort(x, kind="stable")] = (np.arange(len(x)) * GOLDEN) % 1
    return heights * (np.ptp(x) if len(x) else 0.0)


def draw_points(ax, points, colors, look):
    """Points, the last on top."""
    return ax.scatter(
        *points.T,
        s=look.diameter**2,
        c=colors,
        alpha=look.alpha,
        linewidths=0,
        rasterized=len(points) > HEAVY,
    )


def draw_density(ax, points, colors, look):
    """A picture of the density of points."""
    extent = (*ax.get_xlim(), *ax.get_ylim())
    sides = np.abs([extent[3] - extent[2], extent[1] - extent[0]])
    size = sides * unit(ax)[::-1]
    size = size / max(density.GRAIN, size.max() / density.CELLS)
    shape = np.maximum(np.round(size).astype(int), 1)
    seen = density.within(points, extent)
    grid = density.cells(points[seen], extent, shape)
    image = density.picture(grid, colors[seen])
    image[..., 3] *= look.alpha
    return ax.imshow(
        image, extent=extent, origin="lower", aspect=ax.get_aspect(),
        interpolation="nearest",
    )  # fmt: skip


def draw_highlighted(ax, points, colors, look, name):
    """Points on top, with an edge that parts them from all others."""
    if not len(points):
        return None
    diameter = max(LARGER * look.diameter, LEAST_HIGHLIGHTED)
    edge = matplotlib().rcParams["text.color"]
    return ax.scatter(
        *points.T, s=diameter**2, c=colors, edgecolors=edge, linewidths=0.6,
        label=name, zorder=3, rasterized=len(points) > HEAVY,
    )  # fmt: skip
