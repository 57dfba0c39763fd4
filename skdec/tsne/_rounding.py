"""What rounding takes of the forces that a grid sums."""

import math
from typing import NamedTuple

import numpy as np

from skdec.kernels.types import Potential
from skdec.tsne._split import DOUBLE, SINGLE

# What heaps of points lose of their forces may be so much of all forces by an estimate,
# and what transforms lose: of maps within it the worst had 4.4e-6 in single precision.
MOST_LOST = {SINGLE: {2: 2e-6, 3: 7e-7}, DOUBLE: {2: 3e-13, 3: 3e-13}}
MOST_ROUNDED = {SINGLE: 3.5e-6, DOUBLE: 7e-12}

# How much more than one rounding of the nodes, and of what is read from them, that is
# in the forces: measured.
OF_NODES, OF_VALUES = 6.0, 0.37


class Summed(NamedTuple):
    """A potential, and how large what it was read from is."""

    potential: Potential
    level: float  # root mean square of Φ at the nodes, short of the constant
    heaps: float  # root mean square of the charge within a node or two of a point


def loses_digits(plan, charges, summed):
    """Whether forces lose too much by rounding.

    Their share ε/h √(Σ_i m_i²) / √(Σ_i ‖f_i‖²) is lost to heaps of points, about, where
    m is the charge within a node or two of a point, h the spacing of the nodes, and ε
    the rounding of the grid: the forces among the points of a heap are small
    differences of a potential m.  In place of m the level of the nodes tells what
    transforms lose, and how Φ varies what is lost where it is read, in maps of points
    all over.
    """
    value, forces = summed.potential
    spread = math.hypot(OF_NODES * summed.level, OF_VALUES * value.std())
    if charges is None:
        force = np.linalg.norm(forces) / math.sqrt(len(value))
    else:
        squares = np.square(forces).sum(axis=0)
        force = math.sqrt(np.average(squares, weights=charges))
    quality = plan.mesh.split.quality
    rounding = np.finfo(quality.dtype).eps / 2 * plan.mesh.lattice.per_unit
    return rounding * summed.heaps > MOST_LOST[quality][len(forces)] * force or (
        rounding * spread > MOST_ROUNDED[quality] * force
    )
