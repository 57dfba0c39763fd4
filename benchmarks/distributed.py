"""Both estimators on Dask next to the same rows in memory, on this machine.

    python -m benchmarks.distributed [--only step overhead predict memory ...] [--small]

Clusters have two worker processes of one thread each, and in memory there are two
threads.
"""

import argparse
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster, wait

from benchmarks.data import full_kl, mnist
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


def seconds_of(call):
    """How long a call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def seconds_of_a_step(objective, centers, repeats=20):
    """Median seconds of the sums that a step is taken by."""
    labels, f = objective.unlabelled(), np.ones(K)
    return median(
        seconds_of(
            lambda: objective.sums(centers, centers, f, labels=labels, judged=True)
        )
        for _ in range(repeats)
    )


def step(options):
    """An iteration of a fit on a cluster next to one in memory."""
    n_rows, n_features, n_blocks = (500_000 if options.small else 5_000_000), 20, 40
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
    work = f"{n_rows:,} × {n_features} float32 in {n_blocks} blocks"
    ours, theirs = 1e3 * on_dask, 1e3 * in_memory
    print(f"| StudentTClustering, an iteration, {work} | {theirs:.0f} ms in memory | "
          f"{ours:.0f} ms on 2 workers | {ours / theirs:.2f} |")  # fmt: skip


def overhead(options):
    """An iteration over blocks of next to no rows."""
    X, centers = rows_in_blocks(40 * 100, 20, 40), centers_of(20)
    with cluster():
        objective = make_objective(
            Blocks(X), Weights(None), centers, Form(4, 1.0, 0.5), None
        )
        ms = 1e3 * seconds_of_a_step(objective, centers, 60)
    print(f"| overhead of an iteration, 40 blocks | | {ms:.0f} ms | |")


class Peak:
    """The largest resident memory of this process in a block, beyond that before it."""

    def __enter__(self):
        self.before = self.most = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()

    @property
    def anonymous(self):
        """MB beyond those before, without pages of files."""
        return (self.most - self.before) / 1024

    def _watch(self):
        while not self._done.wait(0.05):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now():
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(a.split()[1] for a in lines if a.startswith("RssAnon")))


def predict(options):
    """Labels of rows on disk, written to disk, next to those of rows in memory."""
    n_rows, n_features = (5_000_000 if options.small else 50_000_000), 10
    size = n_rows // 50
    local = block_of_rows(0, 2_000_000, n_features)
    model = StudentTClustering(K, init=centers_of(n_features), n_jobs=2)
    model.fit(local[:200_000])
    rate = len(local) / median(
        seconds_of(lambda: model.predict(local)) for _ in range(5)
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows, labels = Path(folder) / "rows.npy", Path(folder) / "labels.npy"
        disk = np.lib.format.open_memmap(
            rows, mode="w+", dtype=np.float32, shape=(n_rows, n_features)
        )
        for i, start in enumerate(range(0, n_rows, size)):
            disk[start : start + size] = block_of_rows(i, size, n_features)
        del disk
        X = da.from_array(np.load(rows, mmap_mode="r"), chunks=(size, n_features))
        out = np.lib.format.open_memmap(
            labels, mode="w+", dtype=np.int32, shape=(n_rows,)
        )
        with Peak() as peak, dask.config.set(num_workers=2):
            seconds = seconds_of(lambda: da.store(model.predict(X), out, lock=False))
    found = n_rows / seconds
    print(f"| predict, {n_rows:,} × {n_features} float32 from memmap to memmap | "
          f"{rate / 1e6:.1f} million rows a second in memory | "
          f"{found / 1e6:.1f} million, {peak.anonymous:.0f} MB more memory | "
          f"{found / rate:.2f} of the rate |")  # fmt: skip


def read_block(path, first, last):
    """Rows of a file."""
    return np.load(path, mmap_mode="r")[first:last].copy()


def peak_rss():
    """Peak resident memory of a worker in MB.

    That of getrusage would begin with the peak of the process that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(a.split()[1] for a in lines if a.startswith("VmHWM"))) / 1024


def memory(options):
    """A fit on five times more rows than the workers may hold."""
    limit = 512 * 2**20
    n_features, n_blocks = 20, 200
    n_rows = 5 * 2 * limit // (4 * n_features) // (10 if options.small else 1)
    size = n_rows // n_blocks
    n_rows = size * n_blocks
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = os.path.join(folder, "rows.npy")
        disk = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=(n_rows, n_features)
        )
        for i in range(n_blocks):
            disk[i * size : (i + 1) * size] = block_of_rows(i, size, n_features)
        del disk
        read = dask.delayed(read_block)
        X = da.concatenate([
            da.from_delayed(
                read(path, i * size, (i + 1) * size), (size, n_features), np.float32
            )
            for i in range(n_blocks)
        ])  # fmt: skip
        with cluster(memory_limit=limit) as client:
            model = StudentTClustering(K, init=centers_of(n_features), max_iter=20)
            seconds = seconds_of(lambda: model.fit(X))
            most = max(client.run(peak_rss).values())
            time.sleep(1)
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
            spilled = sum(w["metrics"]["spilled_bytes"]["disk"] for w in workers)
    size = n_rows * n_features * 4 / 2**30
    print(f"| fit, {n_rows:,} × {n_features} float32 ({size:.1f} GB) from disk, "
          f"2 workers of {limit / 2**20:.0f} MB | | {seconds:.0f} s, "
          f"{model.n_iter_} passes, peak {most:.0f} MB a worker, "
          f"{spilled / 2**20:.0f} MB spilled | |")  # fmt: skip


def neighbors(options):
    """Neighbours of rows on two workers next to the exact search in memory."""
    n_rows, n_features, n_blocks = (20_000 if options.small else 200_000), 50, 8
    X = rows_in_blocks(n_rows, n_features, n_blocks)
    local = X.compute(scheduler="threads")

    def in_blocks():
        distances = BlockedDistances(Blocks(X))
        with Threads(2, hold_blas=True) as threads:
            distances.nearest(90, threads)

    def in_one():
        rows = SquaredDistances(local).rows
        with Threads(2, hold_blas=True) as threads:
            ProductIndex(rows).search(rows, 90, threads, np.arange(n_rows))

    in_one()
    in_memory = median(seconds_of(in_one) for _ in range(3))
    with cluster():
        X = X.persist()
        wait(X)
        in_blocks()
        on_dask = median(seconds_of(in_blocks) for _ in range(3))
    print(f"| ExactTSNE, 90 neighbours of {n_rows:,} × {n_features} float32 in "
          f"{n_blocks} blocks | {in_memory:.1f} s in memory | "
          f"{on_dask:.1f} s on 2 workers | {on_dask / in_memory:.2f} |")  # fmt: skip


def neighbor_recall(X, Y, k=10):
    """The share of the k nearest rows that are among the k nearest in the map."""
    some = np.linspace(0, len(X) - 1, min(len(X), 2000)).astype(int)
    with Threads(2, hold_blas=True) as threads:
        near = [
            ProductIndex(SquaredDistances(A).rows)
            .search(SquaredDistances(A).rows[some], k, threads, some)
            .columns
            for A in (X, Y)
        ]
    return np.mean([len(np.intersect1d(*pair)) for pair in zip(*near, strict=True)]) / k


def sample(options):
    """Quality of a map of a sample with the rest placed, next to that of all rows."""
    X, _ = mnist(options.mnist, 4_000 if options.small else options.rows)
    order = np.random.default_rng(0).permutation(len(X))
    for size in (len(X), *(n for n in (5_000, 10_000) if n < len(X))):
        chosen = order[:size]
        start = perf_counter()
        tsne = ExactTSNE(random_state=0, affinities="neighbors").fit(X[chosen])
        Y = tsne.transform(X) if size < len(X) else tsne.embedding_[np.argsort(order)]
        seconds = perf_counter() - start
        kl, recall = full_kl(X, Y.astype(float)), neighbor_recall(X, Y.astype(float))
        print(f"| map of {size:,} of {len(X):,} rows of MNIST, the rest placed | | "
              f"{seconds:.0f} s, KL {kl:.3f}, 10 nearest kept {recall:.3f} | |",
              flush=True)  # fmt: skip


TABLES = {
    "step": step,
    "overhead": overhead,
    "predict": predict,
    "memory": memory,
    "neighbors": neighbors,
    "sample": sample,
}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--small", action="store_true", help="a tenth of the rows")
    parser.add_argument("--folder", help="where files of rows are written")
    parser.add_argument("--mnist", help="an .npz with X and y; else it is downloaded")
    parser.add_argument("--rows", type=int, default=70_000, help="of MNIST, in sample")
    options = parser.parse_args()
    print("| work | in memory | Dask | ratio |\n|---|---|---|---|")
    for name in options.only:
        TABLES[name](options)


if __name__ == "__main__":
    main()
