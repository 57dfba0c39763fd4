"""Which rows are looked at."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state


def chosen_rows(rows, n_samples, random_state, name="rows"):
    """The rows to look at: all, so many of them in order, or those given."""
    if rows is None:
        return np.arange(n_samples)
    if isinstance(rows, Integral) and not isinstance(rows, bool):
        if rows < 1:
            raise ValueError(
                f"{name} must be an int of at least 1, row numbers or None; got {rows}"
            )
        if rows >= n_samples:
            return np.arange(n_samples)
        drawn = check_random_state(random_state).choice(n_samples, rows, replace=False)
        return np.sort(drawn)
    given = np.asarray(rows)
    if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) == 0:
        raise ValueError(
            f"{name} must be an int, a one-dimensional array of row numbers or None; "
            f"got {rows!r}"
        )
    if given.min() < 0 or given.max() >= n_samples:
        raise ValueError(
            f"{name} must be from 0 to {n_samples - 1}; got {given.min()} to "
            f"{given.max()}"
        )
    return given.astype(np.intp)
