"""What the affinities over neighbours leave out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdec import conditional_affinities
from skdec.kernels.types import Bandwidths
from skdec.tsne import _affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._neighbors import Neighbors
from skdec.utils.threads import Threads
from tests import naive


@pytest.mark.parametrize("per_block", [1, 60, 10**6])
def test_truncated_mass_of_some_rows(rng, monkeypatch, per_block):
    monkeypatch.setattr(_affinities, "TRUNCATION_ROWS", 7)
    monkeypatch.setattr(_affinities, "ELEMENTS_PER_BLOCK", per_block)
    X = rng.normal(size=(30, 3))
    columns = np.array(
        [rng.permutation(np.delete(np.arange(30), i)) for i in range(30)]
    )
    columns = columns[:, :12].astype(np.int32)
    lists = Neighbors(columns, np.empty(columns.shape))
    distances = SquaredDistances(X)
    bandwidths = Bandwidths(np.array([5.0]), np.nan)
    with Threads(2) as threads:
        found = _affinities.truncated_mass(distances, lists, bandwidths, threads)
    kept = []
    for i in (0, 4, 9, 14, 19, 24, 29):
        others = np.delete(np.arange(30), i)
        D = [naive.squared_distance(X[i], X[j]) for j in others]
        p = np.zeros(30)
        p[others] = naive.row_given_perplexity(D, 5.0)
        kept.append(p[columns[i]].sum())
    assert_allclose(found, 1 - np.mean(kept), rtol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_parallel_rows_are_ties_whatever_is_left_of_rounding(metric, rng):
    X = np.repeat(rng.normal(size=(3, 20)), 30, axis=0)
    X = X * rng.uniform(1, 9, (90, 1))
    with pytest.warns(UserWarning, match="ties for the nearest"):
        P = conditional_affinities(X, perplexity=15, metric=metric)
    assert_allclose(P[0, 1:30], 1 / 29, rtol=1e-12)
    distances = SquaredDistances(X, metric)
    with Threads(1) as threads:
        assert (distances.nearest(20, threads).D == 0).all()
