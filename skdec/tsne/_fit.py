"""What a fit of ExactTSNE does: from checked rows to a map."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skdec.kernels.types import KERNELS, Bandwidths, Kernel
from skdec.tsne._affinities import (
    dense_affinities,
    graph_affinities,
    neighbors_needed,
    truncated_mass,
)
from skdec.tsne._blocked import calibrated_by_workers
from skdec.tsne._checks import (
    check_given_memory,
    check_graph_memory,
    check_memory,
    check_neighbour_memory,
    check_rows_memory,
    memory_of_copy,
    memory_of_rows,
    memory_of_start,
    resolve_perplexities,
)
from skdec.tsne._copies import check_copies, fitted_points, is_graph, rows_alone
from skdec.tsne._given_affinities import given_affinities
from skdec.tsne._gradient_descent import Check, Descent
from skdec.tsne._held import check_fixed, places_of
from skdec.tsne._objective import LARGEST_FUSED, EmbeddingObjective
from skdec.tsne._placement import FittedCopies, Placing, warn_if_lost
from skdec.tsne._progress import Progress
from skdec.tsne._remarks import on_descent
from skdec.tsne._repulsion import check_grid
from skdec.tsne._schedule import schedule, spreading_momentum, stable_rate
from skdec.tsne._start import Start, computed_start, given_start
from skdec.utils.memory import available
from skdec.utils.threads import Threads
from skdec.utils.warn import warn

# Up to so many samples affinities="auto" is over all pairs: 18 MB in single precision.
ALL_PAIRS = 3000

# Up to so many nats, for each unit of its mass, P is uniform but for rounding.
UNIFORM = 1e-5


@dataclass(frozen=True)
class Fitted:
    """What a fit ends with; but for ``placing``, the attributes of ``ExactTSNE``."""

    embedding: np.ndarray
    placing: Placing | None  # None of given affinities
    kl_divergence: float
    n_iter: int
    history: list[Check]
    converged: bool
    learning_rate: float
    dof: float
    perplexity: float | np.ndarray | None
    affinities: str
    repulsion: str
    truncated_mass: float
    neighbor_recall: float


def embed(X, params, sample_weight=None, previous=None, fixed=None):
    """The map of checked rows (or distances) X, as ``Fitted``.

    ``params`` has the parameters of ``ExactTSNE`` as attributes: the estimator itself,
    which is read only.  ``previous`` is the map to go on from, if any, and ``fixed``
    the mask of the rows that stay where they start.
    """
    weights = check_copies(sample_weight, X, params)
    n_copies = X.shape[0] if weights is None else weights.sum()
    dtype = np.dtype(np.float32 if params.precision == "single" else np.float64)
    perplexities = _perplexities(params, n_copies)
    given = given_start(params, previous, X.shape[0])
    fixed = check_fixed(fixed, X.shape[0], given is not None)
    kernel = _kernel(params)
    phases = _phases(params, n_copies, kernel)
    if previous is not None:  # it has its clusters, and is unfolded
        phases = phases[-1:]
    n_neighbors = neighbors_needed(perplexities, n_copies, weights)
    progress = Progress(params, X)
    with (
        progress,
        Threads(params.n_jobs, hold_blas=True, listener=progress.part_done) as threads,
    ):
        there_is = available()
        if params.affinities != "precomputed" and is_graph(X, params.metric):
            check_graph_memory(X, n_neighbors, there_is)
        elif params.affinities != "precomputed":
            check_rows_memory(X, params.metric, there_is)
        # how many points there are is known when identical rows have been found
        points = _points(X, weights, params, fixed)
        exact = takes_all_pairs(X, params, points.n_points)
        init = "random" if given is not None else params.init  # nothing to compute
        _check_memory(X, params, init, points, exact, n_neighbors, dtype, there_is)
        _check_repulsion(params, kernel, exact)
        places, start = places_of(points.first, fixed, given, X.dtype), None
        if given is not None:
            start = Start.at(points.chosen(given[places.leaders]), dtype)
        if given is not None and previous is None:
            start.check_apart()
        joint = params.normalization == "joint"
        if points.distances is None:
            placing, affinities = None, given_affinities(X, dtype)
        else:
            placing = _placing(params, points, perplexities, kernel, exact, n_neighbors)
            others = _others(points, places)
            if len(others):
                placing.distances.check_new(placing.prepare(X[others]), threads)
            affinities = _affinities(
                placing, n_neighbors, joint, dtype, threads, progress
            )
        if start is None:
            progress.begin("Computing the start")
            found = computed_start(
                X, params, placing, n_neighbors, affinities, threads, progress.still
            )
            progress.part_done(1.0)
            found = points.spread(found)[places.leaders]
            start = Start.at(points.chosen(found), dtype)
        progress.end_of_work()
        objective = EmbeddingObjective(
            affinities, kernel, joint, threads,
            fused=np.abs(start.Y).max() < LARGEST_FUSED[dtype],
            repulsion=params.repulsion,
        )  # fmt: skip

        def map_of(Y):
            embedding = np.array(start.places(Y), dtype=X.dtype, order="C")
            embedding = points.spread(embedding)
            places.put_back(embedding)
            return embedding

        progress.fitted, progress.map_of = {"_placing": placing}, map_of
        descent, Y = _descent(params, points, places, affinities), start.Y
        ended = descent.run(objective, Y, phases, progress)
        embedding, n_lost = map_of(Y), 0
        if placing is not None and len(others):
            placed = placing.place(embedding, X[others], threads)
            embedding[others], n_lost = placed.positions, placed.n_lost
            warn_if_lost(placed, len(others))
    progress.end()
    coincides = descent.coincides(ended.kl)
    remarks = on_descent(params, ended, affinities.chance, phases, coincides)
    for text in remarks:
        warn(text, ConvergenceWarning)
    if placing is not None:
        placing.distances.forget_training_distances()
    return Fitted(
        embedding=embedding,
        placing=placing,
        kl_divergence=ended.kl,
        n_iter=ended.n_iter,
        history=ended.history,
        converged=ended.at_rest and not (remarks or n_lost),
        learning_rate=phases[-1].learning_rate,
        dof=float(kernel.dof),
        perplexity=_perplexity(perplexities),
        affinities=_kind(params, exact),
        repulsion=objective.repulsion,
        truncated_mass=affinities.truncated_mass,
        neighbor_recall=affinities.neighbor_recall,
    )


def _points(X, weights, params, fixed):
    """The rows that are fitted, as ``Points``."""
    if params.affinities == "precomputed":
        return rows_alone(X.shape[0])
    # rows that are held tell of each of them whether it is
    return fitted_points(
        X, weights, params.metric, params.metric_params, merge=not fixed.any()
    )


def _placing(params, points, perplexities, kernel, exact, n_neighbors):
    """What is known of the fitted rows, as ``Placing``."""
    distances, copies = points.distances, None
    if points.rows is not None:
        copies = FittedCopies(points.rows, points.weights, points.merged)
    bandwidths = Bandwidths(perplexities, distances.precision(params.sigma))
    return Placing(
        distances,
        bandwidths,
        kernel,
        None if exact else n_neighbors,
        joint=params.normalization == "joint",
        exaggeration=_late(params),
        copies=copies,
    )


def _others(points, places):
    """Rows of weight 0, which are placed as new ones, but for those that are held."""
    if points.place is None:
        return np.empty(0, np.intp)
    return np.setdiff1d(np.flatnonzero(points.place < 0), places.held)


def takes_all_pairs(X, params, n_points):
    """Whether P is over all pairs: the rule of affinities="auto"."""
    if params.affinities == "precomputed":
        return not sparse.issparse(X)
    if params.affinities != "auto":
        return params.affinities == "exact"
    graph = params.metric == "precomputed" and sparse.issparse(X)
    return n_points <= ALL_PAIRS and not graph


def _kind(params, exact):
    """``affinities_``: what P is over, or that it was given."""
    if params.affinities == "precomputed":
        return "precomputed"
    return "exact" if exact else "neighbors"


def _check_memory(X, params, init, points, exact, n_neighbors, dtype, there_is):
    """Raise if there is less memory than the fit will take, as far as that is known."""
    n_points, metric = points.n_points, params.metric
    if exact:
        rows = memory_of_copy(X, metric)
        check_memory(n_points, dtype.itemsize, there_is, metric, rows)
    elif params.affinities == "precomputed":
        check_given_memory(X, there_is)
    else:
        if points.weights is not None and (total := points.weights.sum()) < n_points:
            # it takes more of them, whose number is doubled until that is enough
            n_neighbors *= 2 * n_points / total
        k = min(int(np.ceil(n_neighbors)), n_points - 1)
        start = memory_of_start(X, metric, init, k)
        rows = memory_of_rows(X, metric)._replace(start=start)
        check_neighbour_memory(n_points, k, rows, dtype.itemsize, there_is)


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
        return perplexities.copy()
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
    check_grid(kernel, params.n_components)


def _affinities(placing, n_neighbors, joint, dtype, threads, progress):
    """P of the training rows, over all pairs or over their neighbours."""
    distances, bandwidths = placing.distances, placing.bandwidths
    n_samples, weights = distances.n_samples, placing.weights
    progress.seconds()
    if placing.n_neighbors is None:
        progress.begin("Computing all pairwise distances and their affinities")
        affinities = dense_affinities(
            distances, bandwidths, joint, dtype, threads, weights
        )
    else:
        progress.begin(f"Computing {n_neighbors} nearest neighbors")
        found = distances.nearest(n_neighbors, threads, weights=weights)
        progress.say(
            f"Computed neighbors for {n_samples} samples in {progress.seconds():.3f}s"
            "..."
        )
        progress.begin("Computing their affinities")
        calibrated = calibrated_by_workers(distances, bandwidths)
        affinities = graph_affinities(
            found, bandwidths, joint, dtype, threads, weights=weights,
            calibrated=calibrated,
        )  # fmt: skip
        left_out = truncated_mass(distances, found, bandwidths, threads, weights)
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


def _late(params):
    """Exaggeration after the early one."""
    return 1.0 if params.exaggeration is None else float(params.exaggeration)


def _phases(params, n_samples, kernel):
    """The schedule, with the learning rate that "auto" stands for."""

    def learning_rate(share, exaggeration, early):
        if params.learning_rate != "auto":
            return float(params.learning_rate)
        lasting = 1.0 if early else exaggeration
        stable = stable_rate(kernel, params.n_components, lasting)
        rate = stable * share * n_samples / exaggeration
        # conditional affinities sum to n_samples, joint ones to 1
        return rate if params.normalization == "joint" else rate / n_samples

    return schedule(
        params.early_exaggeration,
        _late(params),
        params.early_exaggeration_iter,
        params.max_iter,
        learning_rate,
        spreading_momentum(kernel, n_samples, _late(params)),
    )


def _descent(params, points, places, affinities):
    """How Y moves."""
    leaders, held = places.leaders, places.held
    if points.rows is not None:
        held = np.flatnonzero(np.isin(points.rows, held))
    distinct = points.rows is not None or np.array_equal(
        leaders, np.arange(len(leaders))
    )
    uniform = affinities.chance <= UNIFORM * affinities.mass.sum()
    return Descent(
        params.min_grad_norm,
        params.n_iter_without_progress,
        params.tol,
        np.nan if uniform else affinities.chance,
        None if distinct else leaders,
        held if len(held) else None,
    )
