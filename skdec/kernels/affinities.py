"""Affinities of the data: p_j ∝ exp(−β (D_j − D°)), D° the distance to the nearest.

A row is described by D°, β and total = Σ_j exp(−β (D_j − D°)) for every scale; with
several perplexities p is the mean of the scales.  A column that stands for several
points, all at one place, has a count c_j of them, and counts so often in every sum.
"""

import math

import numpy as np

from skdec.kernels.elementary import exponentials, logarithms
from skdec.kernels.jit import kernel, reduction, stage, summing_stage
from skdec.kernels.pairs import n_met
from skdec.kernels.similarity import fill, least, sum_of
from skdec.kernels.types import Scales

# Rows whose entropy is this close (in nats) to log(perplexity) count as calibrated.
ENTROPY_TOLERANCE = 1e-7
MAX_STEPS = 200
LONGEST_LOG_STEP = 3.0  # in log β, and doubled until there is a bracket

# Distances that differ from the nearest by this share are ties: that is rounding.
TIE = 1e-12
# β with which only ties have any p, and the exponent beyond which p is 0.
HARDEST = 1e300
LARGEST_LOG = math.log(HARDEST)
LARGEST_EXPONENT = 1000.0


@kernel
def squared_from_products(D, norms, their_norms, near):
    """D_ij = ‖a_i‖² + ‖b_j‖² − 2 a_i·b_j in place of a_i·b_j, and min_j D_ij."""
    for r in range(len(D)):
        row, norm = D[r], norms[r]
        for j in range(len(row)):
            d = (norm + their_norms[j]) - 2 * row[j]
            row[j] = 0.0 if d < 0 else d  # NaN stays
        near[r] = least(row)


@reduction
def squared_distance(a, b):
    """‖a − b‖²."""
    total = 0.0
    for d in range(len(a)):
        total += (a[d] - b[d]) * (a[d] - b[d])
    return total


@kernel
def squared_distances_to(rows, others, columns, D):
    """D_rt = ‖a_r − b_j‖² for the t-th of the given columns j of each row."""
    for r in range(len(D)):
        for t in range(D.shape[1]):
            D[r, t] = squared_distance(rows[r], others[columns[r, t]])


@stage
def likelihoods(D, beta, E):
    """exp(−β D_j), D already less D°."""
    for j in range(len(D)):
        b = beta * D[j]
        E[j] = -b if b < LARGEST_EXPONENT else -LARGEST_EXPONENT
    exponentials(E)


@stage
def beyond(D, near):
    """D − D°, 0 for ties; of an infinite D (no connection) infinite."""
    return D - near if near < D * (1 - TIE) else 0.0


@stage
def add_shares(D, pairs, out, E):
    """out_j += p_j/n_scales; ``pairs`` has D°, β and total · n_scales of each pair."""
    for j in range(len(D)):
        b = pairs.beta[j] * beyond(D[j], pairs.near[j])
        E[j] = -b if b < LARGEST_EXPONENT else -LARGEST_EXPONENT
    exponentials(E)
    for j in range(len(D)):
        out[j] += E[j] / pairs.total[j]


@reduction
def moments(D, beta, E):
    """Σ e, Σ e b and Σ e b² with b = β D."""
    total = first = second = 0.0
    for j in range(len(D)):
        b = beta * D[j]
        b = b if b < LARGEST_EXPONENT else LARGEST_EXPONENT
        total += E[j]
        first += E[j] * b
        second += E[j] * b * b
    return total, first, second


@stage
def scale_by(E, counts):
    """e_j ← c_j e_j; without counts each stands for itself."""
    for j in range(len(counts)):
        E[j] *= counts[j]


@summing_stage
def calibrate_row(D, counts, perplexity, guess, E):
    """Find β with H(p) = log(perplexity); returns β, total and whether there is one.

    H = log total + β ⟨D⟩ and −dH/d log β = β² Var(D).  Newton on log β from ``guess``
    inside a bracket, bisecting whenever Newton leaves it or its step is not half of the
    last one: it may go to and fro between two β for ever.  Where no β exists the
    nearest entropy is taken: uniform over all (perplexity too high) or over the ties
    for the nearest (too low).
    """
    goal, n_ties, n_others = math.log(perplexity), 0.0, float(len(D))
    if len(counts) > 0:
        n_others = sum_of(counts)
    for j in range(len(D)):
        if D[j] == 0:
            n_ties += counts[j] if len(counts) > 0 else 1
    all_alike, ties_alike = math.log(n_others), math.log(n_ties)
    if goal >= all_alike - ENTROPY_TOLERANCE:
        return 0.0, n_others, goal <= all_alike + ENTROPY_TOLERANCE
    if goal <= ties_alike + ENTROPY_TOLERANCE:
        return HARDEST, n_ties, goal >= ties_alike - ENTROPY_TOLERANCE
    low, high, log_beta, step = -np.inf, np.inf, guess, np.inf
    beta, total, reach = 0.0, 0.0, LONGEST_LOG_STEP
    for _ in range(MAX_STEPS):
        beta = math.exp(log_beta)
        likelihoods(D, beta, E)
        scale_by(E, counts)
        total, first, second = moments(D, beta, E)
        mean = first / total
        surplus, slope = math.log(total) + mean - goal, second / total - mean * mean
        if abs(surplus) <= ENTROPY_TOLERANCE:
            return beta, total, True
        if surplus > 0:
            low = log_beta
        else:
            high = log_beta
        longest, step = 0.5 * abs(step), math.copysign(reach, surplus)
        if abs(surplus) < LONGEST_LOG_STEP * slope:
            step = surplus / slope
        else:
            reach *= 2
        inside = low < log_beta + step < high
        if not inside or (abs(step) > longest and high - low < np.inf):
            step = 0.5 * (low + high) - log_beta
        log_beta = min(log_beta + step, LARGEST_LOG)
    return beta, total, False


@stage
def counted(row, counts, buffer):
    """Move D and the counts of what counts to buffer[0] and [2]; how many there are."""
    n = 0
    for j in range(len(row)):
        if counts[j] > 0:
            buffer[0, n], buffer[2, n] = row[j], counts[j]
            n += 1
    return n


@stage
def connected(D, counts):
    """Move what is finite of D, and its counts, to the front; how many there are."""
    n = 0
    for j in range(len(D)):
        if np.isfinite(D[j]):
            D[n] = D[j]
            if len(counts) > 0:
                counts[n] = counts[j]
            n += 1
    return n


@kernel
def calibrate_rows(D, exclude, counts, bandwidths, scales, calibrated):
    """D°, β and total of a block of rows of squared distances.

    ``exclude[r]`` is the column of the row's own point, which has no part in it, or −1.
    ``counts``, of D's shape, has how many points each entry stands for, maybe none; or
    is None.  Without perplexities β is that of the bandwidths.
    """
    perplexities, fixed = bandwidths.perplexities, bandwidths.beta
    near, beta, total = scales.near, scales.beta, scales.total
    n_columns = D.shape[1]
    buffer, guess = np.empty((3, n_columns)), np.empty(len(perplexities))
    fill(guess, np.nan)
    for r in range(len(D)):
        own, row = exclude[r], D[r]
        n_others = n_columns - 1 if own >= 0 else n_columns
        before = own if own >= 0 else n_columns
        others = buffer[0]
        for j in range(before):
            others[j] = row[j]
        for j in range(before, n_others):
            others[j] = row[j + 1]
        times = buffer[2][:0]
        if counts is not None:  # numba leaves out what None does not need
            n_others = counted(row, counts[r], buffer)
            times = buffer[2][:n_others]
        others, E = buffer[0][:n_others], buffer[1][:n_others]
        near[r] = least(others)
        for j in range(n_others):
            others[j] = beyond(others[j], near[r])
        calibrated[r] = True
        if len(perplexities) == 0:
            beta[0, r] = fixed
            likelihoods(others, fixed, E)
            scale_by(E, times)
            total[0, r], _, _ = moments(others, fixed, E)
            continue
        mean = sum_of(others) / n_others
        if not np.isfinite(mean):
            # a perplexity spreads only over the points that are connected
            n_others = connected(others, times)
            others, E, times = others[:n_others], E[:n_others], times[:n_others]
            mean = sum_of(others) / n_others
        for s in range(len(perplexities)):
            # β in units of the mean distance varies little from row to row; but what is
            # found for a new point must not depend on those before it
            if own < 0 or not np.isfinite(guess[s]):
                guess[s] = 0.0
            scale = math.log(mean) if mean > 0 else 0.0
            beta[s, r], total[s, r], found = calibrate_row(
                others, times, perplexities[s], guess[s] - scale, E
            )
            calibrated[r] &= found
            if found and 0 < beta[s, r] < HARDEST:
                guess[s] = math.log(beta[s, r]) + scale


@kernel
def conditional_rows(D, exclude, scales, P):
    """p_{j|i} for a block of calibrated rows of squared distances."""
    n_columns, n_scales = D.shape[1], len(scales.beta)
    buffer = np.empty((5, n_columns))
    p, E, pairs = buffer[0], buffer[1], Scales(buffer[2], buffer[3], buffer[4])
    for r in range(len(D)):
        fill(p, 0)
        fill(pairs.near, scales.near[r])
        for s in range(n_scales):
            fill(pairs.beta, scales.beta[s, r])
            fill(pairs.total, scales.total[s, r] * n_scales)
            add_shares(D[r], pairs, p, E)
        P_r = P[r]
        for j in range(n_columns):
            P_r[j] = p[j]
        if exclude[r] >= 0:
            P_r[exclude[r]] = 0


@kernel
def symmetric_rows(D, first, twice, weights, joint, P, negentropy):
    """Half of the symmetric P for the rows from ``first`` on.

    p_ij = (p_{j|i} + p_{i|j})/2n under joint normalisation; otherwise
    (p_{j|i} + p_{i|j})/2, with Σ p log p of the conditional p themselves.  Lane l of
    row i is the point i + 1 + l, in cyclic order; column c of D is ``first`` + 1 + c.
    ``twice`` has D°, β and total · n_scales of the rows, twice around the cycle, as has
    ``weights`` what they weigh, or nothing.  P is that of one copy of each point;
    Σ p log p is over all pairs of copies.
    """
    near = twice.near
    n, half = P.shape[0], P.shape[1]
    buffer = np.empty((6, half))
    mine, theirs, E = buffer[0], buffer[1], buffer[2]
    own = Scales(buffer[3], buffer[4], buffer[5])
    for r in range(len(D)):
        i = first + r
        lanes, P_i = D[r][r : r + half], P[i]
        fill(mine, 0)
        fill(theirs, 0)
        fill(own.near, near[i])
        others = near[i + 1 : i + 1 + half]
        for s in range(len(twice.beta)):
            beta_s, total_s = twice.beta[s], twice.total[s]
            fill(own.beta, beta_s[i])
            fill(own.total, total_s[i])
            add_shares(lanes, own, mine, E)
            their_beta = beta_s[i + 1 : i + 1 + half]
            their_total = total_s[i + 1 : i + 1 + half]
            pairs = Scales(others, their_beta, their_total)
            add_shares(lanes, pairs, theirs, E)
        m = n_met(i, n)
        for lane in range(m, half):
            mine[lane] = theirs[lane] = 0
        share = 1 / (2 * n) if joint else 0.5
        for lane in range(half):
            P_i[lane] = (mine[lane] + theirs[lane]) * share
        if not joint:
            pairs_of = weights[i + 1 : i + 1 + half] if len(weights) > 0 else weights
            negentropy[i] = plogp(mine, pairs_of, E) + plogp(theirs, pairs_of, E)
            if len(weights) > 0:
                negentropy[i] *= weights[i]


@stage
def plogp(p, counts, L):
    """Σ c p log p, c = 1 without counts; L is scratch."""
    logs = L[: len(p)]
    for lane in range(len(p)):
        logs[lane] = p[lane]
    logarithms(logs)
    scale_by(logs, counts)
    total = 0.0
    for lane in range(len(p)):
        # of p = 0 the logarithm is some number, and not infinite
        total += p[lane] * logs[lane]
    return total
