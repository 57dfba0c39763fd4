"""Fixtures, and a compiled cache that fits the sources."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# the first call of a kernel compiles it: no deadline can hold
settings.register_profile("skdec", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("skdec")

KERNELS = Path(__file__).parents[1] / "skdec" / "kernels"


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        return  # the process that started this one has done it
    # numba does not see that a kernel has changed which another file calls
    cached = list((KERNELS / "__pycache__").glob("*.nb[ic]"))
    newest = max(source.stat().st_mtime for source in KERNELS.glob("*.py"))
    if any(path.stat().st_mtime < newest for path in cached):
        for path in cached:
            path.unlink()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def one_torch_thread():
    """Small networks only spin on more."""
    torch = pytest.importorskip("torch", reason="needs the extra 'deep'")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
