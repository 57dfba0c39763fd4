"""Which colour each point has, by its class or by its value."""

from typing import Any, NamedTuple

import numpy as np

from skdec.plotting._axes import matplotlib
from skdec.plotting._colors import MOST_COLORS, categorical_colors, grey
from skdec.utils.validation import check_unmasked

# Colours go on beyond the 1st and 99th percentile for at most this share of what is
# between them.
BEYOND = 0.25


class Coloring(NamedTuple):
    """Colours of points.

    Attributes
    ----------
    of_points : ndarray of shape (n_points, 4)
        Red, green, blue and opacity of each.
    grey : ndarray of bool, shape (n_points,)
        Which have no class or no value, and are drawn beneath the others.
    mappable : ScalarMappable or None
        From which values these colours are.
    extend : {"neither", "min", "max", "both"}
        At which ends values have the last colour though they are beyond it.
    """

    of_points: np.ndarray
    grey: np.ndarray
    mappable: Any = None
    extend: str = "neither"


class Scale(NamedTuple):
    """How values become colours; parameters of ``EmbeddingDisplay.plot``."""

    cmap: Any
    vmin: float | None
    vmax: float | None
    norm: str


def palette(n, colors=None, of="labels"):
    """RGBA of the first n classes: those given, or categorical_colors.

    ``of`` is the argument that asks for so many.
    """
    if colors is None:
        if n > MOST_COLORS:
            values = ", or values if they are numbers" if of == "labels" else ""
            raise ValueError(
                f"{of} must make at most {MOST_COLORS} classes; got {n}: give colors "
                f"for more{values}"
            )
        return categorical_colors(n)
    given = matplotlib("colors").to_rgba_array(colors)
    if len(given) < n:
        raise ValueError(f"colors must be at least {n}, one a class; got {len(given)}")
    return given[:n]


def column(values, name, n):
    """Values as float64 of shape (n,)."""
    check_unmasked(values, name)
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = np.array([np.nan if _missing(value) else value for value in array])
    try:
        if array.dtype.kind == "c":  # of which NumPy would keep a part
            raise TypeError
        if array.dtype.kind in "mM":  # NumPy has a number for a time that is missing
            array = np.where(np.isnat(array), np.nan, array.astype(np.float64))
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers; got {array.dtype}") from error
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},); got {array.shape}")
    return array


def _missing(value):
    """Whether it is None or pandas.NA, which no array of floats can hold."""
    return value is None or type(value).__name__ == "NAType"


def colors_of_values(values, scale):
    """Colours of values, as ``Coloring``."""
    nothing = np.isnan(values)
    colors = np.tile(grey(), (len(values), 1))
    if nothing.all():
        return Coloring(colors, nothing)
    seen = values[~nothing]
    low, high = color_limits(seen[np.isfinite(seen)], scale)
    kind = {"linear": "Normalize", "log": "LogNorm"}.get(scale.norm)
    if kind is None:
        raise ValueError(f"norm must be 'linear' or 'log'; got {scale.norm!r}")
    norm = getattr(matplotlib("colors"), kind)(low, high)
    mappable = matplotlib("cm").ScalarMappable(norm, scale.cmap)
    mappable.set_array([])
    colors[~nothing] = mappable.to_rgba(np.clip(seen, low, high))
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    extend = ends.get((bool(seen.min() < low), bool(seen.max() > high)), "both")
    return Coloring(colors, nothing, mappable, extend)


def color_limits(finite, scale):
    """Values of the first and the last colour."""
    log = scale.norm == "log"
    _check_limits(scale, log)
    finite = finite[finite > 0] if log else finite
    if not len(finite):
        finite = np.ones(1)
    given = scale.vmin, scale.vmax
    if log:
        logarithms = [None if limit is None else np.log(limit) for limit in given]
        low, high = np.exp(_limits(np.log(finite), *logarithms))
    else:
        low, high = _limits(finite, *given)
    low = low if scale.vmin is None else scale.vmin
    high = high if scale.vmax is None else scale.vmax
    return low, high


def _check_limits(scale, log):
    """Raise unless there are colours between the limits that are given."""
    for name, limit in (("vmin", scale.vmin), ("vmax", scale.vmax)):
        if limit is not None and not np.isfinite(limit):
            raise ValueError(f"{name} must be a finite number; got {limit}")
        if log and limit is not None and not limit > 0:
            raise ValueError(f"{name} must be above 0 with norm='log'; got {limit}")
    if None not in (scale.vmin, scale.vmax) and scale.vmin > scale.vmax:
        raise ValueError(
            f"vmin must be at most vmax; got {scale.vmin} and {scale.vmax}"
        )


def _limits(finite, low, high):
    """The least and largest value, but no further out than outliers deserve."""
    lower, upper = np.quantile(finite, (0.01, 0.99))
    least, largest = finite.min(), finite.max()
    if upper > lower:
        least = max(least, lower - BEYOND * (upper - lower))
        largest = min(largest, upper + BEYOND * (upper - lower))
    # a constant has a colour all the same, and so have values beyond a limit
    middle = next((limit for limit in (low, high) if limit is not None), least)
    low = least if low is None else low
    high = largest if high is None else high
    return (low, high) if high > low else (middle - 0.5, middle + 0.5)
