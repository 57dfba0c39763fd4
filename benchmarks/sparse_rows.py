"""Sparse rows, as those of texts: their neighbours, and whole fits."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks.clock import timed
from benchmarks.data import corpus
from benchmarks.indexes import JUDGED, SEARCHED, K, recall
from benchmarks.tables import Column, Table
from skdec import ExactTSNE
from skdec.tsne._neighbors import build_index
from skdec.utils.threads import Threads


def sparse_rows(options):
    """Both tables."""
    yield from searches(options)
    yield from fits(options)


def sizes(options):
    """Numbers of texts."""
    usual = (600, 1200) if options.small else (5_000, 20_000, 70_000)
    return options.sizes or usual


# ------------------------------------------------------------------------- neighbours
def skdec_exact(X, threads):
    """Every row, by lists of the texts that have a word."""
    with Threads(threads, hold_blas=True) as pool:
        index = build_index(X, "cosine", None, K, pool)
        return index.search(X, K, pool, np.arange(X.shape[0])).columns


def scikit_learn(X, threads):
    """Every row."""
    search = NearestNeighbors(n_neighbors=K, metric="cosine", n_jobs=threads)
    return search.fit(X).kneighbors(return_distance=False)


def descent(X, threads):
    """A graph of neighbours, by descent."""
    from pynndescent import NNDescent

    index = NNDescent(X, "cosine", n_neighbors=K + 1, n_jobs=threads, random_state=0)
    return index.neighbor_graph[0]


SEARCHES = {
    "skdec, exact": skdec_exact,
    "scikit-learn, exact": scikit_learn,
    "pynndescent": descent,
}


def searches(options):
    """Seconds of the neighbours of all rows, and the recall."""
    title = f"{K} neighbours by cosine of TF-IDF rows, {options.threads} threads"
    table = Table("searches", title, SEARCHED)
    for n in sizes(options):
        X, _ = corpus(n)
        judged, exact = np.random.default_rng(0).permutation(n)[:JUDGED], None
        for name, search in SEARCHES.items():
            try:
                search(X[: 4 * K], options.threads)  # compiled outside the clock
            except ImportError:
                continue
            seconds, found = timed(search, X, options.threads)
            exact = found[judged] if exact is None else exact
            table = table.plus(name, n, seconds, recall(found[judged], exact))
            yield table


# -------------------------------------------------------------------------- whole fits
def fits(options):
    """500 iterations at the defaults, by cosine."""
    columns = (
        Column("rows", "", "{:,}"),
        Column("whole fit", "s", "{:.1f}"),
        Column("KL", "", "{:.3f}"),
        Column("10 nearest in the map of the same topic", "", "{:.3f}"),
    )
    title = "ExactTSNE by cosine over neighbours, 500 iterations"
    table = Table("fits", title, columns)
    tsne = ExactTSNE(
        metric="cosine",
        max_iter=500,
        tol=0,
        affinities="neighbors",
        n_jobs=options.threads,
    )
    tsne.fit(corpus(300)[0])  # compiled outside the clock
    for n in sizes(options):
        X, topics = corpus(n)
        seconds, Y = timed(tsne.fit_transform, X)
        search = NearestNeighbors(n_neighbors=10).fit(Y)
        alike = topics[search.kneighbors(return_distance=False)] == topics[:, None]
        yield (table := table.plus(n, seconds, tsne.kl_divergence_, alike.mean()))
