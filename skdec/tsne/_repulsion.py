"""What pushes the points of a map apart, summed by a grid."""

from typing import NamedTuple

import numpy as np

from skdec.tsne._grid import GridSum
from skdec.tsne._plan import PAIR, has_grid
from skdec.tsne._split import DOUBLE, SINGLE

# What a sum by a grid costs however few the points, in the units of ``_plan``.
SETTING_OUT = 1e6

# Of a sum that is smaller beside the points themselves too few digits are left: then
# pairs are summed.
LEAST_SHARE = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-6}


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
    """

    def __init__(self, kernel, joint, dtype, threads, *, always):
        # of a row far out in the map little is left beside the point itself
        single = joint and dtype == np.float32
        self.sum = GridSum(kernel, SINGLE if single else DOUBLE, threads)
        self.joint, self.always = joint, always

    def __call__(self, Y):
        """The repulsion at Y of (n_components, n), or None where pairs are better."""
        if not has_grid(self.sum.kernel, len(Y)):
            return None
        plane, n = Y, Y.shape[1]
        if len(Y) == 1:  # along the rows of the grid, which threads share
            plane = np.concatenate([np.zeros_like(Y), Y])
        placement = self.sum.plan(plane)
        if placement is None:
            return None
        cost = placement.plan.cost * (1 if self.joint else 2) + SETTING_OUT
        if cost > PAIR * n * n and not self.always:
            return None
        sums = self.sum.at(plane, placement)
        Z = sums.value - 1.0  # without the point itself
        least = LEAST_SHARE[sums.value.dtype]
        if self.joint:
            total = Z.sum(dtype=np.float64)
            if not total > least * n:
                return None
            forces = (sums.forces[-len(Y) :] / total).astype(Y.dtype)
            return Repulsion(forces, np.log(total))
        if not Z.min() > least * sums.value.max():
            return None
        forces = (sums.forces / Z + self.sum.at(plane, placement, 1 / Z).forces) / 2
        return Repulsion(forces[-len(Y) :].astype(Y.dtype), np.log(Z))
