"""
Deep clustering with convolutions
=================================

Layers of your own take the place of the usual ones: a pair of PyTorch modules, of which
the first makes an embedding of a row and the second a row of an embedding.  Here both
are convolutional, so they know which pixels are neighbours.  The digits and their
clusters then share an embedding (IDEC).

What the decoder makes of a cluster's mean is on the left of each line: no row of the
data, but what the network takes the cluster for.  Beside it are the rows that are in it
most surely and, framed in orange, those that are divided the most between it and
another.  Below, the decoder draws the way from one mean to another.

Needs PyTorch (``pip install 'skdec[deep]'``).
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import nn

from skdec import StudentTClustering
from skdec.encoders import AutoencoderEncoder
from skdec.plotting import match_labels

# %%
# Rows come as they are in X, 64 pixels each; the modules give them their shape and take
# it from them.  The weights are drawn here, by PyTorch's own seed.
torch.manual_seed(0)
N_COMPONENTS = 10
encoder = nn.Sequential(
    nn.Unflatten(1, (1, 8, 8)),
    nn.Conv2d(1, 16, kernel_size=3, padding=1),
    nn.ELU(),
    nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1),  # to 4×4
    nn.ELU(),
    nn.Conv2d(32, 64, kernel_size=3, stride=2, padding=1),  # to 2×2
    nn.ELU(),
    nn.Flatten(),
    nn.Linear(64 * 2 * 2, N_COMPONENTS),
)
decoder = nn.Sequential(
    nn.Linear(N_COMPONENTS, 64 * 2 * 2),
    nn.Unflatten(1, (64, 2, 2)),
    nn.ELU(),
    nn.ConvTranspose2d(64, 32, kernel_size=2, stride=2),  # to 4×4
    nn.ELU(),
    nn.ConvTranspose2d(32, 16, kernel_size=2, stride=2),  # to 8×8
    nn.ELU(),
    nn.Conv2d(16, 1, kernel_size=3, padding=1),
    nn.Flatten(),
)

# %%
# They are copied, so that every fit begins with the weights they have here.
X, y = load_digits(return_X_y=True)
start = perf_counter()
network = AutoencoderEncoder(modules=(encoder, decoder), epochs=40, random_state=0)
model = StudentTClustering(10, encoder=network, tol=5e-3, random_state=0).fit(X)
seconds = perf_counter() - start

labels = {
    "k-means on pixels": KMeans(10, n_init=10, random_state=0).fit_predict(X),
    "convolutions, IDEC": model.labels_,
}
accuracy = {
    name: np.mean(match_labels(found, y) == y) for name, found in labels.items()
}
for name, share in accuracy.items():
    print(f"{name:20} accuracy {share:.3f}")
print(f"{seconds:.1f} s of training, {model.n_iter_} passes with the clusters")

# %%
# The decoder goes back from the embedding to pixels.
means = model.encoder_.inverse_transform(model.cluster_means_)
q = np.sort(model.transform(X), axis=1)
lead = q[:, -1] - q[:, -2]
# clusters stand in the order of the digits that most of their rows are
usual = [np.bincount(y[model.labels_ == j], minlength=10).argmax() for j in range(10)]
clusters = np.argsort(usual, kind="stable")
SURE = DIVIDED = 6
sorted_rows = {
    j: rows[np.argsort(-lead[rows])]
    for j in clusters
    for rows in [np.flatnonzero(model.labels_ == j)]
}


def draw(ax, pixels, color=None):
    """An image of a digit, framed in a colour if one is given."""
    ax.imshow(pixels.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=color is not None, color=color, linewidth=2)


figure, axes = plt.subplots(
    10,
    2 + SURE + DIVIDED,
    figsize=(12, 8.5),
    layout="constrained",
    width_ratios=[1.5, 0.3, *(SURE + DIVIDED) * [1]],
)
for row, j in zip(axes, clusters, strict=True):
    draw(row[0], means[j], "tab:blue")
    row[1].axis("off")
    for ax, i in zip(row[2:], sorted_rows[j][:SURE], strict=False):
        draw(ax, X[i])
    for ax, i in zip(row[2 + SURE :], sorted_rows[j][-DIVIDED:], strict=False):
        draw(ax, X[i], "tab:orange")
axes[0, 0].set_title("decoded mean", fontsize=10)
axes[0, 2 + SURE // 2].set_title("surest", fontsize=10)
axes[0, 2 + SURE + DIVIDED // 2].set_title("most divided", fontsize=10)
figure.suptitle(f"Ten clusters of convolutional features: accuracy {share:.3f}")
plt.show()

# %%
# Between means there are few rows, and what is decoded there is often no digit: the
# clusters have drawn rows to themselves.
STEPS = 9
pairs = list(zip(clusters, np.roll(clusters, -1), strict=True))[::2]
figure, axes = plt.subplots(len(pairs), STEPS, figsize=(9, 5.4), layout="constrained")
for row, (a, b) in zip(axes, pairs, strict=True):
    way = np.linspace(model.cluster_means_[a], model.cluster_means_[b], STEPS)
    for ax, pixels in zip(row, model.encoder_.inverse_transform(way), strict=True):
        draw(ax, pixels)
figure.suptitle("The way from one mean to another, decoded")
plt.show()
