"""
Which parts of a map of cells to believe
========================================

scanpy's 700 blood cells, mapped from their 50 principal components and scored without
their types.  This example needs scanpy (``pip install scanpy``); the site leaves it out
where scanpy is missing.  How the scores are read is told in
:ref:`sphx_glr_auto_examples_plot_honest_map.py`.
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt

with warnings.catch_warnings():
    # of packages that scanpy imports
    warnings.simplefilter("ignore")
    import scanpy

    cells = scanpy.datasets.pbmc68k_reduced()

from skdec import ExactTSNE
from skdec.diagnostics import perplexity_table, reliability
from skdec.plotting import EmbeddingDisplay, PerplexityDisplay, ReliabilityDisplay

X = np.asarray(cells.obsm["X_pca"])
types = cells.obs["bulk_labels"].astype(str).to_numpy()

# %%
# A perplexity without labels
# ---------------------------

table = perplexity_table(
    ExactTSNE(random_state=0, tol=1e-4), X, [4, 8, 15, 30, 60, 100], rows=200,
    random_state=0,
)  # fmt: skip
print(f"elbow of the singularity: {table.elbow:g}, least pBIC: {table.least_pbic:g}")
figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
PerplexityDisplay.from_arrays(table, ax=ax)
plt.show()

# %%
# The map, and where to doubt it
# ------------------------------
# Crosses are the largest 5 % of either score.  They gather at the rims of clusters.
# The lines join the points that jump farthest with where they jump to: mostly between
# the monocytes and the dendritic cells, which the map has parted by a wide gap.

tsne = ExactTSNE(random_state=0, tol=1e-4)
cells.obsm["X_skdec"] = tsne.fit_transform(X)
scores = reliability(tsne, X)
doubtful = (scores.perturbation > np.quantile(scores.perturbation, 0.95)) | (
    scores.singularity > np.quantile(scores.singularity, 0.95)
)
figure, (left, right) = plt.subplots(1, 2, figsize=(16, 6), layout="constrained")
EmbeddingDisplay.from_arrays(
    cells.obsm["X_skdec"], labels=types, ax=left, annotate=False
)
left.scatter(*cells.obsm["X_skdec"][doubtful].T, c="black", marker="x", s=26)
left.set_title(f"types of cells; crosses: the {doubtful.mean():.0%} not to believe")
ReliabilityDisplay.from_arrays(cells.obsm["X_skdec"], scores, ax=right)
right.set_title("perturbation")
plt.show()
