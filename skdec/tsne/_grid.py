"""The potential of the points of a map in n log n: near pairs, a grid, far points."""

import math
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import fft

from skdec.kernels import grid
from skdec.kernels.near_pairs import REACH
from skdec.kernels.types import STUDENT_T, Bands, Cauchy, Potential, SortedPoints
from skdec.tsne._plan import (
    NEAR_PAIR,
    NODE,
    POINT,
    Plan,
    make_plan,
    spreading,
    transform,
)
from skdec.tsne._rounding import Summed, loses_digits
from skdec.tsne._series import potential, series_of
from skdec.tsne._split import DOUBLE
from skdec.utils.warn import warn

# A plan is made anew after so many evaluations, or when so many points more than it
# expects, or twice as many, are off its grid.
LIFETIME, STRAYS = 10, 8

# Up to so many points pairs take over where double precision has too few digits.
PAIRS_UP_TO = 20_000

# Bands that threads share, the nodes that are transformed at a time, and the fewest
# frequencies of the last axis: so many lie beside each other in a line of the cache.
N_BANDS, BLOCK, BESIDE = 32, 2**16, 8


class Placement(NamedTuple):
    """A plan, and the cell of each point; −1 off its grid."""

    plan: Plan
    cell: np.ndarray


class Prepared(NamedTuple):
    """What a sum is read from: near pairs of the points, and the nodes."""

    points: SortedPoints
    bands: Bands
    nodes: np.ndarray  # in one line
    constant: float  # that Φ from the nodes is short of everywhere
    cubes: float  # Σ ρ³ of the charges at the nodes


def through(waves, F, periods):
    """Waves of the last axis, there and back along the others, with F between."""
    shape = waves.shape
    for axis, period in reversed(list(enumerate(periods))):
        waves = fft.fft(waves, period, axis=axis)
    # F is even: the upper half of frequencies, backwards, has its lower half
    halves = [
        (
            (slice(n // 2 + 1), slice(None)),
            (slice(n // 2 + 1, n), slice(n // 2 - 1, 0, -1)),
        )
        for n in periods
    ]
    for parts in product(*halves):
        there, of = zip(*parts, strict=True)
        waves[there] *= F[of]
    for axis in range(len(periods)):
        waves = fft.ifft(waves, axis=axis, overwrite_x=True)
        waves = waves[(slice(None),) * axis + (slice(shape[axis]),)]
    return waves


def by_pairs(kernel, Y, positions, targets, others, out):
    """The task that adds targets' pairs with others, of which charges are the last row.

    ``positions`` tell numba the number of axes.
    """
    if kernel.kind == STUDENT_T and kernel.dof == 1:
        # far less to compile than what takes any similarity
        return lambda start, stop: grid.add_cauchy_rows(
            Y, positions, targets, others, Cauchy(), start, stop, out
        )
    return lambda start, stop: grid.add_rows(
        Y, targets, others, kernel, start, stop, out
    )


class GridSum:
    """Φ(y_i) = Σ_j c_j s(‖y_i − y_j‖²) of all points of a map, and −∇Φ.

    Parameters
    ----------
    kernel : Kernel
        The similarity s.
    quality : Quality
        How exact the sum is.
    threads : Threads
        Where it runs.
    promised : Quality or None
        How exact it has to be, if less will do.
    """

    def __init__(self, kernel, quality, threads, promised=None):
        self.kernel, self.quality, self.threads = kernel, quality, threads
        self.promised = promised or quality
        self._plan, self._age = None, 0
        self._of, self._transform = None, None
        self._told = False

    def plan(self, Y):
        """The placement of a map Y of (n_axes, n), of two axes or three.

        None if every grid is too large.  A plan serves for some evaluations.
        """
        plan, self._age = self._plan, self._age + 1
        if plan is not None and self._age < LIFETIME:
            cell = self._cells(Y, plan)
            n_off = np.count_nonzero(cell < 0)
            if n_off <= max(2 * plan.n_far, plan.n_far + STRAYS):
                return Placement(plan, cell)
        plan = self._plan = make_plan(Y, self.kernel, self.quality)
        self._age = 0
        return None if plan is None else Placement(plan, self._cells(Y, plan))

    def _transformed(self, mesh):
        """F̂/φ̂² of a mesh, kept while it does for the next one."""
        of = mesh.split, mesh.periods
        if of != self._of:
            self._of, self._transform = of, transform(*of)
        return self._transform

    def at(self, Y, placement, charges=None):
        """The potential of points Y of (n_axes, n), each with its charge c, or with 1.

        The point itself is one of the sum.  None where digits need a finer grid, which
        would be too large, or pairs.
        """
        terms = series_of(Y, self.kernel, self.quality)
        if terms is not None:
            return potential(Y, charges, terms, self.threads)
        out = self._sum(Y, placement, charges)
        coarse = placement.plan.mesh.split.quality is not DOUBLE
        if coarse and loses_digits(placement.plan, charges, out):
            # as long as one serves
            plan, self._age = make_plan(Y, self.kernel, DOUBLE), 0
            self._plan = plan
            if plan is None:
                return None
            out = self._sum(Y, Placement(plan, self._cells(Y, plan)), charges)
        elif self.promised is DOUBLE and loses_digits(placement.plan, charges, out):
            if Y.shape[1] <= PAIRS_UP_TO:
                return None
            self._tell()
        return out.potential

    def _tell(self):
        if not self._told:
            warn(
                "points in one place, or nearly, are so far from all others that the "
                "grid may be right to less than the 1e-11 of the forces that double "
                "precision promises; repulsion='pairs' is right to more",
                RuntimeWarning,
            )
        self._told = True

    def _sum(self, Y, placement, charges):
        """That by the grid of a placement."""
        plan, dtype = placement.plan, placement.plan.mesh.split.quality.dtype
        Y = Y.astype(dtype, copy=False)  # one type for all: half as much to compile
        out = Potential(np.empty(Y.shape[1], dtype), np.empty(Y.shape, dtype))
        charges = np.empty(0, dtype) if charges is None else charges.astype(dtype)
        prepared = self.prepared(Y, placement, charges)
        points, bands, nodes = prepared.points, prepared.bands, prepared.nodes
        spread = spreading(plan.mesh.split.quality)
        window, most = spread.polynomials, plan.most_near(points.edges)
        self._run(
            lambda start, stop: grid.potential_bands(
                points, bands, plan.cells, plan.mesh.lattice, window, nodes, plan.near,
                most, start, stop, out,
            ),
            len(bands.nodes),
            plan.cost,
        )  # fmt: skip
        out.value[points.order] += dtype.type(prepared.constant)
        self._add_far(Y, charges, placement.cell, points, out)
        level = float(np.linalg.norm(nodes)) / math.sqrt(nodes.size)
        total = charges.sum(dtype=np.float64) if len(charges) else Y.shape[1]
        heaps = math.sqrt(max(prepared.cubes, 0) / spread.cubed ** len(Y) / total)
        return Summed(out, level, heaps)

    def prepared(self, Y, placement, charges):
        """The points by cells, their bands, and F summed up at the nodes."""
        plan = placement.plan
        points = self._sorted(Y, charges, placement.cell, plan)
        bands = self._bands(points, plan)
        nodes, cubes = self._spread(points, bands, plan)
        nodes, constant = self._convolved(nodes, plan)
        return Prepared(points, bands, nodes.reshape(-1), constant, cubes)

    def _run(self, task, n_rows, cost):
        # what takes a nanosecond counts as one pair
        self.threads.run_ranges(task, n_rows, int(cost))

    def _cells(self, Y, plan):
        cell = np.empty(Y.shape[1], np.int32)
        self._run(
            lambda start, stop: grid.cell_rows(Y, plan.cells, start, stop, cell),
            len(cell),
            2 * len(cell),
        )
        return cell

    def _sorted(self, Y, charges, cell, plan):
        edges = grid.edges_of(cell, math.prod(plan.cells.shape))
        order = np.empty(edges[-1], np.int32)
        grid.sort_cells(cell, edges[:-1].copy(), order)
        positions = np.empty((len(Y), len(order)), Y.dtype)
        charge = np.empty(len(order), plan.mesh.split.quality.dtype)
        self._run(
            lambda start, stop: grid.sorted_rows(
                Y, charges, order, start, stop, positions, charge
            ),
            len(order),
            5 * len(order),
        )
        return SortedPoints(tuple(positions), charge, order, edges)

    @staticmethod
    def _bands(points, plan):
        """Slices of cells in bands of about the same work."""
        cells, mesh = plan.cells, plan.mesh.lattice
        counts = np.diff(points.edges).reshape(cells.shape[0], -1)
        work = POINT[cells.n_axes] * counts.sum(axis=1, dtype=np.float64)
        if plan.near.tau > 0:
            near = (2 * REACH + 1) ** cells.n_axes * NEAR_PAIR[cells.n_axes]
            work += near * np.square(counts, dtype=np.float64).sum(axis=1)
        done = np.cumsum(work)
        shares = done[-1] * np.arange(1, N_BANDS) / N_BANDS
        slices = np.unique(np.r_[0, np.searchsorted(done, shares), len(counts)])
        # a node more on either side, for rounding
        beyond = plan.mesh.split.quality.n_nodes + 2
        edges = (slices / cells.per_unit * mesh.per_unit).astype(int)
        first = np.maximum(edges[:-1] - 1, 0)
        last = np.minimum(edges[1:] + beyond, mesh.shape[0])
        strips = np.r_[0, np.cumsum((last - first) * math.prod(mesh.shape[1:]))]
        cells = slices * counts.shape[1]
        return Bands(cells, points.edges[cells], strips, first)

    def _spread(self, points, bands, plan):
        """The charges ρ at the nodes, and Σ ρ³."""
        mesh, quality = plan.mesh.lattice, plan.mesh.split.quality
        window = spreading(quality).polynomials
        # shares of many points: single precision would lose the small ones, always
        # on the same side
        strips = np.empty(bands.strips[-1])
        self._run(
            lambda start, stop: grid.spread_bands(
                points, bands, mesh, window, start, stop, strips
            ),
            len(bands.nodes),
            POINT[mesh.n_axes] / 2 * len(points.order),
        )
        nodes = np.empty(mesh.shape, quality.dtype)
        slices, cubes = nodes.reshape(len(nodes), -1), np.empty(len(nodes))
        self._run(
            lambda start, stop: grid.add_strips(
                strips, bands, start, stop, slices, cubes
            ),
            len(slices),
            nodes.size,
        )
        return nodes, float(cubes.sum())

    def _convolved(self, nodes, plan):
        """What is at the nodes, convolved with F and made ready for φ; and a constant.

        The half of the lines that are zero, or not wanted, are never transformed; one
        range of frequencies of the last axis goes there and back along the others while
        it is in the cache.  A constant is taken off before the last transform, so that
        its rounding, which φ′ enlarges, is that of how the potential varies.
        """
        n_columns, periods = nodes.shape[-1], plan.mesh.periods
        F, columns = self._transformed(plan.mesh), periods[-1]
        lines = nodes.reshape(-1, n_columns)
        waves = np.empty(
            (*nodes.shape[:-1], columns // 2 + 1), np.result_type(F.dtype, np.complex64)
        )
        by_lines = waves.reshape(len(lines), -1)

        def forward(b):
            by_lines[b] = fft.rfft(lines[b], columns, axis=1)

        def convolve(b):
            waves[..., b] = through(waves[..., b], F[..., b], periods[:-1])

        def backward(b):
            lines[b] = fft.irfft(by_lines[b], columns, axis=1)[:, :n_columns]

        self._by_lines(forward, len(lines), columns)
        # the sums along the last axis, which hold the constant
        sums = waves[..., :1].astype(complex)
        sums = through(sums, F[..., :1].astype(float), periods[:-1])
        self._by_lines(convolve, waves.shape[-1], math.prod(periods[:-1]), BESIDE)
        middle = waves[tuple(n // 2 for n in nodes.shape[:-1])]
        middle = fft.irfft(middle.astype(complex), columns)[:n_columns]
        constant = float(middle.mean())
        waves[..., :1] = sums - constant * columns
        self._by_lines(backward, len(lines), columns)
        # in the sum with φ, whose values at the nodes add up to its integral
        quality = plan.mesh.split.quality
        integral = spreading(quality).transform(np.zeros(1))[0]
        return nodes, constant * integral**nodes.ndim

    def _by_lines(self, transform, n_lines, period, fewest=1):
        """Call it with slices of lines, as many as stay in the cache."""
        size = max(fewest, BLOCK // period)

        def task(start, stop):
            for block in range(start, stop):
                first = block * size
                transform(slice(first, min(first + size, n_lines)))

        self._run(task, -(-n_lines // size), NODE[2] / 2 * n_lines * period)

    def _add_far(self, Y, charges, cell, points, out):
        """Every pair of a point off the grid and any other."""
        far = np.flatnonzero(cell < 0).astype(np.int32)
        if len(far) == 0:
            return
        out.value[far], out.forces[:, far] = 0, 0
        charges = charges if len(charges) else np.ones_like(Y[0])
        everyone = np.arange(Y.shape[1], dtype=np.int32)
        for targets, sources in ((points.order, far), (far, everyone)):
            # take needs a tenth of the time of Y[:, sources]
            others = np.concatenate([Y.take(sources, axis=1), charges[None, sources]])
            add = by_pairs(self.kernel, Y, points.positions, targets, others, out)
            self._run(add, len(targets), 2 * len(targets) * len(sources))
