"""KL(P‖Q) and its gradients in z and μ, at given residuals."""

import numpy as np
from scipy.special import rel_entr

from skdec.kernels import clustering
from skdec.utils.threads import block_size


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
