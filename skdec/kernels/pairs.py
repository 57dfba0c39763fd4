"""Points against reference points: distances, similarities, normalisation, forces.

The mathematics is in four short stages, written once and used by every loop below.
Each takes one point x and a vector of others, so that the compiler can vectorise:

    squared_distances   D_l = ‖x − y_l‖²
    similarities        s_l, relative to the similarity at a given nearest distance
    weights             2g_l = −2 d log s / dD
    pull                Σ_l c_l (x − y_l)

Coordinates are stored one array per dimension, ``points[d, l]``.  Clustering puts
samples in the lanes and walks over centroids; embeddings put all points in the
lanes and walk over rows.

``gaussian`` selects the kernel throughout: False for Student-t, True for Gaussian.
"""

import math

import numpy as np

from skdec.kernels._jit import kernel, reduction

# Samples per chunk of the clustering loops.  Chunks are padded to the full width, so
# every sample runs through the same vector instructions wherever it stands: results
# do not depend on the batch or on the order of the rows.
LANES = 256

# Up to here an integer dof is a product of roots and quotients, far cheaper than pow.
LARGEST_PRODUCT_DOF = 16

# Up to here log(1 + T) is as good as log1p(T) and twice as fast: what rounding 1 + T
# costs is multiplied by (ν+1)/2.
LARGEST_LOG_DOF = 64

# Single precision, taken apart: sign, exponent of 8 bits, mantissa of 23.
MANTISSA_BITS = np.int32(23)
MANTISSA = np.int32(0x7FFFFF)
EXPONENT_OF_ONE = np.int32(0x3F800000)
ROOT_OF_TWO = np.int32(0x3FB504F3)
BIAS = np.int32(127)
LOG_2 = np.float32(math.log(2))
ONE, THIRD, FIFTH = np.float32(1), np.float32(1 / 3), np.float32(1 / 5)
SEVENTH, NINTH = np.float32(1 / 7), np.float32(1 / 9)


# ---------------------------------------------------------------------- stages
@kernel
def squared_distances(x, points, D):
    """D_l = Σ_d (x_d − y_dl)²."""
    D[:] = 0
    for d in range(len(x)):
        x_d = x[d]
        row = points[d]
        for lane in range(len(D)):
            difference = x_d - row[lane]
            D[lane] += difference * difference


@kernel
def student_t(T, dof, S):
    """s = (1 + T)^(−(ν+1)/2), with T = D/ν."""
    one = T.dtype.type(1)
    power = (dof + one) / (one + one)
    if dof == int(dof) and dof <= LARGEST_PRODUCT_DOF:
        if int(dof) % 2 == 0:
            for lane in range(len(T)):
                root = one / (one + T[lane])
                S[lane] = root * math.sqrt(root)
        else:
            for lane in range(len(T)):
                S[lane] = one / (one + T[lane])
        for _ in range(int(power) - 1):
            for lane in range(len(T)):
                S[lane] = S[lane] / (one + T[lane])
    elif dof <= LARGEST_LOG_DOF:
        for lane in range(len(T)):
            S[lane] = math.exp(-power * math.log(one + T[lane]))
    else:
        for lane in range(len(T)):
            S[lane] = math.exp(-power * math.log1p(T[lane]))


@kernel
def similarities(D, near, dof, gaussian, T, S):
    """s(D)/s(D°), D° the distance ``near`` to the closest reference point.

    Student-t: (1 + D/ν)/(1 + D°/ν) = 1 + (D − D°)/(ν + D°), so the ratio is the same
    power of the same form.  Gaussian: exp(−(D − D°)).  The ratio never underflows
    where it matters, however far the points are.
    """
    if gaussian:
        for lane in range(len(D)):
            S[lane] = math.exp(near[lane] - D[lane])
    else:
        for lane in range(len(D)):
            T[lane] = (D[lane] - near[lane]) / (dof + near[lane])
        student_t(T, dof, S)


@kernel
def weights(D, dof, gaussian, G):
    """2g = (ν+1)/ν · (1 + D/ν)^(−1) = (ν+1)/(ν+D) for Student-t, 2 for Gaussian."""
    if gaussian:
        G[:] = 2
    else:
        numerator = dof + D.dtype.type(1)
        for lane in range(len(D)):
            G[lane] = numerator / (dof + D[lane])


@reduction
def sum_of(S):
    """Σ_l s_l."""
    result = S.dtype.type(0)
    for lane in range(len(S)):
        result += S[lane]
    return result


@reduction
def dot(A, B):
    """Σ_l a_l b_l."""
    result = A.dtype.type(0)
    for lane in range(len(A)):
        result += A[lane] * B[lane]
    return result


@kernel
def least(D):
    """min_l D_l."""
    result = D[0]
    for lane in range(len(D)):
        result = min(result, D[lane])
    return result


@kernel
def energy(D, dof, gaussian):
    """−log s: (ν+1)/2 · log(1 + D/ν) for Student-t, D for Gaussian."""
    if gaussian:
        return float(D)
    return 0.5 * (float(dof) + 1.0) * math.log1p(float(D) / float(dof))


@reduction
def pull(C, x_d, row):
    """Σ_l c_l (x_d − y_dl), one coordinate."""
    total = row.dtype.type(0)
    for lane in range(len(C)):
        total += C[lane] * (x_d - row[lane])
    return total


# ------------------------------------------------- clustering: samples in the lanes
@kernel
def workspace(Z, k):
    """Lanes of one chunk: coordinates, D, Q, nearest D, Σ_j s_ij/s°_i, scratch."""
    ZT = np.empty((Z.shape[1], LANES), Z.dtype)
    D = np.empty((k, LANES), Z.dtype)
    Q = np.empty((k, LANES), Z.dtype)
    lanes = np.empty((3, LANES), Z.dtype)
    return ZT, D, Q, lanes[0], lanes[1], lanes[2]


@kernel
def load(Z, first, ZT):
    """Put one chunk of rows into the lanes; lanes past the end repeat the last row."""
    n_samples, n_features = Z.shape
    for lane in range(LANES):
        i = min(first + lane, n_samples - 1)
        for d in range(n_features):
            ZT[d, lane] = Z[i, d]


@kernel
def load_in_frame(Z, first, frame, ZT):
    """The same for (z − origin)/h; ``frame`` is (origin, 1/h)."""
    origin, scale = frame
    load(Z, first, ZT)
    for d in range(len(ZT)):
        for lane in range(LANES):
            ZT[d, lane] = (ZT[d, lane] - origin[d]) * scale


@kernel
def load_weight(weight, first, width, W):
    """Weights of one chunk; 0 in the lanes past the end."""
    W[:] = 0
    for lane in range(width):
        W[lane] = weight[first + lane]


@kernel
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


@kernel
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


@kernel
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


# ------------------------------------------------- embeddings: all points in the lanes
@kernel
def nearest_rows(Y, start, stop, near):
    """D°_i = min_{j≠i} D_ij."""
    D = np.empty(Y.shape[1], Y.dtype)
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        D[i] = np.inf
        near[i] = least(D)


@kernel
def normaliser_rows(Y, near, dof, gaussian, start, stop, Z):
    """Z_i = Σ_{j≠i} s_ij / s(D°_i)."""
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, own = buffer[0], buffer[1], buffer[2], buffer[3]
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        own[:] = near[i]
        D[i] = near[i]
        similarities(D, own, dof, gaussian, T, S)
        S[i] = 0
        Z[i] = sum_of(S)


@kernel
def loss_rows(Y, P, near, Z, dof, gaussian, start, stop, grad, kl):
    """The general row of the table: any kernel, ν, normalisation and dimension.

    q_ij = s_ij/s(D°_i)/Z_i with i's own D° and Z (all equal under joint normalisation);
    KL_i = Σ_j p_ij log(p_ij/q_ij);
    ∂KL/∂y_i = Σ_j 2g_ij (p_ij − q_ij + p_ji − q_ji)(y_i − y_j).
    """
    buffer = np.empty((5, Y.shape[1]), Y.dtype)
    D, T, S, own, C = buffer[0], buffer[1], buffer[2], buffer[3], buffer[4]
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        D[i] = near[i]
        log_sum = math.log(Z[i]) - energy(near[i], dof, gaussian)
        kl[i] = 0
        for j in range(len(D)):
            p = float(P[i, j])
            if p > 0 and j != i:
                kl[i] += p * (math.log(p) + energy(D[j], dof, gaussian) + log_sum)
            C[j] = P[i, j] + P[j, i]
        similarities(D, near, dof, gaussian, T, S)
        for j in range(len(D)):
            C[j] -= S[j] / Z[j]
        own[:] = near[i]
        similarities(D, own, dof, gaussian, T, S)
        for j in range(len(D)):
            C[j] -= S[j] / Z[i]
        weights(D, dof, gaussian, T)
        for j in range(len(D)):
            C[j] *= T[j]
        C[i] = 0
        for d in range(len(Y)):
            grad[d, i] = pull(C, Y[d, i], Y[d])


@kernel
def joint_rows(Y, P, near, dof, start, stop, attraction, repulsion, Z):
    """One pass of Student-t SNE with a symmetric joint P, before Z = Σ_i Z_i is known.

    attraction_i = Σ_j 2g_ij p_ij (y_i − y_j), repulsion_i = Σ_j 2g_ij s_ij (y_i − y_j),
    Z_i = Σ_{j≠i} s_ij;  ∂KL/∂y_i = 2 (attraction_i − repulsion_i / Z).  All s are
    relative to s(D°), D° = ``near`` the same for all i; two dimensions at ν = 1, where
    nothing underflows, take D° = 0 for granted.
    """
    if len(Y) == 2 and dof == 1:
        joint_rows_plane(Y[0], Y[1], P, start, stop, attraction, repulsion, Z)
        return
    buffer = np.empty((5, Y.shape[1]), Y.dtype)
    D, T, S, G, own = buffer[0], buffer[1], buffer[2], buffer[3], buffer[4]
    own[:] = near
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        weights(D, dof, False, G)
        D[i] = near
        similarities(D, own, dof, False, T, S)
        S[i] = 0
        Z[i] = sum_of(S)
        P_i = P[i]
        for j in range(len(D)):
            T[j] = G[j] * P_i[j]
            S[j] *= G[j]
        for d in range(len(Y)):
            attraction[d, i] = pull(T, Y[d, i], Y[d])
            repulsion[d, i] = pull(S, Y[d, i], Y[d])


@reduction
def plane_sums(x_i, y_i, x, y, P_i):
    """Σ s, Σ s p (y_i − y_j), Σ s² (y_i − y_j) for s = g = 1/(1 + D), fused."""
    one = x.dtype.type(1)
    total = pull_x = pull_y = push_x = push_y = x.dtype.type(0)
    for j in range(len(x)):
        d_x = x_i - x[j]
        d_y = y_i - y[j]
        s = one / (one + d_x * d_x + d_y * d_y)
        total += s
        attract = s * P_i[j]
        pull_x += attract * d_x
        pull_y += attract * d_y
        repel = s * s
        push_x += repel * d_x
        push_y += repel * d_y
    return total, pull_x, pull_y, push_x, push_y


@kernel
def joint_rows_plane(x, y, P, start, stop, attraction, repulsion, Z):
    """``joint_rows`` for two dimensions and ν = 1, where 2g = 2s."""
    for i in range(start, stop):
        # the own point stays out of the sums: taking its s = 1 off afterwards would
        # leave nothing of a small Z
        P_i = P[i]
        low = plane_sums(x[i], y[i], x[:i], y[:i], P_i[:i])
        high = plane_sums(x[i], y[i], x[i + 1 :], y[i + 1 :], P_i[i + 1 :])
        Z[i] = low[0] + high[0]
        attraction[0, i] = 2 * (low[1] + high[1])
        attraction[1, i] = 2 * (low[2] + high[2])
        repulsion[0, i] = 2 * (low[3] + high[3])
        repulsion[1, i] = 2 * (low[4] + high[4])


@kernel
def log_single(U, bits):
    """U ← log U for single precision U ≥ 1, to an ulp or two, in vector code.

    U = 2^e m with m in [√½, √2); log m = 2 artanh f, f = (m − 1)/(m + 1), by series.
    """
    mantissa = bits.view(np.float32)
    for lane in range(len(U)):
        mantissa[lane] = U[lane]
    for lane in range(len(U)):
        m = (bits[lane] & MANTISSA) | EXPONENT_OF_ONE
        carry = np.int32(m > ROOT_OF_TWO)
        U[lane] = ((bits[lane] >> MANTISSA_BITS) - BIAS) + carry
        bits[lane] = m - (carry << MANTISSA_BITS)
    for lane in range(len(U)):
        f = (mantissa[lane] - ONE) / (mantissa[lane] + ONE)
        g = f * f
        series = ONE + g * (THIRD + g * (FIFTH + g * (SEVENTH + g * NINTH)))
        U[lane] = U[lane] * LOG_2 + (f + f) * series


@kernel
def energy_rows(Y, P, dof, start, stop, out):
    """Σ_j p_ij · (−log s_ij), what KL needs beyond log Z and the entropy of P."""
    D = np.empty(Y.shape[1], Y.dtype)
    bits = np.empty(Y.shape[1], np.int32)
    one = Y.dtype.type(1)
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        if D.itemsize == 4 and dof <= LARGEST_LOG_DOF:
            for j in range(len(D)):
                D[j] = one + D[j] / dof
            log_single(D, bits)
            out[i] = 0.5 * (float(dof) + 1.0) * dot(D, P[i])
        else:
            total = 0.0
            for j in range(len(D)):
                total += P[i, j] * energy(D[j], dof, False)
            out[i] = total


# -------------------------------------------- new points against a fitted embedding
@kernel
def placement_rows(V, rows, Y, P, dof, start, stop, out):
    """Each v alone: q_j = s_j / Σ_j' s_j' over the fitted y_j, p_j = P[rows[t]] fixed.

    ``out`` receives KL less Σ p log p, ∂KL/∂v = Σ_j 2g_j (p_j − q_j)(v − y_j), and
    the curvature of the attraction, Σ_j 2g_j p_j.
    """
    loss, gradient, curvature = out
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, own = buffer[0], buffer[1], buffer[2], buffer[3]
    for t in range(start, stop):
        P_t = P[rows[t]]
        squared_distances(V[t], Y, D)
        own[:] = least(D)
        similarities(D, own, dof, False, T, S)
        sum_s = sum_of(S)
        loss[t] = math.log(sum_s) - energy(own[0], dof, False)
        weights(D, dof, False, T)
        curvature[t] = 0
        for j in range(len(D)):
            if P_t[j] > 0:
                loss[t] += P_t[j] * energy(D[j], dof, False)
            curvature[t] += T[j] * P_t[j]
            T[j] *= P_t[j] - S[j] / sum_s
        for d in range(len(Y)):
            gradient[t, d] = pull(T, V[t, d], Y[d])
