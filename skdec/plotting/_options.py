"""What ``EmbeddingDisplay.plot`` may be asked for."""

from numbers import Real

import numpy as np

from skdec.utils.validation import POSITIVE, Range, check_unmasked

OPACITY = Range(Real, 0, 1, closed="both")


def check_options(
    *, order, shading, legend, point_size, alpha, annotate, colorbar, **_
):
    """Raise unless each of these is one of its choices; others are checked in use."""
    _check_choices(order, shading, legend)
    _check_look(point_size, alpha)
    _check_switches(annotate=annotate, colorbar=colorbar)


def row_mask(highlight, n):
    """The rows to highlight."""
    if highlight is None:
        return np.zeros(n, dtype=bool)
    check_unmasked(highlight, "highlight")
    mask = np.asarray(highlight)
    if mask.dtype.kind != "b" or mask.shape != (n,):
        raise ValueError(
            f"highlight must be a mask of shape ({n},); got {mask.dtype} of shape "
            f"{mask.shape}"
        )
    return mask


def _check_choices(order, shading, legend):
    """Raise unless each is one of its choices."""
    if order not in ("mixed", "values"):
        raise ValueError(f"order must be 'mixed' or 'values'; got {order!r}")
    if shading not in ("auto", "points", "density"):
        raise ValueError(
            f"shading must be 'auto', 'points' or 'density'; got {shading!r}"
        )
    check_legend(legend)


def check_legend(legend):
    """Raise unless it is one of the choices."""
    if legend != "auto" and not isinstance(legend, bool | np.bool_):
        raise ValueError(f"legend must be True, False or 'auto'; got {legend!r}")


def _check_look(point_size, alpha):
    """Raise unless points can have this size and this opacity."""
    if point_size is not None and not POSITIVE.is_satisfied_by(point_size):
        raise ValueError(
            f"point_size must be a positive number or None; got {point_size!r}"
        )
    if alpha is not None and not OPACITY.is_satisfied_by(alpha):
        raise ValueError(f"alpha must be a number from 0 to 1 or None; got {alpha!r}")


def _check_switches(**switches):
    """Raise unless each of them is true or false."""
    for name, value in switches.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be True or False; got {value!r}")
