"""How centroids move."""

import copy

import numpy as np

# The momentum, and a smaller one after so many steps: where clusters overlap so much
# that the first goes in circles, the second mostly settles.
CENTROID_MOMENTUM, SLOW_MOMENTUM, SLOW_AFTER = 0.9, 0.5, 100

# Smallest share of a batch in the running curvature.
CURVATURE_RATE = 0.05

# A curvature is at least this share of the repulsion.
DYING = 0.25

# After so many batches steps are half as long.  With fewer they settle too soon, with
# more they take as much longer.
SETTLING = 30


class CentroidDescent:
    """Preconditioned steps with momentum: no learning rate to choose.

    The step is −∂KL/∂μ_j / Σ_i w_i 2g_ij p_ij: with 2g and p held fixed the attraction
    Σ_i w_i 2g_ij p_ij (μ_j − z_i) is linear in μ_j with that curvature, so without the
    repulsion by q the step would be Newton's.  With it the curvature is smaller, p − q
    being small, and the way long: momentum mostly goes it in far fewer steps.
    It is dropped when it points against the step (O'Donoghue & Candès 2015).
    """

    def __init__(self, momentum=CENTROID_MOMENTUM):
        self.momentum, self.velocity, self.n_steps = momentum, None, 0

    def move(self, centers, sums):
        """The next centroids, from the sums over all rows."""
        step = _preconditioned(sums.gradient, _stiffness(sums))
        self.n_steps += 1
        if self.n_steps == SLOW_AFTER:
            self.momentum = min(self.momentum, SLOW_MOMENTUM)
        if self.velocity is None or np.vdot(self.velocity, step) < 0:
            self.velocity = step
        else:
            self.velocity = self.momentum * self.velocity + step
        return centers + self.velocity


class StochasticDescent:
    """The same steps from batches, ever shorter so that their noise averages out.

    The rate falls as 30/(30 + t) over the batches t, as it must for such steps to
    settle (Robbins & Monro 1951); the curvature is a running mean.
    """

    def __init__(self):
        self.n_steps, self.stiffness, self.weight = 0, 0.0, 0.0

    def move(self, centers, sums):
        """The next centroids, from the sums over a batch."""
        self.n_steps += 1
        stiffness = _stiffness(sums) / sums.weight
        rate = max(1 / self.n_steps, CURVATURE_RATE)
        self.stiffness = self.stiffness + rate * (stiffness - self.stiffness)
        self.weight += rate * (sums.weight - self.weight)
        # a batch counts by its weight, compared with that of the others
        weight = max(sums.weight, self.weight)
        step = _preconditioned(sums.gradient / weight, self.stiffness)
        return centers + SETTLING / (SETTLING + self.n_steps) * step

    def in_unit(self, unit):
        """The same, to go on with batches whose weights are in units of ``unit``."""
        other = copy.copy(self)
        other.weight = self.weight / unit
        return other

    def numbered(self, order):
        """The same with its clusters in another order."""
        other = copy.copy(self)
        # one number for all of them before the first step
        other.stiffness = np.broadcast_to(self.stiffness, len(order))[order]
        return other


def _stiffness(sums):
    """The curvature; of a cluster that is dying, p ≪ q, a share of what repels it.

    Else it would be flung away.
    """
    return np.maximum(sums.curvature, DYING * sums.repulsion)


def _preconditioned(gradient, stiffness):
    """−∂KL/∂μ_j over its curvature; a centroid without any mass stays."""
    stiffness = stiffness[:, None]
    return -np.divide(
        gradient, stiffness, out=np.zeros_like(gradient), where=stiffness > 0
    )
