"""Every public formula in double precision, against plain loops in 50 digits.

The numbers are those of docs/gradients.md, where "Precision" states what is asserted
here: 1e-12 for values and 1e-10 for gradients, and which data allow less.
"""

import mpmath
import numpy as np
import pytest
from mpmath import fsum, log1p, mp, mpf

import skdec

mp.dps = 50
EPS = float(np.finfo(float).eps)
VALUES, GRADIENTS = 1e-12, 1e-10
# below this double precision runs out of exponents, and an error is an absolute one
TINY = 1e-300
# clusters so rare that f^−b is more, against the most frequent, count as if it were not
LARGEST_POWER = 1e305
# of terms that cancel in a gradient, such as p and q where they nearly agree
TERMS = 1e-14

DOFS = [1e-12, 1e-6, 1e-3, 0.5, 1.0, 2.0, 7.3, 1e3, 1e6, 1e12]
# 1e139 is next to the largest magnitude that points of a Student-t kernel may have
SCALES = [0.0, 1e-200, 1e-100, 1e-30, 1e-8, 1.0, 1e8, 1e30, 1e100, 1e139]


def exact(A):
    return [[mpf(float(a)) for a in row] for row in A]


def squared_distance(x, y):
    return fsum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def largest(A):
    return max(abs(a) for row in A for a in row)


# ------------------------------------------------- the formulas; ν = None: the Gaussian
def similarity(D, nu):
    """(2), (3)."""
    return mpmath.exp(-D if nu is None else -(nu + 1) / 2 * log1p(D / nu))


def weight_2g(D, nu):
    """(2), (3)."""
    return mpf(2) if nu is None else (nu + 1) / (nu + D)


def normalised(row):
    total = fsum(row)
    return [value / total for value in row]


def soft_assignment(Z, centers, nu):
    """(5)."""
    return [
        normalised([similarity(squared_distance(z, mu), nu) for mu in centers])
        for z in Z
    ]


def frequencies(Q, w):
    """(6)."""
    return [fsum(w[i] * Q[i][j] for i in range(len(Q))) for j in range(len(Q[0]))]


def target_distribution(Q, w, balance):
    """(B1); p = 0 where f = 0."""
    f = frequencies(Q, w)
    return [
        normalised(
            [q**2 / f[j] ** balance if f[j] > 0 else mpf(0) for j, q in enumerate(row)]
        )
        for row in Q
    ]


def kl_divergence(P, Q, w):
    """(7)."""
    return fsum(
        w[i] * p * mpmath.log(p / q)
        for i in range(len(P))
        for p, q in zip(P[i], Q[i], strict=True)
        if p > 0
    )


def residual(P, Q, w):
    """(9): the terms of w_i (p_ij − q_ij)."""
    return [
        [[w[i] * p, -w[i] * q] for p, q in zip(P[i], Q[i], strict=True)]
        for i in range(len(P))
    ]


def residual_through(P, Q, w, balance):
    """(19) with (B2): the terms of r_ij."""
    n, k, f = len(P), len(P[0]), frequencies(Q, w)
    R, b = residual(P, Q, w), []
    for i in range(n):
        pa = [
            p * mpmath.log(p / q) if p > 0 else mpf(0)
            for p, q in zip(P[i], Q[i], strict=True)
        ]
        b.append([w[i] * (pa[j] - P[i][j] * fsum(pa)) for j in range(k)])
    B = [
        balance / f[j] * fsum(b[i][j] for i in range(n)) if f[j] > 0 else mpf(0)
        for j in range(k)
    ]
    for i in range(n):
        mean = fsum(Q[i][j] * B[j] for j in range(k))
        for j in range(k):
            R[i][j] += [-2 * b[i][j], w[i] * Q[i][j] * (B[j] - mean)]
    return R


def gradients(X, Y, nu, R):
    """(10), (11), (20), (29): Σ_j 2g_ij r_ij (x_i − y_j) and −Σ_i of the same terms.

    ``R`` has the terms of each r_ij.  Each gradient comes with the sums of the sizes of
    what is added up in it.
    """
    d = len(X[0])
    ends = [[[[] for _ in range(d)] for _ in points] for points in (X, Y)]
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            g = weight_2g(squared_distance(x, y), nu)
            for c in range(d):
                terms = [g * r * (x[c] - y[c]) for r in R[i][j]]
                ends[0][i][c] += terms
                ends[1][j][c] += [-term for term in terms]
    return [
        (
            [[fsum(terms) for terms in row] for row in end],
            [[fsum(map(abs, terms)) for terms in row] for row in end],
        )
        for end in ends
    ]


def affinity_row(D, beta):
    """(25)."""
    least = min(D)
    return normalised([mpmath.exp(-beta * (value - least)) for value in D])


def entropy(p):
    """In nats."""
    return -fsum(value * mpmath.log(value) for value in p if value > 0)


def others_of(X, i):
    """The indices of all points but the i-th, and D to them."""
    indices = [j for j in range(len(X)) if j != i]
    return indices, [squared_distance(X[i], X[j]) for j in indices]


def embedding_q(Y, nu, joint):
    """(27)."""
    S = [
        [
            similarity(squared_distance(a, b), nu) if i != j else mpf(0)
            for j, b in enumerate(Y)
        ]
        for i, a in enumerate(Y)
    ]
    if not joint:
        return [normalised(row) for row in S]
    total = fsum(fsum(row) for row in S)
    return [[value / total for value in row] for row in S]


# ------------------------------------------------------------------------- the bounds
def check_values(found, expected, bounds=None):
    """Each entry relative to itself, to 1e-12 or to its own bound."""
    for i, row in enumerate(expected):
        for j, value in enumerate(row):
            bound = VALUES if bounds is None else bounds[i][j]
            error = abs(mpf(float(found[i][j])) - value)
            assert error <= bound * value if value > TINY else error <= TINY


def check_kl(found, expected, w, bound=0):
    """Relative to the larger of KL and one nat, times the largest weight.

    Its terms have either sign and cancel to 0 where p = q; what is left of their
    rounding is not small against KL itself.
    """
    assert abs(mpf(found) - expected) <= VALUES * max(expected, max(w)) + bound


def check_gradient(found, expected, sizes):
    """Relative to the largest entry, as entries are sums of terms of either sign.

    Where all entries are such sums, as where p = q but for rounding, to 1e-14 of what
    is added up.
    """
    allowed = GRADIENTS * largest(expected) + TERMS * largest(sizes) + TINY
    for row, reference in zip(exact(found), expected, strict=True):
        for value, true in zip(row, reference, strict=True):
            assert abs(value - true) <= allowed


def conditions(Z, centers, nu, Q):
    """How much more log q_ij changes than D does, relatively.

    With κ = −d log s / d log D = (ν+1)/2 · D/(ν+D) it is at most
    (1 − q_ij) κ_ij + Σ_{j'≠j} q_ij' κ_ij'.
    """
    result = []
    for z, q in zip(Z, Q, strict=True):
        D = [squared_distance(z, mu) for mu in centers]
        kappa = [(nu + 1) / 2 * value / (nu + value) for value in D]
        all_of_them = fsum(a * b for a, b in zip(q, kappa, strict=True))
        result.append(
            [
                fsum(q[:j] + q[j + 1 :]) * kappa[j] + all_of_them - q[j] * kappa[j]
                for j in range(len(q))
            ]
        )
    return result


def bounds_of(condition):
    """1e-12, unless D, rounded, means more to q."""
    return [[max(VALUES, 4 * EPS * value) for value in row] for row in condition]


# ------------------------------------------------------------------------------ data
@pytest.fixture
def clusters():
    """Points and centroids, weights and targets; a point on a centroid."""
    rng = np.random.default_rng(0)
    Z, centers = rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
    centers[0] = Z[0]
    return Z, centers, rng.uniform(0.5, 2, 4), rng.dirichlet(np.ones(3), size=4)


def layouts(X, scale):
    """All at the scale, or the last of points at unit distances."""
    last = X.copy()
    last[-1] *= scale
    return [X * scale, last]


def arrangements(Z, centers, scale):
    """All at the scale; a point and a centroid; a centroid alone."""
    (all_Z, last_Z), (all_centers, last) = layouts(Z, scale), layouts(centers, scale)
    return [(all_Z, all_centers), (last_Z, last), (Z, last)]


at_any = pytest.mark.parametrize("scale", SCALES)
of_any = pytest.mark.parametrize("dof", DOFS)


# -------------------------------------------------------------------------- clustering
@at_any
@of_any
def test_clustering_values(clusters, dof, scale):
    *points, w, P = clusters
    weights = exact([w])[0]
    for Z, centers in arrangements(*points, scale):
        Q = skdec.soft_assignment(Z, centers, dof=dof)
        z, mu = exact(Z), exact(centers)
        q = soft_assignment(z, mu, mpf(dof))
        check_values(Q, q, bounds_of(conditions(z, mu, mpf(dof), q)))
        # from here on of the Q that was found
        q = exact(Q)
        f = [value for value in frequencies(q, weights) if value > 0]
        for balance in (0.0, 0.5, 1.0, 3.0):
            if (max(f) / min(f)) ** balance > LARGEST_POWER:
                continue
            found = skdec.target_distribution(Q, balance=balance, sample_weight=w)
            check_values(found, target_distribution(q, weights, mpf(balance)))
            kl = skdec.kl_divergence(found, Q, sample_weight=w)
            check_kl(kl, kl_divergence(exact(found), q, weights), w)
        if Q.all():
            kl = skdec.kl_divergence(P, Q, sample_weight=w)
            check_kl(kl, kl_divergence(exact(P), q, weights), w)


@at_any
@of_any
@pytest.mark.parametrize("target", ["given", "fixed", "through"])
def test_clustering_loss(clusters, dof, scale, target):
    *points, w, P = clusters
    weights, nu, balance = exact([w])[0], mpf(dof), 0.5
    for Z, centers in arrangements(*points, scale):
        kl, *found = skdec.clustering_loss(
            Z,
            centers,
            dof=dof,
            balance=balance,
            P=P if target == "given" else None,
            through_target=target == "through",
            sample_weight=w,
        )
        z, mu = exact(Z), exact(centers)
        q = soft_assignment(z, mu, nu)
        if target == "given":
            p = exact(P)
        else:
            p = target_distribution(q, weights, mpf(balance))
        expected = kl_divergence(p, q, weights)
        condition = conditions(z, mu, nu, q)
        sizes = [
            [(a + b) * c for a, b, c in zip(*rows, strict=True)]
            for rows in zip(p, q, condition, strict=True)
        ]
        bound = 4 * EPS * max(weights) * fsum(map(fsum, sizes))
        check_kl(kl, expected, w, bound)
        if target == "through":
            R = residual_through(p, q, weights, mpf(balance))
        else:
            R = residual(p, q, weights)
        for gradient, reference in zip(found, gradients(z, mu, nu, R), strict=True):
            check_gradient(gradient, *reference)


def test_memberships_that_hang_on_rounding(clusters):
    # 1e8 from centroids side by side, with ν = 1e12: D is known to 2e-16, log s to 1
    nu, found = 1e12, []
    Z, centers = np.array([[1e8, 1e7 / 3]]), np.array([[0, 1e-5], [1e-5, 0], [2e-5, 0]])
    z, mu = exact(Z), exact(centers)
    for dof in (1.0, 1e6, nu):
        q = soft_assignment(z, mu, mpf(dof))
        Q = skdec.soft_assignment(Z, centers, dof=dof)
        bounds = bounds_of(conditions(z, mu, mpf(dof), q))
        check_values(Q, q, bounds)
        found.append(largest([[Q[0][j] / q[0][j] - 1 for j in range(3)]]))
    # the exception is one
    assert found[0] < VALUES < found[2]


@of_any
def test_beyond_the_largest_magnitude(clusters, dof):
    Z, centers, _, _ = clusters
    for function in (skdec.soft_assignment, skdec.clustering_loss):
        for pair in arrangements(Z, centers, 1e200)[:2]:
            with pytest.raises(ValueError, match=r"must stay below 1e\+140 bandwidths"):
                function(*pair, dof=dof)
    P = (1 - np.eye(4)) / 12
    with pytest.raises(ValueError, match=r"Y must stay below 1e\+140"):
        skdec.embedding_loss(Z * 1e200, P, dof=dof)


# ------------------------------------------------------------------------- embeddings
@at_any
@pytest.mark.parametrize("dof", [*DOFS, "gaussian"])
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_embedding_loss(dof, scale, normalization):
    rng = np.random.default_rng(1)
    P = rng.uniform(size=(4, 4))
    P[np.diag_indices(4)] = P[0, 2] = 0
    joint = normalization == "joint"
    P /= P.sum() if joint else P.sum(axis=1, keepdims=True)
    p, ones = exact(P), [mpf(1)] * 4
    form = {"kernel": "gaussian"} if dof == "gaussian" else {"dof": dof}
    nu = None if dof == "gaussian" else mpf(dof)
    # in two and three dimensions loops of their own serve ν = 1 and 2
    for d in (2, 3):
        distinct = rng.normal(size=(4, d))
        meeting = distinct.copy()
        meeting[1] = meeting[0]
        # from far away a Gaussian tells points at unit distances apart by what D loses
        n_layouts = 1 if nu is None and scale > 1e8 else 2
        arranged = zip(layouts(distinct, scale), layouts(meeting, scale), strict=True)
        for Y in [Y for pair in list(arranged)[:n_layouts] for Y in pair]:
            kl, gradient = skdec.embedding_loss(
                Y, P, normalization=normalization, **form
            )
            y = exact(Y)
            q = embedding_q(y, nu, joint)
            check_kl(kl, kl_divergence(p, q, ones), ones)
            # both ends of a pair belong to the same points
            (a, a_sizes), (b, b_sizes) = gradients(y, y, nu, residual(p, q, ones))
            check_gradient(gradient, summed(a, b), summed(a_sizes, b_sizes))


def test_divergence_of_an_embedding_far_out():
    # a triangle that is nearly equilateral: KL is of order 1, −log s is 2e5
    Y = np.array([[0, 0], [1, 0], [0.5, 0.866]]) * 1e100
    P = np.array([[0, 0.2, 0.1], [0.3, 0, 0.1], [0.2, 0.1, 0]])
    y, nu = exact(Y), mpf(1000)
    kl, _ = skdec.embedding_loss(Y, P, dof=1e3)
    expected = kl_divergence(exact(P), embedding_q(y, nu, True), [1] * 3)
    energy = -mpmath.log(similarity(squared_distance(y[0], y[1]), nu))
    assert abs(mpf(kl) - expected) <= 4 * EPS * energy


def summed(A, B):
    return [
        [a + b for a, b in zip(*rows, strict=True)] for rows in zip(A, B, strict=True)
    ]


# ------------------------------------------------------------------------- affinities
def affinity_bounds(X, betas):
    """1e-12, unless D, rounded, means more to p.

    D is known to 2e-16 of the squares of distances from the mean, which rows are
    centred at.
    """
    n = len(X)
    mean = [fsum(column) / n for column in zip(*X, strict=True)]
    far = max(squared_distance(x, mean) for x in X)
    return [[max(VALUES, 8 * EPS * beta * far)] * n for beta in betas]


def conditional_affinities(X, betas):
    result = []
    for i in range(len(X)):
        others, D = others_of(X, i)
        row = [mpf(0)] * len(X)
        for j, p in zip(others, affinity_row(D, betas[i]), strict=True):
            row[j] = p
        result.append(row)
    return result


@pytest.fixture
def data():
    X = np.random.default_rng(0).normal(size=(5, 2))
    X[1] = X[0]
    return X


@pytest.mark.parametrize("scale", [*SCALES, 1e200])
@pytest.mark.parametrize("share", [0.3, 1.0, 30.0])
def test_affinities_of_sigma(data, scale, share):
    for X in layouts(data, scale):
        sigma = share * float(np.abs(X - X[:1]).max() or 1)
        x, betas = exact(X), [1 / mpf(sigma) ** 2] * len(X)
        P = skdec.conditional_affinities(X, sigma=sigma)
        check_values(P, conditional_affinities(x, betas), affinity_bounds(x, betas))
        n, p = len(X), exact(P)
        joint = [[(p[i][j] + p[j][i]) / (2 * n) for j in range(n)] for i in range(n)]
        check_values(skdec.joint_affinities(P), joint)


@pytest.mark.parametrize("scale", [*SCALES[1:], 1e200])
@pytest.mark.parametrize("perplexity", [1.5, 2.0, 2.7])
def test_affinities_of_perplexity(data, scale, perplexity):
    X = np.delete(data, 1, axis=0) * scale
    x, betas = exact(X), []
    P = skdec.conditional_affinities(X, perplexity=perplexity)
    for i in range(len(X)):
        _, D = others_of(x, i)
        reached = entropy(exact(P)[i])
        assert abs(reached - mpmath.log(perplexity)) <= 1e-7
        betas.append(beta_of(D, reached))
    check_values(P, conditional_affinities(x, betas), affinity_bounds(x, betas))


def beta_of(D, goal):
    """The β whose row has this entropy, by bisection in units of the mean distance."""
    mean, low, high = fsum(D) / len(D), mpf(-20), mpf(20)
    for _ in range(80):
        middle = (low + high) / 2
        if entropy(affinity_row(D, mpmath.exp(middle) / mean)) > goal:
            low = middle
        else:
            high = middle
    return mpmath.exp(low) / mean
