"""What several test files of this folder need."""

import numpy as np
from sklearn.datasets import load_iris, make_blobs
from sklearn.preprocessing import normalize

IRIS = load_iris().data
BLOBS, TRUTH = make_blobs(
    300, n_features=4, centers=4, cluster_std=[0.5, 1.0, 1.5, 0.7], random_state=3
)


def in_units(model, X):
    return X / model.bandwidth_, model.cluster_centers_ / model.bandwidth_


def embeddings(n_features, k=8, n_samples=900, seed=0):
    """Directions around k others, as embeddings of texts and images are."""
    rng = np.random.RandomState(seed)
    centers, y = 0.3 * rng.randn(k, n_features), rng.randint(k, size=n_samples)
    return normalize(centers[y] + rng.randn(n_samples, n_features)), y


def distances_from_mean(X, points):
    return np.linalg.norm(points - X.mean(axis=0), axis=1)
