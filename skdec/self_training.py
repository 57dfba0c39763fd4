"""Self-training: targets p made of the clustering's own q, and centroids that follow.

One way for all data: rows → q → p (refreshed now and then, held fixed in between) →
∂KL(P‖Q)/∂μ → optimiser → rows again, until labels and centroids rest.
"""

from dataclasses import dataclass, field

import numpy as np

from skdec._starts import nearest_distances
from skdec._validation import largest_magnitude

# Centroids closer than this, in bandwidths, give memberships that cannot be told apart.
SAME_CENTROID = 1e-2

# How far from the origin a centroid gets, in lengths of the longest row.
OUTSIDE = 4.0

TINY = np.finfo(np.float64).tiny

# In lengths of the step before.
LONGEST_EXTRAPOLATION = 1.5


@dataclass
class Settings:
    """When targets are refreshed and when to stop; parameters of the estimator."""

    max_iter: int = 300
    tol: float = 1e-3
    update_interval: int | None = 1  # of an encoder, None: a pass
    batch_size: int | None = None
    verbose: int = 0


@dataclass
class History:
    """One entry for each time that convergence was judged."""

    n_iter: list = field(default_factory=list)
    kl: list = field(default_factory=list)
    changed: list = field(default_factory=list)


class SelfTraining:
    """One start on its way.

    Parameters
    ----------
    centers : ndarray of shape (n_clusters, n_features)
        Where it starts, in the frame of the objective.
    descent : CentroidDescent or StochasticDescent
        Takes the steps.
    settings : Settings
        When to refresh and to stop.
    random_state : RandomState
        Draws batches.
    name : str
        What it is called in verbose output.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_features)
        Centroids now.
    frequencies : ndarray of shape (n_clusters,)
        f_j per unit of weight, a running mean over batches; of one batch that holds
        all rows, just its own.
    n_iter, n_steps, n_reseeds : int
        Passes over the data, steps, and clusters begun anew.
    evidence, collapsed : float, int
        By which starts are compared: mean log Σ_j of Student-t densities, and how many
        clusters have no row labelled with them, or the centroid of another.
    converged : bool
        Whether labels and centroids came to rest.
    history : History
        KL and the share of labels changed.
    """

    def __init__(self, centers, descent, settings, random_state, name=""):
        self.centers, self.descent, self.settings = centers, descent, settings
        self.random_state, self.name = random_state, name
        self.frequencies, self._steps, self._radius = None, (None, None), 0.0
        self.n_iter = self.n_steps = self.n_reseeds = 0
        self.evidence, self.collapsed = -np.inf, 0
        self.converged, self.history = False, History()

    def step(self, objective, labels=None, share=1.0):
        """Refresh the target if that is due, and follow it once.

        ``objective`` holds all rows or a batch of them, ``share`` of the weight.
        Because the target of a batch is made with the running frequencies, it does not
        depend on what else is in the batch.
        """
        if self.frequencies is None:
            self.frequencies = objective.frequencies(self.centers) / objective.total
        due = self.n_steps % self.settings.update_interval == 0
        if due:
            self._anchors = self.centers
            self._target = self._expected_frequencies(share)
        sums = objective.step(
            self.centers,
            self._anchors,
            self._target,
            labels=labels,
            judged=due or share < 1,
        )
        rate = max(share, 1 / (1 + self.n_steps))
        mean = sums.frequencies / sums.weight
        self._before = self.frequencies
        self.frequencies = self.frequencies + rate * (mean - self.frequencies)
        self._radius = max(self._radius, objective.frame.radius)
        before = self.centers
        self.centers = _within(OUTSIDE * self._radius, self.descent.move(before, sums))
        self._steps = self._steps[1], self.centers - before
        self.n_steps += 1
        return sums, due

    def _expected_frequencies(self, share):
        """f at the centroids as they are now: last known at those before the last step.

        Along the last two steps u and v, f changes by about Δf (u·v)/(u·u) more, Δf its
        change along u.  With f a step behind, momentum overshoots and twice as many
        steps are needed; to sum q up once more before each step would cost half a step.
        """
        u, v = self._steps
        if share < 1 or u is None or not np.vdot(u, u) > 0:
            return self.frequencies
        along = np.clip(np.vdot(u, v) / np.vdot(u, u), -1, LONGEST_EXTRAPOLATION)
        expected = self.frequencies + along * (self.frequencies - self._before)
        return np.maximum(expected, self.frequencies / 2)

    def translate(self, by):
        """Move the frame, not the centroids: what they are called in it changes."""
        self.centers = self.centers + by
        self._anchors, self._steps, self._radius = self._anchors + by, (None, None), 0.0

    def run(self, objective):
        """Steps until labels and centroids rest, or ``max_iter`` passes."""
        labels = np.full(len(objective.weight), -1, np.int32)
        checked, changed, refreshed = self.centers, 0.0, False
        while self.n_iter < self.settings.max_iter and not self.converged:
            kl, occupied = 0.0, 0.0
            for rows in self._batches(len(labels)):
                part, part_labels = objective, labels
                if rows is not None:
                    part, part_labels = objective.take(rows), labels[rows]
                    if not part.total > 0:
                        continue
                share = part.total / objective.total
                sums, due = self.step(part, part_labels, share)
                if rows is not None:
                    labels[rows] = part_labels
                changed += sums.changed / objective.total
                kl, occupied = kl + sums.kl, occupied + sums.occupied
                refreshed |= due
            self.n_iter += 1
            # from refresh to refresh, for between them P is stale
            if refreshed:
                self._judge(checked, changed, kl, occupied)
                self._reseed(objective, occupied)
                checked, changed, refreshed = self.centers, 0.0, False
        self.evidence = objective.evidence(self.centers)
        self.collapsed = number_collapsed(self.centers, occupied)

    def _batches(self, n_rows):
        size = self.settings.batch_size
        if size is None or size >= n_rows:
            yield None
            return
        order = self.random_state.permutation(n_rows)
        # of equal size: a last batch of few rows would be all noise
        for batch in np.array_split(order, -(-n_rows // size)):
            yield np.sort(batch)

    def _judge(self, checked, changed, kl, occupied):
        # labels alone would stop at once: after a k-means start the first refreshes
        # change none while the centroids still move
        moved = (self.centers - checked)[occupied > 0]
        shift = np.sqrt(np.mean(moved**2))
        tol = self.settings.tol
        self.converged = bool(changed <= tol and shift <= tol)
        self.history.n_iter.append(self.n_iter)
        self.history.kl.append(kl)
        self.history.changed.append(min(changed, 1.0))
        if self.settings.verbose > 0:
            print(
                f"[StudentTClustering] {self.name} step {self.n_iter}: KL = {kl:.5f}, "
                f"changed = {changed:.5f}, shift = {shift:.5f}"
            )

    def _reseed(self, objective, occupied):
        """Begin clusters that lost all rows anew, far from the others.

        Once the rest has settled, as they may recover, or when they run away.  At a row
        drawn as k-means++ draws its seeds; at most once a cluster on average, as one
        that the data leave no room for would come back for ever.
        """
        empty = occupied <= 0
        if not self.converged:
            empty &= np.linalg.norm(self.centers, axis=1) > OUTSIDE / 2 * self._radius
        empty, k, frame = np.flatnonzero(empty), len(occupied), objective.frame
        if len(empty) == 0 or self.n_reseeds + len(empty) > k:
            return
        X, weight = frame.X, objective.weight.astype(np.float64)
        distances = _distances(X, frame.outside(self.centers[occupied > 0]), frame.unit)
        # not of random_state, which an array as init should not hang on
        rng, chosen = np.random.RandomState(self.n_reseeds), []
        for _ in empty:
            mass = weight * np.square(distances / max(distances.max(), TINY))
            if not mass.sum() > 0:
                return
            row = X[[rng.choice(len(mass), p=mass / mass.sum())]]
            chosen.append(frame.unit * (row.toarray() if frame.sparse else row)[0])
            distances = np.minimum(distances, _distances(X, chosen[-1:], frame.unit))
        self.centers = self.centers.copy()
        self.centers[empty] = frame.inside(np.array(chosen))
        self.frequencies = self.frequencies.copy()
        self.frequencies[empty] = 1 / k
        self.n_reseeds += len(empty)
        self.converged = False
        self._steps = None, None
        self.descent.forget()


def _distances(X, centers, unit):
    """Distance of each row to the nearest of the centroids, which are in units."""
    centers = np.asarray(centers, dtype=np.float64) / unit
    scale = max(largest_magnitude(X), largest_magnitude(centers), TINY)
    batches = nearest_distances(X, centers / scale, 1, scale)
    return np.concatenate([nearest[0] for _, nearest in batches])


def _within(radius, centers):
    """The centroids; one that is repelled by more than attracts it would run away."""
    lengths = np.linalg.norm(centers, axis=1, keepdims=True)
    share = np.ones_like(lengths)
    np.divide(radius, lengths, out=share, where=lengths > radius)
    return centers * share


def number_collapsed(centers, occupied):
    """Clusters without a row labelled with them, or on the centroid of another."""
    lost = occupied <= 0
    for j in range(1, len(centers)):
        distances = np.linalg.norm(centers[:j] - centers[j], axis=1)
        lost[j] |= distances.min() < SAME_CENTROID
    return int(lost.sum())
