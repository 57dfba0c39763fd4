"""ExactTSNE: the optimum it reaches, its parameters, and transform."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier

import skdec
from skdec import ExactTSNE
from tests import naive

IRIS = np.unique(load_iris().data, axis=0)
DIGITS, TRUTH = load_digits(return_X_y=True)


def full_kl(X, embedding, dof=1.0, **scale):
    P = skdec.joint_affinities(skdec.conditional_affinities(X, **scale))
    return skdec.embedding_loss(embedding.astype(float), P, dof=dof)


@pytest.fixture(scope="module")
def digits():
    return ExactTSNE(random_state=0).fit(DIGITS[:1200])


def test_reported_divergence_is_that_of_the_embedding():
    tsne = ExactTSNE(random_state=0, precision="double").fit(IRIS)
    assert_allclose(tsne.kl_divergence_, full_kl(IRIS, tsne.embedding_)[0], rtol=1e-9)
    tsne = ExactTSNE(random_state=0).fit(IRIS)
    assert_allclose(tsne.kl_divergence_, full_kl(IRIS, tsne.embedding_)[0], rtol=1e-4)


@pytest.mark.parametrize("n_components", [1, 2, 3, 4])
@pytest.mark.parametrize("dof", ["auto", 0.6])
def test_descent_ends_where_the_gradient_vanishes(n_components, dof):
    tsne = ExactTSNE(
        n_components, dof=dof, precision="double", max_iter=3000, random_state=0
    ).fit(IRIS[::2])
    assert tsne.dof_ == (max(n_components - 1, 1) if dof == "auto" else dof)
    scale = {"perplexity": tsne.perplexity_}
    start = full_kl(IRIS[::2], tsne.embedding_ * 1e-4, tsne.dof_, **scale)[0]
    kl, gradient = full_kl(IRIS[::2], tsne.embedding_, tsne.dof_, **scale)
    assert kl < 0.4 * start
    assert np.linalg.norm(gradient) < 1e-4


def test_as_good_as_scikit_learn_exact():
    X = DIGITS[:300]
    peer = TSNE(method="exact", random_state=0, max_iter=500, perplexity=30)
    embedding = peer.fit_transform(X)
    ours = ExactTSNE(random_state=0, max_iter=500).fit(X)
    assert ours.kl_divergence_ < full_kl(X, embedding)[0] * 1.03
    kept = trustworthiness(X, ours.embedding_)
    assert kept > trustworthiness(X, embedding) - 0.01


def test_neighbours_of_digits_are_kept(digits):
    assert trustworthiness(DIGITS[:1200], digits.embedding_) > 0.98
    assert digits.kl_divergence_ < 0.65


def test_precisions_agree():
    # short: the paths part later, as those of any chaotic descent
    short = {"random_state": 0, "max_iter": 8}
    single = ExactTSNE(**short).fit_transform(IRIS)
    double = ExactTSNE(precision="double", **short).fit_transform(IRIS)
    assert_allclose(single, double, rtol=1e-3, atol=1e-4 * np.abs(double).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
def test_output_follows_the_input_dtype(dtype):
    X = (IRIS * 10).astype(dtype)
    tsne = ExactTSNE(max_iter=20).fit(X)
    expected = np.float64 if dtype is int else dtype
    assert tsne.embedding_.dtype == expected
    assert tsne.transform(X + 1).dtype == expected


def test_perplexity():
    assert ExactTSNE(max_iter=1).fit(IRIS).perplexity_ == 30
    assert ExactTSNE(max_iter=1).fit(IRIS[:31]).perplexity_ == 10
    assert ExactTSNE(max_iter=1).fit(IRIS[:3]).perplexity_ == 1
    tsne = ExactTSNE(perplexity=[5, 40], random_state=0).fit(IRIS)
    kl = full_kl(IRIS, tsne.embedding_, perplexity=[5, 40])[0]
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-4)
    assert_array_equal(tsne.perplexity_, [5, 40])


def test_sigma():
    tsne = ExactTSNE(sigma=0.5, random_state=0).fit(IRIS)
    assert tsne.perplexity_ is None
    kl = full_kl(IRIS, tsne.embedding_, sigma=0.5)[0]
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-4)


@pytest.mark.parametrize("metric, params", [("manhattan", None), ("cosine", None),
                                            ("minkowski", {"p": 3}),
                                            ("seuclidean", None),
                                            ("mahalanobis", None)])  # fmt: skip
def test_metrics_are_those_of_scikit_learn(metric, params):
    settings = {"init": "random", "random_state": 0, "max_iter": 20}
    direct = ExactTSNE(metric=metric, metric_params=params, **settings).fit(IRIS)
    D = pairwise_distances(IRIS, metric=metric, **(params or {}))
    D = (D + D.T) / 2
    np.fill_diagonal(D, 0)
    given = ExactTSNE(metric="precomputed", **settings).fit(D)
    assert_allclose(direct.embedding_, given.embedding_, rtol=1e-3, atol=1e-4)
    assert np.isfinite(direct.transform(IRIS[:5] + 0.01)).all()


@pytest.mark.parametrize("dtype", [bool, float])
def test_boolean_metric(dtype):
    X = (DIGITS[:60] > 8).astype(dtype)
    tsne = ExactTSNE(metric="jaccard", max_iter=20, perplexity=10).fit(X)
    assert np.isfinite(tsne.transform(DIGITS[60:70] > 8)).all()


def test_metric_params_count_for_euclidean_too():
    settings = {"random_state": 0, "max_iter": 20}
    squares = {"X_norm_squared": None}
    with_params = ExactTSNE(metric_params=squares, **settings).fit(IRIS)
    assert_allclose(
        with_params.embedding_, ExactTSNE(**settings).fit(IRIS).embedding_, atol=1e-3
    )


def test_distances_with_rounding_errors():
    D = 1 - np.corrcoef(IRIS)
    D = np.abs(D) + 1e-16
    tsne = ExactTSNE(metric="precomputed", init="random", max_iter=20).fit(D)
    assert np.isfinite(tsne.embedding_).all()
    assert len(np.unique(tsne.embedding_, axis=0)) > 100


def test_a_failed_fit_leaves_the_last_one_whole():
    tsne = ExactTSNE(max_iter=20, random_state=0).fit(IRIS)
    before = tsne.transform(IRIS[:5] + 0.01)
    with pytest.raises(FloatingPointError):
        tsne.set_params(learning_rate=1e30).fit(IRIS[:40] * 2)
    assert_array_equal(tsne.transform(IRIS[:5] + 0.01), before)


def test_the_returned_embedding_is_the_callers():
    tsne = ExactTSNE(max_iter=20, random_state=0)
    embedding = tsne.fit_transform(IRIS)
    embedding *= 2
    assert_array_equal(tsne.embedding_ * 2, embedding)


def test_callable_metric():
    X = IRIS[::3]

    def city_block(a, b):
        return np.abs(a - b).sum()

    settings = {"random_state": 0, "max_iter": 20, "perplexity": 10}
    embedding = ExactTSNE(metric=city_block, **settings).fit_transform(X)
    expected = ExactTSNE(metric="manhattan", **settings).fit_transform(X)
    assert_allclose(embedding, expected, rtol=1e-3, atol=1e-8)


def test_init(rng):
    start = rng.normal(size=(len(IRIS), 2))
    before = start.copy()
    ExactTSNE(init=start, max_iter=5).fit(IRIS)
    assert_array_equal(start, before)
    one = ExactTSNE(init=start.tolist(), max_iter=5).fit_transform(IRIS)
    assert_array_equal(one, ExactTSNE(init=start, max_iter=5).fit_transform(IRIS))
    for init in ("pca", "random"):
        first = ExactTSNE(init=init, random_state=3, max_iter=5).fit_transform(IRIS)
        again = ExactTSNE(init=init, random_state=3, max_iter=5).fit_transform(IRIS)
        assert_array_equal(first, again)


def test_stopping_rules():
    assert ExactTSNE(max_iter=1).fit(IRIS).n_iter_ == 1
    assert ExactTSNE(max_iter=70).fit(IRIS).n_iter_ == 70
    assert ExactTSNE(max_iter=70, early_exaggeration_iter=0).fit(IRIS).n_iter_ == 70
    tsne = ExactTSNE(min_grad_norm=1e-2, random_state=0).fit(DIGITS[:300])
    assert 250 < tsne.n_iter_ < 1000
    # -1: the first look after early exaggeration already counts as no progress
    assert ExactTSNE(n_iter_without_progress=-1).fit(IRIS).n_iter_ == 300
    calm = ExactTSNE(n_iter_without_progress=100, learning_rate=1e-9, max_iter=2000)
    assert calm.fit(IRIS).n_iter_ < 2000


def test_learning_rate():
    assert ExactTSNE(max_iter=1).fit(DIGITS).learning_rate_ == 50
    assert ExactTSNE(max_iter=1, early_exaggeration=4).fit(DIGITS).learning_rate_ == (
        1797 / 16
    )
    assert ExactTSNE(max_iter=1, learning_rate=7).fit(IRIS).learning_rate_ == 7


def test_early_exaggeration_matters():
    settings = {"max_iter": 20, "random_state": 0}
    plain = ExactTSNE(early_exaggeration_iter=0, **settings).fit_transform(IRIS)
    exaggerated = ExactTSNE(**settings).fit_transform(IRIS)
    neutral = ExactTSNE(early_exaggeration=1, learning_rate=50, **settings)
    assert not np.allclose(plain, exaggerated)
    assert neutral.fit(IRIS).kl_divergence_ != pytest.approx(
        ExactTSNE(**settings).fit(IRIS).kl_divergence_
    )


def test_verbose_reports(capsys):
    ExactTSNE(verbose=1, max_iter=100, early_exaggeration_iter=50).fit(IRIS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("[t-SNE] Iteration 50 (early exaggeration): error =")
    assert lines[1].startswith("[t-SNE] Iteration 100: error =")


def test_transform_of_training_rows_is_their_embedding(digits):
    assert_array_equal(digits.transform(DIGITS[:1200]), digits.embedding_)
    order = np.random.default_rng(0).permutation(1200)[:50]
    assert_array_equal(digits.transform(DIGITS[order]), digits.embedding_[order])


def test_transform_keeps_labels_together(digits):
    new = digits.transform(DIGITS[1200:])
    neighbours = KNeighborsClassifier(5).fit(digits.embedding_, TRUTH[:1200])
    assert neighbours.score(new, TRUTH[1200:]) >= 0.95


def test_transform_depends_on_each_row_alone(digits):
    X = DIGITS[1150:1400]
    whole = digits.transform(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(digits.transform(X[order]), whole[order], rtol=1e-6, atol=1e-6)
    single = np.vstack([digits.transform(X[i : i + 1]) for i in range(40, 90)])
    assert_allclose(single, whole[40:90], rtol=1e-6, atol=1e-6)


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
    assert_allclose(
        given.transform(D[1::2, ::2]),
        direct.transform(IRIS[1::2]),
        rtol=1e-4,
        atol=1e-4,
    )


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


def test_transform_before_fit():
    with pytest.raises(NotFittedError):
        ExactTSNE().transform(IRIS)


def test_input_is_left_alone():
    X, D = IRIS.copy(), pairwise_distances(IRIS)
    before = X.copy(), D.copy()
    ExactTSNE(max_iter=5).fit(X).transform(X + 0.5)
    given = ExactTSNE(metric="precomputed", init="random", max_iter=5).fit(D)
    given.transform(D[:5])
    assert_array_equal(X, before[0])
    assert_array_equal(D, before[1])


def test_memory_is_one_single_precision_matrix():
    n = 4000
    X = np.random.default_rng(0).normal(size=(n, 3))
    ExactTSNE(max_iter=1, n_jobs=1).fit(X[:50])
    tracemalloc.start()
    ExactTSNE(max_iter=1, n_jobs=1).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # P, and blocks of a few megabytes; a float64 matrix would be 8 n² by itself
    assert peak < 4 * n**2 + 50e6
