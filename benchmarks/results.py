"""The file of results: one entry a part, each with where and when it was measured."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.tables import Table

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results.json")
# whose versions are told, where they are installed
PACKAGES = (
    "skdec", "numpy", "scipy", "scikit-learn", "numba", "torch", "dask", "distributed",
    "faiss-cpu", "openTSNE", "scikit-learn-intelex", "tsne-h2pack", "clustpy",
)  # fmt: skip

# parts, an entry, its tables, a table, its rows: so deep is a row
ROWS = 5


@dataclass(frozen=True)
class Entry:
    """One part as it was measured.

    ``ended`` is empty of a part that ran to its end, else what ended it.
    """

    measured: str
    command: str
    threads: int | None
    machine: dict
    versions: dict
    tables: tuple[Table, ...]
    options: dict = field(default_factory=dict)
    revision: str | None = None
    seconds: float | None = None
    ended: str = ""

    def table(self, name):
        """The table of that name."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(f"no table {name!r} among {[t.name for t in self.tables]}")

    def record(self):
        """What goes into the file."""
        tables = [table.record() for table in self.tables]
        # not asdict of the whole, which would copy the tables' cells
        known = {key: value for key, value in vars(self).items() if key != "tables"}
        return known | {"tables": tables}

    @classmethod
    def from_record(cls, record):
        """The entry that a file holds."""
        tables = tuple(Table.from_record(table) for table in record["tables"])
        return cls(**(record | {"tables": tables}))


def read(path=RESULTS):
    """Part → entry; nothing if there is no such file yet."""
    path = Path(path)
    if not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {name: Entry.from_record(record) for name, record in stored.items()}


def write(entries, path=RESULTS):
    """Keep the entries, sorted by name; the file is never half there."""
    records = {name: entries[name].record() for name in sorted(entries)}
    beside = Path(path).with_suffix(".new")
    beside.write_text(dumped(records) + "\n", encoding="utf-8")
    os.replace(beside, path)


def dumped(value, depth=0):
    """JSON in which whatever fits, and every row and note, is on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if depth == ROWS or len(line) <= 88 or not isinstance(value, (dict, list)):
        return line
    if isinstance(value, dict):
        inner = [
            f"{json.dumps(key, ensure_ascii=False)}: {dumped(one, depth + 1)}"
            for key, one in value.items()
        ]
    else:
        inner = [dumped(one, depth + 1) for one in value]
    first, last = ("{", "}") if isinstance(value, dict) else ("[", "]")
    blank = " " * depth
    return (
        f"{first}\n"
        + ",\n".join(f"{blank} {one}" for one in inner)
        + f"\n{blank}{last}"
    )


def machine():
    """The processor, its cores, memory and system, and a GPU if there is one."""
    found = {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.system()}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory, GB"] = round(pages / 1e9)
    return found


def _cpu():
    """The model's name and its vectors, from Linux if it tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    told = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    name = told.get("model name", platform.machine()).strip()
    # times differ more by the vectors of a processor than by its name
    wide = {"avx512f": "AVX-512", "avx2": "AVX2"}
    vectors = [word for flag, word in wide.items() if flag in told.get("flags", "")]
    return f"{name} ({vectors[0]})" if vectors else name


def versions():
    """Those of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def revision():
    """The commit, and whether the package differs from it; None without git."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        return None
    return commit if package_is_of(commit) else f"{commit}, changed"


def package_is_of(commit):
    """Whether the package is that of a commit."""
    return _git("diff", "--quiet", commit, "--", "skdec") is not None


def _git(*arguments):
    """What git prints, or None if it fails."""
    try:
        found = subprocess.run(
            ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
