"""Every Python block of the pages runs, and prints what the page says.

The blocks of a page run in order, in one namespace, as a reader would paste them.  One
that needs an extra stands alone, and is skipped where the extra is missing; one that is
too large to be run is only looked at.  Each says so in its first line.
"""

import ast
import inspect
import re

import pytest
from threadpoolctl import threadpool_limits

import skdec
from skdec import diagnostics, encoders
from tests.docs.pages import DOCS, NUMBER, blocks, difference, missing

pytestmark = pytest.mark.gallery

# The recipes of beside.md need other libraries; tests/contract/test_beside.py runs them
RECIPES = "beside.md"
PAGES = sorted(page.name for page in DOCS.glob("*.md") if page.name != RECIPES)
BLOCKS = {page: blocks(page) for page in PAGES}

# From this heading on, the blocks of scaling.md are of a dask array X that is not made
# in them.
ON_DASK = "## Beyond one machine"
FIRST_ON_DASK = (
    (DOCS / "scaling.md").read_text("utf-8").partition(ON_DASK)[0].count("\n")
)
BLOCKS["on Dask"] = [b for b in BLOCKS["scaling.md"] if b.line > FIRST_ON_DASK]
BLOCKS["scaling.md"] = BLOCKS["scaling.md"][: -len(BLOCKS["on Dask"])]

ALONE = [block for found in BLOCKS.values() for block in found if block.extra]


# A row for which one processor's map has a place may have none in another's.
LOST = "ignore:.*found no place in the map"


def check(block, names, capsys):
    capsys.readouterr()
    with threadpool_limits(1):  # scikit-learn's threads spin while they wait
        block.run(names)
    if block.printed is not None:
        wrong = difference(capsys.readouterr().out, block.printed)
        assert wrong is None, f"docs/{block.page}, line {block.line}: {wrong}"


@pytest.mark.filterwarnings(LOST)
@pytest.mark.parametrize(
    "page",
    [
        page
        for page, found in BLOCKS.items()
        if page != "on Dask"
        and any(not (block.extra or block.not_run) for block in found)
    ],
)
def test_blocks_of_a_page(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS[page]:
        if not (block.extra or block.not_run):
            check(block, names, capsys)


@pytest.mark.parametrize("block", ALONE, ids=lambda block: f"{block.page}:{block.line}")
def test_blocks_that_need_an_extra(block, capsys, tmp_path, monkeypatch, request):
    if reason := missing(block.extra):
        pytest.skip(reason)
    if block.extra == "deep":
        request.getfixturevalue("one_torch_thread")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    check(block, {}, capsys)


def test_blocks_on_dask(capsys, rng):
    pytest.importorskip("distributed", reason="needs skdec[dask]")
    import dask.array as da
    import joblib
    from sklearn.model_selection import GridSearchCV

    from tests.dask_cluster import cluster

    rows = rng.normal(size=(600, 3))
    X = da.from_array(rows, chunks=(200, 3))

    def search(model, grid):
        return GridSearchCV(model.set_params(n_init=4, random_state=0), grid, cv=2)

    names = {**vars(skdec), "GridSearchCV": search, "joblib": joblib, "X_new": X[:10]}
    assert BLOCKS["on Dask"]
    with cluster(1, 2, processes=False):
        for block in BLOCKS["on Dask"]:
            # a search sends its rows to the tasks, and has them in memory
            names["X"] = rows[:200] if "joblib" in block.code else X
            check(block, names, capsys)


CALLABLE = {
    name: getattr(module, name)
    for module in (skdec, diagnostics, encoders)
    for name in module.__all__
}


def unknown_parameters(code):
    """Parameters that calls of the package's names give, and that it does not have."""
    for call in ast.walk(ast.parse(code)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            known = CALLABLE.get(call.func.id)
            if known is not None:
                given = {keyword.arg for keyword in call.keywords} - {None}
                yield from given - set(inspect.signature(known).parameters)


def test_blocks_that_are_not_run_name_parameters_that_there_are():
    idle = [block for found in BLOCKS.values() for block in found if block.not_run]
    assert idle
    for block in idle:
        assert not list(unknown_parameters(block.code)), (block.page, block.line)
    assert list(unknown_parameters("f(ExactTSNE(2, dof=1, angle=0.5))")) == ["angle"]


@pytest.mark.parametrize(
    "printed, right",
    [
        ("KL  0.68 of 3 maps\n", True),
        ("KL 0.60 of 3 maps\n", False),
        ("KL 0.68 of 4 maps\n", False),
        ("kl 0.68 of 3 maps\n", False),
        ("KL 0.68 of 3 maps\n\n", False),
        ("KL 0.68 of 3, 1 maps\n", False),
    ],
)
def test_what_is_printed_is_compared(printed, right):
    assert (difference(printed, "KL 0.68 of 3 maps\n") is None) == right
    assert NUMBER.findall("-1.5e-3, 70,000 (2, 3)") == ["-1.5e-3", "70,000", "2", "3"]


# coming_from.md: parameter by parameter

TABLES = re.split(r"^## ", (DOCS / "coming_from.md").read_text("utf-8"), flags=re.M)


def table(title):
    """First and second cells of the table of a peer, as sets of names in code."""
    (section,) = (part for part in TABLES if part.startswith(title + "\n"))
    rows = [
        line.split(" | ")
        for line in section.splitlines()
        if line.startswith("| `") and line.count(" | ") == 2
    ]
    theirs = {name for row in rows for name in re.findall(r"`([a-zA-Z_]+)", row[0])}
    ours = {name for row in rows for name in re.findall(r"`([a-z_]+)=", row[1])}
    return theirs, ours


PEERS = {
    "scikit-learn TSNE": ("sklearn.manifold", "TSNE", {"n_iter"}),
    "openTSNE": ("openTSNE", "TSNE", set()),
    "umap": ("umap", "UMAP", set()),
    "KMeans": ("sklearn.cluster", "KMeans", set()),
    "GaussianMixture": ("sklearn.mixture", "GaussianMixture", set()),
    "ClustPy": ("clustpy.deep", "IDEC", set()),
}


@pytest.mark.parametrize("title", PEERS)
def test_every_parameter_of_a_peer_is_in_its_table(title):
    module, name, gone = PEERS[title]
    peer = getattr(pytest.importorskip(module), name)
    known = set(inspect.signature(peer).parameters) - gone
    assert table(title)[0] == known


# it is on no package index: the signatures of its DEC.py
DEC_KERAS = {
    "__init__": "dims n_clusters alpha init",
    "pretrain": "x y optimizer epochs batch_size save_dir",
    "compile": "optimizer loss",
    "fit": "x y maxiter batch_size tol update_interval save_dir",
}


def test_every_parameter_of_dec_keras_is_in_its_table():
    known = {name for names in DEC_KERAS.values() for name in names.split()}
    assert table("DEC-Keras")[0] == known


@pytest.mark.parametrize("title", [*PEERS, "DEC-Keras"])
def test_tables_name_parameters_that_there_are(title):
    ours = {
        parameter
        for known in (skdec.ExactTSNE, skdec.StudentTClustering)
        for parameter in inspect.signature(known).parameters
    } | set(inspect.signature(encoders.AutoencoderEncoder).parameters)
    ours |= {"sample_weight", "fixed"}
    assert table(title)[1] <= ours
    assert table(title)[1]
