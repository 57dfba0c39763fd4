"""Check the wheel and the sdist in a folder: .ci/archives.py DIST < tracked

``tracked`` are the names that git tracks.  The wheel has the package and its metadata,
nothing else.  The sdist has all of them, so that the tests run from it.
"""

import sys
import tarfile
import zipfile
from pathlib import Path


def wheel_faults(names, tracked):
    """What a wheel has too much, or too little."""
    package = {name for name in tracked if name.startswith("skdec/")}
    found = {name for name in names if ".dist-info/" not in name}
    return differences("the wheel", found, package)


def sdist_faults(names, tracked):
    """What an sdist has too much, or too little; names without their first folder."""
    added = {"PKG-INFO"} | {n for n in names if n.startswith("skdec.egg-info/")}
    return differences("the sdist", set(names) - added, set(tracked))


def differences(archive, found, expected):
    """A line for each name that is too much or missing."""
    return [
        *(f"{archive} has {name}" for name in sorted(found - expected)),
        *(f"{archive} lacks {name}" for name in sorted(expected - found)),
    ]


def names_in(folder):
    """The names in the one wheel and in the one sdist of a folder."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        of_wheel = [name for name in archive.namelist() if not name.endswith("/")]
    with tarfile.open(sdist) as archive:
        files = [member.name for member in archive.getmembers() if member.isfile()]
    return of_wheel, [name.partition("/")[2] for name in files]


def main():
    """Print every fault; exit with 1 if there is one."""
    of_wheel, of_sdist = names_in(Path(sys.argv[1]))
    tracked = set(sys.stdin.read().splitlines())
    faults = wheel_faults(of_wheel, tracked) + sdist_faults(of_sdist, tracked)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"archives: {len(of_wheel)} and {len(of_sdist)} files, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
