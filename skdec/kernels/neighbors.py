"""The columns with the least scores of each row, collected block by block.

A score is whatever orders columns as their distances do.  Scores above a limit are
passed over many at a time, which is nearly all of them once a few columns are known.
"""

import numpy as np

from skdec.kernels.jit import kernel, stage
from skdec.kernels.similarity import fill

# So many scores are compared with the limit before the first is looked at.
GROUP = 64


@stage
def n_at_most(scores, limit):
    """#{t : s_t ≤ limit}."""
    count = np.int32(0)
    for t in range(len(scores)):
        count += np.int32(scores[t] <= limit)
    return count


@stage
def limit_of(scores, kept):
    """The least number that ``kept`` scores are up to, or one before the next score.

    By bisection, because counting is vectorised and selection is not.
    """
    low = high = scores[0]
    for t in range(len(scores)):
        low, high = min(low, scores[t]), max(high, scores[t])
    if n_at_most(scores, low) >= kept:
        return low
    half, count = scores.dtype.type(0.5), len(scores)
    while count > kept:
        middle = low + half * (high - low)
        if not low < middle < high:
            break
        n = n_at_most(scores, middle)
        if n >= kept:
            high, count = middle, n
        else:
            low = middle
    return high


@stage
def keep_least(scores, columns, kept):
    """Move the ``kept`` least to the front, the first of equals; returns the limit."""
    limit = limit_of(scores, kept)
    n_below = 0
    for t in range(len(scores)):
        n_below += scores[t] < limit
    n_equal, n = kept - n_below, 0
    for t in range(len(scores)):
        equal = scores[t] == limit
        if scores[t] < limit or (equal and n_equal > 0):
            n_equal -= equal
            scores[n], columns[n] = scores[t], columns[t]
            n += 1
    return limit


@kernel
def collect(scores, first, kept, candidates):
    """Candidates ← those with the ``kept`` least scores, of them and of a block.

    Column c of the block is ``first`` + c.  What is no candidate has a score of at
    least the limit; of equal scores the one that came first is kept.
    """
    capacity, n_columns = candidates.scores.shape[1], scores.shape[1]
    for r in range(len(scores)):
        row, n, limit = scores[r], candidates.found[r], candidates.limit[r]
        best, columns = candidates.scores[r], candidates.columns[r]
        for start in range(0, n_columns, GROUP):
            group = row[start : start + GROUP]
            below = np.int32(0)
            for lane in range(len(group)):
                below += np.int32(group[lane] < limit)
            if below == 0:
                continue
            if n + below > capacity:
                limit, n = keep_least(best[:n], columns[:n], kept), kept
            for lane in range(len(group)):
                if group[lane] < limit:
                    best[n], columns[n] = group[lane], first + start + lane
                    n += 1
        candidates.found[r], candidates.limit[r] = n, limit


@kernel
def cut(kept, candidates):
    """Candidates ← those with the ``kept`` least scores, of at least so many."""
    for r in range(len(candidates.found)):
        n = candidates.found[r]
        if n > kept:
            best, columns = candidates.scores[r][:n], candidates.columns[r][:n]
            candidates.limit[r] = keep_least(best, columns, kept)
            candidates.found[r] = kept


@kernel
def products_by_lists(rows, lists, products):
    """products_rj = a_r·b_j of sparse rows a and b.

    ``lists`` has the stored entries of the b_j by feature.
    """
    for r in range(len(products)):
        row = products[r]
        fill(row, 0)
        for s in range(rows.edges[r], rows.edges[r + 1]):
            a, feature = rows.values[s], rows.columns[s]
            for t in range(lists.edges[feature], lists.edges[feature + 1]):
                row[lists.columns[t]] += a * lists.values[t]
