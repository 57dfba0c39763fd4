"""What a fitting loop asks of the divergence, for one row of the table each.

An objective holds the data and the form of q; its methods take the moving points and
return sums and gradients.  The loops that call them are in the estimators and in
``optimizers``.
"""

import numpy as np
from scipy.special import xlogy

from skdec.execution import block_size
from skdec.kernels import pairs


class ClusteringObjective:
    """KL(P‖Q) of weighted points to moving centroids, all in units of the bandwidth.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Points in the units of the data.
    weight : ndarray of shape (n_samples,)
        Weights, in Z's dtype.
    dof : float
        Degrees of freedom ν.
    frame : tuple of (ndarray of shape (n_features,), float)
        Origin and bandwidth h: centroids are given as (μ − origin)/h.
    threads : Threads
        Where blocks run.
    """

    def __init__(self, Z, weight, dof, frame, threads):
        self.Z, self.weight, self.threads = Z, weight, threads
        self.dof = Z.dtype.type(dof)
        self.frame = frame[0].astype(Z.dtype), Z.dtype.type(1 / frame[1])
        self.size = block_size(len(Z))
        self.n_blocks = -(-len(Z) // self.size)

    def frequencies(self, centers):
        """f_j = Σ_i w_i q_ij, and the evidence: the weighted mean of log Σ_j s_ij."""
        f = np.empty((self.n_blocks, len(centers)))
        evidence = np.empty(self.n_blocks)
        mu = centers.astype(self.Z.dtype)

        def task(start, stop):
            pairs.frequency_blocks(
                self.Z, self.weight, mu, self.frame, self.dof, self.size,
                start, stop, f, evidence,
            )  # fmt: skip

        self.threads.rows(task, self.n_blocks, len(self.Z) * len(centers))
        total = self.weight.sum(dtype=np.float64)
        return f.sum(axis=0), evidence.sum() / total

    def step(self, centers, anchors, f, *, divergence=False):
        """∂KL/∂μ, its curvature Σ_i w_i 2g_ij p_ij, labels argmax q, and KL or None.

        P is the target of Q at ``anchors``, whose frequencies are f, and is held fixed.
        """
        shape = (self.n_blocks, *centers.shape)
        kl = np.zeros(self.n_blocks if divergence else 0)
        sums = np.empty(shape), np.empty(shape[:2]), kl
        labels = np.empty(len(self.Z), np.int32)
        mu, anchor = centers.astype(self.Z.dtype), anchors.astype(self.Z.dtype)
        moved = not np.array_equal(mu, anchor)
        model = self.frame, self.dof, f.astype(self.Z.dtype), moved

        def task(start, stop):
            pairs.step_blocks(
                self.Z, self.weight, mu, anchor, model, self.size,
                start, stop, sums, labels,
            )  # fmt: skip

        self.threads.rows(task, self.n_blocks, len(self.Z) * len(centers))
        gradient, curvature = sums[0].sum(axis=0), sums[1].sum(axis=0)
        return gradient, curvature, labels, kl.sum() if divergence else None


class EmbeddingObjective:
    """KL(P‖Q) of an embedding, P joint and symmetric, q Student-t and joint.

    Parameters
    ----------
    P : ndarray of shape (n_samples, n_samples)
        Joint affinities in the dtype of the optimisation.
    dof : float
        Degrees of freedom ν.
    threads : Threads
        Where rows run.
    """

    def __init__(self, P, dof, threads):
        self.P, self.threads = P, threads
        self.dof = P.dtype.type(dof)
        self.mass = P.sum(dtype=np.float64)
        self.entropy_term = sum(xlogy(row, row).sum(dtype=np.float64) for row in P)

    def _rows(self, task):
        self.threads.rows(task, len(self.P), self.P.size)

    def gradient(self, Y, exaggeration=1.0):
        """∂KL(exaggeration · P‖Q)/∂Y for Y of (n_components, n_samples), and log Z."""
        attraction, repulsion = np.empty((2, *Y.shape), Y.dtype)
        Z, near = np.empty((2, Y.shape[1]), Y.dtype)
        nearest = Y.dtype.type(0)
        if len(Y) != 2 or self.dof != 1:
            self._rows(lambda start, stop: pairs.nearest_rows(Y, start, stop, near))
            nearest = near.min()
        self._rows(
            lambda start, stop: pairs.joint_rows(
                Y, self.P, nearest, self.dof, start, stop, attraction, repulsion, Z
            )
        )
        total = Z.sum(dtype=np.float64)
        if not 0 < total < np.inf:
            raise FloatingPointError("the points have moved out of range")
        attraction *= Y.dtype.type(2 * exaggeration)
        repulsion *= Y.dtype.type(2 / total)
        attraction -= repulsion
        return attraction, np.log(total) - pairs.energy(nearest, self.dof, False)

    def divergence(self, Y, log_Z):
        """KL(P‖Q) at Y: Σ p log p + Σ p_ij (−log s_ij) + log Z · Σ p."""
        energy = np.empty(Y.shape[1])
        self._rows(
            lambda start, stop: pairs.energy_rows(
                Y, self.P, self.dof, start, stop, energy
            )
        )
        return float(self.entropy_term + energy.sum() + log_Z * self.mass)


class PlacementObjective:
    """KL of each new point alone: its p over the fitted points, q per row.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, n_components)
        The fitted points, which stay where they are.
    P : ndarray of shape (n_new, n_samples)
        Conditional affinities of the new points, rows sum to 1.
    dof : float
        Degrees of freedom ν.
    threads : Threads
        Where rows run.
    """

    def __init__(self, embedding, P, dof, threads):
        self.Y = np.ascontiguousarray(embedding.T, dtype=np.float64)
        self.P, self.dof, self.threads = P, float(dof), threads

    def __call__(self, V, rows):
        """KL less Σ p log p, ∂KL/∂v and Σ_j 2g_j p_j of new points ``rows`` at V."""
        out = np.empty(len(rows)), np.empty(V.shape), np.empty(len(rows))
        self.threads.rows(
            lambda start, stop: pairs.placement_rows(
                V, rows, self.Y, self.P, self.dof, start, stop, out
            ),
            len(rows),
            len(rows) * self.P.shape[1],
        )
        return out
