"""
Rows in blocks, on Dask
=======================

Either estimator takes a dask array: rows stay in their blocks, each step is a sum over
these, and the result is that of the same rows in memory but for rounding.  Here 200,000
rows in eight blocks are clustered; labels come back as a lazy array.  Then 10,000 of
the rows are mapped.

The picture shows the map in the colours of the clusters that were found in all rows,
without the map, and how far each row belongs to its cluster: the rows between colours
are those that belong to several.

Here the workers are threads of this process.  With a cluster of processes or of
machines only the line with ``Client`` is another; ``examples/cluster_on_dask.py`` does
the same with five million rows and two processes.
"""

import dask
import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client
from sklearn.metrics import adjusted_rand_score

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import EmbeddingDisplay, match_labels

# %%
# Eight overlapping Gaussians of unequal size, made block by block where they are
# needed.
N_ROWS, N_FEATURES, BLOCK = 200_000, 10, 25_000
SHARES = np.array([0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.04])
CENTERS = 2.2 * np.random.default_rng(0).standard_normal((len(SHARES), N_FEATURES))


def block(seed):
    """Rows, and last of all the Gaussian that each is of."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(SHARES), size=BLOCK, p=SHARES)
    rows = CENTERS[truth] + rng.standard_normal((BLOCK, N_FEATURES))
    return np.column_stack([rows, truth]).astype(np.float32)


client = Client(processes=False, dashboard_address=None)
data = da.concatenate(
    [
        da.from_delayed(dask.delayed(block)(seed), (BLOCK, N_FEATURES + 1), np.float32)
        for seed in range(N_ROWS // BLOCK)
    ]
)
# the workers keep what they have made
X, truth = dask.persist(data[:, :-1], data[:, -1])

# %%
# What is fetched: the shares of the clusters, and every twentieth row.
model = StudentTClustering(len(SHARES), random_state=0).fit(X)
counts = da.bincount(model.labels_, minlength=len(SHARES)).compute()
some, labels, membership, classes = dask.compute(
    *(part[::20] for part in (X, model.labels_, model.probabilities_, truth))
)
client.close()
agreement = adjusted_rand_score(classes, labels)
print(f"{N_ROWS:,} rows in {X.numblocks[0]} blocks, {model.n_iter_} passes")
print("shares found:", np.round(np.sort(counts)[::-1] / N_ROWS, 3))
print("shares true: ", SHARES)
print(f"adjusted Rand index: {agreement:.3f}")

# %%
places = ExactTSNE(random_state=0).fit_transform(some)
figure, axes = plt.subplots(1, 2, figsize=(14, 6), layout="constrained")
names = [f"{share:.0%} of the rows" for share in SHARES]
EmbeddingDisplay.from_arrays(
    places, labels=match_labels(labels, classes.astype(int)), names=names,
    annotate=False, ax=axes[0],
)  # fmt: skip
axes[0].set_title(f"clusters, named by their true share (ARI {agreement:.2f})")
EmbeddingDisplay.from_arrays(places, values=membership, ax=axes[1])
axes[1].set_title("membership in the own cluster")
figure.suptitle(f"{len(places):,} of {N_ROWS:,} rows on a map; clusters of all of them")
plt.show()
