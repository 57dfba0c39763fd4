"""The mathematics in short stages, written once and used by every loop.

Each takes one point x and a vector of others, so that the compiler can vectorise:

    squared_distances   D_l = ‖x − y_l‖²
    similarities        s_l, relative to the similarity at a given nearest distance
    weights             2g_l = −2 d log s / dD
    energies            −log s_l
    weighted_differences  Σ_l c_l (x − y_l)

Coordinates are stored one array per dimension, ``points[d, l]``.

``kernel`` is the kind of s throughout, with its ν: a ``Kernel`` of ``types``.
"""

import math

import numpy as np

from skdec.kernels.elementary import exponentials, logarithms
from skdec.kernels.jit import reduction, stage
from skdec.kernels.types import GAUSSIAN

# Up to this integer dof, s is a product of roots and quotients, which costs far less
# than pow.
LARGEST_PRODUCT_DOF = 16

# Up to this dof log(1 + T) is as good as log1p(T) and twice as fast.  Its rounding
# error is multiplied by (ν+1)/2.
LARGEST_LOG_DOF = 64


# ---------------------------------------------------------------------- stages
@stage
def fill(A, value):
    """a_l ← the same value."""
    for lane in range(len(A)):
        A[lane] = value


@stage
def squared_distances(x, points, D):
    """D_l = Σ_d (x_d − y_dl)²."""
    fill(D, 0)
    for d in range(len(x)):
        x_d = x[d]
        row = points[d]
        for lane in range(len(D)):
            difference = x_d - row[lane]
            D[lane] += difference * difference


@stage
def is_product(dof):
    """Whether s is a product: ν an integer up to 16."""
    return dof == int(dof) and dof <= LARGEST_PRODUCT_DOF


@stage
def powers(S, dof, T):
    """s ← s^((ν+1)/2) for such a ν: products of s and its root; T is scratch."""
    if dof == 1:
        return
    for lane in range(len(S)):
        T[lane] = S[lane]
    if int(dof) % 2 == 0:
        for lane in range(len(S)):
            S[lane] *= math.sqrt(T[lane])
    for _ in range((int(dof) + 1) // 2 - 1):
        for lane in range(len(S)):
            S[lane] *= T[lane]


@stage
def student_t(T, dof, S):
    """s = (1 + T)^(−(ν+1)/2), with T = D/ν, for any ν; T is overwritten."""
    one = T.dtype.type(1)
    power = (dof + one) / (one + one)
    if dof <= LARGEST_LOG_DOF:
        for lane in range(len(T)):
            T[lane] += one
        logarithms(T)
    else:
        for lane in range(len(T)):
            T[lane] = math.log1p(T[lane])
    for lane in range(len(T)):
        S[lane] = T[lane] * -power
    exponentials(S)


@stage
def similarities(D, near, kernel, T, S):
    """s(D)/s(D°), D° the distance ``near`` to the closest reference point.

    Student-t: (1 + D/ν)/(1 + D°/ν) = 1 + (D − D°)/(ν + D°), so the ratio is the same
    power of the same form.  Gaussian: exp(−(D − D°)).  The ratio never underflows
    where it matters, however far the points are.
    """
    dof = kernel.dof
    if kernel.kind == GAUSSIAN:
        for lane in range(len(D)):
            S[lane] = near[lane] - D[lane]
        exponentials(S)
    elif is_product(dof):
        for lane in range(len(D)):
            S[lane] = (dof + near[lane]) / (dof + D[lane])
        powers(S, dof, T)
    else:
        for lane in range(len(D)):
            T[lane] = (D[lane] - near[lane]) / (dof + near[lane])
        student_t(T, dof, S)


@stage
def weights(D, kernel, G):
    """2g = (ν+1)/ν · (1 + D/ν)^(−1) = (ν+1)/(ν+D) for Student-t, 2 for Gaussian."""
    if kernel.kind == GAUSSIAN:
        fill(G, 2)
    else:
        dof = kernel.dof
        numerator = dof + D.dtype.type(1)
        for lane in range(len(D)):
            G[lane] = numerator / (dof + D[lane])


@stage
def weight(D, kernel):
    """2g of one pair, as ``weights`` has it of many."""
    if kernel.kind == GAUSSIAN:
        return 2.0
    return (kernel.dof + 1) / (kernel.dof + D)


@stage
def bending(kernel):
    """κ = −4g′/(2g)², g′ = dg/dD: 2/(ν+1) for Student-t, 0 for Gaussian."""
    if kernel.kind == GAUSSIAN:
        return 0.0
    return 2.0 / (kernel.dof + 1.0)


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


@stage
def least(D):
    """min_l D_l."""
    # sixteen at a time, because a single running minimum cannot be vectorised
    columns = D[: len(D) % 16 + 16] if len(D) > 32 else D
    result = columns[0]
    for lane in range(len(columns)):
        result = min(result, columns[lane])
    if len(D) <= 32:
        return result
    lowest = np.empty(16, D.dtype)
    fill(lowest, result)
    for first in range(len(columns), len(D), 16):
        row = D[first : first + 16]
        for lane in range(16):
            lowest[lane] = row[lane] if row[lane] < lowest[lane] else lowest[lane]
    for lane in range(16):
        result = min(result, lowest[lane])
    return result


@stage
def energy(D, kernel):
    """−log s: (ν+1)/2 · log(1 + D/ν) for Student-t, D for Gaussian."""
    if kernel.kind == GAUSSIAN:
        return float(D)
    dof = float(kernel.dof)
    return 0.5 * (dof + 1.0) * math.log1p(float(D) / dof)


@reduction
def weighted_differences(C, x_d, row):
    """Σ_l c_l (x_d − y_dl), one coordinate."""
    total = row.dtype.type(0)
    for lane in range(len(C)):
        total += C[lane] * (x_d - row[lane])
    return total


@stage
def energies(D, kernel):
    """D_l ← −log s_l, vectors at a time where precision allows."""
    if kernel.kind == GAUSSIAN:
        return
    one, dof = D.dtype.type(1), kernel.dof
    power = (dof + one) / (one + one)
    if dof <= LARGEST_LOG_DOF:
        per_dof = one / dof
        for lane in range(len(D)):
            D[lane] = one + D[lane] * per_dof
        logarithms(D)
        for lane in range(len(D)):
            D[lane] *= power
    else:
        for lane in range(len(D)):
            D[lane] = energy(D[lane], kernel)
