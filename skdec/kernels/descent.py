"""One step of gradient descent with momentum and gains."""

import math

from skdec.kernels._jit import kernel


@kernel
def momentum_step(Y, gradient, velocity, gains, rates):
    """v ← m v − η γ ∂KL/∂y, y ← y + v; a point moves no further than ``longest``.

    The gain γ of a coordinate grows by 0.2 while v keeps to the descent and shrinks to
    0.8 of itself when it turns (Jacobs 1988).  ``rates``: η, m, smallest γ, longest.
    """
    rate, momentum, least_gain, longest = rates
    for i in range(Y.shape[1]):
        square = 0.0
        for d in range(len(Y)):
            v, g = float(velocity[d, i]), float(gradient[d, i])
            gain = gains[d, i] + 0.2 if v * g < 0 else gains[d, i] * 0.8
            gains[d, i] = max(gain, least_gain)
            v = momentum * v - rate * gains[d, i] * g
            velocity[d, i] = max(min(v, longest), -longest)
            square += float(velocity[d, i]) ** 2
        shrink = min(1.0, longest / math.sqrt(square)) if square > 0 else 1.0
        for d in range(len(Y)):
            velocity[d, i] *= shrink
            Y[d, i] += velocity[d, i]
