"""
Choosing the number of clusters
===============================

``GridSearchCV`` with no ``scoring`` maximises the score method of the estimator on
held-out rows.  That of ``KMeans`` is −inertia, which goes on growing with k.  That of
``StudentTClustering`` is the simplified silhouette, which has a maximum in between: at
the true number of well separated blobs, in 2 dimensions and in 20, and near ten on the
t-SNE map of the digits, where the peak is flat.

Where it goes wrong: of six blobs in three distant pairs it finds the pairs.  A
silhouette prefers few clusters that are far apart to more of them that are merely
apart.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import EmbeddingDisplay, match_labels

# %%
# The data: the true number of clusters, rows, and the cluster that each is of.


def blobs(k, n_features, seed=0):
    """500 rows in k unit blobs, centers at least 8 apart, and the blob of each."""
    rng = np.random.RandomState(seed)
    # a box whose volume grows with k has room for them in any number of dimensions
    half = 6 * k ** (1 / n_features)
    centers = np.zeros((k, n_features))
    while pdist(centers).min() < 8:
        centers = rng.uniform(-half, half, centers.shape)
    return make_blobs(500, centers=centers, random_state=rng)


def pairs_of_blobs(seed=0):
    """Six unit blobs in the plane: partners 8 apart, the three pairs about 40."""
    pairs = np.array([[0, 0], [40, 0], [20, 35]])
    apart = np.array([4, 0])
    centers = np.concatenate([pairs - apart, pairs + apart])
    return make_blobs(500, centers=centers, random_state=seed)


DATA = {
    "three blobs in the plane": (3, *blobs(3, 2)),
    "eight blobs in 20 dimensions": (8, *blobs(8, 20)),
    "the digits on a t-SNE map": (
        10,
        ExactTSNE(random_state=0).fit_transform(load_digits().data),
        load_digits().target,
    ),
    "six blobs in three distant pairs": (6, *pairs_of_blobs()),
}

# %%
# The search: 14 numbers of clusters, three folds.  Fits with many more clusters than
# there are may not settle; their warnings are counted.
GRID = range(2, 16)
METHODS = {
    "StudentTClustering": StudentTClustering(n_init=5, random_state=0),
    "KMeans": KMeans(n_init=5, random_state=0),
}


def search(model, X):
    """The fitted search, and how many warnings the fits gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        # on so few rows the threads of k-means would wait on each other
        with threadpool_limits(1):
            found = GridSearchCV(model, {"n_clusters": GRID}, cv=3).fit(X)
    return found, len(caught)


searches, warned = {}, {}
for title, (true, X, _) in DATA.items():
    for name, model in METHODS.items():
        searches[title, name], warned[title, name] = search(model, X)
    chosen = {
        name: searches[title, name].best_params_["n_clusters"] for name in METHODS
    }
    print(f"{title:34} true {true:2}; "
          + "; ".join(f"{name} {k:2}" for name, k in chosen.items()))  # fmt: skip

# %%
# Above the rows in the clusters that ``StudentTClustering`` found at the number chosen,
# with the number and the colour of the blob, or digit, that each matches best.  Below
# the scores of both methods.  Each curve is scaled to its own range, since
# −inertia has the unit of the data squared; the number chosen has a large mark.
figure, axes = plt.subplots(
    2, 4, figsize=(15, 7), layout="constrained", height_ratios=[1.25, 1]
)
for (title, (true, X, y)), (above, below) in zip(DATA.items(), axes.T, strict=True):
    best = searches[title, "StudentTClustering"]
    plane = X if X.shape[1] == 2 else PCA(2, random_state=0).fit_transform(X)
    labels = match_labels(best.predict(X), y)
    EmbeddingDisplay.from_arrays(plane, labels=labels, ax=above, legend=False)
    chosen = best.best_params_["n_clusters"]
    above.set_title(f"{title}\nchosen {chosen}, true {true}")
    for name, mark in zip(METHODS, "os", strict=True):
        scores = searches[title, name].cv_results_["mean_test_score"]
        scaled = (scores - scores.min()) / np.ptp(scores)
        line = below.plot(GRID, scaled, marker=mark, ms=4, label=name)[0]
        at = scaled.argmax()
        below.plot(GRID[at], scaled[at], mark, ms=10, mfc="none", c=line.get_color())
    below.axvline(true, color="0.5", ls="--", label="true number")
    below.set(xlabel="n_clusters", xticks=GRID[::2])
axes[1, 0].set_ylabel("held-out score,\nfrom its least to its largest")
figure.suptitle("Numbers of clusters that a grid search chooses (large marks)")
figure.legend(*below.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()
