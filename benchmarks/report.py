"""Make the documentation's tables and plots from the results.

    python -m benchmarks.report             write them
    python -m benchmarks.report --check     name the files that are not as they would be

In the README, here and in docs/ a pair of HTML comments, ``results: NAME`` and ``end``,
holds what is made: all tables of a part (``tsne.exact``), one of them
(``tsne.exact/digits``), or a view of benchmarks/views.py (``tsne.headline``).  Where
this is one line it stands within a sentence, in which the comment must not begin a
line, or Markdown takes that line for HTML.
"""

import argparse
import re
import sys
from pathlib import Path

from benchmarks import plots, results
from benchmarks.parts import PARTS
from benchmarks.views import VIEWS

MARK = re.compile(r"(<!-- results: ([^\n]+?) -->)(.*?)(<!-- end -->)", re.S)
OPENING = re.compile(r"<!-- results: ")
# of a part, what is for a program to read
EACH_RUN = re.compile("(^|: )runs$")
# told of a machine's packages in this order, where they have a part in it
TOLD = {
    "tsne": ("scikit-learn", "numba", "openTSNE", "scikit-learn-intelex"),
    "clustering": ("scikit-learn", "numba", "torch"),
    "deep": ("scikit-learn", "torch", "clustpy"),
    "dask": ("numba", "dask"),
    "gallery": ("scikit-learn", "numba", "torch", "matplotlib"),
}


def pages():
    """The Markdown in which marks may stand."""
    found = [results.ROOT / "README.md", results.ROOT / "benchmarks" / "README.md"]
    return found + sorted((results.ROOT / "docs").rglob("*.md"))


def filled(text, entries):
    """A page with everything between its marks made anew."""
    if len(OPENING.findall(text)) != len(MARK.findall(text)):
        raise ValueError("a comment that opens results has no comment that ends them")

    def one(match):
        first, name, _, last = match.groups()
        content = made(name, entries)
        if "\n" not in content and text[: match.start()].endswith("\n"):
            raise ValueError(f"the comment of {name!r} begins a line")
        return f"{first}{content}{last}"

    return MARK.sub(one, text)


def made(name, entries):
    """What stands between the marks of that name."""
    if name in VIEWS:
        try:
            content = VIEWS[name](entries)
        except KeyError as error:
            raise KeyError(f"view {name!r} has not what it needs: {error}") from error
    else:
        part, _, table = name.partition("/")
        if part not in PARTS:
            raise KeyError(f"{name!r} is no part of the benchmarks and no view")
        content = of_part(part, table, entries.get(part))
    return f"\n\n{content}\n\n" if "\n" in content or "|" in content else content


def of_part(part, table, entry):
    """The tables of a part below their conditions, or one table above them."""
    if entry is None:
        return f"*Not yet measured: `python -m benchmarks --only {part}`.*\n"
    if table:
        return f"{entry.table(table).markdown()}\n\n{conditions(part, entry)}"
    tables = [t.markdown() for t in entry.tables if not EACH_RUN.search(t.name)]
    return "\n\n".join([conditions(part, entry), *tables])


def conditions(part, entry):
    """When, where and by which command something was measured."""
    machine = f"{entry.machine['cores']} cores of an {entry.machine['cpu']}"
    group = part.partition(".")[0]
    packages = [
        f"{name} {entry.versions[name]}"
        for name in TOLD[group]
        if name in entry.versions
    ]
    words = [
        f"Measured {entry.measured} on {machine}",
        f"{entry.threads} thread{'s' if entry.threads != 1 else ''}",
        f"Python {entry.versions['python']}",
        *packages,
    ]
    ended = f"; incomplete: {entry.ended}" if entry.ended else ""
    return f"*{', '.join(words)}: `{entry.command}`{ended}.*"


def stale(entries):
    """The pages and plots that are not what the results give."""
    found = [
        path
        for path in pages()
        if (text := path.read_text("utf-8")) != filled(text, entries)
    ]
    return found + [path for path in plots.PLOTS if not plots.is_drawn(path, entries)]


def main():
    """Write what is stale, or only name it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=results.RESULTS)
    options = parser.parse_args()
    entries = results.read(options.results)
    found = stale(entries)
    for path in found:
        print(path.relative_to(results.ROOT))
        if not options.check and path.suffix == ".md":
            path.write_text(filled(path.read_text("utf-8"), entries), "utf-8")
        elif not options.check:
            plots.draw(path, entries)
    return int(options.check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
