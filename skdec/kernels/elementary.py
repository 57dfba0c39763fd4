"""exp and log in vector code."""

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from skdec.kernels.jit import as_integer, as_number, lane_sum, stage

# Beyond these exp overflows or underflows.  log 2 is in two parts, so that a whole
# number times the first is exact.
LARGEST_32, LARGEST_64 = 87.0, 708.0
LOG_2, LOG_2_HIGH = math.log(2), 0.693359375
LOG_2_LOW = -2.121944400546905827679e-4
ROOT_2 = math.sqrt(2)

# 2^r, |r| ≤ 1/2, by powers of r: polynomials that meet it where Chebyshev's have
# their zeros, right to 1e-7 and 2e-15.  As many powers in both, some of them 0.
DEGREE_32, DEGREE_64 = 5, 10
POWERS_32, POWERS_64 = (
    tuple(
        Chebyshev.interpolate(np.exp2, degree, domain=(-0.5, 0.5))
        .convert(kind=Polynomial)
        .coef.tolist()
        + [0.0] * (DEGREE_64 - degree)
    )
    for degree in (DEGREE_32, DEGREE_64)
)


@stage
def exponential(x, like):
    """exp x in the precision of an array; 0 below −87 in single, −708 in double.

    x = n log 2 + r, |r| ≤ log(2)/2.  n comes from adding and taking off a number so
    large that only whole units are left; exp r from its Taylor series; 2^n from the
    exponent bits.
    """
    number, single = like.dtype.type, like.itemsize == 4
    largest = number(LARGEST_32 if single else LARGEST_64)
    whole_units = number(1.5 * 2**23 if single else 1.5 * 2**52)
    shift, bias = (23, 127) if single else (52, 1023)
    limited = min(max(x, -largest), largest)
    n = (limited * number(1 / LOG_2) + whole_units) - whole_units
    r = (limited - n * number(LOG_2_HIGH)) - n * number(LOG_2_LOW)
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
    return e * power if x > -largest else number(0)


@lane_sum
def power_of_two(x, like):
    """2^x of x ≤ 0, in the precision of an array, for terms of sums.

    x = n + r, |r| ≤ 1/2, with n found as in ``exponential`` and added to the exponent
    of 2^r.  Two powers of r at a time, so that fewer operations wait for others.  At
    least about 2^−126 in single precision and 2^−1022 in double.
    """
    number, single = like.dtype.type, like.itemsize == 4
    whole_units = number(1.5 * 2**23 if single else 1.5 * 2**52)
    least, shift = (number(-126), 23) if single else (number(-1022), 52)
    powers = POWERS_32 if single else POWERS_64
    limited = max(x, least)
    shifted = limited + whole_units
    r = limited - (shifted - whole_units)
    square = r * r
    e = number(powers[4]) + r * number(powers[5])
    if not single:
        high = number(powers[8]) + r * number(powers[9]) + square * number(powers[10])
        high = (number(powers[6]) + r * number(powers[7])) + square * high
        e = e + square * high
    e = (number(powers[2]) + r * number(powers[3])) + square * e
    e = (number(powers[0]) + r * number(powers[1])) + square * e
    # the last bits of this number are those of n
    return as_number(as_integer(e) + (as_integer(shifted) << shift), e)


@stage
def exponentials(U):
    """U ← exp U."""
    for lane in range(len(U)):
        U[lane] = exponential(U[lane], U)


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
