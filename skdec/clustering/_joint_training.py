"""Clusters and their embedding learn together: DEC with its encoder.

In batches, the centroids held: x → z → q → p → ∂KL(P‖Q)/∂z → the encoder, where p is
made of the batch's current q and a running mean of f.  An encoder that augments its
rows has the gradient at the z of the augmented rows, and p of the rows as they are.

A refresh goes over all rows: z → q → f → p, one step of the centroids, and a check
whether labels rest.  Its z is what the batches of the last pass had, or all rows are
encoded again.  In a long pass the centroids take steps between too.

What comes of it is judged in the end: ``learn`` gives back the start, with its encoder,
if the training has lost clusters or the embedding.
"""

import copy
from dataclasses import dataclass

import numpy as np

from skdec.clustering._forces import clustering_forces, residual
from skdec.clustering._form import objective_about
from skdec.clustering._memberships import frequencies, memberships, target
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._optimizers import CentroidDescent
from skdec.clustering._result import ClusteringResult
from skdec.clustering._scaled_rows import scale_rows
from skdec.clustering._training import DIVERGED, History, number_collapsed

# The default refresh interval is one pass, after which every row has a recent
# embedding, but at least this many steps: with few rows a pass is too short for labels
# to change.
LEAST_INTERVAL = 30

# Between two refreshes the centroids take a step every so many steps, at most.  Those
# that wait for a pass over MNIST, 273 steps, lose clusters that are drawn away.
MOST_BETWEEN = 40

# Training ends when labels have rested for this many refreshes in a row; by chance they
# may rest for one.
QUIET_REFRESHES = 3

# Smallest weight of a batch in the running frequencies.  Frequencies that are fixed for
# a pass over MNIST let one cluster take all rows; those of one batch are too noisy.
FREQUENCY_RATE = 1 / 30

# An embedding has vanished when its spread is below this share of the first.
VANISHED = 1e-3


@dataclass(frozen=True)
class Learned:
    """What the training of an encoder came to, or its start if that was better."""

    encoder: object
    Z: np.ndarray  # embedding of all rows
    result: ClusteringResult
    vanished: bool  # the embedding shrank to a point
    n_collapsed: int  # clusters at the end of the training, whether or not returned
    lost: bool  # of which the start had fewer
    worse: bool  # the start's labels explain the embedding plainly better
    stopped: bool  # ended by who watches the fit


@dataclass(frozen=True)
class Trained:
    """Where the training of an encoder ended, in the units of the objective."""

    objective: ClusteringObjective  # of the embedding at the end
    Z: np.ndarray  # that embedding, of all rows
    centers: np.ndarray
    first_labels: np.ndarray  # labels at the first refresh
    n_iter: int
    n_steps: int
    converged: bool
    vanished: bool  # the embedding shrank to a point
    stopped: bool  # ended by who watches the fit
    history: History


def learn(clustered, encoder, X, weights, Z, encode, threads, settings):
    """Train an encoder with its clusters and judge what comes of it.

    Parameters are those of ``JointTraining``, but that ``clustered`` has the start and
    what is told of it.
    """
    start, first = clustered.outcome, clustered.result
    # a copy of Z too: an encoder may keep, and change, what it gives
    before, Z_before = copy.deepcopy(encoder), Z.copy()
    settings.watch.begin(start.run._replace(stage="encoder"), start.form)
    training = JointTraining(start, encoder, X, weights, Z, encode, threads, settings)
    trained = training.run()
    objective = trained.objective
    result = ClusteringResult.of(
        objective,
        trained.centers,
        trained,
        n_reseeds=first.n_reseeds,
        converged=trained.converged,
        start_kept=False,
    )
    n_collapsed = number_collapsed(trained.centers, result.occupied)
    lost = n_collapsed > start.n_collapsed
    now, then = (
        objective.evidence(objective.labelled_mixture(trained.centers, labels))
        for labels in (None, trained.first_labels)
    )
    Z, worse = trained.Z, now < then - start.loss_allowed
    if trained.vanished or lost or worse:
        encoder, Z, result = before, Z_before, first.kept_after(result)
    return Learned(
        encoder, Z, result, trained.vanished, n_collapsed, lost, worse, trained.stopped
    )


class JointTraining:
    """The training of an encoder by its clusters.

    Parameters
    ----------
    start : Outcome
        How the first embedding was clustered; its random_state draws the batches.
    encoder : object with ``step``
        As described in ``skdec.encoders``.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, validated.
    weights : Weights
        Their weights.
    Z : ndarray of shape (n_samples, n_components)
        Their first embedding.
    encode : callable
        ``encode(X, encoder)`` gives the embedding of rows, checked.
    threads : Threads
        Where blocks run.
    settings : Settings
        When to refresh and to stop.

    Attributes
    ----------
    Z : ndarray of shape (n_samples, n_components)
        Embedding of all rows as last known.
    centers : ndarray of shape (n_clusters, n_components)
        Centroids now, in the units of the objective's rows.
    n_iter, n_steps : int
        Passes over the data, and steps of the encoder.
    frequencies : ndarray of shape (n_clusters,)
        f_j per unit of weight: of all rows at a refresh, then a running mean.
    vanished : bool
        Whether the embedding shrank to a point; the training ends there.
    converged, stopped : bool
        Whether labels came to rest, and whether who watches has ended the training.
    first_labels : ndarray of shape (n_samples,)
        Labels at the first refresh.
    history : History
        KL and the share of labels changed, at each refresh.
    """

    def __init__(self, start, encoder, X, weights, Z, encode, threads, settings):
        self.centers, self.random_state = start.centers, start.random_state
        self.descent = CentroidDescent(momentum=0.0)
        self.encoder, self.settings = encoder, settings
        self._encode, self.threads = encode, threads
        self.form = start.form
        # about the start's origin, of which its centroids are: one that went with the
        # embedding would move them
        rows = start.objective.rows
        self.reference = (rows.origin * np.float64(rows.unit))[None]
        self.X, self.weights = X, weights._replace(values=weights.filled(X.shape[0]))
        # a copy: an encoder may give its input, or keep what it gives
        self.Z = Z.copy()
        weight = self.weights.values
        self.used = np.flatnonzero(weight > 0)
        self.batch_weight = weight / weight[self.used].mean()
        self.n_batches = -(-len(self.used) // settings.batch_size)
        self.interval = settings.update_interval or max(self.n_batches, LEAST_INTERVAL)
        self._labels, self._first_spread = np.full(len(weight), -1, np.int32), 0.0
        self._objective = self.first_labels = None
        self.n_iter = self.n_steps = 0
        self.frequencies = None
        self.converged = self.vanished = self.stopped = False
        self.history = History()

    def encode(self):
        """The embedding of all rows as it is now."""
        return self._encode(self.X, self.encoder)

    def measure(self, Z):
        """The objective of an embedding."""
        form, threads = self.form, self.threads
        return objective_about(Z, self.weights, self.reference, form, threads)

    def run(self):
        """Refresh and follow until labels rest, or ``max_iter`` passes.

        Returns
        -------
        trained : Trained
            The embedding at the end, its clusters, and how they came there.
        """
        last, batches = self.settings.max_iter * self.n_batches, self._batches()
        self.refresh()
        while not (self._is_over() or self.n_steps >= last):
            steps = np.arange(min(self.interval, last - self.n_steps))
            for part in np.array_split(steps, -(-len(steps) // MOST_BETWEEN)):
                if part[0] > 0:
                    self._move()
                for _ in part:
                    self.step(next(batches))
                    self._report(last)
            if self.settings.update_interval is not None:
                self.Z = self.encode().copy()  # which the encoder may keep
            self.refresh()
        if self.settings.update_interval is None:
            self.Z = self.encode().copy()
        return Trained(
            objective=self.measure(self.Z),
            Z=self.Z,
            centers=self.centers,
            first_labels=self.first_labels,
            n_iter=self.n_iter,
            n_steps=self.n_steps,
            converged=self.converged,
            vanished=self.vanished,
            stopped=self.stopped,
            history=self.history,
        )

    def refresh(self):
        """A step of the centroids, and whether that was enough."""
        before = self.centers
        objective, sums = self._move(labels=self._labels, judged=True)
        if self.first_labels is None:
            self.first_labels = self._labels.copy()
        spread = _mean_deviation(objective.rows.to_internal(self.Z[self.used]))
        self._judge(sums, objective.total, spread)
        watch = self.settings.watch
        self.stopped = watch.checked(self.history, objective, before, self.Z)

    def _move(self, **judging):
        """f of all rows, and a step of the centroids."""
        self._objective = objective = self.measure(self.Z)
        f = objective.frequencies(self.centers)
        self.frequencies = f / objective.total
        sums = objective.sums(self.centers, self.centers, f, **judging)
        ball = objective.rows.ball(objective.weight)
        self.centers = ball.hold(self.descent.move(self.centers, sums))
        return objective, sums

    def _is_over(self):
        return self.converged or self.vanished or self.stopped

    def _report(self, last):
        """Tell how many steps are done, of at most ``last``."""
        changed = f"{self.history.changed[-1]:.2%} of labels changed"
        self.settings.reports.step("training", self.n_steps, last, changed)

    def _judge(self, sums, total, spread):
        history, settings = self.history, self.settings
        history.n_iter.append(self.n_iter)
        history.kl.append(sums.kl)
        history.changed.append(sums.changed / total)
        self._first_spread = self._first_spread or spread
        self.vanished = spread < VANISHED * self._first_spread
        # at the first refresh there are no labels to compare with
        recent = history.changed[1:][-QUIET_REFRESHES:]
        quiet = len(recent) == QUIET_REFRESHES and max(recent) <= settings.tol
        self.converged = quiet and not self.vanished
        settings.reports.line(
            f"pass {self.n_iter}: KL = {sums.kl:.5f}, "
            f"changed = {history.changed[-1]:.5f}"
        )

    def step(self, batch):
        """One step of the encoder along ∂KL/∂z of a batch."""
        # only its units are used, because its rows are those of an older Z
        scaled = self._objective.rows
        weight, dof, threads = self.batch_weight[batch], self.form.dof, self.threads
        centers = self.centers
        # an encoder may ask for the gradient at several Z
        following = [self.frequencies]

        def placed(Z):
            """The rows z in internal units, and their memberships."""
            z = scaled.to_internal(Z)
            return z, memberships(scale_rows(z, centers, 1.0), centers, dof, threads)

        def gradient(Z, at=None):
            self._remember(batch, Z)
            z, Q = placed(Z)
            f = following[0] = self._following(frequencies(Q, weight), weight.sum())
            P = target(Q, f, self.form.balance, threads)
            if at is not None:
                z, Q = placed(self._checked(batch, at))
            R = residual(P, Q, weight)
            forces = clustering_forces(z, centers, dof, P, R, weight, threads)
            return scaled.gradient_to_original(forces.grad_Z)

        self.encoder.step(self.X[batch], gradient, sample_weight=weight)
        self.frequencies = following[0]
        self.n_steps += 1
        self.n_iter = -(-self.n_steps // self.n_batches)

    def _remember(self, batch, Z):
        """Keep the embedding that a batch has now, if it can be one."""
        self.Z[batch] = self._checked(batch, Z)

    def _checked(self, batch, Z):
        """An embedding of a batch in the dtype of the others, if it can be one."""
        expected = len(batch), self.Z.shape[1]
        if np.shape(Z) != expected:
            raise ValueError(
                f"gradient must be called with Z of shape {expected}, the embedding of "
                f"the batch; got {np.shape(Z)}"
            )
        with np.errstate(over="ignore"):
            Z = np.asarray(Z).astype(self.Z.dtype)
        if not np.isfinite(Z).all():
            raise FloatingPointError(DIVERGED)
        return Z

    def _following(self, sums, total):
        """The running frequencies after a batch with these, and this weight."""
        rate = max(total / self.batch_weight.sum(), FREQUENCY_RATE)
        return self.frequencies + rate * (sums / total - self.frequencies)

    def _batches(self):
        while True:
            order = self.random_state.permutation(self.used)
            for batch in np.array_split(order, self.n_batches):
                yield np.sort(batch)


def _mean_deviation(Z):
    """Mean |z − mean z|: no squares, which could vanish before it does."""
    return float(np.abs(Z - Z.mean(axis=0)).mean())
