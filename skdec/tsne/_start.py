"""Where a map starts: given places, or what the data say."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skdec.tsne._affinities import graph_affinities
from skdec.tsne._blocked import start_by_components
from skdec.tsne._checks import missing
from skdec.tsne._given_affinities import graph_of
from skdec.tsne._initialization import (
    check_given_start,
    principal_components,
    random_start,
    spectral,
)
from skdec.utils.numbers import central_row
from skdec.utils.warn import warn


class Start(NamedTuple):
    """Where the points that are fitted start."""

    Y: np.ndarray  # (n_components, n_points), as a descent has it
    origin: np.ndarray  # what has been taken from it, (n_components,)

    @classmethod
    def at(cls, places, dtype):
        """The start at places (n_points, n_components).

        A component farther from 0 than it is wide is moved there: single precision
        would keep few digits of its differences, of which alone a map consists.
        """
        places = places.astype(np.float64)
        middle = central_row(places)
        width = np.abs(places - middle).max(axis=0)
        origin = np.where(np.abs(middle) > width, middle, 0.0)
        return cls(np.ascontiguousarray((places - origin).T, dtype=dtype), origin)

    def check_apart(self):
        """Raise if all points of a given start are in one place."""
        if self.Y.shape[1] > 1 and np.ptp(self.Y, axis=1).max() == 0:
            raise ValueError(
                "init must have points in different places, from where a gradient "
                f"leads on; got {self.Y[:, 0] + self.origin} for all that are fitted "
                f"(in {self.Y.dtype}), of which identical rows are one"
            )

    def places(self, Y):
        """Places (n_points, n_components), float64, of what Y has become."""
        return Y.T + self.origin


def given_start(params, previous, n_samples):
    """Where the map starts if that is given: the map to go on from, or ``init``."""
    shape = n_samples, params.n_components
    if previous is not None:
        if previous.shape != shape:
            raise ValueError(
                "warm_start=True goes on from the fitted map, of shape "
                f"{previous.shape}; this fit is to have one of shape {shape}, that is "
                "(n_samples, n_components). To extend a map by new rows, give init the "
                "places of all: embedding_ and, of the new ones, transform"
            )
        return previous
    if isinstance(params.init, str):
        return None
    return check_given_start(params.init, shape)


def computed_start(X, params, placing, n_neighbors, affinities, threads, told):
    """Where the points that are fitted start, (n_points, n_components).

    ``told`` is called with what has been done while eigenvectors are sought.
    """
    shape = affinities.n_samples, params.n_components
    copies = None if placing is None else placing.copies
    weights = None if placing is None else placing.weights
    if params.init == "random":
        return random_start(shape, check_random_state(params.random_state))
    known = params.affinities == "precomputed"
    given = params.metric == "precomputed" or known
    if params.init == "pca" and not (given or missing(X)):
        if copies is None:
            return start_by_components(
                X, placing.distances, params.n_components, params.random_state
            )
        return principal_components(
            X[copies.rows], params.n_components, params.random_state, weights
        )
    if params.init == "pca":
        has = "without missing values"
        if given:
            has = f"not {'affinities' if known else 'metric'}='precomputed'"
        warn(
            f"init='pca' needs X itself, {has}: init='spectral' "
            "is used instead; pass init='spectral' to silence this warning",
            UserWarning,
        )
    if known:
        graph = graph_of(X)
        return spectral(graph, params.n_components, params.random_state, told=told)
    graph = affinities.P
    if placing.n_neighbors is None:
        found = placing.distances.nearest(n_neighbors, threads, weights=weights)
        graph = graph_affinities(
            found, placing.bandwidths, True, np.float64, threads, again=True,
            weights=weights,
        ).P  # fmt: skip
    return spectral(graph, params.n_components, params.random_state, weights, told)
