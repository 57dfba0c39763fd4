"""A deep embedding that learns: an autoencoder, pre-trained, then the chain rule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skdec.encoders._base import ENTRIES_PER_BATCH, BaseEncoder, mean_gradient
from skdec.utils.sklearn_compat import StrOptions, fit_context
from skdec.utils.state import unchanged_on_error
from skdec.utils.validation import POSITIVE, Range
from skdec.utils.warn import warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import Gradient, MatrixLike, RandomState

MAX_SEED = np.iinfo(np.int32).max

# Variances are at least this share of the largest.  Otherwise whitening would turn an
# embedding that is wider than the data into noise.
LEAST_VARIANCE = 0.1

# An embedding that varies by less than this share does not vary in single precision.
LEAST_DEVIATION = 1e-5

# Rounding of so much of what a feature varies by, among so many rows, is told.
MOST_ROUNDED, ROWS_LOOKED_AT = 1e-2, 1000


class AutoencoderEncoder(BaseEncoder):
    r"""Embedding by an autoencoder, for DEC and IDEC; needs PyTorch.

    ``fit`` pre-trains encoder and decoder to undo dropout of their input,

    .. math:: \frac1b \sum_i w_i \|\tilde x_i - g(f(\tilde x_i \odot m_i))\|^2 / d,

    where x̃ is x, centred and in units of ``scale_``, and m the mask of dropout.  A
    step of the clustering follows

    .. math:: \frac1b \sum_i w_i (KL_i + \gamma \|\tilde x_i - g(z_i)\|^2 / d),
              \qquad z_i = f(\tilde x_i)

    over the b rows of d features in a batch, without dropout.  γ = 0 is DEC, whose
    decoder has no part in it; γ > 0 is IDEC.  The paper of IDEC gives the weight to
    the KL instead: its 0.1 is γ = 10 here.

    With ``augment`` the networks are given augmented rows T(x) in both, and z is that
    of T(x).  T(x) is restored as well, but the target of the KL is made of f(x):
    a row and its augmentations come to the same cluster (DEC-DA).

    Parameters
    ----------
    hidden_dims : sequence of int, default=(500, 500, 2000, 10)
        Widths of the encoder's layers; the last is the number of components.  The
        decoder mirrors them.
    modules : pair of torch.nn.Module, default=None
        Encoder and decoder to use instead of layers of ``hidden_dims``: between
        float32 rows of n_features and of any number of components.  They are copied,
        each for itself, so that they cannot share weights, and start from the weights
        they have (see also :meth:`pretrained_copy`).
    activation : {"relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid"} or callable, \
            default="relu"
        Between the layers, not after the last ones.  A callable returns a module.
    dropout : float, default=0.2
        Share of the input that is set to the mean in pre-training, at least 0 and less
        than 1; the rest is divided by 1 − dropout.
    augment : callable, default=None
        Gives augmented rows, drawn anew in each step: ``augment(x, generator)``.  The
        networks are trained on these, and restore them, while the targets of clusters
        are those of the rows as they are (Guo et al. 2018).  x is
        a float32 tensor of shape (n_rows, n_features) on ``device``, which it may
        change, of dense rows in units of ``scale_`` but not centred, so that 0 is 0;
        generator is a torch.Generator there.  It returns a tensor of the same shape.
        :class:`RandomAffine` is for images, :class:`RandomDropout` for counts and
        texts.  Give what leaves the clusters that you want as they are: rotations
        merge the digits 6 and 9.
    epochs : int, default=100
        Passes over the data in pre-training.
    whiten : bool, default=True
        Whether, after pre-training, a linear layer gives the components of the
        embedding mean 0, variance 1 and no correlation, and another undoes that before
        the decoder: pre-training leaves open the units of an embedding, in which
        clusters are measured.  Directions with less than a tenth of the largest
        variance are multiplied as if they had that, so an embedding with such keeps
        some correlation.  Not done after ``epochs=0``.  Neighbours, and so a map by
        ExactTSNE, are better without.
    batch_size : int, default=256
        Rows in a step of pre-training, at most.
    learning_rate : float, default=1e-3
        Rate of the optimiser in pre-training, in all steps or in the first.
    learning_rate_schedule : {"constant", "cosine"}, default="constant"
        With "cosine" the rate of pre-training falls from step to step, along half a
        cosine, to 0 after the last: ``learning_rate`` · (1 + cos(π t/T))/2 in step t of
        T (Loshchilov and Hutter 2017).  The last steps hardly move the embedding.
    clustering_rate : float, default=3e-4
        Rate of the optimiser in a step of the clustering.
    optimizer : {"adam", "sgd"} or callable, default="adam"
        "sgd" has momentum 0.9.  A callable, such as a class of torch.optim, is given
        the parameters and ``lr``.
    reconstruction_weight : float, default=10.0
        Weight γ of the error of reconstruction while clusters form.
    precision : {"single", "mixed"}, default="single"
        With "mixed" the matrix products of training are in bfloat16, faster where the
        processor has it, and several times slower, with a warning, where it has not;
        those of ``transform`` are always in single precision.
    device : {"auto", "cpu", "cuda"} or str, default="auto"
        Where to compute, as PyTorch names it; "auto" is a GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the batches, dropout and augmentation.  Dropout within
        ``modules`` has PyTorch's own seed.
    verbose : int, default=0
        Print a line per epoch.

    Attributes
    ----------
    encoder_, decoder_ : torch.nn.Module
        The networks f and g, in evaluation mode.  With ``whiten``, each is a Sequential
        of the layers, or of the one of ``modules``, and of the linear layer.
    loss_history_ : ndarray of shape (epochs,)
        Mean squared error per feature of the reconstruction, with dropout and
        augmentation, in each epoch of pre-training.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    scale_ : float
        Root of the mean variance of the features.
    n_components_ : int
        Number of components of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of the features seen during fit, when all are strings.

    Raises
    ------
    ImportError
        In ``fit``, if PyTorch is not installed.
    FloatingPointError
        In ``fit``, if pre-training diverged.
    ValueError
        In ``fit``, if ``modules`` do not lead from the features to an embedding and
        back.

    Notes
    -----
    A fitted encoder is pickled from the CPU and can be loaded without a GPU.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016, section 3.2.
    Guo, Gao, Liu, Yin: Improved deep embedded clustering with local structure
    preservation, IJCAI 2017, equation 8.
    Guo, Zhu, Liu, Yin: Deep embedded clustering with data augmentation, ACML 2018.
    Loshchilov, Hutter: SGDR: stochastic gradient descent with warm restarts,
    ICLR 2017, equation 5, without restarts.
    """

    _parameter_constraints: dict = {
        "hidden_dims": ["array-like"],
        "modules": [tuple, list, None],
        "activation": [
            StrOptions({"relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid"}),
            callable,
        ],
        "dropout": [Range(Real, 0, 1, closed="left")],
        "augment": [callable, None],
        "epochs": [Range(Integral, 0, None, closed="left")],
        "whiten": ["boolean"],
        "batch_size": [Range(Integral, 1, None, closed="left")],
        "learning_rate": [POSITIVE],
        "learning_rate_schedule": [StrOptions({"constant", "cosine"})],
        "clustering_rate": [POSITIVE],
        "optimizer": [StrOptions({"adam", "sgd"}), callable],
        "reconstruction_weight": [Range(Real, 0, None, closed="left")],
        "precision": [StrOptions({"single", "mixed"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_dims: Sequence[int] = (500, 500, 2000, 10),
        *,
        modules: Sequence[Any] | None = None,
        activation: str | Callable[[], Any] = "relu",
        dropout: float = 0.2,
        augment: Callable[[Any, Any], Any] | None = None,
        epochs: int = 100,
        whiten: bool = True,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        learning_rate_schedule: Literal["constant", "cosine"] = "constant",
        clustering_rate: float = 3e-4,
        optimizer: str | Callable[..., Any] = "adam",
        reconstruction_weight: float = 10.0,
        precision: Literal["single", "mixed"] = "single",
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_dims = hidden_dims
        self.modules = modules
        self.activation = activation
        self.dropout = dropout
        self.augment = augment
        self.epochs = epochs
        self.whiten = whiten
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.clustering_rate = clustering_rate
        self.optimizer = optimizer
        self.reconstruction_weight = reconstruction_weight
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context
    def fit(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Pre-train the autoencoder.

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
        self : AutoencoderEncoder
            The fitted encoder.  A fit that fails leaves it as it was.
        """
        with unchanged_on_error(self):
            self._fit(X, sample_weight)
        return self

    def _fit(self, X, sample_weight):
        torch_side = _torch_side()
        X, weight = self._check_fit(X, sample_weight)
        rng = check_random_state(self.random_state)
        seeds = rng.randint(MAX_SEED, size=2)
        self._networks = torch_side.Networks(
            *self._pair(torch_side, X.shape[1], seeds[0]),
            self.device,
            self.precision == "mixed",
        )
        if self.precision == "mixed" and not self._networks.has_bfloat16():
            warn(
                "precision='mixed' is several times slower than 'single' on this "
                "processor, which has no products in bfloat16"
            )
        self._augmentation = None
        if self.augment is not None:
            center = self.mean_ / self.scale_
            self._check_augmented(X, weight, center)
            self._augmentation = torch_side.Augmentation(self.augment, center)
        self._stepping = False
        self.n_components_ = self._check_widths(X[:1])
        self._pretrain(X, weight, rng, seeds[1])
        if self.whiten and self.epochs:
            self._whiten(X, weight)
        self._step_seed = int(rng.randint(MAX_SEED))

    def _check_augmented(self, X, weight, center):
        """Warn where rows, as they are in single precision, lose their differences."""
        rows = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight)
        most = min(ROWS_LOOKED_AT, max(2, ENTRIES_PER_BATCH // X.shape[1]))
        spread = np.ptp(self._scaled(X[rows[:: -(-len(rows) // most)]]), axis=0)
        lost = np.finfo(np.float32).eps * np.abs(center) > MOST_ROUNDED * spread
        columns = np.flatnonzero(lost & (spread > 0))
        if len(columns):
            warn(
                "augment is given rows as they are, in single precision, and of "
                f"{len(columns)} features, the first of them number {columns[0]}, that "
                "rounds away what rows differ by: subtract the mean of X first"
            )

    def _pair(self, torch_side, n_features, seed):
        if self.modules is not None:
            return torch_side.check_pair(self.modules)
        widths = [n_features, *self.hidden_dims]
        if len(widths) < 2 or not all(
            Range(Integral, 1, None, closed="left").is_satisfied_by(width)
            for width in widths
        ):
            raise ValueError(
                "hidden_dims must be a non-empty sequence of positive integers; got "
                f"{self.hidden_dims!r}"
            )
        return torch_side.mirrored(widths, self.activation, int(seed))

    def _check_widths(self, row):
        """Components of the embedding, if the networks go there and back."""
        self._networks.train(False)
        try:
            z = self._encode(row)
            shapes = z.shape, self._decode(z).shape
        except (RuntimeError, TypeError) as error:
            # the memory of a GPU is no fault of the networks
            if isinstance(error, _torch_side().torch.cuda.OutOfMemoryError):
                raise
            what = "modules" if self.modules is not None else "activation"
            raise ValueError(
                f"{what} must take rows of {row.shape[1]} features: {error}"
            ) from error
        if len(shapes[0]) != 2 or shapes[1] != row.shape:
            raise ValueError(
                f"modules must encode a row of {row.shape[1]} features as a row, and "
                f"decode that as one of {row.shape[1]} features; got shapes "
                f"{shapes[0]} and {shapes[1]}"
            )
        return shapes[0][1]

    def _pretrain(self, X, weight, rng, seed):
        networks = self._networks
        weight = np.ones(X.shape[0]) if weight is None else weight
        rows, self.loss_history_ = np.flatnonzero(weight), np.empty(self.epochs)
        weight = weight / weight[rows].mean()
        n_batches = -(-len(rows) // self.batch_size)
        falls = self.learning_rate_schedule == "cosine"
        networks.set_optimizer(
            self.optimizer,
            self.learning_rate,
            int(seed),
            n_steps=self.epochs * n_batches if falls else None,
        )
        networks.train(True)
        for epoch in range(self.epochs):
            error = 0.0
            for batch in np.array_split(rng.permutation(rows), n_batches):
                x = self._scaled(X[batch])
                mean = networks.restore(
                    x, weight[batch], self.dropout, self._augmentation
                )
                error += mean * len(batch) / len(rows)
            self.loss_history_[epoch] = error
            if self.verbose:
                print(f"[AutoencoderEncoder] epoch {epoch + 1}: error = {error:.5f}")
            if not np.isfinite(error):
                raise self._diverged(epoch + 1)
        networks.train(False)
        # the error is that of before the last step
        if self.epochs:
            z = self._encode(X[batch])
            if not (np.isfinite(z).all() and np.isfinite(self._decode(z)).all()):
                raise self._diverged(self.epochs)

    def _whiten(self, X, weight):
        if weight is not None:  # rows of none may be far from all others
            X, weight = X[weight > 0], weight[weight > 0]
        Z = self._embed(X).astype(np.float64)
        if not np.isfinite(Z).all():  # of a row that was in no batch of the last
            raise self._diverged(self.epochs)
        covariance = np.cov(Z.T, ddof=0, aweights=weight)
        values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
        if values[-1] <= (LEAST_DEVIATION * np.abs(Z).max()) ** 2:
            return
        deviations = np.sqrt(np.maximum(values, LEAST_VARIANCE * values[-1]))
        self._networks.append(
            np.average(Z, axis=0, weights=weight),
            (vectors / deviations) @ vectors.T,
            (vectors * deviations) @ vectors.T,
        )

    def _diverged(self, epoch):
        return FloatingPointError(
            f"pre-training diverged in epoch {epoch}: decrease learning_rate (it was "
            f"{self.learning_rate:g})"
        )

    def step(
        self, X: MatrixLike, gradient: Gradient, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Take one step on a batch, as :mod:`skdec.encoders` describes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The batch.
        gradient : callable
            Gives ∂KL/∂Z of the batch's embedding Z; with ``augment`` called with that
            of the augmented batch besides, at which it gives the gradient.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights w of the rows in the error of reconstruction.

        Returns
        -------
        self : AutoencoderEncoder
            The encoder, one step further.
        """
        X = self._check(X)
        if not self._stepping:
            self._networks.set_optimizer(
                self.optimizer, self.clustering_rate, self._step_seed
            )
            self._stepping = True
        self._networks.follow(
            self._scaled(X),
            lambda Z, *at: mean_gradient(gradient, Z, *at),
            np.ones(X.shape[0]) if sample_weight is None else sample_weight,
            self.reconstruction_weight,
            self._augmentation,
        )
        return self

    def pretrained_copy(self, **parameters: Any) -> Self:
        """An unfitted encoder that will begin with the weights of this one.

        Fitting it does not train it further, so that several models can start from
        one pre-training, on the same rows.

        Parameters
        ----------
        **parameters
            Parameters in which it is to differ.

        Returns
        -------
        encoder : AutoencoderEncoder
            A clone with ``modules=(encoder_, decoder_)`` and ``epochs=0``, unless
            those are given.
        """
        check_is_fitted(self)
        modules = _on_cpu((self.encoder_, self.decoder_))
        return clone(self).set_params(**{"modules": modules, "epochs": 0, **parameters})

    @property
    def encoder_(self) -> Any:
        """The network f."""
        return self._networks.encoder

    @property
    def decoder_(self) -> Any:
        """The network g."""
        return self._networks.decoder

    def _scaled(self, X):
        """Some rows, dense and scaled, in single precision."""
        X = X.toarray() if sparse.issparse(X) else X
        # in double precision, in which a difference of rows does not overflow
        x = np.subtract(X, self.mean_, dtype=np.float64)
        x /= self.scale_
        return x.astype(np.float32)

    def _encode(self, X):
        return self._networks.encode(self._scaled(X))

    def _decode(self, Z):
        return self._networks.decode(Z)

    @property
    def _n_features_out(self):
        return self.n_components_

    def __getstate__(self):
        state = {**super().__getstate__()}
        if "_networks" in state:
            # the optimiser is not kept: steps after loading start with a new one
            state["_stepping"] = False
        if self.modules is not None:
            state["modules"] = _on_cpu(self.modules)
        return state


def _on_cpu(modules):
    return tuple(copy.deepcopy(module).cpu() for module in modules)


def _torch_side():
    """The module that imports PyTorch, or an error that says how to get it."""
    try:
        from skdec.encoders import _networks
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "AutoencoderEncoder needs PyTorch, which is not installed: "
            "pip install 'skdec[deep]'"
        ) from error
    return _networks
