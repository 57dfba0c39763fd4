"""What the descent's schedule and its start were chosen by.

scikit-learn's schedule (250 iterations at exaggeration 12 with momentum 0.5, then 750
with 0.8, at a learning rate of max(n/48, 50)) against ours and its neighbours, all from
the same start by the same steps: KL and trustworthiness on four data sets.  And starts
that are to save iterations at large n, against principal components.
"""

from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.datasets import load_iris, make_swiss_roll
from sklearn.manifold import trustworthiness

from benchmarks.data import digits, kept_neighbors, mnist
from benchmarks.tables import Column, Table
from skdec import ExactTSNE
from skdec.kernels.descent import momentum_step
from skdec.kernels.types import STUDENT_T, Bandwidths, Kernel, StepRates
from skdec.tsne._affinities import dense_affinities, graph_affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._initialization import INITIAL_SCALE, principal_components
from skdec.tsne._objective import EmbeddingObjective
from skdec.tsne._schedule import USUAL_SIZE, spreading_momentum
from skdec.utils.threads import Threads

MARKS, LARGE_MARKS = (300, 500, 1000), (300, 500, 750)
ROOT = 12**0.5
# until the map has unfolded
BEGINNING = [(50, 12, 1 / 48, 0.8), (30, ROOT, 1 / 4 / ROOT, 0.8), (75, 1, 1 / 2, 0.8)]

# (iterations, exaggeration, learning rate / n or None for scikit-learn's, momentum)
SCHEDULES = {
    "scikit-learn's": [(250, 12, None, 0.5), (750, 1, None, 0.8)],
    "100 at 12, then momentum 0.9": [(100, 12, 1 / 48, 0.8), (900, 1, 1 / 4, 0.9)],
    "ours, up to 3,000 rows": [*BEGINNING, (845, 1, 1, 0.95)],
    "ours without the transition": [(80, 12, 1 / 48, 0.8), (75, 1, 1 / 2, 0.8),
                                    (845, 1, 1, 0.95)],
    "ours without the unfolding": [(50, 12, 1 / 48, 0.8), (30, ROOT, 1 / 4 / ROOT, 0.8),
                                   (920, 1, 1, 0.95)],
    "ours with 0.9 at last": [*BEGINNING, (845, 1, 1, 0.9)],
}  # fmt: skip


def ours(n):
    """The schedule of n rows."""
    if n <= USUAL_SIZE:
        return SCHEDULES["ours, up to 3,000 rows"]
    momentum = spreading_momentum(Kernel(STUDENT_T, 1.0), n)
    return [*BEGINNING, (250, 1, 1, momentum), (595, 1, 1, 0.95)]


def data(options):
    """The data sets by name."""
    iris = {"iris": np.unique(load_iris().data, axis=0)}
    if options.small:
        return iris
    return iris | {
        "digits": digits(),
        "swiss roll, 3,000": make_swiss_roll(3000, random_state=0)[0],
        "MNIST, first 6,000": mnist(options.mnist, 6000)[0],
    }


class Run(NamedTuple):
    """What a descent came to."""

    kl: dict  # at the marks
    seconds: dict  # of the iterations until each
    Y: np.ndarray  # at the last of them

    def until(self, goal):
        """Seconds until KL was no more than the goal, None if it never was."""
        reached = [mark for mark, kl in self.kl.items() if kl <= goal]
        return self.seconds[min(reached)] if reached else None


def run(objective, start, phases, marks=MARKS):
    """A descent through some phases."""
    Y, n, found, n_iter = start.copy(), objective.n_samples, {}, 0
    velocity, gains = np.zeros_like(Y), np.ones_like(Y)
    seconds, clock = {}, perf_counter()
    for length, exaggeration, share, momentum in phases:
        rate = max(n / 48, 50.0) if share is None else share * n
        for _ in range(length):
            gradient, _ = objective.gradient(Y, exaggeration)
            rates = StepRates(rate, momentum, 0.01, 1.0)
            momentum_step(Y, gradient, velocity, gains, rates)
            n_iter += 1
            if n_iter in marks:
                seconds[n_iter] = perf_counter() - clock
                found[n_iter] = objective.divergence(Y, objective.gradient(Y)[1])
                clock = perf_counter() - seconds[n_iter]
            if n_iter == max(marks):
                return Run(found, seconds, Y)
    raise ValueError(f"the phases end after {n_iter} iterations")


def schedules(options):
    """KL at some iterations, and trustworthiness of the last map, by schedule."""
    columns = (
        Column("schedule"),
        *(Column(f"KL at {mark:,}", "", "{:.4f}") for mark in MARKS),
        Column("trustworthiness", "", "{:.4f}"),
    )
    with Threads(options.threads, hold_blas=True) as threads:
        for name, X in data(options).items():
            scales = Bandwidths(np.array([30.0]), np.nan)
            distances = SquaredDistances(X)
            P = dense_affinities(distances, scales, True, np.float32, threads)
            objective = EmbeddingObjective(P, Kernel(STUDENT_T, 1.0), True, threads)
            start = principal_components(X, 2, 0).T.astype(np.float32, order="C")
            table = Table(name, f"{name} {X.shape}", columns)
            forms = SCHEDULES
            if len(X) > USUAL_SIZE:
                forms = forms | {"ours, above 3,000 rows": ours(len(X))}
            for title, phases in forms.items():
                found = run(objective, start, phases)
                kept = trustworthiness(X, found.Y.T, n_neighbors=12)
                table = table.plus(title, *(found.kl[mark] for mark in MARKS), kept)
                yield table
        yield from larger(options, threads)


def larger(options, threads):
    """KL at some iterations, by the momentum after the unfolding."""
    marks = LARGE_MARKS[:1] if options.small else LARGE_MARKS
    columns = (
        Column("momentum after the unfolding"),
        *(Column(f"KL at {mark:,}", "", "{:.4f}") for mark in marks),
        Column("neighbours kept", "", "{:.4f}"),
    )
    gaussian = np.random.default_rng(0).normal(size=(20_000, 10))
    data = {"Gaussian": gaussian[: 3500 if options.small else None]}
    if not options.small:
        data["MNIST"] = mnist(options.mnist, 70_000)[0]
    for name, X in data.items():
        objective, start = over_neighbors(X, threads)
        momentum = spreading_momentum(Kernel(STUDENT_T, 1.0), len(X))
        table = Table(name, f"{name} {X.shape}", columns)
        for title, last in {
            "0.95": [(845, 1, 1, 0.95)],
            f"{momentum:.3f}": [(845, 1, 1, momentum)],
            f"{momentum:.3f} for 250 iterations, then 0.95": ours(len(X))[3:],
        }.items():
            found = run(objective, start, BEGINNING + last, marks)
            kept = kept_neighbors(X, found.Y.T)
            table = table.plus(title, *(found.kl[mark] for mark in marks), kept)
            yield table


def over_neighbors(X, threads):
    """The objective over 90 neighbours, and components to start from."""
    found = SquaredDistances(X).nearest(90, threads)
    scales = Bandwidths(np.array([30.0]), np.nan)
    P = graph_affinities(found, scales, True, np.float32, threads)
    kernel = Kernel(STUDENT_T, 1.0)
    objective = EmbeddingObjective(P, kernel, True, threads, repulsion="auto")
    return objective, principal_components(X, 2, 0).T.astype(np.float32, order="C")


# ------------------------------------------------------------------- starts at large n
EARLY_MARKS = (200, 300, 500)
ITERATIONS = EARLY_MARKS[-1]
LOOKS = range(80, ITERATIONS + 1, 10)  # for the first at which a KL is reached
SAMPLED = 10  # one row of so many is embedded first
LEAST_PLACED = 100 * SAMPLED  # of fewer the sample has no 90 neighbours


def attracted(P, Y):
    """Y after the early exaggeration as it is where a map is small: linear.

    This is what a closed form by eigenvectors gives.  The products of the descent's 50
    steps cost less than the eigenvectors would.
    """
    (steps, exaggeration, share, momentum), n = BEGINNING[0], len(Y)
    mass, velocity = np.asarray(P.sum(axis=1))[:, None], np.zeros_like(Y)
    for _ in range(steps):
        attraction = mass * Y - P @ Y
        gradient = 4 * (exaggeration * attraction - (Y - Y.mean(axis=0)) / n)
        velocity = momentum * velocity - share * n * gradient
        Y = Y + velocity
    return Y


def eigenvectors(P):
    """The leading eigenvectors of the normalised graph, of deviation 1."""
    root = np.sqrt(np.asarray(P.sum(axis=1)))
    over = sparse.dia_array((1 / root[None], 0), shape=P.shape)
    constant = root / np.linalg.norm(root)
    found = sparse.linalg.eigsh((over @ P @ over).tocsr(), 3, v0=constant)[1]
    leading = found[:, 1::-1] / root[:, None]
    return leading / leading.std(axis=0)


def placed(X, options):
    """The map of a sample of the rows, and all others placed in it."""
    n = len(X)
    chosen = np.zeros(n, bool)
    chosen[np.random.default_rng(0).permutation(n)[: n // SAMPLED]] = True
    tsne = ExactTSNE(
        max_iter=ITERATIONS, tol=0, affinities="neighbors", n_jobs=options.threads
    )
    Y = np.empty((n, 2))
    Y[chosen] = tsne.fit_transform(X[chosen])
    Y[~chosen] = tsne.transform(X[~chosen])
    # those that find no place in it are left far out
    return np.clip(Y, tsne.embedding_.min(), tsne.embedding_.max())


def starting(X, P, options):
    """Starts by name: seconds, places, and the phases that follow."""
    clock = perf_counter()
    pca = principal_components(X, 2, 0)
    seconds = perf_counter() - clock
    all_of_it = ours(len(X))
    yield "components", seconds, pca, all_of_it
    later = all_of_it[2:]
    yield "components, no exaggeration", seconds, pca, later
    clock = perf_counter()
    Y = attracted(P, pca)
    seconds += perf_counter() - clock
    yield "components, linear exaggeration", seconds, Y, all_of_it[1:]
    clock = perf_counter()
    Y = eigenvectors(P)
    seconds = perf_counter() - clock
    yield "eigenvectors", seconds, INITIAL_SCALE * Y, all_of_it
    yield "eigenvectors of deviation 1, no exaggeration", seconds, Y, later
    clock = perf_counter()
    if len(X) < LEAST_PLACED:
        return
    Y = placed(X, options)
    seconds = perf_counter() - clock
    one = Y / Y.std()
    yield "a tenth and the rest placed", seconds, INITIAL_SCALE * one, all_of_it
    yield "placed, of deviation 1, no exaggeration", seconds, one, later
    # a map of more points is wider
    yield "placed, as wide as a map", seconds, Y * SAMPLED**0.25, all_of_it[3:]


def starts(options):
    """KL at some iterations by start, and what the start and the descent cost.

    "Until" is the time of both until KL is that of the first start at an iteration.
    """
    columns = (
        Column("start"),
        Column("its time", "s", "{:.1f}"),
        Column(f"{ITERATIONS} iterations", "s", "{:.1f}"),
        *(Column(f"KL at {mark:,}", "", "{:.4f}") for mark in EARLY_MARKS),
        *(Column(f"until the first's KL at {mark:,}", "s", "{:.1f}")
          for mark in EARLY_MARKS[1:]),
        Column("neighbours kept", "", "{:.4f}"),
    )  # fmt: skip
    sets = data(options)
    if not options.small:
        for n in (20_000, 70_000):
            sets[f"MNIST, first {n:,}"] = mnist(options.mnist, n)[0]
    with Threads(options.threads, hold_blas=True) as threads:
        for name, X in sets.items():
            objective, _ = over_neighbors(X, threads)
            P = objective.affinities.P
            table, goals = Table(name, f"{name} {X.shape}", columns), None
            for title, seconds, Y, phases in starting(X, P, options):
                Y = np.ascontiguousarray((Y - Y.mean(axis=0)).T, dtype=np.float32)
                found = run(objective, Y, phases, LOOKS)
                kl = [found.kl[mark] for mark in EARLY_MARKS]
                goals = goals or kl[1:]
                until = [found.until(goal) for goal in goals]
                whole = [None if steps is None else seconds + steps for steps in until]
                steps, kept = found.seconds[ITERATIONS], kept_neighbors(X, found.Y.T)
                table = table.plus(title, seconds, steps, *kl, *whole, kept)
                yield table
