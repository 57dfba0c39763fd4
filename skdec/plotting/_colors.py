"""Colours of classes: the same number always has the same colour."""

from __future__ import annotations

from functools import lru_cache
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skdec.utils.typing import FloatArray

# Found by a search for the largest least distance in CIELAB (ΔE), seen by normal eyes
# and as seen by protanopes, deuteranopes and tritanopes; also from the grey below.
# tests/plotting/test_colors.py measures these distances.
TEN = (
    "3c78f0", "d21e0f", "3ca54b", "c3c31e", "961ea5",
    "3cd2d2", "ffa596", "874b3c", "e196ff", "b41e78",
)  # fmt: skip

# More would help nobody: of 40 some are hard to tell apart already.
MOST_COLORS = 1000

# Of what has no class, or no value.
GREY = "9e9e9e"

# Further colours are as light or dark, in CIELAB, that they show on white and on black.
LIGHTNESS = 38.0, 80.0

# How protanopes, deuteranopes and tritanopes see linear sRGB (Machado et al. 2009,
# severity 1), after normal eyes.
VISION = np.array(
    [
        np.eye(3),
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ]
)

# Normal eyes see differences that others do not: asked for more by this factor, many
# colours are farther apart to most people, and to the others hardly nearer.
NORMAL = 1.5

# From linear sRGB to XYZ relative to its white (IEC 61966-2-1).
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = XYZ.sum(axis=1)


def rgb(code):
    """Red, green and blue from 0 to 1 of a colour as six hexadecimal digits."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255


def lab(colors):
    """CIELAB of sRGB colours of shape (..., 3)."""
    return _lab_of_linear(_linear(colors))


def _linear(colors):
    return np.where(
        colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4
    )


def _lab_of_linear(linear):
    xyz = linear @ XYZ.T / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def seen(colors):
    """CIELAB of colours of shape (n, 3) as each kind of eyes sees them, (4, n, 3)."""
    return _lab_of_linear(np.clip(_linear(colors) @ VISION.transpose(0, 2, 1), 0, 1))


def _difference(places, others):
    """The least difference of colours as ``seen``, over all kinds of eyes."""
    apart = np.linalg.norm(places - others, axis=-1)
    return np.minimum(apart[0] / NORMAL, apart[1:].min(axis=0))


@lru_cache(maxsize=1)
def _candidates():
    """Colours that may be given, and how they are seen."""
    steps = np.linspace(0, 1, 24)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    places = seen(colors)
    shown = (places[0, :, 0] > LIGHTNESS[0]) & (places[0, :, 0] < LIGHTNESS[1])
    return colors[shown], places[:, shown]


@lru_cache(maxsize=8)
def _palette(n):
    """The first n colours: the ten, then each as far as it can be from those before."""
    chosen = [rgb(code) for code in TEN[:n]]
    if n > len(TEN):
        candidates, places = _candidates()
        taken = seen(np.array([*chosen, rgb(GREY)]))
        apart = np.min(
            [_difference(places, one[:, None]) for one in taken.swapaxes(0, 1)], axis=0
        )
        for _ in range(n - len(TEN)):
            best = int(np.argmax(apart))
            chosen.append(candidates[best])
            apart = np.minimum(apart, _difference(places, places[:, best, None]))
    return np.array(chosen).reshape(n, 3)


def categorical_colors(n: int) -> FloatArray:
    """Give n colours that can be told apart.

    The first ten can be told apart with any kind of colour blindness, too: as
    protanopes, deuteranopes and tritanopes see them (Machado et al. 2009), any two
    differ by more than 18 ΔE in CIELAB; the eight of Okabe and Ito by 16.  Each one
    after them is as far as possible from those before, for all of these eyes.  The
    colours of a smaller n are the first of a larger n, so that a class keeps its colour
    whatever others there are.

    The more colours, the nearer they are: any two of 20 differ by 13 ΔE or more, of 40
    by 8.9, which is too little to tell small points apart by colour alone.  Names
    written at the classes help, as ``EmbeddingDisplay`` does by itself.

    Parameters
    ----------
    n : int
        How many, from 0 to 1000.

    Returns
    -------
    colors : ndarray of shape (n, 4)
        Red, green, blue and opacity from 0 to 1; the opacity is 1.

    Raises
    ------
    ValueError
        If n is no integer from 0 to 1000.

    References
    ----------
    Machado, Oliveira, Fernandes: A physiologically-based model for simulation of color
    vision deficiency, IEEE Transactions on Visualization and Computer Graphics 2009.

    Examples
    --------
    >>> from skdec.plotting import categorical_colors
    >>> categorical_colors(3).shape
    (3, 4)
    """
    whole = isinstance(n, Integral) and not isinstance(n, bool)
    if not (whole and 0 <= n <= MOST_COLORS):
        raise ValueError(f"n must be an int from 0 to {MOST_COLORS}; got {n!r}")
    return np.column_stack([_palette(int(n)), np.ones(int(n))])


def grey():
    """The colour of what has no class, as red, green, blue and opacity."""
    return np.array([*rgb(GREY), 1.0])
