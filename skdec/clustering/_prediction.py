"""What a fitted clustering tells of rows: memberships, labels, scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import entr, rel_entr
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils import gen_batches, get_tags
from sklearn.utils.validation import check_is_fitted

from skdec.clustering._memberships import memberships, most_probable, target
from skdec.clustering._objective import ClusteringObjective, Mixture
from skdec.clustering._scaled_rows import scale_rows
from skdec.clustering._spread import simplified_silhouette
from skdec.clustering._training import DIVERGED
from skdec.utils.blocks import check_blocks
from skdec.utils.collection import in_memory, is_dask
from skdec.utils.lazily import for_workers, row_by_row
from skdec.utils.numbers import largest_magnitude
from skdec.utils.threads import Threads
from skdec.utils.validation import check_matrix, validate_rows, with_merged_entries
from skdec.utils.weights import Weights, check_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import FloatArray, IntArray, MatrixLike

ROWS_PER_PREDICTION = 65_536


class Share(NamedTuple):
    """What some rows add to a weighted mean."""

    total: float
    weight: float


class Labelled(NamedTuple):
    """The most probable cluster of each row, and how much it belongs to it."""

    labels: np.ndarray
    probabilities: np.ndarray


def _no_memberships(estimator, dtype):
    return np.empty((0, len(estimator.cluster_centers_)), dtype)


def _no_embedding(estimator, dtype):
    return np.empty((0, estimator.cluster_centers_.shape[1]), dtype)


def _no_labels(estimator, dtype):
    return np.empty(0, np.int32)


def _no_numbers(estimator, dtype):
    return np.empty(0)


def _silhouette_of_block(rows, model, weight):
    """What the rows of a block add to the score."""
    total = rows.shape[0] if weight is None else weight.sum()
    if not total > 0:
        return Share(0.0, 0.0)
    return Share(total * model._silhouette(model.encode(rows), weight), total)


def encoded(X, encoder, *, learns=False):
    """The embedding that a fitted encoder gives of validated rows, in their dtype.

    Where it is not finite the rows are too large, or what the encoder learns.
    """
    with np.errstate(over="ignore"):  # which is told below
        Z = encoder.transform(X)
    Z = check_matrix(Z, "encoder.transform(X)", ensure_all_finite=False)
    if len(Z) != X.shape[0]:
        raise ValueError(
            f"encoder.transform(X) must have {X.shape[0]} rows, as X has; got {len(Z)}"
        )
    # an encoder may give what it was given, which is the caller's
    shared = not sparse.issparse(X) and np.may_share_memory(Z, X)
    with np.errstate(over="ignore"):
        Z = Z.astype(X.dtype, copy=shared)
    finite = np.isfinite(Z).all()
    if not finite and learns:
        raise FloatingPointError(DIVERGED)
    if not finite:
        raise ValueError(
            f"encoder.transform(X) must be finite in X's dtype {X.dtype}; rows of X up "
            f"to {largest_magnitude(X):g} give infinity or NaN"
        )
    return Z


class FittedClustering(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):
    """The methods of StudentTClustering that need its attributes, and no more.

    Rows go one way: X → z, by the encoder if there is one → q → labels, scores.
    """

    # what rows elsewhere need not know of the training rows
    _of_each_row = ("labels_", "probabilities_", "encoding_", "_stream")

    @row_by_row(_no_embedding)
    def encode(self, X: MatrixLike) -> Any:
        """Compute the embedding z in which rows are compared with the centroids.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            ``encoder_.transform(X)`` in X's dtype; without an encoder X itself,
            validated.
        """
        check_is_fitted(self)
        X = self._validate(X, self.encoder_)
        if self.encoder_ is None:
            return X
        Z, n_components = encoded(X, self.encoder_), self.cluster_centers_.shape[1]
        if Z.shape[1] != n_components:
            raise ValueError(
                f"encoder_.transform(X) must have {n_components} columns, as it had "
                f"during fit; got {Z.shape[1]}"
            )
        return Z

    @row_by_row(_no_labels)
    def predict(self, X: MatrixLike) -> IntArray:
        """Label each row with its most probable cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to label.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The argmax of ``transform(X)``, int32.
        """
        return self._labels(self.encode(X))

    @row_by_row(_no_memberships)
    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Compute the memberships q of each dense row in each cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Soft assignments in X's dtype; rows sum to 1.

        Raises
        ------
        TypeError
            If X is sparse.  scikit-learn's checks take whoever gives probabilities of
            sparse rows for a classifier; ``transform`` takes both.
        """
        check_is_fitted(self)
        if sparse.issparse(X):
            raise TypeError(
                "predict_proba takes dense rows, and X is sparse: transform(X) gives "
                "the same memberships"
            )
        return self._transform(X)

    def transform(self, X: MatrixLike) -> FloatArray:
        """Compute the memberships q of each row, dense or sparse, in each cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Soft assignments in X's dtype; rows sum to 1.
        """
        return self._transform(X)

    def fit_transform(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Fit, and compute the memberships q of the training rows.

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
        Q : ndarray of shape (n_samples, n_clusters)
            Soft assignments in X's dtype; rows sum to 1.
        """
        # a pipeline gives the targets of its regression as y: they may look like
        # weights, of which fit warns, and are none
        return self.fit(X, sample_weight=sample_weight).transform(X)

    @row_by_row(_no_memberships)
    def _transform(self, X: Any) -> Any:
        """The memberships as an array, whatever ``set_output`` says."""
        X = self.encode(X)
        with Threads(self.n_jobs) as threads:
            return self._memberships(X, threads)

    def score(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Simplified silhouette of X with respect to the fitted centroids.

        The mean of (b − a)/max(a, b), where a and b are a row's distances to its
        nearest and second nearest centroid.  Unlike −inertia or −KL it does not grow
        with the number of clusters, so a grid search over ``n_clusters`` can use it.
        With an encoder the distances are those of its embedding, which learns to have
        them so: scores of different encoders do not tell which is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; 1 each by default.

        Returns
        -------
        score : float
            Between 0 and 1, higher is better; 0 for a single cluster.
        """
        if is_dask(X):
            check_is_fitted(self)
            return self._score_of_blocks(
                check_blocks(self, X), in_memory(sample_weight)
            )
        X = self.encode(X)
        weights = check_weights(sample_weight, X)
        return self._silhouette(X, weights.values)

    @row_by_row(_no_numbers)
    def kl_samples(self, X: MatrixLike) -> FloatArray:
        """Divergence of each row's target from its memberships: how far q has to move.

        KL_i = Σ_j p_ij log(p_ij/q_ij) with p ∝ q²/f^b from the fitted frequencies f.
        It is 0 where sharpening changes nothing: for a row that belongs to one cluster
        alone, and also for one that belongs to several evenly.  In between it is
        largest for rows that lean to one side.  ``entropy_samples`` finds the rows
        between clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to judge.

        Returns
        -------
        kl : ndarray of shape (n_samples,)
            In nats, float64; of the training rows, weighted, they sum to
            ``kl_divergence_``.
        """

        def divergence(Q, threads):
            Q = Q.astype(np.float64)
            P = target(Q, self.cluster_frequencies_, self.balance_, threads)
            return rel_entr(P, Q).sum(axis=1)

        return self._of_memberships(self.encode(X), divergence)

    @row_by_row(_no_numbers)
    def entropy_samples(self, X: MatrixLike) -> FloatArray:
        """Entropy of each row's memberships: which rows lie between clusters.

        H_i = −Σ_j q_ij log q_ij: 0 for a row that belongs to one cluster alone, log 2
        half-way between two, log k at most.  A row far from all clusters has a large
        one too; ``score_samples`` tells such rows from those in between.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to judge.

        Returns
        -------
        entropy : ndarray of shape (n_samples,)
            In nats, float64.
        """
        return self._of_memberships(
            self.encode(X), lambda Q, _: entr(Q).sum(axis=1, dtype=np.float64)
        )

    @row_by_row(_no_numbers)
    def score_samples(self, X: MatrixLike) -> FloatArray:
        r"""Log density of each row: which rows lie far from all clusters.

        .. math:: \log \sum_j \frac{f_j}{\sum_{j'} f_{j'}} t(z_i; m_j, h, \nu)

        with t the Student-t density in d dimensions, of location m_j
        (``cluster_means_``), scale h (``bandwidth_``) and ν degrees of freedom
        (``dof_``).  Its weighted mean over the training rows is ``evidence_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to judge.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats, float64; of the embedding, if there is an encoder.

        References
        ----------
        Peel, McLachlan: Robust mixture modelling using the t distribution, Statistics
        and Computing 2000, equations 1 and 2.
        """
        X = self.encode(X)
        rows = self._scaled(X)
        means = rows.to_internal(self.cluster_means_)
        mixture = Mixture(means, self.cluster_frequencies_)
        with Threads(self.n_jobs) as threads:
            objective = ClusteringObjective(rows, Weights(None), self.dof_, threads)
            return objective.log_density(mixture)

    def _score_of_blocks(self, blocks, sample_weight):
        weights = check_weights(sample_weight, blocks)
        own = None if weights.values is None else blocks.split(weights.values)
        model = for_workers(self)
        parts = blocks.map(_silhouette_of_block, model, own, task="score")
        return sum(part.total for part in parts) / sum(part.weight for part in parts)

    def _validate(self, X, encoder, reset=False):
        takes_sparse = encoder is None or get_tags(encoder).input_tags.sparse
        accepted = "csr" if takes_sparse else False
        X = validate_rows(self, X, accept_sparse=accepted, reset=reset)
        return with_merged_entries(X)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "cluster_centers_")

    def _scaled(self, X):
        """The rows as they are measured; refused where distances would be lost."""
        name = "X" if self.encoder_ is None else "encoder_.transform(X)"
        rows = scale_rows(X, self.cluster_centers_, self.bandwidth_, name=name)
        if sparse.issparse(X):
            rows.check_precision(self.cluster_centers_)
        return rows

    def _silhouette(self, X, weight):
        if sparse.issparse(X):
            self._scaled(X)
        return simplified_silhouette(X, self.cluster_centers_, weight)

    def _memberships(self, X, threads):
        Q = memberships(self._scaled(X), self.cluster_centers_, self.dof_, threads)
        return Q.astype(X.dtype, copy=False)

    def _of_memberships(self, X, measure):
        """A number for each row, of its memberships, in batches."""
        values = np.empty(X.shape[0])
        with Threads(self.n_jobs) as threads:
            for batch in gen_batches(X.shape[0], ROWS_PER_PREDICTION):
                values[batch] = measure(self._memberships(X[batch], threads), threads)
        return values

    def _labels(self, X):
        rows = self._scaled(X)
        with Threads(self.n_jobs) as threads:
            if rows.dtype == X.dtype:
                return most_probable(rows, self.cluster_centers_, self.dof_, threads)
            return self._labelled(rows, X.dtype, threads).labels

    def _labelled(self, rows, dtype, threads):
        """The argmax of q in the dtype in which it is given out, and that q."""
        labels = np.empty(rows.shape[0], np.int32)
        largest = np.empty(rows.shape[0], dtype)
        for batch in gen_batches(rows.shape[0], ROWS_PER_PREDICTION):
            part = rows.take(batch)
            Q = memberships(part, self.cluster_centers_, self.dof_, threads)
            Q = Q.astype(dtype, copy=False)
            labels[batch], largest[batch] = Q.argmax(axis=1), Q.max(axis=1)
        return Labelled(labels, largest)

    @property
    def _n_features_out(self):
        return len(self.cluster_centers_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = (
            self.encoder is None or get_tags(self.encoder).input_tags.sparse
        )
        return tags
