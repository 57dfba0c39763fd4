"""Graphs of neighbours: each row's list of them, and the lists the other way round.

A stripe is a range of points.  Its kernels read the lists of all rows, but take memory
for the edges of the stripe alone.
"""

import numpy as np

from skdec.kernels.affinities import add_shares, plogp
from skdec.kernels.jit import kernel, stage
from skdec.kernels.similarity import fill, sum_of
from skdec.kernels.types import Scales


@kernel
def count_in_edges(columns, counts):
    """counts_j ← counts_j + how many rows have j among their neighbours."""
    for i in range(len(columns)):
        for t in range(columns.shape[1]):
            counts[columns[i, t]] += 1


@kernel
def transpose_stripe(columns, D, first, transposed):
    """The rows that have c = ``first``, ``first`` + 1, … as a neighbour, and D_ic.

    ``transposed`` is a CSRGraph with edges; its columns are filled with those rows in
    order, its values with D.
    """
    edges, n_points = transposed.edges, len(transposed.edges) - 1
    end = edges[:-1].copy()
    for i in range(len(columns)):
        for t in range(columns.shape[1]):
            c = columns[i, t] - first
            if 0 <= c < n_points:
                e = end[c]
                transposed.columns[e] = i
                transposed.values[e] = D[i, t]
                end[c] = e + 1


@stage
def shares(D, rows, scales, p, buffer):
    """p_l = exp(−β (D_l − D°)) / total with the scales of the row of each l."""
    n, n_scales = len(D), len(scales.beta)
    pairs, E = Scales(buffer[0][:n], buffer[1][:n], buffer[2][:n]), buffer[3][:n]
    fill(p, 0)
    for lane in range(n):
        pairs.near[lane] = scales.near[rows[lane]]
    for s in range(n_scales):
        beta, total = scales.beta[s], scales.total[s]
        for lane in range(n):
            pairs.beta[lane] = beta[rows[lane]]
            pairs.total[lane] = total[rows[lane]] * n_scales
        add_shares(D, pairs, p, E)


@stage
def merge(columns, p, their_columns, their_p, out_columns, out):
    """The sum of two sparse rows with sorted columns; returns its length."""
    a = b = end = 0
    while a < len(p) or b < len(their_p):
        if b == len(their_p) or (a < len(p) and columns[a] <= their_columns[b]):
            j, value, a = columns[a], p[a], a + 1
        else:
            j, value, b = their_columns[b], their_p[b], b + 1
        if end > 0 and out_columns[end - 1] == j:
            out[end - 1] += value
        else:
            out_columns[end], out[end] = j, value
            end += 1
    return end


@kernel
def symmetric_stripe(own, D, transposed, scales, joint, columns, P, sums):
    """p_ij = (p_{j|i} + p_{i|j})/2n of a stripe, or /2 unless ``joint``.

    ``own`` are the points' own lists by column (``OwnLists``), ``transposed`` the
    lists the other way round.  Row after row goes to ``columns`` and ``P``, without
    the p that are 0 in its dtype; ``sums`` (``RowSums``) has what becomes of each row.
    """
    keys, edges = own.keys, transposed.edges
    k, end = keys.shape[1], 0
    width = k + np.diff(edges).max()
    buffer, rows = np.empty((8, width)), np.empty((3, width), np.int64)
    share = 1 / (2 * len(scales.near)) if joint else 0.5
    for r in range(len(keys)):
        i, n_in = own.first + r, edges[r + 1] - edges[r]
        targets, distances = rows[0][:k], buffer[4][:k]
        for t in range(k):
            targets[t] = keys[r, t] >> own.bits
            distances[t] = D[i, keys[r, t] & ((1 << own.bits) - 1)]
        fill(rows[1][:k], i)
        mine, theirs = buffer[5][:k], buffer[6][:n_in]
        shares(distances, rows[1][:k], scales, mine, buffer)
        sources = transposed.columns[edges[r] : edges[r + 1]]
        distances = transposed.values[edges[r] : edges[r + 1]]
        shares(distances, sources, scales, theirs, buffer)
        length = merge(targets, mine, sources, theirs, rows[2], buffer[7])
        p, begin = buffer[7][:length], end
        for lane in range(length):
            p[lane] *= share
        for lane in range(length):
            columns[end], P[end] = rows[2][lane], p[lane]
            end += P[end] > 0
        sums.length[r], sums.mass[r] = end - begin, sum_of(p)
        sums.negentropy[r] = plogp(p if joint else mine, buffer[0])
