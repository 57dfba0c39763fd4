"""What pushes the points of a map apart, summed by a grid."""

from typing import NamedTuple

import numpy as np

from skdec.kernels import embedding
from skdec.tsne._affinities import own_copies
from skdec.tsne._grid import GridSum
from skdec.tsne._plan import FUSED_PAIR, PAIR, has_grid
from skdec.tsne._split import DOUBLE, LARGEST_DOF, LEAST_DOF, SINGLE

# What a sum by a grid costs however few the points, in the units of ``_plan``.
SETTING_OUT = 1e6

# Of a sum that is smaller beside the points themselves too few digits are left: a grid
# in single precision is then made one in double, and that gives way to pairs.
LEAST_SHARE = {np.dtype(np.float32): 0.3, np.dtype(np.float64): 1e-6}


def check_grid(kernel, n_components):
    """Raise if a similarity has no grid in a map of so many components."""
    if not has_grid(kernel, n_components):
        raise ValueError(
            "repulsion='grid' needs 1 to 3 components and dof from "
            f"{LEAST_DOF:g} to {LARGEST_DOF:g}, or kernel='gaussian'; got "
            f"{n_components} components, dof={kernel.dof:g}"
        )


class Repulsion(NamedTuple):
    """What pushes points apart, and the normalisation of q."""

    forces: np.ndarray  # Σ_j 2g_ij q_ij (y_i − y_j), q as in the gradient of KL
    log_Z: float | np.ndarray  # of all pairs, or of each row under conditional


class GridRepulsion:
    """The repulsion of all pairs by a grid, where a rule says that it costs less.

    Parameters
    ----------
    kernel : Kernel
        The similarity s.
    joint : bool
        Whether q is normalised jointly instead of per row.
    dtype : dtype
        Of the map.
    threads : Threads
        Where it runs.
    always : bool
        Whether it is used whatever it costs.
    weights : ndarray of shape (n_samples,) or None
        How many copies of each point there are.
    """

    def __init__(self, kernel, joint, dtype, threads, *, always, weights=None):
        # of a row far out in the map little is left beside the point itself
        single = joint and dtype == np.float32
        self.promised = SINGLE if dtype == np.float32 else DOUBLE
        quality = SINGLE if single else DOUBLE
        self.sum = GridSum(kernel, quality, threads, self.promised)
        self.joint, self.always, self.weights = joint, always, weights

    def __call__(self, Y, fused=False):
        """The repulsion at Y of (n_components, n), or None where pairs are better.

        ``fused`` tells whether a fused loop would take them.
        """
        if not has_grid(self.sum.kernel, len(Y)):
            return None
        plane, n = Y, Y.shape[1]
        if len(Y) == 1:  # along the rows of the grid, which threads share
            plane = np.concatenate([np.zeros_like(Y), Y])
        placement = self.sum.plan(plane)
        if placement is None:
            return None
        cost = placement.plan.cost * (1 if self.joint else 2) + SETTING_OUT
        pair = FUSED_PAIR[len(Y)] if fused else PAIR
        if cost > pair * n * n and not self.always:
            return None
        weights = self.weights
        sums = self.sum.at(plane, placement, weights)
        if sums is None:
            return None
        # without the copy itself, of which there may be less than one
        Z = sums.value - (1.0 if weights is None else np.minimum(weights, 1))
        least = LEAST_SHARE[sums.value.dtype]
        if self.joint:
            copies = Z if weights is None else weights * Z
            total, n = (
                copies.sum(dtype=np.float64),
                n if weights is None else weights.sum(),
            )
            if not total > least * n:
                return self._in_double(Y, fused)
            forces = (sums.forces[-len(Y) :] / total).astype(Y.dtype)
            return Repulsion(forces, np.log(total))
        if not Z.min() > least * sums.value.max():
            return None
        charges = 1 / Z if weights is None else weights / Z
        charged = self.sum.at(plane, placement, charges)
        if charged is None:
            return None
        forces = (sums.forces / Z + charged.forces) / 2
        return Repulsion(forces[-len(Y) :].astype(Y.dtype), np.log(Z))

    def _in_double(self, Y, fused):
        """By a grid in double precision from now on, or None where that is one."""
        if self.sum.quality is DOUBLE:
            return None
        self.sum = GridSum(self.sum.kernel, DOUBLE, self.sum.threads, self.promised)
        return self(Y, fused)


class CopiesRepulsion:
    """The repulsion of copies that share their places, by every pair of places.

    Parameters
    ----------
    kernel : Kernel
        The similarity s.
    joint : bool
        Whether q is normalised jointly instead of per row.
    weights : ndarray of shape (n_samples,)
        How many copies of each point there are.
    energy : callable
        −log s of an array of D.
    threads : Threads
        Where it runs.
    """

    def __init__(self, kernel, joint, weights, energy, threads):
        self.kernel, self.joint, self.threads = kernel, joint, threads
        self.weights, self.energy = weights, energy

    def __call__(self, Y):
        """The repulsion of a copy of each point, at Y of (n_components, n)."""
        near, own = np.empty(Y.shape[1], Y.dtype), own_copies(self.weights)
        self._run(lambda start, stop: embedding.nearest_rows(Y, start, stop, near))
        near[own > 0] = 0
        if self.joint:
            near[:] = near.min()
        forces, Z = self._sums(Y, near, near[:0])
        # D° = 0 wherever there are any of them
        Z = Z.astype(np.float64) + own
        if not self.joint:
            forces, _ = self._sums(Y, near, (1 / Z).astype(Y.dtype))
            return Repulsion(forces, np.log(Z) - self.energy(near.astype(np.float64)))
        total = self.weights @ Z
        log_Z = float(np.log(total) - self.energy(float(near[0])))
        return Repulsion(forces / Y.dtype.type(total), log_Z)

    def _sums(self, Y, near, inverse):
        charges = self.weights.astype(Y.dtype)
        forces, Z = np.empty_like(Y), np.empty(Y.shape[1], Y.dtype)
        self._run(
            lambda start, stop: embedding.charged_rows(
                Y, charges, self.kernel, near, inverse, start, stop, forces, Z
            )
        )
        return forces, Z

    def _run(self, task):
        n = len(self.weights)
        self.threads.run_ranges(task, n, n * n)
