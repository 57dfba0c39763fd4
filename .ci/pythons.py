"""Print a Python of each supported version that this machine has, but for this one.

Supported is what the classifiers of pyproject.toml name.  Looked at are python3.x on
the path and the versions that pyenv keeps; what does not run is passed over.
"""

import os
import re
import subprocess
import sys
import tomllib
from itertools import islice
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
PROBE = "import ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"


def supported():
    """The versions that the classifiers name, as "3.11"."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    return sorted(found, key=lambda version: int(version.split(".")[1]))


def candidates(version, environment):
    """Where a Python of this version may be."""
    for folder in environment.get("PATH", "").split(os.pathsep):
        yield Path(folder) / f"python{version}"
    pyenv = Path(environment.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in sorted(pyenv.glob(f"versions/{version}.*"), reverse=True):
        yield folder / "bin" / f"python{version}"


def runs(python, version):
    """Whether it is a Python of this version from which environments can be made."""
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == version


def others(environment, own):
    """A Python of each supported version but ``own``, where there is one."""
    for version in supported():
        if version != own:
            found = (p for p in candidates(version, environment) if runs(p, version))
            yield from islice(found, 1)


if __name__ == "__main__":
    for path in others(os.environ, "{}.{}".format(*sys.version_info)):
        print(path)
