"""How much several clusterings of the same rows agree."""

import numpy as np
from scipy import sparse

# Agreement is measured on at most so many rows.
AGREEMENT_ROWS = 5000


def mean_agreement(labelings, n_clusters):
    """Mean adjusted Rand index of each of several clusterings with the others."""
    return mean_of_others(agreement_of_some(labelings, n_clusters))


def agreement_of_some(labelings, n_clusters):
    """``pairwise_agreement`` on no more than so many rows."""
    every = -(-labelings.shape[1] // AGREEMENT_ROWS)
    return pairwise_agreement(labelings[:, ::every], n_clusters)


def mean_of_others(agreement):
    """Mean of each row of a matrix of agreement, without its own place."""
    return (agreement.sum(axis=1) - 1) / (len(agreement) - 1)


def pairwise_agreement(labelings, n_clusters):
    """Adjusted Rand index of every pair of clusterings, from one product of indicators.

    Parameters
    ----------
    labelings : ndarray of shape (n_clusterings, n_samples)
        Labels from 0 to ``n_clusters`` − 1.
    n_clusters : int
        Number of clusters.

    Returns
    -------
    agreement : ndarray of shape (n_clusterings, n_clusterings)
        1 for the same clusters, 0 on average by chance (Hubert & Arabie 1985,
        equation 5).
    """
    n_clusterings, n_samples = labelings.shape
    columns = labelings + n_clusters * np.arange(n_clusterings)[:, None]
    rows = np.tile(np.arange(n_samples), n_clusterings)
    ones = np.ones(rows.shape)
    shape = n_samples, n_clusterings * n_clusters
    indicators = sparse.csr_matrix((ones, (rows, columns.ravel())), shape)
    # n_ij of all tables at once, a block for every pair of clusterings
    counts = (indicators.T @ indicators).tocoo()
    block = counts.row // n_clusters * n_clusterings + counts.col // n_clusters
    together = np.bincount(block, _pairs(counts.data), n_clusterings**2)
    together = together.reshape(n_clusterings, n_clusterings)
    alone = np.diagonal(together)
    expected = np.outer(alone, alone) / max(_pairs(float(n_samples)), 1)
    largest = (alone[:, None] + alone) / 2
    chance = largest - expected
    agreement = np.ones_like(together)
    return np.divide(together - expected, chance, out=agreement, where=chance > 0)


def _pairs(n):
    return n * (n - 1) / 2
