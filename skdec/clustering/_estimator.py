"""StudentTClustering: the clustering of DEC as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if

from skdec.clustering._fit import fit_batch, fit_encoder, fit_rows
from skdec.clustering._form import Form
from skdec.clustering._prediction import FittedClustering, Labelled
from skdec.clustering._snapshot import Snapshot
from skdec.clustering._stream import Batch
from skdec.utils.blocks import Blocks, check_blocks
from skdec.utils.collection import in_memory, is_dask
from skdec.utils.progress import BARS, Reports
from skdec.utils.sklearn_compat import HasMethods, StrOptions, fit_context
from skdec.utils.state import unchanged_on_error
from skdec.utils.threads import Threads
from skdec.utils.validation import (
    BALANCE,
    DOF,
    N_JOBS,
    POSITIVE,
    Range,
    check_ignored,
)
from skdec.utils.warn import warn
from skdec.utils.weights import check_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sklearn.base import BaseEstimator

    from skdec.utils.typing import Auto, Encoder, MatrixLike, RandomState


def _without_encoder(estimator):
    if estimator.encoder is not None:
        raise AttributeError(
            "partial_fit needs encoder=None: an encoder is pre-trained on all rows"
        )
    return True


def _tell(said):
    for remark in said:
        warn(remark, ConvergenceWarning)


class StudentTClustering(FittedClustering):
    r"""Student-t clustering with self-sharpened targets, as in DEC.

    Soft assignments of points to centroids,

    .. math:: q_{ij} \propto (1 + \|z_i-\mu_j\|^2/(h^2\nu))^{-(\nu+1)/2},

    are matched to their own sharpened version :math:`p_{ij} \propto q_{ij}^2/f_j^b`
    (see :func:`target_distribution`).  The centroids descend KL(P‖Q), while P is held
    fixed and refreshed in turn.

    Without an encoder z is x.  The clusters start from those of k-means.  With the
    default parameters they never have less evidence (see ``evidence_``) than these.
    They are better where clusters differ in size, or where k-means has settled in a
    poor place.  They also have graded memberships and a log density.

    With an encoder (see :mod:`skdec.encoders`) z = encoder(x) learns.  The encoder is
    pre-trained and its embedding clustered; then encoder and centroids descend KL(P‖Q)
    together, the encoder along ∂KL/∂z in batches.  That is DEC, or IDEC if the encoder
    has to reconstruct x too.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    dof : "auto" or float, default="auto"
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.  "auto" is the
        dimension m of the spread within the clusters of the best start, rounded:
        m = (tr W)²/tr W², with W the covariance of the rows about the means of their
        clusters.  It is the number of features if clusters are round, and less if they
        are long.  With an encoder "auto" is m/10, at least 1.  1.0 is the value of the
        DEC paper; beyond a few dimensions its memberships are blurred.
    bandwidth : "auto" or float, default="auto"
        Unit h of the distances; 1.0 is the formula of the paper.  "auto" is
        √(min(ν, 4)/2) times √(tr W/m), the standard deviation within clusters in each
        of the m dimensions, or less if clusters would lose all their rows.  With an
        encoder it is min(√ν/2, 1) times √(tr W/n_components), and stays the same while
        the encoder learns.  Rescaling X changes neither labels nor memberships.
    balance : "auto" or float, default="auto"
        Exponent b of the frequencies in the target, not negative.  1.0 is the formula
        of the paper, which makes the sizes of the clusters more even.  0.0 leaves the
        frequencies out; then large clusters take the rows of small ones.  "auto" is
        0.5, or 1.0 if otherwise clusters would lose all their rows or, with ``dof`` or
        ``bandwidth`` given, the iterations would do harm (see ``start_kept_``).  With
        an encoder it is 1.0.
    encoder : object with ``fit``, ``transform`` and ``step``, default=None
        Transformer that computes the embedding z and is trained by the clustering, as
        described in :mod:`skdec.encoders`.  It is cloned; the fitted clone is
        ``encoder_``.  If its ``random_state`` is None, a seed is drawn from this
        estimator's ``random_state``.  With ``encoder=None``, X itself is clustered.
    init : {"k-means++", "random"}, callable, estimator or array of shape \
            (n_clusters, n_features) or (n_samples,), default="k-means++"
        How the k-means runs that give the starts are seeded, as in
        :class:`sklearn.cluster.KMeans`.  Where there are at least 4 ``n_clusters``
        features, every other run is begun among the leading 2 ``n_clusters`` principal
        components and goes on among all features.  A callable is given the distinct
        rows in which starts are found, in an order of their own (see Notes).  An array
        of centroids is itself the only start.
        Of an estimator with ``fit_predict``, such as a pipeline of
        :class:`ExactTSNE` and a clusterer, the means of its clusters are the only
        start.  It is cloned and given the same rows, of the embedding if there is an
        encoder, without weights.  Where a ``random_state`` of it is None, a seed is
        drawn.  It must find ``n_clusters`` clusters; rows that it labels −1 have no
        say.  BLAS has one thread meanwhile, as in all of the fit.
        An array of integers, one for each row of X, are labels: the weighted means of
        their clusters are the only start, with an encoder those of the rows' z.
        Cluster 0 is that of the least label, and so on; there must be ``n_clusters``
        among the rows of a positive weight, of which those labelled −1 have no say.
        From the clusters of an estimator or of labels the training of an encoder
        begins as they are, without Student-t iterations before.
    n_init : "auto" or int, default="auto"
        Number of k-means runs.  The one with the highest evidence (see ``evidence_``)
        is carried through the Student-t iterations.  Runs whose evidence differs from
        it by no more than chance explains (k m/2 nats in all) count as equal: among
        them the labels that agree most with those of all runs decide, or the least
        inertia if runs hardly agree.  If a cluster loses all its rows, the next run is
        tried whose labels differ (an adjusted Rand index below 0.95), up to ten in
        all.  "auto" is 40.  With an encoder it is 10; all are carried through, and the
        best end is taken.
    n_trainings : int, default=1
        Number of whole trainings of the encoder, each from its own pre-training on; 1
        if there is no encoder.  The first is that of ``n_trainings=1``; the others draw
        their seed, and that of the encoder, from ``random_state``.  The one whose
        labels agree most with those of the others is returned (mean adjusted Rand
        index), which takes at least 3 to tell; one that failed, or lost clusters, is
        not if there is another.  That guards against a seed that went astray.  It is
        no search for the best one: no measure without labels was found that tells.
    max_iter : int, default=300
        Largest number of passes over the data; with an encoder, of its training.
    tol : float, default=1e-3
        The iterations stop when two changes since the last refresh of the target are at
        most this: the share of labels changed, and the root mean square shift of the
        centroids per dimension in units of h.  0.0 means to the precision of the
        computation.  An encoder's training stops when the share of labels changed has
        been at most this in three refreshes in a row; its start always uses the default
        values of ``tol`` and ``max_iter``.
    update_interval : "auto" or int, default="auto"
        Steps between refreshes of the target P.  "auto" is 1.  With an encoder, the
        number of steps between two refreshes over all rows: an integer re-encodes all
        rows at each, "auto" refreshes once a pass, or every 30 steps where a pass has
        fewer, and reuses the embeddings computed since the refresh before.  Between
        refreshes, each batch gets a target from its own memberships, and the centroids
        take a step at least every 40 batches.
    batch_size : "auto", int or None, default="auto"
        Largest number of distinct rows in a step; each pass draws its batches again.
        None, or at least as many as there are rows, means all rows in each step.
        "auto" is None without an encoder and 256 with one, where it applies to the
        encoder's training only.  The target of a batch is made with running
        frequencies f.
    random_state : int, RandomState instance or None, default=None
        Seeds the starts, the batches and the encoder.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.  The result is bitwise the same for every value.
        An encoder has threads of its own.
    verbose : int or "progress", default=0
        1 prints a line for each start that is carried through, and for each refresh of
        an encoder's training; 2 and more print one for every refresh.  "progress" draws
        a bar in their place, with the share of labels changed and the time that is left
        if they do not settle earlier, by rich or tqdm, whichever is installed; where
        output goes to a file there are lines.
    callback : callable, default=None
        Called as ``callback(n_iter, kl, clusters)`` whenever the iterations are judged,
        as for ``history_``: with the pass, KL(P‖Q) and a
        :class:`skdec.clustering.Snapshot`.  That tells the centroids, the share of
        labels changed and which start is carried through, and gives labels and
        memberships of the training rows when they are asked for.  Each start that is
        carried through is a run of its own; so is an encoder's training, after them.
        The fit ends where the callback returns something true, after the step that it
        was told of.
    callback_every : int, default=1
        From one call to the next: 3 means at the first, fourth, seventh ... time that a
        run is judged.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Centroids μ, in X's dtype; with an encoder of shape (n_clusters, n_components).
        Distances are measured to them, but they are not typical rows: where clusters
        overlap they lie farther out than the rows do (on digits, pixels below 0).  They
        stay within the ball about the mean of the rows that holds all rows.
    cluster_means_ : ndarray of shape (n_clusters, n_features)
        Σ_i w_i q_ij z_i / f_j, the weighted means of the rows: the typical member.
        With an encoder of shape (n_clusters, n_components).
    labels_ : ndarray of shape (n_samples,)
        argmax_j q_ij of the training rows, int32; equal to ``predict(X)``.
    probabilities_ : ndarray of shape (n_samples,)
        max_j q_ij of the training rows: how much each belongs to its cluster.
    kl_divergence_ : float
        KL(P‖Q) at the centroids, in nats, a weighted sum over the samples.
    encoder_ : object or None
        The fitted encoder, if there is one.
    encoding_ : ndarray of shape (n_samples, n_components) or None
        The embedding z of the training rows, if there is an encoder.
    n_iter_ : int
        Passes over the data of the start that was carried through, or of the encoder's
        training.
    n_steps_ : int
        Steps; as many as passes, unless there are batches.
    converged_ : bool
        Whether those iterations settled before ``max_iter`` and did no harm.
    start_kept_ : bool
        Whether the start itself is returned, because the iterations emptied clusters
        or found less evidence.  If ``dof``, ``bandwidth`` and ``balance`` are "auto",
        any loss of evidence is enough, and so are labels that have left those of the
        start (adjusted Rand index below 0.8) without a clearer separation.  Otherwise
        the loss has to exceed what chance explains, or the labels alone have to explain
        the rows plainly worse (by 0.25 nats a row beyond chance).
        With an encoder, the start and the pre-trained encoder are returned if training
        lost clusters, shrank the embedding to a point, or ended with labels that
        explain its embedding plainly worse than those of the start.
    history_ : dict of ndarray
        One entry for each refresh (with batches, for each pass) of those iterations:
        "n_iter", the pass; "kl_divergence", KL(P‖Q) at the centroids before its step
        and, while an encoder learns, at the embedding that ``update_interval`` names;
        "label_changes", the share of labels changed since the entry before.
    training_agreement_ : ndarray of shape (n_trainings,) or None
        Mean adjusted Rand index of each training's labels with those of the others; NaN
        of a training that failed, or fell short of what others reached.  How far it is
        from 1 tells how much the clusters depend on the seed.  None if there was one
        training.
    n_reseeds_ : int
        Clusters of the start that had no rows and were placed among the rows.
    cluster_frequencies_ : ndarray of shape (n_clusters,)
        f_j = Σ_i w_i q_ij, float64.
    dof_ : float
        The degrees of freedom used.
    bandwidth_ : float
        The bandwidth used.
    balance_ : float
        The exponent of the frequencies used.
    evidence_ : float
        Weighted mean of ``score_samples`` over the training rows: the mean log
        likelihood of the mixture of Student-t distributions that memberships stand for,
        in nats a row.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of the features seen during fit, when all are strings.

    Warns
    -----
    ConvergenceWarning
        If the iterations, or the encoder's training, did not settle within
        ``max_iter``.  If the start is kept (see ``start_kept_``), unless all three
        parameters named there are "auto" and no cluster was lost.  If clusters
        collapsed, that is, ended without rows or on the centroid of another.  If X has
        fewer distinct rows than clusters.  If batches have fewer than 5 rows a cluster
        and there is no encoder, whose batches do not move the centroids.  If some of
        several trainings failed.

    RuntimeWarning
        If ``init`` is an array or an estimator, which is one start, and ``n_init`` asks
        for more.

    See Also
    --------
    sklearn.cluster.KMeans : Hard assignments; supplies the starts.
    sklearn.mixture.GaussianMixture : Memberships of a generative model; the better
        choice for clusters of different spread or shape in a few dimensions.

    Notes
    -----
    Data of at most 2^20 stored numbers, or of at most 5,000 rows with at most 2^24, or
    of at most 50 rows a cluster, are merged to distinct rows and put in order before
    the starts are drawn.  So integer weights and repeated rows give the same fit,
    whatever the order of the rows, dense or sparse.  Larger data are used as they are,
    without a copy; the starts are found, and tried, in a random sample of that size.
    An encoder's batches are never merged.

    During fit, distances of dense rows come from matrix products where rounding allows
    an error of at most 1e-3 h² (float32) or 1e-9 h² (float64), and from differences
    otherwise.  Predictions on dense rows always use differences; sparse rows always use
    the expanded form in float64, and are refused where it would lose them.

    X may be a dask array or data frame.  Then rows stay in their blocks, each step is a
    sum over these, ``labels_`` and ``probabilities_`` are dask arrays, and predictions
    are lazy (docs/scaling.md).

    For cosine similarity, scale the rows to unit length first:
    ``make_pipeline(Normalizer(), StudentTClustering(8))``.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016.
    Guo, Gao, Liu, Yin: Improved deep embedded clustering with local structure
    preservation, IJCAI 2017.
    Peel, McLachlan: Robust mixture modelling using the t distribution, Statistics and
    Computing 2000.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import StudentTClustering
    >>> X = load_iris().data
    >>> model = StudentTClustering(n_clusters=3, random_state=0).fit(X)
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints: dict = {
        "n_clusters": [Range(Integral, 1, None, closed="left")],
        "dof": [StrOptions({"auto"}), DOF],
        "bandwidth": [StrOptions({"auto"}), POSITIVE],
        "balance": [StrOptions({"auto"}), BALANCE],
        "encoder": [HasMethods(["fit", "transform", "step"]), None],
        "init": [
            StrOptions({"k-means++", "random"}),
            callable,
            HasMethods(["fit_predict"]),
            "array-like",
        ],
        "n_init": [StrOptions({"auto"}), Range(Integral, 1, None, closed="left")],
        "n_trainings": [Range(Integral, 1, None, closed="left")],
        "max_iter": [Range(Integral, 1, None, closed="left")],
        "tol": [Range(Real, 0, None, closed="left")],
        "update_interval": [
            StrOptions({"auto"}),
            Range(Integral, 1, None, closed="left"),
        ],
        "batch_size": [
            StrOptions({"auto"}),
            None,
            Range(Integral, 1, None, closed="left"),
        ],
        "random_state": ["random_state"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose", StrOptions({BARS})],
        "callback": [callable, None],
        "callback_every": [Range(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        dof: float | Auto = "auto",
        bandwidth: float | Auto = "auto",
        balance: float | Auto = "auto",
        encoder: Encoder | None = None,
        init: str | Callable[..., ArrayLike] | BaseEstimator | ArrayLike = "k-means++",
        n_init: int | Auto = "auto",
        n_trainings: int = 1,
        max_iter: int = 300,
        tol: float = 1e-3,
        update_interval: int | Auto = "auto",
        batch_size: int | Auto | None = "auto",
        random_state: RandomState = None,
        n_jobs: int | None = -1,
        verbose: int | Literal["progress"] = 0,
        callback: Callable[[int, float, Snapshot], Any] | None = None,
        callback_every: int = 1,
    ) -> None:
        self.n_clusters = n_clusters
        self.dof = dof
        self.bandwidth = bandwidth
        self.balance = balance
        self.encoder = encoder
        self.init = init
        self.n_init = n_init
        self.n_trainings = n_trainings
        self.max_iter = max_iter
        self.tol = tol
        self.update_interval = update_interval
        self.batch_size = batch_size
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback
        self.callback_every = callback_every

    @fit_context
    def fit(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit the centroids.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, float32 or float64 (anything else becomes float64).  Sparse
            rows are taken as CSR and stay sparse.
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; 1 each by default.  A row of weight 0 counts for
            nothing, but is labelled.

        Returns
        -------
        self : StudentTClustering
            The fitted estimator.  A fit that fails leaves it as it was.

        Raises
        ------
        ValueError
            If X has fewer rows than ``n_clusters``, if it is sparse and lies so far
            from zero that distances are lost, if ``init`` does not give ``n_clusters``
            centroids or labels, or if ``n_trainings`` is above 1 without an encoder.
        TypeError
            If X is a dask array and there is an encoder.
        FloatingPointError
            If every training of an encoder diverged.
        """
        with unchanged_on_error(self), self._reports() as reports:
            X, weights = self._check_training(X, y, sample_weight)
            fitted = fit_rows if self.encoder is None else fit_encoder
            fit = fitted(X, weights, self, reports)
            self._assign(fit, X if fit.encoding is None else fit.encoding)
            _tell(fit.remarks)  # a warning may be an error
        return self

    @available_if(_without_encoder)
    @fit_context
    def partial_fit(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Follow a batch of rows, as data stream in or do not fit into memory.

        The first rows, up to 2^18 stored numbers, are kept.  They are fitted again, as
        by ``fit``, whenever a quarter more of them have come; clusters keep their
        numbers.
        Other batches are followed by one step each, ever shorter, at the bandwidth
        found so far, without entries in ``history_``.  If the clusters of the last fit
        explain the rows better in the long run, they are returned to, and
        ``start_kept_`` tells.  After ``fit``, its centroids are what goes on.  New
        clusters are not found: a warning tells once if many rows come from far outside
        those before.  That a fit of the first rows has not settled is told by
        ``converged_``, without a warning: more rows follow.  That it has lost clusters
        a warning tells, once until a fit of them loses none.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A batch of rows; the first holds at least ``n_clusters``.
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; 1 each by default.

        Returns
        -------
        self : StudentTClustering
            The estimator; ``labels_`` are those of this batch, ``kl_divergence_`` is
            that of the rows just fitted or followed.  A call that fails leaves the
            estimator as it was.

        Raises
        ------
        ValueError
            If the first batch has fewer rows than ``n_clusters``, if that is not
            what it was in the calls before, or if ``init`` are labels.
        TypeError
            If X is a dask array.
        """
        with unchanged_on_error(self), self._reports() as reports:
            if is_dask(X):
                raise TypeError(
                    "partial_fit takes one batch of rows in memory; of a dask array "
                    "X give them one by one: for block in X.blocks: "
                    "partial_fit(block.compute())"
                )
            before, form = getattr(self, "_stream", None), None
            batch = Batch(*self._check_training(X, y, sample_weight, before is None))
            if before is not None:
                form = Form(self.dof_, self.bandwidth_, self.balance_)
            fit = fit_batch(batch, before, form, self, reports)
            self._assign(fit, batch.X)
            _tell(fit.remarks)
        return self

    def _check_training(self, X, y, sample_weight, reset=True):
        if self.encoder is None and self.n_trainings > 1:
            raise ValueError(
                "n_trainings must be 1 without an encoder; got "
                f"{self.n_trainings}.  n_init is the number of k-means starts"
            )
        if is_dask(X):
            self._check_whole()
            X, sample_weight = check_blocks(self, X, reset), in_memory(sample_weight)
        else:
            X = self._validate(X, self.encoder, reset)
        if reset and X.shape[0] < self.n_clusters:
            raise ValueError(
                f"n_clusters ({self.n_clusters}) must not exceed n_samples "
                f"({X.shape[0]})"
            )
        if sample_weight is None and y is not None and not is_dask(y):
            check_ignored(y, X.shape[0])
        return X, check_weights(sample_weight, X)

    def _check_whole(self):
        """Refuse what cannot be done with rows in blocks."""
        if self.encoder is not None:
            raise TypeError(
                "encoder must be None for a dask array: an encoder is trained on rows "
                "in memory.  Encode the blocks with a fitted one, or give "
                "X.compute()"
            )
        if isinstance(self.batch_size, Integral):
            raise ValueError(
                "batch_size must be 'auto' or None for a dask array, whose steps are "
                f"taken with all rows; got {self.batch_size}"
            )

    def _reports(self):
        return Reports(type(self).__name__, self.verbose)

    def _assign(self, fit, Z):
        """All attributes, from what was found, with the labels of rows z."""
        ended, dtype = fit.result, Z.dtype
        self._stream = fit.stream
        self.dof_, self.bandwidth_ = fit.form.dof, fit.form.bandwidth
        self.balance_ = fit.form.balance
        self.cluster_centers_ = ended.centers.astype(dtype)
        self.cluster_means_ = ended.means.astype(dtype)
        self.cluster_frequencies_ = ended.frequencies
        self.encoder_, self.encoding_ = fit.encoder, fit.encoding
        self.training_agreement_ = fit.agreement
        # the divergence is a sum of logarithms of numbers near 1: it may round below 0
        self.kl_divergence_, self.evidence_ = max(ended.kl, 0.0), ended.evidence
        self.n_iter_, self.n_steps_ = ended.n_iter, ended.n_steps
        self.n_reseeds_, self.converged_ = ended.n_reseeds, ended.converged
        self.start_kept_ = ended.start_kept
        self.history_ = {
            "n_iter": np.array(ended.history.n_iter),
            "kl_divergence": np.maximum(ended.history.kl, 0.0),
            "label_changes": np.array(ended.history.changed),
        }
        labelled = self._labels_of_fit(Z)
        self.labels_, self.probabilities_ = labelled.labels, labelled.probabilities

    def _labels_of_fit(self, Z):
        """Labels of the training rows; of rows in blocks lazily, as dask arrays."""
        if isinstance(Z, Blocks):
            X = Z.collection
            return Labelled(self.predict(X), self._transform(X).max(axis=1))
        with Threads(self.n_jobs) as threads:
            return self._labelled(self._scaled(Z), Z.dtype, threads)
