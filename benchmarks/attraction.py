"""Attraction over neighbours, with points numbered at random and as the map lies."""

import numpy as np
from numba import njit
from scipy import sparse
from scipy.spatial import KDTree

from benchmarks.clock import median_seconds
from benchmarks.fast_sum import RADII, disc
from benchmarks.tables import Column, Table
from skdec.kernels.types import STUDENT_T, Kernel
from skdec.tsne._affinities import from_graph
from skdec.tsne._numbering import FIRST
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads

# Neighbours of each point, those of a place so far from it: a map does not keep all.
NEIGHBORS, APART = 60, 2.0

ROUNDS = 7


def neighbours_of(Y, threads):
    """A symmetric P of the points of (n, 2) that lie near each other."""
    n = len(Y)
    shifted = Y + np.random.default_rng(0).normal(0, APART, Y.shape)
    near = KDTree(Y).query(shifted, NEIGHBORS, workers=threads)[1]
    edges = np.arange(0, n * NEIGHBORS + 1, NEIGHBORS)
    values = np.full(near.size, 0.5 / near.size)
    P = sparse.csr_array((values, near.ravel(), edges), (n, n))
    return (P + P.T).tocsr()


def times(objective, Y, rounds):
    """Seconds of the attraction, and of the gradient."""
    out = np.empty_like(Y)
    return (
        median_seconds(lambda: objective._attract(Y, out), rounds),
        median_seconds(lambda: objective.gradient(Y), rounds),
    )


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def each_edge_once(points, columns, values, edges, forces):
    """Σ_t p_t (y_i − y_t)/(1 + D_it) of the upper half of P, given to both ends."""
    for i in range(len(edges) - 1):
        x, y = points[i, 0], points[i, 1]
        force_x = force_y = values.dtype.type(0)
        for t in range(edges[i], edges[i + 1]):
            j = columns[t]
            dx, dy = x - points[j, 0], y - points[j, 1]
            force = values[t] / (values.dtype.type(1) + (dx * dx + dy * dy))
            force_x += force * dx
            force_y += force * dy
            forces[j, 0] -= force * dx
            forces[j, 1] -= force * dy
        forces[i, 0] += force_x
        forces[i, 1] += force_y


def seconds_of_once(objective, Y, rounds):
    """Seconds of that on one thread, of points that are numbered as the map lies."""
    graph = objective.graph.graph
    n = len(graph.edges) - 1
    P = sparse.csr_array((graph.values, graph.columns, graph.edges), (n, n))
    upper = sparse.triu(P, 1, format="csr")
    points = np.ascontiguousarray(objective.graph.numbered(Y).T)
    halves = points, upper.indices, upper.data, upper.indptr, np.zeros_like(points)
    each_edge_once(*halves)  # compiled outside the clock
    return median_seconds(lambda: each_edge_once(*halves), rounds)


def attraction(options):
    """The attraction of an even disc: nanoseconds an edge and thread.

    "Each edge once" is another loop, on one thread, without what it would take to keep
    two threads apart: half as many edges, whose forces are added at both ends.
    """
    columns = (
        Column("n", "", "{:,}"),
        Column("edges a point", "", "{:.0f}"),
        Column("at random", "ns", "{:.2f}"),
        Column("as the map lies", "ns", "{:.2f}"),
        Column("each edge once", "ns", "{:.2f}"),
        Column("the gradient, at random", "ms", "{:,.0f}"),
        Column("the gradient, as the map lies", "ms", "{:,.0f}"),
    )
    title = "Attraction over neighbours, time of an edge and thread"
    table = Table("attraction", title, columns)
    for n, radius in ({2000: 30} if options.small else RADII).items():
        Y = disc(n, radius)
        P = from_graph(neighbours_of(Y.T, options.threads), np.dtype(np.float32))
        Y, rounds = Y.astype(np.float32), options.rounds or ROUNDS
        with Threads(options.threads) as threads:
            kernel = Kernel(STUDENT_T, np.float32(1))
            objective = EmbeddingObjective(P, kernel, True, threads, repulsion="grid")
            objective.gradient(Y)  # compiled outside the clock
            # so few evaluations that points are not numbered yet
            random, whole = times(objective, Y, min(rounds, FIRST // 2 - 2))
            while objective.graph.numbered(Y) is Y:
                objective.graph.follow(Y)
            placed, whole_placed = times(objective, Y, min(rounds, FIRST // 2 - 2))
            once = seconds_of_once(objective, Y, rounds)
        share = 1e9 * options.threads / P.P.nnz
        table = table.plus(
            n, P.P.nnz / n, share * random, share * placed, 1e9 * once / P.P.nnz,
            1e3 * whole, 1e3 * whole_placed,
        )  # fmt: skip
        yield table
