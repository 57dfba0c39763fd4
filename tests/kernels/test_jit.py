"""What keeps sums from depending on how, and where, their code was compiled."""

import ast
import platform
import re
from pathlib import Path

import numpy as np
import pytest
from numba import config, njit

import skdec.kernels
from skdec.kernels.near_pairs import DOUBLE_TERMS, TERMS, near_sums
from skdec.kernels.types import Cauchy, CauchyNear, StudentNear

SOURCES = sorted(Path(skdec.kernels.__file__).parent.glob("*.py"))

# Always inlined, so that LLVM sees the terms of a sum in one surrounding only.
INLINED = {"reduction", "summing_stage"}
OVERLOADS = {"add_lane_forces", "student_term"}  # with STRICT_INLINED, with SUM


def functions():
    """Of each function: its decorators and the functions that it calls, by name."""
    found = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                calls = {
                    call.func.id
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
                }
                decorators = {
                    d.id for d in node.decorator_list if isinstance(d, ast.Name)
                }
                found[node.name] = decorators, calls
    return found


def test_what_calls_a_sum_is_inlined_wherever_it_is_called():
    # a function that is not may be compiled into its kernel, and once more beside it,
    # with the terms of the sum in another order; which of the two a process calls
    # depends on what it found in the cache
    known = functions()

    def sums(name):
        decorators, calls = known[name]
        return "reduction" in decorators or any(map(sums, calls & set(known) - {name}))

    called = set().union(*(calls for _, calls in known.values()))
    summing = {name for name in known if sums(name)}
    assert {"calibrate_row", "calibrate_rows", "dot"} <= summing
    entries = {n for n in summing - called if "kernel" in known[n][0]}
    alone = {n for n in summing - entries if not known[n][0] & INLINED}
    assert alone == OVERLOADS


@pytest.mark.skipif(config.DISABLE_JIT, reason="there is no machine code")
@pytest.mark.skipif(bool(config.BOUNDSCHECK), reason="no loop with checks is a vector")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="its names are x86's")
@pytest.mark.parametrize("kind", ["cauchy", "whole", "student"])
@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_near_pairs_are_summed_in_vectors(dtype, n_axes, kind):
    # one pair after the other takes ten times as long, whatever it was that hid from
    # LLVM that they are alike
    near = Cauchy() if kind == "whole" else CauchyNear(0.5)
    if kind == "student":
        n_terms = TERMS if dtype == np.float32 else DOUBLE_TERMS
        near = StudentNear(
            *map(dtype, (0.5, 2, 0.75, 0.6, 1.8, -0.9)), (dtype(0),) * n_terms
        )
    place, found = (dtype(0),) * n_axes, np.zeros((n_axes + 1, 32), dtype)

    @njit(error_model="numpy")
    def summed(place, found, near):
        return near_sums(place, found, 32, near)

    summed(place, found, near)
    (code,) = summed.inspect_asm().values()
    packed = re.findall(r"v?(?:mul|fn?madd\d*)p[sd]\b", code)
    assert len(packed) > 10
