"""Affinities P that are given in place of the data."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from skdec.tsne._affinities import from_graph, from_matrix, symmetric_part
from skdec.utils.validation import check_distribution, check_square, validate_rows


def check_affinities(estimator, X, joint):
    """X as a P: square, with a zero diagonal, all of it or each row summing to 1."""
    X = validate_rows(estimator, X, accept_sparse="csr", ensure_min_samples=2)
    check_square(X, "X", X.shape[0])
    X = check_distribution(X, "X", rows=not joint, accept_sparse="csr")
    if X.diagonal().any():
        raise ValueError(
            "X must have a zero diagonal with affinities='precomputed': a point is no "
            f"neighbour of itself; its largest entry there is {X.diagonal().max():g}"
        )
    held = np.asarray(X.sum(axis=1)).reshape(-1) + np.asarray(X.sum(axis=0)).reshape(-1)
    if not held.all():
        raise ValueError(
            "X must have an affinity of each sample to another with affinities="
            f"'precomputed'; sample {int(held.argmin())} has none"
        )
    return X


def given_affinities(X, dtype):
    """``Affinities`` of a checked P, of which nothing is known beyond it."""
    P = (from_graph if sparse.issparse(X) else from_matrix)(X, dtype)
    return replace(P, truncated_mass=np.nan, neighbor_recall=np.nan)


def graph_of(X):
    """The symmetric graph of a dense or sparse P."""
    return symmetric_part(sparse.csr_array(X))
