"""Deep clustering without a network: principal components that learn with clusters.

The training begins from the clusters of a map of the components, which are judged by
themselves too, on every set that is small enough for minutes.
"""

from benchmarks.deep import RUNS, as_row, clusters_of_a_map, deep_methods, map_methods
from benchmarks.deep_tables import means
from benchmarks.deep_tasks import TASKS, task_of
from benchmarks.tables import Column, Table
from skdec.encoders import LinearEncoder

SETS = tuple(name for name in TASKS if not name.startswith(("mnist", "digits-")))
BALANCES = {"": 1.0, ", balance 0": 0.0}


def methods(task, seed):
    """The clusters of a map, and DEC and IDEC that begin from them."""
    start = clusters_of_a_map(task, seed)
    encoder = LinearEncoder(random_state=seed)
    Z = encoder.fit_transform(task.X)
    yield from map_methods("encoding, linear", Z, task, seed)
    for name, balance in BALANCES.items():
        where = f", linear, from a map{name}"
        yield from deep_methods(where, encoder, task, seed, init=start, balance=balance)


def linear(options):
    """A linear encoder that begins from the clusters of a map, on several sets."""
    seeds = 2 if options.small else options.seeds
    title = f"principal components that learn, from a map, {seeds} seeds"
    table = Table("runs", f"{title}, each run", (Column("data"), *RUNS))
    for name in SETS:
        task = task_of(name, options)
        for seed in range(seeds):
            for one in methods(task, seed):
                table = table.plus(name, *as_row(seed, one))
                yield table
    yield means(table, title)
