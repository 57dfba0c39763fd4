"""Identical rows, merged and in order."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skdec import StudentTClustering
from skdec.utils.duplicates import merge_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 2, 7, 60])
def test_rows_merge_in_the_same_order(n_features, dtype, rng):
    X = rng.integers(-3, 4, (400, n_features)) * (rng.random((400, n_features)) < 0.4)
    X, weight = (0.37 * X).astype(dtype), rng.integers(0, 3, 400).astype(float)
    X[::7] = -0.0
    rows, total = merge_rows(X, weight)
    # stored zeros, and entries in two parts and out of order, are the same rows
    row, column = np.indices(X.shape).reshape(2, -1)[:, ::-1]
    parts = np.concatenate([X.ravel()[::-1] / 2] * 2)
    other = sparse.csr_matrix((parts, (np.tile(row, 2), np.tile(column, 2))))
    sparse_rows, sparse_total = merge_rows(other, weight)
    assert_array_equal(sparse_rows.toarray(), rows)
    assert_array_equal(sparse_total, total)
    assert sparse_rows.dtype == dtype
    assert_array_equal(rows, np.unique(X[weight > 0], axis=0))


def test_entries_in_parts_are_one_entry(rng):
    X = rng.random((60, 4))
    whole = sparse.csr_matrix(X)
    halves, columns = np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2)
    parts = sparse.csr_matrix((halves, columns, 2 * whole.indptr), X.shape)
    model = StudentTClustering(3, random_state=0).fit(X)
    assert not parts.has_canonical_format
    assert_allclose(model.transform(parts), model.transform(X), rtol=1e-6, atol=1e-9)


def test_64_bit_indices(rng):
    X = sparse.random(200, 30, 0.2, "csr", random_state=0)
    wide = X.copy()
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    narrow = StudentTClustering(3, random_state=0).fit(X)
    model = StudentTClustering(3, random_state=0).fit(wide)
    assert wide.indices.dtype == np.int64
    assert_array_equal(model.transform(wide), narrow.transform(X))
