"""One step of gradient descent with momentum and gains."""

import math

import numpy as np

from skdec.kernels.jit import kernel
from skdec.kernels.similarity import fill


@kernel
def momentum_step(Y, gradient, velocity, gains, rates):
    """v ← m v − η γ ∂KL/∂y, y ← y + v; a point moves no further than ``longest``.

    The gain γ of a coordinate grows by 0.2 while v keeps to the descent and shrinks to
    0.8 of itself when it turns (Jacobs 1988).  ``rates``: η, m, smallest γ, longest.
    """
    number = Y.dtype.type
    rate, momentum = number(rates.learning_rate), number(rates.momentum)
    least_gain, longest = number(rates.least_gain), number(rates.longest)
    square = np.empty(Y.shape[1], Y.dtype)
    fill(square, 0)
    for d in range(len(Y)):
        G, V, gain = gradient[d], velocity[d], gains[d]
        for i in range(len(G)):
            descends = V[i] * G[i] < 0
            grown = gain[i] + number(0.2) if descends else gain[i] * number(0.8)
            gain[i] = grown if grown > least_gain else least_gain
            v = momentum * V[i] - rate * gain[i] * G[i]
            # cut off before its square overflows
            v = v if v < longest else longest
            V[i] = v if v > -longest else -longest
            square[i] += V[i] * V[i]
    for i in range(len(square)):
        far = square[i] > longest * longest
        square[i] = longest / math.sqrt(square[i]) if far else number(1)
    for d in range(len(Y)):
        V, y = velocity[d], Y[d]
        for i in range(len(V)):
            V[i] *= square[i]
            y[i] += V[i]
