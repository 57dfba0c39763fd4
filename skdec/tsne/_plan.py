"""Where the grid of the fast sum lies, how fine it is, and which pairs are near."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce

import numpy as np
from scipy import fft

from skdec.kernels import grid
from skdec.kernels.near_pairs import REACH, most_near
from skdec.kernels.types import GAUSSIAN, STUDENT_T, Lattice
from skdec.tsne._split import (
    LARGEST_DOF,
    LEAST_DOF,
    Split,
    Spreading,
    cuts,
    levelled,
)

# What work costs, in nanoseconds of a thread on the machines it was measured on.  They
# stand for a rule, not for a clock: what they lead to is the same on every machine.
# Of an ordered pair: far from the grid, and in a loop over all of them that is not
# fused.
FAR_PAIR, PAIR = 2.0, 2.0
# by the number of axes
FUSED_PAIR = {2: 0.1, 3: 0.35}
NEAR_PAIR, NODE, POINT = {2: 0.7, 3: 1.2}, {2: 10.0, 3: 16.0}, {2: 150.0, 3: 900.0}

# A plan leaves the map so much room on every side, in units of its extent.
ROOM = 0.04

# The largest share of points that may lie off the grid, because they are far from the
# rest, and the τ at which the size of a grid without them is judged.
MOST_FAR, JUDGED_TAU = 1 / 64, 0.5

# No larger grid is made: it would take more than a gigabyte.
MOST_NODES = 2**27

# A cell without near pairs is so many nodes wide: their windows share the cache.
CELL_NODES = 8


@lru_cache(maxsize=2)
def spreading(quality):
    """The window of a quality, which is made once."""
    return Spreading(quality)


def has_grid(kernel, n_components):
    """Whether a similarity has a grid."""
    if kernel.kind == STUDENT_T and not LEAST_DOF <= float(kernel.dof) <= LARGEST_DOF:
        return False
    return n_components <= 3 and kernel.kind in (GAUSSIAN, STUDENT_T)


@dataclass(frozen=True)
class Mesh:
    """Nodes, and the cyclic grid of at least twice as many along every axis."""

    lattice: Lattice
    split: Split

    @property
    def periods(self):
        """The shape of the cyclic grid, of even numbers."""
        margin = self.split.quality.margin
        return tuple(
            2 * fft.next_fast_len(n + margin // 2, real=True)
            for n in self.lattice.shape
        )

    @property
    def cost(self):
        """Of its transforms."""
        size = self.split.quality.dtype.itemsize / 4
        return NODE[self.lattice.n_axes] * size * math.prod(self.periods)


def transform(split, periods):
    """F̂/φ̂² at the frequencies of a cyclic grid: from 0 up, the rest is even."""
    quality, window = split.quality, spreading(split.quality)
    squares, windows, frequencies = [], [], []
    for period in periods:
        t = np.arange(period // 2 + 1.0)
        level = levelled(t, (period - quality.margin) / 2, period / 2, quality.flatness)
        squares.append(np.square(split.spacing * level))
        k = 2 * np.pi / period * t
        frequencies.append(np.square(k))
        windows.append(np.square(window.transform(k)))
    F = split.far(reduce(np.add.outer, squares))
    F = fft.dctn(F, type=1, overwrite_x=True)
    F /= reduce(np.multiply.outer, windows)
    # nothing but rounding is left there, and 1/φ̂² would enlarge it beyond all else
    F[reduce(np.add.outer, frequencies) > np.pi**2] = 0
    return F.astype(quality.dtype)


@dataclass(frozen=True)
class Plan:
    """A grid for the points within its cells; those beyond are summed by pairs."""

    mesh: Mesh
    cells: Lattice
    n_far: int
    cost: float

    @cached_property
    def near(self):
        """N as the kernels take it; τ = 0 for no near pairs."""
        return self.mesh.split.near

    def most_near(self, edges):
        """How many points near a cell there may be, from where points of cells end."""
        return most_near(edges, self.cells) if self.near.tau > 0 else 0


def make_plan(Y, kernel, quality):
    """The cheapest plan for a map Y of (n_axes, n); None if all grids are too large.

    There are two axes or three.
    """
    low, high, n_far = core(Y.astype(np.float64), kernel, quality)
    extent = (high - low).max()
    # an axis without extent, such as that beside a map on a line, keeps none
    least = 1e-6 * kernel.width
    room = np.where(high > low, max(ROOM * extent, least), least)
    low, high = low - room, high + room
    (n_axes, n), best = Y.shape, None
    for tau in cuts(kernel, quality):  # the grids cost more and more
        split = Split(kernel, tau, quality)
        cells = _cells(low, high, split)
        mesh = _mesh(cells, split)
        too_large = math.prod(mesh.lattice.shape) > MOST_NODES / 2**n_axes
        if too_large or (best is not None and mesh.cost >= best.cost):
            break
        cost = mesh.cost + n_far * FAR_PAIR * 2 * n + POINT[n_axes] * n
        if tau < np.inf:
            cost += NEAR_PAIR[n_axes] * near_pairs(Y, cells)
        if best is None or cost < best.cost:
            best = Plan(mesh, cells, n_far, cost)
    return best


def _cells(low, high, split):
    side = split.reach / REACH if split.reach else CELL_NODES * split.spacing
    return _lattice(low, 1 / side, [int(extent / side) + 1 for extent in high - low])


def _mesh(cells, split):
    """The nodes whose windows hold the points of all cells."""
    per_unit, beyond = 1 / split.spacing, split.quality.n_nodes + 1
    numbers = [int(n / cells.per_unit * per_unit) + beyond for n in cells.shape[::-1]]
    return Mesh(_lattice((cells.x, cells.y, cells.z), per_unit, numbers), split)


def _lattice(corner, per_unit, numbers):
    """The lattice with so many along x, y, and z if there is one."""
    x, y, z = (*map(float, corner), 0.0)[:3]
    n_columns, n_rows, n_layers = (*numbers, 1)[:3]
    n_axes = len(numbers)
    return Lattice(x, y, z, per_unit, n_columns, n_rows, n_layers, n_axes)


def near_pairs(Y, cells):
    """About how many pairs are met in neighbouring cells."""
    cell = np.empty(Y.shape[1], np.int32)
    grid.cell_rows(Y, cells, 0, len(cell), cell)
    counts = np.diff(grid.edges_of(cell, math.prod(cells.shape)))
    return (2 * REACH + 1) ** len(Y) * np.square(counts, dtype=np.float64).sum()


def core(Y, kernel, quality):
    """The box of all points but those so far out that a grid for them costs more.

    Returns its low and high corners and how many points are left out of it.
    """
    center = np.median(Y, axis=1)
    distance = np.abs(Y - center[:, None]).max(axis=0)
    tau = JUDGED_TAU if len(cuts(kernel, quality)) > 1 else np.inf
    n, spacing = len(distance), Split(kernel, tau, quality).spacing
    left_out = [0, *(2 ** np.arange(int(np.log2(max(1, n * MOST_FAR))) + 1))]
    largest = np.partition(distance, [n - 1 - m for m in left_out if m < n])
    with np.errstate(over="ignore"):  # infinitely dear is right
        costs = [
            NODE[len(Y)] * (4 * largest[n - 1 - m] / spacing) ** len(Y)
            + 2 * FAR_PAIR * n * m
            for m in left_out
        ]
    n_far = left_out[int(np.argmin(costs))]
    inside = Y[:, distance <= largest[n - 1 - n_far]]
    return inside.min(axis=1), inside.max(axis=1), n_far
