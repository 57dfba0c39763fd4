"""Deep clustering of handwritten digits: the embedding before and after it learned.

Pre-trains an autoencoder on scikit-learn's digits, clusters its embedding, and lets
both learn together (IDEC).  Prints a table next to k-means and draws the embedding, on
two principal components, before and after, the memberships, and clusters against
digits.  Labels are used for nothing but the scores and colours.  Needs the extras
``deep`` and ``plot``.

    python examples/plot_deep_clustering.py [--epochs 100] [--output FILE.png]
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

from skdec import StudentTClustering
from skdec.encoders import AutoencoderEncoder


def matched(truth, labels):
    """Confusion of digits (rows) with clusters, each in its best digit's column."""
    counts = confusion_matrix(truth, labels)
    return counts[:, linear_sum_assignment(-counts)[1]]


def scores(truth, labels):
    """Accuracy (Hungarian), NMI and ARI."""
    return (
        np.trace(matched(truth, labels)) / len(truth),
        normalized_mutual_info_score(truth, labels),
        adjusted_rand_score(truth, labels),
    )


def fit_all(X, epochs=100, hidden_dims=(500, 500, 2000, 10), random_state=0):
    """The models by name, each with its seconds."""
    fitted = {}

    def fit(name, model, rows):
        start = perf_counter()
        fitted[name] = model.fit(rows), perf_counter() - start
        return model

    fit("k-means on pixels", KMeans(10, n_init=10, random_state=random_state), X)
    encoder = AutoencoderEncoder(hidden_dims, epochs=epochs, random_state=random_state)
    fit("pre-training", encoder, X)
    start = StudentTClustering(10, random_state=random_state)
    fit("StudentTClustering on its embedding", start, encoder.transform(X))
    # of fewer than two thousand rows, some on a border change to the end
    deep = StudentTClustering(
        10, encoder=encoder.pretrained_copy(), tol=5e-3, random_state=random_state
    )
    fit("both learning together (IDEC)", deep, X)
    return fitted


def draw(fitted, X, y, path):
    """Save the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    before, _ = fitted["StudentTClustering on its embedding"]
    deep, _ = fitted["both learning together (IDEC)"]
    first = fitted["pre-training"][0].transform(X)
    figure, axes = plt.subplots(2, 2, figsize=(12, 11), layout="constrained")
    for axis, Z, model, title in (
        (axes[0, 0], first, before, "the embedding, pre-trained"),
        (axes[0, 1], deep.encoding_, deep, "the embedding, learned with the clusters"),
    ):
        plane = PCA(2, random_state=0).fit(Z)
        axis.scatter(*plane.transform(Z).T, c=y, cmap="tab10", s=5, alpha=0.6)
        for j, place in enumerate(plane.transform(model.cluster_centers_)):
            axis.annotate(str(j), place, fontsize=13, weight="bold", ha="center")
        accuracy = scores(y, model.labels_)[0]
        axis.set(title=f"{title}\ncolours are digits; accuracy {accuracy:.3f}")
        axis.set(xticks=[], yticks=[])
    edges = np.linspace(0, 1, 26)
    for model, Z, name in ((before, first, "pre-trained"), (deep, X, "learned")):
        largest = model.predict_proba(Z).max(axis=1)
        axes[1, 0].hist(largest, edges, histtype="step", linewidth=2, label=name)
    axes[1, 0].set(title="the largest membership of each row", xlabel="max q")
    axes[1, 0].legend(loc="upper left")
    counts = matched(y, deep.labels_)
    axes[1, 1].imshow(np.sqrt(counts), cmap="Blues")
    for i, j in np.argwhere(counts):
        axes[1, 1].annotate(str(counts[i, j]), (j, i), ha="center", va="center")
    axes[1, 1].set(title="digits and their clusters", ylabel="digit", xticks=[])
    axes[1, 1].set(yticks=range(10), xlabel="cluster")
    figure.savefig(path, dpi=100)


def main():
    """Print the table and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=100, help="of pre-training")
    parser.add_argument("--output", default="deep_clustering.png", help="the picture")
    options = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    fitted = fit_all(X, options.epochs)
    print(f"{'digits':38}{'ACC':>7}{'NMI':>7}{'ARI':>7}{'sec':>8}")
    for name, (model, seconds) in fitted.items():
        known = scores(y, model.labels_) if hasattr(model, "labels_") else ()
        cells = "".join(f"{value:7.3f}" for value in known)
        print(f"{name:38}{cells:21}{seconds:8.1f}")
    draw(fitted, X, y, options.output)
    print(f"picture saved to {options.output}")


if __name__ == "__main__":
    main()
