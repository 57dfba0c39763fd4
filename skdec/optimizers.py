"""How points move: centroids, embeddings (momentum with gains), new points (BFGS)."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

CENTROID_MOMENTUM = 0.9
CHECK_EVERY = 50
MIN_GAIN = 0.01

# Placing a point: Armijo's slope, halvings of a step, and the relative accuracy asked.
ARMIJO = 1e-4
HALVINGS = 40
PLACEMENT_TOLERANCE = 1e-9
TINY = 1e-300


class CentroidDescent:
    """Preconditioned steps with momentum: no learning rate to choose.

    The step is −∂KL/∂μ_j / Σ_i w_i 2g_ij p_ij: with 2g and p held fixed the attraction
    Σ_i w_i 2g_ij p_ij (μ_j − z_i) is linear in μ_j with that curvature, so without the
    repulsion by q the step would be Newton's.  With it the curvature is smaller, p − q
    being small, and the way long: momentum mostly goes it in far fewer steps.
    It is dropped when it points against the step (O'Donoghue & Candès 2015).
    """

    def __init__(self, momentum=CENTROID_MOMENTUM):
        self.momentum, self.velocity = momentum, None

    def move(self, centers, gradient, curvature):
        """The next centroids; one without any mass stays."""
        curvature = curvature[:, None]
        step = -np.divide(
            gradient, curvature, out=np.zeros_like(gradient), where=curvature > 0
        )
        if self.velocity is None or np.vdot(self.velocity, step) < 0:
            self.velocity = step
        else:
            self.velocity = self.momentum * self.velocity + step
        return centers + self.velocity


@dataclass
class Phase:
    """A stretch of the descent: until iteration ``stop``, with these settings."""

    stop: int
    exaggeration: float
    momentum: float
    patience: int
    name: str = ""


@dataclass
class Descent:
    """Gradient descent with momentum and per-coordinate gains (Jacobs 1988).

    Attributes
    ----------
    learning_rate, min_grad_norm : float
        Step length, and the gradient norm at which a phase ends.
    representatives : ndarray of shape (n_samples,) or None
        Points that share one position follow the first of them.
    verbose : int
        Whether to print a line at every check.
    """

    learning_rate: float
    min_grad_norm: float
    representatives: np.ndarray | None = None
    verbose: int = 0

    def run(self, objective, Y, phases):
        """Move Y of shape (n_components, n_samples) in place.

        Returns
        -------
        kl : float
            KL(P‖Q) at the final Y, without exaggeration.
        n_iter : int
            Iterations done.
        """
        n_iter = 0
        try:
            # what overflows is found by its result, with the name of its cause
            with np.errstate(over="ignore", invalid="ignore"):
                for phase in phases:
                    n_iter = self._run_phase(objective, Y, phase, n_iter)
                _, log_Z = objective.gradient(Y)
                kl = objective.divergence(Y, log_Z)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"the embedding diverged with learning_rate={self.learning_rate:g}: "
                "use a smaller one, or 'auto'"
            ) from error
        return kl, n_iter

    def _run_phase(self, objective, Y, phase, n_iter):
        velocity, gains = np.zeros_like(Y), np.ones_like(Y)
        best, best_iter, tick = np.inf, n_iter, perf_counter()
        while n_iter < phase.stop:
            gradient, log_Z = objective.gradient(Y, phase.exaggeration)
            n_iter += 1
            if n_iter % CHECK_EVERY == 0:
                # the KL belongs to the Y at which the gradient was taken
                kl = objective.divergence(Y, log_Z)
                norm = float(np.linalg.norm(gradient))
                if self.verbose:
                    tick = self._report(n_iter, kl, norm, tick, phase)
                if kl < best:
                    best, best_iter = kl, n_iter
                stalled = n_iter - best_iter > phase.patience
                if stalled or norm <= self.min_grad_norm:
                    break
            self._move(Y, gradient, velocity, gains, phase.momentum)
        return n_iter

    def _move(self, Y, gradient, velocity, gains, momentum):
        against = velocity * gradient < 0
        gains[against] += 0.2
        gains[~against] *= 0.8
        np.maximum(gains, MIN_GAIN, out=gains)
        velocity *= momentum
        velocity -= self.learning_rate * gains * gradient
        Y += velocity
        if self.representatives is not None:
            Y[:] = Y[:, self.representatives]

    @staticmethod
    def _report(n_iter, kl, norm, tick, phase):
        now = perf_counter()
        print(
            f"[t-SNE] Iteration {n_iter}{phase.name}: error = {kl:.7f}, gradient norm "
            f"= {norm:.7f} ({CHECK_EVERY} iterations in {now - tick:.3f}s)"
        )
        return now


def minimise_rows(loss, V, radius, *, limit=np.inf, max_iter=300):
    """Minimise many small independent problems at once by BFGS with backtracking.

    Each row's path depends on that row alone, so results do not depend on the batch.

    Parameters
    ----------
    loss : callable
        ``loss(V, rows)`` gives the value, the gradient and a curvature scale of problem
        ``rows[t]`` at ``V[t]``.
    V : ndarray of shape (n_rows, n_components)
        Starts; moved in place.
    radius : float
        Longest step, and the length that sets the accuracy.
    limit : float, default=inf
        Distance from the origin that no point may pass.
    max_iter : int, default=300
        Iterations at most.

    Returns
    -------
    unsettled : ndarray of int
        Rows still moving after ``max_iter``.
    """
    rows = np.arange(len(V))
    value, gradient, curvature = loss(V, rows)
    inverse = np.eye(V.shape[1]) / np.maximum(curvature, TINY)[:, None, None]
    for _ in range(max_iter):
        direction = -np.einsum("rij,rj->ri", inverse, gradient)
        length = np.sqrt(np.einsum("ri,ri->r", direction, direction))
        direction *= np.minimum(1, radius / np.maximum(length, TINY))[:, None]
        step, value, new_gradient = _backtrack(
            loss, (V, rows, limit), (value, gradient), direction
        )
        V[rows] += step
        _bfgs_update(inverse, step, new_gradient - gradient)
        active = np.abs(step).max(axis=1) > PLACEMENT_TOLERANCE * radius
        rows, inverse = rows[active], inverse[active]
        value, gradient = value[active], new_gradient[active]
        if len(rows) == 0:
            break
    return rows


def _backtrack(loss, where, at_start, direction):
    """Halve each row's step until it descends enough; a row that cannot stays."""
    V, rows, limit = where
    start_value, start_gradient = at_start
    value, gradient = start_value.copy(), start_gradient.copy()
    step = np.zeros_like(direction)
    slope = np.einsum("ri,ri->r", start_gradient, direction)
    # values carry rounding errors: near the minimum a good step may not show in them
    noise = 8 * np.finfo(float).eps * np.abs(start_value)
    pending, length = np.arange(len(rows)), 1.0
    for _ in range(HALVINGS):
        trial = length * direction[pending]
        there = V[rows[pending]] + trial
        new_value, new_gradient, _ = loss(there, rows[pending])
        goal = start_value + ARMIJO * length * slope + noise
        ok = new_value <= goal[pending]
        ok &= np.einsum("ri,ri->r", there, there) <= limit**2
        done = pending[ok]
        step[done], value[done], gradient[done] = (
            trial[ok],
            new_value[ok],
            new_gradient[ok],
        )
        pending, length = pending[~ok], length / 2
        if len(pending) == 0:
            break
    return step, value, gradient


def _bfgs_update(inverse, s, y):
    """H ← (I − ρsyᵀ) H (I − ρysᵀ) + ρssᵀ, ρ = 1/(s·y), in place; where s·y > 0."""
    sy = np.einsum("ri,ri->r", s, y)
    rows = np.flatnonzero(sy > 1e-12 * np.einsum("ri,ri->r", y, y))
    H, s, y, rho = inverse[rows], s[rows], y[rows], 1 / sy[rows]
    Hy = np.einsum("rij,rj->ri", H, y)
    scale = rho * (1 + rho * np.einsum("ri,ri->r", y, Hy))
    cross = rho[:, None, None] * Hy[:, :, None] * s[:, None, :]
    outer = s[:, :, None] * s[:, None, :]
    inverse[rows] = H - cross - cross.transpose(0, 2, 1) + scale[:, None, None] * outer
