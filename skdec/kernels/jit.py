"""The ways kernels are compiled."""

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from numba import config, njit, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from skdec.kernels import first_use


def _find_cache():
    """numba's folder for compiled code: beside this file, or another, or none."""
    if config.DISABLE_JIT:
        return None
    try:  # pragma: no cover - as above all that compiles
        return njit(cache=True)(_find_cache).stats.cache_path
    except RuntimeError:  # pragma: no cover - a process of its own tests it
        warnings.warn(
            "numba finds no folder that it can write to, so that skdec compiles its "
            "kernels again in every process: set NUMBA_CACHE_DIR to one",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


CACHE_FOLDER = _find_cache()
CACHED = CACHE_FOLDER is not None
first_use.announce()


# Kernels whose code could not be stored in this process.
NOT_STORED: list[str] = []


class _HealingCache(FunctionCache):
    """Compiled code that is made again if its file cannot be read, or not written.

    A process that is killed, or a full disk, may leave a file cut off, and numba would
    raise what unpickling it raises, in every process from then on.  It would raise as
    well what writing raises, for which no fit has to end.
    """

    def save_overload(self, sig, data):  # pragma: no cover - as above
        try:
            super().save_overload(sig, data)
        except Exception as error:  # of an index that is cut off too
            self._not_stored(error)

    def _not_stored(self, error):  # pragma: no cover - as above
        NOT_STORED.append(self._name)
        if len(NOT_STORED) == 1:
            warnings.warn(
                f"compiled code cannot be stored in {self.cache_path} ({error}), so "
                "that it is made again in every process: make room there, or set "
                "NUMBA_CACHE_DIR to another folder",
                RuntimeWarning,
                stacklevel=2,
            )

    def load_overload(self, sig, target_context):  # pragma: no cover - as above
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            with suppress(OSError):
                self.flush()
            return None


# error_model="numpy" is what lets LLVM vectorise a loop with a division.
_COMMON = {"error_model": "numpy", "no_cfunc_wrapper": True}


# nogil lets row blocks run on a thread pool; cache keeps the second import cheap.
def _njit(**options):
    compiler = njit(nogil=True, cache=CACHED, **_COMMON, **options)

    def compiled(function):
        dispatcher = compiler(function)
        if CACHED and not config.DISABLE_JIT:  # pragma: no cover
            # replaced in place: a new object would look for its folder once more
            dispatcher._cache.__class__ = _HealingCache
        return dispatcher

    return compiled


# Strict IEEE arithmetic: a lane gives the same bits whatever vector code, scalar
# remainder or specialisation (read-only arrays) it runs through.  So memberships do
# not depend on the batch, the order of the rows or the number of threads.
# Said in so many words: what is first compiled for a sum would otherwise inherit the
# sum's freedom, and keep it in the cache for everybody.
kernel = _njit(fastmath=False)

# The same for what numba's ``overload`` chooses: it becomes part of its kernel.
STRICT: Any = {**_COMMON, "fastmath": False}

# The same for what calls sums: always inlined, as they are.
STRICT_INLINED: Any = {**STRICT, "forceinline": True}

# The same for what only other kernels call: without a wrapper for Python it compiles
# in half the time.
stage = _njit(fastmath=False, no_cpython_wrapper=True)

# The same for what calls sums: always inlined, as they are, and for the same reason
# (tests/kernels/test_jit.py).
summing_stage = _njit(fastmath=False, no_cpython_wrapper=True, forceinline=True)

# For sums: reassociation is what vectorises them (and arcp makes 1/x a fast
# reciprocal with a Newton step).  Their order is fixed by the data they are given.
# nnan and ninf stay out: infinities are data here.
# They are always inlined.  Otherwise a sum is compiled twice, alone and within its
# kernel, with its terms in another order, and which of the two is called depends on
# whether the kernel came from the cache (tests/contract/test_package.py).
_SUM = {"fastmath": {"reassoc", "contract", "arcp", "nsz"}, "forceinline": True}
reduction = _njit(no_cpython_wrapper=True, **_SUM)
SUM: Any = {**_COMMON, **_SUM}  # what numba's ``overload`` chooses

# The same without reassociation, for distances that each lane adds up by itself: only
# a product and the sum it goes into may become one rounding.
lane_sum = _njit(fastmath={"contract"}, no_cpython_wrapper=True)


def as_integer(x):
    """The bits of a number, as an integer that has room for more."""
    return int(x.view(np.int32 if x.itemsize == 4 else np.int64))


def as_number(bits, like):
    """The number, of the type of ``like``, that has these bits, and none beyond."""
    number = type(like)
    unsigned = np.uint32 if number == np.float32 else np.uint64
    return unsigned(bits % 2 ** (8 * like.itemsize)).view(number)


if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # pragma: no cover
    _INTEGERS = {types.float32: types.int32, types.float64: types.int64}

    @intrinsic
    def as_integer(typing_context, x):
        integer = _INTEGERS[x]

        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(integer))

        return integer(x), generate

    @intrinsic
    def as_number(typing_context, bits, like):
        def generate(context, builder, signature, arguments):
            narrow = context.cast(builder, arguments[0], bits, _INTEGERS[like])
            return builder.bitcast(narrow, context.get_value_type(like))

        return like(bits, like), generate
