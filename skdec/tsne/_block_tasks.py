"""What the workers of Dask do for a map: functions of a block of training rows."""

import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from skdec.tsne._affinities import calibrated_lists
from skdec.tsne._exact_search import Found, ProductIndex, index_dtype
from skdec.tsne._neighbors import Neighbors
from skdec.utils.duplicates import KnownRows, digests, row_hashes
from skdec.utils.lazily import plain
from skdec.utils.numbers import largest_magnitude
from skdec.utils.threads import Threads


class Known(NamedTuple):
    """What a block of training rows tells of new rows."""

    found: Found  # the nearest of its rows
    identical: np.ndarray  # which of its rows is the same, or −1


def itself(block):
    """The rows."""
    return block


def kept(block, best):
    """What has been kept of the block."""
    return best


def calibrated(block, best, bandwidths):
    """The ``Calibrated`` rows, whose lists these are."""
    lists = Neighbors(best.columns, best.distances)
    with Threads(1) as threads:
        return calibrated_lists(lists, bandwidths, threads)


def chosen(block, wanted):
    """Some of the rows."""
    return block[wanted]


def largest_centred(block, centring):
    """The largest magnitude of the rows about their centre."""
    return largest_magnitude(centring.applied(block))


def hashes_of(block, distances):
    """A hash of each row."""
    return row_hashes(distances.prepare(block))


def digests_of(block, distances, wanted):
    """A digest of some of the rows."""
    return digests(distances.prepare(block[wanted]))


def identical_in(block, rows, distances):
    """For each of other rows, the first of the block that is the same, or −1."""
    others = distances.prepare(block)
    return KnownRows(others).find(rows, others)


def between(block, rows, distances):
    """D between other rows and those of the block."""
    with Threads(1, hold_blas=True):
        return distances.of_block(block).between(rows)


def sum_of_rows(block, distances):
    """The sum of the rows."""
    return distances.prepare(block).sum(axis=0)


def products(block, mean, distances):
    """XᵀX of the rows about their mean."""
    rows = distances.prepare(block) - mean
    with Threads(1, hold_blas=True):
        return rows.T @ rows


def projected(block, mean, axes, distances):
    """The rows about their mean on some axes."""
    with Threads(1, hold_blas=True):
        return (distances.prepare(block) - mean) @ axes


def nearest_of(block, rows, n_neighbors, distances):
    """The nearest rows of a block, of new rows."""
    index = ProductIndex(distances.prepare(block))
    with Threads(1, hold_blas=True) as threads:
        return index.search(rows, min(n_neighbors, len(block)), threads)


def search(block, others, first, start, best, n_neighbors, distances):
    """The nearest so far of the rows of a block, with those of other blocks."""
    rows = distances.prepare(block)
    others = np.concatenate([distances.prepare(other) for other in others])
    # a row is no neighbour of its own, and a block is in the run with all of its rows
    own, within = np.arange(start, start + len(rows)) - first, None
    n = min(n_neighbors, len(others) - int(0 <= own[0] < len(others)))
    if best is not None and best.distances.shape[1] == n_neighbors:
        within = best.distances[:, -1]
    if n == 0:
        none = np.empty((len(rows), 0))
        found = Found(none, none.astype(np.intp))
    else:
        with Threads(1, hold_blas=True) as threads:
            found = ProductIndex(others).search(rows, n, threads, own, within)
    columns = found.columns.astype(index_dtype(distances.n_samples), copy=False)
    found = Found(found.distances, columns + columns.dtype.type(first))
    best = found if best is None else merged([best, found], [0, 0], n_neighbors)
    return None, best


def known(model, rows, block):
    """What a block of training rows tells of new rows."""
    distances, n_neighbors = model._placing.distances, model._placing.n_neighbors
    rows = distances.prepare(rows)
    return Known(
        nearest_of(block, rows, n_neighbors, distances),
        identical_in(block, rows, distances),
    )


def placed(model, rows, parts, offsets):
    """Places of new rows, of which the blocks have told."""
    found = merged([part.found for part in parts], offsets, model._placing.n_neighbors)
    identical = first_of([part.identical for part in parts], offsets)
    known = FoundDistances(Known(found, identical))
    if rows.shape[0] == 0:
        return no_places(model, rows.dtype)
    model = copy.copy(model)  # the worker keeps it for other blocks
    model._placing = replace(model._placing, distances=known)
    return plain(model.transform(rows))


class FoundDistances:
    """What has been found of some new rows, which stand for themselves by number."""

    metric, elements_at_once = "euclidean", None

    def __init__(self, known):
        self.known = known

    def prepare(self, X):
        """The numbers of the rows."""
        return np.arange(X.shape[0])

    def identical(self, rows):
        """Training rows identical to them, or −1."""
        return self.known.identical[rows]

    def nearest(self, n_neighbors, threads, rows, weights=None):
        """Their neighbours."""
        found = self.known.found
        return Neighbors(found.columns[rows], found.distances[rows])


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
