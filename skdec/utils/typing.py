"""Names for the types of arguments that many functions take."""

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
MatrixLike: TypeAlias = ArrayLike | spmatrix | sparray
RandomState: TypeAlias = int | np.random.RandomState | None
Auto: TypeAlias = Literal["auto"]
KernelName: TypeAlias = Literal["student_t", "gaussian"]
Normalization: TypeAlias = Literal["joint", "conditional"]
RepulsionName: TypeAlias = Literal["auto", "pairs", "grid"]
Gradient: TypeAlias = Callable[..., FloatArray]  # (Z) or (Z, at)


class Encoder(Protocol):
    """What ``StudentTClustering(encoder=...)`` asks of a transformer.

    It is a scikit-learn estimator besides, so that it can be cloned, and its ``fit``
    takes ``sample_weight`` too if it is to be used with weights.
    """

    def fit(self, X: Any, y: Any = None) -> Any:
        """Pre-train.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : Ignored
            Present for API consistency.
        """

    def transform(self, X: Any) -> Any:
        """Give the embedding Z of shape (n_samples, n_components).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.
        """

    def step(self, X: Any, gradient: Gradient, sample_weight: Any = None) -> Any:
        """Take one step on a batch along −∂KL/∂Z.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The batch.
        gradient : callable
            Gives ∂KL/∂Z of the batch's embedding Z; it must be called.  Called with
            (Z, at) it gives the gradient at an embedding of augmented rows, with the
            targets that Z has.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, 1 on average, for a loss of the encoder's own.
        """
