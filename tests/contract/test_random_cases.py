"""Random calls of everything public: a finite result with its invariants, or an error
that names what is wrong.  A case is its seed: ``check_map(1234)`` repeats it.

350 cases run by default, 20,000 with ``-m fuzz``.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances

import skdec
from skdec import ExactTSNE, StudentTClustering

MAGNITUDES = (1, 1, 1, 1e-300, 1e-160, 1e-30, 1e30, 1e140, 1e290)
DEGREES = (1e-12, 0.3, 1.0, 4.0, 1e6, 1e12)

# What an error may name: an argument, or a property of the one that was given.
NAMED = (
    "n_samples", "n_clusters", "sample_weight", "sparse rows", "minimum of", "features",
    "must stay below", "stay within", "perplexity", "metric", "init", "X ", "X:", "Z ",
    "Q ", "P ", "P_conditional", "centers", "embedding", "dof", "NaN", "infinity",
    "distances", "batch_size", "neighbors", "n_components", "Y ", "sigma",
)  # fmt: skip


class Refused(Exception):
    """The call was refused, and said why."""


def called(function, *arguments, **parameters):
    """What a call gives, unless it is refused by an error that names an argument."""
    try:
        return function(*arguments, **parameters)
    except NotFittedError:
        raise
    except (ValueError, TypeError, FloatingPointError) as error:
        text = str(error)
        assert any(name in text for name in NAMED), error
        raise Refused from error


def dense_rows(rng, least=1):
    n, d = rng.randint(least, 41), rng.randint(1, 8)
    return (
        lambda: rng.randn(n, d),
        lambda: rng.randint(0, 3, (n, d)).astype(float),
        lambda: np.ones((n, d)),
        lambda: rng.rand(n, d) * (rng.rand(n, d) < 0.3),
        lambda: np.repeat(rng.randn(-(-n // 3), d), 3, axis=0)[:n],
        lambda: 1e6 + rng.randn(n, d),
    )[rng.randint(6)]()


def rows_of(rng, least=1):
    """Few rows of some kind, magnitude, dtype and container, and their magnitude."""
    magnitude = rng.choice(MAGNITUDES)
    X = dense_rows(rng, least) * magnitude
    if rng.rand() < 0.5 and 1e-30 <= magnitude <= 1e30:
        X = X.astype(np.float32)
    draw = rng.rand()
    if draw < 0.3:
        X = (sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix)[rng.randint(3)](X)
    elif draw < 0.4:
        X = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    elif draw < 0.5:
        X = np.asfortranarray(X)
        X.flags.writeable = False
    elif draw < 0.55 and magnitude == 1 and X.shape[0]:
        X = X.astype(rng.choice([np.int64, np.uint8, np.float16]))
    return X, magnitude


def some(rng, choices, share=0.25):
    """Some of the parameters, each with one of its values."""
    return {
        name: values[rng.randint(len(values))]
        for name, values in choices.items()
        if rng.rand() < share
    }


def weights(rng, n):
    if rng.rand() < 0.7:
        return None
    return rng.randint(0, 4, n) * 10.0 ** rng.choice([0, -200, 250])


def copied(X):
    return X.copy()


def assert_unchanged(X, before):
    if sparse.issparse(X):
        assert (before != X).nnz == 0
    else:
        assert_array_equal(X, before)


def toarray(X):
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


# ---------------------------------------------------------------------- the clustering
def a_clustering(rng, magnitude):
    given = some(rng, {
        "dof": DEGREES,
        "bandwidth": tuple(magnitude * np.array([1e-3, 0.1, 1, 100])),
        "balance": (0.0, 0.25, 1.0, 5.0, 1000.0),
        "batch_size": tuple(range(1, 20)),
        "init": ("random",),
        "tol": (0.0, 0.1),
        "update_interval": (1, 3),
    })  # fmt: skip
    return StudentTClustering(rng.randint(1, 12), random_state=0, n_init=3,
                              max_iter=40, n_jobs=1, **given)  # fmt: skip


def assert_consistent(model, X):
    Q = model.transform(X)
    assert_allclose(Q.sum(axis=1), 1, atol=1e-5)
    assert_array_equal(Q.argmax(axis=1), model.predict(X))
    for values in (model.cluster_centers_, model.cluster_means_, model.evidence_,
                   model.score_samples(X), model.entropy_samples(X)):  # fmt: skip
        assert np.isfinite(values).all()
    assert model.kl_divergence_ >= 0
    assert (model.kl_samples(X) >= -1e-6).all()


def check_clustering(seed):
    rng = np.random.RandomState(seed)
    X, magnitude = rows_of(rng)
    weight, model = weights(rng, X.shape[0]), a_clustering(rng, magnitude)
    before = copied(X)
    for _ in range(1 + (rng.rand() < 0.2)):
        fit = model.partial_fit if rng.rand() < 0.3 else model.fit
        called(fit, X, sample_weight=weight)
    assert_unchanged(X, before)
    assert_consistent(model, X)
    assert_array_equal(model.labels_, model.predict(X))
    assert_allclose(model.probabilities_, model.transform(X).max(axis=1))
    if model.batch_size == "auto":
        counted = np.ones(X.shape[0], bool) if weight is None else weight > 0
        most = min(model.n_clusters, len(np.unique(toarray(X)[counted], axis=0)))
        assert len(np.unique(model.labels_[counted])) == most


# ------------------------------------------------------------- sequences of calls
def check_sequence(seed):
    """Whatever comes after what, a model is as it was last fitted, or not fitted."""
    rng = np.random.RandomState(seed)
    width = rng.randint(1, 5)
    model, fitted_on = a_clustering(rng, 1), None

    def rows(n_features=width):
        return rng.randn(rng.randint(12, 30), n_features)

    for _ in range(rng.randint(3, 9)):
        act, X = rng.randint(8), rows()
        try:
            if act == 0:
                called(model.fit, X)
                fitted_on = X
            elif act == 1:
                called(model.partial_fit, X)
                fitted_on = X
            elif act == 2:
                X[0, 0] = np.nan
                called(model.fit, X)
            elif act == 3:
                called(model.partial_fit, rows(width + 1))
                fitted_on, width = rows(width + 1), width + 1
            elif act == 4:
                called(model.predict, rows(width + rng.randint(2)))
            elif act == 5:
                model = pickle.loads(pickle.dumps(model))
            elif act == 6:
                model, fitted_on = clone(model), None
            else:
                model.set_params(n_clusters=rng.randint(1, 12))
        except Refused:
            pass
        except NotFittedError:
            assert fitted_on is None
        if fitted_on is not None:
            assert_consistent(model, fitted_on)
        else:
            assert not hasattr(model, "cluster_centers_")


# ------------------------------------------------------------------------------ the map
METRICS = ("cosine", "manhattan", "correlation", "chebyshev", "jaccard", "canberra")


def a_map(rng, n_samples, magnitude):
    components = rng.randint(1, 5)
    given = some(rng, {
        "perplexity": (1, 2.5, 5.0, 50, [2, 5]),
        "sigma": (magnitude, 1e3 * magnitude),
        "dof": DEGREES,
        "kernel": ("gaussian",),
        "normalization": ("conditional",),
        "affinities": ("neighbors",),
        "init": ("random", "spectral", rng.randn(n_samples, components)),
        "metric": METRICS,
        "precision": ("double",),
        "exaggeration": (1.0, 4.0),
        "early_exaggeration": (1.0, 100.0),
        "early_exaggeration_iter": (0, 5),
        "learning_rate": (1e-3, 1e3, 1e30),
        "tol": (0.0,),
    }, 0.15)  # fmt: skip
    return ExactTSNE(components, max_iter=rng.randint(1, 60), random_state=0,
                     n_jobs=1, **given)  # fmt: skip


def check_map(seed):
    rng = np.random.RandomState(seed)
    X, magnitude = rows_of(rng, least=0)
    model = a_map(rng, X.shape[0], magnitude)
    if rng.rand() < 0.1:
        model.set_params(metric="precomputed")
        X = called(pairwise_distances, np.nan_to_num(toarray(X).astype(float)))
    before = copied(X)
    Y = called(model.fit_transform, X)
    assert_unchanged(X, before)
    assert Y.shape == (X.shape[0], model.n_components)
    assert np.isfinite(Y).all()
    assert_array_equal(Y, model.embedding_)
    assert np.isfinite(model.kl_divergence_)
    assert model.kl_divergence_ >= 0
    assert 0 < model.n_iter_ <= model.max_iter
    assert_array_equal(clone(model).fit(X).embedding_, Y)
    assert_array_equal(called(model.transform, X), Y)
    if model.metric != "precomputed":
        new = toarray(X)[::-1] * 0.75 + toarray(X) * 0.25
        assert np.isfinite(called(model.transform, new.astype(Y.dtype))).all()


# ------------------------------------------------------------------------ the functions
def check_function(seed):
    rng = np.random.RandomState(seed)
    Z = dense_rows(rng) * rng.choice(MAGNITUDES[:-1])
    k, dof = rng.randint(1, 6), DEGREES[rng.randint(len(DEGREES))]
    width = Z.shape[1] if rng.rand() < 0.9 else Z.shape[1] + 1
    centers = rng.randn(k, width) * max(np.abs(Z).max(), 1e-300)
    if rng.rand() < 0.1:
        (Z if rng.rand() < 0.5 else centers)[0, 0] = rng.choice([np.nan, np.inf])
    weight = weights(rng, len(Z))
    before = Z.copy(), centers.copy()
    if rng.rand() < 0.5:
        _check_clustering_functions(rng, Z, centers, dof, weight)
    else:
        _check_affinities(rng, Z, dof)
    for now, then in zip((Z, centers), before, strict=True):
        assert_array_equal(now, then)


def _check_clustering_functions(rng, Z, centers, dof, weight):
    balance = rng.choice([0.0, 0.5, 1.0, 4.0])
    Q = called(skdec.soft_assignment, Z, centers, dof=dof)
    assert_allclose(Q.sum(axis=1), 1, rtol=1e-9)
    P = called(skdec.target_distribution, Q, balance=balance, sample_weight=weight)
    assert_allclose(P.sum(axis=1), 1, rtol=1e-9)
    kl = called(skdec.kl_divergence, P, Q, sample_weight=weight)
    # P and Q may be anything there, so that rounding is left as it is
    assert kl >= -1e-12 * (len(Z) if weight is None else weight.sum())
    given = {"dof": dof, "balance": balance, "sample_weight": weight}
    through = bool(rng.rand() < 0.5)
    loss = called(skdec.clustering_loss, Z, centers, through_target=through, **given)
    assert loss[0] >= 0
    assert [part.shape for part in loss[1:]] == [Z.shape, centers.shape]
    assert all(np.isfinite(part).all() for part in loss)


def _check_affinities(rng, Z, dof):
    metric = ("euclidean", *METRICS)[rng.randint(1 + len(METRICS))]
    scale = {"perplexity": (1, 2.5, 30.0)[rng.randint(3)]}
    if rng.rand() < 0.3:
        scale = {"sigma": max(np.abs(np.nan_to_num(Z)).max(), 1e-300)}
    P = called(skdec.conditional_affinities, Z, metric=metric, **scale)
    assert_allclose(P.sum(axis=1), 1, rtol=1e-9)
    assert (np.diagonal(P) == 0).all()
    joint = called(skdec.joint_affinities, P)
    assert_allclose(joint.sum(), 1, rtol=1e-9)
    assert_array_equal(joint, joint.T)
    form = {"dof": dof}
    if rng.rand() < 0.3:
        form = {"kernel": "gaussian"}
    Y = rng.randn(len(Z), rng.randint(1, 4)) * rng.choice([1e-30, 1e-4, 1, 100])
    conditional = bool(rng.rand() < 0.5)
    form["normalization"] = "conditional" if conditional else "joint"
    P = P if conditional else joint
    if rng.rand() < 0.5:
        P, way = sparse.csr_array(P), rng.choice(["auto", "pairs", "grid"])
        has_grid = Y.shape[1] < 3 and ("kernel" in form or 0.25 <= dof <= 100)
        form["repulsion"] = str(way) if has_grid else "auto"
    loss = called(skdec.embedding_loss, Y, P, **form)
    assert loss[0] >= 0
    assert all(np.isfinite(part).all() for part in loss)


# ----------------------------------------------------------------------------- the runs
CHECKS = {
    check_clustering: (100, 6000),
    check_sequence: (50, 2000),
    check_map: (100, 6000),
    check_function: (100, 6000),
}
BLOCK = 50


def run(check, first):
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(first, first + BLOCK):
            try:
                check(seed)
            except Refused:
                refused += 1
            except Exception as error:
                raise AssertionError(f"{check.__name__}({seed})") from error
    # what is refused shows little
    assert refused < 0.8 * BLOCK


def blocks(which, first):
    return [
        pytest.param(check, first + start, id=f"{check.__name__}-{first + start}")
        for check, counts in CHECKS.items()
        for start in range(0, counts[which], BLOCK)
    ]


@pytest.mark.parametrize("check, first", blocks(0, 0))
def test_some(check, first):
    run(check, first)


@pytest.mark.fuzz
@pytest.mark.parametrize("check, first", blocks(1, 10_000))
def test_many(check, first):
    run(check, first)
