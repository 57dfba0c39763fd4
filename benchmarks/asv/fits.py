"""Whole fits of few rows, by public names alone: to compare with commits of any age."""

import numpy as np
from sklearn.datasets import load_digits

from skdec import ExactTSNE


def mixture(n=2_000):
    """Rows in 20 clusters of unlike spread."""
    rng = np.random.default_rng(0)
    of_cluster = rng.integers(20, size=n)
    centers, spreads = 3 * rng.normal(size=(20, 30)), rng.uniform(0.5, 1.5, (20, 1))
    return centers[of_cluster] + spreads[of_cluster] * rng.normal(size=(n, 30))


class SmallFit:
    """A map of 500 iterations."""

    params = (["digits", "mixture"], [1, 2])
    param_names = ["rows", "threads"]

    def setup(self, rows, threads):
        """The rows; what is compiled is compiled before."""
        self.X = load_digits().data if rows == "digits" else mixture()
        self.tsne = ExactTSNE(max_iter=500, tol=0, n_jobs=threads, random_state=0)
        self.tsne.fit(self.X)

    def time_fit(self, *_):
        """So few rows take all pairs."""
        self.tsne.fit(self.X)
