"""Neighbours by cosine against plain loops."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics.pairwise import cosine_distances

from skdec import ExactTSNE
from skdec.tsne._cosine_search import CosineIndex
from skdec.tsne._exact_search import ProductIndex
from skdec.tsne._neighbors import ScikitLearnIndex, build_index
from skdec.utils.threads import Threads


def distance(x, y):
    """1 − cos of two rows, half the squared difference of their directions."""
    x, y = x.tolist(), y.tolist()  # of double precision
    scale = [max(map(abs, row)) for row in (x, y)]
    x, y = ([v / s for v in row] for row, s in zip((x, y), scale, strict=True))
    lengths = [math.sqrt(math.fsum(v * v for v in row)) for row in (x, y)]
    return math.fsum(
        (a / lengths[0] - b / lengths[1]) ** 2 / 2 for a, b in zip(x, y, strict=True)
    )


def nearest(new, rows, k, own):
    """Distances of each row to its k nearest, by loops."""
    found = []
    for i, x in enumerate(new):
        others = [distance(x, y) for j, y in enumerate(rows) if not (own and i == j)]
        found.append(sorted(others)[:k])
    return np.array(found)


def search(rows, new, k, own=None):
    with Threads(2, hold_blas=True) as threads:
        index = build_index(rows, "cosine", None, k, threads)
        return index, index.search(new, k, threads, own)


def measured(new, rows, columns):
    """The distances to the columns that were found."""
    return np.array(
        [[distance(x, rows[j]) for j in c] for x, c in zip(new, columns, strict=True)]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_the_nearest_by_cosine(dtype, form, rng):
    rows = rng.normal(size=(60, 5)).astype(dtype) + 1
    rows[rng.random(rows.shape) < 0.3] = 0
    rows = rows[rows.any(axis=1)]
    new, given = rows[:20] * 3 + dtype(0.1), form(rows)
    index, found = search(given, form(new), 7)
    assert isinstance(index, CosineIndex) and index.recall == 1
    assert_allclose(found.distances, nearest(new, rows, 7, False), rtol=0, atol=1e-15)
    _, found = search(given, given, 7, np.arange(len(rows)))
    assert_allclose(found.distances, nearest(rows, rows, 7, True), rtol=0, atol=1e-15)
    assert_allclose(measured(rows, rows, found.columns), found.distances, atol=1e-15)


def test_lengths_beyond_all_squares_and_hardly_different_directions(rng):
    rows = rng.normal(size=(40, 3)) * 10.0 ** rng.integers(-200, 200, (40, 1))
    rows[1] = rows[0] + [1e-9 * rows[0, 1], 0, 0]
    _, found = search(rows, rows, 5, np.arange(40))
    # differences of directions keep the digits that 1 − cos would lose
    assert_allclose(found.distances, nearest(rows, rows, 5, True), rtol=1e-6)
    assert 0 < found.distances[0, 0] < 1e-17


def test_rows_without_a_direction(rng):
    rows = rng.normal(size=(30, 3))
    new = np.array([[0.0, 0, 0], [1, 2, 3]])
    for form in (np.array, sparse.csr_array):
        _, found = search(form(rows), form(new), 4)
        assert_array_equal(found.distances[0], 1)
        assert_allclose(found.distances[1], nearest(new[1:], rows, 4, False)[0])
    with Threads(1) as threads:
        index = build_index(0 * rows, "cosine", None, 4, threads)
    assert isinstance(index, ScikitLearnIndex)


@pytest.mark.parametrize("k", [1, 4, 24, 29])
@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_rows_without_a_direction_among_others(form, k, rng):
    rows = rng.normal(size=(30, 3))
    rows[[3, 17, 18, 22, 29]] = 0
    new = np.concatenate([rows[[3, 4]], rng.normal(size=(4, 3))])
    D = 1 - normalized(new) @ normalized(rows).T
    index, found = search(form(rows), form(new), k)
    assert isinstance(index, CosineIndex)
    order = np.argsort(D, axis=1, kind="stable")[:, :k]
    assert_allclose(found.distances, np.take_along_axis(D, order, axis=1), atol=1e-14)
    assert_array_equal(found.columns, order)
    D = 1 - normalized(rows) @ normalized(rows).T
    np.fill_diagonal(D, np.inf)
    _, found = search(form(rows), form(rows), k, np.arange(30))
    order = np.argsort(D, axis=1, kind="stable")[:, :k]
    assert_array_equal(found.columns, order)
    assert_allclose(found.distances, np.take_along_axis(D, order, axis=1), atol=1e-14)


def normalized(rows):
    """Rows over their lengths; rows of 0 stay."""
    lengths = np.array([math.hypot(*row) for row in rows])
    return rows / np.where(lengths == 0, 1, lengths)[:, None]


def test_many_rows_are_searched_by_lists(rng, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("skdec.tsne._neighbors.APPROXIMATE_FROM", 1000)
    rows = rng.normal(size=(1500, 4)) ** 3
    index, found = search(rows, rows, 10, np.arange(1500))
    assert not isinstance(index._index, ProductIndex)
    assert 0.95 <= index.recall <= 1
    exact = np.sort(cosine_distances(rows) + 9 * np.eye(1500), axis=1)[:, :10]
    assert np.mean(found.distances <= exact[:, -1:] + 1e-12) > 0.9


def test_a_map_by_cosine_is_that_of_directions(rng):
    X = rng.normal(size=(90, 4))
    settings = {"affinities": "neighbors", "perplexity": 5, "random_state": 0,
                "init": "random", "early_exaggeration_iter": 20, "max_iter": 40,
                "precision": "double"}  # fmt: skip
    by_cosine = ExactTSNE(metric="cosine", **settings)
    with pytest.warns(match="still unfolding"):
        by_cosine.fit(X)
        again = ExactTSNE(metric="cosine", **settings).fit(
            X * rng.uniform(1, 9, (90, 1))
        )
    assert_allclose(by_cosine.embedding_, again.embedding_, rtol=1e-6)
    assert by_cosine.neighbor_recall_ == 1
    assert_array_equal(by_cosine.transform(3 * X[:9]).shape, (9, 2))
