"""Whole trainings of an encoder, from one seed each, and which of them is returned.

An embedding that has learned to please the clusters cannot judge them: neither KL nor
evidence nor separation tells which of two embeddings has the better ones.  But labels
can be compared.  So the training is taken that is most like the others.
"""

from dataclasses import dataclass

import numpy as np

from skdec.clustering._consensus import mean_agreement
from skdec.clustering._fixed_embedding import Outcome
from skdec.clustering._joint_training import Learned


@dataclass(frozen=True)
class Training:
    """A training and the start that it had."""

    outcome: Outcome
    learned: Learned
    labels: np.ndarray  # of all rows

    @property
    def stopped(self):
        """Whether who watches the fit has ended it."""
        return self.outcome.stopped or self.learned.stopped

    @property
    def failings(self):
        """What it fell short of: no end of its own, and clusters that it lacks."""
        learned = self.learned
        return learned.result.start_kept, learned.n_collapsed


@dataclass(frozen=True)
class Chosen:
    """The training that is returned, and how the others compare."""

    training: Training
    number: int  # which of them
    agreement: np.ndarray  # of each with those compared; NaN of the others

    def __str__(self):
        shares = ", ".join(f"{value:.3f}" for value in self.agreement)
        return f"training {self.number + 1} is returned; agreement {shares}"


def choose(trainings, used, n_clusters):
    """Choose the training whose labels agree most with those of the others.

    Only those that fell short of least are compared: one that lost its clusters is
    taken if all did.  Of two, or of equals, the first is.

    Parameters
    ----------
    trainings : list of Training or None
        At least one is not None, which stands for a training that broke off.
    used : slice or ndarray of int
        Rows with positive weight.
    n_clusters : int
        Number of clusters.
    """
    failings = [None if one is None else one.failings for one in trainings]
    least = min(found for found in failings if found is not None)
    left = [i for i, found in enumerate(failings) if found == least]
    agreement = np.full(len(trainings), np.nan)
    if len(left) > 1:
        labels = np.array([trainings[i].labels[used] for i in left])
        agreement[left] = mean_agreement(labels, n_clusters)
        number = left[int(np.argmax(agreement[left]))]
    else:
        number = left[0]
    return Chosen(trainings[number], number, agreement)
