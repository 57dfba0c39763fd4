"""New points in a fitted map: each alone."""

import numpy as np

from skdec.kernels import placement
from skdec.tsne._bfgs import minimise_rows

# How far out, in units of the map's reach, a new point may be placed, and from where on
# it is told to be outside.
RIM, OUTSIDE = 10.0, 2.0


def place(embedding, P, q_form, threads):
    """Positions of new points, and how many of them found no minimum in the map.

    P of shape (n_new, n_samples) holds their affinities to the fitted points.
    """
    fitted = embedding.astype(np.float64)
    center = fitted.mean(axis=0)
    fitted -= center
    dof, gaussian, _ = q_form
    objective = PlacementObjective(fitted, P, (dof, gaussian), threads)
    # the mean of neighbours in two clusters can lie in a third, from where the way
    # down leads out of the map: then the nearest neighbour is the better start
    # each mean by itself: a product of matrices rounds by their shape
    V = np.array([p @ fitted for p in P]).reshape(len(P), fitted.shape[1])
    nearest = fitted[P.argmax(axis=1)]
    everyone = np.arange(len(V))
    at_start, at_nearest = objective(V, everyone), objective(nearest, everyone)
    worse = at_start[0] > at_nearest[0]
    V[worse] = nearest[worse]
    for value, other in zip(at_start, at_nearest, strict=True):
        value[worse] = other[worse]
    # KL changes over the length of the map, or of the kernel where that is wider
    width = np.hypot(np.linalg.norm(fitted.std(axis=0)), np.sqrt(dof))
    reach = max(width, np.linalg.norm(fitted, axis=1).max())
    lost = np.zeros(len(V), bool)
    lost[minimise_rows(objective, V, at_start, width, limit=RIM * reach)] = True
    lost |= np.linalg.norm(V, axis=1) > OUTSIDE * reach
    return V + center, np.count_nonzero(lost)


class PlacementObjective:
    """KL of each new point alone: its p over the fitted points, q per row.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_components)
        The fitted points, which stay where they are.
    P : ndarray of shape (n_new, n_samples)
        Conditional affinities of the new points, rows sum to 1.
    q_form : tuple of (float, bool)
        Degrees of freedom ν; whether the kernel is Gaussian instead of Student-t.
    threads : Threads
        Where rows run.
    """

    def __init__(self, points, P, q_form, threads):
        self.Y = np.ascontiguousarray(points.T, dtype=np.float64)
        self.P, self.threads = P, threads
        self.q_form = float(q_form[0]), q_form[1]

    def __call__(self, V, rows):
        """KL less Σ p log p, ∂KL/∂v and Σ_j 2g_j p_j of new points ``rows`` at V."""
        out = np.empty(len(rows)), np.empty(V.shape), np.empty(len(rows))
        self.threads.rows(
            lambda start, stop: placement.placement_rows(
                V, rows, self.Y, self.P, self.q_form, start, stop, out
            ),
            len(rows),
            len(rows) * self.P.shape[1],
        )
        return out
