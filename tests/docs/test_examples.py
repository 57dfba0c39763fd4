"""The examples' claims, on random data: the same code, mostly without its pictures."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def example():
    return load("cluster_digits")


@pytest.fixture(scope="module")
def memberships():
    return load("compare_memberships")


@pytest.fixture(scope="module")
def choice():
    return load("choose_n_clusters")


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
    assert scores[0] >= 0.92
    assert scores[4] >= 0.90


@pytest.mark.slow
def test_pipeline_on_digits_over_many_splits(example):
    # 0.928; with dof = min(d, 4) and balance = 1 for all data it was 0.93
    scores = mean_scores(example, "ExactTSNE -> StudentTClustering", range(100, 120))
    assert scores[0] >= 0.925
    assert scores[4] >= 0.90


def test_accuracy_is_that_of_the_best_matching(example):
    assert example.accuracy([0, 0, 1, 1, 2], [5, 5, 3, 3, 4]) == 1
    assert example.accuracy([0, 0, 0, 1], [1, 1, 0, 0]) == 0.75


def compared(memberships, title, n_seeds=3):
    """Scores of the methods by name: ACC, NMI, ARI, max q, ECE, AUC."""
    with threadpool_limits(1):
        results = memberships.compare(memberships.DATA[title], n_seeds)
    return [
        results[name][0]
        for name in ("StudentTClustering", "KMeans", "GaussianMixture, full")
    ]


def test_outliers_cost_student_t_the_least(memberships):
    ours, kmeans, mixture = compared(memberships, "blobs, outliers within 20")
    assert ours[0] >= 0.98
    assert ours[0] > max(kmeans[0], mixture[0]) + 0.01
    assert ours[5] >= 0.9  # its memberships tell right rows from wrong ones


def test_a_mixture_wins_on_unequal_blobs(memberships):
    ours, kmeans, mixture = compared(memberships, "blobs of unequal size and spread")
    assert mixture[0] >= 0.97 > 0.96 >= ours[0] > kmeans[0] + 0.03
    assert mixture[4] < ours[4] < kmeans[4]


def test_on_digits_labels_are_those_of_kmeans_but_graded(memberships):
    ours, kmeans, mixture = compared(memberships, "digits on 10 components")
    assert abs(ours[0] - kmeans[0]) <= 0.05
    assert mixture[1] > ours[1]
    assert ours[4] < mixture[4]
    assert ours[5] > mixture[5] > kmeans[5] == 0.5


def test_rows_right_under_the_best_matching(memberships):
    truth = np.array([0, 0, 1, 1, 2])
    right = memberships.rows_right(truth, np.array([2, 2, 0, 0, 1]))
    assert right.all()
    # a class without a cluster, and a cluster without a class
    right = memberships.rows_right(truth, np.array([3, 3, 3, 0, 0]))
    assert right.sum() == 3
    assert right[:2].all()


def test_calibration_error(memberships):
    right = np.array([True, True, True, False])
    assert memberships.calibration_error(np.full(4, 0.75), right) == 0
    assert memberships.calibration_error(np.ones(4), right) == 0.25
    sure = np.array([1.0, 1.0, 0.55, 0.55])
    assert memberships.calibration_error(sure, right) == pytest.approx(0.025)


def test_comparison_prints_a_table_and_saves_the_picture(
    memberships, monkeypatch, capsys, tmp_path
):
    path = tmp_path / "curves.png"
    monkeypatch.setattr(sys, "argv", ["", "--seeds", "1", "--output", str(path)])
    data = {"digits": memberships.digits, "blobs": memberships.unequal_blobs}
    monkeypatch.setattr(memberships, "DATA", data)
    memberships.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 2 * (1 + len(memberships.METHODS))
    drawn = importlib.util.find_spec("matplotlib") is not None
    assert path.exists() == drawn
    assert lines[-1].startswith("curves saved" if drawn else "no picture")


@pytest.mark.parametrize("title", ["3 blobs, 2 features", "8 blobs, 20 features"])
def test_a_grid_search_finds_the_blobs(choice, title):
    true, make_data = choice.DATA[title]
    X = make_data(0)
    with threadpool_limits(1):
        chosen = {
            name: choice.search(model, X) for name, model in choice.METHODS.items()
        }
    assert chosen["StudentTClustering"][0] == true
    assert chosen["KMeans"][0] >= 12


def test_a_grid_search_on_the_map_of_the_digits(choice):
    _, make_data = choice.DATA["digits on their t-SNE map"]
    chosen, scores, warned = choice.search(
        choice.METHODS["StudentTClustering"], make_data(0)
    )
    assert 8 <= chosen <= 12
    assert len(scores) == len(choice.GRID)
    assert warned == 0


def test_a_grid_search_takes_distant_pairs_for_one(choice):
    true, make_data = choice.DATA["3 distant pairs of blobs, 2 features"]
    assert true == 6
    assert choice.search(choice.METHODS["StudentTClustering"], make_data(0))[0] == 3


@pytest.mark.usefixtures("one_torch_thread")
def test_deep_clustering_prints_a_table_and_saves_the_picture(
    monkeypatch, capsys, tmp_path
):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    deep = load("plot_deep_clustering")
    path = tmp_path / "deep.png"
    monkeypatch.setattr(sys, "argv", ["", "--epochs", "20", "--output", str(path)])
    fit_all = deep.fit_all
    monkeypatch.setattr(
        deep, "fit_all", lambda X, epochs: fit_all(X, epochs, hidden_dims=(200, 10))
    )
    deep.main()
    lines = capsys.readouterr().out.splitlines()
    table = {line[:38].strip(): line[38:].split() for line in lines[1:5]}
    assert path.exists()
    before = float(table["StudentTClustering on its embedding"][0])
    assert float(table["both learning together (IDEC)"][0]) > before


def test_points_called_doubtful_are_those_that_clusters_get_wrong():
    honest = load("plot_honest_map")
    X, truth = honest.digits(300)
    found = honest.evidence(X)
    doubtful = found.doubtful
    assert 0.02 < doubtful.mean() < 0.5
    wrong = [
        honest.agreement(found.labels, truth, rows) for rows in (doubtful, ~doubtful)
    ]
    assert wrong[0] < wrong[1] - 0.05
