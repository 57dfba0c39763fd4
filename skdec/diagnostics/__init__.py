"""What of a map can be believed: scores of its points, and of the whole.

``reliability`` leaves out one point at a time; ``neighbor_recall``,
``trustworthiness``, ``continuity`` and ``distance_rank_correlation`` compare a map with
its data at any size; ``perplexity_table`` compares perplexities.
docs/reliability.md tells how to read them.
"""

from skdec.diagnostics._perplexity import PerplexityTable, perplexity_table
from skdec.diagnostics._quality import (
    continuity,
    distance_rank_correlation,
    neighbor_recall,
    neighbor_recall_scorer,
    trustworthiness,
    trustworthiness_scorer,
)
from skdec.diagnostics._reliability import Reliability, reliability

__all__ = [
    "PerplexityTable",
    "Reliability",
    "continuity",
    "distance_rank_correlation",
    "neighbor_recall",
    "neighbor_recall_scorer",
    "perplexity_table",
    "reliability",
    "trustworthiness",
    "trustworthiness_scorer",
]
