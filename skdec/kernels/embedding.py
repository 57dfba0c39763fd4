"""Embeddings: all other points in the lanes, a walk over the rows."""

import numpy as np

from skdec.kernels.jit import kernel
from skdec.kernels.pairs import add_scaled, exchange, lane_distances, n_met
from skdec.kernels.similarity import (
    dot,
    energies,
    fill,
    least,
    similarities,
    squared_distances,
    sum_of,
    weight,
    weighted_differences,
    weights,
)


@kernel
def nearest_rows(Y, start, stop, near):
    """D°_i = min_{j≠i} D_ij."""
    D = np.empty(Y.shape[1], Y.dtype)
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        D[i] = np.inf
        near[i] = least(D)


@kernel
def normaliser_rows(Y, near, kernel, start, stop, Z):
    """Z_i = Σ_{j≠i} s_ij / s(D°_i)."""
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, own = buffer[0], buffer[1], buffer[2], buffer[3]
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        fill(own, near[i])
        D[i] = near[i]
        similarities(D, own, kernel, T, S)
        S[i] = 0
        Z[i] = sum_of(S)


@kernel
def force_blocks(Y, P, kernel, near, inverse, size, start, stop, slots, Z):
    """Attraction and repulsion of the general row of the table, P symmetric.

    A_i = Σ_j 2g_ij p_ij (y_i − y_j) and R_i = Σ_j 2g_ij r_ij (y_i − y_j).  With joint
    normalisation r_ij = s_ij/s(D°), one D° for all, and Z gets Σ_l r_il of every row;
    with ``inverse`` (1/Z_i of each point, for the conditional)
    r_ij = (q_{j|i} + q_{i|j})/2, q_{j|i} = s_ij/s(D°_i)/Z_i.
    ``slots`` takes R, then A unless P has no lanes.
    """
    half = Y.dtype.type(0.5)
    buffer = np.empty((6, len(Z) // 2), Y.dtype)
    for block in range(start, stop):
        first = block * size
        slot = slots[block]
        for k in range(len(slot)):
            fill(slot[k], 0)
        for i in range(first, min(first + size, len(Z))):
            m = n_met(i, len(Z))
            D, T, S = buffer[0][:m], buffer[1][:m], buffer[2][:m]
            G, A, own = buffer[3][:m], buffer[4][:m], buffer[5][:m]
            lane_distances(Y, i, D)
            weights(D, kernel, G)
            fill(own, near[i])
            similarities(D, own, kernel, T, S)
            if len(inverse) > 0:
                similarities(D, near[i + 1 : i + 1 + m], kernel, T, A)
                theirs = inverse[i + 1 : i + 1 + m]
                for lane in range(m):
                    S[lane] = half * (S[lane] * inverse[i] + A[lane] * theirs[lane])
            else:
                Z[i] = sum_of(S)
            for lane in range(m):
                S[lane] *= G[lane]
            own_place, places = i - first, slice(i - first + 1, i - first + 1 + m)
            for d in range(len(Y)):
                others = Y[d][i + 1 : i + 1 + m]
                slot[d, own_place] += exchange(S, Y[d, i], others, slot[d][places])
            if P.shape[1] > 0:
                P_i = P[i]
                for lane in range(m):
                    A[lane] = G[lane] * P_i[lane]
                for d in range(len(Y)):
                    others = Y[d][i + 1 : i + 1 + m]
                    k = len(Y) + d
                    slot[k, own_place] += exchange(A, Y[d, i], others, slot[k][places])


@kernel
def charged_rows(Y, charges, kernel, near, inverse, start, stop, forces, Z):
    """R_i = Σ_j w_j 2g_ij r_ij (y_i − y_j) and Z_i = Σ_{j≠i} w_j s_ij/s(D°_i).

    r_ij as in ``force_blocks``; with ``inverse``, Z is left alone.
    """
    half = Y.dtype.type(0.5)
    buffer = np.empty((6, Y.shape[1]), Y.dtype)
    D, T, S, G = buffer[0], buffer[1], buffer[2], buffer[3]
    A, own = buffer[4], buffer[5]
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        D[i] = near[i]
        weights(D, kernel, G)
        fill(own, near[i])
        similarities(D, own, kernel, T, S)
        S[i] *= 0
        if len(inverse) > 0:
            similarities(D, near, kernel, T, A)
            A[i] = 0
            for j in range(len(S)):
                S[j] = half * (S[j] * inverse[i] + A[j] * inverse[j])
        for j in range(len(S)):
            S[j] *= charges[j]
        if len(inverse) == 0:
            Z[i] = sum_of(S)
        for j in range(len(S)):
            S[j] *= G[j]
        for d in range(len(Y)):
            forces[d, i] = weighted_differences(S, Y[d, i], Y[d])


@kernel
def fold_slots(slots, size, repulsion, attraction, out):
    """out[d, i] = e · A_di − w · R_di, the slots added up in their order.

    ``slots`` holds R, then A unless that is in ``out`` already; the factors w and e are
    ``repulsion`` and ``attraction``.
    """
    c, n = out.shape
    dense = slots.shape[1] > c
    for d in range(c):
        total = out[d]
        for i in range(n):
            total[i] = 0 if dense else total[i] * attraction
        for block in range(len(slots)):
            first = block * size
            head = min(slots.shape[2], n - first)
            R = slots[block, d]
            if dense:
                A = slots[block, c + d]
                add_scaled(total[first : first + head], A[:head], attraction)
                add_scaled(total, A[head:], attraction)
            add_scaled(total[first : first + head], R[:head], -repulsion)
            add_scaled(total, R[head:], -repulsion)


@kernel
def graph_rows(Y, graph, kernel, start, stop, attraction):
    """A_i = Σ_j 2g_ij p_ij (y_i − y_j) of a sparse P, in CSR form, with every pair."""
    for i in range(start, stop):
        for d in range(len(Y)):
            attraction[d, i] = 0
        for t in range(graph.edges[i], graph.edges[i + 1]):
            j = graph.columns[t]
            D = 0.0
            for d in range(len(Y)):
                difference = Y[d, i] - Y[d, j]
                D += difference * difference
            G = weight(D, kernel)
            for d in range(len(Y)):
                attraction[d, i] += G * graph.values[t] * (Y[d, i] - Y[d, j])


@kernel
def energy_rows(Y, P, kernel, start, stop, out):
    """Σ_j p_ij · (−log s_ij) over the points that row i meets."""
    buffer = np.empty(P.shape[1], Y.dtype)
    n = len(P)
    for i in range(start, stop):
        m = n_met(i, n)
        D = buffer[:m]
        lane_distances(Y, i, D)
        energies(D, kernel)
        out[i] = dot(D, P[i][:m])


@kernel
def graph_energy_rows(Y, graph, kernel, start, stop, out):
    """Σ_j p_ij · (−log s_ij) of a sparse P."""
    most = 0
    for i in range(start, stop):
        most = max(most, graph.edges[i + 1] - graph.edges[i])
    buffer = np.empty(most, Y.dtype)
    for i in range(start, stop):
        entries = slice(graph.edges[i], graph.edges[i + 1])
        columns, values = graph.columns[entries], graph.values[entries]
        D = buffer[: len(columns)]
        fill(D, 0)
        for d in range(len(Y)):
            for t in range(len(D)):
                difference = Y[d, i] - Y[d, columns[t]]
                D[t] += difference * difference
        energies(D, kernel)
        out[i] = dot(D, values)
