"""What a fitting loop asks of the divergence, for one row of the table each.

An objective holds the data and the form of q; its methods take the moving points and
return sums and gradients.  The loops that call them are in the estimators and in
``optimizers``.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import betaln, gammaln

from skdec.execution import block_size
from skdec.kernels import clustering, embedding
from skdec.kernels import mixture as mixture_kernels
from skdec.targets import inverse_frequencies

# Blocks whose forces are collected apart and added in order: enough to share among
# threads, few enough that adding them up costs little.
MAX_SLOTS = 32
MIN_SLOT_ROWS = 128

# Up to here D^(−5/2), the smallest power in the fused loops, does not vanish.  The maps
# of a descent stay far below.
LARGEST_FUSED = {np.dtype(np.float32): 1e7, np.dtype(np.float64): 1e58}

# Dimensions of a product that cost as much as a similarity in the plane.
DIMENSIONS_PER_PAIR = 8

# Clusters of a smaller share add nothing to a density that single precision could show.
LEAST_SHARE = 1e-12

_NO_LABELS = np.empty(0, np.int32)


@dataclass
class Step:
    """Sums over the rows that a step is taken by; all in units of the bandwidth."""

    gradient: np.ndarray  # ∂KL/∂μ of (n_clusters, n_features)
    curvature: np.ndarray  # Σ_i w_i 2g_ij p_ij
    repulsion: np.ndarray  # Σ_i w_i 2g_ij q_ij
    frequencies: np.ndarray  # f_j = Σ_i w_i q_ij
    occupied: np.ndarray  # Σ_i w_i of the rows labelled j
    changed: float  # Σ_i w_i of the rows whose label changed
    kl: float  # KL(P‖Q) at the anchors, NaN unless asked for
    weight: float  # Σ_i w_i


class Mixture(NamedTuple):
    """Student-t distributions around the means of the clusters, by their weights."""

    means: np.ndarray  # m_j = Σ_i w_i q_ij z_i / f_j, of (n_clusters, n_features)
    frequencies: np.ndarray  # f_j = Σ_i w_i q_ij


class ClusteringObjective:
    """KL(P‖Q) of weighted points to moving centroids, all in units of the bandwidth.

    Parameters
    ----------
    frame : Frame
        The points.
    weight : ndarray of shape (n_samples,)
        Weights, in the frame's dtype.
    dof : float
        Degrees of freedom ν.
    threads : Threads
        Where blocks run.
    balance : float, default=1.0
        Exponent b of the frequencies in the target.
    """

    def __init__(self, frame, weight, dof, threads, balance=1.0):
        self.frame, self.weight, self.threads = frame, weight, threads
        self.dof, self.balance = dof, balance
        self.total = float(weight.sum(dtype=np.float64))

    def take(self, rows):
        """The objective of some of the rows."""
        frame, weight = self.frame.take(rows), self.weight[rows]
        return ClusteringObjective(frame, weight, self.dof, self.threads, self.balance)

    def step(self, centers, anchors, f, *, labels=None, judged=False):
        """The sums of a step at ``centers``.

        P is the target of Q at ``anchors`` with the frequencies f, and is held fixed.
        ``labels`` is updated in place to argmax q; with ``judged`` KL at the anchors is
        computed too.
        """
        frame, k = self.frame, len(centers)
        size, n_blocks = self._partition(centers)
        sums = (
            np.zeros((n_blocks, *frame.force_shape(centers))),
            np.zeros((n_blocks, 4, k)),
            np.zeros((n_blocks, 2)),
        )
        inverse = inverse_frequencies(f, self.balance, frame.dtype)
        moved = anchors is not centers and not np.array_equal(anchors, centers)
        here = frame.points(centers)
        points = here, frame.points(anchors) if moved else here
        model = frame.dtype.type(self.dof), inverse, moved, judged
        rows, labels = frame.rows, _NO_LABELS if labels is None else labels

        def task(start, stop):
            clustering.step_blocks(
                rows, self.weight, points, model, size, start, stop, sums, labels
            )

        self.threads.rows(task, n_blocks, self._work(k))
        forces, columns, scalars = (part.sum(axis=0) for part in sums)
        curvature, frequencies, residual, occupied = columns
        return Step(
            gradient=frame.forces(forces, residual, centers),
            curvature=curvature,
            repulsion=curvature - residual,
            frequencies=frequencies,
            occupied=occupied,
            changed=float(scalars[0]),
            kl=float(scalars[1]) if judged else np.nan,
            weight=self.total,
        )

    def frequencies(self, centers):
        """f_j = Σ_i w_i q_ij."""
        return self.step(centers, centers, np.ones(len(centers))).frequencies

    def mixture(self, centers):
        """The mixture that memberships at ``centers`` stand for.

        A cluster without any membership has its centroid for a mean.
        """
        frame, k = self.frame, len(centers)
        size, n_blocks = self._partition(centers)
        forces = np.zeros((n_blocks, *frame.force_shape(centers)))
        frequencies = np.zeros((n_blocks, k))
        points, rows, nu = frame.points(centers), frame.rows, frame.dtype.type(self.dof)

        def task(start, stop):
            mixture_kernels.mean_blocks(
                rows, self.weight, points, nu, size, start, stop, forces, frequencies
            )

        self.threads.rows(task, n_blocks, self._work(k))
        f = frequencies.sum(axis=0)
        off = frame.forces(forces.sum(axis=0), f, centers)
        off = np.divide(off, f[:, None], out=np.zeros_like(off), where=f[:, None] > 0)
        return Mixture(centers - off, f)

    def labelled_mixture(self, centers, labels=None):
        """The mixture of the rows that are labelled with each cluster.

        Where memberships are nearly even, their means are all next to the mean of all
        rows, and tell nothing of the labels.  The labels are those of the centroids; a
        cluster without rows has its centroid for a mean.
        """
        if labels is None:
            labels, _ = self.nearest(centers)
        weight = self.weight.astype(np.float64)
        where = labels, np.arange(len(labels))
        members = sparse.csr_matrix((weight, where), (len(centers), len(labels)))
        mass = np.asarray(members.sum(axis=1)).reshape(-1)
        sums = self.frame.sums_of(members, mass)
        means = np.divide(
            sums, mass[:, None], out=centers.copy(), where=mass[:, None] > 0
        )
        return Mixture(means, mass)

    def log_density(self, components):
        """log Σ_j π_j t(z_i; m_j, h, ν) of each row, float64; π_j = f_j / Σ_j f_j.

        t is the Student-t density in d dimensions with ν degrees of freedom and the
        bandwidth h as its scale (Peel & McLachlan 2000, equation 2), so that this is
        the log density of X in nats, in its own units.
        """
        n_features, dof = self.frame.shape[1], self.dof + self.frame.shape[1] - 1
        shares = components.frequencies / components.frequencies.sum()
        some = shares > LEAST_SHARE
        shares = (shares[some] / shares[some].sum()).astype(self.frame.dtype)
        factor = np.sqrt(dof / self.dof)
        frame = self.frame.scaled(factor)
        points, rows = frame.points(components.means[some] * factor), frame.rows
        out, nu = np.empty(len(self.weight)), frame.dtype.type(dof)

        def task(start, stop):
            mixture_kernels.density_rows(rows, points, shares, nu, start, stop, out)

        self.threads.rows(task, len(out), self._work(len(shares)))
        # Γ((ν+d)/2) / Γ(ν/2), without the difference of two large numbers
        log_ratio = gammaln(n_features / 2) - betaln(self.dof / 2, n_features / 2)
        log_scale = np.log(self.frame.h) + np.log(self.frame.unit)
        volume = n_features * (0.5 * np.log(np.pi * self.dof) + log_scale)
        return out + (log_ratio - volume)

    def evidence(self, components):
        """Weighted mean of the log density."""
        density = self.log_density(components)
        return float(self.weight.astype(np.float64) @ density) / self.total

    def nearest(self, centers):
        """Label of the nearest centroid and D to it, of each row."""
        frame, n = self.frame, len(self.weight)
        points, rows = frame.points(centers), frame.rows
        labels, distances = np.empty(n, np.int32), np.empty(n, frame.dtype)
        like = np.empty(len(centers), frame.dtype)

        def task(start, stop):
            mixture_kernels.nearest_rows(
                rows, points, like, start, stop, labels, distances
            )

        self.threads.rows(task, n, self._work(len(centers)))
        return labels, distances

    def _work(self, k):
        """The work of a step in evaluations of a pair in the plane."""
        n_features = self.frame.shape[1]
        return int(len(self.weight) * k * max(1, n_features / DIMENSIONS_PER_PAIR))

    def _partition(self, centers):
        """Rows per block of partial sums, and how many blocks there are."""
        size = block_size(len(self.weight), centers.size)
        return size, -(-len(self.weight) // size)


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
    fused : bool, default=True
        Whether the loops may be used in which D^(−5/2) must not vanish.
    """

    def __init__(self, affinities, q_form, threads, *, fused=True):
        self.affinities, self.threads, self.fused = affinities, threads, fused
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
        if self.gaussian or not self.joint or not self.fused:
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
