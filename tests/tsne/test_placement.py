"""New points in a fitted map."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import (
    KNeighborsClassifier,
)

from skdec import ExactTSNE
from skdec.kernels.types import STUDENT_T, Kernel
from skdec.tsne import _distances, _field, _placement
from skdec.tsne._bfgs import minimise_rows
from skdec.tsne._field import GridField, PairField, repulsion_of
from skdec.tsne._placement import AllPairsObjective, FittedMap, place_points
from skdec.utils.threads import Threads
from tests import naive
from tests.tsne.common import DIGITS, IRIS, TRUTH


@pytest.mark.parametrize("dof, share", [(1.0, 0.3), (2.0, 0.05)])
def test_new_points_are_placed_at_a_minimum(rng, dof, share):
    # three clusters far from the origin
    middles = np.array([[42.0, -20], [50, -20], [58, -20]]).repeat(6, axis=0)
    Y = middles + rng.normal(size=(18, 2))
    places = [[41.0, -19], [50.5, -20], [57, -22], [43, -21]]
    P = naive.soft_assignment(np.array(places), Y, dof)
    # the nearest is the better start
    P[3] += share * P[2]
    P /= P.sum(axis=1, keepdims=True)
    with Threads(1) as threads:
        fitted = FittedMap(Y, Kernel(STUDENT_T, dof))
        V, n_lost = place_points(AllPairsObjective(fitted, P, threads))
    # those beyond twice the reach of the map are told of
    away, reach = V - Y.mean(axis=0), np.linalg.norm(Y - Y.mean(axis=0), axis=1).max()
    assert n_lost == sum(np.linalg.norm(a) > 2 * reach for a in away)
    for v, p in zip(V, P, strict=True):
        here = naive.placement_kl(v, Y, p, dof)
        gradient = naive.finite_difference(
            lambda u, p=p: naive.placement_kl(u, Y, p, dof), v, step=1e-4
        )
        assert np.linalg.norm(gradient) < 1e-5
        for start in (p @ Y, Y[p.argmax()]):
            assert here <= naive.placement_kl(start, Y, p, dof) + 1e-12


def test_transform_of_training_rows_is_their_embedding(digits):
    assert_array_equal(digits.transform(DIGITS[:1200]), digits.embedding_)
    order = np.random.default_rng(0).permutation(1200)[:50]
    assert_array_equal(digits.transform(DIGITS[order]), digits.embedding_[order])


def same_places(found, expected, tolerance):
    """But for rows between two clusters, which may come to rest in either."""
    same = np.isclose(found, expected, rtol=tolerance, atol=tolerance).all(axis=1)
    assert same.mean() >= 0.9


def test_transform_keeps_labels_together(digits):
    new = digits.transform(DIGITS[1200:])
    neighbours = KNeighborsClassifier(5).fit(digits.embedding_, TRUTH[:1200])
    assert neighbours.score(new, TRUTH[1200:]) >= 0.95


def test_transform_depends_on_each_row_alone(digits):
    X = DIGITS[1150:1400]
    whole = digits.transform(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_array_equal(digits.transform(X[order]), whole[order])
    single = np.vstack([digits.transform(X[i : i + 1]) for i in range(40, 90)])
    assert_array_equal(single, whole[40:90])


@pytest.mark.parametrize("dof", [0.5, 1.0, 2.0])
def test_transform_ends_at_a_minimum(dof):
    tsne = ExactTSNE(dof=dof, random_state=0).fit(IRIS[::2])
    new = tsne.transform(IRIS[1::2])
    X, Y = IRIS[::2], tsne.embedding_
    for x, v in zip(IRIS[1:10:2], new, strict=False):
        D = [naive.squared_distance(x, row) for row in X]
        p = naive.row_given_perplexity(D, tsne.perplexity_)
        here = naive.placement_kl(v, Y, p, dof)
        gradient = naive.finite_difference(
            lambda u, p=p: naive.placement_kl(u, Y, p, dof), v, step=1e-4
        )
        assert np.linalg.norm(gradient) < 1e-5
        for start in (p @ Y, Y[p.argmax()]):
            assert here <= naive.placement_kl(start, Y, p, dof) + 1e-12


def test_transform_of_precomputed_distances():
    D = pairwise_distances(IRIS)
    settings = {"init": "random", "random_state": 0, "max_iter": 300}
    given = ExactTSNE(metric="precomputed", **settings).fit(D[::2, ::2])
    assert_array_equal(given.transform(D[::2, ::2]), given.embedding_)
    direct = ExactTSNE(**settings).fit(IRIS[::2])
    # one map for both, so that only the placing is compared
    given.embedding_ = direct.embedding_
    same_places(given.transform(D[1::2, ::2]), direct.transform(IRIS[1::2]), 1e-4)


def test_points_without_a_place_are_reported():
    # near four corners alone, of a map whose other points all lie between them: the
    # further out the less is wrong with q, so KL falls all the way to infinity
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    D = pairwise_distances(np.arange(22.0)[:, None])
    tsne = ExactTSNE(metric="precomputed", init="random", perplexity=4, max_iter=5)
    tsne.fit(D).embedding_ = np.vstack([corners, np.zeros((18, 2))])
    near_corners = np.r_[np.ones(4), np.full(18, 100.0)][None, :]
    with pytest.warns(ConvergenceWarning, match="1 of 1 new points found no place"):
        new = tsne.transform(near_corners)
    assert 9 * np.sqrt(2) < np.linalg.norm(new) <= 10 * np.sqrt(2)


def test_rows_that_have_not_come_to_rest_start_once_more(monkeypatch):
    tsne = ExactTSNE(max_iter=300, random_state=0).fit(DIGITS[:400])
    expected = tsne.transform(DIGITS[400:450])
    left = []

    def cut_off(*arguments, **options):
        left.append(minimise_rows(*arguments, max_iter=300 if left else 12, **options))
        return left[-1]

    monkeypatch.setattr("skdec.tsne._bfgs.minimise_rows", cut_off)
    # which would warn of rows without a place
    placed = tsne.transform(DIGITS[400:450])
    assert len(left) == 2
    assert 0 < len(left[0]) < 50
    assert len(left[1]) == 0
    # a row between two clusters may come to rest in the other one
    same = np.isclose(placed, expected, rtol=1e-4, atol=1e-4).all(axis=1)
    assert same.mean() >= 0.9


def test_transform_before_fit():
    with pytest.raises(NotFittedError):
        ExactTSNE().transform(IRIS)


def test_new_points_among_neighbours():
    tsne = ExactTSNE(affinities="neighbors", random_state=0).fit(DIGITS[:1200])
    assert_array_equal(tsne.transform(DIGITS[:50]), tsne.embedding_[:50])
    new = tsne.transform(DIGITS[1200:])
    classifier = KNeighborsClassifier(5).fit(tsne.embedding_, TRUTH[:1200])
    assert classifier.score(new, TRUTH[1200:]) >= 0.95
    one = tsne.transform(DIGITS[1300:1301])
    assert_allclose(one, new[100:101], rtol=1e-6, atol=1e-6)


def test_new_rows_that_the_map_has_no_place_for_are_counted():
    """Noise whose neighbours are all over the map, beyond twice its radius."""
    tsne = ExactTSNE(random_state=0).fit(DIGITS[:800])
    noise = np.random.RandomState(0).uniform(0, 16, (200, 64))
    with pytest.warns(ConvergenceWarning, match="found no place in the map") as caught:
        placed = tsne.transform(noise)
    center = tsne.embedding_.mean(axis=0)
    away = np.linalg.norm(placed - center, axis=1)
    radius = np.linalg.norm(tsne.embedding_ - center, axis=1).max()
    told = int(str(caught[0].message).split()[0])
    assert 0 < (away > 2 * radius).sum() <= told < 50


def test_matrices_of_many_components_count_in_a_batch(monkeypatch, rng):
    X, new = rng.normal(size=(12, 3)), rng.normal(size=(9, 3))
    tsne = ExactTSNE(6, max_iter=20, early_exaggeration_iter=5).fit(X)
    placed, sizes = tsne.transform(new), []

    def place(objective):
        sizes.append(len(objective.P))
        return place_points(objective)

    monkeypatch.setattr(_placement, "place_points", place)
    monkeypatch.setattr(_placement, "NUMBERS_PER_BATCH", 3 * (12 + 6 * 6))
    assert_array_equal(tsne.transform(new), placed)
    assert sizes == [3, 3, 3]


def test_a_row_alone_is_placed_as_in_a_batch():
    X = DIGITS[np.random.default_rng(0).permutation(1797)]
    tsne = ExactTSNE(affinities="neighbors", random_state=0, max_iter=250).fit(X[:900])
    batch = tsne.transform(X[900:1000])
    single = np.vstack([tsne.transform(row[None]) for row in X[900:1000]])
    assert_array_equal(single, batch)


@pytest.mark.parametrize(
    ("n_components", "radius"), [(2, 0.3), (2, 6), (2, 60), (3, 0.3), (3, 6)]
)
def test_the_field_of_a_map_by_a_grid(n_components, radius, monkeypatch):
    """At any place, within the map, at its rim and far from it."""
    rng = np.random.default_rng(0)
    Y = radius * rng.normal(size=(n_components, 1500)) / 2
    V = radius * rng.uniform(-1, 1, (60, n_components))
    V[:8] *= 5
    V[8] = Y[:, 0]
    with Threads(2) as threads:
        pairs = repulsion_of(Y, Kernel(STUDENT_T, 1.0), threads)
        assert type(pairs) is PairField
        monkeypatch.setattr("skdec.tsne._field.PAIRS_UP_TO", 1000)
        grid = repulsion_of(Y, Kernel(STUDENT_T, 1.0), threads)
        assert type(grid) is GridField
        found, expected = grid(V, threads), pairs(V, threads)
        alone = grid(V[5:6], threads), grid(V[9:10], threads)
    for v, value, force in zip(V, expected.value, expected.forces.T, strict=True):
        D = np.square(Y.T - v).sum(axis=1)
        assert_allclose(value, np.log((1 / (1 + D)).sum()))
        pushes = 2 / (1 + D) ** 2 @ (v - Y.T)
        assert_allclose(force, pushes / (1 / (1 + D)).sum(), rtol=1e-9, atol=1e-12)
    assert_allclose(found.value, expected.value, rtol=1e-11, atol=1e-11)
    scale = np.abs(expected.forces).max()
    assert_allclose(found.forces, expected.forces, rtol=1e-9, atol=1e-10 * scale)
    assert_array_equal([a.value[0] for a in alone], found.value[[5, 9]])


@pytest.mark.parametrize("dof", [1.0, 3.0, 100.0])
def test_a_field_with_few_digits_is_taken_from_pairs(dof, monkeypatch):
    monkeypatch.setattr("skdec.tsne._field.PAIRS_UP_TO", 100)
    heaps = np.random.default_rng(0).normal(size=(2, 300))
    Y = np.concatenate([heaps, heaps + 60], axis=1)
    V = np.linspace(0, 60, 21)[:, None] * [1.0, 1.0]
    with Threads(1) as threads:
        found = repulsion_of(Y, Kernel(STUDENT_T, dof), threads)(V, threads)
        expected = PairField(Y, Kernel(STUDENT_T, dof))(V, threads)
    assert_allclose(found.value, expected.value, rtol=1e-7, atol=1e-7)
    scale = np.abs(expected.forces).max()
    assert_allclose(found.forces, expected.forces, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("n_components", [2, 3])
def test_new_points_by_a_grid_and_by_pairs(n_components, monkeypatch):
    X = DIGITS[:800]
    settings = {"n_components": n_components, "max_iter": 300, "random_state": 0}
    tsne = ExactTSNE(affinities="neighbors", **settings).fit(X)
    new = DIGITS[800:900]
    by_pairs = tsne.transform(new)
    monkeypatch.setattr("skdec.tsne._field.PAIRS_UP_TO", 100)
    tsne = pickle.loads(pickle.dumps(tsne))  # without what it had prepared
    by_grid = tsne.transform(new)
    same_places(by_grid, by_pairs, 1e-5)
    order = np.random.default_rng(0).permutation(100)
    assert_allclose(tsne.transform(new[order]), by_grid[order], rtol=1e-6, atol=1e-6)
    assert_array_equal(tsne.transform(X[:50]), tsne.embedding_[:50])


def counting(monkeypatch, where, name):
    """Let a class count how often it is made."""
    made, original = [], getattr(where, name)

    def make(*arguments):
        made.append(name)
        return original(*arguments)

    monkeypatch.setattr(where, name, make)
    return made


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
def test_what_placing_needs_is_prepared_once(affinities, monkeypatch):
    monkeypatch.setattr(_field, "PAIRS_UP_TO", 100)
    made = [
        counting(monkeypatch, module, name)
        for module, name in (
            (_placement, "FittedMap"),
            (_distances, "KnownRows"),
            (_field, "GridField"),
        )
    ]
    once = [1, 1, int(affinities == "neighbors")]
    tsne = ExactTSNE(affinities=affinities, max_iter=150, random_state=0)
    tsne.fit(DIGITS[:400])
    assert [len(calls) for calls in made] == [0, 0, 0]  # a fit needs none of it
    new = tsne.transform(DIGITS[400:440])
    for _ in range(2):
        assert_array_equal(tsne.transform(DIGITS[400:440]), new)
    assert [len(calls) for calls in made] == once
    # eight threads at once find what is prepared, and one another's results
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tsne.transform, [DIGITS[400:440]] * 8))
    assert_array_equal(found, [new] * 8)
    assert [len(calls) for calls in made] == once
    whole = pickle.dumps(tsne)
    copied = pickle.loads(whole)
    with ThreadPoolExecutor(8) as pool:  # all of them prepare it
        found = list(pool.map(copied.transform, [DIGITS[400:440]] * 8))
    assert_array_equal(found, [new] * 8)
    assert len(pickle.dumps(tsne)) == len(whole)


def test_a_map_that_is_changed_is_prepared_anew():
    tsne = ExactTSNE(max_iter=150, random_state=0).fit(DIGITS[:200])
    X = DIGITS[200:220]
    before = tsne.transform(X)
    tsne.embedding_ += 5  # in place
    same_places(tsne.transform(X), before + 5, 1e-3)
    tsne.embedding_ = tsne.embedding_ - 5
    same_places(tsne.transform(X), before, 1e-3)
    tsne.fit(DIGITS[20:220])
    assert_array_equal(tsne.transform(X), tsne.embedding_[180:])


def test_a_warning_of_many_new_rows_comes_once(monkeypatch, rng):
    monkeypatch.setattr("skdec.tsne._placement.NUMBERS_PER_BATCH", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tsne = ExactTSNE(max_iter=20, perplexity=5).fit(rng.normal(size=(40, 2)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tsne.transform(1e100 * rng.normal(size=(200, 2)))
    told = [str(w.message) for w in caught if "perplexity" in str(w.message)]
    assert len(told) == 1
    assert "for 200 of 200 rows" in told[0]
