"""The rooms of the package: who may import whom (docs/architecture.md)."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "skdec"

# Besides itself, a room may import from these.  "" is skdec/__init__.py.
MAY = {
    "utils": set(),
    "kernels": set(),
    "clustering": {"kernels", "utils"},
    "tsne": {"kernels", "utils"},
    "encoders": {"utils"},
    "diagnostics": {"kernels", "tsne", "utils"},
    "plotting": {"diagnostics", "utils"},
    "functions": {"clustering", "kernels", "tsne", "utils"},
    "compile": {"clustering", "kernels", "tsne", "utils"},
    "": {"clustering", "functions", "tsne"},
}


def module_of(path):
    """The dotted name of a source file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path):
    """Every module that a file imports, wherever in it, names of modules resolved."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in SOURCES else node.module


def room_of(module):
    """The folder, or the single module, right below skdec."""
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("module", SOURCES)
def test_imports_go_neither_up_nor_sideways(module):
    room = room_of(module)
    ours = {room_of(name) for name in imports(SOURCES[module]) if "skdec" in name}
    assert ours - {room} <= MAY[room]


def test_imports_run_in_no_circle():
    graph = {
        module: {name for name in imports(path) if name in SOURCES} - {module}
        for module, path in SOURCES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


def libraries(module):
    return {name.split(".")[0] for name in imports(SOURCES[module])}


@pytest.mark.parametrize("module", SOURCES)
def test_what_only_some_modules_know(module):
    room = room_of(module)
    if room != "kernels" and module != "skdec.utils.threads":
        assert "numba" not in libraries(module)
    if module != "skdec.utils.threads":
        assert not {"threading", "queue", "joblib", "threadpoolctl"} & libraries(module)
    dask = {"blocks", "cluster", "collection", "lazily"}
    if module not in {f"skdec.utils.{name}" for name in dask}:
        assert not {"dask", "distributed"} & libraries(module)
    # only when something is drawn, by a function of plotting/_axes.py
    assert "matplotlib" not in libraries(module)
    if module != "skdec.utils.progress":
        assert not {"rich", "tqdm"} & libraries(module)
    if module not in {"skdec.encoders._networks", "skdec.encoders._augmentation"}:
        assert "torch" not in libraries(module)
    if module != "skdec.utils.sklearn_compat":
        private = [
            name
            for name in imports(SOURCES[module])
            if name.startswith("sklearn") and "._" in name
        ]
        assert not private


def test_private_names_of_scikit_learn_are_imported_in_one_module():
    for module, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn"):
                private = any(alias.name.startswith("_") for alias in node.names)
                assert not private or module == "skdec.utils.sklearn_compat"
