"""KL of new points alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdec.kernels.types import (
    STUDENT_T,
    Kernel,
)
from skdec.tsne._placement import PlacementObjective
from skdec.utils.threads import Threads
from tests import naive


@pytest.mark.parametrize("dof", [0.5, 1.0, 2.0])
def test_placement_objective(rng, dof):
    Y, V = rng.normal(size=(8, 2)), rng.normal(size=(3, 2))
    P = rng.dirichlet(np.ones(8), size=4)
    P[1, 2] = 0
    P /= P.sum(axis=1, keepdims=True)
    rows = np.array([1, 3, 0])
    with Threads(1) as threads:
        objective = PlacementObjective(Y, P, Kernel(STUDENT_T, dof), threads)
        loss, gradient, curvature = objective(V, rows)
    for t, row in enumerate(rows):
        p, long = P[row], Y.astype(np.longdouble)
        entropy = sum(v * np.log(v) for v in p if v > 0)
        assert_allclose(loss[t] + entropy, naive.placement_kl(V[t], Y, p, dof))
        expected = naive.finite_difference(
            lambda v, p=p, long=long: naive.placement_kl(v, long, p, dof),
            V[t].astype(np.longdouble),
        )
        assert_allclose(gradient[t], expected.astype(float), rtol=1e-7, atol=1e-9)
        bend = sum(
            naive.weight_2g(naive.squared_distance(V[t], y), dof) * p_j
            for y, p_j in zip(Y, p, strict=True)
        )
        assert_allclose(curvature[t], bend)
