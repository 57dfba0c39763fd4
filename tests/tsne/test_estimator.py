"""ExactTSNE as a whole."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import (
    NotFittedError,
)
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import pairwise_distances
from sklearn.utils.validation import check_is_fitted

from skdec import ExactTSNE
from tests import naive
from tests.tsne.common import DIGITS, IRIS, SHORT, full_kl


def test_reported_divergence_is_that_of_the_embedding():
    tsne = ExactTSNE(random_state=0, precision="double").fit(IRIS)
    assert_allclose(tsne.kl_divergence_, full_kl(IRIS, tsne.embedding_)[0], rtol=1e-9)
    tsne = ExactTSNE(random_state=0).fit(IRIS)
    assert_allclose(tsne.kl_divergence_, full_kl(IRIS, tsne.embedding_)[0], rtol=1e-4)


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
    # which minimum either of them ends in depends on the processor
    assert ours.kl_divergence_ < full_kl(X, embedding)[0] * 1.03
    kept = trustworthiness(X, ours.embedding_)
    assert kept > trustworthiness(X, embedding) - 0.015


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


def test_low_perplexity():
    tsne = ExactTSNE(perplexity=2, random_state=0).fit(DIGITS[:300])
    assert tsne.kl_divergence_ < 0.6
    assert np.isfinite(tsne.embedding_).all()


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


def broken(n_iter, kl, embedding):
    raise RuntimeError("no")


def interrupted(n_iter, kl, embedding):
    raise KeyboardInterrupt


FAILURES = [
    ({"perplexity": 500}, ValueError),
    ({"init": np.ones((3, 2))}, ValueError),
    ({"callback": broken}, RuntimeError),
    ({"callback": interrupted}, KeyboardInterrupt),
    ({"metric": "precomputed"}, ValueError),
]


@pytest.mark.parametrize("parameters, error", FAILURES)
def test_a_failed_refit_leaves_the_estimator_as_it_was(parameters, error):
    tsne = ExactTSNE(**SHORT).fit(IRIS)
    new = IRIS[:3] + 0.01
    before = tsne.transform(new)
    settings = {name: getattr(tsne, name) for name in parameters}
    with pytest.raises(error):
        tsne.set_params(**parameters).fit(DIGITS[:40])
    assert tsne.n_features_in_ == 4
    assert_array_equal(tsne.set_params(**settings).transform(new), before)


@pytest.mark.parametrize("parameters, error", FAILURES)
def test_after_a_failed_first_fit_it_is_not_fitted(parameters, error):
    tsne = ExactTSNE(**{**SHORT, **parameters})
    with pytest.raises(error):
        tsne.fit(DIGITS[:40])
    assert set(vars(tsne)) == set(tsne.get_params())
    with pytest.raises(NotFittedError):
        check_is_fitted(tsne)
    with pytest.raises(NotFittedError):
        tsne.transform(IRIS)


def test_no_memory_leaves_the_estimator_as_it_was(monkeypatch):
    def full(*_):
        raise MemoryError

    tsne = ExactTSNE(**SHORT)
    monkeypatch.setattr("skdec.tsne._fit.dense_affinities", full)
    with pytest.raises(MemoryError):
        tsne.fit(IRIS)
    assert set(vars(tsne)) == set(tsne.get_params())


def test_a_warning_comes_once_and_points_at_the_line_of_the_caller():
    X = np.repeat(np.arange(3.0), 20)[:, None]
    for affinities, init in (("exact", "spectral"), ("neighbors", "random")):
        tsne = ExactTSNE(perplexity=5, affinities=affinities, init=init, **SHORT)
        for call in (tsne.fit, tsne.fit_transform):
            with pytest.warns(UserWarning, match="cannot be reached") as caught:
                call(X)
            # besides that of the few iterations
            assert [warning.filename for warning in caught] == [__file__] * 2
            assert len({str(warning.message) for warning in caught}) == 2


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"sigma": 1.0, "perplexity": 20}, "perplexity=20 has no effect with sigma=1"),
        ({"sigma": 1.0, "perplexity": [5, 9]}, "perplexity=.* no effect with sigma=1"),
        ({"kernel": "gaussian", "dof": 4}, "dof=4 has no effect with kernel='gaussian"),
        (
            {"metric": "precomputed", "metric_params": {"p": 3}},
            "metric_params={'p': 3}",
        ),
        ({"early_exaggeration_iter": 0, "early_exaggeration": 4.0}, "_iter=0"),
    ],
)
def test_a_parameter_without_effect_is_named_once(parameters, message):
    X = pairwise_distances(IRIS) if "metric" in parameters else IRIS
    with pytest.warns(UserWarning, match=message) as caught:
        ExactTSNE(init="random", **{**SHORT, **parameters}).fit(X)
    # besides that of the few iterations
    assert len(caught) == 2


def test_degrees_of_freedom_have_no_effect_on_the_gaussian():
    maps = []
    for dof in (1.0, 1e4):
        tsne = ExactTSNE(kernel="gaussian", n_components=3, dof=dof, **SHORT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # far from settled, so that points move as far as they may
            embedding = tsne.set_params(learning_rate=1e6).fit_transform(IRIS[::2])
            maps.append((embedding, tsne.transform(IRIS[1::2])))
    for one, other in zip(*maps, strict=True):
        assert_array_equal(one, other)


def test_a_parameter_at_its_default_is_not_given():
    for other in ({"sigma": 1.0}, {"kernel": "gaussian"}):
        defaults = {name: ExactTSNE().get_params()[name] for name in
                    ("perplexity", "dof", "early_exaggeration")}  # fmt: skip
        ExactTSNE(**SHORT, **other, **defaults).fit(IRIS)


def test_method_is_exact():
    as_theirs = ExactTSNE(method="exact", **SHORT).fit_transform(IRIS)
    assert_array_equal(as_theirs, ExactTSNE(**SHORT).fit_transform(IRIS))
    with pytest.raises(ValueError, match="method must be 'exact'; got 'barnes_hut'"):
        ExactTSNE(method="barnes_hut", **SHORT).fit(IRIS)


@pytest.mark.parametrize("metric", ["euclidean", "seuclidean"])
def test_arrays_among_the_parameters_are_copied(metric):
    perplexity, V = np.array([5.0, 40.0]), np.array([1.0, 2.0, 3.0, 4.0])
    tsne = ExactTSNE(metric=metric, max_iter=20, random_state=0)
    if metric == "seuclidean":
        tsne.set_params(metric_params={"V": V})
    tsne.set_params(perplexity=perplexity).fit(IRIS)
    before = tsne.transform(IRIS[:3] + 0.01)
    perplexity[:], V[:] = 2, 100
    assert_array_equal(tsne.transform(IRIS[:3] + 0.01), before)
    assert_array_equal(tsne.perplexity_, [5, 40])
    tsne.perplexity_[:] = 2
    assert_array_equal(tsne.transform(IRIS[:3] + 0.01), before)
