"""
How a fit comes to rest
=======================

``ConvergenceDisplay`` draws what a fit has recorded.  The divergence of a map falls
fast while clusters part, then ever more slowly: a curve that still falls at its end
asks for a smaller ``tol``, or a larger ``max_iter``.  The divergence of a clustering
may rise, because its target is made anew in each step; that it has settled is told by
the share of labels that change, which goes to zero.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import ConvergenceDisplay

X, y = load_digits(return_X_y=True)

# %%
# A map of the digits.  KL is recorded at every 50th iteration, and where a callback
# asks for it: here one that does nothing asks at every 10th.
tsne = ExactTSNE(
    callback=lambda n_iter, kl, embedding: None, callback_every=10, random_state=0
).fit(X)
print(f"{tsne.n_iter_} iterations, KL(P‖Q) = {tsne.kl_divergence_:.3f} nats")
figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
ConvergenceDisplay.from_estimator(tsne, ax=ax)
plt.show()

# %%
# Ten clusters of their pixels: once until labels and centroids rest, and once cut
# short, with a warning that tells so.
settled = StudentTClustering(10, random_state=0).fit(X)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always", ConvergenceWarning)
    cut = StudentTClustering(10, max_iter=10, random_state=0).fit(X)
for remark in said:
    print(f"{remark.category.__name__}: {remark.message}")
figure, axes = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
for ax, model in zip(axes, (settled, cut), strict=True):
    ConvergenceDisplay.from_estimator(model, ax=ax)
    changed = model.history_["label_changes"][-1]
    ax.set_title(
        f"max_iter={model.max_iter}: {model.n_iter_} passes, converged: "
        f"{model.converged_},\n{changed:.1%} of labels changed in the last"
    )
plt.show()
