"""ExactTSNE: the optimum it reaches, its parameters, and transform."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import skdec
from skdec import ExactTSNE
from skdec.kernels.types import STUDENT_T, Kernel
from skdec.tsne._affinities import Affinities
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads
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


ROWS = [("student_t", "joint", "auto"), ("student_t", "joint", 0.6),
        ("student_t", "conditional", 1.0), ("gaussian", "joint", "auto"),
        ("gaussian", "conditional", "auto")]  # fmt: skip


@pytest.mark.parametrize("n_components", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel, normalization, dof", ROWS)
def test_descent_ends_where_the_gradient_vanishes(
    kernel, normalization, dof, n_components
):
    X = IRIS[::3]
    tsne = ExactTSNE(
        n_components, dof=dof, kernel=kernel, normalization=normalization, tol=0,
        precision="double", max_iter=3000, random_state=0, n_iter_without_progress=3000,
    ).fit(X)  # fmt: skip
    assert tsne.dof_ == (max(n_components - 1, 1) if dof == "auto" else dof)
    P = skdec.conditional_affinities(X, perplexity=tsne.perplexity_)
    if normalization == "joint":
        P = skdec.joint_affinities(P)
    form = {"kernel": kernel, "dof": tsne.dof_, "normalization": normalization}
    start = skdec.embedding_loss(tsne.embedding_ * 1e-4, P, **form)[0]
    kl, gradient = skdec.embedding_loss(tsne.embedding_, P, **form)
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-9)
    assert kl < 0.5 * start
    mass = 1 if normalization == "joint" else len(X)
    # in one dimension points stand in each other's way
    assert np.linalg.norm(gradient) < (1e-2 if n_components == 1 else 1e-4) * mass


def test_stochastic_neighbour_embedding_as_first_written():
    # Hinton & Roweis: exp(−‖y_i − y_j‖²) per row against a fixed σ, no perplexity
    X = IRIS[::3]
    sne = ExactTSNE(
        kernel="gaussian", normalization="conditional", sigma=0.8, precision="double",
        random_state=0, tol=0,
    ).fit(X)  # fmt: skip
    assert sne.perplexity_ is None
    P = naive.conditional_affinities(X, sigma=0.8)
    expected = naive.embedding_kl(sne.embedding_, P, 1.0, "gaussian", "conditional")
    assert_allclose(sne.kl_divergence_, expected, rtol=1e-8)
    assert np.isfinite(sne.transform(X + 0.01)).all()


def test_as_good_as_scikit_learn_exact():
    X = DIGITS[:300]
    peer = TSNE(method="exact", random_state=0, perplexity=30)
    embedding = peer.fit_transform(X)
    ours = ExactTSNE(random_state=0, tol=0).fit(X)
    assert ours.kl_divergence_ < full_kl(X, embedding)[0] * 1.01
    kept = trustworthiness(X, ours.embedding_)
    assert kept > trustworthiness(X, embedding) - 0.005


def test_fused_loop_across_its_chunks(rng):
    # 4,500 points: lanes of one row lie in more than one chunk
    n, c = 4500, 2
    P = np.zeros((n, n // 2), np.float32)
    P[:, :40] = rng.uniform(size=(n, 40)) / (n * 40)
    affinities = Affinities(P, 0.0, np.full(n, 1 / n))
    for c, dof in ((2, 1.0), (3, 1.0), (3, 2.0)):
        Y = rng.normal(size=(c, n)).astype(np.float32)
        with Threads(-1) as threads:
            form = Kernel(STUDENT_T, dof), True, threads
            fused = EmbeddingObjective(affinities, *form)
            general = EmbeddingObjective(affinities, *form, fused=False)
            found, expected = fused.gradient(Y), general.gradient(Y)
        assert_allclose(found[1], expected[1], rtol=1e-6)
        scale = np.abs(expected[0]).max()
        assert_allclose(found[0], expected[0], rtol=1e-3, atol=1e-5 * scale)


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

    def broken(n_iter, kl, embedding):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        tsne.set_params(callback=broken).fit(IRIS[:40] * 2)
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


def test_max_iter():
    for max_iter in (1, 2, 49, 50, 51, 70, 130, 131):
        assert ExactTSNE(max_iter=max_iter, tol=0).fit(IRIS).n_iter_ == max_iter
    short = ExactTSNE(max_iter=70, early_exaggeration_iter=0).fit(IRIS)
    assert short.n_iter_ == 70


def test_small_gradient_stops():
    tsne = ExactTSNE(min_grad_norm=5e-4, tol=0, random_state=0).fit(DIGITS[:300])
    assert 100 <= tsne.n_iter_ < 1000
    gradient = full_kl(DIGITS[:300], tsne.embedding_)[1]
    assert np.linalg.norm(gradient) <= 5e-4 * 1.01


def test_no_progress_stops():
    # −1: the first look after early exaggeration already counts as no progress
    assert ExactTSNE(n_iter_without_progress=-1).fit(IRIS).n_iter_ == 100
    stuck = ExactTSNE(
        n_iter_without_progress=100, learning_rate=1e-9, max_iter=2000, tol=0
    )
    assert stuck.fit(IRIS).n_iter_ < 2000


def test_flat_divergence_stops():
    tight, loose = (
        ExactTSNE(tol=tol, max_iter=3000, random_state=0).fit(DIGITS[:400])
        for tol in (1e-5, 1e-2)
    )
    assert loose.n_iter_ < tight.n_iter_ < 3000
    assert tight.kl_divergence_ < loose.kl_divergence_
    further = ExactTSNE(tol=0, max_iter=loose.n_iter_ - 50, random_state=0).fit(
        DIGITS[:400]
    )
    fall = further.kl_divergence_ - loose.kl_divergence_
    assert 0 <= fall < 1e-2 * loose.kl_divergence_


def test_learning_rate():
    assert ExactTSNE(max_iter=1).fit(DIGITS).learning_rate_ == 1797
    assert ExactTSNE(max_iter=1, exaggeration=4).fit(DIGITS).learning_rate_ == 1797 / 4
    conditional = ExactTSNE(max_iter=1, normalization="conditional").fit(DIGITS)
    assert conditional.learning_rate_ == 1
    assert ExactTSNE(max_iter=1, learning_rate=7).fit(IRIS).learning_rate_ == 7


@pytest.mark.parametrize("dof", [0.05, 2.0, 4.0, 100.0])
def test_learning_rate_times_the_pull_of_neighbours_is_the_same(dof):
    """The slope of −log s where s = 1/8, for every ν as for ν = 1."""

    def energy(D, nu):
        return -naive.log_similarity(D, nu)

    def pull(nu):
        D = brentq(lambda D: energy(D, nu) - np.log(8), 1e-9, 1e9)
        return (energy(D * 1.001, nu) - energy(D * 0.999, nu)) / (0.002 * D)

    rate = ExactTSNE(3, dof=dof, max_iter=1).fit(IRIS).learning_rate_
    assert_allclose(rate * pull(dof), len(IRIS) * pull(1.0), rtol=1e-5)


@pytest.mark.parametrize(
    "X", [DIGITS[:500], StandardScaler().fit_transform(load_wine().data)]
)
def test_neighbours_are_an_eighth_as_similar_as_points_that_coincide(X):
    """exp Σ p log s at ν = 1, of maps made in short steps.

    The automatic learning rate takes 1/8 for every dof.  Longer steps spread the map
    further, where neighbours pull less.
    """
    P = skdec.joint_affinities(skdec.conditional_affinities(X, perplexity=30))
    Y = ExactTSNE(
        perplexity=30, learning_rate=len(X) / 8, random_state=0
    ).fit_transform(X)
    D = pairwise_distances(Y, metric="sqeuclidean")
    mean = np.exp(-np.sum(P * np.log1p(D)))
    assert 0.09 < mean < 0.15


@pytest.mark.parametrize(
    "form", [{"dof": 100.0}, {"dof": 10.0}, {"n_components": 5}, {"n_components": 10}]
)
def test_the_learning_rate_suits_every_dof(form, rng):
    """Not much above the KL that a small one ends with, with and without clusters."""
    for X in (rng.normal(size=(200, 20)), DIGITS[:300]):
        kl = [
            ExactTSNE(learning_rate=rate, random_state=0, **form).fit(X).kl_divergence_
            for rate in ("auto", len(X) / 8)
        ]
        assert kl[0] < 1.1 * kl[1]


@pytest.mark.parametrize("form", [{}, {"kernel": "gaussian"}, {"n_components": 3},
                                  {"normalization": "conditional"}])  # fmt: skip
@pytest.mark.parametrize("rate", [1e6, 1e30])
def test_no_learning_rate_diverges(rate, form):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the embedding", ConvergenceWarning)
        tsne = ExactTSNE(learning_rate=rate, random_state=0, tol=0, **form).fit(IRIS)
    assert np.isfinite(tsne.embedding_).all()
    assert np.isfinite(tsne.kl_divergence_)
    assert np.ptp(tsne.embedding_) <= 2 * tsne.n_iter_ * np.sqrt(tsne.dof_) + 1


def test_a_map_worse_than_none_is_reported(rng):
    far = 1e3 * rng.normal(size=(len(IRIS), 2))
    stuck = ExactTSNE(init=far, learning_rate=1e-9, max_iter=200)
    with pytest.warns(ConvergenceWarning, match="shows less than points that all co"):
        stuck.fit(IRIS)


def test_low_perplexity():
    tsne = ExactTSNE(perplexity=2, random_state=0).fit(DIGITS[:300])
    assert tsne.kl_divergence_ < 0.6
    assert np.isfinite(tsne.embedding_).all()


def test_late_exaggeration():
    kinder = {"random_state": 0, "max_iter": 400, "tol": 0}
    late = ExactTSNE(exaggeration=4, **kinder).fit(DIGITS[:400])
    plain = ExactTSNE(**kinder).fit(DIGITS[:400])
    assert np.ptp(late.embedding_) < 0.5 * np.ptp(plain.embedding_)
    # of P as it is, not exaggerated
    assert_allclose(
        late.kl_divergence_, full_kl(DIGITS[:400], late.embedding_)[0], rtol=1e-4
    )
    neutral = ExactTSNE(exaggeration=1.0, **kinder).fit(DIGITS[:400])
    assert_array_equal(neutral.embedding_, plain.embedding_)


def test_early_exaggeration_matters():
    settings = {"max_iter": 20, "random_state": 0}
    plain = ExactTSNE(early_exaggeration_iter=0, **settings).fit_transform(IRIS)
    exaggerated = ExactTSNE(**settings).fit_transform(IRIS)
    assert not np.allclose(plain, exaggerated)


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


def peak_memory(function):
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_half_a_single_precision_matrix():
    n = 4000
    X = np.random.default_rng(0).normal(size=(n, 3))
    ExactTSNE(max_iter=1, n_jobs=1).fit(X[:50])
    peak = peak_memory(lambda: ExactTSNE(max_iter=1, n_jobs=1).fit(X))
    # each pair once, and blocks of a few megabytes; the whole matrix would be 4 n²
    assert peak < 2 * n**2 + 25e6


def test_memory_of_neighbours_does_not_grow_with_the_square():
    settings = {"max_iter": 1, "n_jobs": 1, "affinities": "neighbors", "perplexity": 5}
    X = np.random.default_rng(0).normal(size=(8000, 3))
    ExactTSNE(**settings).fit(X[:50])
    peak = peak_memory(lambda: ExactTSNE(**settings).fit(X))
    assert peak < 60e6  # 2 n² is 128 MB
