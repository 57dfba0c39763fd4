"""What the loops of training share: when to stop, what they record, what collapsed."""

from dataclasses import dataclass, field

import numpy as np

from skdec.clustering._optimizers import CentroidDescent, StochasticDescent
from skdec.clustering._scaled_rows import Ball
from skdec.clustering._watch import Watch
from skdec.utils.progress import SILENT, Reports

# Centroids closer than this, in bandwidths, give memberships that cannot be told apart.
SAME_CENTROID = 1e-2

DIVERGED = (
    "the encoder's embedding is not finite: decrease the rates at which it learns"
)


@dataclass(frozen=True)
class Settings:
    """When targets are refreshed and when to stop; parameters of the estimator."""

    max_iter: int = 300
    tol: float = 1e-3
    update_interval: int | None = 1  # of an encoder, None: a pass
    batch_size: int | None = None
    reports: Reports = SILENT
    watch: Watch = field(default_factory=Watch)


@dataclass
class History:
    """One entry for each time that convergence was judged."""

    n_iter: list = field(default_factory=list)
    kl: list = field(default_factory=list)
    changed: list = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """Where a loop of self-training ended, in the units inside."""

    centers: np.ndarray
    ball: Ball  # where the centroids stayed
    descent: CentroidDescent | StochasticDescent  # with its velocity, to go on from
    n_iter: int
    n_steps: int
    converged: bool
    emptied: bool  # given up because clusters stayed without rows
    stopped: bool  # ended by who watches the fit
    history: History


def number_collapsed(centers, occupied):
    """Clusters without a row labelled with them, or on the centroid of another."""
    lost = occupied <= 0
    for j in range(1, len(centers)):
        distances = np.linalg.norm(centers[:j] - centers[j], axis=1)
        lost[j] |= distances.min() < SAME_CENTROID
    return int(lost.sum())
