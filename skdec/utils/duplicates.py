"""Rows as values: which ones are identical, and how many of each there are."""

from hashlib import blake2b
from itertools import pairwise

import numpy as np
from scipy import sparse


def row_keys(X):
    """Return the content of each row of X as bytes (−0.0 counts as 0.0)."""
    if sparse.issparse(X):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
        data = np.split(X.data, X.indptr[1:-1])
        columns = np.split(X.indices.astype(np.int64), X.indptr[1:-1])
        return [a.tobytes() + b.tobytes() for a, b in zip(columns, data, strict=True)]
    plain = X if X.dtype == bool else X + X.dtype.type(0)
    return [row.tobytes() for row in np.ascontiguousarray(plain)]


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
    data, size = entries.tobytes(), entries.itemsize
    ends = X.indptr * size
    return [data[start:end] + b"\1" for start, end in pairwise(ends)]


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
