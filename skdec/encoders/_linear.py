"""A linear embedding that learns: principal components, then the chain rule."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse
from scipy.linalg import eigh, svd
from scipy.sparse.linalg import LinearOperator, svds
from sklearn.utils import check_random_state

from skdec.encoders._base import BaseEncoder, mean_gradient
from skdec.utils.sklearn_compat import StrOptions, fit_context
from skdec.utils.state import unchanged_on_error
from skdec.utils.validation import POSITIVE, Range

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import Auto, Gradient, MatrixLike, RandomState

N_COMPONENTS = 10
LEAST_LENGTH = 1e-7
# Up to so many features components come from the Gram matrix, beyond from products with
# vectors.
LARGEST_GRAM = 2000
DECAY, SQUARE_DECAY, SMALLEST = 0.9, 0.999, 1e-8


class LinearEncoder(BaseEncoder):
    r"""Linear embedding Z = X̃ W that starts from principal components.

    X̃ is X, centred and in units of ``scale_``.  A step follows the chain rule exactly,

    .. math:: \frac{\partial L}{\partial W} = \frac1b \tilde X^T
              \frac{\partial KL}{\partial Z} + \gamma \frac{\partial}{\partial W}
              \frac1b \sum_i \frac{w_i}d
              \|\tilde x_i - \tilde x_i W W^T\|^2

    over the b rows of d features in a batch, by Adam (Kingma & Ba 2015).  The smallest
    case of an embedding that learns with its clusters, without a further package; see
    :class:`AutoencoderEncoder` for a deep one.

    Parameters
    ----------
    n_components : "auto" or int, default="auto"
        Dimensions of the embedding, at most n_samples and n_features.  "auto" is 10, or
        fewer if X varies in fewer dimensions.
    learning_rate : float, default=1e-3
        Rate of Adam in a step.  The columns of W begin with length 1.
    reconstruction_weight : float, default=10.0
        Weight γ of the error of reconstruction, which keeps W from collapsing.
    random_state : int, RandomState instance or None, default=None
        Seeds the search for principal components.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The transpose of W, float64.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    scale_ : float
        Root of the mean variance of the features.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of the features seen during fit, when all are strings.

    See Also
    --------
    sklearn.decomposition.PCA : The same embedding before any step, but for a factor.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import StudentTClustering
    >>> from skdec.encoders import LinearEncoder
    >>> X = load_iris().data
    >>> encoder = LinearEncoder(n_components=2)
    >>> model = StudentTClustering(3, encoder=encoder, random_state=0).fit(X)
    >>> model.encoding_.shape
    (150, 2)
    """

    _parameter_constraints: dict = {
        "n_components": [
            StrOptions({"auto"}),
            Range(Integral, 1, None, closed="left"),
        ],
        "learning_rate": [POSITIVE],
        "reconstruction_weight": [Range(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | Auto = "auto",
        *,
        learning_rate: float = 1e-3,
        reconstruction_weight: float = 10.0,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.reconstruction_weight = reconstruction_weight
        self.random_state = random_state

    @fit_context
    def fit(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Find the principal components.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; 1 each by default.

        Returns
        -------
        self : LinearEncoder
            The fitted encoder.  A fit that fails leaves it as it was.
        """
        with unchanged_on_error(self):
            self._fit(X, sample_weight)
        return self

    def _fit(self, X, sample_weight):
        X, weight = self._check_fit(X, sample_weight)
        most = min(X.shape)
        n_components = self.n_components
        if n_components == "auto":
            n_components = min(N_COMPONENTS, most)
        if n_components > most:
            raise ValueError(
                f"n_components ({n_components}) must not exceed the smaller of "
                f"n_samples and n_features ({most})"
            )
        roots = np.ones(X.shape[0]) if weight is None else np.sqrt(weight)
        lengths, directions = self._principal(X, roots, n_components)
        if self.n_components == "auto":
            # directions without any length would point anywhere
            n_components = max(1, np.sum(lengths > LEAST_LENGTH * lengths[0]))
        directions = directions[:n_components]
        # signs as scikit-learn's PCA has them
        largest = np.argmax(np.abs(directions), axis=1)
        signs = np.sign(directions[np.arange(n_components), largest])
        self.components_ = np.ascontiguousarray(directions * signs[:, None])
        self._n_steps = 0
        self._mean, self._square = np.zeros((2, *self.components_.shape))

    def _principal(self, X, roots, n_components):
        """The longest singular values of √w X̃ and their directions, longest first."""
        n, d = X.shape
        if d <= LARGEST_GRAM:
            gram = np.zeros((d, d))
            for batch in self._batches(n):
                rows = X[batch].toarray() if sparse.issparse(X) else X[batch]
                rows = roots[batch, None] * (rows - self.mean_) / self.scale_
                gram += rows.T @ rows
            squares, directions = eigh(gram, subset_by_index=(d - n_components, d - 1))
            return np.sqrt(np.maximum(squares[::-1], 0)), directions.T[::-1]
        weighted = LinearOperator(
            X.shape,
            # products in X's dtype, because any other would copy X each time
            matvec=lambda v: roots * self._project(X, v.ravel().astype(X.dtype)),
            rmatvec=lambda u: self._gather(X, (roots * u.ravel()).astype(X.dtype)),
            dtype=np.float64,
        )
        if n_components == min(n, d):
            dense = (weighted.T @ np.eye(n)).T
            return svd(dense, full_matrices=False)[1:]
        first = check_random_state(self.random_state).uniform(-1, 1, min(n, d))
        if not np.any(weighted.T @ first if n < d else weighted @ first):
            # all rows are the same: ARPACK would not start
            return np.zeros(n_components), np.eye(n_components, d)
        _, lengths, directions = svds(weighted, n_components, v0=first)
        return lengths[::-1], directions[::-1]

    def step(
        self, X: MatrixLike, gradient: Gradient, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Take one step on a batch, as :mod:`skdec.encoders` describes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The batch.
        gradient : callable
            Gives ∂KL/∂Z of the batch's embedding Z.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights w of the rows in the error of reconstruction.

        Returns
        -------
        self : LinearEncoder
            The encoder, one step further.
        """
        X = self._check(X)
        slope = self._slope(X, gradient, sample_weight)
        self._n_steps += 1
        self._mean = self._mean + (1 - DECAY) * (slope - self._mean)
        self._square = self._square + (1 - SQUARE_DECAY) * (slope**2 - self._square)
        mean = self._mean / (1 - DECAY**self._n_steps)
        square = self._square / (1 - SQUARE_DECAY**self._n_steps)
        step = self.learning_rate * mean / (np.sqrt(square) + SMALLEST)
        self.components_ = self.components_ - step
        return self

    def _slope(self, X, gradient, sample_weight):
        """∂L/∂Wᵀ, without a dense copy of sparse rows."""
        C, Z = self.components_, self._encode(X)
        toward = mean_gradient(gradient, Z).astype(np.float64, copy=False)
        slope = self._gather(X, toward).T
        if self.reconstruction_weight:
            weight = np.ones(len(Z)) if sample_weight is None else sample_weight
            factor = 2 * self.reconstruction_weight / X.shape[1] / len(Z)
            wZ = np.asarray(weight)[:, None] * Z
            inner = self._gather(X, wZ @ (C @ C.T) - 2 * wZ).T
            slope = slope + factor * (inner + (Z.T @ wZ) @ C)
        return slope

    def _project(self, X, A):
        """X̃ A."""
        return (X @ A - self.mean_ @ A) / self.scale_

    def _gather(self, X, B):
        """X̃ᵀ B."""
        return (X.T @ B - np.multiply.outer(self.mean_, B.sum(axis=0))) / self.scale_

    def _encode(self, X):
        return self._project(X, self.components_.T)

    def _decode(self, Z):
        return Z @ self.components_

    @property
    def _n_features_out(self):
        return len(self.components_)
