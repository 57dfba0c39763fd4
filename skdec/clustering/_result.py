"""What a clustering ended with, in the units of X: the source of all attributes."""

from dataclasses import dataclass, replace

import numpy as np

from skdec.clustering._training import History


@dataclass(frozen=True)
class ClusteringResult:
    """Where a fit, the training of an encoder, or a stream has come to."""

    centers: np.ndarray  # μ_j, float64
    means: np.ndarray  # Σ_i w_i q_ij z_i / f_j, float64
    frequencies: np.ndarray  # f_j = Σ_i w_i q_ij
    occupied: np.ndarray  # Σ_i w_i of the rows labelled j
    kl: float  # KL(P‖Q) in nats, a weighted sum
    evidence: float  # mean log density of the rows
    n_iter: int
    n_steps: int
    n_reseeds: int
    converged: bool
    start_kept: bool  # self-training found nothing better than its start
    history: History

    @classmethod
    def of(cls, objective, centers, progress, **counts):
        """All rows measured at some centroids.

        ``progress`` has n_iter, n_steps and history, of which the divergences are in
        the unit of the weights.
        """
        mixture = objective.mixture(centers)
        sums = objective.sums(centers, centers, mixture.frequencies, judged=True)
        history, restore = progress.history, objective.weights.restore
        return cls(
            centers=objective.rows.to_original(centers),
            means=objective.rows.to_original(mixture.means),
            frequencies=restore(mixture.frequencies),
            occupied=restore(sums.occupied),
            # below 0 by rounding where p = q
            kl=restore(max(sums.kl, 0.0)),
            evidence=objective.evidence(mixture),
            n_iter=progress.n_iter,
            n_steps=progress.n_steps,
            history=replace(history, kl=[restore(max(kl, 0.0)) for kl in history.kl]),
            **counts,
        )

    def kept_after(self, other):
        """This result of a start, with the way of a training that led nowhere."""
        return replace(
            self,
            n_iter=other.n_iter,
            n_steps=other.n_steps,
            history=other.history,
            converged=False,
            start_kept=True,
        )

    def numbered(self, order):
        """The same with its clusters in another order."""
        columns = ("centers", "means", "frequencies", "occupied")
        return replace(self, **{name: getattr(self, name)[order] for name in columns})
