"""Weights of rows, in a unit in which they can be cast to any dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skdec.utils.numbers import power_of_two
from skdec.utils.sklearn_compat import check_sample_weight
from skdec.utils.validation import check_unmasked, naming

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import FloatArray, IntArray

# Sums beyond this would soon be no numbers.
LARGEST_TOTAL = 1e307

# Shares of the largest weight below this have too few digits for products, in the
# precision of the rows.
LEAST_WEIGHT = {np.dtype(np.float32): 1e-30, np.dtype(np.float64): 1e-290}


class Weights(NamedTuple):
    """Weights w of rows, divided by a power of two near the largest.

    Sums over them are in that unit until ``restore`` gives them back in the user's.
    """

    values: np.ndarray | None  # None: 1 each
    unit: float = 1.0

    def restore(self, total: Any) -> Any:
        """A weighted sum in the units in which weights were given."""
        return total * self.unit

    def filled(self, n_rows: int) -> FloatArray:
        """The weights as an array, float64."""
        return np.ones(n_rows) if self.values is None else self.values

    def of(self, rows: IntArray) -> FloatArray:
        """The weights of some of the rows, float64."""
        return np.ones(len(rows)) if self.values is None else self.values[rows]

    @classmethod
    def joined(cls, parts: list[tuple[Weights, int]]) -> Weights:
        """The weights of several sets of rows, from pairs of weights and n_rows."""
        unit = max(weights.unit for weights, _ in parts)
        values = [w.filled(n_rows) * (w.unit / unit) for w, n_rows in parts]
        return cls(np.concatenate(values), unit)

    def original(self) -> FloatArray | None:
        """The weights as they were given, or None."""
        return None if self.values is None else self.values * self.unit


def check_weights(sample_weight: ArrayLike | None, X: Any) -> Weights:
    """Non-negative weights of X's rows, not all zero, or an error that names them.

    Those that are next to nothing beside the largest, in X's precision, are 0.
    """
    if sample_weight is None:
        return Weights(None)
    check_unmasked(sample_weight, "sample_weight")
    with naming("sample_weight"):
        # checked first, because scikit-learn names no argument here, or lets it pass
        # (1.6)
        given = np.asarray(sample_weight)
        if given.size and given.dtype.kind not in "US" and not given.any():
            raise ValueError("sample_weight must have a positive entry; all are zero")
        weight = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    unit = power_of_two(weight.max())
    weight = weight / unit
    if weight.sum() > LARGEST_TOTAL / unit:
        raise ValueError(
            f"sample_weight must have a sum of at most {LARGEST_TOTAL:g}; got weights "
            f"up to {weight.max() * unit:g}"
        )
    dtype = np.dtype(getattr(X, "dtype", np.float64))
    weight[weight < LEAST_WEIGHT.get(dtype, LEAST_WEIGHT[np.dtype(float)])] = 0
    return Weights(weight, unit)
