"""Every public name has its place in the API reference, and its page when built."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import skdec

API = Path(__file__).parents[2] / "docs" / "api" / "index.rst"


def public():
    """Every public name of the package and of its public parts, with its object."""
    parts = ["skdec"]
    for module in pkgutil.iter_modules(skdec.__path__):
        if not module.name.startswith("_"):
            parts.append(f"skdec.{module.name}")
    for part in parts:
        module = importlib.import_module(part)
        for name in getattr(module, "__all__", ()):
            yield f"{part}.{name}", getattr(module, name)


def listed():
    """The names that the API page lists, each once, in its module."""
    module = None
    for line in API.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif line.startswith("   ") and line.strip().isidentifier():
            yield f"{module}.{line.strip()}"


def test_every_public_name_is_listed():
    pages = list(listed())
    assert len(pages) == len(set(pages))
    # where a part of the package gives out what another has, one page is enough
    objects = {}
    for name, thing in public():
        objects.setdefault(id(thing), set()).add(name)
    missing = [names for names in objects.values() if not names & set(pages)]
    assert missing == []
    assert set(pages) <= {name for name, _ in public()}


def test_every_public_name_has_a_page(site):
    for name in listed():
        module, _, attribute = name.rpartition(".")
        thing = getattr(importlib.import_module(module), attribute)
        path = site / "api" / "generated" / f"{name}.html"
        text = path.read_text(encoding="utf-8")
        assert f'id="{name}"' in text
        if inspect.isclass(thing):
            for method in vars(thing):
                # scikit-learn adds the requests
                if not re.match(r"_|set_\w+_request$", method) and callable(
                    getattr(thing, method)
                ):
                    assert f'id="{name}.{method}"' in text, method
