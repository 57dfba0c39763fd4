"""The mathematics in short stages, written once and used by every loop.

Each takes one point x and a vector of others, so that the compiler can vectorise:

    squared_distances   D_l = ‖x − y_l‖²
    similarities        s_l, relative to the similarity at a given nearest distance
    weights             2g_l = −2 d log s / dD
    energies            −log s_l
    pull                Σ_l c_l (x − y_l)

Coordinates are stored one array per dimension, ``points[d, l]``.

``gaussian`` selects the kernel throughout: False for Student-t, True for Gaussian.
"""

import math

import numpy as np

from skdec.kernels._jit import as_integer, as_number, reduction, stage

# Up to here an integer dof is a product of roots and quotients, far cheaper than pow.
LARGEST_PRODUCT_DOF = 16

# Up to here log(1 + T) is as good as log1p(T) and twice as fast: what rounding 1 + T
# costs is multiplied by (ν+1)/2.
LARGEST_LOG_DOF = 64

# Where exp overflows or underflows, and log 2 in two parts: a whole number times the
# first is exact.
LARGEST_32, LARGEST_64 = 87.0, 708.0
LOG_2, LOG_2_HIGH = math.log(2), 0.693359375
LOG_2_LOW = -2.121944400546905827679e-4
ROOT_2 = math.sqrt(2)


# ---------------------------------------------------- exp and log in vector code
@stage
def exponentials(U):
    """U ← exp U; 0 below −87 in single and −708 in double precision.

    x = n log 2 + r, |r| ≤ log(2)/2.  n comes from adding and taking off a number so
    large that only whole units are left; exp r from its Taylor series; 2^n from the
    exponent bits.
    """
    number, single = U.dtype.type, U.itemsize == 4
    largest = number(LARGEST_32 if single else LARGEST_64)
    whole_units = number(1.5 * 2**23 if single else 1.5 * 2**52)
    shift, bias = (23, 127) if single else (52, 1023)
    for lane in range(len(U)):
        x = min(max(U[lane], -largest), largest)
        n = (x * number(1 / LOG_2) + whole_units) - whole_units
        r = (x - n * number(LOG_2_HIGH)) - n * number(LOG_2_LOW)
        e = number(1 / 5040)
        if not single:
            e = number(1 / 479001600) + r * number(1 / 6227020800)
            e = number(1 / 3628800) + r * (number(1 / 39916800) + r * e)
            e = number(1 / 40320) + r * (number(1 / 362880) + r * e)
            e = number(1 / 5040) + r * e
        e = number(1 / 24) + r * (number(1 / 120) + r * (number(1 / 720) + r * e))
        e = number(1) + (r + r * r * (number(1 / 2) + r * (number(1 / 6) + r * e)))
        # the last bits of this number are those of n
        power = as_number((as_integer(n + whole_units) + bias) << shift, n)
        U[lane] = e * power if U[lane] > -largest else number(0)


@stage
def logarithms(U):
    """U ← log U, U positive, normal and finite.

    x = 2^n m with m in [√½, √2); log m = 2 artanh f by its series in
    f = (m − 1)/(m + 1).
    """
    number, single = U.dtype.type, U.itemsize == 4
    half = number(0.5)
    shift, bias = (23, 127) if single else (52, 1023)
    fraction = (1 << shift) - 1
    for lane in range(len(U)):
        bits = as_integer(U[lane])
        n = number((bits >> shift) - bias)
        m = as_number((bits & fraction) | (bias << shift), half)
        high = m > number(ROOT_2)
        m = m * half if high else m
        n = n + number(1) if high else n
        f = (m - number(1)) / (m + number(1))
        g = f * f
        a = number(1 / 9)
        if not single:
            a = number(1 / 17) + g * (number(1 / 19) + g * number(1 / 21))
            a = number(1 / 13) + g * (number(1 / 15) + g * a)
            a = number(1 / 9) + g * (number(1 / 11) + g * a)
        a = number(1 / 3) + g * (number(1 / 5) + g * (number(1 / 7) + g * a))
        U[lane] = n * number(LOG_2) + (f + f) * (number(1) + g * a)


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
def similarities(D, near, dof, gaussian, T, S):
    """s(D)/s(D°), D° the distance ``near`` to the closest reference point.

    Student-t: (1 + D/ν)/(1 + D°/ν) = 1 + (D − D°)/(ν + D°), so the ratio is the same
    power of the same form.  Gaussian: exp(−(D − D°)).  The ratio never underflows
    where it matters, however far the points are.
    """
    if gaussian:
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
def weights(D, dof, gaussian, G):
    """2g = (ν+1)/ν · (1 + D/ν)^(−1) = (ν+1)/(ν+D) for Student-t, 2 for Gaussian."""
    if gaussian:
        fill(G, 2)
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


@stage
def least(D):
    """min_l D_l."""
    # sixteen at a time: a single running minimum would be a chain without vectors
    columns = D[: len(D) % 16 + 16] if len(D) > 32 else D
    result = columns[0]
    for lane in range(len(columns)):
        result = min(result, columns[lane])
    if len(D) <= 32:
        return result
    lowest = np.full(16, result)
    for first in range(len(columns), len(D), 16):
        row = D[first : first + 16]
        for lane in range(16):
            lowest[lane] = row[lane] if row[lane] < lowest[lane] else lowest[lane]
    for lane in range(16):
        result = min(result, lowest[lane])
    return result


@stage
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


@stage
def energies(D, dof, gaussian):
    """D_l ← −log s_l, vectors at a time where precision allows."""
    if gaussian:
        return
    one = D.dtype.type(1)
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
            D[lane] = energy(D[lane], dof, False)
