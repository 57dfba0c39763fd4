"""Rows with missing values."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdec import ExactTSNE, conditional_affinities
from skdec.tsne._distances import SquaredDistances
from tests.tsne.common import IRIS, SHORT

X = IRIS[::2].copy()
X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
X[np.isnan(X).all(axis=1)] = 1.0
X[:, 3] = IRIS[::2, 3]  # what all have
SETTINGS = {"init": "random", "perplexity": 8, **SHORT}


def shared(a, b):
    """The distance of what both rows have, scaled to all features."""
    both = ~np.isnan(a + b)
    return np.sqrt(len(a) * np.square(a - b)[both].sum() / both.sum())


def distances(rows):
    """Those to X, without the rounding of products that scikit-learn's have."""
    return np.array([[shared(a, b) for b in X] for a in rows])


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("metric", ["nan_euclidean", shared])
def test_the_map_is_that_of_their_distances(affinities, metric):
    D = distances(X)
    given = ExactTSNE(metric="precomputed", affinities=affinities, **SETTINGS).fit(D)
    rows = ExactTSNE(metric=metric, affinities=affinities, **SETTINGS).fit(X)
    assert_allclose(rows.embedding_, given.embedding_, rtol=1e-3, atol=1e-7)
    given.embedding_ = rows.embedding_
    new = X[:9] + 0.01
    placed = given.transform(distances(new))
    assert_allclose(rows.transform(new), placed, rtol=1e-3, atol=1e-6)
    with pytest.raises(TypeError, match="of which values are missing"):
        rows.inverse_transform(rows.embedding_)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("offset, unit", [(1e8, 1.0), (0.0, 1e-200), (-3.0, 1e200)])
def test_neither_offset_nor_unit_of_the_rows_matters(offset, unit, affinities):
    settings = {**SETTINGS, "metric": "nan_euclidean", "affinities": affinities}
    # what is left of values of 1e8 are some 8 digits
    rows = np.round(X * 2**20) / 2**20
    near = ExactTSNE(**settings).fit(rows)
    moved = ExactTSNE(**settings).fit((rows + offset) * unit)
    assert_allclose(moved.embedding_, near.embedding_, rtol=1e-3, atol=1e-6)
    new = rows[:9] + 2**-6
    expected = near.transform(new)
    assert_allclose(
        moved.transform((new + offset) * unit), expected, rtol=1e-3, atol=1e-5
    )


def test_a_feature_that_no_row_has():
    rows = np.column_stack([X, np.full(len(X), np.nan)])
    settings = {**SETTINGS, "metric": "nan_euclidean"}
    found = ExactTSNE(**settings).fit(rows).embedding_
    assert_allclose(found, ExactTSNE(**settings).fit(X).embedding_, rtol=1e-3)


def test_a_feature_that_few_rows_have_is_centred_too(rng):
    rows = np.column_stack([rng.normal(size=(3000, 4)), np.full(3000, np.nan)])
    rows[[1, 4, 7], 4] = 1e10 + np.arange(3)
    distances_ = SquaredDistances(rows, "nan_euclidean")
    found = distances_.between(distances_.rows[[1, 4]]) * distances_.unit**2
    for i, D in zip([1, 4], found, strict=True):
        some = [0, 2, 7, 2999]
        expected = [shared(rows[i], rows[j]) ** 2 for j in some]
        assert_allclose(D[some], expected, rtol=1e-6)


def test_any_nan_is_the_same_value():
    rows = np.vstack([X, X])
    rows[len(X) :][np.isnan(X)] = -np.float64("nan")
    assert rows.tobytes() != np.vstack([X, X]).tobytes()
    before = rows.tobytes()
    tsne = ExactTSNE(metric="nan_euclidean", **SETTINGS).fit(rows)
    assert_array_equal(tsne.embedding_[: len(X)], tsne.embedding_[len(X) :])
    assert_array_equal(tsne.transform(rows), tsne.embedding_)
    assert rows.tobytes() == before


def test_principal_components_of_missing_values_fall_back():
    settings = {**SETTINGS, "metric": "nan_euclidean"}
    with pytest.warns(UserWarning, match="X itself, without missing values: init='sp"):
        found = ExactTSNE(**{**settings, "init": "pca"}).fit_transform(X)
    spectral = ExactTSNE(**{**settings, "init": "spectral"})
    assert_array_equal(found, spectral.fit_transform(X))
    # of rows without any they are there
    ExactTSNE(**{**settings, "init": "pca"}).fit(IRIS)


def test_affinities_of_missing_values():
    expected = conditional_affinities(distances(X), metric="precomputed", perplexity=8)
    found = conditional_affinities(X, metric="nan_euclidean", perplexity=8)
    assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(
    "metric", ["euclidean", "manhattan", lambda a, b: np.abs(a - b).sum()]
)
def test_metrics_that_do_not_take_them_say_so(metric):
    with pytest.raises(ValueError, match=r"contains NaN|missing values of X give NaN"):
        ExactTSNE(metric=metric, **SETTINGS).fit(X)


def test_rows_that_share_no_feature_are_named():
    apart = np.array([[1.0, np.nan], [np.nan, 1.0], [1.0, 2.0], [2.0, 3.0]])
    for affinities in ("exact", "neighbors"):
        tsne = ExactTSNE(metric="nan_euclidean", affinities=affinities, init="random")
        with pytest.raises(ValueError, match="missing values of X give NaN"):
            tsne.fit(apart)


def test_missing_values_are_nan():
    """Others would be numbers to the start and to the means of rows."""
    rows = np.where(np.isnan(X), -999, X)
    tsne = ExactTSNE(metric="nan_euclidean", metric_params={"missing_values": -999})
    with pytest.raises(ValueError, match="missing values must be NaN"):
        tsne.set_params(**SETTINGS).fit(rows)
    tsne.set_params(metric_params={"missing_values": np.nan}).fit(X)
