"""KL(P‖Q) and its gradients, for the public functions and for the fitting loops."""

import numpy as np
from scipy.special import rel_entr
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import StrOptions, validate_params

from skdec._frame import Frame
from skdec._validation import (
    BALANCE,
    DOF,
    check_distribution,
    check_matrix,
    check_points,
    check_same_shape,
    check_square,
    check_weight,
    working_dtype,
)
from skdec.affinities import from_matrix
from skdec.execution import Threads, block_size
from skdec.kernels import clustering
from skdec.objectives import LARGEST_FUSED, EmbeddingObjective
from skdec.similarity import memberships
from skdec.targets import frequencies, target

ROWS_PER_BATCH = 4096


@validate_params(
    {
        "P": ["array-like"],
        "Q": ["array-like"],
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def kl_divergence(P, Q, *, sample_weight=None):
    r"""Kullback–Leibler divergence, a sum over all entries.

    .. math:: KL(P\|Q) = \sum_i w_i \sum_j p_{ij} \log \frac{p_{ij}}{q_{ij}},
              \qquad 0 \log 0 = 0

    Parameters
    ----------
    P, Q : array-like of shape (n_samples, n_columns)
        Distributions, per row or over the whole matrix.  Non-negative.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights w of the rows; 1 each by default.

    Returns
    -------
    kl : float
        The divergence in nats, summed in float64; infinite where p > 0 and q = 0.

    Raises
    ------
    ValueError
        If P and Q differ in shape, or an entry is negative or not finite.

    Examples
    --------
    >>> from skdec import kl_divergence
    >>> round(kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """
    P, Q = check_matrix(P, "P"), check_matrix(Q, "Q")
    check_same_shape(P, Q)
    for name, array in (("P", P), ("Q", Q)):
        if array.min() < 0:
            raise ValueError(f"{name} must be non-negative; got {array.min():g}")
    weight, unit = check_weight(sample_weight, P)
    kl = 0.0
    for batch in gen_batches(len(P), ROWS_PER_BATCH):
        rows = rel_entr(P[batch], Q[batch]).sum(axis=1, dtype=np.float64)
        if weight is None:
            kl += float(rows.sum())
        else:
            # not 0 · ∞: a row without weight counts for nothing
            used = weight[batch] > 0
            kl += float(rows[used] @ weight[batch][used])
    return kl * unit


@validate_params(
    {
        "Z": ["array-like"],
        "centers": ["array-like"],
        "dof": [DOF],
        "balance": [BALANCE],
        "P": ["array-like", None],
        "through_target": ["boolean"],
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def clustering_loss(
    Z,
    centers,
    *,
    dof=1.0,
    balance=1.0,
    P=None,
    through_target=False,
    sample_weight=None,
):
    r"""KL(P‖Q) of a Student-t clustering and its gradients.

    With P held fixed,

    .. math:: \frac{\partial KL}{\partial z_i} = w_i \frac{\nu+1}{\nu} \sum_j
              \Bigl(1 + \frac{\|z_i-\mu_j\|^2}{\nu}\Bigr)^{-1}
              (p_{ij} - q_{ij}) (z_i - \mu_j)

    and ∂KL/∂μ_j is minus the sum of the same terms over i.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Points.
    centers : array-like of shape (n_clusters, n_features)
        Centroids μ.
    dof : float, default=1.0
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.
    balance : float, default=1.0
        Exponent b of the frequencies in the target, see :func:`target_distribution`.
        Without effect on a given P.
    P : array-like of shape (n_samples, n_clusters), default=None
        Targets, rows sum to 1.  By default the target distribution of the current Q.
    through_target : bool, default=False
        Differentiate the target P(Q(Z, μ)) too.  A diagnostic: descending this
        gradient collapses the centroids (see docs/gradients.md).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights w of the rows; 1 each by default.

    Returns
    -------
    kl : float
        The divergence in nats, a sum over the samples.
    grad_Z : ndarray of shape (n_samples, n_features)
        ∂KL/∂Z in Z's dtype.
    grad_centers : ndarray of shape (n_clusters, n_features)
        ∂KL/∂μ in Z's dtype.

    Raises
    ------
    ValueError
        If an input is not finite, shapes disagree, P's rows are not distributions, a
        weight is negative, or ``through_target`` comes with a given P.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016, equations 2, 4 and 5.

    Examples
    --------
    >>> from skdec import clustering_loss
    >>> kl, grad_Z, grad_centers = clustering_loss([[0.0], [1.0]], [[0.0], [2.0]])
    >>> round(kl, 4)
    0.0941
    """
    Z, centers, dtype = check_points(Z, centers)
    weight, unit = check_weight(sample_weight, Z)
    with Threads() as threads:
        Q = memberships(Frame(Z, centers, 1.0), centers, dof, threads)
        if P is None:
            f = frequencies(Q, weight)
            P = target(Q, f, balance, threads)
        else:
            if through_target:
                raise ValueError("through_target=True needs P=None; got a P as well")
            P = check_distribution(P, "P").astype(Z.dtype, copy=False)
            check_same_shape(P, Q)
        weight = np.ones(len(Z)) if weight is None else weight
        weight = weight.astype(Z.dtype)
        R = residual(P, Q, weight)
        if through_target:
            R -= _through_target(P, Q, weight, f, balance)
        kl, *gradients = clustering_forces(Z, centers, dof, (P, R, weight), threads)
    # of distributions it is not below 0, as rounding may have it where p = q
    kl = max(kl, 0.0) * unit
    return kl, *((unit * gradient).astype(dtype) for gradient in gradients)


def residual(P, Q, weight):
    """w_i (p_ij − q_ij), by which each centroid pulls at each row."""
    return weight[:, None] * (P - Q)


def _through_target(P, Q, weight, f, balance):
    """What the residual w(p − q) loses when P follows Q: docs/gradients.md, part 3.

    With a_ij = w_i log(p_ij/q_ij), b_ij = p_ij (a_ij − Σ_j' p_ij' a_ij') and
    B_j = balance Σ_i b_ij / f_j, it is 2 b_ij − w_i q_ij (B_j − Σ_j' q_ij' B_j').
    """
    pa = rel_entr(P, Q)
    b = weight[:, None] * (pa - P * pa.sum(axis=1, keepdims=True))
    B = balance * np.divide(b.sum(axis=0), f, out=np.zeros_like(f), where=f > 0)
    return 2 * b - weight[:, None] * Q * (B - (Q @ B)[:, None])


def clustering_forces(Z, centers, dof, rows, threads):
    """KL, ∂KL/∂Z and ∂KL/∂μ from P, the residual w(p − q) of the rows, and w."""
    P, R, weight = rows
    size = block_size(len(Z))
    n_blocks = -(-len(Z) // size)
    grad_Z = np.empty_like(Z)
    grad_centers = np.zeros((n_blocks, *centers.shape))
    kl = np.zeros(n_blocks)
    nu = Z.dtype.type(dof)

    def task(start, stop):
        clustering.loss_blocks(
            Z,
            centers,
            nu,
            (P, R, weight),
            size,
            start,
            stop,
            (grad_Z, grad_centers, kl),
        )

    threads.rows(task, n_blocks, R.size)
    return float(kl.sum()), grad_Z, grad_centers.sum(axis=0)


@validate_params(
    {
        "Y": ["array-like"],
        "P": ["array-like"],
        "kernel": [StrOptions({"student_t", "gaussian"})],
        "dof": [DOF],
        "normalization": [StrOptions({"joint", "conditional"})],
    },
    prefer_skip_nested_validation=True,
)
def embedding_loss(Y, P, *, kernel="student_t", dof=1.0, normalization="joint"):
    r"""KL(P‖Q) of an embedding and its gradient: SNE, symmetric SNE, t-SNE.

    .. math:: \frac{\partial KL}{\partial y_i} = \sum_j 2g_{ij}
              (p_{ij} - q_{ij} + p_{ji} - q_{ji}) (y_i - y_j)

    with q ∝ s over j ≠ i in each row ("conditional") or over all pairs ("joint");
    s = exp(−D), 2g = 2 ("gaussian") or s = (1 + D/ν)^(−(ν+1)/2),
    2g = (ν+1)/ν (1 + D/ν)^(−1) ("student_t"); D = ‖y_i − y_j‖².

    Parameters
    ----------
    Y : array-like of shape (n_samples, n_components)
        Embedding.
    P : array-like of shape (n_samples, n_samples)
        Affinities, held fixed: rows sum to 1 ("conditional") or the whole does
        ("joint").  Need not be symmetric; the diagonal must be 0.
    kernel : {"student_t", "gaussian"}, default="student_t"
        Similarity s in the embedding.
    dof : float, default=1.0
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.  This is
        scikit-learn's and DEC's form; openTSNE's ``dof`` names another family,
        (1 + D/α)^(−α).
    normalization : {"joint", "conditional"}, default="joint"
        Whether Q is one distribution over all pairs or one per row.

    Returns
    -------
    kl : float
        The divergence in nats.
    grad_Y : ndarray of shape (n_samples, n_components)
        ∂KL/∂Y in Y's dtype.

    Raises
    ------
    ValueError
        If an input is not finite, shapes disagree, or P is not such a distribution.

    References
    ----------
    Hinton, Roweis: Stochastic neighbor embedding, NeurIPS 2002, equations 2 to 5.
    van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 2008, equations 4, 5.

    Examples
    --------
    >>> from skdec import embedding_loss
    >>> P = [[0.0, 0.25, 0.0], [0.25, 0.0, 0.25], [0.0, 0.25, 0.0]]
    >>> kl, gradient = embedding_loss([[0.0], [1.0], [2.0]], P)
    >>> round(kl, 4), gradient.round(4).tolist()
    (0.1823, [[0.05], [0.0], [-0.05]])
    """
    Y = check_matrix(Y, "Y", ensure_min_samples=2)
    P = check_distribution(P, "P", rows=normalization == "conditional")
    check_square(P, "P", len(Y))
    if np.diagonal(P).any():
        raise ValueError("P must have a zero diagonal; got positive entries there")
    largest = float(np.abs(Y).max())
    working = working_dtype(Y.dtype, largest, "Y")
    points = np.ascontiguousarray(Y.T, dtype=working)
    joint = normalization == "joint"
    q_form = dof, kernel == "gaussian", joint
    with Threads() as threads:
        affinities = from_matrix(P, working)
        fused = largest < LARGEST_FUSED[working]
        objective = EmbeddingObjective(affinities, q_form, threads, fused=fused)
        gradient, log_Z = objective.gradient(points)
        kl = objective.divergence(points, log_Z)
    return max(kl, 0.0), np.ascontiguousarray(gradient.T, dtype=Y.dtype)
