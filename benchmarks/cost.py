"""What ExactTSNE costs: memory, fits and new rows up to a million, first calls."""

import tempfile
from statistics import median

from benchmarks.clock import in_new_process
from benchmarks.tables import Column, Table

ROUNDS = 3

MEMORY = """
import skdec
from benchmarks.clock import peak_memory
from benchmarks.data import mnist
X, _ = mnist({path!r}, {n})
skdec.ExactTSNE(max_iter=60, affinities={mode!r}).fit(X[:500])
tsne = skdec.ExactTSNE(max_iter={max_iter}, tol=0, affinities={mode!r})
print(peak_memory(lambda: tsne.fit(X))[0])
"""


def memory(options):
    """Peak resident memory of a fit beyond X."""
    columns = (
        Column("affinities"),
        Column("n", "", "{:,}"),
        Column("memory", "MB", "{:.0f}"),
        Column("bytes / n²", "", "{:.2f}"),
    )
    table = Table("memory", "memory beyond X", columns)
    cases = ("exact", 10_000), ("exact", 20_000), ("neighbors", 70_000)
    for mode, n in (("exact", 2000), ("neighbors", 4000)) if options.small else cases:
        code = MEMORY.format(path=options.mnist, n=n, mode=mode, max_iter=5)
        (peak,) = in_new_process(code)
        table = table.plus(mode, n, peak / 1e6, peak / n**2)
        yield table


LARGE = """
import contextlib, re
from time import perf_counter
from skdec import ExactTSNE
from benchmarks.clock import peak_memory
from benchmarks.data import gaussians
class Lines(list):
    last, silence = perf_counter(), 0.0
    def write(self, text):
        now = perf_counter()
        self.silence, self.last = max(self.silence, now - self.last), now
        self.append(text)
    def flush(self):
        pass
X, _ = gaussians({n})
# compiled outside the clock
ExactTSNE(max_iter=60, affinities="neighbors", repulsion="grid").fit(X[:3000])
tsne = ExactTSNE(max_iter=500, tol=0, affinities="neighbors", verbose=1)
lines = Lines()
start = lines.last = perf_counter()
with contextlib.redirect_stdout(lines):
    peak, before = peak_memory(lambda: tsne.fit(X))
    lines.write("")
whole, text = perf_counter() - start, "".join(lines)
neighbors = float(re.search(r"neighbors for .* in ([0-9.]+)s", text)[1])
affinities = float(re.search(r"probabilities for .* in ([0-9.]+)s", text)[1])
steps = [float(s) for s in re.findall(r"iterations in ([0-9.]+)s", text)]
print(whole, neighbors, affinities, sum(steps), steps[-1], tsne.kl_divergence_,
      tsne.neighbor_recall_, peak + X.nbytes, lines.silence)
"""


def large(options):
    """500 iterations on 50 Gaussians, up to a million rows of 50 features."""
    columns = (
        Column("n", "", "{:,}"),
        Column("whole fit", "s", "{:.0f}"),
        Column("neighbours", "s", "{:.0f}"),
        Column("recall", "", "{:.3f}"),
        Column("affinities", "s", "{:.1f}"),
        Column("iterations", "s", "{:.0f}"),
        Column("the last 50", "µs per point and iteration", "{:.3f}"),
        Column("KL", "", "{:.3f}"),
        Column("peak memory with X", "GB", "{:.2f}"),
        Column("longest silence at verbose=1", "s", "{:.1f}"),
    )
    table = Table("large", "n × 50, 500 iterations", columns)
    usual = (4000,) if options.small else (20_000, 200_000, 1_000_000)
    for n in options.sizes or usual:
        (whole, found, affinities, steps, last, kl, recall, peak,
         silence) = in_new_process(LARGE.format(n=n))  # fmt: skip
        each = 1e6 * last / 50 / n
        table = table.plus(
            n, whole, found, recall, affinities, steps, each, kl, peak / 1e9, silence
        )
        yield table


SETTLING = """
from time import perf_counter
from skdec import ExactTSNE
from benchmarks.data import gaussians
X, _ = gaussians({n})
# compiled outside the clock
ExactTSNE(max_iter=60, affinities="neighbors", repulsion="grid").fit(X[:3000])
tsne = ExactTSNE(max_iter=10_000, random_state=0, n_jobs={threads})
start = perf_counter()
tsne.fit(X)
seconds = perf_counter() - start
kl = dict(zip(tsne.history_["n_iter"], tsne.history_["kl_divergence"]))
print(tsne.n_iter_, int(tsne.converged_), seconds,
      *(kl.get(n_iter, float("nan")) for n_iter in {marks}), tsne.kl_divergence_)
"""

MARKS = 300, 500, 750, 1000, 1500


def settling(options):
    """Fits at the defaults until they settle, of the rows of ``large``."""
    columns = (
        Column("n", "", "{:,}"),
        Column("iterations", "", "{:.0f}"),
        Column("settled"),
        Column("whole fit", "s", "{:.0f}"),
        *(Column(f"KL at {n_iter:,}", "", "{:.3f}") for n_iter in MARKS),
        Column("KL at the end", "", "{:.3f}"),
    )
    table = Table("settling", "n × 50, until tol is reached", columns)
    usual = (4000,) if options.small else (20_000, 200_000, 1_000_000)
    for n in options.sizes or usual:
        code = SETTLING.format(n=n, threads=options.threads, marks=MARKS)
        n_iter, settled, seconds, *kl = in_new_process(code)
        kl = [None if value != value else value for value in kl]
        table = table.plus(n, n_iter, "yes" if settled else "no", seconds, *kl)
        yield table


STARTS = """
from time import perf_counter
import numpy as np
from benchmarks.data import gaussians
from skdec.kernels.types import Bandwidths
from skdec.tsne._affinities import graph_affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._initialization import principal_components, random_start, spectral
from skdec.utils.threads import Threads
def seconds(call):
    start = perf_counter()
    call()
    return perf_counter() - start
def of(X):
    perplexity = Bandwidths(np.array([30.0]), np.nan)
    with Threads({threads}, hold_blas=True) as threads:
        distances = SquaredDistances(X)
        found = distances.nearest(90, threads)
        P = graph_affinities(found, perplexity, True, np.float32, threads).P
        for call in (
            lambda: random_start((len(X), 2), np.random.RandomState(0)),
            lambda: principal_components(X, 2, 0),
            lambda: spectral(P, 2, 0),
        ):
            yield seconds(call)
X, _ = gaussians({n})
list(of(X[:2000]))  # compiled outside the clock
print(*of(X))
"""


def starts(options):
    """Seconds of each start, of the rows of ``large``."""
    columns = (
        Column("n", "", "{:,}"),
        Column("random", "s", "{:.2f}"),
        Column("principal components", "s", "{:.2f}"),
        Column("spectral", "s", "{:.1f}"),
    )
    table = Table("starts", "starts, n × 50", columns)
    usual = (4000,) if options.small else (20_000, 200_000, 1_000_000)
    for n in options.sizes or usual:
        code = STARTS.format(n=n, threads=options.threads)
        yield (table := table.plus(n, *in_new_process(code)))


NEW_ROWS = """
import pickle
from statistics import median
from time import perf_counter
import numpy as np
from skdec import ExactTSNE
from benchmarks.data import gaussians
X, labels = gaussians({n} + {n_new})
new, X, labels = X[{n}:], X[:{n}], labels[:{n}]
# a map without a descent: of each cluster a heap, as wide as maps of so many become
rng, reach = np.random.default_rng(0), 70 * ({n} / 1e4) ** 0.28
heaps = np.array([X[labels == c, :2].mean(axis=0) for c in range(labels.max() + 1)])
Y = reach * rng.uniform(-1, 1, heaps.shape)[labels]
Y += reach / 40 * (X[:, :2] - heaps[labels])
tsne = ExactTSNE(init=Y, affinities="neighbors", n_jobs={threads})
tsne.fit(X, fixed=np.ones(len(X), bool))
def seconds(rows):
    start = perf_counter()
    tsne.transform(rows)
    return perf_counter() - start
first = seconds(new[:1])
one = median(seconds(new[i : i + 1]) for i in range(20))
all_of_them = median(seconds(new) for _ in range({rounds}))
print(tsne.neighbor_recall_, first, 1e3 * one, all_of_them)
print(len(pickle.dumps(tsne)) / X.nbytes)
"""


def new_rows(options):
    """New rows in maps of 50 Gaussians, of up to a million rows of 50 features."""
    n_new, usual = 1000, (10_000, 100_000, 400_000, 1_000_000)
    if options.small:
        n_new, usual = 50, (4000,)
    columns = (
        Column("n", "", "{:,}"),
        Column("recall of the search", "", "{:.3f}"),
        Column("first call", "s", "{:.1f}"),
        Column("1 row", "ms", "{:.1f}"),
        Column(f"{n_new:,} rows", "s", "{:.2f}"),
        Column("pickle over X", "", "{:.1f}"),
    )
    table = Table("new_rows", "transform, n × 50 fitted", columns)
    rounds = options.rounds or ROUNDS
    for n in options.sizes or usual:
        code = NEW_ROWS.format(n=n, n_new=n_new, threads=options.threads, rounds=rounds)
        yield (table := table.plus(n, *in_new_process(code)))


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

# the last as of many rows
FIRST_FITS = (
    "ExactTSNE(max_iter=250)",
    "StudentTClustering(10)",
    'ExactTSNE(max_iter=250, affinities="neighbors", repulsion="grid")',
)


def start_up(options):
    """Seconds of importing and of the first fits."""
    rounds = 1 if options.small else options.rounds or ROUNDS
    columns = (
        Column("what"),
        Column("measured", "", "{:.2f}"),
        Column("goal, at most"),
    )
    table = Table("start-up", "start-up, seconds", columns)
    imports = [in_new_process(IMPORT) for _ in range(2 * rounds)]
    seconds, compiled = median(i[0] for i in imports), max(i[1] for i in imports)
    table = table.plus("import skdec, after sklearn and numba", seconds, 0.3)
    table = table.plus("kernels compiled by the import", compiled, 0)
    yield table
    for estimator in FIRST_FITS:
        fresh, warm = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as cache:
                code = FIT.format(estimator)
                fresh.append(in_new_process(code, NUMBA_CACHE_DIR=cache)[0])
                first, second = in_new_process(code, NUMBA_CACHE_DIR=cache)
                warm.append(first - second)
        table = table.plus(f"first {estimator}, fresh cache", median(fresh), 10)
        above = f"first {estimator}, warm cache, above the fit"
        table = table.plus(above, median(warm), 1)
        yield table
