"""Examples of the gallery, run as they stand, and what they leave behind."""

import contextlib
import io
import runpy
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

EXAMPLES = Path(__file__).parents[2] / "examples"


class Run(NamedTuple):
    """What an example leaves behind."""

    names: dict[str, Any]
    figures: list[Any]
    printed: str


def run_example(name):
    """An example's names, the figures it has shown, drawn, and what it printed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figures = []

    def show():
        for number in plt.get_fignums():
            figure = plt.figure(number)
            figure.canvas.draw()
            figures.append(figure)
        plt.close("all")

    printed = io.StringIO()
    with patch.object(plt, "show", show), contextlib.redirect_stdout(printed):
        names = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    left = plt.get_fignums()
    assert not left, f"{name} does not show its figures {left}"
    return Run(names, figures, printed.getvalue())


def cut_off(figure):
    """By how many inches something drawn sticks out of a figure, at most."""
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)
