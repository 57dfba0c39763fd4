"""StudentTClustering is never worse than its start: many dimensions, unequal sizes,
surplus clusters, streams, dense and sparse rows."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, normalize

from skdec import StudentTClustering
from skdec.clustering._form import Form, make_objective
from skdec.clustering._optimizers import CentroidDescent
from skdec.clustering._scaled_rows import scale_rows
from skdec.clustering._self_training import EXACT_AFTER, SelfTraining
from skdec.clustering._training import Settings
from skdec.utils.duplicates import merge_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive


def embeddings(n_features, k=8, n_samples=900, seed=0):
    """Directions around k others, as embeddings of texts and images are."""
    rng = np.random.RandomState(seed)
    centers, y = 0.3 * rng.randn(k, n_features), rng.randint(k, size=n_samples)
    return normalize(centers[y] + rng.randn(n_samples, n_features)), y


def agreement_of_kmeans(X, y):
    labels = KMeans(y.max() + 1, n_init=10, random_state=0).fit(X).labels_
    return adjusted_rand_score(y, labels)


def distances_from_mean(X, points):
    return np.linalg.norm(points - X.mean(axis=0), axis=1)


# ------------------------------------------------------------------- many dimensions
@pytest.mark.parametrize(
    "n_features, form, dtype",
    [
        (100, np.asarray, np.float64),
        (384, np.asarray, np.float32),
        (100, sparse.csr_matrix, np.float32),
    ],
)
def test_embeddings(n_features, form, dtype):
    X, y = embeddings(n_features)
    rows = form(X.astype(dtype))
    model = StudentTClustering(8, random_state=0).fit(rows)
    score = adjusted_rand_score(y, model.labels_)
    assert score > agreement_of_kmeans(X, y) - 0.02
    assert model.converged_
    batches = StudentTClustering(8, batch_size=225, random_state=0).fit(rows)
    assert adjusted_rand_score(y, batches.labels_) > score - 0.05
    stream = StudentTClustering(8, random_state=0)
    for start in range(0, 900, 300):
        stream.partial_fit(rows[start : start + 300])
    assert adjusted_rand_score(y, stream.predict(rows)) > score - 0.1


def test_cosine_data_by_a_normalizer(rng):
    directions, y = embeddings(200, k=4, n_samples=800)
    lengths = rng.lognormal(0, 1.5, (800, 1))
    model = make_pipeline(Normalizer(), StudentTClustering(4, random_state=0))
    labels = model.fit_predict(directions * lengths)
    assert adjusted_rand_score(y, labels) > 0.95
    plain = StudentTClustering(4, random_state=0).fit(directions)
    assert_array_equal(labels, plain.labels_)


@pytest.mark.parametrize("n_features", [2, 10, 50, 384, 768])
def test_memberships_say_what_share_is_right(n_features):
    rng = np.random.RandomState(1)
    centers = rng.randn(6, n_features)
    centers *= 7 / np.linalg.norm(centers, axis=1, keepdims=True)
    # in the plane the six are next to each other
    centers = centers if n_features > 2 else 7 * np.array(
        [[np.cos(t), np.sin(t)] for t in np.arange(6) * np.pi / 3]
    )  # fmt: skip
    y = rng.randint(6, size=1200)
    X = centers[y] + rng.randn(1200, n_features)
    model = StudentTClustering(6, random_state=0).fit(X)
    table = np.array([np.bincount(y[model.labels_ == j]).max() for j in range(6)])
    assert abs(model.probabilities_.mean() - table.sum() / 1200) < 0.15


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"balance": 0.0},
        {"balance": 20.0},
        {"dof": 1.0},
        {"bandwidth": 3.0},
        {"batch_size": 100},
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_structure_no_centroid_leaves_the_data(kwargs, dtype):
    X = np.random.RandomState(0).rand(500, 40).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(8, random_state=0, **kwargs).fit(X)
    farthest = distances_from_mean(X, X).max()
    assert distances_from_mean(X, model.cluster_centers_).max() < farthest * (1 + 1e-6)
    assert len(np.unique(model.labels_)) == 8
    assert np.isfinite(model.evidence_)


# ------------------------------------------------------------- never worse than a start
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


@pytest.mark.parametrize("n_features", [2, 20, 100])
def test_ten_times_too_many_clusters(n_features):
    X, _ = make_blobs(900, n_features, centers=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(30, random_state=0).fit(X)
    assert len(np.unique(model.labels_)) == 30
    farthest = distances_from_mean(X, X).max()
    assert distances_from_mean(X, model.cluster_centers_).max() < farthest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_tolerance_is_met(dtype):
    X = make_blobs(300, 2, centers=4, random_state=2)[0].astype(dtype)
    model = StudentTClustering(4, tol=0.0, max_iter=3000, random_state=0).fit(X)
    assert model.converged_


# ------------------------------------------------------------------- the frequencies
class Counting(SelfTraining):
    """Remembers the target of each step, and the frequencies that were true."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = []

    def step(self, objective, *arguments):
        centers = self.centers
        sums = super().step(objective, *arguments)
        f = objective.frequencies(centers) / objective.total
        self.seen.append((self.target, f, sums[0].kl / objective.total))
        return sums


@pytest.mark.parametrize("n_features", [3, 200])
def test_no_step_is_taken_with_frequencies_far_off(n_features):
    X, _ = embeddings(n_features, k=6, n_samples=600)
    start = KMeans(6, n_init=1, random_state=0).fit(X).cluster_centers_
    # nearly even memberships: the hard case
    form = Form(1.0, 2 * X.std() * np.sqrt(n_features), 1.0)
    with Threads(1) as threads:
        objective = make_objective(X, Weights(None), start, form, threads)
        run = Counting(
            objective.rows.to_internal(start),
            CentroidDescent(),
            Settings(max_iter=EXACT_AFTER + 10, tol=0.0),
            objective.rows.ball(objective.weight),
            None,
        )
        run.run(objective)
    off = [0.5 * (f @ np.square(np.log(target / f))) / kl for target, f, kl in run.seen]
    assert len(off) == EXACT_AFTER + 10
    assert max(off) <= 1e-2
    assert max(off[EXACT_AFTER:]) < 1e-12
    # most of them were not summed up before
    assert np.count_nonzero(np.array(off[:EXACT_AFTER]) > 1e-12) > EXACT_AFTER / 4


# ------------------------------------------------------------------ dense and sparse
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 2, 7, 60])
def test_rows_merge_in_the_same_order(n_features, dtype, rng):
    X = rng.integers(-3, 4, (400, n_features)) * (rng.random((400, n_features)) < 0.4)
    X, weight = (0.37 * X).astype(dtype), rng.integers(0, 3, 400).astype(float)
    X[::7] = -0.0
    rows, total = merge_rows(X, weight)
    # stored zeros, and entries in two parts and out of order, are the same rows
    row, column = np.indices(X.shape).reshape(2, -1)[:, ::-1]
    parts = np.concatenate([X.ravel()[::-1] / 2] * 2)
    other = sparse.csr_matrix((parts, (np.tile(row, 2), np.tile(column, 2))))
    sparse_rows, sparse_total = merge_rows(other, weight)
    assert_array_equal(sparse_rows.toarray(), rows)
    assert_array_equal(sparse_total, total)
    assert sparse_rows.dtype == dtype
    assert_array_equal(rows, np.unique(X[weight > 0], axis=0))


@pytest.mark.parametrize("k", [4, 11])
def test_dense_and_sparse_rows_have_the_same_clusters(k, rng):
    # without structure: nothing but the same starts gives the same clusters
    X = rng.random((400, 12)) * (rng.random((400, 12)) < 0.3)
    dense = StudentTClustering(k, random_state=3, max_iter=3000).fit(X)
    model = StudentTClustering(k, random_state=3, max_iter=3000)
    model.fit(sparse.csr_matrix(X))
    assert adjusted_rand_score(dense.labels_, model.labels_) > 0.97
    assert model.dof_ == dense.dof_
    assert_allclose(model.bandwidth_, dense.bandwidth_, rtol=1e-9)
    assert_allclose(model.evidence_, dense.evidence_, rtol=1e-4)


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


@pytest.mark.parametrize("magnitude", [1e-300, 1e-170, 1e170, 1e290])
def test_sparse_rows_at_any_magnitude(magnitude, rng):
    X = rng.random((60, 4)) * (rng.random((60, 4)) < 0.6) * magnitude
    dense = StudentTClustering(3, random_state=0).fit(X)
    model = StudentTClustering(3, random_state=0).fit(sparse.csr_matrix(X))
    assert_array_equal(model.labels_, dense.labels_)
    assert_allclose(model.evidence_, dense.evidence_, rtol=1e-6)


def test_entries_in_parts_are_one_entry(rng):
    X = rng.random((60, 4))
    whole = sparse.csr_matrix(X)
    halves, columns = np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2)
    parts = sparse.csr_matrix((halves, columns, 2 * whole.indptr), X.shape)
    model = StudentTClustering(3, random_state=0).fit(X)
    assert not parts.has_canonical_format
    assert_allclose(model.transform(parts), model.transform(X), rtol=1e-6, atol=1e-9)


def test_64_bit_indices(rng):
    X = sparse.random(200, 30, 0.2, "csr", random_state=0)
    wide = X.copy()
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    narrow = StudentTClustering(3, random_state=0).fit(X)
    model = StudentTClustering(3, random_state=0).fit(wide)
    assert wide.indices.dtype == np.int64
    assert_array_equal(model.transform(wide), narrow.transform(X))


# ------------------------------------------------------------------- shapes and state
class Width(BaseEstimator):
    """An encoder whose width can be changed behind the clustering's back."""

    def __init__(self, n_components=5):
        self.n_components = n_components

    def fit(self, X, y=None, sample_weight=None):
        self.W_ = np.random.RandomState(0).normal(size=(X.shape[1], self.n_components))
        return self

    def transform(self, X):
        return X @ self.W_

    def step(self, X, gradient, sample_weight=None):
        gradient(X @ self.W_)


@pytest.mark.parametrize("width", [2, 6])
def test_an_encoder_of_another_width_is_refused(width, rng):
    X = rng.normal(size=(90, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(3, encoder=Width(), max_iter=2, random_state=0)
        model.fit(X)
    model.encoder_.set_params(n_components=width).fit(X)
    for method in ("predict", "transform", "score", "kl_samples", "score_samples"):
        with pytest.raises(ValueError, match=r"must have 5 columns.*got"):
            getattr(model, method)(X)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_no_kernel_sees_rows_and_centroids_of_other_widths(form, rng):
    X = form(rng.normal(size=(30, 4)))
    with pytest.raises(ValueError, match="rows of 4 features need centroids"):
        scale_rows(X, rng.normal(size=(3, 5)), 1.0)
    frame = scale_rows(X, rng.normal(size=(3, 4)), 1.0)
    for narrower in (frame, frame.measured_by_products()):
        with pytest.raises(ValueError, match="rows of 4 features need centroids"):
            narrower.kernel_centers(rng.normal(size=(3, 3)))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_call_that_fails_leaves_the_last_fit_whole(method, rng):
    X = rng.normal(size=(60, 5))
    model = StudentTClustering(3, random_state=0)
    getattr(model, method)(X)
    before, q = dict(vars(model)), model.predict_proba(X)

    def interrupted(X, k, random_state):
        raise KeyboardInterrupt

    failing = [(X[:2, :3], None, {}), (X, -np.ones(60), {}), (X[:, :2], None, {})]
    failing = failing if method == "fit" else failing[1:]
    for rows, weight, _ in failing[:2]:
        with pytest.raises(ValueError):
            getattr(model, method)(rows, sample_weight=weight)
        assert vars(model) == before
    model.set_params(init=interrupted)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(X)
    model.set_params(init="k-means++")
    assert vars(model) == before
    assert_array_equal(model.predict_proba(X), q)


@pytest.mark.parametrize("far", [1e20, 1e155])
def test_a_start_far_out_of_range_is_brought_back(far, rng):
    X = make_blobs(90, 4, centers=2, random_state=0)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(2, init=np.full((2, 4), far) * [[1], [2]]).fit(X)
    assert len(np.unique(model.labels_)) == 2
    assert distances_from_mean(X, model.cluster_centers_).max() < 100
    assert np.isfinite(model.predict_proba(X)).all()


# --------------------------------------------------------------------------- streams
def test_a_stream_keeps_its_numbers():
    rng = np.random.RandomState(1)
    centers = rng.randn(6, 5) * 8
    model, numbering, handed_out, truth = (
        StudentTClustering(6, random_state=0),
        [],
        [],
        [],
    )
    for _ in range(40):
        y = rng.randint(6, size=100)
        model.partial_fit(centers[y] + rng.randn(100, 5))
        numbering.append(tuple(model.predict(centers)))
        handed_out += model.labels_.tolist()
        truth += y.tolist()
    assert len(set(numbering[5:])) == 1
    assert adjusted_rand_score(truth, handed_out) > 0.95
    columns = model.cluster_centers_, model.cluster_means_
    nearest = [naive.squared_distances(centers, c).argmin(axis=1) for c in columns]
    assert_array_equal(*nearest)


def test_rows_from_far_outside_are_told_of_once(monkeypatch):
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 1000)
    rng = np.random.RandomState(0)
    centers = np.array([[0, 0.0], [10, 0], [0, 10], [40, 40]])
    model = StudentTClustering(4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(8):
            model.partial_fit(centers[rng.randint(3, size=200)] + rng.randn(200, 2))
    for _ in range(2):
        X = centers[rng.randint(4, size=200)] + rng.randn(200, 2)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model.partial_fit(X)
        if len(said):
            assert "far outside all rows before it" in str(said[0].message)
            assert said[0].filename == __file__
    assert len(said) == 0
    assert model._stream.strayed


def test_small_batches_are_named(monkeypatch):
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 1000)
    X, _ = make_blobs(600, 2, centers=3, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match="10 rows \\(batch_size\\).*n_clusters=3"
    ):
        StudentTClustering(3, batch_size=10, random_state=0).fit(X)
    model = StudentTClustering(3, random_state=0).partial_fit(X[:500])
    with pytest.warns(ConvergenceWarning, match="12 rows \\(X\\).*n_clusters=3"):
        model.partial_fit(X[500:512])


def test_a_stream_goes_back_to_the_clusters_of_its_last_fit(monkeypatch):
    """With the paper's parameters memberships are even in 100 dimensions."""
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 1)
    X, _ = embeddings(100, k=10, n_samples=2000)
    h = np.sqrt(X.var(axis=0).sum() / 100)
    model = StudentTClustering(10, dof=1.0, bandwidth=h, balance=1.0, random_state=0)
    model.partial_fit(X[:500])
    first = {name: getattr(model, name) for name in ("cluster_centers_", "labels_")}
    kept = []
    for _ in range(4):
        for start in range(0, 2000, 200):
            model.partial_fit(X[start : start + 200])
            kept.append(model.start_kept_)
            if model.start_kept_:
                assert_array_equal(model.cluster_centers_, first["cluster_centers_"])
    assert any(kept)
    # and is followed where that does no harm
    easy, _ = make_blobs(1000, 100, centers=10, random_state=0)
    model = StudentTClustering(10, random_state=0).partial_fit(easy[:500])
    assert not model.partial_fit(easy[500:]).start_kept_


def test_means_of_a_stream_are_those_of_its_rows(monkeypatch):
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 1000)
    X, _ = make_blobs(6000, 2, centers=3, cluster_std=0.5, random_state=0)
    model = StudentTClustering(3, random_state=0)
    for start in range(0, 6000, 300):
        model.partial_fit(X[start : start + 300])
    Q = model.predict_proba(X)
    means = Q.T @ X / Q.sum(axis=0)[:, None]
    assert np.abs(model.cluster_means_ - means).max() < 0.1


# ------------------------------------------------------------------ what numbers mean
def test_entropy_finds_the_rows_between_clusters_and_density_those_far_off():
    X = load_digits().data
    model = StudentTClustering(10, random_state=0).fit(X)
    q = np.sort(model.transform(X), axis=1)
    tenth = len(X) // 10
    torn = set(np.argsort(q[:, -1] - q[:, -2])[:tenth])
    assert len(torn & set(np.argsort(-model.entropy_samples(X))[:tenth])) > tenth / 2
    between = model.cluster_centers_[:2].mean(axis=0, keepdims=True)
    far = X.mean(axis=0, keepdims=True) + 1000
    assert model.score_samples(far) < model.score_samples(X).min() - 50
    assert model.score_samples(between) > model.score_samples(far)
    two = StudentTClustering(2, random_state=0).fit(X[:, :40])
    middle = two.cluster_centers_.mean(axis=0, keepdims=True)
    assert two.kl_samples(middle) < 0.2 * two.kl_samples(X[:, :40]).max()
    assert_allclose(two.entropy_samples(middle), np.log(2), rtol=1e-6)


def test_means_are_typical_rows_where_centroids_are_not():
    X = load_digits().data
    model = StudentTClustering(10, random_state=0).fit(X)
    assert model.cluster_means_.min() >= 0
    assert model.cluster_means_.max() <= 16
    Q = model.predict_proba(X)
    assert_allclose(model.cluster_means_, Q.T @ X / Q.sum(axis=0)[:, None], rtol=1e-6)


def test_the_ball_holds_all_rows_of_positive_weight(rng):
    X, weight = rng.normal(size=(300, 4)) + 5, rng.uniform(0.5, 2, 300)
    X[0], weight[0] = 100, 0
    mean = np.average(X, axis=0, weights=weight)
    radius = np.linalg.norm(X[1:] - mean, axis=1).max()
    for rows in (X, X.astype(np.float32), sparse.csr_matrix(X)):
        frame = scale_rows(rows, X[:3], 0.7, by_products=True)
        ball = frame.ball(weight.astype(frame.dtype))
        assert_allclose(frame.to_original(ball.center[None])[0], mean, rtol=1e-5)
        assert_allclose(ball.radius * 0.7, radius, rtol=1e-5)
        held = ball.hold(np.vstack([ball.center + 1e9, ball.center + 1e-3]))
        assert_allclose(np.linalg.norm(held[0] - ball.center), ball.radius, rtol=1e-5)
        assert_allclose(held[1], ball.center + 1e-3)
