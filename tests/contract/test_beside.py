"""The recipes of docs/beside.md: each block alone, where its libraries are there."""

import ast
import base64
import gzip
import importlib.util
import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "beside.md"
TEXT = PAGE.read_text(encoding="utf-8")

# what the libraries say of each other, and of what is to come
SAID = pytest.mark.filterwarnings(
    *(
        f"ignore::{name}"
        for name in ("DeprecationWarning", "FutureWarning", "PendingDeprecationWarning")
    ),
    "ignore:.*tight_layout",
    "ignore::SyntaxWarning",
)


def recipes():
    """Each block, by the section it is in, with the libraries that it imports."""
    for section in TEXT.split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        blocks = re.findall(r"```python\n(.*?)```", rest, flags=re.DOTALL)
        assert blocks, f"{title} has no recipe"
        for number, code in enumerate(blocks):
            yield pytest.param(code, id=f"{title} {number}")


def missing(code):
    """Libraries that a block imports and that are not installed."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            continue
        tops = (name.partition(".")[0] for name in names)
        yield from (top for top in tops if importlib.util.find_spec(top) is None)


@SAID
@pytest.mark.parametrize("code", recipes())
def test_recipe(code, monkeypatch, tmp_path, capsys):
    lacking = list(missing(code))
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "recipe"}
    exec(compile(code, str(PAGE), "exec"), names)
    check(names)


def check(names):
    """What a recipe is to have reached, beyond its own assertions."""
    if "places" in names:
        assert list(names["places"]) == ["exacttsne0", "exacttsne1"]
        assert (names["table"].index == names["X"].index).all()
        memberships = [f"studenttclustering{j}" for j in range(3)]
        assert set(memberships) < set(names["table"])
    if "pl" in names:
        assert isinstance(names["table"], names["pl"].DataFrame)
        columns = ["exacttsne0", "exacttsne1", "cluster", "probability"]
        assert names["table"].columns == columns
    if "topic_model" in names:
        assert sorted(names["topic_model"].get_topic_info()["Count"]) == [100] * 3
        fruit, weather = names["new_topics"]
        assert (fruit, weather) == (names["topics"][0], names["topics"][-1])
        assert names["probabilities"].shape == (300,)
    if "adata" in names:
        adata = names["adata"]
        assert adata.obsm["X_tsne"].shape == (700, 2)
        if "model" in names:
            q = adata.obsm["skdec_memberships"]
            assert (q.argmax(axis=1).astype(str) == adata.obs["skdec"]).all()
    if "figure" in names:
        said = {text.get_text() for text in names["ax"].texts}
        assert any("mostly" in text for text in said)
    if "page" in names:
        held = held_by(Path("map.html").read_text(encoding="utf-8"))
        assert json.loads(held["hoverData"])["hover_text"] == names["hover_text"]
        named = {entry["label"] for entry in json.loads(held["labelData"])}
        assert named == set(names["labels"]) - {"Unlabelled"}
        assert len(named) == 6
    if "display" in names:
        assert names["display"].elbow_value_ in range(2, 6)


def held_by(page):
    """The data that an interactive map of datamapplot holds, by name."""
    found = re.findall(r'const (\w+)Encoded = "([A-Za-z0-9+/=]+)"', page)
    return {name: gzip.decompress(base64.b64decode(data)) for name, data in found}


def test_the_extra_is_what_the_page_says():
    import tomllib

    project = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text("utf-8"))
    extra = project["project"]["optional-dependencies"]["beside"]
    names = {re.split(r"[>=\[]", requirement)[0] for requirement in extra}
    assert names == {"scanpy", "skops", "datamapplot"}
    assert "brings scanpy, skops and datamapplot" in TEXT
