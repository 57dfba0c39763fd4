"""What encoders share: validated rows in, scaled batches to the model, Z out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skdec.utils.numbers import LARGEST, largest_magnitude, power_of_two
from skdec.utils.validation import check_matrix, validate_rows, with_merged_entries
from skdec.utils.weights import check_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import FloatArray, MatrixLike

# Rows that are encoded at a time, and the most numbers in them.
ROWS_PER_ENCODING, ENTRIES_PER_BATCH = 4096, 2**22

# A feature whose deviation is a smaller share of its mean does not vary.
ROUNDING = 1e-14


class BaseEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Rows x as (x − mean_)/scale_ through a model that subclasses have.

    ``mean_`` is per feature and ``scale_`` one number for all, so that variances on
    average are 1 and keep their proportions.  A subclass gives ``_encode``, of
    validated rows, and ``_decode``, to scaled rows.
    """

    def _check(self, X, reset=False):
        if not reset:
            check_is_fitted(self)
        X = validate_rows(self, X, accept_sparse="csr", reset=reset)
        return with_merged_entries(X)

    def _check_fit(self, X, sample_weight):
        """Validated rows and weights; sets ``mean_`` and ``scale_``."""
        X = self._check(X, reset=True)
        weight = check_weights(sample_weight, X).values
        largest, limit = largest_magnitude(X), LARGEST[np.dtype(np.float64)]
        if largest > limit:
            raise ValueError(
                f"X must stay below {limit:g} in magnitude; got {largest:g}"
            )
        # squares of what is smaller would vanish
        unit = power_of_two(largest) if largest < 1 / limit else 1.0
        rows = X if unit == 1 else X / unit
        if sparse.issparse(X):  # whose variances would be in single precision
            rows = X.astype(np.float64) / unit
        scaler = StandardScaler(with_mean=not sparse.issparse(X))
        with np.errstate(invalid="ignore"):  # rounding can make a variance negative
            scaler.fit(rows, sample_weight=weight)
        self.mean_ = unit * np.asarray(scaler.mean_, dtype=np.float64)
        # rows that are all the same have no scale of their own, but for rounding
        varying = scaler.var_ > np.square(ROUNDING * scaler.mean_)
        variance = np.where(varying, scaler.var_, 0.0).mean()
        self.scale_ = unit * float(np.sqrt(variance)) or 1.0
        return X, weight

    def transform(self, X: MatrixLike) -> FloatArray:
        """Encode rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The embedding, in X's dtype.
        """
        return self._embed(self._check(X))

    def _embed(self, X):
        """Z of validated rows."""
        Z = np.empty((X.shape[0], self._n_features_out), X.dtype)
        for batch in self._batches(X.shape[0]):
            Z[batch] = self._encode(X[batch])
        return Z

    def inverse_transform(self, Z: ArrayLike) -> FloatArray:
        """Decode embeddings.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Embeddings.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in the units of the training data, in Z's dtype.
        """
        check_is_fitted(self)
        Z = check_matrix(Z, "Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z must have {self._n_features_out} columns, as the embedding has; "
                f"got shape {Z.shape}"
            )
        X = np.empty((len(Z), self.n_features_in_), Z.dtype)
        for batch in self._batches(len(Z)):
            decoded = self._decode(Z[batch])
            X[batch] = np.multiply(decoded, self.scale_, dtype=np.float64) + self.mean_
        return X

    def _batches(self, n_rows):
        most = max(1, ENTRIES_PER_BATCH // self.n_features_in_)
        return gen_batches(n_rows, min(ROWS_PER_ENCODING, most))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_n_features_out")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        return tags


def mean_gradient(gradient, Z, *at):
    """∂L/∂Z of the mean L over a batch, at Z or elsewhere; checks what was returned."""
    G = np.asarray(gradient(Z, *at))
    if G.shape != Z.shape:
        raise ValueError(f"gradient must return shape {Z.shape}; got {G.shape}")
    return G / len(Z)
