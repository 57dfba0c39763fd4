"""KL of new points alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdec.kernels.types import KERNELS, Kernel
from skdec.tsne._placement import PlacementObjective
from skdec.utils.threads import Threads
from tests import naive
from tests.kernels.common import FORMS


@pytest.mark.parametrize("kernel, dof", FORMS)
def test_placement_objective(rng, kernel, dof):
    Y, V = rng.normal(size=(8, 2)), rng.normal(size=(3, 2))
    P = rng.dirichlet(np.ones(8), size=4)
    P[1, 2] = 0
    P /= P.sum(axis=1, keepdims=True)
    rows = np.array([1, 3, 0])
    with Threads(1) as threads:
        objective = PlacementObjective(Y, P, Kernel(KERNELS[kernel], dof), threads)
        loss, gradient, curvature = objective(V, rows)
    for t, row in enumerate(rows):
        p, long = P[row], Y.astype(np.longdouble)
        entropy = sum(v * np.log(v) for v in p if v > 0)
        assert_allclose(loss[t] + entropy, naive.placement_kl(V[t], Y, p, dof, kernel))
        expected = naive.finite_difference(
            lambda v, p=p, long=long: naive.placement_kl(v, long, p, dof, kernel),
            V[t].astype(np.longdouble),
        )
        assert_allclose(gradient[t], expected.astype(float), rtol=1e-7, atol=1e-9)
        bend = sum(
            naive.weight_2g(naive.squared_distance(V[t], y), dof, kernel) * p_j
            for y, p_j in zip(Y, p, strict=True)
        )
        assert_allclose(curvature[t], bend)
