"""
Exaggeration: from repulsion to attraction
==========================================

``exaggeration`` multiplies the attraction between neighbours until the end of the fit.
From 1 (t-SNE) upwards clusters become compact; far up, the map comes close to the
leading eigenvectors of the graph of neighbours, a Laplacian eigenmap, as Böhm, Berens
and Kobak (2022) found: one family from repulsion to attraction.
"""

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.manifold import spectral_embedding

from skdec import ExactTSNE, conditional_affinities, joint_affinities
from skdec.diagnostics import neighbor_recall
from skdec.plotting import EmbeddingDisplay

X, y = load_digits(return_X_y=True)
FACTORS = (1, 1.5, 2, 4, 8, 12)

# strong attraction asks for short steps: with those of "auto" the points do not rest
rates = {factor: "auto" if factor == 1 else len(X) / factor / 4 for factor in FACTORS}
maps = {
    factor: ExactTSNE(
        exaggeration=factor, learning_rate=rates[factor], random_state=0
    ).fit_transform(X)
    for factor in FACTORS
}

# %%
# The other end of the family
# ---------------------------
# Five leading eigenvectors of the same affinities P.  A linear regression of the map on
# them tells how much of the map they are (R²).  What they give of the last map is drawn
# after it.

P = joint_affinities(conditional_affinities(X))
eigenvectors = spectral_embedding(P, n_components=5, random_state=0)
fits = {factor: LinearRegression().fit(eigenvectors, Y) for factor, Y in maps.items()}
shares = {factor: fits[factor].score(eigenvectors, Y) for factor, Y in maps.items()}
recall = {factor: neighbor_recall(X, Y, n_neighbors=10) for factor, Y in maps.items()}

# %%
# Six maps and the eigenvectors
# -----------------------------
# What is gained is seen at 4: compact clusters, which a clustering algorithm finds
# easily.  What is lost are neighbours, from the first step on.

figure, axes = plt.subplots(2, 4, figsize=(14, 7.6), layout="constrained")
for ax, (factor, Y) in zip(axes.flat, maps.items(), strict=False):
    EmbeddingDisplay.from_arrays(
        Y, labels=y, ax=ax, legend=False, annotate=factor == 1, point_size=2.5
    )
    ax.set_title(f"exaggeration = {factor:g}:\n{recall[factor]:.0%} of neighbours kept")
linear = fits[12].predict(eigenvectors)
EmbeddingDisplay.from_arrays(
    linear, labels=y, ax=axes.flat[6], legend=False, annotate=False, point_size=2.5
)
axes.flat[6].set_title(
    f"five eigenvectors, regressed on\nthe last: R² = {shares[12]:.2f}"
)
ax = axes.flat[7]
ax.plot(FACTORS, list(shares.values()), "o-", label="R² on five eigenvectors")
ax.plot(FACTORS, [recall[f] for f in FACTORS], "s--", label="ten neighbours kept")
ax.set_xscale("log")
ax.set_xticks(FACTORS, [f"{factor:g}" for factor in FACTORS])
ax.minorticks_off()
ax.set_ylim(0, 1)
ax.set_xlabel("exaggeration")
ax.legend(frameon=False, loc="lower left")
figure.suptitle("digits; colours as in the first map")
plt.show()
