"""python -m skdec.compile."""

import logging
import os
import subprocess
import sys

import pytest

import skdec.compile


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
    ExactTSNE(affinities="neighbors", max_iter=160).fit(sparse.csr_matrix(X))
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
