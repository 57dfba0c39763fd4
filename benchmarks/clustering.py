"""StudentTClustering next to its peers: speed and memory.

Every comparison runs both sides in turn in one process, on the same data in the same
dtype, with the same number of threads.  The peers are scikit-learn and, in the extra
``bench``, torch.
"""

import warnings
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.cluster import KMeans
from sklearn.cluster._kmeans import lloyd_iter_chunked_dense
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from benchmarks.clock import in_new_process, milliseconds
from benchmarks.tables import Column, Table
from skdec import StudentTClustering
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights

SIZES = ((200_000, 10, 10), (200_000, 50, 20), (50_000, 64, 10))
DTYPES = (np.float32, np.float64)
ROUNDS = 5


def sizes(options):
    """n, d and k of the sets that are timed."""
    return ((5000, 10, 10),) if options.small else SIZES


def shown(*size):
    """Sizes as text."""
    return ", ".join(f"{n:,}" for n in size)


def data(n, d, k, dtype):
    """Rows around k centres, and those centres."""
    rng = np.random.default_rng(0)
    centers = 2 * rng.normal(size=(k, d))
    X = centers[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    return X.astype(dtype), centers.astype(dtype)


# ------------------------------------------------------------------ one step of each
def lloyd_step(X, centers, threads):
    """The loop of scikit-learn's KMeans, as it calls it itself."""
    weight, labels = np.ones(len(X), X.dtype), np.zeros(len(X), np.int32)
    new, mass, shift = np.zeros_like(centers), *np.zeros((2, len(centers)), X.dtype)

    # like ours it runs with BLAS held to one thread, see steps()
    return lambda: lloyd_iter_chunked_dense(
        X, weight, centers, new, mass, labels, shift, threads
    )


def torch_step(X, centers, threads):
    """q, p, KL and ∂KL/∂μ by autograd."""
    import torch

    torch.set_num_threads(threads)
    Z, start = torch.from_numpy(X), torch.from_numpy(centers)

    def step():
        mu = start.clone().requires_grad_()
        q = 1 / (1 + torch.cdist(Z, mu, compute_mode="use_mm_for_euclid_dist") ** 2)
        q = q / q.sum(1, keepdim=True)
        p = (q**2 / q.sum(0)).detach()
        p = p / p.sum(1, keepdim=True)
        (p * (p / q).log()).sum().backward()
        return mu.grad

    return step


def mixture_step(X, centers, threads):
    """Milliseconds of an EM step: of six of them, less one, by five."""

    def fit(n_steps):
        mixture = GaussianMixture(
            len(centers), covariance_type="spherical", max_iter=n_steps, tol=0,
            means_init=centers, weights_init=np.full(len(centers), 1 / len(centers)),
            precisions_init=np.ones(len(centers)),
        )  # fmt: skip
        start = perf_counter()
        mixture.fit(X)
        return perf_counter() - start

    with warnings.catch_warnings(), threadpool_limits(threads):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return 1e3 * max((fit(6) - fit(1)) / 5, 0)


def our_steps(X, centers, threads):
    """A step of ours, without KL and with it."""
    frame = scale_rows(X, centers, 0.9, by_products=True)
    objective = ClusteringObjective(
        frame, Weights(np.ones(len(X), X.dtype)), 1.0, threads
    )
    labels = np.zeros(len(X), np.int32)
    mu, f = frame.to_internal(centers), np.ones(len(centers))
    return {
        "ours": lambda: objective.sums(mu, mu, f, labels=labels),
        "kl": lambda: objective.sums(mu, mu, f, labels=labels, judged=True),
    }


def steps(options):
    """One iteration on large data, next to KMeans, autograd and a mixture."""
    columns = (
        Column("n, d, k"),
        Column("dtype"),
        Column("StudentTClustering", "ms", "{:.2f}"),
        Column("with KL", "ms", "{:.2f}"),
        Column("KMeans", "ms", "{:.2f}"),
        Column("torch autograd", "ms", "{:.0f}"),
        Column("GaussianMixture", "ms", "{:.0f}"),
        Column("ours / KMeans", "", "{:.2f}"),
        Column("torch / ours", "", "{:.1f}"),
        Column("mixture / ours", "", "{:.1f}"),
    )
    table, rounds = Table("steps", "one iteration", columns), options.rounds or ROUNDS
    if find_spec("torch") is None:
        table = table.noted("Left out, not installed: torch.")
    for dtype in DTYPES:
        for size in sizes(options):
            X, centers = data(*size, dtype)
            with Threads(options.threads, hold_blas=True) as threads:
                calls = our_steps(X, centers, threads)
                calls["lloyd"] = lloyd_step(X, centers, options.threads)
                ms = milliseconds(calls, rounds, 10)
            ours, torch_ms = ms["ours"], None
            if find_spec("torch") is not None:
                step = torch_step(X, centers, options.threads)
                torch_ms = milliseconds({"torch": step}, rounds, 3)["torch"]
            em = median(
                mixture_step(X, centers, options.threads) for _ in range(rounds)
            )
            table = table.plus(
                shown(*size), str(X.dtype), ours, ms["kl"], ms["lloyd"], torch_ms, em,
                ours / ms["lloyd"], torch_ms and torch_ms / ours, em / ours,
            )  # fmt: skip
            yield table


def predictions(options):
    """Labels and memberships of a million rows."""
    n = 20_000 if options.small else 1_000_000
    columns = (
        Column("dtype"),
        Column("predict", "ms", "{:.0f}"),
        Column("predict_proba", "ms", "{:.0f}"),
        Column("KMeans.predict", "ms", "{:.0f}"),
        Column("ours / KMeans", "", "{:.2f}"),
    )
    table = Table("predictions", f"{n:,} x 10, k = 10", columns)
    for dtype in DTYPES:
        X, centers = data(n, 10, 10, dtype)
        ours = StudentTClustering(10, init=centers, n_jobs=options.threads)
        ours.fit(X[:10_000])
        peer = KMeans(10, init=centers, n_init=1).fit(X[:10_000])
        ms = milliseconds(
            {"predict": lambda m=ours, X=X: m.predict(X),
             "proba": lambda m=ours, X=X: m.predict_proba(X),
             "kmeans": lambda m=peer, X=X: m.predict(X)},
            2 * (options.rounds or ROUNDS),
        )  # fmt: skip
        ratio = ms["predict"] / ms["kmeans"]
        table = table.plus(str(X.dtype), *ms.values(), ratio)
        yield table


def whole(options):
    """Whole fits with as many starts, and at the defaults."""
    columns = (
        Column("data"),
        Column("StudentTClustering", "ms", "{:.0f}"),
        Column("KMeans", "ms", "{:.0f}"),
        Column("ours / KMeans", "", "{:.2f}"),
        Column("at the defaults", "ms", "{:.0f}"),
    )
    table = Table("whole", "whole fit, 10 starts", columns)
    sets = {"digits": (load_digits().data, 10), "iris": (load_iris().data, 3)}
    for n, d, k in sizes(options)[:2]:
        sets[f"{n:,} x {d}, float32"] = data(n, d, k, np.float32)[0], k
    for name, (X, k) in sets.items():
        ms = milliseconds(
            {"ours": lambda X=X, k=k: StudentTClustering(
                k, n_init=10, random_state=0, n_jobs=options.threads).fit(X),
             "kmeans": lambda X=X, k=k: KMeans(k, n_init=10, random_state=0).fit(X),
             "defaults": lambda X=X, k=k: StudentTClustering(
                k, random_state=0, n_jobs=options.threads).fit(X)},
            (options.rounds or ROUNDS) if len(X) < 10_000 else 1,
        )  # fmt: skip
        ratio = ms["ours"] / ms["kmeans"]
        table = table.plus(name, ms["ours"], ms["kmeans"], ratio, ms["defaults"])
        yield table


MEMORY = """
import numpy as np
from scipy import sparse
from benchmarks.clustering import data
from benchmarks.clock import peak_memory
from skdec import StudentTClustering
import sklearn.cluster
n, d, k, dtype = {n}, {d}, {k}, np.{dtype}
if {density}:
    rng, per_row = np.random.default_rng(0), int({density} * d)
    where = np.repeat(np.arange(n), per_row), rng.integers(d, size=n * per_row)
    X = sparse.csr_matrix((rng.random(n * per_row), where), (n, d), dtype)
    small = X[:2000]
else:
    X, _ = data(n, d, k, dtype)
    small = X[:2000].copy()
def fit(X):
    StudentTClustering(k, n_init={n_init}, max_iter=5, tol=1, random_state=0).fit(X)
fit(small)
print(*peak_memory(lambda: fit(X)))
"""


def memory(options):
    """Peak resident memory of a fit beyond X, and in all for sparse text."""
    columns = (
        Column("n, d, k"),
        Column("dtype"),
        Column("X", "MB", "{:.0f}"),
        Column("beyond it", "MB", "{:.0f}"),
        Column("bytes / n", "", "{:.0f}"),
        Column("in all", "MB", "{:.0f}"),
    )
    table = Table("memory", "memory of a fit", columns)
    cases = [(*size, "float32", 0) for size in sizes(options)]
    if not options.small:
        cases.append((2_000_000, 10, 10, "float32", 0))
        cases.append((20_000, 50_000, 20, "float64", 1e-3))
    for n, d, k, dtype, density in cases:
        code = MEMORY.format(n=n, d=d, k=k, dtype=dtype, density=density,
                             n_init=2 if density else 3)  # fmt: skip
        peak, base = in_new_process(code, PYTHONWARNINGS="ignore")
        size = n * d * np.dtype(dtype).itemsize
        size = int(1.5 * n * d * density * 8) if density else size
        kind = f"{dtype}{', sparse' if density else ''}"
        table = table.plus(
            shown(n, d, k), kind, size / 1e6, peak / 1e6, peak / n, (peak + base) / 1e6
        )
        yield table
