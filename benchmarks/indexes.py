"""Nearest neighbours by the libraries among which the extra was chosen."""

import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.metadata import distribution, metadata

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks.clock import timed
from benchmarks.data import gaussians, mnist
from benchmarks.tables import Column, Table
from skdec.tsne._exact_search import ProductIndex
from skdec.utils.threads import Threads

# Neighbours of each row, as many as perplexity 30 asks for, and rows whose are judged.
K, JUDGED = 90, 1000

# What graphs of neighbours are built and searched with: links, and candidates.
LINKS, CANDIDATES = 16, 110


def skdec_exact(X, threads):
    """Every row, by matrix products."""
    return _skdec(ProductIndex(X.astype(np.float64)), X, threads)


def skdec_lists(X, threads):
    """Lists of faiss, as many as a recall of 0.95 takes."""
    from skdec.tsne._approximate_search import ListIndex

    rows = X.astype(np.float64)
    with Threads(threads, hold_blas=True) as pool:
        return _skdec(ListIndex(rows, K, pool), X, threads)


def _skdec(index, X, threads):
    with Threads(threads, hold_blas=True) as pool:
        return index.search(index.rows, K, pool, np.arange(len(X))).columns


def scikit_learn(X, threads):
    """Every row."""
    search = NearestNeighbors(n_neighbors=K, algorithm="brute", n_jobs=threads)
    return search.fit(X).kneighbors(return_distance=False)


def faiss_flat(X, threads):
    """Every row."""
    return _faiss(lambda faiss: faiss.IndexFlatL2(X.shape[1]), X, threads)


def faiss_lists(X, threads):
    """Lists of the nearest centroids, at the usual number of them."""

    def make(faiss):
        n_lists = int(2 * len(X) ** 0.5)
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(X.shape[1]), X.shape[1], n_lists)
        index.train(X)
        index.nprobe = 24
        return index

    return _faiss(make, X, threads)


def faiss_graph(X, threads):
    """A hierarchy of graphs (HNSW)."""

    def make(faiss):
        index = faiss.IndexHNSWFlat(X.shape[1], LINKS)
        index.hnsw.efConstruction = index.hnsw.efSearch = CANDIDATES
        return index

    return _faiss(make, X, threads)


def _faiss(make, X, threads):
    import faiss

    faiss.omp_set_num_threads(threads)
    index = make(faiss)
    index.add(X)
    return index.search(X, K + 1)[1]


def hnswlib_graph(X, threads):
    """A hierarchy of graphs (HNSW)."""
    import hnswlib

    index = hnswlib.Index("l2", X.shape[1])
    index.init_index(len(X), ef_construction=CANDIDATES, M=LINKS, random_seed=0)
    index.set_num_threads(threads)
    index.add_items(X)
    index.set_ef(CANDIDATES)
    return index.knn_query(X, K + 1)[0]


def usearch_graph(X, threads):
    """A hierarchy of graphs (HNSW)."""
    from usearch.index import Index

    index = Index(
        ndim=X.shape[1],
        metric="l2sq",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=CANDIDATES,
        expansion_search=CANDIDATES,
    )
    index.add(np.arange(len(X)), X, threads=threads)
    return index.search(X, K + 1, threads=threads).keys


def descent(X, threads):
    """A graph of neighbours, by descent."""
    from pynndescent import NNDescent

    index = NNDescent(X, n_neighbors=K + 1, n_jobs=threads, random_state=0)
    return index.neighbor_graph[0]


# The search, and the module that it takes.
SEARCHES = {
    "skdec, exact": (skdec_exact, "skdec"),
    "skdec, lists of faiss": (skdec_lists, "faiss"),
    "scikit-learn, brute force": (scikit_learn, "sklearn"),
    "faiss, flat": (faiss_flat, "faiss"),
    "faiss, lists, 24 looked into": (faiss_lists, "faiss"),
    "faiss, HNSW": (faiss_graph, "faiss"),
    "hnswlib": (hnswlib_graph, "hnswlib"),
    "usearch": (usearch_graph, "usearch"),
    "pynndescent": (descent, "pynndescent"),
}


# What is told of a search.
SEARCHED = (
    Column("search"),
    Column("rows", "", "{:,}"),
    Column("time", "s", "{:.1f}"),
    Column("recall", "", "{:.3f}"),
)


def recall(found, exact):
    """The share of the exact neighbours that are found; a row may find itself."""
    pairs = zip(found, exact, strict=True)
    return np.mean([np.isin(theirs, mine).mean() for mine, theirs in pairs])


def times(options):
    """Seconds to build an index and to search it for all rows, and the recall."""
    title = f"{K} neighbours of all rows, {options.threads} threads"
    table = Table("times", title, SEARCHED)
    for X in data(options):
        judged = np.random.default_rng(0).permutation(len(X))[:JUDGED]
        with Threads(options.threads, hold_blas=True) as pool:
            rows = X.astype(np.float64)
            exact = ProductIndex(rows).search(rows[judged], K, pool, judged).columns
        for name, (search, module) in SEARCHES.items():
            if not _is_there(module):
                continue
            search(X[: 10 * K], options.threads)  # compiled outside the clock
            seconds, found = timed(search, X, options.threads)
            judgement = recall(found[judged], exact)
            table = table.plus(name, len(X), seconds, judgement)
            yield table


def indexes(options):
    """Both tables."""
    yield from times(options)
    yield from packages(options)


def data(options):
    """MNIST, and as many rows of a mixture as are asked for."""
    if options.small:
        yield gaussians(2000)[0]
        return
    yield mnist(options.mnist)[0]
    for n in options.sizes or [200_000]:
        yield gaussians(n)[0]


def packages(_):
    """What an installation takes: its size, licence, and wheels."""
    columns = (
        Column("package"),
        Column("version"),
        Column("installed", "MB", "{:.0f}"),
        Column("licence"),
        Column("wheels for Python"),
    )
    table = Table("packages", "Packages of indexes", columns)
    for name in ("faiss-cpu", "hnswlib", "usearch", "pynndescent"):
        module = "faiss" if name == "faiss-cpu" else name
        theirs = wheels(name)
        if _is_there(module):
            files = distribution(name).files
            size = sum(f.locate().stat().st_size for f in files if f.locate().is_file())
            row = distribution(name).version, 1e-6 * size, licence(name), theirs
        else:
            row = "not installed", None, "", theirs
        table = table.plus(name, *row)
        yield table


def _is_there(module):
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def licence(package):
    """What a package says of its licence, in one of the places for it."""
    told = metadata(package)
    said = told.get("License-Expression") or told.get("License") or ""
    for classifier in told.get_all("Classifier") or ():
        if not said and classifier.startswith("License"):
            said = classifier.rpartition(":: ")[-1]
    return said.partition("\n")[0]


def wheels(package):
    """The versions of Python, of those that skdec supports, that have a wheel."""
    prefix = "Programming Language :: Python :: 3."
    supported = [
        classifier.rpartition(" ")[-1]
        for classifier in metadata("skdec").get_all("Classifier")
        if classifier.startswith(prefix)
    ]
    return ", ".join(v for v in supported if _has_wheel(package, v)) or "none"


def _has_wheel(package, version):
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary", ":all:", "--python-version", version),
            *("--dest", folder, package),
        ]
        return subprocess.run(command, capture_output=True).returncode == 0
