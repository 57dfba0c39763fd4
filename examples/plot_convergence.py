"""
How a fit comes to rest
=======================

``ConvergenceDisplay`` draws what a fit has recorded.  The divergence of ``ExactTSNE``
jumps where the exaggeration of p ends, and falls slowly after that: a curve that still
falls at its end asks for a larger ``max_iter``.  The divergence of
``StudentTClustering`` may rise, because its target is made anew in each step; that it
has settled is told by the share of labels that change, which goes to zero.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import ConvergenceDisplay

X, y = load_digits(return_X_y=True)

# %%
# A map of the digits.
tsne = ExactTSNE(random_state=0).fit(X)
print(f"{tsne.n_iter_} iterations, KL(P‖Q) = {tsne.kl_divergence_:.3f} nats")
ConvergenceDisplay.from_estimator(tsne)
plt.show()

# %%
# Ten clusters of their pixels.
model = StudentTClustering(10, random_state=0).fit(X)
print(f"{model.n_iter_} passes, converged: {model.converged_}")
ConvergenceDisplay.from_estimator(model)
plt.show()

# %%
# A fit that is cut short warns, and its last labels still change.
cut = StudentTClustering(10, max_iter=8, random_state=0)
