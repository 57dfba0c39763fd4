"""StudentTClustering and what it is made of.

    X → starts (k-means, in a sample of large data) → self-training
      q → p, held fixed → sums of a step → centroids, until labels and centroids rest
      → the end, or the start if that explains the rows better → attributes

With an encoder, z = encoder(x) takes the place of X, and joint training follows.
"""

from skdec.clustering._estimator import StudentTClustering
from skdec.clustering._snapshot import Snapshot

__all__ = ["Snapshot", "StudentTClustering"]
