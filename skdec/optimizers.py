"""How centroids and embeddings move."""

from dataclasses import dataclass

import numpy as np

from skdec.kernels import descent

# The second after so many steps: where clusters overlap so much that the first circles,
# the second mostly settles.
CENTROID_MOMENTUM, SLOW_MOMENTUM, SLOW_AFTER = 0.9, 0.5, 100
# Share of a batch in the running curvature, at least.
CURVATURE_RATE = 0.05
# Share of the repulsion in a curvature, at least.
DYING = 0.25
# Batches until steps are half as long; a third settles too soon, three times as many
# take three times as long (digits and blobs, batches of 50 and 200 rows).
SETTLING = 30
CHECK_EVERY = 50
MIN_GAIN = 0.01
# Longest move of a point in an iteration, in widths of the kernel: outliers that the
# map has yet to make room for would be flung out of it.
LONGEST_STEP = 1.0
# Larger ones move every point as far as it may go, and overflow.
LARGEST_RATE = 1e30
# Chosen by the KL reached after 300 and 500 iterations on digits, iris, 6,000 digits of
# MNIST and a swiss roll (benchmarks/README.md); with a shorter unfolding a grid of
# points stays folded from some random starts.
MOMENTUM, LATE_MOMENTUM = 0.8, 0.95
# Similarity of neighbours at ν = 1 in a map made in short steps, exp Σ_ij p_ij log s_ij
# (measured in tests/test_tsne.py); longer ones spread it further.
NEIGHBOUR_SIMILARITY = 1 / 8
TRANSITION, UNFOLDING = 30, 75


class CentroidDescent:
    """Preconditioned steps with momentum: no learning rate to choose.

    The step is −∂KL/∂μ_j / Σ_i w_i 2g_ij p_ij: with 2g and p held fixed the attraction
    Σ_i w_i 2g_ij p_ij (μ_j − z_i) is linear in μ_j with that curvature, so without the
    repulsion by q the step would be Newton's.  With it the curvature is smaller, p − q
    being small, and the way long: momentum mostly goes it in far fewer steps.
    It is dropped when it points against the step (O'Donoghue & Candès 2015).
    """

    def __init__(self, momentum=CENTROID_MOMENTUM):
        self.momentum, self.velocity, self.n_steps = momentum, None, 0

    def move(self, centers, sums):
        """The next centroids, from the sums over all rows."""
        step = _preconditioned(sums.gradient, _stiffness(sums))
        self.n_steps += 1
        if self.n_steps == SLOW_AFTER:
            self.momentum = min(self.momentum, SLOW_MOMENTUM)
        if self.velocity is None or np.vdot(self.velocity, step) < 0:
            self.velocity = step
        else:
            self.velocity = self.momentum * self.velocity + step
        return centers + self.velocity


class StochasticDescent:
    """The same steps from batches, ever shorter so that their noise averages out.

    The rate falls as 30/(30 + t) over the batches t, as it must for such steps to
    settle (Robbins & Monro 1951); the curvature is a running mean.
    """

    def __init__(self):
        self.n_steps, self.stiffness, self.weight = 0, 0.0, 0.0

    def move(self, centers, sums):
        """The next centroids, from the sums over a batch."""
        self.n_steps += 1
        stiffness = _stiffness(sums) / sums.weight
        rate = max(1 / self.n_steps, CURVATURE_RATE)
        self.stiffness = self.stiffness + rate * (stiffness - self.stiffness)
        self.weight += rate * (sums.weight - self.weight)
        # a batch that is lighter than most counts for as much less
        weight = max(sums.weight, self.weight)
        step = _preconditioned(sums.gradient / weight, self.stiffness)
        return centers + SETTLING / (SETTLING + self.n_steps) * step


def _stiffness(sums):
    """The curvature; of a cluster that is dying, p ≪ q, a share of what repels it.

    Else it would be flung away.
    """
    return np.maximum(sums.curvature, DYING * sums.repulsion)


def _preconditioned(gradient, stiffness):
    """−∂KL/∂μ_j over its curvature; a centroid without any mass stays."""
    stiffness = stiffness[:, None]
    return -np.divide(
        gradient, stiffness, out=np.zeros_like(gradient), where=stiffness > 0
    )


@dataclass
class Phase:
    """A stretch of the descent: until iteration ``stop``, with these settings."""

    stop: int
    exaggeration: float
    momentum: float
    learning_rate: float
    early: bool = False

    @property
    def name(self):
        """As scikit-learn's verbose output has it."""
        return " (early exaggeration)" if self.early else ""


def stable_rate(dof, gaussian, n_components):
    """The learning rate of a plain P that sums to 1, per point.

    A point is drawn to its neighbours with the stiffness 4 Σ_j p_ij g_ij, about 4g/n
    for g at the similarity that neighbours end with; a step is stable while rate times
    stiffness is small.  g = (1 + 1/ν)/2 · s^(2/(ν+1)) for the Student-t kernel
    s = (1 + D/ν)^(−(ν+1)/2), and 1 for the Gaussian.  With 1 at ν = 1, where heavy
    tails soften the pull, the rate falls to 1/4 for ν → ∞ and 1/8 for the Gaussian.
    Below ν = 1 it does not rise: points that coincide pull the more.  In one component
    points have to pass each other: half of it.
    """

    def stiffness(nu):
        return (1 + 1 / nu) / 2 * NEIGHBOUR_SIMILARITY ** (2 / (nu + 1))

    rate = min(1.0, stiffness(1) / (1.0 if gaussian else stiffness(dof)))
    return rate / 2 if n_components == 1 and not gaussian else rate


def schedule(early, late, early_iter, max_iter, learning_rate):
    """The phases of a fit.

    ``early`` exaggeration for ``early_iter`` iterations and the geometric mean of
    ``early`` and ``late`` for 30 more; then ``late``, 75 iterations with little
    momentum, while the map unfolds, and the rest with much, which spreads it out.
    ``learning_rate`` is a function of the share of the full rate and the exaggeration.
    """
    middle = (early * late) ** 0.5
    unfolded = unfolded_after(early_iter)
    stops = early_iter, unfolded - UNFOLDING, unfolded, max_iter
    stops = np.minimum(stops, max_iter)
    settings = [
        (early, MOMENTUM, 1 / 4, True),
        (middle, MOMENTUM, 1 / 4, True),
        (late, MOMENTUM, 1 / 2, False),
        (late, LATE_MOMENTUM, 1, False),
    ]
    return [
        Phase(int(stop), e, momentum, learning_rate(share, e), is_early)
        for stop, (e, momentum, share, is_early) in zip(stops, settings, strict=True)
    ]


def unfolded_after(early_iter):
    """Iterations until the map has unfolded."""
    return early_iter + (TRANSITION if early_iter else 0) + UNFOLDING


@dataclass
class Descent:
    """Gradient descent with momentum and per-coordinate gains (Jacobs 1988).

    Attributes
    ----------
    min_grad_norm : float
        The gradient norm at which early exaggeration, or else the descent, ends.
    patience : int
        Iterations without a lower KL at which the descent ends.
    tol : float
        Relative decrease of KL between two checks, likewise.
    representatives : ndarray of shape (n_samples,) or None
        Points that share one position follow the first of them.
    """

    min_grad_norm: float
    patience: int
    tol: float
    representatives: np.ndarray | None = None

    def run(self, objective, Y, phases, progress):
        """Move Y of shape (n_components, n_samples) in place.

        Returns
        -------
        kl : float
            KL(P‖Q) at the final Y, without exaggeration.
        n_iter : int
            Iterations done.
        """
        velocity, gains = np.zeros_like(Y), np.ones_like(Y)
        longest = LONGEST_STEP * np.sqrt(max(float(objective.dof), 1.0))
        phases, n_iter, stopped, history = iter(phases), 0, False, []
        phase = next(phases)
        while True:
            while n_iter >= phase.stop and (following := next(phases, None)):
                phase = following
            gradient, log_Z = objective.gradient(Y, phase.exaggeration)
            stopped |= n_iter >= phase.stop
            if stopped or (n_iter and n_iter % CHECK_EVERY == 0):
                # of the Y that the gradient was taken at
                kl = objective.divergence(Y, log_Z)
                norm = float(np.linalg.norm(gradient))
                # what is told is not below 0, as rounding has it
                told = max(kl, 0.0)
                stopped |= progress.checked(n_iter, told, norm, phase.name, Y)
                if not phase.early:
                    history.append((n_iter, kl))
                if reason := self._reason(history, norm):
                    progress.say(f"Iteration {n_iter}: {reason}. Finished.")
                if stopped or (reason and not phase.early):
                    return told, n_iter
                while reason and phase.early:
                    phase = next(phases)
            progress.begin_iteration()
            rate = min(phase.learning_rate, LARGEST_RATE)
            rates = rate, phase.momentum, MIN_GAIN, longest
            descent.momentum_step(Y, gradient, velocity, gains, rates)
            if self.representatives is not None:
                Y[:] = Y[:, self.representatives]
            n_iter += 1
            stopped |= progress.end_iteration(Y)

    def _reason(self, history, norm):
        """Why the descent should end now, if it should."""
        if norm <= self.min_grad_norm:
            return f"gradient norm {norm:.6f}"
        if not history:
            return ""
        n_iter, kl = history[-1]
        best_iter, _ = min(history, key=lambda check: check[1])
        if n_iter - best_iter > self.patience:
            return f"did not make any progress during the last {self.patience} episodes"
        if len(history) > 1 and 0 <= history[-2][1] - kl < self.tol * abs(kl):
            return f"error fell by less than {self.tol:g} of itself"
        return ""
