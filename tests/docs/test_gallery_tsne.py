"""The claims of the gallery's examples on t-SNE, from one run of each.

Most run on fewer of the digits than the gallery shows.  They need the extra ``plot``,
and so are not in the plain test line.
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from unittest.mock import patch
from warnings import catch_warnings, filterwarnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits

from tests.docs.gallery import cut_off, run_example

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

pytestmark = pytest.mark.gallery

DOCS = Path(__file__).parents[2] / "docs"

# How many digits each sees; None where there are no digits, or where all are needed.
ROWS = {
    "plot_animation": 400,
    "plot_cells_map": None,
    "plot_collapse": None,
    "plot_digits_map": 1200,
    "plot_dof": 500,
    "plot_exaggeration": 800,
    "plot_family": 500,
    "plot_honest_map": 400,
    "plot_mnist": 300,
    "plot_perplexity": 400,
    "plot_texts": None,
    "plot_tsne_parameters": 400,
    "plot_weights_and_held_rows": 1000,
}
NEEDS = {"plot_cells_map": "scanpy"}


@pytest.fixture(autouse=True, scope="module")
def no_mnist(tmp_path_factory):
    """No test maps 70,000 rows because they happen to be there."""
    empty = str(tmp_path_factory.mktemp("scikit_learn_data"))
    with patch.dict("os.environ", {"SCIKIT_LEARN_DATA": empty, "SKDEC_MNIST": ""}):
        yield


@cache
def run(name):
    """What an example leaves behind, on its share of the digits."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason="not a dependency of the tests")

    def fewer_digits(*, return_X_y):
        X, y = load_digits(return_X_y=return_X_y)
        return X[: ROWS[name]], y[: ROWS[name]]

    with patch("sklearn.datasets.load_digits", fewer_digits), catch_warnings():
        if name == "plot_weights_and_held_rows":
            # on so few digits rounding decides whether one new row falls out of the map
            filterwarnings("ignore", "1 of .* new points found no place in the map")
        return run_example(name)


@pytest.mark.parametrize("name", ROWS)
def test_figures_are_drawn_and_nothing_is_cut_off(name):
    example = run(name)
    assert example.figures
    assert max(map(cut_off, example.figures)) < 0.02


def test_the_picture_of_the_readme_is_what_its_command_draws(tmp_path):
    from matplotlib.image import imread

    again = tmp_path / "again.png"
    subprocess.run([sys.executable, DOCS / "picture.py", again], check=True)
    paths = DOCS / "_static" / "digits_map.png", again
    kept, drawn = (imread(path)[..., :3] for path in paths)
    assert kept.shape == drawn.shape
    # on another processor clusters may be in other places, but not in other colours
    assert np.abs(shares(kept) - shares(drawn)).sum() < 0.05
    # the title, and the legend
    title, legend = np.s_[:38], np.s_[:, 675:]
    for part in (title, legend):
        assert rms(kept[part] - drawn[part]) < 0.2 * rms(kept[part] - 1)


def shares(pixels, levels=4):
    """The share of each colour, of a few levels, among pixels that are not white."""
    shades = np.minimum(pixels * levels, levels - 1).astype(int)
    counts = np.bincount((shades @ (levels**2, levels, 1)).ravel(), minlength=levels**3)
    return counts[:-1] / counts[:-1].sum()


def rms(differences):
    """The root mean square."""
    return np.sqrt(np.mean(differences**2))


def test_new_digits_are_placed_among_their_own_and_others_are_marked():
    names = run("plot_digits_map").names
    astray, alone = names["astray"], names["alone"]
    assert astray.mean() < 0.06
    assert set(names["letters"]) == set(np.flatnonzero(astray | alone))
    assert len(set(names["letters"].values())) == len(names["letters"])
    # the data say the same of most that are among others
    same = names["seen_in_pixels"][astray] == names["seen"][astray]
    assert same.mean() > 0.5
    # of those that are alone the ten nearest are of several digits, or they are at the
    # rim of their own cluster
    nearest = names["in_pixels"].kneighbors(names["X_new"][alone & ~astray])[1]
    of_several = [len(set(digits)) > 1 for digits in names["y_train"][nearest]]
    assert np.mean(of_several) >= 0.5


def test_heavy_tails_part_clusters_and_keep_neighbors():
    names = run("plot_family").names
    apart = {name: np.median(d) for name, d in names["separation"].items()}
    heavy, light = ("conditional t-SNE", "t-SNE"), ("SNE", "symmetric SNE")
    assert min(apart[n] for n in heavy) > 1.3 * max(apart[n] for n in light)
    recall = names["recall"]
    assert min(recall[n] for n in heavy) > max(recall[n] for n in light) + 0.05


def test_clusters_contract_with_few_degrees_of_freedom():
    names = run("plot_dof").names
    assert (np.diff(list(names["spacings"].values())) > 0).all()
    # "ν = 0.5 still has at a distance of 10 what ν = 10 has at about 3"
    far, near = ((1 + d**2 / v) ** (-(v + 1) / 2) for d, v in ((10, 0.5), (3.26, 10)))
    assert_allclose(far, near, rtol=0.02)


def test_exaggeration_leads_to_the_eigenvectors_and_costs_neighbors():
    names = run("plot_exaggeration").names
    shares, recall = (list(names[name].values()) for name in ("shares", "recall"))
    assert shares[-1] == max(shares) > 0.95
    assert shares[-1] > shares[0]
    assert (np.diff(recall) < 0).all()


def test_perplexity_trades_near_for_far():
    names = run("plot_perplexity").names
    near, far = names["near"], names["far"]
    # 3, 10, 30, 100, 300, 10 and 100
    assert near[0] < near[2] > near[4]
    assert far[4] == max(far)
    assert far[1] < far[5]
    table = names["table"]
    assert (
        f"elbow of the singularity: {table.elbow:g}" in run("plot_perplexity").printed
    )


def test_parameters_change_what_they_are_said_to_change():
    names = run("plot_tsne_parameters").names
    recall, maps = names["recall"], names["maps"]
    assert all(recall[30, 4, dof] < recall[30, 1, dof] for dof in names["DOFS"])

    def contrast(Y):
        """How far digits are from each other, in units of how wide each is."""
        y = names["y"]
        centers = np.array([Y[y == d].mean(axis=0) for d in range(10)])
        width = np.mean([np.median(abs(Y[y == d] - centers[d])) for d in range(10)])
        return np.median(abs(centers[:, None] - centers)) / width

    for perplexity in (5, 30):
        assert contrast(maps[perplexity, 1, 0.5]) > contrast(maps[perplexity, 1, 5])
        assert contrast(maps[perplexity, 4, 1]) > contrast(maps[perplexity, 1, 1])


def test_the_doubtful_are_those_that_clusters_get_wrong():
    names = run("plot_honest_map").names
    doubtful, agrees = names["doubtful"], names["agrees"]
    assert 0.02 < doubtful.mean() < 0.5
    assert agrees[doubtful].mean() < agrees[~doubtful].mean() - 0.05


def test_held_rows_stay_and_new_ones_find_each_other():
    names = run("plot_weights_and_held_rows").names
    old = names["grown"].embedding_[names["held"]]
    assert (old == names["tsne"].embedding_).all()
    assert names["among"]["grown"] > names["among"]["placed"] + 0.2


def test_weights_give_a_sample_the_room_of_all():
    everything, sample, weighted = (
        run("plot_weights_and_held_rows").names["rooms"].values()
    )
    assert sample < 0.6 * everything
    assert weighted > 0.8 * everything


def test_queries_land_among_modules_of_their_kind():
    names = run("plot_texts").names
    first = np.argsort(
        ((names["tsne"].embedding_ - names["placed"][0]) ** 2).sum(axis=1)
    )[:4]
    assert "xml" in names["QUERIES"][0]
    assert all("xml" in module for module in names["names"][first])
    # modules of a package are together: most of the nearest of email are of email
    Y, labels = names["tsne"].embedding_, names["labels"]
    email = labels == names["large"].index("email")
    nearest = ((Y[:, None] - Y[email]) ** 2).sum(axis=2).argsort(axis=0)[1:6]
    assert email[nearest].mean() > 0.6


def test_without_mnist_the_bundled_digits_are_mapped():
    example = run("plot_mnist")
    assert "MNIST is not here" in example.printed
    assert example.names["title"] == "bundled digits"


def test_mnist_is_read_from_a_file(monkeypatch, tmp_path):
    path = tmp_path / "some.npz"
    X, y = load_digits(return_X_y=True)
    np.savez(path, X=X[:200], y=y[:200].astype(str))
    monkeypatch.setenv("SKDEC_MNIST", str(path))
    example = run_example("plot_mnist")
    assert example.names["title"] == "MNIST"
    assert example.printed.startswith("200 rows")


def test_a_film_is_made_and_shown():
    names = run("plot_animation").names
    assert names["picture"].startswith(b"GIF8")
    assert len(names["frames"]) >= names["tsne"].n_iter_ // 10
    assert (names["frames"][0] != names["frames"][-1]).any()
    assert "data:image/gif;base64," in names["Film"]()._repr_html_()


def cells(text):
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_tables_of_the_derivations_are_what_the_example_prints():
    example = run("plot_collapse")
    found = cells(example.printed)
    text = (DOCS / "gradients.md").read_text(encoding="utf-8")
    printed = re.search(
        r"<!-- what plot_collapse.py prints.*?-->(.*)<!-- end", text, re.S
    )
    expected = cells(printed[1])
    assert len(found) == len(expected) == 18
    for row, known in zip(found, expected, strict=True):
        for cell, value in zip(row, known, strict=True):
            if re.fullmatch(r"[\d.]+", value):
                assert_allclose(float(cell), float(value), rtol=0.02, atol=0.03)
            else:
                assert cell == value


def test_what_the_derivations_say_of_the_descents():
    names = run("plot_collapse").names
    blobs, descend = names["blobs"], names["descend"]
    X, _ = blobs("as drawn")
    start, end = (
        descend("as drawn", "through P", True)[1][step][2] for step in (0, 300)
    )
    assert np.mean(start.max(axis=1) > 0.8) > 0.7
    assert np.sum(end.max(axis=1) < 0.5) > np.sum(start.max(axis=1) < 0.5) + 8
    scaled, _ = blobs(names["PAPER"])
    assert round(float(X.std(axis=0).mean() / scaled.std(axis=0).mean()), 1) == 2.5


@pytest.mark.slow
def test_numbers_of_the_page_on_reliability_are_those_of_the_examples():
    text = " ".join((DOCS / "reliability.md").read_text(encoding="utf-8").split())
    shares = re.search(r"There (\d+) % .*? (\d+) % of these .*? (\d+) % of the", text)
    found = re.findall(r"(\d+)%", run_example("plot_honest_map").printed)
    assert_allclose([int(n) for n in found], [int(n) for n in shares.groups()], atol=2)
    advice = re.search(r"the elbow is at (\d+) and the least pBIC at (\d+)", text)
    table = run_example("plot_perplexity").names["table"]
    assert [table.elbow, table.least_pbic] == [int(n) for n in advice.groups()]
