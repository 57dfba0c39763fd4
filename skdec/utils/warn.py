"""Warnings that point at the caller's line."""

import sys
import warnings

# Frames of these packages lie between the caller and a warning: this package, and
# wrappers of scikit-learn and contextlib.
INSIDE = {__name__.partition(".")[0], "sklearn", "contextlib"}


def warn(message, category=UserWarning):
    """Warn of the line that called into the package, however deep this is."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in (
        INSIDE
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
