"""The linear embedding."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdec import StudentTClustering
from skdec.encoders import LinearEncoder
from tests import naive
from tests.encoders.common import BLOBS, toy_model


def test_starts_from_principal_components(rng):
    X = rng.normal(size=(60, 6)) * [6, 5, 4, 3, 2, 1] + 100
    for n_components in (3, 6, "auto"):
        encoder = LinearEncoder(n_components).fit(X)
        pca = PCA(6).fit(X)
        k = len(encoder.components_)
        assert k == (6 if n_components == "auto" else n_components)
        signs = np.sign(np.sum(encoder.components_ * pca.components_[:k], axis=1))
        assert_allclose(
            encoder.components_, signs[:, None] * pca.components_[:k], atol=1e-6
        )
        expected = pca.transform(X)[:, :k] * signs / encoder.scale_
        assert_allclose(encoder.transform(X), expected, atol=1e-6)
    assert_allclose(encoder.inverse_transform(encoder.transform(X)), X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wide_rows_get_their_components_another_way(dtype, rng, monkeypatch):
    X = (rng.normal(size=(40, 30)) @ rng.normal(size=(30, 60)) + 5).astype(dtype)
    weight = rng.integers(0, 3, 40)
    narrow = LinearEncoder(4).fit(X, sample_weight=weight)
    monkeypatch.setattr("skdec.encoders._linear.LARGEST_GRAM", 0)
    for rows in (X, sparse.csr_matrix(X)):
        wide = LinearEncoder(4, random_state=0).fit(rows, sample_weight=weight)
        loose = 1e-3 if dtype is np.float32 else 1e-6
        assert_allclose(wide.components_, narrow.components_, atol=loose)
    few = LinearEncoder().fit(X[:6])
    assert few.components_.shape == (5, 60)
    assert_allclose(few.inverse_transform(few.transform(X[:6])), X[:6], rtol=1e-3)


@pytest.mark.parametrize("narrow", [0, 2000])
def test_rows_that_are_all_the_same(narrow, monkeypatch):
    monkeypatch.setattr("skdec.encoders._linear.LARGEST_GRAM", narrow)
    for d in (3, 40):
        X = np.full((30, d), 0.5)
        with pytest.warns(ConvergenceWarning, match="exceeds the number") as caught:
            model = toy_model(encoder=LinearEncoder()).fit(X)
        assert len(caught) == 1
        assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_the_linear_chain_rule(kind, gamma, rng):
    X = rng.normal(size=(12, 4)) * [1, 2, 3, 4] + 1
    weight, target = rng.uniform(0.5, 2, 12), rng.normal(size=(12, 2))
    encoder = LinearEncoder(2, reconstruction_weight=gamma).fit(kind(X))
    encoder.components_ = rng.normal(size=(2, 4))

    def loss(components):
        x = (X - encoder.mean_) / encoder.scale_
        Z = x @ components.T
        error = np.mean((x - Z @ components) ** 2, axis=1)
        rows = np.sum((Z - target) ** 2, axis=1) / 2
        return np.mean(weight * (rows + gamma * error))

    expected = naive.finite_difference(loss, encoder.components_)
    slope = encoder._slope(kind(X), lambda Z: weight[:, None] * (Z - target), weight)
    assert_allclose(slope, expected, rtol=1e-6, atol=1e-6)
    before = encoder.components_
    encoder.step(kind(X), lambda Z: weight[:, None] * (Z - target), weight)
    # the first step of Adam is the rate, in the gradient's signs
    assert_allclose(before - encoder.components_, 1e-3 * np.sign(slope), rtol=1e-4)


def test_learning_leaves_out_what_does_not_tell_clusters(rng):
    X, truth = make_blobs(600, n_features=2, centers=4, random_state=2)
    X = np.hstack([X, 3.5 * rng.normal(size=(600, 10))])
    encoder = LinearEncoder(12, reconstruction_weight=0.0, learning_rate=1e-2)
    model = StudentTClustering(4, encoder=encoder, random_state=0, tol=0.01).fit(X)
    # of the form that learning has
    start = StudentTClustering(4, dof=1.0, balance=1.0, bandwidth=model.bandwidth_)
    start.set_params(random_state=0).fit(encoder.fit_transform(X))
    before, after = (
        adjusted_rand_score(truth, fitted.labels_) for fitted in (start, model)
    )
    assert after > before + 0.05
    tells, noise = np.split(np.linalg.norm(model.encoder_.components_, axis=0), [2])
    assert tells.min() > noise.max()


def test_sparse_rows_and_frames():
    X = np.where(BLOBS > 2, BLOBS, 0)
    dense = toy_model(encoder=LinearEncoder(2)).fit(X)
    for other in (sparse.csr_matrix(X), sparse.csr_array(X), pd.DataFrame(X)):
        model = toy_model(encoder=LinearEncoder(2)).fit(other)
        assert_allclose(model.encoding_, dense.encoding_, rtol=1e-5, atol=1e-6)
        assert_array_equal(model.predict(other), dense.labels_)
    # a toy does not say that it takes sparse rows
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        toy_model().fit(sparse.csr_matrix(X))


IRIS = load_iris().data


def test_parameters_of_the_encoder_in_a_grid():
    pipeline = make_pipeline(
        StandardScaler(), toy_model(encoder=LinearEncoder(), n_init=2, tol=0.1)
    )
    grid = {"studenttclustering__encoder__n_components": [1, 2, 3]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(IRIS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_[-1]
    assert best.encoding_.shape[1] in (1, 2, 3)


def test_names_and_set_output():
    X = pd.DataFrame(BLOBS, columns=list("abcde"))
    encoder = LinearEncoder(2).set_output(transform="pandas").fit(X)
    assert list(encoder.transform(X).columns) == ["linearencoder0", "linearencoder1"]
    model = toy_model(encoder=encoder).set_output(transform="pandas").fit(X)
    assert list(model.transform(X).columns) == list(model.get_feature_names_out())
    assert list(model.feature_names_in_) == list("abcde")
    assert isinstance(model.encode(X), np.ndarray)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_scale_of_sparse_rows_is_that_of_dense_ones(dtype, scale, rng):
    X = (rng.poisson(0.5, (120, 12)) * scale).astype(dtype)
    weight = rng.uniform(0.5, 2, 120)
    dense = LinearEncoder(2).fit(X, sample_weight=weight)
    stored = LinearEncoder(2).fit(sparse.csr_matrix(X), sample_weight=weight)
    expected = np.average(X.astype(float), axis=0, weights=weight)
    away = X.astype(float) / scale - expected / scale
    spread = np.average(np.square(away), axis=0, weights=weight).mean()
    for encoder in (dense, stored):
        assert_allclose(encoder.scale_, scale * np.sqrt(spread), rtol=1e-7)
        assert_allclose(encoder.mean_, expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0.1, 1e100, 1e-250])
def test_weights_give_no_scale_to_rows_that_are_all_the_same(value, rng):
    for _ in range(10):
        same, weight = np.full((30, 3), value), rng.random(30)
        encoder = LinearEncoder().fit(same, sample_weight=weight)
        assert encoder.scale_ == 1
    # and a column that hardly varies has what it has
    rows = 1e8 + 1e-4 * rng.normal(size=(500, 1))
    scale = LinearEncoder().fit(rows, sample_weight=np.full(500, 0.3)).scale_
    assert_allclose(scale, rows.std(), rtol=1e-3)


def test_bad_parameters_of_the_linear_encoder():
    with pytest.raises(ValueError, match=r"n_components \(6\) must not exceed"):
        LinearEncoder(6).fit(BLOBS)
    with pytest.raises(ValueError, match="'learning_rate' parameter"):
        LinearEncoder(learning_rate=0.0).fit(BLOBS)
    with pytest.raises(ValueError, match="Z must have 2 columns"):
        LinearEncoder(2).fit(BLOBS).inverse_transform(BLOBS)
    with pytest.raises(ValueError, match="X must stay below"):
        LinearEncoder(2).fit(BLOBS * 1e200)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30])
def test_any_scale(scale):
    plain = toy_model(encoder=LinearEncoder(2)).fit(BLOBS)
    scaled = toy_model(encoder=LinearEncoder(2)).fit(BLOBS * scale)
    assert_allclose(scaled.encoding_, plain.encoding_, rtol=1e-6, atol=1e-6)
    assert_array_equal(scaled.labels_, plain.labels_)


@parametrize_with_checks(
    [
        LinearEncoder(),
        StudentTClustering(2, encoder=LinearEncoder(), n_init=2, tol=0.1),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_the_autoencoder_says_what_to_install():
    code = """
import sys
from skdec.encoders import AutoencoderEncoder
sys.modules["torch"] = None  # as if it were not installed
encoder = AutoencoderEncoder(hidden_dims=(3, 2))
try:
    encoder.fit([[0.0, 1.0], [1.0, 0.0]])
except ImportError as error:
    assert "pip install 'skdec[deep]'" in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_encoders_does_not_import_torch():
    code = "import sys, skdec.encoders; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_fit_that_fails_leaves_the_last_one_whole():
    encoder = LinearEncoder(4).fit(BLOBS)
    expected = encoder.transform(BLOBS)
    with pytest.raises(ValueError, match="n_components"):
        encoder.fit(BLOBS[:, :3])
    assert_array_equal(encoder.transform(BLOBS), expected)
