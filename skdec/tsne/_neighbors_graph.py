"""Neighbours that are known already, as the graph that ExactTSNE takes."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from skdec.utils.validation import check_matrix, check_unmasked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def neighbors_graph(
    indices: ArrayLike, distances: ArrayLike, *, n_samples: int | None = None
) -> sparse.csr_array:
    """Make a sparse graph of distances from lists of neighbours.

    Libraries that search for neighbours, such as pynndescent, umap, faiss and cuML,
    give a list of them for each row.  The graph is what
    ``ExactTSNE(metric="precomputed", affinities="neighbors")`` takes in ``fit``, with
    at least 3 · perplexity neighbours of each row besides itself, and in ``transform``.

    Parameters
    ----------
    indices : array-like of int, shape (n_rows, n_neighbors)
        The neighbours of each row, in any order, itself among them or not.  −1 stands
        for a neighbour that was not found.
    distances : array-like of shape (n_rows, n_neighbors)
        The distances to them (not squared); what stands beside −1 is not looked at.
    n_samples : int, default=None
        How many rows were searched: the training rows, where ``indices`` are those of
        new rows.  None means n_rows.

    Returns
    -------
    graph : CSR array of shape (n_rows, n_samples)
        The distances, in their dtype (float32 or float64), those of 0 stored.

    Raises
    ------
    TypeError
        If ``indices``, or ``n_samples``, are not integers.
    ValueError
        If the shapes differ, an index is out of range or twice in a row, or a distance
        is negative or not finite.

    See Also
    --------
    sklearn.neighbors.kneighbors_graph : Such a graph, from rows.

    Examples
    --------
    >>> from skdec import neighbors_graph
    >>> indices, distances = [[1, 2], [0, 2], [1, 0]], [[1.0, 3], [1, 2], [2, 3]]
    >>> neighbors_graph(indices, distances).toarray()
    array([[0., 1., 3.],
           [1., 0., 2.],
           [3., 2., 0.]])
    """
    check_unmasked(indices, "indices")
    check_unmasked(distances, "distances")
    columns: Any = np.asarray(indices)
    if columns.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers; got {columns.dtype}")
    if columns.ndim != 2:
        raise ValueError(
            "indices must have shape (n_rows, n_neighbors); got an array of shape "
            f"{columns.shape}"
        )
    values = np.asarray(distances)
    if values.shape != columns.shape:
        raise ValueError(
            f"distances must have the shape of indices, {columns.shape}; got "
            f"{values.shape}"
        )
    n_rows = len(columns)
    n_samples = n_rows if n_samples is None else n_samples
    if not isinstance(n_samples, Integral) or isinstance(n_samples, bool):
        raise TypeError(f"n_samples must be an int or None; got {n_samples!r}")
    columns = columns.astype(np.int64)
    if columns.size and not -1 <= columns.min() <= columns.max() < n_samples:
        raise ValueError(
            f"indices must be below n_samples, which is {n_samples}, and at least 0, "
            f"or -1 where there is none; they go from {columns.min()} to "
            f"{columns.max()}"
        )
    found = columns >= 0
    values = check_matrix(np.where(found, values, 0), "distances")
    if values.min() < 0:
        raise ValueError(
            f"distances must be non-negative; their minimum is {values.min():g}"
        )
    # those that were not found come last
    order = np.argsort(np.where(found, columns, n_samples), axis=1, kind="stable")
    columns = np.take_along_axis(columns, order, axis=1)
    twice = (columns[:, 1:] == columns[:, :-1]) & (columns[:, 1:] >= 0)
    if twice.any():
        i = int(np.flatnonzero(twice.any(axis=1))[0])
        raise ValueError(f"indices must differ within a row; row {i} has one twice")
    keep = columns >= 0
    ends = np.concatenate([[0], np.cumsum(keep.sum(axis=1))])
    data = np.take_along_axis(values, order, axis=1)[keep]
    return sparse.csr_array((data, columns[keep], ends), shape=(n_rows, n_samples))
