"""
Perplexity, several at once, and how to choose one
==================================================

The perplexity is how many neighbours of a point count.  Few make fine structure and
pieces that the data do not have; many let the shape of the whole be seen.  Several at
once average the affinities of each.  ``perplexity_table`` compares maps without labels.
"""

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skdec import ExactTSNE
from skdec.diagnostics import (
    distance_rank_correlation,
    neighbor_recall,
    perplexity_table,
)
from skdec.plotting import EmbeddingDisplay, PerplexityDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:1200], y[:1200]
PERPLEXITIES = (3, 10, 30, 100, 300, [10, 100])
names = ["3", "10", "30", "100", "300", "10 and 100 at once"]
maps = [ExactTSNE(perplexity=p, random_state=0).fit_transform(X) for p in PERPLEXITIES]

# %%
# Six maps of 1,200 digits
# ------------------------
# "Near" is the share of the ten nearest rows that the map keeps, "far" the rank
# correlation of the distances of all pairs.

near = [neighbor_recall(X, Y, n_neighbors=10) for Y in maps]
far = [distance_rank_correlation(X, Y, random_state=0) for Y in maps]
figure, axes = plt.subplots(2, 3, figsize=(12, 8.4), layout="constrained")
for ax, name, Y, kept, order in zip(axes.flat, names, maps, near, far, strict=True):
    EmbeddingDisplay.from_arrays(Y, labels=y, ax=ax, legend=False)
    ax.set_title(f"perplexity {name}:\nnear {kept:.0%}, far {order:.2f}")
plt.show()

# %%
# Choosing without labels
# -----------------------
# Each perplexity is fitted and scored.  The singularity score is large where places are
# badly determined; the advice is to take no perplexity below its elbow (Liu, Ma and
# Zhong 2025).  The pBIC sets the KL against the perplexity, and its least value is the
# best (Cao and Wang 2017).  They answer different questions: look at the curves.

table = perplexity_table(
    ExactTSNE(random_state=0, tol=1e-4),
    X,
    [4, 8, 15, 30, 60, 120],
    rows=300,
    random_state=0,
)
print(f"elbow of the singularity: {table.elbow:g}, least pBIC: {table.least_pbic:g}")
figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
PerplexityDisplay.from_arrays(table, ax=ax)
plt.show()
