"""Clusters and their embedding learn together."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score

from skdec import StudentTClustering
from skdec.clustering._form import Form, make_objective
from skdec.clustering._joint_training import JointTraining
from skdec.clustering._training import Settings
from skdec.encoders import LinearEncoder
from skdec.utils.duplicates import merge_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive
from tests.encoders.common import (
    BLOBS,
    Toy,
    toy_model,
)


def training_from(rows, model, encoder, X, weight, settings, threads):
    """A JointTraining that starts with centroids at some rows, else as the model."""
    Z, weights = encoder.transform(X), Weights(weight)
    form = Form(model.dof_, model.bandwidth_, model.balance_)
    objective = make_objective(Z, weights, Z[rows], form, threads)
    start = SimpleNamespace(
        start=Z[rows],
        centers=objective.rows.to_internal(Z[rows]),
        random_state=np.random.RandomState(0),
        objective=objective,
        form=form,
    )

    def encode(X, encoder):
        return encoder.transform(X)

    return JointTraining(start, encoder, X, weights, Z, encode, threads, settings)


@pytest.mark.parametrize("dof", [1.0, 2.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_a_step_is_given_the_gradient(dof, dtype, scale, rng):
    X = (BLOBS * scale).astype(dtype)
    weight = rng.uniform(0.5, 2, len(X))
    model = toy_model(dof=dof, max_iter=1, batch_size=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, sample_weight=weight)
    h, encoder = model.bandwidth_, clone(model.encoder).fit(X)

    settings = Settings(max_iter=1, batch_size=50)
    with Threads() as threads:
        Z_all, chosen = encoder.transform(X), [3, 20, 77]
        training = training_from(chosen, model, encoder, X, weight, settings, threads)
        training.refresh()
        scaled = training.measure(Z_all).rows
        rows = np.arange(40, 90)
        training.step(rows)
        _, Z, G, given, _ = encoder.seen_[-1]
        first = Z_all[chosen].astype(float) / h
        centers = scaled.to_original(training.centers) / h
        Q = naive.soft_assignment(Z_all.astype(float) / h, first, dof)
        w, rate = weight[rows] / weight.mean(), weight[rows].sum() / weight.sum()
        Q_batch = naive.soft_assignment(Z.astype(float) / h, centers, dof)
        means = (
            np.average(Q, axis=0, weights=weight),
            np.average(Q_batch, axis=0, weights=w),
        )
        f = (1 - rate) * means[0] + rate * means[1]
        P = naive.target_distribution(Q_batch, w, f)
        expected, _ = naive.clustering_gradients(
            Z.astype(float) / h, centers, dof, P, w
        )
        loose = 1e-3 if dtype is np.float32 else 1e-9
        assert_allclose(
            G * h, expected, rtol=loose, atol=loose * np.abs(expected).max()
        )
        assert_allclose(given, w)
        assert np.abs(centers - first).max() > 1e-3
        assert_allclose(training.frequencies, f, rtol=loose)
        training.step(rows[:4])
        # however few its rows, a batch counts for a thirtieth
        Z = encoder.seen_[-1][1].astype(float) / h
        Q = naive.soft_assignment(Z, centers, dof)
        f = f + (np.average(Q, axis=0, weights=w[:4]) - f) / 30
        assert_allclose(training.frequencies, f, rtol=loose)


class Twice(Toy):
    """Asks for the gradient at the same place twice."""

    def step(self, X, gradient, sample_weight=None):
        self.second_ = gradient(X @ self.W_)
        super().step(X, gradient, sample_weight)


def test_asking_twice_changes_nothing():
    with pytest.warns(ConvergenceWarning, match="did not settle"):
        once, twice = (
            toy_model(encoder=encoder, batch_size=20, max_iter=3, tol=0.0).fit(BLOBS)
            for encoder in (Toy(), Twice())
        )
    assert_array_equal(twice.encoder_.second_, twice.encoder_.seen_[-1][2])
    assert_array_equal(once.encoding_, twice.encoding_)


class Augmenting(Toy):
    """Follows the gradient at augmented rows, and keeps what it was given."""

    def step(self, X, gradient, sample_weight=None):
        Z, at = X @ self.W_, (1.2 * X + 0.1) @ self.W_
        self.given_ = Z, at, gradient(Z, at)


def test_augmented_rows_have_the_target_of_their_originals(rng):
    weight = rng.uniform(0.5, 2, len(BLOBS))
    model, encoder = toy_model(), Augmenting().fit(BLOBS)
    model.fit(BLOBS)
    settings = Settings(max_iter=1, batch_size=len(BLOBS))
    with Threads() as threads:
        training = training_from(
            [3, 20, 77], model, encoder, BLOBS, weight, settings, threads
        )
        training.refresh()
        h = model.bandwidth_
        centers = training.measure(training.Z).rows.to_original(training.centers) / h
        training.step(np.arange(len(BLOBS)))
    Z, at, G = encoder.given_
    w = weight / weight.mean()
    Q = naive.soft_assignment(Z / h, centers, model.dof_)
    P = naive.target_distribution(Q, w)
    expected, _ = naive.clustering_gradients(at / h, centers, model.dof_, P, w)
    assert_allclose(G * h, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    # what is known of the rows is what they are, not what they were made
    assert_array_equal(training.Z, Z)
    assert_allclose(training.frequencies, np.average(Q, axis=0, weights=w), rtol=1e-9)


@pytest.mark.parametrize(
    "at, error, message",
    [
        (np.zeros((3, 2)), ValueError, r"gradient must be called .* got \(3, 2\)"),
        (np.full((200, 2), np.nan), FloatingPointError, "not finite"),
    ],
)
def test_augmented_embeddings_are_checked(at, error, message):
    class Wrong(Toy):
        def step(self, X, gradient, sample_weight=None):
            gradient(X @ self.W_, at)

    with pytest.raises(error, match=message):
        toy_model(encoder=Wrong(), batch_size=200).fit(BLOBS)


def test_the_copy_learns_and_predicts():
    toy = Toy(rate=1e-2)
    model = toy_model(encoder=toy).fit(BLOBS)
    assert not hasattr(toy, "W_")
    assert model.converged_
    assert model.dof_ == 1
    Z = BLOBS @ model.encoder_.W_
    assert np.abs(model.encoder_.W_ - np.eye(5)[:, :2]).max() > 1e-3
    assert_array_equal(model.encoding_, Z)
    assert_array_equal(model.encode(BLOBS), Z)
    assert model.cluster_centers_.shape == (3, 2)
    assert model.n_features_in_ == 5
    Q = naive.soft_assignment(
        Z / model.bandwidth_, model.cluster_centers_ / model.bandwidth_, model.dof_
    )
    assert_allclose(model.transform(BLOBS), Q, atol=1e-9)
    assert_array_equal(model.labels_, Q.argmax(axis=1))
    assert_array_equal(model.labels_, model.predict(BLOBS))
    P = naive.target_distribution(Q, np.ones(200))
    kl = naive.kl_divergence(P, Q, np.ones(200))
    assert_allclose(model.kl_divergence_, kl, rtol=1e-6)
    assert_allclose(model.kl_samples(BLOBS).sum(), kl, rtol=1e-6)
    assert_allclose(model.cluster_frequencies_, Q.sum(axis=0))
    assert 0 < model.score(BLOBS) < 1
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict_proba(BLOBS), model.predict_proba(BLOBS))


@pytest.mark.parametrize("interval", ["auto", 5])
def test_batches_and_refreshes(interval):
    with pytest.warns(ConvergenceWarning, match="encoder's training did not settle"):
        model = toy_model(
            batch_size=64, update_interval=interval, max_iter=2, tol=0.0
        ).fit(BLOBS)
    seen = model.encoder_.seen_
    assert [len(X) for X, *_ in seen] == 8 * [50]
    for one in (seen[:4], seen[4:]):
        passed = np.concatenate([X for X, *_ in one])
        assert_array_equal(np.unique(passed, axis=0), np.unique(BLOBS, axis=0))
    # the first embedding, then one for every refresh that is asked for
    every = 30 if interval == "auto" else interval
    assert [at for *_, at in seen] == [1 + i // every for i in range(8)]
    assert model.n_iter_ == 2
    assert model.n_steps_ == 8
    refreshes = np.arange(0, 9, every)
    refreshes = np.append(refreshes, 8) if refreshes[-1] < 8 else refreshes
    assert_array_equal(model.history_["n_iter"], -(-refreshes // 4))


def test_refreshes_after_a_pass_by_default():
    """Or after thirty steps, where passes are shorter; all rows encoded at the end."""
    for size in (5, 20):
        with pytest.warns(ConvergenceWarning, match="did not settle"):
            model = toy_model(batch_size=size, max_iter=6, tol=0.0).fit(BLOBS)
        passes = np.arange(0, 7) if size == 5 else [0, 3, 6]
        assert_array_equal(model.history_["n_iter"], passes)
        assert model.encoder_.n_transforms_ == 2


def test_in_a_long_pass_the_centroids_move_between_refreshes(monkeypatch):
    at, move = [], JointTraining._move

    def noted(training, **judging):
        at.append((training.n_steps, bool(judging)))
        return move(training, **judging)

    monkeypatch.setattr(JointTraining, "_move", noted)
    with pytest.warns(ConvergenceWarning, match="did not settle"):
        toy_model(batch_size=2, max_iter=2, tol=0.0).fit(BLOBS)
    steps, refreshes = zip(*at, strict=True)
    assert steps == (0, 34, 67, 100, 134, 167, 200)
    assert refreshes == (True, False, False, True, False, False, True)


def test_a_refresh_takes_the_embeddings_of_the_pass():
    model, encoder = toy_model(dof=1.0).fit(BLOBS), Toy(rate=1e-2).fit(BLOBS)
    h, Z = model.bandwidth_, encoder.transform(BLOBS)
    settings, ones = Settings(batch_size=50, update_interval=None), np.ones(200)
    with Threads() as threads:
        training = training_from(
            [3, 20, 77], model, encoder, BLOBS, ones, settings, threads
        )
        scaled = training.measure(Z).rows
        training.refresh()
        for rows in np.split(np.arange(200), 4):
            training.step(rows)
        had = np.concatenate([seen[1] for seen in encoder.seen_])
        centers = scaled.to_original(training.centers) / h
        training.refresh()
    assert np.abs(had - encoder.transform(BLOBS)).max() > 0.1
    # what was given is left as it was
    assert_array_equal(Z, BLOBS[:, :2])
    Q = naive.soft_assignment(had / h, centers, 1.0)
    P = naive.target_distribution(Q, ones)
    kl = naive.kl_divergence(P, Q, ones)
    assert_allclose(training.history.kl[-1], kl, rtol=1e-9)
    assert_allclose(training.frequencies, Q.mean(axis=0), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_starts_from_the_centroids_that_the_start_came_to(dtype):
    seen = {}

    def keep(n_iter, kl, clusters):
        seen.setdefault(clusters.stage, []).append(clusters.cluster_centers)

    # a start far to one side, whose mean is not that of the settled centroids
    init = np.array([[-9.0, -9], [-8, -9], [-9, -8]])
    model = toy_model(encoder=Toy(rate=0), init=init, callback=keep)
    model.fit(BLOBS.astype(dtype))
    off = seen["encoder"][0] - seen["rows"][-1]
    assert np.abs(off).max() < 0.01 * model.bandwidth_


def test_training_starts_from_the_clusters_of_labels(rng):
    seen = []

    def keep(n_iter, kl, clusters):
        seen.append((clusters.stage, clusters.cluster_centers))

    labels, weight = rng.integers(-1, 3, len(BLOBS)), rng.integers(0, 3, len(BLOBS))
    model = toy_model(encoder=Toy(rate=0), init=labels, callback=keep, max_iter=1)
    with pytest.warns(ConvergenceWarning):
        model.fit(BLOBS, sample_weight=weight)
    means = [
        np.average(BLOBS[labels == j, :2], axis=0, weights=weight[labels == j])
        for j in range(3)
    ]
    assert {stage for stage, _ in seen} == {"encoder"}
    assert_allclose(seen[0][1], means, rtol=1e-6)


def test_labels_are_checked_before_any_training():
    class Untrained(Toy):
        def fit(self, X, y=None, sample_weight=None):
            raise AssertionError("it is trained")

    for labels, told in (([0, 1, 2], "label 200 rows"), ([0] * 200, "it has 1")):
        model = toy_model(encoder=Untrained(), init=labels)
        with pytest.raises(ValueError, match=told):
            model.fit(BLOBS)


def test_training_starts_from_the_clusters_of_an_estimator(rng):
    seen = []

    def keep(n_iter, kl, clusters):
        seen.append((clusters.stage, clusters.cluster_centers))

    init, X = KMeans(3, n_init=1, max_iter=1, random_state=3), BLOBS
    model = toy_model(encoder=Toy(rate=0), init=init, callback=keep)
    model.fit(X)
    rows, _ = merge_rows(X[:, :2], np.ones(len(X)))
    labels = clone(init).fit_predict(rows)
    means = [rows[labels == j].mean(axis=0) for j in range(3)]
    assert {stage for stage, _ in seen} == {"encoder"}
    assert_allclose(seen[0][1], means, rtol=1e-6)
    assert not model.start_kept_


def test_the_origin_stays_where_it_was_when_the_embedding_shrinks(rng):
    X = rng.random((16, 2)) + np.repeat([[9, 1], [1, 9]], 8, axis=0)
    model = toy_model(2, encoder=Toy(rate=0)).fit(X)
    encoder = clone(model.encoder).fit(X)
    with Threads(1) as threads:
        settings = Settings(batch_size=16)
        training = training_from([0, 8], model, encoder, X, None, settings, threads)
        places = [
            training.measure(shrunk * X).rows.to_original(training.centers)
            for shrunk in (1.0, 0.5, 0.01)
        ]
    assert_allclose(places, np.broadcast_to(X[[0, 8]], (3, 2, 2)), rtol=1e-12)


def test_batches_by_default():
    X, _ = make_blobs(600, n_features=5, centers=3, random_state=1)
    encoder = toy_model().fit(X).encoder_
    assert {len(batch) for batch, *_ in encoder.seen_} == {200}
    encoder = toy_model(batch_size=None).fit(X).encoder_
    assert {len(batch) for batch, *_ in encoder.seen_} == {600}


def test_stops_when_labels_have_rested():
    settled = toy_model(tol=0.02).fit(BLOBS)
    changes = settled.history_["label_changes"]
    assert settled.converged_
    assert max(changes[-3:]) <= 0.02
    assert settled.n_steps_ == 30 * (len(changes) - 1) >= 90


@pytest.mark.parametrize("encoder", [Toy(), LinearEncoder(2)])
def test_integer_weights_are_repeated_rows(encoder, rng):
    weight = rng.integers(0, 4, len(BLOBS))
    repeated = np.repeat(BLOBS, weight, axis=0)
    init = BLOBS[[3, 20, 77], :2]
    settings = {"init": init, "batch_size": None, "bandwidth": 1.0, "max_iter": 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted = toy_model(encoder=encoder, **settings)
        weighted.fit(BLOBS, sample_weight=weight)
        plain = toy_model(encoder=encoder, **settings).fit(repeated)
    assert_allclose(weighted.encode(BLOBS), plain.encode(BLOBS), rtol=1e-6, atol=1e-6)
    assert_allclose(
        weighted.predict_proba(BLOBS), plain.predict_proba(BLOBS), atol=1e-6
    )
    assert_allclose(weighted.kl_divergence_, plain.kl_divergence_, rtol=1e-5)


def test_rows_without_weight_are_labelled_only():
    weight = np.ones(len(BLOBS))
    weight[::5] = 0
    model = toy_model().fit(BLOBS, sample_weight=weight)
    assert len(model.labels_) == len(model.encoding_) == len(BLOBS)
    assert all((given > 0).all() for *_, given, _ in model.encoder_.seen_)
    assert all(len(X) == 160 for X, *_ in model.encoder_.seen_)


def test_rows_without_weight_do_not_move_the_frame_of_the_start():
    """A given centroid far from all rows that count is held to those alone."""
    init = np.array([[0.0, 0.0], BLOBS[0, :2], [0.0, 5e3]])
    far = np.vstack([BLOBS, np.full((1, 5), 1e4)])
    weight = np.r_[np.ones(len(BLOBS)), 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = toy_model(init=init, max_iter=3).fit(BLOBS)
        model = toy_model(init=init, max_iter=3).fit(far, sample_weight=weight)
    assert model.start_kept_ == plain.start_kept_
    assert_allclose(model.cluster_centers_, plain.cluster_centers_, rtol=1e-9)


class Keeping(Toy):
    """Gives one array again and again, which nobody else may write to."""

    def transform(self, X):
        Z = super().transform(X)
        Z.flags.writeable = False
        self.given_ = Z
        return Z


@pytest.mark.parametrize("update_interval", [2, "auto"])
def test_embeddings_that_may_not_be_written_to(update_interval):
    settings = {"batch_size": 50, "update_interval": update_interval, "max_iter": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = toy_model(**settings).fit(BLOBS)
        model = toy_model(encoder=Keeping(), **settings).fit(BLOBS)
    assert_array_equal(model.encoding_, plain.encoding_)
    assert model.encoding_.flags.writeable
    assert not np.may_share_memory(model.encoding_, model.encoder_.given_)


def test_rows_too_large_for_their_dtype_are_named():
    """By what predicts: nothing learns there."""
    X = (1e-3 * BLOBS).astype(np.float32)
    encoder = LinearEncoder(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = toy_model(encoder=encoder, max_iter=2).fit(X)
    far = np.full((1, 5), 3e38, np.float32) * np.sign(
        model.encoder_.components_[:1]
    ).astype(np.float32)
    for method in ("predict", "transform", "encode", "predict_proba"):
        with pytest.raises(ValueError, match=r"must be finite in X's dtype float32"):
            getattr(model, method)(far)


def test_the_same_seed_gives_the_same_fit():
    for X in (BLOBS, BLOBS.astype(np.float32)):
        first, second = (
            toy_model(encoder=LinearEncoder(3), batch_size=50, n_jobs=n_jobs).fit(X)
            for n_jobs in (1, 2)
        )
        assert first.encoder_.random_state is not None
        assert first.encoding_.dtype == X.dtype
        assert first.predict_proba(X).dtype == X.dtype
        assert_array_equal(first.encoding_, second.encoding_)
        assert_array_equal(first.cluster_centers_, second.cluster_centers_)


@pytest.mark.parametrize("encoder", [PCA(), "pca"])
def test_what_is_no_encoder(encoder):
    message = (
        "'encoder' parameter .* implementing 'fit', 'transform' and 'step' or None"
    )
    with pytest.raises(ValueError, match=message):
        toy_model(encoder=encoder).fit(BLOBS)


class Broken(Toy):
    """Gives what no embedding may be."""

    def transform(self, X):
        Z = super().transform(X)
        return Z[:-1] if self.rate == 0 else np.where(len(self.seen_), np.nan, Z)


def test_embeddings_that_cannot_be():
    with pytest.raises(ValueError, match=r"encoder.transform\(X\) must have 200 rows"):
        toy_model(encoder=Broken(rate=0)).fit(BLOBS)
    with pytest.raises(FloatingPointError, match="decrease the rates"):
        toy_model(encoder=Broken()).fit(BLOBS)
    with pytest.raises(ValueError, match="init must have shape"):
        toy_model(init=BLOBS[:3]).fit(BLOBS)


class Asking(Toy):
    """Asks for the gradient at what is no embedding of its batch."""

    def __init__(self, change=None):
        super().__init__()
        self.change = change

    def step(self, X, gradient, sample_weight=None):
        gradient(self.change(X @ self.W_))


@pytest.mark.parametrize(
    "change", [lambda Z: Z[:-1], lambda Z: Z[:1], lambda Z: Z[:, :1], np.ravel]
)
def test_gradients_at_another_shape(change):
    with pytest.raises(ValueError, match=r"of shape \(200, 2\), .*; got \("):
        toy_model(encoder=Asking(change)).fit(BLOBS)


@pytest.mark.parametrize("factor", [np.nan, 1e39])
def test_gradients_at_what_is_not_finite(factor):
    """Or would not be in X's dtype."""
    encoder = Asking(lambda Z: Z.astype(float) * factor)
    with pytest.raises(FloatingPointError, match="decrease the rates"):
        toy_model(encoder=encoder).fit(BLOBS.astype(np.float32))


def test_gradients_of_another_shape(rng):
    encoder = LinearEncoder(2).fit(BLOBS)
    with pytest.raises(ValueError, match=r"shape \(200, 2\); got \(200, 3\)"):
        encoder.step(BLOBS, lambda Z: rng.normal(size=(200, 3)))


class Shrinking(Toy):
    """Shrinks whatever it is told."""

    def step(self, X, gradient, sample_weight=None):
        gradient(X @ self.W_)
        self.W_ = self.W_ / 10


class Merging(Toy):
    """Moves all rows but one to one place, and the last with what it had."""

    def step(self, X, gradient, sample_weight=None):
        gradient(X @ self.W_)
        self.W_ = self.W_ * [1, 0] if np.ptp(X @ self.W_[:, 1]) > 0 else self.W_


def corners():
    grid = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[np.arange(80) % 4]
    return grid * 10 + np.random.RandomState(0).normal(size=(80, 2))


@pytest.mark.parametrize(
    "encoder, X, k, message",
    [
        (Shrinking(), BLOBS, 3, r"shrank to a point, so that the start is kept.*\(γ\)"),
        (Merging(), corners(), 4, "2 of 4 clusters collapsed.*rate.*start is kept"),
    ],
)
def test_a_training_that_loses_clusters_is_not_returned(encoder, X, k, message):
    """What is returned is the start, in attributes and predictions, and told."""
    with pytest.warns(ConvergenceWarning, match=message):
        model = toy_model(k, encoder=encoder).fit(X)
    assert model.start_kept_
    assert not model.converged_
    assert model.n_iter_ == model.history_["n_iter"][-1] > 0
    pretrained = clone(encoder).fit(X)
    assert_array_equal(model.encoder_.W_, pretrained.W_)
    assert_array_equal(model.encoding_, pretrained.transform(X))
    assert_array_equal(model.predict(X), model.labels_)
    assert len(np.unique(model.labels_)) == k
    # as if the encoder had been there all along
    Z, form = model.encoding_, {"dof": model.dof_, "bandwidth": model.bandwidth_}
    again = StudentTClustering(k, init=model.cluster_centers_, balance=1.0, **form)
    f = again.fit(Z).cluster_frequencies_
    assert_allclose(model.cluster_frequencies_, f, rtol=1e-3)


class Turning(Toy):
    """Turns the embedding by a sixth."""

    def step(self, X, gradient, sample_weight=None):
        gradient(X @ self.W_)
        cos, sin = 0.5, np.sqrt(0.75)
        self.W_ = self.W_ @ np.array([[cos, sin], [-sin, cos]])


def test_a_training_that_explains_its_embedding_worse_is_not_returned():
    """Three clusters, turned so that each lies between two of the centroids."""
    truth = np.repeat([0, 2, 4], 60)
    angles = truth * np.pi / 3
    X = 12 * np.column_stack([np.cos(angles), np.sin(angles)])
    X += np.random.RandomState(0).normal(size=X.shape)
    model = toy_model(3, encoder=Turning(), max_iter=1, batch_size=None)
    with pytest.warns(ConvergenceWarning, match="explain its embedding worse.*kept"):
        model.fit(X)
    assert model.start_kept_
    assert_array_equal(model.encoder_.W_, np.eye(2))
    assert adjusted_rand_score(truth, model.labels_) == 1


def test_an_encoder_whose_fit_returns_nothing():
    class Silent(Toy):
        def fit(self, X, y=None, sample_weight=None):
            super().fit(X)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = toy_model(encoder=Silent(), n_init=1, max_iter=1).fit(BLOBS)
    assert isinstance(model.encoder_, Silent)


def test_partial_fit_needs_no_encoder():
    model = toy_model()
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as raised:
        model.partial_fit(BLOBS)
    assert "partial_fit needs encoder=None" in str(raised.value.__cause__)
    # what was fitted with one is begun anew without
    model.fit(BLOBS).set_params(encoder=None).partial_fit(BLOBS)
    assert model.cluster_centers_.shape == (3, 5)


def test_refits_with_and_without():
    model = toy_model().fit(BLOBS)
    model.set_params(encoder=None)
    # as fitted, until it is fitted anew
    assert model.encode(BLOBS).shape == (200, 2)
    model.fit(BLOBS)
    assert model.encoder_ is model.encoding_ is None
    assert_array_equal(model.encode(BLOBS), BLOBS)
    plain = StudentTClustering(3, random_state=0).fit(BLOBS)
    assert_array_equal(model.cluster_centers_, plain.cluster_centers_)


def test_a_fit_that_fails_leaves_the_last_one_whole():
    model = toy_model().fit(BLOBS)
    before, expected = dict(vars(model)), model.predict_proba(BLOBS)
    model.set_params(encoder=Broken())
    with pytest.raises(FloatingPointError, match="decrease the rates"):
        model.fit(BLOBS)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before if name[-1] == "_")
    assert_array_equal(model.predict_proba(BLOBS), expected)
    fresh = toy_model(encoder=Broken())
    with pytest.raises(FloatingPointError, match="decrease the rates"):
        fresh.fit(BLOBS)
    with pytest.raises(NotFittedError):
        fresh.predict(BLOBS)
    model.set_params(encoder=None).partial_fit(BLOBS)
    assert model.predict(BLOBS).shape == (200,)
    # what is refused before work begins changes nothing
    with pytest.raises(ValueError, match="n_clusters"):
        model.fit(BLOBS[:2])
    assert model.predict(BLOBS).shape == (200,)


def test_the_start_settles_whatever_max_iter_is(capsys):
    with pytest.warns(ConvergenceWarning, match="encoder's training"):
        toy_model(max_iter=1, dof=2.0, verbose=1).fit(BLOBS)
    lines = capsys.readouterr().out.splitlines()
    starts = [line for line in lines if "bandwidth" in line]
    assert len(starts) == 10
    # at max_iter=1 none would
    assert sum("converged = True" in line for line in starts) >= 5


def test_progress(capsys):
    toy_model(verbose=1).fit(BLOBS)
    lines = capsys.readouterr().out.splitlines()
    # ten starts, carried on
    assert sum("bandwidth" in line for line in lines) == 10
    assert sum("] pass" in line and "changed" in line for line in lines) >= 4


# ------------------------------------------------------------------- several trainings
class Seeded(Toy):
    """Turned by its seed; breaks off or shrinks if ``bad`` says so of the seed."""

    def __init__(self, rate=1e-3, n_components=2, random_state=None, bad=None):
        super().__init__(rate, n_components)
        self.random_state, self.bad = random_state, bad

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X)
        rng = np.random.RandomState(self.random_state)
        self.W_ = np.linalg.qr(rng.randn(X.shape[1], X.shape[1]))[0]
        self.W_ = self.W_[:, : self.n_components]
        self.ending_ = None if self.bad is None else self.bad(self.random_state)
        return self

    def step(self, X, gradient, sample_weight=None):
        super().step(X, gradient, sample_weight)
        if self.ending_ == "breaks off":
            self.W_ = self.W_ * np.nan
        elif self.ending_ == "shrinks":
            self.W_ = self.W_ / 10


def seeded(n_trainings, bad=None, seed=None, **parameters):
    encoder = Seeded(random_state=seed, bad=bad)
    settings = {"n_trainings": n_trainings, "n_init": 2, "batch_size": 50}
    return toy_model(encoder=encoder, **settings, **parameters)


@pytest.fixture(scope="module")
def single():
    """Four trainings with the seeds that ``n_trainings=4`` draws, one at a time."""
    rng = np.random.RandomState(0)
    seeds = [0, *(rng.randint(np.iinfo(np.int32).max) for _ in range(3))]
    return [seeded(1, random_state=seed).fit(BLOBS) for seed in seeds]


def agreements(labelings):
    """Mean adjusted Rand index of each with the others, by scikit-learn."""
    return [
        np.mean([adjusted_rand_score(a, b) for j, b in enumerate(labelings) if j != i])
        for i, a in enumerate(labelings)
    ]


def same_fit(first, second):
    assert first.encoder_.random_state == second.encoder_.random_state
    assert_array_equal(first.encoding_, second.encoding_)
    assert_array_equal(first.labels_, second.labels_)
    assert_array_equal(first.cluster_centers_, second.cluster_centers_)
    assert_array_equal(
        first.history_["kl_divergence"], second.history_["kl_divergence"]
    )


def test_of_several_trainings_the_most_usual_is_returned(single, capsys):
    model = seeded(4, verbose=1).fit(BLOBS)
    expected = agreements([one.labels_ for one in single])
    # whichever is returned, that must not be by its place
    assert np.argmax(expected) > 0
    assert_allclose(model.training_agreement_, expected)
    same_fit(model, single[np.argmax(expected)])
    assert f"training {np.argmax(expected) + 1} is returned" in capsys.readouterr().out
    assert single[0].training_agreement_ is None


def test_two_trainings_are_no_majority(single):
    model = seeded(2).fit(BLOBS)
    same_fit(model, single[0])
    both = adjusted_rand_score(single[0].labels_, single[1].labels_)
    assert_allclose(model.training_agreement_, [both, both])


def test_a_seed_that_is_given_is_that_of_the_first_training():
    seen = []
    models = [seeded(n, lambda seed: seen.append(seed), seed=7) for n in (1, 3)]
    models[0].fit(BLOBS)
    models[1].fit(BLOBS)
    assert seen[:2] == [7, 7]
    assert len(seen) == 4
    assert len(set(seen)) == 3
    same_fit(models[0], seeded(2, seed=7).fit(BLOBS))


@pytest.mark.parametrize("ending", ["breaks off", "shrinks"])
def test_trainings_that_fail_are_not_returned(single, ending):
    usual = int(np.argmax(agreements([one.labels_ for one in single])))
    seed = single[usual].encoder_.random_state

    def bad(random_state):
        return ending if random_state == seed else None

    model = seeded(4, bad)
    if ending == "breaks off":
        with pytest.warns(ConvergenceWarning, match="1 of 4 trainings broke off"):
            model.fit(BLOBS)
    else:
        model.fit(BLOBS)
    others = [one for one in single if one is not single[usual]]
    expected = np.insert(agreements([one.labels_ for one in others]), usual, np.nan)
    assert_allclose(model.training_agreement_, expected)
    same_fit(model, others[np.argmax(agreements([one.labels_ for one in others]))])


def test_trainings_that_all_fail():
    """If all break off, so does the fit; if all shrink, a start is returned."""
    model = seeded(2, lambda seed: "breaks off")
    with pytest.raises(FloatingPointError, match="decrease the rates"):
        model.fit(BLOBS)
    assert not hasattr(model, "encoder_")
    model = seeded(3, lambda seed: "shrinks")
    with pytest.warns(ConvergenceWarning, match="shrank to a point.*start is kept"):
        model.fit(BLOBS)
    assert model.start_kept_
    assert np.isfinite(model.training_agreement_).all()


def test_rows_without_weight_have_no_say_in_which_training_is_returned(single):
    weight = np.ones(len(BLOBS))
    weight[:40] = 0
    model = seeded(3).fit(BLOBS, sample_weight=weight)
    rng = np.random.RandomState(0)
    seeds = [0, *(rng.randint(np.iinfo(np.int32).max) for _ in range(2))]
    models = [
        seeded(1, random_state=seed).fit(BLOBS, sample_weight=weight) for seed in seeds
    ]
    expected = agreements([one.labels_[40:] for one in models])
    assert_allclose(model.training_agreement_, expected)


def test_several_trainings_need_an_encoder():
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"n_trainings must be 1 .* got 3\. "):
            getattr(StudentTClustering(3, n_trainings=3), call)(BLOBS)


def test_several_trainings_of_a_random_state_that_moves_on():
    """Each fit draws anew; the same state gives the same."""
    first, second = (
        seeded(3, random_state=np.random.RandomState(5)).fit(BLOBS) for _ in range(2)
    )
    same_fit(first, second)
    assert_array_equal(first.training_agreement_, second.training_agreement_)


class Same(LinearEncoder):
    """An encoder that gives what it is given."""

    def transform(self, X):
        return X

    def step(self, X, gradient, sample_weight=None):
        gradient(X)
        return self


def test_an_encoding_is_not_the_rows_that_were_given():
    X = BLOBS.copy()
    model = StudentTClustering(3, encoder=Same(X.shape[1]), random_state=0).fit(X)
    X[:] = 0
    assert_array_equal(model.encoding_, BLOBS)


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": -1e-3}, {"n_components": 0}, {"n_components": 2.5}]
)
def test_parameters_of_the_encoder_are_checked(wrong, rng):
    model = StudentTClustering(3, encoder=LinearEncoder(**wrong))
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*LinearEncoder"):
        model.fit(rng.normal(size=(60, 5)))


def test_errors_of_parameters_come_before_the_pre_training(rng):
    class Encoder(LinearEncoder):
        def fit(self, X, y=None, sample_weight=None):
            pytest.fail("it was pre-trained")

    X = rng.normal(size=(60, 5))
    for bad, told in (
        ({"n_jobs": 0}, "n_jobs"),
        ({"init": np.zeros((4, 2))}, r"init must have shape \(3, 2\)"),
        ({"init": np.full((3, 2), np.nan)}, "init contains NaN"),
    ):
        with pytest.raises(ValueError, match=told):
            StudentTClustering(3, encoder=Encoder(2), **bad).fit(X)
