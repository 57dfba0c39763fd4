"""What arguments may be."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import skdec
from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import LinearEncoder
from tests.tsne.common import IRIS, SHORT

COUNTS = [
    (ExactTSNE(), ("n_components", "max_iter", "n_iter_without_progress", "n_jobs",
                   "early_exaggeration_iter", "perplexity", "tol", "sigma", "dof")),
    (StudentTClustering(3), ("n_clusters", "n_init", "max_iter", "update_interval",
                             "batch_size", "n_jobs", "tol", "dof", "bandwidth")),
    (LinearEncoder(), ("n_components",)),
]  # fmt: skip


@pytest.mark.parametrize(
    "estimator, name", [(model, name) for model, names in COUNTS for name in names]
)
def test_booleans_are_no_numbers(estimator, name):
    model = clone(estimator).set_params(**{name: True})
    with pytest.raises(ValueError, match=name):
        model.fit(IRIS)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_in_the_place_of_y_are_told(method):
    weight = np.linspace(0, 1, len(IRIS))
    with pytest.warns(UserWarning, match="y is ignored.*sample_weight="):
        getattr(StudentTClustering(3, random_state=0), method)(IRIS, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ragged = [[1.0], [0.5, 0.5]]
        labels = np.arange(len(IRIS))
        for y in (None, labels, weight - 0.5, weight.astype(str), ragged):
            getattr(StudentTClustering(3, random_state=0), method)(IRIS, y)
        StudentTClustering(3, random_state=0).fit(IRIS, weight, weight)


def test_targets_of_a_regression_are_not_taken_for_weights():
    prices = np.linspace(0.5, 2, len(IRIS))
    model = make_pipeline(StudentTClustering(3, random_state=0), LinearRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = model.fit(IRIS, prices).predict(IRIS)
    Q = StudentTClustering(3, random_state=0).fit_transform(IRIS)
    assert_allclose(predicted, LinearRegression().fit(Q, prices).predict(Q))


@pytest.mark.parametrize("weight", [[0, 1], [0, 1e-300]])
def test_a_row_without_weight_counts_for_nothing(weight):
    P, Q = [[1.0, 0], [0.5, 0.5]], [[0.0, 1], [0.5, 0.5]]
    assert skdec.kl_divergence(P, Q, sample_weight=weight) == 0
    assert skdec.kl_divergence(P, Q) == np.inf
    assert skdec.kl_divergence(P, Q, sample_weight=[1e-280, 1]) == np.inf


def test_divergences_are_not_below_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in (2, 3, 5, 9):
            X = np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)
            told = []
            tsne = ExactTSNE(
                perplexity=n - 1,
                callback=lambda i, kl, Y, t=told: t.append(kl),
                **SHORT,
            ).fit(X)
            assert min(tsne.kl_divergence_, *told) >= 0
        for k, value in ((7, 0.18237), (3, 0.7), (5, 0.3)):
            X = np.full((26, 2), value, np.float32)
            model = StudentTClustering(k, random_state=0).fit(X)
            assert min(model.kl_divergence_, *model.history_["kl_divergence"]) >= 0
