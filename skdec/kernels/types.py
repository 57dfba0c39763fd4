"""The arguments of kernels that belong together, by name; numba takes them as they are.

A reader of the papers finds: ν and the kind of s in ``Kernel``, D°, β and the total of
the affinities in ``Scales``, ν and f^−b of a clustering step in ``StepModel``.
"""

import math
from typing import NamedTuple

import numpy as np

# Kinds of similarity s(D).  docs/architecture.md tells what one more takes.
STUDENT_T, GAUSSIAN = 0, 1
KERNELS = {"student_t": STUDENT_T, "gaussian": GAUSSIAN}


def read_only(array):
    """A view of an array that cannot be written to.

    Users' arrays may be so or not, and numba would compile both apart.
    """
    view = array.view()
    view.flags.writeable = False
    return view


class Kernel(NamedTuple):
    """The similarity s of two points: its kind and ν, of the dtype of the points."""

    kind: int
    dof: float

    @property
    def width(self):
        """The length over which s falls off: √ν of Student-t, 1 of Gaussian."""
        return 1.0 if self.kind == GAUSSIAN else math.sqrt(self.dof)


class CSRGraph(NamedTuple):
    """A sparse matrix P by rows."""

    values: np.ndarray
    columns: np.ndarray
    edges: np.ndarray  # row i has the entries edges[i] … edges[i + 1]


class Halves(NamedTuple):
    """A symmetric P by blocks of rows: of an edge within a block one half is enough."""

    inner: CSRGraph  # the entries (i, j) of two rows of one block, j > i
    outer: CSRGraph  # all entries of rows of two blocks
    size: int  # rows of a block


class OwnLists(NamedTuple):
    """The neighbours of points ``first``, ``first`` + 1, … by column.

    A key is 2^bits times the column, plus where it is among the distances.
    """

    keys: np.ndarray  # of (n_points, n_neighbors), int64, each row in order
    bits: int
    first: int


class Copies(NamedTuple):
    """How many points each of some points stands for, and each entry of their lists."""

    weights: np.ndarray  # w of (n_points,)
    counts: np.ndarray  # of the shape of the lists
    counts_in: np.ndarray  # the same of the lists the other way round


class CopyLists(NamedTuple):
    """A list by column: p of one copy of each point, and how many copies are in it."""

    columns: np.ndarray
    p: np.ndarray
    counts: np.ndarray


class RowSums(NamedTuple):
    """What becomes of each row of a graph."""

    length: np.ndarray  # how many entries it has
    mass: np.ndarray  # Σ_j p_ij
    negentropy: np.ndarray  # Σ_j p log p, of the p_{j|i} if conditional


class Bandwidths(NamedTuple):
    """What sets β: perplexities, or one β for all rows (NaN if there are some)."""

    perplexities: np.ndarray
    beta: float


class Scales(NamedTuple):
    """What describes rows of affinities: p_j = exp(−β (D_j − D°)) / total."""

    near: np.ndarray  # D°, of (n_rows,)
    beta: np.ndarray  # of (n_scales, n_rows), as is the next
    total: np.ndarray


class StepModel(NamedTuple):
    """What a clustering step is taken with."""

    dof: float
    inverse: np.ndarray  # f_j^−b, 0 where f_j = 0
    moved: bool  # whether the centroids are elsewhere than the anchors
    judged: bool  # whether KL at the anchors is wanted


class StepSums(NamedTuple):
    """Sums of a clustering step, for each block of rows."""

    forces: np.ndarray  # Σ_i c_ij (μ_j − z_i), c_ij = w_i 2g_ij (p_ij − q_ij)
    curvature: np.ndarray  # Σ_i w_i 2g_ij p_ij
    frequencies: np.ndarray  # Σ_i w_i q_ij
    residual: np.ndarray  # Σ_i c_ij
    occupied: np.ndarray  # Σ_i w_i of the rows labelled j
    changed: np.ndarray  # Σ_i w_i of the rows whose label changed
    kl: np.ndarray  # KL(P‖Q) at the anchors


class LossSums(NamedTuple):
    """KL(P‖Q) and its gradients: a row of ∂KL/∂z each, the others for each block."""

    grad_Z: np.ndarray
    grad_centers: np.ndarray
    kl: np.ndarray


class Evaluation(NamedTuple):
    """A loss of many independent points: one entry for each."""

    value: np.ndarray
    gradient: np.ndarray
    curvature: np.ndarray  # of the attraction, the scale of the first step


class PointTerms(NamedTuple):
    """What the loss of one point of a map has besides attraction and Φ."""

    mass: float  # m, the factor of log(R + Φ)
    log_rest: (
        np.ndarray
    )  # log R of each point, R = Σ s of the pairs without it; −∞ of 0


class StepRates(NamedTuple):
    """How an embedding moves in one iteration."""

    learning_rate: float
    momentum: float
    least_gain: float
    longest: float  # move of a point


class LaneRows(NamedTuple):
    """Dense rows, measured by differences."""

    X: np.ndarray
    origin: np.ndarray
    scale: float  # 1/h


class ProductRows(NamedTuple):
    """Dense rows, measured by matrix products."""

    X: np.ndarray
    norms: np.ndarray  # ‖z‖²


class SparseRows(NamedTuple):
    """CSR rows, measured by their stored entries."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    norms: np.ndarray  # ‖z‖²


class Centers(NamedTuple):
    """k centroids as the rows they are measured to need them.

    For ``LaneRows`` the points are (μ_j − origin)/h, of (k, d), and the norms are not
    read; for the others they are 2μ_j/h of (d, k), and the norms
    ‖μ_j‖² + 2 μ_j·origin/h.  The norms tell k and the dtype in any case.
    """

    points: np.ndarray
    norms: np.ndarray


class Lattice(NamedTuple):
    """Squares in the plane or cubes in space, or the nodes of a grid."""

    x: float  # the corner
    y: float
    z: float  # 0 in the plane
    per_unit: float  # how many in a length of 1
    n_columns: int
    n_rows: int
    n_layers: int  # 1 in the plane
    n_axes: int  # 2 in the plane, 3 in space

    @property
    def shape(self):
        """Of an array of them: along x last, along y or z, which bands share, first."""
        return (self.n_layers, self.n_rows, self.n_columns)[-self.n_axes :]


class Window(NamedTuple):
    """φ and dφ/dt at the nodes, t in units of their distance, as polynomials.

    Of (degree + 1, n_nodes), the highest power first; in z from −1 to 1 for a point
    from its node to the next.
    """

    values: np.ndarray
    slopes: np.ndarray


class SortedPoints(NamedTuple):
    """Points in the order of their cells."""

    # an array for each axis, so that their number is known where code is compiled
    positions: tuple[np.ndarray, ...]
    charge: np.ndarray
    order: np.ndarray  # which points they are
    edges: np.ndarray  # cell c has those from edges[c] up to edges[c + 1]


class Cauchy(NamedTuple):
    """All of s of ν = 1, for points that no grid has: 1/u, u = 1 + D."""


class CauchyNear(NamedTuple):
    """N of ν = 1: e^(−τu)/u, u = 1 + D; of τ = 0 there are no near pairs."""

    tau: float


class StudentNear(NamedTuple):
    """N of another ν: e^(−τu) q, u = 1 + D/ν, and q a polynomial in z.

    All of the dtype of the points.
    """

    tau: float
    per_dof: float  # 1/ν
    power: float  # a = (ν + 1)/2
    factor: float  # C = τ^a/Γ(a)
    scale: float  # z = scale/√u + shift, from −1 to 1
    shift: float
    terms: tuple[float, ...]  # of q, the highest power first


class Bands(NamedTuple):
    """Slices of cells in groups: where each begins, and the last one ends.

    A slice is a row of cells in the plane, and a layer of them in space.
    """

    cells: np.ndarray
    points: np.ndarray
    strips: np.ndarray  # in one array that holds all
    nodes: np.ndarray  # the slice of the grid that is the first of its strip


class Potential(NamedTuple):
    """Φ of each point, and −∇Φ of (n_components, n_points)."""

    value: np.ndarray
    forces: np.ndarray


class Candidates(NamedTuple):
    """Columns with the least scores of each row, and room for a group more."""

    scores: np.ndarray  # of (n_rows, capacity), the first ``found`` of each row
    columns: np.ndarray  # which columns they are
    found: np.ndarray
    limit: np.ndarray  # what is no candidate has a score of at least so much
