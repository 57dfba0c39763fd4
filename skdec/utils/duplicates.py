"""Rows as values: which ones are identical, and how many of each there are."""

from hashlib import blake2b
from itertools import pairwise

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

# Rows are hashed so many at a time, of so many numbers, column by column.
HASHED_ROWS, HASHED_ENTRIES = 4096, 2**20

# Of Steele & Vigna (2022), as good for products modulo 2^64 as they come.
MULTIPLIER = np.uint64(0xF1357AEA2E62A9C5)


def row_keys(X):
    """Yield the content of each row of X as bytes (−0.0 counts as 0.0)."""
    if not sparse.issparse(X):
        yield from (row.tobytes() for row in _plain(X))
        return
    if not (X.has_canonical_format and X.data.all()):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    for a, b in pairwise(X.indptr):
        yield X.indices[a:b].astype(np.int64).tobytes() + X.data[a:b].tobytes()


def _plain(X):
    """Dense rows one after the other, with 0.0 for −0.0."""
    return np.ascontiguousarray(X if X.dtype == bool else X + X.dtype.type(0))


def row_hashes(X):
    """64 bits of each row: the same of identical rows, and of few others."""
    if X.shape[0] == 0:  # neither batches nor keys can be made of none
        return np.empty(0, np.uint64)
    if sparse.issparse(X):
        keys = (blake2b(key, digest_size=8).digest() for key in row_keys(X))
        return np.frombuffer(b"".join(keys), np.uint64)
    hashes = np.zeros(len(X), np.uint64)
    size = min(HASHED_ROWS, max(1, HASHED_ENTRIES // max(1, X.shape[1])))
    for b in gen_batches(len(X), size):
        bits, h = _plain(X[b]).view(f"u{X.itemsize}"), hashes[b]
        for column in bits.T:
            h ^= column
            h *= MULTIPLIER
            # a product moves bits up only, and those of whole numbers are all high
            h ^= h >> np.uint64(32)
    return hashes


def first_identical(X):
    """For each row of X, the index of the first one identical to it."""
    first = np.arange(X.shape[0])
    _, which, count = np.unique(row_hashes(X), return_inverse=True, return_counts=True)
    alike = np.flatnonzero(count[which] > 1)
    first[alike] = alike[first_occurrences(row_keys(X[alike]))]
    return first


class KnownRows:
    """Rows that others are looked for among: sorted hashes, 16 bytes a row.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        The rows, which are not kept.
    """

    def __init__(self, X):
        hashes = row_hashes(X)
        self.order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]

    def find(self, rows, X):
        """For each of ``rows``, the first row of X identical to it, or −1."""
        alike = self.candidates(row_hashes(rows))
        if len(alike) == 0:
            return np.full(rows.shape[0], -1, np.intp)
        known = {}
        for key, i in zip(row_keys(X[alike]), alike, strict=True):
            known.setdefault(key, i)
        return np.array([known.get(key, -1) for key in row_keys(rows)], np.intp)

    def candidates(self, hashes):
        """The rows that have one of these hashes, in their order."""
        wanted = np.unique(hashes)
        starts = np.searchsorted(self.hashes, wanted)
        stops = np.searchsorted(self.hashes, wanted, side="right")
        found = [self.order[a:b] for a, b in zip(starts, stops, strict=True) if a < b]
        return np.sort(np.concatenate(found)) if found else np.empty(0, np.intp)


def identical_rows(rows, X):
    """For each of ``rows``, the first row of X identical to it, or −1."""
    return KnownRows(X).find(rows, X)


def digests(X):
    """For each row of X 16 bytes that tell it from others, stored zeros included.

    They stand for rows that are too long, and too many, to keep.
    """
    if sparse.issparse(X):
        columns, ends = X.indices.astype(np.int64), pairwise(X.indptr)
        rows = (columns[a:b].tobytes() + X.data[a:b].tobytes() for a, b in ends)
    else:
        rows = (row + row.dtype.type(0) for row in X)  # of −0.0 and 0.0 the same
    return [blake2b(row, digest_size=16).digest() for row in rows]


def first_occurrences(keys):
    """For each key, the index of the first equal one."""
    seen = {}
    return np.array([seen.setdefault(key, i) for i, key in enumerate(keys)], np.intp)


def order_keys(X):
    """For each row of a CSR matrix bytes that sort as its values do, zeros included.

    Rows are compared as dense ones are, by the first column in which they differ.  An
    entry that the other row lacks is compared with 0: a negative one comes before it,
    the sooner the further left, a positive one after it, the later the further left.
    So each entry becomes a class (0 negative, 2 positive, and 1 where the row ends),
    its column, counted down if positive, and its value, as integers that sort alike.
    """
    bits = X.data.astype(np.float64).view(np.uint64)
    negative, top = X.data < 0, np.uint64(1 << 63)
    entries = np.empty(X.nnz, [("class", "u1"), ("column", ">u8"), ("value", ">u8")])
    entries["class"] = np.where(negative, 0, 2)
    columns = X.indices.astype(np.uint64)
    entries["column"] = np.where(negative, columns, ~columns)
    entries["value"] = np.where(negative, ~bits, bits | top)
    return [entries[a:b].tobytes() + b"\1" for a, b in pairwise(X.indptr)]


def merge_rows(X, weight):
    """Merge identical rows, drop weightless ones and put the rest in order of value.

    Fitting on the result makes integer weights the same thing as repeated rows, and
    the outcome independent of the order of the rows.  Dense and sparse rows of the
    same values come in the same order.

    Returns
    -------
    rows : {ndarray, CSR matrix} of shape (n_distinct, n_features)
    weight : ndarray of shape (n_distinct,)
    """
    used = np.flatnonzero(weight > 0)
    if sparse.issparse(X):
        rows = sparse.csr_matrix(X[used], copy=True)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        keys = order_keys(rows)
        order = sorted(range(len(keys)), key=keys.__getitem__)
        first = [
            i == 0 or keys[order[i]] != keys[order[i - 1]] for i in range(len(order))
        ]
        rows, total = rows[np.array(order)[first]], weight[used][order]
        inverse = np.cumsum(first) - 1
    else:
        rows, inverse = np.unique(X[used], axis=0, return_inverse=True)
        total = weight[used]
    # reshape: NumPy 2.0.0 alone returned the inverse as a column
    total = np.bincount(inverse.reshape(-1), weights=total, minlength=rows.shape[0])
    return rows, total
