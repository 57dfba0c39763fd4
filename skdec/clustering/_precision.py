"""Whether distances of sparse rows are more than rounding."""

import numpy as np

from skdec.utils.numbers import TINY

# Largest error of the squared distances of sparse rows, as a share of their mean.
SPARSE_ERROR = 1e-6


def is_lost(length, spread):
    """Whether D = ‖x‖² + ‖μ‖² − 2 x·μ is lost in rounding.

    Both are mean squares: of the lengths of rows, and of their distances.
    """
    return np.finfo(np.float64).eps * length > SPARSE_ERROR * spread


def check_precision(length, spread, name="X"):
    """Raise where distances of rows, called so, are lost in rounding."""
    if is_lost(length, spread):
        ratio = np.sqrt(length) / np.sqrt(max(spread, TINY))
        raise ValueError(
            f"{name}: sparse rows must not be much farther from zero than from each "
            f"other; got a root mean square length {ratio:.3g} times the deviation "
            "from the mean, so that distances are lost in rounding.  Pass dense rows, "
            "or subtract an offset from columns without zeros"
        )
