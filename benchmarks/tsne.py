"""ExactTSNE next to its peers: speed and the quality reached.

Every comparison runs both sides in turn in one process, on the same data in the same
dtype, with the same number of threads and the same perplexity.  KL is that of one full
P, whatever a peer itself reports.
"""

import contextlib
import io
import re
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

import skdec
from benchmarks.data import accuracy, digits, full_kl, kept_neighbors, mnist
from benchmarks.tables import Column, Table

SETTINGS = {"perplexity": 30.0, "random_state": 0}
LINE = re.compile(r"\((\d+) iterations in ([\d.]+)s\b")
# beyond so many rows the slower peers are left out
MOST_FOR_SLOW = 10_000
# where the rounds of a peer differ by more than this, the table tells all of them
UNEVEN = 1.5
ROUNDS = 3


def timed(fit):
    """Seconds of a call, what it returns, and the seconds of each iteration printed."""
    printed = io.StringIO()
    start = perf_counter()
    with contextlib.redirect_stdout(printed):
        result = fit()
    seconds = perf_counter() - start
    each = [float(s) / int(n) for n, s in LINE.findall(printed.getvalue()) if int(n)]
    return seconds, np.asarray(result), each


def warm_up(**settings):
    """Compile outside the clock."""
    X = digits()[:500].astype(np.float32)
    for rows in (X, X.astype(np.float64)):
        skdec.ExactTSNE(max_iter=60, **settings).fit(rows).transform(rows[:2] + 1)


def of_fits(name, title, *ratios):
    """The table of fits, without a row."""
    columns = (
        Column("method"),
        Column("iterations"),
        Column("whole fit", "s", "{:.2f}"),
        Column("KL, full P", "", "{:.4f}"),
        Column("neighbours kept", "", "{:.4f}"),
        *(Column(ratio, "", "{:.2f}") for ratio in ratios),
    )
    return Table(name, title, columns)


def judged(X, embedding):
    """KL, and the share of neighbours kept."""
    return full_kl(X, embedding), kept_neighbors(X, embedding)


# ---------------------------------------------------------------- the exact gradient
def exact(options):
    """scikit-learn's exact t-SNE on digits: the same iterations, and to the same KL."""
    X = digits()[: 300 if options.small else None]
    warm_up()
    theirs = TSNE(method="exact", verbose=2, n_jobs=options.threads,
                  max_iter=300 if options.small else 1000, **SETTINGS)  # fmt: skip
    seconds, embedding, their_steps = timed(lambda: theirs.fit_transform(X))
    goal, kept = judged(X, embedding)
    title = f"digits {X.shape}, {X.dtype}: the same iterations, and time to the same KL"
    table = of_fits("digits", title, "times ours")
    table = table.plus("scikit-learn exact", theirs.max_iter, seconds, goal, kept, None)
    yield table
    same = {"verbose": 1, "n_jobs": options.threads, **SETTINGS}
    same_iterations = skdec.ExactTSNE(tol=0, max_iter=theirs.max_iter, **same)
    until = skdec.ExactTSNE(callback=lambda n, kl, Y: n > 90 and kl <= goal, **same)
    for name, estimator in (("the same iterations", same_iterations),
                            ("until that KL", until),
                            ("defaults", skdec.ExactTSNE(**same))):  # fmt: skip
        runs = [
            timed(lambda e=estimator: e.fit_transform(X))
            for _ in range(options.rounds or ROUNDS)
        ]
        ours = median(run[0] for run in runs)
        found = judged(X, runs[-1][1])
        table = table.plus(
            f"ExactTSNE, {name}", estimator.n_iter_, ours, *found, seconds / ours
        )
        yield table
        if estimator is same_iterations:
            steps = [median(run[2]) for run in runs]
    yield of_iterations(median(their_steps), steps)


def of_iterations(theirs, ours):
    """The table of seconds of an iteration: theirs, and ours in each round."""
    columns = (
        Column("scikit-learn exact", "ms", "{:.2f}"),
        Column("ExactTSNE", "ms", "{:.3f}"),
        Column("times faster", "", "{:.0f}"),
        Column("by round", "", ", ".join(["{:.0f}"] * len(ours))),
    )
    ratios = [theirs / step for step in ours]
    table = Table("iteration", "one iteration", columns)
    return table.plus(1e3 * theirs, 1e3 * median(ours), median(ratios), ratios)


# ------------------------------------------------------------ the approximating peers
def intelex(threads):
    """scikit-learn-intelex."""
    from sklearnex.manifold import TSNE as Intel

    return Intel(n_jobs=threads, **SETTINGS).fit_transform


def h2pack(threads):
    """tsne-h2pack."""
    from tsne_h2pack import TSNE as Hierarchical

    return Hierarchical(n_jobs=threads, **SETTINGS).fit_transform


def barnes_hut(threads):
    """scikit-learn."""
    return TSNE(n_jobs=threads, **SETTINGS).fit_transform


def open_tsne(method):
    """openTSNE by one of its methods."""

    def made(threads):
        import openTSNE

        return openTSNE.TSNE(
            n_jobs=threads, negative_gradient_method=method, **SETTINGS
        ).fit

    return made


# by name: a function of the number of threads that gives one of X
PEERS = {
    "scikit-learn-intelex Barnes-Hut": intelex,
    "tsne-h2pack": h2pack,
    "scikit-learn Barnes-Hut": barnes_hut,
    "openTSNE Barnes-Hut": open_tsne("bh"),
    "openTSNE FFT": open_tsne("fft"),
}
SLOW = {"scikit-learn Barnes-Hut", "openTSNE Barnes-Hut", "openTSNE FFT"}
OURS = {
    "tol=1e-3": {"tol": 1e-3},
    "defaults": {},
    "500 iterations": {"max_iter": 500, "tol": 0},
}


def approximations(options):
    """The peers at their defaults on digits and MNIST."""
    warm_up()
    warm_up(affinities="neighbors", repulsion="grid")
    few = digits()[: 400 if options.small else None].astype(np.float32)
    yield from side_by_side("digits", few, options)
    if not options.small:
        for n in (5000, 10_000, 20_000, 70_000):
            X, _ = mnist(options.mnist, n)
            yield from side_by_side(f"MNIST, first {n}", X, options)


def slow_peers(options):
    """Those that ``approximations`` leaves out of many rows, in one round each."""
    warm_up()
    warm_up(affinities="neighbors", repulsion="grid")
    for n in (1000,) if options.small else (20_000, 70_000):
        X, _ = mnist(options.mnist, n)
        peers = [peer for peer in reversed(PEERS) if peer in SLOW]
        yield from side_by_side(f"MNIST, first {n}", X, options, peers)


def side_by_side(name, X, options, peers=None):
    """The table of one set: ours, then each peer and its time over each of ours."""
    ratios = [f"times {title}" for title in OURS]
    table = of_fits(name, f"{name} {X.shape}, {X.dtype}", *ratios)
    few, ours = len(X) <= MOST_FOR_SLOW, []
    for title, more in OURS.items():
        tsne = skdec.ExactTSNE(n_jobs=options.threads, **SETTINGS, **more)
        rounds = (options.rounds or ROUNDS) if few else 1
        runs = [timed(lambda e=tsne: e.fit_transform(X)) for _ in range(rounds)]
        ours.append(median(run[0] for run in runs))
        found = judged(X, runs[-1][1])
        table = table.plus(
            f"ExactTSNE, {title}", tsne.n_iter_, ours[-1], *found, *(None,) * len(OURS)
        )
        yield table
    if peers is None:
        peers = [peer for peer in PEERS if few or peer not in SLOW]
    for peer in peers:
        try:
            fit = PEERS[peer](options.threads)
        except ImportError as error:
            table = table.noted(f"Left out, not installed: {peer} ({error}).")
        else:
            rounds = (options.rounds or ROUNDS) if few and peer not in SLOW else 1
            runs = [timed(lambda f=fit: f(X)) for _ in range(rounds)]
            took = sorted(run[0] for run in runs)
            times = [median(took) / s for s in ours]
            found = judged(X, runs[-1][1])
            table = table.plus(peer, None, median(took), *found, *times)
            if took[-1] > UNEVEN * took[0]:
                all_of_them = ", ".join(f"{s:.1f}" for s in took)
                table = table.noted(f"{peer} took {all_of_them} s in its rounds.")
        yield table


# ------------------------------------------------------------------------- one by one
def placing(options):
    """1,000 new rows against 10,000 fitted: openTSNE's transform."""
    import openTSNE

    n, n_new = (500, 50) if options.small else (10_000, 1_000)
    X, y = mnist(options.mnist, n + n_new)
    new, fitted = X[n:], X[:n]
    ours = skdec.ExactTSNE(n_jobs=options.threads, **SETTINGS).fit(fitted)
    ours.transform(new[:2])
    theirs = openTSNE.TSNE(n_jobs=options.threads, **SETTINGS).fit(fitted)
    columns = (
        Column("method"),
        Column("time", "s", "{:.2f}"),
        Column("5-nn accuracy in the map", "", "{:.3f}"),
        Column("times ours", "", "{:.1f}"),
    )
    title = f"{n_new:,} new rows of MNIST against {n:,} fitted"
    table, rows, rounds = Table("placing", title, columns), [], options.rounds or ROUNDS
    for name, call, map_ in (
        ("ExactTSNE.transform", lambda: ours.transform(new), ours.embedding_),
        ("openTSNE transform", lambda: theirs.transform(new), np.asarray(theirs)),
    ):
        runs = [timed(call) for _ in range(rounds)]
        rows.append(median(run[0] for run in runs))
        judge = KNeighborsClassifier(5).fit(map_, y[:n])
        ratio = rows[-1] / rows[0] if len(rows) > 1 else None
        table = table.plus(name, rows[-1], judge.score(runs[-1][1], y[n:]), ratio)
        yield table


def growth(options):
    """The cost of a pair as n grows."""
    warm_up()
    columns = (
        Column("n", "", "{:,}"),
        Column("an iteration", "ms", "{:.2f}"),
        Column("an ordered pair", "ns", "{:.3f}"),
    )
    table = Table("growth", "cost of a pair, affinities='exact'", columns)
    for n in (500, 1000) if options.small else (1000, 2000, 5000, 10_000, 20_000):
        X = np.random.default_rng(0).normal(size=(n, 10)).astype(np.float32)
        tsne = skdec.ExactTSNE(
            max_iter=200, tol=0, verbose=1, n_jobs=options.threads,
            affinities="exact", **SETTINGS,
        )  # fmt: skip
        step = median(timed(lambda e=tsne, X=X: e.fit_transform(X))[2])
        table = table.plus(n, 1e3 * step, 1e9 * step / n**2)
        yield table


def whole(options):
    """All 70,000 rows of MNIST, and clusters of its map without a label."""
    X, y = mnist(options.mnist, 2000 if options.small else 70_000)
    warm_up(affinities="neighbors")
    columns = (
        Column("exaggeration", "", "{:.0f}"),
        Column("perplexity", "", "{:.0f}"),
        Column("iterations"),
        Column("fit", "s", "{:.0f}"),
        Column("KL on its P", "", "{:.3f}"),
        Column("mass left out", "", "{:.3f}"),
        Column("clusters"),
        Column("accuracy", "", "{:.3f}"),
    )
    table = Table("whole", f"MNIST {X.shape}, affinities='neighbors'", columns)
    clusterers = {
        "GaussianMixture(10), full": GaussianMixture(10, n_init=5, random_state=0),
        "StudentTClustering(10)": skdec.StudentTClustering(10, random_state=0),
    }
    exaggerated = [(4.0, perplexity, 400, 3e-3) for perplexity in (10, 15, 20, 30)]
    plain = [(1.0, 30, 500, 0.0), (1.0, 30, 1000, 3e-3)]
    for exaggeration, perplexity, max_iter, tol in exaggerated + plain:
        tsne = skdec.ExactTSNE(
            affinities="neighbors", perplexity=perplexity, exaggeration=exaggeration,
            max_iter=max_iter, tol=tol, n_jobs=options.threads, random_state=0,
        )  # fmt: skip
        seconds, embedding, _ = timed(lambda e=tsne: e.fit_transform(X))
        known = tsne.n_iter_, seconds, tsne.kl_divergence_, tsne.truncated_mass_
        for clusterer, model in clusterers.items():
            found = accuracy(model.fit_predict(embedding), y)
            table = table.plus(exaggeration, perplexity, *known, clusterer, found)
            yield table
