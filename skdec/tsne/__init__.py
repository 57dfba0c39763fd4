"""ExactTSNE and what it is made of.

    X → squared distances → affinities P → a start Y
      → gradient of KL(P‖Q) → a step of Y, until KL rests → attributes

``transform`` goes from the distances of new rows to their p, and places each alone.
"""

from skdec.tsne._estimator import ExactTSNE
from skdec.tsne._neighbors_graph import neighbors_graph

__all__ = ["ExactTSNE", "neighbors_graph"]
