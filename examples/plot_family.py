"""
SNE, symmetric SNE and t-SNE side by side
=========================================

SNE (2002), symmetric SNE and t-SNE (2008) are one computation with two choices: the
similarity of two points of the map is a Gaussian of their distance or a Student-t, and
it is normalised for every point or over all pairs.  :class:`skdec.ExactTSNE` has all
four.  The tails of the similarity make the difference that is seen.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skdec import ExactTSNE
from skdec.diagnostics import neighbor_recall
from skdec.plotting import EmbeddingDisplay

X, y = load_digits(return_X_y=True)
FAMILY = {
    "SNE": {"kernel": "gaussian", "normalization": "conditional"},
    "symmetric SNE": {"kernel": "gaussian", "normalization": "joint"},
    "conditional t-SNE": {"kernel": "student_t", "normalization": "conditional"},
    "t-SNE": {"kernel": "student_t", "normalization": "joint"},
}
maps = {
    name: ExactTSNE(random_state=0, **options).fit_transform(X)
    for name, options in FAMILY.items()
}

# %%
# Four maps
# ---------
# Above with the Gaussian, below with the Student-t; on the left one distribution for
# every point, on the right one for all pairs.  Their KL are of different quantities and
# do not compare.  What compares is the share of the ten nearest rows that are among the
# ten nearest in the map.

recall = {name: neighbor_recall(X, Y, n_neighbors=10) for name, Y in maps.items()}
figure, axes = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
for ax, (name, Y) in zip(axes.flat, maps.items(), strict=True):
    EmbeddingDisplay.from_arrays(Y, labels=y, ax=ax, legend=False)
    ax.set_title(f"{name}: {recall[name]:.0%} of the neighbours kept")
figure.suptitle("digits; Gaussian above, Student-t below; per point left, joint right")
plt.show()

# %%
# The crowding problem
# --------------------
# A plane has less room at a moderate distance than 64 dimensions have.  Under a
# Gaussian, points that are a little too far from each other are pulled with a force
# that grows with the distance, so that clusters are pressed onto each other.  The
# Student-t falls off as a power of the distance, far points may be farther still, and
# gaps open.  Below, the distances between points of different digits, in units of the
# median distance between points of the same digit.


def apart(Y):
    """Distances between digits, in units of the median distance within one."""
    one, other = np.triu_indices(len(Y), 1)
    distances = np.linalg.norm(Y[one] - Y[other], axis=1)
    same = y[one] == y[other]
    return distances[~same] / np.median(distances[same])


separation = {name: apart(Y) for name, Y in maps.items()}
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, style in zip(maps, ("C0--", "C0-", "C1--", "C1-"), strict=True):
    heights, edges = np.histogram(separation[name], 80, (0, 12), density=True)
    middles = (edges[1:] + edges[:-1]) / 2
    label = f"{name} (median {np.median(separation[name]):.1f})"
    ax.plot(middles, heights, style, label=label)
ax.set_xlabel("distance between points of different digits (1 = within a digit)")
ax.set_ylabel("density of pairs")
ax.set_ylim(bottom=0)
ax.legend(title="blue: Gaussian, orange: Student-t", frameon=False)
plt.show()
