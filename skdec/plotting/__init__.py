"""Pictures of maps and clusterings, after scikit-learn's convention of Displays.

Needs the extra ``plot`` (matplotlib), which is imported when something is drawn.
"""

from skdec.plotting._colors import categorical_colors
from skdec.plotting._embedding import EmbeddingDisplay
from skdec.plotting._labels import match_labels

__all__ = [
    "EmbeddingDisplay",
    "categorical_colors",
    "match_labels",
]
