"""From places of the map back to the data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances

from skdec import ExactTSNE
from skdec.tsne import _inverse
from tests import naive
from tests.tsne.common import DIGITS, IRIS, SHORT


@pytest.mark.parametrize(
    "metric, scale",
    [("euclidean", 1), ("euclidean", 1e-200), ("euclidean", 1e200), ("manhattan", 1)],
)
def test_means_are_weighted_by_the_affinities_in_the_map(rng, metric, scale):
    # all 29 others are within 3 · perplexity
    X = scale * (IRIS[::5] + 100)
    tsne = ExactTSNE(perplexity=10, metric=metric, **SHORT).fit(X)
    tsne.embedding_ = Y = rng.normal(size=(30, 2))
    places = rng.normal(size=(4, 2))
    for v, x in zip(places, tsne.inverse_transform(places), strict=True):
        D = np.array([naive.squared_distance(v, y) for y in Y])
        keep = np.argsort(D)[:29]
        p = naive.row_given_perplexity(D[keep], 10)
        assert_allclose(x, p @ X[keep], rtol=1e-5)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
def test_new_rows_come_back_nearer_than_their_cluster(affinities):
    X, new = DIGITS[:800], DIGITS[800:900]
    tsne = ExactTSNE(affinities=affinities, random_state=0).fit(X)
    back = tsne.inverse_transform(tsne.transform(new))
    lost = np.square(back - new).sum() / np.square(new - X.mean(axis=0)).sum()
    assert lost < 0.45
    # a mean of rows, not a row
    own = tsne.inverse_transform(tsne.embedding_)
    assert 0.1 < np.square(own - X).sum() / np.square(X - X.mean(axis=0)).sum() < 0.5


def test_each_place_alone_whatever_the_threads():
    tsne = ExactTSNE(**SHORT).fit(IRIS)
    places = tsne.embedding_[:40].astype(np.float32)
    all_ = tsne.inverse_transform(places)
    assert all_.dtype == np.float32
    assert_array_equal(tsne.set_params(n_jobs=1).inverse_transform(places), all_)
    single = np.vstack([tsne.inverse_transform(v[None]) for v in places])
    assert_allclose(single, all_, rtol=1e-6)


def test_a_fixed_sigma_and_rows_in_one_place():
    X = np.repeat(IRIS[:10], 12, axis=0)
    tsne = ExactTSNE(sigma=0.5, **SHORT).fit(X)
    # more rows in one place than the perplexity asks for: their mean is the row
    assert np.isfinite(tsne.inverse_transform(tsne.embedding_)).all()


@pytest.mark.parametrize(
    "settings, X",
    [
        ({"metric": "precomputed", "init": "random"}, pairwise_distances(IRIS)),
        ({}, sparse.csr_array(IRIS)),
        ({"metric": "jaccard", "perplexity": 2}, (DIGITS[:60] > 8).astype(float)),
    ],
)
def test_without_rows_of_numbers_there_is_none(settings, X):
    tsne = ExactTSNE(**SHORT, **settings).fit(X)
    with pytest.raises(TypeError, match="inverse_transform takes means of"):
        tsne.inverse_transform(tsne.embedding_[:2])


def test_wrong_places_are_named():
    with pytest.raises(NotFittedError):
        ExactTSNE().inverse_transform(np.zeros((1, 2)))
    tsne = ExactTSNE(**SHORT).fit(IRIS)
    with pytest.raises(
        ValueError, match=r"Y must have shape \(n_places, 2\).*\(1, 3\)"
    ):
        tsne.inverse_transform(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="Y contains NaN"):
        tsne.inverse_transform([[np.nan, 0]])


def test_places_are_taken_back_in_batches(monkeypatch):
    tsne = ExactTSNE(perplexity=5, **SHORT).fit(IRIS)
    expected = tsne.inverse_transform(tsne.embedding_)
    monkeypatch.setattr("skdec.tsne._inverse.ELEMENTS_PER_BATCH", 400)
    sizes = []
    rows_of = _inverse.neighbour_rows

    def noted(found, *more):
        sizes.append(len(found.columns))
        return rows_of(found, *more)

    monkeypatch.setattr(_inverse, "neighbour_rows", noted)
    assert_array_equal(tsne.inverse_transform(tsne.embedding_), expected)
    assert max(sizes) < 10
    assert sum(sizes) == len(IRIS)
