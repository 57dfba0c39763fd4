"""New points in a fitted map: each alone."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skdec.kernels import placement
from skdec.kernels.types import Bandwidths, Evaluation, Kernel, read_only
from skdec.tsne._affinities import neighbour_rows, new_rows, warn_if_missed
from skdec.tsne._bfgs import minimise_with_restarts
from skdec.tsne._checks import check_connected
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._field import repulsion_of
from skdec.utils.warn import warn

# A new point is placed at most so far out, in units of the map's reach; a warning tells
# of points beyond the second.
RIM, OUTSIDE = 10.0, 2.0

# Numbers that are held in memory at a time: affinities of new points, and the matrices
# by which these descend.
NUMBERS_PER_BATCH = 4_000_000


class Placed(NamedTuple):
    """Positions of new points, and how many of them found no minimum in the map."""

    positions: np.ndarray
    n_lost: int


class NewAffinities(NamedTuple):
    """p of new points over fitted ones."""

    P: np.ndarray
    columns: np.ndarray | None  # which fitted points these are; None: all
    reached: np.ndarray  # whether the perplexity of each is the one asked for

    def objective(self, fitted, threads):
        """KL of the new points in a fitted map."""
        if self.columns is None:
            return AllPairsObjective(fitted, self.P, threads)
        return NeighborObjective(fitted, self.columns, self.P, threads)


class FittedCopies(NamedTuple):
    """Which rows of the map stand for copies, and for how many."""

    rows: np.ndarray
    weights: np.ndarray
    merged: bool  # whether the copies are rows of the map too, all that there are


@dataclass(frozen=True)
class Placing:
    """What placing new points needs besides the map; kept from the fit."""

    distances: SquaredDistances
    bandwidths: Bandwidths
    kernel: Kernel
    n_neighbors: int | None  # None: p is over all pairs
    joint: bool  # the normalisation of the fit
    exaggeration: float  # after the early one
    copies: FittedCopies | None = None  # None: each row of the map is one
    # what has been prepared for a map: pickled without it, and made again when needed
    prepared: dict = field(default_factory=dict, compare=False, repr=False)

    def __getstate__(self):
        return {**vars(self), "prepared": {}}

    @property
    def weights(self):
        """How many copies of each fitted row there are, or None."""
        return None if self.copies is None else self.copies.weights

    def prepare(self, X):
        """Rows, or distances, as they are compared with what was fitted."""
        if self.copies is not None and self.distances.metric == "precomputed":
            X = X[:, self.copies.rows]
            if not sparse.issparse(X):  # of a graph lists are counted
                check_connected(X, 1, whom="a sample of positive weight")
        return self.distances.prepare(X)

    def place(self, embedding, X, threads):
        """Positions of rows X, each alone; of training rows, their own."""
        if self.copies is not None:
            embedding = embedding[self.copies.rows]
        rows = self.prepare(X)
        known = self.distances.identical(rows)
        positions = embedding[known].astype(X.dtype, copy=False)
        new, n_lost, reached = np.flatnonzero(known < 0), 0, []
        if len(new) == 0:
            return Placed(positions, 0)
        fitted = self._fitted(embedding)
        n_affinities = self.n_neighbors or len(embedding)
        n_numbers = n_affinities + embedding.shape[1] ** 2
        size = max(1, int(NUMBERS_PER_BATCH // n_numbers))
        for first in range(0, len(new), size):
            chosen = new[first : first + size]
            p = self._affinities(rows[chosen], threads)
            placed = place_points(p.objective(fitted, threads))
            positions[chosen] = placed.positions
            n_lost += placed.n_lost
            reached.append(p.reached)
        warn_if_missed(np.concatenate(reached))
        return Placed(positions, n_lost)

    def _fitted(self, embedding):
        """The map as it was prepared for an earlier call, if it is still the same."""
        # two threads that come at once both prepare it, and either may stay
        fitted = self.prepared.get("map")
        if fitted is None or not np.array_equal(fitted.embedding, embedding):
            fitted = self.prepared["map"] = FittedMap(
                embedding, self.kernel, self.weights
            )
        return fitted

    def _affinities(self, rows, threads):
        """P of new rows over all training rows, or over the nearest as in the fit."""
        distances, bandwidths, weights = self.distances, self.bandwidths, self.weights
        if self.n_neighbors is None:
            found = new_rows(distances, rows, bandwidths, threads, weights)
            return NewAffinities(found.P, None, found.reached)
        nearest = distances.nearest(self.n_neighbors, threads, rows, weights)
        found = neighbour_rows(nearest, bandwidths, threads)
        return NewAffinities(found.P, nearest.columns, found.reached)


def warn_if_lost(placed, n_new):
    """Warn of new points that found no place in the map."""
    if placed.n_lost:
        warn(
            f"{placed.n_lost} of {n_new} new points found no place in the "
            "map: they lie beyond twice its radius, or their KL falls all the way "
            "to its rim, where they were left. Their neighbours may be all over "
            "the map, or the fit too short (max_iter)",
            ConvergenceWarning,
        )


class FittedMap:
    """The fitted points, about their mean, and how they act on new ones.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, n_components)
        The map.
    kernel : Kernel
        The similarity s.
    weights : ndarray of shape (n_samples,) or None
        How many copies of each point there are.
    """

    def __init__(self, embedding, kernel, weights=None):
        self.embedding = embedding.copy()  # by which a changed map is noticed
        points, self.weights = embedding.astype(np.float64), weights
        self.charges = read_only(np.empty(0) if weights is None else weights)
        self.center = np.average(points, axis=0, weights=weights)
        self.points = points - self.center
        self.Y = np.ascontiguousarray(self.points.T)
        self.kernel = kernel._replace(dof=float(kernel.dof))
        # KL changes over the length of the map, or of the kernel where that is wider
        spread = np.linalg.norm(self.points.std(axis=0))
        if weights is not None:
            squares = np.average(np.square(self.points), axis=0, weights=weights)
            spread = np.sqrt(squares.sum())
        self.width = np.hypot(spread, kernel.width)
        self.reach = max(self.width, np.linalg.norm(self.points, axis=1).max())
        self._repulsion = None

    def repulsion(self, V, threads, own=None):
        """log Φ and −∇ log Φ at places V, without the fitted points ``own``.

        What that needs is prepared once.
        """
        field = self._repulsion
        if field is None:
            field = self._repulsion = repulsion_of(
                self.Y, self.kernel, threads, self.charges
            )
        return field(V, threads, own)


def place_points(objective):
    """Place new points, of which ``objective`` has KL."""
    fitted = objective.fitted
    # the mean of neighbours in two clusters can lie in a third, from where descent
    # leads out of the map; then the nearest neighbour is the better start
    V, nearest = objective.starts()
    everyone = np.arange(len(V))
    at_start, at_nearest = objective(V, everyone), objective(nearest, everyone)
    worse = at_start.value > at_nearest.value
    V[worse] = nearest[worse]
    for value, other in zip(at_start, at_nearest, strict=True):
        value[worse] = other[worse]
    lost = np.zeros(len(V), bool)
    limit = RIM * fitted.reach
    unsettled = minimise_with_restarts(
        objective, V, at_start, fitted.width, limit=limit
    )
    lost[unsettled] = True
    lost |= np.linalg.norm(V, axis=1) > OUTSIDE * fitted.reach
    return Placed(V + fitted.center, np.count_nonzero(lost))


def weighted_means(P, rows, copies):
    """Σ_k p_rk x_rk, each of them alone: a product of matrices rounds by their shape.

    Of ``copies`` in order: how many p = 0 their lists end with depends on the others.
    """
    if copies:
        return np.cumsum(P[:, :, None] * rows, axis=1)[:, -1]
    return np.einsum("rk,rkd->rd", P, rows)


class AllPairsObjective:
    """KL of each new point alone: its p over the fitted points, q per row.

    Parameters
    ----------
    fitted : FittedMap
        The fitted points, which stay where they are.
    P : ndarray of shape (n_new, n_samples)
        Conditional affinities of the new points, rows sum to 1.
    threads : Threads
        Where rows run.
    """

    def __init__(self, fitted, P, threads):
        self.fitted, self.P, self.threads = fitted, P, threads

    def starts(self):
        """The p-weighted means of the fitted points, and the most probable ones."""
        points = self.fitted.points
        # each mean alone, because a product of matrices rounds by their shape
        means = np.array([p @ points for p in self.P])
        return means.reshape(len(self.P), -1), points[self.P.argmax(axis=1)]

    def __call__(self, V, rows):
        """KL less Σ p log p, ∂KL/∂v and Σ_j 2g_j p_j of new points ``rows`` at V."""
        fitted, out = self.fitted, _room(V)
        self.threads.run_ranges(
            lambda start, stop: placement.placement_rows(
                V,
                rows,
                fitted.Y,
                fitted.charges,
                self.P,
                fitted.kernel,
                start,
                stop,
                out,
            ),
            len(rows),
            len(rows) * self.P.shape[1],
        )
        return out


class NeighborObjective:
    """The same for p over neighbours.

    Parameters
    ----------
    fitted : FittedMap
        The fitted points, which stay where they are.
    neighbors : ndarray of shape (n_new, n_neighbors)
        Which of them are neighbours of each new point.
    P : ndarray of shape (n_new, n_neighbors)
        Conditional affinities of the new points to them, rows sum to 1.
    threads : Threads
        Where rows run.
    """

    def __init__(self, fitted, neighbors, P, threads):
        self.fitted, self.neighbors = fitted, neighbors
        self.P, self.threads = P, threads

    def starts(self):
        """The p-weighted means of the neighbours, and the most probable ones."""
        theirs = self.fitted.points[self.neighbors]
        means = weighted_means(self.P, theirs, self.fitted.weights is not None)
        return means, theirs[np.arange(len(theirs)), self.P.argmax(axis=1)]

    def __call__(self, V, rows):
        """KL less Σ p log p, ∂KL/∂v and Σ_j 2g_j p_j of new points ``rows`` at V."""
        fitted, out = self.fitted, _room(V)
        repulsion = fitted.repulsion(V, self.threads)
        self.threads.run_ranges(
            lambda start, stop: placement.neighbor_rows(
                V, rows, fitted.Y, self.neighbors, self.P, fitted.kernel, repulsion,
                start, stop, out,
            ),
            len(rows),
            len(rows) * self.P.shape[1],
        )  # fmt: skip
        return out


def _room(V):
    return Evaluation(np.empty(len(V)), np.empty(V.shape), np.empty(len(V)))
