"""Lists of neighbours as a graph."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import NearestNeighbors

from skdec import ExactTSNE, neighbors_graph
from tests.tsne.common import IRIS, SHORT

OLD, NEW = IRIS[::2] * 10, IRIS[1::2] * 10


@pytest.mark.parametrize("itself", [True, False])
def test_the_map_of_lists_is_that_of_the_rows(rng, itself):
    settings = {"affinities": "neighbors", "init": "random", "perplexity": 5, **SHORT}
    index = NearestNeighbors(n_neighbors=16).fit(OLD)
    distances, indices = index.kneighbors(OLD if itself else None)
    # in any order, as some searches give them
    order = rng.permutation(16)
    graph = neighbors_graph(indices[:, order], distances[:, order])
    assert graph.shape == (75, 75)
    given = ExactTSNE(metric="precomputed", **settings)
    rows = ExactTSNE(**settings)
    assert_allclose(
        given.fit_transform(graph), rows.fit_transform(OLD), rtol=1e-4, atol=1e-7
    )
    given.embedding_ = rows.embedding_  # so that only the placing is compared
    distances, indices = index.kneighbors(NEW, 15)
    placed = given.transform(neighbors_graph(indices, distances, n_samples=75))
    assert_allclose(placed, rows.transform(NEW), rtol=1e-4, atol=1e-6)


def test_what_was_not_found_is_left_out_and_zeros_are_stored():
    distances = np.array([[0.0, np.inf, 2], [1, 0, np.nan]], np.float32)
    graph = neighbors_graph([[1, -1, 4], [3, 1, -1]], distances, n_samples=5)
    assert graph.dtype == np.float32
    assert_array_equal(graph.indptr, [0, 2, 4])
    assert_array_equal(graph.indices, [1, 4, 1, 3])
    assert_array_equal(graph.data, [0, 2, 0, 1])


@pytest.mark.parametrize(
    "indices, distances, error, message",
    [
        ([[0.0, 1.0]] * 2, [[0, 1]] * 2, TypeError, "indices must be integers"),
        ([0, 1], [0, 1], ValueError, r"indices must have shape \(n_rows"),
        ([[0, 1]] * 2, [[0], [1]], ValueError, r"distances must have the shape .*2, 2"),
        ([[0, 2]] * 2, [[0, 1]] * 2, ValueError, "n_samples, which is 2.*from 0 to 2"),
        ([[0, -2]] * 2, [[0, 1]] * 2, ValueError, "from -2 to 0"),
        ([[0, 1], [1, 1]], [[0, 1]] * 2, ValueError, "row 1 has one twice"),
        ([[0, 1]] * 2, [[0, -1]] * 2, ValueError, "distances must be non-negative"),
        ([[0, 1]] * 2, [[0, np.nan]] * 2, ValueError, "distances contains NaN"),
    ],
)
def test_wrong_lists_are_named(indices, distances, error, message):
    with pytest.raises(error, match=message):
        neighbors_graph(indices, distances)


def test_the_number_of_samples_is_whole():
    with pytest.raises(TypeError, match=r"n_samples must be an int or None; got 2\.5"):
        neighbors_graph([[0, 1]], [[0, 1]], n_samples=2.5)
