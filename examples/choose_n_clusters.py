"""Choose the number of clusters by a grid search: StudentTClustering and KMeans.

GridSearchCV with no `scoring` maximises the score method of the estimator on held-out
rows.  That of KMeans is -inertia, which goes on growing with k: it takes the largest k
on offer, or in many dimensions one a little smaller by chance.  That of
StudentTClustering is the simplified silhouette, which has a maximum in between.

What the table shows: on well separated blobs it is at the true k, in 2 dimensions and
in 20, and on the t-SNE map of the digits at 10, although the peak is flat there (within
0.03 from 8 to 12).  Where it goes wrong: of six blobs in three distant pairs it finds
the pairs.  A silhouette prefers few clusters that are far apart to more of them that
are merely apart.  And with many more clusters than there are, in 20 dimensions, some
fits do not settle, or lose clusters: the last column counts the warnings of the 42 fits
of each search.

    python examples/choose_n_clusters.py [--seed 0] [--output FILE.png]
"""

import argparse
import warnings
from functools import partial

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skdec import ExactTSNE, StudentTClustering

GRID = range(2, 16)
METHODS = {
    "StudentTClustering": StudentTClustering(n_init=5, random_state=0),
    "KMeans": KMeans(n_init=5, random_state=0),
}


def blobs(k, n_features, seed):
    """500 rows in k unit blobs whose centers are at least 8 apart."""
    rng = np.random.RandomState(seed)
    # a box whose volume grows with k has room for them in any number of dimensions
    half = 6 * k ** (1 / n_features)
    centers = np.zeros((k, n_features))
    while pdist(centers).min() < 8:
        centers = rng.uniform(-half, half, centers.shape)
    return make_blobs(500, centers=centers, random_state=rng)[0]


def pairs_of_blobs(seed):
    """Six unit blobs in the plane: partners 8 apart, the three pairs about 40."""
    pairs = np.array([[0, 0], [40, 0], [20, 35]])
    apart = np.array([4, 0])
    centers = np.concatenate([pairs - apart, pairs + apart])
    return make_blobs(500, centers=centers, random_state=seed)[0]


def digits_map(seed):
    """The digits on a t-SNE map; scikit-learn's have ten classes."""
    return ExactTSNE(random_state=seed).fit_transform(load_digits().data)


DATA = {
    **{
        f"{k} blobs, {n_features} features": (k, partial(blobs, k, n_features))
        for k in (3, 5, 8)
        for n_features in (2, 20)
    },
    "3 distant pairs of blobs, 2 features": (6, pairs_of_blobs),
    "digits on their t-SNE map": (10, digits_map),
}


def search(model, X):
    """Chosen k, the scores over the grid, and how many warnings the fits gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        found = GridSearchCV(model, {"n_clusters": GRID}, cv=3).fit(X)
    chosen = found.best_params_["n_clusters"]
    return chosen, found.cv_results_["mean_test_score"], len(caught)


def draw(results, path):
    """Save score against k: a panel for each method, a line for each data set."""
    try:
        import matplotlib
    except ImportError:
        return "no picture: matplotlib is not installed"
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    for name, axis in zip(METHODS, axes, strict=True):
        for title, searches in results.items():
            scores = searches[name][1]
            # -inertia has the unit of the data squared: bring the lines together
            scores = scores / abs(scores[0]) if name == "KMeans" else scores
            line = axis.plot(GRID, scores, marker=".", label=title)[0]
            true = list(GRID).index(DATA[title][0])
            axis.plot(GRID[true], scores[true], marker="o", color=line.get_color())
        axis.set(title=name, xlabel="n_clusters", xticks=GRID)
    axes[0].set_ylabel("score on held-out rows: simplified silhouette")
    axes[1].set_ylabel("score on held-out rows: -inertia, as a share of that at 2")
    axes[1].legend(fontsize=8)
    figure.suptitle("What a grid search sees; large dots are at the true k")
    figure.savefig(path, dpi=110)
    return f"curves saved to {path}"


def main():
    """Print the table and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the data")
    parser.add_argument("--output", default="choose_n_clusters.png", help="the picture")
    options = parser.parse_args()

    print(
        f"k chosen from {GRID[0]} to {GRID[-1]} by GridSearchCV with no scoring given"
    )
    head = "".join(f"{name:>20}" for name in METHODS)
    print(f"{'':38}{'true k':>6}{head}{'warnings of each':>24}")
    results = {}
    for title, (true, make_data) in DATA.items():
        X = make_data(options.seed)
        # on so few rows the threads of k-means would wait on each other
        with threadpool_limits(1):
            results[title] = {name: search(METHODS[name], X) for name in METHODS}
        chosen = "".join(f"{k:20}" for k, *_ in results[title].values())
        warned = ", ".join(str(n) for *_, n in results[title].values())
        print(f"{title:38}{true:6}{chosen}{warned:>24}")
    print(draw(results, options.output))


if __name__ == "__main__":
    main()
