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
from skdec.kernels.rows import (
    LANES,
    add_chunk_forces,
    allocate_buffer,
    load_chunk,
    measure,
)
from skdec.kernels.similarity import dot, energies, fill, similarities
from skdec.kernels.types import STUDENT_T, Kernel


@kernel
def mean_blocks(rows, weight, centers, dof, size, start, stop, forces, frequencies):
    """Σ_i w_i q_ij (μ_j − z_i) and Σ_i w_i q_ij over each block of ``size`` rows."""
    own, ZT = workspace(centers.norms), allocate_buffer(rows, centers)
    D, Q, W = own.D, own.Q, own.W
    for block in range(start, stop):
        end = min((block + 1) * size, len(weight))
        for first in range(block * size, end, LANES):
            width = min(LANES, end - first)
            load_weight(weight, first, width, W)
            load_chunk(rows, first, ZT)
            measure(rows, centers, first, ZT, D)
            assign(D, dof, own.near, own.total, own.T, Q)
            for j in range(len(Q)):
                Q_j = Q[j]
                frequencies[block, j] += dot(W, Q_j)
                for lane in range(LANES):
                    Q_j[lane] *= W[lane]
            add_chunk_forces(rows, centers, first, width, Q, ZT, forces[block])


@kernel
def density_rows(rows, centers, shares, dof, start, stop, out):
    """log Σ_j π_j s_ij for the rows start … stop, by way of s_ij/s°_i.

    With ν + d − 1 degrees of freedom and distances in units of h √(ν/(ν + d − 1)), s is
    (1 + D/ν)^(−(ν+d)/2).
    """
    own, ZT = workspace(centers.norms), allocate_buffer(rows, centers)
    D, S, near, total = own.D, own.Q, own.near, own.total
    for first in range(start, stop, LANES):
        load_chunk(rows, first, ZT)
        measure(rows, centers, first, ZT, D)
        nearest(D, near)
        fill(total, 0)
        for j in range(len(S)):
            S_j, share = S[j], shares[j]
            similarities(D[j], near, Kernel(STUDENT_T, dof), own.T, S_j)
            for lane in range(LANES):
                total[lane] += share * S_j[lane]
        logarithms(total)
        energies(near, Kernel(STUDENT_T, dof))
        for lane in range(min(LANES, stop - first)):
            out[first + lane] = total[lane] - near[lane]


@kernel
def nearest_rows(rows, centers, start, stop, labels, distances):
    """argmin_j D_ij, the first of equals, and that D, for the rows start … stop."""
    own, ZT = workspace(centers.norms), allocate_buffer(rows, centers)
    D, near, best = own.D, own.near, np.empty(LANES, np.int32)
    for first in range(start, stop, LANES):
        load_chunk(rows, first, ZT)
        measure(rows, centers, first, ZT, D)
        fill(near, np.inf)
        for j in range(len(D)):
            D_j = D[j]
            for lane in range(LANES):
                nearer = D_j[lane] < near[lane]
                near[lane] = D_j[lane] if nearer else near[lane]
                best[lane] = j if nearer else best[lane]
        for lane in range(min(LANES, stop - first)):
            labels[first + lane], distances[first + lane] = best[lane], near[lane]
