"""Memberships, targets, and the sums of a step against plain loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import skdec
from skdec.clustering._memberships import memberships, most_probable
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive
from tests.kernels.common import (
    DOFS,
    DTYPES,
    RTOL,
    close,
    clusters,
    conditional,
    framed,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dof", DOFS)
def test_soft_assignment(rng, dof, dtype):
    Z, centers, _ = clusters(rng, dtype=dtype)
    Q = skdec.soft_assignment(Z, centers, dof=dof)
    assert Q.dtype == dtype
    close(Q, naive.soft_assignment(Z.astype(float), centers.astype(float), dof), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_target_distribution(rng, dtype):
    Z, centers, w = clusters(rng, dtype=dtype)
    Q = skdec.soft_assignment(Z, centers)
    for weight in (None, w):
        P = skdec.target_distribution(Q, sample_weight=weight)
        assert P.dtype == dtype
        ones = np.ones(len(Q)) if weight is None else weight
        close(P, naive.target_distribution(Q.astype(float), ones), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("balance", [0.0, 0.25, 0.5, 2.0, 40.0])
def test_target_distribution_at_any_balance(rng, dtype, balance):
    Z, centers, w = clusters(rng, dtype=dtype)
    Q = skdec.soft_assignment(Z, centers)
    P = skdec.target_distribution(Q, balance=balance, sample_weight=w)
    expected = naive.target_distribution(Q.astype(float), w, balance=balance)
    # the error of f is multiplied by b
    loose = RTOL[dtype] * max(1, balance)
    assert_allclose(P, expected, rtol=loose, atol=loose)
    Q = np.array([[1 - 1e-6, 1e-6], [1 - 1e-3, 1e-3]], dtype)
    P = skdec.target_distribution(Q, balance=1e6)
    assert_allclose(P.sum(axis=1), 1, rtol=1e-6)


def test_target_of_a_dead_column_is_zero():
    Q = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]])
    P = skdec.target_distribution(Q)
    assert_array_equal(P[:, 2], 0)
    assert_allclose(P, naive.target_distribution(Q, [1.0, 1.0]))
    # rows without weight may be partly on it
    Q, w = np.array([[1.0, 0.0], [0.5, 0.5]]), [1.0, 0.0]
    P = skdec.target_distribution(Q, sample_weight=w)
    assert_array_equal(P, naive.target_distribution(Q, w))


def test_weightless_row_on_a_dead_column_keeps_q():
    Q = np.array([[1.0, 0.0], [0.0, 1.0]])
    P = skdec.target_distribution(Q, sample_weight=[1.0, 0.0])
    assert_array_equal(P, Q)


@pytest.mark.parametrize("dtype", DTYPES)
def test_kl_divergence(rng, dtype):
    P, Q = conditional(rng, 6, dtype) + 0, conditional(rng, 6, dtype)
    np.fill_diagonal(Q, 1e-3)
    w = rng.uniform(0.5, 2, 6)
    P[0, 1] = 0
    for weight in (None, w):
        ones = np.ones(6) if weight is None else weight
        kl = skdec.kl_divergence(P, Q, sample_weight=weight)
        close(kl, naive.kl_divergence(P.astype(float), Q.astype(float), ones), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("given", [False, True])
def test_clustering_loss(rng, dof, dtype, given):
    Z, centers, w = clusters(rng, dtype=dtype)
    Z64, centers64 = Z.astype(float), centers.astype(float)
    P = naive.target_distribution(naive.soft_assignment(Z64, centers64, dof), w)
    if given:
        P = P[:, ::-1].copy()
        P[0] = [0, 0.25, 0.75]
    kl, grad_Z, grad_centers = skdec.clustering_loss(
        Z, centers, dof=dof, P=P.astype(dtype) if given else None, sample_weight=w
    )
    assert grad_Z.dtype == grad_centers.dtype == dtype
    close(kl, naive.clustering_kl(Z64, centers64, dof, P, w), dtype)
    expected = naive.clustering_gradients(Z64, centers64, dof, P, w)
    close(grad_Z, expected[0], dtype)
    close(grad_centers, expected[1], dtype)


def naive_log_kl(Z, centers, dof, P):
    return float((P * (np.log(P) - naive.log_soft_assignment(Z, centers, dof))).sum())


def test_clustering_loss_where_q_underflows():
    Z, centers = np.array([[0.0], [60.0]]), np.array([[0.0], [60.0]])
    P = np.full((2, 2), 0.5)
    kl = skdec.clustering_loss(Z, centers, dof=1e6, P=P)[0]
    assert_allclose(kl, naive_log_kl(Z, centers, 1e6, P), rtol=1e-10)
    kl = skdec.clustering_loss(Z.astype("f"), centers.astype("f"), dof=1e6, P=P)[0]
    assert_allclose(kl, naive_log_kl(Z, centers, 1e6, P), rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("moved, balance", [(False, 1.0), (True, 1.0), (True, 0.5)])
@pytest.mark.parametrize("form", ["lanes", "products", "sparse"])
def test_clustering_objective(rng, dof, dtype, moved, balance, form):
    # more than one chunk, and more than one strip
    Z, centers, w = clusters(rng, n=140, d=5, dtype=dtype)
    Z[rng.random(Z.shape) < 0.2] = 0
    bandwidth = 0.7
    anchors = centers + dtype(0.3) if moved else centers
    labels = np.full(140, -1, np.int32)
    with Threads(1) as threads:
        frame = framed(form, Z, centers, bandwidth)
        assert type(frame.kernel_rows).__name__.lower() == {"lanes": "lanerows",
            "products":
            "productrows", "sparse": "sparserows"}[form]  # fmt: skip
        weight = w.astype(frame.dtype)
        objective = ClusteringObjective(frame, Weights(weight), dof, threads, balance)
        here = frame.to_internal(centers)
        anchor = frame.to_internal(anchors) if moved else here
        f = objective.frequencies(anchor)
        sums = objective.sums(here, anchor, f, labels=labels, judged=True)
        again = objective.sums(here, anchor, f, labels=labels)
        mixture = objective.mixture(here)
        density = objective.log_density(mixture)
        evidence = objective.evidence(mixture)
        nearest, distances = objective.nearest(here)
    w = weight.astype(float)
    unit = (Z.astype(float) / bandwidth, centers.astype(float) / bandwidth)
    anchor = anchors.astype(float) / bandwidth
    Q = naive.soft_assignment(unit[0], anchor, dof)
    P = naive.target_distribution(Q, w, balance=balance)
    here = naive.soft_assignment(*unit, dof)
    close(f, naive.frequencies(Q, w), dtype)
    close(sums.frequencies, naive.frequencies(here, w), dtype)
    means, shares = naive.cluster_means(*unit, dof, w)
    close(mixture.frequencies, shares, dtype)
    close(frame.to_original(mixture.means), means * bandwidth, dtype)
    expected = naive.log_density(unit[0] * bandwidth, means * bandwidth, shares, dof,
                                 bandwidth)  # fmt: skip
    loose = 2e-3 if dtype == np.float32 and dof > 100 else 1e-4
    loose = 1e-9 if dtype == np.float64 else loose
    assert_allclose(density, expected, rtol=loose, atol=loose)
    assert_allclose(evidence, np.average(expected, weights=w), rtol=loose)
    D = naive.squared_distances(*unit)
    assert_array_equal(nearest, D.argmin(axis=1))
    close(distances, D.min(axis=1), dtype)
    close(sums.gradient, naive.clustering_gradients(*unit, dof, P, w)[1], dtype)
    close(sums.curvature, naive.curvature(*unit, dof, P, w), dtype)
    close(sums.repulsion, naive.curvature(*unit, dof, here, w), dtype)
    close(sums.kl, naive.clustering_kl(unit[0], anchor, dof, P, w), dtype)
    close(sums.weight, w.sum(), dtype)
    assert np.isnan(again.kl)
    assert_array_equal(labels, here.argmax(axis=1))
    close(sums.occupied, np.bincount(labels, weights=w, minlength=3), dtype)
    close(sums.changed, w.sum(), dtype)
    assert again.changed == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_and_memberships_agree(rng, dtype):
    Z, centers, _ = clusters(rng, n=200, d=3, k=5, dtype=dtype)
    Z[:100] = (centers[0] + centers[1]) / 2
    for rows in (Z, sparse.csr_matrix(Z)):
        frame = scale_rows(rows, centers, 0.7)
        with Threads(1) as threads:
            Q = memberships(frame, centers, 2.0, threads)
            labels = most_probable(frame, centers, 2.0, threads)
        assert_array_equal(labels, Q.argmax(axis=1))
        close(Q, naive.soft_assignment(Z / 0.7, centers / 0.7, 2.0), dtype)


def test_the_first_of_equal_centroids_has_the_rows(rng):
    Z, centers, w = clusters(rng, n=140)
    centers[2] = centers[0]
    expected = naive.squared_distances(Z, centers[:2]).argmin(axis=1)
    labels = np.full(140, -1, np.int32)
    with Threads(1) as threads:
        frame = scale_rows(Z, centers, 1.0)
        objective = ClusteringObjective(frame, Weights(w), 1.0, threads)
        objective.sums(centers, centers, np.ones(3), labels=labels)
        assert_array_equal(labels, expected)
        assert_array_equal(objective.nearest(centers)[0], expected)
        assert_array_equal(most_probable(frame, centers, 1.0, threads), expected)


def test_sums_over_more_than_one_block(rng):
    Z, centers, w = clusters(rng, n=1100)
    P = naive.target_distribution(naive.soft_assignment(Z, centers, 1.0), w)
    expected = naive.clustering_gradients(Z, centers, 1.0, P, w)
    kl, *gradients = skdec.clustering_loss(Z, centers, sample_weight=w)
    assert_allclose(kl, naive.clustering_kl(Z, centers, 1.0, P, w))
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert_allclose(gradient, wanted, rtol=1e-9, atol=1e-12)
    with Threads(1) as threads:
        objective = ClusteringObjective(
            scale_rows(Z, centers, 1.0), Weights(w), 1.0, threads
        )
        sums = objective.sums(centers, centers, objective.frequencies(centers))
        mixture = objective.mixture(centers)
    assert_allclose(sums.gradient, expected[1], rtol=1e-9)
    means, shares = naive.cluster_means(Z, centers, 1.0, w)
    assert_allclose(mixture.means, means)
    assert_allclose(mixture.frequencies, shares)


def test_divergence_of_many_weighted_rows(rng):
    # more than one batch of them
    P, Q = rng.dirichlet(np.ones(2), size=(2, 5000))
    w = rng.uniform(0.5, 20, 5000)
    kl = skdec.kl_divergence(P, Q, sample_weight=w)
    assert_allclose(kl, naive.kl_divergence(P, Q, w))


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e5])
def test_loss_grows_with_the_weights(rng, factor):
    Z, centers, w = clusters(rng)
    P = naive.target_distribution(naive.soft_assignment(Z, centers, 1.0), w)
    loss = skdec.clustering_loss(Z, centers, sample_weight=w * factor)
    kl = naive.clustering_kl(Z, centers, 1.0, P, w * factor)
    expected = naive.clustering_gradients(Z, centers, 1.0, P, w * factor)
    for found, wanted in zip(loss, (kl, *expected), strict=True):
        assert_allclose(found, wanted, rtol=1e-9, atol=1e-12 * factor)


# which compiled code does not tell
@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("dtype, small", [(np.float32, 1e-21), (np.float64, 1e-160)])
def test_a_row_without_weight_has_a_target_however_little_is_left_of_it(dtype, small):
    Q = np.array([[1, small], [0, 1]], dtype)
    P = skdec.target_distribution(Q, sample_weight=[0, 1])
    assert_allclose(P, [[1, 0], [0, 1]], atol=1e-12)
    Z, centers = np.array([[0], [30]], dtype), np.array([[0], [9.83]], dtype)
    for weight in ([0, 1], [1, 1]):
        loss = skdec.clustering_loss(Z, centers, dof=1e12, sample_weight=weight)
        assert all(np.isfinite(part).all() for part in loss)
