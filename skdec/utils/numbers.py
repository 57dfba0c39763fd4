"""Magnitudes: units that divide exactly, and the dtype in which squares are finite."""

import math
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

# Largest |coordinate| whose squared distances, summed over dimensions, stay finite.  In
# double precision, which is used for far points, they do so divided by the smallest ν.
LARGEST = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e140}

# The smallest number that has all its digits.
TINY = np.finfo(np.float64).tiny


def power_of_two(value: float) -> float:
    """The largest power of two up to ``value``; 1 for 0.  Dividing by it is exact.

    Not below 2^−1021, so that its reciprocal is a number too.
    """
    return math.ldexp(1.0, max(math.frexp(value)[1] - 1, -1021)) if value > 0 else 1.0


def largest_magnitude(X: Any) -> float:
    """max |x|, dense or sparse, without a temporary array."""
    values = X.data if sparse.issparse(X) else X
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def in_one_unit(*arrays):
    """Arrays divided by a power of two near the largest of all their magnitudes."""
    unit = np.float64(power_of_two(max(map(largest_magnitude, arrays))))
    return [array / unit for array in arrays]


def working_dtype(dtype: Any, largest: float, name: str) -> np.dtype[Any]:
    """``dtype``, or float64 where squared float32 distances would overflow."""
    dtype = np.dtype(dtype)
    if largest > LARGEST[dtype]:
        dtype = np.dtype(np.float64)
    if largest > LARGEST[dtype]:
        raise ValueError(
            f"{name} must stay below {LARGEST[dtype]:g} bandwidths in magnitude; got "
            f"{largest:g}"
        )
    return dtype


# Medians are taken of so many numbers at a time.
MEDIAN_ENTRIES = 2**18


def some_rows(n):
    """Of n rows at most a thousand, as a slice."""
    return slice(None, None, -(-n // 1000))


def central_row(rows):
    """The medians of the features of dense rows, of some if they are many.

    A few rows far out hardly change them; about a mean all others would lose digits.
    Of missing values those that are there count; of none the median is 0.
    """
    some = rows[some_rows(len(rows))]
    # of few features at a time: a median takes a copy
    size = max(1, MEDIAN_ENTRIES // len(some))
    batches = gen_batches(some.shape[1], size)
    medians = np.concatenate([np.median(some[:, b], axis=0) for b in batches])
    for column in np.flatnonzero(np.isnan(medians)):
        values = rows[:, column]  # few rows may have it
        values = values[~np.isnan(values)]
        medians[column] = np.median(values) if len(values) else 0.0
    return medians
