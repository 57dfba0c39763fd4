"""Clusters and their embedding learn together: DEC with its encoder.

At a refresh, on all rows: x → z → q → f → p, one step of the centroids, and whether
labels rest.  Then, in batches, the centroids held: x → z → q → p → ∂KL(P‖Q)/∂z → the
encoder, where p is made of the batch's q as it is now and of a running mean of f.
"""

import numpy as np

from skdec.divergence import clustering_loss
from skdec.optimizers import CentroidDescent
from skdec.self_training import History, number_collapsed
from skdec.similarity import soft_assignment
from skdec.targets import frequencies, target

# A refresh costs a third of a pass, so it is due after one; of few rows after this many
# steps, in which something can change.
LEAST_INTERVAL = 30

# Refreshes in a row at which labels rest: now and then none happens to change.
QUIET_REFRESHES = 3

# Least weight of a batch in the running frequencies.  Held fixed for a pass over MNIST
# they let one cluster take all rows; a batch alone has too few of each cluster.
FREQUENCY_RATE = 1 / 30

# Share of its first spread below which an embedding has vanished.
VANISHED = 1e-3

DIVERGED = (
    "the encoder's embedding is not finite: decrease the rates at which it learns"
)


class JointTraining:
    """The training of an encoder by its clusters.

    Parameters
    ----------
    start : SelfTraining
        What clustered the first embedding; its random_state draws the batches.
    encoder : object with ``step``
        As described in ``skdec.encoders``.
    data : tuple of ({ndarray, CSR matrix}, ndarray)
        Rows, validated, and their weights.
    embed : callable
        Gives the embedding of all rows as it is now, and its ClusteringObjective.
    settings : Settings
        When to refresh and to stop.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_components)
        Centroids now, in the frame of the objective.
    n_iter, n_steps : int
        Passes over the data, and steps of the encoder.
    n_reseeds : int
        Of the start.
    frequencies : ndarray of shape (n_clusters,)
        f_j per unit of weight: of all rows at a refresh, then a running mean.
    evidence : float
        Of the centroids at the end, once known.
    collapsed : int
        Clusters without a row, or on the centroid of another.
    vanished : bool
        Whether the embedding shrank to a point; the training ends there.
    converged : bool
        Whether labels came to rest.
    history : History
        KL and the share of labels changed, at each refresh.
    """

    def __init__(self, start, encoder, data, embed, settings):
        self.centers, self.random_state = start.centers, start.random_state
        self.n_reseeds, self.descent = start.n_reseeds, CentroidDescent(momentum=0.0)
        self.encoder, self.embed, self.settings = encoder, embed, settings
        self.X, weight = data
        self.rows = np.flatnonzero(weight > 0)
        self.weight = weight / weight[self.rows].mean()
        self.n_batches = -(-len(self.rows) // settings.batch_size)
        self.interval = settings.update_interval or max(self.n_batches, LEAST_INTERVAL)
        self._labels, self._first_spread = np.full(len(weight), -1, np.int32), 0.0
        self.n_iter = self.n_steps = self.collapsed = 0
        self.frequencies, self.evidence = None, -np.inf
        self.converged, self.vanished, self.history = False, False, History()

    def run(self):
        """Refresh and follow until labels rest, or ``max_iter`` passes.

        Returns the embedding of all rows, and its objective, at the end.
        """
        last = self.settings.max_iter * self.n_batches
        batches = self._batches()
        while True:
            Z, objective = self.refresh()
            if self.converged or self.vanished or self.n_steps >= last:
                return Z, objective
            for _ in range(min(self.interval, last - self.n_steps)):
                self.step(next(batches))

    def refresh(self):
        """f of all rows, a step of the centroids, and whether that was enough."""
        Z, objective = self.embed()
        self._objective, before = objective, self.centers
        f = objective.frequencies(before)
        self.frequencies = f / objective.total
        sums = objective.step(before, before, f, labels=self._labels, judged=True)
        self.centers = self.descent.move(before, sums)
        self.collapsed = number_collapsed(before, sums.occupied)
        self._judge(sums, objective.total, _spread(objective.frame.inside(Z)))
        return Z, objective

    def _judge(self, sums, total, spread):
        history, settings = self.history, self.settings
        history.n_iter.append(self.n_iter)
        history.kl.append(sums.kl)
        history.changed.append(sums.changed / total)
        self._first_spread = self._first_spread or spread
        self.vanished = spread < VANISHED * self._first_spread
        # the first entry has nothing to compare with
        recent = history.changed[1:][-QUIET_REFRESHES:]
        quiet = len(recent) == QUIET_REFRESHES and max(recent) <= settings.tol
        self.converged = quiet and not self.vanished
        if settings.verbose:
            print(
                f"[StudentTClustering] pass {self.n_iter}: KL = {sums.kl:.5f}, "
                f"changed = {history.changed[-1]:.5f}"
            )

    def step(self, rows):
        """One step of the encoder along ∂KL/∂z of a batch."""
        weight, objective = self.weight[rows], self._objective
        frame, dof = objective.frame, objective.dof
        # an encoder may ask for the gradient at several Z
        following = [self.frequencies]

        def gradient(Z):
            if not np.isfinite(Z).all():
                raise FloatingPointError(DIVERGED)
            z = frame.inside(Z)
            Q = soft_assignment(z, self.centers, dof=dof)
            f = following[0] = self._following(frequencies(Q, weight), weight.sum())
            P = target(Q, f, objective.threads)
            _, slope, _ = clustering_loss(
                z, self.centers, dof=dof, P=P, sample_weight=weight
            )
            return slope * (frame.scale / frame.unit)

        self.encoder.step(self.X[rows], gradient, sample_weight=weight)
        self.frequencies = following[0]
        self.n_steps += 1
        self.n_iter = -(-self.n_steps // self.n_batches)

    def _following(self, sums, total):
        """The running frequencies after a batch with these, and this weight."""
        rate = max(total / self.weight.sum(), FREQUENCY_RATE)
        return self.frequencies + rate * (sums / total - self.frequencies)

    def _batches(self):
        while True:
            order = self.random_state.permutation(self.rows)
            for batch in np.array_split(order, self.n_batches):
                yield np.sort(batch)


def _spread(Z):
    """Mean |z − mean z|: no squares, which could vanish before it does."""
    return float(np.abs(Z - Z.mean(axis=0)).mean())
