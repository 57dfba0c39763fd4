"""What several test files of this folder need."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import make_blobs

from skdec import StudentTClustering

BLOBS, TRUTH = make_blobs(200, n_features=5, centers=3, random_state=1)


class Toy(BaseEstimator):
    """Z = X W, from the first columns of X; keeps what it was given."""

    def __init__(self, rate=1e-3, n_components=2):
        self.rate, self.n_components = rate, n_components

    def fit(self, X, y=None, sample_weight=None):
        self.W_, self.seen_, self.n_transforms_ = np.eye(X.shape[1]), [], 0
        self.W_ = self.W_[:, : self.n_components]
        return self

    def transform(self, X):
        self.n_transforms_ += 1
        return X @ self.W_

    def step(self, X, gradient, sample_weight=None):
        Z = X @ self.W_
        G = gradient(Z)
        self.seen_.append((X, Z, G, sample_weight, self.n_transforms_))
        self.W_ = self.W_ - self.rate * X.T @ G / len(X)


def toy_model(k=3, encoder=None, **parameters):
    encoder = Toy() if encoder is None else encoder
    # on few rows, a single one that goes to and fro is much
    settings = {"tol": 0.05, "random_state": 0, **parameters}
    return StudentTClustering(k, encoder=encoder, **settings)
