"""The usual kernels in one loop each: ``force_blocks`` and ``graph_rows``."""

import math
from typing import NamedTuple

import numpy as np

from skdec.kernels.jit import kernel, reduction, stage, summing_stage
from skdec.kernels.pairs import add_scaled, n_met
from skdec.kernels.similarity import fill

# Lanes of a chunk in which the fused loops collect what the other points get back, one
# column per force at a constant distance: LLVM needs no check for overlap.
CHUNK = 2048


class PlanePair(NamedTuple):
    """Two points of the plane."""

    x_a: float
    y_a: float
    x_b: float
    y_b: float


class SpacePoint(NamedTuple):
    """A point of space."""

    x: float
    y: float
    z: float


@stage
def chunk_position(t, n_columns):
    """Where the first column of place t of a slot stands in the chunks."""
    return t // CHUNK * n_columns * CHUNK + t % CHUNK


@stage
def add_chunks(chunks, factor, slot):
    """Add ``factor`` times what a fused loop has collected in chunks to a slot."""
    n_columns = len(slot)
    for k in range(n_columns):
        for first in range(0, slot.shape[1], CHUNK):
            column = first * n_columns + k * CHUNK
            add_scaled(
                slot[k][first:],
                chunks[column : column + min(CHUNK, slot.shape[1] - first)],
                factor,
            )


@reduction
def plane_forces(pair, x, y, P_a, P_b, back, sums):
    """Two points a, b of the plane against the same others; s = 1/(1 + D), 2g = 2s.

    The formulas stand in ``similarity`` too; tests/kernels/test_embedding.py compares.

    Per point Σ s, Σ s² (y_i − y_j) and, where P is given, Σ s p (y_i − y_j); the
    others get the opposite.
    """
    x_a, y_a, x_b, y_b = pair.x_a, pair.y_a, pair.x_b, pair.y_b
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
            pair = PlanePair(Y[0, i], Y[1, i], Y[0, i + 1], Y[1, i + 1])
            m_a, m_b = n_met(i, n), n_met(i + 1, n)
            for r in range(2):
                for k in range(5):
                    sums[r, k] = 0
            lane = 1
            while lane < m_a:
                t = i + 1 + lane - first
                m = min(CHUNK - t % CHUNK, m_a - lane)
                at = chunk_position(t, n_columns)
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
            for lane in range(n_met(i, n)):
                Z[i] += plane_pair(Y, P[i], i, lane, first, slot)
        add_chunks(chunks, two, slot)


@reduction
def space_forces(point, per_dof, x, y, z, P_i, square, back, sums):
    """One point of space against others; u = 1/(1 + D/ν), s = u or, for ν = 2, u√u.

    2g = (ν+1)/ν · u, its factor left to the caller.  As above, compared with the other.

    Σ s, Σ u s (y_i − y_j) and, where P is given, Σ u p (y_i − y_j).
    """
    x_i, y_i, z_i = point.x, point.y, point.z
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
            point = SpacePoint(Y[0, i], Y[1, i], Y[2, i])
            for k in range(7):
                sums[k] = 0
            lane = 0
            while lane < n_met(i, n):
                t, a = i + 1 + lane - first, i + 1 + lane
                m = min(CHUNK - t % CHUNK, n_met(i, n) - lane)
                at = chunk_position(t, n_columns)
                space_forces(
                    point,
                    one / dof,
                    Y[0][a : a + m],
                    Y[1][a : a + m],
                    Y[2][a : a + m],
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


@reduction
def edge_force(place, point, p, dof):
    """p (y_i − y_j)/(ν + D_ij) along each axis: 2g = (ν + 1)/(ν + D), without ν + 1."""
    dx, dy = place[0] - point[0], place[1] - point[1]
    if len(place) == 2:
        force = p / (dof + (dx * dx + dy * dy))
        return force * dx, force * dy
    dz = place[2] - point[2]
    force = p / (dof + (dx * dx + dy * dy + dz * dz))
    return force * dx, force * dy, force * dz


@reduction
def graph_force(place, dof, points, columns, values):
    """The sum of that over the entries of a row of P."""
    zero = points.dtype.type(0)
    force_x = force_y = zero
    if len(place) == 2:
        for t in range(len(columns)):
            f_x, f_y = edge_force(place, points[columns[t]], values[t], dof)
            force_x += f_x
            force_y += f_y
        return force_x, force_y
    force_z = zero
    for t in range(len(columns)):
        f_x, f_y, f_z = edge_force(place, points[columns[t]], values[t], dof)
        force_x += f_x
        force_y += f_y
        force_z += f_z
    return force_x, force_y, force_z


@reduction
def inner_force(place, dof, points, columns, values, forces):
    """The same of points that get their share back at once, in ``forces`` (n, n_axes).

    No other thread adds to those, nor does another entry of the row.
    """
    zero = points.dtype.type(0)
    force_x = force_y = zero
    if len(place) == 2:
        for t in range(len(columns)):
            back = forces[columns[t]]
            f_x, f_y = edge_force(place, points[columns[t]], values[t], dof)
            force_x += f_x
            force_y += f_y
            back[0] -= f_x
            back[1] -= f_y
        return force_x, force_y
    force_z = zero
    for t in range(len(columns)):
        back = forces[columns[t]]
        f_x, f_y, f_z = edge_force(place, points[columns[t]], values[t], dof)
        force_x += f_x
        force_y += f_y
        force_z += f_z
        back[0] -= f_x
        back[1] -= f_y
        back[2] -= f_z
    return force_x, force_y, force_z


@summing_stage
def row_forces(place, i, dof, points, halves, forces):
    """What row i has of both of its kinds of entries, along each axis."""
    inner, outer = halves.inner, halves.outer
    entries = slice(inner.edges[i], inner.edges[i + 1])
    columns, values = inner.columns[entries], inner.values[entries]
    within = inner_force(place, dof, points, columns, values, forces)
    entries = slice(outer.edges[i], outer.edges[i + 1])
    columns, values = outer.columns[entries], outer.values[entries]
    return within, graph_force(place, dof, points, columns, values)


@stage
def block_of(halves, b, n):
    """The rows of a block."""
    return b * halves.size, min((b + 1) * halves.size, n)


@kernel
def plane_blocks_of_graph(points, halves, dof, start, stop, attraction):
    """``graph_rows`` for two dimensions and Student-t of any ν, in blocks.

    ``points`` and ``attraction`` are (n, 2): both coordinates come with one load.
    """
    n, factor = len(points), dof + points.dtype.type(1)
    for b in range(start, stop):
        first, last = block_of(halves, b, n)
        for i in range(first, last):
            attraction[i, 0] = attraction[i, 1] = 0
        for i in range(first, last):
            place = points[i, 0], points[i, 1]
            within, beyond = row_forces(place, i, dof, points, halves, attraction)
            attraction[i, 0] += within[0] + beyond[0]
            attraction[i, 1] += within[1] + beyond[1]
        for i in range(first, last):
            attraction[i, 0] *= factor
            attraction[i, 1] *= factor


@kernel
def space_blocks_of_graph(points, halves, dof, start, stop, attraction):
    """The same for three dimensions."""
    n, factor = len(points), dof + points.dtype.type(1)
    for b in range(start, stop):
        first, last = block_of(halves, b, n)
        for i in range(first, last):
            attraction[i, 0] = attraction[i, 1] = attraction[i, 2] = 0
        for i in range(first, last):
            place = points[i, 0], points[i, 1], points[i, 2]
            within, beyond = row_forces(place, i, dof, points, halves, attraction)
            attraction[i, 0] += within[0] + beyond[0]
            attraction[i, 1] += within[1] + beyond[1]
            attraction[i, 2] += within[2] + beyond[2]
        for i in range(first, last):
            attraction[i, 0] *= factor
            attraction[i, 1] *= factor
            attraction[i, 2] *= factor
