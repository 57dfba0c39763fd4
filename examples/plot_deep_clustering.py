"""
Deep clustering: an embedding that learns with its clusters
===========================================================

An autoencoder is pre-trained on the digits, and its embedding is clustered.  Then both
learn together: the encoder follows the gradient of the clustering, ∂KL/∂z, and still
has to reconstruct its input.  That is IDEC; without the reconstruction it is DEC.

Above is the embedding before and after, on two principal components, in the colours of
the digits; rings mark rows in the cluster of another digit.  Below are the digits
against their clusters.  Before, the network's clusters are no better than those of
k-means on the pixels; after, they are.  That is not so for all data: compare with the
rows themselves before you believe a network.

Needs PyTorch (``pip install 'skdec[deep]'``).
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    adjusted_rand_score,
    normalized_mutual_info_score,
)

from skdec import StudentTClustering
from skdec.encoders import AutoencoderEncoder
from skdec.plotting import EmbeddingDisplay, match_labels

# %%
# k-means on the pixels, clusters of the pre-trained embedding, and both learning.  The
# network is smaller, and trained for a shorter time, than that of the papers, whose
# layers are 500, 500, 2,000 and 10.
X, y = load_digits(return_X_y=True)
seconds = {}


def timed(name, model, rows):
    """The fitted model; its seconds are kept by name."""
    start = perf_counter()
    model.fit(rows)
    seconds[name] = perf_counter() - start
    return model


kmeans = timed("k-means on pixels", KMeans(10, n_init=10, random_state=0), X)
encoder = AutoencoderEncoder((500, 500, 10), epochs=60, random_state=0)
encoder = timed("pre-training", encoder, X)
Z = encoder.transform(X)
before = timed("clusters of its embedding", StudentTClustering(10, random_state=0), Z)
# of fewer than two thousand rows, some on a border change to the end
deep = timed(
    "both learning (IDEC)",
    StudentTClustering(10, encoder=encoder.pretrained_copy(), tol=5e-3, random_state=0),
    X,
)

# %%
# Labels are used for nothing but the scores and colours.  Accuracy is the share of rows
# in the cluster that matches their digit.
models = {
    "k-means on pixels": kmeans,
    "clusters of its embedding": before,
    "both learning (IDEC)": deep,
}
found = {name: match_labels(model.labels_, y) for name, model in models.items()}
accuracy = {name: np.mean(labels == y) for name, labels in found.items()}
print(f"{'':28}{'ACC':>7}{'NMI':>7}{'ARI':>7}{'sec':>7}")
for name, taken in seconds.items():
    scores = ()
    if name in found:
        labels = found[name]
        scores = (
            accuracy[name],
            normalized_mutual_info_score(y, labels),
            adjusted_rand_score(y, labels),
        )
    cells = "".join(f"{score:7.3f}" for score in scores)
    print(f"{name:28}{cells:21}{taken:7.1f}")

# %%
parts = [
    ("clusters of its embedding", "pre-trained", Z),
    ("both learning (IDEC)", "learned with the clusters", deep.encoding_),
]
figure, axes = plt.subplots(2, 2, figsize=(12, 12), layout="constrained")
for (above, below), (name, title, z) in zip(axes.T, parts, strict=True):
    plane = PCA(2, random_state=0).fit_transform(z)
    EmbeddingDisplay.from_arrays(plane, labels=y, ax=above)
    wrong = found[name] != y
    above.scatter(*plane[wrong].T, s=18, facecolors="none", edgecolors="black", lw=0.5)
    above.set_title(f"embedding, {title}: accuracy {accuracy[name]:.3f}")
    above.set_xlabel("colours: digits; rings: in the cluster of another digit")
    counts = ConfusionMatrixDisplay.from_predictions(
        y, found[name], cmap="Blues", colorbar=False, ax=below
    )
    for text in counts.text_.ravel():
        text.set_visible(text.get_text() != "0")
    below.set(xlabel="cluster, by the digit it matches", ylabel="digit written")
plt.show()
