"""Axes that pyplot does not know of, and pictures of them as arrays."""

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
matplotlib.use("Agg")

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


def new_axes(figsize=(4.0, 3.0), layout="constrained"):
    """Axes of a figure without pyplot."""
    figure = Figure(figsize=figsize, dpi=80, layout=layout)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def picture(ax):
    """The figure of some axes as RGB from 0 to 1, of shape (height, width, 3)."""
    ax.figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())[..., :3] / 255


def assert_looks_like(ours, theirs, tolerance=0.01):
    """Two axes look alike: the root mean square difference of their pixels is small.

    They also differ from an empty figure by far more, so that it says something.
    """
    ours, theirs = picture(ours), picture(theirs)
    blank = np.broadcast_to(theirs[0, 0], theirs.shape)
    assert ours.shape == theirs.shape
    assert np.sqrt(np.mean((theirs - blank) ** 2)) > 5 * tolerance
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < tolerance


def texts(legend):
    """The entries of a legend."""
    return [text.get_text() for text in legend.get_texts()]
