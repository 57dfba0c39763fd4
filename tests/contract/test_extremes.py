"""Degenerate and extreme data: finite results or a clear word, never NaN."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

import skdec
from skdec import ExactTSNE, StudentTClustering
from tests import naive

BLOBS, TRUTH = make_blobs(90, n_features=3, centers=3, cluster_std=0.5, random_state=1)
SCALES = {np.float64: [1e-200, 1e-30, 1e30, 1e140], np.float32: [1e-30, 1e30]}


def finite(*arrays):
    return all(np.isfinite(a).all() for a in arrays)


@pytest.mark.parametrize("dtype, scale", [(d, s) for d in SCALES for s in SCALES[d]])
def test_scale_changes_no_label(dtype, scale):
    plain = StudentTClustering(3, random_state=0).fit(BLOBS.astype(dtype))
    X = (BLOBS * scale).astype(dtype)
    scaled = StudentTClustering(3, random_state=0).fit(X)
    assert_array_equal(scaled.labels_, plain.labels_)
    assert_allclose(scaled.predict_proba(X), plain.predict_proba(BLOBS.astype(dtype)),
                    rtol=1e-3, atol=1e-4)  # fmt: skip
    assert_allclose(scaled.bandwidth_, plain.bandwidth_ * scale, rtol=1e-3)
    assert_allclose(scaled.score(X), plain.score(BLOBS.astype(dtype)), rtol=1e-4)
    assert scaled.cluster_centers_.dtype == dtype


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("dtype", SCALES)
def test_fixed_bandwidth_far_from_the_scale_of_the_data(dtype, scale):
    X = (BLOBS * scale).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(3, bandwidth=1.0, random_state=0).fit(X)
    Q = model.predict_proba(X)
    assert finite(Q, model.cluster_centers_, model.kl_divergence_, model.evidence_)
    assert_allclose(Q.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(model.labels_, Q.argmax(axis=1))


@pytest.mark.parametrize("dtype, scale", [(d, s) for d in SCALES for s in SCALES[d]])
def test_tsne_at_any_scale(dtype, scale):
    X = BLOBS.astype(dtype)
    plain = ExactTSNE(random_state=0, max_iter=100).fit(X[:80])
    # by a power of two nothing rounds, so nothing may change
    X_scaled = (X * 2.0 ** np.round(np.log2(scale))).astype(dtype)
    tsne = ExactTSNE(random_state=0, max_iter=100).fit(X_scaled[:80])
    assert_array_equal(tsne.embedding_, plain.embedding_)
    assert_array_equal(tsne.transform(X_scaled[80:]), plain.transform(X[80:]))
    assert finite(tsne.embedding_, tsne.kl_divergence_)
    assert finite(ExactTSNE(max_iter=100).fit(BLOBS * scale).embedding_)


def test_affinities_do_not_depend_on_scale_or_offset():
    P = skdec.conditional_affinities(BLOBS)
    assert_allclose(skdec.conditional_affinities(BLOBS * 2.0**600), P, rtol=1e-9)
    assert_allclose(skdec.conditional_affinities(BLOBS / 2.0**600), P, rtol=1e-9)
    for metric in ("manhattan", "precomputed"):
        X = np.abs(BLOBS[:, :1] - BLOBS[:, 0]) if metric == "precomputed" else BLOBS
        P_metric = skdec.conditional_affinities(X, metric=metric)
        scaled = skdec.conditional_affinities(X * 2.0**600, metric=metric)
        assert_allclose(scaled, P_metric, rtol=1e-9)


@pytest.mark.parametrize("sigma", [1e-300, 1e-30, 1e30, 1e300])
def test_affinities_of_any_sigma(sigma):
    P = skdec.conditional_affinities(BLOBS, sigma=sigma)
    assert_allclose(P.sum(axis=1), 1)
    # at the ends: the nearest alone, or all alike
    assert_allclose(P.max(axis=1), 1 if sigma < 1 else 1 / (len(BLOBS) - 1))


def test_affinities_of_tight_pairs_far_apart():
    # ‖a‖² + ‖b‖² − 2a·b alone would lose all digits of the small distances here
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 0], [1e9, 0], [0, 1e9]], 4, axis=0) + rng.normal(size=(12, 2))
    P = skdec.conditional_affinities(X, perplexity=2)
    assert_allclose(P, naive.conditional_affinities(X, perplexity=2), atol=1e-7)


def test_constant_data():
    X = np.full((12, 3), 7.0)
    with pytest.warns(ConvergenceWarning, match="exceeds the number of distinct rows"):
        model = StudentTClustering(3).fit(X)
    assert finite(model.cluster_centers_, model.predict_proba(X), model.kl_divergence_)
    assert_allclose(model.cluster_centers_, 7)
    assert model.score(X) == 0
    with pytest.warns(UserWarning, match="perplexity cannot be reached for 12 of 12"):
        tsne = ExactTSNE(perplexity=3).fit(X)
    # no structure in, none out
    assert_array_equal(tsne.embedding_, np.repeat(tsne.embedding_[:1], 12, axis=0))
    assert_allclose(tsne.kl_divergence_, 0, atol=1e-6)
    with pytest.warns(UserWarning, match="perplexity cannot be reached"):
        assert finite(tsne.transform(X[:2] + 1))


def test_score_of_rows_at_zero():
    model = StudentTClustering(3, random_state=0).fit(BLOBS)
    for rows in (np.zeros((4, 3)), BLOBS * 1e-200):
        assert 0 <= model.score(rows) <= 1


@pytest.mark.parametrize("dtype", SCALES)
def test_denormal_data_and_bandwidths(dtype):
    plain = StudentTClustering(3, random_state=0).fit(BLOBS.astype(dtype))
    tiny = 2.0**-130 if dtype is np.float32 else 2.0**-1030
    # denormal numbers have few digits: enough for blobs, not for bits
    X = (BLOBS * tiny).astype(dtype)
    model = StudentTClustering(3, random_state=0).fit(X)
    assert adjusted_rand_score(model.labels_, plain.labels_) > 0.9
    assert finite(model.predict_proba(X), model.evidence_)
    with pytest.warns(ConvergenceWarning):
        model = StudentTClustering(3, bandwidth=1e-100).fit(np.zeros((5, 2), dtype))
    assert finite(model.predict_proba(np.zeros((5, 2), dtype)), model.evidence_)


def test_the_largest_number():
    X = BLOBS / np.abs(BLOBS).max() * np.finfo(float).max
    model = StudentTClustering(3, random_state=0).fit(X)
    assert adjusted_rand_score(model.labels_, TRUTH) == 1
    assert finite(ExactTSNE(max_iter=20).fit(X).embedding_)


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("dof", [1e-12, 1e-3, 1e12])
def test_dof_at_its_limits(dtype, dof):
    X = BLOBS.astype(dtype)
    Q = skdec.soft_assignment(X, X[:3], dof=dof)
    assert finite(Q, *skdec.clustering_loss(X, X[:3], dof=dof))
    assert_allclose(Q.sum(axis=1), 1, rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = StudentTClustering(3, dof=dof, random_state=0).fit(X)
    assert finite(model.evidence_, model.predict_proba(X))


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("factor", [1e-310, 1e-50, 1e39, 1e300])
def test_scale_of_the_weights_matters_nowhere(dtype, factor):
    X, w = BLOBS.astype(dtype), np.arange(1.0, 91)
    plain = StudentTClustering(3, random_state=0).fit(X, sample_weight=w)
    scaled = StudentTClustering(3, random_state=0).fit(X, sample_weight=w * factor)
    # weights are cast to the dtype, and a fit ends within its tol
    loose = {"rtol": 1e-3 if dtype == np.float32 else 1e-4}
    assert_allclose(scaled.cluster_centers_, plain.cluster_centers_, **loose)
    assert_allclose(scaled.kl_divergence_, plain.kl_divergence_ * factor, **loose)
    assert_allclose(
        scaled.cluster_frequencies_, plain.cluster_frequencies_ * factor, **loose
    )
    score = scaled.score(X, sample_weight=w * factor)
    assert_allclose(score, plain.score(X, None, w), **loose)
    Q = skdec.soft_assignment(X, X[:3])
    P = skdec.target_distribution(Q, sample_weight=w * factor)
    assert_allclose(P, skdec.target_distribution(Q, sample_weight=w), rtol=1e-4)
    kl = skdec.kl_divergence(P, Q, sample_weight=w * factor)
    assert_allclose(kl, factor * skdec.kl_divergence(P, Q, sample_weight=w), rtol=1e-4)


def test_single_precision_far_from_the_origin():
    X = (BLOBS + 1e5).astype(np.float32)
    model = StudentTClustering(3, random_state=0).fit(X)
    exact = StudentTClustering(3, random_state=0).fit(X.astype(float))
    assert model.converged_
    assert_array_equal(model.labels_, exact.labels_)
    assert_allclose(
        model.predict_proba(X), exact.predict_proba(X.astype(float)), atol=2e-2
    )


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_tsne_by_another_metric_at_any_scale(scale):
    tsne = ExactTSNE(metric="manhattan", max_iter=60).fit(BLOBS * scale)
    assert finite(tsne.embedding_, tsne.transform(BLOBS[:3] * scale * 1.01))


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_new_points_out_of_range(metric):
    tsne = ExactTSNE(metric=metric, max_iter=60, random_state=0).fit(BLOBS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # all as good as equally far
        assert finite(tsne.transform(BLOBS[:2] * 1e100))
    with pytest.raises(ValueError, match="must stay within 1e\\+150 times"):
        tsne.transform(BLOBS[:2] * 1e200)


@pytest.mark.parametrize("n_components", [30, 50])
def test_more_components_than_anything(n_components):
    for X in (BLOBS[:60], BLOBS[:4]):
        tsne = ExactTSNE(n_components, max_iter=300, random_state=0).fit(X)
        assert finite(tsne.embedding_, tsne.kl_divergence_)


def test_zero_data():
    with pytest.warns(ConvergenceWarning):
        model = StudentTClustering(2).fit(np.zeros((5, 2)))
    assert finite(model.cluster_centers_, model.predict_proba(np.ones((1, 2))))


def test_duplicates_share_a_position():
    X = np.repeat(load_iris().data[::10], 4, axis=0)
    with pytest.warns(UserWarning, match="perplexity cannot be reached"):
        tsne = ExactTSNE(perplexity=2.5, init="random", random_state=0).fit(X)
    embedding = tsne.embedding_
    assert finite(embedding)
    assert_array_equal(embedding, np.repeat(embedding[::4], 4, axis=0))
    assert_array_equal(tsne.transform(X[::-1]), embedding[::-1])


def test_duplicate_rows_cluster():
    X = np.repeat(BLOBS[:6], 20, axis=0)
    model = StudentTClustering(3, random_state=0).fit(X)
    assert finite(model.cluster_centers_, model.predict_proba(X))
    assert_array_equal(model.labels_, np.repeat(model.labels_[::20], 20))


def test_as_many_clusters_as_distinct_rows():
    X = np.repeat(BLOBS[:4], 3, axis=0)
    model = StudentTClustering(4, random_state=0).fit(X)
    assert sorted(np.unique(model.labels_)) == [0, 1, 2, 3]
    assert adjusted_rand_score(model.labels_, np.repeat(range(4), 3)) == 1


@pytest.mark.parametrize("n_features", [1, 3])
def test_two_samples(n_features):
    X = BLOBS[:2, :n_features]
    tsne = ExactTSNE(random_state=0).fit(X)
    assert finite(tsne.embedding_, tsne.kl_divergence_, tsne.transform(X + 0.1))
    model = StudentTClustering(2, random_state=0).fit(X)
    assert set(model.labels_) == {0, 1}
    assert finite(model.predict_proba(X), model.kl_divergence_)


def test_one_sample_is_one_cluster():
    model = StudentTClustering(1).fit(BLOBS[:1])
    assert_array_equal(model.predict_proba(BLOBS[:5]), np.ones((5, 1)))


def test_one_feature():
    X = BLOBS[:, :1]
    tsne = ExactTSNE(random_state=0, max_iter=300).fit(X)
    assert finite(tsne.embedding_)
    # the second dimension is used, not left at its start
    assert tsne.embedding_.std(axis=0).min() > 0.1
    assert finite(StudentTClustering(3).fit(X).cluster_centers_)


@pytest.mark.parametrize("dtype", SCALES)
def test_centroid_on_a_point(dtype):
    Z = BLOBS[:9].astype(dtype)
    for dof in (0.5, 1.0, 1e6):
        loss = skdec.clustering_loss(Z, Z[:3], dof=dof)
        assert finite(*loss)
    model = StudentTClustering(3, init=Z[:3], max_iter=300).fit(Z)
    assert finite(model.cluster_centers_, model.predict_proba(Z))


def test_coincident_centroids_share_their_members():
    centers = np.array([[0.0, 0, 0], [0, 0, 0], [9, 9, 9]])
    kl, grad_Z, grad_centers = skdec.clustering_loss(BLOBS, centers)
    assert finite(kl, grad_Z, grad_centers)
    assert_array_equal(grad_centers[0], grad_centers[1])
    Q = skdec.soft_assignment(BLOBS, centers)
    assert_array_equal(Q[:, 0], Q[:, 1])


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("dof", [0.5, 1.0, 2.0, 1e6])
def test_points_far_from_every_centroid(dtype, dof):
    far = np.array([[1e15, 0, 0], [0, 1e30, 0], [1e8, 1e8, 1e8]], dtype=dtype)
    Q = skdec.soft_assignment(far, BLOBS[:4].astype(dtype), dof=dof)
    assert Q.dtype == dtype
    assert finite(Q)
    assert_allclose(Q.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("kernel", ["student_t", "gaussian"])
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_embedding_of_far_and_coincident_points(kernel, normalization):
    Y = np.array([[0.0, 0], [0, 0], [1e6, 0], [0, 3e3]])
    P = np.full((4, 4), 1 / 3)
    np.fill_diagonal(P, 0)
    P /= 4 if normalization == "joint" else 1
    kl, gradient = skdec.embedding_loss(
        Y, P, kernel=kernel, normalization=normalization
    )
    # −log s reaches 1e12 here: the reference needs the longer format
    form = Y.astype(np.longdouble), P.astype(np.longdouble), 1.0, kernel, normalization
    assert_allclose(kl, float(naive.embedding_kl(*form)))
    expected = naive.embedding_gradient(*form).astype(float)
    assert_allclose(gradient, expected, rtol=1e-7)


def test_a_dimension_far_beyond_the_others():
    X = np.column_stack([BLOBS, BLOBS[:, :1] * 1e30, BLOBS[:, :1] * 1e-30])
    for dtype in SCALES:
        tsne = ExactTSNE(random_state=0, max_iter=100).fit(X.astype(dtype))
        assert finite(tsne.embedding_)
        model = StudentTClustering(3, random_state=0).fit(X.astype(dtype))
        assert finite(model.cluster_centers_, model.predict_proba(X.astype(dtype)))


def test_perplexity_out_of_reach_is_reported():
    with pytest.warns(UserWarning, match="cannot be reached for 10 of 10 rows"):
        tsne = ExactTSNE(perplexity=9.5).fit(BLOBS[:10])
    assert finite(tsne.embedding_)


@pytest.mark.parametrize("late", [1e-12, 1e12])
def test_exaggeration_at_its_limits(late):
    settings = {"early_exaggeration": 1e12, "exaggeration": late, "max_iter": 200}
    with warnings.catch_warnings():
        # nothing overflows; points that are drawn together so far stay together
        warnings.filterwarnings("ignore", ".* no more than points that all coincide")
        tsne = ExactTSNE(random_state=0, **settings).fit(BLOBS)
    assert finite(tsne.embedding_, *tsne.history_.values())


@pytest.mark.parametrize("least", [1e-300, 5e-324])
def test_weights_next_to_nothing_count_for_nothing(least):
    weight = np.r_[np.ones(30), np.full(60, least)]
    some = StudentTClustering(2, random_state=0).fit(BLOBS, sample_weight=weight)
    alone = StudentTClustering(2, random_state=0).fit(BLOBS[:30])
    assert_array_equal(some.cluster_centers_, alone.cluster_centers_)
    assert_array_equal(some.labels_, alone.predict(BLOBS))


def test_gradients_in_single_precision_with_weights_beyond_it():
    Z, weight = 1e10 * BLOBS, np.full(len(BLOBS), 1e45)
    expected = skdec.clustering_loss(Z, Z[:3], sample_weight=weight)
    single = skdec.clustering_loss(Z.astype("f"), Z[:3], sample_weight=weight)
    for actual, wanted in zip(single, expected, strict=True):
        largest = np.abs(wanted).max()
        assert_allclose(actual, wanted, rtol=1e-3, atol=1e-3 * largest)


@pytest.mark.parametrize("balance", [1e200, np.finfo(float).max])
def test_any_balance(balance):
    X = np.array([[0.0], [0.1], [3.0], [3.1], [3.2]])
    model = StudentTClustering(2, balance=balance, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # clusters may be lost
        assert np.isfinite(model.fit(X).cluster_centers_).all()


@pytest.mark.parametrize(
    "X, distinct",
    [
        ([[0, 0], [1, 0], [1 + 1e-9, 0]], True),
        ([[0, 1], [1, 0], [1, 1e-20]], False),
        ([[0, 1], [1, 0], [1, 1e-200]], False),
        ([[0, 0], [0, 5e-324], [0, 1e-323]], False),
    ],
)
def test_as_many_clusters_as_rows_that_nearly_coincide(X, distinct):
    X = np.array(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        dense = StudentTClustering(3, random_state=0).fit(X)
        rows = StudentTClustering(3, random_state=0).fit(csr_matrix(X))
    for model in (dense, rows):
        assert model.bandwidth_ > 0
        assert np.isfinite(model.cluster_centers_).all()
        assert model.labels_[0] != model.labels_[1] or X.max() < 1e-300
    if distinct:
        assert sorted(dense.labels_) == [0, 1, 2]


def test_rows_far_from_zero():
    X = 1e9 + load_iris().data
    far = StudentTClustering(3, random_state=0).fit(X)
    near = StudentTClustering(3, random_state=0).fit(X - 1e9)
    assert_allclose(far.dof_, near.dof_)
    assert_allclose(far.bandwidth_, near.bandwidth_, rtol=1e-6)
    assert_array_equal(far.labels_, near.labels_)
    # refused by the error that tells of it, and no other
    with pytest.raises(ValueError, match="sparse rows must not be much farther"):
        far.fit(csr_matrix(X))


def test_sparse_memberships_are_right_or_refused():
    """Of rows far from zero products leave nothing of distances of 1."""
    near = np.array([[1e3], [1e3 + 1]])
    dense = skdec.soft_assignment(near, near)
    stored = skdec.soft_assignment(csr_matrix(near), near)
    assert_allclose(stored, dense, rtol=1e-6)
    far = np.array([[1e8], [1e8 + 1]])
    assert_allclose(skdec.soft_assignment(far, far), dense, rtol=1e-6)
    with pytest.raises(ValueError, match="Z: sparse rows must not be much farther"):
        skdec.soft_assignment(csr_matrix(far), far)
