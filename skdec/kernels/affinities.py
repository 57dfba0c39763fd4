"""Affinities of the data: p_j ∝ exp(−β (D_j − D°)), D° the distance to the nearest.

A row is described by D°, β and total = Σ_j exp(−β (D_j − D°)) for every scale; with
several perplexities p is the mean of the scales.
"""

import math

import numpy as np

from skdec.kernels._jit import kernel, reduction
from skdec.kernels.embedding import reach
from skdec.kernels.stages import dot, exponentials, fill, least, logarithms

# Rows whose entropy is this close (in nats) to log(perplexity) count as calibrated.
ENTROPY_TOLERANCE = 1e-9
MAX_STEPS = 200
LONGEST_STEP = 3.0  # in log β

# Distances this close to the nearest, relatively, are ties: what rounding leaves.
TIE = 1e-12
# β where only ties are to have any p, and an exponent beyond which p is 0.
HARDEST = 1e300
FARTHEST = 1000.0


@kernel
def excess(D, near, out):
    """D_j − D°, ties exactly 0."""
    for j in range(len(D)):
        out[j] = D[j] - near if D[j] - near > TIE * D[j] else 0.0


@kernel
def likelihoods(D, beta, E, scratch):
    """exp(−β D_j), D already less D°."""
    for j in range(len(D)):
        E[j] = -min(beta * D[j], FARTHEST)
    exponentials(E, scratch)


@reduction
def moments(D, beta, E):
    """Σ e, Σ e b and Σ e b² with b = β D."""
    total = first = second = 0.0
    for j in range(len(D)):
        b = min(beta * D[j], FARTHEST)
        total += E[j]
        first += E[j] * b
        second += E[j] * b * b
    return total, first, second


@kernel
def calibrate_row(D, perplexity, guess, E, scratch):
    """Find β with H(p) = log(perplexity); returns β, total and whether there is one.

    H = log total + β ⟨D⟩ and −dH/d log β = β² Var(D).  Newton on log β from ``guess``
    inside a bracket, bisecting whenever Newton leaves it.  Where no β exists the
    nearest entropy is taken: uniform over all (perplexity too high) or over the ties
    for the nearest (too low).
    """
    goal = math.log(perplexity)
    ties = 0
    for j in range(len(D)):
        ties += D[j] == 0
    if goal >= math.log(len(D)) - ENTROPY_TOLERANCE:
        return 0.0, float(len(D)), goal <= math.log(len(D)) + ENTROPY_TOLERANCE
    if goal <= math.log(ties) + ENTROPY_TOLERANCE:
        return HARDEST, float(ties), goal >= math.log(ties) - ENTROPY_TOLERANCE
    low, high, log_beta = -np.inf, np.inf, guess
    beta = total = 0.0
    for _ in range(MAX_STEPS):
        beta = math.exp(log_beta)
        likelihoods(D, beta, E, scratch)
        total, first, second = moments(D, beta, E)
        mean = first / total
        surplus, slope = math.log(total) + mean - goal, second / total - mean * mean
        if abs(surplus) <= ENTROPY_TOLERANCE:
            return beta, total, True
        if surplus > 0:
            low = log_beta
        else:
            high = log_beta
        if abs(surplus) < LONGEST_STEP * slope:
            log_beta += surplus / slope
        else:
            log_beta += math.copysign(LONGEST_STEP, surplus)
        if not low < log_beta < high:
            log_beta = 0.5 * (low + high)
    return beta, total, False


@kernel
def calibrate_rows(D, exclude, perplexities, fixed, near, beta, total, calibrated):
    """D°, β and total of a block of rows of squared distances.

    ``exclude[r]`` is the column of the row's own point, which has no part in it, or −1.
    Without perplexities β is ``fixed``.
    """
    n_columns = D.shape[1]
    buffer = np.empty((3, n_columns))
    guess = np.full(max(1, len(perplexities)), np.nan)
    for r in range(len(D)):
        own, row = exclude[r], D[r]
        n_others = n_columns - 1 if own >= 0 else n_columns
        others, E, scratch = buffer[0][:n_others], buffer[1], buffer[2]
        before = own if own >= 0 else n_columns
        for j in range(before):
            others[j] = row[j]
        for j in range(before, n_others):
            others[j] = row[j + 1]
        near[r] = least(others)
        excess(others, near[r], others)
        calibrated[r] = True
        if len(perplexities) == 0:
            beta[0, r] = fixed
            likelihoods(others, fixed, E[:n_others], scratch[:n_others])
            total[0, r], _, _ = moments(others, fixed, E[:n_others])
            continue
        mean = 0.0
        for j in range(n_others):
            mean += others[j] / n_others
        for s in range(len(perplexities)):
            # β in units of the mean distance varies little from row to row
            if not np.isfinite(guess[s]):
                guess[s] = 0.0
            scale = math.log(mean) if mean > 0 else 0.0
            beta[s, r], total[s, r], found = calibrate_row(
                others, perplexities[s], guess[s] - scale, E[:n_others],
                scratch[:n_others],
            )  # fmt: skip
            calibrated[r] &= found
            if found and 0 < beta[s, r] < HARDEST:
                guess[s] = math.log(beta[s, r]) + scale


@kernel
def conditional_rows(D, exclude, near, beta, total, P):
    """p_{j|i} for a block of calibrated rows of squared distances."""
    n_columns, n_scales = D.shape[1], len(beta)
    buffer = np.empty((3, n_columns))
    gap, E, scratch = buffer[0], buffer[1], buffer[2]
    for r in range(len(D)):
        excess(D[r], near[r], gap)
        fill(P[r], 0)
        for s in range(n_scales):
            likelihoods(gap, beta[s, r], E, scratch)
            share = 1 / (n_scales * total[s, r])
            for j in range(n_columns):
                P[r, j] += E[j] * share
        if exclude[r] >= 0:
            P[r, exclude[r]] = 0


@kernel
def theirs(D, first, scales, out, E, scratch):
    """p_{i|j} of one point i for the points j = ``first``, ``first`` + 1, …"""
    near, beta, total = scales
    n_scales = len(beta)
    fill(out, 0)
    for s in range(n_scales):
        near_s = near[first : first + len(D)]
        beta_s = beta[s][first : first + len(D)]
        total_s = total[s][first : first + len(D)]
        for lane in range(len(D)):
            gap = D[lane] - near_s[lane]
            gap = gap if gap > TIE * D[lane] else 0.0
            E[lane] = -min(beta_s[lane] * gap, FARTHEST)
        exponentials(E, scratch)
        for lane in range(len(D)):
            out[lane] += E[lane] / (n_scales * total_s[lane])


@kernel
def negentropy(p, L, scratch):
    """Σ p log p."""
    for lane in range(len(p)):
        # log of 0 would be in the way of 0 log 0 = 0
        L[lane] = max(p[lane], 1e-300)
    logarithms(L, scratch)
    return dot(p, L)


@kernel
def symmetric_rows(D, first, scales, joint, P, entropy):
    """Half of the symmetric P, and Σ p log p, for the rows from ``first`` on.

    p_ij = (p_{j|i} + p_{i|j})/2n under joint normalisation; (p_{j|i} + p_{i|j})/2
    otherwise, with the entropy of the p_{j|i} themselves.  Lane l of row i is the point
    i + 1 + l, in cyclic order; column c of D is ``first`` + 1 + c.  ``scales``, (D°, β,
    total), go twice around the cycle.
    """
    near, beta, total = scales
    n, n_scales = len(P), len(beta)
    buffer = np.empty((5, P.shape[1]))
    for r in range(len(D)):
        i = first + r
        m = reach(i, n)
        mine, other, E = buffer[0][:m], buffer[1][:m], buffer[2][:m]
        gap, scratch = buffer[3][:m], buffer[4][:m]
        lanes = D[r][r : r + m]
        excess(lanes, near[i], gap)
        fill(mine, 0)
        for s in range(n_scales):
            likelihoods(gap, beta[s, i], E, scratch)
            share = 1 / (n_scales * total[s, i])
            for lane in range(m):
                mine[lane] += E[lane] * share
        theirs(lanes, i + 1, scales, other, E, scratch)
        if joint:
            for lane in range(m):
                mine[lane] = (mine[lane] + other[lane]) / (2 * n)
            entropy[i] = 2 * negentropy(mine, E, scratch)
        else:
            entropy[i] = negentropy(mine, E, scratch) + negentropy(other, E, scratch)
            for lane in range(m):
                mine[lane] = (mine[lane] + other[lane]) / 2
        P_i = P[i]
        for lane in range(len(P_i)):
            P_i[lane] = mine[lane] if lane < m else 0
