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


@njit
def powers_of_two(U):
    for lane in range(len(U)):
        U[lane] = elementary.power_of_two(U[lane], U)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_two(rng, dtype):
    least, error = (-126, 3e-7) if dtype == np.float32 else (-1022, 2e-15)
    halves = np.nextafter(dtype(-0.5), np.array([-1, 0], dtype))
    U = np.r_[0, -1e-20, -0.5, halves, -1, least + 1, rng.uniform(least + 1, 0, 300)]
    U = U.astype(dtype)
    found = U.copy()
    powers_of_two(found)
    assert_allclose(found, np.exp2(U.astype(float)), rtol=error)
    below = np.array([least, least - 0.49, 2 * least, -np.inf], dtype)
    powers_of_two(below)
    assert np.all((below >= 0) & (below <= 1.01 * 2.0**least))


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
