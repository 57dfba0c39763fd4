"""New points against a fitted embedding."""

import math

import numpy as np

from skdec.kernels.jit import kernel, stage
from skdec.kernels.similarity import (
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


@stage
def compared(v, Y, charges, kernel, D, T, S, G):
    """D, w s/s(D°) and 2g of a point and the fitted ones; D° and Σ w s/s(D°).

    w = 1 without ``charges``.
    """
    squared_distances(v, Y, D)
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
        nearest, sum_s = compared(V[t], Y, charges, kernel, D, T, S, G)
        energies(D, kernel)
        out.value[t] = math.log(sum_s) - energy(nearest, kernel) + dot(P_t, D)
        out.curvature[t] = dot(G, P_t)
        share = 1 / sum_s
        for j in range(len(D)):
            G[j] *= P_t[j] - S[j] * share
        for d in range(len(Y)):
            out.gradient[t, d] = weighted_differences(G, V[t, d], Y[d])


@kernel
def repulsion_rows(V, Y, charges, kernel, start, stop, out):
    """log Φ(v) and −∇ log Φ(v) = Σ_j 2g_j q_j (v − y_j), Φ(v) = Σ_j w_j s_j."""
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, G = buffer[0], buffer[1], buffer[2], buffer[3]
    for t in range(start, stop):
        nearest, sum_s = compared(V[t], Y, charges, kernel, D, T, S, G)
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
