"""From a place of the map back to the data: means of the training rows around it."""

import numpy as np
from scipy import sparse

from skdec.kernels.types import Bandwidths
from skdec.tsne._affinities import neighbors_needed, neighbour_rows
from skdec.tsne._blocked import BlockedDistances
from skdec.tsne._checks import missing, resolve_perplexities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._neighbors import Neighbors, ScikitLearnIndex, nearest_copies
from skdec.tsne._placement import weighted_means

# Numbers of training rows that are held in memory at a time.
ELEMENTS_PER_BATCH = 4_000_000


def check_inverse(distances):
    """Raise unless there are dense rows of numbers to take means of."""
    if distances.metric == "precomputed" or distances.boolean:
        raise TypeError(
            "inverse_transform takes means of the training rows; metric="
            f"{distances.metric!r} has none of numbers"
        )
    if isinstance(distances, BlockedDistances):
        raise TypeError(
            "inverse_transform takes means of the training rows, which this map has "
            "left with the workers of Dask; fit to rows in memory"
        )
    if missing(distances.rows):
        raise TypeError(
            "inverse_transform takes means of the training rows, of which values are "
            "missing"
        )
    if sparse.issparse(distances.rows):
        raise TypeError(
            "inverse_transform takes means of dense training rows; the map was fitted "
            "to sparse ones"
        )


def mean_rows(placing, embedding, V, threads):
    """Σ_j p_j x_j for each place of V, p being calibrated in the map.

    p_j ∝ w_j exp(−β ‖v − y_j‖²) over the nearest 3 · perplexity points of the map, or
    copies of them, with β such that p has the perplexity of the fit.
    """
    n, d = placing.distances.rows.shape
    n_copies, weights = n, placing.weights
    if weights is not None:
        embedding, n_copies = embedding[placing.copies.rows], weights.sum()
    perplexities = placing.bandwidths.perplexities
    if len(perplexities) == 0:  # a fixed σ is a length of the data, not of the map
        perplexities = resolve_perplexities("auto", n_copies)
    k = neighbors_needed(perplexities, n_copies, weights)
    nearest = _nearest_places(embedding, k, weights, threads)
    bandwidths, rows = Bandwidths(perplexities, np.nan), placing.distances.rows
    means, size = np.empty((len(V), d)), max(1, ELEMENTS_PER_BATCH // (int(k) * d))
    for first in range(0, len(V), size):
        b = slice(first, first + size)
        found = nearest(V[b])
        P = neighbour_rows(found, bandwidths, threads).P
        means[b] = weighted_means(P, rows[found.columns], weights is not None)
    return placing.distances.restore(means)


def _nearest_places(embedding, n_neighbors, weights, threads):
    """What gives the points of the map next to V: that many, or so many copies."""
    in_map = SquaredDistances(embedding)
    index = ScikitLearnIndex(in_map.rows, "euclidean", None)

    def places_next_to(V):
        V = in_map.prepare(V)

        def nearest(k):
            found = index.search(V, k, threads)
            return Neighbors(found.columns, found.distances**2)

        if weights is None:
            return nearest(n_neighbors)
        return nearest_copies(nearest, weights, n_neighbors, False, len(embedding))

    return places_next_to
