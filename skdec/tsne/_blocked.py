"""A map of rows that stay in blocks where they are: with the workers of Dask.

Neighbours are found exactly, each block against runs of blocks in turn, and the nearest
so far are kept with the rows, which are calibrated there.  What comes back are numbers
for each row: its neighbours and scales, a hash, its place at the start.  P and the map
are made of these, where the fit was called.
"""

from dataclasses import replace
from functools import wraps

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from skdec.kernels.types import Scales
from skdec.tsne import _block_tasks as tasks
from skdec.tsne._affinities import Calibrated
from skdec.tsne._checks import SPARSE_METRICS, finite_for
from skdec.tsne._distances import Centring, SquaredDistances
from skdec.tsne._initialization import principal_components, random_start, scaled
from skdec.tsne._neighbors import Neighbors
from skdec.tsne._products import squared_norms
from skdec.utils.blocks import Blocks, Each, Run, check_blocks
from skdec.utils.collection import is_dask
from skdec.utils.duplicates import first_occurrences
from skdec.utils.memory import available
from skdec.utils.numbers import central_row, power_of_two, some_rows
from skdec.utils.validation import with_short_indices

# Every block meets so many numbers of others at a time, if blocks are not larger.  The
# more at once, the less is done again; a worker holds 20 bytes for each meanwhile.
NUMBERS_PER_RUN = 2**23

# New rows are sent to the workers so many numbers at a time, 4 MB.
NUMBERS_SENT = 2**19

# Numbers of a matrix of distances that come back from the workers at a time, 128 MB.
DISTANCES_FETCHED = 2**24

# Numbers of products of features that come back at a time, unless one block has more.
PRODUCTS_FETCHED = 2**24


def rows_of_collection(estimator, X, all_pairs):
    """Rows of a dask collection: in blocks where they are, or fetched.

    They stay where they are if they are dense, compared by Euclidean distances, and
    more than ``all_pairs``, or if affinities="neighbors" asks for it.  Everything else
    needs them together.
    """
    metric = estimator.metric
    if isinstance(metric, str) and metric == "precomputed":
        raise TypeError(
            "metric='precomputed' takes distances in memory, and X is a collection of "
            "Dask's: give X.compute(), or a sparse graph of distances to neighbours"
        )
    blocks = check_blocks(estimator, X, reset=True, finite=finite_for(metric))
    n_samples = blocks.shape[0]
    if n_samples < 2:
        raise ValueError(f"X must have at least 2 rows; got {n_samples}")
    euclidean = metric in ("euclidean", "l2") and not estimator.metric_params
    over_neighbors = estimator.affinities == "neighbors" or (
        estimator.affinities == "auto" and n_samples > all_pairs
    )
    if euclidean and over_neighbors and not blocks.is_sparse:
        return blocks
    if blocks.is_sparse and not (callable(metric) or metric in SPARSE_METRICS):
        raise TypeError(
            f"metric={metric!r} is not computed between sparse rows, and blocks of X "
            f"are sparse: take one of {sorted(SPARSE_METRICS)}"
        )
    return _fetched(blocks)


def _fetched(blocks):
    """All rows in memory here, or an error before that takes more than there is."""
    # sparse parts are held beside the matrix that is made of them
    needed, there_is = (1 + blocks.is_sparse) * blocks.n_bytes, available()
    if needed > there_is:
        raise MemoryError(
            f"X stays in its blocks only if it is dense, with metric='euclidean' and "
            f"affinities='neighbors'. Otherwise it is fetched: {needed / 1e9:.3g} GB "
            f"are needed, and {there_is / 1e9:.3g} GB are available"
        )
    if blocks.is_sparse:
        parts = blocks.map(tasks.itself, task="fetch")
        return with_short_indices(sparse.vstack(parts, format="csr"))
    rows, offsets = np.empty(blocks.shape, blocks.dtype), blocks.offsets
    for run in runs_of(offsets, blocks.shape[1]):
        here = range(run.start, run.stop)
        parts = blocks.some(here).map(tasks.itself, task="fetch")
        for i, part in zip(here, parts, strict=True):
            rows[offsets[i] : offsets[i + 1]] = part
    return rows


def distances_of(X, metric, metric_params):
    """Squared distances to rows X, in memory or in blocks."""
    if isinstance(X, Blocks):
        return BlockedDistances(X)
    return SquaredDistances(X, metric, metric_params)


def calibrated_by_workers(distances, bandwidths):
    """The ``Calibrated`` training rows whose lists are with workers; else None."""
    if isinstance(distances, BlockedDistances):
        return distances.calibrated(bandwidths)
    return None


def start_by_components(X, distances, n_components, random_state):
    """The principal components of rows X, in memory or in blocks."""
    if isinstance(X, Blocks):
        return distances.principal_components(n_components, random_state)
    return principal_components(X, n_components, random_state)


class BlockedDistances(SquaredDistances):
    """Squared Euclidean distances to rows that are in blocks.

    Parameters
    ----------
    blocks : Blocks of shape (n_samples, n_features)
        The training rows, dense.
    """

    def __init__(self, blocks):
        self.metric, self.metric_params = "euclidean", {}
        self.euclidean = self._straight = True
        self.boolean = self._sparse = False
        self.n_samples, self.blocks, self._lists = blocks.shape[0], blocks, None
        self.elements_at_once = DISTANCES_FETCHED
        scale = power_of_two(blocks.largest)
        some = self._chosen(some_rows(self.n_samples))
        center = central_row(np.divide(some, scale, dtype=np.float64))
        centring = Centring(scale, center, 1.0)
        largest = max(blocks.map(tasks.largest_centred, centring, task="spread"))
        self._centring = centring._replace(spread=power_of_two(largest))
        self.unit = scale * self._centring.spread

    def __getstate__(self):
        if self.blocks is not None:
            raise TypeError(
                "this map was fitted to rows that stay with the workers of Dask, and "
                "cannot be copied or pickled with them. embedding_ is the map; fit to "
                "rows in memory, of a sample if need be, for a map that can be stored"
            )
        return vars(self)

    def without_rows(self):
        """How rows are centred, for the workers."""
        alone = object.__new__(type(self))
        vars(alone).update({**vars(self), "blocks": None, "_lists": None})
        return alone

    def of_block(self, block):
        """Distances to the rows of one block alone."""
        alone = self.without_rows()
        alone.rows = self.prepare(block)
        alone.n_samples, alone._norms = len(block), squared_norms(alone.rows)
        return alone

    def training_rows(self, chosen):
        """Some of the training rows, prepared; ``chosen`` is in order."""
        return self.prepare(self._chosen(chosen))

    def _chosen(self, chosen):
        wanted = np.zeros(self.n_samples, bool)
        wanted[chosen] = True
        split = self.blocks.split(wanted)
        return np.concatenate(self.blocks.map(tasks.chosen, split))

    def representatives(self):
        """For each training row, the index of the first one identical to it."""
        alone, first = self.without_rows(), np.arange(self.n_samples)
        hashes = np.concatenate(self.blocks.map(tasks.hashes_of, alone, task="hash"))
        _, which, count = np.unique(hashes, return_inverse=True, return_counts=True)
        alike = count[which] > 1
        if alike.any():
            split = self.blocks.split(alike)
            keys = self.blocks.map(tasks.digests_of, alone, split, task="digest")
            alike = np.flatnonzero(alike)
            first[alike] = alike[first_occurrences([key for k in keys for key in k])]
        return first

    def identical(self, rows):
        """For each prepared row, a training row identical to it, or −1."""
        known = np.full(len(rows), -1, np.intp)
        for b in _batches(rows):
            parts = self.blocks.map(
                tasks.identical_in, rows[b], self.without_rows(), task="identical"
            )
            known[b] = tasks.first_of(parts, self.blocks.offsets)
        return known

    def between(self, rows, columns=None, *, alone=False):
        """D between prepared rows and all training rows, float64."""
        if self.blocks is None:
            return super().between(rows, columns, alone=alone)
        parts = self.blocks.map(
            tasks.between, rows, self.without_rows(), task="distances"
        )
        return np.concatenate(parts, axis=1)

    def nearest(self, n_neighbors, threads, rows=None, weights=None):
        """The nearest training rows, as in memory; exactly, however many there are.

        The lists of training rows stay with the workers too, to be ``calibrated``.
        """
        if rows is None:
            found = self._nearest_of_training_rows(n_neighbors, threads)
        else:
            arguments = n_neighbors, self.without_rows()
            found = [
                tasks.merged(
                    self.blocks.map(
                        tasks.nearest_of, rows[b], *arguments, task="neighbors"
                    ),
                    self.blocks.offsets,
                    n_neighbors,
                )
                for b in _batches(rows)
            ]
        D, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Neighbors(columns, D)

    def _nearest_of_training_rows(self, n_neighbors, threads):
        """Lists of each block."""
        blocks, alone = self.blocks, self.without_rows()
        starts = Each(blocks.offsets[:-1])
        best, runs = None, runs_of(blocks.offsets, blocks.shape[1])
        for r, run in enumerate(runs):
            first = blocks.offsets[run.start]
            _, best = blocks.update(
                tasks.search,
                run,
                first,
                starts,
                best,
                n_neighbors,
                alone,
                task="neighbors",
            )
            threads.report((r + 1) / len(runs))
        self._lists = best
        return blocks.map(tasks.kept, best, task="lists", reads=False)

    def calibrated(self, bandwidths):
        """The ``Calibrated`` training rows, whose lists the workers then forget."""
        lists, self._lists = self._lists, None
        parts = self.blocks.map(
            tasks.calibrated, lists, bandwidths, task="calibrate", reads=False
        )
        scales = [
            np.concatenate(part, axis=-1)
            for part in zip(*(part.scales for part in parts), strict=True)
        ]
        reached = np.concatenate([part.reached for part in parts])
        return Calibrated(Scales(*scales), reached)

    def principal_components(self, n_components, random_state):
        """The start of ``principal_components``, from the sums of products."""
        random_state = check_random_state(random_state)
        start = random_start((self.n_samples, n_components), random_state)
        alone = self.without_rows()
        mean = sum(self.blocks.map(tasks.sum_of_rows, alone, task="mean"))
        mean /= self.n_samples
        # few at a time: each has the square of the features
        blocks, products = self.blocks, 0.0
        size = max(1, PRODUCTS_FETCHED // blocks.shape[1] ** 2)
        for first in range(0, len(blocks), size):
            some = blocks.some(range(first, min(first + size, len(blocks))))
            for part in some.map(tasks.products, mean, alone, task="covariance"):
                products += part
        n_known = min(n_components, *self.blocks.shape)
        axes = np.linalg.eigh(products)[1][:, ::-1][:, :n_known]
        largest = axes[np.abs(axes).argmax(axis=0), np.arange(n_known)]
        axes = axes * np.where(largest < 0, -1.0, 1.0)
        known = self.blocks.map(tasks.projected, mean, axes, alone, task="project")
        return scaled(np.concatenate(known), start)


def lazily_across_blocks(method):
    """Let ``transform`` of a map of rows in blocks take dask collections, lazily."""

    @wraps(method)
    def on_any(self, X):
        if is_dask(X):
            check_is_fitted(self)
            self._known_rows("transform")  # now, not when somebody computes
        distances = getattr(getattr(self, "_placing", None), "distances", None)
        if not (is_dask(X) and isinstance(distances, BlockedDistances)):
            return method(self, X)
        placing = replace(self._placing, distances=distances.without_rows())
        empty = tasks.no_places(self, np.float64)
        return distances.blocks.across(
            self, X, tasks.known, tasks.placed, empty, _placing=placing
        )

    return on_any


def runs_of(offsets, n_features):
    """Consecutive blocks, of up to ``NUMBERS_PER_RUN`` together."""
    n_rows = NUMBERS_PER_RUN // n_features
    runs, start = [], 0
    for stop in range(1, len(offsets)):
        last = stop == len(offsets) - 1
        if last or offsets[stop + 1] - offsets[start] > n_rows:
            runs.append(Run(start, stop))
            start = stop
    return runs


def _batches(rows):
    """Slices of new rows that are sent together."""
    return gen_batches(len(rows), max(1, NUMBERS_SENT // rows.shape[1]))
