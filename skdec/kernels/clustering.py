"""Clustering: samples in the lanes, a walk over the centroids.

For a chunk of rows, from its distances D to the centroids,

    assign      q_ij = s_ij / Σ_j' s_ij'
    sharpen     p_ij = (q_ij²/f_j^b) / Σ_j' (q_ij'²/f_j'^b)
    tally       c_ij = w_i 2g_ij (p_ij − q_ij), and sums over the rows

and from the rows again the forces Σ_i c_ij (μ_j − z_i).  How the rows are stored is the
business of ``rows``: these loops serve dense and sparse ones alike.
"""

import math
from typing import NamedTuple

import numpy as np

from skdec.kernels.elementary import logarithms
from skdec.kernels.jit import kernel, reduction, stage, summing_stage
from skdec.kernels.rows import (
    LANES,
    add_chunk_forces,
    add_forces,
    allocate_buffer,
    distances,
    load,
    load_chunk,
    measure,
)
from skdec.kernels.similarity import (
    dot,
    fill,
    is_product,
    powers,
    similarities,
    weights,
)
from skdec.kernels.types import STUDENT_T, Kernel

# Numbers below this have no accurate logarithm in single precision.
LEAST = 1e-37


@stage
def load_weight(weight, first, width, W):
    """Weights of one chunk; 0 in the lanes past the end."""
    fill(W, 0)
    for lane in range(width):
        W[lane] = weight[first + lane]


# ------------------------------------------------------- q, p and the sums of a chunk
class Workspace(NamedTuple):
    """Room for what is known of one chunk: (k, LANES), or a number for each lane."""

    D: np.ndarray
    Q: np.ndarray
    near: np.ndarray  # the nearest D
    total: np.ndarray  # Σ_j s_ij/s°_i
    T: np.ndarray  # scratch
    W: np.ndarray  # weights of the rows


@stage
def workspace(norms):
    """A workspace for as many centroids as there are norms, of their dtype."""
    D = np.empty((len(norms), LANES), norms.dtype)
    lanes = np.empty((4, LANES), norms.dtype)
    return Workspace(D, np.empty_like(D), lanes[0], lanes[1], lanes[2], lanes[3])


@stage
def nearest(D, near):
    """min_j D_ij."""
    fill(near, np.inf)
    for j in range(len(D)):
        D_j = D[j]
        for lane in range(LANES):
            near[lane] = D_j[lane] if D_j[lane] < near[lane] else near[lane]


@stage
def assign(D, dof, near, total, T, Q):
    """q_ij = s_ij / Σ_j' s_ij', by way of s_ij/s°_i, s° that of the nearest centroid.

    D becomes 2g: where s is a power of it, one division serves both.
    """
    nearest(D, near)
    fill(total, 0)
    per_weight = total.dtype.type(1) / (dof + total.dtype.type(1))
    for j in range(len(D)):
        Q_j, D_j = Q[j], D[j]
        if is_product(dof):
            weights(D_j, Kernel(STUDENT_T, dof), T)
            for lane in range(LANES):
                Q_j[lane] = T[lane] * ((dof + near[lane]) * per_weight)
                D_j[lane] = T[lane]
            powers(Q_j, dof, T)
        else:
            similarities(D_j, near, Kernel(STUDENT_T, dof), T, Q_j)
            weights(D_j, Kernel(STUDENT_T, dof), T)
            for lane in range(LANES):
                D_j[lane] = T[lane]
        for lane in range(LANES):
            total[lane] += Q_j[lane]
    for lane in range(LANES):
        T[lane] = T.dtype.type(1) / total[lane]
    for j in range(len(D)):
        Q_j = Q[j]
        for lane in range(LANES):
            Q_j[lane] *= T[lane]


@stage
def sharpen(Q, inverse, total, P):
    """p_ij = (q_ij²/f_j^b) / Σ_j' (q_ij'²/f_j'^b); a column with f_j = 0 gets p = 0.

    ``inverse`` is f_j^−b, 0 where f_j = 0.  A row left with nothing (all its mass on
    such columns, so its weight is 0), or less than has a reciprocal, keeps q.
    """
    zero, one = total.dtype.type(0), total.dtype.type(1)
    infinity = total.dtype.type(np.inf)
    fill(total, 0)
    for j in range(len(Q)):
        Q_j, P_j, per_f = Q[j], P[j], inverse[j]
        for lane in range(LANES):
            P_j[lane] = Q_j[lane] * (Q_j[lane] * per_f)
            total[lane] += P_j[lane]
    for lane in range(LANES):
        per_total = one / total[lane] if total[lane] > 0 else zero
        total[lane] = per_total if per_total < infinity else zero
    for j in range(len(Q)):
        Q_j, P_j = Q[j], P[j]
        for lane in range(LANES):
            p = P_j[lane] * total[lane]
            P_j[lane] = p if total[lane] > 0 else Q_j[lane]


@stage
def most_probable(Q, top, best):
    """argmax_j q_ij, the first of equals."""
    fill(top, -1)
    for j in range(len(Q)):
        Q_j = Q[j]
        for lane in range(LANES):
            better = Q_j[lane] > top[lane]
            top[lane] = Q_j[lane] if better else top[lane]
            best[lane] = j if better else best[lane]


@reduction
def relabel(best, W, labels):
    """Put the best into ``labels``; Σ_i w_i of the rows that had another."""
    changed = zero = W.dtype.type(0)
    for lane in range(len(labels)):
        changed += W[lane] if labels[lane] != best[lane] else zero
        labels[lane] = best[lane]
    return changed


@summing_stage
def chunk_divergence(P, Q, inverse, total, W, T):
    """Σ_i w_i Σ_j p_ij log(p_ij/q_ij), p as just sharpened; 0 · log 0 = 0."""
    one, least = W.dtype.type(1), W.dtype.type(LEAST)
    kl = 0.0
    for j in range(len(P)):
        P_j, Q_j, per_f = P[j], Q[j], inverse[j]
        for lane in range(LANES):
            ratio = Q_j[lane] * per_f * total[lane]
            T[lane] = ratio if ratio > least else one
        logarithms(T)
        for lane in range(LANES):
            T[lane] *= P_j[lane]
        kl += dot(W, T)
    return kl


@reduction
def tally(P, Q, G, W, best, j):
    """c_ij = w_i 2g_ij (p_ij − q_ij) of one centroid into Q, and sums over the rows:

    w_i 2g_ij p_ij,  w_i q_ij,  c_ij,  and w_i where j is the best.
    """
    zero = W.dtype.type(0)
    curvature = frequency = residual = occupied = zero
    for lane in range(LANES):
        g = G[lane] * W[lane]
        c = g * (P[lane] - Q[lane])
        curvature += g * P[lane]
        frequency += W[lane] * Q[lane]
        occupied += W[lane] if best[lane] == j else zero
        residual += c
        Q[lane] = c
    return curvature, frequency, residual, occupied


# ---------------------------------------------------------------------------- kernels
@kernel
def soft_assignment_rows(rows, centers, dof, start, stop, Q_out, labels):
    """q_ij, and argmax_j q_ij, for the rows start … stop: of both what is not empty."""
    own, ZT = workspace(centers.norms), allocate_buffer(rows, centers)
    D, Q, best = own.D, own.Q, np.empty(LANES, np.int32)
    for first in range(start, stop, LANES):
        width = min(LANES, stop - first)
        load_chunk(rows, first, ZT)
        measure(rows, centers, first, ZT, D)
        assign(D, dof, own.near, own.total, own.T, Q)
        if len(labels) > 0:
            most_probable(Q, own.T, best)
            for lane in range(width):
                labels[first + lane] = best[lane]
        if len(Q_out) > 0:
            for lane in range(width):
                for j in range(len(Q)):
                    Q_out[first + lane, j] = Q[j, lane]


@kernel
def target_rows(Q_in, inverse, start, stop, P_out):
    """p_ij for the rows start … stop of a given Q; ``inverse`` is f_j^−b."""
    k = Q_in.shape[1]
    flat, P = np.empty(k * LANES, Q_in.dtype), np.empty((k, LANES), Q_in.dtype)
    Q, total = flat.reshape(k, LANES), np.empty(LANES, Q_in.dtype)
    for first in range(start, stop, LANES):
        load(Q_in, first, flat)
        sharpen(Q, inverse, total, P)
        for lane in range(min(LANES, stop - first)):
            for j in range(k):
                P_out[first + lane, j] = P[j, lane]


@kernel
def step_blocks(rows, weight, centers, anchors, model, size, start, stop, sums, labels):
    """Sums of one clustering step over each block of ``size`` rows.

    P is the target of Q at the anchors, held fixed.  ``sums`` receives, for each block,
    what ``StepSums`` names; ``labels`` argmax_j q_ij, unless it is empty.
    """
    own, ZT = workspace(centers.norms), allocate_buffer(rows, centers)
    D, Q, near, total, T, W = own.D, own.Q, own.near, own.total, own.T, own.W
    P, best = np.empty_like(Q), np.empty(LANES, np.int32)
    G = D  # what ``assign`` makes of it
    for block in range(start, stop):
        end = min((block + 1) * size, len(weight))
        for first in range(block * size, end, LANES):
            width = min(LANES, end - first)
            load_weight(weight, first, width, W)
            load_chunk(rows, first, ZT)
            for turn in range(1 + model.moved):
                measure(rows, centers if turn else anchors, first, ZT, D)
                assign(D, model.dof, near, total, T, Q)
                if turn == 0:
                    sharpen(Q, model.inverse, total, P)
                    if model.judged:
                        sums.kl[block] += chunk_divergence(
                            P, Q, model.inverse, total, W, T
                        )
            most_probable(Q, T, best)
            if len(labels) > 0:
                sums.changed[block] += relabel(best, W, labels[first : first + width])
            for j in range(len(G)):
                curvature, frequency, residual, occupied = tally(
                    P[j], Q[j], G[j], W, best, np.int32(j)
                )
                sums.curvature[block, j] += curvature
                sums.frequencies[block, j] += frequency
                sums.residual[block, j] += residual
                sums.occupied[block, j] += occupied
            add_chunk_forces(rows, centers, first, width, Q, ZT, sums.forces[block])


@stage
def given_divergence(P, D, near, total, dof, W):
    """Σ_i w_i Σ_j p_ij log(p_ij/q_ij), log q from D: it lives on where q underflows.

    log q is from s/s° as q is: of two log s near each other and far from 0 nothing but
    rounding would be left.
    """
    kl, nu = 0.0, float(dof)
    for lane in range(LANES):
        if W[lane] > 0:
            D_near, log_sum = float(near[lane]), math.log(total[lane])
            power, per_near = 0.5 * (nu + 1.0), 1.0 / (nu + D_near)
            for j in range(len(P)):
                p = float(P[j, lane])
                if p > 0:
                    farther = (float(D[j, lane]) - D_near) * per_near
                    log_q = -power * math.log1p(farther) - log_sum
                    kl += W[lane] * p * (math.log(p) - log_q)
    return kl


@kernel
def loss_blocks(Z, centers, dof, P_in, R_in, weight, size, start, stop, out):
    """KL and both gradients for given P and residuals R = w (p − q).

    Per row Σ_j 2g_ij r_ij (z_i − μ_j); per block and j −Σ_i of the same terms, and
    Σ_i w_i KL_i.
    """
    grad_Z, grad_centers, kl = out.grad_Z, out.grad_centers, out.kl
    k, n_features = centers.shape
    own = workspace(np.empty(k, Z.dtype))
    D, Q, near, total, C, W = own.D, own.Q, own.near, own.total, own.T, own.W
    ZT = np.empty(n_features * LANES, Z.dtype)
    G, force = np.empty_like(D), np.empty_like(ZT)
    flat = np.empty((2, k * LANES), Z.dtype)
    P, R = flat[0].reshape(k, LANES), flat[1].reshape(k, LANES)
    for block in range(start, stop):
        end = min((block + 1) * size, len(Z))
        for first in range(block * size, end, LANES):
            width = min(LANES, end - first)
            load(Z, first, ZT)
            load(P_in, first, flat[0])
            load(R_in, first, flat[1])
            load_weight(weight, first, width, W)
            for j in range(k):
                G_j, D_j = G[j], D[j]
                distances(centers[j], ZT, D_j)
                # of G[:] = D numba would compile the message of its error too
                for lane in range(LANES):
                    G_j[lane] = D_j[lane]
            assign(G, dof, near, total, C, Q)
            kl[block] += given_divergence(P, D, near, total, dof, W)
            fill(force, 0)
            for j in range(k):
                G_j, R_j = G[j], R[j]
                for lane in range(LANES):
                    C[lane] = G_j[lane] * R_j[lane] if lane < width else 0
                add_forces(C, centers[j], ZT, grad_centers[block, j])
                for d in range(n_features):
                    pulled = force[d * LANES : (d + 1) * LANES]
                    z_d, center = ZT[d * LANES : (d + 1) * LANES], centers[j, d]
                    for lane in range(LANES):
                        pulled[lane] += C[lane] * (z_d[lane] - center)
            for lane in range(width):
                for d in range(n_features):
                    grad_Z[first + lane, d] = force[d * LANES + lane]
