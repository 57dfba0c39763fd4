"""StudentTClustering: the clustering of DEC as a scikit-learn estimator."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from skdec._fitted import FittedClustering
from skdec._frame import Frame
from skdec._starts import begin, check_init
from skdec._validation import DOF, POSITIVE, check_weight
from skdec.execution import Threads
from skdec.joint_training import JointTraining
from skdec.objectives import ClusteringObjective
from skdec.optimizers import CentroidDescent, StochasticDescent
from skdec.self_training import SelfTraining, Settings, number_collapsed

EVIDENCE_TIE = 1e-4  # nats per sample
N_INIT = 10
ENCODER_BATCH = 256
ENCODER_REMEDY = (
    "increase the encoder's reconstruction_weight (γ), if it has one, or decrease the "
    "rate at which it follows the clusters"
)
LARGEST_AUTO_DOF = 4
# That of the paper.  An embedding that moves can part what a start had mixed, if rows
# far from a centroid still follow it.
ENCODER_DOF = 1
# A stream is fitted as a whole until it has more stored numbers than this, whenever it
# has grown by this factor; then a batch has at least this weight in running means.
KEPT_ENTRIES, GROWTH, LEAST_SHARE = 2**18, 1.25, 0.02
MAX_SEED = np.iinfo(np.int32).max


def _without_encoder(estimator):
    if estimator.encoder is not None:
        raise AttributeError(
            "partial_fit needs encoder=None: an encoder is pre-trained on all rows"
        )
    return True


class StudentTClustering(FittedClustering):
    r"""Student-t clustering with self-sharpened targets, as in DEC.

    Soft assignments of points to centroids,

    .. math:: q_{ij} \propto (1 + \|z_i-\mu_j\|^2/(h^2\nu))^{-(\nu+1)/2},

    are matched to their own sharpened version p (see :func:`target_distribution`) by
    descending KL(P‖Q) in the centroids, P being refreshed and held fixed in turn.

    Without an encoder z is x.  Labels are then about as good as those of k-means, and
    worse where clusters differ much in size: p divides by the frequencies f, which
    evens the sizes out.  What is gained are graded memberships and a better choice
    among restarts.

    With an encoder (see :mod:`skdec.encoders`) z = encoder(x) learns: the encoder is
    pre-trained, its embedding clustered, and then encoder and centroids descend KL(P‖Q)
    together, the encoder along ∂KL/∂z in batches.  That is DEC, or IDEC if the encoder
    has to reconstruct x too.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    dof : "auto" or float, default="auto"
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.  "auto" is
        the number of features, at most 4, and 1 with an encoder.  1.0 is the formula
        of the paper, whose memberships blur in more than a few dimensions; an embedding
        that learns can part them, one pre-trained without dropout better with 4.
    bandwidth : "auto" or float, default="auto"
        Unit h of the distances; 1.0 is the formula of the paper.  "auto" is √ν/2, at
        most 1, times the within-cluster standard deviation per dimension of the best
        start, so that rescaling X changes neither labels nor memberships.  It is not
        changed while an encoder learns.
    encoder : object with ``fit``, ``transform`` and ``step``, default=None
        Gives the embedding z and learns it, as described in :mod:`skdec.encoders`; a
        copy of it does, ``encoder_``.  A ``random_state`` of None among its parameters
        becomes one drawn from that below.  None is z = x.
    init : {"k-means++", "random"}, callable or array of shape \
            (n_clusters, n_features), default="k-means++"
        Seeds of the k-means runs that give the starts: names and callables as in
        :class:`sklearn.cluster.KMeans`.  An array is itself the one start.
    n_init : "auto" or int, default="auto"
        Starts that are each carried through the Student-t iterations.  Of those with
        the fewest collapsed clusters the one with the highest evidence (see
        ``evidence_``) is kept, of those within 1e-4 of it the first.  "auto" is 10.
    max_iter : int, default=300
        Passes over the data per start, at most; with an encoder, of its training.
    tol : float, default=1e-3
        Stop when, since the last refresh of the target, the share of labels changed
        and the root mean square shift of the centroids per dimension in units of h are
        both at most this.  With an encoder, stop its training when the share of labels
        changed has been so in three refreshes in a row; its starts have the default
        values of both parameters.
    update_interval : "auto" or int, default="auto"
        Steps between refreshes of the target P.  "auto" is 1.  With an encoder, steps
        between refreshes on all rows, which are encoded anew for each; "auto" is a
        pass, of at least 30 steps, and takes the embeddings that the rows had in it.
        In between, targets are made of each batch as it is.
    batch_size : "auto", int or None, default="auto"
        Distinct rows per step, at most, drawn anew in each pass.  None, or at least as
        many as there are rows, means all rows in each step.  "auto" is None, and 256
        for an encoder, of whose batches alone it is the size.  The target of a batch is
        made with running frequencies f.
    random_state : int, RandomState instance or None, default=None
        Seeds the starts, the batches and the encoder.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.  The result is bitwise the same for every value.
        An encoder has threads of its own.
    verbose : int, default=0
        Print a line per start, and per refresh on all rows of an encoder; from 2,
        one per refresh of any.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Centroids μ, in X's dtype; with an encoder of shape (n_clusters, n_components).
    labels_ : ndarray of shape (n_samples,)
        argmax_j q_ij of the training rows, int32; equal to ``predict(X)``.
    kl_divergence_ : float
        KL(P‖Q) at the centroids, in nats, a weighted sum over the samples.
    encoder_ : object or None
        The fitted encoder, if there is one.
    encoding_ : ndarray of shape (n_samples, n_components) or None
        The embedding z of the training rows, if there is an encoder.
    n_iter_ : int
        Passes over the data of the start that was kept, or of the encoder's training.
    n_steps_ : int
        Its steps; as many, unless there are batches.
    converged_ : bool
        Whether that start, or the encoder's training, settled before ``max_iter``.
    history_ : dict of ndarray
        Of that start, or the encoder's training, an entry for each refresh (of a start
        in batches, for each pass):
        "n_iter", the pass; "kl_divergence", KL(P‖Q) at the centroids before its step
        and, while an encoder learns, at the embedding that ``update_interval`` names;
        "label_changes", the share of labels changed since the entry before.
    n_reseeds_ : int
        Clusters that had lost all their rows and were begun anew.
    cluster_frequencies_ : ndarray of shape (n_clusters,)
        f_j = Σ_i w_i q_ij, float64.
    dof_ : float
        The degrees of freedom used.
    bandwidth_ : float
        The bandwidth used.
    evidence_ : float
        Weighted mean of log Σ_j (1 + ‖z_i − μ_j‖²/(h²ν))^(−(ν+d)/2) over the samples:
        but for a constant the log likelihood, in d dimensions, of an even mixture of
        Student-t distributions.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, when all are strings.

    Warns
    -----
    ConvergenceWarning
        If the start that was kept, or the encoder's training, did not settle within
        ``max_iter``; if clusters collapsed, that is, ended without rows or on the
        centroid of another; if the embedding shrank to a point; or if X has fewer
        distinct rows than clusters.

    See Also
    --------
    sklearn.cluster.KMeans : Hard assignments; supplies the starts.
    sklearn.mixture.GaussianMixture : Memberships of a generative model; the better
        choice for clusters of different size, spread or shape.

    Notes
    -----
    Up to 2^20 stored numbers, identical rows are merged and put in order before the
    starts are drawn, so integer weights and repeated rows give the same fit, whatever
    the order of the rows.  Larger data are used as they are, without a copy, and the
    starts are found in a random sample of that size.  An encoder's batches are of rows
    as they are.

    Distances of a fit are had from matrix products where rounding allows an error of at
    most 1e-3 h² (float32) or 1e-9 h² (float64), else from differences, as those of
    predictions always are.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016.
    Guo, Gao, Liu, Yin: Improved deep embedded clustering with local structure
    preservation, IJCAI 2017.

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
        "dof": [StrOptions({"auto"}), DOF],
        "bandwidth": [StrOptions({"auto"}), POSITIVE],
        "encoder": [HasMethods(["fit", "transform", "step"]), None],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "update_interval": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "batch_size": [
            StrOptions({"auto"}),
            None,
            Interval(Integral, 1, None, closed="left"),
        ],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        dof="auto",
        bandwidth="auto",
        encoder=None,
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-3,
        update_interval="auto",
        batch_size="auto",
        random_state=None,
        n_jobs=-1,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.dof = dof
        self.bandwidth = bandwidth
        self.encoder = encoder
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.update_interval = update_interval
        self.batch_size = batch_size
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
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
            The fitted estimator.
        """
        X, weight, unit = self._check_training(X, sample_weight)
        self._kept = None
        if self.encoder is None:
            best = self._fit(X, weight, unit)
        else:
            self._pretrain(X, None if weight is None else weight * unit)
            Z = self._encode(X)
            start = self._fit(Z, weight, unit)
            best = self._learn(X, weight, unit, Z, start)
            self.encoding_ = best.Z
        self.labels_ = self._labels(X if self.encoder is None else self.encoding_)
        self._warn_of(best)
        return self

    @available_if(_without_encoder)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Follow a batch of rows, as data stream in or do not fit into memory.

        The first rows, up to 2^18 stored numbers, are kept and fitted anew, as by
        ``fit``, whenever a quarter more of them have come.  Other batches are followed
        by one step each, ever shorter, at the bandwidth found so far, without entries
        in ``history_``, restarts of clusters or warnings.  Each new fit may number the
        clusters anew.  After ``fit``, its centroids are what goes on.

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
            that of the rows just fitted or followed.
        """
        first = getattr(self, "_run", None) is None
        X, weight, unit = self._check_training(X, sample_weight, reset=first)
        if first:
            self._kept, self._n_fitted = [], 0
        if self._keep(X, weight, unit):
            self._fit(*_joined(self._kept))
        elif first:
            self._fit(X, weight, unit)
        else:
            self._follow(X, weight, unit)
        self.labels_ = self._labels(X)
        return self

    def _check_training(self, X, sample_weight, reset=True):
        X = self._validate(X, self.encoder, reset)
        if reset and X.shape[0] < self.n_clusters:
            raise ValueError(
                f"n_clusters ({self.n_clusters}) must not exceed n_samples "
                f"({X.shape[0]})"
            )
        weight, unit = check_weight(sample_weight, X)
        if reset:
            # should what follows fail, an earlier fit is not taken for its result
            self.__dict__.pop("cluster_centers_", None)
            self.encoder_ = self.encoding_ = self._run = None
        self._dtype = X.dtype
        return X, weight, unit

    def _fit(self, X, weight, unit):
        """Fit rows with weights in units of ``unit``; returns the run kept."""
        with Threads(self.n_jobs, hold_blas=True) as threads:
            objective, runs = self._begin(X, weight, threads)
            for run in runs:
                run.run(objective)
                if self.verbose:
                    print(
                        f"[StudentTClustering] {run.name}: {run.n_iter} passes, "
                        f"converged = {run.converged}, evidence = {run.evidence:.7f}"
                    )
            best = _best(runs)
            if self.encoder is None:
                self._finish(best, objective, unit)
                self._run = best
        # fewer distinct rows than clusters: that has been said
        self._too_few = len(objective.weight) < self.n_clusters
        return best

    def _pretrain(self, X, weight):
        encoder = clone(self.encoder)
        if encoder.get_params().get("random_state", 0) is None:
            rng = check_random_state(self.random_state)
            encoder.set_params(random_state=rng.randint(MAX_SEED))
        given = {} if weight is None else {"sample_weight": weight}
        self.encoder_ = encoder.fit(X, **given)

    def _learn(self, X, weight, unit, Z, start):
        """Train the encoder with the clusters, from z and a start; returns that run."""
        weight = np.ones(X.shape[0]) if weight is None else weight
        size = ENCODER_BATCH if self.batch_size == "auto" else self.batch_size
        settings = Settings(
            self.max_iter,
            self.tol,
            None if self.update_interval == "auto" else self.update_interval,
            X.shape[0] if size is None else size,
            self.verbose,
        )
        # BLAS is not held: the encoder needs it
        with Threads(self.n_jobs) as threads:
            data = X, weight, Z
            calls = (
                lambda: self._encode(X),
                lambda Z: self._objective(Z, weight, threads),
            )
            training = JointTraining(start, self.encoder_, data, calls, settings)
            objective = training.run()
            training.evidence = objective.evidence(training.centers)
            self._finish(training, objective, unit)
        return training

    def _finish(self, run, objective, unit):
        """Attributes from where a run ended."""
        f = objective.frequencies(run.centers)
        sums = objective.step(run.centers, run.centers, f, judged=True)
        run.collapsed = number_collapsed(run.centers, sums.occupied)
        run.history.kl = [kl * unit for kl in run.history.kl]
        run.frequencies = f / objective.total
        self._seen = objective.total * unit
        self._store(run, objective.frame, sums.kl * unit)

    def _warn_of(self, run):
        """Say what a run fell short of, and the remedies."""
        joint, said = self.encoder_ is not None, []
        if joint and run.vanished:
            said.append(f"the embedding shrank to a point: {ENCODER_REMEDY}")
        elif not run.converged:
            what = "the encoder's training" if joint else "the start that was kept"
            said.append(
                f"{what} did not settle within max_iter={self.max_iter} passes: "
                "increase max_iter or tol"
            )
        if run.collapsed and not self._too_few:
            said.append(
                f"{run.collapsed} of {self.n_clusters} clusters collapsed: no row is "
                "labelled with them, or they share their centroid with another.  "
                f"Decrease n_clusters or bandwidth (it was {self.bandwidth_:g}), or "
                f"increase n_init{f'; or {ENCODER_REMEDY}' if joint else ''}"
            )
        for message in said:
            warnings.warn(message, ConvergenceWarning, stacklevel=4)

    def _begin(self, X, weight, threads):
        """The objective and, for every start, what carries it through."""
        init = check_init(self.init, self.n_clusters, X.shape[1])
        n_init = N_INIT if self.n_init == "auto" else self.n_init
        seeds = check_random_state(self.random_state).randint(MAX_SEED, size=n_init)
        begun = begin(X, weight, init, self.n_clusters, seeds, threads)
        # as fitted: predict must not follow a later change of the parameters
        auto = self.dof == "auto"
        most = LARGEST_AUTO_DOF if self.encoder is None else ENCODER_DOF
        self.dof_ = float(min(X.shape[1], most) if auto else self.dof)
        auto = begun.spread * min(np.sqrt(self.dof_) / 2, 1)
        self.bandwidth_ = float(auto if self.bandwidth == "auto" else self.bandwidth)
        self._reference = begun.centers[0]
        objective = self._objective(begun.rows, begun.weight, threads)
        settings = Settings(verbose=self.verbose - 1)
        if self.encoder is None:
            settings.max_iter, settings.tol = self.max_iter, self.tol
            if self.update_interval != "auto":
                settings.update_interval = self.update_interval
            if self.batch_size != "auto":
                settings.batch_size = self.batch_size
        size = settings.batch_size
        batches = size is not None and size < len(begun.weight)
        descent = StochasticDescent if batches else CentroidDescent
        frame = objective.frame
        return objective, [
            SelfTraining(
                frame.inside(centers),
                descent(),
                settings,
                np.random.RandomState(seed),
                f"start {number}",
            )
            for number, (centers, seed) in enumerate(
                zip(begun.centers, seeds, strict=False)
            )
        ]

    def _objective(self, X, weight, threads):
        frame = Frame(X, self._reference, self.bandwidth_).by_products()
        weight = np.ones(X.shape[0]) if weight is None else weight
        weight = weight.astype(frame.dtype, copy=False)
        return ClusteringObjective(frame, weight, self.dof_, threads)

    def _keep(self, X, weight, unit):
        """Keep a batch while few have come; whether to fit all that is kept."""
        if self._kept is None:
            return False
        if sum(_n_stored(X) for X, *_ in self._kept) + _n_stored(X) > KEPT_ENTRIES:
            self._kept = None
            return False
        # a copy: a stream may well reuse its buffer
        self._kept.append((X.copy(), weight, unit))
        n_kept = sum(X.shape[0] for X, *_ in self._kept)
        due = n_kept >= GROWTH * self._n_fitted
        self._n_fitted = n_kept if due else self._n_fitted
        return due

    def _follow(self, X, weight, unit):
        """One step on a batch."""
        run = self._run
        if not isinstance(run.descent, StochasticDescent):
            run.descent = StochasticDescent()
        with Threads(self.n_jobs, hold_blas=True) as threads:
            objective = self._objective(X, weight, threads)
            self._seen += objective.total * unit
            share = max(objective.total * unit / self._seen, LEAST_SHARE)
            frame = objective.frame
            # sparse rows, or another dtype, come with another origin
            run.translate((self._origin / frame.unit - frame.origin) * frame.scale)
            before = run.centers
            run.step(objective, share=share)
            f, centers = run.frequencies, run.centers
            kl = objective.step(centers, centers, f, judged=True).kl
            run.evidence += share * (objective.evidence(centers) - run.evidence)
        run.n_iter += 1
        shift = np.sqrt(np.mean((run.centers - before) ** 2))
        run.converged = bool(shift <= self.tol)
        self._store(run, objective.frame, kl * unit)

    def _store(self, run, frame, kl):
        self._origin = frame.origin.astype(np.float64) * frame.unit
        self.cluster_centers_ = frame.outside(run.centers).astype(self._dtype)
        self.cluster_frequencies_ = run.frequencies * self._seen
        self.kl_divergence_, self.evidence_ = float(kl), float(run.evidence)
        self.n_iter_, self.n_steps_ = run.n_iter, run.n_steps
        self.n_reseeds_, self.converged_ = run.n_reseeds, run.converged
        self.history_ = {
            "n_iter": np.array(run.history.n_iter),
            "kl_divergence": np.array(run.history.kl),
            "label_changes": np.array(run.history.changed),
        }


def _n_stored(X):
    return X.nnz if sparse.issparse(X) else X.size


def _joined(batches):
    """Batches as one, their weights in one unit."""
    unit = max(unit for *_, unit in batches)
    weights = [
        (np.ones(X.shape[0]) if weight is None else weight) * (own / unit)
        for X, weight, own in batches
    ]
    parts = [X for X, *_ in batches]
    if any(map(sparse.issparse, parts)):
        rows = sparse.vstack([sparse.csr_matrix(part) for part in parts], format="csr")
    else:
        rows = np.concatenate(parts)
    return rows, np.concatenate(weights), unit


def _best(runs):
    """Of the runs with the fewest collapsed clusters the one with the most evidence.

    The first of those that are equal but for what tol left unsettled: the numbering of
    the clusters must not hang on rounding.
    """
    fewest = min(run.collapsed for run in runs)
    runs = [run for run in runs if run.collapsed == fewest]
    evidence = np.array([run.evidence for run in runs])
    return runs[int(np.argmax(evidence >= evidence.max() - EVIDENCE_TIE))]
