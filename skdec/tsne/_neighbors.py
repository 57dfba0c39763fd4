"""The nearest training rows: by an index, or from distances that are given."""

from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from skdec.kernels.affinities import squared_distances_to

# Above so many samples neighbours are searched for approximately, if that is possible.
APPROXIMATE_FROM = 100_000

# Distances that are searched at a time.  Those of a matrix take a few megabytes; those
# of an index take less than a second, because Ctrl-C is seen between two searches only.
ELEMENTS_PER_BLOCK, ELEMENTS_PER_SEARCH = 400_000, 2**27

# At least so many neighbours are asked for beyond those needed.
SPARE = 8


class Neighbors(NamedTuple):
    """Neighbours of rows, by increasing distance."""

    columns: np.ndarray  # which training rows they are
    D: np.ndarray  # squared distances to them, in the unit of the distances


class Found(NamedTuple):
    """What an index finds for each row."""

    distances: np.ndarray  # to its nearest rows, by increasing distance
    columns: np.ndarray  # which rows they are


class NeighborIndex(Protocol):
    """Finds the nearest of some rows, which it has been built of."""

    exact: bool  # whether those found are the nearest

    def search(self, rows: Any, n_neighbors: int) -> Found:
        """The nearest of ``rows``; without them of the indexed ones, themselves not."""


def build_index(rows, metric, metric_params, n_neighbors, n_jobs) -> NeighborIndex:
    """An index by scikit-learn, or by pynndescent if rows are many.

    Parameters
    ----------
    rows : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Where neighbours are looked for.
    metric : str or callable
        A metric of :func:`sklearn.metrics.pairwise_distances`.
    metric_params : dict or None
        Its parameters.
    n_neighbors : int
        How many will be asked for.
    n_jobs : int or None
        Threads of the search.
    """
    if rows.shape[0] > APPROXIMATE_FROM and known_to_pynndescent(rows, metric):
        return ApproximateIndex(rows, metric, metric_params, n_neighbors, n_jobs)
    return ExactIndex(rows, metric, metric_params, n_jobs)


class ApproximateIndex:
    """Neighbours by pynndescent; parameters are those of ``build_index``."""

    exact = False

    def __init__(self, rows, metric, metric_params, n_neighbors, n_jobs):
        from pynndescent import NNDescent

        self._index = NNDescent(
            rows,
            metric=metric,
            metric_kwds=metric_params,
            n_neighbors=n_neighbors + 1,
            random_state=0,
            n_jobs=n_jobs,
        )

    def search(self, rows: Any, n_neighbors: int) -> Found:
        """The nearest of ``rows``; without them of the indexed ones, themselves not."""
        if rows is None:
            columns, D = self._index.neighbor_graph
            return besides_itself(Found(D, columns), np.arange(len(columns)), -1)
        columns, D = self._index.query(rows, n_neighbors)
        return Found(D, columns)


class ExactIndex:
    """Neighbours by scikit-learn; parameters are those of ``build_index``."""

    exact = True

    def __init__(self, rows, metric, metric_params, n_jobs):
        # importing it takes a tenth of a second
        from sklearn.neighbors import NearestNeighbors

        self.rows = rows
        self._index = NearestNeighbors(
            metric=metric, metric_params=metric_params, n_jobs=n_jobs
        ).fit(rows)

    def search(self, rows: Any, n_neighbors: int) -> Found:
        """The nearest of ``rows``; without them of the indexed ones, themselves not."""
        return _joined(self._batches(rows, n_neighbors))

    def search_by_differences(self, rows: Any, n_neighbors: int) -> Found:
        """The same for dense rows, with squared Euclidean distances.

        The index rounds by the batch and by the number of threads, and so picks among
        distances that are equal up to rounding: it is asked for a few more, of which
        differences decide.
        """
        others = len(self.rows) - (rows is None)
        n_asked = min(others, n_neighbors + max(SPARE, n_neighbors // 4))
        start, found = 0, []
        for _, columns in self._batches(rows, n_asked):
            columns = np.sort(columns, axis=1)  # equal ones by column
            stop, D = start + len(columns), np.empty(columns.shape)
            batch = (self.rows if rows is None else rows)[start:stop]
            squared_distances_to(batch, self.rows, columns, D)
            order = np.argsort(D, axis=1, kind="stable")[:, :n_neighbors]
            parts = (np.take_along_axis(a, order, axis=1) for a in (D, columns))
            found.append(Found(*parts))
            start = stop
        return _joined(found)

    def _batches(self, rows, n_asked):
        own, rows = rows is None, self.rows if rows is None else rows
        size = max(1, ELEMENTS_PER_SEARCH // self.rows.shape[0])
        for b in gen_batches(rows.shape[0], size):
            found = Found(*self._index.kneighbors(rows[b], n_asked + own))
            if own:
                found = besides_itself(found, np.arange(b.start, b.stop), 0)
            yield found


def _joined(found):
    """What was found batch by batch."""
    return Found(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def known_to_pynndescent(rows, metric):
    """Whether pynndescent is installed and knows the metric, between dense rows."""
    if (
        sparse.issparse(rows)
        or not isinstance(metric, str)
        or not find_spec("pynndescent")
    ):
        return False
    from pynndescent.distances import named_distances

    return metric in named_distances


def besides_itself(found, own, otherwise):
    """What was found for the samples ``own``, without themselves.

    Where the sample is not among them, because more rows equal it or because it was
    missed, the one at the position ``otherwise`` is left out.
    """
    keep = found.columns != own[:, None]
    keep[keep.all(axis=1), otherwise] = False
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
        chosen = np.argpartition(block, n_neighbors - 1, axis=1)[:, :n_neighbors]
        chosen.sort(axis=1)  # equal ones by column
        values = np.take_along_axis(block, chosen, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        b = slice(start, start + len(block))
        columns[b] = np.take_along_axis(chosen, order, axis=1)
        D[b] = np.take_along_axis(values, order, axis=1)
    return Found(D, columns)


def nearest_in_graph(graph, n_neighbors, own):
    """The same from the entries that a graph stores, none of them its diagonal's."""
    stored = np.diff(graph.indptr)
    if stored.min() < n_neighbors:
        i = int(stored.argmin())
        besides = ", the sample itself not counted" if own else ""
        raise ValueError(
            f"X is a sparse graph of distances to neighbours: {n_neighbors} neighbors "
            f"per samples are required (3 times the perplexity{besides}), but row {i} "
            f"has only {stored[i]}. Decrease perplexity, or store more neighbours in X"
        )
    # columns are in order, so that the lower one comes first among equal distances
    order = np.lexsort((graph.data, np.repeat(np.arange(len(stored)), stored)))
    entries = order[graph.indptr[:-1, None] + np.arange(n_neighbors)]
    return Found(graph.data[entries], graph.indices[entries])
