"""KL of new points alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdec.kernels.types import KERNELS, Kernel
from skdec.tsne._placement import AllPairsObjective, FittedMap, NeighborObjective
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
    neighbors = np.array([rng.permutation(8) for _ in P])
    with Threads(1) as threads:
        fitted = FittedMap(Y, Kernel(KERNELS[kernel], dof))
        at = V - fitted.center
        loss, gradient, curvature = AllPairsObjective(fitted, P, threads)(at, rows)
        shares = np.take_along_axis(P, neighbors, axis=1)
        same = NeighborObjective(fitted, neighbors, shares, threads)(at, rows)
        fewer = NeighborObjective(fitted, neighbors[:, :3], shares[:, :3], threads)(
            at, rows
        )
        P_of_fewer = np.zeros_like(P)
        np.put_along_axis(P_of_fewer, neighbors[:, :3], shares[:, :3], axis=1)
        as_many = AllPairsObjective(fitted, P_of_fewer, threads)(at, rows)
    for a, b in zip(same, (loss, gradient, curvature), strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert_allclose(fewer.value, as_many.value)
    assert_allclose(fewer.curvature, as_many.curvature)
    # q sums to 1 in both, p of the fewer does not
    assert_allclose(fewer.gradient, as_many.gradient, atol=1e-12)
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
