"""Calibration of the conditional affinities of the data, one row at a time."""

import math

import numpy as np

from skdec.kernels._jit import kernel

# Rows whose entropy is this close (in nats) to log(perplexity) count as calibrated.
ENTROPY_TOLERANCE = 1e-9
MAX_STEPS = 200
LONGEST_STEP = 3.0  # in log β


@kernel
def fixed_bandwidth_row(D, beta, p):
    """p_j = exp(−β D_j) / Σ_j' exp(−β D_j'), D already less its minimum."""
    total = 0.0
    for j in range(len(D)):
        p[j] = math.exp(-beta * D[j])
        total += p[j]
    for j in range(len(D)):
        p[j] /= total


@kernel
def entropy_and_slope(D, beta):
    """H = log Z + β ⟨D⟩ of p ∝ exp(−β D), and −dH/d log β = β² Var_p(D)."""
    total = first = second = 0.0
    for j in range(len(D)):
        e = math.exp(-beta * D[j])
        b = beta * D[j]
        total += e
        if e > 0:
            first += e * b
            second += e * b * b
    mean = first / total
    return math.log(total) + mean, second / total - mean * mean


@kernel
def calibrate_row(D, perplexity, p):
    """Find β with H(p) = log(perplexity), p_j ∝ exp(−β D_j); True if there is one.

    Newton on log β inside a bracket, bisecting whenever Newton leaves it.  Where no β
    exists the nearest entropy is taken: uniform over all (perplexity too high) or over
    the ties at the minimum (too low).
    """
    goal = math.log(perplexity)
    ties = 0
    mean = 0.0
    for j in range(len(D)):
        ties += D[j] == 0
        mean += D[j]
    if goal >= math.log(len(D)) - ENTROPY_TOLERANCE:
        for j in range(len(D)):
            p[j] = 1.0 / len(D)
        return goal <= math.log(len(D)) + ENTROPY_TOLERANCE
    if goal <= math.log(ties) + ENTROPY_TOLERANCE:
        for j in range(len(D)):
            p[j] = 1.0 / ties if D[j] == 0 else 0.0
        return goal >= math.log(ties) - ENTROPY_TOLERANCE
    low, high = -np.inf, np.inf
    log_beta = math.log(len(D) / mean)
    for _ in range(MAX_STEPS):
        entropy, slope = entropy_and_slope(D, math.exp(log_beta))
        excess = entropy - goal
        if abs(excess) <= ENTROPY_TOLERANCE:
            fixed_bandwidth_row(D, math.exp(log_beta), p)
            return True
        if excess > 0:
            low = log_beta
        else:
            high = log_beta
        if abs(excess) < LONGEST_STEP * slope:
            log_beta += excess / slope
        else:
            log_beta += math.copysign(LONGEST_STEP, excess)
        if not low < log_beta < high:
            log_beta = 0.5 * (low + high)
    fixed_bandwidth_row(D, math.exp(log_beta), p)
    return False


@kernel
def subtract_minimum(D):
    """D_j − min_j D_j: the same p ∝ exp(−β D), kept from vanishing."""
    least = np.inf
    for j in range(len(D)):
        least = min(least, D[j])
    for j in range(len(D)):
        D[j] -= least


@kernel
def conditional_rows(D, exclude, perplexities, beta, P, calibrated):
    """p_{j|i} for a block of rows of squared distances; D is overwritten.

    ``exclude[r]`` is the column of the row's own point (p = 0 there), or −1.  With
    several perplexities P is the mean of the scales; with none, β is as given.
    """
    n_columns = D.shape[1]
    p, mean = np.empty(n_columns), np.empty(n_columns)
    for r in range(len(D)):
        row, own = D[r], exclude[r]
        n_others = n_columns
        if own >= 0:
            # the own point waits at the end, outside the slice that is calibrated
            n_others = n_columns - 1
            row[own], row[n_others] = row[n_others], row[own]
        others = row[:n_others]
        subtract_minimum(others)
        calibrated[r] = True
        mean[:] = 0
        for s in range(len(perplexities)):
            if not calibrate_row(others, perplexities[s], p[:n_others]):
                calibrated[r] = False
            for j in range(n_others):
                mean[j] += p[j] / len(perplexities)
        if len(perplexities) == 0:
            fixed_bandwidth_row(others, beta, mean[:n_others])
        if own >= 0:
            mean[n_others] = mean[own]
            mean[own] = 0
        for j in range(n_columns):
            P[r, j] = mean[j]
