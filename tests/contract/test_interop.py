"""What scikit-learn users do with an estimator, beyond check_estimator."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skdec
from skdec import ExactTSNE, StudentTClustering
from skdec.kernels.first_use import compiled

IRIS = np.unique(load_iris().data, axis=0)
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
MAP = ExactTSNE(early_exaggeration_iter=50, max_iter=150, random_state=0)
BY_NEIGHBORS = clone(MAP).set_params(affinities="neighbors")
ESTIMATORS = [MAP, StudentTClustering(3, random_state=0)]
both = pytest.mark.parametrize("estimator", ESTIMATORS, ids=["tsne", "clustering"])


def outputs(estimator, X):
    methods = ("transform", "predict", "predict_proba")
    return [getattr(estimator, m)(X) for m in methods if hasattr(estimator, m)]


@both
@pytest.mark.parametrize("library, frame", [("pandas", pd.DataFrame),
                                            ("polars", pl.DataFrame)])  # fmt: skip
def test_set_output_and_feature_names(estimator, library, frame):
    X = frame(dict(zip(NAMES, IRIS.T, strict=True)))
    model = clone(estimator).set_output(transform=library)
    table = model.fit_transform(X)
    prefix = type(estimator).__name__.lower()
    columns = [f"{prefix}{i}" for i in range(table.shape[1])]
    assert isinstance(table, frame)
    assert list(table.columns) == columns
    assert list(model.get_feature_names_out()) == columns
    assert list(model.feature_names_in_) == NAMES
    assert isinstance(model.transform(X), frame)
    plain = clone(estimator).fit(IRIS)
    assert_array_equal(np.asarray(model.transform(X)), plain.transform(IRIS))
    with pytest.raises(ValueError, match="feature names"):
        model.transform(X[NAMES[::-1]])


@both
def test_clone_and_parameters(estimator):
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    copy.set_params(n_jobs=1)
    assert copy.fit(IRIS) is copy
    assert not hasattr(clone(copy), "n_features_in_")


@both
def test_persistence(estimator, tmp_path):
    model = clone(estimator).fit(IRIS)
    expected = outputs(model, IRIS + 0.01)
    joblib.dump(model, tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
        for actual, wanted in zip(outputs(copy, IRIS + 0.01), expected, strict=True):
            assert_array_equal(actual, wanted)


@pytest.mark.parametrize(
    "estimator, weighted",
    [(estimator, False) for estimator in ESTIMATORS]
    + [(MAP, True), (BY_NEIGHBORS, False), (BY_NEIGHBORS, True)],
)
def test_a_model_that_stays_in_its_file(estimator, weighted, tmp_path):
    weight = 1 + np.arange(len(IRIS)) % 3 if weighted else None
    model = clone(estimator).fit(IRIS, sample_weight=weight)
    expected = outputs(model, IRIS + 0.01)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    with compiled() as names:
        given = outputs(mapped, IRIS + 0.01)
    assert names == []
    for actual, wanted in zip(given, expected, strict=True):
        assert_array_equal(actual, wanted)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_layouts(estimator, dtype, tmp_path):
    X = IRIS.astype(dtype)
    np.save(tmp_path / "X.npy", X)
    frozen = X.copy()
    frozen.flags.writeable = False
    expected = clone(estimator).fit(X)
    layouts = {
        "memmap": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "read-only": frozen,
        "Fortran": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "reversed": X[::-1].copy()[::-1],
    }
    wanted = outputs(expected, X)
    for name, layout in layouts.items():
        with compiled() as names:
            given = outputs(clone(estimator).fit(layout), layout)
        assert names == [], f"compiled anew for {name}"
        for actual, theirs in zip(given, wanted, strict=True):
            assert_array_equal(actual, theirs, err_msg=name)


@both
def test_lists_and_integers(estimator):
    X = np.unique((IRIS * 10).astype(int), axis=0)
    expected = outputs(clone(estimator).fit(X.astype(float)), X.astype(float))
    for form in (X, X.tolist()):
        for actual, wanted in zip(
            outputs(clone(estimator).fit(form), form), expected, strict=True
        ):
            assert_array_equal(actual, wanted)


def test_functions_take_what_estimators_take():
    X = pd.DataFrame(IRIS, columns=NAMES)
    frozen = IRIS.copy()
    frozen.flags.writeable = False
    expected = skdec.soft_assignment(IRIS, IRIS[:3])
    for form in (X, frozen, np.asfortranarray(IRIS), IRIS.tolist()):
        assert_array_equal(skdec.soft_assignment(form, IRIS[:3]), expected)
        assert_allclose(
            skdec.conditional_affinities(form), skdec.conditional_affinities(IRIS)
        )
        skdec.clustering_loss(form, IRIS[:3], P=expected)
    Q = skdec.soft_assignment(frozen, frozen[:3])
    Q.flags.writeable = False
    skdec.target_distribution(Q)
    skdec.kl_divergence(Q, Q)
    P = skdec.conditional_affinities(frozen)
    P.flags.writeable = False
    joint = skdec.joint_affinities(P)
    joint.flags.writeable = False
    skdec.embedding_loss(frozen, joint)


def test_what_is_fitted_stays():
    D = np.sqrt(((IRIS[:, None] - IRIS[None]) ** 2).sum(axis=2))
    X = IRIS.copy()
    settings = {"init": "random", "random_state": 0, "max_iter": 60}
    for metric, data in (("manhattan", X), ("euclidean", X), ("precomputed", D)):
        tsne = ExactTSNE(metric=metric, **settings).fit(data)
        new = data[:5] + 0.01
        before = tsne.transform(new)
        # neither the caller's array nor a parameter set later may change it
        tsne.set_params(sigma=0.1, perplexity=2.0, dof=5.0, metric="cosine")
        data += 1
        assert_array_equal(tsne.transform(new), before)
        data -= 1
    model = StudentTClustering(3, random_state=0).fit(IRIS)
    before = model.predict_proba(IRIS)
    assert_array_equal(
        model.set_params(dof=9.0, bandwidth=2.0).predict_proba(IRIS), before
    )
    # a precomputed matrix is not carried along
    assert len(pickle.dumps(tsne)) < D.nbytes / 4


@both
def test_fit_predict_and_fit_transform(estimator):
    model = clone(estimator)
    assert_array_equal(
        model.fit_transform(IRIS), clone(estimator).fit(IRIS).transform(IRIS)
    )
    if hasattr(model, "predict"):
        labels = clone(estimator).fit_predict(IRIS)
        assert_array_equal(labels, model.predict(IRIS))
        weighted = clone(estimator).fit_predict(IRIS, sample_weight=np.ones(len(IRIS)))
        assert_array_equal(weighted, labels)


def test_grid_search_over_a_pipeline():
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("tsne", ExactTSNE(max_iter=150, random_state=0)),
            ("cluster", StudentTClustering(random_state=0, n_init=3, tol=0.02)),
        ]
    )
    grid = {"tsne__perplexity": [10, 20], "cluster__n_clusters": [2, 3]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(IRIS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    labels = search.predict(IRIS)
    assert set(labels) <= set(range(search.best_params_["cluster__n_clusters"]))
    assert search.predict_proba(IRIS).shape[0] == len(IRIS)
    parallel = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(IRIS)
    # other processes: not bitwise, as BLAS and OpenMP are theirs
    assert_allclose(
        parallel.cv_results_["mean_test_score"],
        search.cv_results_["mean_test_score"],
        rtol=1e-12,
    )


def test_grid_search_over_precomputed_distances():
    D = np.sqrt(((IRIS[:, None] - IRIS[None]) ** 2).sum(axis=2))
    pipeline = Pipeline(
        [
            ("tsne", ExactTSNE(metric="precomputed", init="random", max_iter=100)),
            ("cluster", StudentTClustering(3, n_init=2, tol=0.02)),
        ]
    )
    GridSearchCV(pipeline, {"tsne__perplexity": [10, 20]}, error_score="raise").fit(D)


def test_pipeline_on_digits():
    X, _ = load_digits(return_X_y=True)
    pipeline = Pipeline(
        [
            ("tsne", ExactTSNE(max_iter=300, random_state=0)),
            ("cluster", StudentTClustering(10, random_state=0)),
        ]
    )
    labels = pipeline.fit_predict(X[:600])
    assert_array_equal(pipeline.predict(X[:600]), labels)
    Q = pipeline.predict_proba(X[600:700])
    assert_array_equal(Q.argmax(axis=1), pipeline.predict(X[600:700]))
