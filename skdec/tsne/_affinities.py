"""The affinities p of the data: what the map of an embedding is matched to."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import xlogy

from skdec.kernels import affinities
from skdec.kernels.types import Scales, read_only
from skdec.tsne._distances import ELEMENTS_PER_BLOCK
from skdec.tsne._graph import symmetric_graph
from skdec.utils.warn import warn

# Distance and calibration of a pair cost as much as so many pairs of the embedding.
PAIRS_PER_DISTANCE = 50

# The share of P beyond the neighbours is measured on this many rows.
TRUNCATION_ROWS = 256

# With a fixed σ, this perplexity says how many neighbours are needed.
DEFAULT_PERPLEXITY = 30.0


class Conditional(NamedTuple):
    """p_{j|i} of some rows, and the scales that describe them."""

    P: np.ndarray
    scales: Scales
    reached: np.ndarray  # whether the perplexity of each is the one asked for


class Calibrated(NamedTuple):
    """The scales of rows, and of which of them the perplexity is the one asked for."""

    scales: Scales
    reached: np.ndarray


def neighbors_needed(perplexities, n_samples, weights=None):
    """How many neighbours stand for all others: three times the perplexity."""
    most = n_samples - 1 if weights is None else n_others(weights[weights > 0]).max()
    widest = max(perplexities, default=DEFAULT_PERPLEXITY)
    return min(most, int(np.ceil(3 * widest)))


def n_others(weights):
    """How many others a copy of each point has: W − 1, or W − w_i where w_i < 1."""
    return weights.sum() - np.minimum(weights, 1)


def own_copies(weights):
    """How many of them are at its own place."""
    return np.maximum(weights - 1, 0)


@dataclass(frozen=True)
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
    neighbor_recall : float
        The share of true neighbours among those p is over.
    weights : ndarray of shape (n_samples,) or None
        How many copies w of each point there are; then P is summed over those of both
        points, and the sums go over all copies.
    """

    P: np.ndarray
    negentropy: float
    mass: np.ndarray
    sigma: float = np.nan
    truncated_mass: float = 0.0
    neighbor_recall: float = 1.0
    weights: np.ndarray | None = None

    @property
    def n_samples(self):
        return self.P.shape[0]

    @property
    def chance(self):
        """KL(P‖Q) of points that all coincide, whose q are all the same."""
        total, n = self.mass.sum(), self.n_samples
        if self.weights is not None:
            others = n_others(self.weights)
            pairs = np.log(others if total > 1.5 else self.weights @ others)
            return self.negentropy + np.sum(self.mass * pairs)
        pairs = n * (n - 1) if total < 1.5 else n - 1
        return self.negentropy + total * np.log(pairs)


def from_matrix(P, dtype):
    """Affinities of a given (n, n) matrix, which need not be symmetric."""
    n = len(P)
    half = np.zeros((n, n // 2), dtype)
    for i in range(n):
        # as many as ``n_met`` in kernels/pairs.py, which only kernels can call
        following = (i + 1 + np.arange(n // 2 - (n % 2 == 0 and i >= n // 2))) % n
        half[i, : len(following)] = (P[i, following] + P[following, i]) / 2
    negentropy = sum(xlogy(row, row).sum(dtype=np.float64) for row in P)
    return Affinities(half, negentropy, P.sum(axis=1, dtype=np.float64))


def from_graph(P, dtype):
    """Affinities of a given sparse matrix, which need not be symmetric."""
    P = sparse.csr_array(P, dtype=np.float64)
    symmetric = symmetric_part(P)
    symmetric.sort_indices()
    negentropy = xlogy(P.data, P.data).sum()
    return Affinities(symmetric.astype(dtype), negentropy, P.sum(axis=1))


def symmetric_part(P):
    """(P + Pᵀ)/2 of a CSR matrix."""
    symmetric = (P + P.T).tocsr()
    symmetric.data *= 0.5  # in its place: this is the most memory that P ever takes
    return symmetric


def dense_affinities(distances, bandwidths, joint, dtype, threads, weights=None):
    """Affinities over all pairs, without ever holding them twice.

    A first pass over the distances calibrates the rows, a second fills P: computing
    distances again costs less than keeping them, in time as in memory.  Not so for a
    metric that is a function in Python, which need not be symmetric either.
    """
    n = distances.n_samples
    own = np.arange(n)
    if callable(distances.metric):
        P, scales, reached = _conditional(
            distances, distances.rows, own, bandwidths, np.float64, threads, weights
        )
        warn_if_missed(reached, weights)
        if weights is not None:
            return _of_copies(P, scales, weights, joint, dtype)
        whole = from_matrix(_joint(P, n) if joint else P, dtype)
        return replace(whole, sigma=_mean_sigma(scales))
    scales = _calibrate(distances, distances.rows, own, bandwidths, threads, weights)
    total = scales.total
    parts = scales._replace(total=total * len(total))
    twice = Scales(*(np.concatenate([part, part], axis=-1) for part in parts))
    P, negentropy = np.empty((n, n // 2), dtype), np.empty(n)
    cycle = np.empty(0) if weights is None else np.concatenate([weights, weights])

    def task(first, last):
        # around the end in two slices: of an index of columns the rows would be copied,
        # half of them all for each thread
        rows, stop = distances.rows[first:last], last + n // 2
        runs = slice(first + 1, min(stop, n)), slice(0, max(stop - n, 0))
        parts = [distances.between(rows, run) for run in runs if run.start < run.stop]
        D = parts[0] if len(parts) == 1 else np.hstack(parts)
        affinities.symmetric_rows(D, first, twice, cycle, joint, P, negentropy)
        p, pairs = P[first:last], 1.0
        if weights is not None:
            pairs = _pairs_of_copies(cycle, n, slice(first, last))
            if joint:
                p *= n / weights.sum()
        if joint:  # every pair twice
            pieces = (xlogy(p, p) * pairs).sum(axis=1, dtype=np.float64)
            negentropy[first:last] = 2 * pieces
        if weights is not None:
            p *= pairs

    if n > 1:
        _by_blocks(task, n, n, threads)
    else:  # copies of one point
        negentropy[:] = 0
    if weights is not None:
        whole = Affinities(P, negentropy.sum(), np.empty(0), _mean_sigma(scales))
        return _with_own_copies(whole, scales, weights, joint)
    mass = np.full(n, 1 / n if joint else 1.0)
    return Affinities(P, negentropy.sum(), mass, _mean_sigma(scales))


def _pairs_of_copies(cycle, n, rows):
    """w_i w_j of each pair that some rows of a dense P hold."""
    following = np.lib.stride_tricks.sliding_window_view(cycle[1:], n // 2)
    return cycle[rows, None] * following[rows]


def _with_own_copies(affinities_, scales, weights, joint):
    """The same with Σ p log p of the pairs at one place, and the mass of all.

    p of such a pair is 1/total, the mean over the scales, as D° = 0 there.
    """
    p = (1 / scales.total).mean(axis=0) * (1 / weights.sum() if joint else 1)
    own = (weights * own_copies(weights) * xlogy(p, p)).sum()
    return replace(
        affinities_,
        negentropy=affinities_.negentropy + own,
        mass=weights / weights.sum() if joint else weights,
        weights=weights,
    )


def _joint(P, total):
    """(P + Pᵀ)/2 over the number of samples."""
    whole = P + P.T
    whole /= 2 * total
    return whole


def _of_copies(P, scales, weights, joint, dtype):
    """Affinities of copies from p_{j|i} of one copy of each, its diagonal 0."""
    p = _joint(P, weights.sum()) if joint else P
    negentropy = float(weights @ xlogy(p, p) @ weights)
    p *= weights[:, None]
    p *= weights
    whole = from_matrix(p, dtype)
    whole = replace(whole, negentropy=negentropy, sigma=_mean_sigma(scales))
    return _with_own_copies(whole, scales, weights, joint)


def graph_affinities(
    neighbors,
    bandwidths,
    joint,
    dtype,
    threads,
    *,
    again=False,
    weights=None,
    calibrated=None,
):
    """Affinities over given neighbours: p_{j|i} = 0 for all others.

    ``neighbors`` are ``Neighbors`` of each point, and ``calibrated`` their scales where
    these are known.  ``again``: of rows that have been calibrated before, so that what
    is to be said of them has been said.
    """
    if calibrated is None:
        calibrated = calibrated_lists(neighbors, bandwidths, threads)
    if not again:
        warn_if_missed(calibrated.reached, weights)
    scales = calibrated.scales
    graph = symmetric_graph(neighbors, scales, joint, dtype, threads, weights)
    mass = np.ones(len(neighbors.D)) if weights is None else weights
    mass = graph.sums.mass if joint else mass
    negentropy = graph.sums.negentropy.sum()
    return Affinities(graph.P, negentropy, mass, _mean_sigma(scales), weights=weights)


def neighbour_rows(neighbors, bandwidths, threads):
    """``Conditional`` rows over given neighbours, p summed over the copies of each."""
    D = neighbors.D
    scales, reached = calibrated_lists(neighbors, bandwidths, threads)
    P = np.empty(D.shape)

    def task(first, last):
        b = slice(first, last)
        block, own = np.ascontiguousarray(D[b]), np.full(last - first, -1)
        affinities.conditional_rows(block, own, _part(scales, b), P[b])

    _by_blocks(task, len(D), D.shape[1], threads)
    if neighbors.counts is not None:
        P *= neighbors.counts
    return Conditional(P, scales, reached)


def calibrated_lists(neighbors, bandwidths, threads):
    """``Calibrated`` rows, each from the squared distances to its neighbours alone."""
    D, counts = neighbors.D, neighbors.counts
    own = np.full(len(D), -1)
    scales, reached = _empty_scales(len(D), bandwidths)

    def task(first, last):
        b = slice(first, last)
        block, part = np.ascontiguousarray(D[b]), _part(scales, b)
        times = None if counts is None else np.ascontiguousarray(counts[b])
        calibrate(block, own[b], times, bandwidths, part, reached[b])

    _by_blocks(task, len(D), D.shape[1], threads)
    return Calibrated(scales, reached)


def truncated_mass(distances, neighbors, bandwidths, threads, weights=None):
    """The mean share of the full p_{j|i} outside the given neighbours.

    Over at most 256 rows, evenly spread; NaN where only neighbours are known.
    """
    n = distances.n_samples
    if distances.metric == "precomputed" and sparse.issparse(distances.rows):
        return np.nan
    own = np.unique(np.linspace(0, n - 1, TRUNCATION_ROWS).astype(np.intp))
    rows, kept = distances.training_rows(own), np.empty(len(own))
    scales, calibrated = _empty_scales(len(own), bandwidths)

    def task(first, last):
        b = slice(first, last)
        D, part = distances.between(rows[b]), _part(scales, b)
        row = _calibrate_block(D, own[b], weights, bandwidths, part, calibrated[b])
        D = np.take_along_axis(row, neighbors.columns[own[b]], axis=1)
        P = np.empty(D.shape)
        affinities.conditional_rows(D, np.full(len(D), -1), part, P)
        if weights is not None:
            P *= neighbors.counts[own[b]]
        kept[b] = P.sum(axis=1)

    _by_blocks(task, len(own), n, threads, distances.elements_at_once)
    share = None if weights is None else weights[own]
    return max(0.0, 1 - np.average(kept, weights=share))


def calibrate(D, own, counts, bandwidths, scales, calibrated):
    """``affinities.calibrate_rows``, compiled once for arrays of a file and others."""
    perplexities = read_only(bandwidths.perplexities)
    bandwidths = bandwidths._replace(perplexities=perplexities)
    affinities.calibrate_rows(read_only(D), own, counts, bandwidths, scales, calibrated)


def _calibrate_block(D, own, weights, bandwidths, scales, calibrated):
    """Calibrate rows of all distances; returns D, that of a point to itself 0.

    With weights, the copies of a point are among its own neighbours.
    """
    if weights is None:
        calibrate(D, own, None, bandwidths, scales, calibrated)
        return D
    counts = np.tile(weights, (len(D), 1))
    itself = np.flatnonzero(own >= 0)
    D[itself, own[itself]] = 0
    counts[itself, own[itself]] = own_copies(weights[own[itself]])
    new = np.full(len(D), -1)
    calibrate(D, new, counts, bandwidths, scales, calibrated)
    return D


def _mean_sigma(scales):
    beta = scales.beta
    return float(np.mean(1 / np.sqrt(beta[beta > 0]))) if (beta > 0).any() else np.inf


def conditional_rows(distances, bandwidths, dtype, threads):
    """p_{j|i} of the training rows over all others."""
    own = np.arange(distances.n_samples)
    found = _conditional(distances, distances.rows, own, bandwidths, dtype, threads)
    warn_if_missed(found.reached)
    return found.P


def new_rows(distances, rows, bandwidths, threads, weights=None):
    """``Conditional`` new (prepared) rows over all training rows and their copies."""
    own = np.full(rows.shape[0], -1)
    found = _conditional(distances, rows, own, bandwidths, np.float64, threads, weights)
    return found if weights is None else found._replace(P=found.P * weights)


def _conditional(distances, rows, own, bandwidths, dtype, threads, weights=None):
    P = np.empty((rows.shape[0], distances.n_samples), dtype)
    new = bool((own < 0).all())  # each of them is placed alone
    scales, calibrated = _empty_scales(rows.shape[0], bandwidths)

    def task(first, last):
        b = slice(first, last)
        D, part = distances.between(rows[b], alone=new), _part(scales, b)
        _calibrate_block(D, own[b], weights, bandwidths, part, calibrated[b])
        affinities.conditional_rows(D, own[b], part, P[b])

    _by_blocks(task, rows.shape[0], P.shape[1], threads)
    return Conditional(P, scales, calibrated)


def training_scales(distances, bandwidths, threads):
    """The scales of all training rows, which a fit has calibrated before."""
    own = np.arange(distances.n_samples)
    return _calibrate(distances, distances.rows, own, bandwidths, threads, again=True)


def _calibrate(distances, rows, own, bandwidths, threads, weights=None, *, again=False):
    """The scales of the rows."""
    scales, calibrated = _empty_scales(rows.shape[0], bandwidths)

    def task(first, last):
        b = slice(first, last)
        D, part = distances.between(rows[b]), _part(scales, b)
        _calibrate_block(D, own[b], weights, bandwidths, part, calibrated[b])

    _by_blocks(task, rows.shape[0], distances.n_samples, threads)
    if not again:
        warn_if_missed(calibrated, weights)
    return scales


def _empty_scales(n_rows, bandwidths):
    """Room for the scales of rows, and for whether each has been calibrated."""
    shape = max(1, len(bandwidths.perplexities)), n_rows
    scales = Scales(np.empty(n_rows), np.empty(shape), np.empty(shape))
    return scales, np.empty(n_rows, bool)


def _part(scales, b):
    """The scales of some of the rows."""
    return Scales(scales.near[b], scales.beta[:, b], scales.total[:, b])


def _by_blocks(task, n_rows, n_columns, threads, elements=ELEMENTS_PER_BLOCK):
    """Call ``task(first, last)`` over blocks of rows.

    Whole blocks go to the threads: BLAS rounds by the shape of a block, which must not
    depend on their number.
    """
    size = max(1, elements // n_columns)

    def blocks(start, stop):
        for block in range(start, stop):
            task(block * size, min((block + 1) * size, n_rows))

    n_pairs = n_rows * n_columns
    threads.run_ranges(blocks, -(-n_rows // size), PAIRS_PER_DISTANCE * n_pairs)


def warn_if_missed(calibrated, weights=None):
    """Warn of rows that do not have the perplexity; of new ones each counts once."""
    weights = np.ones(len(calibrated)) if weights is None else weights
    missed = weights[~calibrated].sum()
    if missed:
        warn(
            f"the perplexity cannot be reached for {missed:.10g} of "
            f"{weights.sum():.10g} rows, "
            "which keep the nearest one they can have: it is above the number of other "
            "samples, or below the number of ties for the nearest neighbour",
            UserWarning,
        )
