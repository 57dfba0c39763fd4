"""Many small independent problems, each minimised alone by BFGS."""

from typing import NamedTuple

import numpy as np

# Armijo's slope, the most halvings of a step, and the relative accuracy.
ARMIJO = 1e-4
HALVINGS = 40
PLACEMENT_TOLERANCE = 1e-7
LEAST_CURVATURE = LEAST_LENGTH = 1e-300

# A row that takes no more than this share of a step crawls: its estimate of the
# curvature has gone wrong.  It may start once more so many times.
CRAWLING, RESTARTS = 1e-3, 5


def minimise_with_restarts(loss, V, at_start, radius, *, limit=np.inf):
    """``minimise_rows``, whose unsettled rows start once more where they are.

    Their estimate of the curvature may have gone wrong.  Returns those that are
    unsettled in the end.
    """
    rows = minimise_rows(loss, V, at_start, radius, limit=limit)
    for _ in range(RESTARTS):
        if len(rows) == 0:
            break
        places = V[rows]
        left = minimise_rows(
            lambda there, some, rows=rows: loss(there, rows[some]),
            places,
            loss(places, rows),
            radius,
            limit=limit,
        )
        V[rows] = places
        rows = rows[left]
    return rows


def minimise_rows(loss, V, at_start, radius, *, limit=np.inf, max_iter=300):
    """Minimise many small independent problems at once by BFGS with backtracking.

    Each row's path depends on that row alone, so results do not depend on the batch.

    Parameters
    ----------
    loss : callable
        ``loss(V, rows)`` gives the ``Evaluation`` of problem ``rows[t]`` at ``V[t]``.
    V : ndarray of shape (n_rows, n_components)
        Starts; moved in place.
    at_start : Evaluation
        What ``loss`` gives there for all rows.
    radius : float
        Longest step, and the length that sets the accuracy.
    limit : float, default=inf
        Distance from the origin that no point may pass.
    max_iter : int, default=300
        Iterations at most.

    Returns
    -------
    unsettled : ndarray of int
        Rows still moving after ``max_iter``, and those that crawl.
    """
    rows, crawling = np.arange(len(V)), []
    value, gradient = at_start.value, at_start.gradient
    curvature = np.maximum(at_start.curvature, LEAST_CURVATURE)
    inverse = np.eye(V.shape[1]) / curvature[:, None, None]
    for _ in range(max_iter):
        direction = -np.einsum("rij,rj->ri", inverse, gradient)
        length = np.sqrt(np.einsum("ri,ri->r", direction, direction))
        share = np.minimum(1, radius / np.maximum(length, LEAST_LENGTH))
        direction *= share[:, None]
        taken = _backtrack(loss, V, rows, value, gradient, direction, limit)
        there = V[rows] + direction
        V[rows] += taken.step
        _bfgs_update(inverse, taken.step, taken.gradient - gradient)
        active = np.abs(taken.step).max(axis=1) > PLACEMENT_TOLERANCE * radius
        far = np.abs(direction).max(axis=1) > PLACEMENT_TOLERANCE * radius
        # what the limit holds back is at its rest
        free = np.einsum("ri,ri->r", there, there) <= limit**2
        crawling.append(rows[~active & far & free & (taken.share <= CRAWLING)])
        rows, inverse = rows[active], inverse[active]
        value, gradient = taken.value[active], taken.gradient[active]
        if len(rows) == 0:
            break
    return np.sort(np.concatenate([rows, *crawling]))


class Steps(NamedTuple):
    """Steps that were taken, and where they led."""

    step: np.ndarray
    share: np.ndarray  # of the direction; 0 where nothing descends
    value: np.ndarray
    gradient: np.ndarray


def _backtrack(loss, V, rows, start_value, start_gradient, direction, limit):
    """Halve each row's step until it descends enough; a row that cannot stays."""
    value, gradient = start_value.copy(), start_gradient.copy()
    step, share = np.zeros_like(direction), np.zeros(len(rows))
    slope = np.einsum("ri,ri->r", start_gradient, direction)
    # values carry rounding errors: near the minimum a good step may not show in them
    noise = 8 * np.finfo(float).eps * np.abs(start_value)
    pending, length = np.arange(len(rows)), 1.0
    for _ in range(HALVINGS):
        trial = length * direction[pending]
        there = V[rows[pending]] + trial
        found = loss(there, rows[pending])
        goal = start_value + ARMIJO * length * slope + noise
        ok = found.value <= goal[pending]
        ok &= np.einsum("ri,ri->r", there, there) <= limit**2
        done = pending[ok]
        step[done], share[done] = trial[ok], length
        value[done], gradient[done] = found.value[ok], found.gradient[ok]
        pending, length = pending[~ok], length / 2
        if len(pending) == 0:
            break
    return Steps(step, share, value, gradient)


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
