"""What several test files of this folder need."""

import numpy as np
from sklearn.datasets import load_digits, load_iris

import skdec

IRIS = np.unique(load_iris().data, axis=0)
DIGITS, TRUTH = load_digits(return_X_y=True)


def full_kl(X, embedding, dof=1.0, **scale):
    P = skdec.joint_affinities(skdec.conditional_affinities(X, **scale))
    return skdec.embedding_loss(embedding.astype(float), P, dof=dof)


SHORT = {"random_state": 0, "max_iter": 20}
