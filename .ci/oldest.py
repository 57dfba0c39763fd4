"""Print the core and test dependencies at the oldest versions pyproject.toml takes."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
    if not requirement.startswith("skdec["):  # an extra, left out here
        print(requirement.replace(">=", "=="))
