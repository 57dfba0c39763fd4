"""How centroids, embeddings and new points move, against plain loops.

This file also runs with the JIT off.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdec.clustering._objective import Sums
from skdec.clustering._optimizers import CentroidDescent, StochasticDescent
from skdec.kernels.types import GAUSSIAN, STUDENT_T, Evaluation, Kernel
from skdec.tsne._bfgs import _bfgs_update, minimise_rows
from skdec.tsne._gradient_descent import Descent
from skdec.tsne._placement import place_points
from skdec.tsne._schedule import Phase, schedule, stable_rate
from skdec.utils.threads import Threads
from tests import naive


# ------------------------------------------------------------------ centroids
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


# ------------------------------------------------------------------ embeddings
@pytest.mark.parametrize(
    "early_iter, max_iter, stops",
    [
        (250, 1000, [250, 280, 355, 1000]),
        (250, 260, [250, 260, 260, 260]),
        (0, 1000, [0, 0, 75, 1000]),
    ],
)
def test_phases(early_iter, max_iter, stops):
    phases = schedule(
        16.0,
        4.0,
        early_iter,
        max_iter,
        lambda share, exaggeration: share / exaggeration,
    )
    assert [phase.stop for phase in phases] == stops
    # between them the geometric mean
    assert_allclose([phase.exaggeration for phase in phases], [16, 8, 4, 4])
    assert_allclose(
        [phase.learning_rate for phase in phases],
        [1 / 64, 1 / 32, 1 / 8, 1 / 4],
    )
    assert [phase.early for phase in phases] == [True, True, False, False]


def test_rates_of_one_component_and_of_the_gaussian():
    assert stable_rate(Kernel(STUDENT_T, 1.0), 2) == 1
    assert stable_rate(Kernel(STUDENT_T, 1.0), 1) == 1 / 2
    # −log s of the Gaussian is D: its slope is 1 against 1/8 at ν = 1
    gaussian = Kernel(GAUSSIAN, 1.0)
    assert stable_rate(gaussian, 2) == stable_rate(gaussian, 1) == 1 / 8


class Scripted:
    """An objective whose KL at the checks and whose gradient are given."""

    def __init__(self, values, gradient=1.0, dof=1.0):
        self.values, self.slope = iter(values), gradient
        self.kernel = Kernel(STUDENT_T, dof)

    def gradient(self, Y, exaggeration):
        return np.full_like(Y, self.slope), None

    def divergence(self, Y, log_Z):
        return next(self.values)


class Silent:
    """Reports nothing, and stops nothing."""

    def say(self, text):
        pass

    def checked(self, *what):
        return False

    def begin_iteration(self):
        pass

    def end_iteration(self, Y):
        return False


def descended(values, *, rate=1e-3, gradient=1.0, dof=1.0, stop=1000, **settings):
    """Where a descent of three points at 0 ends, its KL and its iterations."""
    settings = {"min_grad_norm": 0.0, "patience": 10_000, "tol": 0.0, **settings}
    Y = np.zeros((2, 3))
    phases = [Phase(stop, 1.0, 0.5, rate)]
    objective = Scripted(values, gradient, dof)
    return Y, *Descent(**settings).run(objective, Y, phases, Silent())


def test_descent_ends_with_its_last_phase():
    _, kl, n_iter = descended([3.0, 2.0, 1.0], stop=120)
    assert (kl, n_iter) == (1.0, 120)
    # what is told of a KL that rounding puts below 0
    assert descended([-1e-9], stop=20)[1:] == (0.0, 20)


def test_descent_ends_after_its_patience():
    _, _, n_iter = descended([5.0, 4.0, 6.0, 7.0, 6.5, 9.0], patience=100)
    # the best is that of iteration 100; no better one in more than 100 after it
    assert n_iter == 250


def test_descent_ends_where_the_divergence_is_flat():
    # it rises, falls by 1 % and falls by 0.05 % of itself
    _, kl, n_iter = descended([100.0, 101.0, 100.0, 99.95, 10.0], tol=1e-3)
    assert (kl, n_iter) == (99.95, 200)


@pytest.mark.parametrize("gradient, expected", [(1.0, 120), (0.1, 50)])
def test_descent_ends_where_the_gradient_is_small(gradient, expected):
    values = [3.0, 2.0, 1.0]
    found = descended(values, gradient=gradient, min_grad_norm=0.5, stop=120)
    assert found[2] == expected


@pytest.mark.parametrize("dof, longest", [(0.5, 1.0), (1.0, 1.0), (9.0, 3.0)])
def test_no_point_moves_further_than_the_kernel_is_wide(dof, longest):
    Y, _, _ = descended([1.0], rate=1e9, dof=dof, stop=1)
    assert_allclose(np.linalg.norm(Y, axis=0), longest)


# ------------------------------------------------------------------ new points
def test_bfgs_update(rng):
    inverse = np.array([np.eye(3), 2 * np.eye(3), np.eye(3)])
    s, y = rng.normal(size=(2, 3, 3))
    s[:2] *= np.sign((s * y).sum(axis=1))[:2, None]
    s[2] *= -np.sign(s[2] @ y[2])
    expected = inverse.copy()
    for r in range(2):
        rho = 1 / (s[r] @ y[r])
        turn = np.eye(3) - rho * np.outer(s[r], y[r])
        expected[r] = turn @ inverse[r] @ turn.T + rho * np.outer(s[r], s[r])
    _bfgs_update(inverse, s, y)
    # the third has s·y < 0 and stays
    assert_allclose(inverse, expected, rtol=1e-12, atol=1e-12)
    assert_allclose(inverse[0] @ y[0], s[0])


class Valley:
    """(1 − x)² + 20 (y − x²)² of each row, a curved valley; keeps what it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, V, rows):
        x, y = V.T
        off = y - x**2
        self.asked += len(V)
        gradient = np.column_stack([-2 * (1 - x) - 80 * x * off, 40 * off])
        value = (1 - x) ** 2 + 20 * off**2
        return Evaluation(value, gradient, np.full(len(V), 40.0))


def test_minima_are_found_in_few_steps(rng):
    starts = rng.uniform(-2, 2, size=(30, 2))
    V, valley = starts.copy(), Valley()
    lost = minimise_rows(valley, V, valley(V, np.arange(30)), 3.0)
    assert len(lost) == 0
    assert_allclose(V, 1, atol=1e-6)
    # by the gradient alone it takes hundreds
    assert valley.asked < 30 * 60
    # each row by itself
    alone = starts[:1].copy()
    minimise_rows(valley, alone, valley(alone, np.arange(1)), 3.0)
    assert_array_equal(alone, V[:1])


def bowl(curvature):
    """½ c ‖x‖² of each row, as it is to be minimised."""

    def loss(V, rows):
        value = 0.5 * curvature * np.square(V).sum(axis=1)
        return Evaluation(value, curvature * V, np.full(len(V), curvature))

    return loss


@pytest.mark.parametrize("curvature", [0.01, 1.0, 50.0])
def test_the_first_step_is_newtons(rng, curvature):
    V, loss = rng.normal(size=(3, 2)), bowl(curvature)
    minimise_rows(loss, V, loss(V, np.arange(3)), 10.0, max_iter=1)
    assert_allclose(V, 0, atol=1e-12)


def test_a_step_that_does_not_descend_is_halved():
    # just beyond the place on the other side that is as high
    V, loss, beyond = np.array([[1.0]]), bowl(2.0), 5e-5
    at_start = loss(V, np.arange(1))._replace(curvature=np.array([2 / (2 + beyond)]))
    minimise_rows(loss, V, at_start, 10.0, max_iter=1)
    assert_allclose(V, -beyond / 2, rtol=1e-6)


def test_steps_descend_and_are_not_long():
    radius, path = 0.25, []

    def slope(V, rows):
        # √(1 + x²): its slope is steep for its curvature far out
        path.append(V[0, 0])
        root = np.sqrt(1 + V[:, 0] ** 2)
        return Evaluation(root, V / root[:, None], np.full(len(V), 1e-3))

    V = np.array([[3.0]])
    minimise_rows(slope, V, slope(V, np.arange(1)), radius)
    assert_allclose(V, 0, atol=1e-6)
    # no trial is further from the last place than the radius
    assert np.abs(np.diff(path)).max() <= radius * (1 + 1e-12)


def test_no_point_passes_the_limit():
    def downhill(V, rows):
        gradient = np.tile([-1.0, 0.0], (len(V), 1))
        return Evaluation(-V[:, 0], gradient, np.full(len(V), 0.1))

    V = np.array([[0.0, 0.0], [1.0, 2.0]])
    minimise_rows(downhill, V, downhill(V, np.arange(2)), 4.0, limit=10.0)
    lengths = np.linalg.norm(V, axis=1)
    assert (lengths <= 10).all()
    assert (lengths > 9.9).all()


@pytest.mark.parametrize("dof, share", [(1.0, 0.3), (2.0, 0.05)])
def test_new_points_are_placed_at_a_minimum(rng, dof, share):
    # three clusters far from the origin
    middles = np.array([[42.0, -20], [50, -20], [58, -20]]).repeat(6, axis=0)
    Y = middles + rng.normal(size=(18, 2))
    places = [[41.0, -19], [50.5, -20], [57, -22], [43, -21]]
    P = naive.soft_assignment(np.array(places), Y, dof)
    # the nearest is the better start
    P[3] += share * P[2]
    P /= P.sum(axis=1, keepdims=True)
    with Threads(1) as threads:
        V, n_lost = place_points(Y, P, Kernel(STUDENT_T, dof), threads)
    # those beyond twice the reach of the map are told of
    away, reach = V - Y.mean(axis=0), np.linalg.norm(Y - Y.mean(axis=0), axis=1).max()
    assert n_lost == sum(np.linalg.norm(a) > 2 * reach for a in away)
    for v, p in zip(V, P, strict=True):
        here = naive.placement_kl(v, Y, p, dof)
        gradient = naive.finite_difference(
            lambda u, p=p: naive.placement_kl(u, Y, p, dof), v, step=1e-4
        )
        assert np.linalg.norm(gradient) < 1e-5
        for start in (p @ Y, Y[p.argmax()]):
            assert here <= naive.placement_kl(start, Y, p, dof) + 1e-12
