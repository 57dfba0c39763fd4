"""Rows in units of the bandwidth."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skdec.clustering._scaled_rows import scale_rows


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_no_kernel_sees_rows_and_centroids_of_other_widths(form, rng):
    X = form(rng.normal(size=(30, 4)))
    with pytest.raises(ValueError, match="rows of 4 features need centroids"):
        scale_rows(X, rng.normal(size=(3, 5)), 1.0)
    frame = scale_rows(X, rng.normal(size=(3, 4)), 1.0)
    for narrower in (frame, frame.measured_by_products()):
        with pytest.raises(ValueError, match="rows of 4 features need centroids"):
            narrower.kernel_centers(rng.normal(size=(3, 3)))


def test_the_ball_holds_all_rows_of_positive_weight(rng):
    X, weight = rng.normal(size=(300, 4)) + 5, rng.uniform(0.5, 2, 300)
    X[0], weight[0] = 100, 0
    mean = np.average(X, axis=0, weights=weight)
    radius = np.linalg.norm(X[1:] - mean, axis=1).max()
    for rows in (X, X.astype(np.float32), sparse.csr_matrix(X)):
        frame = scale_rows(rows, X[:3], 0.7, by_products=True)
        ball = frame.ball(weight.astype(frame.dtype))
        assert_allclose(frame.to_original(ball.center[None])[0], mean, rtol=1e-5)
        assert_allclose(ball.radius * 0.7, radius, rtol=1e-5)
        held = ball.hold(np.vstack([ball.center + 1e9, ball.center + 1e-3]))
        assert_allclose(np.linalg.norm(held[0] - ball.center), ball.radius, rtol=1e-5)
        assert_allclose(held[1], ball.center + 1e-3)
