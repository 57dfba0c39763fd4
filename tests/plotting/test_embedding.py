"""EmbeddingDisplay: what is drawn where, in which colour."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdec.plotting import EmbeddingDisplay, categorical_colors

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib.figure import Figure  # noqa: E402


def new_axes(**options):
    """Axes that pyplot does not know of."""
    return Figure(figsize=(5, 4), layout="constrained", **options).add_subplot()


def drawn(points):
    """Places and colours of a collection of points, in the order of the places."""
    places = np.asarray(points.get_offsets())
    order = np.lexsort(places.T)
    return places[order], points.get_facecolors()[order]


def test_points_are_where_they_are_in_the_colour_of_their_class(rng):
    Y, labels = rng.normal(size=(60, 2)), rng.integers(0, 4, 60)
    display = EmbeddingDisplay.from_arrays(Y, labels=labels, ax=new_axes(), alpha=1.0)
    places, colors = drawn(display.points_)
    order = np.lexsort(Y.T)
    assert_allclose(places, Y[order])
    assert_allclose(colors, categorical_colors(4)[labels[order]])
    entries = [text.get_text() for text in display.legend_.get_texts()]
    assert entries == list(display.texts_) == ["0", "1", "2", "3"]
    assert_array_equal(display.figure_.axes, [display.ax_])
