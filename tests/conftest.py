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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of folders a file goes to one worker, as two would compile its kernels twice."""
    from xdist.scheduler import LoadFileScheduling

    if config.option.dist != "load" or not any(Path(a).is_dir() for a in config.args):
        return None
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items):
    """A file of each folder in turns, so that workers begin with different kernels."""
    files = sorted({item.path for item in items})
    folders = [path.parent for path in files]
    turn = {path: folders[:i].count(path.parent) for i, path in enumerate(files)}
    items.sort(key=lambda item: turn[item.path])


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
