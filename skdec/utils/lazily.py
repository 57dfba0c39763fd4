"""Methods that treat each row alone, of the blocks of a collection, lazily."""

from __future__ import annotations

import copy
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdec.utils.cluster import for_tasks
from skdec.utils.collection import (
    as_rows,
    check_features,
    dtype_of,
    is_dask,
    parts_of,
    stacked,
    task_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def row_by_row(output: Callable[[Any, Any], Any]) -> Callable[[F], F]:
    """Let a method that treats each row alone take dask collections too, lazily.

    ``output(self, dtype)`` is the result of no rows of that dtype.  The workers get the
    estimator without what it knows of each training row.
    """

    def decorate(method: F) -> F:
        @wraps(method)
        def on_any(self, X, *args, **kwargs):
            if not is_dask(X):
                return method(self, X, *args, **kwargs)
            check_is_fitted(self)
            check_features(self, X, reset=False)
            empty = output(self, dtype_of(X))
            return _lazily(self, method.__name__, X, empty)

        return cast(F, on_any)

    return decorate


def _lazily(estimator, method, X, empty):
    """The results of a method of each block, as a dask array."""
    import dask

    model, dtype = for_tasks(for_workers(estimator)), dtype_of(X)
    run, task = dask.delayed(_method, pure=False), method.lstrip("_")
    parts = [
        run(model, part, dtype, method, empty, dask_key_name=task_key(task, i))
        for i, part in enumerate(parts_of(X, lazily=True))
    ]
    return stacked(X, parts, empty)


def for_workers(estimator):
    """The estimator as workers need it, to run on the one thread of a task."""
    sent = copy.copy(estimator)
    # names have been checked, and blocks have none
    for name in ("feature_names_in_", *getattr(estimator, "_of_each_row", ())):
        vars(sent).pop(name, None)
    # what is computed later is that of the estimator as it is now
    for name, value in vars(sent).items():
        if isinstance(value, np.ndarray):
            setattr(sent, name, value.copy())
    if hasattr(sent, "callback"):  # what watched the fit may be bound to this process
        sent.callback = None
    sent.n_jobs = 1
    return sent


def call_of_rows(function, model, block, dtype, *arguments):
    """What a function says of a model and the checked rows of a block.

    One task for both: rows that are checked in a task of their own, which Dask may or
    may not fuse with what makes them, would be another task under the same key.
    """
    return function(model, as_rows(block, dtype, "X"), *arguments)


def _method(model, block, dtype, method, empty):
    # the method knows which values may be missing, or infinite
    rows = as_rows(block, dtype, "X", finite=False)
    if rows.shape[0] == 0:  # which scikit-learn's checks refuse
        return empty
    return plain(getattr(model, method)(rows))


def plain(found):
    """A data frame, which scikit-learn may be set to give, as an array."""
    return found.to_numpy() if hasattr(found, "to_numpy") else found
