"""Both estimators on Dask next to the same rows in memory, on this machine.

Clusters have two worker processes of one thread each, and in memory there are two
threads.
"""

import os
import tempfile
import time
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster, wait

from benchmarks.clock import median_seconds, peak_memory, timed
from benchmarks.data import full_kl, kept_neighbors, mnist
from benchmarks.tables import Column, Table
from skdec import ExactTSNE, StudentTClustering
from skdec.clustering._form import Form, make_objective
from skdec.tsne._blocked import BlockedDistances
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._exact_search import ProductIndex
from skdec.utils.blocks import Blocks
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights

K = 10


@contextmanager
def cluster(**settings):
    """Two worker processes of one thread each."""
    settings = {"n_workers": 2, "threads_per_worker": 1, **settings}
    with (
        LocalCluster(dashboard_address=":0", silence_logs=60, **settings) as local,
        Client(local) as client,
    ):
        yield client


def centers_of(n_features):
    """Centres of clusters that overlap."""
    return 3 * np.random.default_rng(0).standard_normal((K, n_features))


def block_of_rows(seed, n_rows, n_features):
    """Rows around the centres, float32, the same wherever they are made."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n_rows, n_features), np.float32)
    rows += centers_of(n_features)[rng.integers(K, size=n_rows)].astype(np.float32)
    return rows


def rows_in_blocks(n_rows, n_features, n_blocks):
    """The same rows as a dask array."""
    size = n_rows // n_blocks
    make = dask.delayed(block_of_rows)
    blocks = [make(i, size, n_features) for i in range(n_blocks)]
    shape = size, n_features
    return da.concatenate(
        [da.from_delayed(block, shape, dtype=np.float32) for block in blocks]
    )


def of_both(name, title, *more):
    """A table of seconds in memory and on Dask."""
    columns = Column("in memory", "s", "{:.3g}"), Column("2 workers", "s", "{:.3g}")
    return Table(name, title, (*columns, Column("ratio", "", "{:.2f}"), *more))


def seconds_of_a_step(objective, centers, repeats=20):
    """Median seconds of the sums that a step is taken by."""
    labels, f = objective.unlabelled(), np.ones(K)
    return median_seconds(
        lambda: objective.sums(centers, centers, f, labels=labels, judged=True), repeats
    )


def step(options):
    """The sums of an iteration of StudentTClustering on a cluster and in memory."""
    n_rows, n_features, n_blocks = (100_000 if options.small else 5_000_000), 20, 40
    X, centers = rows_in_blocks(n_rows, n_features, n_blocks), centers_of(20)
    form, weights = Form(4, 1.0, 0.5), Weights(None)
    with Threads(2, hold_blas=True) as threads:
        local = X.compute(scheduler="threads")
        objective = make_objective(local, weights, centers, form, threads)
        in_memory = seconds_of_a_step(objective, centers)
        del local, objective
    with cluster():
        on_dask = seconds_of_a_step(
            make_objective(Blocks(X), weights, centers, form, None), centers
        )
    title = (
        "StudentTClustering, sums of an iteration, "
        f"{n_rows:,} × {n_features} float32 in {n_blocks} blocks"
    )
    yield of_both("step", title).plus(in_memory, on_dask, on_dask / in_memory)


def overhead(options):
    """An iteration over blocks of next to no rows."""
    n_blocks = 40
    X, centers = rows_in_blocks(n_blocks * 100, 20, n_blocks), centers_of(20)
    with cluster():
        objective = make_objective(
            Blocks(X), Weights(None), centers, Form(4, 1.0, 0.5), None
        )
        ms = 1e3 * seconds_of_a_step(objective, centers, 60)
    columns = Column("blocks"), Column("overhead of an iteration", "ms", "{:.0f}")
    yield Table("overhead", "", columns).plus(n_blocks, ms)


def write_rows(path, n_blocks, size, n_features):
    """Blocks of rows in a file of NumPy's."""
    shape = n_blocks * size, n_features
    disk = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for i in range(n_blocks):
        disk[i * size : (i + 1) * size] = block_of_rows(i, size, n_features)


def predict(options):
    """Labels of rows on disk, written to disk, next to those of rows in memory."""
    n_rows, n_features = (500_000 if options.small else 50_000_000), 10
    size = n_rows // 50
    local = block_of_rows(0, min(n_rows, 2_000_000), n_features)
    model = StudentTClustering(K, init=centers_of(n_features), n_jobs=2)
    model.fit(local[:200_000])
    rate = len(local) / median_seconds(lambda: model.predict(local), 5)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows, labels = Path(folder) / "rows.npy", Path(folder) / "labels.npy"
        write_rows(rows, 50, size, n_features)
        X = da.from_array(np.load(rows, mmap_mode="r"), chunks=(size, n_features))
        out = np.lib.format.open_memmap(
            labels, mode="w+", dtype=np.int32, shape=(n_rows,)
        )
        seconds = []

        def store():
            call = partial(da.store, model.predict(X), out, lock=False)
            seconds.append(timed(call)[0])

        with dask.config.set(num_workers=2):
            peak, _ = peak_memory(store, "RssAnon")
    found = n_rows / seconds[0]
    columns = (
        Column("in memory", "million rows a second", "{:.1f}"),
        Column("from memmap to memmap", "million rows a second", "{:.1f}"),
        Column("share of the rate", "", "{:.2f}"),
        Column("more memory", "MB", "{:.0f}"),
    )
    table = Table("predict", f"predict, {n_rows:,} × {n_features} float32", columns)
    yield table.plus(rate / 1e6, found / 1e6, found / rate, peak / 1e6)


def read_block(path, first, last):
    """Rows of a file, none of whose pages stays with the process."""
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
        (_, n_features), _, dtype = np.lib.format.read_array_header_1_0(file)
        file.seek(first * n_features * dtype.itemsize, os.SEEK_CUR)
        rows = np.fromfile(file, dtype, (last - first) * n_features)
    return rows.reshape(-1, n_features)


def peak_rss():
    """Peak resident memory of a worker in MB.

    That of getrusage would begin with the peak of the process that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(a.split()[1] for a in lines if a.startswith("VmHWM"))) * 1024 / 1e6


def memory(options):
    """A fit on five times more rows than the workers may hold."""
    limit = 512 * 2**20
    n_features, n_blocks = 20, 200
    n_rows = 5 * 2 * limit // (4 * n_features) // (50 if options.small else 1)
    size = n_rows // n_blocks
    n_rows = size * n_blocks
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = os.path.join(folder, "rows.npy")
        write_rows(path, n_blocks, size, n_features)
        read, shape = dask.delayed(read_block), (size, n_features)
        X = da.concatenate([
            da.from_delayed(read(path, i * size, (i + 1) * size), shape, np.float32)
            for i in range(n_blocks)
        ])  # fmt: skip
        with cluster(memory_limit=limit) as client:
            model = StudentTClustering(K, init=centers_of(n_features), max_iter=20)
            seconds, _ = timed(model.fit, X)
            most = max(client.run(peak_rss).values())
            time.sleep(1)
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
            spilled = sum(w["metrics"]["spilled_bytes"]["disk"] for w in workers)
    columns = (
        Column("rows", "GB", "{:.1f}"),
        Column("workers may hold", "MB", "{:.0f}"),
        Column("fit", "s", "{:.0f}"),
        Column("passes"),
        Column("peak of a worker", "MB", "{:.0f}"),
        Column("spilled", "MB", "{:.0f}"),
    )
    title = f"fit, {n_rows:,} × {n_features} float32 from disk, 2 workers"
    table = Table("memory", title, columns)
    gigabytes, spilled = n_rows * n_features * 4 / 1e9, spilled / 1e6
    yield table.plus(gigabytes, limit / 1e6, seconds, model.n_iter_, most, spilled)


def neighbors(options):
    """Neighbours of rows on two workers next to the exact search in memory."""
    n_rows, n_features, n_blocks = (8_000 if options.small else 200_000), 50, 8
    X = rows_in_blocks(n_rows, n_features, n_blocks)
    local = X.compute(scheduler="threads")
    rounds = options.rounds or 3

    def in_blocks():
        distances = BlockedDistances(Blocks(X))
        with Threads(2, hold_blas=True) as threads:
            distances.nearest(90, threads)

    def in_one():
        rows = SquaredDistances(local).rows
        with Threads(2, hold_blas=True) as threads:
            ProductIndex(rows).search(rows, 90, threads, np.arange(n_rows))

    in_one()
    in_memory = median_seconds(in_one, rounds)
    with cluster():
        X = X.persist()
        wait(X)
        in_blocks()
        on_dask = median_seconds(in_blocks, rounds)
    title = (
        f"ExactTSNE, 90 neighbours of {n_rows:,} × {n_features} float32 in "
        f"{n_blocks} blocks"
    )
    yield of_both("neighbors", title).plus(in_memory, on_dask, on_dask / in_memory)


def sample(options):
    """Quality of a map of a sample with the rest placed, next to that of all rows."""
    X, _ = mnist(options.mnist, 4_000 if options.small else 70_000)
    order = np.random.default_rng(0).permutation(len(X))
    columns = (
        Column("rows of the map", "", "{:,}"),
        Column("time", "s", "{:.0f}"),
        Column("KL", "", "{:.3f}"),
        Column("10 nearest kept", "", "{:.3f}"),
    )
    title = f"map of a sample of {len(X):,} rows of MNIST, the rest placed"
    table = Table("sample", title, columns)
    sizes = (2_000,) if options.small else (5_000, 10_000)
    for size in (len(X), *sizes):
        tsne = ExactTSNE(random_state=0, affinities="neighbors")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            seconds, Y = timed(map_of_sample, tsne, X, order, size)
        table = table.plus(size, seconds, full_kl(X, Y), kept_neighbors(X, Y))
        table = table.noted(*(f"Map of {size:,}: {one.message}." for one in said))
        yield table


def map_of_sample(tsne, X, order, size):
    """Places of all rows in the map of the first rows of an order."""
    tsne.fit(X[order[:size]])
    return tsne.transform(X) if size < len(X) else tsne.embedding_[np.argsort(order)]
