"""The clusters found, without a label: StudentTClustering next to its peers."""

from statistics import median

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

import skdec
from benchmarks.clock import timed
from benchmarks.cluster_sets import digits_maps, many_dimensions, small_sets
from benchmarks.data import accuracy, mnist
from benchmarks.tables import Column, Table
from skdec import StudentTClustering

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
    seconds, labels = timed(model.fit_predict, X)
    return labels, seconds


def mnist_map(options):
    """The map of MNIST; at perplexity 30 the digits 4 and 9 touch (``tsne.whole``)."""
    X, y = mnist(options.mnist)
    tsne = skdec.ExactTSNE(affinities="neighbors", perplexity=15, exaggeration=4.0,
                           max_iter=400, random_state=0)  # fmt: skip
    return {f"MNIST map ({len(X):,})": (tsne.fit_transform(X), y)}


def quality(options):
    """Accuracy of the first sets, ARI of those of many dimensions; no label is used."""
    if options.small:
        sets = small_sets()
        yield from scored("accuracy", {"iris": sets["iris"]}, accuracy, range(2))
        return
    seeds = range(options.seeds)
    first = mnist_map(options) | digits_maps() | small_sets()
    yield from scored("accuracy", first, accuracy, seeds)
    yield from scored(
        "ARI", many_dimensions(), lambda a, b: adjusted_rand_score(b, a), seeds
    )


def scored(name, sets, measure, seeds):
    """A table of each method's mean score, with means and the worst set at its end."""
    columns = (
        Column("data"),
        *(Column(method, "", "{:.3f}") for method in METHODS),
        Column("ours: sd", "", "{:.3f}"),
        Column("NMI", "", "{:.3f}"),
        Column("ARI", "", "{:.3f}"),
        Column("fit", "s", "{:.2f}"),
        Column("KMeans: fit", "s", "{:.2f}"),
    )
    table = Table(name, f"{name}, means over {len(seeds)} seeds", columns)
    for data, (X, y) in sets.items():
        table = table.plus(data, *measured(X, y, measure, seeds))
        yield table
    yield summarised(table)


def measured(X, y, measure, seeds):
    """The cells of one set: means of all methods, and more of ours."""
    k, means, seconds = len(np.unique(y)), {}, {}
    for method, make in METHODS.items():
        found = [labelled(make, X, k, seed) for seed in seeds]
        scores = [np.nan if a is None else measure(a, y) for a, _ in found]
        means[method] = np.mean(scores)
        seconds[method] = median(spent for _, spent in found)
        if method == OURS:
            deviation = np.std(scores)
            nmi = np.mean([normalized_mutual_info_score(y, a) for a, _ in found])
            ari = np.mean([adjusted_rand_score(y, a) for a, _ in found])
    return *means.values(), deviation, nmi, ari, seconds[OURS], seconds[PEER]


def summarised(table):
    """With what the goals are about: means, and the worst set next to k-means."""
    rest = (None,) * (len(table.columns) - 1 - len(METHODS))
    for title, chosen in (
        ("digits maps", lambda name: name.startswith("digits map")),
        ("all but maps", lambda name: "map" not in name),
    ):
        rows = [row for row in table.rows if chosen(row["data"])]
        if not rows:
            continue
        values = np.array([[row[m] for m in METHODS] for row in rows], dtype=float)
        gaps = values - values[:, [list(METHODS).index(PEER)]]
        table = table.plus(f"mean of {title}", *values.mean(axis=0), *rest)
        table = table.plus(f"worst of {title} less KMeans", *gaps.min(axis=0), *rest)
    return table


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
    columns = (
        Column("data"),
        Column("features"),
        *(Column(name, "", "{:.3f}") for name in (PEER, *FORMS)),
    )
    seeds = range(1 if options.small else min(options.seeds, 3))
    title = (
        f"ARI by ν (m the dimension of the spread) and b, means over {len(seeds)} seeds"
    )
    table, means = Table("forms", title, columns), []
    sets = (
        {"iris": small_sets()["iris"]}
        if options.small
        else (small_sets() | many_dimensions())
    )
    for name, (X, y) in sets.items():
        k, d = len(np.unique(y)), X.shape[1]
        makes = [lambda seed, k=k: KMeans(k, n_init=20, random_state=seed)]
        for form in FORMS.values():
            given = {key: float(choose(d)) for key, choose in form.items()}
            makes.append(
                lambda seed, k=k, given=given: StudentTClustering(
                    k, random_state=seed, **given
                )
            )
        means.append([
            np.mean([adjusted_rand_score(y, timed(m(s).fit_predict, X)[1])
                     for s in seeds])
            for m in makes
        ])  # fmt: skip
        table = table.plus(name, d, *means[-1])
        yield table
    found = np.array(means)
    table = table.plus("mean", None, *found.mean(axis=0))
    yield table.plus("worst less KMeans", None, *(found - found[:, :1]).min(axis=0))
