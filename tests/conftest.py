import numpy as np
import pytest
from hypothesis import settings

# the first call of a kernel compiles it: no deadline can hold
settings.register_profile("skdec", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("skdec")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
