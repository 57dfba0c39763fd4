"""exp and log in vector code."""

import math

from skdec.kernels.jit import as_integer, as_number, stage

# Beyond these exp overflows or underflows.  log 2 is in two parts, so that a whole
# number times the first is exact.
LARGEST_32, LARGEST_64 = 87.0, 708.0
LOG_2, LOG_2_HIGH = math.log(2), 0.693359375
LOG_2_LOW = -2.121944400546905827679e-4
ROOT_2 = math.sqrt(2)


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
