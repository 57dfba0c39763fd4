"""
Cluster handwritten digits: a map, then clusters on it
======================================================

Fits Pipeline [ExactTSNE -> StudentTClustering] on scikit-learn's digits with a quarter
held out, next to k-means on the pixels and StudentTClustering on principal
components.  Labels are used for nothing but the scores and the colours.

    python examples/cluster_digits.py [--splits 5] [--output cluster_digits.png]

Prints a table and saves a picture of the first split: the map, in the colours of the
digits and of the clusters, with the held-out rows where they were placed, and a table
of held-out digits against their clusters.
"""

import argparse
from time import perf_counter

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    adjusted_rand_score,
    normalized_mutual_info_score,
)
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import EmbeddingDisplay, categorical_colors, match_labels

METHODS = {
    "k-means on pixels": lambda seed: KMeans(10, n_init=10, random_state=seed),
    "StudentTClustering on PCA": lambda seed: make_pipeline(
        PCA(10, random_state=seed), StudentTClustering(10, random_state=seed)
    ),
    "ExactTSNE -> StudentTClustering": lambda seed: make_pipeline(
        ExactTSNE(random_state=seed), StudentTClustering(10, random_state=seed)
    ),
}


def scores(truth, labels):
    """Accuracy (under the best matching of clusters to classes), NMI and ARI."""
    return (
        np.mean(match_labels(labels, truth) == truth),
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


def alone(placed, embedding):
    """Which placed rows are farther from all training rows than any of these is."""
    near = NearestNeighbors(n_neighbors=1).fit(embedding)
    among_themselves, _ = near.kneighbors()
    return near.kneighbors(placed)[0][:, 0] > among_themselves.max()


def draw_map(ax, embedding, labels, placed, placed_labels):
    """Training rows as dots, held-out rows as triangles, in the colours of labels."""
    # in mixed order, since each covers what is before it
    order = np.random.default_rng(0).permutation(len(placed))
    ax.scatter(
        *placed[order].T, c=categorical_colors(10)[placed_labels[order]], s=24,
        marker="^", edgecolors="black", linewidths=0.5, zorder=3,
    )  # fmt: skip
    ax.scatter(
        *placed[alone(placed, embedding)].T, s=180, facecolors="none",
        edgecolors="black", linewidths=1.3, zorder=3,
    )  # fmt: skip
    EmbeddingDisplay.from_arrays(embedding, labels=labels, ax=ax)


def draw(model, train, test, path):
    """Save the map in both colours, and held-out digits against their clusters."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tsne, clustering = model[0], model[-1]
    placed = tsne.transform(test[0])
    # clusters have the numbers, and so the colours, of the digits they match
    labels = match_labels(
        np.concatenate([clustering.labels_, clustering.predict(placed)]),
        np.concatenate([train[1], test[1]]),
    )
    found, new = np.split(labels, [len(train[1])])
    figure, axes = plt.subplots(1, 3, figsize=(18, 6.4), layout="constrained")
    parts = ("digits written", train[1], test[1]), ("clusters found", found, new)
    for ax, (title, training, held_out) in zip(axes, parts, strict=False):
        draw_map(ax, tsne.embedding_, training, placed, held_out)
        ax.set_title(title)
    counts = ConfusionMatrixDisplay.from_predictions(
        test[1], new, cmap="Blues", colorbar=False, ax=axes[2]
    )
    for text in counts.text_.ravel():
        text.set_visible(text.get_text() != "0")
    axes[2].set(ylabel="digit written", xlabel="cluster, by the digit it matches")
    share = np.mean(new == test[1])
    axes[2].set_title(f"held-out rows: {share:.1%} in the cluster of their digit")
    figure.suptitle(
        "Dots: training rows.  Triangles: held-out rows, each placed in the finished "
        "map.  Circled: held-out rows that lie\nalone, because the training rows most "
        "like them are in several clusters, far from one another."
    )
    # the layout of axes of fixed aspect settles when it is made a second time
    figure.draw_without_rendering()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main():
    """Print the table and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
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
