"""Quality of a map, beside scikit-learn and plain loops."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.stats import spearmanr
from sklearn import manifold
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdec import ExactTSNE
from skdec.diagnostics import (
    continuity,
    distance_rank_correlation,
    neighbor_recall,
    neighbor_recall_scorer,
    trustworthiness,
    trustworthiness_scorer,
)
from tests.tsne.common import IRIS


@pytest.fixture
def pair(rng):
    X = rng.normal(size=(120, 6))
    return X, X[:, :2] + 0.3 * rng.normal(size=(120, 2))


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "precomputed"])
def test_trustworthiness_is_that_of_scikit_learn(pair, metric):
    X, Y = pair
    rows = pairwise_distances(X) if metric == "precomputed" else X
    for k in (1, 5, 30):
        expected = manifold.trustworthiness(rows, Y, n_neighbors=k, metric=metric)
        ours = trustworthiness(rows, Y, n_neighbors=k, metric=metric)
        assert_allclose(ours, expected, rtol=1e-12)
    if metric == "euclidean":
        expected = manifold.trustworthiness(Y, X, n_neighbors=5)
        assert_allclose(continuity(X, Y), expected, rtol=1e-12)


def recall(X, Y, k, rows):
    kept = 0
    for i in rows:
        near = [
            set(np.argsort([np.inf if j == i else np.sum((a - A[i]) ** 2)
                            for j, a in enumerate(A)])[:k])
            for A in (X, Y)
        ]  # fmt: skip
        kept += len(near[0] & near[1])
    return kept / (k * len(rows))


def test_recall_is_that_of_plain_loops(pair):
    X, Y = pair
    assert_allclose(neighbor_recall(X, Y), recall(X, Y, 5, range(120)))
    assert_allclose(neighbor_recall(sparse.csr_matrix(X), Y), neighbor_recall(X, Y))
    assert_allclose(neighbor_recall(1e-30 * X, 1e30 * Y), neighbor_recall(X, Y))
    rows = np.sort(np.random.RandomState(3).choice(120, 20, replace=False))
    some = neighbor_recall(X, Y, n_neighbors=7, sample_size=20, random_state=3)
    assert_allclose(some, recall(X, Y, 7, rows))


def test_a_sample_says_about_what_all_rows_say(pair):
    X, Y = pair
    for score in (trustworthiness, continuity, neighbor_recall):
        some = np.mean([score(X, Y, sample_size=60, random_state=s) for s in range(10)])
        assert_allclose(some, score(X, Y), atol=0.02)


def test_rank_correlation_of_distances(pair):
    X, Y = pair
    one, other = np.triu_indices(120, 1)
    expected = spearmanr(
        np.linalg.norm(X[one] - X[other], axis=1),
        np.linalg.norm(Y[one] - Y[other], axis=1),
    ).statistic
    assert_allclose(distance_rank_correlation(X, Y), expected, rtol=1e-10)
    some = distance_rank_correlation(X, Y, sample_size=60, random_state=0)
    assert some != expected
    assert_allclose(some, expected, atol=0.1)
    assert np.isnan(distance_rank_correlation(X, np.zeros((120, 2))))


def test_ties_do_not_make_a_map_worse_than_it_is(rng):
    X = np.repeat(np.arange(20.0)[:, None], 5, axis=0)
    # centred, whole numbers are rounded
    for rows in (X, rng.integers(0, 2, (200, 12)).astype(float)):
        assert trustworthiness(rows, rows, n_neighbors=4) == 1
        assert continuity(rows, rows, n_neighbors=4) == 1
        # in the same order by another metric, of other indexes
        by = {"n_neighbors": 4, "metric": "cityblock"}
        squares = {"n_neighbors": 4, "metric": "sqeuclidean"}
        for score in (trustworthiness, continuity, neighbor_recall):
            assert score(sparse.csr_array(rows), rows, n_neighbors=4) == 1
            assert score(rows, rows, **(by if rows is not X else squares)) == 1
    # which rounding parts
    tenths = 0.1 * rng.integers(0, 3, (200, 12))
    for score in (trustworthiness, continuity, neighbor_recall):
        D = pairwise_distances(tenths, metric="sqeuclidean")
        assert score(tenths, tenths, n_neighbors=4) == 1
        assert score(D, tenths, n_neighbors=4, metric="precomputed") == 1
    triangle = np.array([[0, 0], [1, 0], [0.5, np.sqrt(0.75)]])
    assert np.isnan(distance_rank_correlation(rng.normal(size=(3, 2)), triangle))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_entries_of_sparse_rows_need_no_order(pair, metric, rng):
    X, Y = pair
    order = rng.permutation(X.shape[1])
    given = sparse.csr_array(X[:, np.argsort(order)])[:, order]
    assert not given.has_sorted_indices
    for score in (trustworthiness, continuity, neighbor_recall):
        expected = score(sparse.csr_array(X), Y, metric=metric)
        assert score(given, Y, metric=metric) == expected


def test_bad_sizes_are_refused(pair):
    X, Y = pair
    with pytest.raises(ValueError, match="n_neighbors"):
        trustworthiness(X, Y, n_neighbors=60)
    with pytest.raises(ValueError, match="n_neighbors"):
        neighbor_recall(X, Y, n_neighbors=120)
    with pytest.raises(ValueError, match="sample_size"):
        neighbor_recall(X, Y, sample_size=0)
    with pytest.raises(ValueError, match="inconsistent"):
        neighbor_recall(X, Y[:-1])


def test_masked_entries_are_refused(pair):
    for masked, name in enumerate(("X", "embedding")):
        hidden = [np.ma.masked_greater(A, 1) if A is pair[masked] else A for A in pair]
        with pytest.raises(ValueError, match=f"{name} must have no masked entries"):
            trustworthiness(*hidden)


@pytest.mark.parametrize(
    "score", [neighbor_recall, trustworthiness, distance_rank_correlation]
)
def test_what_are_no_distances_is_refused(pair, score):
    X, Y = pair
    D = pairwise_distances(X)
    for bad, message in (
        (D[:, :20], "square distance matrix"),
        (-D, "positive distances"),
        (np.triu(D), "symmetric"),
    ):
        with pytest.raises(ValueError, match=message):
            score(bad, Y, metric="precomputed")
    with pytest.raises(TypeError, match="distances of all pairs"):
        score(sparse.csr_array(D), Y, metric="precomputed")
    with pytest.raises(TypeError, match="jaccard' is not computed between sparse"):
        score(sparse.csr_array(X > 0), Y, metric="jaccard")
    with pytest.raises(ValueError, match=r"n_neighbors must|at least 2 rows"):
        score(X[:1], Y[:1])


def test_missing_values_of_the_data_are_for_the_metric(pair):
    X, Y = pair
    X = np.where(X > 2, np.nan, X)
    D = pairwise_distances(X, metric="nan_euclidean")
    for score in (neighbor_recall, trustworthiness, distance_rank_correlation):
        found = score(X, Y, metric="nan_euclidean", sample_size=60, random_state=0)
        known = score(D, Y, metric="precomputed", sample_size=60, random_state=0)
        assert_allclose(found, known, rtol=1e-6)
        found = score(X, Y, metric=of_what_is_there, sample_size=60, random_state=0)
        assert_allclose(found, known, rtol=1e-6)


def of_what_is_there(a, b):
    """The distance that stands for both rows' values."""
    both = ~np.isnan(a - b)
    return np.sqrt(len(a) / both.sum() * np.square((a - b)[both]).sum())


def test_a_grid_search_takes_the_perplexity_that_keeps_neighbours():
    tsne = ExactTSNE(random_state=0, max_iter=200, affinities="exact")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), tsne),
        {"exacttsne__perplexity": [2, 20]},
        scoring={"recall": neighbor_recall_scorer, "trust": trustworthiness_scorer},
        refit="recall",
        cv=2,
    ).fit(IRIS)
    assert search.best_params_ == {"exacttsne__perplexity": 20}
    assert (search.cv_results_["mean_test_trust"] > 0.8).all()


def test_scorers_compare_by_the_metric_of_the_map(pair):
    X, _ = pair
    settings = {"max_iter": 50, "early_exaggeration_iter": 0, "random_state": 0}
    settings |= {"perplexity": 5, "n_iter_without_progress": 50}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cosine = ExactTSNE(metric="cosine", **settings).fit(X[:90])
        D = pairwise_distances(X)[:90, :90]
        given = ExactTSNE(metric="precomputed", init="random", **settings).fit(D)
        estimated = ExactTSNE(metric="mahalanobis", **settings).fit(X[:90])
    new, Y = X[90:], cosine.transform(X[90:])
    for scorer, score in (
        (neighbor_recall_scorer, neighbor_recall),
        (trustworthiness_scorer, trustworthiness),
    ):
        assert scorer(cosine, new) == score(new, Y, metric="cosine")
        assert scorer(cosine, new) != score(new, Y)
        with pytest.raises(ValueError, match="metric must not be 'precomputed'"):
            scorer(given, D[:30])
        # by the covariance of the training rows, not of so few
        few, VI = X[90:102], np.linalg.inv(np.cov(X[:90].T))
        D_few = pairwise_distances(few, metric="mahalanobis", VI=VI)
        by_given = score(D_few, estimated.transform(few), metric="precomputed")
        assert scorer(estimated, few) == pytest.approx(by_given)


@pytest.mark.parametrize("score", [neighbor_recall, continuity])
def test_distances_that_are_given_are_not_copied_whole(score, rng, monkeypatch):
    monkeypatch.setattr("skdec.diagnostics._quality.DISTANCES_PER_TASK", 60_000)
    X = rng.normal(size=(2500, 3))
    D = pairwise_distances(X).astype(np.float32)
    score(D[:100, :100], X[:100], metric="precomputed")  # compiled
    tracemalloc.start()
    try:
        found = score(D, X, metric="precomputed", n_jobs=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == 1
    assert peak < D.nbytes
