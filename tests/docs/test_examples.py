"""The claims of examples/cluster_digits.py, on its own data."""

import importlib.util
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline

from skdec import ExactTSNE, StudentTClustering
from tests.docs.gallery import EXAMPLES


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def example():
    return load("cluster_digits")


def mean_scores(example, name, seeds):
    X, y = load_digits(return_X_y=True)
    rows = [
        example.evaluate(example.METHODS[name](seed), *example.split(X, y, seed))
        for seed in seeds
    ]
    return np.mean(rows, axis=0)


def test_pipeline_on_digits(example):
    scores = mean_scores(example, "ExactTSNE -> StudentTClustering", range(4))
    # accuracy on training rows and on rows held out; four splits are few, and rounding
    # leads to other maps: over twenty splits (slow) it is 0.928
    assert scores[0] >= 0.90
    assert scores[4] >= 0.88


@pytest.mark.slow
def test_pipeline_on_digits_over_many_splits(example):
    # 0.928; with dof = min(d, 4) and balance = 1 for all data it was 0.93
    scores = mean_scores(example, "ExactTSNE -> StudentTClustering", range(100, 120))
    assert scores[0] >= 0.925
    assert scores[4] >= 0.90


def test_accuracy_is_that_of_the_best_matching(example):
    assert example.scores([0, 0, 1, 1, 2], [5, 5, 3, 3, 4])[0] == 1
    assert example.scores([0, 0, 0, 1], [1, 1, 0, 0])[0] == 0.75


def test_rows_placed_alone_have_their_neighbours_in_several_clusters(example):
    X, y = load_digits(return_X_y=True)
    ratios, n_new = [], 0
    for seed in range(2):  # which rows lie alone in one map depends on its last bits
        (train, _), (test, _) = example.split(X, y, seed)
        tsne = example.METHODS["ExactTSNE -> StudentTClustering"](seed)[0].fit(train)
        lonely = example.alone(tsne.transform(test), tsne.embedding_)
        near = NearestNeighbors(n_neighbors=10).fit(train).kneighbors(test)[1]
        spread = tsne.embedding_[near].std(axis=1).mean(axis=1)
        ratios.append(spread[lonely] / np.median(spread[~lonely]))
        n_new += len(test)
    ratios = np.concatenate(ratios)
    assert 0 < len(ratios) < 0.04 * n_new
    assert np.median(ratios) > 2
    assert np.mean(ratios > 1) >= 0.8


def test_every_example_of_the_gallery_has_its_claims_tested():
    """``test_gallery_tsne.py`` and ``test_gallery_clustering.py`` run them."""
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    from tests.docs import test_gallery_clustering, test_gallery_tsne

    found = {path.stem for path in EXAMPLES.glob("plot_*.py")}
    tested = [*test_gallery_tsne.ROWS, *test_gallery_clustering.NAMES]
    assert sorted(tested) == sorted(found)
    assert len(found) >= 14


def test_both_panels_of_a_map_have_the_colours_of_one_legend(
    example, tmp_path, monkeypatch
):
    """And a confusion matrix is read without zeros, in letters that stand out."""
    plt = pytest.importorskip("matplotlib.pyplot", reason="needs the extra 'plot'")
    from matplotlib.colors import to_hex

    from skdec.plotting import categorical_colors

    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    X, y = load_digits(return_X_y=True)
    train, test = example.split(X[:600], y[:600], 0)
    tsne = ExactTSNE(random_state=0, max_iter=250)
    model = make_pipeline(tsne, StudentTClustering(10, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train[0])
    example.draw(model, train, test, tmp_path / "picture.png")
    (figure,) = kept
    written, found, counts = figure.axes[:3]
    for ax in (written, found):
        entries = {
            text.get_text(): to_hex(handle.get_markerfacecolor())
            for text, handle in zip(
                ax.get_legend().get_texts(), ax.get_legend().legend_handles, strict=True
            )
        }
        assert set(entries) <= set("0123456789")
        assert all(
            entries[name] == to_hex(color)
            for name, color in zip("0123456789", categorical_colors(10), strict=True)
            if name in entries
        )
    shown = [text for text in counts.texts if text.get_visible()]
    assert shown and all(text.get_text() != "0" for text in shown)
    assert "Triangles" in figure.get_suptitle() and "Circled" in figure.get_suptitle()
