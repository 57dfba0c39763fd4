"""Squared Euclidean distances: products, and differences where those lose digits."""

import numpy as np
from scipy import sparse

from skdec.kernels.affinities import squared_from_products
from skdec.kernels.types import read_only

# The expanded form ‖a‖² + ‖b‖² − 2a·b keeps about 16 − log10((‖a‖² + ‖b‖²)/D) digits:
# below this ratio the few pairs concerned are computed from their differences instead.
CANCELLATION = 1e-3

# Differences of sparse rows have so many entries at a time, and each is as much work as
# so many pairs.
ENTRIES_AT_ONCE, PAIRS_PER_DIFFERENCE = 2**20, 50

# Dense rows have so many distances, and differences so many entries, at a time.
IN_CACHE = 2**16

# Rows whose products must not depend on how many there are come by so many at a time,
# with so many others, whatever is left of these by other means: BLAS has loops of their
# own for what is left of its blocks, and they round otherwise.
ROWS_ALONE, OTHERS_ALONE = 32, 64


def squared_norms(rows):
    """‖x‖² of each row, dense or sparse."""
    if sparse.issparse(rows):
        return np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)
    return np.einsum("ij,ij->i", rows, rows)


def squared_euclidean(rows, others, their_norms, *, alone=False):
    """D = ‖a‖² + ‖b‖² − 2 a·b of rows a and others b, dense or sparse, float64.

    ``their_norms`` are those of the others.  ``alone``: of each row, if it is dense,
    to the bit whatever rows come with it.
    """
    if alone and not sparse.issparse(rows):
        products = _products_alone(rows, others)
    else:
        products = rows @ others.T
        products = products.toarray() if sparse.issparse(products) else products
    norms = squared_norms(rows)
    near = np.flatnonzero(of_products(products, norms, their_norms))
    settle_near(products, rows, others, norms, their_norms, near)
    return products


def of_products(D, norms, their_norms, own=None):
    """D in place of the products a·b.

    Returns whether each row has a D of which products lose digits.  ``own`` tells which
    of the others the rows are: they are infinitely far from those.
    """
    least = np.empty(len(D))
    squared_from_products(D, norms, read_only(their_norms), least)
    if own is not None:
        D[np.arange(len(own)), own] = np.inf
        D.min(axis=1, out=least)
    # the smallest distances are near the largest norms: most rows need no more
    return least < CANCELLATION * (norms + their_norms.max())


def settle_near(D, rows, others, norms, their_norms, near):
    """D by differences where products lose digits, in the rows of these numbers."""
    if not sparse.issparse(rows):
        _settle_dense(D, rows, others, norms, their_norms, near)
        return
    for r in near:
        j = np.flatnonzero(CANCELLATION * (norms[r] + their_norms) > D[r])
        size = max(1, ENTRIES_AT_ONCE // max(1, rows.indptr[r + 1] - rows.indptr[r]))
        for start in range(0, len(j), size):
            some = j[start : start + size]
            D[r, some] = squared_norms(_difference(rows, others, r, some))


def _settle_dense(D, rows, others, norms, their_norms, near):
    """The same of dense rows: of some at a time, as much as the cache holds."""
    n_rows, n_pairs = (max(1, IN_CACHE // max(1, n)) for n in others.shape)
    for start in range(0, len(near), n_rows):
        some = near[start : start + n_rows]
        lost = CANCELLATION * (norms[some, None] + their_norms) > D[some]
        # of two axes NumPy takes longer
        i, j = np.divmod(np.flatnonzero(lost), len(others))
        i = some[i]
        for first in range(0, len(i), n_pairs):
            pairs = i[first : first + n_pairs], j[first : first + n_pairs]
            D[pairs] = squared_norms(others[pairs[1]] - rows[pairs[0]])


def _products_alone(rows, others):
    """Products of each row with each other one, to the bit whatever rows there are."""
    n = len(others) - len(others) % OTHERS_ALONE
    products = np.empty((len(rows), len(others)))
    padded = np.zeros((ROWS_ALONE, rows.shape[1]))
    for start in range(0, len(rows), ROWS_ALONE):
        b = slice(start, min(start + ROWS_ALONE, len(rows)))
        padded[: b.stop - start] = rows[b]
        products[b, :n] = (padded @ others[:n].T)[: b.stop - start]
    for j in range(n, len(others)):
        products[:, j] = np.einsum("ij,j->i", rows, others[j])
    return products


def _difference(rows, others, r, j):
    # repeated by hand, because stacking sparse matrices takes far longer
    b = slice(*rows.indptr[r : r + 2])
    n, stored = len(j), b.stop - b.start
    parts = np.tile(rows.data[b], n), np.tile(rows.indices[b], n)
    ends = stored * np.arange(n + 1)
    return others[j] - sparse.csr_array((*parts, ends), shape=(n, rows.shape[1]))
