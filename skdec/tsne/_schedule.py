"""The phases of a fit and their learning rates."""

from dataclasses import dataclass

import numpy as np

from skdec.kernels.types import GAUSSIAN

# Chosen by the KL reached after 300 and 500 iterations on digits, iris, 6,000 digits of
# MNIST and a swiss roll (benchmarks/README.md); with a shorter unfolding a grid of
# points stays folded from some random starts.
MOMENTUM, LATE_MOMENTUM = 0.8, 0.95

# Maps of more points are wider, and spread out for a while with more momentum.  To the
# end it would throw points out of maps without clusters, and at ν > 1 of any: KL rises.
# What an exaggeration draws together it would throw apart, and more iterations go by.
USUAL_SIZE, POWER, SPREADING = 3000, 0.3, 250

# Similarity of neighbours at ν = 1 in a map made in short steps, exp Σ_ij p_ij log s_ij
# (measured in tests/tsne/test_schedule.py); longer ones spread it further.
NEIGHBOUR_SIMILARITY = 1 / 8
TRANSITION, UNFOLDING = 30, 75


@dataclass(frozen=True)
class Phase:
    """A stretch of the descent: until iteration ``stop``, with these settings."""

    stop: int
    exaggeration: float
    momentum: float
    learning_rate: float
    early: bool = False

    @property
    def name(self):
        """As scikit-learn's verbose output has it."""
        return " (early exaggeration)" if self.early else ""


def stable_rate(kernel, n_components, exaggeration=1.0):
    """The learning rate of a P that sums to 1, per point and times the exaggeration.

    A point is drawn to its neighbours with the stiffness 4 Σ_j p_ij g_ij, about 4g/n
    for g at the similarity that neighbours end with; a step is stable while rate times
    stiffness is small.  g = (1 + 1/ν)/2 · s^(2/(ν+1)) for the Student-t kernel
    s = (1 + D/ν)^(−(ν+1)/2), and 1 for the Gaussian.  With 1 at ν = 1, where heavy
    tails soften the pull, the rate falls to 1/4 for ν → ∞ and 1/8 for the Gaussian.
    Below ν = 1 it does not rise: points that coincide pull the more.  Neighbours whose
    pull is exaggerated to the end come to coincide: their similarity is taken to grow
    with the square of the exaggeration, up to 1.
    In one component points have to pass each other: half of it.
    """

    def stiffness(nu, times=1.0):
        similarity = times * NEIGHBOUR_SIMILARITY
        return (1 + 1 / nu) / 2 * similarity ** (2 / (nu + 1))

    gaussian = kernel.kind == GAUSSIAN
    times = np.clip(exaggeration**2, 1, 1 / NEIGHBOUR_SIMILARITY)
    rate = min(1.0, stiffness(1) / (1.0 if gaussian else stiffness(kernel.dof, times)))
    return rate / 2 if n_components == 1 and not gaussian else rate


def spreading_momentum(kernel, n_samples, exaggeration=1.0):
    """m = 1 − 0.05 (3,000/n)^0.3 above 3,000 samples, and 0.95 up to there.

    It is 0.95 for ν > 1 and for the Gaussian, whose tails bring back no point that has
    been thrown out, and with a lasting ``exaggeration`` above 1, whose map is not wide.
    """
    if kernel.kind == GAUSSIAN or kernel.dof > 1 or exaggeration > 1:
        return LATE_MOMENTUM
    share = min(1.0, USUAL_SIZE / n_samples)
    return 1 - (1 - LATE_MOMENTUM) * share**POWER


def schedule(early, late, early_iter, max_iter, learning_rate, momentum):
    """The phases of a fit.

    ``early`` exaggeration for ``early_iter`` iterations and the geometric mean of
    ``early`` and ``late`` for 30 more; then ``late``, 75 iterations with little
    momentum, while the map unfolds, and the rest with much, which spreads it out.
    ``learning_rate`` is a function of the share of the full rate, the exaggeration, and
    whether that is early.  ``momentum`` is that of the first 250 iterations of the
    rest, if it is more than that of the others.
    """
    middle = (early * late) ** 0.5
    unfolded = unfolded_after(early_iter)
    spread = unfolded + (SPREADING if momentum > LATE_MOMENTUM else 0)
    stops = early_iter, unfolded - UNFOLDING, unfolded, spread, max_iter
    stops = np.minimum(stops, max_iter)
    settings = [
        (early, MOMENTUM, 1 / 4, True),
        (middle, MOMENTUM, 1 / 4, True),
        (late, MOMENTUM, 1 / 2, False),
        (late, momentum, 1, False),
        (late, LATE_MOMENTUM, 1, False),
    ]
    return [
        Phase(int(stop), e, momentum, learning_rate(share, e, is_early), is_early)
        for stop, (e, momentum, share, is_early) in zip(stops, settings, strict=True)
    ]


def unfolded_after(early_iter):
    """Iterations until the map has unfolded."""
    return early_iter + (TRANSITION if early_iter else 0) + UNFOLDING
