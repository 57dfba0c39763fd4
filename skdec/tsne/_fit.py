"""What a fit of ExactTSNE does: from checked rows to a map."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skdec.kernels.types import KERNELS, Bandwidths, Kernel
from skdec.tsne._affinities import (
    dense_affinities,
    graph_affinities,
    neighbors_needed,
    truncated_mass,
)
from skdec.tsne._blocked import distances_of, start_by_components
from skdec.tsne._checks import (
    check_memory,
    check_neighbour_memory,
    missing,
    resolve_perplexities,
)
from skdec.tsne._given_affinities import given_affinities, graph_of
from skdec.tsne._gradient_descent import Descent
from skdec.tsne._held import check_fixed, places_of
from skdec.tsne._initialization import (
    check_given_start,
    random_start,
    spectral,
)
from skdec.tsne._objective import EmbeddingObjective
from skdec.tsne._placement import Placing
from skdec.tsne._plan import has_grid
from skdec.tsne._progress import Progress
from skdec.tsne._schedule import schedule, stable_rate, unfolded_after
from skdec.tsne._split import LARGEST_DOF, LEAST_DOF
from skdec.utils.blocks import Blocks
from skdec.utils.threads import Threads
from skdec.utils.warn import warn

# Up to so many samples affinities="auto" is over all pairs: 18 MB in single precision.
ALL_PAIRS = 3000

# A warning tells of a map that, so many iterations after the exaggeration, is worse by
# so many nats than points that all coincide.
PATIENCE, CHANCE_MARGIN = 20, 1e-3


@dataclass(frozen=True)
class Fitted:
    """What a fit ends with; but for ``placing``, the attributes of ``ExactTSNE``."""

    embedding: np.ndarray
    placing: Placing | None  # None of given affinities
    kl_divergence: float
    n_iter: int
    learning_rate: float
    dof: float
    perplexity: float | np.ndarray | None
    affinities: str
    repulsion: str
    truncated_mass: float
    neighbor_recall: float


def embed(X, params, previous=None, fixed=None):
    """The map of checked rows (or distances) X, as ``Fitted``.

    ``params`` has the parameters of ``ExactTSNE`` as attributes: the estimator itself,
    which is read only.  ``previous`` is the map to go on from, if any, and ``fixed``
    the mask of the rows that stay where they start.
    """
    n_samples, exact = X.shape[0], takes_all_pairs(X, params)
    dtype = np.dtype(np.float32 if params.precision == "single" else np.float64)
    perplexities = _perplexities(params, n_samples)
    n_neighbors = neighbors_needed(perplexities, n_samples)
    given = _given_start(params, previous, n_samples, dtype)
    fixed = check_fixed(fixed, n_samples, given is not None)
    _check_memory(X, params, exact, n_neighbors, dtype)
    kernel = _kernel(params)
    _check_repulsion(params, kernel, exact)
    phases = _phases(params, n_samples, kernel)
    if previous is not None:  # it has its clusters, and is unfolded
        phases = phases[-1:]
    progress = Progress(params, X)
    with Threads(params.n_jobs, hold_blas=True, listener=progress.part_done) as threads:
        joint = params.normalization == "joint"
        if params.affinities == "precomputed":
            placing, first = None, np.arange(n_samples)
            places = places_of(first, fixed, given, X.dtype)
            affinities = given_affinities(X, dtype)
        else:
            distances = distances_of(X, params.metric, params.metric_params)
            first = distances.representatives()
            places = places_of(first, fixed, given, X.dtype)
            bandwidths = Bandwidths(perplexities, distances.precision(params.sigma))
            k = None if exact else n_neighbors
            placing = Placing(distances, bandwidths, kernel, k)
            affinities = _affinities(
                placing, n_neighbors, joint, dtype, threads, progress
            )
        start = given
        if given is None:
            start = _start(X, params, placing, n_neighbors, affinities, threads)
        progress.end_of_work()
        Y = np.ascontiguousarray(start[places.leaders].T, dtype=dtype)
        objective = EmbeddingObjective(
            affinities, kernel, joint, threads, repulsion=params.repulsion
        )
        progress.fitted, progress.places = {"_placing": placing}, places
        ended = _descent(params, places).run(objective, Y, phases, progress)
    progress.end()
    exaggerated = max((phase.stop for phase in phases if phase.early), default=0)
    _warn_if_diverged(params, ended, affinities.chance, exaggerated)
    if previous is None:
        _warn_if_short(params, ended.n_iter)
    if placing is not None:
        placing.distances.forget_training_distances()
    embedding = np.ascontiguousarray(Y.T, dtype=X.dtype)
    places.put_back(embedding)
    return Fitted(
        embedding=embedding,
        placing=placing,
        kl_divergence=ended.kl,
        n_iter=ended.n_iter,
        learning_rate=phases[-1].learning_rate,
        dof=kernel.dof,
        perplexity=_perplexity(perplexities),
        affinities=_kind(params, exact),
        repulsion=objective.repulsion,
        truncated_mass=affinities.truncated_mass,
        neighbor_recall=affinities.neighbor_recall,
    )


def takes_all_pairs(X, params):
    """Whether P is over all pairs: the rule of affinities="auto"."""
    if params.affinities == "precomputed":
        return not sparse.issparse(X)
    if params.affinities != "auto":
        return params.affinities == "exact"
    graph = params.metric == "precomputed" and sparse.issparse(X)
    return X.shape[0] <= ALL_PAIRS and not graph


def _kind(params, exact):
    """``affinities_``: what P is over, or that it was given."""
    if params.affinities == "precomputed":
        return "precomputed"
    return "exact" if exact else "neighbors"


def _check_memory(X, params, exact, n_neighbors, dtype):
    """Raise if there is less memory than P will take, as far as that is known."""
    if exact:
        check_memory(X.shape[0], dtype.itemsize)
    elif not sparse.issparse(X):
        elsewhere = params.metric == "precomputed" or isinstance(X, Blocks)
        n_features = 0 if elsewhere else X.shape[1]
        check_neighbour_memory(X.shape[0], n_neighbors, n_features, dtype.itemsize)


def _perplexities(params, n_samples):
    """The perplexities to calibrate to; none where P, or σ, is given."""
    if params.affinities == "precomputed":
        return np.empty(0)
    return resolve_perplexities(params.perplexity, n_samples, params.sigma)


def _kernel(params):
    """The similarity, with the degrees of freedom that "auto" stands for."""
    auto = float(max(params.n_components - 1, 1))
    return Kernel(KERNELS[params.kernel], auto if params.dof == "auto" else params.dof)


def _perplexity(perplexities):
    """``perplexity_``: a number where there is one, None with σ."""
    if len(perplexities) > 1:
        return perplexities
    return float(perplexities[0]) if len(perplexities) else None


def _check_repulsion(params, kernel, exact):
    """Raise if a grid is asked for that there cannot be."""
    if params.repulsion != "grid":
        return
    if exact:
        raise ValueError(
            "repulsion='grid' needs affinities='neighbors' or a sparse P; affinities="
            f"{params.affinities!r} has all of P here, and meets every pair anyway"
        )
    if not has_grid(kernel, params.n_components):
        raise ValueError(
            "repulsion='grid' needs n_components 1 or 2 and dof from "
            f"{LEAST_DOF:g} to {LARGEST_DOF:g}, or kernel='gaussian'; got "
            f"n_components={params.n_components}, dof={kernel.dof:g}"
        )


def _affinities(placing, n_neighbors, joint, dtype, threads, progress):
    """P of the training rows, over all pairs or over their neighbours."""
    distances, bandwidths = placing.distances, placing.bandwidths
    n_samples = distances.n_samples
    progress.seconds()
    if placing.n_neighbors is None:
        progress.begin("Computing all pairwise distances and their affinities")
        affinities = dense_affinities(distances, bandwidths, joint, dtype, threads)
    else:
        progress.begin(f"Computing {n_neighbors} nearest neighbors")
        found = distances.nearest(n_neighbors, threads)
        progress.say(
            f"Computed neighbors for {n_samples} samples in {progress.seconds():.3f}s"
            "..."
        )
        progress.begin("Computing their affinities")
        affinities = graph_affinities(found, bandwidths, joint, dtype, threads)
        left_out = truncated_mass(distances, found.columns, bandwidths, threads)
        affinities = replace(
            affinities, truncated_mass=left_out, neighbor_recall=found.recall
        )
    progress.say(
        f"Computed conditional probabilities for {n_samples} samples in "
        f"{progress.seconds():.3f}s"
    )
    sigma = distances.to_original(affinities.sigma)
    progress.say(f"Mean sigma: {sigma:.6g}")
    return affinities


def _given_start(params, previous, n_samples, dtype):
    """Where the map starts if that is given: the map to go on from, or ``init``."""
    shape = n_samples, params.n_components
    if previous is not None:
        if previous.shape != shape:
            raise ValueError(
                "warm_start=True goes on from the fitted map, of shape "
                f"{previous.shape}; this fit is to have one of shape {shape}, that is "
                "(n_samples, n_components). To extend a map by new rows, give init the "
                "places of all: embedding_ and, of the new ones, transform"
            )
        return previous
    if isinstance(params.init, str):
        return None
    return check_given_start(params.init, shape, dtype)


def _start(X, params, placing, n_neighbors, affinities, threads):
    """Where the map starts, (n_samples, n_components)."""
    shape = X.shape[0], params.n_components
    if params.init == "random":
        return random_start(shape, check_random_state(params.random_state))
    known = params.affinities == "precomputed"
    given = params.metric == "precomputed" or known
    if params.init == "pca" and not (given or missing(X)):
        return start_by_components(
            X, placing.distances, params.n_components, params.random_state
        )
    if params.init == "pca":
        has = "without missing values"
        if given:
            has = f"not {'affinities' if known else 'metric'}='precomputed'"
        warn(
            f"init='pca' needs X itself, {has}: init='spectral' "
            "is used instead; pass init='spectral' to silence this warning",
            UserWarning,
        )
    if known:
        return spectral(graph_of(X), params.n_components, params.random_state)
    graph = affinities.P
    if placing.n_neighbors is None:
        found = placing.distances.nearest(n_neighbors, threads)
        graph = graph_affinities(
            found, placing.bandwidths, True, np.float64, threads, again=True
        ).P
    return spectral(graph, params.n_components, params.random_state)


def _phases(params, n_samples, kernel):
    """The schedule, with the learning rate that "auto" stands for."""
    stable = stable_rate(kernel, params.n_components)
    late = 1.0 if params.exaggeration is None else params.exaggeration

    def learning_rate(share, exaggeration):
        if params.learning_rate != "auto":
            return float(params.learning_rate)
        rate = stable * share * n_samples / exaggeration
        # conditional affinities sum to n_samples, joint ones to 1
        return rate if params.normalization == "joint" else rate / n_samples

    return schedule(
        params.early_exaggeration,
        late,
        params.early_exaggeration_iter,
        params.max_iter,
        learning_rate,
    )


def _descent(params, places):
    """How Y moves."""
    leaders, held = places.leaders, places.held
    distinct = np.array_equal(leaders, np.arange(len(leaders)))
    return Descent(
        params.min_grad_norm,
        params.n_iter_without_progress,
        params.tol,
        None if distinct else leaders,
        held if len(held) else None,
    )


def _warn_if_diverged(params, ended, chance, exaggerated):
    """Warn of a map that is worse than none once exaggeration is over."""
    if params.exaggeration not in (None, 1):
        return  # what is minimised is another KL
    kl, n_iter = ended.kl, ended.n_iter - exaggerated
    if n_iter >= PATIENCE and not kl <= chance + CHANCE_MARGIN:
        warn(
            f"the embedding (KL {kl:.4g}) shows less than points that all coincide "
            f"({chance:.4g}): the optimisation has not settled; "
            f"learning_rate={params.learning_rate!r} may be too large",
            ConvergenceWarning,
        )


def _warn_if_short(params, n_iter):
    """Warn of a map that max_iter has ended before it could unfold."""
    unfolded = unfolded_after(params.early_exaggeration_iter)
    if n_iter == params.max_iter < unfolded:
        warn(
            f"max_iter={params.max_iter} ended the fit while the map was still "
            f"unfolding, which takes {unfolded} iterations; it settles some "
            "hundreds later",
            ConvergenceWarning,
        )
