"""Check that a tag can be released, and print its notes: .ci/release.py v0.1.0

The tag has to be that of the version in pyproject.toml, and the first section of
CHANGELOG.md, which is printed, has to be that of the version, with a date.
"""

import datetime
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADING = re.compile(r"^## (\d+\.\d+\.\d+) \((unreleased|\d{4}-\d{2}-\d{2})\)$", re.M)


def version():
    """The version, as pyproject.toml alone has it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["version"]


def sections(changelog):
    """(version, date or "unreleased", text) of each section, the newest first."""
    found = list(HEADING.finditer(changelog))
    ends = [heading.start() for heading in found] + [len(changelog)]
    return [
        (*heading.groups(), changelog[heading.end() : end].strip())
        for heading, end in zip(found, ends[1:], strict=True)
    ]


def faults(changelog, current):
    """What is wrong with a changelog at any time, released or not."""
    headings = re.findall(r"^## .*$", changelog, re.M)
    for line in headings:
        if not HEADING.match(line):
            yield f"{line!r} is neither '## 1.2.3 (2026-01-31)' nor '(unreleased)'"
    found = sections(changelog)
    if not found or found[0][0] != current:
        yield f"the first section has to be that of {current}, of pyproject.toml"
    for number, date, text in found:
        if not text:
            yield f"the section of {number} is empty"
        if date == "unreleased":
            if number != found[0][0]:
                yield f"{number} is not the newest, and has no date"
        else:
            datetime.date.fromisoformat(date)
    numbers = [tuple(map(int, number.split("."))) for number, _, _ in found]
    if numbers != sorted(set(numbers), reverse=True):
        yield "versions do not descend"


def main(tag):
    """The notes of a release; SystemExit says why there can be none."""
    changelog, current = (ROOT / "CHANGELOG.md").read_text("utf-8"), version()
    if tag != f"v{current}":
        sys.exit(f"the tag is {tag}, and the version in pyproject.toml {current}")
    found = list(faults(changelog, current))
    if found:
        sys.exit("CHANGELOG.md: " + "; ".join(found))
    _, date, text = sections(changelog)[0]
    if date == "unreleased":
        sys.exit(f"CHANGELOG.md: give {current} the date of its release")
    return text


if __name__ == "__main__":
    print(main(sys.argv[1]))
