"""Every gradient against finite differences in extended precision and autodiff."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import skdec
from skdec.kernels.types import KERNELS
from tests import naive

DOFS = [0.5, 1.0, 2.0, 10.0, 1e6]
DIMENSIONS = [1, 2, 3, 4, 5]
# Every kernel, and Student-t at each ν.
FORMS = [(kernel, 1.0) for kernel in KERNELS if kernel != "student_t"]
FORMS += [("student_t", dof) for dof in DOFS]
TIGHT = {"rtol": 1e-7, "atol": 1e-10}


def longdouble(*arrays):
    return [np.asarray(a, dtype=np.longdouble) for a in arrays]


def check(gradient, function, x):
    (x,) = longdouble(x)
    assert_allclose(
        gradient, naive.finite_difference(function, x).astype(float), **TIGHT
    )


@pytest.fixture
def clusters(rng):
    def make(d):
        Z, centers = rng.normal(size=(6, d)), rng.normal(size=(3, d))
        return Z, centers, rng.uniform(0.5, 2, 6)

    return make


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("target", ["fixed", "given", "through"])
def test_clustering_gradients(clusters, rng, d, dof, target):
    Z, centers, w = clusters(d)
    P = rng.dirichlet(np.ones(3), size=6) if target == "given" else None
    _, grad_Z, grad_centers = skdec.clustering_loss(
        Z, centers, dof=dof, P=P, sample_weight=w, through_target=target == "through"
    )
    if target == "fixed":
        P = naive.target_distribution(naive.soft_assignment(Z, centers, dof), w)
    Zl, cl, wl = longdouble(Z, centers, w)
    held = None if P is None else longdouble(P)[0]
    check(grad_Z, lambda z: naive.clustering_kl(z, cl, dof, held, wl), Z)
    check(grad_centers, lambda m: naive.clustering_kl(Zl, m, dof, held, wl), centers)


@pytest.mark.parametrize("balance", [0.0, 0.25, 0.5, 3.0])
@pytest.mark.parametrize("through", [False, True])
def test_gradients_at_any_balance(clusters, balance, through):
    Z, centers, w = clusters(3)
    kl, grad_Z, grad_centers = skdec.clustering_loss(
        Z,
        centers,
        dof=2.0,
        balance=balance,
        sample_weight=w,
        through_target=through,
    )
    Zl, cl, wl = longdouble(Z, centers, w)
    held = None
    if not through:
        Q = naive.soft_assignment(Zl, cl, 2.0)
        held = naive.target_distribution(Q, wl, balance=balance)
    loss = (2.0, held, wl, balance)
    assert_allclose(kl, float(naive.clustering_kl(Zl, cl, *loss)), rtol=1e-12)
    check(grad_Z, lambda z: naive.clustering_kl(z, cl, *loss), Z)
    check(grad_centers, lambda m: naive.clustering_kl(Zl, m, *loss), centers)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kernel, nu", FORMS)
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_embedding_gradients(rng, d, kernel, nu, normalization):
    Y, P = rng.normal(size=(5, d)), rng.uniform(size=(5, 5))
    np.fill_diagonal(P, 0)
    P /= P.sum(axis=1, keepdims=True) if normalization == "conditional" else P.sum()
    _, gradient = skdec.embedding_loss(
        Y, P, kernel=kernel, dof=nu, normalization=normalization
    )
    (held,) = longdouble(P)
    check(gradient, lambda y: naive.embedding_kl(y, held, nu, kernel, normalization), Y)


def autodiff_clustering(Z, centers, w, dof, P):
    D = anp.sum((Z[:, None, :] - centers[None]) ** 2, axis=2)
    S = (1 + D / dof) ** (-(dof + 1) / 2)
    Q = S / anp.sum(S, axis=1, keepdims=True)
    if P is None:
        P = Q**2 / anp.sum(w[:, None] * Q, axis=0)
        P = P / anp.sum(P, axis=1, keepdims=True)
    return anp.sum(w[:, None] * P * anp.log(P / Q))


@pytest.mark.parametrize("dof", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("through", [False, True])
def test_clustering_gradients_by_autodiff(clusters, dof, through):
    Z, centers, w = clusters(3)
    held = None
    if not through:
        held = skdec.target_distribution(
            skdec.soft_assignment(Z, centers, dof=dof), sample_weight=w
        )
    kl, *gradients = skdec.clustering_loss(
        Z, centers, dof=dof, through_target=through, sample_weight=w
    )
    assert_allclose(kl, autodiff_clustering(Z, centers, w, dof, held))
    for argument, gradient in enumerate(gradients):
        expected = autograd.grad(autodiff_clustering, argument)(
            Z, centers, w, dof, held
        )
        assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12)


def autodiff_embedding(Y, P, dof, kernel, normalization):
    n = len(P)
    # where(): keeps the diagonal out of the sums and of the derivative
    other = ~np.eye(n, dtype=bool)
    D = anp.sum((Y[:, None, :] - Y[None]) ** 2, axis=2)
    S = anp.exp(-D) if kernel == "gaussian" else (1 + D / dof) ** (-(dof + 1) / 2)
    S = anp.where(other, S, 0.0)
    axis = 1 if normalization == "conditional" else None
    Q = S / anp.sum(S, axis=axis, keepdims=True)
    return anp.sum(P[other] * anp.log(P[other] / Q[other]))


@pytest.mark.parametrize("kernel", ["student_t", "gaussian"])
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_embedding_gradients_by_autodiff(rng, kernel, normalization):
    X, Y = rng.normal(size=(8, 4)), rng.normal(size=(8, 2))
    P = skdec.conditional_affinities(X, perplexity=3)
    if normalization == "joint":
        P = skdec.joint_affinities(P)
    arguments = P, 2.0, kernel, normalization
    kl, gradient = skdec.embedding_loss(
        Y, P, kernel=kernel, dof=2.0, normalization=normalization
    )
    assert_allclose(kl, autodiff_embedding(Y, *arguments))
    expected = autograd.grad(autodiff_embedding)(Y, *arguments)
    assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_components, dof", [(3, 2.0), (4, 3.0)])
def test_gradient_is_right_where_scikit_learn_is_not(rng, n_components, dof):
    """scikit-learn's exact t-SNE weighs with the similarity: off for every ν ≠ 1."""
    from scipy.spatial.distance import squareform
    from sklearn.manifold._t_sne import _kl_divergence

    P = skdec.joint_affinities(skdec.conditional_affinities(rng.normal(size=(30, 5)),
                                                            perplexity=5))  # fmt: skip
    Y = rng.normal(size=(30, n_components))
    truth = skdec.embedding_loss(Y, P, dof=dof)[1]
    (held,) = longdouble(P)
    check(
        truth[:2],
        lambda y: naive.embedding_kl(
            np.vstack([y, longdouble(Y[2:])[0]]), held, dof, "student_t", "joint"
        ),
        Y[:2],
    )
    _, theirs = _kl_divergence(Y.ravel(), squareform(P), dof, 30, n_components)
    error = np.linalg.norm(theirs.reshape(Y.shape) - truth) / np.linalg.norm(truth)
    assert error > 0.3
