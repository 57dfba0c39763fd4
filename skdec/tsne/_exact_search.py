"""The nearest rows, exactly, at the speed of matrix products in single precision.

Products choose more candidates than are wanted, and differences decide among them.
Where the rounding of the products might have hidden a nearer row, or one as near, more
candidates are chosen by products in double precision, and where that proves nothing
either, all by differences.  So what is found does not depend on blocks or threads.
"""

from typing import NamedTuple

import numpy as np

from skdec.kernels.affinities import squared_distances_to
from skdec.kernels.neighbors import GROUP, collect, cut
from skdec.kernels.types import Candidates, read_only
from skdec.utils.duplicates import first_identical
from skdec.utils.numbers import central_row

# Products of so many rows with so many others are formed at a time, 512 kB of them.
ROWS_PER_BLOCK, OTHERS_PER_BLOCK = 512, 256

# A block of rows takes at most so many multiplications, half a second: Ctrl-C is seen
# between two blocks.  Products of fewer rows than the least are slow.
PRODUCTS_PER_BLOCK, LEAST_ROWS = 2**35, 64

# Room for candidates beyond those kept: more are found before the limit falls.
ROOM = 256

# Candidates beyond those wanted: a tenth, and at least so many; and in double precision
# three times as many, for rows of whole numbers have many neighbours as near.
SPARE, DOUBLE_SPARE = 8, 256


class Precision(NamedTuple):
    """A floating-point type in which products are formed."""

    dtype: type
    roundoff: float  # its unit roundoff
    # a bound of what underflows in an operation, whether subnormal numbers are kept or
    # flushed to 0
    underflow: float
    # rows further out than this are brought back before they overflow; no proof holds
    # for them
    farthest: float
    # roundings of a product beyond those of the proof; of ‖x‖² and of differences in
    # double precision, which are far below those of single precision
    more: int


SINGLE = Precision(np.float32, 2.0**-24, 2.0**-120, 1e15, 0)
DOUBLE = Precision(np.float64, 2.0**-53, 2.0**-1000, 1e140, 3)


class Found(NamedTuple):
    """What an index finds for each row."""

    distances: np.ndarray  # to its nearest rows, by increasing distance
    columns: np.ndarray  # which rows they are


class Nearest(NamedTuple):
    """What products find for each row."""

    D: np.ndarray
    columns: np.ndarray
    proved: np.ndarray  # of a row, whether no other can be nearer


class ProductIndex:
    """Euclidean neighbours of dense rows.

    A row y is kept as (−y, ‖y‖²/2), around a centre, so that the product with (x, 1) is
    the score ‖y‖²/2 − x·y = (‖x − y‖² − ‖x‖²)/2.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Where neighbours are looked for, in double precision and near 1 or below.
    """

    recall, squared = 1.0, True

    def __init__(self, rows):
        n, d = rows.shape
        self.rows = rows
        self._center = central_row(rows)
        # in random order, so that rows that come ever nearer are no worst case
        self._order = np.random.RandomState(0).permutation(n).astype(index_dtype(n))
        self._others = np.empty((n, d + 1), np.float32)
        for start in range(0, n, ROWS_PER_BLOCK):
            block = slice(start, start + ROWS_PER_BLOCK)
            self._others[block] = self._factors(block)

    def __getstate__(self):
        return {"rows": self.rows}  # the rest is made of them again, sooner than read

    def __setstate__(self, state):
        self.__init__(**state)

    def _factors(self, block):
        """(−y, ‖y‖²/2) of some rows, in the order of the products."""
        centred = self.rows[self._order[block]] - self._center
        squares = np.einsum("ij,ij->i", centred, centred)
        return np.column_stack([-centred, squares / 2])

    def search(self, rows, n_neighbors, threads, own=None, within=None):
        """The nearest of rows, as ``NeighborIndex`` has it.

        ``within`` has, of each row, the D up to which any are wanted; where there are
        not so many, the last distances are infinite.
        """
        found = self._search_by_products(
            SINGLE, rows, n_neighbors, threads, own, within
        )
        # any nearer one is within what has been found
        farthest = found.D[:, -1] if within is None else within.copy()
        np.minimum(farthest, found.D[:, -1], out=farthest)
        self._take_first_copies(found, own)
        again = np.flatnonzero(~found.proved & np.isfinite(farthest))
        if len(again):
            itself = None if own is None else own[again]
            nearest = self._search_by_products(
                DOUBLE, rows[again], n_neighbors, threads, itself, farthest[again]
            )
            for whole, part in zip(found, nearest, strict=True):
                whole[again] = part
        doubtful = np.flatnonzero(~found.proved)

        def task(first, last):
            for start in range(first, last, LEAST_ROWS):
                block = doubtful[start : min(start + LEAST_ROWS, last)]
                itself = None if own is None else own[block]
                nearest = self._by_differences(rows[block], n_neighbors, itself)
                found.D[block] = nearest.distances
                found.columns[block] = nearest.columns

        threads.run_ranges(task, len(doubtful), self._n_pairs(len(doubtful)))
        return Found(found.D, found.columns)

    def _take_first_copies(self, found, own):
        """Settle rows whose neighbours found are all copies of them: the first are.

        Nothing is nearer, and of equal ones the columns decide.  Of a row that stands
        a thousand times differences would be taken from each of them to all others.
        """
        n_neighbors = found.D.shape[1]
        copies = np.flatnonzero(~found.proved & (found.D[:, -1] == 0))
        if len(copies) == 0:
            return
        first = first_identical(self.rows)
        order = np.argsort(first, kind="stable")
        leaders, which = np.unique(first[found.columns[copies, 0]], return_inverse=True)
        in_order = first[order]
        ends = (np.searchsorted(in_order, leaders, side) for side in ("left", "right"))
        rows_of = np.split(np.argsort(which), np.cumsum(np.bincount(which))[:-1])
        for start, stop, some in zip(*ends, rows_of, strict=True):
            alike, here = order[start:stop][: n_neighbors + 1], copies[some]
            if len(alike) <= n_neighbors:  # other rows are at no distance either
                continue
            found.columns[here] = alike[:n_neighbors]
            if own is not None:
                for i in here[np.isin(own[here], alike)]:
                    found.columns[i] = alike[alike != own[i]]
            found.proved[here] = True

    def _search_by_products(self, precision, rows, n_neighbors, threads, own, within):
        shape, size = (len(rows), n_neighbors), self._rows_per_block(len(rows))
        proved = np.empty(len(rows), bool)
        found = Nearest(np.empty(shape), np.empty(shape, self._order.dtype), proved)

        def task(first, last):
            for start in range(first * size, min(last * size, len(rows)), size):
                block = slice(start, start + size)
                itself = None if own is None else own[block]
                most = None if within is None else within[block]
                nearest = self._by_products(
                    precision, rows[block], n_neighbors, itself, most
                )
                for whole, part in zip(found, nearest, strict=True):
                    whole[block] = part

        threads.run_ranges(task, -(-len(rows) // size), self._n_pairs(len(rows)))
        return found

    def _n_pairs(self, n_rows):
        # of long rows each counts more than once
        return n_rows * len(self.rows) * (1 + self.rows.shape[1] // 64)

    def _rows_per_block(self, n_rows):
        n, d = self.rows.shape
        most = max(LEAST_ROWS, PRODUCTS_PER_BLOCK // (n * (d + 64)))
        return min(ROWS_PER_BLOCK, most, max(LEAST_ROWS, n_rows // 16))

    def _by_products(self, precision, rows, n_neighbors, own, within):
        """What products find, and whether they prove it."""
        n, d = self.rows.shape
        n_left_out = 0 if own is None else 1
        spare = max(SPARE, n_neighbors // 10)
        if precision is DOUBLE:
            spare = max(DOUBLE_SPARE, 3 * n_neighbors)
        kept = min(n, n_neighbors + n_left_out + spare)
        centred = rows - self._center
        square = np.einsum("ij,ij->i", centred, centred)
        limit = None if within is None else _score_of(precision, within, square, d)
        candidates = self._candidates(precision, centred, kept, limit)
        columns = _numbers(candidates, kept, self._order)
        found = decided(rows, self.rows, columns, n_neighbors, own)
        least = square + 2 * candidates.limit.astype(np.float64)
        farthest = found.distances[:, -1]
        if within is not None:
            farthest = np.minimum(farthest, within)
        margin = _rounding_of_products(precision, np.sqrt(square), farthest, d)
        return Nearest(found.distances, found.columns, least - margin > farthest)

    def _candidates(self, precision, centred, kept, limit):
        """Those of the least scores, and their limit: infinite if they are all."""
        (n, d), dtype = self.rows.shape, precision.dtype
        candidates = none_yet(len(centred), kept, n, dtype, self._order.dtype)
        if limit is not None:
            candidates.limit[:] = limit
        left = np.ones((len(centred), d + 1), dtype)
        left[:, :d] = np.clip(centred, -precision.farthest, precision.farthest)
        # memory that is asked for again at every block would be cleared each time
        products = np.empty(len(centred) * min(n, OTHERS_PER_BLOCK), dtype)
        for first in range(0, n, OTHERS_PER_BLOCK):
            block = slice(first, first + OTHERS_PER_BLOCK)
            # of few rows in double precision, which is not worth the memory
            single = precision is SINGLE
            others = self._others[block] if single else self._factors(block)
            shape = len(centred), len(others)
            scores = products[: len(centred) * len(others)].reshape(shape)
            np.matmul(left, others.T, out=scores)
            collect(scores, first, kept, candidates)
        cut(kept, candidates)
        return candidates

    def _by_differences(self, rows, n_neighbors, own):
        """The same by differences, of which those of equal distance come by column."""
        n, index = len(self.rows), self._order.dtype
        candidates = none_yet(len(rows), n_neighbors, n, np.float64, index)
        for first in range(0, n, OTHERS_PER_BLOCK):
            others = np.arange(first, min(first + OTHERS_PER_BLOCK, n), dtype=index)
            D = _distances(rows, self.rows, np.tile(others, (len(rows), 1)), own)
            collect(D, first, n_neighbors, candidates)
        return least_collected(candidates, n_neighbors)


def index_dtype(n):
    """The type that the numbers of n rows are kept in."""
    return np.int32 if n < 2**31 else np.int64


def least_collected(candidates, n_neighbors):
    """The nearest that were collected by their D, from the first column to the last."""
    cut(n_neighbors, candidates)
    # with assume_finite nobody has looked; of NaN nothing is collected
    if candidates.found.min() < n_neighbors:
        raise ValueError(
            "X must be finite; rows with NaN or infinity have no neighbors"
        )
    D, columns = (a[:, :n_neighbors] for a in (candidates.scores, candidates.columns))
    return _least_of(D, columns, n_neighbors)


def decided(rows, others, columns, n_neighbors, own):
    """The nearest among candidates by their differences, equal ones by column.

    A column beyond the last stands for none.
    """
    columns = np.sort(columns, axis=1)
    return _least_of(_distances(rows, others, columns, own), columns, n_neighbors)


def _distances(rows, others, columns, own):
    D, none = np.empty(columns.shape), columns == len(others)
    columns = np.minimum(columns, len(others) - 1)
    squared_distances_to(read_only(rows), read_only(others), columns, D)
    D[none] = np.inf
    if own is not None:
        D[columns == own[:, None]] = np.inf
    return D


def _least_of(D, columns, n_neighbors):
    order = np.argsort(D, axis=1, kind="stable")[:, :n_neighbors]
    return Found(*(np.take_along_axis(a, order, axis=1) for a in (D, columns)))


def none_yet(n_rows, kept, n, dtype, index):
    """Room for ``kept`` columns of each row, and for those that are found meanwhile."""
    shape = (n_rows, kept + max(GROUP, min(ROOM, n)))
    count, limit = np.zeros(n_rows, np.intp), np.full(n_rows, np.inf, dtype)
    return Candidates(np.empty(shape, dtype), np.empty(shape, index), count, limit)


def _numbers(candidates, kept, order):
    """The columns of candidates, one beyond the last where there are fewer."""
    columns, n = order[:1].repeat(kept) * 0 + len(order), len(candidates.found)
    columns = np.tile(columns, (n, 1))
    there = np.arange(kept) < candidates.found[:, None]
    columns[there] = order[candidates.columns[:, :kept][there]]
    return columns


def _score_of(precision, D, square, n_features):
    """The score that products give at most to rows up to D away, rounded up."""
    margin = _rounding_of_products(precision, np.sqrt(square), D, n_features)
    score = (D + margin - square) / 2
    rounding = 4 * precision.roundoff * (np.abs(score) + D + square)
    score += rounding + precision.underflow
    return score.astype(precision.dtype)


def _rounding_of_products(precision, norm, farthest, n_features):
    """How far products may put a row y nearer to x than it is, if D(x, y) ≤ farthest.

    Then ‖y‖ ≤ r = ‖x‖ + √farthest; any other is farther anyway.  The score is a sum of
    n = d + 1 products of rounded factors, (d + 4) roundings in all, whatever their
    order: its error is at most γ (‖x‖ r + r²/2) with γ = (d + 4) u / (1 − (d + 4) u).
    Those of ‖x‖² and of the differences have no more roundings each.
    """
    share = (n_features + 4) * precision.roundoff * (1 + precision.more)
    gamma = share / (1 - share) if share < 0.5 else np.inf
    reach = (norm + np.sqrt(farthest)) * (1 + 1e-6) + precision.underflow
    tiny = precision.underflow * (n_features + 4) * (1 + norm + reach)
    return 2 * (gamma * (norm * reach + reach**2 / 2) + tiny)
