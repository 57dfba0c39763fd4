"""What a fitting loop asks of the divergence, for one row of the table each.

An objective holds the data and the form of q; its methods take the moving points and
return sums and gradients.  The loops that call them are in the estimators and in
``optimizers``.
"""

import numpy as np
from scipy import sparse

from skdec.execution import block_size
from skdec.kernels import clustering, embedding

# Blocks whose forces are collected apart and added in order: enough to share among
# threads, few enough that adding them up costs little.
MAX_SLOTS = 32
MIN_SLOT_ROWS = 128


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
            clustering.frequency_blocks(
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
            clustering.step_blocks(
                self.Z, self.weight, mu, anchor, model, self.size,
                start, stop, sums, labels,
            )  # fmt: skip

        self.threads.rows(task, self.n_blocks, len(self.Z) * len(centers))
        gradient, curvature = sums[0].sum(axis=0), sums[1].sum(axis=0)
        return gradient, curvature, labels, kl.sum() if divergence else None


class EmbeddingObjective:
    """KL(P‖Q) of an embedding: every row of the table whose reference is X itself.

    Parameters
    ----------
    affinities : Affinities
        The symmetric P, in the dtype of the optimisation.
    q_form : tuple of (float, bool, bool)
        Degrees of freedom ν; whether the kernel is Gaussian instead of Student-t;
        whether q is normalised jointly instead of per row.
    threads : Threads
        Where rows run.
    """

    def __init__(self, affinities, q_form, threads):
        self.affinities, self.threads = affinities, threads
        P, n = affinities.P, affinities.n_samples
        dof, self.gaussian, self.joint = q_form
        self.dof = P.dtype.type(dof)
        self.graph = None
        if sparse.issparse(P):
            self.graph = P.data, P.indices, P.indptr
            P = np.empty((n, 0), P.dtype)
        self.P, self.n_samples = P, n
        # blocks even in number, for two threads, and in rows, which go by twos
        n_blocks = MAX_SLOTS
        while n_blocks > 1 and n < n_blocks * MIN_SLOT_ROWS:
            n_blocks //= 2
        self.size = 2 * -(-n // (2 * n_blocks))
        self.n_blocks = -(-n // self.size)
        self._slots = None

    def _rows(self, task, n_rows=None):
        n = self.n_samples
        self.threads.rows(task, n if n_rows is None else n_rows, n * n // 2)

    def gradient(self, Y, exaggeration=1.0):
        """∂KL(exaggeration · P‖Q)/∂Y for Y of (n_components, n_samples).

        Returns it with log Σ s: one number, or one for each row under conditional
        normalisation.
        """
        near, inverse, log_Z = self._normaliser(Y)
        gradient = np.empty_like(Y)
        if self.graph is not None:
            self._rows(
                lambda start, stop: embedding.graph_rows(
                    Y, self.graph, self.dof, self.gaussian, start, stop, gradient
                )
            )
        slots, Z = self._forces(Y, near, inverse)
        share = 2.0
        if self.joint:
            total = 2 * Z.sum(dtype=np.float64)
            self._check(total, total)
            share /= total
            log_Z = np.log(total) - self._energy(float(near[0]))
        factors = Y.dtype.type(share), Y.dtype.type(2 * exaggeration)
        embedding.fold(slots, self.size, factors, gradient)
        return gradient, log_Z

    def _fused(self, Y):
        """Whether a fused loop takes this: it sets D° = 0 and needs no first pass."""
        if self.gaussian or not self.joint:
            return False
        return (len(Y), self.dof) in {(2, 1), (3, 1), (3, 2)}

    def _normaliser(self, Y):
        """D° and, for the conditional, 1/Z and log Σ s of each row."""
        near, Z = np.zeros((2, self.n_samples), Y.dtype)
        if self._fused(Y):
            return near, Z[:0], None
        self._rows(lambda start, stop: embedding.nearest_rows(Y, start, stop, near))
        if self.joint:
            near[:] = near.min()
            return np.concatenate([near, near]), Z[:0], None
        form = self.dof, self.gaussian
        self._rows(
            lambda start, stop: embedding.normaliser_rows(Y, near, form, start, stop, Z)
        )
        self._check(Z.min(), Z.max())
        log_Z = np.log(Z.astype(np.float64)) - self._energy(near.astype(np.float64))
        return np.concatenate([near, near]), np.concatenate([1 / Z, 1 / Z]), log_Z

    def _forces(self, Y, near, inverse):
        """The slots with R and, of a dense P, A; and Z of each row under joint."""
        n, c, size = self.n_samples, len(Y), self.size
        shape = self.n_blocks, c if self.graph is not None else 2 * c, size + n // 2
        if self._slots is None or self._slots.shape != shape:
            self._slots = np.empty(shape, Y.dtype)
        twice, slots = np.concatenate([Y, Y], axis=1), self._slots
        Z = np.empty(n, Y.dtype)
        form = self.dof if self._fused(Y) else (self.dof, self.gaussian, near, inverse)
        kernel = embedding.force_blocks
        if self._fused(Y):
            kernel = embedding.plane_blocks if c == 2 else embedding.space_blocks
        self._rows(
            lambda start, stop: kernel(
                twice, self.P, form, size, start, stop, slots, Z
            ),
            self.n_blocks,
        )
        return slots, Z

    def _energy(self, D):
        """−log s."""
        if self.gaussian:
            return D
        return (float(self.dof) + 1) / 2 * np.log1p(D / float(self.dof))

    @staticmethod
    def _check(least, largest):
        if not 0 < least <= largest < np.inf:
            raise FloatingPointError("the points have moved out of range")

    def divergence(self, Y, log_Z):
        """KL(P‖Q) at Y: Σ p log p + Σ p_ij (−log s_ij) + Σ_i log Z_i · Σ_j p_ij."""
        energy, P = np.empty(self.n_samples), self.affinities
        if self.graph is None:
            twice = np.concatenate([Y, Y], axis=1)
            self._rows(
                lambda start, stop: embedding.energy_rows(
                    twice, self.P, self.dof, self.gaussian, start, stop, energy
                )
            )
            energy *= 2
        else:
            self._rows(
                lambda start, stop: embedding.graph_energy_rows(
                    Y, self.graph, self.dof, self.gaussian, start, stop, energy
                )
            )
        return float(P.negentropy + energy.sum() + np.sum(log_Z * P.mass))


class PlacementObjective:
    """KL of each new point alone: its p over the fitted points, q per row.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_components)
        The fitted points, which stay where they are.
    P : ndarray of shape (n_new, n_samples)
        Conditional affinities of the new points, rows sum to 1.
    q_form : tuple of (float, bool)
        Degrees of freedom ν; whether the kernel is Gaussian instead of Student-t.
    threads : Threads
        Where rows run.
    """

    def __init__(self, points, P, q_form, threads):
        self.Y = np.ascontiguousarray(points.T, dtype=np.float64)
        self.P, self.threads = P, threads
        self.q_form = float(q_form[0]), q_form[1]

    def __call__(self, V, rows):
        """KL less Σ p log p, ∂KL/∂v and Σ_j 2g_j p_j of new points ``rows`` at V."""
        out = np.empty(len(rows)), np.empty(V.shape), np.empty(len(rows))
        self.threads.rows(
            lambda start, stop: embedding.placement_rows(
                V, rows, self.Y, self.P, self.q_form, start, stop, out
            ),
            len(rows),
            len(rows) * self.P.shape[1],
        )
        return out
