"""Points to a grid and back, and near pairs, against plain loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdec.kernels import grid
from skdec.kernels.jit import kernel
from skdec.kernels.lanes import add_patch, polynomials, sum_patch
from skdec.kernels.types import (
    GAUSSIAN,
    STUDENT_T,
    Bands,
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
    added(flat, at, width, v, w, dtype(-2))
    before[1 : n + 1, 2 : n + 2] -= 2 * np.outer(v, w).astype(float)
    assert_allclose(flat.reshape(n + 2, width), before, rtol=rtol, atol=rtol)


def test_points_in_the_order_of_their_cells(rng):
    Y = rng.uniform(-1.2, 3.3, size=(2, 50))
    cells = Lattice(-1.0, -1.0, 1.0, 3, 4)
    cell, counts = np.empty(50, np.int32), np.empty(12, np.int32)
    grid.cell_rows(Y, cells, 0, 20, cell)
    grid.cell_rows(Y, cells, 20, 50, cell)
    expected = []
    for x, y in Y.T:
        column, row = int(np.floor(x + 1)), int(np.floor(y + 1))
        inside = 0 <= column < 3 and 0 <= row < 4
        expected.append(3 * row + column if inside else -1)
    assert_array_equal(cell, expected)
    assert -1 in expected
    grid.count_cells(cell, counts)
    assert_array_equal(counts, [expected.count(c) for c in range(12)])
    edges, order = np.empty(13, np.int32), np.empty(counts.sum(), np.int32)
    grid.sort_cells(cell, counts, edges, order)
    in_order = [i for c in range(12) for i in range(50) if expected[i] == c]
    assert_array_equal(order, in_order)
    assert edges[0] == 0
    assert_array_equal(np.diff(edges), [expected.count(c) for c in range(12)])
    x, y, charge = np.empty((3, len(order)))
    grid.sorted_rows(Y, Y[0], order, 0, len(order), x, y, charge)
    assert_array_equal([x, y, charge], Y[:, order][[0, 1, 0]])
    grid.sorted_rows(Y, Y[0][:0], order, 0, len(order), x, y, charge)
    assert_array_equal(charge, 1)


def case(rng, dtype):
    """Some points in cells, bands of two rows of cells, and a window of any shape."""
    n, degree = NODES[dtype]
    cells = Lattice(-2.0, 1.0, 1 / 1.5, 5, 6)
    mesh = Lattice(-2.0, 1.0, 2.0, 16 + n, 19 + n)
    Y = np.array([[-1.9], [1.1]]) + rng.uniform(0, 1, (2, 30)) * [[7.3], [8.8]]
    Y = Y.astype(dtype)
    cell, counts = np.empty(30, np.int32), np.empty(30, np.int32)
    edges, order = np.empty(31, np.int32), np.empty(30, np.int32)
    grid.cell_rows(Y, cells, 0, 30, cell)
    grid.count_cells(cell, counts)
    grid.sort_cells(cell, counts, edges, order)
    x, y = np.empty((2, 30), dtype)
    charge = np.empty(30, dtype)
    charges = rng.uniform(1, 2, 30).astype(dtype)
    grid.sorted_rows(Y, charges, order, 0, 30, x, y, charge)
    points = SortedPoints(x, y, charge, order, edges)
    # cells 1.5 wide are three nodes wide
    rows, first = np.array([0, 2, 6]), np.array([0, 5])
    last = np.array([8 + n, mesh.n_rows])
    strips = np.r_[0, np.cumsum((last - first) * mesh.n_columns)]
    bands = Bands(rows, edges[rows * 5], strips, first)
    window = Window(*rng.normal(size=(2, degree + 1, n)).astype(dtype))
    return Y, charges, points, bands, cells, mesh, window


def windows_at(t, coefficients):
    """The first node that a point at t reaches, and its window there."""
    j = int(np.floor(t))
    z = 2 * (t - j) - 1
    return j, [np.polyval(column.astype(float), z) for column in coefficients.T]


@pytest.mark.parametrize("dtype", NODES)
def test_spreading(rng, dtype):
    Y, charges, points, bands, _, mesh, window = case(rng, dtype)
    strips = np.full(bands.strips[-1], np.nan, dtype)
    for band in range(2):
        grid.spread_bands(points, bands, mesh, window, band, band + 1, strips)
    found = np.full((mesh.n_rows, mesh.n_columns), np.nan, dtype)
    grid.add_strips(strips, bands, 0, 7, found)
    grid.add_strips(strips, bands, 7, len(found), found)
    expected = np.zeros(found.shape)
    for i in range(30):
        s, t = 2 * (Y[0, i].astype(float) + 2), 2 * (Y[1, i].astype(float) - 1)
        j, w = windows_at(s, window.values)
        r, v = windows_at(t, window.values)
        for a, v_a in enumerate(v):
            for b, w_b in enumerate(w):
                expected[r + a, j + b] += charges[i] * v_a * w_b
    scale = np.abs(expected).max()
    assert_allclose(found, expected, atol=10 * RTOL[dtype] * scale)


def student_near(dtype):
    """N of ν = 0.5 with any polynomial."""
    n = grid.TERMS if dtype == np.float32 else grid.DOUBLE_TERMS
    terms = np.random.default_rng(1).normal(size=n).astype(dtype)
    return StudentNear(*map(dtype, (0.7, 2.0, 0.75, 0.6, 1.8, -0.9)), terms)


def near_of(near, D):
    """N and −dN/dD."""
    tau = float(near.tau)
    if isinstance(near, CauchyNear):
        u = 1 + D
        N = np.exp(-tau * u) / u
        return N, N * (tau + 1 / u)
    nu = 1 / float(near.per_dof)
    u = 1 + D / nu
    q = np.polyval(near.terms.astype(float), near.scale / np.sqrt(u) + near.shift)
    e = np.exp(-tau * u)
    return e * q, e * (near.power * q + near.factor) / (nu * u)


@pytest.mark.parametrize("kind", ["none", "cauchy", "student"])
@pytest.mark.parametrize("dtype", NODES)
def test_near_and_far_potential(rng, dtype, kind):
    near = {"none": CauchyNear(0.0), "cauchy": CauchyNear(0.7)}.get(kind)
    near = near or student_near(dtype)
    paired = near.tau > 0
    Y, charges, points, bands, cells, mesh, window = case(rng, dtype)
    nodes = rng.normal(size=(mesh.n_rows, mesh.n_columns)).astype(dtype)
    out = Potential(np.empty(30, dtype), np.empty((2, 30), dtype))
    for band in range(2):
        grid.potential_bands(
            points, bands, cells, mesh, window, nodes, near, band, band + 1, out
        )
    most = grid.most_near(points.edges, cells) if paired else 0
    V = np.concatenate([Y, [[-3], [2]]], axis=1).astype(dtype)
    field = Potential(np.empty(31, dtype), np.empty((2, 31), dtype))
    for start, stop in ((0, 12), (12, 31)):
        grid.field_rows(
            V, points, cells, mesh, window, nodes, near, most, start, stop, field
        )
    assert_allclose(field.value[:30], out.value, rtol=RTOL[dtype])
    assert_allclose(field.forces[:, :30], out.forces, rtol=RTOL[dtype])
    assert field.value[30] == np.inf
    Y = Y.astype(float)
    value, forces = np.zeros(30), np.zeros((2, 30))
    column, row = np.floor((Y[0] + 2) / 1.5), np.floor((Y[1] - 1) / 1.5)
    for i in range(30):
        j, w = windows_at(2 * (Y[0, i] + 2), window.values)
        r, v = windows_at(2 * (Y[1, i] - 1), window.values)
        _, slope_w = windows_at(2 * (Y[0, i] + 2), window.slopes)
        _, slope_v = windows_at(2 * (Y[1, i] - 1), window.slopes)
        patch = nodes[r : r + len(v), j : j + len(w)].astype(float)
        value[i] = v @ patch @ w
        forces[:, i] = -2 * (v @ patch @ slope_w), -2 * (slope_v @ patch @ w)
        for k in range(30 if paired else 0):
            if max(abs(column[i] - column[k]), abs(row[i] - row[k])) > 2:
                continue
            D = naive.squared_distance(Y[:, i], Y[:, k])
            N, slope = near_of(near, D)
            value[i] += charges[k] * N
            forces[:, i] += 2 * charges[k] * slope * (Y[:, i] - Y[:, k])
    for found, expected in ((out.value, value), (out.forces, forces)):
        atol = 20 * RTOL[dtype] * np.abs(expected).max()
        assert_allclose(found, expected, rtol=RTOL[dtype], atol=atol)


@pytest.mark.parametrize("dtype", NODES)
@pytest.mark.parametrize("form", [(STUDENT_T, 0.5), (STUDENT_T, 1), (GAUSSIAN, 1)])
def test_pairs_of_points_off_the_grid(rng, form, dtype):
    kind, dof = form
    Y, charges = rng.normal(size=(2, 9)).astype(dtype), rng.uniform(1, 2, 4)
    targets, others = np.array([1, 4, 8], np.int32), Y[:, 2:6].copy()
    out = Potential(np.ones(9, dtype), np.ones((2, 9), dtype))
    for start, stop in ((0, 2), (2, 3)):
        grid.add_rows(
            Y, targets, others, charges.astype(dtype), Kernel(kind, dtype(dof)),
            start, stop, out,
        )  # fmt: skip
    value, forces = np.ones(9), np.ones((2, 9))
    name = "gaussian" if kind == GAUSSIAN else "student_t"
    for i in targets:
        for j, charge in enumerate(charges):
            difference = (Y[:, i] - others[:, j]).astype(float)
            D = difference @ difference
            s = charge * np.exp(naive.log_similarity(D, dof, name))
            value[i] += s
            forces[:, i] += naive.weight_2g(D, dof, name) * s * difference
    assert_allclose(out.value, value, rtol=RTOL[dtype])
    assert_allclose(out.forces, forces, rtol=RTOL[dtype], atol=RTOL[dtype])
