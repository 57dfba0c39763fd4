"""What partial_fit keeps between two batches."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from skdec.clustering._fixed_embedding import PLAINLY
from skdec.clustering._optimizers import StochasticDescent
from skdec.clustering._result import ClusteringResult
from skdec.clustering._scaled_rows import Ball
from skdec.clustering._self_training import SelfTraining
from skdec.clustering._training import History
from skdec.utils.numbers import in_one_unit
from skdec.utils.weights import Weights

# A stream is fitted as a whole whenever it has grown by this factor, until it has more
# stored numbers than the first.  After that a batch has at least the last share in
# running means.
KEPT_ENTRIES, GROWTH, LEAST_SHARE = 2**18, 1.25, 0.02

# Rows are new to the stream if they lie beyond so many radii of those before; a warning
# tells of them if they make up this share of a batch.
FAR, FAR_SHARE = 1.5, 0.01


@dataclass(frozen=True)
class Batch:
    """Rows, validated, with their weights."""

    X: Any
    weights: Weights

    @property
    def n_stored(self):
        """How many numbers the rows take."""
        return self.X.nnz if sparse.issparse(self.X) else self.X.size


@dataclass(frozen=True)
class Clusters:
    """Where clusters are and how large, in the units of X; f per unit of weight."""

    centers: np.ndarray
    anchors: np.ndarray
    target: np.ndarray  # f of the target
    frequencies: np.ndarray
    means: np.ndarray

    def numbered(self, order):
        """The same in another order."""
        return Clusters(*(getattr(self, each.name)[order] for each in fields(self)))


@dataclass(frozen=True)
class Stream:
    """The state of a clustering that goes on; all positions in the units of X."""

    kept: list | None = field(default_factory=list)  # batches, while few have come
    n_fitted: int = 0  # rows in the last fit of all that is kept
    seen: float = 0.0  # total weight so far
    start: Clusters | None = None  # those of the last fit
    now: Clusters | None = None
    ball: Ball | None = None
    descent: StochasticDescent = field(default_factory=StochasticDescent)
    n_iter: int = 0
    n_steps: int = 0
    n_reseeds: int = 0
    evidence: float = -np.inf  # running mean over all rows
    # running means of how much more evidence it has than the start on the same rows: by
    # the mixture that memberships stand for, and by that of the labels alone
    gain: float = 0.0
    label_gain: float = 0.0
    converged: bool = False
    start_kept: bool = False
    history: History = field(default_factory=History)
    strayed: bool = False  # rows have come from far outside those before
    small: bool = False  # a batch of few rows has been followed
    flawed: bool = False  # the last fit of what is kept lost clusters, or did harm

    def with_batch(self, batch):
        """The stream with a batch kept while few have come; whether to fit it all."""
        if self.kept is None:
            return self, False
        if sum(b.n_stored for b in self.kept) + batch.n_stored > KEPT_ENTRIES:
            return replace(self, kept=None), False
        # copied, because a stream may reuse its buffer
        kept = [*self.kept, replace(batch, X=batch.X.copy())]
        n_kept = sum(b.X.shape[0] for b in kept)
        due = n_kept >= GROWTH * self.n_fitted
        n_fitted = n_kept if due else self.n_fitted
        return replace(self, kept=kept, n_fitted=n_fitted), due

    def follow(self, objective, settings, loss_allowed):
        """One step on the rows of a batch; the stream after it.

        It goes back to its start if that has explained the rows better, by more than
        ``loss_allowed`` nats a row in the running mean, or its labels have plainly.
        """
        rows, total = objective.rows, objective.weights.restore(objective.total)
        seen = self.seen + total
        share = max(total / seen, LEAST_SHARE)
        ball, strayed = self._widened(objective)
        held = rows.ball_to_internal(ball)
        run = self._step(objective, settings, held, share)
        mixture = objective.mixture(run.centers)
        start = rows.to_internal(self.start.centers)
        before = rows.to_internal(self.now.centers)
        shift = np.sqrt(np.mean((run.centers - before) ** 2))
        own = objective.evidence(mixture)
        gain = own - objective.evidence(objective.mixture(start))
        now, then = (
            objective.evidence(objective.labelled_mixture(centers))
            for centers in (run.centers, start)
        )
        stream = replace(
            self,
            seen=seen,
            now=self._moved(objective, run, mixture, share),
            ball=ball,
            descent=run.descent.in_unit(1 / objective.weights.unit),
            n_iter=self.n_iter + 1,
            n_steps=run.n_steps,
            evidence=_running(self.evidence, own, share),
            gain=_running(self.gain, gain, share),
            label_gain=_running(self.label_gain, now - then, share),
            converged=bool(shift <= settings.tol),
            start_kept=False,
            strayed=strayed,
        )
        if stream.gain < -loss_allowed or stream.label_gain < -PLAINLY:
            return stream.back_at_start()
        return stream

    def _step(self, objective, settings, ball, share):
        """The clusters on their way, a step further."""
        rows, now = objective.rows, self.now
        centers = rows.to_internal(now.centers)
        descent = self.descent.in_unit(objective.weights.unit)
        run = SelfTraining(centers, descent, settings, ball, None)
        run.anchors, run.n_steps = rows.to_internal(now.anchors), self.n_steps
        run.frequencies, run.target = now.frequencies, now.target
        run.step(objective, share=None if share == 1 else share)
        return run

    def _moved(self, objective, run, mixture, share):
        """Where a step has brought the clusters.

        The means are of all rows so far: those of the batch by their weight in f.
        """
        rows, now = objective.rows, self.now
        added = share * mixture.frequencies / objective.total
        mass = (1 - share) * now.frequencies + added
        rate = np.divide(added, mass, out=np.zeros_like(mass), where=mass > 0)
        off = rows.to_original(mixture.means) - now.means
        return Clusters(
            centers=rows.to_original(run.centers),
            anchors=rows.to_original(run.anchors),
            target=run.target,
            frequencies=run.frequencies,
            means=now.means + rate[:, None] * off,
        )

    def back_at_start(self):
        """The stream as it goes on from the clusters of its last fit."""
        return replace(
            self,
            now=self.start,
            evidence=self.evidence - self.gain,
            gain=0.0,
            label_gain=0.0,
            converged=False,
            start_kept=True,
        )

    def numbered(self, order):
        """The stream just after a fit, with its clusters in another order."""
        clusters, descent = self.now.numbered(order), self.descent.numbered(order)
        return replace(self, start=clusters, now=clusters, descent=descent)

    def result(self, objective):
        """Where the stream has come to; KL is that of the batch."""
        now, restore = self.now, objective.weights.restore
        centers = objective.rows.to_internal(now.centers)
        sums = objective.sums(centers, centers, now.frequencies, judged=True)
        return ClusteringResult(
            centers=now.centers,
            means=now.means,
            frequencies=now.frequencies * self.seen,
            occupied=restore(sums.occupied),
            kl=restore(max(sums.kl, 0.0)),
            evidence=self.evidence,
            n_iter=self.n_iter,
            n_steps=self.n_steps,
            n_reseeds=self.n_reseeds,
            converged=self.converged,
            start_kept=self.start_kept,
            history=self.history,
        )

    def _widened(self, objective):
        """The ball of all rows so far, and whether rows have strayed far from it."""
        distances = objective.rows.original_distances(self.ball.center)
        weight, radius = objective.weight.astype(np.float64), self.ball.radius
        far = weight[distances > FAR * radius].sum() / objective.total
        largest = distances[weight > 0].max(initial=radius)
        return Ball(self.ball.center, float(largest)), self.strayed or far > FAR_SHARE


def check_number(stream, n_clusters):
    """Raise unless a stream that goes on has as many clusters as are asked for."""
    if len(stream.now.centers) != n_clusters:
        raise ValueError(
            f"n_clusters ({n_clusters}) must stay what it was in the calls of fit or "
            f"partial_fit before, {len(stream.now.centers)}: fit anew, or clone the "
            "estimator"
        )


def joined(batches):
    """Batches as one, their weights in one unit."""
    weights = Weights.joined([(b.weights, b.X.shape[0]) for b in batches])
    parts = [batch.X for batch in batches]
    if any(map(sparse.issparse, parts)):
        rows = sparse.vstack([sparse.csr_matrix(part) for part in parts], format="csr")
    else:
        rows = np.concatenate(parts)
    return Batch(rows, weights)


def after_fit(stream, clustered):
    """The stream after a fit of all rows so far."""
    outcome, result = clustered.outcome, clustered.result
    ended, total = outcome.ended, result.frequencies.sum()
    ball = outcome.objective.rows.ball_to_original(ended.ball)
    descent = StochasticDescent()
    if isinstance(ended.descent, StochasticDescent):
        descent = ended.descent.in_unit(1 / outcome.objective.weights.unit)
    f = result.frequencies / total
    clusters = Clusters(result.centers, result.centers, f, f, result.means)
    return replace(
        stream,
        seen=total,
        start=clusters,
        now=clusters,
        ball=ball,
        descent=descent,
        n_iter=result.n_iter,
        n_steps=result.n_steps,
        n_reseeds=result.n_reseeds,
        evidence=result.evidence,
        gain=0.0,
        label_gain=0.0,
        converged=result.converged,
        start_kept=result.start_kept,
        history=result.history,
    )


def _running(mean, value, share):
    return mean + share * (value - mean)


def numbered_as(before, centers):
    """The order of new centroids in which they stand for those before them."""
    before, centers = in_one_unit(before, centers)
    return linear_sum_assignment(cdist(before, centers))[1]
