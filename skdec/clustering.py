"""StudentTClustering: the clustering of DEC as a scikit-learn estimator."""

import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skdec._rows import merge_rows
from skdec._starts import (
    automatic_bandwidth,
    check_init,
    simplified_silhouette,
    starts,
)
from skdec._validation import (
    DOF,
    FLOATS,
    POSITIVE,
    check_weight,
    power_of_two,
    working_dtype,
)
from skdec.execution import Threads
from skdec.objectives import ClusteringObjective
from skdec.optimizers import CentroidDescent
from skdec.similarity import memberships

ROWS_PER_BATCH = 65_536
EVIDENCE_TIE = 1e-4  # nats per sample
N_INIT = 10
MAX_SEED = np.iinfo(np.int32).max


class StudentTClustering(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):
    r"""Student-t clustering with self-sharpened targets, as in DEC.

    Soft assignments of points to centroids,

    .. math:: q_{ij} \propto (1 + \|z_i-\mu_j\|^2/(h^2\nu))^{-(\nu+1)/2},

    are matched to their own sharpened version p (see :func:`target_distribution`) by
    descending KL(P‖Q) in the centroids, P being refreshed and held fixed in turn.  On
    a fixed embedding, as here, labels are about as good as those of k-means; what is
    gained are graded memberships and a better choice among restarts.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    dof : float, default=1.0
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.
    bandwidth : "auto" or float, default="auto"
        Unit h of the distances; 1.0 is the formula of the paper.  "auto" is half the
        within-cluster standard deviation per dimension of the best start, so that
        rescaling X changes no label.
    init : {"k-means++", "random"}, callable or array of shape \
            (n_clusters, n_features), default="k-means++"
        Seeds of the k-means runs that give the starts: names and callables as in
        :class:`sklearn.cluster.KMeans`.  An array is itself the one start.
    n_init : "auto" or int, default="auto"
        Starts that are each carried through the Student-t iterations; the one with
        the highest evidence, the mean of log Σ_j s_ij, is kept (of those within 1e-4
        of it, the first).  "auto" is 10.
    max_iter : int, default=300
        Centroid steps per start, at most.
    tol : float, default=1e-3
        Stop when, from one refresh of the target to the next, the share of labels
        changed and the root mean square shift of the centroids per dimension in units
        of h are both at most this.
    update_interval : int, default=1
        Steps between refreshes of the target P.
    random_state : int, RandomState instance or None, default=None
        Seeds the starts.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.  The result is bitwise the same for every value.
    verbose : int, default=0
        Print a line per start; from 2, one per step.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Centroids μ, in X's dtype.
    labels_ : ndarray of shape (n_samples,)
        argmax_j q_ij of the training rows, int32; equal to ``predict(X)``.
    kl_divergence_ : float
        KL(P‖Q) at the centroids, in nats, a weighted sum over the samples.
    n_iter_ : int
        Steps of the start that was kept.
    converged_ : bool
        Whether that start settled before ``max_iter``.
    cluster_frequencies_ : ndarray of shape (n_clusters,)
        f_j = Σ_i w_i q_ij, float64.
    bandwidth_ : float
        The bandwidth used.
    evidence_ : float
        Weighted mean of log Σ_j s_ij over the samples, by which the start was chosen.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, when all are strings.

    Warns
    -----
    ConvergenceWarning
        If the start that was kept did not settle within ``max_iter``, or if X has
        fewer distinct rows than clusters.

    See Also
    --------
    sklearn.cluster.KMeans : Hard assignments; supplies the starts.
    sklearn.mixture.GaussianMixture : Memberships of a generative model.

    Notes
    -----
    Identical rows are merged and put in order before the starts are drawn, so integer
    weights and repeated rows give the same fit, whatever the order of the rows.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016.

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
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "dof": [DOF],
        "bandwidth": [StrOptions({"auto"}), POSITIVE],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "update_interval": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        dof=1.0,
        bandwidth="auto",
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-3,
        update_interval=1,
        random_state=None,
        n_jobs=-1,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.dof = dof
        self.bandwidth = bandwidth
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.update_interval = update_interval
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the centroids.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, float32 or float64 (anything else becomes float64).
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; 1 each by default.  A row of weight 0 counts for
            nothing, but is labelled.

        Returns
        -------
        self : StudentTClustering
            The fitted estimator.
        """
        X = validate_data(self, X, dtype=FLOATS, order="C")
        weight, weight_unit = check_weight(sample_weight, X)
        if len(X) < self.n_clusters:
            raise ValueError(
                f"n_clusters ({self.n_clusters}) must not exceed n_samples ({len(X)})"
            )
        init = check_init(self.init, self.n_clusters, X.shape[1])
        rows, weight = merge_rows(X, weight)
        # a power of two, so exact: keeps squares in range for data at 1e-30 or 1e30
        unit = power_of_two(float(np.abs(rows).max()))
        rows = np.divide(rows, unit, out=rows, dtype=X.dtype)
        n_init = N_INIT if self.n_init == "auto" else self.n_init
        seeds = check_random_state(self.random_state).randint(MAX_SEED, size=n_init)
        with Threads(self.n_jobs, hold_blas=True) as threads:
            begun = starts((rows, weight, unit), init, self.n_clusters, seeds, threads)
            width = self.bandwidth
            if width == "auto":
                inertia = min(inertia for _, inertia in begun)
                width = unit * automatic_bandwidth(rows, weight, inertia)
            # in units of h about the mean: differences are small numbers there
            h = width / unit
            origin = np.average(rows, axis=0, weights=weight).astype(X.dtype)
            dtype = working_dtype(X.dtype, 2 * max(1.0, 1 / h), "X")
            rows = rows.astype(dtype, copy=False)
            weight = weight.astype(dtype, copy=False)
            objective = ClusteringObjective(
                rows, weight, self.dof, (origin, h), threads
            )
            best = self._best_run(
                objective,
                [(centers.astype(np.float64) - origin) / h for centers, _ in begun],
            )
        best.centers = (best.centers * h + origin) * unit
        best.frequencies *= weight_unit
        best.kl *= weight_unit
        self._store(best, width, X)
        return self

    def _best_run(self, objective, begun):
        """Carry every start through the iterations; the one with the most evidence."""
        runs = [self._iterate(objective, start, i) for i, start in enumerate(begun)]
        # the first of those that are equal but for what tol left unsettled: the
        # numbering of the clusters must not hang on rounding
        evidence = np.array([run.evidence for run in runs])
        best = runs[int(np.argmax(evidence >= evidence.max() - EVIDENCE_TIE))]
        *_, best.kl = objective.step(
            best.centers, best.centers, best.frequencies, divergence=True
        )
        return best

    def _iterate(self, objective, centers, number):
        """Carry one start through the Student-t iterations, in units of h."""
        descent, n_iter, converged = CentroidDescent(), 0, False
        labels, anchors = None, centers
        total = objective.weight.sum(dtype=np.float64)
        while n_iter < self.max_iter:
            refresh = n_iter % self.update_interval == 0
            if refresh:
                shift = np.sqrt(np.mean((centers - anchors) ** 2))
                anchors = centers
                f, _ = objective.frequencies(anchors)
            gradient, curvature, new_labels, _ = objective.step(centers, anchors, f)
            if refresh:
                # from refresh to refresh, for between them P is stale; and labels alone
                # would stop at once: after a k-means start the first refreshes change
                # none while the centroids still move
                changed = 1.0
                if labels is not None:
                    changed = objective.weight[new_labels != labels].sum() / total
                    converged = bool(changed <= self.tol and shift <= self.tol)
                labels = new_labels
                if self.verbose > 1:
                    print(
                        f"[StudentTClustering] start {number} step {n_iter}: changed = "
                        f"{changed:.5f}, shift = {shift:.5f}"
                    )
                if converged:
                    break
            centers = descent.move(centers, gradient, curvature)
            n_iter += 1
        f, evidence = objective.frequencies(centers)
        if self.verbose:
            print(
                f"[StudentTClustering] start {number}: {n_iter} steps, converged = "
                f"{converged}, evidence = {evidence:.7f}"
            )
        return Run(centers, f, evidence, n_iter, converged)

    def _store(self, best, width, X):
        # as fitted: predict must not follow a later change of the parameter
        self._dof = self.dof
        self.bandwidth_ = float(width)
        self.cluster_centers_ = best.centers.astype(X.dtype)
        self.cluster_frequencies_ = best.frequencies
        self.evidence_ = float(best.evidence)
        self.kl_divergence_ = float(best.kl)
        self.n_iter_ = best.n_iter
        self.converged_ = best.converged
        self.labels_ = self._labels(X)
        if not best.converged:
            warnings.warn(
                f"the start that was kept did not settle within max_iter="
                f"{self.max_iter} steps: increase max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )

    def predict(self, X):
        """Label each row with its most probable cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to label.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The argmax of ``predict_proba(X)``, int32.
        """
        return self._labels(self._check(X))

    def predict_proba(self, X):
        """Compute the memberships q of each row in each cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Soft assignments in X's dtype; rows sum to 1.
        """
        return self._memberships(self._check(X))

    def transform(self, X):
        """Compute the memberships q, as ``predict_proba``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Soft assignments in X's dtype; rows sum to 1.
        """
        return self.predict_proba(X)

    def score(self, X, y=None, sample_weight=None):
        """Simplified silhouette of X with respect to the fitted centroids.

        The mean of (b − a)/max(a, b), where a and b are a row's distances to its
        nearest and second nearest centroid.  Unlike −inertia or −KL it does not grow
        with the number of clusters, so a grid search over ``n_clusters`` can use it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
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
        X = self._check(X)
        weight, _ = check_weight(sample_weight, X)
        return simplified_silhouette(X, self.cluster_centers_, weight)

    def _check(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=FLOATS, order="C", reset=False)

    def _memberships(self, X):
        with Threads(self.n_jobs) as threads:
            Q = memberships(
                X, self.cluster_centers_, self._dof, threads, self.bandwidth_
            )
        return Q.astype(X.dtype, copy=False)

    def _labels(self, X):
        # from the memberships themselves, in their dtype: argmax q and no other rule
        labels = np.empty(len(X), np.int32)
        for batch in gen_batches(len(X), ROWS_PER_BATCH):
            labels[batch] = self._memberships(X[batch]).argmax(axis=1)
        return labels

    @property
    def _n_features_out(self):
        return len(self.cluster_centers_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@dataclass
class Run:
    """One start carried through: centroids in units of h, and how it went."""

    centers: np.ndarray
    frequencies: np.ndarray
    evidence: float
    n_iter: int
    converged: bool
    kl: float = np.nan
