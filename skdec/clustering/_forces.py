"""KL(P‖Q) and its gradients in z and μ, at given residuals."""

from typing import NamedTuple

import numpy as np
from scipy.special import rel_entr

from skdec.kernels import clustering
from skdec.kernels.types import LossSums, read_only
from skdec.utils.threads import block_size


class Forces(NamedTuple):
    """KL(P‖Q) and where it pulls."""

    kl: float
    grad_Z: np.ndarray
    grad_centers: np.ndarray


def residual(P, Q, weight):
    """w_i (p_ij − q_ij), by which each centroid pulls at each row."""
    return weight[:, None] * (P - Q)


def through_target_residual(P, Q, weight, f, balance):
    """What the residual w(p − q) loses when P follows Q: docs/gradients.md, part 3.

    With a_ij = w_i log(p_ij/q_ij), b_ij = p_ij (a_ij − Σ_j' p_ij' a_ij') and
    B_j = balance Σ_i b_ij / f_j, it is 2 b_ij − w_i q_ij (B_j − Σ_j' q_ij' B_j').
    """
    pa = rel_entr(P, Q)
    b = weight[:, None] * (pa - P * pa.sum(axis=1, keepdims=True))
    B = balance * np.divide(b.sum(axis=0), f, out=np.zeros_like(f), where=f > 0)
    return 2 * b - weight[:, None] * Q * (B - (Q @ B)[:, None])


def clustering_forces(Z, centers, dof, P, R, weight, threads):
    """KL(P‖Q), ∂KL/∂Z and ∂KL/∂μ from P, the residual R = w(p − q), and w."""
    size = block_size(len(Z))
    n_blocks = -(-len(Z) // size)
    out = LossSums(
        np.empty_like(Z), np.zeros((n_blocks, *centers.shape)), np.zeros(n_blocks)
    )
    Z, P, R = read_only(Z), read_only(P), read_only(R)
    nu = Z.dtype.type(dof)

    def task(start, stop):
        clustering.loss_blocks(Z, centers, nu, P, R, weight, size, start, stop, out)

    threads.run_ranges(task, n_blocks, R.size)
    return Forces(float(out.kl.sum()), out.grad_Z, out.grad_centers.sum(axis=0))
