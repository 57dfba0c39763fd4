"""
Rows that are held, rows that count several times
=================================================

A map can grow: with ``fixed`` the rows that it has stay where they are, to the bit,
while new rows move among them and among each other.  And rows can count:
``sample_weight`` says how many copies of each there are.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from skdec import ExactTSNE
from skdec.plotting import EmbeddingDisplay

X, y = load_digits(return_X_y=True)

# %%
# New kinds of rows in an old map
# -------------------------------
# A map without the digits 3 and 9; then they come.  ``transform`` places each row alone
# among the old ones: it cannot know that the new ones are like each other.  A fit in
# which the old rows are held goes on from there, and the new rows find each other.

old = ~np.isin(y, (3, 9))
tsne = ExactTSNE(random_state=0).fit(X[old])
rows = np.vstack([X[old], X[~old]])
labels = np.concatenate([y[old], y[~old]])
start = np.vstack([tsne.embedding_, tsne.transform(X[~old])])
held = np.arange(len(rows)) < np.count_nonzero(old)
grown = ExactTSNE(init=start, random_state=0).fit(rows, fixed=held)
assert (grown.embedding_[held] == tsne.embedding_).all()


def among_own(Y):
    """The share of new rows of whose ten nearest in the map most are of their digit."""
    nearest = KNeighborsClassifier(11).fit(Y, labels).kneighbors(Y[~held])[1][:, 1:]
    return ((labels[nearest] == labels[~held][:, None]).sum(axis=1) > 5).mean()


among = {"placed": among_own(start), "grown": among_own(grown.embedding_)}
figure, axes = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
panels = (
    ("transform: each new row alone", start, among["placed"], False),
    ("fit with the old rows held", grown.embedding_, among["grown"], "auto"),
)
for ax, (title, Y, share, legend) in zip(axes, panels, strict=True):
    EmbeddingDisplay.from_arrays(
        Y,
        labels=labels,
        ax=ax,
        legend=legend,
        highlight=~held,
        highlight_name="new rows",
    )
    ax.set_title(f"{title}\n{share:.0%} of the 3s and 9s are among their own")
figure.suptitle("eight digits have been mapped (pale), then 3 and 9 come (ringed)")
plt.show()

# %%
# A sample that counts as the whole
# ---------------------------------
# Of the digits 0 to 4 every fourth row is kept.  In a map of what is left they have
# less room.  With a weight of 4 they count as much as all of them did, and have as much
# room again, or more: the copies of a row share one place, and are its neighbours in
# the place of other rows.

kept = (y >= 5) | (np.arange(len(y)) % 4 == 0)
weight = np.where(y[kept] < 5, 4.0, 1.0)
maps = {
    "all rows": (ExactTSNE(random_state=0).fit_transform(X), y),
    "a quarter of 0 to 4": (ExactTSNE(random_state=0).fit_transform(X[kept]), y[kept]),
    "that quarter with weight 4": (
        ExactTSNE(random_state=0).fit_transform(X[kept], sample_weight=weight),
        y[kept],
    ),
}


def room(Y, labels):
    """The room of the zeros beside that of the sixes: median squared radii."""
    zeros, sixes = (
        np.median(
            ((Y[labels == d] - np.median(Y[labels == d], axis=0)) ** 2).sum(axis=1)
        )
        for d in (0, 6)
    )
    return zeros / sixes


rooms = {name: room(*pair) for name, pair in maps.items()}
figure, axes = plt.subplots(1, 3, figsize=(13, 4.9), layout="constrained")
for ax, (name, (Y, labels)) in zip(axes, maps.items(), strict=True):
    EmbeddingDisplay.from_arrays(Y, labels=labels, ax=ax, legend=False)
    ax.set_title(
        f"{name}: the zeros\nhave {rooms[name]:.2f} times the room of the sixes"
    )
plt.show()
