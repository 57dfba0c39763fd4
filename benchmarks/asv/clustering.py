"""The loops of StudentTClustering."""

import numpy as np

from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights


class Clustering:
    """One pass over rows in 10 clusters, 10 features."""

    params = ([200_000], [1, 2], ["float32", "float64"])
    param_names = ["n", "threads", "dtype"]

    def setup(self, n, threads, dtype):
        """Rows around centers."""
        rng = np.random.default_rng(0)
        self.centers = (2 * rng.normal(size=(10, 10))).astype(dtype)
        noise = rng.normal(size=(n, 10)).astype(dtype)
        X = self.centers[rng.integers(10, size=n)] + noise
        self.threads = Threads(threads, hold_blas=True)
        self.threads.__enter__()
        self.objectives, self.labels = {}, np.zeros(n, np.int32)
        for by_products in (True, False):
            frame = scale_rows(X, self.centers, 0.9, by_products=by_products)
            objective = ClusteringObjective(
                frame, Weights(np.ones(n, X.dtype)), 1.0, self.threads
            )
            self.objectives[by_products] = objective, frame.to_internal(self.centers)

    def teardown(self, n, threads, dtype):
        """End the threads."""
        self.threads.__exit__(None, None, None)

    def _sums(self, by_products, **options):
        objective, mu = self.objectives[by_products]
        objective.sums(mu, mu, np.ones(len(mu)), labels=self.labels, **options)

    def time_step(self, *_):
        """The sums of a step, distances by products."""
        self._sums(True)

    def time_step_by_differences(self, *_):
        """The same, distances by differences."""
        self._sums(False)

    def time_step_with_divergence(self, *_):
        """The sums of a step with KL."""
        self._sums(True, judged=True)

    def time_nearest(self, *_):
        """Labels, as predict gives them."""
        objective, mu = self.objectives[False]
        objective.nearest(mu)
