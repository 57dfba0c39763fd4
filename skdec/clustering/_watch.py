"""Who watches a clustering on its way, and may end it.

Loops tell a ``Watch`` what they find at each check.  It calls the user's callback with
a snapshot when that is due, and remembers whether the callback wants no more.
"""

from typing import NamedTuple

import numpy as np


class Run(NamedTuple):
    """Which run of a fit it is."""

    stage: str  # "sample", "rows" or "encoder"
    start: int  # number of the start among n_starts, in the order of their inertia
    n_starts: int


class Check(NamedTuple):
    """What a clustering was like when it was judged; an entry of the history."""

    n_iter: int
    kl: float  # in nats, a weighted sum
    changed: float  # share of the labels
    centers: np.ndarray  # where KL was measured, in the units of X
    Z: np.ndarray | None = None  # the embedding then, where that learns


class Watch:
    """The user's callback, and what it has said.

    Parameters
    ----------
    callback : callable or None
        Called as ``callback(n_iter, kl, snapshot)``.
    every : int
        From one call to the next; the first check of a run has one.
    look : callable or None
        ``look(run, form, number, check)`` gives the snapshot of a check.

    Attributes
    ----------
    stopped : bool
        Whether the callback has returned something true: then the fit ends.
    """

    def __init__(self, callback=None, every=1, look=None):
        self.callback, self.every, self.look = callback, every, look
        self.stopped = False
        self._run = self._form = None
        self._n_checks = 0

    def begin(self, run, form):
        """A run begins, with this ν, h and b."""
        self._run, self._form, self._n_checks = run, form, 0

    def checked(self, history, objective, centers, Z=None):
        """Whether the fit is to end, once the callback has seen the last entry.

        ``centers``, in the units of the objective, are where KL was measured, and Z is
        the embedding then, where that learns.
        """
        number, self._n_checks = self._n_checks, self._n_checks + 1
        if self.callback is None or self.stopped or number % self.every:
            return self.stopped
        kl = objective.weights.restore(max(history.kl[-1], 0.0))
        centers = objective.rows.to_original(centers)
        check = Check(history.n_iter[-1], kl, history.changed[-1], centers, Z)
        snapshot = self.look(self._run, self._form, number, check)
        self.stopped = bool(self.callback(check.n_iter, check.kl, snapshot))
        return self.stopped
