"""The one way kernels are compiled."""

from numba import njit

# - error_model="numpy" and the reassociating flags are what lets LLVM vectorise a
#   loop with a division or a sum; nnan and ninf stay out, infinities are data here.
# - nogil lets row blocks run on a thread pool; cache keeps the second import cheap.
kernel = njit(
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"reassoc", "contract", "arcp", "nsz"},
)
