"""Rows as values: which ones are identical, and how many of each there are."""

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


def first_occurrences(keys):
    """For each key, the index of the first equal one."""
    seen = {}
    return np.array([seen.setdefault(key, i) for i, key in enumerate(keys)], np.intp)


def merge_rows(X, weight):
    """Merge identical rows, drop weightless ones and put the rest in order of value.

    Fitting on the result makes integer weights the same thing as repeated rows, and
    the outcome independent of the order of the rows.

    Returns
    -------
    rows : {ndarray, CSR matrix} of shape (n_distinct, n_features)
    weight : ndarray of shape (n_distinct,)
    """
    weight = np.ones(X.shape[0]) if weight is None else weight
    used = np.flatnonzero(weight > 0)
    if sparse.issparse(X):
        keys = row_keys(X[used])
        order = sorted(range(len(keys)), key=keys.__getitem__)
        first = first_occurrences([keys[i] for i in order])
        kept, inverse = np.unique(first, return_inverse=True)
        rows, total = X[used[order][kept]], weight[used[order]]
    else:
        rows, inverse = np.unique(X[used], axis=0, return_inverse=True)
        total = weight[used]
    # reshape: NumPy 2.0.0 alone returned the inverse as a column
    total = np.bincount(inverse.reshape(-1), weights=total, minlength=rows.shape[0])
    return rows, total
