"""The nearest training rows: by an index, or from distances that are given."""

from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.utils import gen_batches

from skdec.tsne._cosine_search import CosineIndex, without_direction
from skdec.tsne._exact_search import Found, ProductIndex
from skdec.tsne._sparse_search import SparseIndex
from skdec.utils.threads import openmp_alone

# Dense Euclidean rows are searched approximately, if that is possible, above so many
# n_samples² · (n_features + 64): a minute or two of exact search on two cores.
APPROXIMATE_FROM = 10**13

# Distances that are searched at a time.  Those of a matrix take a few megabytes; those
# of an index take less than a second, because Ctrl-C is seen between two searches only.
ELEMENTS_PER_BLOCK, ELEMENTS_PER_SEARCH = 400_000, 2**26

# So many neighbours more are asked for, to see which are at the distance of the last.
SPARE = 16


# A function in Python is called for so many rows between two reports, and for so many
# distances at most.
ROWS_PER_BLOCK, DISTANCES_PER_BLOCK = 64, 2**22

# What scikit-learn would search by a tree although it is no metric: the triangle
# inequality fails, or rows are at a distance from themselves.  Neighbours are missed.
NO_METRICS = {"braycurtis", "dice", "russellrao"}


class Neighbors(NamedTuple):
    """Neighbours of rows, by increasing distance."""

    columns: np.ndarray  # which training rows they are
    D: np.ndarray  # squared distances to them, in the unit of the distances
    recall: float = 1.0  # share of the nearest that are among them, as far as is known
    counts: np.ndarray | None = None  # how many copies each of them stands for


class NeighborIndex(Protocol):
    """Finds the nearest of some rows, which it has been built of."""

    recall: float  # share of the nearest that it finds; 1 if it is exact
    squared: bool  # whether it gives squared distances

    def search(self, rows: Any, n_neighbors: int, threads: Any, own: Any) -> Found:
        """The nearest of ``rows``.

        ``own`` tells which of the indexed rows they are, to leave those out, or None.
        """


def build_index(rows, metric, metric_params, n_neighbors, threads) -> NeighborIndex:
    """By products for dense rows, of many by faiss, or by scikit-learn.

    The first two take Euclidean distances, and cosines unless all rows are 0.

    Parameters
    ----------
    rows : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Where neighbours are looked for.
    metric : str or callable
        A metric of :func:`sklearn.metrics.pairwise_distances`.
    metric_params : dict or None
        Its parameters.
    n_neighbors : int or None
        How many will be asked for.  None asks for an exact search.
    threads : Threads
        Of the search, with BLAS held.
    """
    if metric == "cosine" and not without_direction(rows).all():
        return CosineIndex(rows, lambda u: _euclidean_index(u, n_neighbors, threads))
    if metric != "euclidean" or metric_params:
        return ScikitLearnIndex(rows, metric, metric_params)
    return _euclidean_index(rows, n_neighbors, threads)


def _euclidean_index(rows, n_neighbors, threads):
    if sparse.issparse(rows):
        return SparseIndex(rows)
    if n_neighbors and is_large(*rows.shape) and find_spec("faiss"):
        # importing faiss takes a tenth of a second
        from skdec.tsne._approximate_search import RECALL, ListIndex

        index = ListIndex(rows, n_neighbors, threads)
        if index.recall >= RECALL:
            return index
    return ProductIndex(rows)


def is_large(n_samples, n_features):
    """Whether an exact search would take minutes."""
    return n_samples**2 * (n_features + 64) > APPROXIMATE_FROM


class ScikitLearnIndex:
    """Neighbours by any metric; parameters are those of ``build_index``.

    Of equal distances the first columns are found, whatever scikit-learn takes: in its
    brute-force search that depends on the batch and on the number of threads.
    """

    recall, squared = 1.0, False

    def __init__(self, rows, metric, metric_params):
        # importing it takes a tenth of a second
        from sklearn.neighbors import NearestNeighbors

        self._rows, self._metric, self._params = rows, metric, metric_params or {}
        # of two exponents of Minkowski it would warn
        p = None if "p" in self._params else 2
        self._index = NearestNeighbors(
            algorithm="brute" if metric in NO_METRICS else "auto",
            metric=metric,
            p=p,
            metric_params=metric_params,
        ).fit(rows)

    def search(self, rows, n_neighbors, threads, own=None):
        """The nearest of rows, as ``NeighborIndex`` has it."""
        n = self._rows.shape[0]
        # a distance that is no product takes the longer, the longer its rows
        each = 1 if sparse.issparse(rows) else min(max(1, rows.shape[1] // 8), 16)
        size = max(1, ELEMENTS_PER_SEARCH // (n * each))
        shape = rows.shape[0], n_neighbors
        found = Found(np.empty(shape), np.empty(shape, np.intp))

        def task(first, last):
            # each thread has rows of its own
            with openmp_alone():
                for start in range(first, last, size):
                    b = slice(start, min(start + size, last))
                    itself = None if own is None else own[b]
                    part = self._nearest(rows[b], n_neighbors, itself)
                    found.distances[b], found.columns[b] = part

        threads.run_ranges(task, shape[0], shape[0] * n * each)
        return found

    def _nearest(self, rows, n_neighbors, own):
        n_more = SPARE if own is None else SPARE + 1
        n_asked = min(self._rows.shape[0], n_neighbors + n_more)
        found = Found(*self._index.kneighbors(rows, n_asked))
        if own is not None:
            found = besides_itself(found, own)
        order = np.lexsort((found.columns, found.distances), axis=1)
        D, columns = (np.take_along_axis(part, order, axis=1) for part in found)
        if D.shape[1] > n_neighbors and n_asked < self._rows.shape[0]:
            # there may be more at the distance of the last
            tied = np.flatnonzero(D[:, n_neighbors - 1] == D[:, -1])
            size = max(1, ELEMENTS_PER_BLOCK // self._rows.shape[0])
            for some in (tied[i : i + size] for i in range(0, len(tied), size)):
                all_of_them = self._distances(rows[some])
                if own is not None:  # NaN comes last
                    all_of_them[np.arange(len(some)), own[some]] = np.nan
                nearest = nearest_in_matrix(all_of_them, n_neighbors, False)
                D[some, :n_neighbors], columns[some, :n_neighbors] = nearest
        return Found(D[:, :n_neighbors], columns[:, :n_neighbors])

    def _distances(self, rows):
        if self._metric == "euclidean":  # by differences, not by products
            return cdist(rows, self._rows)
        D = pairwise_distances(rows, self._rows, metric=self._metric, **self._params)
        return D.astype(np.float64)


class BlockIndex:
    """Neighbours by a function of blocks of rows that gives their distances to all."""

    recall = 1.0

    def __init__(self, distances, n_samples, *, squared=False):
        self._distances, self.squared = distances, squared
        self._size = min(ROWS_PER_BLOCK, max(1, DISTANCES_PER_BLOCK // n_samples))

    def search(self, rows, n_neighbors, threads, own=None):
        """The nearest of rows, as ``NeighborIndex`` has it."""
        n_asked = n_neighbors if own is None else n_neighbors + 1
        found = []
        for b in gen_batches(rows.shape[0], self._size):
            part = nearest_in_matrix(self._distances(rows[b]), n_asked, False)
            found.append(part if own is None else besides_itself(part, own[b]))
            threads.report(b.stop / rows.shape[0])
        return Found(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def besides_itself(found, own):
    """What was found for the samples ``own``, without themselves.

    It is not among them where so many rows equal it, or, by a function that is no
    metric, are nearer to it than it is to itself: the last is left out there.
    """
    keep = found.columns != own[:, None]
    keep[keep.all(axis=1), -1] = False
    return Found(*(part[keep].reshape(len(own), -1) for part in found))


def nearest_in_matrix(rows, n_neighbors, own):
    """The smallest entries of each row, in order, and their columns.

    With ``own``, those of a square matrix besides its diagonal.
    """
    D = np.empty((len(rows), n_neighbors))
    columns = np.empty(D.shape, np.intp)
    size = max(1, ELEMENTS_PER_BLOCK // rows.shape[1])
    for start in range(0, len(rows), size):
        block = rows[start : start + size].astype(np.float64)
        if own:
            of_block = np.arange(len(block))
            block[of_block, start + of_block] = np.nan  # which comes last of all
        chosen = _least(block, n_neighbors)
        values = np.take_along_axis(block, chosen, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        b = slice(start, start + len(block))
        columns[b] = np.take_along_axis(chosen, order, axis=1)
        D[b] = np.take_along_axis(values, order, axis=1)
    return Found(D, columns)


def _least(block, n):
    """The columns of the n smallest entries of each row, the first of equal ones."""
    chosen = np.argpartition(block, n - 1, axis=1)[:, :n]
    last = np.take_along_axis(block, chosen[:, -1:], axis=1)
    # argpartition takes any of those that are equal to the last
    tied = np.count_nonzero(block <= last, axis=1) > n
    for t in np.flatnonzero(tied):
        below = np.flatnonzero(block[t] < last[t])
        equal = np.flatnonzero(block[t] == last[t])
        chosen[t] = np.concatenate([below, equal[: n - len(below)]])
    chosen.sort(axis=1)
    return chosen


def nearest_in_graph(graph, n_neighbors, own):
    """The same from the entries that a graph stores, none of them its diagonal's."""
    stored = np.diff(graph.indptr)
    check_stored(graph, n_neighbors, besides=", the sample itself not counted" * own)
    # columns are in order, so that the lower one comes first among equal distances
    order = np.lexsort((graph.data, np.repeat(np.arange(len(stored)), stored)))
    entries = order[graph.indptr[:-1, None] + np.arange(n_neighbors)]
    return Found(graph.data[entries], graph.indices[entries])


def check_stored(graph, n_neighbors, stored=None, besides=""):
    """Raise unless each row of a graph stores so many."""
    stored = np.diff(graph.indptr) if stored is None else stored
    i = int(stored.argmin())
    if stored[i] < n_neighbors:
        raise ValueError(
            f"X is a sparse graph of distances to neighbours: {n_neighbors} neighbors "
            f"per samples are required (3 times the perplexity{besides}), but row {i} "
            f"has only {stored[i]:g}. Decrease perplexity, or store more neighbours "
            "in X"
        )


def counted(found, weights, n_copies, own):
    """The nearest ``n_copies`` copies of training rows that weigh ``weights``.

    ``own``: of the training rows themselves, which stand first in their lists, with
    their other copies.  A list ends among the copies of the row that fills it, as lists
    of repeated rows do, where equal distances come by their number.
    """
    n, columns, D = len(found.D), found.columns, found.D
    counts = weights[columns]
    if own:
        itself = np.arange(n, dtype=columns.dtype)[:, None]
        columns = np.concatenate([itself, columns], axis=1)
        D = np.concatenate([np.zeros((n, 1)), D], axis=1)
        copies = np.maximum(weights[:, None] - 1, 0)
        counts = np.concatenate([copies, counts], axis=1)
    before = np.cumsum(counts, axis=1) - counts
    counts = np.clip(n_copies - before, 0, counts)
    used = 1 + np.flatnonzero(counts.any(axis=0)).max(initial=0)
    parts = (np.ascontiguousarray(a[:, :used]) for a in (columns, D, counts))
    columns, D, counts = parts
    return Neighbors(columns, D, found.recall, counts)


def nearest_copies(nearest, weights, n_copies, own, most):
    """The same, of as many rows as it takes to have so many copies, ``most`` at most.

    ``nearest`` gives the ``Neighbors`` of a number of rows.
    """
    if most == 0:
        alone = Neighbors(np.empty((1, 0), np.int32), np.empty((1, 0)))
        return counted(alone, weights, n_copies, own)
    n_rows = min(most, int(np.ceil(n_copies)))
    while True:
        found = nearest(n_rows)
        have = weights[found.columns].sum(axis=1)
        if own:
            have += np.maximum(weights - 1, 0)
        if n_rows == most or have.min() >= n_copies:
            return counted(found, weights, n_copies, own)
        n_rows = min(most, 2 * n_rows)
