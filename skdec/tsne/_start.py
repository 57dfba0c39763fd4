"""Where a map starts: given places, or what the data say."""

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
from skdec.utils.warn import warn


def given_start(params, previous, n_samples, dtype):
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
    return check_given_start(params.init, shape, dtype)


def computed_start(X, params, placing, n_neighbors, affinities, threads):
    """Where the points that are fitted start, (n_points, n_components)."""
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
        return spectral(graph_of(X), params.n_components, params.random_state)
    graph = affinities.P
    if placing.n_neighbors is None:
        found = placing.distances.nearest(n_neighbors, threads, weights=weights)
        graph = graph_affinities(
            found, placing.bandwidths, True, np.float64, threads, again=True,
            weights=weights,
        ).P  # fmt: skip
    return spectral(graph, params.n_components, params.random_state, weights)
