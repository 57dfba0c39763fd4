"""Checks shared by the public functions and the estimators."""

from __future__ import annotations

import re
from contextlib import contextmanager
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdec.utils.numbers import largest_magnitude, working_dtype
from skdec.utils.sklearn_compat import Interval
from skdec.utils.warn import warn

if TYPE_CHECKING:
    from skdec.utils.typing import FloatArray

FLOATS = (np.float64, np.float32)


class Range(Interval):
    """An interval of numbers, which True and False are not though Python has them so.

    ``n_components=True`` is a slip, such as a parameter in another's place.
    """

    def is_satisfied_by(self, val):
        """Whether it is a number, and inside."""
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)


POSITIVE = Range(Real, 0, None, closed="neither")

# wide enough for any use, narrow enough for 1 + D/ν in single precision
DOF = Range(Real, 1e-12, 1e12, closed="both")

# factors of P: beyond any use, and their products with forces stay in single precision
LARGEST_FACTOR = 1e12
FACTOR = Range(Real, 1 / LARGEST_FACTOR, LARGEST_FACTOR, closed="both")

# the exponent b of f in the target
BALANCE = Range(Real, 0, None, closed="left")
N_JOBS = [None, Range(Integral, None, None, closed="neither")]


def check_matrix(array: Any, name: str, **kwargs: Any) -> FloatArray:
    """A finite 2-D C-ordered float32 or float64 array, or an error naming ``name``."""
    check_unmasked(array, name)
    with naming(name):
        X = check_array(array, dtype=FLOATS, order="C", input_name=name, **kwargs)
    return with_merged_entries(X)


def validate_rows(estimator: Any, X: Any, **kwargs: Any) -> FloatArray:
    """X of an estimator: C-ordered float32 or float64, its features checked or set."""
    check_unmasked(X, "X")
    return validate_data(estimator, X, dtype=FLOATS, order="C", **kwargs)


def check_unmasked(array: Any, name: str) -> None:
    """Raise where entries are masked: what lies under a mask would be read."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(
            f"{name} must have no masked entries; got {np.ma.count_masked(array)}: "
            "fill them in, or leave their rows out"
        )


@contextmanager
def naming(name):
    """Let every error name the argument; scikit-learn does in some messages only."""
    try:
        yield
    except ValueError as error:
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)):
            raise
        raise ValueError(f"{name}: {error}") from error


def with_merged_entries(X):
    """A matrix in which no place has several entries, whose squares would add up."""
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()  # what is the user's stays as it is
        X.sum_duplicates()
    return X


def check_points(
    Z: Any, centers: Any, **kwargs: Any
) -> tuple[FloatArray, FloatArray, np.dtype[Any]]:
    """Z and centers as arrays of one dtype (Z's) in which squares do not overflow.

    Returns them with the dtype that results are to have.
    """
    Z = check_matrix(Z, "Z", **kwargs)
    centers = check_matrix(centers, "centers")
    if centers.shape[1] != Z.shape[1]:
        raise ValueError(
            f"centers must have as many columns as Z ({Z.shape[1]}); got shape "
            f"{centers.shape}"
        )
    largest = max(largest_magnitude(Z), largest_magnitude(centers))
    working = working_dtype(Z.dtype, largest, "Z and centers")
    return Z.astype(working, copy=False), centers.astype(working), Z.dtype


def check_ignored(y, n_samples):
    """Warn of a y that is ignored and may have been meant as weights.

    Labels are integers or text, and targets of a regression may be negative; weights
    are neither.
    """
    try:
        y = np.asarray(y)
    except ValueError:  # lists of several lengths, which are no weights
        return
    if y.dtype.kind != "f" or y.shape != (n_samples,):
        return
    if (y >= 0).all() and np.isfinite(y).all() and (y % 1).any():
        warn("y is ignored; weights of the rows are given by name: sample_weight=...")


def check_distribution(
    P: Any, name: str, *, rows: bool = True, **kwargs: Any
) -> FloatArray:
    """Non-negative P whose rows (or, else, whose whole) sum to 1."""
    P = check_matrix(P, name, **kwargs)
    if P.min() < 0:
        raise ValueError(f"{name} must be non-negative; its minimum is {P.min():g}")
    sums = np.asarray(P.sum(axis=1 if rows else None, dtype=np.float64))
    tolerance = 1e-3 if P.dtype == np.float32 else 1e-6
    if np.abs(sums - 1).max() > tolerance:
        what = "every row of" if rows else "all of"
        raise ValueError(
            f"{what} {name} must sum to 1; got sums from {sums.min():g} to "
            f"{sums.max():g}"
        )
    return P


def check_same_shape(P, Q):
    """Raise unless P has Q's shape."""
    if P.shape != Q.shape:
        raise ValueError(f"P must have shape {Q.shape}; got {P.shape}")


def check_square(P, name, size=None):
    """Raise unless P is square (of the given size)."""
    size = P.shape[0] if size is None else size
    if P.shape != (size, size):
        raise ValueError(f"{name} must have shape ({size}, {size}); got {P.shape}")


def with_short_indices(X):
    """A CSR matrix whose indices have 32 bits if they fit, as some metrics need."""
    if X.indices.dtype == np.int32 or max(X.nnz, *X.shape) > np.iinfo(np.int32).max:
        return X
    parts = X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return type(X)(parts, shape=X.shape)
