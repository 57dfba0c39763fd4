"""Neighbours, and P over them alone."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsTransformer,
)
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from skdec import ExactTSNE
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._neighbors import Found, besides_itself, known_to_pynndescent
from tests import naive
from tests.tsne.common import DIGITS, IRIS, SHORT, TRUTH


def neighbours_only(X, perplexity, k):
    """p_{j|i} over the k nearest, by plain loops."""
    P = np.zeros((len(X), len(X)))
    for i in range(len(X)):
        D = np.array([naive.squared_distance(X[i], x) for x in X])
        D[i] = np.inf
        nearest = np.argsort(D)[:k]
        P[i, nearest] = naive.row_given_perplexity(D[nearest], perplexity)
    return P


@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_neighbours_are_three_times_the_perplexity(normalization):
    X = IRIS[::2]
    tsne = ExactTSNE(
        affinities="neighbors", perplexity=5, normalization=normalization,
        precision="double", **SHORT,
    ).fit(X)  # fmt: skip
    P = neighbours_only(X, 5, 15)
    whole = naive.conditional_affinities(X, perplexity=5)
    if normalization == "joint":
        P = naive.joint_affinities(P)
    kl = naive.embedding_kl(tsne.embedding_, P, 1.0, "student_t", normalization)
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-5)
    kept = sum(np.sort(row)[-15:].sum() for row in whole) / len(X)
    assert_allclose(tsne.truncated_mass_, 1 - kept, rtol=1e-3)
    assert tsne.truncated_mass_ > 1e-3


def test_all_neighbours_are_the_exact_affinities():
    X = IRIS[::3]
    settings = {"perplexity": 25, "precision": "double", **SHORT}
    exact = ExactTSNE(**settings).fit(X)
    graph = ExactTSNE(affinities="neighbors", **settings).fit(X)
    assert exact.truncated_mass_ == 0
    assert_allclose(graph.truncated_mass_, 0, atol=1e-6)
    assert_allclose(graph.embedding_, exact.embedding_, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "chebyshev"])
def test_neighbours_of_any_metric(metric):
    X = np.random.default_rng(0).normal(size=(150, 4))
    settings = {"affinities": "neighbors", "init": "random", "perplexity": 5, **SHORT}
    tsne = ExactTSNE(metric=metric, **settings).fit(X)
    D = pairwise_distances(X, metric=metric)
    np.fill_diagonal(D, 0)
    given = ExactTSNE(metric="precomputed", **settings).fit((D + D.T) / 2)
    assert_allclose(tsne.embedding_, given.embedding_, rtol=1e-3, atol=1e-6)
    assert 0 < tsne.truncated_mass_ < 0.3
    assert_allclose(given.truncated_mass_, tsne.truncated_mass_, rtol=1e-3)


@pytest.mark.parametrize("sigma", [0.5, 1e-3])
def test_neighbours_with_sigma(sigma):
    tsne = ExactTSNE(affinities="neighbors", sigma=sigma, **SHORT).fit(IRIS)
    assert np.isfinite(tsne.embedding_).all()


@pytest.mark.slow  # pynndescent compiles for half a minute
def test_approximate_neighbours_of_many_points(monkeypatch):
    pynndescent = pytest.importorskip("pynndescent")
    settings = {"affinities": "neighbors", "random_state": 0, "max_iter": 150}
    exact = ExactTSNE(**settings).fit(DIGITS[:1200])
    monkeypatch.setattr("skdec.tsne._neighbors.APPROXIMATE_FROM", 1000)
    built = []

    class Recorded(pynndescent.NNDescent):
        def __init__(self, *arguments, **named):
            built.append(self)
            super().__init__(*arguments, **named)

    monkeypatch.setattr(pynndescent, "NNDescent", Recorded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pynndescent's own
        found = ExactTSNE(**settings).fit(DIGITS[:1200])
        new = found.transform(DIGITS[1200:1300])
    assert len(built) == 1
    # few are missed, and what is missed is counted
    assert found.truncated_mass_ < exact.truncated_mass_ + 0.02
    classifier = KNeighborsClassifier(5).fit(found.embedding_, TRUTH[:1200])
    assert classifier.score(new, TRUTH[1200:1300]) > 0.9


def test_metrics_that_approximate_search_does_not_take():
    assert not known_to_pynndescent(sparse.eye(3).tocsr(), "euclidean")
    assert not known_to_pynndescent(IRIS, lambda a, b: 0.0)
    assert not known_to_pynndescent(IRIS, "precomputed")


def test_a_point_that_was_not_found_among_its_own_neighbours():
    # as approximate search may return: rows with and without the point itself
    columns = np.array([[0, 2, 1], [2, 0, 3], [2, 1, 0], [3, 0, 1]])
    distances = np.array([[0.0, 1, 2], [1, 2, 3], [0, 4, 5], [0, 6, 7]])
    D, chosen = besides_itself(Found(distances, columns), np.arange(4), -1)
    assert_array_equal(chosen, [[2, 1], [2, 0], [1, 0], [0, 1]])
    assert_array_equal(D, [[1, 2], [1, 2], [4, 5], [6, 7]])


def test_graph_of_neighbours_from_a_pipeline():
    X = DIGITS[:220] * np.random.default_rng(0).uniform(1, 1.01, (220, 64))  # no ties
    settings = {"affinities": "neighbors", "init": "random", "perplexity": 10, **SHORT}
    direct = ExactTSNE(precision="double", **settings).fit(X[:200])
    pipeline = make_pipeline(
        KNeighborsTransformer(n_neighbors=30, mode="distance"),
        ExactTSNE(metric="precomputed", precision="double", **settings),
    )
    found = pipeline.fit_transform(X[:200])
    assert_allclose(found, direct.embedding_, rtol=1e-3, atol=1e-6)
    assert np.isnan(pipeline[-1].truncated_mass_)
    new = pipeline.transform(X[200:])
    assert np.isfinite(new).all()
    pipeline[-1].embedding_ = direct.embedding_
    assert_allclose(
        pipeline.transform(X[200:]),
        direct.transform(X[200:]),
        atol=1e-3,
    )


def test_graph_is_checked():
    D = sparse.csr_array(pairwise_distances(IRIS[:40]))
    graph = ExactTSNE(metric="precomputed", affinities="neighbors", init="random")
    with pytest.raises(TypeError, match="affinities='neighbors'"):
        ExactTSNE(metric="precomputed", affinities="exact", init="random").fit(D)
    assert (
        ExactTSNE(metric="precomputed", **SHORT)
        .set_params(init="random")
        .fit(D)
        .affinities_
        == "neighbors"
    )  # what "auto" takes
    with pytest.raises(ValueError, match="square distance matrix"):
        graph.fit(D[:30])
    with pytest.raises(ValueError, match="Negative values"):
        graph.fit(-D)
    few = KNeighborsTransformer(n_neighbors=5).fit_transform(IRIS[:40])
    with pytest.raises(ValueError, match="neighbors per samples are required"):
        graph.fit(few)


def test_neighbours_depend_on_neither_batch_nor_threads():
    X = DIGITS[np.random.default_rng(0).permutation(1797)]
    distances = SquaredDistances(X[:900])
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            found.append(distances.nearest(90))
    assert_array_equal(found[0][0], found[1][0])
    assert_array_equal(found[0][1], found[1][1])
    rows = distances.prepare(X[900:1000])
    columns, D = distances.nearest(90, rows)
    for i in range(len(rows)):
        one_columns, one_D = distances.nearest(90, rows[i : i + 1])
        assert_array_equal(one_columns[0], columns[i])
        assert_array_equal(one_D[0], D[i])
