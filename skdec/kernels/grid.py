"""Φ(y) = Σ_j c_j s(‖y − y_j‖²) of points of a map: near pairs and a grid.

docs/tsne.md has the split s = N + F.  Points are sorted by cells.  Bands of slices of
cells, which are rows in the plane and layers in space, are what threads share: each
spreads its points into a strip of the grid of its own, and the strips are added up in
their order.
"""

import numpy as np

from skdec.kernels.jit import kernel, reduction, stage, summing_stage
from skdec.kernels.lanes import add_patch, polynomials, sum_block, sum_patch
from skdec.kernels.near_pairs import near_points, near_sums
from skdec.kernels.similarity import (
    fill,
    similarities,
    squared_distances,
    sum_of,
    weighted_differences,
    weights,
)


@kernel
def cell_rows(Y, cells, start, stop, out):
    """The cell of each point of (n_axes, n), or −1 outside."""
    for i in range(start, stop):
        column = (Y[0, i] - cells.x) * cells.per_unit
        row = (Y[1, i] - cells.y) * cells.per_unit
        layer = (Y[2, i] - cells.z) * cells.per_unit if len(Y) == 3 else 0.0
        inside = 0 <= column < cells.n_columns and 0 <= row < cells.n_rows
        inside = inside and 0 <= layer < cells.n_layers
        line = int(layer) * cells.n_rows + int(row) if inside else 0
        out[i] = line * cells.n_columns + int(column) if inside else -1


def edges_of(cell, n_cells):
    """Where the points of each cell begin in the order of cells, and the last end."""
    # those off the grid first
    counts = np.bincount(cell + 1, minlength=n_cells + 1)
    counts[0] = 0
    return np.cumsum(counts, dtype=np.int32)


@kernel
def sort_cells(cell, ends, order):
    """The points in the order of their cells; those of one keep theirs.

    ``ends`` come as where each cell begins, and become where it ends.
    """
    for i in range(len(cell)):
        c = cell[i]
        if c >= 0:
            order[ends[c]] = i
            ends[c] += 1


@kernel
def sorted_rows(Y, charges, order, start, stop, positions, charge):
    """Coordinates and charges (1, if none are given) in that order."""
    for axis in range(len(Y)):
        for p in range(start, stop):
            positions[axis, p] = Y[axis, order[p]]
    for p in range(start, stop):
        charge[p] = charges[order[p]] if len(charges) > 0 else 1


@stage
def place_at(positions, p):
    """The coordinates of a point."""
    if len(positions) == 2:
        return positions[0][p], positions[1][p]
    return positions[0][p], positions[1][p], positions[2][p]


@stage
def place_in(V, i, positions):
    """The same of (n_axes, n), for as many axes as there are positions."""
    if len(positions) == 2:
        return V[0, i], V[1, i]
    return V[0, i], V[1, i], V[2, i]


@stage
def rooms(window, positions):
    """Where a window goes, along each axis."""
    n, dtype = window.values.shape[1], window.values.dtype
    if len(positions) == 2:
        return np.empty(n, dtype), np.empty(n, dtype)
    return np.empty(n, dtype), np.empty(n, dtype), np.empty(n, dtype)


@stage
def find_windows(place, mesh, coefficients, windows):
    """The windows along the axes, and the first node that they reach."""
    number = coefficients.dtype.type
    s, t = (place[0] - mesh.x) * mesh.per_unit, (place[1] - mesh.y) * mesh.per_unit
    column, line = int(s), int(t)
    polynomials(coefficients, number(2 * (s - column) - 1), windows[0])
    polynomials(coefficients, number(2 * (t - line) - 1), windows[1])
    if len(place) == 3:
        r = (place[2] - mesh.z) * mesh.per_unit
        layer = int(r)
        polynomials(coefficients, number(2 * (r - layer) - 1), windows[2])
        line += layer * mesh.n_rows
    return line * mesh.n_columns + column


@stage
def add_window(nodes, at, mesh, windows, charge):
    """Add the product of the windows, times a charge, to nodes in one line."""
    if len(windows) == 2:
        add_patch(nodes, at, mesh.n_columns, windows[1], windows[0], charge)
    else:
        for share in windows[2]:
            add_patch(nodes, at, mesh.n_columns, windows[1], windows[0], charge * share)
            at += mesh.n_rows * mesh.n_columns


@kernel
def spread_bands(points, bands, mesh, window, start, stop, strips):
    """Σ_j c_j φ(y − y_j) at the nodes, in the strip of each band.

    The first slice of a strip is slice ``bands.nodes`` of the grid.
    """
    windows = rooms(window, points.positions)
    size = mesh.n_columns * (mesh.n_rows if mesh.n_axes == 3 else 1)
    for band in range(start, stop):
        first = bands.strips[band]
        fill(strips[first : bands.strips[band + 1]], 0)
        first -= bands.nodes[band] * size
        for p in range(bands.points[band], bands.points[band + 1]):
            place = place_at(points.positions, p)
            at = first + find_windows(place, mesh, window.values, windows)
            add_window(strips, at, mesh, windows, points.charge[p])


@reduction
def cubes_of(row):
    """Σ_k ρ_k³."""
    total = 0.0
    for k in range(len(row)):
        total += row[k] * row[k] * row[k]
    return total


@kernel
def add_strips(strips, bands, start, stop, grid, cubes):
    """Slices of the grid, a row each: the strips added up in the order of the bands.

    And the Σ ρ³ of each.
    """
    width = grid.shape[1]
    for r in range(start, stop):
        fill(grid[r], 0)
        for band in range(len(bands.nodes)):
            first = bands.strips[band] + (r - bands.nodes[band]) * width
            if bands.strips[band] <= first < bands.strips[band + 1]:
                row, strip = grid[r], strips[first : first + width]
                for k in range(width):
                    row[k] += strip[k]
        cubes[r] = cubes_of(grid[r])


@summing_stage
def put_near(place, i, found, m, near, out):
    """The share of Φ and −∇Φ at a place that the first m of a list of points have."""
    number = found.dtype.type
    if len(place) == 2:
        total, force = near_sums((number(place[0]), number(place[1])), found, m, near)
    else:
        here = number(place[0]), number(place[1]), number(place[2])
        total, force = near_sums(here, found, m, near)
        out.forces[2, i] = number(2) * force[2]
    # not added to what is there, which the processor would wait for
    out.value[i] = total
    out.forces[0, i], out.forces[1, i] = number(2) * force[0], number(2) * force[1]


@summing_stage
def add_far(place, i, mesh, window, windows, slopes, nodes, out):
    """Add what Φ and −∇Φ at a place have from the nodes."""
    at = find_windows(place, mesh, window.values, windows)
    find_windows(place, mesh, window.slopes, slopes)
    width, per_unit = mesh.n_columns, nodes.dtype.type(mesh.per_unit)
    if len(place) == 2:
        far, far_x, far_y = sum_patch(
            nodes, at, width, windows[1], slopes[1], windows[0], slopes[0]
        )
    else:
        far, far_x, far_y, far_z = sum_block(
            nodes, at, width, width * mesh.n_rows, windows[2], slopes[2],
            windows[1], slopes[1], windows[0], slopes[0],
        )  # fmt: skip
        out.forces[2, i] -= per_unit * far_z
    out.value[i] += far
    out.forces[0, i] -= per_unit * far_x
    out.forces[1, i] -= per_unit * far_y


@kernel
def potential_bands(
    points, bands, cells, mesh, window, nodes, near, most, start, stop, out
):
    """Φ and −∇Φ at every point; without near pairs if τ is 0.

    ``nodes`` are in one line.  ``most`` is what ``most_near`` finds, 0 if there are no
    near pairs.
    """
    windows, slopes = rooms(window, points.positions), rooms(window, points.positions)
    found = np.empty((len(points.positions) + 1, most), nodes.dtype)
    for c in range(bands.cells[start], bands.cells[stop]):
        first, last = points.edges[c], points.edges[c + 1]
        if first == last:
            continue
        m = near_points(points, cells, c, found) if near.tau > 0 else 0
        # not both of one point after the other: the processor works at several points
        # at a time as long as what it does at each is short
        for p in range(first, last):
            put_near(
                place_at(points.positions, p), points.order[p], found, m, near, out
            )
        for p in range(first, last):
            add_far(
                place_at(points.positions, p), points.order[p], mesh, window, windows,
                slopes, nodes, out,
            )  # fmt: skip


@kernel
def field_rows(V, points, cells, mesh, window, nodes, near, most, start, stop, out):
    """The same at any places V of (n_axes, n); infinite beyond the cells."""
    windows, slopes = rooms(window, points.positions), rooms(window, points.positions)
    found = np.empty((len(points.positions) + 1, most), nodes.dtype)
    cell = np.empty(V.shape[1], np.int32)
    cell_rows(V, cells, start, stop, cell)
    for i in range(start, stop):
        if cell[i] < 0:
            out.value[i] = np.inf
            continue
        m = near_points(points, cells, cell[i], found) if near.tau > 0 else 0
        place = place_in(V, i, points.positions)
        put_near(place, i, found, m, near, out)
        add_far(place, i, mesh, window, windows, slopes, nodes, out)


@kernel
def add_cauchy_rows(Y, positions, targets, others, near, start, stop, out):
    """Φ and −∇Φ of ν = 1 from given others, added to targets'.

    ``others`` are coordinates and, last, charges; ``near`` is a ``Cauchy``.
    """
    two = Y.dtype.type(2)
    for t in range(start, stop):
        i = targets[t]
        place = place_in(Y, i, positions)
        total, force = near_sums(place, others, others.shape[1], near)
        out.value[i] += total
        for axis in range(len(force)):
            out.forces[axis, i] += two * force[axis]


@kernel
def add_rows(Y, targets, others, kernel, start, stop, out):
    """The same of any similarity, −∇Φ = Σ_j c_j 2g_ij s_ij (y_i − y_j)."""
    buffer = np.zeros((5, others.shape[1]), Y.dtype)
    D, T, S, G, near = buffer[0], buffer[1], buffer[2], buffer[3], buffer[4]
    charges = others[len(Y)]
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
