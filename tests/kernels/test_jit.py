"""What keeps sums from depending on how, and where, their code was compiled."""

import ast
from pathlib import Path

import skdec.kernels

SOURCES = sorted(Path(skdec.kernels.__file__).parent.glob("*.py"))

# Always inlined, so that LLVM sees the terms of a sum in one surrounding only.
INLINED = {"reduction", "summing_stage"}
OVERLOADS = {"add_lane_forces"}  # with STRICT_INLINED


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
