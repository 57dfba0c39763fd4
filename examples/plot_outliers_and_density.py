"""
Rows between clusters, and rows far from all
============================================

Two kinds of rows do not belong to a cluster, and two methods find them.
``entropy_samples`` is large between clusters, where memberships are divided.
``score_samples`` is the log density of the mixture that the memberships stand for: it
is small far from all clusters.  A far row may be on the side of one cluster, so that
its memberships alone do not tell it from the rows there.  (Very far out, where all
clusters are about as far, they are divided again.)

The first picture shows both over a plane, the second the digits that they pick.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from skdec import StudentTClustering
from skdec.plotting import categorical_colors

# %%
# Four clusters, and 3 % of rows spread evenly over a larger square.
rng = np.random.RandomState(0)
blobs, _ = make_blobs(
    [300, 300, 200, 150],
    centers=np.array([[0, 0], [4.2, 0.5], [1, 5], [8, 6]]),
    random_state=rng,
)
far = rng.uniform([-9, -8], [16, 14], size=(30, 2))
X = np.concatenate([blobs, far])
scattered = np.arange(len(X)) >= len(blobs)

model = StudentTClustering(4, random_state=0).fit(X)
density, entropy = model.score_samples(X), model.entropy_samples(X)
sparse = density <= np.quantile(density, 0.03)
between = entropy >= np.quantile(entropy, 0.97)
found_by = {
    "density": roc_auc_score(scattered, -density),
    "entropy": roc_auc_score(scattered, entropy),
    "membership": roc_auc_score(scattered, -model.probabilities_),
}
print("scattered rows told from the others, area under the curve:")
for name, area in found_by.items():
    print(f"  by {name:12}{area:.3f}")
print(f"of the {sparse.sum()} rows of least density {scattered[sparse].sum()} "
      f"are scattered, of the {between.sum()} of most entropy "
      f"{scattered[between].sum()}")  # fmt: skip

# %%
# Both over the plane, as a map of levels.
side = np.linspace(-10, 17, 240), np.linspace(-9, 15, 240)
plane = np.stack(np.meshgrid(*side), axis=-1).reshape(-1, 2)
levels = {
    "log density (score_samples)": (model.score_samples(plane), "viridis"),
    "entropy of the memberships in nats (entropy_samples)": (
        model.entropy_samples(plane),
        "magma",
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(13, 5.8), layout="constrained")
marked = (sparse, "the least dense 3 %"), (between, "the most divided 3 %")
for ax, (title, (values, cmap)), (rows, name) in zip(
    axes, levels.items(), marked, strict=True
):
    grid = values.reshape(240, 240)
    extent = [side[0][0], side[0][-1], side[1][0], side[1][-1]]
    image = ax.imshow(grid, extent=extent, origin="lower", cmap=cmap, alpha=0.8)
    figure.colorbar(image, ax=ax, shrink=0.85)
    ax.contour(*side, grid, levels=12, colors="white", linewidths=0.4)
    ax.scatter(*X.T, s=5, c="black", label="rows")
    ax.scatter(
        *X[rows].T, s=36, c="white", edgecolors="black", linewidths=0.9, label=name
    )
    ax.scatter(
        *model.cluster_means_.T, marker="P", s=110, c="white", edgecolors="black",
        label="means of clusters",
    )  # fmt: skip
    ax.set(title=title, xticks=[], yticks=[], aspect="equal")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, frameon=False)
plt.show()

# %%
# The digits, on 20 principal components: of each cluster the row of greatest density,
# then the rows of least density, and those whose memberships are most divided.  Most of
# the former are sevens with a bar, which few write.  Many of the latter are eights that
# are nearly ones.
digits = load_digits()
Z = PCA(20, random_state=0).fit_transform(digits.data)
model = StudentTClustering(10, random_state=0).fit(Z)
density, entropy = model.score_samples(Z), model.entropy_samples(Z)
typical = [
    np.flatnonzero(model.labels_ == j)[density[model.labels_ == j].argmax()]
    for j in range(10)
]
picked = {
    "typical: the densest row of each cluster": (typical, 0),
    "far from all: the least density": (np.argsort(density)[:10], 1),
    "between clusters: the most entropy": (np.argsort(-entropy)[:10], 2),
}
colours = categorical_colors(3)
figure = plt.figure(figsize=(11, 5.2), layout="constrained")
for part, (title, (rows, number)) in zip(
    figure.subfigures(3, 1), picked.items(), strict=True
):
    part.suptitle(title, color=colours[number], fontsize=12)
    for ax, i in zip(part.subplots(1, 10), rows, strict=True):
        ax.imshow(digits.images[i], cmap="gray_r")
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(f"a {digits.target[i]}")
plt.show()
