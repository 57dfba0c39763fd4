"""StudentTClustering on dask collections: the answers of the same rows in memory."""

import logging
import os
import pickle
import re
import signal
import time
from threading import Lock, Thread

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV

from skdec import StudentTClustering
from skdec.clustering import _starts
from skdec.clustering._blocked import BlockedObjective
from skdec.clustering._objective import Mixture
from skdec.utils import blocks
from skdec.utils import cluster as sending
from skdec.utils.blocks import Blocks
from tests.docs.test_examples import load
from tests.encoders.common import Toy

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pytest.importorskip("dask.bag")
distributed = pytest.importorskip("distributed")
cluster = pytest.importorskip("tests.dask_cluster").cluster

X, _, CENTERS = make_blobs(
    900, n_features=4, centers=5, cluster_std=2.5, random_state=0, return_centers=True
)
DONE = {"memory", "released", "forgotten"}
CHUNKS = ((300, 0, 1, 250, 349), 4)
MODEL = StudentTClustering(5, init=CENTERS, random_state=0)


@pytest.fixture(scope="module")
def client():
    with cluster() as client:
        yield client


@pytest.fixture
def large(monkeypatch):
    """Rows stay in blocks, as those of data that are larger."""
    monkeypatch.setattr(_starts, "MERGED_ENTRIES", 600)
    monkeypatch.setattr(_starts, "MERGED_ROWS", 150)


def same_fit(ours, theirs, rows):
    np.testing.assert_array_equal(ours.labels_.compute(), theirs.labels_)
    np.testing.assert_allclose(ours.transform(rows), theirs.transform(rows), atol=1e-6)
    assert ours.n_iter_ == theirs.n_iter_ and ours.converged_ == theirs.converged_
    for name, values in theirs.history_.items():
        np.testing.assert_allclose(ours.history_[name], values, rtol=1e-4, atol=1e-6)
    for name in (
        "cluster_means_",
        "cluster_frequencies_",
        "evidence_",
        "kl_divergence_",
    ):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=2e-5, atol=1e-5
        )


def words(text):
    """What has been printed, but for the numbers."""
    return re.sub(r"[-+\d.e]+", "0", text).split()


@pytest.mark.parametrize(
    "form, dtype",
    [
        ("dense", np.float64),
        ("dense", np.float32),
        ("far from zero", np.float32),
        ("sparse", np.float64),
        ("weighted", np.float64),
    ],
)
def test_a_fit_is_that_of_the_rows_in_memory(large, form, dtype, capsys):
    rows, weight = X.astype(dtype), None
    if form == "far from zero":  # where matrix products lose too much
        rows = rows + dtype(300 if dtype == np.float32 else 1e7)
    chunks = da.from_array(rows, chunks=CHUNKS)
    if form == "sparse":
        rows = sparse.csr_matrix(rows * (np.abs(rows) > 2))
        chunks = chunks * (abs(chunks) > 2)
        chunks = chunks.map_blocks(sparse.csr_matrix)
    if form == "weighted":
        weight = np.random.RandomState(0).randint(3, size=len(rows)) * 1e-3
    init = rows[5:10].toarray() if form == "sparse" else rows[5:10]
    model = StudentTClustering(5, init=init, verbose=1, random_state=0)
    theirs = pickle.loads(pickle.dumps(model.fit(rows, sample_weight=weight)))
    said = capsys.readouterr().out
    weights = None if weight is None else da.from_array(weight, chunks=100)
    ours = model.fit(chunks, sample_weight=weights)
    assert words(capsys.readouterr().out) == words(said) != []
    same_fit(ours, theirs, rows)
    score = theirs.score(rows, sample_weight=weight)
    assert ours.score(chunks, sample_weight=weights) == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_begins_from_labels(large, weighted):
    rng, chunks = np.random.default_rng(0), da.from_array(X, chunks=CHUNKS)
    weight = rng.integers(3, size=len(X)) if weighted else None
    nearest = np.argmin(cdist(X, CENTERS), axis=1)
    labels = np.where(rng.random(len(X)) < 0.7, nearest, rng.integers(-1, 5, len(X)))
    model = StudentTClustering(5, init=labels, random_state=0)
    theirs = pickle.loads(pickle.dumps(model.fit(X, sample_weight=weight)))
    same_fit(model.fit(chunks, sample_weight=weight), theirs, X)
    model.set_params(init=da.from_array(labels, chunks=77))
    same_fit(model.fit(chunks, sample_weight=weight), theirs, X)


def test_the_order_of_sums_does_not_depend_on_the_workers(large, client, monkeypatch):
    chunks = da.from_array(X, chunks=CHUNKS)
    found = [MODEL.fit(chunks).cluster_centers_]  # on two processes
    monkeypatch.setattr(blocks, "KEPT_SHARE", 0)  # blocks are read again for each pass
    found.append(MODEL.fit(chunks).cluster_centers_)
    with dask.config.set(scheduler="synchronous"):
        found.append(MODEL.fit(chunks).cluster_centers_)
    assert all(np.array_equal(centers, found[0]) for centers in found)


@pytest.mark.filterwarnings("ignore:the clusters did not settle")
def test_labels_are_found_anew_in_a_long_fit(large, monkeypatch):
    chunks = da.from_array(X, chunks=CHUNKS)
    model = StudentTClustering(5, init=CENTERS, tol=0, max_iter=60, random_state=0)
    with dask.config.set(scheduler="synchronous"):
        expected = model.fit(chunks).history_["label_changes"]
        monkeypatch.setattr("skdec.clustering._blocked.LABELS_FROM", 2)
        assert np.array_equal(model.fit(chunks).history_["label_changes"], expected)


def test_few_rows_are_fitted_in_memory():
    chunks = da.from_array(X, chunks=CHUNKS)
    model = StudentTClustering(5, random_state=0)
    expected = model.fit(X).cluster_centers_
    assert np.array_equal(model.fit(chunks).cluster_centers_, expected)
    labels, memberships = model.fit_predict(chunks), model.fit_transform(chunks)
    assert isinstance(labels, da.Array) and isinstance(memberships, da.Array)
    assert np.array_equal(labels.compute(), model.predict(X))
    assert np.array_equal(memberships.compute(), model.transform(X))
    largest = memberships.max(axis=1).compute()
    assert np.array_equal(model.probabilities_.compute(), largest)


@pytest.mark.parametrize(
    "method",
    ["predict", "predict_proba", "transform", "kl_samples", "entropy_samples",
     "score_samples", "encode"],
)  # fmt: skip
def test_what_has_a_row_for_each_row_is_lazy(method):
    model = StudentTClustering(5, random_state=0).fit(X.astype(np.float32))
    rows = X.astype(np.float32)
    lazy = getattr(model, method)(da.from_array(rows, chunks=((500, 0, 400), (2, 2))))
    expected = getattr(model, method)(rows)
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == expected.dtype and lazy.shape == expected.shape
    model.cluster_centers_ *= 10  # of the model as it was
    assert np.array_equal(lazy.compute(), expected)


def test_set_output_concerns_transform_alone():
    model = StudentTClustering(5, random_state=0).set_output(transform="pandas")
    chunks = da.from_array(X, chunks=CHUNKS)
    model.fit(chunks)
    assert isinstance(model.probabilities_, da.Array)
    assert isinstance(model.predict_proba(chunks), da.Array)
    expected = model.predict_proba(X).max(axis=1)
    assert np.array_equal(model.probabilities_.compute(), expected)


def test_data_frames_keep_names_and_unknown_lengths():
    frame = pd.DataFrame(X, columns=list("abcd"))
    frames = dd.from_pandas(frame, npartitions=3)
    model = StudentTClustering(5, random_state=0).fit(frames[frames["a"] > -1e9])
    assert list(model.feature_names_in_) == list("abcd")
    assert np.array_equal(model.predict(frames).compute(), model.predict(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frames.rename(columns={"a": "z"}))


def test_sparse_rows_without_weight_do_not_count_for_the_size_of_a_sample(monkeypatch):
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 300)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 1)
    # the rows without weight store far fewer numbers than the others
    rows, weight = X.copy(), np.ones(len(X))
    rows[::2, 1:], weight[::2] = 0, 0
    stored = sparse.csr_matrix(rows)
    blocks = da.from_array(rows, chunks=CHUNKS).map_blocks(sparse.csr_matrix)
    settings = {"n_clusters": 2, "random_state": 0}
    expected = StudentTClustering(**settings).fit(stored, sample_weight=weight)
    model = StudentTClustering(**settings).fit(blocks, sample_weight=weight)
    assert model.bandwidth_ == expected.bandwidth_
    assert np.allclose(model.cluster_centers_, expected.cluster_centers_, rtol=1e-6)


def test_blocks_of_which_some_are_sparse(monkeypatch):
    rows = da.from_array(X, chunks=(300, 4))
    mixed = da.concatenate([rows[:300], rows[300:].map_blocks(sparse.csr_matrix)])
    weight = np.r_[np.ones(300), np.zeros(len(X) - 300)]
    settings = {"n_clusters": 5, "random_state": 0}
    for more in ({}, {"sample_weight": weight}):
        model = StudentTClustering(**settings).fit(mixed, **more)
        expected = StudentTClustering(**settings).fit(sparse.csr_matrix(X), **more)
        assert np.allclose(model.cluster_centers_, expected.cluster_centers_, rtol=1e-6)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 600)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 150)
    model = StudentTClustering(**settings).fit(mixed)
    assert np.isfinite(model.cluster_centers_).all()


@pytest.mark.parametrize("arguments", [[np.ones(2**16)], [Mixture(np.ones(2**16), X)]])
def test_large_arguments_are_sent_once_for_all_blocks(arguments):
    found = Blocks(da.from_array(X, chunks=CHUNKS))
    few, many = (
        len(found._runs(max, values, "task", keeps=False, reads=True)[0].dask)
        for values in ([1.0], arguments)
    )
    assert many == few + 1


def test_files_of_which_dask_would_join_partitions(tmp_path):
    frame = pd.DataFrame(np.hstack([X, X]), columns=list("abcdefgh"))
    for i, rows in enumerate(np.array_split(np.arange(len(X)), 16)):
        frame.iloc[rows].to_parquet(tmp_path / f"{i:02}.parquet")
    # of what is made of two columns of eight, Dask makes four partitions at once
    frames = dd.read_parquet(tmp_path)[["a", "b"]].astype("float32")
    model = StudentTClustering(5, random_state=0).fit(frames)
    expected = StudentTClustering(5, random_state=0).fit(
        frame[["a", "b"]].astype("float32")
    )
    assert np.array_equal(model.labels_.compute(), expected.labels_)
    assert model.predict(frames).numblocks == (16,)


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda a: a[:, 0], ValueError, "two dimensions; got 1"),
        (lambda a: da.where(a == a[7, 2], np.nan, a), ValueError, "X contains NaN"),
        (lambda a: a[:3], ValueError, r"n_clusters \(5\) must not exceed n_samples"),
    ],
)
def test_bad_rows_are_named(change, error, words):
    with pytest.raises(error, match=words):
        StudentTClustering(5).fit(change(da.from_array(X, chunks=CHUNKS)))


@pytest.mark.parametrize("kind", ["Float64", "double[pyarrow]"])
def test_columns_of_kinds_of_pandas_own(kind):
    frame = pd.DataFrame(X, columns=list("abcd"))
    frames = dd.from_pandas(frame.astype(kind), npartitions=2)
    model = StudentTClustering(5, random_state=0).fit(frames)
    expected = StudentTClustering(5, random_state=0).fit(frame)
    assert np.array_equal(model.cluster_centers_, expected.cluster_centers_)
    assert np.array_equal(model.predict(frames).compute(), expected.labels_)


def test_what_has_no_rows_and_columns_is_refused():
    for other in (dask.delayed(X), dask.bag.from_sequence(X.tolist())):
        with pytest.raises(ValueError, match=r"two dimensions; got (Delayed|Bag)"):
            StudentTClustering(5).fit(other)


def test_what_needs_rows_in_memory_says_so():
    chunks = da.from_array(X, chunks=CHUNKS)
    with pytest.raises(ValueError, match="batch_size must be 'auto' or None"):
        StudentTClustering(5, batch_size=100).fit(chunks)
    with pytest.raises(TypeError, match="partial_fit takes one batch"):
        StudentTClustering(5).partial_fit(chunks)
    with pytest.raises(ValueError, match="sample_weight"):
        StudentTClustering(5).fit(chunks, sample_weight=np.ones(3))
    with pytest.raises(TypeError, match="encoder must be None"):
        StudentTClustering(5, encoder=Toy()).fit(chunks)


def test_a_stream_of_blocks():
    model = StudentTClustering(5, random_state=0)
    expected = StudentTClustering(5, random_state=0)
    blocks = da.from_array(X, chunks=(300, 4)).blocks
    for block, rows in zip(blocks, np.split(X, 3), strict=True):
        model.partial_fit(block.compute())
        expected.partial_fit(rows)
    assert np.array_equal(model.cluster_centers_, expected.cluster_centers_)


def at_pass(n, action, monkeypatch):
    """Do something before the n-th time that sums of all blocks are asked for."""
    sums, count = BlockedObjective.sums, []

    def summed(*args, **kwargs):
        count.append(1)
        if len(count) == n:
            action()
        return sums(*args, **kwargs)

    monkeypatch.setattr(BlockedObjective, "sums", summed)


def test_a_killed_worker_changes_nothing(large, client, monkeypatch):
    chunks = da.from_array(X, chunks=(200, 4))
    expected = MODEL.fit(chunks).cluster_centers_
    pids = list(client.run(os.getpid).values())
    at_pass(4, lambda: os.kill(pids[0], signal.SIGKILL), monkeypatch)
    assert np.array_equal(MODEL.fit(chunks).cluster_centers_, expected)
    assert pids != list(client.run(os.getpid).values())


def test_a_lost_client_is_one_clear_error(large, client, monkeypatch):
    chunks = da.from_array(X, chunks=(200, 4))
    with distributed.Client(client.scheduler.address) as other:
        before = dict(vars(MODEL.fit(chunks)))
        at_pass(3, other.close, monkeypatch)
        with pytest.raises(RuntimeError, match="Dask"):
            MODEL.fit(chunks)
    assert vars(MODEL) == before


def unfinished(dask_scheduler):
    tasks = dask_scheduler.tasks.values()
    return [str(task.key) for task in tasks if task.state not in DONE]


def slowly(rows, begun):
    begun.touch()
    time.sleep(0.5)


def interrupt_when(begun):
    while not begun.exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_leaves_nothing_running(client, tmp_path):
    rows, begun = Blocks(da.from_array(X, chunks=(50, 4))), tmp_path / "begun"
    with pytest.raises(KeyboardInterrupt):
        Thread(target=interrupt_when, args=(begun,), daemon=True).start()
        rows.map(slowly, begun)
    del rows
    deadline = time.monotonic() + 10
    while client.run_on_scheduler(unfinished):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_search_on_a_cluster_uses_a_thread_for_a_fit(client):
    model = StudentTClustering(random_state=0)
    search = GridSearchCV(model, {"n_clusters": [2, 5]}, cv=2)
    expected = search.fit(X).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"):
        found = search.fit(X).cv_results_["mean_test_score"]
    assert np.array_equal(found, expected)


def test_fits_of_blocks_within_tasks_do_not_wait_for_each_other(client):
    rows = da.from_array(X, chunks=(300, 4))

    def fitted(k):
        return StudentTClustering(k, random_state=0).fit(rows).cluster_centers_

    # as many as there are threads, and more
    fits = client.map(fitted, [2, 3, 5, 6, 7], pure=False)
    distributed.wait(fits, timeout=60)
    assert np.array_equal(fits[2].result(), fitted(5))


def threads_of(n_jobs):
    from skdec.utils.threads import Threads

    return Threads(n_jobs).n_threads


def test_all_cores_are_one_in_a_task(client):
    asked = client.map(threads_of, [-1, None, 1], pure=False)
    assert client.gather(asked) == [1, 1, 1]


def test_the_example_on_a_cluster(client, monkeypatch, caplog):
    """Nothing is logged: a key means the same task in every graph of its labels."""
    example = load("cluster_on_dask")
    monkeypatch.setattr(example, "BLOCK", 1000)
    logger = logging.getLogger("distributed.scheduler")
    # nothing of it reaches the root, where caplog listens
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, caplog.handler])
    caplog.set_level(logging.WARNING, logger.name)
    some, labels, largest = example.clustered(4000, 500)
    assert not any("run_spec" in message for message in caplog.messages)
    assert some.shape == (500, example.N_FEATURES)
    assert set(labels) == set(range(8)) and 1 / 8 < largest.min() < largest.max() < 1


def test_many_values_are_sent_apart(client, monkeypatch):
    monkeypatch.setattr(sending, "SENT_WITH_A_GRAPH", 100)
    rows = Blocks(da.from_array(X, chunks=(300, 4)))
    sent = rows.map(lambda block, values: values.sum(), rows.split(X[:, 0]))
    assert sent == [part.sum() for part in np.split(X[:, 0], 3)]


def test_rows_in_zarr(large, client, tmp_path):
    zarr = pytest.importorskip("zarr", reason="needs zarr")
    stored = zarr.create_array(tmp_path / "rows", data=X, chunks=(250, 4))
    rows = da.from_zarr(tmp_path / "rows")
    model = pickle.loads(pickle.dumps(MODEL)).fit(rows)
    same_fit(model, MODEL.fit(X), X)
    lazy = da.from_zarr(stored)  # read by the local scheduler, a block at a time
    with dask.config.set(scheduler="threads"):
        assert np.array_equal(model.predict(lazy).compute(), model.predict(X))


def test_tasks_have_names(client):
    chunks = da.from_array(X, chunks=(300, 4))
    rows = Blocks(chunks)
    rows.map(np.shape, task="look")
    names = client.run_on_scheduler(
        lambda dask_scheduler: set(dask_scheduler.task_prefixes)
    )
    assert {"skdec-rows", "skdec-look"} <= names


def test_a_map_of_memory_is_not_copied(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    model = StudentTClustering(5, random_state=0).fit(rows)
    assert np.shares_memory(model.encode(rows), rows)
    lazy = model.predict(da.from_array(rows, chunks=(300, 4)))
    assert np.array_equal(lazy.compute(), model.predict(X))


def test_a_fit_in_blocks_is_watched(client, large):
    seen, bound = [], Lock()  # which no worker could be sent

    def watch(n_iter, kl, clusters):
        with bound:
            seen.append(clusters)
        return clusters.stage == "rows" and clusters.number == 2

    rows = da.from_array(X, chunks=CHUNKS)
    model = StudentTClustering(5, init=CENTERS, callback=watch).fit(rows)
    stages = [clusters.stage for clusters in seen]
    assert stages == [*["sample"] * (len(seen) - 3), *["rows"] * 3]
    in_rows = [clusters.n_iter for clusters in seen[-3:]]
    np.testing.assert_array_equal(in_rows, model.history_["n_iter"])
    last = seen[-1]
    assert last.encoding is rows
    np.testing.assert_allclose(
        last.kl_divergence, model.history_["kl_divergence"][-1], rtol=1e-12
    )
    distances = cdist(X, last.cluster_centers)
    np.testing.assert_array_equal(last.labels().compute(), distances.argmin(axis=1))
    assert last.memberships().shape == (900, 5)
