"""Every numbered formula of docs/gradients.md, against finite differences.

A test is marked with the numbers of the formulas it checks, in the order printed there.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq

import skdec
from tests import naive

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "gradients.md").read_text(encoding="utf-8")
COVERED = set()
DOFS = [0.5, 1.0, 3.0]
N, K, d = 5, 3, 2
ONES = np.ones(N, np.longdouble)


def formula(*numbers):
    def mark(test):
        COVERED.update(map(str, numbers))
        return test

    return mark


def close(found, expected, rtol=1e-7):
    atol = 1e-9 * max(1.0, float(np.abs(expected).max()))
    assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=rtol, atol=atol
    )


def far(found, expected):
    """Wrong by far more than any error of the arithmetic."""
    size = np.abs(expected).max()
    assert np.abs(np.asarray(found) - expected).max() > 0.02 * size


def derivative(function, x, step=1e-5):
    """Central differences of an array-valued function: the last axes are x's."""
    columns = []
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        change = np.asarray(function(up)) - np.asarray(function(down))
        columns.append(change / (up[index] - down[index]))
    columns = np.stack(columns, axis=-1)
    return columns.reshape(*columns.shape[:-1], *x.shape)


class Clusters:
    """Points, centroids and the quantities of parts 1 to 3, written out here again."""

    def __init__(self, dof=1.0, w=None, seed=0):
        rng = np.random.default_rng(seed)
        self.Z = rng.normal(size=(N, d)).astype(np.longdouble)
        self.centers = rng.normal(size=(K, d)).astype(np.longdouble)
        random = rng.uniform(0.5, 2, N).astype(np.longdouble)
        self.dof, self.w = np.longdouble(dof), random if w is None else w
        self.diff = self.Z[:, None] - self.centers
        self.N = 1 + (self.diff**2).sum(axis=2) / self.dof
        self.g2 = (self.dof + 1) / self.dof / self.N
        self.s = self.N ** (-(self.dof + 1) / 2)
        self.q = self.s / self.s.sum(axis=1, keepdims=True)
        self.f = self.w @ self.q
        self.p = target(self.q, self.w)

    def Q(self, z):
        return naive.soft_assignment(z, self.centers, self.dof)

    def P(self, z):
        return naive.target_distribution(self.Q(z), self.w)


@pytest.fixture(params=DOFS)
def clusters(request):
    return Clusters(request.param)


def target(q, w):
    p = q**2 / (w @ q)
    return p / p.sum(axis=1, keepdims=True)


def kl(p, q, w):
    return (w[:, None] * p * np.log(p / q)).sum()


def softmax(log_s):
    s = np.exp(log_s - log_s.max(axis=1, keepdims=True))
    return s / s.sum(axis=1, keepdims=True)


def through(p, q, w, f):
    """b, B, c and r of (16) to (19)."""
    w = w[:, None]
    a = np.log(p / q)
    b = w * p * (a - (p * a).sum(axis=1, keepdims=True))
    B = b.sum(axis=0) / f
    c = 2 * b - w * q * B - w * p
    r = w * (p - q) - 2 * b + w * q * (B - (q @ B)[:, None])
    return b, B, c, r


def pulled(weights, diff):
    """Σ_j weight_ij diff_ij and −Σ_i weight_ij diff_ij."""
    terms = weights[:, :, None] * diff
    return terms.sum(axis=1), -terms.sum(axis=0)


# Part 1


@formula(1, 2, 3)
@pytest.mark.parametrize("dof", [*DOFS, "gaussian"])
def test_weight(dof):
    D = np.linspace(0.1, 9, 7).astype(np.longdouble)
    if dof == "gaussian":
        s, g2 = (lambda D: np.exp(-D)), 2 + 0 * D
    else:
        s, g2 = (
            (lambda D: (1 + D / dof) ** (-(dof + 1) / 2)),
            (dof + 1) / dof * (1 + D / dof) ** -1,
        )
    h = 1e-5
    close(g2, -2 * (np.log(s(D + h)) - np.log(s(D - h))) / ((D + h) - (D - h)))
    kernel = ("gaussian", 1.0) if dof == "gaussian" else ("student_t", dof)
    for k, value in enumerate(D):
        close(s(value), np.exp(naive.log_similarity(value, kernel[1], kernel[0])))
        close(g2[k], naive.weight_2g(value, kernel[1], kernel[0]))


@formula(4)
def test_log_similarity_gradient(clusters):
    x, y = clusters.Z[0], clusters.centers[0]

    def log_s(x, y):
        return naive.log_similarity(naive.squared_distance(x, y), clusters.dof)

    expected = -clusters.g2[0, 0] * (x - y)
    close(derivative(lambda x: log_s(x, y), x), expected)
    close(derivative(lambda y: log_s(x, y), y), -expected)


@pytest.mark.parametrize("dof", DOFS)
def test_weight_is_the_similarity_only_at_one(dof):
    D = np.linspace(0.5, 9, 7)
    same = np.allclose((1 + D / dof) ** -1, (1 + D / dof) ** (-(dof + 1) / 2))
    assert same == (dof == 1)


# Part 2


@formula(5, 6, 7, 8)
def test_clustering_definitions(clusters):
    c = clusters
    Z, centers, w = (np.asarray(a, float) for a in (c.Z, c.centers, c.w))
    Q = skdec.soft_assignment(Z, centers, dof=float(c.dof))
    close(c.q, Q)
    close(c.f, w @ Q)
    P = skdec.target_distribution(Q, sample_weight=w)
    close(c.p, P)
    close(kl(c.p, c.q, c.w), skdec.kl_divergence(P, Q, sample_weight=w))
    rows = (c.p * np.log(c.p)).sum(1) - (c.p * np.log(c.s)).sum(1) + np.log(c.s.sum(1))
    close((c.w * rows).sum(), kl(c.p, c.q, c.w))


@formula(9)
def test_fixed_target_by_log_similarity(clusters):
    c = clusters
    found = derivative(lambda log_s: kl(c.p, softmax(log_s), c.w), np.log(c.s))
    close(-c.w[:, None] * (c.p - c.q), found)


@formula(10, 11)
def test_fixed_target_gradients(clusters):
    c = clusters
    grad_Z, grad_centers = pulled(c.w[:, None] * c.g2 * (c.p - c.q), c.diff)
    fixed = c.dof, c.p, c.w
    close(grad_Z, derivative(lambda z: naive.clustering_kl(z, c.centers, *fixed), c.Z))
    close(
        grad_centers,
        derivative(lambda m: naive.clustering_kl(c.Z, m, *fixed), c.centers),
    )


# Part 3


@formula(12, 13, 14)
def test_differentials(clusters):
    c = clusters
    log_s = np.log(c.s)
    direction = np.random.default_rng(1).normal(size=log_s.shape)

    def slope(function):
        t = np.zeros(1, np.longdouble)
        return derivative(lambda t: function(softmax(log_s + t * direction)), t)[..., 0]

    dlogq = direction - (c.q * direction).sum(axis=1, keepdims=True)
    close(dlogq, slope(np.log))
    df = c.w @ (c.q * dlogq)
    close(df, slope(lambda q: c.w @ q))
    u = 2 * (c.q * dlogq) / c.q - df / c.f
    dp = c.p * (u - (c.p * u).sum(axis=1, keepdims=True))
    close(dp, slope(lambda q: target(q, c.w)))


@formula(15, 16, 17, 18)
def test_target_terms(clusters):
    c = clusters
    b, B, coefficient, _ = through(c.p, c.q, c.w, c.f)
    # rows of Q stay distributions: changes of log q are those that leave Σ_j q = 1
    direction = np.random.default_rng(1).normal(size=c.q.shape)
    dlogq = direction - (c.q * direction).sum(axis=1, keepdims=True)
    df = c.w @ (c.q * dlogq)
    t = np.zeros(1, np.longdouble)

    def Q(t):
        return softmax(np.log(c.s) + t * direction)

    dp = derivative(lambda t: target(Q(t), c.w), t)[..., 0]
    dkl = derivative(lambda t: kl(target(Q(t), c.w), Q(t), c.w), t)[0]
    a, w = np.log(c.p / c.q), c.w[:, None]
    first = (w * a * dp).sum()
    close(first - (w * c.p * dlogq).sum(), dkl)
    close((b * (2 * dlogq - df / c.f)).sum(), first)
    close((w * c.q * B * dlogq).sum(), (b * df / c.f).sum())
    close((coefficient * dlogq).sum(), dkl)
    close(b.sum(axis=1), np.zeros(N))


@formula(19)
def test_residual_through_target(clusters):
    c = clusters
    r = through(c.p, c.q, c.w, c.f)[-1]

    def loss(log_s):
        q = softmax(log_s)
        return kl(target(q, c.w), q, c.w)

    close(-r, derivative(loss, np.log(c.s)))


@formula("B1", "B2")
@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0, 2.0])
def test_another_balance(clusters, balance):
    c, exponent = clusters, np.longdouble(balance)

    def balanced(q):
        p = q**2 / (c.w @ q) ** exponent
        return p / p.sum(axis=1, keepdims=True)

    P = skdec.target_distribution(
        np.asarray(c.q, float), balance=balance, sample_weight=np.asarray(c.w, float)
    )
    close(balanced(c.q), P)
    # the residual of (19), with B of (B2)
    p, w = balanced(c.q), c.w[:, None]
    a = np.log(p / c.q)
    b = w * p * (a - (p * a).sum(axis=1, keepdims=True))
    B = exponent / c.f * b.sum(axis=0)
    r = w * (p - c.q) - 2 * b + w * c.q * (B - (c.q * B).sum(axis=1, keepdims=True))

    def loss(log_s):
        q = softmax(log_s)
        return kl(balanced(q), q, c.w)

    close(-r, derivative(loss, np.log(c.s)))


@formula(20)
def test_gradients_through_target(clusters):
    c = clusters
    r = through(c.p, c.q, c.w, c.f)[-1]
    gradients = pulled(c.g2 * r, c.diff)
    Z, centers, w = (np.asarray(a, float) for a in (c.Z, c.centers, c.w))
    _, *ours = skdec.clustering_loss(
        Z, centers, dof=float(c.dof), through_target=True, sample_weight=w
    )
    numeric = (
        derivative(lambda z: naive.clustering_kl(z, c.centers, c.dof, None, c.w), c.Z),
        derivative(lambda m: naive.clustering_kl(c.Z, m, c.dof, None, c.w), c.centers),
    )
    for printed, library, truth in zip(gradients, ours, numeric, strict=True):
        close(printed, truth)
        close(library, truth)


# Part 4


def near_equal(size, seed=0):
    """Memberships π_j (1 + ε_ij) with ε of the given size."""
    rng = np.random.default_rng(seed)
    pi = rng.dirichlet(np.ones(K)).astype(np.longdouble)
    epsilon = rng.normal(size=(N, K)).astype(np.longdouble)
    epsilon = size * (epsilon - (epsilon @ pi)[:, None])
    w = rng.uniform(0.5, 2, N).astype(np.longdouble)
    return pi, epsilon, pi * (1 + epsilon), w


@formula(21)
def test_divergence_is_zero_only_at_equal_rows(clusters):
    pi, _, q, w = near_equal(0.0)
    close(target(q, w), q)
    close(w @ q / w.sum(), pi)
    assert abs(kl(target(q, w), q, w)) < 1e-15
    assert kl(clusters.p, clusters.q, clusters.w) > 1e-3
    Z = np.asarray(clusters.Z, float)
    value, *gradients = skdec.clustering_loss(Z, Z[[0, 0, 0]], through_target=True)
    assert abs(value) < 1e-12
    close(gradients[0], np.zeros_like(Z))


@formula(22)
def test_divergence_near_equal_rows():
    for size in (1e-3, 1e-5):
        pi, epsilon, q, w = near_equal(size)
        spread = epsilon - w @ epsilon / w.sum()
        bowl = (w[:, None] * pi * spread**2).sum() / 2
        assert abs(kl(target(q, w), q, w) / bowl - 1) < 10 * size


@formula(23)
def test_near_equal_rows_the_gradients_are_opposite(clusters):
    for size in (1e-3, 1e-5):
        _, _, q, w = near_equal(size)
        p = target(q, w)
        fixed = w[:, None] * (p - q)
        r = through(p, q, w, w @ q)[-1]
        assert np.abs(r + fixed).max() < 20 * size * np.abs(fixed).max()
    Z = np.asarray(clusters.Z, float)
    centers = 0.3 + 1e-6 * np.asarray(clusters.centers, float)
    fixed = skdec.clustering_loss(Z, centers)[2]
    full = skdec.clustering_loss(Z, centers, through_target=True)[2]
    assert np.abs(full + fixed).max() < 1e-4 * np.abs(fixed).max()


def pull(t):
    q, p = 1 / (1 + np.exp(-t)), 1 / (1 + np.exp(-2 * t))
    return 2 * t * p * (1 - p) - (p - q)


@formula(24)
def test_two_balanced_clusters():
    half = np.random.default_rng(0).normal([1.5, 0], 1, size=(20, 2))
    Z, centers = np.vstack([half, half * [-1, 1]]), np.array([[1.5, 0], [-1.5, 0]])
    q = skdec.soft_assignment(Z, centers)
    p = skdec.target_distribution(q)
    r = through(p, q, np.ones(len(Z)), q.sum(axis=0))[-1]
    close(pull(np.log(q[:, 0] / q[:, 1])), -r[:, 0])
    threshold = brentq(pull, 0.1, 5)
    assert round(1 / (1 + np.exp(-threshold)), 3) == 0.818
    assert pull(threshold / 2) > 0 > pull(threshold * 2)
    assert np.all(pull(np.linspace(0.01, threshold - 0.01)) > 0)
    assert np.all(pull(np.linspace(threshold + 0.01, 20)) < 0)


# Part 5


class Map:
    """An embedding and affinities, written out here again."""

    def __init__(self, kernel, dof, normalization, symmetric):
        rng = np.random.default_rng(0)
        self.Y = rng.normal(size=(N, d)).astype(np.longdouble)
        self.p = rng.uniform(size=(N, N)).astype(np.longdouble)
        np.fill_diagonal(self.p, 0)
        if symmetric:
            self.p = self.p + self.p.T
        axis = None if normalization == "joint" else 1
        self.p /= self.p.sum(axis=axis, keepdims=True)
        self.diff = self.Y[:, None] - self.Y
        self.D = (self.diff**2).sum(axis=2)
        self.log_s = -self.D
        if kernel == "student_t":
            self.log_s = -(dof + 1) / 2 * np.log1p(self.D / dof)
        self.q = normalised(self.log_s, axis)
        self.form = dof, kernel, normalization
        self.gradient = derivative(
            lambda y: naive.embedding_kl(y, self.p, *self.form), self.Y
        )


def normalised(log_s, axis):
    s = np.where(np.eye(len(log_s), dtype=bool), 0, np.exp(log_s))
    return s / s.sum(axis=axis, keepdims=True)


@formula(25, 26)
def test_affinities():
    X, sigma = np.random.default_rng(0).normal(size=(N, 3)), 1.3
    D = ((X[:, None] - X) ** 2).sum(axis=2)
    conditional = normalised(-(1 / sigma**2) * D, 1)
    close(conditional, skdec.conditional_affinities(X, sigma=sigma))
    joint = (conditional + conditional.T) / (2 * N)
    close(joint, skdec.joint_affinities(conditional))
    close(joint.sum(), 1.0)


FORMS = [
    (kernel, dof, normalization)
    for kernel, dof in (("gaussian", 1.0), *(("student_t", dof) for dof in DOFS))
    for normalization in ("joint", "conditional")
]


@formula(27, 28, 29)
@pytest.mark.parametrize("form", FORMS)
def test_general_embedding_gradient(form):
    kernel, dof, normalization = form
    m = Map(*form, symmetric=False)
    axis = None if normalization == "joint" else 1
    close(m.q, np.exp(naive.log_embedding_q(m.Y, dof, kernel, normalization)))
    other = ~np.eye(N, dtype=bool)

    def loss(log_s):
        q = normalised(log_s, axis)
        return (m.p[other] * np.log(m.p[other] / q[other])).sum()

    close(-(m.p - m.q), derivative(loss, m.log_s))
    g2 = 2 + 0 * m.D if kernel == "gaussian" else (dof + 1) / dof / (1 + m.D / dof)
    close(pulled(g2 * (m.p - m.q + m.p.T - m.q.T), m.diff)[0], m.gradient)
    ours = skdec.embedding_loss(
        m.Y.astype(float),
        m.p.astype(float),
        kernel=kernel,
        dof=dof,
        normalization=normalization,
    )[1]
    close(ours, m.gradient)


@formula(30)
def test_sne():
    m = Map("gaussian", 1.0, "conditional", symmetric=False)
    close(2 * pulled(m.p - m.q + (m.p - m.q).T, m.diff)[0], m.gradient)


@formula(31)
def test_symmetric_sne():
    m = Map("gaussian", 1.0, "joint", symmetric=True)
    close(4 * pulled(m.p - m.q, m.diff)[0], m.gradient)


@formula(32)
def test_tsne():
    m = Map("student_t", 1.0, "joint", symmetric=True)
    close(4 * pulled((m.p - m.q) * (1 + m.D) ** -1, m.diff)[0], m.gradient)


@formula(33)
@pytest.mark.parametrize("dof", DOFS)
def test_tsne_any_dof(dof):
    m = Map("student_t", dof, "joint", symmetric=True)
    weights = (m.p - m.q) * (1 + m.D / dof) ** -1
    close(2 * (dof + 1) / dof * pulled(weights, m.diff)[0], m.gradient)
    similarity = (m.p - m.q) * (1 + m.D / dof) ** (-(dof + 1) / 2)
    if dof != 1:
        far(2 * (dof + 1) / dof * pulled(similarity, m.diff)[0], m.gradient)


@formula(34)
@pytest.mark.parametrize("dof", DOFS)
def test_conditional_tsne(dof):
    m = Map("student_t", dof, "conditional", symmetric=False)
    weights = (m.p - m.q + (m.p - m.q).T) * (1 + m.D / dof) ** -1
    close((dof + 1) / dof * pulled(weights, m.diff)[0], m.gradient)


# Part 6


@formula(35)
def test_placement(clusters):
    c = clusters
    v, p = c.Z[0], np.array([0.5, 0.3, 0.2], np.longdouble)
    gradient = (c.g2[0] * (p - c.q[0])) @ (v - c.centers)
    close(gradient, derivative(lambda v: naive.placement_kl(v, c.centers, p, c.dof), v))


# Part 7: the question about DEC.  Derivatives are with respect to z_0, w = 1.


@pytest.fixture(params=DOFS)
def question(request):
    return Clusters(request.param, w=ONES)


def by_z0(c, function):
    """Derivative with respect to z_0 of a function of all points."""
    return derivative(lambda z: function(np.vstack([z[None], c.Z[1:]])), c.Z[0])


def p_hat(c, z):
    q = c.Q(z)
    return q**2 / q.sum(axis=0)


@formula("D1", "D2")
def test_membership_gradients(question):
    c = question
    truth = by_z0(c, c.Q)[0]
    mean = ((c.q * c.g2)[0][:, None] * c.diff[0]).sum(axis=0)
    own = c.g2[0][:, None] * c.diff[0]
    close(-c.q[0][:, None] * (own - mean), truth)
    by_center = derivative(
        lambda m: naive.soft_assignment(c.Z, m, c.dof)[0], c.centers
    )[np.arange(K), np.arange(K)]
    close((c.q * (1 - c.q))[0][:, None] * own, by_center)
    far(-by_center, truth)


@formula("D3", "D4", "D15")
def test_printed_similarity_and_membership_lines_are_right(question):
    c = question
    half = (c.dof + 1) / 2
    step = -(c.dof + 1) / c.dof * (c.N[0] ** (-half - 1))[:, None] * c.diff[0]
    close(
        step,
        by_z0(c, lambda z: (1 + ((z[0] - c.centers) ** 2).sum(1) / c.dof) ** -half),
    )
    s, total = c.s[0][:, None], c.s[0].sum()
    truth = by_z0(c, c.Q)[0]
    close((step * total - s * step.sum(axis=0)) / total**2, truth)
    bracket = c.diff[0] * total * c.N[0][:, None] ** -1
    bracket = bracket + (-c.diff[0] * (c.N[0] ** (-half - 1))[:, None]).sum(axis=0)
    close(-(c.dof + 1) / c.dof * s * bracket / total**2, truth)


@formula("D5", "D6", "D7")
def test_target_lines(question):
    c = question
    truth, dq = by_z0(c, lambda z: p_hat(c, z)), by_z0(c, c.Q)[0]
    q, f = c.q[:, :, None], c.f[:, None]
    far((2 * q[0] * (2 * q[0] * dq) * f - q[0] ** 2 * dq) / f**2, truth[0])
    close((2 * q[0] * dq * f - q[0] ** 2 * dq) / f**2, truth[0])
    close(-(q[1:] ** 2) / f**2 * dq, truth[1:])
    assert np.abs(truth[1:]).max() > 1e-3


@formula("D8")
def test_normalised_target_line_is_right(question):
    c = question
    hat, step = p_hat(c, c.Z)[:, :, None], by_z0(c, lambda z: p_hat(c, z))
    total = hat.sum(axis=1, keepdims=True)
    found = (step * total - hat * step.sum(axis=1, keepdims=True)) / total**2
    close(found, by_z0(c, c.P))


@formula("D9", "D10", "D11", "D12")
def test_divergence_lines(question):
    c = question
    truth = by_z0(c, lambda z: naive.clustering_kl(z, c.centers, c.dof, None, c.w))
    dp, dq = by_z0(c, c.P), by_z0(c, c.Q)
    p, q = c.p[:, :, None], c.q[:, :, None]
    second = p * by_z0(c, lambda z: np.log(c.P(z) / c.Q(z)))
    terms = dp * np.log(p / q) + second
    for j in range(K):
        far(terms[0, j], truth)
    far(terms[0].sum(axis=0), truth)
    close(terms.sum(axis=(0, 1)), truth)
    close(p * (q / p) * by_z0(c, lambda z: c.P(z) / c.Q(z)), second)
    close(p * (q / p) * (dp * q - p * dq) / q**2, second)
    close((dp * q - p * dq) / q, second)


@formula("D13", "D14")
def test_divergence_reduced(question):
    c = question
    truth = by_z0(c, lambda z: naive.clustering_kl(z, c.centers, c.dof, None, c.w))
    dp, dq = by_z0(c, c.P), by_z0(c, c.Q)
    logs = (dp * np.log(c.p / c.q)[:, :, None]).sum(axis=(0, 1))
    rest = -((c.p / c.q)[0][:, None] * dq[0]).sum(axis=0)
    close(logs + rest, truth)
    far(rest, truth)
    close(rest, pulled(c.g2 * (c.p - c.q), c.diff)[0][0])
    close(rest, by_z0(c, lambda z: naive.clustering_kl(z, c.centers, c.dof, c.p, c.w)))


# Part 7: the notes on SNE.  Derivatives are with respect to y_0.


@pytest.fixture
def notes():
    return Map("gaussian", 1.0, "conditional", symmetric=False)


def log_q(m, y):
    return naive.log_embedding_q(y, *m.form)


def by_y0(m, function):
    return derivative(lambda y: function(np.vstack([y[None], m.Y[1:]])), m.Y[0])


def cost(p, log_q):
    other = ~np.eye(N, dtype=bool)
    return -(p[other] * log_q[other]).sum()


@formula("S1", "S2", "S3")
def test_divergence_of_the_notes(notes):
    m = notes
    printed = np.exp(-m.D) / np.exp(-m.D).sum(axis=1, keepdims=True)
    np.fill_diagonal(printed, 0)
    assert printed.sum(axis=1).max() < 0.9
    close(m.q.sum(axis=1), np.ones(N))
    other = ~np.eye(N, dtype=bool)
    A = (m.p[other] * np.log(m.p[other])).sum()
    truth = naive.embedding_kl(m.Y, m.p, *m.form)
    close(A + cost(m.p, log_q(m, m.Y)), truth)
    far(A * other.sum() + cost(m.p, log_q(m, m.Y)), truth)
    far(A * N**2 + cost(m.p, log_q(m, m.Y)), truth)


@formula("S4", "S5", "S6")
def test_what_depends_on_a_point(notes):
    m = notes
    step = by_y0(m, lambda y: np.nan_to_num(log_q(m, y), neginf=0.0))
    for j in range(1, N):
        for k in range(1, N):
            if k != j:
                close(2 * m.q[j, 0] * m.diff[0, j], step[j, k])
    D = cost(m.p, log_q(m, m.Y))
    both = D + cost(m.p.T, log_q(m, m.Y).T)
    close(both, 2 * D)
    truth = by_y0(m, lambda y: cost(m.p, log_q(m, y)))
    close(truth, m.gradient[0])
    row = -(m.p[0][:, None] * step[0]).sum(axis=0)
    column = -(m.p[1:, 0][:, None] * step[1:, 0]).sum(axis=0)
    far(row + column, truth)
    close(row - (m.p[1:, :, None] * step[1:]).sum(axis=(0, 1)), truth)


@formula("S7", "S8")
def test_logarithm_of_the_notes(notes):
    m, other = notes, ~np.eye(N, dtype=bool)
    total = np.log(np.where(other, np.exp(-m.D), 0).sum(axis=1, keepdims=True))
    total = total + 0 * m.D
    truth = cost(other, log_q(m, m.Y))
    close((m.D + total)[other].sum(), truth)
    argument = (np.exp(-m.D) + total)[other]
    # where the slipped bracket leaves a logarithm at all
    assert (argument <= 0).any() or abs(-np.log(argument).sum() - truth) > 0.1


@formula("S9", "S10", "S11")
def test_plain_derivative_of_the_notes(notes):
    m = notes
    away = m.diff[0, 1:]
    q_row, q_column = m.q[0, 1:, None], m.q[1:, 0, None]
    e = np.exp(-m.D[0, 1:, None])

    def half(away):
        return (2 * away - 2 * (away * e).sum(axis=0) / e.sum()).sum(axis=0)

    row = by_y0(m, lambda y: -log_q(m, y)[0, 1:].sum())
    column = by_y0(m, lambda y: -log_q(m, y)[1:, 0].sum())
    close(half(away), row)
    close(half(away) + half(-away), np.zeros(d))
    far(half(away) + half(-away), row + column)
    far(half(-away), column)
    # neither the sign nor the sum nor the normaliser alone mends it
    far(half(away), column)
    far((2 * away * (1 - q_row)).sum(axis=0), column)
    close((2 * away * (1 - q_column)).sum(axis=0), column)
    close((2 * away - 2 * (away * q_row).sum(axis=0)).sum(axis=0), row)
    for sign in (-1, 1):
        second = sign * (2 * away - 2 * (away * q_column).sum(axis=0)).sum(axis=0)
        far(second, column)


@formula("S12", "S13", "S14")
def test_weighted_derivative_of_the_notes(notes):
    m = notes
    away = m.diff[0, 1:]
    p_row, p_column = m.p[0, 1:, None], m.p[1:, 0, None]
    q_row, q_column = m.q[0, 1:, None], m.q[1:, 0, None]
    truth = m.gradient[0]
    row = by_y0(m, lambda y: -(m.p[0, 1:] * log_q(m, y)[0, 1:]).sum())
    rest = truth - row
    for repeat in (1, N - 1):  # the inner sums beside the outer ones, or inside them

        def half(away, p, q, repeat=repeat):
            inner = (away * q * p).sum(axis=0)
            return (2 * away * p).sum(axis=0) - 2 * repeat * inner

        first, second = half(away, p_row, q_row), half(-away, p_column, q_column)
        far(first, row)
        far(second, rest)
        far(-second, rest)
        far(first + second, truth)
        far(first - second, truth)
    mean = (away * q_row).sum(axis=0)
    close((p_row * (2 * away - 2 * mean)).sum(axis=0), row)
    close(2 * ((p_row - q_row) * away).sum(axis=0), row)
    others = np.array([[sum(m.p[j, k] for k in range(1, N))] for j in range(1, N)])
    weights = p_column * (1 - q_column) - others * q_column
    close((2 * away * weights).sum(axis=0), rest)
    close(2 * ((p_column - q_column) * away).sum(axis=0), rest)


# Part 9


@formula(36, 37, 38)
@pytest.mark.parametrize("form", FORMS)
def test_a_point_left_out(form):
    kernel, dof, normalization = form
    joint = normalization == "joint"
    m = Map(*form, symmetric=joint)
    a, mass, rest = m.p[0, 1:], 1, 0
    if joint:  # Σ_j p_{j|i} of the page is 1, while here all p are
        a, mass = N * a, N / 2
        rest = np.triu(np.exp(m.log_s[1:, 1:]), 1).sum()
    kappa = 0 if kernel == "gaussian" else 2 / (dof + 1)

    def parts(v):
        u = v - m.Y[1:]
        D = (u**2).sum(axis=1)
        if kernel == "gaussian":
            return u, -D, 2 + 0 * D
        return u, -(dof + 1) / 2 * np.log1p(D / dof), (dof + 1) / (dof + D)

    def loss(v):
        _, log_s, _ = parts(v)
        return a @ -log_s + mass * np.log(rest + np.exp(log_s).sum())

    def gradient(v):
        u, log_s, g2 = parts(v)
        q = np.exp(log_s) / (rest + np.exp(log_s).sum())
        return (g2 * (a - mass * q)) @ u

    v = m.Y[0]
    u, log_s, g2 = parts(v)
    q = np.exp(log_s) / (rest + np.exp(log_s).sum())
    F = (g2 * q) @ u
    uu = u[:, :, None] * u[:, None]
    weights = (kappa * a - mass * (1 + kappa) * q) * g2**2
    hessian = ((a - mass * q) * g2).sum() * np.eye(d)
    hessian = hessian - np.tensordot(weights, uu, 1) - mass * np.outer(F, F)
    close(gradient(v), derivative(loss, v))
    close(hessian, derivative(gradient, v))
    if joint:
        close(gradient(v), N / 2 * m.gradient[0])
    else:
        close(gradient(v), by_y0(m, lambda y: -(a * log_q(m, y)[0, 1:]).sum()))


# The page itself


def test_every_formula_is_checked():
    tags = re.findall(r"\\tag\{([^}]*)\}", TEXT)
    assert len(tags) == len(set(tags)) == TEXT.count("$$") // 2
    assert set(tags) == COVERED


def test_references_name_formulas():
    tags = set(re.findall(r"\\tag\{([^}]*)\}", TEXT))
    prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", TEXT, flags=re.S)
    assert set(re.findall(r"\(([DS]?\d+)\)", prose)) <= tags


def test_maths_renders():
    """What GitHub's maths cannot show, or its Markdown takes for something else."""
    maths = re.findall(r"\$\$(.*?)\$\$|\$([^$]+)\$", TEXT, flags=re.S)
    for piece in ("".join(m) for m in maths):
        assert piece.count("{") == piece.count("}")
        assert piece.count(r"\left") == piece.count(r"\right")
        assert not re.search(r"\\[^a-zA-Z]|[*<>~]|\\(eqref|ref|label|def|new)", piece)
        assert "\n" not in piece
    assert TEXT.count("$") % 2 == 0
    # an inline formula must not touch a word or a hyphen
    prose = re.sub(r"\$\$.*?\$\$", "", TEXT, flags=re.S)
    assert not re.search(r"[\w-]∎|∎\w", re.sub(r"\$[^$]+\$", "∎", prose))
