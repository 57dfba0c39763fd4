"""Φ(y) = Σ_j c_j s(‖y − y_j‖²) of points of the plane: near pairs and a grid.

docs/tsne.md has the split s = N + F.  Points are sorted by cells, row after row, so
that those of neighbouring cells of a row follow each other.  Bands of rows of cells are
what threads share: each spreads its points into a strip of the grid of its own, and the
strips are added up in their order.
"""

import math

import numpy as np
from numba import config
from numba.extending import overload

from skdec.kernels.elementary import exponential
from skdec.kernels.jit import SUM, kernel, stage, summing_stage
from skdec.kernels.lanes import add_patch, polynomials, sum_patch
from skdec.kernels.similarity import (
    fill,
    similarities,
    squared_distances,
    sum_of,
    weighted_differences,
    weights,
)
from skdec.kernels.types import CauchyNear, StudentNear

# Terms of the polynomial of N, for any ν but 1, in single and in double precision.
TERMS, DOUBLE_TERMS = 11, 25

# A cell is half as wide as N reaches: near points are at most so many cells away.
REACH = 2

# Lists of near points end with so many at a time, some without a charge: LLVM's loops
# take as many at once, and the others one by one.
AT_ONCE = 32


@kernel
def cell_rows(Y, cells, start, stop, out):
    """The cell of each point of (2, n), or −1 outside."""
    for i in range(start, stop):
        column = (Y[0, i] - cells.x) * cells.per_unit
        row = (Y[1, i] - cells.y) * cells.per_unit
        inside = 0 <= column < cells.n_columns and 0 <= row < cells.n_rows
        out[i] = int(row) * cells.n_columns + int(column) if inside else -1


@kernel
def count_cells(cell, counts):
    """How many points each cell has."""
    fill(counts, 0)
    for i in range(len(cell)):
        if cell[i] >= 0:
            counts[cell[i]] += 1


@kernel
def sort_cells(cell, counts, edges, order):
    """The points in the order of their cells; those of one keep theirs."""
    edges[0] = 0
    for c in range(len(counts)):
        edges[c + 1] = edges[c] + counts[c]
        counts[c] = edges[c]
    for i in range(len(cell)):
        c = cell[i]
        if c >= 0:
            order[counts[c]] = i
            counts[c] += 1


@kernel
def sorted_rows(Y, charges, order, start, stop, x, y, charge):
    """Coordinates and charges (1, if none are given) in that order."""
    for p in range(start, stop):
        i = order[p]
        x[p], y[p] = Y[0, i], Y[1, i]
        charge[p] = charges[i] if len(charges) > 0 else 1


@kernel
def spread_bands(points, bands, mesh, window, start, stop, strips):
    """Σ_j c_j φ(y − y_j) at the nodes, in the strip of each band.

    Node r of a strip stands ``bands.nodes`` rows further down in the grid.
    """
    x, y, number = points.x, points.y, window.values.dtype.type
    v, w = np.empty((2, window.values.shape[1]), window.values.dtype)
    for band in range(start, stop):
        first, top = bands.strips[band], bands.nodes[band]
        fill(strips[first : bands.strips[band + 1]], 0)
        for p in range(bands.points[band], bands.points[band + 1]):
            s, t = (x[p] - mesh.x) * mesh.per_unit, (y[p] - mesh.y) * mesh.per_unit
            column, row = int(s), int(t)
            polynomials(window.values, number(2 * (s - column) - 1), w)
            polynomials(window.values, number(2 * (t - row) - 1), v)
            at = first + (row - top) * mesh.n_columns + column
            add_patch(strips, at, mesh.n_columns, v, w, points.charge[p])


@kernel
def add_strips(strips, bands, start, stop, grid):
    """Rows of the grid: the strips added up in the order of the bands."""
    width = grid.shape[1]
    for r in range(start, stop):
        fill(grid[r], 0)
        for band in range(len(bands.nodes)):
            first = bands.strips[band] + (r - bands.nodes[band]) * width
            if bands.strips[band] <= first < bands.strips[band + 1]:
                row, strip = grid[r], strips[first : first + width]
                for k in range(width):
                    row[k] += strip[k]


def cauchy_sums(x, y, others_x, others_y, charges, near):
    """Σ c N and Σ c (−dN/dD)(y_i − y_j); N = e^(−τu)/u with u = 1 + D, for ν = 1.

    −dN/dD = e^(−τu) (τ/u + 1/u²).
    """
    one, tau = others_x.dtype.type(1), others_x.dtype.type(near.tau)
    total = force_x = force_y = one - one
    for j in range(len(others_x)):
        dx, dy = x - others_x[j], y - others_y[j]
        u = one + dx * dx + dy * dy
        inverse = one / u
        N = exponential(-tau * u, others_x) * inverse * charges[j]
        total += N
        N *= tau + inverse
        force_x += N * dx
        force_y += N * dy
    return total, force_x, force_y


def student_sums(x, y, others_x, others_y, charges, near):
    """The same of any ν: N = e^(−τu) q(u) with u = 1 + D/ν.

    −dN/dD = e^(−τu) (a q + C)/(νu), a = (ν + 1)/2, C = τ^a/Γ(a).
    """
    one, terms = others_x.dtype.type(1), near.terms
    n_terms = TERMS if others_x.itemsize == 4 else DOUBLE_TERMS
    total = force_x = force_y = one - one
    for j in range(len(others_x)):
        dx, dy = x - others_x[j], y - others_y[j]
        u = one + (dx * dx + dy * dy) * near.per_dof
        inverse = one / math.sqrt(u)
        z = near.scale * inverse + near.shift
        q = terms[0]
        for k in range(1, n_terms):
            q = q * z + terms[k]
        e = exponential(-near.tau * u, others_x) * charges[j]
        total += e * q
        slope = e * (near.power * q + near.factor) * (inverse * inverse * near.per_dof)
        force_x += slope * dx
        force_y += slope * dy
    return total, force_x, force_y


NEAR_SUMS = {CauchyNear: cauchy_sums, StudentNear: student_sums}


def near_sums(x, y, others_x, others_y, charges, near):
    """Σ c N and Σ c (−dN/dD)(y_i − y_j), of whichever N."""
    return NEAR_SUMS[type(near)](x, y, others_x, others_y, charges, near)


if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # pragma: no cover

    @overload(near_sums, jit_options=SUM)
    def _near_sums(x, y, others_x, others_y, charges, near):
        return NEAR_SUMS[near.instance_class]


@stage
def near_points(points, cells, row, column, found):
    """Copy the points of the cells around one; how many, with those without charge."""
    n = 0
    left, right = max(column - REACH, 0), min(column + REACH + 1, cells.n_columns)
    for r in range(max(row - REACH, 0), min(row + REACH + 1, cells.n_rows)):
        first = points.edges[r * cells.n_columns + left]
        last = points.edges[r * cells.n_columns + right]
        for p in range(first, last):
            found[0, n] = points.x[p]
            found[1, n] = points.y[p]
            found[2, n] = points.charge[p]
            n += 1
    while n % AT_ONCE > 0:
        found[0, n] = found[0, 0]
        found[1, n] = found[1, 0]
        found[2, n] = 0
        n += 1
    return n


@kernel
def most_near(edges, cells):
    """A number of points that no surroundings of a cell exceed."""
    most = 0
    for r in range(cells.n_rows):
        first = r * cells.n_columns
        for c in range(first, first + cells.n_columns):
            last = min(c + 2 * REACH + 1, first + cells.n_columns)
            most = max(most, edges[last] - edges[c])
    return (2 * REACH + 1) * most + AT_ONCE


@summing_stage
def potential_at(x, y, others, m, near, mesh, window, nodes, windows):
    """Φ and −∇Φ at a place, from the first m of a list of near points and the nodes."""
    number, (v, slope_v, w, slope_w) = nodes.dtype.type, windows
    total, force_x, force_y = near_sums(
        number(x), number(y), others[0][:m], others[1][:m], others[2][:m], near
    )
    s, t = (x - mesh.x) * mesh.per_unit, (y - mesh.y) * mesh.per_unit
    column, row = int(s), int(t)
    polynomials(window.values, number(2 * (s - column) - 1), w)
    polynomials(window.slopes, number(2 * (s - column) - 1), slope_w)
    polynomials(window.values, number(2 * (t - row) - 1), v)
    polynomials(window.slopes, number(2 * (t - row) - 1), slope_v)
    at, per_unit = row * mesh.n_columns + column, number(mesh.per_unit)
    far, far_x, far_y = sum_patch(
        nodes.reshape(-1), at, mesh.n_columns, v, slope_v, w, slope_w
    )
    return total + far, 2 * force_x - per_unit * far_x, 2 * force_y - per_unit * far_y


@stage
def room_for_windows(window):
    """Where values and slopes along both axes go."""
    shape = window.values.shape[1]
    return (
        np.empty(shape, window.values.dtype),
        np.empty(shape, window.values.dtype),
        np.empty(shape, window.values.dtype),
        np.empty(shape, window.values.dtype),
    )


@kernel
def potential_bands(points, bands, cells, mesh, window, nodes, near, start, stop, out):
    """Φ and −∇Φ at every point; without near pairs if τ is 0."""
    windows, paired = room_for_windows(window), near.tau > 0
    others = np.empty((3, most_near(points.edges, cells) if paired else 0), nodes.dtype)
    for row in range(bands.rows[start], bands.rows[stop]):
        for column in range(cells.n_columns):
            c = row * cells.n_columns + column
            if points.edges[c] == points.edges[c + 1]:
                continue
            m = near_points(points, cells, row, column, others) if paired else 0
            for p in range(points.edges[c], points.edges[c + 1]):
                i, x, y = points.order[p], points.x[p], points.y[p]
                out.value[i], out.forces[0, i], out.forces[1, i] = potential_at(
                    x, y, others, m, near, mesh, window, nodes, windows
                )


@kernel
def field_rows(V, points, cells, mesh, window, nodes, near, most, start, stop, out):
    """Φ and −∇Φ at any places V of (2, n); infinite beyond the cells.

    ``most`` is what ``most_near`` finds, 0 if there are no near pairs.
    """
    windows = room_for_windows(window)
    others = np.empty((3, most), nodes.dtype)
    cell = np.empty(V.shape[1], np.int32)
    cell_rows(V, cells, start, stop, cell)
    for i in range(start, stop):
        if cell[i] < 0:
            out.value[i] = np.inf
            continue
        row, column = cell[i] // cells.n_columns, cell[i] % cells.n_columns
        paired = near.tau > 0
        m = near_points(points, cells, row, column, others) if paired else 0
        out.value[i], out.forces[0, i], out.forces[1, i] = potential_at(
            V[0, i], V[1, i], others, m, near, mesh, window, nodes, windows
        )


@kernel
def add_rows(Y, targets, others, charges, kernel, start, stop, out):
    """Φ and −∇Φ = Σ_j c_j 2g_ij s_ij (y_i − y_j) of given others, added to targets'."""
    buffer = np.zeros((5, others.shape[1]), Y.dtype)
    D, T, S, G, near = buffer[0], buffer[1], buffer[2], buffer[3], buffer[4]
    for t in range(start, stop):
        i = targets[t]
        squared_distances(Y[:, i].copy(), others, D)
        weights(D, kernel, G)
        similarities(D, near, kernel, T, S)
        for j in range(len(S)):
            S[j] *= charges[j]
        out.value[i] += sum_of(S)
        for j in range(len(S)):
            S[j] *= G[j]
        for d in range(len(Y)):
            out.forces[d, i] += weighted_differences(S, Y[d, i], others[d])
