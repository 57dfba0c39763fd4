"""A map of rows that stay in blocks where they are: with the workers of Dask.

Neighbours are found exactly, each block against runs of blocks in turn, and the nearest
so far are kept with the rows, which are calibrated there.  What comes back are numbers
for each row: its neighbours and scales, a hash, its place at the start.  P and the map
are made of these, where the fit was called.
"""

import copy
from dataclasses import replace
from functools import wraps
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state, gen_batches

from skdec.kernels.types import Scales
from skdec.tsne._affinities import Calibrated, calibrated_lists
from skdec.tsne._checks import SPARSE_METRICS
from skdec.tsne._distances import Centring, SquaredDistances, squared_norms
from skdec.tsne._exact_search import Found, ProductIndex, index_dtype
from skdec.tsne._initialization import principal_components, random_start, scaled
from skdec.tsne._neighbors import Neighbors
from skdec.utils.blocks import Blocks, Each, Run, check_blocks, is_dask
from skdec.utils.duplicates import KnownRows, digests, first_occurrences, row_hashes
from skdec.utils.memory import available
from skdec.utils.numbers import largest_magnitude, power_of_two
from skdec.utils.threads import Threads
from skdec.utils.validation import with_short_indices

# Every block meets so many numbers of others at a time, if blocks are not larger.  The
# more at once, the less is done again; a worker holds 20 bytes for each meanwhile.
NUMBERS_PER_RUN = 2**23

# New rows are sent to the workers so many numbers at a time, 4 MB.
NUMBERS_SENT = 2**19

# Numbers of a matrix of distances that come back from the workers at a time, 128 MB.
DISTANCES_FETCHED = 2**24


class Known(NamedTuple):
    """What a block of training rows tells of new rows."""

    found: Found  # the nearest of its rows
    identical: np.ndarray  # which of its rows is the same, or −1


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
    blocks = check_blocks(estimator, X, reset=True)
    n_samples = blocks.shape[0]
    if n_samples < 2:
        raise ValueError(f"X must have at least 2 rows; got {n_samples}")
    euclidean = metric in ("euclidean", "l2") and not estimator.metric_params
    over_neighbors = estimator.affinities == "neighbors" or (
        estimator.affinities == "auto" and n_samples > all_pairs
    )
    if euclidean and over_neighbors and not blocks.is_sparse:
        return blocks
    needed, there_is = blocks.n_stored * blocks.dtype.itemsize, available()
    if needed > there_is:
        raise MemoryError(
            f"X stays in its blocks only if it is dense, with metric='euclidean' and "
            f"affinities='neighbors'. Otherwise it is fetched: {needed / 1e9:.3g} GB "
            f"are needed, and {there_is / 1e9:.3g} GB are available"
        )
    parts = blocks.map(_itself, task="fetch")
    if not blocks.is_sparse:
        return np.concatenate(parts)
    if not (callable(metric) or metric in SPARSE_METRICS):
        raise TypeError(
            f"metric={metric!r} is not computed between sparse rows, and blocks of X "
            f"are sparse: take one of {sorted(SPARSE_METRICS)}"
        )
    return with_short_indices(sparse.vstack(parts, format="csr"))


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

    Equal to those of rows in memory but for the rounding of the mean row, which is not
    summed in the same order.

    Parameters
    ----------
    blocks : Blocks of shape (n_samples, n_features)
        The training rows, dense.
    """

    def __init__(self, blocks):
        self.metric, self.metric_params = "euclidean", {}
        self.euclidean, self.boolean, self._sparse = True, False, False
        self.n_samples, self.blocks, self._lists = blocks.shape[0], blocks, None
        self.elements_at_once = DISTANCES_FETCHED
        scale = power_of_two(blocks.largest)
        total = sum(blocks.map(_sum_of_rows, scale, task="mean"))
        centring = Centring(scale, total / self.n_samples, 1.0)
        largest = max(blocks.map(_largest_centred, centring, task="spread"))
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
        wanted = np.zeros(self.n_samples, bool)
        wanted[chosen] = True
        split = self.blocks.split(wanted)
        return self.prepare(np.concatenate(self.blocks.map(_chosen, split)))

    def representatives(self):
        """For each training row, the index of the first one identical to it."""
        alone, first = self.without_rows(), np.arange(self.n_samples)
        hashes = np.concatenate(self.blocks.map(_hashes, alone, task="hash"))
        _, which, count = np.unique(hashes, return_inverse=True, return_counts=True)
        alike = count[which] > 1
        if alike.any():
            split = self.blocks.split(alike)
            keys = self.blocks.map(_digests, alone, split, task="digest")
            alike = np.flatnonzero(alike)
            first[alike] = alike[first_occurrences([key for k in keys for key in k])]
        return first

    def identical(self, rows):
        """For each prepared row, a training row identical to it, or −1."""
        known = np.full(len(rows), -1, np.intp)
        for b in _batches(rows):
            parts = self.blocks.map(
                _identical, rows[b], self.without_rows(), task="identical"
            )
            known[b] = first_of(parts, self.blocks.offsets)
        return known

    def between(self, rows, columns=None, *, alone=False):
        """D between prepared rows and all training rows, float64."""
        if self.blocks is None:
            return super().between(rows, columns, alone=alone)
        parts = self.blocks.map(_between, rows, self.without_rows(), task="distances")
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
                merged(
                    self.blocks.map(_nearest, rows[b], *arguments, task="neighbors"),
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
                _search, run, first, starts, best, n_neighbors, alone, task="neighbors"
            )
            threads.report((r + 1) / len(runs))
        self._lists = best
        return blocks.map(_kept, best, task="lists")

    def calibrated(self, bandwidths):
        """The ``Calibrated`` training rows, whose lists the workers then forget."""
        lists, self._lists = self._lists, None
        parts = self.blocks.map(_calibrated, lists, bandwidths, task="calibrate")
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
        products = sum(self.blocks.map(_products, alone, task="covariance"))
        n_known = min(n_components, *self.blocks.shape)
        axes = np.linalg.eigh(products)[1][:, ::-1][:, :n_known]
        largest = axes[np.abs(axes).argmax(axis=0), np.arange(n_known)]
        axes = axes * np.where(largest < 0, -1.0, 1.0)
        known = self.blocks.map(_projected, axes, alone, task="project")
        return scaled(np.concatenate(known), start)


class FoundDistances:
    """What has been found of some new rows, which stand for themselves by number."""

    metric, elements_at_once = "euclidean", None

    def __init__(self, known):
        self.known = known

    def prepare(self, X):
        """The numbers of the rows."""
        return np.arange(len(X))

    def identical(self, rows):
        """Training rows identical to them, or −1."""
        return self.known.identical[rows]

    def nearest(self, n_neighbors, threads, rows, weights=None):
        """Their neighbours."""
        found = self.known.found
        return Neighbors(found.columns[rows], found.distances[rows])


def lazily_across_blocks(method):
    """Let ``transform`` of a map of rows in blocks take dask collections, lazily."""

    @wraps(method)
    def on_any(self, X):
        distances = getattr(getattr(self, "_placing", None), "distances", None)
        if not (is_dask(X) and isinstance(distances, BlockedDistances)):
            return method(self, X)
        placing = replace(self._placing, distances=distances.without_rows())
        empty = no_places(self, np.float64)
        return distances.blocks.across(
            self, X, _known, _placed, empty, _placing=placing
        )

    return on_any


def no_places(estimator, dtype):
    """The places of no new rows."""
    return np.empty((0, estimator.embedding_.shape[1]), dtype)


def merged(parts, offsets, n_neighbors):
    """The nearest of what several blocks have, equal ones by row."""
    D = np.concatenate([part.distances for part in parts], axis=1)
    columns = np.concatenate(
        [part.columns + first for part, first in zip(parts, offsets, strict=False)],
        axis=1,
    )
    order = np.argsort(D, axis=1, kind="stable")[:, :n_neighbors]
    return Found(*(np.take_along_axis(a, order, axis=1) for a in (D, columns)))


def first_of(parts, offsets):
    """The first row that is identical, of what several blocks have found, or −1."""
    known = np.full(len(parts[0]), -1, np.intp)
    for part, first in zip(parts, offsets, strict=False):
        new = (known < 0) & (part >= 0)
        known[new] = part[new] + first
    return known


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


# what the workers do: functions of a block of training rows


def _itself(block):
    return block


def _kept(block, best):
    return best


def _calibrated(block, best, bandwidths):
    # what has been sent is read-only, and kernels would be compiled for that anew
    D, perplexities = (
        np.require(part, requirements="W")
        for part in (best.distances, bandwidths.perplexities)
    )
    bandwidths = bandwidths._replace(perplexities=perplexities)
    with Threads(1) as threads:
        return calibrated_lists(Neighbors(best.columns, D), bandwidths, threads)


def _chosen(block, wanted):
    return block[wanted]


def _sum_of_rows(block, scale):
    return np.divide(block, scale, dtype=np.float64).sum(axis=0)


def _largest_centred(block, centring):
    return largest_magnitude(centring.applied(block))


def _hashes(block, distances):
    return row_hashes(distances.prepare(block))


def _digests(block, distances, wanted):
    return digests(distances.prepare(block[wanted]))


def _identical(block, rows, distances):
    others = distances.prepare(block)
    return KnownRows(others).find(rows, others)


def _between(block, rows, distances):
    with Threads(1, hold_blas=True):
        return distances.of_block(block).between(rows)


def _products(block, distances):
    rows = distances.prepare(block)
    with Threads(1, hold_blas=True):
        return rows.T @ rows


def _projected(block, axes, distances):
    with Threads(1, hold_blas=True):
        return distances.prepare(block) @ axes


def _nearest(block, rows, n_neighbors, distances):
    """The nearest rows of a block, of new rows."""
    index = ProductIndex(distances.prepare(block))
    with Threads(1, hold_blas=True) as threads:
        return index.search(rows, min(n_neighbors, len(block)), threads)


def _search(block, others, first, start, best, n_neighbors, distances):
    """The nearest so far of the rows of a block, with those of other blocks."""
    rows = distances.prepare(block)
    others = np.concatenate([distances.prepare(other) for other in others])
    n, within = min(n_neighbors, len(others)), None
    if best is not None and best.distances.shape[1] == n_neighbors:
        within = best.distances[:, -1]
    own = np.arange(start, start + len(rows)) - first
    with Threads(1, hold_blas=True) as threads:
        found = ProductIndex(others).search(rows, n, threads, own, within)
    columns = found.columns.astype(index_dtype(distances.n_samples), copy=False)
    found = Found(found.distances, columns + columns.dtype.type(first))
    best = found if best is None else merged([best, found], [0, 0], n_neighbors)
    return None, best


def _known(model, rows, block):
    """What a block of training rows tells of new rows."""
    distances, n_neighbors = model._placing.distances, model._placing.n_neighbors
    rows = distances.prepare(rows)
    return Known(
        _nearest(block, rows, n_neighbors, distances),
        _identical(block, rows, distances),
    )


def _placed(model, rows, parts, offsets):
    """Places of new rows, of which the blocks have told."""
    found = merged([part.found for part in parts], offsets, model._placing.n_neighbors)
    identical = first_of([part.identical for part in parts], offsets)
    known = FoundDistances(Known(found, identical))
    if len(rows) == 0:
        return no_places(model, rows.dtype)
    model = copy.copy(model)  # the worker keeps it for other blocks
    model._placing = replace(model._placing, distances=known)
    return model.transform(rows)
