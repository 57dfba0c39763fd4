"""Distances of rows, however they are stored and measured."""

import numpy as np
import pytest

from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights
from tests.kernels.common import (
    DTYPES,
    clusters,
    framed,
)


def test_products_only_where_rounding_allows(rng):
    Z, centers, _ = clusters(rng, n=20, dtype=np.float32)
    near = scale_rows(Z, centers, 1.0, by_products=True)
    far = scale_rows(Z + 1000, centers + 1000, 1.0, by_products=True)
    assert type(near.kernel_rows).__name__ == "ProductRows"
    assert type(far.kernel_rows).__name__ == "LaneRows"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["lanes", "products", "sparse"])
def test_no_distance_is_below_zero(rng, form, dtype):
    centers = (3 + rng.normal(size=(40, 5))).astype(dtype)
    Z = centers.repeat(4, axis=0)
    with Threads(1) as threads:
        frame = framed(form, Z, centers, 0.7)
        weight = np.ones(len(Z), frame.dtype)
        objective = ClusteringObjective(frame, Weights(weight), 1.0, threads)
        _, distances = objective.nearest(frame.to_internal(centers))
    assert (distances >= 0).all()
