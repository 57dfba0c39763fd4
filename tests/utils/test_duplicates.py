"""Identical rows, merged and in order."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skdec import StudentTClustering
from skdec.utils import duplicates
from skdec.utils.duplicates import (
    first_identical,
    identical_rows,
    merge_rows,
    order_keys,
    row_hashes,
)


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


@pytest.mark.parametrize(
    "X",
    [
        sparse.random(20_000, 3000, 0.02, "csr", random_state=0),
        np.random.default_rng(0).normal(size=(600, 20_000)),
    ],
    ids=["sparse", "wide"],
)
def test_identical_rows_are_found_without_a_copy_of_all(X):
    stored = X.data.nbytes if sparse.issparse(X) else X.nbytes
    first_identical(X[:2])
    tracemalloc.start()
    first = first_identical(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_array_equal(first, np.arange(X.shape[0]))
    assert peak < stored / 3


def test_64_bit_indices(rng):
    X = sparse.random(200, 30, 0.2, "csr", random_state=0)
    wide = X.copy()
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    narrow = StudentTClustering(3, random_state=0).fit(X)
    model = StudentTClustering(3, random_state=0).fit(wide)
    assert wide.indices.dtype == np.int64
    assert_array_equal(model.transform(wide), narrow.transform(X))


def test_order_keys_count_no_bytes_in_the_dtype_of_the_indices():
    X = sparse.random(20, 10, 0.3, "csr", random_state=0)
    expected = order_keys(X)
    # an entry takes 17 bytes: those of 60 overflow 8 bits, as many more would 32
    X.indptr = X.indptr.astype(np.int8)
    assert order_keys(X) == expected


def first_of(row, others):
    """The first of other rows with the same values, by comparing them all; or −1."""
    same = [i for i, other in enumerate(others) if (other == row).all()]
    return same[0] if same else -1


def few_values(rng, dtype, n):
    X = rng.integers(0, 3, (n, 4)).astype(dtype)
    return X if dtype is bool else X * X.dtype.type(-0.5)  # with −0.0 for 0


@pytest.mark.parametrize("hashed_rows", [7, 4096])
@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, bool])
def test_identical_rows_are_found(rng, monkeypatch, dtype, container, hashed_rows):
    monkeypatch.setattr(duplicates, "HASHED_ROWS", hashed_rows)
    X, rows = few_values(rng, dtype, 60), few_values(rng, dtype, 20)
    X[3], rows[0] = X[50], X[50]
    if dtype is not bool:
        X[3] += X.dtype.type(0)  # 0.0 for −0.0
        rows[5] = 9
    first = [first_of(row, X) for row in X]
    assert_array_equal(first_identical(container(X)), first)
    found = identical_rows(container(rows), container(X))
    expected = [first_of(row, X) for row in rows]
    assert_array_equal(found, expected)
    assert len(np.unique(first)) < 60 and expected[0] >= 0


def test_rows_of_the_same_hash_are_still_told_apart(rng, monkeypatch):
    monkeypatch.setattr(duplicates, "MULTIPLIER", np.uint64(0))
    X = few_values(rng, np.float64, 60)
    assert len(np.unique(row_hashes(X))) == 1
    assert_array_equal(first_identical(X), [first_of(row, X) for row in X])
    rows = few_values(rng, np.float64, 9)
    found = identical_rows(rows, X)
    assert_array_equal(found, [first_of(row, X) for row in rows])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hashes_tell_whole_numbers_apart(rng, dtype):
    X = np.unique(rng.integers(0, 256, (3000, 5)), axis=0).astype(dtype)
    X = np.vstack([X, X[:, ::-1]])
    assert len(np.unique(row_hashes(X))) == len(np.unique(X, axis=0))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_no_rows_have_no_hashes(make):
    hashes = row_hashes(make(np.empty((0, 3))))
    assert hashes.shape == (0,) and hashes.dtype == np.uint64
