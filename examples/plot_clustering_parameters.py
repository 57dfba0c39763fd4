"""
Bandwidth, balance and degrees of freedom
=========================================

``StudentTClustering`` has three parameters beside the number of clusters.  The
``bandwidth`` h is the distance within which rows count as near; ``dof`` ν tells how
fast memberships fall off beyond it; ``balance`` b how much the target evens out the
sizes of the clusters.  The default, "auto", takes all three from the data.

In the first picture every place of the plane is painted in the colours of the clusters,
mixed by its memberships there: clear colours belong to one cluster, mixed ones to
several.  The black dots are the rows.  A small bandwidth draws sharp borders, a large
one blurs them until clusters fall together; few degrees of freedom leave all rows a
share in every cluster.

The second picture has clusters of 2,000, 200 and 50 rows.  The balance of 1 of the DEC
paper makes sizes more even, here for the worse, so that the start is returned, which is
that of k-means; ½ and 0 let small clusters be small.  With half the bandwidth only rows
at the borders pull, and nothing is gained over k-means.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skdec import StudentTClustering
from skdec.plotting import EmbeddingDisplay, categorical_colors, match_labels

# %%
# Parameters that lose clusters, or evidence, have the start returned, with a warning
# and ``start_kept_``: the pictures say where.


def fitted(X, n_clusters, **parameters):
    """The fitted model; what it warns of is in its attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return StudentTClustering(n_clusters, random_state=0, **parameters).fit(X)


def note(model):
    """What a title says of how the fit went."""
    # clusters that have fallen together share their centroid
    distinct = np.unique(model.cluster_centers_.round(1), axis=0)
    left, asked = len(distinct), model.n_clusters
    if model.start_kept_:
        return "the start is kept"
    if left < asked:
        return f"{left} of {asked} centroids are left"
    return "settled" if model.converged_ else "not settled"


# %%
# Bandwidth and degrees of freedom, on five blobs.  The value that "auto" takes is
# printed, and that of the middle column.
X, y = make_blobs(
    [150] * 5, centers=np.array([[0, 0], [5, 0], [2.5, 4], [8, 5], [-2, 5]]),
    random_state=1,
)  # fmt: skip
auto = fitted(X, 5)
print(f"auto: dof {auto.dof_:g}, bandwidth {auto.bandwidth_:.2f}, "
      f"balance {auto.balance_:g}")  # fmt: skip
FACTORS = [0.5, 1, 2, 4]
DOFS = [0.5, 1, 2, 10]
models = {
    (dof, factor): fitted(X, 5, dof=dof, bandwidth=factor * auto.bandwidth_)
    for dof in DOFS
    for factor in FACTORS
}
side = np.linspace(X.min() - 1, X.max() + 1, 200)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
colours = categorical_colors(5)[:, :3]
figure, axes = plt.subplots(
    len(DOFS), len(FACTORS), figsize=(11, 12), layout="constrained"
)
for ax, model in zip(axes.ravel(), models.values(), strict=True):
    numbers = match_labels(model.labels_, y)
    order = [numbers[np.argmax(model.labels_ == j)] for j in range(5)]
    # a part of white, so that rows show
    mixed = 0.3 + 0.7 * model.predict_proba(plane) @ colours[order]
    ax.imshow(
        mixed.reshape(200, 200, 3), extent=[side[0], side[-1]] * 2, origin="lower"
    )
    ax.scatter(*X.T, s=1.5, c="0.1")
    largest = model.probabilities_.mean()
    ax.set_title(f"mean membership {largest:.2f}\n{note(model)}", fontsize=10)
    ax.set(xticks=[], yticks=[])
for ax, dof in zip(axes[:, 0], DOFS, strict=True):
    ax.set_ylabel(f"dof = {dof:g}")
for ax, factor in zip(axes[-1], FACTORS, strict=True):
    ax.set_xlabel(f"bandwidth = {factor:g} × auto")
figure.suptitle(
    "Memberships over the plane, as mixtures of the colours of clusters; dots: the rows"
)
plt.show()

# %%
# Balance and bandwidth, on round clusters of 2,000, 200 and 50 rows.
SIZES = [2000, 200, 50]
CORNERS = 6 * np.array([[0, 0], [1, 0], [0.5, np.sqrt(0.75)]])
X, y = make_blobs(SIZES, centers=CORNERS, random_state=0)
auto = fitted(X, 3)
BALANCES = [0.0, 0.5, 1.0]
uneven = {
    (balance, factor): fitted(X, 3, balance=balance, bandwidth=factor * auto.bandwidth_)
    for balance in BALANCES
    for factor in (0.5, 1, 2)
}
figure, axes = plt.subplots(3, 3, figsize=(11, 10.5), layout="constrained")
for ax, model in zip(axes.ravel(), uneven.values(), strict=True):
    labels = match_labels(model.labels_, y)
    # one tells which colour is of which class
    EmbeddingDisplay.from_arrays(
        X, labels=labels, names=[f"of {size:,}" for size in SIZES], ax=ax,
        legend=False, annotate=ax is axes[0, 1], point_size=2.5,
    )  # fmt: skip
    sizes = " / ".join(f"{size:,}" for size in np.bincount(labels, minlength=3))
    score = adjusted_rand_score(y, labels)
    ax.set_title(f"{sizes}, ARI {score:.2f}\n{note(model)}", fontsize=10)
for ax, balance in zip(axes[:, 0], BALANCES, strict=True):
    ax.set_ylabel(f"balance = {balance:g}")
for ax, factor in zip(axes[-1], (0.5, 1, 2), strict=True):
    ax.set_xlabel(f"bandwidth = {factor:g} × auto")
figure.suptitle(
    "Clusters of 2,000, 200 and 50 rows: the sizes found, and the adjusted Rand index"
)
plt.show()
