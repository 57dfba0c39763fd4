"""The repulsion of all pairs by a grid, on maps of every kind."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.integrate import trapezoid

import skdec
from skdec import ExactTSNE
from skdec.kernels.types import GAUSSIAN, KERNELS, STUDENT_T, Kernel
from skdec.tsne._affinities import from_graph
from skdec.tsne._grid import LIFETIME, GridSum
from skdec.tsne._objective import EmbeddingObjective
from skdec.tsne._plan import has_grid, make_plan
from skdec.tsne._repulsion import GridRepulsion
from skdec.tsne._series import series_of
from skdec.tsne._split import DOUBLE, SINGLE, Split, Spreading, in_powers, levelled
from skdec.utils.threads import Threads
from tests import naive
from tests.tsne.common import DIGITS

N = 1500
ROUNDING = 5e-6


def disc(n, radius, seed=0):
    rng = np.random.default_rng(seed)
    r, angle = radius * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    return np.array([r * np.cos(angle), r * np.sin(angle)])


def ball(n, radius, seed=0):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(3, n))
    r = radius * np.cbrt(rng.random(n))
    return r * directions / np.linalg.norm(directions, axis=0)


def maps():
    """Maps as a descent meets them, and as it should not."""
    yield "early", disc(N, 1e-4)
    yield "unfolding", disc(N, 0.8)
    yield "unfolded", disc(N, 2.5)
    yield "middle", disc(N, 8)
    yield "final", disc(N, 60)
    heap = disc(N * 9 // 10, 0.5), disc(N // 10, 40, seed=1)
    yield "one heap", np.concatenate(heap, axis=1)
    for width in (0.1, 0.03, 0.003, 0):
        tight = disc(N * 9 // 10, width), disc(N // 10, 40, seed=1)
        yield f"heap of {width}", np.concatenate(tight, axis=1)
    outliers = disc(N - 10, 20), disc(10, 2000, seed=1)
    yield "outliers", np.concatenate(outliers, axis=1)
    centers = disc(10, 60, seed=1)
    clusters = [disc(N // 10, 1, seed) + c[:, None] for seed, c in enumerate(centers.T)]
    yield "clusters", np.concatenate(clusters, axis=1)
    yield "line", np.array([np.linspace(-40, 40, N), np.zeros(N)])
    yield "upright line", np.array([np.ones(N), np.linspace(-40, 40, N)])
    lattice = np.meshgrid(np.arange(38.0), np.arange(38.0))
    yield "lattice", np.reshape(lattice, (2, -1))
    yield "duplicates", np.repeat(disc(N // 10, 20), 10, axis=1)
    yield "far from 0", disc(N, 10) + np.array([[1e3], [-1e3]])


def maps_in_space():
    """The same with a third component."""
    for name, radius in (("early", 1e-4), ("unfolding", 0.8), ("unfolded", 1.2),
                         ("middle", 5), ("final", 25)):  # fmt: skip
        yield name, ball(N, radius)
    heap = ball(N * 9 // 10, 0.5), ball(N // 10, 20, seed=1)
    yield "one heap", np.concatenate(heap, axis=1)
    tight = ball(N * 9 // 10, 0.03), ball(N // 10, 20, seed=1)
    yield "tight heap", np.concatenate(tight, axis=1)
    # of a heap on the edges of eight cells each has an eighth
    halo = ball(N * 19 // 20, 0.1), ball(N // 20, 2, seed=1)
    yield "halo", np.concatenate(halo, axis=1)
    centers = ball(10, 4, seed=5)
    tight = [ball(N // 10, 0.1, seed) + c[:, None] for seed, c in enumerate(centers.T)]
    yield "tight clusters", np.concatenate(tight, axis=1)
    yield "outliers", np.concatenate([ball(N - 4, 8), ball(4, 800, seed=1)], axis=1)
    centers = ball(10, 25, seed=1)
    clusters = [ball(N // 10, 1, seed) + c[:, None] for seed, c in enumerate(centers.T)]
    yield "clusters", np.concatenate(clusters, axis=1)
    along = np.linspace(-40, 40, N)
    yield "line", np.array([0 * along, 0 * along, along])
    yield "plane", np.concatenate([disc(N, 20), np.ones((1, N))])
    yield "upright plane", np.concatenate([np.ones((1, N)), disc(N, 20)])
    lattice = np.meshgrid(*[np.arange(11.0)] * 3)
    yield "lattice", np.reshape(lattice, (3, -1))
    yield "duplicates", np.repeat(ball(N // 10, 8), 10, axis=1)
    yield "far from 0", ball(N, 5) + np.array([[1e3], [-1e3], [300]])


def named(some):
    """Parameters of a test, one a map."""
    return [pytest.param(name, Y, id=f"{name}, {len(Y)}") for name, Y in some]


def pair_sums(Y, kind=STUDENT_T, dof=1.0, charges=1.0, some=None):
    """Φ and −∇Φ of all points, or some, pair by pair in double precision."""
    Y = Y.astype(np.float64)
    some = np.arange(Y.shape[1]) if some is None else some
    value, forces = np.empty(len(some)), np.empty((len(Y), len(some)))
    for k, i in enumerate(some):
        differences = Y[:, i : i + 1] - Y
        D = np.square(differences).sum(axis=0)
        if kind == GAUSSIAN:
            s, weight = np.exp(-D), 2.0
        else:
            s, weight = (1 + D / dof) ** (-(dof + 1) / 2), (dof + 1) / (dof + D)
        value[k] = (s * charges).sum()
        forces[:, k] = (weight * s * charges * differences).sum(axis=1)
    return value, forces


def off(found, expected):
    """Root mean square of the difference beside that of what is expected."""
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def grid_sum(Y, kernel=(STUDENT_T, 1.0), charges=None, n_jobs=2):
    quality = SINGLE if Y.dtype == np.float32 else DOUBLE
    with Threads(n_jobs) as threads:
        sums = GridSum(Kernel(kernel[0], Y.dtype.type(kernel[1])), quality, threads)
        placement = sums.plan(Y)
        return sums.at(Y, placement, charges), placement.plan


def test_pair_sums_are_those_of_the_formulas():
    Y = disc(6, 2)
    for name, dof in (("student_t", 0.5), ("gaussian", 1.0)):
        value, forces = pair_sums(Y, KERNELS[name], dof)
        for i in range(6):
            total, force = 0.0, np.zeros(2)
            for j in range(6):
                D = naive.squared_distance(Y[:, i], Y[:, j])
                s = np.exp(naive.log_similarity(D, dof, name))
                total += s
                force += naive.weight_2g(D, dof, name) * s * (Y[:, i] - Y[:, j])
            assert_allclose(value[i], total)
            assert_allclose(forces[:, i], force, atol=1e-12)


@pytest.mark.parametrize("shape", [disc, ball])
def test_the_charge_around_a_point_is_the_same_wherever_it_lies(shape):
    n = N * 9 // 10
    expected = np.sqrt(n * n**2 / N)  # of the others there is nearly none
    for place in np.linspace(0, 0.5, 7):
        heap = np.full((3 if shape is ball else 2, n), place)
        Y = np.concatenate([heap, shape(N - n, 40)], axis=1).astype(np.float32)
        with Threads(1) as threads:
            sums = GridSum(Kernel(STUDENT_T, np.float32(1)), SINGLE, threads)
            assert_allclose(sums._sum(Y, sums.plan(Y), None).heaps, expected, rtol=0.02)


def test_equal_points_far_from_all_others_are_a_matter_of_pairs(monkeypatch):
    heap = np.concatenate([np.zeros((2, N * 9 // 10)), disc(N // 10, 1000)], axis=1)
    P = sparse.csr_array(sparse.random(N, N, 0.01, random_state=0))
    P = from_graph(P + P.T, np.float64)
    for kernel, joint in ((1.0, True), (2.0, True), (1.0, False)):
        kernel = Kernel(STUDENT_T, kernel)
        with Threads(1) as threads:
            pairs = EmbeddingObjective(P, kernel, joint, threads, repulsion="pairs")
            grid = EmbeddingObjective(P, kernel, joint, threads, repulsion="grid")
            expected, found = pairs.gradient(heap)[0], grid.gradient(heap)[0]
            assert grid.repulsion == "pairs"
            assert_array_equal(found, expected)
            grid.gradient(disc(N, 40))
            assert grid.repulsion == "grid"
    monkeypatch.setattr("skdec.tsne._grid.PAIRS_UP_TO", N - 1)
    with Threads(1) as threads:
        repulsion = GridRepulsion(kernel, True, np.float64, threads, always=True)
        with pytest.warns(RuntimeWarning, match="less than the 1e-11"):
            assert repulsion(heap) is not None
        assert repulsion(heap) is not None  # told once


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("joint", [True, False])
def test_only_double_precision_promises_its_digits(joint, dtype):
    heap = np.concatenate([np.zeros((2, N * 9 // 10)), disc(N // 10, 1000)], axis=1)
    with Threads(1) as threads:
        repulsion = GridRepulsion(
            Kernel(STUDENT_T, dtype(1)), joint, dtype, threads, always=True
        )
        assert (repulsion(heap.astype(dtype)) is None) == (dtype == np.float64)


@pytest.mark.parametrize(("name", "Y"), named([*maps(), *maps_in_space()]))
def test_sums_are_those_of_all_pairs(name, Y):
    single = Y.astype(np.float32)
    sums, plan = grid_sum(single)
    value, forces = pair_sums(single)
    assert off(sums.forces, forces) < ROUNDING
    assert abs((sums.value - 1).sum() / (value - 1).sum() - 1) < ROUNDING
    assert plan.n_far > 0 or name != "outliers"
    sums, _ = grid_sum(Y)
    value, forces = pair_sums(Y)
    assert off(sums.forces, forces) < 1e-11
    assert abs((sums.value - 1).sum() / (value - 1).sum() - 1) < 1e-11


# The last two are so wide and so full that transforms in single precision lose more.
@pytest.mark.parametrize(
    "n, radius, dof",
    [(100_000, radius, 1.0) for radius in (1.2, 1.5, 5, 60)]
    + [(300_000, 60, 0.25), (200_000, 40, 0.25)],
)
def test_many_points_are_summed_as_few(n, radius, dof):
    """Of what thousands add to a node none is lost, though each share is small."""
    Y = disc(n, radius).astype(np.float32)
    some = np.arange(0, n, n // 100)
    sums, plan = grid_sum(Y, (STUDENT_T, dof))
    assert plan.mesh.split.quality is SINGLE
    assert sums.value.dtype == (np.float64 if dof < 1 else np.float32)
    value, forces = pair_sums(Y, dof=dof, some=some)
    assert off(sums.forces[:, some], forces) < ROUNDING
    assert off(sums.value[some], value) < ROUNDING / 10


def test_a_heap_is_summed_in_double_precision_as_long_as_it_is_one():
    kernel = Kernel(STUDENT_T, np.float32(1))
    wide, heap = disc(2 * N, 8).astype(np.float32), disc(2 * N, 8).astype(np.float32)
    heap[:, N // 5 :] *= 1e-5
    with Threads(1) as threads:
        sums = GridSum(kernel, SINGLE, threads)
        for Y, quality in ((wide, SINGLE), (heap, DOUBLE), (wide, SINGLE)):
            # at first by the plan of the map before, whose grid holds this one
            for evaluation in range(LIFETIME + 1):
                found = sums.at(Y, sums.plan(Y))
                if evaluation in (0, 1, LIFETIME):
                    assert off(found.forces, pair_sums(Y)[1]) < ROUNDING
            assert sums.plan(Y).plan.mesh.split.quality is quality


def test_pairs_where_a_heap_would_need_too_large_a_grid(monkeypatch):
    heap = disc(N, 40).astype(np.float32)
    heap[:, N // 10 :] *= 1e-4
    coarse = skdec.tsne._grid.make_plan
    monkeypatch.setattr(
        "skdec.tsne._grid.make_plan",
        lambda Y, kernel, quality: (
            None if quality is DOUBLE else coarse(Y, kernel, quality)
        ),
    )
    kernel, dtype = Kernel(STUDENT_T, np.float32(1)), np.dtype(np.float32)
    with Threads(1) as threads:
        repulsion = GridRepulsion(kernel, True, dtype, threads, always=True)
        assert repulsion(heap) is None
        assert repulsion(disc(N, 40).astype(np.float32)) is not None


@pytest.mark.parametrize(
    "width", [1e-200, 1e-30, 1e-9, 1e-5, 3e-4, 1e-3, 0.01, 0.03, 0.06, 0.1, 0.5]
)
@pytest.mark.parametrize(
    "kernel",
    [(STUDENT_T, 1.0), (STUDENT_T, 0.25), (STUDENT_T, 30.0), (GAUSSIAN, 1.0)],
)
@pytest.mark.parametrize("shape", [disc, ball])
def test_maps_as_small_as_one_likes(shape, kernel, width):
    Y, charges = shape(300, width), np.random.default_rng(0).uniform(0.5, 2, 300)
    for c in (None, charges):
        sums, _ = grid_sum(Y, kernel, c)
        value, forces = pair_sums(Y, *kernel, charges=1.0 if c is None else c)
        assert off(sums.forces / width, forces / width) < 1e-11
        assert off(sums.value, value) < 1e-11
    single = Y.astype(np.float32)
    if not single.any():
        return
    sums, _ = grid_sum(single, kernel)
    forces = pair_sums(single, *kernel)[1]
    assert off(sums.forces / width, forces / width) < ROUNDING


def test_a_map_as_wide_as_one_likes_has_no_series():
    for width in (1e3, 1e30, 1e140):
        Y = np.array([[0.0, width], [0.0, 0.0]])
        assert series_of(Y, Kernel(STUDENT_T, 1.0), DOUBLE) is None


def test_both_near_pairs_and_none():
    taus = [grid_sum(disc(N, r).astype(np.float32))[1].near.tau for r in (8, 60)]
    assert taus[0] == 0 < taus[1]


@pytest.mark.parametrize(
    ("shape", "radius"), [(disc, 5), (disc, 25), (ball, 1), (ball, 6)]
)
@pytest.mark.parametrize("dof", [0.25, 2.0, 30.0, 100.0, "gaussian"])
def test_every_kernel(dof, shape, radius):
    kernel = (GAUSSIAN, 1.0) if dof == "gaussian" else (STUDENT_T, dof)
    Y = shape(600, radius)
    for dtype, rounding in ((np.float32, ROUNDING), (np.float64, 1e-11)):
        sums, _ = grid_sum(Y.astype(dtype), kernel)
        value, forces = pair_sums(Y.astype(dtype), *kernel)
        assert off(sums.forces, forces) < rounding
        assert off(sums.value, value) < rounding


@pytest.mark.parametrize("dof", [0.25, 0.5, 0.9, 1.4, 2.0, 3.0])
def test_near_pairs_of_other_degrees_of_freedom(dof):
    # on a heap N is nearly all of s
    heap = np.concatenate([disc(N // 2, 0.5), disc(N // 2, 100, seed=1)], axis=1)
    for dtype, rounding, least in (
        (np.float32, ROUNDING, 0.2),
        (np.float64, 1e-11, 0.6),
    ):
        taus = []
        for Y in (disc(N, 30), disc(N, 300), heap):
            Y = Y.astype(dtype)
            sums, plan = grid_sum(Y, (STUDENT_T, dof))
            value, forces = pair_sums(Y, STUDENT_T, dof)
            assert off(sums.forces, forces) < rounding
            assert off(sums.value, value) < rounding
            taus.append(plan.near.tau)
        assert 0 < min(taus) < least


@pytest.mark.parametrize("dof", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(("shape", "radius"), [(disc, 5), (disc, 60), (ball, 9)])
def test_charges(shape, radius, dof):
    Y, charges = shape(N, radius), np.random.default_rng(0).uniform(0.1, 3, N)
    Y = np.concatenate([Y, 4e3 * np.eye(len(Y))[:, :1]], axis=1)
    charges = np.append(charges, 2.0)
    sums, plan = grid_sum(Y, (STUDENT_T, dof), charges)
    assert plan.n_far > 0
    value, forces = pair_sums(Y, STUDENT_T, dof, charges)
    assert off(sums.value, value) < 1e-11
    assert off(sums.forces, forces) < 1e-11


@pytest.mark.parametrize(("shape", "radius"), [(disc, 30), (disc, 60), (ball, 9)])
def test_the_same_for_every_number_of_threads_and_order(shape, radius):
    Y = shape(6000, radius).astype(np.float32)
    Y[:, :3] *= 200
    one, _ = grid_sum(Y, n_jobs=1)
    for n_jobs in (2, 3):
        sums, plan = grid_sum(Y, n_jobs=n_jobs)
        assert_array_equal(sums.value, one.value)
        assert_array_equal(sums.forces, one.forces)
    assert plan.cost > 1e6  # enough for several threads
    order = np.random.default_rng(0).permutation(6000)
    shuffled, _ = grid_sum(Y[:, order])
    assert off(shuffled.forces, one.forces[:, order]) < ROUNDING


@pytest.mark.parametrize("shape", [disc, ball])
@pytest.mark.parametrize("radius", [1e-4, 0.2])
def test_a_series_is_the_same_for_every_number_of_threads(shape, radius):
    Y = shape(20_000, radius).astype(np.float32)  # of several blocks
    one, two, three = (grid_sum(Y, n_jobs=n_jobs)[0] for n_jobs in (1, 2, 3))
    for other in (two, three):
        assert_array_equal(other.value, one.value)
        assert_array_equal(other.forces, one.forces)


@pytest.mark.parametrize(("quality", "width"), [(SINGLE, 0.7), (DOUBLE, 0.4)])
def test_how_wide_a_map_may_be_for_a_series(quality, width):
    kernel = Kernel(STUDENT_T, 1.0)
    assert series_of(disc(N, width / 2), kernel, quality) is not None
    assert series_of(disc(N, 0.8 * width), kernel, quality) is None


def objectives(Y, name, dof, joint, dtype, threads):
    """By pairs in double precision, and by a grid."""
    n = Y.shape[1]
    rng = np.random.default_rng(0)
    P = sparse.csr_array(rng.random((n, n)) * (rng.random((n, n)) < 0.02))
    P /= P.sum()
    form = Kernel(KERNELS[name], dof), joint, threads
    yield EmbeddingObjective(from_graph(P, np.float64), *form)
    yield EmbeddingObjective(from_graph(P, dtype), *form, repulsion="grid")


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    ("name", "dof", "n_components"),
    [
        ("student_t", 1.0, 2),
        ("student_t", 0.5, 2),
        ("student_t", 3.0, 2),
        ("student_t", 3.0, 1),
        ("gaussian", 1.0, 2),
        ("student_t", 1.0, 3),
        ("student_t", 0.5, 3),
    ],
)
def test_gradients(name, dof, n_components, joint):
    for radius in (1e-2, 15 if n_components < 3 else 7):
        for dtype, rounding in ((np.float32, ROUNDING), (np.float64, 1e-11)):
            shape = disc if n_components < 3 else ball
            Y = shape(500, radius)[:n_components].astype(dtype)
            with Threads(2) as threads:
                pairs, grid = objectives(Y, name, dof, joint, dtype, threads)
                expected, log_Z = pairs.gradient(Y.astype(np.float64), 4.0)
                gradient, its_log_Z = grid.gradient(Y, 4.0)
            assert (pairs.repulsion, grid.repulsion) == ("pairs", "grid")
            assert off(gradient, expected) < rounding
            assert_allclose(its_log_Z, log_Z, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("repulsion", ["pairs", "grid"])
@pytest.mark.parametrize(
    ("dtype", "rounding"), [(np.float32, ROUNDING), (np.float64, 1e-11)]
)
def test_gradients_do_not_depend_on_the_order_of_rows(dtype, rounding, repulsion):
    """Neither the sums nor the attraction over a graph, which is renumbered."""
    rng, n = np.random.default_rng(0), 500
    P = sparse.random(n, n, 0.02, format="csr", random_state=rng)
    P /= P.sum()
    Y, order = disc(n, 15).astype(dtype), rng.permutation(n)
    found = []
    with Threads(2) as threads:
        for rows in (np.arange(n), order):
            objective = EmbeddingObjective(
                from_graph(P[rows][:, rows], dtype), Kernel(STUDENT_T, 1.0), True,
                threads, repulsion=repulsion,
            )  # fmt: skip
            for _ in range(30):  # until points are numbered as they lie
                gradient, log_Z = objective.gradient(Y[:, rows])
            kl = objective.divergence(Y[:, rows], log_Z)
            found.append((gradient, log_Z, kl))
    (gradient, log_Z, kl), (other, its_log_Z, its_kl) = found
    assert off(other, gradient[:, order]) < rounding
    assert_allclose([its_log_Z, its_kl], [log_Z, kl], rtol=rounding)


@pytest.mark.parametrize(("name", "Y"), named(maps()))
def test_other_repulsions_are_those_of_all_pairs(name, Y):
    """Conditional, and of one component; without attraction, which would hide them."""
    for n_components, joint in ((2, False), (1, True), (1, False)):
        if n_components == 1 and name == "upright line":  # a point, without forces
            continue
        for dtype, rounding in ((np.float32, ROUNDING), (np.float64, 1e-11)):
            some = Y[:n_components].astype(dtype)
            with Threads(2) as threads:
                pairs, grid = objectives(some, "student_t", 1.0, joint, dtype, threads)
                expected, log_Z = pairs.gradient(some.astype(np.float64), 0.0)
                gradient, its_log_Z = grid.gradient(some, 0.0)
            assert grid.repulsion == "grid"
            assert off(gradient, expected) < rounding
            assert_allclose(its_log_Z, log_Z, rtol=rounding, atol=rounding)


@pytest.mark.parametrize(
    ("name", "dof", "spacings"),
    [("student_t", 2.0, (5, 20)), ("student_t", 4.0, (3, 6, 10)),
     ("student_t", 10.0, (3, 7)), ("gaussian", 1.0, (2, 3))],
)  # fmt: skip
def test_points_that_are_far_from_each_other(name, dof, spacings, rng):
    """Little is left of the sums beside the points themselves."""
    for spacing in spacings:
        axis = np.arange(36.0)
        Y = np.reshape(np.meshgrid(axis, axis), (2, -1))
        Y = (spacing * (Y + rng.uniform(-0.15, 0.15, Y.shape))).astype(np.float32)
        with Threads(2) as threads:
            pairs, grid = objectives(Y, name, dof, True, np.float32, threads)
            expected, log_Z = pairs.gradient(Y.astype(np.float64), 0.0)
            gradient, its_log_Z = grid.gradient(Y, 0.0)
        assert grid.repulsion == "grid"
        assert off(gradient, expected) < ROUNDING
        assert_allclose(its_log_Z, log_Z, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("normalization", ["joint", "conditional"])
@pytest.mark.parametrize(
    ("kernel", "dof", "n_components"),
    [
        ("student_t", 1.0, 2),
        ("student_t", 3.0, 1),
        ("gaussian", 1.0, 2),
        ("student_t", 1.0, 3),
    ],
)
def test_the_loss_of_an_embedding(kernel, dof, n_components, normalization):
    """By the formulas, which no part of the fast sum has; P is not symmetric."""
    n, rng = 60, np.random.default_rng(0)
    P = rng.random((n, n)) * (rng.random((n, n)) < 0.1)
    P[np.arange(n), np.arange(n) - 1] += 0.01  # no row is empty
    np.fill_diagonal(P, 0)
    P /= P.sum() if normalization == "joint" else P.sum(axis=1, keepdims=True)
    graph = sparse.csr_array(P)
    form = {"kernel": kernel, "dof": dof, "normalization": normalization}
    for radius in (1e-30, 1.5, 6):
        Y = (disc if n_components < 3 else ball)(n, radius)[:n_components].T
        arguments = Y, P, dof, kernel, normalization
        kl = naive.embedding_kl(*arguments)
        expected = naive.embedding_gradient(*arguments)
        for dtype, rounding in ((np.float32, ROUNDING), (np.float64, 1e-10)):
            form |= {"repulsion": "grid", "return_repulsion": True}
            found = skdec.embedding_loss(Y.astype(dtype), graph, **form)
            assert found[2] == "grid"
            assert_allclose(found[0], kl, rtol=rounding)
            assert found[1].dtype == dtype
            unit = np.abs(expected).max()  # whose square is a number in float32 too
            assert off(found[1] / unit, expected / unit) < 2 * rounding


def test_which_way_the_loss_of_an_embedding_went():
    n, rng = 8000, np.random.default_rng(0)
    following = np.arange(n), (np.arange(n) + 1) % n
    graph = sparse.csr_array((np.full(n, 1 / n), following))
    Y, few, told = rng.normal(size=(n, 2)), graph[:9, :9], {"return_repulsion": True}
    *loss, way = skdec.embedding_loss(Y, graph, **told)
    assert way == "grid"
    by_default = skdec.embedding_loss(Y, graph)
    assert loss[0] == by_default[0]
    assert_array_equal(loss[1], by_default[1])
    *loss, way = skdec.embedding_loss(Y, graph, repulsion="pairs", **told)
    assert way == "pairs"
    assert_allclose(by_default[0], loss[0], rtol=1e-11)
    assert off(by_default[1], loss[1]) < 1e-10
    # few rows, and every entry of P, are a matter of pairs
    few /= few.sum()
    for P in (few, few.toarray()):
        assert skdec.embedding_loss(Y[:9], P, **told)[2] == "pairs"
    for form in ({"dof": 0.1}, {"dof": 1e3}):
        assert skdec.embedding_loss(Y[:9], few, **form, **told)[2] == "pairs"
        with pytest.raises(ValueError, match="repulsion='grid' needs"):
            skdec.embedding_loss(Y[:9], few, repulsion="grid", **form)


def test_points_all_far_apart_are_a_matter_of_pairs():
    Y = 12 * np.reshape(np.meshgrid(np.arange(12.0), np.arange(12.0)), (2, -1))
    with Threads(1) as threads:
        for joint in (True, False):
            pairs, grid = objectives(Y, "gaussian", 1.0, joint, np.float64, threads)
            expected, log_Z = pairs.gradient(Y)
            gradient, its_log_Z = grid.gradient(Y)
            assert grid.repulsion == "pairs"
            assert_allclose(gradient, expected, rtol=1e-10)
            assert_allclose(its_log_Z, log_Z, rtol=1e-10)


def test_the_rule():
    """A grid if it costs less than pairs, by n and the extent of the map alone."""
    with Threads(1) as threads:
        for Y, expected in (
            (disc(1000, 10), "pairs"),
            (disc(5000, 130), "pairs"),
            (disc(10_000, 130), "grid"),
            (disc(30_000, 60), "grid"),
            (ball(3000, 6), "pairs"),
            (ball(15_000, 30), "pairs"),
            (ball(40_000, 30), "grid"),
        ):
            repulsion = GridRepulsion(
                Kernel(STUDENT_T, 1.0),
                True,
                np.dtype(np.float32),
                threads,
                always=False,
            )
            found = repulsion(Y.astype(np.float32), fused=True)
            assert (found is None) == (expected == "pairs")
        far_apart = disc(1500, 3e4).astype(np.float32)
        assert repulsion(far_apart) is None
        assert repulsion(np.zeros((4, 5), np.float32)) is None
        # pairs that no fused loop takes cost more
        some = disc(2500, 20).astype(np.float32)
        assert repulsion(some, fused=True) is None
        assert repulsion(some, fused=False) is not None


def test_a_plan_serves_while_the_map_is_within():
    Y = disc(N, 20).astype(np.float32)
    with Threads(1) as threads:
        sums = GridSum(Kernel(STUDENT_T, np.float32(1)), SINGLE, threads)
        first = sums.plan(Y).plan
        assert sums.plan(Y * np.float32(1.02)).plan is first
        wider, cell = sums.plan(Y * np.float32(1.5))
        assert wider is not first
        assert cell.min() >= 0
        for _ in range(LIFETIME - 1):
            assert sums.plan(Y * np.float32(1.5)).plan is wider
        assert sums.plan(Y * np.float32(1.5)).plan is not wider
        # a few that leave the grid are summed by pairs
        strays = Y * np.float32(1.5)
        strays[:, :5] *= 3
        placement = sums.plan(strays)
        assert np.count_nonzero(placement.cell < 0) > 0
        sums_of_strays = sums.at(strays, placement)
    assert off(sums_of_strays.forces, pair_sums(strays)[1]) < ROUNDING


def test_points_that_coincide():
    Y = np.full((2, 50), 3.0)
    sums, _ = grid_sum(Y)
    assert_allclose(sums.value, 50, rtol=1e-11)
    assert_allclose(sums.forces, 0, atol=1e-9)


@pytest.mark.parametrize("tau", [0.1, 2.0, 13.0])
@pytest.mark.parametrize("quality", [SINGLE, DOUBLE], ids=["single", "double"])
def test_the_split_is_exact(tau, quality):
    split = Split(Kernel(STUDENT_T, 1.0), tau, quality)
    D = np.linspace(0, 200, 999)
    near = np.exp(-tau * (1 + D)) / (1 + D)
    assert_allclose(split.far(D) + near, 1 / (1 + D), rtol=1e-12)
    u = 1 + split.reach**2
    assert_allclose(tau * u, quality.truncation)
    # N where it is left out (docs/tsne.md)
    left_out = 1 / u - split.far(u - 1)
    bound = np.exp(-quality.truncation) * tau / quality.truncation
    assert_allclose(left_out, bound, atol=1e-16)


@pytest.mark.parametrize("quality", [SINGLE, DOUBLE], ids=["single", "double"])
def test_windows(quality):
    """Polynomials and transform of φ are those of φ."""
    window, half = Spreading(quality), quality.n_nodes / 2
    nodes, rounding = np.arange(quality.n_nodes), 1e-6 if quality is SINGLE else 1e-12
    for share in (0.02, 0.3, 0.98):
        t = share + half - 1 - nodes
        for coefficients, values in (
            (window.polynomials.values, window.at(t)),
            (window.polynomials.slopes, window.slope_at(t)),
        ):
            found = [np.polyval(c.astype(float), 2 * share - 1) for c in coefficients.T]
            assert_allclose(found, values, atol=rounding)
        step = 1e-6
        slope = (window.at(t + step) - window.at(t - step)) / (2 * step)
        assert_allclose(window.slope_at(t), slope, atol=1e-7)
    t = np.linspace(-half, half, 20_001)
    for k in (0.0, 0.5, 2.0):
        expected = trapezoid(window.at(t) * np.cos(k * t), t)
        assert_allclose(window.transform(np.array([k]))[0], expected, atol=1e-6)


@pytest.mark.parametrize(("quality", "about"), [(SINGLE, 1.1e-6), (DOUBLE, 2.4e-13)])
def test_frequencies_that_a_window_takes_for_others(quality, about):
    window, k = Spreading(quality), np.linspace(0, np.pi / quality.oversampling, 9)
    others = [window.transform(2 * np.pi * m + k) for m in (-2, -1, 1, 2)]
    aliases = np.abs(others).sum(axis=0) / window.transform(k)
    # of the smaller one rounding is a part, which depends on NumPy
    assert about / 1.5 < aliases.max() < 1.5 * about


def test_levelling():
    t = np.linspace(0, 30, 3001)
    level = levelled(t, 10, 30, 5)
    assert_array_equal(level[t <= 10], t[t <= 10])
    slope = np.gradient(level, t)
    assert np.all(np.diff(slope[t > 9]) < 1e-9)
    assert_allclose(slope[-1], 0, atol=1e-4)


@pytest.mark.parametrize("series", [[1.0, 2.0, 0.0], [0.5, 0.25, 0.125]])
def test_a_series_has_as_many_powers(series):
    powers = in_powers(np.array(series))
    assert len(powers) == 3
    z = np.linspace(-1, 1, 5)
    expected = np.polynomial.chebyshev.chebval(z, series)
    assert_allclose(np.polyval(powers, z), expected)


def test_a_map_that_no_grid_is_large_enough_for():
    """Whose cost is more than a number can be."""
    Y, n = ball(9, 1).T.copy(), 9
    Y[0] = 1e120
    P = sparse.csr_array((np.full(n, 1 / n), (np.arange(n), (np.arange(n) + 1) % n)))
    kl, _, way = skdec.embedding_loss(Y, P, return_repulsion=True)
    assert np.isfinite(kl)
    assert way == "pairs"


def test_a_grid_for_a_line_is_as_narrow_as_a_window():
    """A map of one component lies in a plane of which it fills one axis alone."""
    along = np.random.default_rng(0).uniform(-3000, 3000, 20_000)
    line = np.array([0 * along, along])
    mesh = make_plan(line, Kernel(STUDENT_T, 1.0), SINGLE).mesh
    rows, columns = mesh.lattice.shape
    assert columns < 40 < 1000 < rows


def test_far_points_are_left_off_when_a_grid_for_them_costs_more():
    Y = disc(3000, 20)
    kernel = Kernel(STUDENT_T, np.float32(1))
    assert make_plan(Y, kernel, SINGLE).n_far == 0
    Y[:, :4] *= 1e4
    plan = make_plan(Y, kernel, SINGLE)
    assert plan.n_far >= 4
    assert plan.mesh.lattice.n_rows < 500


def test_no_grid_is_larger_than_memory():
    for radius in (1e7, 1e15):
        Y = disc(300, radius)
        with Threads(1) as threads:
            form = Kernel(GAUSSIAN, 1.0), True, Y.dtype, threads
            assert GridRepulsion(*form, always=True)(Y) is None


@pytest.mark.parametrize("n_components", [2, 3])
def test_a_fit_by_a_grid(n_components):
    settings = {"affinities": "neighbors", "max_iter": 12, "random_state": 0}
    settings["n_components"] = n_components
    X = DIGITS[:600]
    grid = ExactTSNE(repulsion="grid", **settings).fit(X)
    pairs = ExactTSNE(repulsion="pairs", **settings).fit(X)
    assert (grid.repulsion_, pairs.repulsion_) == ("grid", "pairs")
    scale = np.abs(pairs.embedding_).max()
    assert_allclose(grid.embedding_, pairs.embedding_, rtol=1e-3, atol=1e-3 * scale)
    assert_allclose(grid.kl_divergence_, pairs.kl_divergence_, rtol=1e-4)
    assert ExactTSNE(**settings).fit(X).repulsion_ == "pairs"  # so few points
    settings["precision"] = "double"
    grid = ExactTSNE(repulsion="grid", **settings).fit(X)
    pairs = ExactTSNE(repulsion="pairs", **settings).fit(X)
    assert grid.repulsion_ == "grid"
    assert_allclose(grid.embedding_, pairs.embedding_, rtol=1e-6, atol=1e-8 * scale)
    assert_allclose(grid.kl_divergence_, pairs.kl_divergence_, rtol=1e-11)


def test_the_loss_of_a_fit_is_that_of_its_map_and_p():
    rng, n = np.random.default_rng(0), 600
    P = sparse.random(n, n, 0.02, format="csr", random_state=rng)
    P = sparse.csr_array(np.triu(P.toarray(), 1))
    P = (P + P.T) / (2 * P.sum())
    settings = {"affinities": "precomputed", "init": disc(n, 5).T, "max_iter": 30}
    for repulsion in ("grid", "pairs"):
        tsne = ExactTSNE(repulsion=repulsion, **settings).fit(P)
        assert tsne.repulsion_ == repulsion
        Y = tsne.embedding_.astype(np.float64)
        for way in ("grid", "pairs"):
            loss = skdec.embedding_loss(Y, P, repulsion=way)[0]
            assert_allclose(tsne.kl_divergence_, loss, rtol=ROUNDING)
        expected = naive.embedding_kl(Y, P.toarray(), 1.0, "student_t", "joint")
        assert_allclose(tsne.kl_divergence_, expected, rtol=ROUNDING)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"affinities": "exact"},
        {"affinities": "neighbors", "n_components": 4},
        {"affinities": "neighbors", "dof": 0.1},
        {"affinities": "neighbors", "dof": 1e3},
    ],
)
def test_where_there_is_no_grid(settings):
    with pytest.raises(ValueError, match="repulsion='grid' needs"):
        ExactTSNE(repulsion="grid", **settings).fit(DIGITS[:50])


def test_only_known_kernels_have_a_grid():
    assert has_grid(Kernel(STUDENT_T, 1.0), 2)
    assert has_grid(Kernel(GAUSSIAN, 1e6), 1)
    assert not has_grid(Kernel(STUDENT_T, 1e6), 2)
    assert has_grid(Kernel(GAUSSIAN, 1.0), 3)
    assert not has_grid(Kernel(GAUSSIAN, 1.0), 4)
    assert not has_grid(Kernel(max(KERNELS.values()) + 1, 1.0), 2)


def test_automatic_affinities(monkeypatch):
    monkeypatch.setattr("skdec.tsne._fit.ALL_PAIRS", 100)
    for n, expected in ((100, "exact"), (101, "neighbors")):
        tsne = ExactTSNE(max_iter=5, perplexity=10).fit(DIGITS[:n])
        assert tsne.affinities_ == expected
        assert tsne.transform(DIGITS[:n] + 1).shape == (n, 2)
