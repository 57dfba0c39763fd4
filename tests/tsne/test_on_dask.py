"""Maps of dask arrays: those of the same rows in memory."""

import pickle
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skdec import (
    ExactTSNE,
    StudentTClustering,
    conditional_affinities,
    joint_affinities,
)
from skdec.diagnostics import perplexity_table, reliability
from skdec.kernels.types import Bandwidths
from skdec.tsne import _blocked
from skdec.tsne._affinities import calibrated_lists
from skdec.tsne._blocked import BlockedDistances
from skdec.tsne._distances import SquaredDistances
from skdec.utils import cluster as sending
from skdec.utils.blocks import Blocks
from skdec.utils.threads import Threads
from tests.tsne.common import DIGITS

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
cluster = pytest.importorskip("tests.dask_cluster").cluster

# whole numbers, whose sums are exact, so that the mean is the same in any order; with
# rows that are the same in different blocks
X = DIGITS[:500].copy()
X[[350, 499]], X[[7, 123]] = X[3], X[20]
NEW = np.concatenate([X[[3, 499]], DIGITS[500:540]])
UNEVEN = ((120, 1, 79, 297, 3), 64)

# a start of its own, and few iterations: rounding grows with them
START = np.random.RandomState(0).normal(size=(500, 2))
SETTINGS = {"affinities": "neighbors", "init": START, "max_iter": 200}
SHORT = {"affinities": "neighbors", "max_iter": 20, "early_exaggeration_iter": 0}


@pytest.fixture(scope="module")
def client():
    with cluster() as client:
        yield client


@pytest.fixture
def local():
    """Dask's threads in this process, whatever client there is."""
    with dask.config.set(scheduler="threads"):
        yield


@pytest.fixture(scope="module")
def in_memory():
    return ExactTSNE(**SETTINGS).fit(X)


@pytest.fixture(scope="module")
def in_blocks(client):
    return ExactTSNE(**SETTINGS).fit(da.from_array(X, chunks=UNEVEN))


def test_a_fit_in_blocks_is_that_in_memory(in_memory, in_blocks):
    assert type(in_blocks._placing.distances) is BlockedDistances
    assert_array_equal(in_blocks.embedding_, in_memory.embedding_)
    assert type(in_blocks.embedding_) is np.ndarray
    for name in ("kl_divergence_", "truncated_mass_", "neighbor_recall_", "n_iter_"):
        assert getattr(in_blocks, name) == getattr(in_memory, name)
    assert_array_equal(in_blocks.embedding_[350], in_blocks.embedding_[3])


def test_new_rows_of_a_fit_in_blocks(in_memory, in_blocks):
    expected = in_memory.transform(NEW)
    assert_array_equal(expected[:2], in_memory.embedding_[[3, 499]])
    assert_array_equal(in_blocks.transform(NEW), expected)
    lazy = in_blocks.transform(da.from_array(NEW, chunks=(17, 64)))
    assert isinstance(lazy, da.Array) and lazy.chunks == ((17, 17, 8), (2,))
    assert_array_equal(lazy.compute(), expected)


@pytest.mark.parametrize("empty", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_new_rows_in_blocks_of_which_some_are_empty(in_blocks, empty):
    # rows that a mask leaves out, so that Dask cannot tell which blocks are empty
    kept = ~np.isin(np.repeat([0, 1, 2], 14), empty)
    new = da.from_array(NEW, chunks=(14, 64))[da.from_array(kept, chunks=14)]
    expected = in_blocks.transform(NEW)[kept]
    assert_array_equal(in_blocks.transform(new).compute(), expected)


def test_a_map_in_memory_places_blocks_lazily(in_memory, client):
    new = NEW.astype(np.float32)
    expected = in_memory.transform(new)
    lazy = in_memory.transform(da.from_array(new, chunks=((1, 30, 11), 64)))
    assert isinstance(lazy, da.Array) and lazy.dtype == np.float32
    assert_array_equal(lazy.compute(), expected)


def maps_sent(dask_scheduler):
    return [key for key in dask_scheduler.tasks if str(key).startswith("ExactTSNE-")]


def test_training_rows_are_sent_once(in_memory, client, monkeypatch):
    monkeypatch.setattr(sending, "SENT_WITH_A_GRAPH", X.nbytes // 2)
    new = da.zeros((1000, 64), chunks=(100, 64))
    lazy = in_memory.transform(new)
    assert len(pickle.dumps(dict(lazy.__dask_graph__()))) < X.nbytes // 2
    places = lazy.compute()
    assert_array_equal(places[[0, 999]], in_memory.transform(np.zeros((2, 64))))
    assert len(client.run_on_scheduler(maps_sent)) == 1
    del lazy
    deadline = time.monotonic() + 10
    while client.run_on_scheduler(maps_sent):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("rows", [1, 16])
def test_all_pairs_are_placed_to_the_bit(rows, local):
    tsne = ExactTSNE(max_iter=200, random_state=0).fit(X[:203])
    lazy = tsne.transform(da.from_array(NEW, chunks=(rows, 64)))
    assert_array_equal(lazy.compute(), tsne.transform(NEW))


def test_a_pipeline_predicts_lazily(in_memory, local):
    pipeline = make_pipeline(
        clone(in_memory), StudentTClustering(n_clusters=8, random_state=0)
    ).fit(X)
    lazy = pipeline.predict(da.from_array(NEW, chunks=(9, 64)))
    assert isinstance(lazy, da.Array)
    assert_array_equal(lazy.compute(), pipeline.predict(NEW))


def test_sparse_blocks_are_placed_in_a_map_of_blocks(local):
    tsne = ExactTSNE(**SETTINGS).fit(da.from_array(X, chunks=(100, 64)))
    blocks = da.from_array(NEW, chunks=(17, 64)).map_blocks(sparse.csr_matrix)
    places = tsne.transform(blocks).compute()
    assert_array_equal(places, tsne.transform(sparse.csr_matrix(NEW)))


def test_a_data_frame(in_memory, local):
    pandas = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe", reason="needs the extra 'dask'")
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    blocks = dd.from_pandas(frame, npartitions=4)
    tsne = ExactTSNE(**SETTINGS).fit(blocks)
    assert_array_equal(tsne.embedding_, in_memory.embedding_)
    assert tsne.feature_names_in_[5] == "pixel 5"
    new = dd.from_pandas(frame[:30], npartitions=2)
    assert_array_equal(tsne.transform(new).compute(), tsne.embedding_[:30])
    with pytest.raises(ValueError, match="feature names"):
        tsne.transform(new.rename(columns={"pixel 5": "pixel"}))


@pytest.mark.parametrize(
    "chunks, run", [(1, 75), (30, 75), ((50, 1, 9), 75), ((4, 56), 75), (1, 3), (7, 21)]
)
def test_neighbours_of_blocks(rng, chunks, run, local, monkeypatch):
    """More neighbours than a block, or a run of blocks, has rows; ties."""
    monkeypatch.setattr(_blocked, "NUMBERS_PER_RUN", run)
    rows = rng.integers(0, 3, (60, 3)).astype(float)
    distances = BlockedDistances(Blocks(da.from_array(rows, chunks=(chunks, 3))))
    expected = SquaredDistances(rows)
    with Threads(1) as threads:
        found = distances.nearest(20, threads)
        for have, want in zip(found, expected.nearest(20, threads), strict=True):
            assert_array_equal(have, want)
        new = distances.prepare(rng.normal(size=(7, 3)))
        found = distances.nearest(20, threads, new)
        for have, want in zip(found, expected.nearest(20, threads, new), strict=True):
            assert_array_equal(have, want)
    assert_array_equal(distances.representatives(), expected.representatives())
    some = distances.prepare(np.concatenate([rows[[5, 59]], [[9.0, 9, 9]]]))
    assert_array_equal(distances.identical(some), expected.identical(some))
    assert_array_equal(distances.training_rows([3, 55]), expected.rows[[3, 55]])
    assert_allclose(distances.between(some), expected.between(some))


@pytest.mark.parametrize(
    "bandwidths",
    [Bandwidths(np.array([4.0, 9.0]), np.nan), Bandwidths(np.empty(0), 0.7)],
)
def test_rows_are_calibrated_by_the_workers(rng, bandwidths, local):
    """Several perplexities, which ties keep some rows from, or one scale for all."""
    rows = rng.integers(0, 2, (60, 3)).astype(float)
    distances = BlockedDistances(Blocks(da.from_array(rows, chunks=(25, 3))))
    with Threads(1) as threads:
        lists = distances.nearest(27, threads)
        expected = calibrated_lists(lists, bandwidths, threads)
    found = distances.calibrated(bandwidths)
    assert_array_equal(found.reached, expected.reached)
    assert found.reached.all() == (len(bandwidths.perplexities) == 0)
    for have, want in zip(found.scales, expected.scales, strict=True):
        assert_array_equal(have, want)


@pytest.mark.parametrize("scale", [1e-30, 1e100])
def test_the_mean_of_blocks_is_that_but_for_rounding(rng, scale, local):
    rows = scale * (rng.normal(size=(300, 5)) + 100)
    blocks = Blocks(da.from_array(rows, chunks=(64, 5)))
    distances, expected = BlockedDistances(blocks), SquaredDistances(rows)
    with Threads(1) as threads:
        found = distances.nearest(30, threads)
        wanted = expected.nearest(30, threads)
    assert distances.unit == expected.unit
    assert_array_equal(found.columns, wanted.columns)
    assert_allclose(found.D, wanted.D, rtol=1e-10)


@pytest.mark.parametrize("shape", [(200, 6), (40, 60)])
def test_principal_components_of_blocks(rng, shape, local):
    rows = rng.normal(size=shape) * np.arange(1, shape[1] + 1) + 1e3
    rows[:, 0] = 4.0
    blocks = Blocks(da.from_array(rows, chunks=(33, shape[1])))
    start = BlockedDistances(blocks).principal_components(3, 0)
    expected = _blocked.principal_components(rows, 3, 0)
    assert_allclose(start, expected, rtol=1e-7, atol=1e-12)
    # components that rows do not have are noise
    line = np.arange(40.0)[:, None] * [1.0, 2.0, -3.0]
    blocks = Blocks(da.from_array(line, chunks=(9, 3)))
    start = BlockedDistances(blocks).principal_components(2, 0)
    assert_allclose(start, _blocked.principal_components(line, 2, 0), rtol=1e-9)


def test_what_needs_all_rows_fetches_them(local):
    settings = {"max_iter": 200, "random_state": 0}
    rows = da.from_array(X[:150], chunks=(40, 64))
    for more in ({}, {"metric": "manhattan"}, {"affinities": "exact"}):
        tsne = ExactTSNE(**settings, **more).fit(rows)
        direct = ExactTSNE(**settings, **more).fit(X[:150])
        assert_array_equal(tsne.embedding_, direct.embedding_)
    pickle.dumps(tsne)
    stored = rows.map_blocks(sparse.csr_matrix)
    tsne = ExactTSNE(affinities="neighbors", **settings).fit(stored)
    direct = ExactTSNE(affinities="neighbors", **settings)
    direct.fit(sparse.csr_matrix(X[:150]))
    assert_array_equal(tsne.embedding_, direct.embedding_)


def test_a_sample_in_blocks_has_a_limit_of_memory(local, monkeypatch):
    monkeypatch.setattr(_blocked, "available", lambda: 1e4)
    with pytest.raises(MemoryError, match="affinities='neighbors'"):
        ExactTSNE(affinities="exact").fit(da.from_array(X, chunks=(90, 64)))


def test_memory_of_sparse_blocks_counts_their_indices_and_the_whole(local, monkeypatch):
    stored = sparse.csr_matrix(X[:150])
    blocks = da.from_array(X[:150], chunks=(150, 64)).map_blocks(sparse.csr_matrix)
    needed = 2 * (stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes)
    tsne = ExactTSNE(**SHORT, random_state=0, init="random")
    monkeypatch.setattr(_blocked, "available", lambda: needed)
    tsne.fit(blocks)
    monkeypatch.setattr(_blocked, "available", lambda: needed - 1)
    with pytest.raises(MemoryError, match="X stays in its blocks only if"):
        tsne.fit(blocks)
    monkeypatch.setattr(_blocked.tasks, "itself", None)  # before they are fetched
    with pytest.raises(TypeError, match="canberra' is not computed between sparse"):
        tsne.set_params(metric="canberra").fit(blocks)


def test_blocks_are_read_where_rows_are_needed_alone(local, monkeypatch):
    monkeypatch.setattr("skdec.utils.blocks.KEPT_SHARE", 0)
    seen = []

    def look(rows):
        seen.append(len(rows))
        return rows

    counted = da.from_array(X, chunks=(100, 64)).map_blocks(look, meta=X[:0])
    blocks = Blocks(counted)
    distances = BlockedDistances(blocks)
    with Threads(1) as threads:
        distances.nearest(20, threads)
        seen.clear()
        distances.calibrated(Bandwidths(np.array([4.0]), np.nan))
    assert seen == []
    assert_array_equal(blocks[[5, 320, 301]], X[[5, 320, 301]])
    assert len(seen) == 2
    assert blocks[[]].shape == (0, 64)


def test_what_a_map_in_blocks_cannot_do(in_blocks):
    with pytest.raises(TypeError, match="stay with the workers of Dask"):
        pickle.dumps(in_blocks)
    with pytest.raises(TypeError, match="left with the workers of Dask"):
        in_blocks.inverse_transform(in_blocks.embedding_[:2])
    with pytest.raises(TypeError, match="reliability moves the training rows"):
        reliability(in_blocks, X)
    with pytest.raises(ValueError, match="sample_weight must be None where rows stay"):
        clone(in_blocks).fit(in_blocks._placing.distances.blocks.collection, None, X[0])


def test_a_table_of_perplexities_needs_rows_in_memory(local):
    tsne, seen = ExactTSNE(**SHORT, random_state=0).set_params(affinities="exact"), []

    def look(rows):
        seen.append(len(rows))
        return rows

    blocks = da.from_array(X[:90], chunks=(30, 64))
    counted = blocks.map_blocks(look, meta=np.empty((0, 64)))
    with pytest.raises(TypeError, match="fit to rows in memory"):
        whole = ExactTSNE(affinities="neighbors", callback=pytest.fail)
        perplexity_table(whole, counted, [5])
    seen.clear()
    table = perplexity_table(tsne, counted, [5, 10], rows=5, n_directions=0)
    direct = perplexity_table(tsne, X[:90], [5, 10], rows=5, n_directions=0)
    assert_array_equal(table.kl, direct.kl)
    assert sum(seen) == 2 * 90  # looked at and fetched, whatever the number of maps


def test_errors_come_before_work(in_memory, local):
    def never(block):
        raise AssertionError

    wide = da.from_array(np.zeros((90, 9)), chunks=(30, 9)).map_blocks(
        never, dtype=float, meta=np.empty((0, 0))
    )
    with pytest.raises(ValueError, match="9 features, but ExactTSNE is expecting 64"):
        in_memory.transform(wide)
    with pytest.raises(TypeError, match="metric='precomputed' takes distances in"):
        ExactTSNE(metric="precomputed").fit(wide)
    with pytest.raises(ValueError, match="at least 2 rows; got 1"):
        ExactTSNE().fit(da.from_array(X[:1], chunks=(1, 64)))
    gap = X.copy()
    gap[400, 3] = np.nan
    tsne = clone(in_memory)
    with pytest.raises(ValueError, match="X contains NaN"):
        tsne.fit(da.from_array(gap, chunks=(90, 64)))
    assert not hasattr(tsne, "embedding_")
    with pytest.raises(ValueError, match="X contains NaN"):
        in_memory.transform(da.from_array(gap, chunks=(90, 64))).compute()


def test_values_that_the_metric_takes_may_be_missing(local):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 4))
    rows[::7, 3] = np.nan
    settings = {"metric": "nan_euclidean", "init": "spectral", "random_state": 0}
    known = ExactTSNE(**settings, **SHORT).fit(rows)
    blocks = da.from_array(rows, chunks=(30, 4))
    fetched = ExactTSNE(**settings, **SHORT).fit(blocks)
    assert_array_equal(fetched.embedding_, known.embedding_)
    new = np.where(np.isnan(rows), rows, rows + 0.1)
    lazy = known.transform(da.from_array(new, chunks=(30, 4)))
    assert_array_equal(lazy.compute(), known.transform(new))
    with pytest.raises(ValueError, match="X contains NaN"):
        ExactTSNE(**SHORT).fit(blocks)
    D = np.abs(rows[:, None, 0] - rows[:, 0])
    given = ExactTSNE(metric="precomputed", **SHORT | {"init": "random"}).fit(D)
    far = D[:9] + 0.1
    far[:, 50] = np.inf  # not connected
    lazy = given.transform(da.from_array(far, chunks=(4, 80)))
    assert_array_equal(lazy.compute(), given.transform(far))


def test_a_map_of_given_affinities_places_nothing_and_says_so_at_once(local):
    P = joint_affinities(conditional_affinities(X[:150], perplexity=5))
    settings = SHORT | {"init": "random", "affinities": "precomputed"}
    tsne = ExactTSNE(**settings).fit(P)
    with pytest.raises(TypeError, match="transform needs the training rows"):
        tsne.transform(da.from_array(P, chunks=(50, 150)))
    with pytest.raises(NotFittedError):
        ExactTSNE().transform(da.from_array(X, chunks=(50, 64)))


@pytest.mark.parametrize("chunks", [50, 20])
def test_frames_of_places_are_of_numbers(local, chunks):
    tsne = ExactTSNE(**SHORT, random_state=0).set_output(transform="pandas").fit(X)
    found = tsne.transform(da.from_array(NEW, chunks=(chunks, 64)))
    assert (found.dtypes == np.float64).all()
    assert_array_equal(found.to_numpy(), tsne.transform(NEW).to_numpy())


def test_the_start_has_products_of_a_few_blocks_at_a_time(local, monkeypatch):
    blocks = Blocks(da.from_array(X, chunks=UNEVEN))
    expected = BlockedDistances(blocks).principal_components(2, 0)
    held = []

    def counted(self, chosen):
        held.append(len(chosen))
        return some(self, chosen)

    some = Blocks.some
    monkeypatch.setattr(Blocks, "some", counted)
    monkeypatch.setattr(_blocked, "PRODUCTS_FETCHED", 2 * 64**2)
    found = BlockedDistances(blocks).principal_components(2, 0)
    assert held == [2, 2, 1]
    assert_array_equal(found, expected)
