"""What must hold for any input, sought by Hypothesis."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from numpy.testing import assert_allclose

import skdec

finite = st.floats(-20, 20, width=32)
positive = st.floats(0.015625, 1, width=32)
dofs = st.sampled_from([0.3, 1.0, 2.0, 7.0, 1e6])
kernels = st.sampled_from(["student_t", "gaussian"])
normalizations = st.sampled_from(["joint", "conditional"])


def points(n_min=2, n_max=12, d_max=4):
    shape = st.tuples(st.integers(n_min, n_max), st.integers(1, d_max))
    return shape.flatmap(lambda s: hnp.arrays(np.float64, s, elements=finite))


@st.composite
def clusterings(draw):
    Z = draw(points())
    k = draw(st.integers(1, 5))
    return Z, draw(hnp.arrays(np.float64, (k, Z.shape[1]), elements=finite))


@st.composite
def embeddings(draw):
    Y = draw(points(n_min=3))
    P = draw(hnp.arrays(np.float64, (len(Y), len(Y)), elements=positive))
    normalization = draw(normalizations)
    np.fill_diagonal(P, 0)
    P /= P.sum(axis=1, keepdims=True) if normalization == "conditional" else P.sum()
    form = {"kernel": draw(kernels), "dof": draw(dofs), "normalization": normalization}
    return Y, P, form


def rotation(d, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


@given(clusterings(), dofs)
def test_rows_sum_to_one(case, dof):
    Q = skdec.soft_assignment(*case, dof=dof)
    P = skdec.target_distribution(Q)
    assert_allclose(Q.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    assert Q.min() >= 0 and P.min() >= 0


@given(hnp.arrays(np.float64, (4, 3), elements=positive),
       hnp.arrays(np.float64, (4, 3), elements=positive))  # fmt: skip
def test_divergence_is_zero_only_at_equality(P, Q):
    P /= P.sum(axis=1, keepdims=True)
    Q /= Q.sum(axis=1, keepdims=True)
    kl = skdec.kl_divergence(P, Q)
    assert kl >= -1e-12
    assert skdec.kl_divergence(P, P) == 0
    # Pinsker: KL is at least half the squared L1 distance of each row
    assert kl >= 0.5 * (np.abs(P - Q).sum(axis=1) ** 2).sum() - 1e-12


@given(clusterings(), dofs, st.integers(0, 9))
def test_clustering_is_invariant_under_motions(case, dof, seed):
    Z, centers = case
    turn, shift = rotation(Z.shape[1], seed), np.arange(Z.shape[1]) - 0.5
    loss = skdec.clustering_loss(Z, centers, dof=dof)
    moved = skdec.clustering_loss(Z @ turn + shift, centers @ turn + shift, dof=dof)
    assert_allclose(moved[0], loss[0], rtol=1e-6, atol=1e-9)
    for actual, expected in zip(moved[1:], loss[1:], strict=True):
        assert_allclose(actual, expected @ turn, rtol=1e-6, atol=1e-7)


@given(clusterings(), dofs, st.randoms(use_true_random=False))
def test_clustering_is_equivariant_under_permutations(case, dof, random):
    Z, centers = case
    rows, columns = list(range(len(Z))), list(range(len(centers)))
    random.shuffle(rows)
    random.shuffle(columns)
    kl, grad_Z, grad_centers = skdec.clustering_loss(Z, centers, dof=dof)
    permuted = skdec.clustering_loss(Z[rows], centers[columns], dof=dof)
    assert_allclose(permuted[0], kl, rtol=1e-9, atol=1e-12)
    assert_allclose(permuted[1], grad_Z[rows], rtol=1e-9, atol=1e-10)
    assert_allclose(permuted[2], grad_centers[columns], rtol=1e-9, atol=1e-10)


@given(clusterings(), dofs)
def test_clustering_forces_balance(case, dof):
    _, grad_Z, grad_centers = skdec.clustering_loss(*case, dof=dof)
    total = grad_Z.sum(axis=0) + grad_centers.sum(axis=0)
    assert_allclose(total, 0, atol=1e-10 * (1 + np.abs(grad_Z).sum()))


@given(embeddings(), st.integers(0, 9))
def test_embedding_is_invariant_under_motions(case, seed):
    Y, P, form = case
    turn, shift = rotation(Y.shape[1], seed), np.arange(Y.shape[1]) - 0.5
    kl, gradient = skdec.embedding_loss(Y, P, **form)
    moved_kl, moved = skdec.embedding_loss(Y @ turn + shift, P, **form)
    assert kl >= -1e-12
    assert_allclose(moved_kl, kl, rtol=1e-6, atol=1e-9)
    assert_allclose(moved, gradient @ turn, rtol=1e-6, atol=1e-6)


@given(embeddings(), st.randoms(use_true_random=False))
def test_embedding_is_equivariant_under_permutations(case, random):
    Y, P, form = case
    order = list(range(len(Y)))
    random.shuffle(order)
    kl, gradient = skdec.embedding_loss(Y, P, **form)
    permuted_kl, permuted = skdec.embedding_loss(
        Y[order], P[np.ix_(order, order)], **form
    )
    assert_allclose(permuted_kl, kl, rtol=1e-9, atol=1e-12)
    assert_allclose(permuted, gradient[order], rtol=1e-8, atol=1e-9)


@given(embeddings())
def test_embedding_has_no_net_force(case):
    Y, P, form = case
    gradient = skdec.embedding_loss(Y, P, **form)[1]
    assert_allclose(gradient.sum(axis=0), 0, atol=1e-10 * (1 + np.abs(gradient).sum()))


@given(clusterings())
def test_student_t_becomes_gaussian(case):
    Z, centers = case
    Z, centers = Z / 10, centers / 10
    D = ((Z[:, None] - centers[None]) ** 2).sum(axis=2)
    S = np.exp(-D / 2)
    Q = skdec.soft_assignment(Z, centers, dof=1e8)
    assert_allclose(Q, S / S.sum(axis=1, keepdims=True), atol=1e-5)


@given(embeddings())
def test_embedding_with_large_dof_becomes_gaussian(case):
    Y, P, form = case
    Y = Y / 20
    limit = {"dof": 1e8, "normalization": form["normalization"]}
    # exp(−D/2) of Y is exp(−D) of Y/√2
    kl, gradient = skdec.embedding_loss(Y, P, kernel="student_t", **limit)
    half, half_gradient = skdec.embedding_loss(
        Y / np.sqrt(2), P, kernel="gaussian", **limit
    )
    assert_allclose(kl, half, rtol=1e-5, atol=1e-6)
    assert_allclose(gradient, half_gradient / np.sqrt(2), rtol=1e-4, atol=1e-6)


@given(points(n_min=4), st.floats(1, 2.9))
def test_affinities_are_distributions(X, perplexity):
    X = np.unique(X, axis=0) + np.zeros((1, X.shape[1]))
    if len(X) < 4:
        return
    import warnings

    with warnings.catch_warnings():
        # ties for the nearest neighbour can put low perplexities out of reach
        warnings.simplefilter("ignore", UserWarning)
        P = skdec.conditional_affinities(X, perplexity=perplexity)
    assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    joint = skdec.joint_affinities(P)
    assert_allclose(joint.sum(), 1, rtol=1e-12)
    assert (np.diagonal(P) == 0).all() and P.min() >= 0
