"""Embeddings: all other points in the lanes, a walk over the rows."""

import math

import numpy as np

from skdec.kernels._jit import kernel, reduction, stage
from skdec.kernels.stages import (
    dot,
    energies,
    energy,
    fill,
    least,
    pull,
    similarities,
    squared_distances,
    sum_of,
    weights,
)

# Lanes of a chunk in which the fused loops collect what the other points get back, one
# column per force at a constant distance: LLVM needs no check for overlap.
CHUNK = 2048


@kernel
def nearest_rows(Y, start, stop, near):
    """D°_i = min_{j≠i} D_ij."""
    D = np.empty(Y.shape[1], Y.dtype)
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        D[i] = np.inf
        near[i] = least(D)


@kernel
def normaliser_rows(Y, near, form, start, stop, Z):
    """Z_i = Σ_{j≠i} s_ij / s(D°_i)."""
    dof, gaussian = form
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, own = buffer[0], buffer[1], buffer[2], buffer[3]
    for i in range(start, stop):
        squared_distances(Y[:, i].copy(), Y, D)
        fill(own, near[i])
        D[i] = near[i]
        similarities(D, own, dof, gaussian, T, S)
        S[i] = 0
        Z[i] = sum_of(S)


# The loops below see each pair once.  Row i meets the ⌊n/2⌋ points that follow it in
# cyclic order, so that every row has the same work; coordinates are stored twice over,
# which makes those points contiguous: lane l of row i is the point i + 1 + l.  For even
# n the rows of the second half meet one point less.  P has one row of lanes for every
# point: half of a symmetric matrix, in that order.
#
# What a block of rows adds to its own points and to those it meets is collected in a
# slot of its own: slots[block, k, t] belongs to the point t places after the block's
# first.  The slots are added up in the order of the blocks, for any number of threads.
@stage
def reach(i, n):
    """How many points row i meets."""
    return n // 2 if n % 2 == 1 or i < n // 2 else n // 2 - 1


@stage
def lane_distances(Y, i, D):
    """D_l between point i and the points after it."""
    fill(D, 0)
    for d in range(len(Y)):
        y = Y[d, i]
        others = Y[d][i + 1 : i + 1 + len(D)]
        for lane in range(len(D)):
            difference = y - others[lane]
            D[lane] += difference * difference


@reduction
def exchange(C, y, others, back):
    """Σ_l c_l (y − y_l); each other point gets the opposite of its term."""
    total = y * 0
    for lane in range(len(C)):
        force = C[lane] * (y - others[lane])
        total += force
        back[lane] -= force
    return total


@kernel
def force_blocks(Y, P, q_form, size, start, stop, slots, Z):
    """Attraction and repulsion of the general row of the table, P symmetric.

    A_i = Σ_j 2g_ij p_ij (y_i − y_j) and R_i = Σ_j 2g_ij r_ij (y_i − y_j).  With joint
    normalisation r_ij = s_ij/s(D°), one D° for all, and Z gets Σ_l r_il of every row;
    with ``inverse`` (1/Z_i of each point, for the conditional)
    r_ij = (q_{j|i} + q_{i|j})/2, q_{j|i} = s_ij/s(D°_i)/Z_i.
    ``slots`` takes R, then A unless P has no lanes.
    """
    dof, gaussian, near, inverse = q_form
    half = Y.dtype.type(0.5)
    buffer = np.empty((6, len(Z) // 2), Y.dtype)
    for block in range(start, stop):
        first = block * size
        slot = slots[block]
        for k in range(len(slot)):
            fill(slot[k], 0)
        for i in range(first, min(first + size, len(Z))):
            m = reach(i, len(Z))
            D, T, S = buffer[0][:m], buffer[1][:m], buffer[2][:m]
            G, A, own = buffer[3][:m], buffer[4][:m], buffer[5][:m]
            lane_distances(Y, i, D)
            weights(D, dof, gaussian, G)
            fill(own, near[i])
            similarities(D, own, dof, gaussian, T, S)
            if len(inverse) > 0:
                similarities(D, near[i + 1 : i + 1 + m], dof, gaussian, T, A)
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
def fold(slots, size, factors, out):
    """out[d, i] = e · A_di − w · R_di, the slots added up in their order.

    ``slots`` holds R, then A unless that is in ``out`` already; ``factors`` is (w, e).
    """
    c, n = out.shape
    dense = slots.shape[1] > c
    for d in range(c):
        total = out[d]
        for i in range(n):
            total[i] = 0 if dense else total[i] * factors[1]
        for block in range(len(slots)):
            first = block * size
            head = min(slots.shape[2], n - first)
            R = slots[block, d]
            if dense:
                A = slots[block, c + d]
                add(total[first : first + head], A[:head], factors[1])
                add(total, A[head:], factors[1])
            add(total[first : first + head], R[:head], -factors[0])
            add(total, R[head:], -factors[0])


@stage
def add(total, part, factor):
    """total_t ← total_t + factor · part_t as far as the part goes."""
    total = total[: len(part)]
    for t in range(len(part)):
        total[t] += factor * part[t]


@stage
def add_chunks(chunks, factor, slot):
    """Add ``factor`` times what a fused loop has collected in chunks to a slot."""
    n_columns = len(slot)
    for k in range(n_columns):
        for first in range(0, slot.shape[1], CHUNK):
            column = first * n_columns + k * CHUNK
            add(
                slot[k][first:],
                chunks[column : column + min(CHUNK, slot.shape[1] - first)],
                factor,
            )


@reduction
def plane_forces(pair, x, y, P_a, P_b, back, sums):
    """Two points a, b of the plane against the same others; s = 1/(1 + D).

    Per point Σ s, Σ s² (y_i − y_j) and, where P is given, Σ s p (y_i − y_j); the
    others get the opposite.
    """
    x_a, y_a, x_b, y_b = pair
    dense = len(P_a) > 0
    one = x.dtype.type(1)
    z_a = z_b = ax_a = ax_b = ay_a = ay_b = rx_a = rx_b = ry_a = ry_b = one - one
    for j in range(len(x)):
        dx_a, dy_a = x_a - x[j], y_a - y[j]
        dx_b, dy_b = x_b - x[j], y_b - y[j]
        s_a = one / (one + dx_a * dx_a + dy_a * dy_a)
        s_b = one / (one + dx_b * dx_b + dy_b * dy_b)
        z_a += s_a
        z_b += s_b
        if dense:
            p_a, p_b = s_a * P_a[j], s_b * P_b[j]
            fx_a, fy_a, fx_b, fy_b = p_a * dx_a, p_a * dy_a, p_b * dx_b, p_b * dy_b
            ax_a += fx_a
            ay_a += fy_a
            ax_b += fx_b
            ay_b += fy_b
            back[j + 2 * CHUNK] -= fx_a + fx_b
            back[j + 3 * CHUNK] -= fy_a + fy_b
        s_a *= s_a
        s_b *= s_b
        fx_a, fy_a, fx_b, fy_b = s_a * dx_a, s_a * dy_a, s_b * dx_b, s_b * dy_b
        rx_a += fx_a
        ry_a += fy_a
        rx_b += fx_b
        ry_b += fy_b
        back[j] -= fx_a + fx_b
        back[j + CHUNK] -= fy_a + fy_b
    for t, total in enumerate((z_a, rx_a, ry_a, ax_a, ay_a)):
        sums[0, t] += total
    for t, total in enumerate((z_b, rx_b, ry_b, ax_b, ay_b)):
        sums[1, t] += total


@stage
def plane_pair(Y, P_i, i, lane, first, slot):
    """One pair of ``plane_blocks``, added to a slot; returns s."""
    one, j = Y.dtype.type(1), i + 1 + lane
    dx, dy = Y[0, i] - Y[0, j], Y[1, i] - Y[1, j]
    s = one / (one + dx * dx + dy * dy)
    for d, difference in enumerate((dx, dy)):
        force = 2 * s * s * difference
        slot[d, i - first] += force
        slot[d, j - first] -= force
        if len(slot) == 4:
            force = 2 * s * P_i[lane] * difference
            slot[d + 2, i - first] += force
            slot[d + 2, j - first] -= force
    return s


@kernel
def plane_blocks(Y, P, dof, size, start, stop, slots, Z):
    """``force_blocks`` for two dimensions and ν = 1, joint, where 2g = 2s.

    Rows go by twos, which halves what is read and written for the points they meet;
    D° = 0 is taken for granted, as nothing underflows.
    """
    n, n_columns = len(Z), slots.shape[1]
    chunks = np.empty(-(-slots.shape[2] // CHUNK) * n_columns * CHUNK, Y.dtype)
    sums = np.empty((2, 5), Y.dtype)
    two = Y.dtype.type(2)
    for block in range(start, stop):
        first, end = block * size, min((block + 1) * size, n)
        slot = slots[block]
        for k in range(n_columns):
            fill(slot[k], 0)
        fill(chunks, 0)
        for i in range(first, end - 1, 2):
            # both meet the points from i + 2 on, as far as the first of them reaches
            pair = Y[0, i], Y[1, i], Y[0, i + 1], Y[1, i + 1]
            m_a, m_b = reach(i, n), reach(i + 1, n)
            for r in range(2):
                for k in range(5):
                    sums[r, k] = 0
            lane = 1
            while lane < m_a:
                t = i + 1 + lane - first
                m = min(CHUNK - t % CHUNK, m_a - lane)
                at = t // CHUNK * n_columns * CHUNK + t % CHUNK
                plane_forces(
                    pair,
                    Y[0][i + 1 + lane : i + 1 + lane + m],
                    Y[1][i + 1 + lane : i + 1 + lane + m],
                    P[i][lane : lane + m],
                    P[i + 1][lane - 1 : lane - 1 + m],
                    chunks[at : at + (n_columns - 1) * CHUNK + m],
                    sums,
                )
                lane += m
            for r in range(2):
                Z[i + r] = sums[r, 0]
                for k in range(n_columns):
                    slot[k, i + r - first] += two * sums[r, k + 1]
            Z[i] += plane_pair(Y, P[i], i, 0, first, slot)
            if m_a == m_b:
                Z[i + 1] += plane_pair(Y, P[i + 1], i + 1, m_b - 1, first, slot)
        if (end - first) % 2 == 1:
            i = end - 1
            Z[i] = 0
            for lane in range(reach(i, n)):
                Z[i] += plane_pair(Y, P[i], i, lane, first, slot)
        add_chunks(chunks, two, slot)


@reduction
def space_forces(point, Y, P_i, square, back, sums):
    """One point of space against others; u = 1/(1 + D/ν), s = u or, for ν = 2, u√u.

    Σ s, Σ u s (y_i − y_j) and, where P is given, Σ u p (y_i − y_j).
    """
    x_i, y_i, z_i, per_dof = point
    x, y, z = Y
    dense = len(P_i) > 0
    one = x.dtype.type(1)
    total = ax = ay = az = rx = ry = rz = one - one
    for j in range(len(x)):
        dx, dy, dz = x_i - x[j], y_i - y[j], z_i - z[j]
        u = one / (one + per_dof * (dx * dx + dy * dy + dz * dz))
        s = u * math.sqrt(u) if square else u
        total += s
        if dense:
            p = u * P_i[j]
            fx, fy, fz = p * dx, p * dy, p * dz
            ax += fx
            ay += fy
            az += fz
            back[j + 3 * CHUNK] -= fx
            back[j + 4 * CHUNK] -= fy
            back[j + 5 * CHUNK] -= fz
        u *= s
        fx, fy, fz = u * dx, u * dy, u * dz
        rx += fx
        ry += fy
        rz += fz
        back[j] -= fx
        back[j + CHUNK] -= fy
        back[j + 2 * CHUNK] -= fz
    for t, value in enumerate((total, rx, ry, rz, ax, ay, az)):
        sums[t] += value


@kernel
def space_blocks(Y, P, dof, size, start, stop, slots, Z):
    """``force_blocks`` for three dimensions and ν = 1 or 2, joint; D° = 0."""
    n, n_columns = len(Z), slots.shape[1]
    chunks = np.empty(-(-slots.shape[2] // CHUNK) * n_columns * CHUNK, Y.dtype)
    sums = np.empty(7, Y.dtype)
    one = Y.dtype.type(1)
    factor = (dof + one) / dof
    for block in range(start, stop):
        first, end = block * size, min((block + 1) * size, n)
        slot = slots[block]
        for k in range(n_columns):
            fill(slot[k], 0)
        fill(chunks, 0)
        for i in range(first, end):
            point = Y[0, i], Y[1, i], Y[2, i], one / dof
            for k in range(7):
                sums[k] = 0
            lane = 0
            while lane < reach(i, n):
                t, a = i + 1 + lane - first, i + 1 + lane
                m = min(CHUNK - t % CHUNK, reach(i, n) - lane)
                at = t // CHUNK * n_columns * CHUNK + t % CHUNK
                space_forces(
                    point,
                    (Y[0][a : a + m], Y[1][a : a + m], Y[2][a : a + m]),
                    P[i][lane : lane + m],
                    dof == 2,
                    chunks[at : at + (n_columns - 1) * CHUNK + m],
                    sums,
                )
                lane += m
            Z[i] = sums[0]
            for k in range(n_columns):
                slot[k, i - first] += factor * sums[k + 1]
        add_chunks(chunks, factor, slot)


@kernel
def graph_rows(Y, graph, dof, gaussian, start, stop, attraction):
    """A_i = Σ_j 2g_ij p_ij (y_i − y_j) of a sparse P, in CSR form, with every pair."""
    values, columns, edges = graph
    two = Y.dtype.type(2)
    for i in range(start, stop):
        for d in range(len(Y)):
            attraction[d, i] = 0
        for t in range(edges[i], edges[i + 1]):
            j = columns[t]
            D = two * 0
            for d in range(len(Y)):
                difference = Y[d, i] - Y[d, j]
                D += difference * difference
            weight = two if gaussian else (dof + 1) / (dof + D)
            for d in range(len(Y)):
                attraction[d, i] += weight * values[t] * (Y[d, i] - Y[d, j])


@kernel
def energy_rows(Y, P, dof, gaussian, start, stop, out):
    """Σ_j p_ij · (−log s_ij) over the points that row i meets."""
    buffer = np.empty(P.shape[1], Y.dtype)
    n = len(P)
    for i in range(start, stop):
        m = reach(i, n)
        D = buffer[:m]
        lane_distances(Y, i, D)
        energies(D, dof, gaussian)
        out[i] = dot(D, P[i][:m])


@kernel
def graph_energy_rows(Y, graph, dof, gaussian, start, stop, out):
    """Σ_j p_ij · (−log s_ij) of a sparse P."""
    values, columns, edges = graph
    for i in range(start, stop):
        out[i] = 0
        for t in range(edges[i], edges[i + 1]):
            D = 0.0
            for d in range(len(Y)):
                D += float(Y[d, i] - Y[d, columns[t]]) ** 2
            out[i] += values[t] * energy(D, dof, gaussian)


# -------------------------------------------- new points against a fitted embedding
@kernel
def placement_rows(V, rows, Y, P, q_form, start, stop, out):
    """Each v alone: q_j = s_j / Σ_j' s_j' over the fitted y_j, p_j = P[rows[t]] fixed.

    ``out`` receives KL less Σ p log p, ∂KL/∂v = Σ_j 2g_j (p_j − q_j)(v − y_j), and
    the curvature of the attraction, Σ_j 2g_j p_j.
    """
    dof, gaussian = q_form
    loss, gradient, curvature = out
    buffer = np.empty((4, Y.shape[1]), Y.dtype)
    D, T, S, G = buffer[0], buffer[1], buffer[2], buffer[3]
    for t in range(start, stop):
        P_t = P[rows[t]]
        squared_distances(V[t], Y, D)
        fill(G, least(D))
        nearest = G[0]
        similarities(D, G, dof, gaussian, T, S)
        sum_s = sum_of(S)
        weights(D, dof, gaussian, G)
        energies(D, dof, gaussian)
        loss[t] = math.log(sum_s) - energy(nearest, dof, gaussian) + dot(P_t, D)
        curvature[t] = dot(G, P_t)
        share = 1 / sum_s
        for j in range(len(D)):
            G[j] *= P_t[j] - S[j] * share
        for d in range(len(Y)):
            gradient[t, d] = pull(G, V[t, d], Y[d])
