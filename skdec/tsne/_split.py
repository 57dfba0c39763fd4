"""The similarity as a part that falls off fast and a part that is smooth.

s = N + F (docs/tsne.md, "All pairs in n log n"): N is summed over near pairs, and the
Fourier transform of F ends early, so that a grid carries it.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, gammainc, gammaincc, kve

from skdec.kernels.lanes import DEGREES, N_NODES
from skdec.kernels.near_pairs import DOUBLE_TERMS, TERMS
from skdec.kernels.types import (
    GAUSSIAN,
    STUDENT_T,
    CauchyNear,
    Kernel,
    StudentNear,
    Window,
)

# Degrees of freedom between which the transform of s is known to end where it should;
# and up to which N is taken off: beyond, it reaches as far as s.
LEAST_DOF, LARGEST_DOF, LARGEST_NEAR_DOF = 0.25, 100.0, 3.0

# τ is tried in steps of √2 downwards from T, and below T/2, from where on F has the
# frequencies of s.
TAUS = 15


@dataclass(frozen=True)
class Quality:
    """How exact the sum is.

    Attributes
    ----------
    truncation : float
        T: what is below e^(−T) is left out.
    oversampling : float
        Frequencies of the grid for each one that F has.
    margin : int
        Nodes over which F levels off between the largest distance and the half period.
    flatness : int
        Derivatives that vanish at both ends of it.
    most_powers : int
        Of D, where s is a series instead.
    dtype : dtype
        Of the grid.
    """

    truncation: float
    oversampling: float
    margin: int
    flatness: int
    most_powers: int
    dtype: np.dtype

    @property
    def n_nodes(self):
        """W: nodes that a window reaches."""
        return N_NODES[self.dtype]

    @property
    def degree(self):
        """Of the polynomials that stand for a window between two nodes."""
        return DEGREES[self.dtype]


SINGLE = Quality(14.0, 1.25, 24, 5, 9, np.dtype(np.float32))
DOUBLE = Quality(34.0, 1.5, 96, 7, 12, np.dtype(np.float64))


def cuts(kernel, quality):
    """The τ that may be chosen, the cheapest grid first; ∞ is none."""
    if kernel.kind != STUDENT_T or kernel.dof > LARGEST_NEAR_DOF:
        return [np.inf]
    return [*quality.truncation * 2.0 ** (-np.arange(TAUS, 2, -1) / 2), np.inf]


@dataclass(frozen=True)
class Split:
    """s = N + F, cut at τ; with τ = ∞ all of s is in F."""

    kernel: Kernel
    tau: float
    quality: Quality

    @property
    def reach(self):
        """The distance beyond which N is left out: u = 1 + D/ν = T/τ there."""
        ratio = self.quality.truncation / self.tau
        return self.kernel.width * math.sqrt(ratio - 1) if ratio > 1 else 0.0

    @property
    def spacing(self):
        """The distance of nodes that carry all frequencies of F."""
        return math.pi / (self.quality.oversampling * self._highest)

    @property
    def _highest(self):
        """k beyond which the transform of F is below e^(−T) of what it has near 0."""
        T, tau = self.quality.truncation, self.tau
        if self.kernel.kind == GAUSSIAN:
            return 2 * math.sqrt(T)  # of e^(−k²/4)
        if tau < np.inf:
            # where the integral of F ends, t^(a−1)/Γ(a) e^(−t − k²/4t) is e^(−T)
            a = self._power
            ends = T - tau + (a - 1) * math.log(tau) - math.lgamma(a)
            k = 2 * math.sqrt(tau * ends)
        else:
            # the transform of s is k^m K_m(k) up to a factor, m = (ν − 1)/2
            m = self._power - 1

            def height(k):
                return m * math.log(k) + math.log(kve(abs(m), k)) - k

            end = 10 * (T + math.sqrt(T * (abs(m) + 1)))
            k = brentq(lambda k: height(k) - height(1.0) + T, 1.0, end)
        return k / self.kernel.width

    @property
    def _power(self):
        """a = (ν + 1)/2 of s = u^(−a)."""
        return (float(self.kernel.dof) + 1) / 2

    def far(self, D):
        """F of squared distances: u^(−a) P(a, τu), u = 1 + D/ν; all of s of τ = ∞."""
        if self.kernel.kind == GAUSSIAN:
            return np.exp(-D)
        u, a, tau = 1 + D / float(self.kernel.dof), self._power, self.tau
        if tau < np.inf and a == 1:
            return -np.expm1(-tau * u) / u
        return u**-a if tau == np.inf else u**-a * gammainc(a, tau * u)

    @property
    def near(self):
        """N as the kernels take it."""
        if self.tau == np.inf or self._power == 1:
            return CauchyNear(self.tau if self.tau < np.inf else 0.0)
        a, tau, number = self._power, self.tau, self.quality.dtype.type
        # in 1/√u, of which few terms do: to 5e-7 and 1e-13; from where N ends
        least = math.sqrt(tau / self.quality.truncation)
        n_terms = TERMS if self.quality.dtype.itemsize == 4 else DOUBLE_TERMS
        z = np.polynomial.chebyshev.chebpts1(4 * n_terms)
        u = (least + (1 - least) * (z + 1) / 2) ** -2
        q = np.exp(tau * u) * u**-a * gammaincc(a, tau * u)
        series = np.polynomial.chebyshev.chebfit(z, q, n_terms - 1)
        terms = in_powers(series)
        scale = 2 / (1 - least)
        factor = tau**a / math.gamma(a)
        numbers = tau, 1 / float(self.kernel.dof), a, factor, scale, -1 - scale * least
        return StudentNear(*map(number, numbers), tuple(map(number, terms)))


def in_powers(series):
    """Coefficients of powers, the highest first, of a Chebyshev series.

    They are as many, although NumPy's conversion drops the highest where they are 0.
    """
    powers, found = np.polynomial.chebyshev.cheb2poly(series), np.zeros(len(series))
    found[: len(powers)] = powers
    return found[::-1]


class Spreading:
    """The window φ that takes points to nodes and back: the exponential of semicircle.

    φ(t) = exp β (√(1 − (2t/W)²) − 1), t in distances of nodes (Barnett, Magland, af
    Klinteberg: A parallel nonuniform fast Fourier transform library based on an
    "exponential of semicircle" kernel, SISC 2019, eq. 1.8).
    """

    def __init__(self, quality):
        self.n_nodes = quality.n_nodes
        oversampling = 1 - 1 / (2 * quality.oversampling)
        self.beta = 0.976 * math.pi * oversampling * quality.n_nodes
        # Gauss's rule over the window, for its transform
        t, weights = np.polynomial.legendre.leggauss(8 * self.n_nodes)
        self._t = t * self.n_nodes / 2
        self._weights = weights * self.n_nodes / 2 * self.at(self._t)
        # between two nodes, from the node to the left: Chebyshev's points
        z, degree = np.polynomial.chebyshev.chebpts1(2 * quality.degree), quality.degree
        nodes = np.arange(self.n_nodes)
        t = (z[:, None] + 1) / 2 + (self.n_nodes / 2 - 1 - nodes)
        self.polynomials = Window(
            *(
                self._fitted(z, values, degree).astype(quality.dtype)
                for values in (self.at(t), self.slope_at(t))
            )
        )

    @staticmethod
    def _fitted(z, values, degree):
        series = np.polynomial.chebyshev.chebfit(z, values, degree)
        return np.ascontiguousarray(np.array([in_powers(c) for c in series.T]).T)

    def _root(self, t):
        return np.sqrt(np.maximum(1 - (2 * t / self.n_nodes) ** 2, 0))

    def at(self, t):
        """φ(t)."""
        return np.exp(self.beta * (self._root(t) - 1))

    def slope_at(self, t):
        """dφ/dt."""
        return -self.beta * 4 * t / self.n_nodes**2 / self._root(t) * self.at(t)

    @property
    def cubed(self):
        """∫ φ(t)³ dt."""
        return float(self._weights @ self.at(self._t) ** 2)

    def transform(self, k):
        """∫ φ(t) cos(kt) dt, k in units of a node."""
        return np.cos(np.outer(k, self._t)) @ self._weights


def levelled(t, largest, half, flatness):
    """t up to the largest distance of points, level from there to the half period.

    F of it instead of t is smooth on the cyclic grid, which it would not be where the
    period ends: the derivative falls from 1 to 0 like a regularised beta function.
    """
    z = np.clip((t - largest) / (half - largest), 0, 1)
    beta, beyond = betainc(flatness, flatness, z), betainc(flatness + 1, flatness, z)
    rest = z - z * beta + beyond / 2
    return np.where(t <= largest, t, largest + (half - largest) * rest)
