"""What a callback of StudentTClustering is given: a clustering on its way."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from scipy import sparse

from skdec.utils.blocks import Blocks

if TYPE_CHECKING:
    from skdec.clustering._form import Form
    from skdec.clustering._prediction import FittedClustering
    from skdec.clustering._watch import Check, Run
    from skdec.utils.typing import FloatArray, IntArray, MatrixLike


class Snapshot:
    """A clustering at a check of its fit, as a callback is given it.

    It may be kept: what the fit does later changes none of it.

    Parameters
    ----------
    rows, estimator, training : object
        The rows being fitted, the estimator that fits them, and in which training.
    run, form, number, check : object
        Which run it is, with which ν, h and b, and what was found at which check.

    Attributes
    ----------
    n_iter : int
        Passes over the data in this run: the entry of ``history_["n_iter"]``.
    kl_divergence : float
        KL(P‖Q) in nats, a weighted sum over the rows of this run.
    label_changes : float
        Share of the labels that changed since the check before in this run; 1 at its
        first.
    cluster_centers : ndarray of shape (n_clusters, n_features)
        The centroids of which the target P was made, and where KL was measured, before
        the step that followed, in X's dtype; with an encoder of shape
        (n_clusters, n_components).  With batches KL is a sum over the pass, and these
        are the last of it.
    stage : {"sample", "rows", "encoder"}
        What this run goes over: a sample of large data, in which starts are tried
        first; all rows; or, while an encoder learns, their changing embedding.
    training : int
        Which of ``n_trainings`` an encoder is in; 0 is the first.
    start : int
        Which of the ``n_starts`` this run has begun from; 0 is the most promising.
        Others follow where a cluster has lost all its rows, and with an encoder.
    n_starts : int
        How many starts k-means has found.
    number : int
        How many checks of this run there were before it.
    dof, bandwidth, balance : float
        Degrees of freedom ν, bandwidth h and balance b of this run.
    """

    def __init__(
        self,
        rows: Any,
        estimator: FittedClustering,
        training: int,
        run: Run,
        form: Form,
        number: int,
        check: Check,
    ) -> None:
        self.n_iter, self.kl_divergence = check.n_iter, check.kl
        self.label_changes, self.number = check.changed, number
        self.training = training
        self.stage, self.start, self.n_starts = run
        self.dof, self.bandwidth, self.balance = form
        # copies: an embedding that learns is changed in place
        self._rows = rows if check.Z is None else check.Z.copy()
        self.cluster_centers: FloatArray = check.centers.astype(rows.dtype)
        self._estimator = estimator

    def __repr__(self) -> str:
        return (
            f"<Snapshot of {self.stage!r}, start {self.start} of {self.n_starts}: "
            f"n_iter={self.n_iter}, kl_divergence={self.kl_divergence:.6g}, "
            f"label_changes={self.label_changes:.4g}>"
        )

    @property
    def encoding(self) -> MatrixLike:
        """The training rows as they are compared with the centroids.

        Of shape (n_samples, n_components): the embedding as last computed, while an
        encoder learns; X otherwise, as a view that cannot be written to, or, of sparse
        rows, a copy.  Of a dask array it is the array itself.
        """
        if isinstance(self._rows, Blocks):
            return self._rows.collection
        if sparse.issparse(self._rows):
            return self._rows.copy()
        view = self._rows.view()
        view.flags.writeable = False
        return view

    def labels(self) -> IntArray:
        """Compute the most probable cluster of each training row.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The argmax of ``memberships()``, int32; of a dask array a lazy one.
        """
        model, rows = self._model()
        return model.predict(rows)

    def memberships(self) -> FloatArray:
        """Compute the memberships q of each training row in each cluster.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            In X's dtype; rows sum to 1.  Of a dask array a lazy one.
        """
        model, rows = self._model()
        return model._transform(rows)

    def _model(self):
        """The estimator as fitted with these centroids, and the rows to ask it about.

        It has no encoder: the rows are encoded already.
        """
        model, rows = copy.copy(self._estimator), self._rows
        if isinstance(rows, Blocks):
            rows = rows.collection
        else:
            vars(model).pop("feature_names_in_", None)
            model.n_features_in_ = rows.shape[1]
        model.encoder = model.encoder_ = None
        model.cluster_centers_ = self.cluster_centers
        model.dof_, model.bandwidth_ = self.dof, self.bandwidth
        return model, rows


def snapshots(estimator, rows, training):
    """What makes the snapshots of a fit of rows: ``look`` of a ``Watch``."""
    asked = copy.copy(estimator)
    # of a fit before, and what may not be pickled
    for name in estimator._of_each_row:
        vars(asked).pop(name, None)
    asked.callback = None
    return partial(Snapshot, rows, asked, training)
