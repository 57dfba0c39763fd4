"""What memberships and targets are made with: ν, h and b, given or chosen here."""

from typing import NamedTuple

import numpy as np

from skdec.clustering._blocked import BlockedObjective
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.blocks import Blocks
from skdec.utils.numbers import largest_magnitude

LARGEST_SPREAD_DOF = 4
AUTO_BALANCE, PAPER_BALANCE = 0.5, 1.0

# Half of the least distance that there can be would be 0.
SMALLEST = np.finfo(np.float64).smallest_subnormal

# With an encoder ν is the dimension divided by this, and at least 1.  Small ν lets rows
# that are far from a centroid follow it, so that a moving embedding can still separate
# what the start had mixed.
ENCODER_DIMENSION = 10


class Form(NamedTuple):
    """What memberships and targets are made with."""

    dof: float
    bandwidth: float
    balance: float


def resolve_form(spread, n_features, dof, bandwidth, balance, joint):
    """The form of q and p, ``"auto"`` resolved from the spread of the best start.

    Without an encoder ν is the dimension m of the spread and h² = σ² min(ν, 4)/2, σ its
    standard deviation per dimension (docs/clustering.md says why).  ``joint`` tells
    that an encoder learns too: then ν is the paper's 1, or m/10 in many dimensions.
    """
    if balance == "auto":
        balance = PAPER_BALANCE if joint else AUTO_BALANCE
    if dof == "auto":
        # powers of s are products if ν is an integer
        dof = spread.dimension / (ENCODER_DIMENSION if joint else 1)
        dof = max(1.0, float(np.rint(dof)))
    if bandwidth == "auto":
        if joint:
            share = min(np.sqrt(dof) / 2, 1)
            bandwidth = share * spread.distance / np.sqrt(n_features)
        else:
            share = np.sqrt(min(dof, LARGEST_SPREAD_DOF) / 2)
            bandwidth = share * spread.per_dimension()
        bandwidth = max(bandwidth, SMALLEST)
    return Form(float(dof), float(bandwidth), float(balance))


class Automatic(NamedTuple):
    """Which parts of the form were chosen here, not by the user."""

    bandwidth: bool
    balance: bool


def make_objective(X, weights, reference, form, threads):
    """The objective of weighted rows, scaled about some centroids ``reference``."""
    return objective_about(X, weights, within_reach(reference, X), form, threads)


def within_reach(reference, X):
    """Centroids held to the magnitude of the rows.

    One far out would move the origin to where the rows have few digits.
    """
    reach = X.largest if isinstance(X, Blocks) else largest_magnitude(X)
    return np.clip(reference, -reach, reach)


def objective_about(X, weights, reference, form, threads):
    """The same about centroids that are near the rows, wherever these are now."""
    if isinstance(X, Blocks):
        return BlockedObjective(X, weights, reference, form)
    rows = scale_rows(X, reference, form.bandwidth, by_products=True)
    return ClusteringObjective(rows, weights, form.dof, threads, form.balance)
