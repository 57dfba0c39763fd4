"""StudentTClustering next to its peers: speed, memory and the clusters found.

    python -m benchmarks.clustering [--only PART ...] [--rounds 5]
    python -m benchmarks.clustering --quality [--mnist PATH] [--cache FILE]

Every comparison runs both sides in turn in one process, on the same data in the same
dtype, with the same number of threads.  The peers are scikit-learn and, in the extra
``bench``, torch.
"""

import argparse
import os
import warnings
from statistics import median
from time import perf_counter

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.cluster._kmeans import lloyd_iter_chunked_dense
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

import skdec
from benchmarks.cluster_sets import digits_maps, many_dimensions, small_sets
from benchmarks.data import accuracy, in_new_process, mnist, uneven_blobs
from skdec import StudentTClustering
from skdec.clustering._objective import ClusteringObjective
from skdec.clustering._scaled_rows import scale_rows
from skdec.utils.threads import Threads
from skdec.utils.weights import Weights

SIZES = ((200_000, 10, 10), (200_000, 50, 20), (50_000, 64, 10))
DTYPES = (np.float32, np.float64)
SEEDS = range(5)


def milliseconds(calls, rounds, repeats=1):
    """Median milliseconds of each call, in turns of a warm-up and ``repeats``.

    For short calls more than one: a pool of threads goes on spinning for some time
    after its last call, and would be charged to the other side.
    """
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            for _ in range(repeats):
                start = perf_counter()
                call()
                times[name].append(1e3 * (perf_counter() - start))
    return {name: median(values) for name, values in times.items()}


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
    """One iteration on large data."""
    print("\n**one iteration, ms**\n")
    print(
        "| n, d, k | dtype | StudentTClustering | with KL | KMeans | torch autograd | "
        "GaussianMixture | to KMeans | torch to ours | mixture to ours |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for dtype in DTYPES:
        for size in SIZES:
            X, centers = data(*size, dtype)
            with Threads(options.threads, hold_blas=True) as threads:
                calls = our_steps(X, centers, threads)
                calls["lloyd"] = lloyd_step(X, centers, options.threads)
                ms = milliseconds(calls, options.rounds, 10)
            step = torch_step(X, centers, options.threads)
            torch_ms = milliseconds({"torch": step}, options.rounds, 3)["torch"]
            em = median(
                mixture_step(X, centers, options.threads) for _ in range(options.rounds)
            )
            ours, n_d_k = ms["ours"], ", ".join(f"{n:,}" for n in size)
            print(
                f"| {n_d_k} | {X.dtype} | {ours:.2f} | {ms['kl']:.2f} | "
                f"{ms['lloyd']:.2f} | {torch_ms:.0f} | {em:.0f} | "
                f"{ours / ms['lloyd']:.2f} | {torch_ms / ours:.1f} | {em / ours:.1f} |",
                flush=True,
            )


def predictions(options):
    """Labels and memberships of a million rows."""
    print("\n**1,000,000 x 10, k = 10, ms**\n")
    print("| dtype | predict | predict_proba | KMeans.predict | predict to KMeans |")
    print("|---|---|---|---|---|")
    for dtype in DTYPES:
        X, centers = data(1_000_000, 10, 10, dtype)
        ours = StudentTClustering(10, init=centers, n_jobs=options.threads)
        ours.fit(X[:10_000])
        peer = KMeans(10, init=centers, n_init=1).fit(X[:10_000])
        ms = milliseconds(
            {"predict": lambda m=ours, X=X: m.predict(X),
             "proba": lambda m=ours, X=X: m.predict_proba(X),
             "kmeans": lambda m=peer, X=X: m.predict(X)},
            2 * options.rounds,
        )  # fmt: skip
        print(
            f"| {X.dtype} | {ms['predict']:.0f} | {ms['proba']:.0f} | "
            f"{ms['kmeans']:.0f} | {ms['predict'] / ms['kmeans']:.2f} |",
            flush=True,
        )


def whole(options):
    """Whole fits with as many starts, and at the defaults."""
    print("\n**whole fit, 10 starts, ms**\n")
    print("| data | StudentTClustering | KMeans | ratio | at the defaults |")
    print("|---|---|---|---|---|")
    sets = {"digits": (load_digits().data, 10), "iris": (load_iris().data, 3)}
    for n, d, k in SIZES[:2]:
        sets[f"{n:,} x {d}, float32"] = data(n, d, k, np.float32)[0], k
    for name, (X, k) in sets.items():
        ms = milliseconds(
            {"ours": lambda X=X, k=k: StudentTClustering(
                k, n_init=10, random_state=0, n_jobs=options.threads).fit(X),
             "defaults": lambda X=X, k=k: StudentTClustering(
                k, random_state=0, n_jobs=options.threads).fit(X),
             "kmeans": lambda X=X, k=k: KMeans(k, n_init=10, random_state=0).fit(X)},
            options.rounds if len(X) < 10_000 else 1,
        )  # fmt: skip
        print(
            f"| {name} | {ms['ours']:.0f} | {ms['kmeans']:.0f} | "
            f"{ms['ours'] / ms['kmeans']:.2f} | {ms['defaults']:.0f} |",
            flush=True,
        )


MEMORY = """
import numpy as np
from scipy import sparse
from benchmarks.clustering import data
from benchmarks.data import peak_memory
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
    print("\n**memory of a fit**\n")
    print("| n, d, k | dtype | X, MB | beyond it, MB | bytes / n | in all, MB |")
    print("|---|---|---|---|---|---|")
    cases = [(*size, "float32", 0) for size in SIZES]
    cases += [(2_000_000, 10, 10, "float32", 0), (20_000, 50_000, 20, "float64", 1e-3)]
    for n, d, k, dtype, density in cases:
        code = MEMORY.format(n=n, d=d, k=k, dtype=dtype, density=density,
                             n_init=2 if density else 3)  # fmt: skip
        peak, base = in_new_process(code, PYTHONWARNINGS="ignore")
        size = n * d * np.dtype(dtype).itemsize
        size = int(1.5 * n * d * density * 8) if density else size
        print(
            f"| {n:,}, {d:,}, {k} | {dtype}{', sparse' if density else ''} | "
            f"{size / 1e6:.0f} | {peak / 1e6:.0f} | {peak / n:.0f} | "
            f"{(peak + base) / 1e6:.0f} |",
            flush=True,
        )


# ------------------------------------------------------------------------- the solver
def evaluations_of_lbfgs(Z, centers, dof, settled, n_inner=5, limit=300):
    """Passes until settled with L-BFGS between refreshes of P."""
    passes, labels, shape = 0, None, centers.shape
    while passes < limit:
        Q = skdec.soft_assignment(Z, centers, dof=dof)
        P = skdec.target_distribution(Q, balance=0.5)
        found = minimize(
            lambda x, P=P: [
                part if np.ndim(part) == 0 else part.ravel()
                for part in np.array(
                    skdec.clustering_loss(Z, x.reshape(shape), dof=dof, P=P),
                    dtype=object,
                )[[0, 2]]
            ],
            centers.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": n_inner},
        )  # fmt: skip
        passes += 1 + found.nfev
        new, before = Q.argmax(axis=1), centers
        centers = found.x.reshape(shape)
        shift = np.sqrt(np.mean((centers - before) ** 2))
        if (
            labels is not None
            and (new != labels).mean() <= settled
            and shift <= settled
        ):
            break
        labels = new
    return passes


def solver(options):
    """Passes over the data until labels and centroids rest, by optimiser."""
    print("\n**passes until settled (at most 300)**\n")
    print("| data | momentum 0.9 | none | momentum, refreshed every 5 | L-BFGS between "
          "refreshes |\n|---|---|---|---|---|")  # fmt: skip
    sets = {"digits": (load_digits().data, 10), "wine": small_sets()["wine"]}
    sets["wine"] = sets["wine"][0], 3
    for seed in range(3):
        X, y = uneven_blobs(seed)
        sets[f"uneven blobs {seed}"] = X, len(np.unique(y))
    for name, (X, k) in sets.items():
        start = KMeans(k, n_init=10, random_state=0).fit(X).cluster_centers_
        row = []
        for momentum, interval in ((0.9, 1), (0.0, 1), (0.9, 5)):
            row.append(passes_of_momentum(X, k, start, momentum, interval))
        model = StudentTClustering(k, init=start).fit(X)
        h = model.bandwidth_
        row.append(evaluations_of_lbfgs(X / h, start / h, model.dof_, 1e-3))
        print(f"| {name} | {' | '.join(str(n) for n in row)} |", flush=True)


def passes_of_momentum(X, k, start, momentum, interval):
    """Steps of the estimator with another momentum."""
    from skdec.clustering import _optimizers as optimizers

    usual = optimizers.CentroidDescent.__init__.__defaults__
    optimizers.CentroidDescent.__init__.__defaults__ = (momentum,)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = StudentTClustering(k, init=start, update_interval=interval).fit(X)
    finally:
        optimizers.CentroidDescent.__init__.__defaults__ = usual
    return model.n_iter_


# ---------------------------------------------------------------------------- quality
def mnist_map(options):
    """The map of MNIST, kept on disk if asked."""
    if not (options.mnist or options.cache):
        return {}
    if options.cache and os.path.exists(options.cache):
        with np.load(options.cache) as stored:
            map_, y = stored["X"], stored["y"]
    else:
        X, y = mnist(options.mnist)
        tsne = skdec.ExactTSNE(affinities="neighbors", exaggeration=4.0,
                               max_iter=400, random_state=0)  # fmt: skip
        map_ = tsne.fit_transform(X)
        if options.cache:
            np.savez(options.cache, X=map_, y=y)
    return {f"MNIST map ({len(map_):,})": (map_, y)}


OURS, PAPERS, PEER = "StudentTClustering", "dof=1, balance=1", "KMeans"


def mixture(k, seed, covariance_type):
    return GaussianMixture(
        k, n_init=5, covariance_type=covariance_type, random_state=seed
    )


METHODS = {
    OURS: lambda k, seed, d: StudentTClustering(k, random_state=seed),
    PAPERS: lambda k, seed, d: StudentTClustering(
        k, dof=1.0, balance=1.0, random_state=seed
    ),
    PEER: lambda k, seed, d: KMeans(k, n_init=20, random_state=seed),
    "MiniBatchKMeans": lambda k, seed, d: MiniBatchKMeans(
        k, n_init=20, random_state=seed
    ),
    # a full covariance of many dimensions has more entries than there are rows
    "GaussianMixture, full": lambda k, seed, d: (
        mixture(k, seed, "full") if d <= LARGEST_FULL else None
    ),
    "GaussianMixture, spherical": lambda k, seed, d: mixture(k, seed, "spherical"),
}
LARGEST_FULL = 100


def labelled(make, X, k, seed):
    """Labels of a method, or None if it does not take such rows; and its seconds."""
    model = make(k, seed, X.shape[1])
    if model is None or (sparse.issparse(X) and isinstance(model, GaussianMixture)):
        return None, np.nan
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit_predict(X)
    return labels, perf_counter() - start


def quality(options):
    """Without a label: accuracy of the first sets, ARI of those of many dimensions."""
    first = mnist_map(options) | digits_maps() | small_sets()
    for measure, sets in (
        (accuracy, first),
        (lambda labels, y: adjusted_rand_score(y, labels), many_dimensions()),
    ):
        name = "accuracy" if measure is accuracy else "ARI"
        print(f"\n**{name}, means over {len(SEEDS)} seeds**\n")
        print(f"| data | {' | '.join(METHODS)} | ours: sd, NMI, ARI, s | k-means s |")
        print("|---|" + "---|" * (len(METHODS) + 2))
        summary({data: measured(data, *sets[data], measure) for data in sets})


def measured(name, X, y, measure):
    """Mean score of each method, printed as a line of the table."""
    k, scores, seconds, ours = len(np.unique(y)), {}, {}, []
    for method, make in METHODS.items():
        found = [labelled(make, X, k, seed) for seed in SEEDS]
        scores[method] = [
            np.nan if labels is None else measure(labels, y) for labels, _ in found
        ]
        seconds[method] = median(spent for _, spent in found)
        if method == OURS:
            ours = [
                (
                    normalized_mutual_info_score(y, labels),
                    adjusted_rand_score(y, labels),
                )
                for labels, _ in found
            ]
    means = {method: np.mean(values) for method, values in scores.items()}
    cells = ["" if np.isnan(mean) else f"{mean:.3f}" for mean in means.values()]
    nmi, ari = np.mean(ours, axis=0)
    more = f"{np.std(scores[OURS]):.3f}, {nmi:.3f}, {ari:.3f}, {seconds[OURS]:.2f}"
    print(
        f"| {name} | {' | '.join(cells)} | {more} | {seconds[PEER]:.2f} |", flush=True
    )
    return means


def summary(table):
    """What the goals are about: means, and the worst set next to k-means."""
    for title, chosen in (
        ("digits maps", [name for name in table if name.startswith("digits map")]),
        ("all but maps", [name for name in table if "map" not in name]),
    ):
        if not chosen:
            continue
        rows = np.array([list(table[name].values()) for name in chosen])
        cells = " | ".join(f"{value:.4f}" for value in rows.mean(axis=0))
        print(f"| **mean of {title}** | {cells} | | |")
        gaps = rows - rows[:, [list(METHODS).index(PEER)]]
        cells = " | ".join(f"{value:+.3f}" for value in gaps.min(axis=0))
        print(f"| worst against KMeans | {cells} | | |")


FORMS = {
    "m": {},
    "min(d, 4)": {"dof": lambda d: min(d, 4)},
    "d/10": {"dof": lambda d: max(d / 10, 1)},
    "d": {"dof": lambda d: d},
    "m, b = 1": {"balance": lambda d: 1.0},
    "m, b = ¼": {"balance": lambda d: 0.25},
    "m, b = 0": {"balance": lambda d: 0.0},
}


def forms(options):
    """ARI by the choice of ν and b; what dof="auto" and balance="auto" go by."""
    print("\n**ARI by ν (m the dimension of the spread) and b, means over 3 seeds**\n")
    print(f"| data | d | KMeans | {' | '.join(FORMS)} |")
    print("|---|---|---|" + "---|" * len(FORMS))
    table = []
    for name, (X, y) in (small_sets() | many_dimensions()).items():
        k, d = len(np.unique(y)), X.shape[1]
        makes = [lambda seed, k=k: KMeans(k, n_init=20, random_state=seed)]
        for form in FORMS.values():
            given = {key: float(choose(d)) for key, choose in form.items()}
            makes.append(
                lambda seed, k=k, given=given: StudentTClustering(
                    k, random_state=seed, **given
                )
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            means = [
                np.mean([adjusted_rand_score(y, m(s).fit_predict(X)) for s in range(3)])
                for m in makes
            ]
        table.append(means)
        cells = " | ".join(f"{mean:.3f}" for mean in means)
        print(f"| {name} | {d} | {cells} |", flush=True)
    table = np.array(table)
    for title, row in (
        ("mean", table.mean(axis=0)),
        ("worst against KMeans", (table - table[:, :1]).min(axis=0)),
    ):
        print(f"| **{title}** | | {' | '.join(f'{value:.3f}' for value in row)} |")


PARTS = {
    "steps": steps,
    "forms": forms,
    "predictions": predictions,
    "whole": whole,
    "memory": memory,
    "solver": solver,
}


def main():
    """Print the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quality", action="store_true", help="the clusters found")
    parser.add_argument("--mnist", help="a .npz with X and y")
    parser.add_argument("--cache", help="where to keep the map of MNIST (.npz)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for part in (
        [quality] if options.quality else [PARTS[name] for name in options.only]
    ):
        part(options)


if __name__ == "__main__":
    main()
