"""Every warning points at the line of the user's file that called the package."""

import runpy
import warnings

import pytest

SETUP = """
import numpy as np
from sklearn.pipeline import make_pipeline
from skdec import ExactTSNE, StudentTClustering, conditional_affinities

X = np.random.RandomState(0).standard_normal((60, 3))
SAME = np.r_[np.zeros((30, 3)), X[:30]]
clusters = StudentTClustering(5, max_iter=1, tol=0)
short = ExactTSNE(max_iter=5)
# rows near four corners of a map whose other points all lie between them
D = np.abs(np.arange(22.0)[:, None] - np.arange(22.0))
tsne = ExactTSNE(metric="precomputed", init="random", perplexity=4, max_iter=200).fit(D)
tsne.embedding_ = np.r_[[[1.0, 1], [1, -1], [-1, 1], [-1, -1]], np.zeros((18, 2))]
LOST = np.r_[np.ones(4), np.full(18, 100.0)][None, :]
stream = StudentTClustering(20, random_state=0).fit(X)
both = make_pipeline(tsne, StudentTClustering(3, random_state=0))
both.steps[1][1].fit(np.random.RandomState(1).standard_normal((30, 2)))
"""

# A call, and what it warns of.
CALLS = {
    "clusters.fit(X)": "max_iter=1",
    "clusters.fit_predict(X)": "max_iter=1",
    "clusters.fit_transform(X)": "max_iter=1",
    "make_pipeline(clusters).fit(X)": "max_iter=1",
    "make_pipeline(clusters).fit_predict(X)": "max_iter=1",
    "stream.partial_fit(X)": "batches of 60 rows",
    "short.fit(X)": "max_iter=5",
    "short.fit_transform(X)": "max_iter=5",
    "make_pipeline(short).fit(X)": "max_iter=5",
    "make_pipeline(short).fit_transform(X)": "max_iter=5",
    "short.fit(SAME)": "perplexity cannot be reached",
    "tsne.transform(LOST)": "found no place",
    "make_pipeline(tsne).transform(LOST)": "found no place",
    "both.predict(LOST)": "found no place",
    "conditional_affinities(SAME, perplexity=5)": "perplexity cannot be reached",
    "ExactTSNE(sigma=1.0, perplexity=5, max_iter=1).fit(X)": "no effect",
}


@pytest.fixture(scope="module")
def caught(tmp_path_factory):
    """The warnings of a script in which every call stands on a line of its own."""
    script = tmp_path_factory.mktemp("user") / "script.py"
    script.write_text(SETUP + "\n".join(CALLS) + "\n")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        runpy.run_path(str(script))
    return [warning for warning in said if warning.filename == str(script)], said


@pytest.mark.parametrize("call", CALLS)
def test_a_warning_points_at_the_line_of_the_call(call, caught):
    own, _ = caught
    line = SETUP.count("\n") + 1 + list(CALLS).index(call)
    assert any(
        warning.lineno == line and CALLS[call] in str(warning.message)
        for warning in own
    )


def test_no_warning_points_elsewhere(caught):
    own, said = caught
    assert len(own) == len(said), [str(w) for w in said if w not in own]
