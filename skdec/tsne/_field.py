"""What pushes new points from the fitted ones, at any place of the map."""

import numpy as np

from skdec.kernels import grid, placement
from skdec.kernels.types import STUDENT_T, Potential, read_only
from skdec.tsne._grid import GridSum, by_pairs
from skdec.tsne._plan import has_grid, spreading
from skdec.tsne._split import DOUBLE

# Up to so many fitted points every one of them is met: that takes no preparation.
PAIRS_UP_TO = 20_000

# Where Φ is a smaller share of its largest value the grid has too few digits of it.
LEAST_SHARE = 1e-6

# Where every fitted point counts once.
NO_CHARGES = np.empty(0)


def repulsion_of(Y, kernel, threads, charges=NO_CHARGES):
    """log Φ and −∇ log Φ of fitted points Y of (n_components, n), as a function.

    It takes places and the threads to run on.  Each point counts as often as its charge
    says, if there are ``charges``.
    """
    gridded = len(Y) > 1 and kernel.kind == STUDENT_T and has_grid(kernel, len(Y))
    pairs = PairField(Y, kernel, charges)
    if not gridded or Y.shape[1] <= PAIRS_UP_TO:
        return pairs
    sums = GridSum(kernel, DOUBLE, threads)
    placed = sums.plan(Y)
    return pairs if placed is None else GridField(Y, sums, placed, pairs, threads)


class PairField:
    """The same from every pair of a new and a fitted point."""

    def __init__(self, Y, kernel, charges=NO_CHARGES):
        self.Y, self.kernel, self.charges = Y, kernel, read_only(charges)

    def __call__(self, V, threads, own=None):
        """At places V of (n_new, n_components), without the fitted points ``own``."""
        out = Potential(np.empty(len(V)), np.empty(V.T.shape))
        own = np.full(len(V), -1) if own is None else own
        threads.run_ranges(
            lambda start, stop: placement.repulsion_rows(
                V, own, self.Y, self.charges, self.kernel, start, stop, out
            ),
            len(V),
            V.shape[0] * self.Y.shape[1],
        )
        return out


class GridField:
    """The same from a grid: near points and nodes, in a time that n does not change.

    Parameters
    ----------
    Y : ndarray of shape (2, n_samples)
        The fitted points.
    sums : GridSum
        Their sum.
    placed : Placement
        Where they are on its grid, and which are off it.
    pairs : PairField
        For places off the grid.
    threads : Threads
        Where it is prepared.
    """

    def __init__(self, Y, sums, placed, pairs, threads):
        self.plan, self.pairs = placed.plan, pairs
        self.prepared = sums.prepared(Y, placed, pairs.charges)
        self.window = spreading(self.plan.mesh.split.quality).polynomials
        self.most = self.plan.most_near(self.prepared.points.edges)
        charges = pairs.charges if len(pairs.charges) else np.ones(Y.shape[1])
        # those off the grid, and last what they count
        self.far = np.concatenate([Y, charges[None]]).compress(placed.cell < 0, axis=1)
        some = np.ascontiguousarray(Y[:, :: max(1, Y.shape[1] // 1000)])
        values = self._read(some, threads).value
        self.least = LEAST_SHARE * values.max(initial=0, where=values < np.inf)

    def _read(self, V, threads):
        """Φ and −∇Φ at places V of (n_axes, n_new); infinite off the grid."""
        plan, prepared = self.plan, self.prepared
        out = Potential(np.empty(V.shape[1]), np.zeros(V.shape))
        threads.run_ranges(
            lambda start, stop: grid.field_rows(
                V, prepared.points, plan.cells, plan.mesh.lattice, self.window,
                prepared.nodes, plan.near, self.most, start, stop, out,
            ),
            V.shape[1],
            V.shape[1] * (self.most + 1000),
        )  # fmt: skip
        out.value[:] += prepared.constant
        if self.far.shape[1] > 0:
            everywhere, kernel = np.arange(V.shape[1]), self.pairs.kernel
            positions = prepared.points.positions
            add = by_pairs(kernel, V, positions, everywhere, self.far, out)
            threads.run_ranges(add, V.shape[1], V.shape[1] * self.far.shape[1])
        return out

    def __call__(self, V, threads, own=None):
        """At places V of (n_new, 2), without the fitted points ``own``.

        ``own`` goes with fitted points that count once each.
        """
        out = self._read(np.ascontiguousarray(V.T), threads)
        if own is not None:
            self._subtract(out, V, own)
        off = np.flatnonzero(~((out.value > self.least) & (out.value < np.inf)))
        out.value[off] = 1
        out.forces[:] /= out.value
        log_phi = np.log(out.value)
        if len(off):
            beyond = self.pairs(V[off], threads, None if own is None else own[off])
            log_phi[off], out.forces[:, off] = beyond.value, beyond.forces
        return Potential(log_phi, out.forces)

    def _subtract(self, out, V, own):
        """Φ −= s and −∇Φ −= 2g s (v − y) of one fitted point each."""
        nu, apart = self.pairs.kernel.dof, V.T - self.pairs.Y[:, own]
        D = np.einsum("dt,dt->t", apart, apart)
        s = (1 + D / nu) ** (-(nu + 1) / 2)
        # where little else is near, what is left has too few digits
        out.value[out.value - s < LEAST_SHARE * s] = np.inf
        out.value[:] -= s
        out.forces[:] -= (nu + 1) / (nu + D) * s * apart
