"""The part of the similarity that falls off fast, summed over near points.

    N and −dN/dD, and from them  Σ_j c_j N(D_ij),  Σ_j c_j (−dN/dD)(y_i − y_j)

docs/tsne.md has the split s = N + F.  Points are sorted by cells, row after row and
layer after layer, so that those of neighbouring cells of a row follow each other.
Whether they lie in the plane or in space is told by the length of tuples, which numba
knows when it compiles.
"""

import math

import numpy as np
from numba import config
from numba.extending import overload

from skdec.kernels.elementary import LOG_2, power_of_two
from skdec.kernels.jit import SUM, reduction, stage
from skdec.kernels.types import Cauchy, CauchyNear, StudentNear

# Terms of the polynomial of N, for any ν but 1, in single and in double precision.
TERMS, DOUBLE_TERMS = 11, 26

# A cell is half as wide as N reaches: near points are at most so many cells away.
REACH = 2

# Lists of near points end with so many at a time, some without a charge: LLVM's loops
# take as many at once, and the others one by one.
AT_ONCE = 32


def whole_cauchy_term(D, near, like):
    """s = 1/u and −ds/dD = 1/u², u = 1 + D, for ν = 1."""
    s = like.dtype.type(1) / (like.dtype.type(1) + D)
    return s, s * s


def cauchy_term(D, near, like):
    """N = e^(−τu)/u and −dN/dD = e^(−τu) (τ/u + 1/u²), u = 1 + D, for ν = 1."""
    one, tau = like.dtype.type(1), like.dtype.type(near.tau)
    u = one + D
    inverse = one / u
    N = power_of_two(like.dtype.type(-near.tau / LOG_2) * u, like) * inverse
    return N, N * (tau + inverse)


@reduction
def five_more(q, z, terms):
    """q z^5 + t_0 z^4 + … + t_4."""
    a, b, c, d, e = terms
    return ((((q * z + a) * z + b) * z + c) * z + d) * z + e


@reduction
def polynomial(terms, z):
    """Σ_k t_k z^(n − k) of as many terms as there are in either precision.

    Of numbers and not of an array, and no loop: LLVM would not see that the pairs for
    which it is evaluated are lanes.
    """
    q = five_more(five_more(terms[0], z, terms[1:6]), z, terms[6:11])
    if len(terms) == TERMS:
        return q
    q = five_more(five_more(q, z, terms[11:16]), z, terms[16:21])
    return five_more(q, z, terms[21:26])


def student_term(D, near, like):
    """The same of any ν: N = e^(−τu) q(u) with u = 1 + D/ν.

    −dN/dD = e^(−τu) (a q + C)/(νu), a = (ν + 1)/2, C = τ^a/Γ(a).
    """
    one = like.dtype.type(1)
    u = one + D * near.per_dof
    inverse = one / math.sqrt(u)
    q = polynomial(near.terms, near.scale * inverse + near.shift)
    e = power_of_two(like.dtype.type(-near.tau / LOG_2) * u, like)
    return e * q, e * (near.power * q + near.factor) * (
        inverse * inverse * near.per_dof
    )


NEAR_TERM = {
    Cauchy: whole_cauchy_term,
    CauchyNear: cauchy_term,
    StudentNear: student_term,
}


def near_term(D, near, like):
    """N and −dN/dD, of whichever N, in the precision of an array."""
    return NEAR_TERM[type(near)](D, near, like)


if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # pragma: no cover

    @overload(near_term, jit_options=SUM)
    def _near_term(D, near, like):
        return NEAR_TERM[near.instance_class]


@reduction
def near_sums(place, found, m, near):
    """Σ c N, and Σ c (−dN/dD)(y_i − y_j) along each axis, of the first m found."""
    others_x, others_y, charges = found[0][:m], found[1][:m], found[len(place)][:m]
    zero = charges.dtype.type(0)
    total = force_x = force_y = zero
    if len(place) == 2:
        for j in range(m):
            dx, dy = place[0] - others_x[j], place[1] - others_y[j]
            N, slope = near_term(dx * dx + dy * dy, near, charges)
            total += charges[j] * N
            slope *= charges[j]
            force_x += slope * dx
            force_y += slope * dy
        return total, (force_x, force_y)
    force_z, others_z = zero, found[2][:m]
    for j in range(m):
        dx, dy = place[0] - others_x[j], place[1] - others_y[j]
        dz = place[2] - others_z[j]
        N, slope = near_term(dx * dx + dy * dy + dz * dz, near, charges)
        total += charges[j] * N
        slope *= charges[j]
        force_x += slope * dx
        force_y += slope * dy
        force_z += slope * dz
    return total, (force_x, force_y, force_z)


@stage
def copy_points(positions, charge, first, last, found, n):
    """Copy some points to the list found, from its entry n on."""
    for axis in range(len(positions)):
        row, source = found[axis, n:], positions[axis][first:last]
        for k in range(len(source)):
            row[k] = source[k]
    row, source = found[len(positions), n:], charge[first:last]
    for k in range(len(source)):
        row[k] = source[k]


@stage
def near_points(points, cells, cell, found):
    """Copy the points of the cells around one; how many, with those without charge."""
    # of a literal 0 numba would compile what n is handed to twice
    n = np.int64(0)
    column, line = cell % cells.n_columns, cell // cells.n_columns
    row, layer = line % cells.n_rows, line // cells.n_rows
    left, right = max(column - REACH, 0), min(column + REACH + 1, cells.n_columns)
    low, high = max(row - REACH, 0), min(row + REACH + 1, cells.n_rows)
    for k in range(max(layer - REACH, 0), min(layer + REACH + 1, cells.n_layers)):
        for r in range(k * cells.n_rows + low, k * cells.n_rows + high):
            first = points.edges[r * cells.n_columns + left]
            last = points.edges[r * cells.n_columns + right]
            copy_points(points.positions, points.charge, first, last, found, n)
            n += last - first
    n_axes = len(found) - 1
    while n % AT_ONCE > 0:
        for axis in range(n_axes):
            found[axis, n] = found[axis, 0]
        found[n_axes, n] = 0
        n += 1
    return n


def most_near(edges, cells):
    """A number of points that no surroundings of a cell exceed."""
    width = 2 * REACH + 1
    first = edges[:-1].reshape(-1, cells.n_columns)
    # where those of a row of cells end
    last = np.repeat(edges[cells.n_columns :: cells.n_columns, None], width, axis=1)
    ends = np.concatenate([first, last], axis=1)[:, width:]
    n_beside = int((ends - first).max())
    return min(width ** (cells.n_axes - 1) * n_beside, int(edges[-1])) + AT_ONCE
