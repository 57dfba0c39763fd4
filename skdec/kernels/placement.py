"""New points against a fitted embedding."""

import math

import numpy as np

from skdec.kernels.jit import kernel, stage, summing_stage
from skdec.kernels.similarity import (
    bending,
    dot,
    energies,
    energy,
    fill,
    least,
    similarities,
    squared_distances,
    sum_of,
    weight,
    weighted_differences,
    weights,
)

# D of a point that is left out: s and 2g are 0 there.
LEFT_OUT = 1e300

# No fitted point, of the type of their numbers: another would be compiled once more.
NONE = np.intp(-1)


@summing_stage
def compared(v, own, Y, charges, kernel, D, T, S, G):
    """D, w s/s(D°) and 2g of a point and the fitted ones; D° and Σ w s/s(D°).

    w = 1 without ``charges``.  The fitted point ``own`` is left out, if it is not −1.
    """
    squared_distances(v, Y, D)
    if own >= 0:
        D[own] = LEFT_OUT
    fill(G, least(D))
    nearest = G[0]
    similarities(D, G, kernel, T, S)
    for j in range(len(charges)):
        S[j] *= charges[j]
    weights(D, kernel, G)
    return nearest, sum_of(S)


@kernel
def placement_rows(V, rows, Y, charges, P, kernel, start, stop, out):
    """Each v alone: q_j = w_j s_j / Σ_j' w_j' s_j' over the fitted y_j; p fixed.

    p = P[rows[t]].  ``out`` receives KL less Σ p log p,
    ∂KL/∂v = Σ_j 2g_j (p_j − q_j)(v − y_j), and
    the curvature of the attraction, Σ_j 2g_j p_j.
    """
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, G = buffer[0], buffer[1], buffer[2], buffer[3]
    for t in range(start, stop):
        P_t = P[rows[t]]
        nearest, sum_s = compared(V[t], NONE, Y, charges, kernel, D, T, S, G)
        energies(D, kernel)
        out.value[t] = math.log(sum_s) - energy(nearest, kernel) + dot(P_t, D)
        out.curvature[t] = dot(G, P_t)
        share = 1 / sum_s
        for j in range(len(D)):
            G[j] *= P_t[j] - S[j] * share
        for d in range(len(Y)):
            out.gradient[t, d] = weighted_differences(G, V[t, d], Y[d])


@kernel
def repulsion_rows(V, own, Y, charges, kernel, start, stop, out):
    """log Φ(v) and −∇ log Φ(v) = Σ_j 2g_j q_j (v − y_j), Φ(v) = Σ_j≠own w_j s_j."""
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, G = buffer[0], buffer[1], buffer[2], buffer[3]
    for t in range(start, stop):
        nearest, sum_s = compared(V[t], own[t], Y, charges, kernel, D, T, S, G)
        out.value[t] = -energy(nearest, kernel) + math.log(sum_s)
        share = 1 / sum_s
        for j in range(len(D)):
            G[j] *= S[j] * share
        for d in range(len(Y)):
            out.forces[d, t] = weighted_differences(G, V[t, d], Y[d])


@kernel
def neighbor_rows(V, rows, Y, neighbors, P, kernel, repulsion, start, stop, out):
    """``placement_rows`` with p over some of the y_j and the repulsion known.

    ``P[r, t]`` is that of the point ``neighbors[r, t]``.
    """
    for t in range(start, stop):
        r, c = rows[t], V.shape[1]
        value, curvature = repulsion.value[t], 0.0
        for d in range(c):
            out.gradient[t, d] = -repulsion.forces[d, t]
        for k in range(P.shape[1]):
            j, D = neighbors[r, k], 0.0
            for d in range(c):
                D += (V[t, d] - Y[d, j]) ** 2
            attraction = weight(D, kernel) * P[r, k]
            curvature += attraction
            value += P[r, k] * energy(D, kernel)
            for d in range(c):
                out.gradient[t, d] += attraction * (V[t, d] - Y[d, j])
        out.value[t], out.curvature[t] = value, curvature


@stage
def whole(log_phi, log_rest):
    """log(R + Φ), of which either may be 0."""
    larger = max(log_phi, log_rest)
    return larger + math.log1p(math.exp(min(log_phi, log_rest) - larger))


@kernel
def left_out_rows(V, rows, Y, graph, kernel, repulsion, terms, start, stop, out):
    """The loss of one point of a map, its own place left out, all others fixed:

    L(v) = Σ_j a_j (−log s_j) + m log(R + Φ(v)) [less m log R, if R > 0]

    ``out`` receives it, ∂L/∂v = Σ_j 2g_j a_j (v − y_j) + m ∇Φ/(R + Φ), and the
    curvature of the attraction.  ``graph`` has a_j = a[rows[t]].
    """
    for t in range(start, stop):
        r, log_phi = rows[t], repulsion.value[t]
        total, curvature = whole(log_phi, terms.log_rest[r]), 0.0
        share = terms.mass * math.exp(log_phi - total)
        value = terms.mass * total
        if terms.log_rest[r] > -np.inf:  # the digits of a difference, not of a sum
            value = terms.mass * math.log1p(math.exp(log_phi - terms.log_rest[r]))
        for d in range(V.shape[1]):
            out.gradient[t, d] = -share * repulsion.forces[d, t]
        for k in range(graph.edges[r], graph.edges[r + 1]):
            j, D = graph.columns[k], 0.0
            for d in range(V.shape[1]):
                D += (V[t, d] - Y[d, j]) ** 2
            attraction = weight(D, kernel) * graph.values[k]
            curvature += attraction
            value += graph.values[k] * energy(D, kernel)
            for d in range(V.shape[1]):
                out.gradient[t, d] += attraction * (V[t, d] - Y[d, j])
        out.value[t], out.curvature[t] = value, curvature


@kernel
def hessian_rows(V, own, Y, graph, kernel, terms, start, stop, H):
    """∂²L/∂v² of ``left_out_rows``, with u_j = v − y_j and q_j = s_j/(R + Φ):

    Σ_j (a_j − m q_j) 2g_j I − Σ_j (κ a_j − m (1 + κ) q_j) (2g_j)² u_j u_jᵀ − m F Fᵀ

    F = Σ_j 2g_j q_j u_j, and κ = −4g′/(2g)², g′ = dg/dD, is constant in D.
    """
    c = V.shape[1]
    buffer, F = np.empty((4, Y.shape[1]), Y.dtype), np.empty(c)
    D, T, S, G = buffer[0], buffer[1], buffer[2], buffer[3]
    bend = bending(kernel)
    for t in range(start, stop):
        nearest, sum_s = compared(V[t], own[t], Y, V[t, :0], kernel, D, T, S, G)
        log_nearest = -energy(nearest, kernel)
        total = whole(log_nearest + math.log(sum_s), terms.log_rest[t])
        share = terms.mass * math.exp(log_nearest - total)
        for j in range(len(D)):
            S[j] *= share * G[j]
        for d in range(c):
            F[d] = weighted_differences(S, V[t, d], Y[d])
        H[t] = 0
        for d in range(c):
            H[t, d, d] = -sum_of(S)
            for e in range(c):
                H[t, d, e] -= F[d] * F[e] / terms.mass
        for j in range(len(D)):
            add_outer((1 + bend) * S[j] * G[j], V[t], j, Y, H[t])
        for k in range(graph.edges[t], graph.edges[t + 1]):
            j = graph.columns[k]
            attraction = graph.values[k] * G[j]
            for d in range(c):
                H[t, d, d] += attraction
            add_outer(-bend * attraction * G[j], V[t], j, Y, H[t])


@stage
def add_outer(factor, v, j, Y, H):
    """H += factor (v − y_j)(v − y_j)ᵀ."""
    for d in range(len(v)):
        for e in range(len(v)):
            H[d, e] += factor * (v[d] - Y[d, j]) * (v[e] - Y[e, j])
