"""Draw the picture of the README: python docs/picture.py (needs the extra plot)."""

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]


def main():
    """Save the first figure of the example."""
    runpy.run_path(str(ROOT / "examples" / "plot_digits_map.py"))
    plt.figure(plt.get_fignums()[0])
    plt.savefig(ROOT / "docs" / "_static" / "digits_map.png", dpi=80)


if __name__ == "__main__":
    main()
