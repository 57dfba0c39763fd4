"""The formulas as plain loops: the reference that kernels and gradients are held to.

Everything works on whatever NumPy floating type comes in; the tests pass longdouble
where finite differences need the digits.  Nothing here imports skdec.
"""

import numpy as np
from scipy.stats import multivariate_t


def squared_distance(x, y):
    return sum(((a - b) ** 2 for a, b in zip(x, y, strict=True)), start=x[0] * 0)


def log_similarity(D, dof, kernel="student_t"):
    """log s: −(ν+1)/2 log(1 + D/ν), or −D."""
    if kernel == "gaussian":
        return -D
    dof = type(D)(dof)
    return -(dof + 1) / 2 * np.log1p(D / dof)


def weight_2g(D, dof, kernel="student_t"):
    """2g = −2 d log s / dD."""
    if kernel == "gaussian":
        return type(D)(2)
    dof = type(D)(dof)
    return (dof + 1) / dof / (1 + D / dof)


def log_sum(values):
    largest = max(values)
    return largest + np.log(sum(np.exp(v - largest) for v in values))


def log_soft_assignment(Z, centers, dof):
    logs = []
    for z in Z:
        row = [log_similarity(squared_distance(z, mu), dof) for mu in centers]
        total = log_sum(row)
        logs.append([value - total for value in row])
    return np.array(logs)


def soft_assignment(Z, centers, dof):
    return np.exp(log_soft_assignment(Z, centers, dof))


def frequencies(Q, w):
    return [sum(w[i] * Q[i][j] for i in range(len(Q))) for j in range(len(Q[0]))]


def target_distribution(Q, w, f=None, balance=1):
    f = frequencies(Q, w) if f is None else f
    P = np.zeros_like(Q)
    for i in range(len(Q)):
        for j in range(len(f)):
            if f[j] > 0:
                P[i, j] = Q[i, j] ** 2 / f[j] ** balance
        P[i] = P[i] / sum(P[i])
    return P


def kl_divergence(P, Q, w):
    total = P[0, 0] * 0
    for i in range(len(P)):
        for j in range(len(P[0])):
            if P[i, j] > 0:
                total += w[i] * P[i, j] * (np.log(P[i, j]) - np.log(Q[i, j]))
    return total


def clustering_kl(Z, centers, dof, P, w, balance=1):
    """KL as a function of Z and μ; P=None lets P follow Q."""
    Q = soft_assignment(Z, centers, dof)
    P = target_distribution(Q, w, balance=balance) if P is None else P
    return kl_divergence(P, Q, w)


def clustering_gradients(Z, centers, dof, P, w):
    """The fixed-P gradients, term by term."""
    Q = soft_assignment(Z, centers, dof)
    return forces(Z, centers, dof, np.asarray(w)[:, None] * (P - Q))


def forces(Z, centers, dof, R):
    grad_Z, grad_centers = np.zeros_like(Z), np.zeros_like(centers)
    for i in range(len(Z)):
        for j in range(len(centers)):
            D = squared_distance(Z[i], centers[j])
            term = weight_2g(D, dof) * R[i, j] * (Z[i] - centers[j])
            grad_Z[i] += term
            grad_centers[j] -= term
    return grad_Z, grad_centers


def curvature(Z, centers, dof, P, w):
    """Σ_i w_i 2g_ij p_ij."""
    return [
        sum(
            w[i] * weight_2g(squared_distance(Z[i], mu), dof) * P[i, j]
            for i in range(len(Z))
        )
        for j, mu in enumerate(centers)
    ]


def cluster_means(Z, centers, dof, w):
    """Σ_i w_i q_ij z_i / Σ_i w_i q_ij and the frequencies."""
    Q = soft_assignment(Z, centers, dof)
    f = frequencies(Q, w)
    means = [
        sum(w[i] * Q[i, j] * Z[i] for i in range(len(Z))) / f[j] for j in range(len(f))
    ]
    return np.array(means), f


def log_density(Z, means, f, dof, h=1.0):
    """log Σ_j π_j t(z_i; m_j, h, ν), the density by SciPy."""
    components = [
        multivariate_t(mean, h**2 * np.eye(len(mean)), df=dof) for mean in means
    ]
    return np.array(
        [
            log_sum(
                [
                    np.log(share / sum(f)) + component.logpdf(z)
                    for share, component in zip(f, components, strict=True)
                ]
            )
            for z in Z
        ]
    )


def evidence(Z, centers, dof, w, h=1.0):
    """Weighted mean of the log density of the mixture that q stands for; Z in h."""
    means, f = cluster_means(Z, centers, dof, w)
    return np.average(log_density(Z * h, means * h, f, dof, h), weights=w)


def squared_distances(X, Y):
    return np.array([[squared_distance(x, y) for y in Y] for x in X])


def row_given_beta(D, beta):
    least = min(D)
    p = np.array([np.exp(-beta * (d - least)) for d in D])
    return p / sum(p)


def perplexity_of(p):
    """2 to the entropy in bits."""
    return 2 ** (-sum(v * np.log2(v) for v in p if v > 0))


def row_given_perplexity(D, perplexity):
    low, high = -700.0, 700.0
    for _ in range(200):
        middle = (low + high) / 2
        if perplexity_of(row_given_beta(D, np.exp(middle))) > perplexity:
            low = middle
        else:
            high = middle
    return row_given_beta(D, np.exp(low))


def conditional_affinities(X, perplexity=None, sigma=None):
    perplexities = np.atleast_1d(perplexity)
    P = np.zeros((len(X), len(X)))
    for i in range(len(X)):
        others = [j for j in range(len(X)) if j != i]
        D = [squared_distance(X[i], X[j]) for j in others]
        if sigma is not None:
            P[i, others] = row_given_beta(D, 1 / sigma**2)
        else:
            rows = [row_given_perplexity(D, value) for value in perplexities]
            P[i, others] = sum(rows) / len(rows)
    return P


def joint_affinities(P):
    n = len(P)
    return np.array(
        [[(P[i, j] + P[j, i]) / (2 * n) for j in range(n)] for i in range(n)]
    )


def log_embedding_q(Y, dof, kernel, normalization):
    n = len(Y)
    logs = np.full((n, n), -np.inf, dtype=Y.dtype)
    for i in range(n):
        for j in range(n):
            if i != j:
                logs[i, j] = log_similarity(squared_distance(Y[i], Y[j]), dof, kernel)
    if normalization == "joint":
        return logs - log_sum(
            [logs[i, j] for i in range(n) for j in range(n) if i != j]
        )
    return np.array(
        [logs[i] - log_sum([logs[i, j] for j in range(n) if i != j]) for i in range(n)]
    )


def embedding_kl(Y, P, dof, kernel, normalization):
    log_q = log_embedding_q(Y, dof, kernel, normalization)
    total = Y[0, 0] * 0
    for i in range(len(Y)):
        for j in range(len(Y)):
            if P[i, j] > 0:
                total += P[i, j] * (np.log(P[i, j]) - log_q[i, j])
    return total


def embedding_gradient(Y, P, dof, kernel, normalization, exaggeration=1):
    Q = np.exp(log_embedding_q(Y, dof, kernel, normalization))
    gradient = np.zeros_like(Y)
    for i in range(len(Y)):
        for j in range(len(Y)):
            if i != j:
                g = weight_2g(squared_distance(Y[i], Y[j]), dof, kernel)
                pull = exaggeration * (P[i, j] + P[j, i]) - Q[i, j] - Q[j, i]
                gradient[i] += g * pull * (Y[i] - Y[j])
    return gradient


def placement_kl(v, Y, p, dof, kernel="student_t"):
    """KL(p‖q) of one new point v against the fitted Y."""
    logs = [log_similarity(squared_distance(v, y), dof, kernel) for y in Y]
    total = log_sum(logs)
    return sum(
        p_j * (np.log(p_j) - (log_s - total))
        for p_j, log_s in zip(p, logs, strict=True)
        if p_j > 0
    )


def left_out_loss(v, Y, a, own, mass, rest, dof, kernel="student_t"):
    """Σ_j a_j (−log s_j) + m log(R + Σ_j s_j) of a point v, without y_own."""
    logs = [log_similarity(squared_distance(v, y), dof, kernel) for y in Y]
    others = [logs[j] for j in range(len(Y)) if j != own]
    pull = sum((-a[j] * logs[j] for j in range(len(Y)) if j != own), start=v[0] * 0)
    return pull + mass * np.log(rest + sum(np.exp(value) for value in others))


def momentum_step(Y, gradient, velocity, gains, rates):
    """One step of momentum with gains, no point going further than ``longest``."""
    rate, momentum, least_gain, longest = rates
    for d in range(len(Y)):
        for i in range(len(Y[0])):
            descends = velocity[d, i] * gradient[d, i] < 0
            gain = gains[d, i] + 0.2 if descends else gains[d, i] * 0.8
            gains[d, i] = max(gain, least_gain)
            v = momentum * velocity[d, i] - rate * gains[d, i] * gradient[d, i]
            velocity[d, i] = min(max(v, -longest), longest)
    for i in range(len(Y[0])):
        length = np.sqrt(sum(velocity[d, i] ** 2 for d in range(len(Y))))
        if length > longest:
            velocity[:, i] *= longest / length
        Y[:, i] += velocity[:, i]


def simplified_silhouette(X, centers, w):
    values = []
    for x in X:
        a, b = sorted(np.sqrt(squared_distance(x, mu)) for mu in centers)[:2]
        values.append((b - a) / b if b > 0 else 0.0)
    return sum(a * b for a, b in zip(w, values, strict=True)) / sum(w)


def finite_difference(function, x, step=1e-5):
    """Central differences of a scalar function of an array, in x's precision."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (up[index] - down[index])
    return gradient
