"""Attraction over neighbours, with points numbered at random and as the map lies."""

import numpy as np
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


def attraction(options):
    """The attraction of an even disc: nanoseconds an edge and thread.

    An edge is an entry of P.  Of those within a block of rows every other is met.
    """
    columns = (
        Column("n", "", "{:,}"),
        Column("edges a point", "", "{:.0f}"),
        Column("at random", "ns", "{:.2f}"),
        Column("as the map lies", "ns", "{:.2f}"),
        Column("within a block", "%", "{:.0f}"),
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
                objective.gradient(Y)
            placed, whole_placed = times(objective, Y, min(rounds, FIRST // 2 - 2))
            within = 2 * len(objective.graph.graph.inner.values) / P.P.nnz
        share = 1e9 * options.threads / P.P.nnz
        table = table.plus(
            n, P.P.nnz / n, share * random, share * placed, 100 * within, 1e3 * whole,
            1e3 * whole_placed,
        )  # fmt: skip
        yield table
