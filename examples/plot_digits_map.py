"""
A map of the digits, and new rows placed in it
==============================================

:class:`skdec.ExactTSNE` has a ``transform``: three quarters of the digits are mapped,
and the other quarter is placed in the finished map, each row alone.  Nearly all of them
land in the cluster of their own digit.  Those that do not, or that float alone between
clusters, have a letter in the first picture, and the second picture shows why they are
where they are.
"""

from collections import Counter
from string import ascii_lowercase, ascii_uppercase

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skdec import ExactTSNE
from skdec.plotting import EmbeddingDisplay, categorical_colors

X, y = load_digits(return_X_y=True)
X_train, X_new, y_train, y_new = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)
tsne = ExactTSNE(random_state=0).fit(X_train)
placed = tsne.transform(X_new)

# %%
# Where the new rows have landed
# ------------------------------
# A new row is in the cluster of the digit that most of its ten nearest training rows in
# the map are of.  The same question, asked of the pixels, tells whether the map is to
# blame.  A row is alone if it is farther from any training row than all but one in a
# thousand of these are from their nearest.

in_map = KNeighborsClassifier(10).fit(tsne.embedding_, y_train)
in_pixels = KNeighborsClassifier(10).fit(X_train, y_train)
seen, seen_in_pixels = in_map.predict(placed), in_pixels.predict(X_new)
gap = in_map.kneighbors(placed, 1)[0][:, 0]
usual = np.quantile(in_map.kneighbors(n_neighbors=1)[0], 0.999)
astray, alone = seen != y_new, gap > usual
marked = np.flatnonzero(astray | alone)

print(f"among their own digit in the map: {np.mean(~astray):.1%} of {len(y_new)}")
print(f"among their own digit in pixels:  {np.mean(seen_in_pixels == y_new):.1%}")
print(
    f"of the {astray.sum()} among others, "
    f"{np.sum(seen_in_pixels[astray] == seen[astray])} are among the same in pixels; "
    f"{np.sum(alone & ~astray)} more are alone"
)

# %%
# Training rows are pale, new rows are circles in the colour of what they are.

colors = categorical_colors(10)
figure, ax = plt.subplots(figsize=(9, 7), layout="constrained")
EmbeddingDisplay.from_arrays(
    tsne.embedding_, labels=y_train, ax=ax, alpha=0.4, point_size=5
)
ax.scatter(*placed.T, s=22, c=colors[y_new], edgecolors="black", linewidths=0.5)
letters = dict(zip(marked, ascii_uppercase + ascii_lowercase, strict=False))
for number, (row, letter) in enumerate(letters.items()):
    ax.annotate(
        letter,
        placed[row],
        xytext=((10, 10), (-18, 8))[number % 2],
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "lw": 0.8},
        bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "black", "lw": 0.6},
        zorder=5,
    )
ax.set_title(
    "digits: training rows (pale) and new rows (ringed);\n"
    "with a letter: new rows among another digit, or alone"
)
plt.show()

# %%
# Why some are among others
# -------------------------
# Each row with a letter, the training row that is nearest to it in pixels, and of which
# digits its ten nearest are.  Most are written so that their pixels are among the other
# digit: any map that keeps neighbours has to put them there.  Where the neighbours are
# of several digits, each of their clusters pulls, and the row lands at a rim or alone.
# Those whose ten are all their own are at the rim of their cluster.

nearest = in_pixels.kneighbors(X_new[marked])[1]
figure, axes = plt.subplots(
    2, len(marked), figsize=(1.2 * len(marked), 4), layout="constrained",
    squeeze=False,
)  # fmt: skip
for (row, letter), near, (above, below) in zip(
    letters.items(), nearest, axes.T, strict=True
):
    where = f"among {seen[row]}s" if astray[row] else "alone"
    above.imshow(X_new[row].reshape(8, 8), cmap="gray_r")
    above.set_title(f"{letter}: a {y_new[row]}\n{where}", fontsize=10)
    below.imshow(X_train[near[0]].reshape(8, 8), cmap="gray_r")
    below.set_title(f"a {y_train[near[0]]}", fontsize=10)
    counts = Counter(y_train[near].tolist()).most_common(3)
    below.set_xlabel("\n".join(f"{n} are {digit}s" for digit, n in counts))
for ax in axes.flat:
    ax.set_xticks([])
    ax.set_yticks([])
axes[0, 0].set_ylabel("new row")
axes[1, 0].set_ylabel("nearest row")
figure.suptitle(
    "new rows with a letter, the nearest training row in pixels, and what the ten "
    "nearest are"
)
plt.show()
