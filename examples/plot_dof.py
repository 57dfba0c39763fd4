"""
Degrees of freedom: how heavy the tails are
===========================================

The similarity of two points at distance d is (1 + d²/ν)^(−(ν+1)/2).  With few degrees
of freedom ν its tails are heavy, and clusters contract and fall apart into finer ones;
with many it comes near a Gaussian, and clusters press onto each other.  ν = 1 is t-SNE.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from skdec import ExactTSNE
from skdec.diagnostics import neighbor_recall
from skdec.plotting import EmbeddingDisplay

X, y = load_digits(return_X_y=True)
DOFS = (0.5, 0.8, 1, 2, 5, 10)
maps = {dof: ExactTSNE(dof=dof, random_state=0).fit_transform(X) for dof in DOFS}

# %%
# One set of rows, six maps
# -------------------------
# "Spacing" is the median distance to the tenth neighbour in the map, as a share of the
# radius of the map: the smaller it is, the tighter clusters are beside the gaps.


def spacing(Y):
    """Median distance to the tenth neighbour, in units of the map's radius."""
    distances = NearestNeighbors(n_neighbors=10).fit(Y).kneighbors()[0][:, -1]
    return np.median(distances) / np.linalg.norm(Y.std(axis=0))


spacings = {dof: spacing(Y) for dof, Y in maps.items()}
recall = {dof: neighbor_recall(X, Y, n_neighbors=10) for dof, Y in maps.items()}
figure, axes = plt.subplots(2, 3, figsize=(12, 8.4), layout="constrained")
for ax, (dof, Y) in zip(axes.flat, maps.items(), strict=True):
    EmbeddingDisplay.from_arrays(Y, labels=y, ax=ax, legend=False)
    ax.set_title(
        f"dof = {dof:g}: spacing {spacings[dof]:.3f},\n"
        f"{recall[dof]:.0%} of ten neighbours kept"
    )
plt.show()

# %%
# The similarity itself
# ---------------------
# Near points are compared alike whatever ν is.  It is far points that are told apart:
# at a distance of 10, ν = 0.5 still has a similarity that ν = 10 has at about 3.

distance = np.geomspace(0.1, 30, 200)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for dof, color in zip(DOFS, plt.cm.viridis(np.linspace(0, 0.9, 6)), strict=True):
    similarity = (1 + distance**2 / dof) ** (-(dof + 1) / 2)
    ax.loglog(distance, similarity, color=color, label=f"dof = {dof:g}")
ax.loglog(distance, np.exp(-(distance**2) / 2), "k:", label="its limit, a Gaussian")
ax.set_ylim(1e-6, 2)
ax.set_xlabel("distance in the map")
ax.set_ylabel("similarity")
ax.legend(frameon=False)
plt.show()
