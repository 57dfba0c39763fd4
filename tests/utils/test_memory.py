"""Memory is asked for before work begins."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from skdec import ExactTSNE
from skdec.tsne._checks import check_neighbour_memory
from skdec.utils import memory
from tests.tsne.common import SHORT


@pytest.mark.parametrize(
    "precision, size", [("single", "4.5e-05"), ("double", "9e-05")]
)
def test_memory_is_asked_for_before_work_begins(precision, size, monkeypatch):
    def too_late(*_):
        raise AssertionError

    X = np.random.default_rng(0).normal(size=(150, 3))
    monkeypatch.setattr("skdec.tsne._checks.available", lambda: 40_000)
    tsne = ExactTSNE(precision=precision, **SHORT)
    with monkeypatch.context() as patch:
        patch.setattr("skdec.tsne._fit._placing", too_late)
        with pytest.raises(MemoryError, match=f"samples need {size} GB"):
            tsne.fit(X)
        with pytest.raises(MemoryError, match=r"4e-05 GB are available.*'neighbors'"):
            tsne.fit(X)
    with monkeypatch.context() as patch:
        patch.setattr("skdec.tsne._fit._placing", too_late)
        with pytest.raises(MemoryError, match="A smaller perplexity needs less"):
            tsne.set_params(affinities="neighbors", perplexity=5).fit(X)
    tsne.set_params(perplexity=2).fit(X)
    monkeypatch.setattr("skdec.tsne._checks.available", lambda: 90_000)
    tsne.set_params(affinities="exact").fit(X)


@pytest.mark.parametrize("itemsize, needed", [(4, 16_720), (8, 19_120)])
def test_memory_of_neighbours(itemsize, needed, monkeypatch):
    # 10 · 30 neighbours of 16 bytes, 2 · 300 entries of P, 10 · 89 numbers of X
    there_is = "skdec.tsne._checks.available"
    assert needed == 10 * 30 * 16 + 2 * 300 * (4 + itemsize) + 10 * 89 * 8
    monkeypatch.setattr(there_is, lambda: needed)
    check_neighbour_memory(10, 30, 89, itemsize)
    monkeypatch.setattr(there_is, lambda: needed - 1)
    size = f"{needed / 1e9:.3g}"
    with pytest.raises(MemoryError, match=f"need {size} GB.*A smaller perplex") as e:
        check_neighbour_memory(10, 30, 89, itemsize)
    assert ("precision='single'" in str(e.value)) == (itemsize == 8)


def test_memory_that_there_is(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:    7 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    assert memory.available() == 7 * 1024
    meminfo.write_text("MemTotal: 9 kB\n")
    assert memory._of_machine() == np.inf
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory._of_machine() == np.inf


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits addresses")
def test_a_limit_of_the_address_space_is_seen():
    code = """
        import resource
        from skdec.utils.memory import _of_address_space
        assert _of_address_space() == float("inf")
        resource.setrlimit(resource.RLIMIT_AS, (2**36, 2**36))
        assert 2**35 < _of_address_space() < 2**36
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
