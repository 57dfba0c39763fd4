"""
Cluster five million rows on a cluster of processes, and map some of them
=========================================================================

A LocalCluster of two workers makes the rows, block by block, and keeps them:
overlapping Gaussians of unequal size.  StudentTClustering runs over the blocks.  Labels
are lazy: only their counts come back.  Then 50,000 of the rows are mapped by ExactTSNE
in this process.

What the picture shows: the map in the colours of the clusters, pale where a row belongs
to several.  A cluster has the colour and the name of the Gaussian that it matches best.
The clusters were found in all rows, without the map, and agree with it.

    python examples/cluster_on_dask.py [--rows 5000000] [--mapped 50000]
        [--output FILE.png]

``examples/plot_dask.py`` does the same with 200,000 rows in this process.
"""

import argparse
from time import perf_counter

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.metrics import adjusted_rand_score

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import categorical_colors, match_labels

N_FEATURES, BLOCK = 10, 125_000
SHARES = np.array([0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.04])
NAMES = [f"{share:.0%} of the rows" for share in SHARES]


def block(seed, n_rows):
    """Rows of overlapping Gaussians, and last of all the one that each is of."""
    centers = 2.2 * np.random.default_rng(0).standard_normal((len(SHARES), N_FEATURES))
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(SHARES), size=n_rows, p=SHARES)
    rows = centers[truth] + rng.standard_normal((n_rows, N_FEATURES))
    return np.column_stack([rows, truth]).astype(np.float32)


def rows_in_blocks(n_rows):
    """All rows as a dask array."""
    sizes = [min(BLOCK, n_rows - first) for first in range(0, n_rows, BLOCK)]
    blocks = [
        da.from_delayed(
            dask.delayed(block)(seed, size), (size, N_FEATURES + 1), np.float32
        )
        for seed, size in enumerate(sizes)
    ]
    return da.concatenate(blocks)


def clustered(n_rows, n_mapped):
    """Rows to map, with labels, memberships and a table of what was found in all."""
    start = perf_counter()
    data = rows_in_blocks(n_rows).persist()
    X, truth = data[:, :-1], data[:, -1]
    model = StudentTClustering(len(SHARES), random_state=0).fit(X)
    print(f"{n_rows:,} rows in {data.numblocks[0]} blocks: {model.n_iter_} passes, "
          f"{perf_counter() - start:.0f} s with making the rows")  # fmt: skip
    counts = da.bincount(model.labels_, minlength=len(SHARES)).compute()
    every = max(1, n_rows // n_mapped)
    some, labels, largest, theirs = dask.compute(
        *(part[::every] for part in (X, model.labels_, model.probabilities_, truth))
    )
    print("shares found:", np.round(np.sort(counts)[::-1] / n_rows, 3))
    print("shares true: ", SHARES)
    print(f"adjusted Rand index of {len(some):,}: "
          f"{adjusted_rand_score(theirs, labels):.3f}")  # fmt: skip
    # clusters have the numbers, and so the colours, of the Gaussians they match
    return some, match_labels(labels, theirs), largest


def draw(places, labels, largest, output):
    """Save the map."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(7, 6.4), layout="constrained")
    axes = figure.subplots()
    colors = categorical_colors(labels.max() + 1)
    order = np.argsort(largest)
    shade = colors[labels[order]]
    shade[:, 3] = np.clip(largest[order], 0.1, 1)
    axes.scatter(*places[order].T, c=shade, s=1.5, lw=0)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=color, label=name)
        for color, name in zip(colors, NAMES, strict=False)
    ]
    axes.legend(
        handles=handles, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    axes.set_title(
        f"{len(places):,} of the rows on a t-SNE map, in the colours of clusters\n"
        "found in all of them; pale rows belong to several",
        fontsize=10,
    )
    axes.set_axis_off()
    figure.savefig(output, dpi=120)


def main(argv=None):
    """Cluster, map and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--mapped", type=int, default=50_000)
    parser.add_argument("--output", default="cluster_on_dask.png")
    options = parser.parse_args(argv)
    local = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with local, Client(local):
        some, labels, largest = clustered(options.rows, options.mapped)
    start = perf_counter()
    places = ExactTSNE(random_state=0).fit_transform(some)
    print(f"map: {perf_counter() - start:.0f} s")
    draw(places, labels, largest, options.output)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
