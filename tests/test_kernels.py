"""Every kernel against the plain loops of naive.py, float32 and float64.

Small inputs only: this file also runs with the JIT off, under coverage.
"""

from dataclasses import replace

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import skdec
from skdec.clustering._memberships import memberships, most_probable
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.kernels import affinities, descent, elementary, similarity
from skdec.kernels.types import (
    KERNELS,
    STUDENT_T,
    Bandwidths,
    Kernel,
    Scales,
    StepRates,
)
from skdec.tsne._affinities import dense_affinities, from_matrix
from skdec.tsne._checks import resolve_perplexities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._objective import EmbeddingObjective
from skdec.tsne._placement import PlacementObjective
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive

# each is a branch of the kernels: pow, products of odd and even ν, pow again
DOFS = [0.5, 1.0, 2.0, 3.0, 10.0, 20.0, 1e6]
DTYPES = [np.float32, np.float64]
RTOL = {np.float32: 2e-4, np.float64: 1e-10}
ATOL = {np.float32: 2e-5, np.float64: 1e-12}


def clusters(rng, n=11, d=2, k=3, dtype=np.float64):
    Z = rng.normal(size=(n, d)).astype(dtype)
    return Z, (1.5 * rng.normal(size=(k, d))).astype(dtype), rng.uniform(0.5, 2, n)


def joint(rng, n, dtype=np.float64):
    P = rng.uniform(size=(n, n))
    np.fill_diagonal(P, 0)
    return (P / P.sum()).astype(dtype)


def conditional(rng, n, dtype=np.float64):
    P = joint(rng, n)
    return (P / P.sum(axis=1, keepdims=True)).astype(dtype)


def close(actual, expected, dtype):
    expected = np.asarray(expected, dtype=np.float64)
    scale = max(1.0, np.abs(expected).max())
    assert_allclose(actual, expected, rtol=RTOL[dtype], atol=ATOL[dtype] * scale)


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


def test_clustering_loss_where_q_underflows():
    Z, centers = np.array([[0.0], [60.0]]), np.array([[0.0], [60.0]])
    P = np.full((2, 2), 0.5)
    kl = skdec.clustering_loss(Z, centers, dof=1e6, P=P)[0]
    assert_allclose(kl, naive_log_kl(Z, centers, 1e6, P), rtol=1e-10)
    kl = skdec.clustering_loss(Z.astype("f"), centers.astype("f"), dof=1e6, P=P)[0]
    assert_allclose(kl, naive_log_kl(Z, centers, 1e6, P), rtol=1e-4)


def naive_log_kl(Z, centers, dof, P):
    return float((P * (np.log(P) - naive.log_soft_assignment(Z, centers, dof))).sum())


def framed(form, Z, centers, bandwidth):
    """A frame of each form; on the way its rows are what it was given."""
    rows = sparse.csr_matrix(Z) if form == "sparse" else Z
    frame = scale_rows(rows, centers, bandwidth)
    return frame.measured_by_products() if form == "products" else frame


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


def test_products_only_where_rounding_allows(rng):
    Z, centers, _ = clusters(rng, n=20, dtype=np.float32)
    near = scale_rows(Z, centers, 1.0, by_products=True)
    far = scale_rows(Z + 1000, centers + 1000, 1.0, by_products=True)
    assert type(near.kernel_rows).__name__ == "ProductRows"
    assert type(far.kernel_rows).__name__ == "LaneRows"


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["lanes", "products", "sparse"])
def test_no_distance_is_below_zero(rng, form, dtype):
    centers = (3 + rng.normal(size=(40, 5))).astype(dtype)
    Z = centers.repeat(4, axis=0)
    with Threads(1) as threads:
        frame = framed(form, Z, centers, 0.7)
        weight = np.ones(len(Z), frame.dtype)
        objective = ClusteringObjective(frame, Weights(weight), 1.0, threads)
        _, distances = objective.nearest(frame.to_internal(centers))
    assert (distances >= 0).all()


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


@pytest.mark.parametrize("form", ["lanes", "products", "sparse"])
def test_mixture_of_the_labels(rng, form):
    Z, centers, w = clusters(rng, n=30, k=4)
    centers[:3] = Z[:3]
    centers[3] = 100  # no row is nearest to it
    labels = naive.squared_distances(Z, centers).argmin(axis=1)
    with Threads(1) as threads:
        frame = framed(form, Z, centers, 0.7)
        objective = ClusteringObjective(frame, Weights(w), 1.0, threads)
        here = frame.to_internal(centers)
        found = objective.labelled_mixture(here)
        again = objective.labelled_mixture(here, labels)
    means = [
        np.average(Z[labels == j], axis=0, weights=w[labels == j]) for j in range(3)
    ]
    for mixture in (found, again):
        assert_allclose(mixture.frequencies, np.bincount(labels, w, minlength=4))
        assert_allclose(frame.to_original(mixture.means), [*means, centers[3]])


@pytest.mark.parametrize("scale", [1e-305, 1e295])
def test_density_is_in_the_units_of_the_rows(rng, scale):
    Z, centers, w = clusters(rng)
    with Threads(1) as threads:
        frame = scale_rows(Z * scale, centers * scale, scale)
        here = frame.to_internal(centers * scale)
        objective = ClusteringObjective(frame, Weights(w), 3.0, threads)
        density = objective.log_density(objective.mixture(here))
    means, f = naive.cluster_means(Z, centers, 3.0, w)
    expected = naive.log_density(Z, means, f, 3.0) - 2 * np.log(scale)
    assert_allclose(density, expected, rtol=1e-10)


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


FORMS = [("student_t", dof) for dof in (0.5, 1.0, 2.0, 49.0, 100.0)] + [
    ("gaussian", 1.0)
]


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


# stages can be called by other kernels only
@njit
def logarithms(U):
    elementary.logarithms(U)


@njit
def exponentials(U):
    elementary.exponentials(U)


@njit
def calibrate_row(D, perplexity, guess, E):
    return affinities.calibrate_row(D, perplexity, guess, E)


@njit
def likelihoods(D, beta, E):
    affinities.likelihoods(D, beta, E)


@njit
def least(D):
    return similarity.least(D)


@pytest.mark.parametrize("n", [1, 16, 17, 32, 33, 48, 100])
@pytest.mark.parametrize("dtype", DTYPES)
def test_least(rng, n, dtype):
    D = rng.random(n).astype(dtype)
    for place in {0, n // 2, n - 1}:
        D[place] = -1 - place
        assert least(D) == D.min()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_momentum_step(rng, n_components, dtype):
    Y = rng.normal(size=(n_components, 6)).astype(dtype)
    velocity, gains = np.zeros_like(Y), np.ones_like(Y)
    expected = [a.astype(float) for a in (Y, velocity, gains)]
    for longest in (10.0, 10.0, 0.5, 0.5):
        gradient = rng.normal(size=Y.shape).astype(dtype)
        rates = StepRates(0.7, 0.8, 0.9, longest)
        descent.momentum_step(Y, gradient, velocity, gains, rates)
        naive.momentum_step(expected[0], gradient, expected[1], expected[2], rates)
        for found, wanted in zip((Y, velocity, gains), expected, strict=True):
            close(found, wanted, dtype)
    assert np.linalg.norm(velocity, axis=0).max() <= 0.5 * (1 + 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logarithms(rng, dtype):
    special = [1, np.nextafter(dtype(1), dtype(2)), np.sqrt(2), 2, 3e38, 2e-38]
    U = np.r_[special, 1 + rng.random(50), 10 ** rng.uniform(-37, 38, 200)].astype(
        dtype
    )
    found = U.copy()
    logarithms(found)
    assert found[0] == 0
    assert_allclose(found, np.log(U.astype(float)), rtol=3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials(rng, dtype):
    edge = -87.0 if dtype == np.float32 else -708.0
    U = np.r_[0, -1e-20, edge + 1e-3, 0.5, 80, rng.uniform(edge, 0, 300)].astype(dtype)
    found = U.copy()
    exponentials(found)
    assert found[0] == found[1] == 1
    assert_allclose(found, np.exp(U.astype(float)), rtol=2 * np.finfo(dtype).eps)
    below = np.array([edge, 2 * edge, -np.inf], dtype)
    exponentials(below)
    assert_array_equal(below, 0)


@pytest.mark.parametrize("dof", [0.5, 1.0, 2.0])
def test_placement_objective(rng, dof):
    Y, V = rng.normal(size=(8, 2)), rng.normal(size=(3, 2))
    P = rng.dirichlet(np.ones(8), size=4)
    P[1, 2] = 0
    P /= P.sum(axis=1, keepdims=True)
    rows = np.array([1, 3, 0])
    with Threads(1) as threads:
        objective = PlacementObjective(Y, P, Kernel(STUDENT_T, dof), threads)
        loss, gradient, curvature = objective(V, rows)
    for t, row in enumerate(rows):
        p, long = P[row], Y.astype(np.longdouble)
        entropy = sum(v * np.log(v) for v in p if v > 0)
        assert_allclose(loss[t] + entropy, naive.placement_kl(V[t], Y, p, dof))
        expected = naive.finite_difference(
            lambda v, p=p, long=long: naive.placement_kl(v, long, p, dof),
            V[t].astype(np.longdouble),
        )
        assert_allclose(gradient[t], expected.astype(float), rtol=1e-7, atol=1e-9)
        bend = sum(
            naive.weight_2g(naive.squared_distance(V[t], y), dof) * p_j
            for y, p_j in zip(Y, p, strict=True)
        )
        assert_allclose(curvature[t], bend)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [{"perplexity": 3.0}, {"perplexity": [2, 5]},
                                   {"sigma": 0.8}])  # fmt: skip
def test_conditional_affinities(rng, scale, dtype):
    X = rng.normal(size=(12, 3)).astype(dtype)
    P = skdec.conditional_affinities(X, **scale)
    assert P.dtype == dtype
    expected = naive.conditional_affinities(X.astype(float), **scale)
    assert_allclose(P, expected, rtol=1e-5, atol=1e-8)
    assert_array_equal(np.diagonal(P), 0)


def calibrated_row(D, perplexity, guess=0.0):
    """β, whether it was found, and p, of squared distances less their minimum."""
    D = np.array(D)
    E = np.empty_like(D)
    beta, total, found = calibrate_row(D, perplexity, guess, E)
    likelihoods(D, beta, E)
    assert_allclose(E.sum(), total)
    return beta, found, E / total


def test_calibration_finds_the_bracket_from_far_away():
    # one far outlier puts the first guess of β twenty orders of magnitude off
    for guess in (-50.0, 50.0):
        _, found, p = calibrated_row([0.0, 1.0, 2.0, 3.0, 1e20], 2.5, guess)
        assert found
        assert_allclose(naive.perplexity_of(p), 2.5, rtol=1e-6)


@pytest.mark.parametrize(
    "D, perplexity, expected, reached",
    [
        ([0.0, 0.0, 0.0, 9.0], 2.0, [1 / 3, 1 / 3, 1 / 3, 0], False),
        ([0.0, 0.0, 0.0, 9.0], 3.0, [1 / 3, 1 / 3, 1 / 3, 0], True),
        ([0.0, 1.0, 2.0], 3.5, [1 / 3, 1 / 3, 1 / 3], False),
        ([0.0, 1.0, 2.0], 3.0, [1 / 3, 1 / 3, 1 / 3], True),
        ([0.0, 0.0], 1.0, [0.5, 0.5], False),
    ],
)
def test_calibration_at_its_limits(D, perplexity, expected, reached):
    _, found, p = calibrated_row(D, perplexity)
    assert found == reached
    assert_allclose(p, expected)


def test_calibration_that_cannot_settle_says_so():
    # the entropy jumps between neighbouring β: three points, two of them tied but for
    # a distance that no β can resolve before the third has gone
    _, found, p = calibrated_row([0.0, 1e-320, 1.0], 1.5)
    assert not found
    assert_allclose(p.sum(), 1)


def conditional_rows(D, exclude, perplexities, fixed=np.nan):
    calibrated, P = np.empty(len(D), bool), np.empty(D.shape)
    beta, total = np.empty((2, max(1, len(perplexities)), len(D)))
    scales = Scales(np.empty(len(D)), beta, total)
    bandwidths = Bandwidths(np.array(perplexities), fixed)
    affinities.calibrate_rows(D, exclude, bandwidths, scales, calibrated)
    affinities.conditional_rows(D, exclude, scales, P)
    return P, calibrated


def test_rows_of_new_points_and_rows_out_of_reach():
    D = np.array([[4.0, 5.0, 7.0, 6.0], [3.0, 3.0, 3.0, 8.0]])
    P, calibrated = conditional_rows(D, np.array([-1, -1]), [2.0])
    assert_array_equal(calibrated, [True, False])
    assert_allclose(P[0], naive.row_given_perplexity(D[0], 2.0), rtol=1e-6)
    assert_allclose(P[1], [1 / 3, 1 / 3, 1 / 3, 0])


def test_ties_but_for_rounding_are_ties():
    # distances on a grid, which no two computations round alike
    D = np.array([[4.0, 4.0 + 1e-15, 4.0 - 1e-15, 9.0]])
    P, calibrated = conditional_rows(D, np.array([-1]), [2.0])
    assert not calibrated[0]
    assert_allclose(P[0], [1 / 3, 1 / 3, 1 / 3, 0])


def test_a_perplexity_spreads_over_those_that_are_connected():
    D = np.array([[4.0, np.inf, 5.0, 7.0, 6.0], [1.0, 2.0, 3.0, 5.0, 7.0]])
    P, calibrated = conditional_rows(D, np.array([-1, -1]), [2.0])
    assert calibrated.all()
    near = np.isfinite(D[0])
    assert_allclose(P[0, near], naive.row_given_perplexity(D[0, near], 2.0), rtol=1e-6)
    assert_array_equal(P[0, ~near], 0)
    assert_allclose(P[1], naive.row_given_perplexity(D[1], 2.0), rtol=1e-6)


def test_squared_distances_to_given_columns(rng):
    rows, others = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    columns = rng.integers(6, size=(4, 2))
    D = np.empty((4, 2))
    affinities.squared_distances_to(rows, others, columns, D)
    expected = [
        [naive.squared_distance(row, others[j]) for j in given]
        for row, given in zip(rows, columns, strict=True)
    ]
    assert_allclose(D, expected, rtol=1e-14)


@pytest.mark.parametrize("n", [2, 3, 8, 9])
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("scale", [{"perplexity": 1.5}, {"perplexity": [1.2, 1.7]},
                                   {"sigma": 0.8}])  # fmt: skip
def test_symmetric_affinities(rng, scale, joint, n):
    X = rng.normal(size=(n, 3))
    if n == 2 and "perplexity" in scale:
        scale = {"perplexity": 1.0}
    distances = SquaredDistances(X)
    perplexities = resolve_perplexities(scale.get("perplexity"), n, scale.get("sigma"))
    beta = distances.precision(scale.get("sigma"))
    with Threads(1) as threads:
        found = dense_affinities(
            distances, Bandwidths(perplexities, beta), joint, np.float64, threads
        )
    P = naive.conditional_affinities(X, **scale)
    entropy = sum(p * np.log(p) for p in P.ravel() if p > 0)
    M = (P + P.T) / 2
    if joint:
        M = naive.joint_affinities(P)
        entropy = sum(p * np.log(p) for p in M.ravel() if p > 0)
    expected = from_matrix(M, np.float64).P
    assert_allclose(found.P, expected, rtol=1e-5, atol=1e-12)
    assert_allclose(found.negentropy, entropy, rtol=1e-6, atol=1e-9)
    assert_allclose(found.mass.sum(), 1 if joint else n)
    for i in range(n):
        met = n // 2 if n % 2 or i < n // 2 else n // 2 - 1
        following = (i + 1 + np.arange(met)) % n
        assert_allclose(found.P[i, :met], M[i, following], rtol=1e-5)
        assert_array_equal(found.P[i, met:], 0)


@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_chance_is_the_divergence_of_points_that_coincide(rng, normalization):
    P = (joint if normalization == "joint" else conditional)(rng, 9)
    expected = naive.embedding_kl(np.zeros((9, 2)), P, 1.0, "student_t", normalization)
    assert_allclose(from_matrix(P, np.float64).chance, expected)


def test_joint_affinities(rng):
    P = conditional(rng, 9)
    before = P.copy()
    joint_P = skdec.joint_affinities(P)
    assert_allclose(joint_P, naive.joint_affinities(P))
    assert_array_equal(joint_P, joint_P.T)
    assert_array_equal(P, before)
