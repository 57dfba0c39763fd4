"""The loops of ExactTSNE."""

import numpy as np

from skdec import ExactTSNE
from skdec.kernels.types import STUDENT_T, Bandwidths, Kernel
from skdec.tsne._affinities import dense_affinities, graph_affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads

KERNEL = Kernel(STUDENT_T, 1.0)
SCALES = Bandwidths(np.array([30.0]), np.nan)


class Threaded:
    """Rows in clusters, a map of about the right width, and threads."""

    params = ([2_000, 10_000], [1, 2])
    param_names = ["n", "threads"]

    def setup(self, n, threads):
        """The data that the loops run on."""
        rng = np.random.default_rng(0)
        centers = 3 * rng.normal(size=(20, 30))
        of_cluster = rng.integers(20, size=n)
        self.X = centers[of_cluster] + rng.normal(size=(n, 30))
        places = rng.normal(size=(20, 2)) * np.sqrt(n) / 4
        places = places[of_cluster] + rng.normal(size=(n, 2)) * np.sqrt(n) / 20
        self.Y = np.ascontiguousarray(places.T, dtype=np.float32)
        self.distances = SquaredDistances(self.X)
        self.threads = Threads(threads, hold_blas=True)
        self.threads.__enter__()
        self.prepare()

    def teardown(self, n, threads):
        """End the threads."""
        self.threads.__exit__(None, None, None)

    def graph(self):
        """P over the neighbours."""
        found = self.distances.nearest(90, self.threads)
        return graph_affinities(found, SCALES, True, np.float32, self.threads)


class Gradient(Threaded):
    """One evaluation of ∂KL/∂Y, and its two halves."""

    def prepare(self):
        """The objectives."""
        dense = dense_affinities(self.distances, SCALES, True, np.float32, self.threads)
        self.dense = EmbeddingObjective(dense, KERNEL, True, self.threads)
        graph = self.graph()
        self.pairs, self.grid = (
            EmbeddingObjective(graph, KERNEL, True, self.threads, repulsion=way)
            for way in ("pairs", "grid")
        )
        self.attraction = np.empty_like(self.Y)

    def time_all_pairs(self, *_):
        """Attraction and repulsion of a dense P, fused."""
        self.dense.gradient(self.Y)

    def time_repulsion_by_pairs(self, *_):
        """Attraction over neighbours, repulsion of all pairs."""
        self.pairs.gradient(self.Y)

    def time_repulsion_by_grid(self, *_):
        """Attraction over neighbours, repulsion by the grid."""
        self.grid.gradient(self.Y)

    def time_attraction(self, *_):
        """Attraction over neighbours alone."""
        self.grid._attract(self.Y, self.attraction)

    def time_divergence(self, *_):
        """KL where its normaliser is known."""
        self.grid.divergence(self.Y, np.log(2.0 * self.Y.shape[1]))


class Affinities(Threaded):
    """What is made before the first iteration."""

    def prepare(self):
        """Neighbours."""
        self.found = self.distances.nearest(90, self.threads)

    def time_neighbors(self, *_):
        """The 90 nearest of each row, exactly."""
        self.distances.nearest(90, self.threads)

    def time_calibration_of_all_pairs(self, *_):
        """P over all pairs."""
        dense_affinities(self.distances, SCALES, True, np.float32, self.threads)

    def time_calibration_over_neighbors(self, *_):
        """P over given neighbours."""
        graph_affinities(self.found, SCALES, True, np.float32, self.threads)


class Placement:
    """New rows placed in a map."""

    params = ([2_000, 10_000], [1, 2])
    param_names = ["n", "threads"]

    def setup(self, n, threads):
        """A map that need not have settled."""
        rng = np.random.default_rng(0)
        centers = 3 * rng.normal(size=(20, 30))
        X = centers[rng.integers(20, size=n + 200)] + rng.normal(size=(n + 200, 30))
        self.new = X[n:]
        self.tsne = ExactTSNE(max_iter=250, tol=0, n_jobs=threads, random_state=0)
        self.tsne.fit(X[:n])

    def time_transform(self, *_):
        """200 rows, each alone."""
        self.tsne.transform(self.new)
