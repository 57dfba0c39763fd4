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
    w_i ∂KL_i/∂z_i.  The encoder follows −G by the chain rule, and may add a loss of
    its own, whose rows it weights with ``sample_weight``; the weights are 1 on
    average, and rows without weight do not come.  What it returns is ignored.

Nothing else is asked of it, and it needs to inherit from nothing but scikit-learn's
BaseEstimator: the smallest one is in tests/test_encoders.py.
"""

from skdec.encoders._autoencoder import AutoencoderEncoder
from skdec.encoders._linear import LinearEncoder

__all__ = ["AutoencoderEncoder", "LinearEncoder"]
