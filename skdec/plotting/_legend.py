"""Legends outside of the axes."""

from skdec.plotting._axes import POINTS_PER_INCH, matplotlib

# Ticks and the name of an axis take so many times the size of the font below it.
LABELS = 3.4

# With more classes there is no legend unless it is asked for.
LONGEST_LEGEND = 60


def legend_handle(name, color):
    """An entry of a legend."""
    return matplotlib("lines").Line2D(
        [], [], linestyle="", marker="o", markersize=6, markeredgewidth=0, color=color,
        label=name,
    )  # fmt: skip


def highlight_handle(points):
    """An entry of a legend for points of any colour, with the edge that they have."""
    edge = points.get_edgecolor()[0]
    return matplotlib("lines").Line2D(
        [], [], linestyle="", marker="o", markersize=6, markeredgewidth=0.8,
        markerfacecolor="none", markeredgecolor=edge, label=points.get_label(),
    )  # fmt: skip


def draw_legend(ax, handles, below=False, math=True):
    """A legend beside the axes, or below them.

    ``math``: whether what is between dollar signs is a formula.
    """
    if below:
        options = {"loc": "upper center", "ncols": min(len(handles), 4)}
        if ax.axison and (ax.get_xlabel() or len(ax.get_xticks())):
            options |= {
                "bbox_to_anchor": (0.5, 0.0), "bbox_transform": _under_labels(ax)
            }  # fmt: skip
        else:
            options["bbox_to_anchor"] = (0.5, -0.02)
    else:
        size = 8 if len(handles) > 20 else 10
        fit = max(1, int(ax.bbox.height * 72 / ax.figure.dpi / (1.5 * size)))
        options = {
            "loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "fontsize": size,
            "ncols": -(-len(handles) // fit), "handletextpad": 0.2,
            "columnspacing": 1.0, "labelspacing": 0.35,
        }  # fmt: skip
    legend = ax.legend(handles=handles, frameon=False, borderaxespad=0.0, **options)
    for text in legend.get_texts():
        text.set_parse_math(math)
    return legend


def legend_under_labels(ax, handles):
    """A legend in one line below ticks and name of the x axis.

    A title has its room above.
    """
    size = matplotlib().rcParams["font.size"]
    return ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False,
        bbox_transform=_under_labels(ax), ncols=len(handles), borderaxespad=0.0,
        fontsize=0.9 * size,
    )  # fmt: skip


def _under_labels(ax):
    """The axes moved down by some letters, whatever their height."""
    size = matplotlib().rcParams["font.size"]
    below = matplotlib("transforms").ScaledTranslation(
        0, -LABELS * size / POINTS_PER_INCH, ax.figure.dpi_scale_trans
    )
    return ax.transAxes + below
