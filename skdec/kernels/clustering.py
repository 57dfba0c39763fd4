"""Clustering: samples in the lanes, a walk over the centroids."""

import math

import numpy as np

from skdec.kernels._jit import kernel, stage
from skdec.kernels.stages import (
    dot,
    energy,
    pull,
    similarities,
    squared_distances,
    weights,
)

# Samples per chunk.  Chunks are padded to the full width, so every sample runs through
# the same vector instructions wherever it stands: results do not depend on the batch or
# on the order of the rows.
LANES = 256


@stage
def workspace(Z, k):
    """Lanes of one chunk: coordinates, D, Q, nearest D, Σ_j s_ij/s°_i, scratch."""
    ZT = np.empty((Z.shape[1], LANES), Z.dtype)
    D = np.empty((k, LANES), Z.dtype)
    Q = np.empty((k, LANES), Z.dtype)
    lanes = np.empty((3, LANES), Z.dtype)
    return ZT, D, Q, lanes[0], lanes[1], lanes[2]


@stage
def load(Z, first, ZT):
    """Put one chunk of rows into the lanes; lanes past the end repeat the last row."""
    n_samples, n_features = Z.shape
    for lane in range(LANES):
        i = min(first + lane, n_samples - 1)
        for d in range(n_features):
            ZT[d, lane] = Z[i, d]


@stage
def load_in_frame(Z, first, frame, ZT):
    """The same for (z − origin)/h; ``frame`` is (origin, 1/h)."""
    origin, scale = frame
    load(Z, first, ZT)
    for d in range(len(ZT)):
        for lane in range(LANES):
            ZT[d, lane] = (ZT[d, lane] - origin[d]) * scale


@stage
def load_weight(weight, first, width, W):
    """Weights of one chunk; 0 in the lanes past the end."""
    W[:] = 0
    for lane in range(width):
        W[lane] = weight[first + lane]


@stage
def assign(ZT, centers, dof, D, Q, near, total, T):
    """q_ij = s_ij / Σ_j' s_ij' of one chunk."""
    near[:] = np.inf
    for j in range(len(centers)):
        squared_distances(centers[j], ZT, D[j])
        D_j = D[j]
        for lane in range(LANES):
            near[lane] = min(near[lane], D_j[lane])
    total[:] = 0
    for j in range(len(centers)):
        similarities(D[j], near, dof, False, T, Q[j])
        Q_j = Q[j]
        for lane in range(LANES):
            total[lane] += Q_j[lane]
    for j in range(len(centers)):
        Q_j = Q[j]
        for lane in range(LANES):
            Q_j[lane] /= total[lane]


@stage
def target(Q, frequencies, P, total):
    """p_ij = (q_ij²/f_j) / Σ_j' (q_ij'²/f_j'); a column with f_j = 0 gets p = 0.

    A row left with nothing (all its mass on such columns, so its weight is 0) keeps q.
    """
    total[:] = 0
    for j in range(len(Q)):
        Q_j, P_j, f_j = Q[j], P[j], frequencies[j]
        if f_j > 0:
            for lane in range(LANES):
                P_j[lane] = Q_j[lane] * (Q_j[lane] / f_j)
                total[lane] += P_j[lane]
        else:
            P_j[:] = 0
    for j in range(len(Q)):
        Q_j, P_j = Q[j], P[j]
        for lane in range(LANES):
            P_j[lane] = P_j[lane] / total[lane] if total[lane] > 0 else Q_j[lane]


@kernel
def soft_assignment_rows(Z, centers, frame, dof, start, stop, Q_out):
    """q_ij for the rows start … stop."""
    ZT, D, Q, near, total, T = workspace(Z, len(centers))
    for first in range(start, stop, LANES):
        load_in_frame(Z, first, frame, ZT)
        assign(ZT, centers, dof, D, Q, near, total, T)
        for lane in range(min(LANES, stop - first)):
            for j in range(len(centers)):
                Q_out[first + lane, j] = Q[j, lane]


@kernel
def target_rows(Q_in, frequencies, start, stop, P_out):
    """p_ij for the rows start … stop of a given Q."""
    Q, P, _, total, _, _ = workspace(Q_in, Q_in.shape[1])
    for first in range(start, stop, LANES):
        load(Q_in, first, Q)
        target(Q, frequencies, P, total)
        for lane in range(min(LANES, stop - first)):
            for j in range(len(Q)):
                P_out[first + lane, j] = P[j, lane]


@kernel
def frequency_blocks(Z, weight, centers, frame, dof, size, start, stop, F, evidence):
    """f_j = Σ_i w_i q_ij and Σ_i w_i log Σ_j s_ij over each block of ``size`` rows."""
    ZT, D, Q, near, total, T = workspace(Z, len(centers))
    for block in range(start, stop):
        F[block] = 0
        evidence[block] = 0
        end = min((block + 1) * size, len(Z))
        for first in range(block * size, end, LANES):
            load_in_frame(Z, first, frame, ZT)
            assign(ZT, centers, dof, D, Q, near, total, T)
            for lane in range(min(LANES, end - first)):
                w = weight[first + lane]
                for j in range(len(centers)):
                    F[block, j] += w * Q[j, lane]
                log_s = math.log(total[lane]) - energy(near[lane], dof, False)
                evidence[block] += w * log_s


@kernel
def step_blocks(Z, weight, centers, anchors, model, size, start, stop, sums, labels):
    """Sums of one clustering step over each block of ``size`` rows.

    P is the target of Q(Z, anchors), held fixed; ``model`` is (frame, ν, f, moved),
    moved telling that centers differ from anchors.  ``sums`` receives per block
    ∂KL/∂μ_j = Σ_i w_i 2g_ij (p_ij − q_ij)(μ_j − z_i), its curvature Σ_i w_i 2g_ij p_ij
    and, unless that array is empty, Σ_i w_i KL_i; ``labels`` argmax_j q_ij.
    """
    frame, dof, frequencies, moved = model
    gradient, curvature, divergence = sums
    ZT, D, Q, near, total, T = workspace(Z, len(centers))
    P, W, G = np.empty_like(Q), np.empty_like(T), np.empty_like(T)
    for block in range(start, stop):
        gradient[block] = 0
        curvature[block] = 0
        end = min((block + 1) * size, len(Z))
        for first in range(block * size, end, LANES):
            width = min(LANES, end - first)
            load_weight(weight, first, width, W)
            load_in_frame(Z, first, frame, ZT)
            assign(ZT, anchors, dof, D, Q, near, total, T)
            target(Q, frequencies, P, T)
            if moved:
                assign(ZT, centers, dof, D, Q, near, total, T)
            for lane in range(width):
                best = 0
                for j in range(1, len(centers)):
                    if Q[j, lane] > Q[best, lane]:
                        best = j
                labels[first + lane] = best
            if len(divergence) > 0:
                divergence[block] += chunk_divergence(P, D, near, total, dof, W)
            for j in range(len(centers)):
                weights(D[j], dof, False, G)
                P_j, Q_j = P[j], Q[j]
                for lane in range(LANES):
                    G[lane] *= W[lane]
                    T[lane] = G[lane] * (P_j[lane] - Q_j[lane])
                curvature[block, j] += dot(G, P_j)
                for d in range(Z.shape[1]):
                    gradient[block, j, d] += pull(T, centers[j, d], ZT[d])


@stage
def chunk_divergence(P, D, near, total, dof, W):
    """Σ_i w_i Σ_j p_ij log(p_ij/q_ij), log q from D: it lives on where q underflows."""
    kl = 0.0
    for lane in range(LANES):
        if W[lane] > 0:
            log_sum = math.log(total[lane]) - energy(near[lane], dof, False)
            for j in range(len(P)):
                p = float(P[j, lane])
                if p > 0:
                    log_q = -energy(D[j, lane], dof, False) - log_sum
                    kl += W[lane] * p * (math.log(p) - log_q)
    return kl


@kernel
def loss_blocks(Z, centers, dof, rows, size, start, stop, out):
    """KL and both gradients for given P and residuals R; ``rows`` is (P, R, weight).

    Per row Σ_j 2g_ij r_ij (z_i − μ_j); per block and j −Σ_i of the same terms, and
    Σ_i w_i KL_i.
    """
    P_in, R_in, weight = rows
    grad_Z, grad_centers, kl = out
    ZT, D, Q, near, total, C = workspace(Z, len(centers))
    P, R, forces, W = D.copy(), D.copy(), ZT.copy(), near.copy()
    for block in range(start, stop):
        grad_centers[block] = 0
        kl[block] = 0
        end = min((block + 1) * size, len(Z))
        for first in range(block * size, end, LANES):
            width = min(LANES, end - first)
            load(Z, first, ZT)
            load(P_in, first, P)
            load(R_in, first, R)
            load_weight(weight, first, width, W)
            assign(ZT, centers, dof, D, Q, near, total, C)
            kl[block] += chunk_divergence(P, D, near, total, dof, W)
            forces[:] = 0
            for j in range(len(centers)):
                weights(D[j], dof, False, C)
                C[width:] = 0
                R_j = R[j]
                for lane in range(LANES):
                    C[lane] *= R_j[lane]
                for d in range(Z.shape[1]):
                    grad_centers[block, j, d] += pull(C, centers[j, d], ZT[d])
                    forces_d, z_d, center = forces[d], ZT[d], centers[j, d]
                    for lane in range(LANES):
                        forces_d[lane] += C[lane] * (z_d[lane] - center)
            for lane in range(width):
                for d in range(Z.shape[1]):
                    grad_Z[first + lane, d] = forces[d, lane]
