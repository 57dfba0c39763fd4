"""DEC's target distribution: sharpened assignments."""

import numpy as np
from sklearn.utils._param_validation import validate_params

from skdec._validation import BALANCE, check_distribution, check_weight
from skdec.execution import Threads
from skdec.kernels import clustering

# Columns so rare against the most frequent that f^−b exceeds this are treated as if
# they were just so rare, so that f^−b stays a number.
LARGEST_INVERSE = {np.dtype(np.float32): 1e30, np.dtype(np.float64): 1e305}


@validate_params(
    {
        "Q": ["array-like"],
        "balance": [BALANCE],
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def target_distribution(Q, *, balance=1.0, sample_weight=None):
    r"""Sharpen soft assignments into DEC's target distribution.

    .. math:: p_{ij} = \frac{q_{ij}^2 / f_j^b}{\sum_{j'} q_{ij'}^2 / f_{j'}^b},
              \qquad f_j = \sum_i w_i q_{ij}

    Parameters
    ----------
    Q : array-like of shape (n_samples, n_clusters)
        Soft assignments; non-negative, rows sum to 1.
    balance : float, default=1.0
        Exponent b of the frequencies, not negative.  1.0 is the formula of the paper,
        which draws the sizes of the clusters together; 0.0 leaves f out.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights w of the rows in the frequencies f; 1 each by default.

    Returns
    -------
    P : ndarray of shape (n_samples, n_clusters)
        Targets in Q's dtype; rows sum to 1.  A column with f_j = 0 gets p = 0.

    Raises
    ------
    ValueError
        If Q is not a matrix of distributions, if ``balance`` is negative or not finite,
        or if a weight is negative or all are 0.

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
        return target(Q, frequencies(Q, weight), balance, threads)


def frequencies(Q, weight):
    """f_j = Σ_i w_i q_ij, summed in float64."""
    if weight is None:
        return Q.sum(axis=0, dtype=np.float64)
    return np.einsum("i,ij->j", weight, Q)


def target(Q, f, balance, threads):
    """P of a validated Q and its frequencies."""
    P = np.empty_like(Q)
    inverse = inverse_frequencies(f, balance, Q.dtype)

    def task(start, stop):
        clustering.target_rows(Q, inverse, start, stop, P)

    threads.rows(task, len(Q), Q.size)
    return P


def inverse_frequencies(f, balance, dtype):
    """f_j^−b up to a common factor, which p does not depend on; 0 where f_j = 0."""
    inverse, largest = np.zeros_like(f), LARGEST_INVERSE[np.dtype(dtype)]
    np.divide(f.max(), np.maximum(f, f.max() / largest), out=inverse, where=f > 0)
    with np.errstate(over="ignore"):
        return np.minimum(inverse**balance, largest).astype(dtype)
