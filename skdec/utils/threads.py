"""Row blocks on threads.

Kernels release the GIL, so plain threads run them side by side; unlike numba's own
parallel layers they may be used from several Python threads at once and survive a fork.
A descent hands out work thousands of times, a fraction of a millisecond each: a queue
for every thread takes a third of the time that the futures of an executor take.
"""

import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache, partial
from itertools import pairwise
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter, sleep

import numba
from joblib import effective_n_jobs
from numba.core.compiler_lock import global_compiler_lock
from threadpoolctl import ThreadpoolController

from skdec.utils.cluster import in_task

# Below this many pairs, handing work to a thread costs more than the work.
SERIAL_PAIRS = 250_000

# One call of a kernel takes at most so many pairs, well below a second: Python sees
# Ctrl-C between calls only (tests/contract/test_interrupt.py).
PAIRS_PER_CALL = 2**25

# A thread without work stays awake for so many seconds, about as long as an iteration
# leaves it idle.
AWAKE = 2e-4

# Partial sums are kept per block and added in block order.  The partition depends on
# the data alone, which is what makes results bitwise equal for every n_jobs.
MIN_BLOCK_ROWS = 1024
MAX_BLOCKS, MIN_BLOCKS = 64, 8
MAX_SUMS = 2**22


def block_size(n_rows, n_sums=1):
    """Rows per block of ``n_sums`` partial sums: a multiple of 256.

    At most 64 blocks; at most 8 where more would keep over 2^22 sums.
    """
    blocks = min(MAX_BLOCKS, max(MIN_BLOCKS, MAX_SUMS // n_sums))
    size = max(MIN_BLOCK_ROWS, -(-n_rows // blocks))
    return -(-size // 256) * 256


class Threads:
    """A pool that splits rows, or blocks of rows, into one contiguous range a thread.

    Parameters
    ----------
    n_jobs : int or None
        As joblib understands it: None means 1 unless a ``joblib.parallel_config`` says
        otherwise, -1 all cores.  Never more than numba's ``NUMBA_NUM_THREADS``, which
        joblib's worker processes lower so that they do not oversubscribe the machine.
        In a task of a Dask cluster, which has others beside it, all cores means 1.
    hold_blas : bool, default=False
        Hold BLAS to one thread inside the ``with`` block, for tasks that call it.
    listener : callable, default=None
        Told by the calling thread which share of the rows it has handed out is done,
        whenever one of its own ranges is.
    """

    def __init__(self, n_jobs=None, *, hold_blas=False, listener=None):
        self.hold_blas, self.listener = hold_blas, listener
        # what there is inside the with block alone
        self._work = self._done = self._stack = None
        n_threads = effective_n_jobs(n_jobs)
        if in_task() and (n_jobs is None or n_jobs < 0):
            n_threads = 1
        self.n_threads = min(n_threads, max(1, numba.config.NUMBA_NUM_THREADS))

    def __enter__(self):
        _free_compiler()
        self._stack = ExitStack()
        if self.hold_blas:
            self._stack.enter_context(_held_blas)
        if _forked:
            limited = ThreadpoolController().limit(limits=1, user_api="openmp")
            self._stack.enter_context(limited)
        self._work, self._done = [], SimpleQueue()
        return self

    def __exit__(self, *exception):
        self._work = None
        self._stack.close()

    def _workers(self, n):
        """The queues of so many workers, which are started when they are needed.

        Most predictions are too small for any, on machines that may have many.
        """
        while len(self._work) < n:
            queue = SimpleQueue()
            worker = Thread(target=_serve, args=(queue, self._done), daemon=True)
            worker.start()
            # joined before BLAS is released: an error must not leave threads behind
            self._stack.callback(worker.join)
            self._stack.callback(queue.put, None)
            self._work.append(queue)
        return self._work[:n]

    def run_ranges(self, task, n_rows, pairs):
        """Call ``task(start, stop)`` over ranges that together cover ``n_rows``.

        ``pairs`` is the number of pair evaluations behind the rows.  An error in one
        range, Ctrl-C too, keeps those from being begun that have not been.
        """
        if n_rows == 0:
            return
        if self._work is None:
            # a queue without a thread behind it would be waited for forever
            raise RuntimeError("rows are handed out inside the with block only")
        n_threads = 1 if pairs < SERIAL_PAIRS else min(self.n_threads, n_rows)
        n_ranges = min(n_rows, max(n_threads, -(-pairs // PAIRS_PER_CALL)))
        edges = [n_rows * i // n_ranges for i in range(n_ranges + 1)]
        ranges, n_handed = deque(pairwise(edges)), 0
        run = partial(_run_ranges, task, ranges)
        try:
            for queue in self._workers(n_threads - 1):
                queue.put(run)
                n_handed += 1
            # the calling thread takes part itself: one dispatch less
            _run_ranges(task, ranges, lambda: self.report(1 - len(ranges) / n_ranges))
        except BaseException:
            _free_compiler()
            raise
        finally:
            errors = [_take(self._done) for _ in range(n_handed)]
        for error in filter(None, errors):
            raise error

    def report(self, share):
        """Tell the listener that this share of some work is done."""
        if self.listener is not None:
            self.listener(share)

    def _reported(self, results, n):
        """The results as a list, each told of when it is there."""
        found = []
        for result in results:
            found.append(result)
            self.report(len(found) / n)
        return found

    def map(self, function, items, side_by_side=True):
        """The results of independent calls, in order, each call on one thread alone."""
        # looked for again, because libraries may have been loaded since
        call = partial(_alone, ThreadpoolController(), function)
        if self.n_threads == 1 or not side_by_side:
            return self._reported(map(call, items), len(items))
        with ThreadPoolExecutor(self.n_threads) as pool:
            try:
                return self._reported(pool.map(call, items), len(items))
            except BaseException:
                # otherwise calls that wait would run before the error is seen
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _free_compiler():
    """Let go of numba's compiler, where Ctrl-C has left it with this thread.

    Between taking its lock and noting that it has to be given back numba may be
    interrupted.  The other threads would then wait for the compiler, and this one for
    them, for ever.
    """
    while global_compiler_lock.is_locked():  # by this thread, that is
        global_compiler_lock.release()


def _run_ranges(task, ranges, report=None):
    """Take ranges until none are left; after an error nobody finds any."""
    try:
        while (limits := _next(ranges)) is not None:
            task(*limits)
            if report is not None:
                report()
    except BaseException:
        ranges.clear()
        raise


def _next(ranges):
    try:
        return ranges.popleft()
    except IndexError:
        return None


@lru_cache(maxsize=1)
def _libraries(n_modules):
    """The BLAS and OpenMP libraries in use, looked for again with more modules."""
    return ThreadpoolController()


class _HeldBlas:
    """BLAS at one thread while anybody holds it.

    Its limit belongs to the process.  Of two fits that overlap, each would restore what
    it had found, and the later one would find, and leave behind, the limit of the
    other: so the first to come sets it and the last to go restores it.
    """

    def __init__(self):
        self._lock, self._count = Lock(), 0
        self._blas = self._limiter = None

    def __enter__(self):
        with self._lock:
            if self._count == 0:
                self._blas = _libraries(len(sys.modules))
                self._limiter = self._blas.limit(limits=1, user_api="blas")
                self._let_others_set()
            self._count += 1

    def __exit__(self, *exception):
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._limiter.restore_original_limits()
                self._let_others_set()

    def _let_others_set(self):
        """End this thread's say over the limit, without a change of it.

        In newer versions of threadpoolctl the thread that sets a limit of OpenBLAS is
        the only one that can, until its ``with`` blocks have ended; the last to go may
        be another.  Ctrl-C in a search of scikit-learn's can skip the end of a block.
        """
        for library in self._blas.lib_controllers:
            getattr(library, "clear_controlling_thread", lambda: None)()

    def forget_holders(self):
        """Let go in a forked process, where the threads that held it are not."""
        self._lock = Lock()
        if self._count:
            self._count = 0
            self._limiter.restore_original_limits()


_held_blas = _HeldBlas()


def openmp_alone():
    """Hold OpenMP to one thread for what the calling thread runs in the block.

    The limit belongs to that thread, so that nobody else is disturbed.
    """
    return _libraries(len(sys.modules)).limit(limits=1, user_api="openmp")


# GNU's OpenMP, of scikit-learn's wheels, waits for ever in a forked process for the
# threads that its parent had; with one thread it asks for none.
_forked = False


def _after_fork():
    global _forked
    _forked = True
    _held_blas.forget_holders()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _take(queue):
    """The next of a queue; awake for a while, since to fall asleep costs more."""
    deadline = perf_counter() + AWAKE
    while queue.empty() and perf_counter() < deadline:
        sleep(0)
    return queue.get()


def _serve(work, done):
    """Run what comes until None does; answer each with its error or None."""
    while (call := _take(work)) is not None:
        error = _error_of(call)
        call = None  # or what it holds would live until the next one comes
        done.put(error)


def _error_of(call):
    try:
        call()
    except BaseException as error:
        return error


def _alone(controller, function, item):
    # OpenMP's limit belongs to the calling thread, so it is set in the worker
    with controller.limit(limits=1):
        return function(item)
