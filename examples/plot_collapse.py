"""
Collapse, when the gradient flows through the target
====================================================

Student-t clustering descends KL(P‖Q) with the target P held fixed.  P is made from Q,
so one may think of differentiating it too.  Then the descent can end in what is the
true minimum of that function: all centroids at one place, and nothing clustered.  The
derivation is in part 4 of the page on gradients, with the two tables printed below.
"""

from functools import cache

import numpy as np
from matplotlib import pyplot as plt
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skdec import clustering_loss, soft_assignment
from skdec.plotting import categorical_colors

# %%
# Two descents from one start
# ---------------------------
# Three round clusters of unit variance, as they are drawn or scaled as in the DEC
# paper; both gradients of ``clustering_loss``, descended by plain steps from one
# k-means start.

BLOBS = [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]
SHOWN = (0, 10, 30, 60, 100, 300)
POINT_STEP = 0.03
GRADIENTS = ("P fixed", "through P")
MEASURES = ("KL", "nearest centroids", "mean largest q", "ARI")
PAPER = "mean ‖z‖²/d = 1"


@cache
def blobs(scale):
    """The rows, and which cluster each is of."""
    X, truth = make_blobs(150, centers=BLOBS, cluster_std=1.0, random_state=0)
    if scale == PAPER:
        X = X - X.mean(axis=0)
        X = X / np.sqrt((X**2).mean())
    return X, truth


@cache
def descend(scale, gradient, move_points=False):
    """Centroids at every step, and (KL, centroids, Q) at the steps shown.

    The centroids take steps of gradient/n; the points, if they move, of 0.03 gradient.
    """
    Z = blobs(scale)[0]
    centers = KMeans(3, n_init=10, random_state=0).fit(Z).cluster_centers_
    path, states = [], {}
    for step in range(SHOWN[-1] + 1):
        kl, grad_Z, grad_centers = clustering_loss(
            Z, centers, through_target=gradient == "through P"
        )
        path.append(centers)
        if step in SHOWN:
            states[step] = kl, centers, soft_assignment(Z, centers)
        centers = centers - grad_centers / len(Z)
        if move_points:
            Z = Z - POINT_STEP * grad_Z
    return np.array(path), states


# %%
# The crosses are where k-means has put the centroids, the discs where the descents end.
# With P fixed they settle; through P the three become one.

X, truth = blobs(PAPER)
pale = 0.6 + 0.4 * categorical_colors(3)[:, :3]
figure, (plane, course) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
plane.scatter(*X.T, s=10, c=pale[truth])
for name, color in zip(GRADIENTS, ("black", "crimson"), strict=True):
    path, _ = descend(PAPER, name)
    for j in range(path.shape[1]):
        plane.plot(*path[:, j].T, color=color, lw=1.8, label=name if j == 0 else None)
        plane.plot(*path[-1, j], "o", color=color, ms=8)
        plane.plot(*path[0, j], "+", color="black", ms=11, mew=1.5)
    course.plot([pdist(centers).min() for centers in path], color=color, label=name)
plane.set(title="centroids from k-means (+) to the end (discs)", aspect="equal")
plane.set(xticks=[], yticks=[])
course.set(title="smallest distance between centroids", xlabel="step", ylim=(0, 3))
for ax in (plane, course):
    ax.legend(frameon=False)
plt.show()

# %%
# In numbers
# ----------
# The course of the two descents, and where eight of them end: two scales, with and
# without the points moving too.  Collapse is the global minimum but not the certain
# end: from well-separated clusters the centroids do not get there.


def summary(state, truth):
    """KL, smallest distance between centroids, mean largest membership, ARI."""
    kl, centers, Q = state
    # equal rows have no labels: argmax would only report rounding
    uniform = np.ptp(Q, axis=0).max() < 1e-6
    ari = "–" if uniform else f"{adjusted_rand_score(truth, Q.argmax(axis=1)):.2f}"
    numbers = kl, pdist(centers).min(), Q.max(axis=1).mean()
    # + 0.0: a collapsed KL is zero but for rounding, and may round to −0
    return [f"{round(float(v), 2) + 0.0:.2f}" for v in numbers] + [ari]


def print_table(header, rows):
    """A Markdown table."""
    for line in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(line) + " |")


header = [f"{gradient}: {name}" for gradient in GRADIENTS for name in MEASURES]
course = [
    [summary(descend(PAPER, gradient)[1][step], truth) for gradient in GRADIENTS]
    for step in SHOWN
]
print_table(
    ["step", *header],
    [
        [str(step), *one, *other]
        for step, (one, other) in zip(SHOWN, course, strict=True)
    ],
)
print()
forms = [
    (scale, moved, gradient)
    for scale in (PAPER, "as drawn")
    for moved in ("centroids", "centroids and points")
    for gradient in GRADIENTS
]
ends = {
    form: descend(scale, gradient, "points" in moved)[1][SHOWN[-1]]
    for form in forms
    for scale, moved, gradient in [form]
}
print_table(
    ["scale", "what moves", "gradient", *MEASURES],
    [[*form, *summary(end, truth)] for form, end in ends.items()],
)
