"""
70,000 handwritten digits
=========================

All of MNIST in one map, with the gradient over all pairs, in 20 seconds to a
minute on two cores.  The example takes the data from where they are: a file that the
environment variable ``SKDEC_MNIST`` names (an ``.npz`` with arrays ``X`` and ``y``), or
what :func:`sklearn.datasets.fetch_openml` has fetched before.  Where there is neither,
it says so and maps scikit-learn's 1,797 small digits.
"""

import os
import time
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import fetch_openml, get_data_home, load_digits
from sklearn.decomposition import PCA

from skdec import ExactTSNE
from skdec.plotting import EmbeddingDisplay


def digits():
    """The rows, what they are, and what the set is called."""
    path = os.environ.get("SKDEC_MNIST")
    if path:
        with np.load(path) as data:
            return data["X"], data["y"].astype(int), "MNIST"
    # the description of set 554, "mnist_784", in scikit-learn's cache
    cache = Path(get_data_home(), "openml", "openml.org", "api", "v1", "json", "data")
    if (cache / "554.gz").exists():
        X, y = fetch_openml(data_id=554, as_frame=False, return_X_y=True)
        return X, y.astype(int), "MNIST"
    print(
        "MNIST is not here: set SKDEC_MNIST to a file, or run once\n"
        "sklearn.datasets.fetch_openml(data_id=554). These are the bundled digits."
    )
    return *load_digits(return_X_y=True), "bundled digits"


X, y, title = digits()

# %%
# 50 principal components, then the map.  Above 3,000 rows the affinities are those of
# the nearest neighbours, while the repulsion still is that of all pairs.

start = time.perf_counter()
components = PCA(min(50, X.shape[1]), random_state=0).fit_transform(
    X.astype(np.float32)
)
tsne = ExactTSNE(random_state=0).fit(components)
print(
    f"{len(X):,} rows: {time.perf_counter() - start:.0f} s, {tsne.n_iter_} iterations, "
    f"KL = {tsne.kl_divergence_:.3f} (affinities: {tsne.affinities_}, "
    f"repulsion: {tsne.repulsion_})"
)

# %%
# The map
# -------

figure, ax = plt.subplots(figsize=(10, 8), layout="constrained")
EmbeddingDisplay.from_estimator(tsne, labels=y, ax=ax)
ax.set_title(f"{title}: {len(X):,} digits")
plt.show()
