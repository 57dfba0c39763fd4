"""The nearest of very many rows, by inverted lists of faiss; a few are missed.

Each row is in the list of the nearest of some centroids, and a search looks into the
lists of the nearest centroids.  Centroids are found on one thread, lists are chosen by
exact search, and every row is searched alone: so the result is the same every time.
"""

import faiss
import numpy as np
from sklearn.utils import gen_batches

from skdec.tsne._exact_search import Found, ProductIndex, decided, index_dtype
from skdec.utils.threads import openmp_alone

# Lists for each root of the number of rows, and rows of each that centroids are the
# means of, in so many iterations.
LISTS, ROWS_PER_LIST, ITERATIONS = 4, 40, 5

# The recall that is wanted, of a sample of so many rows.
RECALL, SAMPLE = 0.95, 256

# Lists that are looked into at first; and the share of them from where on exact search
# is as fast.
PROBES, LARGEST_SHARE = 8, 0.25

# Rows whose lists are chosen at a time, and that are looked for at a time.
ROWS_PER_CHOICE, ROWS_PER_SEARCH = 2**16, 1024

# Neighbours beyond those wanted, because faiss rounds to single precision.
SPARE = 4


class ListIndex:
    """Euclidean neighbours of dense rows.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Where neighbours are looked for.
    n_neighbors : int
        How many will be asked for.
    threads : Threads
        Of the search.

    Attributes
    ----------
    recall : float
        Share of the neighbours of a sample of 256 rows that are found.  The lists that
        are looked into are doubled until it is 0.95, or until they are a quarter.
    """

    squared = True

    def __init__(self, rows, n_neighbors, threads):
        self.rows = rows
        singles = rows.astype(np.float32)
        self._lists = faiss.IndexIVFFlat(
            faiss.IndexFlatL2(rows.shape[1]),
            rows.shape[1],
            int(LISTS * len(rows) ** 0.5),
        )
        threads.map(self._train, [singles], side_by_side=False)
        centroids = self._lists.quantizer.reconstruct_n(0, self._lists.nlist)
        self._centroids = ProductIndex(centroids.astype(np.float64))
        nearest = self._centroids.search(rows, 1, threads).columns.astype(np.int64)
        numbers = np.arange(len(rows))
        arrays = (faiss.swig_ptr(a) for a in (singles, numbers, nearest))
        with openmp_alone():
            self._lists.add_core(len(rows), *arrays)
        self._choose_probes(n_neighbors, threads)

    def _train(self, singles):
        parameters = self._lists.cp
        parameters.niter, parameters.seed = ITERATIONS, 0
        parameters.min_points_per_centroid = 1  # of which it would print a warning
        step = max(1, len(singles) // (ROWS_PER_LIST * self._lists.nlist))
        self._lists.train(singles[::step])

    def _choose_probes(self, n_neighbors, threads):
        sample = np.linspace(0, len(self.rows) - 1, SAMPLE).astype(np.intp)
        rows = self.rows[sample]
        exact = ProductIndex(self.rows).search(rows, n_neighbors, threads, sample)
        farthest = exact.distances[:, -1:]
        self.recall, self._lists.nprobe = 0.0, PROBES // 2
        most = LARGEST_SHARE * self._lists.nlist
        while self.recall < RECALL and self._lists.nprobe < most:
            self._lists.nprobe *= 2
            found = self.search(rows, n_neighbors, threads, sample)
            self.recall = float(np.mean(found.distances <= farthest))

    def search(self, rows, n_neighbors, threads, own=None):
        """The nearest of rows, as ``NeighborIndex`` has it."""
        found = []
        for b in gen_batches(len(rows), ROWS_PER_CHOICE):
            itself = None if own is None else own[b]
            found.append(self._search(rows[b], n_neighbors, threads, itself))
        return Found(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _search(self, rows, n_neighbors, threads, own):
        lists = self._centroids.search(rows, self._lists.nprobe, threads).columns
        n_asked = n_neighbors + SPARE + (own is not None)
        shape, index = (len(rows), n_neighbors), index_dtype(len(self.rows))
        found = Found(np.empty(shape), np.empty(shape, index))
        complete = np.empty(len(rows), bool)

        def task(first, last):
            with openmp_alone():
                for start in range(first, last, ROWS_PER_SEARCH):
                    b = slice(start, min(start + ROWS_PER_SEARCH, last))
                    singles = rows[b].astype(np.float32)
                    near = lists[b].astype(np.int64)
                    columns = self._lists.search_preassigned(
                        singles, n_asked, near, None
                    )[1]
                    complete[b] = columns.min(axis=1) >= 0  # -1 is what was not found
                    itself = None if own is None else own[b]
                    columns = np.maximum(columns, 0)
                    part = decided(rows[b], self.rows, columns, n_neighbors, itself)
                    found.distances[b], found.columns[b] = part

        threads.run_ranges(task, len(rows), len(rows) * len(self.rows))
        self._complete(found, ~complete, rows, threads, own)
        return found

    def _complete(self, found, short, rows, threads, own):
        """Search exactly where the lists hold fewer rows than are asked for."""
        if not short.any():
            return
        itself = None if own is None else own[short]
        n_neighbors = found.columns.shape[1]
        exact = ProductIndex(self.rows).search(
            rows[short], n_neighbors, threads, itself
        )
        found.distances[short], found.columns[short] = exact
