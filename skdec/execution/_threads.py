"""Row blocks on a thread pool.

Kernels release the GIL, so plain threads run them side by side; unlike numba's own
parallel layers a pool may be entered from several Python threads and survives a fork.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import pairwise

import numba
from joblib import effective_n_jobs
from threadpoolctl import threadpool_limits

# Below this many pairs, handing work to a thread costs more than the work.
SERIAL_PAIRS = 640_000

# Partial sums are kept per block and added in block order.  The partition depends on
# the data alone, which is what makes results bitwise equal for every n_jobs.
MIN_BLOCK_ROWS = 1024
MAX_BLOCKS = 64


def block_size(n_rows):
    """Rows per block of partial sums: a multiple of 256, at most 64 blocks."""
    size = max(MIN_BLOCK_ROWS, -(-n_rows // MAX_BLOCKS))
    return -(-size // 256) * 256


class Threads:
    """A pool that splits rows, or blocks of rows, into one contiguous range a thread.

    Parameters
    ----------
    n_jobs : int or None
        As joblib understands it: None means 1 unless a ``joblib.parallel_config`` says
        otherwise, -1 all cores.  Never more than numba's ``NUMBA_NUM_THREADS``, which
        joblib's worker processes lower so that they do not oversubscribe the machine.
    hold_blas : bool, default=False
        Hold BLAS to one thread inside the ``with`` block, for tasks that call it.
    """

    def __init__(self, n_jobs=None, *, hold_blas=False):
        self.hold_blas = hold_blas
        self.n_threads = min(
            effective_n_jobs(n_jobs), max(1, numba.config.NUMBA_NUM_THREADS)
        )

    def __enter__(self):
        self._stack = ExitStack()
        self._pool = None
        if self.hold_blas:
            self._stack.enter_context(threadpool_limits(limits=1))
        if self.n_threads > 1:
            self._pool = ThreadPoolExecutor(self.n_threads)
            # reached before BLAS is let go: an error must not leave threads behind
            self._stack.callback(self._pool.shutdown, wait=True, cancel_futures=True)
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def rows(self, task, n_rows, pairs):
        """Call ``task(start, stop)`` over ranges that together cover ``n_rows``.

        ``pairs`` is the number of pair evaluations behind the rows.
        """
        if n_rows == 0:
            return
        n_ranges = 1 if pairs < SERIAL_PAIRS else min(self.n_threads, n_rows)
        if n_ranges == 1:
            task(0, n_rows)
            return
        edges = [n_rows * i // n_ranges for i in range(n_ranges + 1)]
        # the calling thread takes the first range itself: one dispatch less
        futures = [
            self._pool.submit(task, start, stop) for start, stop in pairwise(edges[1:])
        ]
        task(edges[0], edges[1])
        for future in futures:
            future.result()

    def map(self, function, items):
        """The results of independent calls, in order, each call on one thread alone."""
        if self._pool is None:
            return [_alone(function, item) for item in items]
        return list(self._pool.map(partial(_alone, function), items))


def _alone(function, item):
    # OpenMP's limit belongs to the calling thread, so it is set in the worker
    with threadpool_limits(limits=1):
        return function(item)
