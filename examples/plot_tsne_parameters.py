"""
Perplexity × exaggeration × degrees of freedom
==============================================

The three parameters of :class:`skdec.ExactTSNE` that change what a map looks like, each
with the others: 18 maps of the same 900 digits.  Perplexity decides how far a point
looks, exaggeration how strongly neighbours attract, and the degrees of freedom how far
clusters are let apart.
"""

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from sklearn.datasets import load_digits

from skdec import ExactTSNE
from skdec.diagnostics import neighbor_recall
from skdec.plotting import EmbeddingDisplay, categorical_colors

X, y = load_digits(return_X_y=True)
X, y = X[:900], y[:900]

PERPLEXITIES, DOFS, FACTORS = (5, 30, 100), (0.5, 1, 5), (1, 4)
maps = {
    (perplexity, factor, dof): ExactTSNE(
        perplexity=perplexity,
        exaggeration=factor,
        dof=dof,
        random_state=0,
    ).fit_transform(X)
    for perplexity in PERPLEXITIES
    for factor in FACTORS
    for dof in DOFS
}
recall = {form: neighbor_recall(X, Y, n_neighbors=10) for form, Y in maps.items()}

# %%
# Each panel says how many of the ten nearest rows are among the ten nearest in the map.


def draw(factor):
    """Maps at one exaggeration: a row for each perplexity, a column for each dof."""
    figure, axes = plt.subplots(3, 3, figsize=(10.8, 10), layout="constrained")
    for line, perplexity in zip(axes, PERPLEXITIES, strict=True):
        for ax, dof in zip(line, DOFS, strict=True):
            form = perplexity, factor, dof
            EmbeddingDisplay.from_arrays(
                maps[form],
                labels=y,
                ax=ax,
                legend=False,
                annotate=False,
                point_size=2.5,
            )
            ax.set_title(f"{recall[form]:.0%} of neighbours kept", fontsize=9)
        line[0].set_ylabel(f"perplexity = {perplexity}", fontsize=12)
    for ax, dof in zip(axes[-1], DOFS, strict=True):
        ax.set_xlabel(f"dof = {dof:g}", fontsize=12)
    figure.suptitle(f"exaggeration = {factor}")
    # one legend for all panels, whose digits have the same colours
    handles = [
        Line2D([], [], marker="o", linestyle="", color=color, label=f"{digit}")
        for digit, color in enumerate(categorical_colors(10))
    ]
    figure.legend(
        handles=handles, title="digit", loc="outside right center", frameon=False
    )


draw(1)
plt.show()

# %%
# With late exaggeration
# ----------------------
# The same, with neighbours attracting each other four times as strongly to the end.
# Clusters are compact and easily clustered next; fewer neighbours are kept.

draw(4)
plt.show()
