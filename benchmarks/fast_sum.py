"""Z and the forces of all pairs: by pairs, by a grid, and by the approximations."""

import itertools

import numpy as np
from scipy import sparse

from benchmarks.clock import median_seconds
from benchmarks.data import mnist
from benchmarks.tables import Column, Table
from skdec import ExactTSNE
from skdec.kernels.types import STUDENT_T, Kernel
from skdec.tsne._affinities import from_graph
from skdec.tsne._grid import GridSum
from skdec.tsne._objective import EmbeddingObjective
from skdec.tsne._split import DOUBLE, SINGLE
from skdec.utils.threads import Threads

# Points whose forces are summed pair by pair in double precision, to judge by.
JUDGED = 500

ROUNDS = 3

# The radius of a disc of so many points: about that of their final map.
RADII = {10_000: 70, 70_000: 100, 1_000_000: 250}


def disc(n, radius):
    """Points spread evenly over a disc, (2, n)."""
    rng = np.random.default_rng(0)
    r, angle = radius * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    return np.array([r * np.cos(angle), r * np.sin(angle)])


def of_pairs(Y, chosen, dof=1.0):
    """Σ_j 2g s (y_i − y_j) and Σ_j s of some points, in double precision."""
    forces, sums = np.empty((len(chosen), len(Y))), np.empty(len(chosen))
    for t, i in enumerate(chosen):
        differences = Y[:, i : i + 1] - Y
        D = np.square(differences).sum(axis=0)
        s, weight = (1 + D / dof) ** (-(dof + 1) / 2), (dof + 1) / (dof + D)
        forces[t], sums[t] = differences @ (weight * s), s.sum() - 1
    return forces, sums


def ours(quality):
    """A sum by a grid, as a function of a map."""

    def prepared(Y, threads):
        Y = np.ascontiguousarray(Y, dtype=quality.dtype)
        sums = GridSum(Kernel(STUDENT_T, Y.dtype.type(1)), quality, threads)

        def evaluate():
            found = sums.at(Y, sums.plan(Y))
            Z = found.value.sum(dtype=np.float64) - Y.shape[1]
            return found.forces.T / (2 * Z)

        return evaluate

    return prepared


def open_tsne(method):
    """openTSNE's repulsion at its defaults."""

    def prepared(Y, threads):
        from openTSNE import _tsne
        from openTSNE.quad_tree import QuadTree

        points = np.ascontiguousarray(Y.T)

        def evaluate():
            gradient = np.zeros_like(points)
            if method == "fft":
                _tsne.estimate_negative_gradient_fft_2d(points, gradient)
            else:
                tree = QuadTree(points)
                _tsne.estimate_negative_gradient_bh(
                    tree, points, gradient, 0.5, 1, threads.n_threads
                )
            return -gradient

        return evaluate

    return prepared


METHODS = {
    "ExactTSNE, grid, single precision": ours(SINGLE),
    "ExactTSNE, grid, double precision": ours(DOUBLE),
    "openTSNE FFT": open_tsne("fft"),
    "openTSNE Barnes-Hut": open_tsne("bh"),
}


JUDGEMENT = (
    Column("method"),
    Column("time", "ms", "{:.1f}"),
    Column("error of the forces, rms", "", "{:.1e}"),
)


def judged(table, Y, options, *cells):
    """The table with a row more for each method on a map Y of (2, n)."""
    # what both precisions can hold
    Y = Y.astype(np.float32).astype(np.float64)
    chosen = np.random.default_rng(1).choice(Y.shape[1], JUDGED, replace=False)
    with Threads(options.threads) as threads:
        expected = exact_forces(Y, chosen, threads)
        for name, prepared in METHODS.items():
            try:
                evaluate = prepared(Y, threads)
            except ImportError as error:
                table = table.noted(f"Left out, not installed: {name} ({error}).")
                continue
            off = np.linalg.norm(evaluate()[chosen] - expected)
            seconds = median_seconds(evaluate, options.rounds or ROUNDS)
            error = off / np.linalg.norm(expected)
            table = table.plus(*cells, name, 1e3 * seconds, error)
    return table


def sums(options):
    """Z and the forces of an even disc: time and error of one evaluation."""
    radii = {2000: 30} if options.small else RADII
    columns = Column("n", "", "{:,}"), *JUDGEMENT
    table = Table("sums", "Z and forces of an even disc", columns)
    for n, radius in radii.items():
        table = judged(table, disc(n, radius), options, n)
        yield table
    yield from crowded(options)
    yield from other_dof(options)
    yield from in_space(options)


# Radii of discs in which many points are in little room, and of one with most of its
# points in the middle, as wide as said.
ROOMS = (1.5, None), (5, None), (20, None), (40, 0.5), (40, 0.03)


def crowded(options):
    """The sum of many points in little room, as maps are early, and of heaps."""
    columns = (
        Column("n", "", "{:,}"),
        Column("radius of the disc", "", "{:g}"),
        Column("of 90 % of its points", "", "{:g}"),
        Column("time", "ms", "{:.1f}"),
        Column("error of the slope, rms", "", "{:.1e}"),
    )
    table = Table("crowded", "many points in little room, single precision", columns)
    sizes = (2000,) if options.small else (70_000, 1_000_000)
    for n, (radius, heap) in itertools.product(sizes, ROOMS):
        Y = disc(n, radius)
        if heap is not None:
            Y[:, n // 10 :] *= heap / radius
        with Threads(options.threads) as threads:
            found = slopes(Y.astype(np.float32), 1.0, threads, options)
        table = table.plus(n, radius, heap, *found)
        yield table


def slopes(Y, dof, threads, options):
    """Milliseconds of the potential in single precision, and its slopes' error."""
    n = Y.shape[1]
    chosen = np.random.default_rng(1).choice(n, min(n, JUDGED), replace=False)
    expected, _ = of_pairs(Y.astype(np.float64), chosen, dof)
    grid = GridSum(Kernel(STUDENT_T, np.float32(dof)), SINGLE, threads)

    def evaluate():
        return grid.at(Y, grid.plan(Y)).forces

    off = np.linalg.norm(evaluate().T[chosen] - expected)
    seconds = median_seconds(evaluate, options.rounds or ROUNDS)
    return 1e3 * seconds, off / np.linalg.norm(expected)


# Iterations of a fit whose maps are judged: while it is exaggerated, while it unfolds,
# and two of those that follow.
MAPS = 50, 150, 250, 500


def maps(options):
    """The same on maps of one fit, as narrow, wide and uneven as they come."""
    X, _ = mnist(options.mnist, 2000 if options.small else 70_000)
    columns = Column("iteration"), Column("width", "", "{:.3g}"), *JUDGEMENT
    table = Table("maps", f"maps of a fit of MNIST {X.shape}", columns)
    seen = {}
    fit = ExactTSNE(
        max_iter=MAPS[-1],
        tol=0,
        affinities="neighbors",
        callback=lambda n_iter, _, Y: seen.update({n_iter: Y.T.copy()}),
        callback_every=50,
        random_state=0,
        n_jobs=options.threads,
    )
    fit.fit(X)
    for n_iter in MAPS:
        Y = seen[n_iter]
        table = judged(table, Y, options, n_iter, np.ptp(Y, axis=1).max())
        yield table


def other_dof(options):
    """The potential of an even disc and its slope, by ν and radius."""
    n = 2000 if options.small else 70_000
    columns = (
        Column("dof", "", "{:g}"),
        Column("radius", "", "{:g}"),
        Column("time", "ms", "{:.1f}"),
        Column("error of the slope, rms", "", "{:.1e}"),
    )
    title = f"an even disc of {n:,} points, single precision"
    table = Table("dof", title, columns)
    for dof, radius in itertools.product((0.25, 0.5, 1, 2, 3), (30, 100, 300)):
        Y = disc(n, radius).astype(np.float32)
        with Threads(options.threads) as threads:
            table = table.plus(dof, radius, *slopes(Y, dof, threads, options))
        yield table


def ball(n, radius):
    """Points spread evenly over a ball, (3, n)."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(3, n))
    return (
        radius
        * np.cbrt(rng.random(n))
        * directions
        / np.linalg.norm(directions, axis=0)
    )


def by_pairs(Y, dof, threads):
    """The gradient of a map by its pairs, beside an attraction that hardly counts."""
    n = Y.shape[1]
    following = np.arange(n), (np.arange(n) + 1) % n
    P = from_graph(sparse.csr_array((np.full(n, 1 / n), following)), Y.dtype)
    kernel = Kernel(STUDENT_T, dof)
    objective = EmbeddingObjective(P, kernel, True, threads, repulsion="pairs")
    return lambda: objective.gradient(Y)


# The radius of a ball of so many points, and whether their pairs are summed as well.
BALLS = {20_000: (10, True), 70_000: (15, True), 300_000: (25, False)}


def in_space(options):
    """The sum in three dimensions, by pairs and by a grid."""
    columns = (
        Column("n", "", "{:,}"),
        Column("dof", "", "{:g}"),
        Column("pairs", "ms", "{:,.0f}"),
        Column("grid", "ms", "{:,.0f}"),
        Column("error of the slope, rms", "", "{:.1e}"),
    )
    table = Table("space", "an even ball, single precision", columns)
    balls = {2000: (5, True)} if options.small else BALLS
    for (n, (radius, paired)), dof in itertools.product(balls.items(), (1.0, 0.5)):
        Y = ball(n, radius).astype(np.float32)
        rounds = options.rounds or ROUNDS
        with Threads(options.threads) as threads:
            milliseconds, error = slopes(Y, dof, threads, options)
            pairs = by_pairs(Y, np.float32(dof), threads) if paired else None
            if paired:
                pairs()  # compiled outside the clock
            theirs = 1e3 * median_seconds(pairs, rounds) if paired else None
        table = table.plus(n, dof, theirs, milliseconds, error)
        yield table


def exact_forces(Y, chosen, threads):
    """The forces of q on some points, from their pairs."""
    forces, some = of_pairs(Y, chosen)
    # Z from the method that is right to 1e-11; its rows are those of the pairs
    grid = GridSum(Kernel(STUDENT_T, 1.0), DOUBLE, threads)
    value = grid.at(Y, grid.plan(Y)).value - 1
    assert np.allclose(value[chosen], some, rtol=1e-9)
    return forces / (2 * value.sum())
