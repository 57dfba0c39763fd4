"""Where Displays draw: matplotlib, which is imported when it is needed, and axes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

POINTS_PER_INCH = 72


def matplotlib(submodule: str = "") -> Any:
    """A module of matplotlib, or an error that tells how to install it."""
    try:
        return import_module(f"matplotlib.{submodule}" if submodule else "matplotlib")
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != "matplotlib":
            raise
        raise ImportError(
            "skdec.plotting draws with matplotlib, which is not installed: "
            "pip install 'skdec[plot]'"
        ) from error


def axes_for(ax, **figure_options):
    """The axes given, or those of a new figure of pyplot."""
    if ax is not None:
        return ax
    pyplot = matplotlib("pyplot")
    return pyplot.subplots(layout="constrained", **figure_options)[1]


def set_limits(ax, points):
    """Show points of shape (n, 2), besides what the axes have already."""
    ax.update_datalim(points)
    ax.autoscale_view()


def unit(ax):
    """How many typographic points a unit of the data is, along x and y."""
    per_pixel = POINTS_PER_INCH / ax.figure.dpi
    size = np.array([ax.bbox.width, ax.bbox.height]) * per_pixel
    span = np.array([np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())])
    scale = size / span
    return np.full(2, scale.min()) if ax.get_aspect() != "auto" else scale


def background(ax):
    """The colour behind what is drawn."""
    colors = matplotlib("colors")
    for artist in (ax, ax.figure):
        color = colors.to_rgba(artist.get_facecolor())
        if color[3] > 0:
            return color
    return colors.to_rgba("white")


def bare(ax):
    """Take off ticks where the numbers mean nothing."""
    ax.set_xticks([])
    ax.set_yticks([])
