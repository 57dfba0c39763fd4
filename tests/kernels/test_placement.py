"""KL of new points alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdec.kernels.types import KERNELS, CSRGraph, Kernel, PointTerms
from skdec.tsne._left_out import LeftOutObjective
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


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("kernel, dof", FORMS)
def test_one_point_left_out(rng, kernel, dof, n_components, joint):
    Y, V = rng.normal(size=(8, n_components)), rng.normal(size=(3, n_components))
    own = np.array([2, 0, 7])
    A = rng.dirichlet(np.ones(8), size=3)
    A[[0, 1, 2], own] = 0
    A[1, 3] = 0
    rest = np.array([4.0, 9.0, 0.5]) if joint else np.zeros(3)
    with np.errstate(divide="ignore"):
        terms = PointTerms(4.0 if joint else 1.0, np.log(rest))
    t, j = np.nonzero(A)
    graph = CSRGraph(A[t, j], j, np.r_[0, np.cumsum(np.bincount(t))])
    with Threads(1) as threads:
        fitted = FittedMap(Y, Kernel(KERNELS[kernel], dof))
        objective = LeftOutObjective(fitted, graph, own, terms, threads)
        rows = np.array([1, 2])
        loss, gradient, curvature = objective(V[rows] - fitted.center, rows)
        H = objective.hessians(V - fitted.center)
    long = Y.astype(np.longdouble)

    def naively(r):
        return lambda v: naive.left_out_loss(
            v, long, A[r], own[r], terms.mass, rest[r], dof, kernel
        )

    for r in range(3):
        v = V[r].astype(np.longdouble)
        # central differences twice, in extended precision
        bends = [
            naive.finite_difference(
                lambda v, r=r, d=d: naive.finite_difference(naively(r), v, 1e-4)[d],
                v,
                1e-4,
            )
            for d in range(n_components)
        ]
        assert_allclose(H[r], np.array(bends, float), rtol=1e-6, atol=1e-6)
    for t, r in enumerate(rows):
        v, constant = V[r].astype(np.longdouble), 0.0
        if joint:
            constant = terms.mass * np.log(rest[r])
        assert_allclose(loss[t] + constant, float(naively(r)(v)), rtol=1e-12)
        slope = naive.finite_difference(naively(r), v)
        assert_allclose(gradient[t], slope.astype(float), rtol=1e-7, atol=1e-8)
        bend = sum(
            naive.weight_2g(naive.squared_distance(V[r], y), dof, kernel) * a
            for y, a in zip(Y, A[r], strict=True)
        )
        assert_allclose(curvature[t], bend)
