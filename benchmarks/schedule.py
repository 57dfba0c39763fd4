"""What the descent's schedule was chosen by: KL and trustworthiness on four data sets.

scikit-learn's schedule (250 iterations at exaggeration 12 with momentum 0.5, then 750
with 0.8, at a learning rate of max(n/48, 50)) against ours and its neighbours, all from
the same start by the same steps.
"""

import numpy as np
from sklearn.datasets import load_iris, make_swiss_roll
from sklearn.manifold import trustworthiness

from benchmarks.data import digits, mnist
from benchmarks.tables import Column, Table
from skdec.kernels.descent import momentum_step
from skdec.kernels.types import STUDENT_T, Bandwidths, Kernel, StepRates
from skdec.tsne._affinities import dense_affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._initialization import principal_components
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads

MARKS = (300, 500, 1000)
ROOT = 12**0.5

# (iterations, exaggeration, learning rate / n or None for scikit-learn's, momentum)
SCHEDULES = {
    "scikit-learn's": [(250, 12, None, 0.5), (750, 1, None, 0.8)],
    "100 at 12, then momentum 0.9": [(100, 12, 1 / 48, 0.8), (900, 1, 1 / 4, 0.9)],
    "ours": [(50, 12, 1 / 48, 0.8), (30, ROOT, 1 / 4 / ROOT, 0.8), (75, 1, 1 / 2, 0.8),
             (845, 1, 1, 0.95)],
    "ours without the transition": [(80, 12, 1 / 48, 0.8), (75, 1, 1 / 2, 0.8),
                                    (845, 1, 1, 0.95)],
    "ours without the unfolding": [(50, 12, 1 / 48, 0.8), (30, ROOT, 1 / 4 / ROOT, 0.8),
                                   (920, 1, 1, 0.95)],
    "ours with 0.9 at last": [(50, 12, 1 / 48, 0.8), (30, ROOT, 1 / 4 / ROOT, 0.8),
                              (75, 1, 1 / 2, 0.8), (845, 1, 1, 0.9)],
}  # fmt: skip


def data(options):
    """The data sets by name."""
    iris = {"iris": np.unique(load_iris().data, axis=0)}
    if options.small:
        return iris
    return iris | {
        "digits": digits(),
        "swiss roll, 3,000": make_swiss_roll(3000, random_state=0)[0],
        "MNIST, first 6,000": mnist(options.mnist, 6000)[0],
    }


def run(objective, start, phases):
    """KL at the marks, and the last map."""
    Y, n, found, n_iter = start.copy(), objective.n_samples, {}, 0
    velocity, gains = np.zeros_like(Y), np.ones_like(Y)
    for length, exaggeration, share, momentum in phases:
        rate = max(n / 48, 50.0) if share is None else share * n
        for _ in range(length):
            gradient, _ = objective.gradient(Y, exaggeration)
            rates = StepRates(rate, momentum, 0.01, 1.0)
            momentum_step(Y, gradient, velocity, gains, rates)
            n_iter += 1
            if n_iter in MARKS:
                found[n_iter] = objective.divergence(Y, objective.gradient(Y)[1])
    return found, Y


def schedules(options):
    """KL at some iterations, and trustworthiness of the last map, by schedule."""
    columns = (
        Column("schedule"),
        *(Column(f"KL at {mark:,}", "", "{:.4f}") for mark in MARKS),
        Column("trustworthiness", "", "{:.4f}"),
    )
    with Threads(options.threads, hold_blas=True) as threads:
        for name, X in data(options).items():
            scales = Bandwidths(np.array([30.0]), np.nan)
            distances = SquaredDistances(X)
            P = dense_affinities(distances, scales, True, np.float32, threads)
            objective = EmbeddingObjective(P, Kernel(STUDENT_T, 1.0), True, threads)
            start = principal_components(X, 2, 0).T.astype(np.float32, order="C")
            table = Table(name, f"{name} {X.shape}", columns)
            for title, phases in SCHEDULES.items():
                found, Y = run(objective, start, phases)
                kept = trustworthiness(X, Y.T, n_neighbors=12)
                table = table.plus(title, *(found[mark] for mark in MARKS), kept)
                yield table
