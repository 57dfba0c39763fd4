"""New points against a fitted embedding."""

import math

import numpy as np

from skdec.kernels.jit import kernel
from skdec.kernels.similarity import (
    dot,
    energies,
    energy,
    fill,
    least,
    similarities,
    squared_distances,
    sum_of,
    weighted_differences,
    weights,
)


@kernel
def placement_rows(V, rows, Y, P, kernel, start, stop, out):
    """Each v alone: q_j = s_j / Σ_j' s_j' over the fitted y_j, p_j = P[rows[t]] fixed.

    ``out`` receives KL less Σ p log p, ∂KL/∂v = Σ_j 2g_j (p_j − q_j)(v − y_j), and
    the curvature of the attraction, Σ_j 2g_j p_j.
    """
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, G = buffer[0], buffer[1], buffer[2], buffer[3]
    for t in range(start, stop):
        P_t = P[rows[t]]
        squared_distances(V[t], Y, D)
        fill(G, least(D))
        nearest = G[0]
        similarities(D, G, kernel, T, S)
        sum_s = sum_of(S)
        weights(D, kernel, G)
        energies(D, kernel)
        out.value[t] = math.log(sum_s) - energy(nearest, kernel) + dot(P_t, D)
        out.curvature[t] = dot(G, P_t)
        share = 1 / sum_s
        for j in range(len(D)):
            G[j] *= P_t[j] - S[j] * share
        for d in range(len(Y)):
            out.gradient[t, d] = weighted_differences(G, V[t, d], Y[d])
