"""Memory is asked for before work begins."""

import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.neighbors import kneighbors_graph

from skdec import ExactTSNE
from skdec.tsne._checks import check_neighbour_memory, memory_of_rows
from skdec.utils import cluster, memory
from tests.tsne.common import SHORT


@pytest.mark.parametrize(
    "precision, size", [("single", "4.86e-05"), ("double", "9.36e-05")]
)
def test_memory_is_asked_for_before_work_begins(precision, size, monkeypatch):
    def too_late(*_):
        raise AssertionError

    X = np.random.default_rng(0).normal(size=(150, 3))
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: 40_000)
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
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: 70_000)
    tsne.set_params(perplexity=2).fit(X)
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: 93_600)
    tsne.set_params(affinities="exact").fit(X)


@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_array])
def test_memory_of_rows_is_asked_for_before_they_are_copied(stored, monkeypatch):
    X = stored(np.random.default_rng(0).normal(size=(150, 30)).astype(np.float32))
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: 150 * 30 * 8 - 1)
    monkeypatch.setattr("skdec.tsne._fit._points", None)  # is too late
    with pytest.raises(MemoryError, match=r"\(150, 30\) a copy.*components"):
        ExactTSNE(**SHORT).fit(X)


@pytest.mark.parametrize("metric, itemsize", [("jaccard", 9), ("cityblock", 12)])
def test_a_copy_is_reckoned_as_it_is_kept(metric, itemsize, monkeypatch):
    X = (np.random.default_rng(0).random((150, 400)) > 0.5).astype(np.float32)
    tsne = ExactTSNE(metric=metric, init="random", **SHORT)
    needed = 150 * 400 * itemsize + 150 * 75 * 4
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: needed)
    tsne.fit(X)
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: needed - 1)
    with pytest.raises(MemoryError):
        tsne.fit(X)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
def test_wide_rows_are_what_takes_the_memory(affinities, monkeypatch):
    X = np.random.default_rng(0).normal(size=(150, 2000)).astype(np.float32)
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: 150 * 2000 * 8)
    with pytest.raises(MemoryError, match="Some 50 principal components"):
        ExactTSNE(affinities=affinities, perplexity=5, **SHORT).fit(X)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_all_pairs_of_wide_rows_take_one_copy_of_them(n_jobs, monkeypatch):
    X = np.random.default_rng(0).normal(size=(700, 6000))
    tsne = ExactTSNE(affinities="exact", init="random", n_jobs=n_jobs, max_iter=1)
    tsne.set_params(random_state=0).fit(X[:, :3])
    needed, peak = asked_and_taken(tsne, X, monkeypatch)
    assert needed == X.nbytes + 700 * 350 * 4
    assert peak < 1.2 * X.nbytes + 700**2 * 8 * 3


@pytest.mark.parametrize("itemsize, needed", [(4, 21_240), (8, 26_040)])
def test_memory_of_neighbours(itemsize, needed):
    # 10 · 30 neighbours of 16 bytes, 2 · 300 entries of P, once with the lists or twice
    # without, 12 numbers of each sample, and 10 · 89 numbers of X twice, in double and
    # in single precision
    of_samples, P = 10 * 12 * 8 + 10 * 89 * 12, 2 * 300 * (4 + itemsize)
    assert needed == max(10 * 30 * 16 + P, 2 * P) + of_samples
    rows = memory_of_rows(np.empty((10, 89)), "euclidean")
    check_neighbour_memory(10, 30, rows, itemsize, needed)
    size = f"{needed / 1e9:.3g}"
    with pytest.raises(MemoryError, match=f"need {size} GB.*A smaller perplex") as e:
        check_neighbour_memory(10, 30, rows, itemsize, needed - 1)
    assert ("precision='single'" in str(e.value)) == (itemsize == 8)


@pytest.mark.parametrize("metric, n_copies", [("euclidean", 4), ("cosine", 8)])
def test_memory_that_the_search_among_sparse_rows_takes(metric, n_copies, monkeypatch):
    X = sparse.random(800, 20_000, density=0.1, format="csr", random_state=0)
    tsne = ExactTSNE(affinities="neighbors", perplexity=5, metric=metric, **SHORT)
    tsne.set_params(init="random", random_state=0, n_jobs=1)
    tsne.fit(X[:200])  # compiled
    needed, peak = asked_and_taken(tsne, X, monkeypatch)
    # entries are a number and a column each
    P = 2 * 800 * 15 * (4 + 4)
    assert needed == n_copies * X.nnz * 12 + 800 * 12 * 8 + 2 * P
    # products that are sparse and then dense besides
    assert 0.7 * needed < peak < needed + 12e6


def test_a_start_that_is_there_takes_no_memory(monkeypatch):
    X = np.random.default_rng(0).normal(size=(300, 2000))
    tsne = ExactTSNE(affinities="neighbors", perplexity=5, warm_start=True, **SHORT)
    asked = []
    for _ in range(2):
        needed, _ = asked_and_taken(tsne, X, monkeypatch)
        asked.append(needed)
    assert asked[1] < asked[0] - X.nbytes / 2  # without a copy for the components


def test_memory_of_a_graph_of_neighbours(monkeypatch):
    X = np.random.default_rng(0).normal(size=(200, 3))
    graph = kneighbors_graph(X, 30, mode="distance")
    tsne = ExactTSNE(affinities="neighbors", metric="precomputed", init="random")
    tsne.set_params(perplexity=5, **SHORT)
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: 200 * 30 * 80)
    tsne.fit(graph)
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: 200 * 30 * 80 - 1)
    with monkeypatch.context() as patch:
        patch.setattr("skdec.tsne._fit._points", None)  # before it is copied
        with pytest.raises(
            MemoryError, match=r"6000 distances.*200 .*the 15 neighbors"
        ):
            tsne.fit(graph)
    tsne.fit(kneighbors_graph(X, 16, mode="distance"))


def test_memory_of_a_given_sparse_P(monkeypatch):
    n = 50
    ring = np.arange(n)
    P = sparse.csr_array((np.full(n, 1 / n), (ring, (ring + 1) % n)), (n, n))
    tsne = ExactTSNE(affinities="precomputed", init="random", **SHORT)
    needed = n * 64 + n * 12 * 8
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: needed)
    tsne.fit(P)
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: needed - 1)
    monkeypatch.setattr("skdec.tsne._fit.given_affinities", None)  # before it is copied
    with pytest.raises(MemoryError, match=r"50 affinities.*50 samples.*fewer neighbor"):
        tsne.fit(P)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_given_sparse_P_takes_what_was_reckoned(precision, monkeypatch):
    n, k = 2000, 60
    rng = np.random.default_rng(0)
    columns = (np.arange(n)[:, None] + rng.integers(1, n, (n, k))) % n
    entries = np.full(n * k, 1 / (n * k)), (np.arange(n).repeat(k), columns.ravel())
    P = sparse.csr_array(entries, (n, n))  # nearly none of them has its reverse
    tsne = ExactTSNE(affinities="precomputed", init="random", n_jobs=1, **SHORT)
    tsne.set_params(precision=precision).fit(P)
    needed, peak = asked_and_taken(tsne, P, monkeypatch)
    assert 0.6 * needed < peak < 1.1 * needed + 2e6


@pytest.mark.parametrize(
    "kind, d, settings",
    [
        ("sparse", 20, {}),
        ("graph", 20, {}),
        ("graph", 20, {"init": "spectral", "perplexity": 30}),
        ("rows", 600, {"init": "pca"}),
        ("rows", 600, {"metric": "cosine"}),
        ("rows", 5, {"init": "spectral", "perplexity": 50}),
    ],
)
def test_no_more_is_taken_than_was_reckoned(kind, d, settings, monkeypatch):
    """But for blocks of a fixed size: two megabytes here, of sparse products twelve."""
    X = np.random.default_rng(0).normal(size=(2000, d))
    tsne = ExactTSNE(affinities="neighbors", perplexity=10, init="random", n_jobs=1)
    tsne.set_params(max_iter=1, random_state=0, **settings)
    if kind == "graph":
        X = kneighbors_graph(X, 3 * tsne.perplexity + 1, mode="distance")
        tsne.set_params(metric="precomputed")
    elif kind == "sparse":
        X = sparse.csr_array(X)
    needed, peak = asked_and_taken(tsne.fit(X), X, monkeypatch)
    blocks = 12e6 if kind == "sparse" else 2e6
    assert 0.7 * needed < peak < 1.3 * needed + blocks


def test_of_small_weights_it_takes_more_neighbours(monkeypatch):
    X, weight = np.random.default_rng(0).normal(size=(1500, 3)), np.full(1500, 0.02)
    tsne = ExactTSNE(affinities="neighbors", perplexity=6, init="random", n_jobs=1)
    tsne.set_params(max_iter=1, random_state=0).fit(X, sample_weight=weight)
    needed, peak = asked_and_taken(tsne, X, monkeypatch, sample_weight=weight)
    assert 0.5 * needed < peak < 1.5 * needed + 2e6


@pytest.mark.parametrize("weighted", [False, True])
def test_a_function_as_a_metric_takes_all_of_P(weighted, monkeypatch):
    X, weight = np.random.default_rng(0).normal(size=(500, 2)), None
    if weighted:
        weight = np.arange(500) % 3 + 1.0
    tsne = ExactTSNE(affinities="exact", metric=city_block, init="random", n_jobs=1)
    tsne.set_params(max_iter=1, random_state=0).fit(X, sample_weight=weight)
    needed, peak = asked_and_taken(tsne, X, monkeypatch, sample_weight=weight)
    assert 0.7 * needed < peak < 1.3 * needed + 1e6


def city_block(a, b):
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


# numbers of a block of distances, and what is computed from them
BLOCK = 3 * 8 * 2**21


def test_copies_take_no_more_than_a_block(monkeypatch):
    X, n = np.random.default_rng(0).normal(size=(4000, 2)), 4000
    tsne = ExactTSNE(affinities="exact", init="random", n_jobs=1, max_iter=1)
    tsne.set_params(random_state=0)
    weight = np.arange(n) % 3 + 1.0
    peak = asked_and_taken(tsne, X, monkeypatch, sample_weight=weight)[1]
    assert peak < 2 * n**2 + BLOCK


def asked_and_taken(tsne, X, monkeypatch, **more):
    """Bytes that a fit asks for, and those that it takes."""
    asked = Asked()
    monkeypatch.setattr("skdec.tsne._fit.available", lambda: asked)
    tracemalloc.start()
    try:
        tsne.fit(X, **more)
        return asked.needed, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Asked:
    """As much memory as is asked for, which is remembered."""

    needed = 0

    def __lt__(self, needed):
        self.needed = max(self.needed, needed)
        return False


def test_memory_that_there_is(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:    7 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "none")
    assert memory.available() == 7 * 1024
    meminfo.write_text("MemTotal: 9 kB\n")
    assert memory._of_machine() == np.inf
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory._of_machine() == np.inf


class Workers:
    """What a client of Dask's tells of its workers."""

    def __init__(self, *limits):
        self.limits = limits

    def scheduler_info(self, n_workers):
        workers = {
            f"tcp://{i}": {"memory_limit": limit, "host": host}
            for i, (limit, host) in enumerate(self.limits)
        }
        return {"workers": workers}


def test_workers_without_a_limit_share_their_machine(monkeypatch):
    monkeypatch.setattr(cluster, "available", lambda: 1000)
    for limits, expected in (
        ([(300, "a"), (400, "a")], 700),
        ([(None, "a"), (0, "a"), (None, "a")], 1000),
        ([(None, "a"), (0, "b"), (300, "b")], 2300),
    ):
        client = Workers(*limits)
        monkeypatch.setattr(cluster, "current_client", lambda client=client: client)
        assert cluster.workers_memory() == expected


GROUPS_V1 = {
    "memory/memory.limit_in_bytes": "9000",
    "memory/memory.usage_in_bytes": "1000",
    "memory/memory.stat": "cache 7\ntotal_inactive_file 300\n",
    "memory/job/memory.limit_in_bytes": "5000",
    "memory/job/memory.usage_in_bytes": "1000",
    "memory/job/memory.stat": "total_inactive_file 20\n",
}
GROUPS_V2 = {
    "memory.max": "max",
    "job/memory.max": "8000",
    "job/memory.current": "3000",
    "job/memory.stat": "anon 5\ninactive_file 100\n",
    "job/step/memory.max": "max",
}


@pytest.mark.parametrize(
    "own, files, expected",
    [
        ("4:memory:/job\n1:cpu:/\n0::/\n", GROUPS_V1, 4020),
        ("4:cpu,memory:/seen/by/the/host\n", GROUPS_V1, 8300),
        ("0::/job/step\n", GROUPS_V2, 5100),
        ("0::/job\n", {**GROUPS_V2, "job/memory.current": "9000"}, 0),
        ("0::/other\n", GROUPS_V2, np.inf),
        ("1:cpu:/job\n", GROUPS_V1, np.inf),
        (None, GROUPS_V2, np.inf),
    ],
)
def test_limits_of_containers_are_seen(own, files, expected, monkeypatch, tmp_path):
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if own is not None:
        (tmp_path / "own").write_text(own)
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "own")
    assert memory._of_groups() == expected
    assert memory.available() <= expected


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
