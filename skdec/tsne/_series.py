"""The potential of a map so small that s is a short series, from the moments of points.

With s(D) = 1 + Σ_k t_k D^k, and of points of the plane

    Σ_j c_j D_ij^k = Σ_m (k over m) Σ_j c_j (x_i − x_j)^2m (y_i − y_j)^(2k − 2m)

is a polynomial in (x_i, y_i), by the moments Σ_j c_j x_j^p y_j^q; in space there are
three factors.  So the forces, small differences of a potential that hardly varies, keep
the digits that a grid loses.
"""

import math
from functools import reduce
from itertools import product

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.polynomial.polynomial import polyder

from skdec.kernels.types import GAUSSIAN, Potential

# What the series may leave out of ds/dD, relative to its least one.
LEFT_OUT = 1e-13

# Numbers that are held at a time: of the moments, and in the cache.
BLOCK, CACHED = 2**20, 2**15


def series_of(Y, kernel, quality):
    """t_1, t_2, … of s up to the largest D of a map Y of (n_axes, n); None if too many.

    ds/dD is interpolated at Chebyshev's points.  Its derivatives are largest at D = 0,
    where they are those of Taylor's series, so that n powers leave out at most
    2 |τ_(n+1)| (n + 1) (D/4)^n, where τ are the coefficients of that one.
    """
    n = np.arange(1, quality.most_powers + 1)
    taylor = np.abs(_taylor(kernel, n[-1] + 1))
    beyond = 2 * (n + 1) * taylor[1:]
    allowed = max(LEFT_OUT, math.exp(-quality.truncation))

    def enough(D):
        with np.errstate(over="ignore", under="ignore"):
            return n[beyond * (D / 4) ** n <= allowed * abs(_slope(D, kernel))]

    if not len(enough(float(np.ptp(Y, axis=1).max()) ** 2)):
        return None  # which most maps are, and are told in no time
    Y = Y.astype(np.float64)
    middle = (Y.min(axis=1, keepdims=True) + Y.max(axis=1, keepdims=True)) / 2
    # no two points of a circle are farther apart
    largest = 4 * np.square(Y - middle).sum(axis=0).max()
    found = enough(largest)
    return _interpolated(kernel, largest, int(found[0])) if len(found) else None


def _slope(D, kernel):
    """ds/dD of exp(−D) or of (1 + D/ν)^(−a), a = (ν + 1)/2."""
    if kernel.kind == GAUSSIAN:
        return -np.exp(-D)
    dof = float(kernel.dof)
    return -(dof + 1) / (2 * dof) * (1 + D / dof) ** (-(dof + 3) / 2)


def _taylor(kernel, n):
    """τ_1 to τ_n of the same at D = 0."""
    k, dof = np.arange(1, n + 1), float(kernel.dof)
    if kernel.kind == GAUSSIAN:
        return np.cumprod(-1 / k)
    return np.cumprod(-((dof + 1) / 2 + k - 1) / (k * dof))


def _interpolated(kernel, largest, n):
    """t_1 to t_n, from ds/dD at n of Chebyshev's points from 0 to the largest D."""
    slope = Chebyshev.interpolate(lambda x: _slope(x * largest, kernel), n - 1, [0, 1])
    slope = slope.convert(kind=Polynomial).coef
    k = np.arange(n)
    terms = np.zeros(n)
    terms[: len(slope)] = slope
    return terms / ((k + 1) * float(largest) ** k)


def potential(Y, charges, terms, threads):
    """Φ and −∇Φ of points Y of (n_axes, n_samples), s by those terms of its series."""
    Y, n = Y.astype(np.float64), len(terms)
    c = np.ones(Y.shape[1]) if charges is None else charges.astype(np.float64)
    total = c.sum()
    away = Y - (Y * c).sum(axis=1, keepdims=True) / total
    unit = np.abs(away).max() or 1.0
    away /= unit
    # over the unit, so that no square of it vanishes that a force is made of
    terms = terms * unit ** (2 * np.arange(1, n + 1) - 1)
    value = _coefficients(_moments(away, c, 2 * n), terms)
    slopes = [polyder(value, axis=axis) for axis in range(len(Y))]
    out = Potential(np.empty(len(c)), np.empty(Y.shape))
    size = max(1, CACHED // (2 * n + 1) ** (len(Y) - 1))

    def task(start, stop):
        for block in range(start, stop):
            b = slice(block * size, (block + 1) * size)
            powers = [np.vander(row[b], 2 * n + 1, increasing=True) for row in away]
            out.value[b] = _polynomial(powers, value)
            for force, slope in zip(out.forces, slopes, strict=True):
                force[b] = _polynomial(powers, slope)

    # of the same blocks, so of the same bits, for any threads
    threads.run_ranges(task, -(-len(c) // size), (2 * n + 1) ** len(Y) * len(c))
    out.value[:] = total + unit * out.value
    np.negative(out.forces, out=out.forces)
    return out


def _moments(Y, c, degree):
    """Σ_j c_j x_j^p y_j^q … for powers up to a degree, the same for any threads."""
    shape = (degree + 1,) * len(Y)
    moments = np.zeros((math.prod(shape[:-1]), degree + 1))
    size = max(1, BLOCK // len(moments))
    for first in range(0, len(c), size):
        b = slice(first, first + size)
        *others, last = (np.vander(row[b], degree + 1, increasing=True) for row in Y)
        products = c[b, None]
        for powers in others:
            products = (products[:, :, None] * powers[:, None]).reshape(len(last), -1)
        moments += products.T @ last
    return moments.reshape(shape)


def _coefficients(moments, terms):
    """A of Σ_pq… A_pq… x^p y^q … = Σ_k t_k Σ_j c_j D^k."""
    A = np.zeros(moments.shape)
    for k, t in enumerate(terms, 1):
        for halves in product(range(k + 1), repeat=A.ndim):
            if sum(halves) != k:
                continue
            ways = math.factorial(k) // math.prod(map(math.factorial, halves))
            signs = [
                [(-1) ** p * math.comb(2 * m, p) for p in range(2 * m + 1)]
                for m in halves
            ]
            part = tuple(slice(2 * m + 1) for m in halves)
            signed = reduce(np.multiply.outer, signs)
            A[part] += t * ways * signed * np.flip(moments[part])
    return A


def _polynomial(powers, A):
    """Σ_pq… A_pq… x^p y^q … of each place, from the powers of its coordinates."""
    first, *others = powers
    value = first[:, : len(A)] @ A.reshape(len(A), -1)
    for rows, n in zip(others, A.shape[1:], strict=True):
        value = value.reshape(len(rows), n, -1)
        value = np.einsum("ip,ipq->iq", rows[:, :n], value)
    return value[:, 0]
