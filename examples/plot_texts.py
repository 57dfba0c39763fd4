"""
A map of texts: the modules of the standard library
===================================================

Every module of Python's standard library is a text: the words in its source, weighted
by TF-IDF, are a sparse row.  :class:`skdec.ExactTSNE` takes it as it is.  Packages lie
together, and modules that do the same kind of thing are neighbours.  A few words of
one's own are placed among them by ``transform``.
"""

import re
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer

from skdec import ExactTSNE
from skdec.plotting import EmbeddingDisplay

# %%
# Words of the sources
# --------------------
# Names are taken apart at underscores and at capitals.  Tests and what is installed
# besides the standard library are left out, and so are files of a few lines.

LIBRARY = Path(sysconfig.get_path("stdlib"))
LEFT_OUT = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idle_test",
    "__pycache__",
}


def sources():
    """Names of the modules and their texts."""
    names, texts = [], []
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY).with_suffix("").parts
        if LEFT_OUT.isdisjoint(parts) and "-" not in parts[0]:
            text = path.read_text(encoding="utf-8", errors="replace")
            if len(text) > 1000:
                names.append(".".join(parts).removesuffix(".__init__"))
                texts.append(text)
    return np.array(names), texts


def words(text):
    """The words in it, in small letters."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]{2,}", text)]


names, texts = sources()
vectorizer = TfidfVectorizer(analyzer=words, sublinear_tf=True, min_df=3, max_df=0.5)
X = vectorizer.fit_transform(texts)
print(f"{X.shape[0]} modules, {X.shape[1]} words, {X.nnz / X.shape[0]:.0f} a module")

# %%
# The map
# -------
# The rows of TF-IDF have length one, so that Euclidean neighbours are those of the
# cosine.  Packages with at least eight modules have a colour, the rest is grey.  Stars
# are queries.

tsne = ExactTSNE(perplexity=15, random_state=0).fit(X)
QUERIES = (
    "parse xml elements with attributes and namespaces",
    "send mail message over smtp server",
    "compress archive file zip tar",
    "mock patch assert test case failure",
    "random gauss mean variance statistics",
    "widget window button canvas color",
)
placed = tsne.transform(vectorizer.transform(QUERIES))

packages = np.array([name.partition(".")[0] for name in names])
sizes = Counter(packages)
large = sorted(p for p, size in sizes.items() if size >= 8)
labels = np.array([large.index(p) if p in large else -1 for p in packages])

figure, ax = plt.subplots(figsize=(12, 8.5), layout="constrained")
display = EmbeddingDisplay.from_arrays(
    tsne.embedding_, labels=labels, names=large, ax=ax
)
display.legend_.get_texts()[-1].set_text("other modules")
ax.scatter(*placed.T, marker="*", s=220, c="gold", edgecolors="black", zorder=5)
for query, place in zip(QUERIES, placed, strict=True):
    ax.annotate(
        f"“{query}”", place, xytext=(0, -14), textcoords="offset points",
        ha="center", va="top", fontsize=8, zorder=6,
        bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "0.5", "alpha": 0.85},
    )  # fmt: skip
ax.set_title("modules of the standard library by their words; stars: queries")
plt.show()

# %%
# The modules next to each query in the map.

for query, place in zip(QUERIES, placed, strict=True):
    near = np.argsort(((tsne.embedding_ - place) ** 2).sum(axis=1))[:4]
    print(f"{query}:\n    {', '.join(names[near])}")
