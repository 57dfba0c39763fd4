"""Collections of Dask's: their blocks, delayed, and results as arrays of theirs."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from skdec.utils.cluster import one_error
from skdec.utils.validation import FLOATS, check_matrix

# What a user reads in the dashboard starts with this.
TASK_NAME = "skdec"


def is_dask(X: Any) -> bool:
    """Whether X is a collection of Dask's, which is not imported for it."""
    return type(X).__module__.partition(".")[0] in {"dask", "dask_expr"}


def check_features(estimator, X, *, reset):
    """Check the number and names of the features, which need no rows, or set them."""
    ndim = getattr(X, "ndim", None)
    if not isinstance(ndim, Integral) or ndim != 2:
        got = ndim if isinstance(ndim, Integral) else type(X).__name__
        raise ValueError(
            f"X must be a dask array or data frame of two dimensions; got {got}"
        )
    names = X._meta if hasattr(X, "columns") else np.empty((0, X.shape[1]))
    validate_data(estimator, names, reset=reset, skip_check_array=True)


def in_memory(values):
    """What has a number for each row as an array, from a collection or anything."""
    import dask

    if is_dask(values):
        with one_error():
            (values,) = dask.compute(values)
    return values


def stacked(X, parts, empty):
    """Results of the blocks of X, delayed, as a dask array."""
    import dask.array as da

    whole = hasattr(X, "columns")
    lengths = [np.nan] * X.npartitions if whole else X.chunks[0]
    arrays = [
        da.from_delayed(part, shape=(length, *empty.shape[1:]), meta=empty)
        for part, length in zip(parts, lengths, strict=True)
    ]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


def parts_of(X, lazily=False):
    """The blocks, one after the other, each with all columns.

    Of what is lazy the graph is optimised with all that is computed together, and
    partitions of files stay as they are, which otherwise may be joined: results have
    those of X.
    """
    if hasattr(X, "columns"):
        if lazily:
            return X.simplify().to_delayed(optimize_graph=False)
        return X.to_delayed()
    return list(np.ravel(X.rechunk({1: -1}).to_delayed(optimize_graph=not lazily)))


def dtype_of(X):
    """The dtype in which rows are computed with, as of any other X."""
    given = X.dtype if not hasattr(X, "columns") else _common(X.dtypes)
    return np.dtype(given if given in FLOATS else np.float64)


def _common(dtypes):
    """The dtype that holds all columns; of a data frame's own kinds float64."""
    plain = all(isinstance(dtype, np.dtype) for dtype in dtypes)
    return np.result_type(*dtypes) if plain else np.float64


def as_rows(block, dtype, name, finite=True):
    """A block as the kernels take it, checked."""
    rows = check_matrix(
        block, name, accept_sparse="csr", ensure_min_samples=0, ensure_all_finite=finite
    )
    return rows.astype(dtype, copy=False)


def task_key(task, i):
    """A name of its own for a task, which the dashboard shows without its end."""
    import uuid

    return f"{TASK_NAME}-{task}-{uuid.uuid4().hex}-{i}"
