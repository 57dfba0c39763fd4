"""The mixture that memberships stand for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests import naive
from tests.kernels.common import clusters, framed


@pytest.mark.parametrize("form", ["lanes", "products", "sparse"])
def test_mixture_of_the_labels(rng, form):
    Z, centers, w = clusters(rng, n=30, k=4)
    centers[:3] = Z[:3]
    centers[3] = 100  # no row is nearest to it
    labels = naive.squared_distances(Z, centers).argmin(axis=1)
    with Threads(1) as threads:
        frame = framed(form, Z, centers, 0.7)
        objective = ClusteringObjective(frame, Weights(w), 1.0, threads)
        here = frame.to_internal(centers)
        found = objective.labelled_mixture(here)
        again = objective.labelled_mixture(here, labels)
    means = [
        np.average(Z[labels == j], axis=0, weights=w[labels == j]) for j in range(3)
    ]
    for mixture in (found, again):
        assert_allclose(mixture.frequencies, np.bincount(labels, w, minlength=4))
        assert_allclose(frame.to_original(mixture.means), [*means, centers[3]])


@pytest.mark.parametrize("scale", [1e-305, 1e295])
def test_density_is_in_the_units_of_the_rows(rng, scale):
    Z, centers, w = clusters(rng)
    with Threads(1) as threads:
        frame = scale_rows(Z * scale, centers * scale, scale)
        here = frame.to_internal(centers * scale)
        objective = ClusteringObjective(frame, Weights(w), 3.0, threads)
        density = objective.log_density(objective.mixture(here))
    means, f = naive.cluster_means(Z, centers, 3.0, w)
    expected = naive.log_density(Z, means, f, 3.0) - 2 * np.log(scale)
    assert_allclose(density, expected, rtol=1e-10)
