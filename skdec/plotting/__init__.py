"""Pictures of maps and clusterings, after scikit-learn's convention of Displays.

Needs the extra ``plot`` (matplotlib), which is imported when something is drawn.
"""

from skdec.plotting._animation import animate_fit
from skdec.plotting._colors import categorical_colors
from skdec.plotting._convergence import ConvergenceDisplay
from skdec.plotting._embedding import EmbeddingDisplay
from skdec.plotting._labels import match_labels
from skdec.plotting._memberships import MembershipDisplay
from skdec.plotting._perplexity import PerplexityDisplay
from skdec.plotting._reliability import ReliabilityDisplay

__all__ = [
    "ConvergenceDisplay",
    "EmbeddingDisplay",
    "MembershipDisplay",
    "PerplexityDisplay",
    "ReliabilityDisplay",
    "animate_fit",
    "categorical_colors",
    "match_labels",
]
