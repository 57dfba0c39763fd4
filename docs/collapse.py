"""What descending KL(P‖Q) does when the gradient goes through the target P.

Both gradients of skdec.clustering_loss are descended from one k-means start, by plain
steps.  Prints the two tables of docs/gradients.md, part 4, and saves its figure.

    python docs/collapse.py
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skdec import clustering_loss, soft_assignment

FIGURE = Path(__file__).with_name("collapse.png")
BLOBS = [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]
SHOWN = (0, 10, 30, 60, 100, 300)
POINT_STEP = 0.03
GRADIENTS = ("P fixed", "through P")
MEASURES = ("KL", "nearest centroids", "mean largest q", "ARI")
# the DEC paper's scaling
PAPER = "mean ‖z‖²/d = 1"


@cache
def blobs(scale):
    """Three round clusters of unit variance, and which row is of which."""
    X, truth = make_blobs(150, centers=BLOBS, cluster_std=1.0, random_state=0)
    if scale == PAPER:
        X = X - X.mean(axis=0)
        X = X / np.sqrt((X**2).mean())
    return X, truth


@cache
def descend(scale, gradient, move_points=False):
    """Centroids at every step, and (KL, centroids, Q) at the steps shown.

    From a k-means start, the centroids take steps of gradient/n; the points, if they
    move, of 0.03 gradient.
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


def summary(state, truth):
    """KL, smallest distance between centroids, mean largest membership, ARI."""
    kl, centers, Q = state
    # equal rows have no labels: argmax would only report rounding
    uniform = np.ptp(Q, axis=0).max() < 1e-6
    ari = "–" if uniform else f"{adjusted_rand_score(truth, Q.argmax(axis=1)):.2f}"
    numbers = kl, pdist(centers).min(), Q.max(axis=1).mean()
    # + 0.0: a collapsed KL is zero but for rounding, and may round to −0
    return [f"{round(float(v), 2) + 0.0:.2f}" for v in numbers] + [ari]


def markdown(header, rows):
    """Lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def tables():
    """Two Markdown tables: the course of one descent, and where eight end."""
    truth = blobs(PAPER)[1]
    course = [
        [
            str(step),
            *(
                cell
                for gradient in GRADIENTS
                for cell in summary(descend(PAPER, gradient)[1][step], truth)
            ),
        ]
        for step in SHOWN
    ]
    ends = [
        [
            scale,
            moved,
            gradient,
            *summary(descend(scale, gradient, "points" in moved)[1][SHOWN[-1]], truth),
        ]
        for scale in (PAPER, "as drawn")
        for moved in ("centroids", "centroids and points")
        for gradient in GRADIENTS
    ]
    header = [f"{gradient}: {name}" for gradient in GRADIENTS for name in MEASURES]
    lines = markdown(["step", *header], course)
    return "\n".join(
        [*lines, "", *markdown(["scale", "what moves", "gradient", *MEASURES], ends)]
    )


def draw(path=FIGURE):
    """Save the figure: the paths of the centroids, and the distance between them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    X, truth = blobs(PAPER)
    figure, (plane, course) = plt.subplots(1, 2, figsize=(8, 3.4), dpi=100)
    plane.scatter(*X.T, s=6, c=[["0.75", "0.6", "0.45"][label] for label in truth])
    for name, colour in zip(GRADIENTS, ("C0", "C3"), strict=True):
        centers, _ = descend(PAPER, name)
        for j in range(centers.shape[1]):
            label = name if j == 0 else None
            plane.plot(*centers[:, j].T, "-", color=colour, lw=1.5, label=label)
            plane.plot(*centers[-1, j], "o", color=colour, ms=7)
            plane.plot(*centers[0, j], "k+", ms=9)
        nearest = [pdist(c).min() for c in centers]
        course.plot(nearest, color=colour, label=name)
    plane.set(title="centroids, from k-means (+) on", aspect="equal")
    course.set(title="smallest distance between centroids", xlabel="step", ylim=(0, 3))
    course.legend(frameon=False)
    plane.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    print(tables())
    draw()
