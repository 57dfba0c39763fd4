"""The public formulas as functions of arrays: q, p, KL, affinities and losses."""

from skdec.functions._clustering import (
    clustering_loss,
    kl_divergence,
    soft_assignment,
    target_distribution,
)
from skdec.functions._embedding import (
    conditional_affinities,
    embedding_loss,
    joint_affinities,
)

__all__ = [
    "clustering_loss",
    "conditional_affinities",
    "embedding_loss",
    "joint_affinities",
    "kl_divergence",
    "soft_assignment",
    "target_distribution",
]
