"""ExactTSNE next to scikit-learn's exact t-SNE, and the cost of starting up.

    python -m benchmarks.tsne [--rounds 3] [--threads 2]

Both sides run in turn in one process, on the same data in the same dtype, with the same
number of threads, iterations, initialisation, perplexity and learning rate.  An
iteration's time is the difference of two fits of different length, so that the
affinities and the initialisation, which both fits share, drop out.
"""

import argparse
import os
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

# scikit-learn takes no fewer than 250
SHORT, LONG = 250, 350
# short fits are repeated within a round: their difference is a fraction of a second
REPEATS = {"scikit-learn exact": 1, "ExactTSNE": 9}
SETTINGS = {"perplexity": 30.0, "init": "pca", "random_state": 0}


def full_kl(X, embedding):
    """KL over all pairs, on the one full P of the data."""
    P = skdec.joint_affinities(skdec.conditional_affinities(X))
    return skdec.embedding_loss(np.asarray(embedding, dtype=np.float64), P)[0]


def timed(make, X, max_iter):
    """Seconds of a fit, and its embedding."""
    estimator = make(max_iter)
    start = perf_counter()
    embedding = estimator.fit_transform(X)
    return perf_counter() - start, embedding


def compare(X, threads, rounds):
    """Rows of (name, ms per iteration, whole fit, KL, trustworthiness) and ratios."""
    makers = {
        "scikit-learn exact": lambda m: TSNE(
            method="exact", max_iter=m, n_jobs=threads, **SETTINGS
        ),
        "ExactTSNE": lambda m: skdec.ExactTSNE(max_iter=m, n_jobs=threads, **SETTINGS),
    }
    makers["ExactTSNE"](1).fit(X)  # compile outside the clock
    iteration = {name: [] for name in makers}
    whole = {name: [] for name in makers}
    embedding = {}
    for _ in range(rounds):
        for name, make in makers.items():
            short, long = [], []
            for _ in range(REPEATS[name]):
                short.append(timed(make, X, SHORT)[0])
                seconds, embedding[name] = timed(make, X, LONG)
                long.append(seconds)
            iteration[name].append((median(long) - median(short)) / (LONG - SHORT))
            whole[name].append(median(long))
    rows = [
        (
            name,
            1e3 * median(iteration[name]),
            median(whole[name]),
            full_kl(X, embedding[name]),
            trustworthiness(X, embedding[name], n_neighbors=12),
        )
        for name in makers
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
    print(f"{options.rounds} rounds; fits of {LONG} iterations\n")
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
