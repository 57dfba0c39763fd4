"""Rows, a chunk at a time: their squared distances to centroids, and the forces.

There are three forms of the same; in each, z stands for (row − origin)/h.

    LaneRows     D = Σ_d (z_d − μ_d)² from differences.  A chunk lies transposed in a
                 buffer: coordinate d of all its rows, a lane each, from d · LANES on
    ProductRows  D = ‖z‖² + ‖μ‖² − 2 z·μ by matrix products, two to three times as
                 fast, where rounding allows
    SparseRows   the same sum over the stored entries, in float64

The forces Σ_i c_ij (μ_j − z_i) are complete for LaneRows.  The others add −Σ_i c_ij x_i
of the rows x as they are stored.
"""

import numpy as np
from numba import config
from numba.extending import overload

from skdec.kernels.jit import STRICT, STRICT_INLINED, lane_sum, reduction, stage
from skdec.kernels.similarity import fill
from skdec.kernels.types import LaneRows, ProductRows, SparseRows

# Samples per chunk: few enough that the rows of a chunk stay in the first cache.
# Chunks are padded to the full width, so every sample runs through the same vector
# instructions wherever it stands: results do not depend on the batch or on the order of
# the rows.
LANES = 128

# Of the type of the numbers of rows: a literal 0 would be compiled once more.
FIRST = np.intp(0)

# Dimensions, or rows, that are taken at once: one load and store of a sum serves four.
STRIP = 4


# ------------------------------------------------------------------------- dense rows
@stage
def load(X, first, XT):
    """Put one chunk of rows into the lanes; lanes past the end repeat the last row."""
    n_features = X.shape[1]
    last = len(X) - 1
    for lane in range(0, LANES, STRIP):
        i = first + lane
        a, b = X[min(i, last)], X[min(i + 1, last)]
        c, e = X[min(i + 2, last)], X[min(i + 3, last)]
        for d in range(n_features):
            out = XT[d * LANES + lane : d * LANES + lane + STRIP]
            out[0] = a[d]
            out[1] = b[d]
            out[2] = c[d]
            out[3] = e[d]


def load_in_frame(rows, first, ZT):
    """The same for (x − origin)/h."""
    load(rows.X, first, ZT)
    for d in range(len(rows.origin)):
        z, origin = ZT[d * LANES : (d + 1) * LANES], rows.origin[d]
        for lane in range(LANES):
            z[lane] = (z[lane] - origin) * rows.scale


@lane_sum
def distances(center, ZT, D):
    """D_l = Σ_d (μ_d − z_dl)²."""
    fill(D, 0)
    whole = len(center) - len(center) % STRIP
    for d in range(0, whole, STRIP):
        a, b, c, e = center[d], center[d + 1], center[d + 2], center[d + 3]
        rows = ZT[d * LANES : (d + STRIP) * LANES]
        for lane in range(LANES):
            total = D[lane]
            difference = a - rows[lane]
            total += difference * difference
            difference = b - rows[LANES + lane]
            total += difference * difference
            difference = c - rows[2 * LANES + lane]
            total += difference * difference
            difference = e - rows[3 * LANES + lane]
            total += difference * difference
            D[lane] = total
    for d in range(whole, len(center)):
        a, row = center[d], ZT[d * LANES : (d + 1) * LANES]
        for lane in range(LANES):
            difference = a - row[lane]
            D[lane] += difference * difference


@reduction
def add_forces(C, center, ZT, force):
    """force_d += Σ_l c_l (μ_d − z_dl)."""
    whole = len(center) - len(center) % STRIP
    for d in range(0, whole, STRIP):
        a, b, c, e = center[d], center[d + 1], center[d + 2], center[d + 3]
        rows = ZT[d * LANES : (d + STRIP) * LANES]
        sum_a = sum_b = sum_c = sum_e = C.dtype.type(0)
        for lane in range(LANES):
            weight = C[lane]
            sum_a += weight * (a - rows[lane])
            sum_b += weight * (b - rows[LANES + lane])
            sum_c += weight * (c - rows[2 * LANES + lane])
            sum_e += weight * (e - rows[3 * LANES + lane])
        force[d] += sum_a
        force[d + 1] += sum_b
        force[d + 2] += sum_c
        force[d + 3] += sum_e
    for d in range(whole, len(center)):
        a, row = center[d], ZT[d * LANES : (d + 1) * LANES]
        sum_a = C.dtype.type(0)
        for lane in range(LANES):
            sum_a += C[lane] * (a - row[lane])
        force[d] += sum_a


def measure_lanes(rows, centers, first, buffer, D):
    """D of the chunk that was loaded."""
    for j in range(len(centers.norms)):
        distances(centers.points[j], buffer, D[j])


def add_lane_forces(rows, centers, first, width, C, buffer, force):
    """force_j += Σ_l c_jl (μ_j − z_l)."""
    for j in range(len(centers.norms)):
        add_forces(C[j], centers.points[j], buffer, force[j])


# --------------------------------------------------------------------- matrix products
def measure_products(rows, centers, first, buffer, D):
    """D_jl = max(0, ‖z_l‖² + (‖μ_j‖² + 2 μ_j·origin/h) − x_l·2μ_j/h)."""
    points, norms = centers.points, centers.norms
    n_samples, n_features = rows.X.shape
    k, zero = len(norms), D.dtype.type(0)
    products = buffer[: LANES * k].reshape(LANES, k)
    if first + LANES <= n_samples:
        stored = rows.X.reshape(-1)[first * n_features : (first + LANES) * n_features]
        chunk = stored.reshape(LANES, n_features)
    else:
        # the same product, of as many rows
        rest = buffer[LANES * k :].reshape(LANES, n_features)
        for lane in range(LANES):
            row = rows.X[min(first + lane, n_samples - 1)]
            for d in range(n_features):
                rest[lane, d] = row[d]
        chunk = rest
    np.dot(chunk, points, products)
    load(products, FIRST, D.reshape(-1))
    lengths = np.empty(LANES, D.dtype)
    for lane in range(LANES):
        lengths[lane] = rows.norms[min(first + lane, n_samples - 1)]
    for j in range(k):
        D_j, norm = D[j], norms[j]
        for lane in range(LANES):
            difference = (lengths[lane] + norm) - D_j[lane]
            D_j[lane] = difference if difference > 0 else zero


def add_product_forces(rows, centers, first, width, C, buffer, force):
    """force_j −= Σ_l c_jl x_l."""
    n_samples, n_features = rows.X.shape
    sums = np.empty((len(C), n_features), C.dtype)
    if first + LANES <= n_samples:
        stored = rows.X.reshape(-1)[first * n_features : (first + LANES) * n_features]
        chunk = stored.reshape(LANES, n_features)
    else:
        chunk = buffer[LANES * len(C) :].reshape(LANES, n_features)
    np.dot(C, chunk, sums)
    for j in range(len(C)):
        force_j, sums_j = force[j], sums[j]
        for d in range(n_features):
            force_j[d] -= sums_j[d]


# ------------------------------------------------------------------------ sparse rows
def measure_sparse(rows, centers, first, buffer, D):
    """The same, one row after the other."""
    points, norms = centers.points, centers.norms
    products = np.empty(len(norms), D.dtype)
    for lane in range(LANES):
        i = min(first + lane, len(rows.norms) - 1)
        fill(products, 0)
        for entry in range(rows.indptr[i], rows.indptr[i + 1]):
            x, point = rows.data[entry], points[rows.indices[entry]]
            for j in range(len(products)):
                products[j] += x * point[j]
        for j in range(len(products)):
            D[j, lane] = max((rows.norms[i] + norms[j]) - products[j], 0.0)


def add_sparse_forces(rows, centers, first, width, C, buffer, force):
    """The same into (d, k), a row of the centroids' transpose for each entry."""
    for lane in range(width):
        for entry in range(rows.indptr[first + lane], rows.indptr[first + lane + 1]):
            x, row = rows.data[entry], force[rows.indices[entry]]
            for j in range(len(C)):
                row[j] -= C[j, lane] * x


# ------------------------------------------------------------------ whichever they are
MEASURES = {
    LaneRows: measure_lanes,
    ProductRows: measure_products,
    SparseRows: measure_sparse,
}
FORCES = {
    LaneRows: add_lane_forces,
    ProductRows: add_product_forces,
    SparseRows: add_sparse_forces,
}


def allocate_buffer(rows, centers):
    """A buffer for one chunk."""
    size = 0 if isinstance(rows, SparseRows) else rows.X.shape[1] * LANES
    return np.empty(size + len(centers.norms) * LANES, centers.norms.dtype)


def load_chunk(rows, first, ZT):
    """Load a chunk, if that is how its rows are measured."""
    if isinstance(rows, LaneRows):
        load_in_frame(rows, first, ZT)


def measure(rows, centers, first, buffer, D):
    """Squared distances of a chunk to the centroids."""
    MEASURES[type(rows)](rows, centers, first, buffer, D)


def add_chunk_forces(rows, centers, first, width, C, buffer, force):
    """Add the forces of a chunk to those of its block."""
    FORCES[type(rows)](rows, centers, first, width, C, buffer, force)


if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # pragma: no cover
    # numba compiles what these return in place of the call; a function of one line
    # that called another would be compiled on top of it

    @overload(allocate_buffer, jit_options=STRICT)
    def _allocate_buffer(rows, centers):
        if rows.instance_class is SparseRows:
            return lambda rows, centers: np.empty(
                len(centers.norms) * LANES, centers.norms.dtype
            )
        return lambda rows, centers: np.empty(
            (rows.X.shape[1] + len(centers.norms)) * LANES, centers.norms.dtype
        )

    @overload(load_chunk, jit_options=STRICT)
    def _load_chunk(rows, first, ZT):
        if rows.instance_class is LaneRows:
            return load_in_frame
        return lambda rows, first, ZT: None

    @overload(measure, jit_options=STRICT)
    def _measure(rows, centers, first, buffer, D):
        return MEASURES[rows.instance_class]

    @overload(add_chunk_forces, jit_options=STRICT_INLINED)
    def _add_chunk_forces(rows, centers, first, width, C, buffer, force):
        return FORCES[rows.instance_class]
