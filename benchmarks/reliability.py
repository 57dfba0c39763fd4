"""What the diagnostics of a map cost."""

from benchmarks.clock import timed
from benchmarks.data import mnist_pixels
from benchmarks.tables import Column, Table
from skdec import ExactTSNE
from skdec.diagnostics import (
    continuity,
    distance_rank_correlation,
    neighbor_recall,
    reliability,
    trustworthiness,
)

OF_SOME = (neighbor_recall, trustworthiness, continuity)


def diagnostics(options):
    """Scores of all of 5,000 rows and of 2,000 of 70,000, and quality of their maps."""
    columns = (
        Column("rows", "", "{:,}"),
        Column("what"),
        Column("of rows", "", "{:,}"),
        Column("time", "s", "{:.1f}"),
        Column("value", "", "{:.4f}"),
    )
    sizes = (400,) if options.small else (5000, 70_000)
    X, _ = mnist_pixels(options.mnist, max(sizes))
    table = Table("diagnostics", "MNIST, pixels", columns)
    for n in sizes:
        rows = X[:n]
        tsne = ExactTSNE(random_state=0, max_iter=500, n_jobs=options.threads)
        seconds, Y = timed(tsne.fit_transform, rows)
        table = table.plus(n, "fit", n, seconds, None)
        yield table
        some = n if n <= 5000 else 2000
        seconds, scores = timed(reliability, tsne, rows, rows=some, random_state=0)
        table = table.plus(n, "both scores", some, seconds, None)
        if scores.n_lost:
            table = table.noted(f"Of {n:,} rows {scores.n_lost} scores were lost.")
        yield table
        judged = min(n, 2000)
        for function in OF_SOME:
            seconds, value = timed(
                function, rows, Y, sample_size=judged, random_state=0
            )
            table = table.plus(n, function.__name__, judged, seconds, value)
            yield table
        seconds, value = timed(distance_rank_correlation, rows, Y, random_state=0)
        table = table.plus(n, "distance_rank_correlation", None, seconds, value)
        yield table
