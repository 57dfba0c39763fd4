"""What is said of the first compilation, and what is recorded."""

import importlib.util
import logging
import multiprocessing
from types import SimpleNamespace

import numpy as np
import pytest
from numba import config
from numba.core import event

from skdec.kernels import first_use
from skdec.kernels.jit import kernel


@pytest.fixture
def notice(caplog):
    """A new notice, beside that of this process, which has or has not said it."""
    registered = event._registered[first_use.COMPILE]
    others = [known for known in registered if isinstance(known, first_use.Notice)]
    said = [known.said for known in others]
    for known in others:
        known.said = True
    with event.install_listener(first_use.COMPILE, first_use.Notice()) as new:
        yield new
    for known, before in zip(others, said, strict=True):
        known.said = before


def compile_one(module, name="kernel", path="a folder"):
    """The events of numba for a function of a module."""
    function = SimpleNamespace(__module__=module, __name__=name)
    stats = SimpleNamespace(cache_path=path)
    data = {"dispatcher": SimpleNamespace(py_func=function, stats=stats)}
    with event.trigger_event(first_use.COMPILE, data=data):
        pass


def test_the_process_has_its_notice():
    registered = event._registered[first_use.COMPILE]
    assert sum(isinstance(known, first_use.Notice) for known in registered) == 1


def test_the_first_compilation_is_said_once(notice, caplog):
    compile_one("numba.np.arrayobj")
    compile_one("skdecor.kernels")
    assert caplog.records == []
    for _ in range(3):
        compile_one("skdec.kernels.rows")
    (record,) = caplog.records
    # what is shown on stderr without any logging set up
    assert (record.name, record.levelno) == ("skdec", logging.WARNING)
    message = record.getMessage()
    assert "a folder" in message and "python -m skdec.compile" in message
    assert "\n" not in message


def test_without_a_cache_it_says_so(notice, caplog):
    compile_one("skdec.kernels.rows", path=None)
    assert "this process alone" in caplog.text


def test_workers_stay_silent(notice, caplog, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_name", "LokyProcess-1")
    compile_one("skdec.kernels.rows")
    assert notice.said and caplog.records == []


def test_what_is_compiled_is_named():
    with first_use.compiled() as names:
        for module in "skdec.kernels.rows", "numba.np.arrayobj", "skdec.kernels.grid":
            compile_one(module, name=module)
    compile_one("skdec.kernels.rows")
    assert names == ["skdec.kernels.rows", "skdec.kernels.grid"]


@pytest.mark.skipif(config.DISABLE_JIT, reason="compiles")
def test_compiling_is_said_and_loading_is_not(tmp_path, notice, caplog):
    path = tmp_path / "some.py"
    path.write_text("def twice(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("skdec.some", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def first_use_of(dispatcher, x):
        notice.said = False
        caplog.clear()
        with first_use.compiled() as names:
            dispatcher(x)
            dispatcher(x)
        return len(caplog.records), names

    assert first_use_of(kernel(module.twice), 1.0) == (1, ["twice"])
    found = kernel(module.twice)  # as another process finds it
    assert first_use_of(found, 1.0) == (0, [])
    assert first_use_of(found, np.float32(1)) == (1, ["twice"])
