"""Rows of a map that share a place, and rows that are held in theirs."""

from typing import NamedTuple

import numpy as np

from skdec.utils.validation import check_unmasked


class Places(NamedTuple):
    """Which rows of a map move together, and which do not move."""

    leaders: np.ndarray  # the row whose place each one shares: often its own
    held: np.ndarray  # indices of the rows that stay where they start
    held_at: np.ndarray  # (n_held, n_components), in the dtype of the map

    def put_back(self, embedding):
        """Give held rows their places, of which a descent may keep fewer digits."""
        embedding[self.held] = self.held_at


def check_fixed(fixed, n_samples, given):
    """The mask of the fixed rows; ``given``: whether the start is a given one."""
    if fixed is None:
        return np.zeros(n_samples, bool)
    check_unmasked(fixed, "fixed")
    mask = np.asarray(fixed)
    if mask.dtype != bool or mask.shape != (n_samples,):
        raise ValueError(
            "fixed must be a mask of booleans, True for the rows that stay where they "
            f"start, of shape ({n_samples},), that is (n_samples,); got {mask.dtype} "
            f"of shape {mask.shape}"
        )
    if mask.any() and not given:
        raise ValueError(
            "fixed rows stay where they start, which has to be given: set init to an "
            "array, or warm_start=True on a fitted estimator"
        )
    return mask


def places_of(first, fixed, start, dtype):
    """The places that rows share and the rows that stay, as ``Places``.

    ``first`` has, of each row, the first one identical to it.  Identical rows have one
    place: where one of them is fixed, all stay there.  ``start`` may be None where
    none is; ``dtype`` is that of the map.
    """
    rows = np.flatnonzero(fixed)
    if len(rows) == 0:
        return Places(first, rows, np.empty((0, 1)))
    start = start.astype(dtype)
    leaders = np.arange(len(first))
    leaders[first[rows]] = rows
    leaders = leaders[first]
    apart = rows[(start[rows] != start[leaders[rows]]).any(axis=1)]
    if len(apart):
        i, leader = int(apart[0]), int(leaders[apart[0]])
        raise ValueError(
            f"rows {leader} and {i} of X are identical, and identical rows share a "
            f"place in the map, but fixed holds them in two: {start[leader]} and "
            f"{start[i]}"
        )
    held = np.flatnonzero(fixed[leaders])
    return Places(leaders, held, start[leaders[held]])
