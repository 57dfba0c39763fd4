"""The potential of a map so small that s is a short series, from the moments of points.

With x = gD below 1, s(D) = Σ_k t_k D^k, and of points of the plane

    Σ_j c_j D_ij^k = Σ_m (k over m) Σ_j c_j (x_i − x_j)^2m (y_i − y_j)^(2k − 2m)

is a polynomial in (x_i, y_i), by the moments Σ_j c_j x_j^p y_j^q; in space there are
three factors.  So the forces, small differences of a potential that hardly varies, keep
the digits that a grid loses.
"""

import math
from functools import reduce
from itertools import product

import numpy as np

from skdec.kernels.types import GAUSSIAN, Potential

# What the first power that is left out may add to the forces, relative to them.
LEFT_OUT = 1e-13

# Numbers that are held at a time.
BLOCK = 2**20


def n_terms(Y, kernel, quality):
    """How many powers of D a map Y of (n_axes, n) takes; None if too many."""
    n = np.arange(1, quality.most_powers + 1)
    series = np.abs(_series(kernel, quality.most_powers + 1))
    beside_first = (n + 1) * series[1:] / series[0]
    allowed = max(LEFT_OUT, math.exp(-quality.truncation))

    def enough(D):
        with np.errstate(over="ignore"):
            return n[beside_first * D**n <= allowed]

    if not len(enough(float(np.ptp(Y, axis=1).max()) ** 2)):
        return None  # which most maps are, and are told in no time
    Y = Y.astype(np.float64)
    middle = (Y.min(axis=1, keepdims=True) + Y.max(axis=1, keepdims=True)) / 2
    # no two points of a circle are farther apart
    found = enough(4 * np.square(Y - middle).sum(axis=0).max())
    return int(found[0]) if len(found) else None


def _series(kernel, n):
    """t_1 to t_n, of exp(−D) or of (1 + D/ν)^(−a), a = (ν + 1)/2."""
    k, dof = np.arange(1, n + 1), float(kernel.dof)
    if kernel.kind == GAUSSIAN:
        return np.cumprod(-1 / k)
    return np.cumprod(-((dof + 1) / 2 + k - 1) / (k * dof))


def potential(Y, charges, kernel, n, threads):
    """Φ and −∇Φ of points Y of (n_axes, n_samples), by n powers of D."""
    Y = Y.astype(np.float64)
    c = np.ones(Y.shape[1]) if charges is None else charges.astype(np.float64)
    total = c.sum()
    away = Y - (Y * c).sum(axis=1, keepdims=True) / total
    unit = np.abs(away).max() or 1.0
    away /= unit
    # over the unit, so that no square of it vanishes that a force is made of
    terms = _series(kernel, n) * unit ** (2 * np.arange(1, n + 1) - 1)
    value = _coefficients(_moments(away, c, 2 * n), terms)
    slopes = [
        np.polynomial.polynomial.polyder(value, axis=axis) for axis in range(len(Y))
    ]
    out = Potential(np.empty(len(c)), np.empty(Y.shape))
    size = max(1, BLOCK // (2 * n + 1) ** (len(Y) - 1))

    def task(start, stop):
        for first in range(start, stop, size):
            b = slice(first, min(first + size, stop))
            out.value[b] = _polynomial(away[:, b], value)
            for force, slope in zip(out.forces, slopes, strict=True):
                force[b] = _polynomial(away[:, b], slope)

    threads.run_ranges(task, len(c), 10 * (2 * n + 1) ** len(Y) * len(c))
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


def _polynomial(places, A):
    """Σ_pq… A_pq… x^p y^q … of each place."""
    x, *others = places
    value = np.polynomial.polynomial.polyval(x, A)
    for y in others:
        value = np.polynomial.polynomial.polyval(y, value, tensor=False)
    return value
