"""The gradient of an embedding, fused and not, dense and sparse."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import skdec
from skdec.kernels.types import (
    KERNELS,
    Kernel,
)
from skdec.tsne._affinities import from_matrix
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads
from tests import naive
from tests.kernels.common import (
    DOFS,
    DTYPES,
    FORMS,
    close,
    conditional,
    joint,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
@pytest.mark.parametrize("dof", [*DOFS, "gaussian"])
def test_embedding_loss(rng, dof, normalization, dtype):
    n, d = 7, 3
    Y = rng.normal(size=(n, d)).astype(dtype)
    P = (joint if normalization == "joint" else conditional)(rng, n, dtype)
    kernel, nu = ("gaussian", 1.0) if dof == "gaussian" else ("student_t", dof)
    kl, gradient = skdec.embedding_loss(
        Y, P, kernel=kernel, dof=nu, normalization=normalization
    )
    assert gradient.dtype == dtype
    arguments = Y.astype(float), P.astype(float), nu, kernel, normalization
    close(kl, naive.embedding_kl(*arguments), dtype)
    close(gradient, naive.embedding_gradient(*arguments), dtype)


def objective_forms(points, P, form, threads, dtype):
    """The same objective with P dense and sparse, by the fused and the general loop."""
    name, dof, joint = form
    form = Kernel(KERNELS[name], dof), joint, threads
    dense = EmbeddingObjective(from_matrix(P, dtype), *form)
    general = EmbeddingObjective(from_matrix(P, dtype), *form, fused=False)
    graph = replace(dense.affinities, P=sparse.csr_array(((P + P.T) / 2).astype(dtype)))
    rows = [dense, general, EmbeddingObjective(graph, *form)]
    for objective in rows:
        gradient, log_Z = objective.gradient(points)
        yield objective, gradient, log_Z


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 8, 9])
@pytest.mark.parametrize("n_components", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel, dof", FORMS)
@pytest.mark.parametrize("joint_q", [True, False])
def test_embedding_objective(rng, kernel, dof, joint_q, n_components, n, dtype):
    P = (joint if joint_q else conditional)(rng, n)
    Y = rng.normal(size=(n_components, n)).astype(dtype)
    points = Y.T.astype(float)
    form = dof, kernel, "joint" if joint_q else "conditional"
    kl = naive.embedding_kl(points, P, *form)
    expected = naive.embedding_gradient(points, P, *form)
    pulled = naive.embedding_gradient(points, P, *form, exaggeration=12)
    with Threads(1) as threads:
        arguments = (kernel, dof, joint_q), threads, dtype
        for objective, gradient, log_Z in objective_forms(Y, P, *arguments):
            close(objective.divergence(Y, log_Z), kl, dtype)
            close(gradient.T, expected, dtype)
            close(objective.gradient(Y, exaggeration=12.0)[0].T, pulled, dtype)


@pytest.mark.parametrize("n_components, dof", [(2, 1.0), (3, 1.0), (3, 2.0)])
@pytest.mark.parametrize("n", [5, 6])
def test_fused_loops_cross_chunks_and_blocks(rng, monkeypatch, n_components, dof, n):
    # small blocks here; chunks are crossed with the JIT on, in test_tsne
    monkeypatch.setattr("skdec.tsne._objective.MIN_SLOT_ROWS", 1)
    test_embedding_objective(rng, "student_t", dof, True, n_components, n, np.float64)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("kernel, dof", FORMS)
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_embedding_loss_of_a_sparse_matrix(rng, kernel, dof, normalization, container):
    P = (joint if normalization == "joint" else conditional)(rng, 9)
    P[rng.random(P.shape) < 0.4] = 0
    P[np.arange(9), np.arange(9) - 1] += 0.01  # no row is empty
    P /= P.sum(axis=1, keepdims=True) if normalization == "conditional" else P.sum()
    form = {"kernel": kernel, "dof": dof, "normalization": normalization}
    graph = container(P)
    # an entry in two parts
    graph.data = np.r_[graph.data[0] / 3, graph.data[0] * 2 / 3, graph.data[1:]]
    graph.indices = np.r_[graph.indices[0], graph.indices]
    graph.indptr = np.r_[0, graph.indptr[1:] + 1]
    before = graph.data.copy()
    for dimensions in (1, 2, 3):
        Y = rng.normal(size=(9, dimensions))
        kl, gradient = skdec.embedding_loss(Y, graph, **form)
        expected = skdec.embedding_loss(Y, P, **form)
        assert_allclose(kl, expected[0], rtol=1e-12)
        assert_allclose(gradient, expected[1], rtol=1e-10, atol=1e-13)
    assert_array_equal(graph.data, before)
