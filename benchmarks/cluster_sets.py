"""Data sets whose clusters are known: the kinds that people cluster.

Each function gives name → (rows, classes).  Nothing is downloaded: texts are the
standard library's own modules, counts are simulated.
"""

import sysconfig
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler, normalize

import skdec
from benchmarks.data import uneven_blobs

DIGITS_PERPLEXITIES = (15.0, 30.0, 50.0)
PACKAGES = (
    "asyncio",
    "email",
    "tkinter",
    "unittest",
    "xml",
    "json",
    "multiprocessing",
    "concurrent",
)
COMPONENTS = (20, 50, 100, 200, 300)
PIECE = 60  # lines
PIECES = 250  # of a package, at most


def small_sets():
    """Sets that come with scikit-learn, and ten of uneven blobs."""
    digits = load_digits()
    pca = PCA(10, random_state=0).fit_transform(digits.data)
    sets = {
        "digits, pixels": (digits.data, digits.target),
        "digits, PCA 10": (pca, digits.target),
    }
    for name, load in (
        ("iris", load_iris),
        ("wine", load_wine),
        ("breast cancer", load_breast_cancer),
    ):
        X, y = load(return_X_y=True)
        sets[name] = StandardScaler().fit_transform(X), y
    for seed in range(10):
        sets[f"uneven blobs {seed}"] = uneven_blobs(seed)
    return sets


def digits_maps():
    """t-SNE maps of the digits."""
    X, y = load_digits(return_X_y=True)
    return {
        f"digits map, perplexity {perplexity:g}": (
            skdec.ExactTSNE(perplexity=perplexity, random_state=0).fit_transform(X),
            y,
        )
        for perplexity in DIGITS_PERPLEXITIES
    }


def many_dimensions():
    """Embeddings, texts, counts, and blobs of very unequal size."""
    sets = {}
    for d in (50, 100, 384, 768):
        X, y = gaussians(d)
        sets[f"unit sphere, {d}"] = normalize(X).astype(np.float32), y
    sets["Gaussians, 768"] = gaussians(768)
    sets |= texts()
    sets["counts, 2,000 genes"] = counts()
    for n_features in (2, 10):
        for distance in (4, 6, 10):
            name = f"2,000/200/50, {distance} sd, {n_features} features"
            sets[name] = three_blobs(distance, n_features)
    return sets


def gaussians(n_features, n_samples=2000, k=10, deviation=0.3):
    """Rows of unit variance around centres of the given deviation."""
    rng = np.random.RandomState(0)
    centers, y = deviation * rng.randn(k, n_features), rng.randint(k, size=n_samples)
    return centers[y] + rng.randn(n_samples, n_features), y


def three_blobs(distance, n_features):
    """Unit blobs of 2,000, 200 and 50 rows at the corners of a triangle."""
    centers = np.zeros((3, n_features))
    centers[1, 0], centers[2, :2] = distance, (distance / 2, distance * np.sqrt(3) / 2)
    y = np.repeat([0, 1, 2], [2000, 200, 50])
    return centers[y] + np.random.RandomState(0).randn(len(y), n_features), y


def counts(n_samples=1500, n_genes=2000, k=8):
    """Over-dispersed counts of cells, as single-cell pipelines scale them."""
    rng = np.random.RandomState(0)
    base = rng.lognormal(-1.0, 1.2, n_genes)
    marked = rng.rand(k, n_genes) < 0.05
    profiles = base * np.exp(marked * rng.randn(k, n_genes))
    y = rng.choice(k, n_samples, p=rng.dirichlet(np.full(k, 3.0)))
    means = profiles[y] * rng.lognormal(0, 0.3, (n_samples, 1))
    X = rng.poisson(means * rng.gamma(2, 0.5, means.shape)).astype(float)
    depth = X.sum(axis=1, keepdims=True)
    X = np.log1p(X / depth * np.median(depth))
    return np.clip(StandardScaler().fit_transform(X), -10, 10).astype(np.float32), y


def texts():
    """TF-IDF of pieces of the standard library's modules, and its components."""
    pieces, y = [], []
    library = Path(sysconfig.get_path("stdlib"))
    for label, package in enumerate(PACKAGES):
        found = []
        for path in sorted((library / package).rglob("*.py")):
            lines = path.read_text(errors="ignore").splitlines()
            starts = range(0, max(len(lines) - PIECE // 2, 0), PIECE)
            found += ["\n".join(lines[start : start + PIECE]) for start in starts]
        chosen = np.random.RandomState(0).permutation(len(found))[:PIECES]
        pieces += [found[i] for i in chosen]
        y += [label] * len(chosen)
    vectorizer = TfidfVectorizer(
        max_df=0.5, min_df=5, token_pattern="[A-Za-z]{3,}", sublinear_tf=True
    )
    rows, y = vectorizer.fit_transform(pieces), np.array(y)
    sets = {"TF-IDF, CSR": (rows, y)}
    for n_components in COMPONENTS:
        svd = TruncatedSVD(n_components, random_state=0)
        sets[f"LSA, {n_components}"] = normalize(svd.fit_transform(rows)), y
    return sets
