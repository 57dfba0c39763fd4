"""Many minima at once, each alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skdec.kernels.types import Evaluation
from skdec.tsne._bfgs import _bfgs_update, minimise_rows, minimise_with_restarts


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


@pytest.mark.parametrize("width", [5, 80, 160])
def test_no_row_crawls_at_the_edge_between_two_cells(width, rng):
    """log Σ exp(2v·y_j − ‖y_j‖²) − 2v·c, where cells meet in sharp edges.

    That is what new points have under the Gaussian kernel.  It is convex.
    """
    Y = width * rng.normal(size=(60, 2))
    c = rng.dirichlet(np.full(60, 0.2), size=200) @ Y

    def loss(V, rows):
        exponents = 2 * V @ Y.T - np.square(Y).sum(axis=1)
        top = exponents.max(axis=1, keepdims=True)
        value = top[:, 0] + np.log(np.exp(exponents - top).sum(axis=1))
        gradient = 2 * (softmax(exponents, axis=1) @ Y - c[rows])
        value = value - 2 * np.einsum("ri,ri->r", V, c[rows])
        return Evaluation(value, gradient, np.full(len(V), 2.0))

    V, everyone = c.copy(), np.arange(200)
    lost = minimise_with_restarts(loss, V, loss(V, everyone), np.ptp(Y))
    assert len(lost) == 0
    # steps end within 1e-7 of the width, over which a gradient at an edge changes so
    assert np.abs(loss(V, everyone).gradient).max() < 1e-2 * width
