"""The Python blocks of a page, and what the page says that they print."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")

# The first line of a block that stands alone, because it needs an extra of the package;
# and of one that is too large to be run in a test.
NEEDS, NOT_RUN = "# needs skdec[", "# not run here: "

# What an extra is known by.
MODULES = {"plot": "matplotlib", "deep": "torch", "dask": "distributed"}

# Maps differ between processors, and so do numbers told of them: by this much, relative
# and absolute.
RELATIVE, ABSOLUTE = 0.03, 0.015


class Block(NamedTuple):
    """A block of Python, the line of the page it begins in, and what it prints."""

    page: str
    line: int
    code: str
    printed: str | None

    @property
    def extra(self):
        """The extra of the package that it needs, or None."""
        if not self.code.startswith(NEEDS):
            return None
        return self.code[len(NEEDS) : self.code.index("]")]

    @property
    def not_run(self):
        return self.code.startswith(NOT_RUN)

    def run(self, names):
        """Run it as the page has it: errors name the page and the line."""
        tree = ast.parse("\n" * (self.line - 1) + self.code)
        exec(compile(tree, str(DOCS / self.page), "exec"), names)


def blocks(page):
    """The blocks of a page, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found, end = [], None
    for match in FENCED.finditer(text):
        language, body = match.groups()
        if language == "python":
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(page, line, body, None))
        elif language == "text" and end is not None and match.start() - end <= 2:
            # an output follows its block at once
            found[-1] = found[-1]._replace(printed=body)
        end = match.end() if language == "python" else None
    return found


def missing(extra):
    """What is to be installed for an extra, or None."""
    return None if find_spec(MODULES[extra]) else f"needs skdec[{extra}]"


def difference(printed, said):
    """Why what was printed is not what the page says, or None."""
    lines, expected = printed.split("\n"), said.split("\n")
    if len(lines) != len(expected):
        return f"{len(lines)} lines instead of {len(expected)}:\n{printed}"
    for line, known in zip(lines, expected, strict=True):
        words, values = _parted(line)
        known_words, known_values = _parted(known)
        close = len(values) == len(known_values) and all(
            abs(a - b) <= ABSOLUTE + RELATIVE * abs(b)
            for a, b in zip(values, known_values, strict=True)
        )
        if words != known_words or not close:
            return f"printed {line!r}, the page says {known!r}"
    return None


def _parted(line):
    """Words and numbers of a line; how many spaces there are between does not count."""
    values = [float(value.replace(",", "")) for value in NUMBER.findall(line)]
    return NUMBER.sub("#", line).split(), values
