"""The affinities p of the data: what the map of an embedding is matched to."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.special import xlogy

from skdec.kernels import affinities
from skdec.utils.warn import warn

# Float64 distances held at a time by a thread: a few megabytes.
ELEMENTS_PER_BLOCK = 400_000

# Distance and calibration of a pair cost as much as so many pairs of the embedding.
PAIRS_PER_DISTANCE = 50

# Rows on which the share of P beyond the neighbours is measured.
TRUNCATION_ROWS = 256


@dataclass
class Affinities:
    """Symmetric affinities of an embedding, each pair held once or sparsely.

    Attributes
    ----------
    P : ndarray of shape (n_samples, n_samples // 2) or CSR array
        p_ij, or (p_{j|i} + p_{i|j})/2 under conditional normalisation.  Dense: row i
        holds the points that follow it in cyclic order, i + 1, i + 2, …; for even n the
        last column counts in the first half of the rows only.  Sparse: every pair
        twice.
    negentropy : float
        Σ p log p over all ordered pairs, of the p_{j|i} if conditional.
    mass : ndarray of shape (n_samples,)
        Σ_j p_{j|i} of each row, or Σ_j p_ij.
    sigma : float
        The mean bandwidth 1/√β, in units of the distances.
    truncated_mass : float
        What of the conditional p over all other points is left out.
    """

    P: np.ndarray
    negentropy: float
    mass: np.ndarray
    sigma: float = np.nan
    truncated_mass: float = 0.0

    @property
    def n_samples(self):
        return self.P.shape[0]

    @property
    def chance(self):
        """KL(P‖Q) of points that all coincide, whose q are all the same."""
        total, n = self.mass.sum(), self.n_samples
        pairs = n * (n - 1) if total < 1.5 else n - 1
        return self.negentropy + total * np.log(pairs)


def from_matrix(P, dtype):
    """Affinities of a given (n, n) matrix, which need not be symmetric."""
    n = len(P)
    half = np.zeros((n, n // 2), dtype)
    for i in range(n):
        following = (i + 1 + np.arange(n // 2 - (n % 2 == 0 and i >= n // 2))) % n
        half[i, : len(following)] = (P[i, following] + P[following, i]) / 2
    negentropy = sum(xlogy(row, row).sum(dtype=np.float64) for row in P)
    return Affinities(half, negentropy, P.sum(axis=1, dtype=np.float64))


def dense_affinities(distances, scale, joint, dtype, threads):
    """Affinities over all pairs, without ever holding them twice.

    A first pass over the distances calibrates the rows, a second fills P: computing
    distances again costs less than keeping them, in time as in memory.  Not so for a
    metric that is a function in Python, which need not be symmetric either.
    """
    n = distances.n_samples
    own = np.arange(n)
    if callable(distances.metric):
        P, scales = _conditional(
            distances, distances.rows, own, scale, np.float64, threads
        )
        whole = from_matrix((P + P.T) / (2 * n) if joint else P, dtype)
        return replace(whole, sigma=_mean_sigma(scales))
    scales = _calibrate(distances, distances.rows, own, scale, threads)
    near, beta, total = scales
    parts = near, beta, total * len(total)
    twice = tuple(np.concatenate([part, part], axis=-1) for part in parts)
    P, negentropy = np.empty((n, n // 2), dtype), np.empty(n)

    def task(first, last):
        columns = slice(first + 1, last + n // 2)
        if columns.stop > n:
            columns = np.arange(columns.start, columns.stop) % n
        D = distances.between(distances.rows[first:last], columns)
        affinities.symmetric_rows(D, first, twice, joint, P, negentropy)
        if joint:  # every pair twice
            p = P[first:last]
            pieces = xlogy(p, p).sum(axis=1, dtype=np.float64)
            negentropy[first:last] = 2 * pieces

    _by_blocks(task, n, n, threads)
    mass = np.full(n, 1 / n if joint else 1.0)
    return Affinities(P, negentropy.sum(), mass, _mean_sigma(scales))


def graph_affinities(columns, D, scale, joint, dtype, threads, *, again=False):
    """Affinities over given neighbours: p_{j|i} = 0 for all others.

    ``columns`` and ``D``, of shape (n_samples, n_neighbors), are the neighbours of each
    point and the squared distances to them.  ``again``: of rows that have been
    calibrated before, so that what is to be said of them has been said.
    """
    n = len(D)
    P, scales = neighbour_rows(D, scale, threads, again=again)
    edges = np.arange(0, D.size + 1, D.shape[1])
    P = sparse.csr_array((P.ravel(), columns.ravel(), edges), shape=(n, n))
    conditional = xlogy(P.data, P.data).sum()
    P = ((P + P.T) / (2 * n if joint else 2)).tocsr()
    P.sort_indices()
    negentropy = xlogy(P.data, P.data).sum() if joint else conditional
    mass = P.sum(axis=1) if joint else np.ones(n)
    return Affinities(P.astype(dtype), negentropy, mass, _mean_sigma(scales))


def neighbour_rows(D, scale, threads, *, again=False):
    """p_{j|i} over given neighbours, from the squared distances, and its scales."""
    own = np.full(len(D), -1)
    P = np.empty(D.shape)
    scales, calibrated = _scales(len(D), scale)

    def task(first, last):
        b = slice(first, last)
        block = np.ascontiguousarray(D[b])
        _calibrate_block(block, own[b], scale, scales, calibrated, b)
        affinities.conditional_rows(block, own[b], *_part(scales, b), P[b])

    _by_blocks(task, len(D), D.shape[1], threads)
    if not again:
        _warn_of(calibrated)
    return P, scales


def truncated_mass(distances, columns, scale, threads):
    """The mean share of the full p_{j|i} outside the given neighbours.

    Over at most 256 rows, evenly spread; NaN where only neighbours are known.
    """
    if distances.metric == "precomputed" and sparse.issparse(distances.rows):
        return np.nan
    n = distances.n_samples
    own = np.unique(np.linspace(0, n - 1, TRUNCATION_ROWS).astype(np.intp))
    rows = distances.rows[own]
    P = conditional_rows(distances, rows, own, scale, np.float32, threads, again=True)
    kept = np.take_along_axis(P, columns[own], axis=1).sum(axis=1, dtype=np.float64)
    return max(0.0, 1 - kept.mean())


def _mean_sigma(scales):
    beta = scales[1]
    return float(np.mean(1 / np.sqrt(beta[beta > 0]))) if (beta > 0).any() else np.inf


def conditional_rows(distances, rows, own, scale, dtype, threads, *, again=False):
    """p_{j|i} of (prepared) rows over all training rows; ``own`` is −1 for new rows."""
    return _conditional(distances, rows, own, scale, dtype, threads, again=again)[0]


def _conditional(distances, rows, own, scale, dtype, threads, *, again=False):
    P = np.empty((rows.shape[0], distances.n_samples), dtype)
    scales, calibrated = _scales(rows.shape[0], scale)

    def task(first, last):
        b = slice(first, last)
        D = distances.between(rows[b])
        _calibrate_block(D, own[b], scale, scales, calibrated, b)
        affinities.conditional_rows(D, own[b], *_part(scales, b), P[b])

    _by_blocks(task, rows.shape[0], P.shape[1], threads)
    if not again:
        _warn_of(calibrated)
    return P, scales


def _calibrate(distances, rows, own, scale, threads):
    """(D°, β, total) of each row; β and total of shape (n_scales, n_rows)."""
    scales, calibrated = _scales(rows.shape[0], scale)

    def task(first, last):
        b = slice(first, last)
        D = distances.between(rows[b])
        _calibrate_block(D, own[b], scale, scales, calibrated, b)

    _by_blocks(task, rows.shape[0], distances.n_samples, threads)
    _warn_of(calibrated)
    return scales


def _scales(n_rows, scale):
    n_scales = max(1, len(scale[0]))
    scales = (
        np.empty(n_rows),
        np.empty((n_scales, n_rows)),
        np.empty((n_scales, n_rows)),
    )
    return scales, np.empty(n_rows, bool)


def _part(scales, b):
    near, beta, total = scales
    return near[b], beta[:, b], total[:, b]


def _calibrate_block(D, own, scale, scales, calibrated, b):
    perplexities, beta = scale
    fixed = np.nan if beta is None else beta
    affinities.calibrate_rows(
        D, own, perplexities, fixed, *_part(scales, b), calibrated[b]
    )


def _by_blocks(task, n_rows, n_columns, threads):
    """Call ``task(first, last)`` over blocks of rows.

    Whole blocks go to the threads: BLAS rounds by the shape of a block, which must not
    depend on their number.
    """
    size = max(1, ELEMENTS_PER_BLOCK // n_columns)

    def blocks(start, stop):
        for block in range(start, stop):
            task(block * size, min((block + 1) * size, n_rows))

    n_pairs = n_rows * n_columns
    threads.rows(blocks, -(-n_rows // size), PAIRS_PER_DISTANCE * n_pairs)


def _warn_of(calibrated):
    missed = np.count_nonzero(~calibrated)
    if missed:
        warn(
            f"the perplexity cannot be reached for {missed} of {len(calibrated)} rows, "
            "which keep the nearest one they can have: it is above the number of other "
            "samples, or below the number of ties for the nearest neighbour",
            UserWarning,
        )
