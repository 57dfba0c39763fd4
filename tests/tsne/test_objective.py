"""The gradient over all pairs, across its chunks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skdec.kernels.types import GAUSSIAN, STUDENT_T, Kernel
from skdec.tsne._affinities import Affinities, from_graph
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads


def test_fused_loop_across_its_chunks(rng):
    # 4,500 points: lanes of one row lie in more than one chunk
    n, c = 4500, 2
    P = np.zeros((n, n // 2), np.float32)
    P[:, :40] = rng.uniform(size=(n, 40)) / (n * 40)
    affinities = Affinities(P, 0.0, np.full(n, 1 / n))
    for c, dof in ((2, 1.0), (3, 1.0), (3, 2.0)):
        Y = rng.normal(size=(c, n)).astype(np.float32)
        with Threads(-1) as threads:
            form = Kernel(STUDENT_T, dof), True, threads
            fused = EmbeddingObjective(affinities, *form)
            general = EmbeddingObjective(affinities, *form, fused=False)
            found, expected = fused.gradient(Y), general.gradient(Y)
        assert_allclose(found[1], expected[1], rtol=1e-6)
        scale = np.abs(expected[0]).max()
        assert_allclose(found[0], expected[0], rtol=1e-3, atol=1e-5 * scale)


class Noting(Threads):
    """Threads that note how much work is handed out at a time."""

    def run_ranges(self, task, n_rows, pairs):
        self.pairs = pairs
        super().run_ranges(task, n_rows, pairs)


@pytest.mark.parametrize("kind, n_components", [(GAUSSIAN, 2), (STUDENT_T, 4)])
def test_work_over_a_sparse_P_is_that_of_its_entries(kind, n_components, rng):
    """It would be cut into thousands of ranges, were it that of all pairs."""
    n = 3000
    P = sparse.random(n, n, 1e-3, format="csr", random_state=0)
    Y = rng.normal(size=(n_components, n))
    with Noting(1) as threads:
        affinities = from_graph(P / P.sum(), np.float64)
        objective = EmbeddingObjective(affinities, Kernel(kind, 1.0), True, threads)
        objective._attract(Y, np.empty_like(Y))
        assert threads.pairs < n**2 / 20
        objective.divergence(Y, 0.0)
        assert threads.pairs < n**2 / 20
