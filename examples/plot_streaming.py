"""
Clusters that follow a stream
=============================

``partial_fit`` takes a stream batch by batch.  Here five clusters of unequal size turn
slowly about the origin, within 14 further dimensions of noise.  The first batches are
kept and fitted together, so that the start does not hang on the first of them; after
that each batch is one step, and centroids move with their rows.  Clusters keep their
numbers all the way, so that labels of yesterday and of today can be compared.

The first picture shows three of the batches in the colours of their labels, over the
parts of the plane that belong to each cluster by then; the second the share of rows
with the right number, next to that of the clusters of the first batch kept as they
were, and of clusters found anew in every batch, whose numbers are drawn anew too.

A stream finds no new clusters, and its steps become shorter: it lags behind rows that
move fast, as begins to show at the end.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from skdec import StudentTClustering
from skdec.plotting import EmbeddingDisplay, categorical_colors, match_labels

# %%
# A hundred batches of 500 rows, during which the clusters turn by 60 degrees.
N_BATCHES, N_ROWS, N_FEATURES = 100, 500, 16
SHARES = np.array([0.35, 0.25, 0.2, 0.12, 0.08])
ANGLES = 2 * np.pi * np.arange(5) / 5
rng = np.random.default_rng(0)


def batch(turned):
    """Rows of the five clusters after a turn, and the cluster that each is of."""
    y = rng.choice(5, size=N_ROWS, p=SHARES)
    X = rng.standard_normal((N_ROWS, N_FEATURES))
    X[:, 0] += 7 * np.cos(ANGLES[y] + turned)
    X[:, 1] += 7 * np.sin(ANGLES[y] + turned)
    return X, y


batches = [batch(turned) for turned in np.deg2rad(np.linspace(0, 60, N_BATCHES))]

# %%
# The stream, and what it is compared with.
SHOWN = [0, N_BATCHES // 2, N_BATCHES - 1]
side = np.linspace(-11, 11, 150)
plane = np.zeros((150 * 150, N_FEATURES))
plane[:, :2] = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)

first, truth = batches[0]
stream = StudentTClustering(5, random_state=0)
fixed = StudentTClustering(5, random_state=0).fit(first)
labels = {"partial_fit": [], "the first batch's clusters": [], "found anew": []}
parts = {}
for number, (X, _) in enumerate(batches):
    labels["partial_fit"].append(stream.partial_fit(X).labels_)
    labels["the first batch's clusters"].append(fixed.predict(X))
    # on so few rows the threads of k-means would wait on each other
    with threadpool_limits(1):
        anew = KMeans(5, n_init=5, random_state=number).fit(X)
    labels["found anew"].append(anew.labels_)
    if number in SHOWN:
        parts[number] = stream.predict(plane)

# %%
# The numbers of each are matched with the true ones in the first batch, and never
# again.
right, true_number = {}, {}
for name, found in labels.items():
    _, at = np.unique(found[0], return_index=True)
    true_number[name] = match_labels(found[0], truth)[at]
    right[name] = np.array(
        [
            np.mean(true_number[name][each] == y)
            for each, (_, y) in zip(found, batches, strict=True)
        ]
    )
    print(f"{name:28} right in the first ten batches {right[name][:10].mean():.3f}, "
          f"in the last ten {right[name][-10:].mean():.3f}")  # fmt: skip

# %%
numbers = true_number["partial_fit"]
# paler than the rows
colours = 0.75 + 0.25 * categorical_colors(5)[:, :3]
figure, axes = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
for ax, number in zip(axes, SHOWN, strict=True):
    ax.imshow(
        colours[numbers[parts[number]]].reshape(150, 150, 3),
        extent=[-11, 11, -11, 11], origin="lower",
    )  # fmt: skip
    EmbeddingDisplay.from_arrays(
        batches[number][0][:, :2], labels=numbers[labels["partial_fit"][number]],
        ax=ax, legend=False,
    )  # fmt: skip
    ax.set_aspect("equal", adjustable="box")
    ax.set(title=f"batch {number + 1}", xlim=(-11, 11), ylim=(-11, 11))
figure.suptitle(
    "Rows of three batches in the colours of their labels, and where each is given"
)
plt.show()

# %%
figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for name, shares in right.items():
    ax.plot(np.arange(1, N_BATCHES + 1), shares, label=name)
ax.set(xlabel="batch", ylabel="share of rows with the right number", ylim=(-0.02, 1.02))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
