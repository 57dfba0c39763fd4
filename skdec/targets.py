"""Targets p: DEC's sharpened assignments, and the affinities of the data."""

import warnings

import numpy as np
from sklearn.utils._param_validation import validate_params

from skdec._distances import SquaredDistances
from skdec._validation import (
    METRICS,
    PERPLEXITY,
    POSITIVE,
    check_distribution,
    check_matrix,
    check_precomputed,
    check_square,
    check_weight,
    resolve_perplexities,
)
from skdec.execution import Threads
from skdec.kernels import affinities, pairs

# Rows of float64 distances held at a time while P is filled: a few megabytes.
ELEMENTS_PER_BLOCK = 1_000_000
TILE = 512


@validate_params(
    {"Q": ["array-like"], "sample_weight": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def target_distribution(Q, *, sample_weight=None):
    r"""Sharpen soft assignments into DEC's target distribution.

    .. math:: p_{ij} = \frac{q_{ij}^2 / f_j}{\sum_{j'} q_{ij'}^2 / f_{j'}},
              \qquad f_j = \sum_i w_i q_{ij}

    Parameters
    ----------
    Q : array-like of shape (n_samples, n_clusters)
        Soft assignments; non-negative, rows sum to 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights w of the rows in the frequencies f; 1 each by default.

    Returns
    -------
    P : ndarray of shape (n_samples, n_clusters)
        Targets in Q's dtype; rows sum to 1.  A column with f_j = 0 gets p = 0.

    Raises
    ------
    ValueError
        If Q is not a matrix of distributions, or a weight is negative, or all are 0.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016, equation 3.

    Examples
    --------
    >>> from skdec import target_distribution
    >>> target_distribution([[0.75, 0.25], [0.25, 0.75]])
    array([[0.9, 0.1],
           [0.1, 0.9]])
    """
    Q = check_distribution(Q, "Q")
    # P does not depend on the scale of the weights
    weight, _ = check_weight(sample_weight, Q)
    with Threads() as threads:
        return target(Q, frequencies(Q, weight), threads)


def frequencies(Q, weight):
    """f_j = Σ_i w_i q_ij, summed in float64."""
    if weight is None:
        return Q.sum(axis=0, dtype=np.float64)
    return np.einsum("i,ij->j", weight, Q)


def target(Q, f, threads):
    """P of a validated Q and its frequencies."""
    P = np.empty_like(Q)
    f = f.astype(Q.dtype)

    def task(start, stop):
        pairs.target_rows(Q, f, start, stop, P)

    threads.rows(task, len(Q), Q.size)
    return P


@validate_params(
    {
        "X": ["array-like"],
        "perplexity": PERPLEXITY,
        "sigma": [POSITIVE, None],
        "metric": [METRICS, callable],
    },
    prefer_skip_nested_validation=True,
)
def conditional_affinities(X, *, perplexity=30.0, sigma=None, metric="euclidean"):
    r"""Conditional affinities p_{j|i} of SNE.

    .. math:: p_{j|i} = \frac{\exp(-\beta_i d_{ij}^2)}
              {\sum_{k\neq i} \exp(-\beta_i d_{ik}^2)}, \qquad p_{i|i} = 0

    with β_i such that the row has the given perplexity, 2 to the power of its entropy
    in bits, or β = 1/σ² for all rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, n_samples)
        Samples, or their distances (not squared) with ``metric="precomputed"``.
    perplexity : float or list of float, default=30.0
        Effective number of neighbours, from 1 to below n_samples.  Of several, P is
        the average of the scales.  Ignored when ``sigma`` is given.
    sigma : float, default=None
        Fixed bandwidth σ, in the units of the distances.
    metric : str or callable, default="euclidean"
        A metric of :func:`sklearn.metrics.pairwise_distances`, or "precomputed".

    Returns
    -------
    P : ndarray of shape (n_samples, n_samples)
        Affinities in X's dtype; every row i sums to 1 over j ≠ i.

    Raises
    ------
    ValueError
        If X is not finite or has fewer than 2 rows, if a perplexity is below 1 or not
        below n_samples, or if precomputed distances are not square, symmetric and
        non-negative with a zero diagonal.

    Warns
    -----
    UserWarning
        If rows cannot have the perplexity asked for, because it is above
        n_samples − 1 or below the number of ties for the nearest neighbour.

    References
    ----------
    Hinton, Roweis: Stochastic neighbor embedding, NeurIPS 2002, equation 1.
    Lee, Peluffo-Ordóñez, Verleysen: Multi-scale similarities in stochastic neighbour
    embedding, Neurocomputing 2015 (the average of several perplexities).

    Examples
    --------
    >>> from skdec import conditional_affinities
    >>> conditional_affinities([[0.0], [1.0], [3.0]], sigma=2.0).round(3)
    array([[0.   , 0.881, 0.119],
           [0.679, 0.   , 0.321],
           [0.223, 0.777, 0.   ]])
    """
    X = check_matrix(X, "X", ensure_min_samples=2)
    if metric == "precomputed":
        check_precomputed(X)
    perplexities = resolve_perplexities(perplexity, len(X), sigma)
    with Threads(hold_blas=True) as threads:
        distances = SquaredDistances(X, metric)
        return training_affinities(distances, (perplexities, sigma), X.dtype, threads)


def training_affinities(distances, scale, dtype, threads):
    """p_{j|i} between the training rows; ``scale`` is (perplexities, σ or None)."""
    own = np.arange(distances.n_samples)
    return _affinities(distances, distances.rows, own, scale, dtype, threads)


def placement_affinities(distances, rows, scale, threads):
    """p_{j|new} of new (prepared) rows over all training rows, float64."""
    own = np.full(len(rows), -1)
    return _affinities(distances, rows, own, scale, np.float64, threads)


def _affinities(distances, rows, own, scale, dtype, threads):
    """Fill P by blocks, so that only a few megabytes of float64 distances exist."""
    perplexities, sigma = scale
    # β = 1/σ² in units of the distances; finite, so that 0 · β stays 0
    beta = np.nan if sigma is None else min(distances.unit / sigma, 1e150) ** 2
    P = np.empty((len(rows), distances.n_samples), dtype)
    calibrated = np.empty(len(rows), bool)
    size = max(1, ELEMENTS_PER_BLOCK // P.shape[1])

    # ranges of whole blocks: BLAS rounds by the shape of a block, which must not
    # depend on the number of threads
    def task(first_block, last_block):
        for block in range(first_block, last_block):
            b = slice(block * size, (block + 1) * size)
            D = distances.between(rows[b])
            affinities.conditional_rows(
                D, own[b], perplexities, beta, P[b], calibrated[b]
            )

    threads.rows(task, -(-len(rows) // size), P.size)
    missed = np.count_nonzero(~calibrated)
    if missed:
        warnings.warn(
            f"the perplexity cannot be reached for {missed} of {len(rows)} rows, which "
            "keep the nearest one they can have: it is above the number of other "
            "samples, or below the number of ties for the nearest neighbour",
            UserWarning,
            stacklevel=3,
        )
    return P


@validate_params({"P_conditional": ["array-like"]}, prefer_skip_nested_validation=True)
def joint_affinities(P_conditional):
    r"""Joint affinities of symmetric SNE and t-SNE.

    .. math:: p_{ij} = \frac{p_{j|i} + p_{i|j}}{2n}

    Parameters
    ----------
    P_conditional : array-like of shape (n_samples, n_samples)
        Conditional affinities; non-negative, rows sum to 1.  Not modified.

    Returns
    -------
    P : ndarray of shape (n_samples, n_samples)
        Symmetric affinities in the same dtype; the whole sums to 1.

    Raises
    ------
    ValueError
        If the input is not square or its rows are not distributions.

    References
    ----------
    van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 2008, section 3.1.

    Examples
    --------
    >>> from skdec import joint_affinities
    >>> joint_affinities([[0.0, 1.0], [1.0, 0.0]])
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    P = check_distribution(P_conditional, "P_conditional")
    check_square(P, "P_conditional")
    return symmetrise(P.copy())


def symmetrise(P):
    """(P + Pᵀ)/2n in place, tile by tile: no second matrix."""
    n = len(P)
    for row in range(0, n, TILE):
        for column in range(row, n, TILE):
            upper = P[row : row + TILE, column : column + TILE]
            lower = P[column : column + TILE, row : row + TILE]
            joint = (upper + lower.T) / (2 * n)
            upper[...] = joint
            lower[...] = joint.T
    return P
