"""The example's claim, on random splits: the same code, without its picture."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

SCRIPT = Path(__file__).parents[1] / "examples" / "cluster_digits.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("cluster_digits", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mean_scores(example, name, seeds):
    X, y = load_digits(return_X_y=True)
    rows = [
        example.evaluate(example.METHODS[name](seed), *example.split(X, y, seed))
        for seed in seeds
    ]
    return np.mean(rows, axis=0)


def test_pipeline_on_digits(example):
    scores = mean_scores(example, "ExactTSNE -> StudentTClustering", range(4))
    assert scores[0] >= 0.93  # accuracy on training rows
    assert scores[4] >= 0.90  # and on rows held out


@pytest.mark.slow
def test_pipeline_on_digits_over_many_splits(example):
    scores = mean_scores(example, "ExactTSNE -> StudentTClustering", range(100, 120))
    assert scores[0] >= 0.93
    assert scores[4] >= 0.90


def test_accuracy_is_that_of_the_best_matching(example):
    assert example.accuracy([0, 0, 1, 1, 2], [5, 5, 3, 3, 4]) == 1
    assert example.accuracy([0, 0, 0, 1], [1, 1, 0, 0]) == 0.75
