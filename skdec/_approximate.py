"""Approximate nearest neighbours by pynndescent, an optional dependency."""

from importlib.util import find_spec

import numpy as np
from scipy import sparse


def takes(X, metric):
    """Whether pynndescent is installed and knows the metric, between dense rows."""
    if (
        sparse.issparse(X)
        or not isinstance(metric, str)
        or not find_spec("pynndescent")
    ):
        return False
    from pynndescent.distances import named_distances

    return metric in named_distances


class Neighbors:
    """``kneighbors`` as that of scikit-learn's NearestNeighbors."""

    def __init__(self, n_neighbors, X, metric, metric_params, n_jobs):
        from pynndescent import NNDescent

        self._index = NNDescent(
            X,
            metric=metric,
            metric_kwds=metric_params,
            n_neighbors=n_neighbors + 1,
            random_state=0,
            n_jobs=n_jobs,
        )

    def kneighbors(self, rows, n_neighbors):
        """Distances and indices of the neighbours; without rows, of the fitted ones."""
        if rows is not None:
            columns, D = self._index.query(rows, n_neighbors)
            return D, columns
        columns, D = self._index.neighbor_graph
        keep = columns != np.arange(len(columns))[:, None]
        keep[keep.all(axis=1), -1] = False  # where the point itself was not found
        shape = len(columns), n_neighbors
        return D[keep].reshape(shape), columns[keep].reshape(shape)
