"""Who watches a clustering: what a callback sees, and how it ends the fit."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from skdec import StudentTClustering, clustering_loss
from skdec.encoders import LinearEncoder
from tests.clustering.common import BLOBS, IRIS

PLAIN = {"n_clusters": 3, "n_init": 2, "random_state": 0}
EXACT = {"dof": 1.0, "bandwidth": 1.0, "balance": 1.0}
DEEP = {**PLAIN, "encoder": LinearEncoder(2), "batch_size": 50, "max_iter": 60}


def watched(X=IRIS, stop=lambda clusters: False, **settings):
    """A fitted model, and all that its callback was given."""
    seen = []

    def watch(n_iter, kl, clusters):
        assert (n_iter, kl) == (clusters.n_iter, clusters.kl_divergence)
        seen.append(clusters)
        return stop(clusters)

    model = StudentTClustering(**{**PLAIN, **settings}, callback=watch)
    return model.fit(X), seen


def column(seen, name):
    return [getattr(clusters, name) for clusters in seen]


def test_what_is_seen_is_the_history_and_changes_no_result():
    model, seen = watched(dof=1.0)
    plain = StudentTClustering(**PLAIN, dof=1.0).fit(IRIS)
    assert_array_equal(model.cluster_centers_, plain.cluster_centers_)
    for name in ("n_iter", "kl_divergence", "label_changes"):
        assert_array_equal(column(seen, name), model.history_[name])
        assert_array_equal(column(seen, name), plain.history_[name])
    assert column(seen, "number") == list(range(len(seen)))
    assert {(s.stage, s.start, s.n_starts) for s in seen} == {("rows", 0, 2)}
    assert (seen[0].dof, seen[0].bandwidth) == (model.dof_, model.bandwidth_)
    assert seen[0].balance == model.balance_


def test_what_is_seen_is_of_the_centroids_that_are_given():
    weight = np.linspace(0.5, 8, len(IRIS))
    seen = []
    StudentTClustering(
        **PLAIN, **EXACT, callback=lambda n_iter, kl, clusters: seen.append(clusters)
    ).fit(IRIS, sample_weight=weight)
    for clusters in seen:
        centers = clusters.cluster_centers
        kl, _, _ = clustering_loss(IRIS, centers, sample_weight=weight)
        # where f is extrapolated P is off a little, not at first
        assert_allclose(
            clusters.kl_divergence, kl, rtol=1e-6 if clusters is seen[0] else 0.02
        )
        D = np.square(IRIS[:, None] - centers).sum(axis=2)
        s = 1 / (1 + D)
        assert_allclose(clusters.memberships(), s / s.sum(axis=1)[:, None])
        assert_array_equal(clusters.labels(), D.argmin(axis=1))
    labels = np.array([clusters.labels() for clusters in seen])
    share = (labels[1:] != labels[:-1]) @ weight / weight.sum()
    assert share.max() > 0
    assert_allclose(column(seen, "label_changes"), [1, *share])


@pytest.mark.parametrize("every", [2, 3, 1000])
def test_how_often_it_is_called(every):
    model, seen = watched(callback_every=every)
    assert_array_equal(column(seen, "n_iter"), model.history_["n_iter"][::every])


@pytest.mark.parametrize("settings", [{}, {"batch_size": 40}, {"update_interval": 3}])
def test_a_fit_ends_where_it_is_told_to(settings):
    model, seen = watched(stop=lambda clusters: clusters.n_iter >= 4, **settings)
    assert seen[-1].n_iter == model.n_iter_ == model.history_["n_iter"][-1] >= 4
    assert len(seen) == len(model.history_["n_iter"])
    assert not model.converged_
    # as if it had ended there by itself, but without a warning
    with pytest.warns(UserWarning, match="did not settle"):
        short = StudentTClustering(**PLAIN, **settings, max_iter=model.n_iter_).fit(
            IRIS
        )
    assert_array_equal(model.cluster_centers_, short.cluster_centers_)


def test_batches_and_sparse_rows():
    model, seen = watched(BLOBS, n_clusters=4, batch_size=60)
    assert_array_equal(column(seen, "kl_divergence"), model.history_["kl_divergence"])
    dense = seen[-1].labels()
    assert np.mean(dense == model.labels_) > 0.98
    rows = sparse.csr_matrix(BLOBS)
    model, seen = watched(rows, n_clusters=4)
    assert_array_equal(seen[-1].labels(), seen[-1].memberships().argmax(axis=1))
    seen[0].encoding.data[:] = np.nan
    assert_array_equal(seen[-1].labels(), model.labels_)


def test_what_is_given_cannot_damage_the_fit_and_may_be_kept():
    def spoil(clusters):
        clusters.labels()[:] = -1
        clusters.memberships()[:] = np.nan
        with pytest.raises(ValueError, match="read-only"):
            clusters.encoding[:] = np.nan
        clusters.cluster_centers[:] = np.nan

    for settings in (PLAIN, DEEP):
        rows = IRIS.astype(np.float32)
        spoiled, seen = watched(rows, stop=spoil, **settings)
        plain = StudentTClustering(**settings).fit(rows)
        assert_array_equal(spoiled.cluster_centers_, plain.cluster_centers_)
        assert seen[0].cluster_centers.dtype == np.float32
        assert_array_equal(rows, IRIS.astype(np.float32))
    assert not np.shares_memory(seen[-1].encoding, plain.encoding_)


def test_an_encoders_starts_and_its_training():
    model, seen = watched(**DEEP)
    starts = [s for s in seen if s.stage == "rows"]
    training = [s for s in seen if s.stage == "encoder"]
    assert seen == starts + training
    assert [s.start for s in starts if s.number == 0] == [0, 1]
    for name in ("n_iter", "kl_divergence", "label_changes"):
        assert_array_equal(column(training, name), model.history_[name])
    assert training[0].number == 0
    # the embedding moves, and what was seen of it stays
    first, last = training[0], training[-1]
    assert_array_equal(first.encoding, starts[0].encoding)
    assert np.abs(first.encoding - last.encoding).max() > 1e-3
    for clusters in (first, last):
        Z, h = clusters.encoding, clusters.bandwidth
        kl, _, _ = clustering_loss(
            Z / h, clusters.cluster_centers / h, dof=clusters.dof
        )
        assert_allclose(clusters.kl_divergence, kl, rtol=1e-6)
        assert clusters.labels().shape == (150,)


def test_an_encoders_training_is_ended_and_so_are_its_starts():
    model, seen = watched(
        stop=lambda clusters: clusters.stage == "encoder" and clusters.number == 1,
        **DEEP,
    )
    assert len(model.history_["n_iter"]) == 2
    assert not model.converged_
    model, seen = watched(stop=lambda clusters: clusters.n_iter == 2, **DEEP)
    # told in the first start: nothing follows but what a result needs
    assert [(s.stage, s.start, s.n_iter) for s in seen] == [
        ("rows", 0, n) for n in (1, 2)
    ]
    assert (model.n_iter_, model.n_steps_) == (0, 0)
    assert len(model.history_["n_iter"]) == 1
    assert_array_equal(model.labels_, model.predict(IRIS))


def test_no_further_training_is_begun():
    settings = {**DEEP, "n_trainings": 3}
    model, seen = watched(stop=lambda clusters: clusters.stage == "encoder", **settings)
    assert [clusters.stage for clusters in seen].count("encoder") == 1
    assert model.training_agreement_.shape == (3,)
    assert np.isnan(model.training_agreement_).all()


def test_which_training_it_is():
    model, seen = watched(**DEEP, n_trainings=2)
    trainings = [clusters.training for clusters in seen]
    assert trainings == sorted(trainings)
    assert {(s.training, s.stage) for s in seen} >= {(0, "encoder"), (1, "encoder")}
    taken = int(np.argmax(model.training_agreement_))
    kls = [s.kl_divergence for s in seen if (s.training, s.stage) == (taken, "encoder")]
    assert_allclose(model.history_["kl_divergence"], kls)


@pytest.fixture
def small_samples(monkeypatch):
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ENTRIES", 2**9)
    monkeypatch.setattr("skdec.clustering._starts.MERGED_ROWS", 64)
    monkeypatch.setattr("skdec.clustering._starts.LEAST_ROWS_PER_CLUSTER", 10)


def test_large_data_are_tried_in_a_sample_first(small_samples):
    model, seen = watched(BLOBS, n_clusters=4)
    assert [s.stage for s in seen if s.number == 0] == ["sample", "rows"]
    rows = [s for s in seen if s.stage == "rows"]
    assert_array_equal(column(rows, "n_iter"), model.history_["n_iter"])
    # labels are those of all rows in any case
    assert seen[0].labels().shape == (300,)
    model, seen = watched(
        BLOBS, stop=lambda clusters: clusters.n_iter == 2, n_clusters=4
    )
    assert [(s.stage, s.n_iter) for s in seen] == [("sample", 1), ("sample", 2)]
    assert (model.n_iter_, len(model.history_["n_iter"])) == (1, 1)


def test_starts_that_lose_clusters_are_followed_by_others():
    wide = {"n_clusters": 6, "bandwidth": 8.0, "dof": 1.0, "balance": 0.5}
    with pytest.warns(UserWarning, match="lost all their rows"):
        _, seen = watched(**wide)
    runs = [s.start for s in seen if s.number == 0]
    assert runs[:2] == [0, 1]
    # the best is returned, if none keeps its clusters
    assert runs[-1] == 0
    _, seen = watched(stop=lambda clusters: clusters.start == 1, **wide)
    assert [s.start for s in seen if s.number == 0] == [0, 1]


def test_a_stream_is_watched_where_it_is_fitted():
    seen = []
    model = StudentTClustering(
        4, n_init=2, random_state=0, callback=lambda *what: seen.append(what[2])
    )
    model.partial_fit(BLOBS[:200])
    assert_array_equal(column(seen, "n_iter"), model.history_["n_iter"])
    assert seen[-1].labels().shape == (200,)
    seen.clear()
    model.fit(BLOBS)
    seen.clear()
    model.partial_fit(BLOBS[:60])  # followed by one step
    assert seen == []


def test_parameters_and_failures():
    model = StudentTClustering(3, callback=print, callback_every=4)
    assert clone(model).get_params()["callback"] is print
    assert pickle.loads(pickle.dumps(model)).callback_every == 4
    for name, value in (("callback", 3), ("callback_every", 0)):
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            StudentTClustering(**{name: value}).fit(IRIS)

    def fail(*what):
        raise RuntimeError("enough")

    model = StudentTClustering(**PLAIN).fit(IRIS)
    before = dict(vars(model.set_params(callback=fail)))
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(BLOBS[:, :3])
    assert all(vars(model)[name] is value for name, value in before.items())
    assert vars(model).keys() == before.keys()
    with pytest.raises(RuntimeError, match="enough"):
        StudentTClustering(**PLAIN, callback=fail).partial_fit(IRIS)


def test_a_snapshot_is_pickled_without_the_callback():
    _, (first, *_) = watched()
    again = pickle.loads(pickle.dumps(first))
    assert_array_equal(again.labels(), first.labels())
    assert repr(first).startswith("<Snapshot of 'rows', start 0 of 2: n_iter=1, kl_div")


def test_memberships_are_an_array_whatever_the_output():
    seen = []
    model = StudentTClustering(
        **PLAIN, callback=lambda n_iter, kl, clusters: seen.append(clusters)
    )
    model.set_output(transform="pandas").fit(IRIS)
    assert type(seen[-1].memberships()) is np.ndarray
