"""ExactTSNE: t-SNE with the true gradient over all pairs, and a transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from skdec.kernels.types import KERNELS
from skdec.tsne._block_tasks import no_places
from skdec.tsne._blocked import lazily_across_blocks, rows_of_collection
from skdec.tsne._checks import METRICS, PERPLEXITY, SPARSE_METRICS, check_rows
from skdec.tsne._fit import ALL_PAIRS, embed
from skdec.tsne._given_affinities import check_affinities
from skdec.tsne._inverse import check_inverse, mean_rows
from skdec.tsne._placement import warn_if_lost
from skdec.utils.collection import is_dask
from skdec.utils.lazily import row_by_row
from skdec.utils.progress import BARS
from skdec.utils.sklearn_compat import (
    CallbackSupportMixin,
    StrOptions,
    fit_context,
    with_callbacks,
)
from skdec.utils.state import unchanged_on_error
from skdec.utils.threads import Threads
from skdec.utils.validation import (
    DOF,
    FACTOR,
    LARGEST_FACTOR,
    N_JOBS,
    POSITIVE,
    Range,
    check_matrix,
)
from skdec.utils.warn import warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import (
        Auto,
        FloatArray,
        KernelName,
        MatrixLike,
        Normalization,
        RandomState,
        RepulsionName,
    )

# Entries of history_, as StudentTClustering calls them, and where they are.
HISTORY = {
    "n_iter": "n_iter",
    "kl_divergence": "kl",
    "grad_norm": "grad_norm",
    "exaggeration": "exaggeration",
}


class ExactTSNE(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    r"""Exact t-SNE, SNE and their family, with a transform for new points.

    Takes the parameters of :class:`sklearn.manifold.TSNE` under the same names and
    meanings, except ``angle``.  The gradient is the true one, over all pairs, so that
    "exact" is the only ``method``.  Minimises KL(P‖Q) between the affinities p of the
    data and the similarities q in the embedding,

    .. math:: q_{ij} \propto (1 + \|y_i - y_j\|^2/\nu)^{-(\nu+1)/2}
              \quad\text{or}\quad q_{ij} \propto \exp(-\|y_i - y_j\|^2)

    normalised over all pairs (with p_ij = (p_{j|i} + p_{i|j})/2n) or for every point
    (with p_{j|i}).

    ========================  ===========  ==============  ============
    algorithm                 kernel       normalization   dof
    ========================  ===========  ==============  ============
    t-SNE                     student_t    joint           1
    conditional t-SNE         student_t    conditional     1
    SNE                       gaussian     conditional
    symmetric SNE             gaussian     joint
    ========================  ===========  ==============  ============

    Parameters
    ----------
    n_components : int, default=2
        Dimension of the embedding, from 1 up.
    perplexity : "auto", float or list of float, default="auto"
        Effective number of neighbours of a point, from 1 to below n_samples.  "auto" is
        min(30, (n_samples − 1)/3), at least 1.  With several, the affinities are the
        average of those of each.
    early_exaggeration : float, default=12.0
        Factor on P, from 1 to 1e12, in the first ``early_exaggeration_iter``
        iterations.  For 30 more it is the geometric mean of this and the late
        ``exaggeration``.
    learning_rate : "auto" or float, default="auto"
        Step length.  "auto" is r · n_samples / exaggeration: a quarter of that while
        exaggeration is early, and half of it in the 75 iterations after.  With the
        Student-t kernel r = min(1, 1/g), with g the weight with which neighbours of
        similarity 1/8 attract each other, relative to dof = 1: r is 1 at dof = 1, 0.67
        at 2, 0.46 at 4, 0.25 at infinity, and half of that with one component.  A
        lasting exaggeration ρ > 1 draws neighbours nearer: g is taken at similarity
        min(1, ρ²/8), and r is 1/8 at dof = 1 and ρ = 4.  With the Gaussian kernel r is
        1/8.  Under conditional normalisation, where P sums to n_samples, all of it is
        divided by n_samples.
    max_iter : int, default=1000
        Largest number of iterations.  A warning tells if the map ends before it has
        unfolded, which takes 155 iterations at the defaults.
    n_iter_without_progress : int, default=300
        After early exaggeration, stop when the KL has not fallen for this many
        iterations; it is computed at every 50th.
    min_grad_norm : float, default=1e-7
        Stop when the norm of the gradient, computed at every 50th iteration, is not
        above this.  While exaggeration is early, end that phase instead.  Where KL is
        still that of points that all coincide, from where every gradient is small,
        neither this nor ``tol`` ends the fit.
    metric : str or callable, default="euclidean"
        A metric of :func:`sklearn.metrics.pairwise_distances`, or "precomputed": X is
        then the matrix of distances (not squared) between samples or, with
        ``affinities="neighbors"``, also a sparse graph of the distances to neighbours
        as :class:`sklearn.neighbors.KNeighborsTransformer` or
        :func:`sklearn.neighbors.kneighbors_graph` makes it: of at least 3 · perplexity
        neighbours of each sample, which may or may not be stored among its own.  What
        is stored counts, zeros too.  Lists of neighbours, as other libraries give them,
        become such a graph by :func:`skdec.neighbors_graph`.  An infinite distance, or
        a missing one, stands for no connection: p = 0.
        Sparse X goes with "euclidean", "l2", "cosine", "cityblock", "manhattan", "l1"
        and functions.
        X may hold missing values (NaN) with "nan_euclidean" and with a function that
        takes them, as long as no distance is NaN.
    metric_params : dict, default=None
        Further parameters of the metric.
    init : {"pca", "random", "spectral"} or array of shape (n_samples, \
            n_components), default="pca"
        Start of the embedding.  "pca" and "spectral" (the leading eigenvectors of the
        affinities between neighbours) are scaled to a first standard deviation of
        1e-4; components that X does not have are filled as in "random", normal with
        standard deviation 1e-4.  "pca" needs X itself: for precomputed distances
        and missing values "spectral" takes its place, with a warning.
    verbose : int or "progress", default=0
        Print timings and, at every 50th iteration, KL and gradient norm.  "progress"
        draws a bar in their place, with KL and the time that is left if no stopping
        rule ends the fit earlier, by rich or tqdm, whichever is installed; where
        output goes to a file there are lines.
    random_state : int, RandomState instance or None, default=None
        Seeds the initialisation.
    method : "exact", default="exact"
        The only value.  The parameter exists for scripts that set it.
    n_jobs : int or None, default=-1
        Threads; -1 means all cores.  The result is bitwise the same for every value.
    dof : float or "auto", default="auto"
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.  "auto" is
        max(n_components − 1, 1).  openTSNE's ``dof`` is another family, (1 + D/α)^(−α).
    sigma : float, default=None
        A fixed bandwidth σ of the affinities, exp(−d²/σ²), in place of a perplexity.
    kernel : {"student_t", "gaussian"}, default="student_t"
        The similarity in the embedding.
    normalization : {"joint", "conditional"}, default="joint"
        Whether q is one distribution over all pairs or one for every point.
    affinities : {"auto", "exact", "neighbors", "precomputed"}, default="auto"
        With "exact" p is over all pairs.  With "neighbors" it is over the
        3 · perplexity nearest neighbours of each point, and 0 beyond them;
        ``truncated_mass_`` tells how much of P that leaves out.  Memory is then
        O(n_samples · perplexity); the repulsion still is that of all pairs.  "auto" is
        "exact" up to 3,000 samples, those that stand for copies counted once each, and
        "neighbors" for more and for a sparse graph of distances.  The neighbours are
        exact, except of dense rows with the Euclidean or cosine metric where
        n_samples² · (n_features + 64) is above 10^13, one to two minutes of exact
        search: these are found by faiss, if it is installed
        (``pip install skdec[neighbors]``), until at least 95 % of those of a sample of
        256 rows are the nearest; ``neighbor_recall_`` tells how many are.  With
        "precomputed" X is P itself, dense or sparse, with a zero diagonal: all of it
        sums to 1, or each row under conditional normalisation.  It need not be
        symmetric.  Such a map has no ``transform``, and "spectral" takes the place of
        "pca", with a warning.
    repulsion : {"auto", "pairs", "grid"}, default="auto"
        How the repulsion of all pairs is summed: pair by pair, or in n log n by an
        exact split of the similarity into near pairs and a smooth part on a Fourier
        grid (docs/tsne.md).  Z and the forces of a grid agree with those of the pairs
        to 5e-6 in single and 1e-11 in double precision (root mean square).  "auto"
        takes a grid where a fixed rule in n_samples and the extent of the map says
        that it costs less.  A grid needs one to three components, a dof from 0.25 to
        100, or the Gaussian kernel, and affinities over neighbours: with all of P,
        every pair is met in any case.  Where the sum is but rounding beside the points
        themselves, because all of them are far apart, pairs take its place.
    exaggeration : float, default=None
        Factor on P, from 1e-12 to 1e12, after the early exaggeration; None means 1.  A
        value around 4 compacts the clusters, which helps if the map is clustered next.
    early_exaggeration_iter : int, default=50
        Iterations with ``early_exaggeration``.
    tol : float, default=3e-3
        In the last phase, at the defaults from iteration 155 on and above 3,000 rows
        from 405, stop when KL has fallen by less than ``tol`` times itself in 50
        iterations.  The default stops about 1 to 2 % above the KL that a smaller
        ``tol`` would reach; 0 goes on until ``max_iter``.
    precision : {"single", "double"}, default="single"
        Floating-point precision of the optimisation.  P takes 2 or 4 bytes for an
        ordered pair.
    callback : callable, default=None
        Called as ``callback(n_iter, kl, embedding)`` at every 50th iteration and the
        last, with KL of the unexaggerated P and a copy of the embedding; the fit stops
        where it returns something true.  scikit-learn's own callbacks
        (``set_callbacks``, from 1.9 on) see every iteration.
    callback_every : int, default=50
        The callback is called at each multiple of so many iterations, too; KL is
        computed there for it.  That changes neither the map nor when the fit ends.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the map of the last fit, if there is one, instead
        of from ``init``: for more iterations, another perplexity or exaggeration, or
        new values of the same samples.  X has the same samples in the same order.  All
        ``max_iter`` iterations are then those of the last phase, without early
        exaggeration; for a map that is shaped anew from where it is, pass
        ``init=embedding_`` instead.  The other attributes are those of the new fit.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_samples, n_components)
        The map of the training rows, in X's dtype.  Identical rows share one position:
        the map is a function of the row, as ``transform`` needs.  Of precomputed
        distances only rows with all entries the same are identical.
    kl_divergence_ : float
        KL(P‖Q) of ``embedding_``, in nats, without exaggeration.  With
        ``affinities="neighbors"``, P is that over the neighbours.
    n_iter_ : int
        Iterations done.  Equal to ``max_iter`` when no stopping rule ended the fit
        earlier.
    history_ : dict of ndarray
        One entry for each time that KL was computed, at every 50th iteration, at the
        last, and wherever ``callback`` is called: "n_iter", the iterations done;
        "kl_divergence", KL(P‖Q) there without exaggeration, in nats; "grad_norm", the
        norm of the gradient that was descended, of P times the exaggeration;
        "exaggeration", that factor.
    converged_ : bool
        Whether the map came to rest: by ``tol``, ``min_grad_norm`` or
        ``n_iter_without_progress``, and without a ConvergenceWarning.  False where
        ``max_iter`` or a callback ended the fit before, which is no fault by itself:
        ``history_`` tells how much KL still fell.
    learning_rate_ : float
        The learning rate of the last phase.  A fit that ends before, while exaggeration
        is early or in the 75 iterations after, has moved by a quarter or half of it.
    perplexity_ : float, ndarray or None
        The perplexity used; None with ``sigma`` or given affinities.
    dof_ : float
        The degrees of freedom used.
    affinities_ : {"exact", "neighbors", "precomputed"}
        What p is over.
    repulsion_ : {"pairs", "grid"}
        How the repulsion of ``embedding_`` was summed.
    truncated_mass_ : float
        The mean share of a point's p over all others that ``affinities="neighbors"``
        leaves out, measured on 256 evenly spread rows (all, if there are fewer); NaN
        for a precomputed graph or given affinities, 0 for "exact".
    neighbor_recall_ : float
        The share of true nearest neighbours among those found, measured on 256 evenly
        spread rows; 1 where the search was exact, and with ``affinities_`` "exact"; NaN
        for a precomputed graph or given affinities.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of the features seen during fit, when all are strings.

    Warns
    -----
    DataConversionWarning
        If a metric of booleans is given other values than 0 and 1.
    UserWarning
        If a parameter is given that has no effect beside another, such as a perplexity
        beside ``sigma`` or ``dof`` with the Gaussian kernel.
        If rows cannot have the perplexity asked for (constant data, many ties), or
        "spectral" stands in for "pca".
    ConvergenceWarning
        If the embedding is worse than points that all coincide (a learning rate far too
        large), or no better (one far too small), if ``max_iter`` ended the fit while
        the map was unfolding, or if ``transform`` found no place for some rows.

    See Also
    --------
    sklearn.manifold.TSNE : Barnes-Hut and exact t-SNE without a transform.
    skdec.embedding_loss : The objective and its gradient for every kernel.

    Notes
    -----
    ``transform`` places each new point alone: it minimises KL(p‖q) of the point's
    conditional affinities over the training rows (its nearest ones, with
    ``affinities="neighbors"``) against its similarities to ``embedding_``, from the
    p-weighted mean of ``embedding_`` or from its most probable neighbour, whichever is
    better.  It depends neither on the other new points nor on their order, and a
    training row maps onto its own position, so ``fit_transform(X)`` equals
    ``fit(X).transform(X)``.

    No point moves further than the width of the kernel in an iteration, so no learning
    rate makes the embedding diverge.

    With ``affinities="exact"`` time grows with n_samples² and memory takes
    2 n_samples² bytes, or 4 in double precision (18 during the fit where the metric is
    a function); over neighbours both grow with
    n_samples, besides the search for the neighbours.  A MemoryError tells at once if
    there is less.

    References
    ----------
    Hinton, Roweis: Stochastic neighbor embedding, NeurIPS 2002.
    van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 2008.
    van der Maaten: Learning a parametric embedding by preserving local structure,
    AISTATS 2009 (degrees of freedom).
    Kobak, Berens: The art of using t-SNE for single-cell transcriptomics, Nature
    Communications 2019 (initialisation, learning rate, late exaggeration).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> X = load_iris().data
    >>> tsne = ExactTSNE(random_state=0).fit(X[::2])
    >>> tsne.transform(X[1::2]).shape
    (75, 2)
    """

    _parameter_constraints: dict = {
        "n_components": [Range(Integral, 1, None, closed="left")],
        "perplexity": [StrOptions({"auto"}), *PERPLEXITY],
        "early_exaggeration": [Range(Real, 1, LARGEST_FACTOR, closed="both")],
        "learning_rate": [StrOptions({"auto"}), POSITIVE],
        "max_iter": [Range(Integral, 1, None, closed="left")],
        "n_iter_without_progress": [Range(Integral, -1, None, closed="left")],
        "min_grad_norm": [Range(Real, 0, None, closed="left")],
        "metric": [METRICS, callable],
        "metric_params": [dict, None],
        "init": [StrOptions({"pca", "random", "spectral"}), "array-like"],
        "verbose": ["verbose", StrOptions({BARS})],
        "random_state": ["random_state"],
        "method": [str],
        "n_jobs": N_JOBS,
        "dof": [StrOptions({"auto"}), DOF],
        "sigma": [None, POSITIVE],
        "kernel": [StrOptions(set(KERNELS))],
        "normalization": [StrOptions({"joint", "conditional"})],
        "affinities": [StrOptions({"auto", "exact", "neighbors", "precomputed"})],
        "repulsion": [StrOptions({"auto", "pairs", "grid"})],
        "exaggeration": [FACTOR, None],
        "early_exaggeration_iter": [Range(Integral, 0, None, closed="left")],
        "tol": [Range(Real, 0, None, closed="left")],
        "precision": [StrOptions({"single", "double"})],
        "callback": [callable, None],
        "callback_every": [Range(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float | Sequence[float] | Auto = "auto",
        early_exaggeration: float = 12.0,
        learning_rate: float | Auto = "auto",
        max_iter: int = 1000,
        n_iter_without_progress: int = 300,
        min_grad_norm: float = 1e-7,
        metric: str | Callable[..., float] = "euclidean",
        metric_params: dict[str, Any] | None = None,
        init: str | ArrayLike = "pca",
        verbose: int | Literal["progress"] = 0,
        random_state: RandomState = None,
        method: str = "exact",
        n_jobs: int | None = -1,
        dof: float | Auto = "auto",
        sigma: float | None = None,
        kernel: KernelName = "student_t",
        normalization: Normalization = "joint",
        affinities: Literal["auto", "exact", "neighbors", "precomputed"] = "auto",
        repulsion: RepulsionName = "auto",
        exaggeration: float | None = None,
        early_exaggeration_iter: int = 50,
        tol: float = 3e-3,
        precision: Literal["single", "double"] = "single",
        callback: Callable[[int, float, FloatArray], Any] | None = None,
        callback_every: int = 50,
        warm_start: bool = False,
    ) -> None:
        self.n_components = n_components
        self.perplexity = perplexity
        self.early_exaggeration = early_exaggeration
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.n_iter_without_progress = n_iter_without_progress
        self.min_grad_norm = min_grad_norm
        self.metric = metric
        self.metric_params = metric_params
        self.init = init
        self.verbose = verbose
        self.random_state = random_state
        self.method = method
        self.n_jobs = n_jobs
        self.dof = dof
        self.sigma = sigma
        self.kernel = kernel
        self.normalization = normalization
        self.affinities = affinities
        self.repulsion = repulsion
        self.exaggeration = exaggeration
        self.early_exaggeration_iter = early_exaggeration_iter
        self.tol = tol
        self.precision = precision
        self.callback = callback
        self.callback_every = callback_every
        self.warm_start = warm_start

    def fit(
        self,
        X: MatrixLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        fixed: ArrayLike | None = None,
    ) -> Self:
        """Embed X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
                (n_samples, n_samples)
            Training rows, or their distances with ``metric="precomputed"``.
            Of a dask array or data frame rows stay in their blocks if they are dense,
            Euclidean and over neighbours; otherwise they are fetched.
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            How many copies of each row there are: a whole number is the same thing as
            that many identical rows, which share one position.  So its scale counts:
            perplexity and learning rate are those of Σ w rows.  Fractions follow by the
            same formulas (docs/tsne.md).  A row of weight 0 counts for nothing, but is
            placed as ``transform`` places it (callbacks see NaN).  Entries are 0 or at
            least 1e-9, and sum to between 2 and 1e9; None means 1 each.  It goes
            neither with given affinities, nor with a sparse graph of distances, nor
            with rows that stay in the blocks of a dask array.
        fixed : array-like of bool, shape (n_samples,), default=None
            True for the rows that stay, to the bit, where they start, while the others
            move by the gradient over all pairs.  The start is then an array ``init``,
            or the last map with ``warm_start``.  A row identical to a fixed one shares
            its place, but for rows of weight 0, which are each alone.

        Returns
        -------
        self : ExactTSNE
            The fitted estimator.  A fit that fails leaves it as it was.

        Raises
        ------
        MemoryError
            If the fit takes more memory than there is; it says what takes less.
        ValueError
            If a perplexity is not below the number of rows, distances are not those of
            a metric (square, symmetric, not negative), ``fixed`` comes without a start,
            or parameters contradict each other.
        TypeError
            If X is sparse and the metric is none of sparse rows.

        Examples
        --------
        A map extended by new rows, which do not move those that it has:

        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skdec import ExactTSNE
        >>> old, new = load_iris().data[::2], load_iris().data[1::2]
        >>> tsne = ExactTSNE(random_state=0).fit(old)
        >>> start = np.vstack([tsne.embedding_, tsne.transform(new)])
        >>> X, fixed = np.vstack([old, new]), np.arange(150) < 75
        >>> extended = ExactTSNE(init=start).fit(X, fixed=fixed)
        >>> bool((extended.embedding_[:75] == tsne.embedding_).all())
        True
        """
        self.fit_transform(X, sample_weight=sample_weight, fixed=fixed)
        return self

    @fit_context
    def fit_transform(
        self,
        X: MatrixLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        fixed: ArrayLike | None = None,
    ) -> FloatArray:
        """Embed X and return the embedding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
                (n_samples, n_samples)
            Training rows, or their distances with ``metric="precomputed"``.
            Of a dask array or data frame rows stay in their blocks if they are dense,
            Euclidean and over neighbours; otherwise they are fetched.
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            How many copies of each row there are, as in ``fit``.
        fixed : array-like of bool, shape (n_samples,), default=None
            Rows that stay where they start, as in ``fit``.

        Returns
        -------
        embedding : ndarray of shape (n_samples, n_components)
            The map of the training rows, in X's dtype.

        Raises
        ------
        MemoryError, ValueError, TypeError
            As ``fit`` does.
        """
        # outside the callbacks of scikit-learn, which leave their context on the
        # estimator until they have been told of the failure
        with unchanged_on_error(self):
            return self._embed(X, sample_weight, fixed)

    @with_callbacks
    def _embed(self, X, sample_weight, fixed):
        self._check_parameters()
        if self.affinities == "precomputed":
            X = check_affinities(self, X, self.normalization == "joint")
        elif is_dask(X):
            X = rows_of_collection(self, X, ALL_PAIRS)
        else:
            X = check_rows(self, X, self.metric, exact=self.affinities == "exact")
        previous = getattr(self, "embedding_", None) if self.warm_start else None
        fitted = embed(X, self, sample_weight, previous, fixed)
        # assigned together at the end: a fit that fails leaves the last one whole.
        # `_placing` keeps what transform needs, whatever parameters are set later
        self._placing = fitted.placing
        self.embedding_ = fitted.embedding
        self.kl_divergence_, self.n_iter_ = fitted.kl_divergence, fitted.n_iter
        self.history_ = {
            name: np.array([getattr(check, field) for check in fitted.history])
            for name, field in HISTORY.items()
        }
        self.converged_, self.learning_rate_ = fitted.converged, fitted.learning_rate
        self.dof_ = fitted.dof
        self.perplexity_ = fitted.perplexity
        self.affinities_, self.repulsion_ = fitted.affinities, fitted.repulsion
        self.truncated_mass_ = fitted.truncated_mass
        self.neighbor_recall_ = fitted.neighbor_recall
        return self.embedding_.copy()

    def __sklearn_is_fitted__(self):
        # a callback sees n_features_in_ before there is a map
        return hasattr(self, "embedding_")

    def _check_parameters(self):
        if self.method != "exact":
            raise ValueError(
                f"method must be 'exact'; got {self.method!r}. Here the gradient is "
                "always the one over all pairs; affinities='neighbors' has P over "
                "neighbours only, as Barnes-Hut has"
            )
        missing = (self.metric_params or {}).get("missing_values", np.nan)
        if not (isinstance(missing, Real) and np.isnan(missing)):
            raise ValueError(
                "missing values must be NaN, by which starts and means of rows know "
                f"them; got metric_params={self.metric_params!r}"
            )
        defaults = signature(ExactTSNE).parameters
        given = self.affinities == "precomputed"
        for name, with_what, idle in (
            *(
                (name, "affinities='precomputed'", given)
                for name in ("metric", "metric_params", "perplexity", "sigma")
            ),
            ("perplexity", f"sigma={self.sigma}", self.sigma is not None),
            ("dof", "kernel='gaussian'", self.kernel == "gaussian"),
            ("metric_params", "metric='precomputed'", self.metric == "precomputed"),
            (
                "early_exaggeration",
                "early_exaggeration_iter=0",
                self.early_exaggeration_iter == 0,
            ),
        ):
            value, default = getattr(self, name), defaults[name].default
            same = value is default or (
                isinstance(value, str | Real) and value == default
            )
            if idle and not same:
                warn(f"{name}={value!r} has no effect with {with_what}")

    @lazily_across_blocks
    @row_by_row(no_places)
    def transform(self, X: MatrixLike) -> FloatArray:
        """Place new points in the fitted map, each alone.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_new, n_features) or \
                (n_new, n_samples)
            New rows, or their distances to the training rows with
            ``metric="precomputed"``.  Of a dask array or data frame the
            result is a dask array, computed block by block.

        Returns
        -------
        embedding : ndarray of shape (n_new, n_components)
            Positions in the map, in X's dtype; a training row gets its own, if its
            distances are given as in the fit: all of them, or in a graph.

        Raises
        ------
        TypeError
            If the map was fitted to affinities: the training rows are not known.
        """
        check_is_fitted(self)
        # as it was fitted, whatever parameters have been set later
        placing = self._known_rows("transform")
        exact, metric = placing.n_neighbors is None, placing.distances.metric
        X = check_rows(self, X, metric, exact=exact, reset=False)
        with Threads(self.n_jobs, hold_blas=True) as threads:
            placed = placing.place(self.embedding_, X, threads)
        warn_if_lost(placed, X.shape[0])
        return placed.positions

    def _known_rows(self, what):
        """What is known of the training rows, if anything is."""
        if self._placing is None:
            raise TypeError(
                f"{what} needs the training rows, or their distances; this map was "
                "fitted to affinities='precomputed', from which they are not known"
            )
        return self._placing

    def inverse_transform(self, Y: ArrayLike) -> FloatArray:
        """Mean of the training rows around places of the map.

        The mirror image of where ``transform`` starts: Σ_j p_j x_j, where p are the
        affinities between the place and the nearest points of the map, with the
        perplexity of the fit (with ``sigma``, that of "auto").  It tells what the data
        are like around a place.  A map of few dimensions has no true inverse: the mean
        is smoother than any row, at the place of a training row it is not that row, and
        between clusters, where there are no data, it is a mixture of theirs.  Beyond
        the rim it is the mean of the nearest points of the rim.  Rows count as often as
        their ``sample_weight`` says.

        Parameters
        ----------
        Y : array-like of shape (n_places, n_components)
            Places in the map.

        Returns
        -------
        X : ndarray of shape (n_places, n_features)
            A mean of training rows for each place, alone, in Y's dtype.

        Raises
        ------
        TypeError
            If the map was fitted to distances or affinities, to sparse rows, booleans
            or missing values, or to rows that stayed in the blocks of a dask array.
        """
        check_is_fitted(self)
        check_inverse(self._known_rows("inverse_transform").distances)
        Y = check_matrix(Y, "Y")
        if Y.shape[1] != self._n_features_out:
            raise ValueError(
                f"Y must have shape (n_places, {self._n_features_out}), as the map has "
                f"components; got {Y.shape}"
            )
        with Threads(self.n_jobs, hold_blas=True) as threads:
            return mean_rows(self._placing, self.embedding_, Y, threads).astype(Y.dtype)

    @property
    def _n_features_out(self):
        return self.embedding_.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        known = self.affinities == "precomputed"
        precomputed = self.metric == "precomputed" or known
        tags.input_tags.pairwise = precomputed
        # "auto" takes a graph too, but not just any sparse matrix
        graph = known or (precomputed and self.affinities == "neighbors")
        tags.input_tags.sparse = graph or self.metric in SPARSE_METRICS
        tags.input_tags.allow_nan = self.metric == "nan_euclidean"
        tags.input_tags.positive_only = precomputed
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
