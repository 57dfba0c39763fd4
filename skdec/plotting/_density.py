"""Many points in little room: size and opacity by density, and pictures of density."""

from typing import NamedTuple

import numpy as np

# Points are as large as lets them cover this share of the room where most of them are.
COVER = 1.0

# Diameters in typographic points.
SMALLEST, LARGEST = 0.9, 7.0

# Points are at least as large as this share of those of an even map of as many.
LEAST_OF_EVEN = 0.3

# Room in which density is measured, in typographic points.
CELL = 10.0

# The least opacity of points, and of a cell of a picture with one point.
FAINTEST, LONE = 0.15, 0.35

# A picture's cells are so many typographic points wide: no smaller than the pixels of a
# screen, which would leave some out.  At most so many are along its longer side.
GRAIN, CELLS = 1.2, 800

# The density that is opaque: above it is this share of the cells.
DENSEST = 0.02


class Look(NamedTuple):
    """Diameter of a point, in typographic points, and its opacity."""

    diameter: float
    alpha: float


def look(points, unit):
    """How points are drawn such that they can be told apart, as ``Look``.

    ``unit`` tells how many typographic points a unit is along x and y.
    """
    points = points * unit
    density = crowding(points / CELL) / CELL**2
    if not density > 0:
        return Look(LARGEST, 0.9)
    # a few points far apart in tight heaps are seen from afar
    spread = len(points) / max(np.prod(np.ptp(points, axis=0)), CELL**2)
    diameters = np.sqrt(4 * COVER / (np.pi * np.array([density, spread])))
    least = np.clip(LEAST_OF_EVEN * diameters[1], SMALLEST, LARGEST)
    diameter = np.clip(diameters[0], least, LARGEST)
    covered = density * np.pi * diameter**2 / 4
    return Look(float(diameter), float(np.clip(0.9 * COVER / covered, FAINTEST, 0.9)))


def crowding(points):
    """How many points are in the unit cell of a point, on average."""
    if not len(points):
        return 0.0
    cells = np.floor(points - points.min(axis=0)).astype(np.int64)
    number = cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1]
    _, counts = np.unique(number, return_counts=True)
    return float(counts @ counts / counts.sum())


def within(points, extent):
    """Which points are within (left, right, bottom, top), of axes either way round."""
    edges = np.sort(np.reshape(extent, (2, 2)), axis=1)
    return ((edges[:, 0] <= points) & (points <= edges[:, 1])).all(axis=1)


class Cells(NamedTuple):
    """A grid over a picture, and in which cell of it each point is."""

    of_point: np.ndarray  # flat, row by row from below
    shape: tuple  # rows and columns

    def sums(self, weights=None):
        """Σ of weights over each cell, or how many points it has."""
        size = self.shape[0] * self.shape[1]
        return np.bincount(self.of_point, weights, size).reshape(self.shape)


def cells(points, extent, shape):
    """The grid of some shape over (left, right, bottom, top), as ``Cells``."""
    low = np.array([extent[0], extent[2]])
    span = np.array([extent[1], extent[3]]) - low
    size = np.array(shape[::-1])
    place = np.clip(((points - low) / span * size).astype(np.int64), 0, size - 1)
    return Cells(place[:, 1] * size[0] + place[:, 0], tuple(shape))


def picture(grid, colors):
    """RGBA of each cell: the mean colour of its points, opaque where there are many.

    Opacity is log(1 + count), from ``LONE`` for one point to 1 in the densest cells.
    """
    counts = grid.sums()
    image = np.zeros((*grid.shape, 4))
    there = counts > 0
    if not there.any():
        return image
    for channel in range(3):
        mean = grid.sums(colors[:, channel])[there] / counts[there]
        image[there, channel] = np.clip(mean, 0, 1)
    image[there, 3] = opacity(counts[there])
    return image


def opacity(counts):
    """How opaque cells with so many points are."""
    most = np.quantile(counts, 1 - DENSEST)
    if most <= 1:
        return np.full(counts.shape, 1.0)
    share = np.log(counts) / np.log(most)
    return np.clip(LONE + (1 - LONE) * share, 0, 1)
