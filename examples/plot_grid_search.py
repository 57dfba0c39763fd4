"""
A map and its clusters under one grid search
============================================

``ExactTSNE`` can place new rows, so that a pipeline of a map and a clustering is an
estimator like any other: ``GridSearchCV`` fits it on some rows and scores it on others.
Here it looks for the perplexity of the map and the number of clusters at once.  Each
map is made once for all numbers of clusters: the pipeline keeps it in its cache.

The score, left, is the simplified silhouette of held-out rows on the map.  It knows no
labels.  The agreement with the written digits, right, is for the reader alone, and
shows how far such a score can be followed.
"""

import tempfile
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import EmbeddingDisplay, match_labels

# %%
# The search, over 1,000 of the digits, in two folds.
X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(
    X, y, train_size=1000, stratify=y, random_state=0
)
GRID = {
    "map__perplexity": [5, 10, 20, 40, 80],
    "clusters__n_clusters": [6, 8, 9, 10, 11, 12, 14],
}


def silhouette(pipeline, X, y):
    """The pipeline's own score: of the clustering, on the map."""
    return pipeline.score(X)


def agreement(pipeline, X, y):
    """With the written digits: adjusted Rand index."""
    return adjusted_rand_score(y, pipeline.predict(X))


with tempfile.TemporaryDirectory() as cache, warnings.catch_warnings():
    # a row of some map may find no place in it, and which one depends on the processor
    warnings.simplefilter("ignore", ConvergenceWarning)
    pipeline = Pipeline(
        [
            ("map", ExactTSNE(random_state=0)),
            ("clusters", StudentTClustering(n_init=10, random_state=0)),
        ],
        memory=cache,
    )
    search = GridSearchCV(
        pipeline, GRID, cv=2, refit="silhouette",
        scoring={"silhouette": silhouette, "agreement": agreement},
    ).fit(train, y_train)  # fmt: skip
    labels = search.predict(test)
print("chosen:", {name.split("__")[1]: k for name, k in search.best_params_.items()})
reached = adjusted_rand_score(y_test, labels)
print(f"agreement on {len(test)} rows that the search has not seen: {reached:.3f}")

# %%
# Both are best at perplexity 10 and ten clusters.  With more clusters the score hardly
# falls: it tells of too few, and less of too many.
shape = tuple(len(values) for values in GRID.values())
tables = {
    # scikit-learn sorts the parameters by their names
    name: search.cv_results_[f"mean_test_{name}"].reshape(shape[::-1]).T
    for name in ("silhouette", "agreement")
}
figure, axes = plt.subplots(
    1, 3, figsize=(15, 4.4), layout="constrained", width_ratios=[1.1, 1.1, 1]
)
titles = "simplified silhouette", "agreement with the digits (ARI)"
for ax, table, title in zip(axes, tables.values(), titles, strict=False):
    # light ends of the colours, so that black numbers can be read on all of them
    ax.imshow(
        table, cmap="YlGnBu", vmin=table.min(), vmax=2 * np.ptp(table) + table.min()
    )
    for (i, j), value in np.ndenumerate(table):
        bold = (i, j) == np.unravel_index(table.argmax(), table.shape)
        ax.text(j, i, f"{value:.2f}", ha="center", va="center",
                weight="bold" if bold else "normal")  # fmt: skip
    ax.set_xticks(range(shape[1]), GRID["clusters__n_clusters"])
    ax.set_yticks(range(shape[0]), GRID["map__perplexity"])
    ax.set(title=f"{title}; bold: the best", xlabel="n_clusters", ylabel="perplexity")
tsne = search.best_estimator_["map"]
EmbeddingDisplay.from_arrays(
    tsne.transform(test), labels=match_labels(labels, y_test), ax=axes[2]
)
axes[2].set_title(f"held-out rows, their clusters\nARI {reached:.2f}")
plt.show()
