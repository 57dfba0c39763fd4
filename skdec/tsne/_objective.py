"""KL(P‖Q) of an embedding and its gradient, for every row of the table."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skdec.kernels import embedding, embedding_fused
from skdec.kernels.types import GAUSSIAN, STUDENT_T, Halves
from skdec.tsne._numbering import PAIRS_PER_ENTRY, NumberedGraph
from skdec.tsne._repulsion import CopiesRepulsion, GridRepulsion

# Forces are collected in so many slots and added in their order: enough to share among
# threads, few enough to add up quickly.  A slot has at least so many rows.
MAX_SLOTS = 32
MIN_SLOT_ROWS = 128

# Up to here D^(−5/2), the smallest power in the fused loops, does not vanish.  The maps
# of a descent stay far below.
LARGEST_FUSED = {np.dtype(np.float32): 1e7, np.dtype(np.float64): 1e58}


# The fused loops over a sparse P, by the number of components.
BLOCKS_OF_GRAPH = {
    2: embedding_fused.plane_blocks_of_graph,
    3: embedding_fused.space_blocks_of_graph,
}


class Normaliser(NamedTuple):
    """What q is divided by, twice around the cycle, as far as it is known first."""

    near: np.ndarray  # D° of each point
    inverse: np.ndarray  # 1/Z of each point if conditional, else empty
    log_Z: np.ndarray | None  # log Σ s of each row if conditional


class EmbeddingObjective:
    """KL(P‖Q) of an embedding: every row of the table whose reference is X itself.

    Parameters
    ----------
    affinities : Affinities
        The symmetric P, in the dtype of the optimisation.
    kernel : Kernel
        The similarity s.
    joint : bool
        Whether q is normalised jointly instead of per row.
    threads : Threads
        Where rows run.
    fused : bool, default=True
        Whether the loops may be used in which D^(−5/2) must not vanish.
    repulsion : {"auto", "pairs", "grid"}, default="pairs"
        How the repulsion is summed.  Of a dense P every pair is met in any case.
    """

    def __init__(
        self, affinities, kernel, joint, threads, *, fused=True, repulsion="pairs"
    ):
        self.affinities, self.threads = affinities, threads
        self.joint, self.fused = joint, fused
        P, n = affinities.P, affinities.n_samples
        self.kernel = kernel._replace(dof=P.dtype.type(kernel.dof))
        self.graph = None
        if sparse.issparse(P):
            self.graph = NumberedGraph(P, threads)
            P = np.empty((n, 0), P.dtype)
        self.P, self.n_samples = P, n
        # an even number of blocks, for two threads, of an even number of rows, which
        # the fused loop takes by twos
        n_blocks = MAX_SLOTS
        while n_blocks > 1 and n < n_blocks * MIN_SLOT_ROWS:
            n_blocks //= 2
        self.size = 2 * -(-n // (2 * n_blocks))
        self.n_blocks = -(-n // self.size)
        self._slots = self._grid = None
        # of the last gradient
        self.repulsion = "pairs"
        if self.graph is not None and repulsion != "pairs":
            always = repulsion == "grid"
            self._grid = GridRepulsion(
                self.kernel, joint, P.dtype, threads, always=always,
                weights=affinities.weights,
            )  # fmt: skip
        self.weights, self._copies = affinities.weights, None
        if self.weights is not None:
            self._copies = CopiesRepulsion(
                self.kernel, joint, self.weights, self._energy, threads
            )

    def _run(self, task, n_rows=None):
        n = self.n_samples
        self.threads.run_ranges(task, n if n_rows is None else n_rows, n * n // 2)

    def _run_graph(self, task, n_rows):
        """The same of loops over the entries of a sparse P alone."""
        pairs = PAIRS_PER_ENTRY * self.affinities.P.nnz
        self.threads.run_ranges(task, n_rows, pairs)

    def gradient(self, Y, exaggeration=1.0):
        """∂KL(exaggeration · P‖Q)/∂Y for Y of (n_components, n_samples).

        Returns it with log Σ s: one number, or one for each row under conditional
        normalisation.  Where points stand for copies, it is that of the place of one
        copy of each, ∂KL/∂y_i / w_i: the others of a point move as it does.
        """
        gradient, number = np.empty_like(Y), Y.dtype.type
        pull = number(2 * exaggeration)
        if self.graph is not None:
            self._attract(Y, gradient)
        by_grid = None
        if self._grid is not None:
            by_grid = self._grid(Y, self._fused(Y))
        self.repulsion = "pairs" if by_grid is None else "grid"
        repulsion = by_grid
        if self._copies is not None:
            if self.graph is None:
                self._attract_all(Y, gradient)
            gradient /= self.weights.astype(Y.dtype)
            if by_grid is None:
                repulsion = self._copies(Y)
                self._check(1.0, 1.0 + np.abs(repulsion.log_Z).max())
        if repulsion is not None:
            gradient *= pull
            gradient -= 2 * repulsion.forces
            return gradient, repulsion.log_Z
        normaliser = self._normaliser(Y)
        log_Z, near = normaliser.log_Z, normaliser.near
        slots, Z = self._forces(Y, normaliser)
        share = 2.0
        if self.joint:
            total = 2 * Z.sum(dtype=np.float64)
            self._check(total, total)
            share /= total
            log_Z = np.log(total) - self._energy(float(near[0]))
        embedding.fold_slots(slots, self.size, number(share), pull, gradient)
        return gradient, log_Z

    def _attract(self, Y, attraction):
        """A of a sparse P."""
        kernel, by_blocks = self.kernel, None
        if self.fused and kernel.kind == STUDENT_T:
            by_blocks = BLOCKS_OF_GRAPH.get(len(Y))
        self.graph.follow(Y, halved=by_blocks is not None)
        graph, Y = self.graph.graph, self.graph.numbered(Y)
        if by_blocks is None:
            numbered = np.empty_like(attraction)
            self._run_graph(
                lambda start, stop: embedding.graph_rows(
                    Y, graph, kernel, start, stop, numbered
                ),
                self.n_samples,
            )
        else:
            points = np.ascontiguousarray(Y.T)
            forces = np.empty_like(points)
            self._run_graph(
                lambda start, stop: by_blocks(
                    points, graph, kernel.dof, start, stop, forces
                ),
                -(-self.n_samples // graph.size),
            )
            numbered = forces.T
        self.graph.put_back(numbered, attraction)

    def _attract_all(self, Y, attraction):
        """A of a dense P: what the slots hold of it, without the R beside it."""
        near = np.zeros(2 * self.n_samples, Y.dtype)
        slots, _ = self._forces(Y, Normaliser(near, near[:0], None))
        none, all_of_it = Y.dtype.type(0), Y.dtype.type(1)
        embedding.fold_slots(slots, self.size, none, all_of_it, attraction)

    def norm(self, gradient):
        """The Euclidean norm of a gradient, over all copies."""
        if self.weights is not None:
            gradient = gradient * np.sqrt(self.weights)
        return float(np.linalg.norm(gradient))

    def _fused(self, Y):
        """Whether a fused loop takes this: it sets D° = 0 and needs no first pass."""
        student_t = self.kernel.kind == STUDENT_T
        if not (student_t and self.joint and self.fused):
            return False
        return (len(Y), self.kernel.dof) in {(2, 1), (3, 1), (3, 2)}

    def _normaliser(self, Y):
        """What q is divided by, as far as it is known before the forces."""
        near, Z = np.zeros((2, self.n_samples), Y.dtype)
        if self._fused(Y):
            return Normaliser(near, Z[:0], None)
        self._run(lambda start, stop: embedding.nearest_rows(Y, start, stop, near))
        if self.joint:
            near[:] = near.min()
            return Normaliser(np.concatenate([near, near]), Z[:0], None)
        kernel = self.kernel
        self._run(
            lambda start, stop: embedding.normaliser_rows(
                Y, near, kernel, start, stop, Z
            )
        )
        self._check(Z.min(), Z.max())
        log_Z = np.log(Z.astype(np.float64)) - self._energy(near.astype(np.float64))
        return Normaliser(
            np.concatenate([near, near]), np.concatenate([1 / Z, 1 / Z]), log_Z
        )

    def _forces(self, Y, normaliser):
        """The slots with R and, of a dense P, A; and Z of each row under joint."""
        n, c, size = self.n_samples, len(Y), self.size
        shape = self.n_blocks, c if self.graph is not None else 2 * c, size + n // 2
        if self._slots is None or self._slots.shape != shape:
            self._slots = np.empty(shape, Y.dtype)
        twice, slots = np.concatenate([Y, Y], axis=1), self._slots
        Z = np.empty(n, Y.dtype)
        near, inverse = normaliser.near, normaliser.inverse
        fused = embedding_fused.plane_blocks if c == 2 else embedding_fused.space_blocks
        is_fused = self._fused(Y)

        def task(start, stop):
            if is_fused:
                dof = self.kernel.dof
                fused(twice, self.P, dof, size, start, stop, slots, Z)
            else:
                kernel = self.kernel
                embedding.force_blocks(
                    twice, self.P, kernel, near, inverse, size, start, stop, slots, Z
                )

        self._run(task, self.n_blocks)
        return slots, Z

    def _energy(self, D):
        """−log s of arrays, as ``energy`` in kernels/similarity.py has it of numbers.

        tests/kernels/test_embedding.py compares KL by both.
        """
        if self.kernel.kind == GAUSSIAN:
            return D
        dof = float(self.kernel.dof)
        return (dof + 1) / 2 * np.log1p(D / dof)

    @staticmethod
    def _check(least, largest):
        if not 0 < least <= largest < np.inf:
            raise FloatingPointError("the points have moved out of range")

    def _energies(self, graph, Y):
        """Σ_j p_ij · (−log s_ij) of each row of a sparse P."""
        energy = np.empty(self.n_samples)
        self._run_graph(
            lambda start, stop: embedding.graph_energy_rows(
                Y, graph, self.kernel, start, stop, energy
            ),
            self.n_samples,
        )
        return energy

    def divergence(self, Y, log_Z):
        """KL(P‖Q) at Y: Σ p log p + Σ p_ij (−log s_ij) + Σ_i log Z_i · Σ_j p_ij."""
        energy, P = np.empty(self.n_samples), self.affinities
        if self.graph is None:
            twice = np.concatenate([Y, Y], axis=1)
            self._run(
                lambda start, stop: embedding.energy_rows(
                    twice, self.P, self.kernel, start, stop, energy
                )
            )
            energy *= 2
        else:
            graph, Y = self.graph.graph, self.graph.numbered(Y)
            if isinstance(graph, Halves):
                energy[:] = 2 * self._energies(graph.inner, Y)
                energy += self._energies(graph.outer, Y)
            else:
                energy = self._energies(graph, Y)
        return float(P.negentropy + energy.sum() + np.sum(log_Z * P.mass))
