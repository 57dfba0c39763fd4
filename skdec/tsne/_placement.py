"""New points in a fitted map: each alone."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skdec.kernels import placement
from skdec.kernels.types import Bandwidths, Evaluation, Kernel
from skdec.tsne._affinities import conditional_rows, neighbour_rows
from skdec.tsne._bfgs import minimise_rows
from skdec.tsne._distances import SquaredDistances

# A new point is placed at most so far out, in units of the map's reach; a warning tells
# of points beyond the second.
RIM, OUTSIDE = 10.0, 2.0

# Affinities of new points that are held in memory at a time.
PLACEMENT_BATCH_ELEMENTS = 4_000_000


class Placed(NamedTuple):
    """Positions of new points, and how many of them found no minimum in the map."""

    positions: np.ndarray
    n_lost: int


@dataclass(frozen=True)
class Placing:
    """What placing new points needs besides the map; kept from the fit."""

    distances: SquaredDistances
    bandwidths: Bandwidths
    kernel: Kernel
    n_neighbors: int | None  # None: p is over all pairs

    def place(self, embedding, X, threads, n_jobs):
        """Positions of rows X, each alone; of training rows, their own."""
        rows = self.distances.prepare(X)
        known = self.distances.identical(rows)
        positions = embedding[known].astype(X.dtype, copy=False)
        new, n_lost = np.flatnonzero(known < 0), 0
        size = max(1, PLACEMENT_BATCH_ELEMENTS // len(embedding))
        for first in range(0, len(new), size):
            chosen = new[first : first + size]
            P = self._affinities(rows[chosen], threads, n_jobs)
            placed = place_points(embedding, P, self.kernel, threads)
            positions[chosen] = placed.positions
            n_lost += placed.n_lost
        return Placed(positions, n_lost)

    def _affinities(self, rows, threads, n_jobs):
        """p_{j|new} over all training rows, or over the nearest as in the fit."""
        distances, n_new = self.distances, rows.shape[0]
        if self.n_neighbors is None:
            own = np.full(n_new, -1)
            return conditional_rows(
                distances, rows, own, self.bandwidths, np.float64, threads
            )
        found = distances.nearest(self.n_neighbors, rows, n_jobs)
        P = np.zeros((n_new, distances.n_samples))
        shares = neighbour_rows(found.D, self.bandwidths, threads)
        np.put_along_axis(P, found.columns, shares, axis=1)
        return P


def place_points(embedding, P, kernel, threads):
    """Place new points, from their affinities P of shape (n_new, n_samples)."""
    fitted = embedding.astype(np.float64)
    center = fitted.mean(axis=0)
    fitted -= center
    objective = PlacementObjective(fitted, P, kernel, threads)
    # the mean of neighbours in two clusters can lie in a third, from where descent
    # leads out of the map; then the nearest neighbour is the better start.  Each mean
    # is computed alone, because a product of matrices rounds by their shape
    V = np.array([p @ fitted for p in P]).reshape(len(P), fitted.shape[1])
    nearest = fitted[P.argmax(axis=1)]
    everyone = np.arange(len(V))
    at_start, at_nearest = objective(V, everyone), objective(nearest, everyone)
    worse = at_start.value > at_nearest.value
    V[worse] = nearest[worse]
    for value, other in zip(at_start, at_nearest, strict=True):
        value[worse] = other[worse]
    # KL changes over the length of the map, or of the kernel where that is wider
    width = np.hypot(np.linalg.norm(fitted.std(axis=0)), kernel.width)
    reach = max(width, np.linalg.norm(fitted, axis=1).max())
    lost = np.zeros(len(V), bool)
    lost[minimise_rows(objective, V, at_start, width, limit=RIM * reach)] = True
    lost |= np.linalg.norm(V, axis=1) > OUTSIDE * reach
    return Placed(V + center, np.count_nonzero(lost))


class PlacementObjective:
    """KL of each new point alone: its p over the fitted points, q per row.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_components)
        The fitted points, which stay where they are.
    P : ndarray of shape (n_new, n_samples)
        Conditional affinities of the new points, rows sum to 1.
    kernel : Kernel
        The similarity s.
    threads : Threads
        Where rows run.
    """

    def __init__(self, points, P, kernel, threads):
        self.Y = np.ascontiguousarray(points.T, dtype=np.float64)
        self.P, self.threads = P, threads
        self.kernel = kernel._replace(dof=float(kernel.dof))

    def __call__(self, V, rows):
        """KL less Σ p log p, ∂KL/∂v and Σ_j 2g_j p_j of new points ``rows`` at V."""
        out = Evaluation(np.empty(len(rows)), np.empty(V.shape), np.empty(len(rows)))
        self.threads.run_ranges(
            lambda start, stop: placement.placement_rows(
                V, rows, self.Y, self.P, self.kernel, start, stop, out
            ),
            len(rows),
            len(rows) * self.P.shape[1],
        )
        return out
