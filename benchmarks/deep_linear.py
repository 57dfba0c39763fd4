"""Deep clustering without a network: principal components that learn with clusters.

The training begins from the clusters of a map of the components, or of the rows, which
are judged by themselves too, on every set that is small enough for minutes.
"""

from benchmarks.clock import timed
from benchmarks.deep import (
    RUNS,
    as_row,
    clusters_of_a_map,
    deep_methods,
    map_methods,
    run,
)
from benchmarks.deep_tables import means
from benchmarks.deep_tasks import TASKS, task_of
from benchmarks.tables import Column, Table
from skdec import StudentTClustering
from skdec.encoders import LinearEncoder

SETS = tuple(name for name in TASKS if not name.startswith(("mnist", "digits-")))
BALANCES = {"": 1.0, ", balance 0": 0.0}


def from_a_map(task, seed):
    """The clusters of a map of the components, and what begins from them."""
    encoder = LinearEncoder(random_state=seed)
    Z = encoder.fit_transform(task.X)
    yield from map_methods("encoding, linear", Z, task, seed)
    start = clusters_of_a_map(task, seed)
    yield from trained(", linear, from a map", encoder, task, seed, start)


def from_rows(task, seed):
    """The clusters of the rows, and what begins from them."""
    model = StudentTClustering(task.k, random_state=seed)
    seconds, labels = timed(model.fit_predict, task.X)
    yield run("StudentTClustering, rows", labels, task.y, seconds, model.n_iter_)
    encoder = LinearEncoder(random_state=seed).fit(task.X)
    yield from trained(", linear, from the rows' clusters", encoder, task, seed, labels)


def trained(where, encoder, task, seed, start):
    """DEC and IDEC from a start, at each balance."""
    for name, balance in BALANCES.items():
        yield from deep_methods(
            f"{where}{name}", encoder, task, seed, init=start, balance=balance
        )


def on_sets(title, methods):
    """The part of some methods on several sets."""

    def part(options):
        seeds = 2 if options.small else options.seeds
        whole = f"principal components that learn, {title}, {seeds} seeds"
        table = Table("runs", f"{whole}, each run", (Column("data"), *RUNS))
        for name in SETS:
            task = task_of(name, options)
            for seed in range(seeds):
                for one in methods(task, seed):
                    table = table.plus(name, *as_row(seed, one))
                    yield table
        yield means(table, whole)

    part.__doc__ = f"A linear encoder, {title}, on several sets."
    return part


linear = on_sets("from a map", from_a_map)
linear_of_rows = on_sets("from the clusters of the rows", from_rows)
