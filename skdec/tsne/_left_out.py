"""One row of a fitted map left out: where it belongs by all others, held in place."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skdec.kernels import affinities, placement
from skdec.kernels.types import Bandwidths, CSRGraph, Evaluation, PointTerms, Scales
from skdec.tsne._affinities import (
    calibrate,
    calibrated_lists,
    training_scales,
)
from skdec.tsne._bfgs import minimise_with_restarts
from skdec.tsne._placement import OUTSIDE, RIM

# Distances that a thread holds at a time, and attractions that are held in all.
DISTANCES_PER_TASK, ATTRACTIONS_AT_A_TIME = 4_000_000, 16_000_000

# Exponents of p are kept below this, where a row has come far nearer than any before.
LARGEST_EXPONENT = 700.0

# Products and differences give a distance that differs by this share, at most.
ROUNDING = 1e-9


class Settled(NamedTuple):
    """Where points come to rest, and which of them found no minimum in the map."""

    positions: np.ndarray
    lost: np.ndarray


@dataclass(frozen=True)
class LeftOut:
    """Attractions of rows near training rows, of which the map then lacks one each.

    Attributes
    ----------
    placing : Placing
        What was kept from the fit.
    bandwidths : Bandwidths
        Those of the fit.
    scales : Scales
        Of all training rows.
    radius : ndarray of shape (n_samples,) or None
        Squared distance to the last neighbour of each; None where p is over all pairs.
    joint : bool
        Whether p is symmetrised: a_j = (p_{j|x} + p_{x|j})/2, or p_{j|x} alone.
    threads : Threads
        Where rows run.
    """

    placing: object
    bandwidths: Bandwidths
    scales: Scales
    radius: np.ndarray | None
    joint: bool
    threads: object

    @classmethod
    def of(cls, placing, joint, threads):
        """Calibrate all training rows again."""
        distances, bandwidths, radius = placing.distances, placing.bandwidths, None
        if placing.n_neighbors is None:
            scales = training_scales(distances, bandwidths, threads)
        else:
            found = distances.nearest(placing.n_neighbors, threads)
            scales, _ = calibrated_lists(found, bandwidths, threads)
            radius = found.D[:, -1].copy()
        return cls(placing, bandwidths, scales, radius, joint, threads)

    def sigma(self):
        """Each row's bandwidth, p ∝ exp(−d²/2σ²), in the units of the data."""
        with np.errstate(divide="ignore"):
            sigma = np.mean(1 / np.sqrt(2 * self.scales.beta), axis=0)
        return self.placing.distances.to_original(sigma)

    @property
    def width(self):
        """How many attractions a row has, or a few less."""
        n = len(self.scales.near)
        return n if self.radius is None else min(n, 3 * self.placing.n_neighbors)

    def attractions(self, rows, own):
        """a_j of prepared rows, each in the place of its training row ``own``."""
        n = len(self.scales.near)
        size = max(1, DISTANCES_PER_TASK // n)
        parts = [None] * -(-len(own) // size)

        def task(first, last):
            for block in range(first, last):
                b = slice(block * size, (block + 1) * size)
                parts[block] = self._of_block(rows[b], own[b])

        self.threads.run_ranges(task, len(parts), 50 * n * len(own))
        lengths = np.concatenate([part[2] for part in parts])
        return CSRGraph(
            np.concatenate([part[0] for part in parts]),
            np.concatenate([part[1] for part in parts]),
            np.concatenate([[0], np.cumsum(lengths)]),
        )

    def _of_block(self, rows, own):
        """Values, columns and lengths of a block of rows."""
        distances = self.placing.distances
        D = distances.between(rows)
        of_block = np.arange(len(own))
        D[of_block, own] = np.inf
        if self.radius is None:
            A = self._conditional(D, own)
            near = np.ones(D.shape, bool)
        else:
            k = self.placing.n_neighbors
            columns = np.sort(np.argpartition(D, k - 1, axis=1)[:, :k], axis=1)
            nearest = np.take_along_axis(D, columns, axis=1)
            A, none = np.zeros(D.shape), np.full(len(own), -1)
            P = self._conditional(nearest, none)
            np.put_along_axis(A, columns, P, axis=1)
            near = self._reach(slice(None)) >= D
        if self.joint:
            # D of each training row is needed but once
            some, which = np.unique(own, return_inverse=True)
            D_own = distances.between(distances.rows[some])
            near[of_block, own] = False
            t, j = np.nonzero(near)
            A[t, j] += self._backward(D[t, j], D_own[which[t], j], j)
            A /= 2
        t, j = np.nonzero(A)
        return A[t, j], j, np.bincount(t, minlength=len(own))

    def _reach(self, j):
        """How far the lists of rows reach, whichever way a distance is rounded."""
        return self.radius[j] * (1 + ROUNDING)

    def _conditional(self, D, own):
        """p_{j|x}, calibrated as in the fit."""
        shape = len(self.scales.beta), len(D)
        scales = Scales(np.empty(len(D)), np.empty(shape), np.empty(shape))
        P, D = np.empty(D.shape), np.ascontiguousarray(D)
        calibrated = np.empty(len(D), bool)
        calibrate(D, own, None, self.bandwidths, scales, calibrated)
        affinities.conditional_rows(D, own, scales, P)
        return P

    def _backward(self, D, D_own, j):
        """p_{x|j} with β_j of the fit, x in the place of the row left out."""
        near, result = self.scales.near[j], np.zeros(len(j))
        met = D_own <= (np.inf if self.radius is None else self._reach(j))
        for beta, total in zip(self.scales.beta, self.scales.total, strict=True):
            there = np.exp(np.minimum(beta[j] * (near - D), LARGEST_EXPONENT))
            before = np.exp(np.minimum(beta[j] * (near - D_own), 0))
            others = np.maximum(total[j] - np.where(met, before, 0), 0)
            whole = others + there
            result += np.divide(there, whole, out=np.zeros(len(j)), where=whole > 0)
        return result / len(self.scales.beta)


class LeftOutObjective:
    """The loss of single points of a map: part 9 of docs/gradients.md.

    Parameters
    ----------
    fitted : FittedMap
        The fitted points, which stay where they are.
    graph : CSRGraph
        a_j of each point.
    own : ndarray of shape (n_points,)
        The fitted point that each takes the place of.
    terms : PointTerms
        The rest of the loss.
    threads : Threads
        Where rows run.
    """

    def __init__(self, fitted, graph, own, terms, threads):
        self.fitted, self.graph, self.own, self.terms = fitted, graph, own, terms
        self.threads = threads

    def starts(self):
        """Its own place, and those of the two other points that attract it most."""
        points, edges = self.fitted.points, self.graph.edges
        starts = [points[self.own].copy() for _ in range(3)]
        for r in range(len(self.own)):
            values = self.graph.values[edges[r] : edges[r + 1]]
            columns = self.graph.columns[edges[r] : edges[r + 1]]
            if len(values) > 1:
                for start, k in zip(starts[1:], np.argsort(-values)[:2], strict=True):
                    start[r] = points[columns[k]]
        return starts

    def __call__(self, V, rows):
        """L, ∂L/∂v and Σ_j 2g_j a_j of points ``rows`` at V."""
        fitted = self.fitted
        out = Evaluation(np.empty(len(V)), np.empty(V.shape), np.empty(len(V)))
        repulsion = fitted.repulsion(V, self.threads, self.own[rows])
        self.threads.run_ranges(
            lambda start, stop: placement.left_out_rows(
                V, rows, fitted.Y, self.graph, fitted.kernel, repulsion, self.terms,
                start, stop, out,
            ),
            len(rows),
            10 * len(rows) * (len(self.graph.values) // max(1, len(self.own))),
        )  # fmt: skip
        return out

    def hessians(self, V):
        """∂²L/∂v² of all points at V, of (n_points, n_components, n_components)."""
        fitted, H = self.fitted, np.empty((*V.shape, V.shape[1]))
        self.threads.run_ranges(
            lambda start, stop: placement.hessian_rows(
                V, self.own, fitted.Y, self.graph, fitted.kernel, self.terms,
                start, stop, H,
            ),
            len(V),
            4 * len(V) * fitted.Y.shape[1],
        )  # fmt: skip
        return H

    def settle(self, V):
        """Descend from V; the positions are about the mean of the map, as V is."""
        fitted, V, everyone = self.fitted, V.copy(), np.arange(len(V))
        lost = np.zeros(len(V), bool)
        unsettled = minimise_with_restarts(
            self, V, self(V, everyone), fitted.width, limit=RIM * fitted.reach
        )
        lost[unsettled] = True
        return Settled(V, lost | (np.linalg.norm(V, axis=1) > OUTSIDE * fitted.reach))

    def lowest(self):
        """The lowest of the minima that descents from ``starts`` lead to."""
        best, value, everyone = None, None, np.arange(len(self.own))
        for start in self.starts():
            ended = self.settle(start)
            there = self(ended.positions, everyone).value
            if best is None:
                best, value = ended, there
            # the first of minima that are the same but for rounding
            lower = there < value - 1e-9 * np.abs(value)
            best.positions[lower] = ended.positions[lower]
            best.lost[lower] = ended.lost[lower]
            value = np.where(lower, there, value)
        return best


def point_terms(fitted, own, joint, exaggeration, threads):
    """m and log R of the loss, for the points ``own`` of a map.

    Joint: L is n/2 times KL, R = Σ s over the pairs without the point.  Conditional:
    the point's own row of KL, which has no other pairs.
    """
    if not joint:
        return PointTerms(1 / exaggeration, np.full(len(own), -np.inf))
    everyone = np.arange(len(fitted.points))
    phi = np.exp(fitted.repulsion(fitted.points, threads, everyone).value)
    rest = np.maximum(phi.sum() / 2 - phi[own], 0)
    with np.errstate(divide="ignore"):
        return PointTerms(len(phi) / 2 / exaggeration, np.log(rest))
