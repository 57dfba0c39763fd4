"""Memberships q, their frequencies f, and the target p, of rows that are given."""

import numpy as np

from skdec.kernels import clustering
from skdec.kernels.types import read_only

# f^−b, relative to that of the most frequent column, is cut off here, so that it stays
# a number.
LARGEST_INVERSE = {np.dtype(np.float32): 1e30, np.dtype(np.float64): 1e305}


def memberships(rows, centers, dof, threads):
    """Q of scaled rows to centroids in the units of their X."""
    Q = np.empty((rows.shape[0], len(centers)), rows.dtype)
    _assign(rows, centers, dof, threads, Q, np.empty(0, np.int32))
    return Q


def most_probable(rows, centers, dof, threads):
    """argmax_j q_ij, int32, of the same q without its storage."""
    labels = np.empty(rows.shape[0], np.int32)
    _assign(rows, centers, dof, threads, np.empty((0, 0), rows.dtype), labels)
    return labels


def _assign(rows, centers, dof, threads, Q, labels):
    """Fill Q and labels, those of them that are not empty."""
    points, nu = rows.kernel_centers(rows.to_internal(centers)), rows.dtype.type(dof)
    kernel_rows = rows.kernel_rows

    def task(start, stop):
        clustering.soft_assignment_rows(kernel_rows, points, nu, start, stop, Q, labels)

    threads.run_ranges(task, rows.shape[0], rows.shape[0] * len(centers))


def frequencies(Q, weight):
    """f_j = Σ_i w_i q_ij, summed in float64."""
    if weight is None:
        return Q.sum(axis=0, dtype=np.float64)
    return np.einsum("i,ij->j", weight, Q)


def target(Q, f, balance, threads):
    """P of a validated Q and its frequencies."""
    P = np.empty_like(Q)
    inverse, Q = inverse_frequencies(f, balance, Q.dtype), read_only(Q)

    def task(start, stop):
        clustering.target_rows(Q, inverse, start, stop, P)

    threads.run_ranges(task, len(Q), Q.size)
    return P


def inverse_frequencies(f, balance, dtype):
    """f_j^−b up to a common factor, which p does not depend on; 0 where f_j = 0."""
    inverse, largest = np.zeros_like(f), LARGEST_INVERSE[np.dtype(dtype)]
    np.divide(f.max(), np.maximum(f, f.max() / largest), out=inverse, where=f > 0)
    with np.errstate(over="ignore"):
        return np.minimum(inverse**balance, largest).astype(dtype)
