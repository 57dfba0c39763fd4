"""q, p and KL of clusters, as functions of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.special import rel_entr
from sklearn.utils import gen_batches

from skdec.clustering._forces import (
    clustering_forces,
    residual,
    through_target_residual,
)
from skdec.clustering._memberships import frequencies, memberships, target
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.sklearn_compat import validate_params
from skdec.utils.threads import Threads
from skdec.utils.validation import (
    BALANCE,
    DOF,
    check_distribution,
    check_matrix,
    check_points,
    check_same_shape,
)
from skdec.utils.weights import check_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import (
        FloatArray,
        MatrixLike,
    )

ROWS_PER_LOGARITHM = 4096


@validate_params(
    {"Z": ["array-like", "sparse matrix"], "centers": ["array-like"], "dof": [DOF]},
)
def soft_assignment(
    Z: MatrixLike, centers: ArrayLike, *, dof: float = 1.0
) -> FloatArray:
    r"""Student-t soft assignment of points to centroids.

    .. math:: q_{ij} = \frac{(1 + \|z_i-\mu_j\|^2/\nu)^{-(\nu+1)/2}}
              {\sum_{j'} (1 + \|z_i-\mu_{j'}\|^2/\nu)^{-(\nu+1)/2}}

    Parameters
    ----------
    Z : {array-like, sparse matrix} of shape (n_samples, n_features)
        Points, float32 or float64 (anything else is converted to float64).
    centers : array-like of shape (n_clusters, n_features)
        Centroids μ.
    dof : float, default=1.0
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.

    Returns
    -------
    Q : ndarray of shape (n_samples, n_clusters)
        Memberships in Z's dtype; every row sums to 1.

    Raises
    ------
    ValueError
        If an input is not finite or not 2-D, if ``centers`` has other columns than
        ``Z``, if ``dof`` is not positive, or if rows of a sparse ``Z`` are so far from
        zero that rounding leaves nothing of their distances.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016, equation 1.

    Examples
    --------
    >>> from skdec import soft_assignment
    >>> soft_assignment([[0.0], [1.0]], [[0.0], [1.0]])
    array([[0.66666667, 0.33333333],
           [0.33333333, 0.66666667]])
    """
    Z, centers, dtype = check_points(Z, centers, accept_sparse="csr")
    rows = scale_rows(Z, centers, 1.0)
    if sparse.issparse(Z):
        rows.check_precision(centers, "Z")
    with Threads() as threads:
        Q = memberships(rows, centers, dof, threads)
    return Q.astype(dtype, copy=False)


@validate_params(
    {
        "Q": ["array-like"],
        "balance": [BALANCE],
        "sample_weight": ["array-like", None],
    },
)
def target_distribution(
    Q: ArrayLike, *, balance: float = 1.0, sample_weight: ArrayLike | None = None
) -> FloatArray:
    r"""Sharpen soft assignments into DEC's target distribution.

    .. math:: p_{ij} = \frac{q_{ij}^2 / f_j^b}{\sum_{j'} q_{ij'}^2 / f_{j'}^b},
              \qquad f_j = \sum_i w_i q_{ij}

    Parameters
    ----------
    Q : array-like of shape (n_samples, n_clusters)
        Soft assignments; non-negative, rows sum to 1.
    balance : float, default=1.0
        Exponent b of the frequencies, not negative.  1.0 is the formula of the paper,
        which draws the sizes of the clusters together; 0.0 leaves f out.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights w of the rows in the frequencies f; 1 each by default.

    Returns
    -------
    P : ndarray of shape (n_samples, n_clusters)
        Targets in Q's dtype; rows sum to 1.  In a column with f_j = 0, where only rows
        of weight 0 have q > 0, these have p = 0 if they have q > 0 elsewhere too, and
        the balance is not 0.  (max f / f_j)^b is cut off at 1e305, in single precision
        at 1e30, which only a large balance comes to.

    Raises
    ------
    ValueError
        If Q is not a matrix of distributions, if ``balance`` is negative or not finite,
        or if a weight is negative or all are 0.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016, equation 3.

    Examples
    --------
    >>> from skdec import target_distribution
    >>> target_distribution([[0.75, 0.25], [0.25, 0.75]])
    array([[0.9, 0.1],
           [0.1, 0.9]])
    """
    Q = check_distribution(Q, "Q")
    # P does not depend on the scale of the weights
    weights = check_weights(sample_weight, Q)
    with Threads() as threads:
        return target(Q, frequencies(Q, weights.values), balance, threads)


@validate_params(
    {
        "P": ["array-like"],
        "Q": ["array-like"],
        "sample_weight": ["array-like", None],
    },
)
def kl_divergence(
    P: ArrayLike, Q: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
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
    weights = check_weights(sample_weight, P)
    weight = weights.values
    kl = 0.0
    for batch in gen_batches(len(P), ROWS_PER_LOGARITHM):
        rows = rel_entr(P[batch], Q[batch]).sum(axis=1, dtype=np.float64)
        if weight is None:
            kl += float(rows.sum())
        else:
            # a row without weight counts for nothing, whatever its divergence
            used = weight[batch] > 0
            kl += float(rows[used] @ weight[batch][used])
    return weights.restore(kl)


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
)
def clustering_loss(
    Z: ArrayLike,
    centers: ArrayLike,
    *,
    dof: float = 1.0,
    balance: float = 1.0,
    P: ArrayLike | None = None,
    through_target: bool = False,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, FloatArray, FloatArray]:
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
    weights = check_weights(sample_weight, Z)
    with Threads() as threads:
        Q = memberships(scale_rows(Z, centers, 1.0), centers, dof, threads)
        if P is None:
            f = frequencies(Q, weights.values)
            P = target(Q, f, balance, threads)
        else:
            if through_target:
                raise ValueError("through_target=True needs P=None; got a P as well")
            P = check_distribution(P, "P").astype(Z.dtype, copy=False)
            check_same_shape(P, Q)
        weight = weights.filled(len(Z)).astype(Z.dtype)
        R = residual(P, Q, weight)
        if through_target:
            R -= through_target_residual(P, Q, weight, f, balance)
        forces = clustering_forces(Z, centers, dof, P, R, weight, threads)
    # where p = q rounding may leave less than 0
    kl = weights.restore(max(forces.kl, 0.0))
    # the unit of the weights may lie outside single precision where a product does not
    gradients = (forces.grad_Z.astype(np.float64), forces.grad_centers)
    grad_Z, grad_centers = map(weights.restore, gradients)
    return kl, grad_Z.astype(dtype), grad_centers.astype(dtype)
