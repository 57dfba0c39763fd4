"""The mixture of Student-t distributions that memberships stand for.

    mean_blocks     f_j = Σ_i w_i q_ij and Σ_i w_i q_ij (μ_j − z_i), which give the
                    weights and the means of its components
    density_rows    log Σ_j π_j (1 + D_ij/ν)^(−(ν+d)/2)
    nearest_rows    the nearest centroid and its D, by which empty clusters are placed

The chunks are those of ``clustering``.
"""

import numpy as np

from skdec.kernels.clustering import assign, load_weight, nearest, workspace
from skdec.kernels.elementary import logarithms
from skdec.kernels.jit import kernel
from skdec.kernels.rows import LANES, fetch, measure, push, room
from skdec.kernels.similarity import dot, energies, fill, similarities


@kernel
def mean_blocks(rows, weight, centers, dof, size, start, stop, forces, frequencies):
    """Σ_i w_i q_ij (μ_j − z_i) and Σ_i w_i q_ij over each block of ``size`` rows."""
    k = frequencies.shape[1]
    D, Q, near, total, T, W, _ = workspace(k, weight)
    ZT = room(rows, k, weight)
    for block in range(start, stop):
        end = min((block + 1) * size, len(weight))
        for first in range(block * size, end, LANES):
            width = min(LANES, end - first)
            load_weight(weight, first, width, W)
            fetch(rows, first, ZT)
            measure(rows, centers, first, ZT, D)
            assign(D, dof, near, total, T, Q)
            for j in range(k):
                Q_j = Q[j]
                frequencies[block, j] += dot(W, Q_j)
                for lane in range(LANES):
                    Q_j[lane] *= W[lane]
            push(rows, centers, first, width, Q, ZT, forces[block])


@kernel
def density_rows(rows, centers, shares, dof, start, stop, out):
    """log Σ_j π_j s_ij for the rows start … stop, by way of s_ij/s°_i.

    With ν + d − 1 degrees of freedom and distances in units of h √(ν/(ν + d − 1)), s is
    (1 + D/ν)^(−(ν+d)/2).
    """
    k = len(shares)
    D, S, near, total, T, _, _ = workspace(k, shares)
    ZT = room(rows, k, shares)
    for first in range(start, stop, LANES):
        fetch(rows, first, ZT)
        measure(rows, centers, first, ZT, D)
        nearest(D, near)
        fill(total, 0)
        for j in range(k):
            S_j, share = S[j], shares[j]
            similarities(D[j], near, dof, False, T, S_j)
            for lane in range(LANES):
                total[lane] += share * S_j[lane]
        logarithms(total)
        energies(near, dof, False)
        for lane in range(min(LANES, stop - first)):
            out[first + lane] = total[lane] - near[lane]


@kernel
def nearest_rows(rows, centers, like, start, stop, labels, distances):
    """argmin_j D_ij, the first of equals, and that D, for the rows start … stop.

    ``like`` is an array of k numbers.
    """
    k = len(like)
    D, _, near, _, _, _, _ = workspace(k, like)
    ZT, best = room(rows, k, like), np.empty(LANES, np.int32)
    for first in range(start, stop, LANES):
        fetch(rows, first, ZT)
        measure(rows, centers, first, ZT, D)
        fill(near, np.inf)
        for j in range(k):
            D_j = D[j]
            for lane in range(LANES):
                nearer = D_j[lane] < near[lane]
                near[lane] = D_j[lane] if nearer else near[lane]
                best[lane] = j if nearer else best[lane]
        for lane in range(min(LANES, stop - first)):
            labels[first + lane], distances[first + lane] = best[lane], near[lane]
