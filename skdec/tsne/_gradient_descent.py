"""How an embedding moves: gradient descent with momentum and gains."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skdec.kernels import descent
from skdec.kernels.types import StepRates

CHECK_EVERY = 50
MIN_GAIN = 0.01

# A point moves at most so many widths of the kernel in an iteration.  Otherwise
# outliers, for which the map has yet to make room, would be flung out of it.
LONGEST_STEP = 1.0

# Of a KL that is that of coinciding points, to this share of itself, the points nearly
# coincide: there the gradient vanishes, though any P but the uniform one leads on.
COINCIDING = 1e-3

# Learning rates are cut off here: any larger one moves every point as far as it may go.
LARGEST_RATE = 1e30


class Check(NamedTuple):
    """What a descent was like when it was looked at."""

    n_iter: int
    kl: float  # without exaggeration
    grad_norm: float  # of what is descended, with exaggeration
    exaggeration: float


class Descended(NamedTuple):
    """Where a descent ended, and what it was like on the way."""

    kl: float
    n_iter: int
    history: list[Check]
    at_rest: bool  # and not ended before it was, by max_iter or a callback


@dataclass(frozen=True)
class Descent:
    """Gradient descent with momentum and per-coordinate gains (Jacobs 1988).

    Attributes
    ----------
    min_grad_norm : float
        The gradient norm at which early exaggeration, or else the descent, ends.
    patience : int
        Iterations without a lower KL at which the descent ends.
    tol : float
        Relative decrease of KL between two checks of the last phase, likewise.
    chance : float, default=nan
        KL of points that all coincide: as long as it is that, neither a small gradient
        nor a flat KL ends the descent.  NaN where that is the least KL there is.
    representatives : ndarray of shape (n_samples,) or None
        The first of the points that share each one's position.
    held : ndarray of shape (n_held,) or None
        Points that stay where they are.
    """

    min_grad_norm: float
    patience: int
    tol: float
    chance: float = np.nan
    representatives: np.ndarray | None = None
    held: np.ndarray | None = None

    def run(self, objective, Y, phases, progress):
        """Move Y of shape (n_components, n_samples) in place.

        Returns
        -------
        descended : Descended
            KL(P‖Q) at the final Y, without exaggeration, the iterations done, and a
            ``Check`` for each time that KL was computed.
        """
        velocity, gains = np.zeros_like(Y), np.ones_like(Y)
        longest = LONGEST_STEP * max(objective.kernel.width, 1.0)
        # from where on a fall of KL is that of one way of moving
        last = max((phase.stop for phase in phases[:-1]), default=0)
        phases, n_iter, history, checks = iter(phases), 0, [], []
        all_held = self.held is not None and len(self.held) == Y.shape[1]
        stopped = all_held
        phase = next(phases)
        while True:
            while n_iter >= phase.stop and (following := next(phases, None)):
                phase = following
            gradient, log_Z = objective.gradient(Y, phase.exaggeration)
            if self.representatives is not None:
                _share(gradient, self.representatives)
            if self.held is not None:
                gradient[:, self.held] = 0
            stopped |= n_iter >= phase.stop
            due = n_iter > 0 and n_iter % CHECK_EVERY == 0
            if stopped or due or progress.awaits(n_iter):
                # KL at the Y at which the gradient was taken
                kl = objective.divergence(Y, log_Z)
                norm = objective.norm(gradient)
                # rounding may leave less than 0
                told = max(kl, 0.0)
                checks.append(Check(n_iter, told, norm, phase.exaggeration))
                stopped |= progress.checked(n_iter, told, norm, phase.name, Y)
            # what is looked at besides, for a callback, does not decide when to end
            if stopped or due:
                if not phase.early:
                    history.append((n_iter, kl))
                if reason := self._reason(history, norm, last):
                    progress.say(f"Iteration {n_iter}: {reason}. Finished.")
                if stopped or (reason and not phase.early):
                    at_rest = all_held or bool(reason and not phase.early)
                    return Descended(told, n_iter, checks, at_rest)
                while reason and phase.early:
                    phase = next(phases)
            progress.begin_iteration()
            rate = min(phase.learning_rate, LARGEST_RATE)
            rates = StepRates(rate, phase.momentum, MIN_GAIN, longest)
            descent.momentum_step(Y, gradient, velocity, gains, rates)
            if self.representatives is not None:
                Y[:] = Y[:, self.representatives]
            n_iter += 1
            stopped |= progress.end_iteration(n_iter, Y)

    def coincides(self, kl):
        """Whether KL is that of points that all coincide."""
        return abs(kl - self.chance) <= COINCIDING * self.chance

    def _reason(self, history, norm, last):
        """Why the descent should end now, if it should.

        ``last`` is the iteration at which its last phase begins.
        """
        small = f"gradient norm {norm:.6f}" if norm <= self.min_grad_norm else ""
        if not history:
            return small
        n_iter, kl = history[-1]
        best_iter, _ = min(history, key=lambda check: check[1])
        if n_iter - best_iter > self.patience:
            return f"did not make any progress during the last {self.patience} episodes"
        if self.coincides(kl):
            return ""
        flat = (
            len(history) > 1
            and n_iter - history[-2][0] >= CHECK_EVERY
            and history[-2][0] >= last
            and 0 <= history[-2][1] - kl < self.tol * abs(kl)
        )
        return small or (f"error fell by less than {self.tol:g} of itself" * flat)


def _share(gradient, representatives):
    """Give the points at one place their mean gradient, in place.

    That is how KL changes with the place, for each of them.  Over neighbours their own
    gradients differ, because the lists of others end among them.
    """
    n = len(representatives)
    copies = np.maximum(np.bincount(representatives, minlength=n), 1)
    for g in gradient:
        g[:] = (np.bincount(representatives, g, n) / copies)[representatives]
