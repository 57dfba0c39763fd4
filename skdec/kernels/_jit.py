"""The two ways kernels are compiled."""

from functools import partial

from numba import njit

# - error_model="numpy" is what lets LLVM vectorise a loop with a division.
# - nogil lets row blocks run on a thread pool; cache keeps the second import cheap.
_njit = partial(
    njit, nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True
)

# Strict IEEE arithmetic: a lane gives the same bits whatever vector code, scalar
# remainder or specialisation (read-only arrays) it runs through.  So memberships do
# not depend on the batch, the order of the rows or the number of threads.
kernel = _njit()

# For sums: reassociation is what vectorises them (and arcp makes 1/x a fast
# reciprocal with a Newton step).  Their order is fixed by the data they are given.
# nnan and ninf stay out: infinities are data here.
reduction = _njit(fastmath={"reassoc", "contract", "arcp", "nsz"})
