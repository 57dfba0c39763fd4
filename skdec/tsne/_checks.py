"""What ExactTSNE and the affinities ask of their input: distances and perplexities."""

from numbers import Real
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS
from sklearn.utils.validation import check_non_negative

from skdec.utils.blocks import Blocks
from skdec.utils.sklearn_compat import VALID_METRICS, StrOptions
from skdec.utils.validation import (
    Range,
    check_unmasked,
    validate_rows,
    with_merged_entries,
    with_short_indices,
)

# without those that SciPy has removed
METRICS = StrOptions(
    (set(VALID_METRICS) - {"wminkowski", "matching"}) | {"precomputed"}
)
# The metrics that scikit-learn computes between sparse rows.
SPARSE_METRICS = {"euclidean", "l2", "cosine", "cityblock", "manhattan", "l1"}

PERPLEXITY = [Range(Real, 1, None, closed="left"), "array-like"]

# Precomputed distances up to this share of the largest are zero up to rounding.
ZERO_DISTANCE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-10}

# Twelve numbers of each sample are held beside its list and P: its hash, norm and
# scales, the sums of its row, where its edges begin.
BYTES_OF_SAMPLE = 12 * 8

# What a stored distance takes while equal samples of a graph are looked for: its row,
# column and value in all the forms that SciPy's conversions pass through.
BYTES_OF_DISTANCE = 80

# What a stored affinity takes while P is made symmetric, which it need not have been.
BYTES_OF_AFFINITY = 64


def check_rows(estimator, X, metric, *, exact, reset=True):
    """X of a fit, or with ``reset=False`` of a transform: checked rows or distances.

    ``exact``: p is to be over all pairs, for which a sparse graph is not enough.
    """
    precomputed = isinstance(metric, str) and metric == "precomputed"
    n_known = None if reset else estimator.n_features_in_
    finite = finite_for(metric)
    if precomputed and _may_be_distances(X, n_known):
        finite = False
    X = validate_rows(
        estimator,
        X,
        accept_sparse="csr",
        ensure_all_finite=finite,
        ensure_min_samples=2 if reset else 1,
        reset=reset,
    )
    if sparse.issparse(X):
        X = with_short_indices(X)
        if not precomputed:
            check_sparse_metric(metric)
    if not precomputed:
        return with_merged_entries(X)
    if sparse.issparse(X) and exact:
        raise TypeError(
            "affinities='exact' needs the distances of all pairs; a sparse graph "
            "of precomputed distances goes with affinities='neighbors'"
        )
    if reset:
        check_precomputed(X)
    else:
        check_distances(X)
    return X


def check_sparse_metric(metric):
    """Raise unless a metric is one between sparse rows."""
    if not (callable(metric) or metric in SPARSE_METRICS):
        raise TypeError(
            f"metric={metric!r} is not computed between sparse rows, and X is "
            f"sparse: give X.toarray(), or take one of {sorted(SPARSE_METRICS)}"
        )


def finite_for(metric):
    """scikit-learn's ``ensure_all_finite`` for rows that are compared by a metric.

    Whether a function takes missing values, its distances tell.
    """
    return "allow-nan" if callable(metric) or metric == "nan_euclidean" else True


def missing(X):
    """Whether values of X are missing; in blocks none are."""
    if isinstance(X, Blocks):
        return False
    return bool(np.isnan(X.data if sparse.issparse(X) else X).any())


def _may_be_distances(X, n_known):
    """Whether the shape is that of distances, which may be infinite."""
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    return len(shape) == 2 and shape[1] == (shape[0] if n_known is None else n_known)


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
    check_connected(X, np.full(len(X), n_finite), name)


def check_connected(X, n_finite, name="X", whom="another sample"):
    """Raise unless each row of dense distances has so many that are finite."""
    if X.max(initial=0) < np.inf:
        return
    few = np.count_nonzero(np.isfinite(X), axis=1) < n_finite
    if few.any():
        raise ValueError(
            f"{name} must hold a finite distance to {whom} in every row with "
            "metric='precomputed' (infinity: not connected); row "
            f"{np.argmax(few)} has none"
        )


FEWER_FEATURES = "Some 50 principal components of the rows need less"


def check_memory(n_samples, itemsize, there_is, metric="euclidean", rows=0):
    """Raise now rather than minutes later, or by the system's end of the process.

    Where the metric is a function all of P is made, and made symmetric, in float64.
    The ``rows`` take so many bytes beside it.
    """
    P = n_samples * (n_samples // 2) * itemsize
    if callable(metric):
        P += 2 * 8 * n_samples**2
    needed = P + rows
    if needed > there_is:
        less = FEWER_FEATURES
        if rows < P:
            less = "affinities='neighbors' needs far less"
            less += "; precision='single' half" if itemsize == 8 else ""
        raise MemoryError(
            f"affinities='exact' of {n_samples} samples need {needed / 1e9:.3g} "
            f"GB of memory, and {there_is / 1e9:.3g} GB are available. {less}"
        )


def check_rows_memory(X, metric, there_is):
    """The same of the rows alone, before they are copied."""
    needed = memory_of_copy(X, metric)
    if needed > there_is:
        raise MemoryError(
            f"of X of shape {X.shape} a copy is kept to compare rows with, which needs "
            f"{needed / 1e9:.3g} GB of memory, and {there_is / 1e9:.3g} GB are "
            f"available. {FEWER_FEATURES}"
        )


def check_neighbour_memory(n_samples, n_neighbors, rows, itemsize, there_is):
    """The same of neighbours: their lists, P, and what the ``rows`` searched take.

    A neighbour takes its column and D in float64.  P has a column and a value for it,
    and where the two are not neighbours of each other as much the other way round.
    The lists are gone before the start is found, and before P is numbered as its points
    lie in the map, which takes a second.
    """
    lists = n_samples * n_neighbors * (8 + 8)
    P = 2 * n_samples * n_neighbors * (4 + itemsize)
    own = n_samples * BYTES_OF_SAMPLE
    needed = rows.held + own + max(lists + P, 2 * P, P + rows.start)
    if needed > there_is:
        if rows.held + rows.start > 2 * (lists + P):  # for the most part
            less = FEWER_FEATURES
            less += ", as does init='random'" if rows.start else ""
        else:
            less = "A smaller perplexity needs less, three neighbors for each unit"
            less += "; precision='single' a smaller P" if itemsize == 8 else ""
        raise MemoryError(
            f"affinities='neighbors' with {n_neighbors} neighbors of each of "
            f"{n_samples} samples need {needed / 1e9:.3g} GB of memory, and "
            f"{there_is / 1e9:.3g} GB are available. {less}"
        )


def check_graph_memory(graph, n_neighbors, there_is):
    """The same of a graph of distances, before it is copied to find equal samples."""
    needed = graph.nnz * BYTES_OF_DISTANCE
    if needed > there_is:
        raise MemoryError(
            f"X is a sparse graph of {graph.nnz} distances between {graph.shape[0]} "
            f"samples, which need {needed / 1e9:.3g} GB of memory, and "
            f"{there_is / 1e9:.3g} GB are available. A graph of the {n_neighbors} "
            "neighbors of each sample that the perplexity asks for, or a smaller "
            "perplexity and as many fewer neighbors, needs less"
        )


def check_given_memory(P, there_is):
    """The same of a sparse P that is given."""
    needed = P.nnz * BYTES_OF_AFFINITY + P.shape[0] * BYTES_OF_SAMPLE
    if needed > there_is:
        raise MemoryError(
            f"X is a sparse P of {P.nnz} affinities between {P.shape[0]} samples, "
            f"which need {needed / 1e9:.3g} GB of memory, and {there_is / 1e9:.3g} GB "
            "are available. A P over fewer neighbors of each sample needs less"
        )


class RowsMemory(NamedTuple):
    """Bytes that rows take while their neighbours are found and P is made."""

    held: int  # while there is P
    start: int = 0  # while the map's start is found


def memory_of_copy(X, metric):
    """What the rows take as they are compared; in blocks nothing.

    Euclidean ones are centred in float64.  Of others there is a copy, and SciPy makes
    one in float64 for each block of distances.
    """
    if isinstance(X, Blocks) or metric == "precomputed":
        return 0
    if sparse.issparse(X):
        return X.nnz * 8 + X.indices.nbytes
    own = 0
    if metric in PAIRWISE_BOOLEAN_FUNCTIONS:
        own = 1
    elif metric not in ("euclidean", "l2", "nan_euclidean", "cosine"):
        own = X.dtype.itemsize
    return X.shape[0] * X.shape[1] * (own + 8)


def memory_of_rows(X, metric):
    """What rows, or distances, take beside X, as ``RowsMemory``."""
    copy = memory_of_copy(X, metric)
    if copy == 0:
        return RowsMemory(0)
    if not sparse.issparse(X):  # centred in float64, and the index in float32
        each = 8 + 4
        if metric == "cosine":  # of length 1 where and for what is looked, and squared
            each += 3 * 8
        return RowsMemory(X.shape[0] * X.shape[1] * each)
    if metric not in ("euclidean", "l2", "cosine"):  # scikit-learn's loops
        return RowsMemory(copy)
    # the lists of their entries, and their squares; of length 1 where and for what is
    # looked
    return RowsMemory(copy * (8 if metric == "cosine" else 4))


def memory_of_start(X, metric, init, n_neighbors):
    """Bytes that a start takes while it is found, beside P."""
    if not isinstance(init, str) or init == "random":
        return 0
    if init == "spectral" or metric == "precomputed":
        # P in float64, and what each of its entries is scaled by
        return 2 * X.shape[0] * n_neighbors * (8 + 4 + 8 + 8)
    if isinstance(X, Blocks):
        # products of features: their sum, what is added, and eigenvectors
        return 4 * X.shape[1] ** 2 * 8
    if sparse.issparse(X):
        return X.nnz * 8 + X.indices.nbytes
    return X.shape[0] * X.shape[1] * 8


def zero_distance(X):
    """The largest precomputed distance that is zero up to rounding."""
    return largest_distance(X) * ZERO_DISTANCE[X.dtype]


def largest_distance(X):
    """The largest finite distance."""
    # X.max() would sort the entries of a graph by column
    values = X.data if sparse.issparse(X) else X
    largest = float(values.max(initial=0))
    if largest == np.inf:
        largest = float(values.max(initial=0, where=values < np.inf))
    return largest


def resolve_perplexities(perplexity, n_samples, sigma=None, name="perplexity"):
    """The perplexities as a float64 array, checked against n_samples; none with σ."""
    if sigma is not None:
        return np.empty(0)
    if isinstance(perplexity, str):
        return np.array([max(1.0, min(30.0, (n_samples - 1) / 3))])
    check_unmasked(perplexity, name)
    try:
        # a copy: the caller may go on to change his own
        values = np.atleast_1d(np.array(perplexity, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or len(values) == 0 or not np.all(values >= 1):
        raise ValueError(
            f"{name} must be a number >= 1 or a non-empty list of them; got "
            f"{perplexity!r}"
        )
    if values.max() >= n_samples:
        raise ValueError(
            f"{name} ({values.max():g}) must be less than n_samples ({n_samples:g}"
            + ("" if isinstance(n_samples, int) else ", the sum of sample_weight")
            + ")"
        )
    return values
