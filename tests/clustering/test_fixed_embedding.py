"""Which start is carried on, and what comes of it: never worse than the start."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from skdec import StudentTClustering
from skdec.clustering._consensus import pairwise_agreement
from skdec.clustering._fixed_embedding import MOST_TRIED, Carrier, cluster
from skdec.clustering._form import Automatic, Form
from skdec.clustering._starts import find_starts
from skdec.clustering._training import Settings
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive
from tests.clustering.common import BLOBS, distances_from_mean


def naive_inertia(X, centers):
    return naive.squared_distances(X, centers).min(axis=1).sum()


@pytest.mark.parametrize("first", [0, 10, 30])
def test_starts_are_tried_by_falling_evidence(first):
    X, form = load_digits().data[:200, first : first + 10], Form(3.0, 6.0, 0.5)
    # no two rows are the same, and none is as near to two centroids
    X = X + 0.1 * np.random.RandomState(0).rand(*X.shape)
    with Threads(1) as threads:
        found = find_starts(X, Weights(None), "random", 6, np.arange(12), threads)
        carrier = Carrier(found, Settings(), threads, None, strict=True)
        starts = carrier.ranked(form)
        some = carrier.ranked(form, distinct=True)
    ones = np.ones(len(X))
    evidence = np.array(
        [naive.evidence(X / 6.0, start / 6.0, 3.0, ones, 6.0) for start in starts]
    )
    assert len(starts) == 12
    # half a nat for each parameter, by the row
    allowed = 6 * found.spread.dimension / (2 * 200)
    assert_allclose(carrier.allowed, allowed)
    assert first != 10 or evidence.max() - evidence.min() > allowed
    for i in range(12):
        assert evidence[i] >= evidence[i:].max() - allowed
    # of those that chance may part the first is the most like all of them
    labels = [naive.squared_distances(X, start).argmin(axis=1) for start in starts]
    alike = np.array(
        [[adjusted_rand_score(a, b) for b in labels] for a in labels]
    )  # fmt: skip
    assert_allclose(pairwise_agreement(np.array(labels), 6), alike, atol=1e-12)
    # a start whose labels are those of one before it is tried no more
    numbers = [[tried is start for tried in starts].index(True) for start in some]
    kept = []
    for i in range(12):
        if i in numbers:
            assert alike[i, kept].max(initial=0) < 0.95
            kept.append(i)
        else:
            assert alike[i, kept].max() >= 0.95
    assert numbers == kept
    mean = (alike.sum(axis=1) - 1) / 11
    equal = np.flatnonzero(evidence >= evidence.max() - allowed)
    inertia = np.array([naive_inertia(X, start) for start in starts])
    assert len(equal) > 1
    if mean[equal].max() >= 0.5:
        assert mean[0] == mean[equal].max()
    else:
        assert inertia[0] == inertia[equal].min()


@pytest.mark.parametrize("sample_weight", [[3, 1, 1, 3], [1.9, 0.1, 0.1, 1.9]])
def test_a_start_that_is_kept_is_kept_to_the_bit(sample_weight):
    """Even of centroids on the rim of the ball that holds the rows."""
    X, init = [[0, 0], [0.5, 0], [0.5, 1], [1, 1]], [[0, 0], [1, 1]]
    model = StudentTClustering(2, init=init).fit(X, sample_weight=sample_weight)
    assert model.start_kept_
    assert_array_equal(model.cluster_centers_, init)


def test_empty_and_coincident_centroids_are_begun_anew():
    far, twin = BLOBS[[0, 1, 2, 3]].copy(), BLOBS[[0, 0, 2, 3]].copy()
    far[3] = 1e6
    for start in (far, twin):
        model = StudentTClustering(4, init=start, balance=1.0, bandwidth=0.5)
        model.set_params(max_iter=3000).fit(BLOBS)
        assert model.n_reseeds_ > 0
        assert len(np.unique(model.labels_)) == 4
        assert np.isfinite(model.predict_proba(BLOBS)).all()
    assert StudentTClustering(4, random_state=0).fit(BLOBS).n_reseeds_ == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_collapse_is_told(dtype):
    X = BLOBS.astype(dtype)
    with pytest.warns(ConvergenceWarning, match="clusters collapsed.*bandwidth"):
        model = StudentTClustering(4, bandwidth=1e4, random_state=0).fit(X)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.kl_divergence_)


@pytest.mark.parametrize("batch_size", [None, 50])
def test_surplus_centroids_do_not_run_away(batch_size):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3, 1, 20)) * 10 + rng.normal(size=(3, 110, 20))).reshape(
        -1, 20
    )
    farthest = np.linalg.norm(X - X.mean(axis=0), axis=1).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seed in range(3):
            model = StudentTClustering(
                9, n_init=5, random_state=seed, batch_size=batch_size
            ).fit(X)
            distances = np.linalg.norm(model.cluster_centers_ - X.mean(axis=0), axis=1)
            assert distances.max() < 5 * farthest
            assert len(np.unique(model.labels_)) >= 3


def evidence_of(model, X, centers):
    h = model.bandwidth_
    return naive.evidence(X / h, centers / h, model.dof_, np.ones(len(X)), h)


@pytest.mark.parametrize("seed", range(3))
def test_no_less_evidence_than_k_means(seed):
    rng = np.random.RandomState(seed)
    for X in (rng.rand(120, 6), make_blobs(120, 3, centers=5, random_state=seed)[0]):
        start = KMeans(5, n_init=5, random_state=seed).fit(X).cluster_centers_
        model = StudentTClustering(5, init=start, max_iter=2000).fit(X)
        reached = evidence_of(model, X, model.cluster_centers_)
        assert_allclose(model.evidence_, reached, rtol=1e-6)
        assert reached >= evidence_of(model, X, start) - 1e-9
        assert len(np.unique(model.labels_)) == 5


def test_a_start_that_is_kept_is_said_to_be():
    X = np.random.RandomState(0).rand(500, 40)
    start = KMeans(8, n_init=5, random_state=0).fit(X).cluster_centers_
    # all automatic: nothing to remedy, so the attribute alone tells
    model = StudentTClustering(8, init=start, max_iter=3000).fit(X)
    assert model.start_kept_
    assert_allclose(model.cluster_centers_, start, rtol=1e-12)
    with pytest.warns(
        ConvergenceWarning, match="clusters lost all their rows.*bandwid"
    ):
        model = StudentTClustering(8, init=start, dof=1.0, bandwidth=1.0, balance=0.0)
        model.fit(X)
    assert model.start_kept_
    assert not model.converged_
    assert_allclose(model.cluster_centers_, start, rtol=1e-12)
    assert len(np.unique(model.labels_)) == 8


def test_parameters_that_lose_evidence_are_named():
    X, _ = make_blobs([400, 40, 40], centers=[[0, 0], [6, 0], [3, 5]], random_state=0)
    with pytest.warns(ConvergenceWarning, match="explained the rows worse.*dof"):
        model = StudentTClustering(3, dof=2.0, bandwidth=0.3, balance=3.0)
        model.set_params(init=[[0, 0], [6, 0], [3, 5]]).fit(X)
    assert model.start_kept_ and not model.converged_


@pytest.mark.parametrize("dof", [2.0, 4.0])
def test_labels_that_explain_the_rows_plainly_worse_are_not_returned(dof):
    # texts of six topics; at a small dof memberships are nearly even, and their means
    # tell nothing of the labels
    rng = np.random.RandomState(0)
    y, X = rng.randint(6, size=500), np.zeros((500, 300))
    own = rng.randint(300, size=(6, 30))
    for row, topic in zip(X, y, strict=True):
        drawn = rng.rand(40) < 0.35
        words = own[topic, rng.randint(30, size=40)]
        np.add.at(row, np.where(drawn, words, rng.randint(300, size=40)), 1)
    model = StudentTClustering(6, dof=dof, random_state=0).fit(normalize(np.log1p(X)))
    assert adjusted_rand_score(y, model.labels_) > 0.95


@pytest.mark.parametrize("n_features", [2, 10])
@pytest.mark.parametrize("distance", [6, 10])
def test_blobs_of_unequal_size(n_features, distance):
    centers = np.zeros((3, n_features))
    centers[1, 0], centers[2, :2] = distance, (distance / 2, distance * 0.866)
    y = np.repeat([0, 1, 2], [2000, 200, 50])
    X = centers[y] + np.random.RandomState(3).randn(len(y), n_features)
    model = StudentTClustering(3, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.95
    # the formula of the paper evens sizes out
    paper = StudentTClustering(3, dof=1.0, balance=1.0, random_state=0).fit(X)
    assert distance > 6 or adjusted_rand_score(y, paper.labels_) < 0.5


@pytest.mark.parametrize("n_features", [2, 20, 100])
def test_ten_times_too_many_clusters(n_features):
    X, _ = make_blobs(900, n_features, centers=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(30, random_state=0).fit(X)
    assert len(np.unique(model.labels_)) == 30
    farthest = distances_from_mean(X, X).max()
    assert distances_from_mean(X, model.cluster_centers_).max() < farthest


def clusters_of_many_widths(seed):
    """Ten clusters of equal size, some of them several times as wide as others."""
    rng = np.random.RandomState(seed)
    centers, y = rng.randn(10, 10), rng.randint(10, size=3000)
    width = 0.6 * np.exp(0.8 * rng.randn(10))
    return centers[y] + width[y][:, None] * rng.randn(3000, 10), y


def test_one_cluster_does_not_take_what_lies_between_the_others(monkeypatch):
    # evidence grows along the way, which one spread of all clusters is to blame for
    X, y = clusters_of_many_widths(2)
    kmeans = KMeans(10, n_init=10, random_state=0).fit(X)
    model = StudentTClustering(10, random_state=0).fit(X)
    assert np.bincount(model.labels_).max() < len(X) / 3
    scores = (adjusted_rand_score(y, m.labels_) for m in (model, kmeans))
    assert np.subtract(*scores) > -0.05
    # without the rule it does
    monkeypatch.setattr("skdec.clustering._fixed_embedding.FAR_AGREEMENT", -1)
    lost = StudentTClustering(10, random_state=0).fit(X)
    assert adjusted_rand_score(y, lost.labels_) < 0.1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_where_all_starts_lose_clusters_ten_are_tried(monkeypatch):
    X, tried, carry = np.random.RandomState(0).randn(200, 3), [], Carrier.of_sample

    def emptied(carrier, start, form):
        tried.append(start)
        return replace(carry(carrier, start, form), emptied=True, start_kept=True)

    monkeypatch.setattr(Carrier, "of_sample", emptied)
    distinct = {}
    for most in (MOST_TRIED, 40):
        monkeypatch.setattr("skdec.clustering._fixed_embedding.MOST_TRIED", most)
        tried.clear()
        StudentTClustering(12, max_iter=3, random_state=0).fit(X)
        distinct[most] = len({id(start) for start in tried})
    assert distinct[MOST_TRIED] == 10 < distinct[40]


def test_uneven_blobs_are_far_better_separated_than_by_their_start(monkeypatch):
    rng = np.random.RandomState(0)
    corners = np.array([[0, 0], [6, 0], [3, 5.2]])
    y = np.repeat([0, 1, 2], [2000, 200, 50])
    X = corners[y] + rng.randn(len(y), 2)
    monkeypatch.setattr("skdec.clustering._fixed_embedding.CLEARER", 0.1)
    assert (
        adjusted_rand_score(y, StudentTClustering(3, random_state=0).fit_predict(X))
        > 0.95
    )


def test_where_a_start_is_returned_it_is_the_best():
    """The first loses a cluster, and of the next one its start would be returned."""

    class Tries:
        def ranked(self, form, *, distinct):
            return ["best", "other"]

        def of_sample(self, start, form):
            return SimpleNamespace(
                emptied=start == "best", stopped=False, harmful=False, start_kept=True
            )

        def of_all(self, start, form, outcome=None):
            return start, outcome

    chosen = cluster(Tries(), Form(2.0, 1.0, 0.5), Automatic(False, False))
    assert chosen == ("best", None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_centroid_far_out_costs_the_rows_no_digits(dtype, rng):
    y = np.repeat([0, 1, 2], 100)
    X = np.array([[0, 0], [1, 0], [1.01, 0]])[y] + 0.001 * rng.standard_normal((300, 2))
    start = [[0, 0], [1, 0], [1e6, 1e6]]
    model = StudentTClustering(3, init=start).fit(X.astype(dtype))
    assert adjusted_rand_score(y, model.labels_) == 1
    density = model.score_samples(X.astype(dtype)).mean()
    assert_allclose(model.evidence_, density, atol=1e-3)
