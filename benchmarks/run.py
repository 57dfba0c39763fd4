"""Running one part: in a process of its own, for no longer than its limit.

What other parts have left behind in memory, and what hangs, does not reach it.  Rows
are kept on disk as they come: a part which is ended, or fails, leaves what it has.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from benchmarks.parts import generator, options_parser
from benchmarks.results import ROOT, dumped
from benchmarks.tables import Table


class Outcome(NamedTuple):
    """What a part gave."""

    tables: tuple[Table, ...]
    seconds: float
    ended: str  # empty if it ran to its end


def measure(place, arguments, limit):
    """The outcome of a generator of tables, module:function, in a new interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tables.json"
        command = [sys.executable, "-m", "benchmarks.run", place, path, *arguments]
        start = perf_counter()
        process = subprocess.Popen(
            command, start_new_session=True, cwd=ROOT, env=_environment()
        )
        try:
            status = process.wait(timeout=limit)
            ended = f"failed with exit status {status}" if status else ""
        except subprocess.TimeoutExpired:
            ended = f"ended at its limit of {limit / 60:g} minutes"
        finally:
            _end(process)
        seconds = perf_counter() - start
        records = json.loads(path.read_text("utf-8")) if path.exists() else []
        return Outcome(tuple(map(Table.from_record, records)), seconds, ended)


def _environment():
    """Ours, with this checkout first among the places of modules."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def _end(process):
    """End a process and all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # nothing of it is left
        return
    process.wait()


def collect(tables, path):
    """Print tables as they grow, and keep all of them in a file; returns them."""
    kept = {}
    for table in tables:
        before = kept.get(table.name)
        if before is None:
            print(f"\n{table.head()}")
        shown = before or Table("", "", ())
        for row in table.rows[len(shown.rows) :]:
            print(table.line(row), flush=True)
        for note in table.notes[len(shown.notes) :]:
            print(f"\n{note}", flush=True)
        kept[table.name] = table
        beside = path.with_suffix(".new")
        records = [one.record() for one in kept.values()]
        beside.write_text(dumped(records, depth=2), encoding="utf-8")
        os.replace(beside, path)
    return list(kept.values())


def main():
    """Run the generator of tables at a place, here, into a file."""
    place, path, *arguments = sys.argv[1:]
    options = options_parser().parse_args(arguments)
    with threadpool_limits(limits=options.threads):
        collect(generator(place)(options), Path(path))


if __name__ == "__main__":
    main()
