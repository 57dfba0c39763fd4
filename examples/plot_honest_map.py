"""
Which parts of a map to believe
===============================

A map of the digits, scored point by point without any label: where it is overconfident,
where places are badly determined, whose neighbours it has lost.  The last picture says
at a glance which parts not to believe.  The labels come in only at the end, to see
whether the doubts were right.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from skdec import ExactTSNE, StudentTClustering
from skdec.diagnostics import reliability
from skdec.plotting import EmbeddingDisplay, ReliabilityDisplay, match_labels

X, y = load_digits(return_X_y=True)
tsne = ExactTSNE(random_state=0, tol=1e-4)
embedding = tsne.fit_transform(X)

# %%
# Scores of every point
# ---------------------
# Each row is left out and placed anew, as it is and moved a little.  *Perturbation* is
# how far its point jumps: large at rims where the map has parted what the data have
# not.  *Singularity* is how loose its place is.  Beside them, the share of its ten
# nearest rows that are among the ten nearest in the map.

scores = reliability(tsne, X)


def kept_neighbors(X, embedding, k=10):
    """The share of the nearest neighbours of each row that its map keeps."""
    theirs, ours = (
        NearestNeighbors(n_neighbors=k).fit(A).kneighbors(return_distance=False)
        for A in (X, embedding)
    )
    return np.array([np.isin(a, b).mean() for a, b in zip(theirs, ours, strict=True)])


kept = kept_neighbors(X, embedding)
figure, axes = plt.subplots(1, 3, figsize=(15, 4.8), layout="constrained")
ReliabilityDisplay.from_arrays(embedding, scores, ax=axes[0])
ReliabilityDisplay.from_arrays(embedding, scores, score="singularity", ax=axes[1])
EmbeddingDisplay.from_arrays(embedding, values=kept, ax=axes[2])
titles = "perturbation", "singularity", "share of ten neighbours kept"
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title)
plt.show()

# %%
# What not to believe
# -------------------
# Clusters of the map, and the points whose cluster the map alone decides: those of the
# largest 5 % of either score, of a membership below 0.6 in their own cluster, or with
# at most one of ten neighbours kept.

clusters = StudentTClustering(10, random_state=0).fit(embedding)
memberships = clusters.predict_proba(embedding)
labels = match_labels(memberships.argmax(axis=1), y)
doubtful = (
    (scores.perturbation > np.quantile(scores.perturbation, 0.95))
    | (scores.singularity > np.quantile(scores.singularity, 0.95))
    | (memberships.max(axis=1) < 0.6)
    | (kept <= 0.1)
)

figure, ax = plt.subplots(figsize=(9, 7), layout="constrained")
EmbeddingDisplay.from_arrays(embedding, labels=labels, ax=ax, alpha=0.35)
ax.scatter(*embedding[doubtful].T, c="black", marker="x", s=26, linewidths=1.2)
ax.set_title(
    f"clusters of the map; crosses: the {doubtful.mean():.0%} not to believe\n"
    "(a cluster has the colour and number of the digit that it matches best)"
)
plt.show()

# %%
# Were the doubts right?
# ----------------------
# Now the labels: of points that are called doubtful fewer are in a cluster of their own
# digit.

agrees = labels == y
print(f"{doubtful.mean():.0%} of the points are doubtful")
print(f"in the cluster of their own digit: {agrees[doubtful].mean():.0%} of these")
print(
    f"                                   {agrees[~doubtful].mean():.0%} of the others"
)
