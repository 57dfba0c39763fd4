"""Points that stand for copies: the formulas against repeated points."""

import numpy as np
import pytest
from numba import config
from numpy.testing import assert_allclose
from scipy import sparse

from skdec.kernels.graphs import plogp_of_copies
from skdec.kernels.types import GAUSSIAN, STUDENT_T, Bandwidths, CopyLists, Kernel
from skdec.tsne import _affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._field import repulsion_of
from skdec.tsne._gradient_descent import Descent
from skdec.tsne._objective import EmbeddingObjective
from skdec.tsne._placement import AllPairsObjective, FittedMap
from skdec.tsne._schedule import Phase
from skdec.utils.threads import Threads
from tests import naive
from tests.tsne.test_gradient_descent import Silent

# one row with more copies than a list of neighbours has room for
WEIGHTS = np.array([1, 2, 1, 14, 3, 1, 2, 1, 1])
N, W = len(WEIGHTS), WEIGHTS.sum()
COPIES = np.repeat(np.arange(N), WEIGHTS)
OF = (np.arange(N)[:, None] == COPIES) * 1.0  # copies of each row
X = np.random.default_rng(5).normal(size=(N, 3))
PLACES = np.random.default_rng(6).normal(size=(2, N))
UNREACHED = pytest.mark.filterwarnings("ignore:the perplexity cannot be reached")


def affinities_of(rows, weights, perplexities, joint, mode, metric="euclidean"):
    """Affinities in double precision; without weights each row is one of its own."""
    distances = SquaredDistances(rows, metric)
    bandwidths = Bandwidths(np.array(perplexities), np.nan)
    with Threads(2) as threads:
        if mode == "exact":
            return _affinities.dense_affinities(
                distances, bandwidths, joint, np.float64, threads, weights
            )
        k = _affinities.neighbors_needed(perplexities, W)
        lists = distances.nearest(k, threads, weights=weights)
        return _affinities.graph_affinities(
            lists, bandwidths, joint, np.float64, threads, weights=weights
        )


def whole(P):
    """All pairs of a dense or sparse P."""
    if sparse.issparse(P):
        return P.toarray()
    n = len(P)
    out = np.zeros((n, n))
    for i in range(n):
        following = (i + 1 + np.arange(n // 2 - (n % 2 == 0 and i >= n // 2))) % n
        out[i, following] = out[following, i] = P[i, : len(following)]
    return out


@UNREACHED
@pytest.mark.parametrize("joint", [True, False])
def test_all_pairs_against_plain_loops_over_repeated_rows(joint):
    # perplexity to 1e-7 nats in both, so p to a little more
    found = affinities_of(X, WEIGHTS * 1.0, [15.0], joint, "exact")
    P = naive.conditional_affinities(X[COPIES], 15.0)
    P = naive.joint_affinities(P) if joint else P
    others = ~np.eye(N, dtype=bool)
    expected = OF @ ((P + P.T) / 2) @ OF.T
    assert_allclose(whole(found.P)[others], expected[others], rtol=1e-6)
    entropy = (P[P > 0] * np.log(P[P > 0])).sum()
    assert_allclose(found.negentropy, entropy, rtol=1e-7)
    normalization = "joint" if joint else "conditional"
    form = P, 1.0, "student_t", normalization
    Y = PLACES.T[COPIES]
    with Threads(2) as threads:
        objective = EmbeddingObjective(found, Kernel(STUDENT_T, 1.0), joint, threads)
        gradient, log_Z = objective.gradient(PLACES)
        kl = objective.divergence(PLACES, log_Z)
    assert_allclose(kl, naive.embedding_kl(Y, *form), rtol=1e-7)
    each = naive.embedding_gradient(Y, *form)
    assert_allclose(gradient.T, (OF @ each) / WEIGHTS[:, None], rtol=1e-5, atol=1e-7)
    assert_allclose(objective.norm(gradient), np.linalg.norm(each), rtol=1e-6)
    nothing = naive.embedding_kl(0 * Y, *form)
    assert_allclose(found.chance, nothing, rtol=1e-6, atol=1e-9)


@UNREACHED
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("mode", ["exact", "neighbors"])
@pytest.mark.parametrize("perplexities", [[1.2], [2.5], [2.0, 15.0]])
def test_affinities_are_those_of_repeated_rows(perplexities, mode, joint):
    found = affinities_of(X, WEIGHTS * 1.0, perplexities, joint, mode)
    repeated = affinities_of(X[COPIES], None, perplexities, joint, mode)
    P, expected = whole(found.P), OF @ whole(repeated.P) @ OF.T
    if mode == "exact":  # which has pairs at one place in the sums alone
        np.fill_diagonal(expected, 0)
    assert_allclose(P, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(found.negentropy, repeated.negentropy, rtol=1e-7)
    assert_allclose(found.mass.sum(), repeated.mass.sum())
    assert_allclose(found.chance, repeated.chance, rtol=1e-6)


def test_a_function_as_metric_has_the_same_affinities():
    def metric(a, b):
        return np.sqrt(np.square(a - b).sum())

    for joint in (True, False):
        args = X, WEIGHTS * 1.0, [15.0], joint, "exact"
        P, expected = affinities_of(*args, metric), affinities_of(*args)
        assert_allclose(P.P, expected.P, rtol=1e-9)
        assert_allclose(P.negentropy, expected.negentropy, rtol=1e-9)


@UNREACHED
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kernel", [Kernel(STUDENT_T, 1.0), Kernel(GAUSSIAN, 1.0)])
@pytest.mark.parametrize("repulsion", ["all", "pairs", "grid"])
def test_gradient_and_kl_are_those_of_repeated_rows(repulsion, kernel, joint):
    mode = "exact" if repulsion == "all" else "neighbors"
    how = "pairs" if repulsion == "all" else repulsion
    found = affinities_of(X, WEIGHTS * 1.0, [2.5], joint, mode)
    repeated = affinities_of(X[COPIES], None, [2.5], joint, mode)
    Y = np.ascontiguousarray(PLACES[:, COPIES])
    with Threads(2) as threads:
        objective = EmbeddingObjective(found, kernel, joint, threads, repulsion=how)
        reference = EmbeddingObjective(repeated, kernel, joint, threads)
        gradient, log_Z = objective.gradient(PLACES, 1.5)
        each, log_Z_of_each = reference.gradient(Y, 1.5)
        assert objective.repulsion == how
        # copies of one row differ where a list ends among them: the mean moves all
        expected = each @ OF.T / WEIGHTS
        assert_allclose(gradient, expected, atol=1e-6 * np.abs(expected).max())
        kl = objective.divergence(PLACES, log_Z)
        assert_allclose(kl, reference.divergence(Y, log_Z_of_each), rtol=1e-6)


def test_far_points_in_the_plane_keep_their_repulsion():
    # Z without the copy itself is nothing beside it, and s underflows
    far, weights = PLACES * 1e4, np.full(N, 0.5)
    found = affinities_of(X, weights, [2.5], True, "exact")
    with Threads(1) as threads:
        kernel = Kernel(GAUSSIAN, 1.0)
        objective = EmbeddingObjective(found, kernel, True, threads)
        gradient, log_Z = objective.gradient(far)
    D = naive.squared_distances(far.T, far.T)
    logs = [-D[i, j] for i in range(N) for j in range(N) if i != j]
    assert_allclose(log_Z, naive.log_sum(logs) + np.log(0.25), rtol=1e-12)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("joint", [True, False])
def test_descent_is_that_of_repeated_rows(joint):
    found = affinities_of(X, WEIGHTS * 1.0, [15.0], joint, "exact")
    repeated = affinities_of(X[COPIES], None, [15.0], joint, "exact")
    rate = W if joint else 1.0
    phases = [Phase(12, 2.0, 0.8, rate), Phase(25, 1.0, 0.5, rate)]
    Y, ends = PLACES.copy(), []
    repeated_Y = np.ascontiguousarray(PLACES[:, COPIES])
    with Threads(2) as threads:
        for P, places in ((found, Y), (repeated, repeated_Y)):
            kernel = Kernel(STUDENT_T, 1.0)
            objective = EmbeddingObjective(P, kernel, joint, threads)
            run = Descent(0.0, 300, 0.0).run(objective, places, phases, Silent())
            ends.append(run)
    assert_allclose(Y[:, COPIES], repeated_Y, atol=1e-6)
    assert_allclose(ends[0].kl, ends[1].kl, rtol=1e-6)


@pytest.mark.parametrize("kernel", [Kernel(STUDENT_T, 1.0), Kernel(GAUSSIAN, 1.0)])
def test_new_points_among_copies(kernel):
    new = np.random.default_rng(7).normal(size=(4, 2))
    p = np.random.default_rng(8).dirichlet(np.ones(N), 4)
    everyone, of_each = np.arange(4), (p / WEIGHTS)[:, COPIES]
    with Threads(1) as threads:
        fitted = FittedMap(PLACES.T, kernel, WEIGHTS * 1.0)
        repeated = FittedMap(PLACES.T[COPIES], kernel)
        found = AllPairsObjective(fitted, p, threads)(new, everyone)
        expected = AllPairsObjective(repeated, of_each, threads)(new, everyone)
        field = repulsion_of(PLACES, kernel, threads, WEIGHTS * 1.0)(new, threads)
        of_all = repulsion_of(PLACES[:, COPIES].copy(), kernel, threads)(new, threads)
    assert_allclose(fitted.center, repeated.center)
    assert_allclose(fitted.width, repeated.width)
    for part, other in (
        *zip(found, expected, strict=True),
        *zip(field, of_all, strict=True),
    ):
        assert_allclose(part, other, rtol=1e-9, atol=1e-12)


@UNREACHED
def test_points_without_a_connection_have_no_part():
    far = np.r_[X, X + 1e3]
    D = np.sqrt(naive.squared_distances(far, far))
    D[:N, N:] = D[N:, :N] = np.inf
    weights = np.r_[WEIGHTS, WEIGHTS] * 1.0
    scale = Bandwidths(np.array([3.0]), np.nan), True, np.float64
    with Threads(1) as threads:
        found = _affinities.dense_affinities(
            SquaredDistances(D, "precomputed"), *scale, threads, weights
        )
    half = affinities_of(X, WEIGHTS * 1.0, [3.0], True, "exact")
    assert_allclose(whole(found.P)[:N, :N], whole(half.P) / 2, rtol=1e-6, atol=1e-9)
    assert_allclose(whole(found.P)[:N, N:], 0)


# no kernel hands single numbers back, so that plain Python has to call it
@pytest.mark.skipif(not config.DISABLE_JIT, reason="needs NUMBA_DISABLE_JIT=1")
def test_pairs_of_copies_of_which_one_alone_has_the_other():
    def f(x):
        return x * np.log(x)

    # two copies of 0; 1 is one copy, both ways; of the three of 2, each has both
    mine = CopyLists(np.array([1]), np.array([0.3]), np.array([1.0]))
    theirs = CopyLists(np.array([1, 2]), np.array([0.2, 0.5]), np.array([1.0, 2.0]))
    found = plogp_of_copies(mine, theirs, np.array([2.0, 1.0, 3.0]), 0, 0.5)
    assert found == pytest.approx(f(0.15 + 0.1) + f(0.15) + 3 * 2 * f(0.25))
