"""Where centroids start."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdec import ExactTSNE, StudentTClustering
from skdec.clustering import _spread
from skdec.clustering._spread import within_spread
from skdec.clustering._starts import Sample, _components
from skdec.utils.duplicates import merge_rows
from tests.clustering.common import BLOBS, TRUTH, distances_from_mean


def test_init():
    seeds = BLOBS[[0, 5, 9, 20]]
    model = StudentTClustering(4, init=seeds).fit(BLOBS)
    listed = StudentTClustering(4, init=seeds.tolist()).fit(BLOBS)
    assert_array_equal(model.labels_, listed.labels_)
    # an array is the start itself: one tiny step must stay near it
    with pytest.warns(ConvergenceWarning):
        near = StudentTClustering(4, init=seeds, max_iter=1, bandwidth=1e-3).fit(BLOBS)
    assert np.abs(near.cluster_centers_ - seeds).max() < 0.5
    one_of_each = BLOBS[[np.flatnonzero(j == TRUTH)[0] for j in range(4)]]
    for init in ("random", lambda X, k, random_state: one_of_each):
        other = StudentTClustering(4, init=init, random_state=0).fit(BLOBS)
        assert adjusted_rand_score(TRUTH, other.labels_) > 0.95


def test_callable_init_sees_the_units_of_the_data():
    seen = []

    def init(X, n_clusters, random_state):
        seen.append(np.abs(X).max())
        return X[:n_clusters]

    model = StudentTClustering(4, init=init, n_init=1, max_iter=1000)
    model.fit(BLOBS * 1e20)
    assert_allclose(seen, np.abs(BLOBS).max() * 1e20)


def test_callable_init_gets_a_random_state():
    def init(X, n_clusters, random_state):
        return X[random_state.permutation(len(X))[:n_clusters]]

    model = StudentTClustering(4, init=init, random_state=0).fit(BLOBS)
    assert adjusted_rand_score(TRUTH, model.labels_) > 0.95


class Split(ClusterMixin, BaseEstimator):
    """Labels rows by a rule; keeps what it was given."""

    given = []

    def __init__(self, rule, random_state=None):
        self.rule, self.random_state = rule, random_state

    def fit(self, X, y=None):
        return self

    def fit_predict(self, X, y=None):
        self.given.append((X, self.random_state))
        return self.rule(X)


def by_quadrant(X):
    """Numbers of clusters need not be consecutive."""
    return 5 * (X[:, 0] > 1) + 2 * (X[:, 1] > -2)


def noisy(X):
    """Every fifth row is noise."""
    return np.where(np.arange(len(X)) % 5, by_quadrant(X), -1)


@pytest.mark.parametrize("rule", [by_quadrant, noisy])
@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("factor", [1.0, 1e-30, 1e30])
def test_clusters_of_an_estimator_are_the_start(rule, stored, factor, rng):
    def dense(X):
        return rule(X.toarray() / factor if sparse.issparse(X) else X / factor)

    X, weight = BLOBS * factor, rng.integers(0, 3, len(BLOBS)).astype(float)
    X, weight = np.vstack([X, X]), np.tile(weight, 2)  # they are merged
    model = StudentTClustering(4, init=Split(dense), random_state=0)
    model.fit(stored(X), sample_weight=weight)
    rows, total = merge_rows(X, weight)
    labels = rule(rows / factor)
    means = [
        np.average(rows[labels == j], axis=0, weights=total[labels == j])
        for j in np.unique(labels[labels >= 0])
    ]
    expected = StudentTClustering(4, init=np.array(means)).fit(X, sample_weight=weight)
    assert_allclose(
        model.cluster_centers_, expected.cluster_centers_, atol=1e-6 * factor
    )
    assert_array_equal(model.labels_, expected.labels_)


def test_an_estimator_is_cloned_and_given_a_seed():
    Split.given.clear()

    def by_sign(X):
        return 2 * (X[:, 0] > 0) + (X[:, 1] > 0)

    given = make_pipeline(StandardScaler(), Split(by_sign))
    with_seed = make_pipeline(StandardScaler(), Split(by_sign, random_state=7))
    for init in (given, with_seed):
        for _ in range(2):
            StudentTClustering(4, init=init, random_state=0).fit(BLOBS)
    seeds = [seed for _, seed in Split.given]
    assert seeds[0] == seeds[1] is not None
    assert seeds[2:] == [7, 7]
    StudentTClustering(4, init=given, random_state=1).fit(BLOBS)
    assert Split.given[-1][1] != seeds[0]
    assert given.get_params()["split__random_state"] is None
    model = StudentTClustering(4, init=given).set_params(init__split__random_state=3)
    assert clone(model).init[-1].random_state == 3


@pytest.mark.parametrize(
    "rule, told",
    [
        (lambda X: X[:, 0] > 0, "init must label 300 rows by integers; its .* bool"),
        (lambda X: np.zeros(3, int), r"of shape \(3,\)"),
        (
            lambda X: by_quadrant(X) // 4,
            "n_clusters=4 clusters; its fit_predict gave [12] in",
        ),
        (lambda X: np.full(len(X), -1), "gave 0 in 300 rows"),
    ],
)
def test_an_estimator_that_gives_no_such_clusters(rule, told):
    with pytest.raises(ValueError, match=told):
        StudentTClustering(4, init=Split(rule)).fit(BLOBS)


def test_an_estimator_is_one_start():
    with pytest.warns(RuntimeWarning, match="Estimator passed: performing only one"):
        StudentTClustering(4, init=KMeans(4, random_state=0), n_init=3).fit(BLOBS)


@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("factor", [1.0, 1e-30, 1e30])
@pytest.mark.parametrize("sampled", [False, True])
def test_clusters_of_labels_are_the_start(stored, factor, sampled, rng, monkeypatch):
    if sampled:
        monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 200)
        monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 100)
    # rows that are the same may be labelled otherwise
    X = np.vstack([BLOBS, BLOBS]) * factor
    labels = noisy(X / factor)
    labels[rng.random(len(X)) < 0.1] = 7
    weight = rng.integers(0, 3, len(X)).astype(float)
    means = [
        np.average(X[labels == j], axis=0, weights=weight[labels == j])
        for j in np.unique(labels[labels >= 0])
    ]
    common = {"random_state": 0}
    expected = StudentTClustering(4, init=np.array(means), **common)
    expected.fit(X, sample_weight=weight)
    given = labels.copy()
    given.flags.writeable = False
    for init in (given, labels.tolist(), labels.astype(np.int8)):
        model = StudentTClustering(4, init=init, **common)
        model.fit(stored(X), sample_weight=weight)
        assert_allclose(
            model.cluster_centers_, expected.cluster_centers_, atol=1e-6 * factor
        )
        assert_array_equal(model.labels_, expected.labels_)


@pytest.mark.parametrize(
    "labels, weight, told",
    [
        (by_quadrant(BLOBS)[1:], None, r"init must label 300 rows.* shape \(299,\)"),
        (by_quadrant(BLOBS) * 1.0, None, "by integers; it has float64 of shape"),
        (by_quadrant(BLOBS) > 0, None, "by integers; it has bool"),
        (by_quadrant(BLOBS) // 4, None, "n_clusters=4 clusters; it has 2 in 300 rows"),
        (np.full(300, -1), None, "n_clusters=4 clusters; it has 0"),
        (by_quadrant(BLOBS), 1.0 * (by_quadrant(BLOBS) > 0), "clusters; it has 3 in"),
        (np.ma.masked_equal(by_quadrant(BLOBS), 5), None, "init must have no masked"),
        ([[1.0, 2.0], [3.0]], None, "init"),
    ],
)
def test_labels_that_are_no_start(labels, weight, told):
    with pytest.raises(ValueError, match=told):
        StudentTClustering(4, init=labels).fit(BLOBS, sample_weight=weight)


def test_labels_are_one_start_for_all_rows():
    labels = by_quadrant(BLOBS).astype(np.uint64)
    with pytest.warns(RuntimeWarning, match="Labels passed: performing only one"):
        StudentTClustering(4, init=labels, n_init=3).fit(BLOBS)
    with pytest.raises(ValueError, match=r"in partial_fit, .* got 300 labels"):
        StudentTClustering(4, init=labels).partial_fit(BLOBS)
    pipeline = make_pipeline(StandardScaler(), KMeans(4, random_state=0))
    StudentTClustering(4, init=pipeline).partial_fit(BLOBS)


def test_clusters_of_a_map_are_a_start():
    X, _ = load_digits(return_X_y=True)
    tsne = ExactTSNE(perplexity=10, exaggeration=4, max_iter=200, random_state=0)
    init = make_pipeline(tsne, KMeans(10, random_state=0))
    model = StudentTClustering(10, init=init).fit(X[:400])
    rows, _ = merge_rows(X[:400], np.ones(400))
    labels = clone(init).fit_predict(rows)
    means = np.array([rows[labels == j].mean(axis=0) for j in range(10)])
    expected = StudentTClustering(10, init=means).fit(X[:400])
    assert_allclose(model.cluster_centers_, expected.cluster_centers_, rtol=1e-5)


def test_large_data_start_from_a_sample(monkeypatch):
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 600)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 150)
    X = np.vstack([BLOBS, BLOBS])
    merged = StudentTClustering(4, random_state=0).fit(BLOBS)
    for rows in (X, sparse.csr_matrix(X)):
        model = StudentTClustering(4, random_state=0).fit(rows)
        assert adjusted_rand_score(model.labels_[:300], merged.labels_) > 0.98
    # given the same start, integer weights are repeated rows here too
    start, weight = merged.cluster_centers_ + 0.3, np.arange(300) % 3
    settings = {"init": start, "bandwidth": 1.0, "dof": 1.0, "tol": 1e-9}
    weighted = StudentTClustering(4, **settings).fit(BLOBS, sample_weight=weight)
    repeated = StudentTClustering(4, **settings).fit(BLOBS.repeat(weight, axis=0))
    assert_allclose(
        weighted.predict_proba(BLOBS), repeated.predict_proba(BLOBS), atol=1e-6
    )


@pytest.mark.parametrize("n_merged", [300, 100])
@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("batch_size", [None, 90])
def test_any_number_of_rows_without_weight(n_merged, stored, batch_size, monkeypatch):
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 4 * n_merged)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", n_merged)
    monkeypatch.setattr("skdec.clustering._starts.LEAST_ROWS_PER_CLUSTER", 10)
    X, weight = np.insert(BLOBS, slice(None), 5.0, axis=0), np.tile([0.0, 1.0], 300)
    X[::6, 1:] = 0
    settings = {"batch_size": batch_size, "random_state": 0}
    model = StudentTClustering(4, **settings).fit(stored(X), sample_weight=weight)
    plain = StudentTClustering(4, **settings).fit(stored(BLOBS))
    # sums over blocks of other rows are rounded differently
    assert_allclose(model.cluster_centers_, plain.cluster_centers_, rtol=1e-6)
    assert model.n_steps_ == plain.n_steps_


@pytest.mark.parametrize("form", [{}, {"dof": 4.0, "balance": 0.5}])
def test_large_data_are_not_copied(form, monkeypatch, tmp_path):
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 2**14)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 400)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.normal(size=(100_000, 40)).astype(np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = StudentTClustering(5, n_init=1, max_iter=2, tol=100, random_state=0, **form)
    model.fit(X[:20_000])  # compiles
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


def test_a_callable_that_gives_sparse_centroids_is_told():
    def first_rows(X, k, random_state):
        return X[:k]

    model = StudentTClustering(3, init=first_rows, random_state=0)
    with pytest.raises(TypeError, match="Sparse data was passed for init"):
        model.fit(sparse.csr_array(BLOBS))


@pytest.mark.parametrize("dtype, factor", [(float, 1), (float, 1e160), (float, 1e-160),
                                           (np.float32, 1e-25)])  # fmt: skip
def test_reseeding_finds_every_blob_at_any_scale(dtype, factor):
    outlier = np.full((1, 4), 60.0)
    start = np.vstack([BLOBS[:1], np.full((3, 4), 1e3) * [[1], [2], [3]]])
    X = (np.vstack([BLOBS, outlier]) * factor).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(
            4, init=start * factor, bandwidth=0.5 * factor, max_iter=3000
        ).fit(X)
    assert model.n_reseeds_ > 0
    assert len(np.unique(model.labels_)) == 4


@pytest.mark.parametrize("far", [1e20, 1e155])
def test_a_start_far_out_of_range_is_brought_back(far, rng):
    X = make_blobs(90, 4, centers=2, random_state=0)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(2, init=np.full((2, 4), far) * [[1], [2]]).fit(X)
    assert len(np.unique(model.labels_)) == 2
    assert distances_from_mean(X, model.cluster_centers_).max() < 100
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("k", [1, 2, 8, 9, 10, 12])
def test_as_many_clusters_as_there_can_be(k):
    rng = np.random.RandomState(0)
    rows = np.repeat(rng.randn(3, 2) * 10, 3, axis=0) + 0.1 * rng.randn(9, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for X in (rows, np.repeat(rows, 3, axis=0), rows * 1e-30):
            if len(X) >= k:
                model = StudentTClustering(k, random_state=0).fit(X)
                assert len(np.unique(model.labels_)) == min(k, 9)
                assert np.isfinite(model.evidence_)


def test_sparse_rows_far_from_zero_are_refused_where_distances_are_lost():
    X = make_blobs(200, 3, centers=3, random_state=0)[0]
    X[:, 0] += 1e10
    with pytest.raises(ValueError, match=r"X: sparse rows.*farther from zero"):
        StudentTClustering(3, random_state=0).fit(sparse.csr_matrix(X))
    # one far row among others is no loss
    X[:, 0] -= 1e10
    X[0] = 1e9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        StudentTClustering(3, bandwidth=1.0, init=X[1:4]).fit(sparse.csr_matrix(X))


def test_a_constant_column_however_large_changes_no_bandwidth():
    """Such as a time in nanoseconds."""
    X, _ = make_blobs(300, 3, centers=3, random_state=1)
    expected = StudentTClustering(3, random_state=0).fit(X)
    for value in (1e3, 1.7e15, -1.7e18):
        column = np.full((300, 1), value)
        model = StudentTClustering(3, random_state=0).fit(np.hstack([column, X]))
        assert_allclose(model.bandwidth_, expected.bandwidth_, rtol=0.02)
        assert adjusted_rand_score(model.labels_, expected.labels_) == 1


def test_the_gap_of_rows_is_looked_for_among_a_thousand(rng, monkeypatch):
    """Rows that differ by nothing but rounding."""
    rows = 1 + 1e-16 * rng.integers(0, 5, size=(3000, 2)).astype(float)
    asked = []
    distances = _spread.nearest_distances

    def noted(X, *more):
        asked.append(len(X))
        return distances(X, *more)

    monkeypatch.setattr(_spread, "nearest_distances", noted)
    monkeypatch.setattr(_spread, "RESIDUAL_ROUNDING", 10.0)
    spread = within_spread(rows, np.ones(3000), rows[:2])
    assert asked == [1000]
    assert np.isfinite(spread.distance)


def test_sparse_rows_in_single_precision_have_the_starts_of_double():
    """Beside a large column scikit-learn's products in single precision are noise."""
    blobs, y = make_blobs(1000, 6, centers=10, random_state=0)
    X = sparse.csr_matrix(np.column_stack([np.full(1000, 1e5), blobs]))
    single = StudentTClustering(10, random_state=0).fit(X.astype(np.float32))
    double = StudentTClustering(10, random_state=0).fit(X)
    assert adjusted_rand_score(single.labels_, double.labels_) > 0.95
    assert adjusted_rand_score(single.labels_, y) > 0.9


def test_rare_rows_that_no_sample_has_are_clusters_of_their_own():
    """Seven different rows, of which a sample has four."""
    y = np.random.default_rng(0).integers(3, size=200_000)
    y[:12] = np.repeat([3, 4, 5, 6], 3)
    X = np.eye(50)[y]
    with pytest.warns(ConvergenceWarning, match=r"\(\d\) in a sample of X") as told:
        model = StudentTClustering(7, random_state=0).fit(X)
    assert len(told) == 1
    assert not model.start_kept_
    assert len(np.unique(model.labels_)) == 7


def cells(n_samples=600, n_genes=2000, k=5):
    """Over-dispersed counts in scaled logarithms, and the kinds of cell."""
    rng = np.random.default_rng(0)
    changes = rng.normal(size=(k, n_genes)) * (rng.random((k, n_genes)) < 0.05)
    profiles = rng.lognormal(-1, 1.2, n_genes) * np.exp(changes)
    y = rng.integers(k, size=n_samples)
    means = profiles[y] * rng.gamma(2, 0.5, (n_samples, n_genes))
    X = np.log1p(rng.poisson(means))
    return (X / np.clip(X.std(axis=0), 0.05, None)).astype(np.float32), y


def test_clusters_of_counts_in_many_dimensions_are_found():
    X, y = cells()
    model = StudentTClustering(5, random_state=0).fit(X)
    # from starts among all features alone 0.37
    assert adjusted_rand_score(y, model.labels_) > 0.9
    by_means = KMeans(5, n_init=10, random_state=0).fit_predict(X)
    assert adjusted_rand_score(y, by_means) < 0.7
    stored = StudentTClustering(5, random_state=0).fit(sparse.csr_matrix(X))
    assert_array_equal(stored.labels_, model.labels_)


@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix])
def test_components_are_those_of_the_weighted_covariance(stored, rng):
    X = rng.standard_normal((60, 30)) * 0.7 ** np.arange(30)
    X[:, :20] += rng.standard_normal(20)
    weight = rng.integers(1, 4, 60).astype(float)
    found = _components(Sample(stored(X), weight, 1.0), 3, seed=0)
    away = X - np.average(X, axis=0, weights=weight)
    axes = np.linalg.eigh(np.cov(X.T, fweights=weight.astype(int)))[1][:, -6:]
    # the subspace is the same, whatever its basis
    assert_allclose(found @ found.T, away @ axes @ axes.T @ away.T, atol=1e-3)
    assert _components(Sample(stored(X), weight, 1.0), 8, seed=0) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csr_array])
def test_the_spread_of_sparse_rows_is_that_of_dense_ones(make, dtype, rng):
    """As many clusters as rows, rows of many entries, and clusters far from zero."""
    two = 1e-3 * rng.integers(0, 2, (200, 1))
    tight = 1 + 3e-5 * rng.standard_normal((200, 5)) + two
    for rows, k in ((rng.random((5, 50)), 5), (rng.random((5, 20_000)), 5), (tight, 2)):
        rows = rows.astype(dtype)
        dense, sparse_ = (
            StudentTClustering(k, random_state=0).fit(form(rows)).bandwidth_
            for form in (np.asarray, make)
        )
        assert_allclose(sparse_, dense, rtol=1e-3)
