"""ExactTSNE next to its peers: speed, memory and the quality reached.

    python -m benchmarks.tsne [--only PART ...] [--mnist PATH] [--rounds 3]

Every comparison runs both sides in turn in one process, on the same data in the same
dtype, with the same number of threads and the same perplexity.  The peers are in the
extra ``bench``.  KL is that of one full P, whatever a peer itself reports.
"""

import argparse
import contextlib
import io
import re
import tempfile
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

import skdec
from benchmarks.data import (
    accuracy,
    digits,
    full_kl,
    in_new_process,
    kept_neighbors,
    mnist,
)
from benchmarks.fast_sum import sums

SETTINGS = {"perplexity": 30.0, "random_state": 0}
LINE = re.compile(r"\((\d+) iterations in ([\d.]+)s\)")
# beyond so many rows the slower peers are left out
MOST_FOR_SLOW = 10_000
SLOW = {"scikit-learn Barnes-Hut", "openTSNE Barnes-Hut", "openTSNE FFT"}


def timed(fit):
    """Seconds of a call, what it returns, and the seconds of each iteration printed."""
    printed = io.StringIO()
    start = perf_counter()
    with contextlib.redirect_stdout(printed):
        result = fit()
    seconds = perf_counter() - start
    each = [float(s) / int(n) for n, s in LINE.findall(printed.getvalue()) if int(n)]
    return seconds, np.asarray(result), each


def row(name, seconds, X, embedding, ratio=""):
    """One line of a table."""
    kept = kept_neighbors(X, embedding)
    kl = full_kl(X, embedding)
    print(f"| {name} | {seconds:.2f} | {kl:.4f} | {kept:.4f} | {ratio} |", flush=True)
    return kl


def header(title):
    """The head of a table of fits."""
    print(f"\n**{title}**\n\n| | whole fit, s | KL, full P | neighbours kept | ratio |")
    print("|---|---|---|---|---|")


def warm_up(**settings):
    """Compile outside the clock."""
    X = digits()[:500].astype(np.float32)
    for rows in (X, X.astype(np.float64)):
        skdec.ExactTSNE(max_iter=60, **settings).fit(rows).transform(rows[:2] + 1)


def exact(options):
    """scikit-learn's exact t-SNE on digits, its 1,000 iterations."""
    X = digits()
    warm_up()
    theirs = TSNE(method="exact", verbose=2, n_jobs=options.threads, **SETTINGS)
    seconds, embedding, their_steps = timed(lambda: theirs.fit_transform(X))
    header(f"digits {X.shape}, {X.dtype}: the same iterations, and time to the same KL")
    goal = row("scikit-learn exact, 1,000 iterations", seconds, X, embedding)
    same = {"verbose": 1, "n_jobs": options.threads, **SETTINGS}
    same_iterations = skdec.ExactTSNE(tol=0, max_iter=1000, **same)
    until = skdec.ExactTSNE(callback=lambda n, kl, Y: n > 90 and kl <= goal, **same)
    for name, estimator in (("the same iterations", same_iterations),
                            ("until that KL", until),
                            ("defaults", skdec.ExactTSNE(**same))):  # fmt: skip
        runs = [
            timed(lambda e=estimator: e.fit_transform(X)) for _ in range(options.rounds)
        ]
        ours = median(run[0] for run in runs)
        title = f"ExactTSNE, {name} ({estimator.n_iter_})"
        row(title, ours, X, runs[-1][1], f"{seconds / ours:.0f}")
        if estimator is same_iterations:
            steps = [median(run[2]) for run in runs]
    ratios = [median(their_steps) / step for step in steps]
    print(
        f"\nan iteration: {1e3 * median(their_steps):.2f} ms against "
        f"{1e3 * median(steps):.3f} ms, {median(ratios):.0f} times faster (by round: "
        f"{', '.join(f'{ratio:.0f}' for ratio in ratios)})"
    )


def peers(threads):
    """Approximating peers by name, as functions of X."""
    found = {}

    def intelex(X):
        from sklearnex.manifold import TSNE as Intel

        return Intel(n_jobs=threads, **SETTINGS).fit_transform(X)

    def open_tsne(X, method):
        import openTSNE

        peer = openTSNE.TSNE(
            n_jobs=threads, negative_gradient_method=method, **SETTINGS
        )
        return peer.fit(X)

    def h2pack(X):
        from tsne_h2pack import TSNE as Hierarchical

        return Hierarchical(n_jobs=threads, **SETTINGS).fit_transform(X)

    found["scikit-learn-intelex Barnes-Hut"] = intelex
    found["tsne-h2pack"] = h2pack
    found["scikit-learn Barnes-Hut"] = lambda X: TSNE(
        n_jobs=threads, **SETTINGS
    ).fit_transform(X)
    found["openTSNE Barnes-Hut"] = lambda X: open_tsne(X, "bh")
    found["openTSNE FFT"] = lambda X: open_tsne(X, "fft")
    return found


def approximations(options):
    """The peers at their defaults on digits and MNIST."""
    warm_up()
    warm_up(affinities="neighbors", repulsion="grid")
    sets = {"digits": digits().astype(np.float32)}
    for n in (5000, 10_000, 20_000, 70_000):
        sets[f"MNIST, first {n}"] = mnist(options.mnist, n)[0]
    for name, X in sets.items():
        header(f"{name} {X.shape}, {X.dtype}")
        ours = {}
        few = len(X) <= MOST_FOR_SLOW
        for title, more in (
            ("tol=1e-3", {"tol": 1e-3}),
            ("defaults", {}),
            ("500 iterations", {"max_iter": 500, "tol": 0}),
        ):
            tsne = skdec.ExactTSNE(n_jobs=options.threads, **SETTINGS, **more)
            rounds = options.rounds if few else 1
            runs = [
                timed(lambda e=tsne, X=X: e.fit_transform(X)) for _ in range(rounds)
            ]
            ours[title] = median(run[0] for run in runs)
            row(f"ExactTSNE, {title} ({tsne.n_iter_})", ours[title], X, runs[-1][1])
        for peer, fit in peers(options.threads).items():
            if peer in SLOW and not few:
                continue
            try:
                seconds, embedding, _ = timed(lambda f=fit, X=X: f(X))
            except ImportError as error:
                print(f"| {peer} | not installed: {error} | | | |")
                continue
            ratio = ", ".join(f"{seconds / s:.2f}" for s in ours.values())
            row(peer, seconds, X, embedding, ratio)


def placing(options):
    """1,000 new rows against 10,000 fitted: openTSNE's transform."""
    import openTSNE

    X, y = mnist(options.mnist, 11_000)
    new, fitted = X[10_000:], X[:10_000]
    ours = skdec.ExactTSNE(n_jobs=options.threads, **SETTINGS).fit(fitted)
    ours.transform(new[:2])
    theirs = openTSNE.TSNE(n_jobs=options.threads, **SETTINGS).fit(fitted)
    title = "1,000 new rows of MNIST against 10,000 fitted"
    print(f"\n**{title}**\n\n| | seconds | 5-nn accuracy in the map |\n|---|---|---|")
    seconds = {}
    for name, call, map_ in (
        ("openTSNE transform", lambda: theirs.transform(new), np.asarray(theirs)),
        ("ExactTSNE.transform", lambda: ours.transform(new), ours.embedding_),
    ):
        runs = [timed(call) for _ in range(options.rounds)]
        seconds[name] = median(run[0] for run in runs)
        judge = KNeighborsClassifier(5).fit(map_, y[:10_000])
        score = judge.score(runs[-1][1], y[10_000:])
        print(f"| {name} | {seconds[name]:.2f} | {score:.3f} |", flush=True)
    theirs_s, ours_s = seconds.values()
    print(f"\n{theirs_s / ours_s:.1f} times faster")


MEMORY = """
import skdec
from benchmarks.data import mnist, peak_memory
X, _ = mnist({path!r}, {n})
skdec.ExactTSNE(max_iter=60, affinities={mode!r}).fit(X[:500])
tsne = skdec.ExactTSNE(max_iter={max_iter}, tol=0, affinities={mode!r})
print(peak_memory(lambda: tsne.fit(X))[0])
"""


def memory(options):
    """Peak resident memory of a fit beyond X."""
    print("\n**memory beyond X**\n\n| affinities | n | MB | bytes / n² |")
    print("|---|---|---|---|")
    for mode, n in (("exact", 10_000), ("exact", 20_000), ("neighbors", 70_000)):
        code = MEMORY.format(path=options.mnist, n=n, mode=mode, max_iter=5)
        (peak,) = in_new_process(code)
        print(f"| {mode} | {n:,} | {peak / 1e6:.0f} | {peak / n**2:.2f} |", flush=True)


def growth(options):
    """The cost of a pair as n grows."""
    warm_up()
    print("\n**cost of a pair**\n\n| n | ms per iteration | ns per ordered pair |")
    print("|---|---|---|")
    for n in (1000, 2000, 5000, 10_000, 20_000):
        X = np.random.default_rng(0).normal(size=(n, 10)).astype(np.float32)
        tsne = skdec.ExactTSNE(
            max_iter=200, tol=0, verbose=1, n_jobs=options.threads,
            affinities="exact", **SETTINGS,
        )  # fmt: skip
        step = median(timed(lambda e=tsne, X=X: e.fit_transform(X))[2])
        print(f"| {n:,} | {1e3 * step:.2f} | {1e9 * step / n**2:.3f} |", flush=True)


def whole(options):
    """All 70,000 rows of MNIST, and clusters of its map without a label."""
    X, y = mnist(options.mnist)
    warm_up(affinities="neighbors")
    print(f"\n**MNIST {X.shape}, affinities='neighbors'**\n")
    print(
        "| | iterations | fit, s | KL on its P | mass left out | clusters | accuracy |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, more in (
        ("late exaggeration 4", {"exaggeration": 4.0, "max_iter": 400}),
        ("plain", {"max_iter": 500, "tol": 0}),
    ):
        tsne = skdec.ExactTSNE(
            affinities="neighbors", n_jobs=options.threads, **SETTINGS, **more
        )
        seconds, embedding, _ = timed(lambda e=tsne: e.fit_transform(X))
        clusters = GaussianMixture(10, n_init=5, random_state=0)
        found = accuracy(clusters.fit_predict(embedding), y)
        print(
            f"| {name} | {tsne.n_iter_} | {seconds:.0f} | {tsne.kl_divergence_:.3f} | "
            f"{tsne.truncated_mass_:.3f} | GaussianMixture(10), full | {found:.3f} |",
            flush=True,
        )


LARGE = """
import contextlib, io, re
from time import perf_counter
from skdec import ExactTSNE
from benchmarks.data import gaussians, peak_memory
X, _ = gaussians({n})
# compiled outside the clock
ExactTSNE(max_iter=60, affinities="neighbors", repulsion="grid").fit(X[:3000])
tsne = ExactTSNE(max_iter=500, tol=0, affinities="neighbors", verbose=1)
printed, start = io.StringIO(), perf_counter()
with contextlib.redirect_stdout(printed):
    peak, before = peak_memory(lambda: tsne.fit(X))
whole = perf_counter() - start
neighbors = float(re.search(r"neighbors for .* in ([0-9.]+)s", printed.getvalue())[1])
steps = [float(s) for s in re.findall(r"iterations in ([0-9.]+)s", printed.getvalue())]
print(whole, neighbors, sum(steps), steps[-1], tsne.kl_divergence_,
      tsne.neighbor_recall_, peak + X.nbytes)
"""


def large(options):
    """Mixtures of 50 Gaussians in 50 dimensions, up to a million rows."""
    print("\n**n × 50, 500 iterations**\n")
    print(
        "| n | whole fit, s | neighbours, s | recall | iterations, s | the last 50: "
        "µs per point and iteration | KL | peak memory with X, GB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for n in options.sizes:
        whole, found, steps, last, kl, recall, peak = in_new_process(LARGE.format(n=n))
        each = 1e6 * last / 50 / n
        print(
            f"| {n:,} | {whole:.0f} | {found:.0f} | {recall:.3f} | {steps:.0f} | "
            f"{each:.3f} | {kl:.3f} | {peak / 1e9:.2f} |",
            flush=True,
        )


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


def start_up(options):
    """Seconds of importing and of the first fits."""
    imports = [in_new_process(IMPORT) for _ in range(2 * options.rounds)]
    print("\n| start-up | measured | goal, at most |\n|---|---|---|")
    rows = [
        ("import skdec, after sklearn and numba", median(i[0] for i in imports), 0.3),
        ("kernels compiled by the import", max(i[1] for i in imports), 0),
    ]
    for estimator in ("ExactTSNE(max_iter=250)", "StudentTClustering(10)"):
        fresh, warm = [], []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as cache:
                code = FIT.format(estimator)
                fresh.append(in_new_process(code, NUMBA_CACHE_DIR=cache)[0])
                first, second = in_new_process(code, NUMBA_CACHE_DIR=cache)
                warm.append(first - second)
        rows.append((f"first {estimator}, fresh cache", median(fresh), 10))
        rows.append((f"first {estimator}, warm cache, above the fit", median(warm), 1))
    for what, measured, goal in rows:
        print(f"| {what} | {measured:.2f} | {goal} |", flush=True)


PARTS = {
    "exact": exact,
    "approximations": approximations,
    "placing": placing,
    "memory": memory,
    "growth": growth,
    "whole": whole,
    "sums": sums,
    "large": large,
    "start_up": start_up,
}


def main():
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--mnist", help="an .npz with X and y; else it is downloaded")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    sizes = 20_000, 70_000, 1_000_000
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="of large")
    options = parser.parse_args()
    with threadpool_limits(limits=options.threads):
        for part in options.only:
            PARTS[part](options)


if __name__ == "__main__":
    main()
