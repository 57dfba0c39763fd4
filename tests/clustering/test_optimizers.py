"""How centroids move."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdec.clustering._objective import Sums
from skdec.clustering._optimizers import CentroidDescent, StochasticDescent


def random_sums(rng, k=4, d=3):
    """Sums over the rows; of one cluster p is far below q, one has no mass at all."""
    curvature, repulsion = rng.uniform(0.5, 2, (2, k))
    curvature[0] /= 100
    curvature[1] = repulsion[1] = 0
    return Sums(
        gradient=rng.normal(size=(k, d)),
        curvature=curvature,
        repulsion=repulsion,
        frequencies=np.ones(k),
        occupied=np.ones(k),
        changed=0.0,
        kl=np.nan,
        weight=rng.uniform(1, 50),
    )


def naive_stiffness(sums):
    """Σ_i w_i 2g_ij p_ij, or a quarter of what repels a cluster if that is more."""
    return [max(a, b / 4) for a, b in zip(sums.curvature, sums.repulsion, strict=True)]


def naive_step(gradient, stiffness):
    return np.array(
        [-g / s if s > 0 else 0 * g for g, s in zip(gradient, stiffness, strict=True)]
    )


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_centroids_move_with_momentum(rng, momentum):
    descent, centers = CentroidDescent(momentum), rng.normal(size=(4, 3))
    expected, velocity, n_turns = centers.copy(), np.zeros((4, 3)), 0
    for n_steps in range(1, 131):
        sums = random_sums(rng)
        centers = descent.move(centers, sums)
        step = naive_step(sums.gradient, naive_stiffness(sums))
        # dropped where it points against the step; half as much later on
        turns = sum(v * s for v, s in zip(velocity.flat, step.flat, strict=True)) < 0
        n_turns += turns
        share = 0 if turns else min(momentum, 0.5 if n_steps >= 100 else 0.9)
        velocity = share * velocity + step
        expected = expected + velocity
        assert_allclose(centers, expected, rtol=1e-10)
    assert 10 < n_turns < 120


def test_steps_from_batches_become_shorter(rng):
    descent, centers = StochasticDescent(), rng.normal(size=(4, 3))
    expected, stiffness, weight = centers.copy(), np.zeros(4), 0.0
    for n_steps in range(1, 61):
        sums = random_sums(rng)
        centers = descent.move(centers, sums)
        # the mean of all batches so far; of more than twenty, the old ones fade
        rate = 1 / n_steps if n_steps <= 20 else 1 / 20
        there = np.array(naive_stiffness(sums)) / sums.weight
        stiffness = (1 - rate) * stiffness + rate * there
        weight = (1 - rate) * weight + rate * sums.weight
        # a light batch counts for less than its rows would by themselves
        step = naive_step(sums.gradient / max(sums.weight, weight), stiffness)
        expected = expected + 30 / (30 + n_steps) * step
        assert_allclose(centers, expected, rtol=1e-10)
