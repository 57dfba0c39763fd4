"""Data sets and measures of quality that the benchmarks share."""

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import fetch_openml, load_digits
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import NearestNeighbors

from skdec.kernels.types import STUDENT_T, Bandwidths, Kernel
from skdec.tsne._affinities import dense_affinities, graph_affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._objective import EmbeddingObjective
from skdec.utils.threads import Threads


def digits():
    """The 1,797 digits of scikit-learn, as they are."""
    return load_digits().data


def mnist_pixels(path, n=70_000):
    """The first n rows of MNIST, float32, and labels."""
    if path:
        with np.load(path) as stored:
            X, y = stored["X"], stored["y"]
    else:
        X, y = fetch_openml("mnist_784", return_X_y=True, as_frame=False)
    return X[:n].astype(np.float32), y[:n].astype(int)


def mnist(path, n=70_000):
    """The first n rows of MNIST on 50 principal components, float32, and labels."""
    X, y = mnist_pixels(path, n)
    X = PCA(50, random_state=0).fit_transform(X)
    return np.ascontiguousarray(X, dtype=np.float32), y


def full_kl(X, embedding, perplexity=30.0):
    """KL over all pairs on one P of the data, in double precision.

    P is over all pairs too, or over 90 neighbours above 20,000 rows.
    """
    with Threads(-1, hold_blas=True) as threads:
        scales, distances = (
            Bandwidths(np.array([perplexity]), np.nan),
            SquaredDistances(X),
        )
        if len(X) <= 20_000:
            P = dense_affinities(distances, scales, True, np.float64, threads)
        else:
            found = distances.nearest(90, threads)
            P = graph_affinities(found, scales, True, np.float64, threads)
        kernel = Kernel(STUDENT_T, 1.0)
        objective = EmbeddingObjective(P, kernel, True, threads, repulsion="auto")
        Y = np.ascontiguousarray(np.asarray(embedding, dtype=np.float64).T)
        return objective.divergence(Y, objective.gradient(Y)[1])


def kept_neighbors(X, embedding, k=10, n_judged=2000):
    """The share of the k nearest rows of some that are nearest in the map as well."""
    chosen = np.random.default_rng(0).choice(
        len(X), min(n_judged, len(X)), replace=False
    )
    near = [
        NearestNeighbors(n_neighbors=k + 1).fit(rows).kneighbors(rows[chosen])[1]
        for rows in (X, np.asarray(embedding))
    ]
    shared = [len(np.intersect1d(a, b)) - 1 for a, b in zip(*near, strict=True)]
    return np.mean(shared) / k


def accuracy(labels, truth):
    """Share of rows that agree under the best matching of clusters to classes."""
    table = confusion_matrix(truth, labels)
    return table[linear_sum_assignment(-table)].sum() / len(truth)


def gaussians(n, n_features=50, n_clusters=50):
    """A mixture of Gaussians whose spreads fall off like MNIST's components, float32.

    MNIST's first 50 components have standard deviations from 5.7 to 0.9 times their
    last, about as i^(−1/2); each cluster has half of that, about a center that has the
    other half.
    """
    rng = np.random.default_rng(0)
    spreads = 5.7 / np.sqrt(np.arange(1, n_features + 1))
    centers = 0.75 * spreads * rng.normal(size=(n_clusters, n_features))
    labels = rng.integers(0, n_clusters, n)
    X = centers[labels] + 0.66 * spreads * rng.normal(size=(n, n_features))
    return X.astype(np.float32), labels


def corpus(n, n_words=30_000, n_topics=50):
    """TF-IDF of n simulated texts of about 120 words, half of them of their topic's.

    How often words are follows Zipf's law, in the language and within a topic.
    """
    rng = np.random.default_rng(0)
    zipf = 1 / np.arange(1, n_words + 1)
    language = rng.permutation(n_words)
    topics = [rng.permutation(n_words)[:2000] for _ in range(n_topics)]
    subject, lengths = rng.integers(n_topics, size=n), rng.poisson(120, n)
    of_text = np.repeat(np.arange(n), lengths)
    words = language[_drawn(rng, zipf, len(of_text))]
    within = rng.random(len(of_text)) < 0.5
    drawn = _drawn(rng, zipf[:2000], within.sum())
    words[within] = np.array(topics)[subject[of_text[within]], drawn]
    entries = np.ones(len(words)), (of_text, words)
    counts = sparse.coo_array(entries, shape=(n, n_words)).tocsr()
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts), subject


def _drawn(rng, weights, n):
    """n numbers, each as often as its weight has it."""
    ends = np.cumsum(weights)
    return np.searchsorted(ends, ends[-1] * rng.random(n))


def uneven_blobs(seed):
    """1,500 rows in 3 to 10 blobs of 2 to 20 dimensions, unequal in size and spread."""
    rng = np.random.default_rng(seed)
    k, d = int(rng.integers(3, 11)), int(rng.choice([2, 3, 5, 10, 20]))
    sizes = np.maximum((rng.dirichlet(np.full(k, 2.0)) * 1500).astype(int), 20)
    spreads = rng.uniform(0.5, 2.5, k)
    centers = rng.uniform(-1, 1, (k, d)) * 10 * np.sqrt(2 / d)
    blobs = [
        center + spread * rng.normal(size=(size, d))
        for center, spread, size in zip(centers, spreads, sizes, strict=True)
    ]
    order = rng.permutation(sizes.sum())
    return np.concatenate(blobs)[order], np.repeat(np.arange(k), sizes)[order]
