"""Parts for tests/docs/test_benchmarks.py, which run in processes of their own."""

import time

from benchmarks.tables import Column, Table

ROWS = Table("rows", "title", (Column("n", "", "{:,}"), Column("time", "s", "{:.2f}")))


def quick(options):
    """Two rows, of the options."""
    table = ROWS.plus(1000, 1 / 3).noted(f"threads={options.threads}")
    yield table
    yield table.plus(2000, None)


def failing(options):
    """A row, then an error."""
    yield ROWS.plus(1, 0.5)
    raise RuntimeError("no more")


def hanging(options):
    """A row, then nothing for long."""
    yield ROWS.plus(1, 0.5)
    time.sleep(600)
