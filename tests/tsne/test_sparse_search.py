"""Neighbours of sparse rows."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.neighbors import NearestNeighbors

import skdec.tsne._sparse_search as search
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._sparse_search import SparseIndex
from skdec.utils.threads import Threads
from tests import naive


def texts(rng, n=150, n_words=80):
    """Counts of few words; some rows are without any, and some words in no row."""
    X = rng.poisson(rng.gamma(0.2, size=n_words), size=(n, n_words)).astype(float)
    X[rng.integers(n, size=3)] = 0
    X[:, rng.integers(n_words, size=5)] = 0
    return X


def found_by(index, rows, k, own=None, n_threads=1):
    with Threads(n_threads, hold_blas=True) as threads:
        return index.search(rows, k, threads, own)


def nearest(rows, others, k, own=None):
    """D to the k nearest and which they are, by plain loops, the first of equals."""
    D, columns = [], []
    for i, row in enumerate(rows):
        distances = [naive.squared_distance(row, other) for other in others]
        if own is not None:
            distances[own[i]] = np.inf
        order = sorted(range(len(others)), key=lambda j: (distances[j], j))[:k]
        D.append([distances[j] for j in order])
        columns.append(order)
    return np.array(D), np.array(columns)


# Whole numbers, of which D are exact and many are ties.
@pytest.mark.parametrize("k", [1, 12, 149])
@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_the_nearest_are_found_and_of_equal_ones_the_first(rng, k, index_type):
    X = texts(rng)
    S = sparse.csr_array(X)
    S.indices, S.indptr = S.indices.astype(index_type), S.indptr.astype(index_type)
    own = np.arange(len(X))
    D, columns = nearest(X, X, k, own)
    found = found_by(SparseIndex(S), S, k, own)
    assert_array_equal(found.columns, columns)
    assert_array_equal(found.distances, D)


def test_rows_that_are_not_indexed(rng):
    X, new = texts(rng), texts(rng, 20)
    D, columns = nearest(new, X, 7)
    found = found_by(SparseIndex(sparse.csr_array(X)), sparse.csr_array(new), 7)
    assert_array_equal(found.columns, columns)
    assert_array_equal(found.distances, D)


def test_blocks_and_threads_change_nothing(rng, monkeypatch):
    X = sparse.csr_array(texts(rng, 400) * rng.uniform(size=(400, 1)))
    index, own = SparseIndex(X), np.arange(400)
    expected = found_by(index, X, 10, own)
    some = [slice(i, i + 1) for i in range(0, 400, 9)]
    alone = [found_by(index, X[i], 10, own[i]) for i in some]
    for size in (1, 7, 64):
        monkeypatch.setattr(search, "ROWS_PER_BLOCK", size)
        monkeypatch.setattr("skdec.utils.threads.SERIAL_PAIRS", 0)
        for n_threads in (1, 2, 3):
            found = found_by(index, X, 10, own, n_threads)
            for part, whole in zip(found, expected, strict=True):
                assert_array_equal(part, whole)
    for part, i in zip(alone, some, strict=True):
        assert_array_equal(part.columns, expected.columns[i])
        assert_array_equal(part.distances, expected.distances[i])


def test_differences_decide_where_products_lose_digits(rng):
    """Rows of few entries in heaps of 1e-6, as far as 1e3 from zero."""
    X = np.zeros((60, 30))
    for heap in range(3):
        rows = slice(20 * heap, 20 * (heap + 1))
        X[rows, 10 * heap : 10 * heap + 4] = 1e3 * rng.uniform(1, 2, size=4)
        X[rows, 10 * heap : 10 * heap + 4] += 1e-6 * rng.normal(size=(20, 4))
    own, S = np.arange(60), sparse.csr_array(X)
    D, columns = nearest(X, X, 15, own)
    found = found_by(SparseIndex(S), S, 15, own)
    assert_array_equal(found.columns, columns)
    assert_allclose(found.distances, D, rtol=1e-9)


def test_rows_whose_products_lose_digits_are_handed_out_alone(rng, monkeypatch):
    """Ctrl-C is seen between two of them: all others are as near beside one column."""
    X = texts(rng, 300)
    X[:, 0] = 2000 + rng.integers(20, size=300)
    S, own = sparse.csr_array(X), np.arange(300)
    monkeypatch.setattr("skdec.utils.threads.PAIRS_PER_CALL", 2**18)
    handed = []

    class Noting(Threads):
        def run_ranges(self, task, n_rows, pairs):
            def noted(first, last):
                handed.append(last - first)
                task(first, last)

            super().run_ranges(noted, n_rows, pairs)

    with Noting(1, hold_blas=True) as threads:
        found = SparseIndex(S).search(S, 12, threads, own)
    D, columns = nearest(X, X, 12, own)
    assert_array_equal(found.columns, columns)
    assert_array_equal(found.distances, D)
    assert sum(handed) == 600  # by products, and all of them again
    assert max(handed[-50:]) < 10


def test_a_pickled_index_finds_the_same(rng):
    X = sparse.csr_array(texts(rng))
    index = SparseIndex(X)
    again = found_by(pickle.loads(pickle.dumps(index)), X, 5)
    for part, whole in zip(again, found_by(index, X, 5), strict=True):
        assert_array_equal(part, whole)


def test_nobody_has_looked_for_missing_values(rng):
    X = sparse.csr_array(texts(rng))
    X.data[3] = np.nan
    with config_context(assume_finite=True), pytest.raises(ValueError, match="finite"):
        found_by(SparseIndex(X), X, 5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_lists_are_those_of_scikit_learn(rng, metric):
    X = sparse.random(500, 300, 0.1, format="csr", random_state=0)
    distances = SquaredDistances(X[:450], metric)
    with Threads(1, hold_blas=True) as threads:
        found = distances.nearest(15, threads, distances.prepare(X[450:]))
    theirs = NearestNeighbors(n_neighbors=15, metric=metric).fit(X[:450])
    columns = theirs.kneighbors(X[450:], return_distance=False)
    assert_array_equal(found.columns, columns)
    assert found.recall == 1
