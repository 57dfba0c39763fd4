"""How long the examples of the gallery take, as the site shows them."""

import os
import subprocess
import sys
from time import perf_counter

from benchmarks.results import ROOT
from benchmarks.tables import Column, Table

GOAL = 60.0


def gallery(options):
    """Each example in a process of its own, kernels compiled before."""
    columns = (
        Column("example"),
        Column("time", "s", "{:.1f}"),
        Column("goal", "s, at most", "{:.0f}"),
    )
    paths = sorted((ROOT / "examples").glob("plot_*.py"))
    table = Table("gallery", "examples of the gallery", columns)
    missing = []
    for path in paths[:2] if options.small else paths:
        run(path)  # what it uses is compiled then
        seconds = run(path)
        if seconds is None:
            missing.append(path.stem)
            continue
        table = table.plus(path.stem, seconds, GOAL)
        yield table
    if missing:
        yield table.noted(f"Not run, for want of an extra: {', '.join(missing)}.")


def run(path):
    """Seconds of an example, or None if it fails."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, path],
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        check=False,
    )
    return None if done.returncode else perf_counter() - start
