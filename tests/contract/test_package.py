"""The package itself: public names, imports, metadata."""

import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

import skdec

SIGNATURES = {
    "soft_assignment": "(Z, centers, *, dof=1.0)",
    "target_distribution": "(Q, *, balance=1.0, sample_weight=None)",
    "kl_divergence": "(P, Q, *, sample_weight=None)",
    "clustering_loss": "(Z, centers, *, dof=1.0, balance=1.0, P=None, "
    "through_target=False, "
    "sample_weight=None)",
    "conditional_affinities": "(X, *, perplexity=30.0, sigma=None, metric='euclidean')",
    "joint_affinities": "(P_conditional)",
    "neighbors_graph": "(indices, distances, *, n_samples=None)",
    "embedding_loss": "(Y, P, *, kernel='student_t', dof=1.0, normalization='joint', "
    "repulsion='auto', return_repulsion=False)",
}


def test_public_names():
    assert set(skdec.__all__) == {"ExactTSNE", "StudentTClustering", *SIGNATURES}
    for name, signature in SIGNATURES.items():
        found = inspect.signature(getattr(skdec, name))
        bare = [p.replace(annotation=p.empty) for p in found.parameters.values()]
        assert (
            str(found.replace(parameters=bare, return_annotation=found.empty))
            == signature
        )


PACKAGE = Path(skdec.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_docstring_examples(module, monkeypatch):
    if module.startswith("skdec.plotting."):
        pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
        monkeypatch.setenv("MPLBACKEND", "Agg")
    outcome = doctest.testmod(importlib.import_module(module))
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_readme_examples(capsys):
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 2
    names = {}  # the last goes on with the data of the one before
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert "(1347, 2) (450, 2)" in capsys.readouterr().out


def test_the_readme_is_short():
    """A screen or so: a picture, two sentences, two lines, two blocks, a table."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\w+\n(.*?)```", text, flags=re.DOTALL)
    assert [block.count("\n") for block in blocks] == [1, 1, 10, 10]
    words = re.sub(r"```.*?```|\|.*?\n|<.*?>|\(.*?\)", "", text, flags=re.DOTALL)
    assert len(words.split()) < 170
    assert text.count("\n") <= 75
    assert int(re.search(r'<img src="docs/\S+" width="(\d+)"', text).group(1)) <= 420


def test_core_dependencies():
    core = {line.split(">=")[0] for line in requires("skdec") if "extra" not in line}
    assert core == {"scikit-learn", "numpy", "scipy", "numba"}


def test_importing_compiles_nothing_and_needs_no_extra():
    code = """
import sys
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    import skdec
assert len(recorder.buffer) == 0, recorder.buffer
assert not {"torch", "dask", "matplotlib", "polars"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scikit_learn_tsne_parameters_are_kept():
    from sklearn.manifold import TSNE

    ours = inspect.signature(skdec.ExactTSNE).parameters
    theirs = inspect.signature(TSNE).parameters
    # n_iter: max_iter's former name, still there in scikit-learn 1.6
    assert set(theirs) - set(ours) - {"n_iter"} == {"angle"}
    assert next(iter(ours)) == next(iter(theirs)) == "n_components"
    different = {"perplexity", "n_jobs", "max_iter", "method"}
    for name in set(theirs) & set(ours) - different:
        assert ours[name].default == theirs[name].default, name


def test_import_where_nothing_can_be_written():
    code = """
import warnings
import numpy as np
from numba.core import caching

def refused(self):
    raise PermissionError("read-only file system")

caching._CacheLocator.ensure_cache_path = refused
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import skdec
print(sum("NUMBA_CACHE_DIR" in str(one.message) for one in said))
for dtype in ("f4", "f8"):
    print(skdec.target_distribution(np.ones((1, 1), dtype)).sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240
    )
    assert done.stdout.split() == ["1", "1.0", "1.0"], done.stderr[-500:]
    # once, on stderr, though two are compiled
    assert done.stderr.count("skdec compiles") == 1


@pytest.mark.slow  # .ci/run has it
@pytest.mark.parametrize("suffix, size", [("nbi", 0), ("nbc", 100)])
def test_a_compiled_file_that_was_cut_off_is_made_anew(suffix, size, tmp_path):
    script = tmp_path / "one_kernel.py"
    script.write_text("""
from skdec.kernels.jit import kernel

@kernel
def add(a, b):
    return a + b

print(add(1, 2), sum(add.stats.cache_misses.values()))
""")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def run():
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, env=environment,
            timeout=240,
        )  # fmt: skip
        return done.stdout.split() or done.stderr[-500:]

    assert run() == ["3", "1"]
    for path in (tmp_path / "cache").rglob(f"*.{suffix}"):
        os.truncate(path, size)
    assert run() == ["3", "1"]
    assert run() == ["3", "0"]


@pytest.mark.slow  # .ci/run has it
def test_a_full_disk_ends_no_fit(tmp_path):
    """It is said once, and by the command that compiles ahead, which fails."""
    script = """
import errno, sys
from numba.core.caching import IndexDataCacheFile
import skdec.compile
from skdec.kernels.jit import kernel

def full(self, *what):
    raise OSError(errno.EDQUOT, "Disk quota exceeded")

IndexDataCacheFile._save_data = full

@kernel
def add(a, b):
    return a + b

print(add(1, 2), add(1.0, 2.0))
skdec.compile.USES = {"none": (lambda: None, "nothing")}
print(skdec.compile.main(["none"]))
"""
    path = tmp_path / "two_kernels.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, "-W", "always", path], capture_output=True, text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}, timeout=240,
    )  # fmt: skip
    told = done.stdout.splitlines()
    assert told[0] == "3 3.0", done.stderr[-500:]
    assert told[-1] == "1"
    assert done.stderr.count("compiled code cannot be stored") == 1
    assert "2 functions were not stored" in done.stderr


@pytest.mark.slow  # .ci/run has it
def test_results_do_not_depend_on_what_compiled_the_kernels(tmp_path):
    script = """
import numpy as np, skdec
Z = np.random.RandomState(0).standard_normal((300, 5))
_, *gradients = skdec.clustering_loss(Z, Z[:3], dof=2.0)
P = np.full((300, 300), 1 / (300 * 299))
np.fill_diagonal(P, 0)
gradients.append(skdec.embedding_loss(Z[:, :2], P, dof=2.0)[1])
for weight in (None, np.arange(300) % 3 + 1.0):
    tsne = skdec.ExactTSNE(learning_rate=1.0, max_iter=3, early_exaggeration_iter=0)
    gradients.append(tsne.fit(Z, sample_weight=weight).transform(Z + 0.1))
print(*(gradient.tobytes().hex() for gradient in gradients))
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    compiled, cached = (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, env=environment,
            timeout=240, check=True,
        ).stdout
        for _ in range(2)
    )  # fmt: skip
    assert compiled == cached
