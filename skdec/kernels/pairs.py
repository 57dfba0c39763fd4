"""Every pair of points once: the cyclic half of a symmetric matrix."""

from skdec.kernels.jit import reduction, stage
from skdec.kernels.similarity import fill


# The loops below see each pair once.  Row i meets the ⌊n/2⌋ points that follow it in
# cyclic order, so that every row has the same work; coordinates are stored twice over,
# which makes those points contiguous: lane l of row i is the point i + 1 + l.  For even
# n the rows of the second half meet one point less.  P has one row of lanes for every
# point: half of a symmetric matrix, in that order.
#
# What a block of rows adds to its own points and to those it meets is collected in a
# slot of its own: slots[block, k, t] belongs to the point t places after the block's
# first.  The slots are added up in the order of the blocks, for any number of threads.
@stage
def n_met(i, n):
    """How many points row i meets."""
    return n // 2 if n % 2 == 1 or i < n // 2 else n // 2 - 1


@stage
def lane_distances(Y, i, D):
    """D_l between point i and the points after it."""
    fill(D, 0)
    for d in range(len(Y)):
        y = Y[d, i]
        others = Y[d][i + 1 : i + 1 + len(D)]
        for lane in range(len(D)):
            difference = y - others[lane]
            D[lane] += difference * difference


@reduction
def exchange(C, y, others, back):
    """Σ_l c_l (y − y_l); each other point gets the opposite of its term."""
    total = y * 0
    for lane in range(len(C)):
        force = C[lane] * (y - others[lane])
        total += force
        back[lane] -= force
    return total


@stage
def add_scaled(total, part, factor):
    """total_t ← total_t + factor · part_t as far as the part goes."""
    total = total[: len(part)]
    for t in range(len(part)):
        total[t] += factor * part[t]
