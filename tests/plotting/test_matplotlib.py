"""matplotlib is imported when it is needed, and pyplot is left alone."""

import subprocess
import sys

import pytest


def run(code):
    """What a program of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]
    return done.stdout


def test_without_matplotlib():
    said = run("""
import sys
sys.modules["matplotlib"] = None
from skdec import ExactTSNE
from skdec.plotting import *
import skdec.plotting as plotting
import numpy as np
assert match_labels([1, 0], ["a", "b"]).tolist() == [0, 1]
assert categorical_colors(12).shape == (12, 4)
X = np.random.default_rng(0).normal(size=(20, 3))
history = {"n_iter": [1], "kl_divergence": [1.0]}
for draw in (
    lambda: EmbeddingDisplay.from_arrays(X),
    lambda: MembershipDisplay.from_arrays(np.ones((3, 1))),
    lambda: ConvergenceDisplay.from_arrays(history),
    lambda: ReliabilityDisplay.from_arrays(X, X[:, 0]),
    lambda: PerplexityDisplay.from_arrays(None),
    lambda: animate_fit(ExactTSNE(), X, "film.gif"),
):
    try:
        draw()
    except ImportError as error:
        print("skdec[plot]" in str(error) and "pip install" in str(error))
""")
    assert said.split() == ["True"] * 6


def test_pyplot_is_not_touched_where_axes_are_given():
    pytest.importorskip("matplotlib")
    run("""
import sys
import numpy as np
from matplotlib.figure import Figure
from skdec import ExactTSNE
from skdec.plotting import *
from skdec.diagnostics import PerplexityTable
assert "matplotlib.pyplot" not in sys.modules
X = np.random.default_rng(0).normal(size=(20, 2))
axes = Figure().subplots(2, 3).ravel()
EmbeddingDisplay.from_arrays(X, labels=np.arange(20) % 3, ax=axes[0])
EmbeddingDisplay.from_arrays(X, values=X[:, 0], ax=axes[1], shading="density")
MembershipDisplay.from_arrays(np.full((4, 2), 0.5), ax=axes[2])
ConvergenceDisplay.from_arrays(
    {"n_iter": [1, 2], "kl_divergence": [1, 2], "label_changes": [1, 0]}, ax=axes[3])
ReliabilityDisplay.from_arrays(X, X[:, 0], ax=axes[4])
ones = np.ones(2)
PerplexityDisplay.from_arrays(
    PerplexityTable(np.array([5.0, 9.0]), *[ones] * 6), ax=axes[5])
axes[0].figure.canvas.draw()
if "matplotlib.pyplot" in sys.modules:
    assert not sys.modules["matplotlib.pyplot"].get_fignums()
    raise SystemExit("pyplot was imported")
""")


def test_the_current_axes_stay_where_axes_are_given():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from skdec.plotting import ConvergenceDisplay, EmbeddingDisplay

    _, (left, right) = pyplot.subplots(1, 2)
    history = {"n_iter": [1, 2], "kl_divergence": [1, 2], "grad_norm": [1, 0]}
    for ax, current in ((left, left), (left, right)):
        pyplot.sca(current)
        ConvergenceDisplay.from_arrays(history, ax=ax)
        EmbeddingDisplay.from_arrays([[0.0, 1.0], [1.0, 0.0]], values=[0, 1], ax=ax)
        assert pyplot.gca() is current
    pyplot.close("all")


def test_without_axes_there_is_a_figure_of_pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from skdec.plotting import EmbeddingDisplay

    pyplot.close("all")
    display = EmbeddingDisplay.from_arrays([[0.0, 1.0], [1.0, 0.0]])
    assert pyplot.get_fignums() == [display.figure_.number]
    pyplot.close("all")
