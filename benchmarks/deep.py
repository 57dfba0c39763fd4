"""Deep clustering: DEC and IDEC, with augmentation and without, on data of many kinds.

    python -m benchmarks.deep [--data digits texts ...] [--seeds 0 1 2 3 4]
        [--mnist PATH] [--device cuda] [--epochs 30] [--passes 15]
        [--variants augmented] [--no-rows] [--maps] [--json FILE]

Each method is next to k-means, a Gaussian mixture and StudentTClustering on the same
rows and on the encoding that it starts from.  No label is used but for the scores.  A
second table says whether a measure without labels tells the good seeds from the bad.
"""

import argparse
import json
import warnings
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from scipy import sparse
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from benchmarks.cluster_sets import counts, texts
from benchmarks.data import accuracy, mnist_pixels
from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import AutoencoderEncoder, RandomAffine, RandomDropout

# the paper of IDEC weights the KL with 0.1, which is the reconstruction with 10
GAMMAS = {"DEC": 0.0, "IDEC": 10.0}

# A Gaussian mixture has a covariance matrix, which needs few dimensions.
MIXTURE_DIMENSIONS = 50

# Columns without labels of a DEC or IDEC: all are larger where a seed is better.
MEASURES = ("evidence", "-KL", "silhouette", "neighbours", "rest", "agreement")


@dataclass(frozen=True)
class Task:
    """Rows to cluster, and how long networks train on them."""

    X: object
    y: np.ndarray
    augmentation: object
    epochs: int  # of pre-training
    passes: int  # of clustering, at most
    batch_size: int = 256
    dropout: float = 0.2  # where rows are augmented; otherwise 0.2

    @property
    def k(self):
        """Number of classes."""
        return len(np.unique(self.y))


def digits(options):
    """scikit-learn's digits, 8×8."""
    X, y = load_digits(return_X_y=True)
    augmentation = RandomAffine((8, 8), rotation=5, shift=0.05, scaling=0.05)
    return Task(X.astype(np.float32), y, augmentation, 100, 50)


def mnist(options, n=70_000):
    """MNIST's pixels, 28×28."""
    return Task(
        *mnist_pixels(options.mnist, n), RandomAffine((28, 28)), 30, 15, dropout=0.0
    )


def mnist_10000(options):
    """The first 10,000 rows of MNIST."""
    return replace(mnist(options, 10_000), epochs=60, passes=50)


def text_pieces(options):
    """Pieces of the standard library's modules, TF-IDF."""
    X, y = texts()["TF-IDF, CSR"]
    return Task(X.astype(np.float32), y, RandomDropout(), 50, 50)


def cells(options):
    """Simulated counts of 2,000 genes."""
    return Task(*counts(), RandomDropout(), 50, 50)


def tabular(load):
    """A small table of scikit-learn's, its columns standardised."""

    def task(options):
        X, y = load(return_X_y=True)
        X = StandardScaler().fit_transform(X).astype(np.float32)
        return Task(X, y, RandomDropout(), 200, 200, batch_size=32)

    return task


TASKS = {
    "digits": digits,
    "mnist": mnist,
    "mnist-10000": mnist_10000,
    "texts": text_pieces,
    "counts": cells,
    "iris": tabular(load_iris),
    "wine": tabular(load_wine),
    "breast-cancer": tabular(load_breast_cancer),
}


def timed(call):
    """What a call gives, and its seconds."""
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = call()
    return result, perf_counter() - start


def scores(labels, truth):
    """Accuracy (Hungarian), NMI and ARI."""
    return (
        accuracy(labels, truth),
        normalized_mutual_info_score(truth, labels),
        adjusted_rand_score(truth, labels),
    )


def record(method, labels, truth, seconds, passes, **more):
    """One row: a method's scores, what it took, and what else is known."""
    known = zip(("accuracy", "nmi", "ari"), scores(labels, truth), strict=True)
    return {
        "method": method,
        **{name: float(value) for name, value in known},
        "seconds": seconds,
        "passes": int(passes),
        "labels": np.asarray(labels),
        **more,
    }


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
        labels, seconds = timed(lambda model=model, rows=rows: model.fit_predict(rows))
        yield record(f"{name}, {where}", labels, task.y, seconds, model.n_iter_)


def alike(Z, labels, n_judged=2000):
    """The share of the 10 nearest rows of some that have their label."""
    chosen = np.random.default_rng(0).choice(
        len(Z), min(n_judged, len(Z)), replace=False
    )
    near = NearestNeighbors(n_neighbors=11).fit(Z).kneighbors(Z[chosen])[1][:, 1:]
    return float(np.mean(labels[near] == labels[chosen, None]))


def deep_methods(where, encoder, task, seed):
    """DEC and IDEC from one pre-trained encoder, with their measures."""
    for name, gamma in GAMMAS.items():
        network = encoder.pretrained_copy(reconstruction_weight=gamma)
        model = StudentTClustering(
            task.k, encoder=network, random_state=seed, max_iter=task.passes
        )
        _, seconds = timed(lambda model=model: model.fit(task.X))
        yield record(
            f"{name}{where}", model.labels_, task.y, seconds, model.n_iter_,
            start_kept=bool(model.start_kept_),
            measures={
                "evidence": float(model.evidence_),
                "-KL": -float(model.kl_divergence_) / len(task.y),
                "silhouette": float(model.score(task.X)),
"neighbours": alike(encoder.transform(task.X), model.labels_),
                "rest": -float(model.history_["label_changes"][-1]),
            },
        )  # fmt: skip


def unwhitened(encoder):
    """The encoder that ``whiten=False`` gives: without its last linear layer."""
    modules = encoder.encoder_[0], encoder.decoder_[1]
    return clone(encoder).set_params(modules=modules, epochs=0, whiten=False)


def map_methods(where, encoder, task, seed):
    """StudentTClustering on a map of the encoding, which needs no whitening."""
    Z = unwhitened(encoder).fit_transform(task.X)
    tsne = ExactTSNE(perplexity=10, affinities="neighbors", exaggeration=4.0,
                     max_iter=400, random_state=seed)  # fmt: skip
    Y, seconds = timed(lambda: tsne.fit_transform(Z))
    model = StudentTClustering(task.k, random_state=seed)
    labels, more = timed(lambda: model.fit_predict(Y))
    name = f"StudentTClustering, map of the encoding{where}"
    yield record(name, labels, task.y, seconds + more, tsne.n_iter_)


def all_methods(task, seed, options):
    """Every row of one seed."""
    if options.rows:
        yield from plain_methods("rows", task.X, task, seed)
    for variant in options.variants:
        where = "" if variant == "plain" else f", {variant}"
        encoder = AutoencoderEncoder(
            epochs=task.epochs,
            augment=task.augmentation if variant == "augmented" else None,
            dropout=task.dropout if variant == "augmented" else 0.2,
            batch_size=task.batch_size,
            precision="mixed",
            device=options.device,
            random_state=seed,
        )
        _, seconds = timed(lambda encoder=encoder: encoder.fit(task.X))
        print(f"pre-training{where}: {seconds:.1f} s", flush=True)
        Z = encoder.transform(task.X)
        yield from plain_methods(f"encoding{where}", Z, task, seed)
        yield from deep_methods(where, encoder, task, seed)
        if options.maps:
            yield from map_methods(where, encoder, task, seed)


def of_method(records, method):
    """The rows of a method, in the order of their seeds."""
    return [row for row in records if row["method"] == method]


def table(title, records):
    """Means and standard deviations over seeds, the worst, medians of seconds."""
    print(f"\n**{title}**\n")
    print("| | accuracy | worst | NMI | ARI | seconds | passes | start kept |")
    print("|---|---|---|---|---|---|---|---|")
    for method in dict.fromkeys(row["method"] for row in records):
        rows = of_method(records, method)
        known = {name: np.array([row[name] for row in rows]) for name in
                 ("accuracy", "nmi", "ari", "seconds", "passes")}  # fmt: skip
        cells = [f"{known['accuracy'].mean():.3f} ± {known['accuracy'].std():.3f}"]
        cells += [f"{known['accuracy'].min():.3f}"]
        cells += [f"{known[name].mean():.3f}" for name in ("nmi", "ari")]
        cells += [f"{np.median(known['seconds']):.3g}"]
        cells += [f"{np.median(known['passes']):.0f}"]
        kept = [row.get("start_kept") for row in rows]
        cells += ["" if None in kept else f"{sum(kept)} of {len(kept)}"]
        print(f"| {method} | {' | '.join(cells)} |", flush=True)


def agreements(records):
    """Mean adjusted Rand index of the labels of each row with those of the others."""
    labels = [row["labels"] for row in records]
    found = np.array([[adjusted_rand_score(a, b) for b in labels] for a in labels])
    return (found.sum(axis=1) - 1) / (len(labels) - 1)


def judges(records):
    """What each measure without labels says of the seeds, next to their accuracy."""
    print("\n| | mean | best | worst | " + " | ".join(MEASURES) + " |")
    print("|---" * (4 + len(MEASURES)) + "|")
    for method in dict.fromkeys(row["method"] for row in records if "measures" in row):
        rows = of_method(records, method)
        known = np.array([row["accuracy"] for row in rows])
        agreement = agreements(rows)
        cells = [f"{value:.3f}" for value in (known.mean(), known.max(), known.min())]
        for name in MEASURES:
            values = [row["measures"].get(name) for row in rows]
            values = agreement if name == "agreement" else np.array(values)
            constant = np.ptp(values) == 0 or np.ptp(known) == 0
            rank = np.nan if constant else spearmanr(values, known).statistic
            cells.append(f"{known[np.argmax(values)]:.3f} ({rank:+.1f})")
        print(f"| {method} | {' | '.join(cells)} |", flush=True)
    print("\nOf each measure: the accuracy of the seed it is largest for (rank "
          "correlation with accuracy over the seeds).")  # fmt: skip


def measure(name, options):
    """All seeds of one set of data, printed as they come; returns their rows."""
    task = TASKS[name](options)
    given = {
        "epochs": options.epochs,
        "passes": options.passes,
        "dropout": options.dropout,
    }
    task = replace(task, **{key: n for key, n in given.items() if n is not None})
    if options.n_rows:
        task = replace(task, X=task.X[: options.n_rows], y=task.y[: options.n_rows])
    records = []
    for seed in options.seeds:
        for row in all_methods(task, seed, options):
            records.append({"data": name, "seed": seed, **row})
            print(f"{name} {seed}: {row['method']}: {row['accuracy']:.4f} in "
                  f"{row['seconds']:.1f} s", flush=True)  # fmt: skip
        save(records, options.json, name)
    table(f"{name} {task.X.shape}, {task.k} classes, {task.epochs} epochs, "
          f"{len(options.seeds)} seeds", records)  # fmt: skip
    if len(options.seeds) > 1:
        judges(records)
    return records


def save(records, path, name):
    """The rows of one set of data as JSON lines, without their labels."""
    if path:
        with open(f"{path}.{name}.jsonl", "w", encoding="utf-8") as file:
            for row in records:
                row = {key: value for key, value in row.items() if key != "labels"}
                file.write(json.dumps(row) + "\n")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--variants", nargs="+", choices=["plain", "augmented"],
                        default=["plain", "augmented"])  # fmt: skip
    parser.add_argument("--mnist", help="an npz file with X and y; else OpenML's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--epochs", type=int, help="of pre-training")
    parser.add_argument("--passes", type=int, help="of clustering, at most")
    parser.add_argument("--dropout", type=float, help="where rows are augmented")
    parser.add_argument("--n-rows", type=int, help="only the first so many rows")
    parser.add_argument("--no-rows", dest="rows", action="store_false",
                        help="no methods on the rows themselves")  # fmt: skip
    parser.add_argument("--maps", action="store_true", help="maps of encodings too")
    parser.add_argument(
        "--json", help="where files of JSON lines begin: PATH.DATA.jsonl"
    )
    options = parser.parse_args()
    for name in options.data:
        measure(name, options)


if __name__ == "__main__":
    main()
