"""Random fits of StudentTClustering: a finite result with its invariants, or an error
that names what is wrong.  A case is its seed."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skdec import StudentTClustering

MAGNITUDES = (1, 1, 1, 1e-300, 1e-160, 1e-30, 1e30, 1e140, 1e290)
SAID = ("n_samples", "sample_weight", "sparse rows", "minimum of", "must stay below")


def rows_of(rng):
    """Few rows of some kind, magnitude, dtype and container."""
    n, d = rng.randint(1, 41), rng.randint(1, 8)
    X = (
        lambda: rng.randn(n, d),
        lambda: rng.randint(0, 3, (n, d)).astype(float),
        lambda: np.ones((n, d)),
        lambda: rng.rand(n, d) * (rng.rand(n, d) < 0.3),
        lambda: np.repeat(rng.randn(-(-n // 3), d), 3, axis=0)[:n],
        lambda: 1e6 + rng.randn(n, d),
    )[rng.randint(6)]()
    magnitude = rng.choice(MAGNITUDES)
    X = X * magnitude
    if rng.rand() < 0.5 and 1e-30 <= magnitude <= 1e30:
        X = X.astype(np.float32)
    if rng.rand() < 0.3:
        X = (sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix)[rng.randint(3)](X)
    return X, magnitude


def parameters_of(rng, magnitude):
    """Some parameters, valid but for what the rows make of them."""
    choices = {
        "dof": (1e-12, 0.3, 1.0, 4.0, 1e6, 1e12),
        "bandwidth": tuple(magnitude * np.array([1e-3, 0.1, 1, 100])),
        "balance": (0.0, 0.25, 1.0, 5.0, 1000.0),
        "batch_size": tuple(range(1, 20)),
        "init": ("random",),
    }
    return {
        name: values[rng.randint(len(values))]
        for name, values in choices.items()
        if rng.rand() < 0.25
    }


def check(seed):
    rng = np.random.RandomState(seed)
    X, magnitude = rows_of(rng)
    weight = None
    if rng.rand() < 0.3:
        weight = rng.randint(0, 4, X.shape[0]) * 10.0 ** rng.choice([0, -200, 250])
    given = parameters_of(rng, magnitude)
    model = StudentTClustering(rng.randint(1, 12), random_state=seed, n_init=3,
                               max_iter=40, n_jobs=1, **given)  # fmt: skip
    before = X.copy()
    try:
        for _ in range(1 + (rng.rand() < 0.2)):
            fit = model.partial_fit if rng.rand() < 0.3 else model.fit
            fit(X, sample_weight=weight)
    except ValueError as error:
        assert any(words in str(error) for words in SAID), error
        return
    assert (before != X).sum() == 0
    Q = model.transform(X)
    assert_allclose(Q.sum(axis=1), 1, atol=1e-5)
    assert_array_equal(Q.argmax(axis=1), model.predict(X))
    assert_array_equal(model.labels_, model.predict(X))
    assert_allclose(model.probabilities_, Q.max(axis=1))
    for values in (model.cluster_centers_, model.cluster_means_, model.evidence_,
                   model.score_samples(X), model.entropy_samples(X)):  # fmt: skip
        assert np.isfinite(values).all()
    assert model.kl_divergence_ >= 0
    assert (model.kl_samples(X) >= -1e-6).all()
    if "batch_size" not in given:
        dense = X.toarray() if sparse.issparse(X) else X
        counted = np.ones(len(dense), bool) if weight is None else weight > 0
        most = min(model.n_clusters, len(np.unique(dense[counted], axis=0)))
        assert len(np.unique(model.labels_[counted])) == most


@pytest.mark.parametrize("block", range(10))
def test_few_random_fits(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(8 * block, 8 * block + 8):
            check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(40))
def test_many_random_fits(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(1000 + 50 * block, 1050 + 50 * block):
            check(seed)
