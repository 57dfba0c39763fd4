"""partial_fit: what it keeps, follows and returns to."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skdec import StudentTClustering
from tests import naive
from tests.clustering.common import BLOBS, embeddings


# the second: most of it is followed
@pytest.mark.parametrize("kept", [pytest.param(2**18, marks=pytest.mark.slow), 2**16])
@pytest.mark.parametrize("name", ["blobs", "digits"])
def test_partial_fit_ends_near_fit(name, kept, monkeypatch):
    # the smaller keeps some 1,000 digits and 8,000 rows of the blobs
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", kept)
    X, y = load_digits(return_X_y=True)
    if name == "blobs":
        X, y = make_blobs(12_000, 8, centers=6, cluster_std=2.5, random_state=4)
    k, batch_size = len(np.unique(y)), 150
    order = np.random.default_rng(0).permutation(len(X))
    stream = StudentTClustering(k, random_state=0)
    for start in range(0, len(X), batch_size):
        batch = X[order[start : start + batch_size]]
        assert stream.partial_fit(batch) is stream
        assert_array_equal(stream.labels_, stream.predict(batch))
    fitted = StudentTClustering(k, random_state=0).fit(X)
    score = adjusted_rand_score(y, stream.predict(X))
    # what was kept of the digits may have led to another start
    assert score > adjusted_rand_score(y, fitted.labels_) - 0.05
    assert_allclose(stream.cluster_frequencies_.sum(), len(X), rtol=1e-6)


def test_partial_fit_follows_weights_and_goes_on_after_fit():
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, len(BLOBS))
    weighted = StudentTClustering(4, random_state=0).fit(BLOBS)
    repeated = StudentTClustering(4, random_state=0).fit(BLOBS)
    before = weighted.cluster_centers_.copy()
    weighted.partial_fit(BLOBS + 0.3, sample_weight=weight)
    repeated.partial_fit((BLOBS + 0.3).repeat(weight, axis=0))
    assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-9)
    assert_allclose(weighted.kl_divergence_, repeated.kl_divergence_)
    moved = weighted.cluster_centers_ - before
    assert np.abs(moved).max() > 1e-3
    assert weighted.n_steps_ > StudentTClustering(4, random_state=0).fit(BLOBS).n_steps_
    with pytest.raises(
        ValueError, match="n_clusters \\(4\\) must not exceed n_samples"
    ):
        StudentTClustering(4).partial_fit(BLOBS[:3])


def test_partial_fit_keeps_the_first_rows_only_while_they_are_few():
    model = StudentTClustering(4, random_state=0)
    model.partial_fit(BLOBS[:100], sample_weight=np.full(100, 2.0))
    model.partial_fit(BLOBS[100:])
    weight = np.r_[np.full(100, 2.0), np.ones(200)]
    whole = StudentTClustering(4, random_state=0).fit(BLOBS, sample_weight=weight)
    # numbered as after the first batch
    columns = [np.sort(m.cluster_centers_, axis=0) for m in (model, whole)]
    assert_allclose(*columns)
    assert_allclose(model.kl_divergence_, whole.kl_divergence_)
    assert len(pickle.dumps(whole)) < BLOBS.nbytes


def test_partial_fit_of_a_reused_buffer_and_of_a_large_first_batch(monkeypatch):
    buffer, reused = BLOBS[:100].copy(), StudentTClustering(4, random_state=0)
    fresh = StudentTClustering(4, random_state=0)
    for start in (0, 100, 200):
        buffer[:] = BLOBS[start : start + 100]
        reused.partial_fit(buffer)
        fresh.partial_fit(BLOBS[start : start + 100])
    assert_array_equal(reused.cluster_centers_, fresh.cluster_centers_)
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 400)
    large = StudentTClustering(4, random_state=0).partial_fit(BLOBS[:200])
    whole = StudentTClustering(4, random_state=0).fit(BLOBS[:200])
    assert_array_equal(large.cluster_centers_, whole.cluster_centers_)
    assert large.partial_fit(BLOBS[200:]).n_steps_ == whole.n_steps_ + 1


@pytest.mark.parametrize("kept", [2**18, 1])
def test_partial_fit_of_mixed_batches(kept, monkeypatch):
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", kept)
    forms = [np.asarray, sparse.csr_matrix, np.float32, sparse.csr_array]
    mixed, plain = (StudentTClustering(4, random_state=0) for _ in range(2))
    for number, start in enumerate(range(0, 280, 40)):
        batch = BLOBS[start : start + 40]
        mixed.partial_fit(forms[number % 4](batch))
        plain.partial_fit(batch)
        mixed = pickle.loads(pickle.dumps(mixed))
    ordered = (np.sort(m.cluster_centers_, axis=0) for m in (mixed, plain))
    assert_allclose(*ordered, atol=1e-3)


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


@pytest.mark.parametrize("batch_size", [50, None])
def test_a_fit_that_is_renumbered_goes_on_as_it_was(batch_size, monkeypatch):
    """The curvature that steps are divided by keeps to its cluster."""
    # clusters of 10 to 400 rows: curvatures that differ
    X, _ = make_blobs([10, 30, 160, 400], 3, random_state=0, cluster_std=2.0)
    X = np.random.default_rng(0).permutation(X)
    plain, renumbered = (
        StudentTClustering(4, batch_size=batch_size, random_state=0) for _ in range(2)
    )
    order = np.array([2, 3, 1, 0])
    plain.partial_fit(X)
    monkeypatch.setattr("skdec.clustering._fit.numbered_as", lambda *_: order)
    # 150 rows more than a fit before, so that all are fitted again
    renumbered.partial_fit(X[:-150]).partial_fit(X[-150:])
    assert_array_equal(renumbered.cluster_centers_, plain.cluster_centers_[order])
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 1)
    for model in (plain, renumbered):
        model.partial_fit(X + 0.3)
    moved = plain.cluster_centers_[order]
    assert_allclose(renumbered.cluster_centers_, moved, rtol=1e-9)


def test_that_clusters_are_lost_is_told_once():
    rng, centers = np.random.RandomState(0), np.array([[0, 0.0], [10, 0], [0, 10]])
    X = centers[rng.randint(3, size=900)] + rng.randn(900, 2)
    wide = {"bandwidth": 8.0, "dof": 1.0, "balance": 0.5, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="lost all their rows"):
        StudentTClustering(6, **wide).fit(X[:300])
    model = StudentTClustering(6, **wide)
    with pytest.warns(ConvergenceWarning, match="lost all their rows"):
        model.partial_fit(X[:300])
    assert model.start_kept_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in (X[300:600], X[600:]):
            model.partial_fit(rows)  # fitted anew


def test_that_clusters_are_lost_again_is_told_again(monkeypatch):
    said = iter([["lost"], ["lost"], [], ["lost again"], ["lost"]])
    monkeypatch.setattr(
        "skdec.clustering._remarks.on_clusters", lambda outcome, k: next(said)
    )
    model, told = StudentTClustering(4, random_state=0), []
    for _ in range(5):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.partial_fit(BLOBS)  # as many rows as before: all are fitted anew
        told.append([str(warning.message) for warning in caught])
    assert told == [["lost"], [], [], ["lost again"], []]


def test_rows_from_far_outside_are_told_of_once(monkeypatch):
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 1000)
    rng = np.random.RandomState(0)
    centers = np.array([[0, 0.0], [10, 0], [0, 10], [40, 40]])
    model = StudentTClustering(4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # one cluster is too many until the rows from far outside come
        warnings.filterwarnings("ignore", message="clusters lost all their rows")
        for _ in range(8):
            model.partial_fit(centers[rng.randint(3, size=200)] + rng.randn(200, 2))
    told = []
    for _ in range(2):
        X = centers[rng.randint(4, size=200)] + rng.randn(200, 2)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model.partial_fit(X)
        told.append(said)
    first, second = told
    assert "far outside all rows before it" in str(first[0].message)
    assert first[0].filename == __file__
    assert second == []
    assert model._stream.strayed


def test_small_batches_are_named(monkeypatch):
    monkeypatch.setattr("skdec.clustering._stream.KEPT_ENTRIES", 1000)
    X, _ = make_blobs(600, 2, centers=3, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match="10 rows \\(batch_size\\).*n_clusters=3"
    ):
        StudentTClustering(3, batch_size=10, random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # all eight distinct rows are in each step
        copies = np.repeat(X[::75], 40, axis=0)
        StudentTClustering(3, batch_size=10, random_state=0).fit(copies)
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


@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_the_number_of_clusters_stays(first):
    model = getattr(StudentTClustering(4, random_state=0), first)(BLOBS)
    for k in (3, 5):
        with pytest.raises(ValueError, match=rf"n_clusters \({k}\) must stay.* 4"):
            model.set_params(n_clusters=k).partial_fit(BLOBS)
        assert len(model.cluster_centers_) == 4
    model.fit(BLOBS)
    assert len(model.cluster_centers_) == 5


@pytest.mark.filterwarnings("ignore:batches of")
def test_weights_are_copies_in_every_batch_that_is_followed(rng):
    """Whatever unit the weights of each batch are in."""
    times = [3, 1, 2, 1000, 1]
    batches = [BLOBS[i::5] + 0.3 for i in range(len(times))]
    weighted, repeated, heavy = (
        StudentTClustering(4, random_state=0) for _ in range(3)
    )
    weighted.fit(BLOBS)
    repeated.fit(BLOBS)
    heavy.fit(BLOBS, sample_weight=np.full(len(BLOBS), 1.3))
    for batch, w in zip(batches, times, strict=True):
        each = np.full(len(batch), float(w))
        weighted.partial_fit(batch, sample_weight=each)
        repeated.partial_fit(batch.repeat(w, axis=0))
        heavy.partial_fit(batch, sample_weight=1.3 * each)
    for other in (repeated, heavy):
        assert_allclose(other.cluster_centers_, weighted.cluster_centers_, rtol=1e-7)
