"""Stages that every loop uses."""

import pytest
from numba import njit

from skdec.kernels import similarity
from tests.kernels.common import DTYPES


@njit
def least(D):
    return similarity.least(D)


@pytest.mark.parametrize("n", [1, 16, 17, 32, 33, 48, 100])
@pytest.mark.parametrize("dtype", DTYPES)
def test_least(rng, n, dtype):
    D = rng.random(n).astype(dtype)
    for place in {0, n // 2, n - 1}:
        D[place] = -1 - place
        assert least(D) == D.min()
