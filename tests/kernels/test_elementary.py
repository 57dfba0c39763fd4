"""exp and log in vector code."""

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from skdec.kernels import elementary
from skdec.kernels.jit import reduction, stage
from tests.kernels.common import (
    DTYPES,
)


# stages can be called by other kernels only
@njit
def logarithms(U):
    elementary.logarithms(U)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logarithms(rng, dtype):
    special = [1, np.nextafter(dtype(1), dtype(2)), np.sqrt(2), 2, 3e38, 2e-38]
    U = np.r_[special, 1 + rng.random(50), 10 ** rng.uniform(-37, 38, 200)].astype(
        dtype
    )
    found = U.copy()
    logarithms(found)
    assert found[0] == 0
    assert_allclose(found, np.log(U.astype(float)), rtol=3 * np.finfo(dtype).eps)


@njit
def exponentials(U):
    elementary.exponentials(U)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials(rng, dtype):
    edge = -87.0 if dtype == np.float32 else -708.0
    U = np.r_[0, -1e-20, edge + 1e-3, 0.5, 80, rng.uniform(edge, 0, 300)].astype(dtype)
    found = U.copy()
    exponentials(found)
    assert found[0] == found[1] == 1
    assert_allclose(found, np.exp(U.astype(float)), rtol=2 * np.finfo(dtype).eps)
    below = np.array([edge, 2 * edge, -np.inf], dtype)
    exponentials(below)
    assert_array_equal(below, 0)


@stage
def rounded(x):
    """x to the nearest whole number, by adding and taking off a large one."""
    large = 1.5 * 2**52
    return (x + large) - large


@reduction
def sum_of_rounded(A):
    total = 0.0
    for i in range(len(A)):
        total += rounded(A[i])
    return total


@njit
def total_of(A):
    return sum_of_rounded(A)


def test_what_a_sum_calls_stays_strict(rng):
    """Though it is compiled for the first time for the sum, which may reorder."""
    A = rng.uniform(-9, 9, 40)
    assert total_of(A) == sum(np.rint(A))
