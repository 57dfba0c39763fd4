"""Passes over the data until labels and centroids rest, by optimiser."""

import warnings

import numpy as np
from scipy.optimize import minimize
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import skdec
from benchmarks.cluster_sets import small_sets
from benchmarks.data import uneven_blobs
from benchmarks.tables import Column, Table
from skdec import StudentTClustering


def evaluations_of_lbfgs(Z, centers, dof, settled, n_inner=5, limit=300):
    """Passes until settled with L-BFGS between refreshes of P."""
    passes, labels, shape = 0, None, centers.shape
    while passes < limit:
        Q = skdec.soft_assignment(Z, centers, dof=dof)
        P = skdec.target_distribution(Q, balance=0.5)
        found = minimize(
            lambda x, P=P: [
                part if np.ndim(part) == 0 else part.ravel()
                for part in np.array(
                    skdec.clustering_loss(Z, x.reshape(shape), dof=dof, P=P),
                    dtype=object,
                )[[0, 2]]
            ],
            centers.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": n_inner},
        )  # fmt: skip
        passes += 1 + found.nfev
        new, before = Q.argmax(axis=1), centers
        centers = found.x.reshape(shape)
        shift = np.sqrt(np.mean((centers - before) ** 2))
        if (
            labels is not None
            and (new != labels).mean() <= settled
            and shift <= settled
        ):
            break
        labels = new
    return passes


def passes_of_momentum(X, k, start, momentum, interval):
    """Steps of the estimator with another momentum."""
    from skdec.clustering import _optimizers as optimizers

    usual = optimizers.CentroidDescent.__init__.__defaults__
    optimizers.CentroidDescent.__init__.__defaults__ = (momentum,)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = StudentTClustering(k, init=start, update_interval=interval).fit(X)
    finally:
        optimizers.CentroidDescent.__init__.__defaults__ = usual
    return model.n_iter_


def solver(options):
    """Passes over the data until labels and centroids rest, by optimiser."""
    sets = {"digits": (load_digits().data, 10), "wine": (small_sets()["wine"][0], 3)}
    for seed in range(3):
        X, y = uneven_blobs(seed)
        sets[f"uneven blobs {seed}"] = X, len(np.unique(y))
    names = "momentum 0.9", "none", "momentum, refreshed every 5"
    columns = map(Column, ("data", *names, "L-BFGS between refreshes"))
    table = Table("solver", "passes until settled (at most 300)", tuple(columns))
    for name, (X, k) in list(sets.items())[: 2 if options.small else None]:
        start = KMeans(k, n_init=10, random_state=0).fit(X).cluster_centers_
        passes = [
            passes_of_momentum(X, k, start, momentum, interval)
            for momentum, interval in ((0.9, 1), (0.0, 1), (0.9, 5))
        ]
        model = StudentTClustering(k, init=start).fit(X)
        h = model.bandwidth_
        passes.append(evaluations_of_lbfgs(X / h, start / h, model.dof_, 1e-3))
        table = table.plus(name, *passes)
        yield table
