"""Draw the picture of the README: python docs/picture.py (needs the extra plot).

Another place to save it to may be given.
"""

import runpy
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "_static" / "digits_map.png"


def draw(path):
    """Save the first figure of the example."""
    runpy.run_path(str(ROOT / "examples" / "plot_digits_map.py"))
    plt.figure(plt.get_fignums()[0])
    plt.savefig(path, dpi=80)


if __name__ == "__main__":
    draw(*sys.argv[1:] or [PICTURE])
