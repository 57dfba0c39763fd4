"""Scores of single points: what they are by definition, and what they show."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skdec import ExactTSNE, conditional_affinities, joint_affinities
from skdec.diagnostics import (
    _reliability,
    neighbor_recall,
    perplexity_table,
    reliability,
)
from skdec.tsne._affinities import graph_affinities
from skdec.tsne._left_out import LeftOut, LeftOutObjective, point_terms
from skdec.tsne._placement import FittedMap
from skdec.utils.threads import Threads
from tests import naive

SHORT = {"random_state": 0, "max_iter": 250, "tol": 0}


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 5))
    return X, ExactTSNE(perplexity=5, **SHORT).fit(X)


def test_rims_of_parted_clusters_have_the_large_perturbations():
    # of four maps: what a single one tears apart depends on its last bits, and so on
    # the processor
    ratios, shares = [], []
    for seed in range(4):
        X = np.random.default_rng(seed).normal(size=(400, 2))
        X[:, 0] += np.repeat([-2, 2], 200)
        tsne = ExactTSNE(perplexity=50, **SHORT).fit(X)
        scores = reliability(tsne, X).perturbation
        # rows between the clusters, where the density has a valley but no gap
        between = np.abs(X[:, 0]) < 0.7
        ratios.append(np.median(scores[between]) / np.median(scores[~between]))
        largest = np.argsort(-scores)[:20]
        shares.append(between[largest].mean() / between.mean())
    assert np.median(ratios) > 1.3
    assert np.mean(shares) > 3


def test_too_small_a_perplexity_breaks_a_cluster_that_has_no_parts():
    scores = {4: [], 40: []}
    for seed in range(4):  # as above
        X = np.random.default_rng(seed).normal(size=(300, 2))
        inside = np.flatnonzero(np.linalg.norm(X, axis=1) < 1)
        for perplexity, found in scores.items():
            tsne = ExactTSNE(perplexity=perplexity, **SHORT).fit(X)
            scored = reliability(tsne, X, rows=inside, n_directions=0)
            found.append(scored.singularity)
    few, many = map(np.concatenate, scores.values())
    assert np.quantile(few, 0.9) > 1.5 * np.quantile(many, 0.9)
    assert np.median(few) > 1.1 * np.median(many)


def test_attractions_are_those_of_the_map(small):
    X, tsne = small
    P = joint_affinities(conditional_affinities(X, perplexity=5))
    with Threads(1) as threads:
        own = np.array([3, 17])
        left_out = LeftOut.of(tsne._placing, True, threads)
        graph = left_out.attractions(tsne._placing.distances.rows[own], own)
    for t, i in enumerate(own):
        b = slice(*graph.edges[t : t + 2])
        dense = np.zeros(len(X))
        dense[graph.columns[b]] = graph.values[b]
        assert_allclose(dense, len(X) * P[i], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "cityblock"])
def test_attractions_over_neighbours_are_those_of_the_map(metric):
    """None is lost at the end of a list, where a distance is rounded in two ways."""
    X = np.random.default_rng(0).normal(size=(150, 6))
    settings = {"perplexity": 5, "affinities": "neighbors", "metric": metric}
    tsne = ExactTSNE(**settings, **SHORT | {"max_iter": 50}).fit(X)
    distances, own = tsne._placing.distances, np.arange(150)
    with Threads(1) as threads:
        left_out = LeftOut.of(tsne._placing, True, threads)
        graph = left_out.attractions(distances.rows, own)
        neighbors, width = distances.nearest(15, threads), tsne._placing.bandwidths
        P = graph_affinities(neighbors, width, True, np.float64, threads).P
    found = sparse.csr_array((graph.values, graph.columns, graph.edges), (150, 150))
    assert_allclose(found.toarray(), 150 * P.toarray(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("exaggeration", [1.0, 2.0])
def test_the_slope_of_a_point_is_that_of_the_map(small, exaggeration):
    X, tsne = small
    P = joint_affinities(conditional_affinities(X, perplexity=5))
    Y, own = tsne.embedding_, np.array([3, 17])
    with Threads(1) as threads:
        fitted = FittedMap(Y, tsne._placing.kernel)
        left_out = LeftOut.of(tsne._placing, True, threads)
        graph = left_out.attractions(tsne._placing.distances.rows[own], own)
        terms = point_terms(fitted, own, True, exaggeration, threads)
        objective = LeftOutObjective(fitted, graph, own, terms, threads)
        slope = objective(fitted.points[own], np.arange(2)).gradient
    whole = naive.embedding_gradient(Y, P, 1.0, "student_t", "joint", exaggeration)
    expected = whole[own] * len(X) / 2 / exaggeration
    assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_a_moved_row_attracts_as_it_would_in_its_own_place(small):
    X, tsne = small
    moved, i = X.copy(), 3
    moved[i] += 0.1
    with Threads(1) as threads:
        left_out = LeftOut.of(tsne._placing, True, threads)
        rows = tsne._placing.distances.prepare(moved[[i]])
        graph = left_out.attractions(rows, np.array([i]))
    beta = left_out.scales.beta[0] / tsne._placing.distances.unit**2
    expected = conditional_affinities(moved, perplexity=5)[i]
    for j in range(len(X)):
        if j != i:  # the bandwidths of the others stay
            others = [k for k in range(len(X)) if k != j]
            D = [naive.squared_distance(moved[j], moved[k]) for k in others]
            expected[j] += naive.row_given_beta(D, beta[j])[others.index(i)]
    dense = np.zeros(len(X))
    dense[graph.columns] = graph.values
    assert_allclose(dense, expected / 2, rtol=1e-6, atol=1e-12)


def test_scores_of_neighbours_are_those_of_all_pairs_that_are_neighbours(small):
    X, exact = small
    # of 40 rows 3 · 13 neighbours are all
    few = {"perplexity": 13, **SHORT}
    exact = ExactTSNE(affinities="exact", **few).fit(X)
    near = ExactTSNE(affinities="neighbors", **few).fit(X)
    near.embedding_ = exact.embedding_
    a, b = (reliability(tsne, X, rows=[0, 9], n_directions=1) for tsne in (exact, near))
    assert_allclose(a.singularity, b.singularity, rtol=1e-5)
    assert_allclose(a.perturbation, b.perturbation, rtol=1e-3)


@pytest.mark.parametrize(
    "parameters",
    [
        {"normalization": "conditional"},
        {"kernel": "gaussian"},
        {"affinities": "neighbors"},
    ],
    ids=str,
)
def test_points_of_a_settled_map_are_at_their_minimum(small, parameters):
    X, _ = small
    tsne = ExactTSNE(
        perplexity=5, tol=0, max_iter=1500, n_iter_without_progress=1500, random_state=0
    )
    tsne.set_params(**parameters).fit(X)
    scores = reliability(tsne, X, n_directions=1)
    extent = np.linalg.norm(tsne.embedding_.std(axis=0))
    if tsne.normalization == "joint":
        assert np.median(scores.displacement) < 0.02 * extent
    assert np.isfinite(scores.singularity).mean() > 0.9
    assert np.isfinite(scores.perturbation).all()


def test_scores_are_of_the_map_as_it_was_fitted(small):
    X, tsne = small
    fitted = ExactTSNE(perplexity=5, exaggeration=2.0, **SHORT).fit(X)
    expected = reliability(fitted, X, rows=10, n_directions=1, random_state=0)
    plain = reliability(tsne, X, rows=10, n_directions=1, random_state=0)
    fitted.set_params(normalization="conditional", exaggeration=None, perplexity=9)
    scores = reliability(fitted, X, rows=10, n_directions=1, random_state=0)
    assert_array_equal(scores.singularity, expected.singularity)
    assert_array_equal(scores.perturbation, expected.perturbation)
    assert (np.abs(expected.singularity / plain.singularity - 1) > 0.1).any()


def test_scores_depend_neither_on_threads_nor_on_the_other_rows(small):
    X, tsne = small
    one = reliability(tsne, X, n_jobs=1)
    two = reliability(tsne, X, n_jobs=2)
    some = reliability(tsne, X, rows=[7, 2])
    for name in ("perturbation", "singularity", "displacement", "jump"):
        assert_array_equal(getattr(one, name), getattr(two, name))
        assert_allclose(getattr(some, name), getattr(one, name)[[7, 2]], rtol=1e-6)
    assert_array_equal(some.rows, [7, 2])


def test_scores_of_sparse_rows_and_of_any_scale(small):
    X, tsne = small
    expected = reliability(tsne, X, rows=[0, 1])
    parameters = {"perplexity": 5, **SHORT}
    for rows in (sparse.csr_matrix(X), X * 2.0**-700, X * 2.0**700):
        other = ExactTSNE(**parameters).fit(rows)
        other.embedding_ = tsne.embedding_
        scores = reliability(other, rows, rows=[0, 1])
        assert_allclose(scores.singularity, expected.singularity, rtol=1e-5)
        assert_allclose(scores.perturbation, expected.perturbation, rtol=1e-3)


def test_wide_rows_are_moved_a_few_at_a_time(small, monkeypatch):
    X, tsne = small
    expected = reliability(tsne, X, rows=8, n_directions=1, random_state=0)
    held, dense = [], _reliability._dense

    def watched(rows):
        held.append(rows.shape[0])
        return dense(rows)

    monkeypatch.setattr(_reliability, "_dense", watched)
    monkeypatch.setattr(_reliability, "ELEMENTS_AT_A_TIME", 3 * 5)
    scores = reliability(tsne, X, rows=8, n_directions=1, random_state=0)
    assert held == [3, 3, 3, 3, 2, 2]
    assert_allclose(scores.perturbation, expected.perturbation, rtol=1e-6)


def test_sparse_rows_stay_as_they_were_given(rng):
    # of each row an entry in two parts, and the columns in no order
    columns = np.tile([4, 0, 3, 1, 4], 40)
    edges = np.arange(0, 201, 5)
    given = sparse.csr_matrix((rng.normal(size=200), columns, edges), shape=(40, 5))
    before = given.copy()
    tsne = ExactTSNE(perplexity=5, **SHORT).fit(given)
    scores = reliability(tsne, given, rows=[0, 1], n_directions=1)
    for name in ("data", "indices", "indptr"):
        assert_array_equal(getattr(given, name), getattr(before, name))
    given.sum_duplicates()
    merged = reliability(tsne, given, rows=[0, 1], n_directions=1)
    assert_allclose(scores.perturbation, merged.perturbation, rtol=1e-6)


def test_what_is_no_row_of_the_map_is_refused(small):
    X, tsne = small
    with pytest.raises(ValueError, match="rows that the map was fitted on"):
        reliability(tsne, X[::-1])
    with pytest.raises(ValueError, match="got 3 rows"):
        reliability(tsne, X[:3])
    for name, value in {
        "rows": [40], "lengths": -1.0, "n_directions": -1,
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=name):
            reliability(tsne, X, **{name: value})
    D = np.abs(X[:, None] - X).sum(axis=2)
    given = ExactTSNE(perplexity=5, metric="precomputed", init="random", **SHORT)
    with pytest.raises(ValueError, match="precomputed"):
        reliability(given.fit(D), D)
    P = np.full((40, 40), 1 / (40 * 39))
    np.fill_diagonal(P, 0)
    alone = ExactTSNE(affinities="precomputed", init="random", **SHORT)
    with pytest.raises(TypeError, match="reliability needs the training rows"):
        reliability(alone.fit(P), P)
    holes = X.copy()
    holes[3, 0] = np.nan
    known = ExactTSNE(perplexity=5, metric="nan_euclidean", init="random", **SHORT)
    with pytest.raises(ValueError, match="X must have no missing values"):
        reliability(known.fit(holes), holes)


@pytest.mark.parametrize("metric", ["cosine", "cityblock", "canberra"])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_moves_are_as_long_in_whatever_unit_the_rows_are(metric, make, rng):
    if metric == "canberra" and make is sparse.csr_array:
        return  # which is of dense rows alone
    X, scores = make(rng.normal(size=(60, 5)) + 1), []
    for unit in (2.0**-30, 1.0, 2.0**30):
        tsne = ExactTSNE(metric=metric, perplexity=10, init="random", **SHORT)
        tsne.fit(unit * X)
        scores.append(reliability(tsne, unit * X, rows=range(8)).perturbation)
    assert_allclose(scores[0], scores[1], rtol=1e-6)
    assert_allclose(scores[2], scores[1], rtol=1e-6)


def test_another_name_of_a_metric_has_the_same_scores(small):
    """Of rows whose distances are Euclidean the length of a distance is 1."""
    X, tsne = small
    other = ExactTSNE(perplexity=5, metric="minkowski", **SHORT).fit(X)
    other.embedding_ = tsne.embedding_
    expected = reliability(tsne, X).perturbation
    found = reliability(other, X).perturbation
    assert np.isclose(found, expected, rtol=1e-3).mean() >= 0.95


def test_the_spread_of_rows_far_from_zero(rng):
    X = (1e4 + rng.normal(size=(500, 3))).astype(np.float32)
    expected = np.linalg.norm(X.astype(np.float64).std(axis=0))
    for rows in (X, sparse.csr_array(X)):
        assert_allclose(_reliability._spread(rows), expected, rtol=1e-4)


def test_pbic_weighs_the_kl_of_a_row_where_each_has_its_own():
    X = np.random.default_rng(0).normal(size=(90, 2))
    tsne = ExactTSNE(normalization="conditional", **SHORT)
    table = perplexity_table(tsne, X, [5, 20], n_directions=0)
    expected = 2 * table.kl / 90 + np.log(90) * table.perplexity / 90
    assert_allclose(table.pbic, expected, rtol=1e-12)


def test_table_of_perplexities():
    X = np.random.default_rng(0).normal(size=(150, 2))
    tsne = ExactTSNE(**SHORT).set_output(transform="pandas")
    table = perplexity_table(tsne, X, [40, 4, 12], n_directions=0)
    assert_array_equal(table.perplexity, [4, 12, 40])
    assert_allclose(
        table.pbic, 2 * table.kl + np.log(150) * table.perplexity / 150, rtol=1e-12
    )
    # of one map a few rows decide; the ratio is tested over four maps elsewhere
    assert table.singularity[0] > table.singularity[2]
    curve = replace(table, singularity=np.array([9.0, 2.0, 1.0]))
    assert curve.elbow == 12
    assert replace(table, singularity=np.array([9.0, 8.0, 1.0])).elbow == 40
    assert table.least_pbic == table.perplexity[np.argmin(table.pbic)]
    assert next(iter(table.to_dict())) == "perplexity"
    assert np.isnan(table.perturbation).all()
    assert not hasattr(tsne, "embedding_")
    with pytest.raises(ValueError, match="differ"):
        perplexity_table(tsne, X, [5, 5])


def test_a_table_is_refused_before_a_map_is_fitted():
    X = np.random.default_rng(0).normal(size=(150, 2))
    holes = np.where(X > 2, np.nan, X)
    for settings, rows, asked, error, told in (
        ({}, X, {"lengths": -1}, ValueError, "lengths must be"),
        ({}, X, {"n_directions": -1}, ValueError, "n_directions must be"),
        ({"metric": "precomputed"}, X @ X.T, {}, ValueError, "needs rows of numbers"),
        ({"metric": "jaccard"}, X > 0, {}, ValueError, "needs rows of numbers"),
        ({"metric": "nan_euclidean"}, holes, {}, ValueError, "no missing values"),
        ({"sigma": 1.0}, X, {}, ValueError, "tsne must have sigma=None"),
        ({"affinities": "precomputed"}, X @ X.T, {}, TypeError, "needs rows"),
    ):
        tsne = ExactTSNE(callback=lambda *what: pytest.fail("it was fitted"))
        with pytest.raises(error, match=told):
            perplexity_table(tsne.set_params(**settings), rows, [5, 10], **asked)


@pytest.mark.parametrize("wrong", [5, ["a"], [5, np.nan], [5, 150], [], [[5, 6]]])
def test_perplexities_are_checked_before_a_map_is_fitted(wrong):
    tsne = ExactTSNE(callback=lambda *what: pytest.fail("it was fitted"))
    with pytest.raises(ValueError, match="perplexities"):
        perplexity_table(tsne, np.zeros((150, 2)), wrong)


def test_perplexities_by_default_are_those_that_the_rows_allow(rng):
    X = rng.normal(size=(25, 2))
    table = perplexity_table(ExactTSNE(**SHORT), X, rows=5, n_directions=0)
    assert_array_equal(table.perplexity, [5, 10, 20])
    with pytest.raises(ValueError, match="X must have more than 5 rows"):
        perplexity_table(ExactTSNE(), X[:5])


def test_a_table_keeps_neighbours_by_the_metric_of_the_map(rng):
    X = rng.normal(size=(40, 2)) * [1, 30]
    settings = {"metric": "minkowski", "max_iter": 20, "early_exaggeration_iter": 0}
    weighted = {"p": 2, "w": np.array([1.0, 1 / 900])}
    table = {"rows": 5, "n_directions": 0, "perplexities": [5]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = perplexity_table(
            ExactTSNE(metric_params=weighted, **settings), X, **table
        )
        Y = ExactTSNE(metric_params=weighted, perplexity=5, **settings).fit_transform(X)
    expected = neighbor_recall(X / [1, 30], Y, n_neighbors=10)
    assert_allclose(found.neighbor_recall, expected)
    assert neighbor_recall(X, Y, n_neighbors=10) != expected
