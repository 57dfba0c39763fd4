"""Run the benchmarks, each part in a process of its own, into one file of results.

    python -m benchmarks                          all parts
    python -m benchmarks --only tsne dask.step    some; the others stay in the file
    python -m benchmarks --resume                 those not yet measured of this package
    python -m benchmarks --list                   their names, and how long they take

Both sides of a comparison run in turn in one process.  Peers are in the extra
``bench``; what is not installed is said and left out.  ``python -m benchmarks.report``
then makes the tables and plots of the documentation anew.
"""

import argparse
import shlex
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks import results
from benchmarks.parts import add_options, chosen
from benchmarks.run import measure


def parser():
    """All that the command takes."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = found.add_argument
    add("--only", nargs="+", metavar="NAME", help="parts, or groups such as tsne")
    add("--resume", action="store_true",
        help="leave out what is there of this package and these options")  # fmt: skip
    add("--list", action="store_true", help="name the parts, and run none")
    add("--limit", type=float, help="minutes that a part may take")
    add("--output", help="the file; of --small one in the folder for temporary files")
    add_options(found)
    return found


def given(options):
    """The options of the parts that differ from their defaults, without folders."""
    usual = parser().parse_args([])
    own = {"only", "resume", "list", "limit", "output", "folder"}
    found = {
        name: value
        for name, value in vars(options).items()
        if name not in own and value != getattr(usual, name)
    }
    if "mnist" in found:
        found["mnist"] = Path(found["mnist"]).name
    return found


def as_arguments(options):
    """Options as they are written on a command line."""
    words = []
    for name, value in options.items():
        if value is False:  # rows alone is on by default
            words.append(f"--no-{name}")
        else:
            words.append(f"--{name.replace('_', '-')}")
            values = value if isinstance(value, list) else [value]
            words += [] if value is True else map(str, values)
    return words


def is_measured(entry, options):
    """Whether an entry is whole, of these options and of the package as it is."""
    return (
        entry is not None
        and not entry.ended
        # where a file of rows lay is no matter
        and entry.options | {"mnist": None} == options | {"mnist": None}
        and entry.revision is not None
        and results.package_is_of(entry.revision)
    )


def run(part, options, limit):
    """The entry of one part, or None if it gave nothing; and what ended it."""
    known = given(options)
    places = {"mnist": options.mnist, "folder": options.folder}
    paths = {name: str(Path(p).resolve()) for name, p in places.items() if p}
    found = measure(part.place, as_arguments(known | paths), limit)
    if not any(table.rows for table in found.tables):
        return None, found.ended or "gave no row"
    words = ["python", "-m", "benchmarks", "--only", part.name, *as_arguments(known)]
    entry = results.Entry(
        measured=f"{datetime.now():%Y-%m-%d %H:%M}",
        command=shlex.join(words),
        threads=options.threads,
        options=known,
        machine=results.machine(),
        versions=results.versions(),
        revision=results.revision(),
        seconds=round(found.seconds, 1),
        ended=found.ended,
        tables=found.tables,
    )
    return entry, found.ended


def listing(parts, entries):
    """The parts, a line each."""
    for part in parts:
        entry = entries.get(part.name)
        state = f"measured {entry.measured}" if entry else "not yet measured"
        missing = f"; needs {', '.join(part.missing)}" if part.missing else ""
        yield f"{part.name:24} about {part.minutes:4g} min  {state}{missing}"
    yield f"all together about {sum(part.minutes for part in parts):g} minutes"


def output(options):
    """Where results are kept."""
    if options.output:
        return Path(options.output)
    if options.small:  # no results, but whether all of it runs
        return Path(tempfile.gettempdir()) / "skdec-benchmarks-small.json"
    return results.RESULTS


def main():
    """Run what is asked for; the exit status is that of the worst part."""
    options = parser().parse_args()
    path = output(options)
    try:
        parts = chosen(options.only)
    except KeyError as error:
        parser().error(error.args[0])
    if options.list:
        print("\n".join(listing(parts, results.read(path))))
        return 0
    failed = []
    for part in parts:
        print(f"\n## {part.name}, about {part.minutes:g} minutes", flush=True)
        if part.missing:
            print(f"\nleft out: {', '.join(part.missing)} is not installed")
            continue
        before = results.read(path).get(part.name)
        if options.resume and is_measured(before, given(options)):
            print("\nis there already")
            continue
        limit = 60 * options.limit if options.limit else part.limit
        entry, ended = run(part, options, limit)
        if ended:
            failed.append(f"{part.name} {ended}")
            print(f"\n{failed[-1]}", flush=True)
        if entry is not None:
            # read anew, so that two runs of different parts can write one file
            results.write(results.read(path) | {part.name: entry}, path)
    print(f"\nresults are in {path}" + "".join(f"\n{line}" for line in failed))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
