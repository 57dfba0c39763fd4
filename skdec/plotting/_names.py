"""The names of classes, where these are densest, beside each other."""

import numpy as np
from scipy.ndimage import uniform_filter

from skdec.plotting._axes import background, matplotlib, unit
from skdec.plotting._density import cells, within

# Where a class is densest is looked for in so many cells along a side.
NAME_CELLS = 32

# Width of a letter and height of a line in font sizes, and how often names push.
LETTER, LINE, PUSHES = 0.7, 1.1, 50


def write_names(ax, points, classes, math):
    """The names of classes where they are densest, with a rim that parts them.

    ``math``: whether what is between dollar signs is a formula.
    """
    effects = matplotlib("patheffects")
    rim = [effects.withStroke(linewidth=2.5, foreground=background(ax), alpha=0.85)]
    size = 10.0 if len(classes.names) <= 15 else 7.5
    extent = (*ax.get_xlim(), *ax.get_ylim())
    places = {}
    for number, name in classes.names.items():
        members = points[classes.numbers == number]
        members = members[within(members, extent)]  # of those that are seen
        if len(members):
            places[name] = densest(members, extent)
    room = np.array([[LETTER * len(name), LINE] for name in places]).reshape(-1, 2)
    scale = unit(ax) / size
    apart = spread_apart(np.array([*places.values()]).reshape(-1, 2) * scale, room)
    return {
        name: ax.text(
            *place, name, ha="center", va="center", fontsize=size, weight="bold",
            path_effects=rim, zorder=4, clip_on=True, parse_math=math,
        )
        for name, place in zip(places, apart / scale, strict=True)
    }  # fmt: skip


def spread_apart(centers, sizes):
    """Centers of boxes, moved as little as parts them; some may still overlap."""
    centers = centers.copy()
    for _ in range(PUSHES):
        between = centers[:, None] - centers
        overlap = (sizes[:, None] + sizes) / 2 - abs(between)
        overlap[np.diag_indices(len(centers))] = 0
        meet = (overlap > 0).all(axis=2)
        if not meet.any():
            break
        # along the axis on which they overlap less; of two at one place the later up
        axis = np.where(overlap[..., 0] < overlap[..., 1], 0, 1)[..., None]
        later = np.sign(np.arange(len(centers))[:, None] - np.arange(len(centers)))
        side = np.where(between == 0, later[..., None], np.sign(between))
        push = np.where(np.arange(2) == axis, overlap * side, 0) / 2
        centers += (push * meet[..., None]).sum(axis=1) / np.maximum(
            1, meet.sum(axis=1, keepdims=True)
        )
    return centers


def densest(points, extent):
    """Where points are densest: the mean of those around the fullest place."""
    grid = cells(points, extent, (NAME_CELLS, NAME_CELLS))
    # 3 × 3 cells around each; small whole numbers, so that ties are ties
    around = np.round(9 * uniform_filter(grid.sums().astype(float), 3, mode="constant"))
    row, column = np.unravel_index(np.argmax(around), around.shape)
    rows, columns = np.divmod(grid.of_point, NAME_CELLS)
    near = (abs(rows - row) <= 1) & (abs(columns - column) <= 1)
    return points[near].mean(axis=0)
