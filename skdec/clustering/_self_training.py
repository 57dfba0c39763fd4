"""Self-training: targets p made of the clustering's own q, and centroids that follow.

One way for all data: rows → q → p (refreshed now and then, held fixed in between) →
∂KL(P‖Q)/∂μ → optimiser → rows again, until labels and centroids rest.
"""

from dataclasses import replace

import numpy as np

from skdec.clustering._training import Ended, History
from skdec.utils.numbers import TINY

# Frequencies are extrapolated at most so far, in lengths of the step before.
LONGEST_EXTRAPOLATION = 1.5

# An extrapolated f is used if its error in KL(P‖Q) is at most this share of it.
FREQUENCY_ERROR = 1e-2

# After so many steps f is summed up before each step.  A run that takes so long may be
# going in circles because of the error that is left.
EXACT_AFTER = 50

# A shift of the centroids that is smaller than this, in bandwidths, is rounding.
LEAST_SHIFT = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-9}

# A run is given up when clusters have had no rows for so many refreshes in a row.
EMPTY_REFRESHES = 5


class SelfTraining:
    """A start on its way.

    Parameters
    ----------
    centers : ndarray of shape (n_clusters, n_features)
        Where it starts, in the units of the objective's rows.
    descent : CentroidDescent or StochasticDescent
        Takes the steps.
    settings : Settings
        When to refresh and to stop.
    ball : Ball
        Where the centroids stay: a cluster that is repelled by more than attracts it
        would leave the data.
    random_state : RandomState
        Draws batches.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_features)
        Centroids now.
    anchors, target : ndarray
        Centroids and frequencies of which the target is made until it is refreshed.
    frequencies : ndarray of shape (n_clusters,)
        f_j per unit of weight, a running mean over batches; of one batch that holds
        all rows, just its own.
    n_iter, n_steps : int
        Passes over the data, and steps.
    converged, emptied, stopped : bool
        Whether labels and centroids came to rest, whether the run was given up
        because clusters stayed without rows that had some at first, and whether who
        watches it has ended it.
    history : History
        KL and the share of labels changed.
    """

    def __init__(self, centers, descent, settings, ball, random_state):
        self.centers, self.descent, self.settings = centers, descent, settings
        self.ball, self.random_state = ball, random_state
        self.least_shift = 0.0
        self.frequencies, self.anchors, self.target = None, centers, None
        self._before = self._step_before = self._last_step = None
        self.n_iter = self.n_steps = 0
        self.converged = self.emptied = self.stopped = False
        self._n_occupied, self._n_empty = None, 0
        self.history = History()

    def step(self, objective, labels=None, share=None):
        """Refresh the target if that is due, and follow it once.

        ``objective`` holds all rows, or a batch of them with a ``share`` of the weight.
        Because the target of a batch is made with the running frequencies, it does not
        depend on what else is in the batch.
        """
        if self.frequencies is None:
            self.frequencies = objective.frequencies(self.centers) / objective.total
        # one row may have all of the weight, but for rounding
        whole = share is None
        due = self.n_steps % self.settings.update_interval == 0
        if due:
            self.anchors = self.centers
            self.target = self._expected_frequencies(whole)
            if whole and self.n_steps >= EXACT_AFTER:
                self.target = objective.frequencies(self.centers) / objective.total
        judged = due or not whole
        # of all rows labels are those of the last refresh, since which they change
        sums = self._sums(objective, labels if judged else None, judged)
        mean = sums.frequencies / sums.weight
        if due and whole and self._misses(mean, sums, objective.balance):
            self.target, changed = mean, sums.changed
            sums = replace(self._sums(objective, labels, judged), changed=changed)
        rate = 1.0 if whole else max(share, 1 / (1 + self.n_steps))
        self._before = self.frequencies
        self.frequencies = self.frequencies + rate * (mean - self.frequencies)
        before = self.centers
        self.centers = self.ball.hold(self.descent.move(before, sums))
        self._step_before, self._last_step = self._last_step, self.centers - before
        self.n_steps += 1
        return sums, due

    def _sums(self, objective, labels, judged):
        centers, anchors, f = self.centers, self.anchors, self.target
        return objective.sums(centers, anchors, f, labels=labels, judged=judged)

    def _expected_frequencies(self, whole):
        """Estimate f at the current centroids; the last exact f is one step old.

        Along the last two steps u and v, f changes by about Δf (u·v)/(u·u) more, Δf its
        change along u.
        """
        u, v = self._step_before, self._last_step
        if not whole or u is None or not np.vdot(u, u) > 0:
            return self.frequencies
        along = np.clip(np.vdot(u, v) / np.vdot(u, u), -1, LONGEST_EXTRAPOLATION)
        expected = self.frequencies + along * (self.frequencies - self._before)
        return np.maximum(expected, self.frequencies / 2)

    def _misses(self, f, sums, balance):
        """Whether the target was made with an f too far from the true one, ``f``.

        If log f_j is off by δ_j, p is by about −b p_ij (δ_j − Σ_j' p_ij' δ_j'), that is
        by some ½ b² Σ_j f_j δ_j² in KL a row.  Where memberships are nearly even, that
        is soon as much as all of KL(P‖Q), and the steps follow the error.
        """
        error = np.log(np.maximum(self.target, TINY) / np.maximum(f, TINY))
        # of Python's numbers: any balance is allowed, and its square may be infinite
        off = 0.5 * balance * (balance * float(f @ np.square(error)))
        return off > FREQUENCY_ERROR * sums.kl / sums.weight

    def run(self, objective):
        """Steps until labels and centroids rest, or ``max_iter`` passes.

        Returns
        -------
        ended : Ended
            Where the centroids are, and how they came there.
        """
        labels = objective.unlabelled()
        self.least_shift = LEAST_SHIFT[objective.rows.dtype]
        checked, changed, refreshed = self.centers, 0.0, False
        while self.n_iter < self.settings.max_iter and not (
            self.converged or self.emptied or self.stopped
        ):
            kl, occupied = 0.0, 0.0
            for rows in self._batches(objective):
                part, part_labels, share = objective, labels, None
                if rows is not None:
                    part, part_labels = objective.take(rows), labels[rows]
                    share = part.total / objective.total
                sums, due = self.step(part, part_labels, share)
                if rows is not None:
                    labels[rows] = part_labels
                changed += sums.changed / objective.total
                kl, occupied = kl + sums.kl, occupied + sums.occupied
                refreshed |= due
            self.n_iter += 1
            self.settings.reports.step(
                "self-training", self.n_iter, self.settings.max_iter, self._note()
            )
            # only after a refresh: between refreshes P is stale
            if refreshed:
                self._judge(checked, changed, kl, occupied)
                self.stopped = self.settings.watch.checked(
                    self.history, objective, self.anchors
                )
                checked, changed, refreshed = self.centers, 0.0, False
        return Ended(
            centers=self.centers,
            ball=self.ball,
            descent=self.descent,
            n_iter=self.n_iter,
            n_steps=self.n_steps,
            converged=self.converged,
            emptied=self.emptied,
            stopped=self.stopped,
            history=self.history,
        )

    def _batches(self, objective):
        size, n_rows = self.settings.batch_size, objective.n_rows
        if size is None or size >= n_rows:
            yield None
            return
        order = self.random_state.permutation(np.flatnonzero(objective.weight > 0))
        # batches of equal size, because a last batch of few rows would be all noise
        for batch in np.array_split(order, -(-n_rows // size)):
            yield np.sort(batch)

    def _note(self):
        """What a progress bar says of the labels."""
        changed = self.history.changed
        return f"{changed[-1]:.2%} of labels changed" if changed else ""

    def _judge(self, checked, changed, kl, occupied):
        # labels alone would stop at once: after a k-means start the first refreshes
        # change none while the centroids still move
        moved = (self.centers - checked)[occupied > 0]
        shift = np.sqrt(np.mean(moved**2))
        tol, n_occupied = self.settings.tol, int((occupied > 0).sum())
        # what rounding leaves of a shift; products of float32 leave more
        self.converged = bool(changed <= tol and shift <= max(tol, self.least_shift))
        if self._n_occupied is None:
            self._n_occupied = n_occupied
        self._n_empty = self._n_empty + 1 if n_occupied < self._n_occupied else 0
        self.emptied = self._n_empty >= EMPTY_REFRESHES or (
            self.converged and self._n_empty > 0
        )
        self.history.n_iter.append(self.n_iter)
        self.history.kl.append(kl)
        self.history.changed.append(min(changed, 1.0))
        self.settings.reports.line(
            f"step {self.n_iter}: KL = {kl:.5f}, changed = {changed:.5f}, "
            f"shift = {shift:.5f}",
            level=2,
        )
