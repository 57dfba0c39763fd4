"""What a release is made of: version, changelog, archives, workflows."""

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

import skdec

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


archives, pythons, release = map(script, ("archives", "pythons", "release"))


# ----------------------------------------------------------------- version, changelog
def test_the_version_is_in_one_place():
    version = release.version()
    assert skdec.__version__ == version
    # elsewhere it stands in headings of the changelog alone
    for path in (*ROOT.glob("skdec/**/*.py"), ROOT / "CITATION.cff", ROOT / ".ci/run"):
        assert version not in path.read_text(encoding="utf-8"), path


def test_the_changelog_begins_with_this_version():
    assert list(release.faults(CHANGELOG, release.version())) == []


@pytest.mark.parametrize("changelog, said", [
    ("## 1.0.0 (2026-02-01)\n\nOld.\n", "the first section has to be that of 1.1.0"),
    ("## 1.1.0\n\nNew.\n", "'## 1.1.0' is neither"),
    ("## 1.1.0 (unreleased)\n\n## 1.0.0 (2026-02-01)\n\nOld.\n", "1.1.0 is empty"),
    ("## 1.1.0 (unreleased)\n\nNew.\n\n## 1.0.0 (unreleased)\n\nOld.\n", "no date"),
    ("## 1.1.0 (unreleased)\n\nNew.\n\n## 1.2.0 (2026-02-01)\n\nX.\n", "not descend"),
    ("", "the first section"),
])  # fmt: skip
def test_faults_of_a_changelog(changelog, said):
    assert said in "; ".join(release.faults(changelog, "1.1.0"))


@pytest.mark.parametrize("tag, date, said", [
    ("v1.1.0", "2026-02-01", None),
    ("v1.1.1", "2026-02-01", "the tag is v1.1.1"),
    ("v1.1.0", "unreleased", "give 1.1.0 the date"),
])  # fmt: skip
def test_a_tag_that_may_be_released(tag, date, said, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.1.0"\n')
    text = f"## 1.1.0 ({date})\n\nNew.\n\n## 1.0.0 (2026-01-01)\n\nOld.\n"
    (tmp_path / "CHANGELOG.md").write_text(text)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    if said is None:
        assert release.main(tag) == "New."
    else:
        with pytest.raises(SystemExit, match=said):
            release.main(tag)


# --------------------------------------------------------------------------- archives
TRACKED = ["pyproject.toml", "skdec/__init__.py", "skdec/py.typed", "tests/test_a.py"]
WHEEL = ["skdec/__init__.py", "skdec/py.typed", "skdec-1.0.dist-info/METADATA"]
SDIST = [*TRACKED, "PKG-INFO", "skdec.egg-info/SOURCES.txt"]


def test_faults_of_archives():
    assert archives.wheel_faults(WHEEL, TRACKED) == []
    assert archives.sdist_faults(SDIST, TRACKED) == []
    cache = "skdec/__pycache__/a.nbi"
    assert archives.wheel_faults([*WHEEL, "tests/test_a.py", cache], TRACKED) == [
        f"the wheel has {cache}",
        "the wheel has tests/test_a.py",
    ]
    assert archives.wheel_faults(WHEEL[:1], TRACKED) == [
        "the wheel lacks skdec/py.typed"
    ]
    assert archives.sdist_faults([*SDIST[1:], cache], TRACKED) == [
        f"the sdist has {cache}",
        "the sdist lacks pyproject.toml",
    ]


# ---------------------------------------------------------------- Pythons, workflows
def test_other_pythons_are_found(tmp_path):
    def stub(path, says):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{says}\n")
        path.chmod(0o755)
        return path

    first, second, *_ = versions = pythons.supported()
    on_path, pyenv = tmp_path / "bin", tmp_path / "pyenv"
    stub(on_path / f"python{first}", f"echo {first}")
    # a shim that leads nowhere, as pyenv's do: the version itself is found
    stub(on_path / f"python{second}", "exit 127")
    stub(pyenv / "versions" / f"{second}.1" / "bin" / f"python{second}", "exit 1")
    kept = stub(
        pyenv / "versions" / f"{second}.0" / "bin" / f"python{second}", f"echo {second}"
    )
    environment = {"PATH": str(on_path), "PYENV_ROOT": str(pyenv)}
    assert list(pythons.others(environment, first)) == [kept]
    found = list(pythons.others(environment, versions[-1]))
    assert found == [on_path / f"python{first}", kept][: len(versions) - 1]
    assert pythons.runs(Path(sys.executable), "{}.{}".format(*sys.version_info))
    assert list(pythons.others({"PATH": os.devnull, "PYENV_ROOT": "/"}, first)) == []


def test_workflows():
    tests, publishes = (
        (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
        for name in ("ci", "release")
    )
    matrix = re.search(r"python: \[(.*)\]", tests).group(1)
    assert re.findall(r'"(.*?)"', matrix) == pythons.supported()
    # without a password, and for tags alone
    assert 'tags: ["v*"]' in publishes and "branches" not in publishes
    assert publishes.count("id-token: write") == 1
    assert "secrets." not in publishes and "://" not in publishes
    for step in ("release.py", ".ci/run", "twine check --strict", "archives.py dist"):
        assert publishes.index(step) < publishes.index("gh-action-pypi-publish")
    yaml = pytest.importorskip("yaml")
    jobs, tested = (yaml.safe_load(text)["jobs"] for text in (publishes, tests))
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["environment"] == "release"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert {"test", "beside"} == set(tested)
    assert "tests/contract/test_beside.py" in tested["beside"]["steps"][-1]["run"]
