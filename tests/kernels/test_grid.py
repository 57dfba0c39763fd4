"""Points to a grid and back, and near pairs, against plain loops."""

from functools import reduce

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdec.kernels import grid, near_pairs
from skdec.kernels.jit import kernel
from skdec.kernels.lanes import add_patch, polynomials, sum_block, sum_patch
from skdec.kernels.types import (
    GAUSSIAN,
    STUDENT_T,
    Bands,
    Cauchy,
    CauchyNear,
    Kernel,
    Lattice,
    Potential,
    SortedPoints,
    StudentNear,
    Window,
)
from tests import naive

NODES = {np.float32: (12, 13), np.float64: (20, 22)}
RTOL = {np.float32: 2e-5, np.float64: 1e-11}


@kernel
def evaluated(coefficients, z, out):
    polynomials(coefficients, z, out)


@kernel
def added(flat, at, width, v, w, charge):
    add_patch(flat, at, width, v, w, charge)


@kernel
def summed(flat, at, width, v, slope_v, w, slope_w):
    return sum_patch(flat, at, width, v, slope_v, w, slope_w)


@kernel
def summed_in_space(flat, at, width, size, u, slope_u, v, slope_v, w, slope_w):
    return sum_block(flat, at, width, size, u, slope_u, v, slope_v, w, slope_w)


@pytest.mark.parametrize("dtype", NODES)
def test_windows_in_space_as_vectors(rng, dtype):
    n, rtol = NODES[dtype][0], RTOL[dtype]
    u, v, w, slope_u, slope_v, slope_w = rng.normal(size=(6, n)).astype(dtype)
    shape = n + 1, n + 2, n + 3
    flat = rng.normal(size=shape).astype(dtype)
    patch = flat[1:, 2:, 1 : n + 1].astype(float)
    at, width, size = ((n + 2) + 2) * (n + 3) + 1, n + 3, (n + 2) * (n + 3)
    windows = u, slope_u, v, slope_v, w, slope_w
    sums = summed_in_space(flat.reshape(-1), at, width, size, *windows)
    expected = (u, v, w), (u, v, slope_w), (u, slope_v, w), (slope_u, v, w)
    for found, factors in zip(sums, expected, strict=True):
        terms = reduce(np.multiply.outer, [f.astype(float) for f in factors]) * patch
        assert_allclose(found, terms.sum(), atol=rtol * np.abs(terms).sum())


@pytest.mark.parametrize("dtype", NODES)
def test_windows_as_vectors(rng, dtype):
    n, degree = NODES[dtype]
    rtol = RTOL[dtype]
    coefficients, out = rng.normal(size=(degree + 1, n)).astype(dtype), np.empty(n)
    evaluated(coefficients, dtype(0.3), out := out.astype(dtype))
    for node in range(n):
        expected = np.polyval(coefficients[:, node].astype(float), np.float64(0.3))
        assert_allclose(out[node], expected, rtol=10 * rtol, atol=rtol)
    v, w, slope_v, slope_w = rng.normal(size=(4, n)).astype(dtype)
    width = n + 3
    flat = rng.normal(size=(n + 2) * width).astype(dtype)
    before, at = flat.reshape(n + 2, width).astype(float), width + 2
    patch = before[1 : n + 1, 2 : n + 2].copy()
    sums = summed(flat, at, width, v, slope_v, w, slope_w)
    for found, (a, b) in zip(sums, [(v, w), (v, slope_w), (slope_v, w)], strict=True):
        terms = [a[r] * b[c] * patch[r, c] for r in range(n) for c in range(n)]
        assert_allclose(found, sum(terms), atol=rtol * sum(map(abs, terms)))
    wide = flat.astype(np.float64)  # what single precision adds up to
    for grid_line in (flat, wide):
        added(grid_line, at, width, v, w, dtype(-2))
    before[1 : n + 1, 2 : n + 2] -= 2 * np.outer(v, w).astype(float)
    assert_allclose(flat.reshape(n + 2, width), before, rtol=rtol, atol=rtol)
    assert_allclose(wide.reshape(n + 2, width), before, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("n_axes", [2, 3])
def test_points_in_the_order_of_their_cells(rng, n_axes):
    Y = rng.uniform(-1.2, 3.3, size=(n_axes, 50))
    n_layers = 2 if n_axes == 3 else 1
    cells = Lattice(-1.0, -1.0, -1.0, 1.0, 3, 4, n_layers, n_axes)
    n_cells = 12 * n_layers
    cell = np.empty(50, np.int32)
    grid.cell_rows(Y, cells, 0, 20, cell)
    grid.cell_rows(Y, cells, 20, 50, cell)
    expected = []
    for place in Y.T:
        column, row, layer = (*np.floor(place + 1).astype(int), 0)[:3]
        inside = 0 <= column < 3 and 0 <= row < 4 and 0 <= layer < n_layers
        expected.append(12 * layer + 3 * row + column if inside else -1)
    assert_array_equal(cell, expected)
    assert -1 in expected
    assert max(expected) >= 12 * (n_layers - 1)
    edges = grid.edges_of(cell, n_cells)
    order = np.empty(edges[-1], np.int32)
    grid.sort_cells(cell, edges[:-1].copy(), order)
    in_order = [i for c in range(n_cells) for i in range(50) if expected[i] == c]
    assert_array_equal(order, in_order)
    assert edges[0] == 0
    assert_array_equal(np.diff(edges), [expected.count(c) for c in range(n_cells)])
    positions, charge = np.empty((n_axes, len(order))), np.empty(len(order))
    grid.sorted_rows(Y, Y[0], order, 0, len(order), positions, charge)
    assert_array_equal(positions, Y[:, order])
    assert_array_equal(charge, Y[0, order])
    grid.sorted_rows(Y, Y[0][:0], order, 0, len(order), positions, charge)
    assert_array_equal(charge, 1)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 3, 4), (1, 6, 9), (2, 3, 7), (7, 6, 6)]
)
def test_no_surroundings_of_a_cell_have_more(rng, shape):
    n_layers, n_rows, n_columns = shape
    n_axes = 2 if n_layers == 1 else 3
    cells = Lattice(0.0, 0.0, 0.0, 1.0, n_columns, n_rows, n_layers, n_axes)
    counts = rng.integers(0, 9, shape) ** 2
    edges = np.r_[0, np.cumsum(counts)].astype(np.int32)
    around = [
        counts[tuple(slice(max(c - 2, 0), c + 3) for c in cell)].sum()
        for cell in np.ndindex(shape)
    ]
    rows = [counts[r, s, c : c + 5].sum() for r, s, c in np.ndindex(shape)]
    most = near_pairs.most_near(edges, cells)
    assert most - 32 == min(5 ** (n_axes - 1) * max(rows), counts.sum())
    assert most - 32 >= max(around)


CORNER, EXTENT = np.array([-2.0, 1.0, 0.5]), np.array([7.3, 8.8, 5.8])


def case(rng, dtype, n_axes):
    """Some points in cells, two bands of cells, and a window of any shape."""
    n, degree = NODES[dtype]
    x, y, z = CORNER * [1, 1, n_axes == 3]
    layers = (4, 13 + n) if n_axes == 3 else (1, 1)
    cells = Lattice(x, y, z, 1 / 1.5, 5, 6, layers[0], n_axes)
    mesh = Lattice(x, y, z, 2.0, 16 + n, 19 + n, layers[1], n_axes)
    n_cells = 30 * layers[0]
    Y = CORNER[:n_axes, None] + 0.1
    Y = (Y + rng.uniform(0, 1, (n_axes, 30)) * EXTENT[:n_axes, None]).astype(dtype)
    cell, order = np.empty(30, np.int32), np.empty(30, np.int32)
    grid.cell_rows(Y, cells, 0, 30, cell)
    edges = grid.edges_of(cell, n_cells)
    grid.sort_cells(cell, edges[:-1].copy(), order)
    positions, charge = np.empty((n_axes, 30), dtype), np.empty(30, dtype)
    charges = rng.uniform(1, 2, 30).astype(dtype)
    grid.sorted_rows(Y, charges, order, 0, 30, positions, charge)
    points = SortedPoints(tuple(positions), charge, order, edges)
    # cells 1.5 wide are three nodes wide
    slices, first = np.array([0, 2, cells.shape[0]]), np.array([0, 5])
    last = np.array([8 + n, mesh.shape[0]])
    strips = np.r_[0, np.cumsum((last - first) * np.prod(mesh.shape[1:]))]
    of_bands = slices * (n_cells // cells.shape[0])
    bands = Bands(of_bands, edges[of_bands], strips, first)
    window = Window(*rng.normal(size=(2, degree + 1, n)).astype(dtype))
    return Y, charges, points, bands, cells, mesh, window


def windows_at(place, coefficients):
    """The nodes that a place reaches, and the windows there: those of the slowest axis,
    which is the last, first.
    """
    nodes, windows = [], []
    for x, corner in zip(place, CORNER, strict=False):
        t = 2 * (float(x) - corner)
        j = int(np.floor(t))
        z = 2 * (t - j) - 1
        windows.append([np.polyval(c.astype(float), z) for c in coefficients.T])
        nodes.append(slice(j, j + coefficients.shape[1]))
    return tuple(nodes[::-1]), windows[::-1]


@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize("dtype", NODES)
def test_spreading(rng, dtype, n_axes):
    Y, charges, points, bands, _, mesh, window = case(rng, dtype, n_axes)
    strips = np.full(bands.strips[-1], np.nan)
    for band in range(2):
        grid.spread_bands(points, bands, mesh, window, band, band + 1, strips)
    found = np.full(mesh.shape, np.nan, dtype)
    slices = found.reshape(len(found), -1)
    cubes = np.empty(len(found))
    grid.add_strips(strips, bands, 0, 7, slices, cubes)
    grid.add_strips(strips, bands, 7, len(found), slices, cubes)
    expected = np.zeros(found.shape)
    for i in range(30):
        nodes, windows = windows_at(Y[:, i], window.values)
        expected[nodes] += charges[i] * reduce(np.multiply.outer, windows)
    scale = np.abs(expected).max()
    assert_allclose(found, expected, atol=10 * RTOL[dtype] * scale)
    of_slices = (expected**3).reshape(len(found), -1).sum(axis=1)
    assert_allclose(cubes, of_slices, atol=100 * RTOL[dtype] * scale**3)


def student_near(dtype):
    """N of ν = 0.5 with any polynomial."""
    n = near_pairs.TERMS if dtype == np.float32 else near_pairs.DOUBLE_TERMS
    terms = np.random.default_rng(1).normal(size=n).astype(dtype)
    numbers = map(dtype, (0.7, 2.0, 0.75, 0.6, 1.8, -0.9))
    return StudentNear(*numbers, tuple(terms))


def near_of(near, D):
    """N and −dN/dD."""
    tau = float(near.tau)
    if isinstance(near, CauchyNear):
        u = 1 + D
        N = np.exp(-tau * u) / u
        return N, N * (tau + 1 / u)
    nu = 1 / float(near.per_dof)
    u = 1 + D / nu
    q = np.polyval(np.array(near.terms, float), near.scale / np.sqrt(u) + near.shift)
    e = np.exp(-tau * u)
    return e * q, e * (near.power * q + near.factor) / (nu * u)


# Student's in space is met in tests/tsne/test_grid.py: each takes seconds to compile
@pytest.mark.parametrize(
    ("kind", "n_axes"),
    [("none", 2), ("cauchy", 2), ("student", 2), ("none", 3), ("cauchy", 3)],
)
@pytest.mark.parametrize("dtype", NODES)
def test_near_and_far_potential(rng, dtype, kind, n_axes):
    near = {"none": CauchyNear(0.0), "cauchy": CauchyNear(0.7)}.get(kind)
    near = near or student_near(dtype)
    paired = near.tau > 0
    Y, charges, points, bands, cells, mesh, window = case(rng, dtype, n_axes)
    nodes = rng.normal(size=mesh.shape).astype(dtype)
    most = near_pairs.most_near(points.edges, cells) if paired else 0
    line = nodes.reshape(-1)
    out = Potential(np.empty(30, dtype), np.empty((n_axes, 30), dtype))
    for band in range(2):
        grid.potential_bands(
            points, bands, cells, mesh, window, line, near, most, band, band + 1, out
        )
    V = np.concatenate([Y, np.full((n_axes, 1), -3)], axis=1).astype(dtype)
    field = Potential(np.empty(31, dtype), np.empty((n_axes, 31), dtype))
    for start, stop in ((0, 12), (12, 31)):
        grid.field_rows(
            V, points, cells, mesh, window, line, near, most, start, stop, field
        )
    assert_allclose(field.value[:30], out.value, rtol=RTOL[dtype])
    assert_allclose(field.forces[:, :30], out.forces, rtol=RTOL[dtype])
    assert field.value[30] == np.inf
    Y = Y.astype(float)
    value, forces = np.zeros(30), np.zeros((n_axes, 30))
    cell = np.floor((Y.T - CORNER[:n_axes]) / 1.5)
    for i in range(30):
        patch, windows = windows_at(Y[:, i], window.values)
        _, slopes = windows_at(Y[:, i], window.slopes)
        patch = nodes[patch].astype(float)
        value[i] = (reduce(np.multiply.outer, windows) * patch).sum()
        for axis in range(n_axes):
            at = n_axes - 1 - axis
            factors = [*windows[:at], slopes[at], *windows[at + 1 :]]
            slope = (reduce(np.multiply.outer, factors) * patch).sum()
            forces[axis, i] = -2 * slope
        for k in range(30 if paired else 0):
            if np.abs(cell[i] - cell[k]).max() > 2:
                continue
            D = naive.squared_distance(Y[:, i], Y[:, k])
            N, slope = near_of(near, D)
            value[i] += charges[k] * N
            forces[:, i] += 2 * charges[k] * slope * (Y[:, i] - Y[:, k])
    for found, expected in ((out.value, value), (out.forces, forces)):
        atol = 20 * RTOL[dtype] * np.abs(expected).max()
        assert_allclose(found, expected, rtol=RTOL[dtype], atol=atol)


@pytest.mark.parametrize("dtype", NODES)
@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize(
    "form", [(STUDENT_T, 0.5), (STUDENT_T, 1), (GAUSSIAN, 1), Cauchy()]
)
def test_pairs_of_points_off_the_grid(rng, form, n_axes, dtype):
    kind, dof = form if len(form) == 2 else (STUDENT_T, 1)
    Y, charges = rng.normal(size=(n_axes, 9)).astype(dtype), rng.uniform(1, 2, 4)
    targets = np.array([1, 4, 8], np.int32)
    others = np.concatenate([Y[:, 2:6], charges[None]]).astype(dtype)
    out = Potential(np.ones(9, dtype), np.ones((n_axes, 9), dtype))
    for rows in ((0, 2), (2, 3)):
        if isinstance(form, Cauchy):
            grid.add_cauchy_rows(Y, tuple(Y), targets, others, form, *rows, out)
        else:
            kernel = Kernel(kind, dtype(dof))
            grid.add_rows(Y, targets, others, kernel, *rows, out)
    value, forces = np.ones(9), np.ones((n_axes, 9))
    name = "gaussian" if kind == GAUSSIAN else "student_t"
    for i in targets:
        for j, charge in enumerate(charges):
            difference = (Y[:, i] - others[:-1, j]).astype(float)
            D = difference @ difference
            s = charge * np.exp(naive.log_similarity(D, dof, name))
            value[i] += s
            forces[:, i] += naive.weight_2g(D, dof, name) * s * difference
    assert_allclose(out.value, value, rtol=RTOL[dtype])
    assert_allclose(out.forces, forces, rtol=RTOL[dtype], atol=RTOL[dtype])
