"""Which parts of a map to believe: scores of every point beside the memberships.

Maps scikit-learn's digits, scores each point with its own row left out, and clusters
the map.  Four pictures of it: where it is overconfident (perturbation), where places
are badly determined (singularity), whose neighbours it keeps, and what is left to
believe.
A fifth compares perplexities.  No label is used for any but the table that is printed.
Needs the extra ``plot``.

    python examples/plot_honest_map.py [--rows 1797] [--output FILE.png] [--cells]

With ``--cells`` the data are scanpy's 700 blood cells, which needs scanpy
(``pip install scanpy``).
"""

import argparse
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from skdec import ExactTSNE, StudentTClustering
from skdec.diagnostics import perplexity_table, reliability

# A row is called doubtful if its place is among the most uncertain, or its cluster is.
UPPER, UNSURE, FEW_KEPT = 0.95, 0.6, 0.1


class Evidence(NamedTuple):
    """What the data say of each point of a map."""

    map: np.ndarray
    membership: np.ndarray  # of its own cluster
    labels: np.ndarray
    perturbation: np.ndarray
    singularity: np.ndarray
    kept: np.ndarray  # share of its ten nearest neighbours

    @property
    def doubtful(self):
        """Points whose cluster the map alone decides."""
        jumps = self.perturbation > np.quantile(self.perturbation, UPPER)
        loose = self.singularity > np.quantile(self.singularity, UPPER)
        return jumps | loose | (self.membership < UNSURE) | (self.kept < FEW_KEPT)


def digits(n_rows):
    """The first digits of scikit-learn, and which they are."""
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], y[:n_rows]


def cells():
    """700 blood cells on 50 principal components, and their types."""
    import scanpy

    data = scanpy.datasets.pbmc68k_reduced()
    return data.obsm["X_pca"], data.obs["bulk_labels"].cat.codes.to_numpy()


def kept_neighbors(X, embedding, k=10):
    """The share of the nearest neighbours of each row that its map keeps."""
    theirs, ours = (
        NearestNeighbors(n_neighbors=k).fit(A).kneighbors(return_distance=False)
        for A in (X, embedding)
    )
    return np.array([np.isin(a, b).mean() for a, b in zip(theirs, ours, strict=True)])


def evidence(X, n_clusters=10):
    """Map, cluster and score all rows."""
    tsne = ExactTSNE(random_state=0, tol=1e-4)
    embedding = tsne.fit_transform(X)
    clusters = StudentTClustering(n_clusters, random_state=0).fit(embedding)
    q = clusters.predict_proba(embedding)
    scores = reliability(tsne, X)
    return Evidence(
        embedding, q.max(axis=1), q.argmax(axis=1), scores.perturbation,
        scores.singularity, kept_neighbors(X, embedding),
    )  # fmt: skip


def agreement(labels, truth, rows):
    """The share of rows whose class is that of most rows of their cluster."""
    majority = {c: np.bincount(truth[labels == c]).argmax() for c in np.unique(labels)}
    return np.mean([majority[labels[i]] == truth[i] for i in np.flatnonzero(rows)])


def report(found, truth):
    """How often the clusters agree with labels, of doubtful points and of others."""
    doubtful = found.doubtful
    print(f"{doubtful.mean():.0%} of the points are doubtful")
    for name, rows in (("doubtful", doubtful), ("others", ~doubtful)):
        share = agreement(found.labels, truth, rows)
        print(f"  {name:9} in the cluster of their own class: {share:.1%}")


def draw_scores(axes, found):
    """Four views of the map."""
    views = (
        ("perturbation: how far a point jumps", found.perturbation, "magma_r"),
        ("log10 singularity: how loose its place is", np.log10(found.singularity),
         "magma_r"),
        ("neighbours kept, of ten", found.kept, "magma"),
    )  # fmt: skip
    for ax, (title, values, colours) in zip(axes, views, strict=False):
        low, high = np.quantile(values[np.isfinite(values)], (0.02, 0.98))
        order = np.argsort(values if colours.endswith("_r") else -values)
        dots = ax.scatter(*found.map[order].T, c=values[order], s=7, cmap=colours,
                          vmin=low, vmax=high)  # fmt: skip
        ax.figure.colorbar(dots, ax=ax, shrink=0.8)
        ax.set_title(title, fontsize=10)
    ax, doubtful = axes[3], found.doubtful
    ax.scatter(*found.map[~doubtful].T, c=found.labels[~doubtful], s=7, cmap="tab10",
               alpha=0.35, vmin=0, vmax=9)  # fmt: skip
    ax.scatter(*found.map[doubtful].T, c="black", s=9, marker="x", linewidths=0.8)
    ax.set_title("clusters, and the points not to believe (crosses)", fontsize=10)
    for ax in axes[:4]:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_aspect("equal")


def draw_table(ax, table):
    """Scores against the perplexity, each as a share of its largest."""
    for name in ("singularity", "perturbation", "pbic", "neighbor_recall"):
        values = table.to_dict()[name]
        ax.plot(table.perplexity, values / values.max(), "o-", ms=4, label=name)
    ax.axvline(table.elbow, c="0.6", ls="--", lw=1)
    ax.set_xscale("log")
    ax.set_xticks(table.perplexity, [f"{value:g}" for value in table.perplexity])
    ax.minorticks_off()
    ax.set_xlabel("perplexity (dashed: the elbow of the singularity scores)")
    ax.set_title("scores, as shares of their largest", fontsize=10)
    ax.legend(fontsize=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1797)
    parser.add_argument("--cells", action="store_true")
    parser.add_argument("--output", default="honest_map.png")
    options = parser.parse_args()

    X, truth = cells() if options.cells else digits(options.rows)
    found = evidence(X, n_clusters=len(np.unique(truth)))
    report(found, truth)
    perplexities = [p for p in (4, 8, 15, 30, 60, 100) if 3 * p < len(X)]
    table = perplexity_table(
        ExactTSNE(random_state=0, tol=1e-4), X, perplexities, rows=300, random_state=0
    )
    print(f"elbow: perplexity {table.elbow:g}; least pBIC: {table.least_pbic:g}")

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(15, 9), layout="constrained")
    axes = axes.ravel()
    draw_scores(axes, found)
    draw_table(axes[4], table)
    ax = axes[5]
    ax.scatter(found.perturbation, found.membership, c=found.kept, s=6, cmap="magma")
    ax.set_xscale("log")
    ax.set_xlabel("perturbation")
    ax.set_ylabel("membership of its own cluster")
    ax.set_title("below and right: doubtful (colour: neighbours kept)", fontsize=10)
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
