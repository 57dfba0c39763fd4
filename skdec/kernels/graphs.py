"""Graphs of neighbours: each row's list of them, and the lists the other way round.

A stripe is a range of points.  Its kernels read the lists of all rows, but take memory
for the edges of the stripe alone.
"""

import math

import numpy as np

from skdec.kernels.affinities import add_shares, plogp
from skdec.kernels.jit import kernel, stage
from skdec.kernels.similarity import fill, sum_of
from skdec.kernels.types import CopyLists, Scales


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


@kernel
def renumber(graph, order, place, start, stop, renumbered):
    """Rows ``start`` to ``stop`` of the CSRGraph whose point r is ``order[r]``.

    ``place`` is the inverse of ``order``.  The entries of a row stay in the order that
    they have: what is summed over them is the same to the last bit.
    """
    for r in range(start, stop):
        first, here = graph.edges[order[r]], renumbered.edges[r]
        for t in range(renumbered.edges[r + 1] - here):
            renumbered.columns[here + t] = place[graph.columns[first + t]]
            renumbered.values[here + t] = graph.values[first + t]


@kernel
def count_halves(graph, order, place, size, start, stop, n_inner, n_outer):
    """How many entries of such a row ``Halves`` has, by blocks of ``size`` rows."""
    for r in range(start, stop):
        inner = outer = 0
        for t in range(graph.edges[order[r]], graph.edges[order[r] + 1]):
            j = place[graph.columns[t]]
            if j // size != r // size:
                outer += 1
            elif j > r:
                inner += 1
        n_inner[r], n_outer[r] = inner, outer


@kernel
def fill_halves(graph, order, place, start, stop, halves):
    """Rows ``start`` to ``stop`` of the Halves, whose edges are there."""
    inner, outer, size = halves.inner, halves.outer, halves.size
    for r in range(start, stop):
        e, f = inner.edges[r], outer.edges[r]
        for t in range(graph.edges[order[r]], graph.edges[order[r] + 1]):
            j = place[graph.columns[t]]
            if j // size != r // size:
                outer.columns[f], outer.values[f] = j, graph.values[t]
                f += 1
            elif j > r:
                inner.columns[e], inner.values[e] = j, graph.values[t]
                e += 1


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


@stage
def plogp_of_copies(mine, theirs, weights, i, share):
    """Σ p log p, p = (p_{j|i} + p_{i|j})/2n, over pairs of copies of i and of others.

    ``mine`` and ``theirs`` (``CopyLists``) have, by column, p_{j|i} of one copy of j
    and how many of its w_j copies the copies of i have in their lists; and the other
    way round.  A list may end among the copies of a point, so that of the w_i w_j pairs
    some have either p alone.
    """
    a = b = 0
    total = 0.0
    while a < len(mine.p) or b < len(theirs.p):
        j = theirs.columns[b] if b < len(theirs.p) else mine.columns[a]
        if a < len(mine.p):
            j = min(j, mine.columns[a])
        p = q = c = d = 0.0
        if a < len(mine.p) and mine.columns[a] == j:
            p, c, a = share * mine.p[a], mine.counts[a], a + 1
        if b < len(theirs.p) and theirs.columns[b] == j:
            q, d, b = share * theirs.p[b], theirs.counts[b], b + 1
        if j == i:
            # each copy has the first c others: the first c + 1 have each other
            total += c * (c + 1) * xlogx(2 * p)
            total += 2 * c * max(weights[i] - 1 - c, 0.0) * xlogx(p)
        else:
            total += c * d * xlogx(p + q)
            total += c * (weights[i] - d) * xlogx(p) + (weights[j] - c) * d * xlogx(q)
    return total


@stage
def xlogx(x):
    """X log x, 0 at 0."""
    return x * math.log(x) if x > 0 else 0.0


@kernel
def symmetric_stripe(own, D, transposed, scales, copies, joint, columns, P, sums):
    """p_ij = (p_{j|i} + p_{i|j})/2n of a stripe, or /2 unless ``joint``.

    ``own`` are the points' own lists by column (``OwnLists``), ``transposed`` the
    lists the other way round.  Row after row goes to ``columns`` and ``P``, without
    the p that are 0 in its dtype; ``sums`` (``RowSums``) has what becomes of each row.
    If points have ``copies`` (``Copies``, or None), p is summed over those of both
    points and n is all of them.
    """
    keys, edges = own.keys, transposed.edges
    k, end = keys.shape[1], 0
    longest = 0  # of np.diff and max numba compiles the messages of their errors too
    for r in range(len(keys)):
        longest = max(longest, edges[r + 1] - edges[r])
    width = k + longest
    buffer, rows = np.empty((9, width)), np.empty((3, width), transposed.columns.dtype)
    # numba leaves out what None does not need
    n = len(scales.near) if copies is None else sum_of(copies.weights)
    share = 1 / (2 * n) if joint else 0.5
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
        if copies is not None:
            weights, counts = copies.weights, buffer[8][:k]
            for t in range(k):
                counts[t] = copies.counts[i, keys[r, t] & ((1 << own.bits) - 1)]
            their_counts = copies.counts_in[edges[r] : edges[r + 1]]
            if joint:
                sums.negentropy[r] = plogp_of_copies(
                    CopyLists(targets, mine, counts),
                    CopyLists(sources, theirs, their_counts),
                    weights,
                    i,
                    share,
                )
            else:
                sums.negentropy[r] = weights[i] * plogp(mine, counts, buffer[0])
            for t in range(k):
                mine[t] *= weights[i] * counts[t]
            for t in range(n_in):
                theirs[t] *= weights[sources[t]] * their_counts[t]
        length = merge(targets, mine, sources, theirs, rows[2], buffer[7])
        p, begin = buffer[7][:length], end
        for lane in range(length):
            p[lane] *= share
        for lane in range(length):
            columns[end], P[end] = rows[2][lane], p[lane]
            end += P[end] > 0
        sums.length[r], sums.mass[r] = end - begin, sum_of(p)
        if copies is None:
            once = buffer[8][:0]
            sums.negentropy[r] = plogp(p if joint else mine, once, buffer[0])
