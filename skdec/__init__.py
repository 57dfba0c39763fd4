"""Student-t clustering and exact t-SNE for scikit-learn, on one set of kernels.

``skdec.diagnostics`` tells what of a map can be believed, ``skdec.encoders`` has
embeddings that learn with the clusters.
"""

from importlib.metadata import version

from skdec.clustering import StudentTClustering
from skdec.functions import (
    clustering_loss,
    conditional_affinities,
    embedding_loss,
    joint_affinities,
    kl_divergence,
    soft_assignment,
    target_distribution,
)
from skdec.tsne import ExactTSNE, neighbors_graph

__all__ = [
    "ExactTSNE",
    "StudentTClustering",
    "clustering_loss",
    "conditional_affinities",
    "embedding_loss",
    "joint_affinities",
    "kl_divergence",
    "neighbors_graph",
    "soft_assignment",
    "target_distribution",
]

__version__ = version("skdec")
