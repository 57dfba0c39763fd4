"""Affinities in place of the data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import skdec
from skdec import ExactTSNE
from tests import naive
from tests.tsne.common import IRIS, SHORT

ROWS = IRIS[::5]
CONDITIONAL = naive.conditional_affinities(ROWS, perplexity=8)
JOINT = naive.joint_affinities(CONDITIONAL)
WAYS = [("joint", JOINT), ("conditional", CONDITIONAL)]
GIVEN = {"affinities": "precomputed", "init": "random", **SHORT}


@pytest.mark.parametrize("normalization, P", WAYS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_the_map_of_given_affinities_is_that_of_the_rows(normalization, P, container):
    settings = {"normalization": normalization, "precision": "double"}
    before = P.copy()
    given = ExactTSNE(**{**GIVEN, **settings}).fit(container(P))
    rows = ExactTSNE(**{**GIVEN, **settings, "affinities": "exact", "perplexity": 8})
    assert_allclose(given.embedding_, rows.fit_transform(ROWS), rtol=1e-4, atol=1e-7)
    expected = naive.embedding_kl(given.embedding_, P, 1.0, "student_t", normalization)
    assert_allclose(given.kl_divergence_, expected, rtol=1e-9)
    assert given.affinities_ == "precomputed"
    assert given.perplexity_ is None
    assert np.isnan(given.truncated_mass_)
    assert np.isnan(given.neighbor_recall_)
    assert_array_equal(P, before)
    for method in (given.transform, given.inverse_transform):
        with pytest.raises(TypeError, match="fitted to affinities='precomputed'"):
            method(given.embedding_)


@pytest.mark.parametrize("repulsion", ["pairs", "grid"])
def test_they_need_not_be_symmetric(repulsion):
    P = sparse.csr_array(CONDITIONAL / len(CONDITIONAL))
    tsne = ExactTSNE(repulsion=repulsion, precision="double", **GIVEN).fit(P)
    expected = skdec.embedding_loss(tsne.embedding_, P.toarray())[0]
    assert_allclose(tsne.kl_divergence_, expected, rtol=1e-6)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_principal_components_give_way(container):
    P = container(JOINT)
    with pytest.warns(UserWarning, match="not affinities='precomputed'"):
        found = ExactTSNE(**{**GIVEN, "init": "pca"}).fit_transform(P)
    asked = ExactTSNE(**{**GIVEN, "init": "spectral"}).fit_transform(P)
    assert_array_equal(found, asked)


def test_parameters_of_the_data_have_no_effect():
    with pytest.warns(UserWarning, match="perplexity=9 has no effect with affinities"):
        ExactTSNE(perplexity=9, **GIVEN).fit(JOINT)


def alone():
    P = np.zeros((4, 4))
    P[0, 1] = P[1, 2] = 0.5
    return P


@pytest.mark.parametrize(
    "P, message",
    [
        (JOINT[:, :9], "X must have shape"),
        (CONDITIONAL, "all of X must sum to 1; got sums from 30"),
        (-JOINT, "X must be non-negative"),
        (np.full((4, 4), 1 / 16), "X must have a zero diagonal"),
        (alone(), "sample 3 has none"),
        (np.where(JOINT > 0, JOINT, np.nan), "X contains NaN"),
    ],
)
def test_what_is_no_distribution_is_named(P, message):
    with pytest.raises(ValueError, match=message):
        ExactTSNE(**GIVEN).fit(P)
