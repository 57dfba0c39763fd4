"""Encoders: embeddings that learn with the clusters.

``StudentTClustering(encoder=...)`` takes any scikit-learn transformer that has one
method more:

``fit(X, sample_weight=None)``
    Pre-trains.  ``sample_weight`` is passed only if there are weights.
``transform(X)``
    Gives the embedding Z of shape (n_samples, n_components).
``step(X, gradient, sample_weight=None)``
    Takes one step on a batch.  ``gradient`` is a function: called with the embedding
    of the batch, an array, it returns G = ∂KL/∂Z of the same shape, row i being
    w_i ∂KL_i/∂z_i, with the target made of the Z it is given and then held.  You must
    call it: labels and centroids are computed from the Z you pass.  The encoder
    follows −G by the chain rule, and may add a loss of its own, whose rows it weights
    with ``sample_weight``; the weights are 1 on average, and rows without weight are
    left out.  What it returns is ignored.

    An encoder that augments its rows calls ``gradient(Z, at)`` instead: Z, the
    embedding of the rows as they are, gives targets, labels and centroids, and G is
    ∂KL/∂z at the embedding ``at`` of the augmented rows.

A deep copy of the pre-trained encoder is kept during the training, to be returned if
the training loses clusters.  The encoder inherits from scikit-learn's BaseEstimator,
whose tag ``input_tags.sparse`` says whether it takes CSR matrices too.  Nothing else is
asked of it::

    class Linear(BaseEstimator):
        def fit(self, X, y=None, sample_weight=None):
            self.W_ = np.eye(X.shape[1])
            return self

        def transform(self, X):
            return X @ self.W_

        def step(self, X, gradient, sample_weight=None):
            G = gradient(X @ self.W_)
            self.W_ = self.W_ - 1e-3 * X.T @ G / len(X)
"""

from skdec.encoders._augmentation import RandomAffine, RandomDropout
from skdec.encoders._autoencoder import AutoencoderEncoder
from skdec.encoders._linear import LinearEncoder
from skdec.utils.typing import Encoder

__all__ = [
    "AutoencoderEncoder",
    "Encoder",
    "LinearEncoder",
    "RandomAffine",
    "RandomDropout",
]
