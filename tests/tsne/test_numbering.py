"""Points numbered as they lie in the map: nothing but rounding depends on it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skdec.kernels.types import GAUSSIAN, STUDENT_T, Halves, Kernel
from skdec.tsne._affinities import Affinities
from skdec.tsne._numbering import (
    BLOCK_ROWS,
    FIRST,
    MOST_BLOCKS,
    NumberedGraph,
    block_rows,
    z_order,
)
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads


def symmetric(rng, n, density=0.1):
    """A symmetric P with a row that has no entries."""
    P = sparse.random(n, n, density, format="csr", random_state=rng)
    P = P + P.T
    keep = sparse.diags((np.arange(n) != 3).astype(float))
    P = (keep @ P @ keep).tocsr()
    P.eliminate_zeros()
    P.sort_indices()
    return P / P.sum()


def naive_key(place, corner, extent, n_bits):
    """Bits of the coordinates in turns, the first axis lowest."""
    digits = [
        format(int((x - c) / extent * (2**n_bits - 1)), f"0{n_bits}b")
        for x, c in zip(place, corner, strict=True)
    ]
    return int("".join(a for bits in zip(*digits[::-1], strict=True) for a in bits), 2)


@pytest.mark.parametrize("n_axes", [1, 2, 3, 5])
def test_the_order_is_that_of_morton(rng, n_axes):
    Y = rng.normal(size=(n_axes, 200))
    corner = Y.min(axis=1)
    extent = (Y.max(axis=1) - corner).max()
    keys = [naive_key(place, corner, extent, min(16, 63 // n_axes)) for place in Y.T]
    assert_array_equal(z_order(Y), np.argsort(keys, kind="stable"))


@pytest.mark.parametrize("scale", [0, 1e-40, 1e-4, 1e30])
def test_maps_of_any_width_have_an_order(rng, scale):
    Y = (scale * rng.normal(size=(2, 50))).astype(np.float32)
    assert_array_equal(np.sort(z_order(Y)), np.arange(50))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    "kernel", [Kernel(STUDENT_T, 1.0), Kernel(STUDENT_T, 0.5), Kernel(GAUSSIAN, 1.0)]
)
@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_gradients_are_the_same_however_points_are_numbered(rng, n_axes, kernel, joint):
    P, Y = symmetric(rng, 40), rng.normal(size=(n_axes, 40))
    affinities = Affinities(P, 0.0, np.asarray(P.sum(axis=1)).ravel())
    with Threads(2) as threads:
        objective = EmbeddingObjective(affinities, kernel, joint, threads)
        first, log_Z = objective.gradient(Y)
        kl = objective.divergence(Y, log_Z)
        for _ in range(FIRST):
            again, log_Z = objective.gradient(Y)
        graph = objective.graph.graph
        given = graph.outer if isinstance(graph, Halves) else graph
        assert given.columns is not P.indices
        assert_allclose(again, first, rtol=1e-11, atol=1e-14)
        assert_allclose(objective.divergence(Y, log_Z), kl, rtol=1e-12)
    form = "gaussian" if kernel.kind == GAUSSIAN else "student_t"
    pulled = naive_attraction(P.toarray(), Y.T, kernel.dof, form)
    found = np.empty_like(Y)
    with Threads(1) as threads:
        objective.threads = threads
        objective._attract(Y, found)
    assert_allclose(found.T, pulled, rtol=1e-11, atol=1e-14)


def naive_attraction(P, Y, dof, form):
    """Σ_j p_ij 2g_ij (y_i − y_j)."""
    A = np.zeros_like(Y)
    for i in range(len(Y)):
        for j in range(len(Y)):
            D = np.sum((Y[i] - Y[j]) ** 2)
            weight = 2.0 if form == "gaussian" else (dof + 1) / (dof + D)
            A[i] += P[i, j] * weight * (Y[i] - Y[j])
    return A


def test_points_are_numbered_now_and_then(rng):
    P, Y = symmetric(rng, 30), rng.normal(size=(2, 30))
    seen = []
    with Threads(1) as threads:
        graph = NumberedGraph(P, threads)
        for age in range(1, 4 * FIRST + 1):
            before = graph.graph
            graph.follow(Y if age < 3 * FIRST else -Y)
            if graph.graph is not before:
                seen.append(age)
    assert seen == [FIRST, 2 * FIRST, 4 * FIRST]
    assert_array_equal(graph.numbered(Y), Y[:, z_order(-Y)])


@pytest.mark.parametrize("n", [1, 2, 7, 1023, 3100, 9000, 65_537, 10**6])
def test_threads_share_blocks_of_many_rows(n):
    size = block_rows(n)
    n_blocks = -(-n // size)
    assert n_blocks <= MOST_BLOCKS
    assert n_blocks == 1 or n_blocks * size - n < size
    assert n_blocks <= 2 or size >= BLOCK_ROWS
    # enough of them for as many threads as the rows are worth
    assert n_blocks >= min(n, MOST_BLOCKS, n // (2 * BLOCK_ROWS))


def test_a_map_that_is_not_finite_keeps_its_numbers(rng):
    P, Y = symmetric(rng, 30), rng.normal(size=(2, 30))
    Y[0, 3] = np.nan
    with Threads(1) as threads:
        graph = NumberedGraph(P, threads)
        for _ in range(2 * FIRST):
            graph.follow(Y)
    assert graph.numbered(Y) is Y
