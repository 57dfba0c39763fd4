"""One step of an embedding."""

import numpy as np
import pytest

from skdec.kernels import descent
from skdec.kernels.types import (
    StepRates,
)
from tests import naive
from tests.kernels.common import DTYPES, close


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_momentum_step(rng, n_components, dtype):
    Y = rng.normal(size=(n_components, 6)).astype(dtype)
    velocity, gains = np.zeros_like(Y), np.ones_like(Y)
    expected = [a.astype(float) for a in (Y, velocity, gains)]
    for longest in (10.0, 10.0, 0.5, 0.5):
        gradient = rng.normal(size=Y.shape).astype(dtype)
        rates = StepRates(0.7, 0.8, 0.9, longest)
        descent.momentum_step(Y, gradient, velocity, gains, rates)
        naive.momentum_step(expected[0], gradient, expected[1], expected[2], rates)
        for found, wanted in zip((Y, velocity, gains), expected, strict=True):
            close(found, wanted, dtype)
    assert np.linalg.norm(velocity, axis=0).max() <= 0.5 * (1 + 1e-6)
