"""Columns with the least scores."""

from operator import mul

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skdec.kernels.neighbors import GROUP, collect, cut, products_by_lists
from skdec.kernels.types import Candidates, CSRGraph, read_only
from tests.kernels.common import DTYPES


def collected(scores, kept, block, room=GROUP):
    shape = len(scores), kept + room
    candidates = Candidates(
        np.full(shape, np.nan, scores.dtype),
        np.full(shape, -1, np.int32),
        np.zeros(len(scores), np.intp),
        np.full(len(scores), np.inf, scores.dtype),
    )
    for first in range(0, scores.shape[1], block):
        collect(scores[:, first : first + block].copy(), first, kept, candidates)
    cut(kept, candidates)
    return candidates


def check(scores, kept, block, room=GROUP):
    """The first ``kept`` by (score, column), and a limit that no other is below."""
    candidates = collected(scores, kept, block, room)
    for r, row in enumerate(scores):
        order = sorted(range(len(row)), key=lambda j: (row[j], j))
        chosen = candidates.columns[r, :kept]
        assert sorted(chosen) == sorted(order[:kept])
        assert_array_equal(candidates.scores[r, :kept], row[chosen])
        assert all(row[j] <= candidates.limit[r] for j in chosen)
        assert all(row[j] >= candidates.limit[r] for j in order[kept:])
    assert_array_equal(candidates.found, kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kept", [1, 7, 60])
@pytest.mark.parametrize("block", [300, 64, 37])
def test_the_least_scores_are_kept(rng, dtype, kept, block):
    check(rng.normal(size=(5, 300)).astype(dtype), kept, block)


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_equal_scores_the_first_are_kept(rng, dtype):
    check(rng.integers(0, 4, size=(5, 300)).astype(dtype), 20, 64)
    check(np.zeros((2, 300), dtype), 20, 64)
    check(np.where(rng.uniform(size=(3, 300)) < 0.01, -1, 1).astype(dtype), 20, 64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_that_only_their_last_digit_tells_apart(rng, dtype):
    one = np.ones(1, dtype)
    digits = one + np.arange(40, dtype=dtype) * np.finfo(dtype).eps
    check(rng.choice(digits, size=(4, 300)), 20, 64)
    least = np.arange(-20, 20) * np.finfo(dtype).smallest_subnormal
    check(rng.choice(least.astype(dtype), size=(4, 300)), 20, 64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_of_very_different_sizes(rng, dtype):
    scores = rng.normal(size=(4, 300)) * 10.0 ** rng.integers(-30, 31, size=(4, 300))
    check(scores.astype(dtype), 20, 64)


def test_ever_lower_and_ever_higher_scores():
    rows = np.array([np.arange(300.0), -np.arange(300.0)])
    check(rows, 5, 64)
    check(rows.astype(np.float32), 5, 64, room=150)


def test_all_scores_are_kept_where_there_are_no_more(rng):
    scores = rng.normal(size=(3, 50))
    check(scores, 50, 20)
    assert_array_equal(collected(scores, 50, 20).limit, np.inf)


def test_products_by_lists(rng):
    rows, others = (rng.integers(-2, 3, size=(n, 9)) for n in (6, 11))
    rows[2], others[4], others[:, 3] = 0, 0, 0
    expected = [[sum(map(mul, a, b)) for b in others] for a in rows]
    entries, lists = (
        CSRGraph(*map(read_only, (m.data.astype(float), m.indices, m.indptr)))
        for m in (sparse.csr_array(rows), sparse.csc_array(others))
    )
    products = np.full((6, 11), np.nan)
    products_by_lists(entries, lists, products)
    assert_array_equal(products, expected)
