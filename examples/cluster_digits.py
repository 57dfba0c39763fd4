"""Cluster handwritten digits: an exact t-SNE map, then Student-t clustering on it.

Fits Pipeline [ExactTSNE -> StudentTClustering] on scikit-learn's digits with a part
held out, next to k-means on the pixels and StudentTClustering on principal
components.  Labels are used for nothing but the scores.

    python examples/cluster_digits.py [--splits 5] [--output cluster_digits.png]
"""

import argparse
from time import perf_counter

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import (
    adjusted_rand_score,
    confusion_matrix,
    normalized_mutual_info_score,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skdec import ExactTSNE, StudentTClustering

METHODS = {
    "k-means on pixels": lambda seed: KMeans(10, n_init=10, random_state=seed),
    "StudentTClustering on PCA": lambda seed: make_pipeline(
        PCA(10, random_state=seed), StudentTClustering(10, random_state=seed)
    ),
    "ExactTSNE -> StudentTClustering": lambda seed: make_pipeline(
        ExactTSNE(random_state=seed), StudentTClustering(10, random_state=seed)
    ),
}


def accuracy(truth, labels):
    """Share of rows right under the best matching of clusters to classes."""
    counts = confusion_matrix(truth, labels)
    return counts[linear_sum_assignment(-counts)].sum() / len(truth)


def scores(truth, labels):
    """Accuracy (Hungarian), NMI and ARI."""
    return (
        accuracy(truth, labels),
        normalized_mutual_info_score(truth, labels),
        adjusted_rand_score(truth, labels),
    )


def evaluate(model, train, test):
    """Scores and seconds of fit_predict on training rows and predict on the others."""
    start = perf_counter()
    train_labels = model.fit_predict(train[0])
    fitted = perf_counter()
    test_labels = model.predict(test[0])
    done = perf_counter()
    return [
        *scores(train[1], train_labels),
        fitted - start,
        *scores(test[1], test_labels),
        done - fitted,
    ]


def split(X, y, seed):
    """A quarter of the rows held out at random."""
    parts = train_test_split(X, y, test_size=0.25, random_state=seed)
    return parts[::2], parts[1::2]


def draw(model, train, test, path):
    """Save the map: training rows by cluster, held-out rows where they were placed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tsne, clustering = model[0], model[-1]
    figure, axes = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    placed = tsne.transform(test[0])
    parts = [
        ("clusters found", clustering.labels_, clustering.predict(placed)),
        ("digits written", train[1], test[1]),
    ]
    for axis, (title, colours, new_colours) in zip(axes, parts, strict=True):
        axis.scatter(*tsne.embedding_.T, c=colours, cmap="tab10", s=6, alpha=0.5)
        axis.scatter(
            *placed.T, c=new_colours, cmap="tab10", s=22, marker="^", edgecolors="k",
            linewidths=0.4,
        )  # fmt: skip
        axis.set(title=title, xticks=[], yticks=[], aspect="equal")
    for j, center in enumerate(clustering.cluster_centers_):
        axes[0].annotate(str(j), center, fontsize=14, weight="bold", ha="center")
    figure.suptitle("Digits: dots are training rows, triangles are held-out rows")
    figure.savefig(path, dpi=110)


def main():
    """Print the table and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", type=int, default=5, help="random splits")
    parser.add_argument("--output", default="cluster_digits.png", help="the picture")
    options = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    # so that the seconds below are the work's own
    print("compiling the kernels, once ...", flush=True)
    METHODS["ExactTSNE -> StudentTClustering"](0).fit(X[:100]).predict(X[100:200])

    print(f"digits, {options.splits} random splits, a quarter held out; means")
    print(f"{'':32}{'training rows':^31} | {'held-out rows':^31}")
    head = "".join(f"{name:>8}" for name in ("ACC", "NMI", "ARI", "sec"))
    print(f"{'':32}{head} |{head}")
    for name, make in METHODS.items():
        rows = []
        for seed in range(options.splits):
            train, test = split(X, y, seed)
            model = make(seed)
            rows.append(evaluate(model, train, test))
            if seed == 0 and name.startswith("ExactTSNE"):
                draw(model, train, test, options.output)
        mean = np.mean(rows, axis=0)
        left, right = (
            "".join(f"{v:8.3f}" for v in part) for part in (mean[:4], mean[4:])
        )
        print(f"{name:32}{left} |{right}", flush=True)
    print(f"map saved to {options.output}")


if __name__ == "__main__":
    main()
