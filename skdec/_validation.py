"""Checks shared by the public functions and the estimators."""

import math
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.metrics.pairwise import _VALID_METRICS
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_non_negative

from skdec._warn import warn

FLOATS = (np.float64, np.float32)


class Range(Interval):
    """An interval of numbers, which True and False are not though Python has them so.

    ``n_components=True`` is a slip, such as a parameter in another's place.
    """

    def is_satisfied_by(self, val):
        """Whether it is a number, and inside."""
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)


POSITIVE = Range(Real, 0, None, closed="neither")
# wide enough for any use, narrow enough that (1 + D/ν) is computed in single precision
DOF = Range(Real, 1e-12, 1e12, closed="both")
# the exponent b of f in the target
BALANCE = Range(Real, 0, None, closed="left")
# neither those for missing values nor those that scipy has no more
METRICS = StrOptions(
    (set(_VALID_METRICS) - {"nan_euclidean", "wminkowski", "matching"})
    | {"precomputed"}
)
N_JOBS = [None, Range(Integral, None, None, closed="neither")]
PERPLEXITY = [Range(Real, 1, None, closed="left"), "array-like"]

# Largest |coordinate| whose squared distances, summed over dimensions, stay finite; in
# double precision, which far points are left to, also over the least ν.
LARGEST = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e140}

# Precomputed distances this small against the largest are zero but for rounding.
ROUNDING = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-10}


def check_matrix(array, name, **kwargs):
    """A finite 2-D C-ordered float32 or float64 array, or an error naming ``name``."""
    try:
        return check_array(array, dtype=FLOATS, order="C", input_name=name, **kwargs)
    except ValueError as error:
        if name in str(error).split():
            raise
        # scikit-learn names the argument in some of its messages only
        raise ValueError(f"{name}: {error}") from error


def check_points(Z, centers, **kwargs):
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


def working_dtype(dtype, largest, name):
    """``dtype``, or float64 where squared float32 distances would overflow."""
    dtype = np.dtype(dtype)
    if largest > LARGEST[dtype]:
        dtype = np.dtype(np.float64)
    if largest > LARGEST[dtype]:
        raise ValueError(
            f"{name} must stay below {LARGEST[dtype]:g} bandwidths in magnitude; got "
            f"{largest:g}"
        )
    return dtype


def largest_magnitude(X):
    """max |x|, dense or sparse, without a temporary array."""
    values = X.data if sparse.issparse(X) else X
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def check_weight(sample_weight, X):
    """Non-negative float64 weights of X's rows, not all zero, and their unit.

    The weights are divided by a power of two near the largest, so that they can be cast
    to any dtype; sums over them are to be multiplied by it.  None stays None, unit 1.
    """
    if sample_weight is None:
        return None, 1.0
    # before scikit-learn's check, which names no argument here, or passes in 1.6
    given = np.asarray(sample_weight)
    if given.size and not given.any():
        raise ValueError("sample_weight must have a positive entry; all are zero")
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    unit = power_of_two(weight.max())
    return weight / unit, unit


def check_ignored(y, n_samples):
    """Warn of a y that is ignored and may have been meant as weights.

    Labels are integers or text, and targets of a regression may be negative; weights
    are neither.
    """
    y = np.asarray(y)
    if y.dtype.kind != "f" or y.shape != (n_samples,):
        return
    if (y >= 0).all() and np.isfinite(y).all() and (y % 1).any():
        warn("y is ignored; weights of the rows are given by name: sample_weight=...")


def power_of_two(value):
    """The largest power of two up to ``value``; 1 for 0.  Dividing by it is exact.

    Not below 2^−1021, so that its reciprocal is a number too.
    """
    return math.ldexp(1.0, max(math.frexp(value)[1] - 1, -1021)) if value > 0 else 1.0


def check_distribution(P, name, *, rows=True):
    """Non-negative P whose rows (or, else, whose whole) sum to 1."""
    P = check_matrix(P, name)
    if P.min() < 0:
        raise ValueError(f"{name} must be non-negative; its minimum is {P.min():g}")
    sums = P.sum(axis=1 if rows else None, dtype=np.float64)
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


def check_precomputed(X, name="X"):
    """Distances between n samples: square, non-negative, symmetric, zero diagonal.

    A sparse graph of distances to neighbours is square and non-negative; what it has on
    its diagonal is left out, and need not be 0: KNeighborsTransformer stores what
    rounding leaves, which can exceed the distances between near rows far from the
    origin.  Infinity stands for no connection.
    """
    if X.shape[0] != X.shape[1]:
        raise ValueError(
            f"{name} must be a square distance matrix with metric='precomputed'; got "
            f"shape {X.shape}"
        )
    check_distances(X, name, n_finite=2)
    if sparse.issparse(X):
        return
    tolerance = zero_distance(X)
    if np.diagonal(X).max() > tolerance:
        raise ValueError(
            f"{name} must have a zero diagonal with metric='precomputed'; its largest "
            f"entry there is {np.diagonal(X).max():g}"
        )
    for start in range(0, len(X), 512):
        block = slice(start, start + 512)
        if not np.allclose(X[block], X[:, block].T, rtol=1e-5, atol=tolerance):
            raise ValueError(
                f"{name} must be symmetric with metric='precomputed'; it differs from "
                f"its transpose in rows {start} to {min(start + 512, len(X)) - 1}"
            )


def zero_distance(X):
    """Up to here precomputed distances are zero but for rounding."""
    return largest_distance(X) * ROUNDING[X.dtype]


def largest_distance(X):
    """The largest finite distance."""
    # not X.max(): on a graph that would sort the entries by column
    values = X.data if sparse.issparse(X) else X
    largest = float(values.max(initial=0))
    if largest == np.inf:
        largest = float(values.max(initial=0, where=values < np.inf))
    return largest


def check_distances(X, name="X", n_finite=1):
    """Raise unless distances are non-negative and so many in each row finite."""
    whom = f"{name}, which with metric='precomputed' should hold positive distances"
    check_non_negative(X, whom)
    values = X.data if sparse.issparse(X) else X
    largest = values.max(initial=0)
    if np.isnan(largest):
        raise ValueError(f"Input {name} contains NaN.")
    if np.isfinite(largest) or sparse.issparse(X):
        return  # of a graph rows are counted when it is known how many they need
    for i, row in enumerate(X):
        if np.count_nonzero(row < np.inf) < n_finite:
            raise ValueError(
                f"{name} must hold a finite distance to another sample in every row "
                f"with metric='precomputed' (infinity: not connected); row {i} has none"
            )


def with_short_indices(X):
    """A CSR matrix whose indices have 32 bits if they fit, as some metrics need."""
    if X.indices.dtype == np.int32 or max(X.nnz, *X.shape) > np.iinfo(np.int32).max:
        return X
    parts = X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return type(X)(parts, shape=X.shape)


def resolve_perplexities(perplexity, n_samples, sigma=None):
    """The perplexities as a float64 array, checked against n_samples; none with σ."""
    if sigma is not None:
        return np.empty(0)
    if isinstance(perplexity, str):
        return np.array([max(1.0, min(30.0, (n_samples - 1) / 3))])
    try:
        values = np.atleast_1d(np.asarray(perplexity, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or len(values) == 0 or not np.all(values >= 1):
        raise ValueError(
            "perplexity must be a number >= 1 or a non-empty list of them; got "
            f"{perplexity!r}"
        )
    if values.max() >= n_samples:
        raise ValueError(
            f"perplexity ({values.max():g}) must be less than n_samples ({n_samples})"
        )
    return values
