"""ExactTSNE next to scikit-learn's exact t-SNE, and the cost of starting up.

    python -m benchmarks.tsne [--rounds 3] [--threads 2]

Both sides run in turn in one process, on the same data in the same dtype, with the same
number of threads, iterations, initialisation, perplexity and learning rate.  Both print
the seconds of every 50 iterations: an iteration's time is the median of those.
"""

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

import skdec

ITERATIONS = 350
SETTINGS = {"perplexity": 30.0, "init": "pca", "random_state": 0, "verbose": 2}
LINE = re.compile(r"\((\d+) iterations in ([\d.]+)s\)")


def full_kl(X, embedding):
    """KL over all pairs, on the one full P of the data."""
    P = skdec.joint_affinities(skdec.conditional_affinities(X))
    return skdec.embedding_loss(np.asarray(embedding, dtype=np.float64), P)[0]


def timed(estimator, X):
    """Seconds of each iteration (by fifties), seconds of the fit, and its embedding."""
    printed = io.StringIO()
    start = perf_counter()
    with contextlib.redirect_stdout(printed):
        embedding = estimator.fit_transform(X)
    whole = perf_counter() - start
    each = [float(s) / int(n) for n, s in LINE.findall(printed.getvalue())]
    return each, whole, embedding


def compare(X, threads, rounds):
    """Rows of (name, ms per iteration, whole fit, KL, trustworthiness) and ratios."""
    estimators = {
        "scikit-learn exact": TSNE(
            method="exact", max_iter=ITERATIONS, n_jobs=threads, **SETTINGS
        ),
        "ExactTSNE": skdec.ExactTSNE(max_iter=ITERATIONS, n_jobs=threads, **SETTINGS),
    }
    timed(skdec.ExactTSNE(max_iter=50, **SETTINGS), X)  # compile outside the clock
    iteration = {name: [] for name in estimators}
    whole = {name: [] for name in estimators}
    embedding = {}
    for _ in range(rounds):
        for name, estimator in estimators.items():
            each, seconds, embedding[name] = timed(estimator, X)
            iteration[name].append(median(each))
            whole[name].append(seconds)
    rows = [
        (
            name,
            1e3 * median(iteration[name]),
            median(whole[name]),
            full_kl(X, embedding[name]),
            trustworthiness(X, embedding[name], n_neighbors=12),
        )
        for name in estimators
    ]
    theirs, ours = iteration.values()
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    return rows, ratios


def in_new_process(code, **environment):
    """What ``code`` prints, as floats, run by a new interpreter."""
    output = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    ).stdout
    return [float(word) for word in output.split()]


IMPORT = """
import sklearn, numba
from time import perf_counter
from numba.core import event
start = perf_counter()
with event.install_recorder("numba:compile") as recorder:
    import skdec
print(perf_counter() - start, len(recorder.buffer))
"""

FIT = """
from time import perf_counter
import skdec
from sklearn.datasets import load_digits
X = load_digits().data
for _ in range(2):
    start = perf_counter()
    skdec.{}.fit(X)
    print(perf_counter() - start)
"""


def start_up(rounds):
    """Rows of (what, seconds, goal) of importing and of the first fits."""
    imports = [in_new_process(IMPORT) for _ in range(2 * rounds)]
    rows = [
        ("import skdec, after sklearn and numba", median(i[0] for i in imports), 0.3),
        ("kernels compiled by the import", max(i[1] for i in imports), 0),
    ]
    for estimator in ("ExactTSNE(max_iter=250)", "StudentTClustering(10)"):
        fresh, warm = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as cache:
                code = FIT.format(estimator)
                fresh.append(in_new_process(code, NUMBA_CACHE_DIR=cache)[0])
                first, second = in_new_process(code, NUMBA_CACHE_DIR=cache)
                warm.append(first - second)
        rows.append((f"first {estimator}, fresh cache", median(fresh), 10))
        rows.append((f"first {estimator}, warm cache, above the fit", median(warm), 1))
    return rows


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    X = load_digits().data
    with threadpool_limits(limits=options.threads):
        rows, ratios = compare(X, options.threads, options.rounds)
    print(
        f"digits {X.shape}, {X.dtype}, {options.threads} threads, medians of", end=" "
    )
    print(f"{options.rounds} rounds; fits of {ITERATIONS} iterations\n")
    print("| | ms per iteration | whole fit, s | KL, full P | trustworthiness |")
    print("|---|---|---|---|---|")
    for name, step, whole, kl, kept in rows:
        print(f"| {name} | {step:.2f} | {whole:.2f} | {kl:.3f} | {kept:.4f} |")
    print(
        f"\nan iteration {median(ratios):.0f} times faster (goal 40), by round:", end=""
    )
    print("".join(f" {ratio:.0f}" for ratio in ratios), "\n")
    print("| start-up | measured | goal, at most |")
    print("|---|---|---|")
    for what, measured, goal in start_up(options.rounds):
        print(f"| {what} | {measured:.2f} | {goal} |")


if __name__ == "__main__":
    main()
