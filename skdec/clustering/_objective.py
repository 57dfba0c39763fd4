"""KL(P‖Q) of rows to moving centroids, and the mixture that memberships stand for."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, gammaln

from skdec.clustering._memberships import inverse_frequencies
from skdec.kernels import clustering
from skdec.kernels import mixture as mixture_kernels
from skdec.kernels.types import StepModel, StepSums
from skdec.utils.threads import block_size

# So many dimensions of a matrix product cost as much as one similarity in the plane.
DIMENSIONS_PER_PAIR = 8

# Single precision could not show what clusters of a smaller share add to a density.
LEAST_SHARE = 1e-12
_NO_LABELS = np.empty(0, np.int32)


@dataclass(frozen=True)
class Sums:
    """Sums over the rows that a step is taken by; all in units of the bandwidth."""

    gradient: np.ndarray  # ∂KL/∂μ of (n_clusters, n_features)
    curvature: np.ndarray  # Σ_i w_i 2g_ij p_ij
    repulsion: np.ndarray  # Σ_i w_i 2g_ij q_ij
    frequencies: np.ndarray  # f_j = Σ_i w_i q_ij
    occupied: np.ndarray  # Σ_i w_i of the rows labelled j
    changed: float  # Σ_i w_i of the rows whose label changed
    kl: float  # KL(P‖Q) at the anchors, NaN unless asked for
    weight: float  # Σ_i w_i

    @classmethod
    def added(cls, parts):
        """The sums over the rows of several parts."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: sum(getattr(p, name) for p in parts) for name in names})


class Mixture(NamedTuple):
    """Student-t distributions around the means of the clusters, by their weights."""

    means: np.ndarray  # m_j = Σ_i w_i q_ij z_i / f_j, of (n_clusters, n_features)
    frequencies: np.ndarray  # f_j = Σ_i w_i q_ij


class ClusteringObjective:
    """KL(P‖Q) of weighted points to moving centroids, all in units of the bandwidth.

    Parameters
    ----------
    rows : DenseScaledRows, ProductScaledRows or SparseScaledRows
        The points.
    weights : Weights
        Their weights.
    dof : float
        Degrees of freedom ν.
    threads : Threads
        Where blocks run.
    balance : float, default=1.0
        Exponent b of the frequencies in the target.
    """

    def __init__(self, rows, weights, dof, threads, balance=1.0):
        self.rows, self.threads = rows, threads
        self.dof, self.balance = dof, balance
        self.weights = weights
        self.weight = weights.filled(rows.shape[0]).astype(rows.dtype, copy=False)
        self.total = float(self.weight.sum(dtype=np.float64))
        self.n_rows = np.count_nonzero(self.weight > 0)  # that count

    def unlabelled(self):
        """Labels of rows that have none yet, to be given to ``sums``."""
        return np.full(len(self.weight), -1, np.int32)

    def ball(self):
        """The ball that holds all rows of positive weight."""
        return self.rows.ball(self.weight)

    def take(self, chosen):
        """The objective of some of the rows."""
        rows, weights = self.rows.take(chosen), self.weights
        weights = weights._replace(values=self.weight[chosen])
        return ClusteringObjective(rows, weights, self.dof, self.threads, self.balance)

    def sums(self, centers, anchors, f, *, labels=None, judged=False):
        """The sums of a step at ``centers``.

        P is the target of Q at ``anchors`` with the frequencies f, and is held fixed.
        ``labels`` is updated in place to argmax q; with ``judged`` KL at the anchors is
        computed too.
        """
        rows, k = self.rows, len(centers)
        size, n_blocks = self._partition(centers)
        moved = anchors is not centers and not np.array_equal(anchors, centers)
        model = StepModel(
            dof=rows.dtype.type(self.dof),
            inverse=inverse_frequencies(f, self.balance, rows.dtype),
            moved=moved,
            judged=judged,
        )
        blocks = StepSums(
            np.zeros((n_blocks, *rows.force_shape(centers))),
            *np.zeros((4, n_blocks, k)),
            *np.zeros((2, n_blocks)),
        )
        here = rows.kernel_centers(centers)
        there = rows.kernel_centers(anchors) if moved else here
        kernel_rows, labels = rows.kernel_rows, _NO_LABELS if labels is None else labels

        def task(start, stop):
            clustering.step_blocks(
                kernel_rows,
                self.weight,
                here,
                there,
                model,
                size,
                start,
                stop,
                blocks,
                labels,
            )

        self.threads.run_ranges(task, n_blocks, self._work(k))
        curvature, residual = blocks.curvature.sum(axis=0), blocks.residual.sum(axis=0)
        return Sums(
            gradient=rows.forces(blocks.forces.sum(axis=0), residual, centers),
            curvature=curvature,
            repulsion=curvature - residual,
            frequencies=blocks.frequencies.sum(axis=0),
            occupied=blocks.occupied.sum(axis=0),
            changed=float(sum(blocks.changed)),
            kl=float(sum(blocks.kl)) if judged else np.nan,
            weight=self.total,
        )

    def frequencies(self, centers):
        """f_j = Σ_i w_i q_ij."""
        return self.sums(centers, centers, np.ones(len(centers))).frequencies

    def mixture(self, centers):
        """The mixture that memberships at ``centers`` stand for.

        A cluster without any membership has its centroid for a mean.
        """
        rows, k = self.rows, len(centers)
        size, n_blocks = self._partition(centers)
        forces = np.zeros((n_blocks, *rows.force_shape(centers)))
        frequencies = np.zeros((n_blocks, k))
        kernel_rows, points = rows.kernel_rows, rows.kernel_centers(centers)
        nu, w = rows.dtype.type(self.dof), self.weight

        def task(start, stop):
            mixture_kernels.mean_blocks(
                kernel_rows, w, points, nu, size, start, stop, forces, frequencies
            )

        self.threads.run_ranges(task, n_blocks, self._work(k))
        f = frequencies.sum(axis=0)
        off = rows.forces(forces.sum(axis=0), f, centers)
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
        sums, mass = self.rows.cluster_sums(weight, labels, len(centers))
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
        n_features, dof = self.rows.shape[1], self.dof + self.rows.shape[1] - 1
        shares = components.frequencies / components.frequencies.sum()
        some = shares > LEAST_SHARE
        shares = (shares[some] / shares[some].sum()).astype(self.rows.dtype)
        factor = np.sqrt(dof / self.dof)
        rows = self.rows.rescaled(factor)
        points = rows.kernel_centers(components.means[some] * factor)
        out, nu = np.empty(len(self.weight)), rows.dtype.type(dof)
        kernel_rows = rows.kernel_rows

        def task(start, stop):
            mixture_kernels.density_rows(
                kernel_rows, points, shares, nu, start, stop, out
            )

        self.threads.run_ranges(task, len(out), self._work(len(shares)))
        # Γ((ν+d)/2) / Γ(ν/2), without the difference of two large numbers
        log_ratio = gammaln(n_features / 2) - betaln(self.dof / 2, n_features / 2)
        log_radius = 0.5 * np.log(np.pi * self.dof)
        volume = n_features * (log_radius + self.rows.log_bandwidth)
        return out + (log_ratio - volume)

    def evidence(self, components):
        """Weighted mean of the log density."""
        density = self.log_density(components)
        return float(self.weight.astype(np.float64) @ density) / self.total

    def nearest(self, centers):
        """Label of the nearest centroid and D to it, of each row."""
        rows, n = self.rows, len(self.weight)
        points, kernel_rows = rows.kernel_centers(centers), rows.kernel_rows
        labels, distances = np.empty(n, np.int32), np.empty(n, rows.dtype)

        def task(start, stop):
            mixture_kernels.nearest_rows(
                kernel_rows, points, start, stop, labels, distances
            )

        self.threads.run_ranges(task, n, self._work(len(centers)))
        return labels, distances

    def _work(self, k):
        """The work of a step in evaluations of a pair in the plane."""
        n_features = self.rows.shape[1]
        return int(len(self.weight) * k * max(1, n_features / DIMENSIONS_PER_PAIR))

    def _partition(self, centers):
        """Rows per block of partial sums, and how many blocks there are."""
        size = block_size(len(self.weight), centers.size)
        return size, -(-len(self.weight) // size)
