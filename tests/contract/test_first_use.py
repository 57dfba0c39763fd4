"""What the first use says, and compiling ahead."""

import importlib.util
import logging
import multiprocessing
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core import event

import skdec.compile
from skdec.kernels import first_use
from skdec.kernels.jit import kernel


def told_of(module, path="a folder"):
    function = SimpleNamespace(__module__=module, __name__="kernel")
    dispatcher = SimpleNamespace(
        py_func=function, stats=SimpleNamespace(cache_path=path)
    )
    return SimpleNamespace(data={"dispatcher": dispatcher})


def test_the_first_compilation_is_said_once(caplog):
    notice = first_use.Notice()
    notice.on_start(told_of("numba.np.arrayobj"))
    notice.on_start(told_of("skdecor.kernels"))
    assert caplog.records == []
    for _ in range(3):
        notice.on_start(told_of("skdec.kernels.rows"))
    (record,) = caplog.records
    # what is shown on stderr without any logging set up
    assert (record.name, record.levelno) == ("skdec", logging.WARNING)
    message = record.getMessage()
    assert "a folder" in message and "python -m skdec.compile" in message
    assert "\n" not in message


def test_without_a_cache_it_says_so(caplog):
    first_use.Notice().on_start(told_of("skdec.kernels.rows", None))
    assert "this process alone" in caplog.text


def test_workers_stay_silent(caplog, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_name", "LokyProcess-1")
    first_use.Notice().on_start(told_of("skdec.kernels.rows"))
    assert caplog.records == []


def test_compiling_is_said_and_loading_is_not(tmp_path):
    path = tmp_path / "some.py"
    path.write_text("def twice(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("skdec.some", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def first_use_of(dispatcher, x):
        # the one of this process may have said it, or says it beside this one
        notice = first_use.Notice()
        with (
            event.install_listener(first_use.COMPILE, notice),
            first_use.compiled() as names,
        ):
            dispatcher(x)
            dispatcher(x)
        return notice.said, names

    assert first_use_of(kernel(module.twice), 1.0) == (True, ["twice"])
    found = kernel(module.twice)  # as another process finds it
    assert first_use_of(found, 1.0) == (False, [])
    assert first_use_of(found, np.float32(1)) == (True, ["twice"])


# -------------------------------------------------------------- python -m skdec.compile
def test_the_command_says_what_and_where(capsys, monkeypatch):
    uses = {"a": (lambda: None, "The first"), "b": (lambda: None, "The other")}
    monkeypatch.setattr(skdec.compile, "USES", uses)
    logger = logging.getLogger("skdec")
    level = logger.level
    try:
        assert skdec.compile.main(["b"]) == 0
    finally:
        logger.setLevel(level)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"cache: {skdec.compile.CACHE_FOLDER}"
    assert second.startswith("The other: 0 functions, ")
    with pytest.raises(SystemExit, match="2"):
        skdec.compile.main(["c"])
    assert "got c" in capsys.readouterr().err


def test_the_command_fails_without_a_cache(capsys, monkeypatch):
    monkeypatch.setattr(skdec.compile, "CACHE_FOLDER", None)
    assert skdec.compile.main([]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "NUMBA_CACHE_DIR" in said.err


@pytest.mark.slow  # .ci/run has it
def test_after_the_command_nothing_is_compiled(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "skdec.compile", *skdec.compile.USES]
    subprocess.run(command, check=True, env=environment, timeout=560)
    script = """
import numpy as np
from scipy import sparse
from sklearn.datasets import load_digits
from skdec import ExactTSNE, StudentTClustering
from skdec.kernels.first_use import compiled

X = load_digits().data
wide = np.random.default_rng(0).standard_normal((3500, 30)) * np.r_[20, np.ones(29)]
with compiled() as names:
    for data in X, wide:
        tsne = ExactTSNE(max_iter=160, random_state=0).fit(data)
        tsne.transform(data[:5] + 0.5)
    for data in X, X.astype("f4"), X[:, 20:22], sparse.csr_matrix(X):
        model = StudentTClustering(10, random_state=0).fit(data)
        model.predict(data), model.transform(data), model.score_samples(data)
print(len(names), *names)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env=environment, timeout=560,
    )  # fmt: skip
    assert done.stdout.split() == ["0"]
