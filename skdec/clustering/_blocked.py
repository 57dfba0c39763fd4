"""KL(P‖Q) of rows in blocks: sums of each block, added in the order of the blocks.

Every number that a step needs is a sum over the rows, or a largest value, so that what
``ClusteringObjective`` gives of each block is all there is to add.
"""

from typing import NamedTuple

import numpy as np

from skdec.clustering._objective import ClusteringObjective, Mixture, Sums
from skdec.clustering._scaled_rows import Ball, Scaling
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights

# Labels come of those before them.  After so many steps they are found anew, so that a
# worker that is lost costs no more steps than these.
LABELS_FROM = 32


class Model(NamedTuple):
    """What all blocks have in common."""

    scaling: Scaling
    dof: float
    balance: float


class Labels:
    """The labels of all rows, which stay with the workers."""

    def __init__(self):
        self.kept, self.centers, self.age = None, None, 0


class BlockedObjective:
    """KL(P‖Q) of weighted rows in blocks, all in units of the bandwidth.

    It does what ``ClusteringObjective`` does, except for batches.

    Parameters
    ----------
    blocks : Blocks
        The points.
    weights : Weights
        Their weights.
    reference : ndarray of shape (n_clusters, n_features)
        Some centroids, in the units of the rows, about which these are scaled.
    form : Form
        ν, h and b.
    """

    def __init__(self, blocks, weights, reference, form):
        self.blocks, self.weights, self.balance = blocks, weights, form.balance
        self.n_rows = blocks.shape[0]
        dense = not blocks.is_sparse
        scaling = Scaling.about(
            reference, form.bandwidth, blocks.largest, blocks.dtype, dense
        )
        self._model = Model(scaling, form.dof, form.balance)
        self.rows = BlockedRows(scaling.rows(blocks.none()), blocks)
        self._weight, self.total = None, float(self.n_rows)
        if weights.values is not None:
            self.total = float(weights.values.sum())
            each = blocks.split(weights.values)
            _, self._weight = blocks.update(_kept, each, task="weights", reads=False)
        self._norms = None
        if dense:
            by_products, norms = blocks.update(_norms, scaling, task="norms")
            self._norms = norms if all(by_products) else None

    @property
    def weight(self):
        """The weights as an array, in memory here."""
        return self.weights.filled(self.n_rows)

    def unlabelled(self):
        """Labels of rows that have none yet, to be given to ``sums``."""
        return Labels()

    def _map(self, function, *arguments, task):
        own = self._weight, self._norms, self._model
        return self.blocks.map(function, *own, *arguments, task=task)

    def _update(self, function, *arguments, task):
        own = self._weight, self._norms, self._model
        return self.blocks.update(function, *own, *arguments, task=task)

    def sums(self, centers, anchors, f, *, labels=None, judged=False):
        """The sums of a step at ``centers``, as ``ClusteringObjective`` has them."""
        here = centers, None if anchors is centers else anchors, f
        if labels is None:
            return Sums.added(self._map(_sums, *here, None, judged, task="sums"))
        if labels.age >= LABELS_FROM:
            _, labels.kept = self._update(_labels, labels.centers, task="labels")
            labels.age = 0
        found, kept = self._update(_step, *here, labels.kept, judged, task="step")
        labels.kept, labels.centers, labels.age = kept, centers, labels.age + 1
        return Sums.added(found)

    def frequencies(self, centers):
        """f_j = Σ_i w_i q_ij."""
        return self.sums(centers, centers, np.ones(len(centers))).frequencies

    def mixture(self, centers):
        """The mixture that memberships at ``centers`` stand for."""
        return _joined(self._map(_mixture, centers, task="means"), centers)

    def labelled_mixture(self, centers):
        """The mixture of the rows that are labelled with each cluster."""
        return _joined(self._map(_labelled_mixture, centers, task="means"), centers)

    def evidence(self, components):
        """Weighted mean of the log density."""
        return sum(self._map(_density, components, task="density")) / self.total

    def nearest(self, centers):
        """Label of the nearest centroid and D to it, of each row, in memory here."""
        parts = self._map(_nearest, centers, task="nearest")
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def ball(self):
        """The ball that holds all rows of positive weight."""
        sums = sum(self._map(_weighted_sum, task="mean"))
        center = self.rows.mean_of(sums, self.total)
        return Ball(center, max(self._map(_radius, center, task="radius")))


class BlockedRows:
    """Conversions between the units of X and those inside, for rows in blocks.

    Parameters
    ----------
    none : DenseScaledRows or SparseScaledRows
        No rows, scaled as those of the blocks are.
    blocks : Blocks
        The rows.
    """

    def __init__(self, none, blocks):
        self._none, self._blocks = none, blocks
        self.dtype, self.shape = none.dtype, blocks.shape
        self.to_internal, self.to_original = none.to_internal, none.to_original
        self.ball_to_original = none.ball_to_original
        self.mean_of = none.mean_of

    def internal_rows(self, chosen):
        """Some of the rows in the units inside, dense."""
        rows = self._blocks[chosen]
        return self.to_internal(rows.toarray() if self._blocks.is_sparse else rows)


def _joined(parts, centers):
    """The mixture of all blocks from those of each."""
    f = sum(part.frequencies for part in parts)
    off = sum(p.frequencies[:, None] * (p.means - centers) for p in parts)
    off = np.divide(off, f[:, None], out=np.zeros_like(off), where=f[:, None] > 0)
    return Mixture(centers + off, f)


# --------------------------------------------------- what a worker does of a block
def _kept(rows, values):
    return None, values


def _norms(rows, scaling):
    """Whether matrix products may measure the rows, and ‖z‖² of each if so."""
    measured = scaling.rows(rows).measured_by_products()
    norms = getattr(measured, "norms", None)
    return norms is not None, norms


def _objective(rows, weight, norms, model, threads):
    scaled = model.scaling.rows(rows)
    if norms is not None:
        scaled = scaled.with_norms(norms)
    return ClusteringObjective(
        scaled, Weights(weight), model.dof, threads, model.balance
    )


def _step(rows, weight, norms, model, centers, anchors, f, labels, judged):
    """The sums of a step, and the labels."""
    with Threads(1) as threads:
        objective = _objective(rows, weight, norms, model, threads)
        labels = objective.unlabelled() if labels is None else labels.copy()
        anchors = centers if anchors is None else anchors
        sums = objective.sums(centers, anchors, f, labels=labels, judged=judged)
    return sums, labels


def _sums(*arguments):
    return _step(*arguments)[0]


def _labels(rows, weight, norms, model, centers):
    ones = np.ones(len(centers))
    return None, _step(rows, weight, norms, model, centers, None, ones, None, False)[1]


def _mixture(rows, weight, norms, model, centers):
    with Threads(1) as threads:
        return _objective(rows, weight, norms, model, threads).mixture(centers)


def _labelled_mixture(rows, weight, norms, model, centers):
    with Threads(1) as threads:
        objective = _objective(rows, weight, norms, model, threads)
        return objective.labelled_mixture(centers)


def _density(rows, weight, norms, model, components):
    """The weighted sum of the log density."""
    with Threads(1) as threads:
        objective = _objective(rows, weight, norms, model, threads)
        density = objective.log_density(components)
    return float(objective.weight.astype(np.float64) @ density)


def _nearest(rows, weight, norms, model, centers):
    with Threads(1) as threads:
        return _objective(rows, weight, norms, model, threads).nearest(centers)


def _weighted_sum(rows, weight, norms, model):
    objective = _objective(rows, weight, norms, model, None)
    return objective.rows.weighted_sum(objective.weight)


def _radius(rows, weight, norms, model, center):
    objective = _objective(rows, weight, norms, model, None)
    return objective.rows.radius(objective.weight, center)
