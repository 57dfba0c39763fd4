"""Deep clustering: DEC and IDEC, with augmentation and without, on data of many kinds.

Each method is next to k-means, a Gaussian mixture and StudentTClustering on the same
rows and on the encoding that it starts from.  No label is used but for the scores.
IDEC is ``reconstruction_weight=10``, the 0.1 on the KL of its paper; DEC is 0.  What
starts from a map starts from the clusters of a map of the encoding, or of the rows
where that is said.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline, make_union

from benchmarks.clock import timed
from benchmarks.data import accuracy
from benchmarks.deep_tables import MEASURES, judges, means
from benchmarks.deep_tasks import task_of
from benchmarks.tables import Column, Table
from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import AutoencoderEncoder, LinearEncoder

GAMMAS = {"DEC": 0.0, "IDEC": 10.0}

# How the tables call the variants that they do not call by their own name.
NAMES = {
    "plain": "",
    "unwhitened": ", not whitened",
    "mapped": ", augmented, from a map",
    "plain-longer": ", longer",
    "longer": ", augmented, from a map, longer",
    "of-rows": ", from a map of the rows",
    "augmented-of-rows": ", augmented, from a map of the rows, longer",
    "union": ", augmented, three wide networks",
    "uneven": ", balance 0",
    "linear-uneven": ", linear, balance 0",
}

# Those that begin with the networks of another.
OF_ANOTHER = {
    "unwhitened": "plain",
    "mapped": "augmented",
    "plain-longer": "plain",
    "longer": "augmented",
    "of-rows": "plain",
    "augmented-of-rows": "augmented",
    "uneven": "plain",
    "linear-uneven": "linear",
}

# Those that begin from the clusters of a map of the encoding, and the networks whose
# map is judged by itself.
FROM_A_MAP, WITH_MAPS = ("mapped", "longer"), ("plain", "augmented")

# Those of which nothing but a map of the encoding is judged.
MAPPED_ONLY = ("union",)

# Those that begin from the clusters of a map of the rows.
FROM_ROWS = "of-rows", "augmented-of-rows"

# Parameters of the clustering of those that are judged by themselves, without what
# needs no learning.
GIVEN = {
    "plain-longer": {},
    "uneven": {"balance": 0.0},
    "linear-uneven": {"balance": 0.0},
}

# Networks whose encoding has twice the components of the papers', for maps, and how
# many of them make a union.
WIDE = {"hidden_dims": (500, 500, 2000, 20), "activation": "gelu", "whiten": False}
IN_UNION = 3

# A Gaussian mixture has a covariance matrix, which needs few dimensions.
MIXTURE_DIMENSIONS = 50


class Run(NamedTuple):
    """A method on one seed."""

    method: str
    labels: np.ndarray | None  # of pre-training there are none
    scores: tuple  # accuracy (Hungarian), NMI and ARI
    seconds: float
    passes: int
    more: dict  # whether the start was kept, and measures that need no label


def scores(labels, truth):
    """Accuracy (Hungarian), NMI and ARI."""
    return (
        accuracy(labels, truth),
        normalized_mutual_info_score(truth, labels),
        adjusted_rand_score(truth, labels),
    )


def run(method, labels, truth, seconds, passes, more=None):
    """A method's labels with their scores."""
    found = np.asarray(labels)
    return Run(method, found, scores(found, truth), seconds, int(passes), more or {})


def plain_methods(where, Z, task, seed):
    """k-means, a Gaussian mixture and StudentTClustering on the same rows."""
    dense = Z
    if Z.shape[1] > MIXTURE_DIMENSIONS:
        kind = TruncatedSVD if sparse.issparse(Z) else PCA
        dense = kind(MIXTURE_DIMENSIONS, random_state=seed).fit_transform(Z)
    mixture = GaussianMixture(task.k, n_init=1, reg_covar=1e-4, random_state=seed)
    models = {
        "k-means": (KMeans(task.k, n_init=10, random_state=seed), Z),
        "Gaussian mixture": (mixture, dense.astype(np.float64)),
        "StudentTClustering": (StudentTClustering(task.k, random_state=seed), Z),
    }
    for name, (model, rows) in models.items():
        seconds, labels = timed(model.fit_predict, rows)
        yield run(f"{name}, {where}", labels, task.y, seconds, model.n_iter_)


def alike(Z, labels, n_judged=2000):
    """The share of the 10 nearest rows of some that have their label."""
    chosen = np.random.default_rng(0).choice(
        len(Z), min(n_judged, len(Z)), replace=False
    )
    near = NearestNeighbors(n_neighbors=11).fit(Z).kneighbors(Z[chosen])[1][:, 1:]
    return float(np.mean(labels[near] == labels[chosen, None]))


def copied(encoder, gamma, task):
    """The encoder as it is; principal components are found again in no time."""
    if isinstance(encoder, LinearEncoder):
        return clone(encoder).set_params(reconstruction_weight=gamma)
    rate = task.rate if task.rate and not gamma else encoder.clustering_rate
    return encoder.pretrained_copy(reconstruction_weight=gamma, clustering_rate=rate)


def map_of(seed):
    """What makes a map of an encoding."""
    return ExactTSNE(perplexity=10, exaggeration=4.0, max_iter=400, random_state=seed)


def clusters_of_a_map(task, seed):
    """A start for the training: a map, and its clusters."""
    clusterer = StudentTClustering(task.k, random_state=seed)
    return make_pipeline(map_of(seed), clusterer)


def deep_methods(where, encoder, task, seed, **given):
    """DEC and IDEC from one pre-trained encoder, with their measures."""
    for name, gamma in GAMMAS.items():
        network = copied(encoder, gamma, task)
        model = StudentTClustering(
            task.k, encoder=network, random_state=seed, max_iter=task.passes, **given
        )
        seconds, _ = timed(model.fit, task.X)
        yield run(
            f"{name}{where}", model.labels_, task.y, seconds, model.n_iter_,
            {
                "start kept": bool(model.start_kept_),
                "evidence": float(model.evidence_),
                "-KL": -float(model.kl_divergence_) / len(task.y),
                "silhouette": float(model.score(task.X)),
                "neighbours": alike(encoder.transform(task.X), model.labels_),
                "rest": -float(model.history_["label_changes"][-1]),
            },
        )  # fmt: skip


def unwhitened(encoder):
    """The encoder that ``whiten=False`` gives: without its last linear layer."""
    if isinstance(encoder, LinearEncoder):  # which never whitens
        return clone(encoder)
    modules = encoder.encoder_[0], encoder.decoder_[1]
    return clone(encoder).set_params(modules=modules, epochs=0, whiten=False)


def map_methods(where, Z, task, seed):
    """StudentTClustering on a map, whose labels are returned."""
    tsne = map_of(seed).set_params(affinities="neighbors")
    seconds, Y = timed(tsne.fit_transform, Z)
    model = StudentTClustering(task.k, random_state=seed)
    more, labels = timed(model.fit_predict, Y)
    name = f"StudentTClustering, map of the {where}"
    yield run(name, labels, task.y, seconds + more, tsne.n_iter_)
    return labels


def named(variant):
    """What the tables add to the name of a method."""
    return NAMES.get(variant, f", {variant}")


def encoder_of(variant, task, seed, options):
    """An encoder of that variant, not fitted."""
    if variant == "linear":
        return LinearEncoder(random_state=seed)
    if variant == "union":
        seeds = range(IN_UNION * seed, IN_UNION * (seed + 1))
        return make_union(*(encoder_of("wide", task, s, options) for s in seeds))
    augmented = variant in ("augmented", "wide")
    return AutoencoderEncoder(
        epochs=task.epochs,
        augment=task.augmentation if augmented else None,
        dropout=task.dropout if augmented else 0.2,
        batch_size=task.batch_size,
        learning_rate_schedule=task.schedule,
        precision=options.precision,
        device=options.device,
        random_state=seed,
        **(WIDE if variant == "wide" else {}),
    )


def all_methods(task, seed, options, variants):
    """Every method on one seed."""
    if options.rows and "plain" in variants:
        yield from plain_methods("rows", task.X, task, seed)
    encoders = {}
    for variant in variants:
        where, kind = named(variant), OF_ANOTHER.get(variant, variant)
        if kind not in encoders:
            encoder = encoders[kind] = encoder_of(kind, task, seed, options)
            seconds, _ = timed(encoder.fit, task.X)
            nothing = None, None, None
            epochs = 0 if kind == "linear" else task.epochs
            yield Run(f"pre-training{named(kind)}", None, nothing, seconds, epochs, {})
            if kind in MAPPED_ONLY:
                Z = encoder.transform(task.X)
                yield from map_methods(f"encoding{named(kind)}", Z, task, seed)
                continue
            if options.maps and kind in WITH_MAPS:
                # which needs no whitening
                Z = unwhitened(encoder).fit_transform(task.X)
                yield from map_methods(f"encoding{named(kind)}", Z, task, seed)
        encoder = encoders[kind]
        if variant in FROM_A_MAP:
            start = clusters_of_a_map(task, seed)
            yield from deep_methods(where, encoder, task, seed, init=start)
            continue
        if variant in FROM_ROWS:
            labels = yield from map_methods("rows", task.X, task, seed)
            yield from deep_methods(where, encoder, task, seed, init=labels)
            continue
        if variant in GIVEN:
            yield from deep_methods(where, encoder, task, seed, **GIVEN[variant])
            continue
        if variant == "unwhitened":
            encoder = unwhitened(encoder).fit(task.X)
        Z = encoder.transform(task.X)
        yield from plain_methods(f"encoding{where}", Z, task, seed)
        yield from deep_methods(where, encoder, task, seed)


RUNS = (
    Column("method"),
    Column("seed"),
    Column("accuracy", "", "{:.4f}"),
    Column("NMI", "", "{:.3f}"),
    Column("ARI", "", "{:.3f}"),
    Column("time", "s", "{:.3g}"),
    Column("passes"),
    Column("start kept"),
    *(Column(name, "", "{:.3g}") for name in MEASURES),
)


def as_row(seed, one):
    """A run as a row of the table of runs."""
    more = [one.more.get(key) for key in ("start kept", *MEASURES)]
    return one.method, seed, *one.scores, one.seconds, one.passes, *more


def of_task(name, only=None, always=()):
    """The part of one set of data, or of some variants of the networks on it.

    ``only`` is one of those that are asked for, ``always`` are others.
    """

    def part(options):
        variants = always or [v for v in options.variants if only in (None, v)]
        task, seeds = task_of(name, options), 2 if options.small else options.seeds
        title = (
            f"{name} {task.X.shape}, {task.k} classes, {task.epochs} epochs, "
            f"at most {task.passes} passes, {seeds} seeds"
        )
        table, labels = Table("runs", f"{title}, each run", RUNS), {}
        for seed in range(seeds):
            for one in all_methods(task, seed, options, variants):
                table = table.plus(*as_row(seed, one))
                labels.setdefault(one.method, []).append(one.labels)
                yield table
        yield means(table, title)
        if seeds > 1 and not set(variants) <= set(MAPPED_ONLY):
            yield judges(table, labels)

    part.__doc__ = f"DEC and IDEC on {name}, next to what needs no network."
    return part


digits = of_task("digits")
digits_longer = of_task("digits-longer", always=("plain-longer",))
digits_of_rows = of_task("digits", always=("of-rows",))
digits_augmented = of_task("digits-augmented", always=("augmented-of-rows",))
mnist = of_task("mnist", "plain")
mnist_augmented = of_task("mnist", "augmented")
mnist_augmented_map = of_task("mnist", "mapped")
mnist_longer = of_task("mnist-longer", always=("longer",))
mnist_union = of_task("mnist-union", always=("union",))
mnist_10000 = of_task("mnist-10000", "plain")
mnist_10000_longer = of_task("mnist-10000-longer", always=("longer",))
mnist_10000_augmented = of_task("mnist-10000", "augmented")
mnist_10000_augmented_map = of_task("mnist-10000", "mapped")
texts = of_task("texts")
counts = of_task("counts")
cells = of_task("cells")
iris = of_task("iris")
wine = of_task("wine")
breast_cancer = of_task("breast-cancer")
segment = of_task("segment")
shuttle = of_task("shuttle")
shuttle_uneven = of_task("shuttle", always=("uneven", "linear-uneven"))
