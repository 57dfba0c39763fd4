"""The plots of the results, as SVG; each carries a digest of what it was drawn from."""

import hashlib
import json

from benchmarks.results import ROOT

METHODS = "StudentTClustering", "KMeans", "GaussianMixture, full"
OURS = "ExactTSNE, defaults"
# black, then colours that colour-blind people tell apart (Okabe and Ito 2008)
COLORS = "#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
MARKERS = "o", "s", "^", "D", "v", "P", "X"


def tsne_values(entries):
    """Method → (rows, seconds, KL above ours) at each size of MNIST."""
    found = {}
    for table in entries["tsne.approximations"].tables:
        if not table.name.startswith("MNIST"):
            continue
        n, ours = int(table.name.split()[-1]), table.row("method", OURS)["KL, full P"]
        for row in table.rows:
            if row["method"] == OURS or not row["method"].startswith("ExactTSNE"):
                point = n, row["whole fit"], round(row["KL, full P"] - ours, 6)
                found.setdefault(row["method"], []).append(point)
    return found


def clustering_values(entries):
    """Measure → data set → the score of each method."""
    tables = entries["clustering.quality"].tables
    return {
        table.name: {
            row["data"]: [row[method] for method in METHODS]
            for row in table.rows
            if not row["data"].startswith(("mean of", "worst of"))
        }
        for table in tables
    }


def draw_tsne(figure, values):
    """Time and KL over the number of rows."""
    figure.set_size_inches(9, 4)
    time, loss = figure.subplots(1, 2)
    for (method, points), color, marker in zip(
        values.items(), COLORS, MARKERS, strict=False
    ):
        n, seconds, above = zip(*points, strict=True)
        width = 2.5 if method == OURS else 1.2
        style = {"color": color, "marker": marker, "linewidth": width, "label": method,
                 "zorder": 3 if method == OURS else 2}  # fmt: skip
        time.loglog(n, seconds, **style)
        loss.semilogx(n, above, **style)
    sizes = sorted({point[0] for points in values.values() for point in points})
    for axes, title in (
        (time, "whole fit, seconds"),
        (loss, "KL over all pairs, above that of ExactTSNE"),
    ):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("rows of MNIST")
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes], fontsize=8)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    ticks = [1, 2, 5, 10, 20, 50, 100]
    time.set_yticks(ticks, map(str, ticks))
    handles, labels = time.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


def draw_clustering(figure, values):
    """A line for each set, a mark for each method."""
    figure.set_size_inches(9, 6)
    panels = figure.subplots(1, len(values), squeeze=False)[0]
    for axes, (measure, sets) in zip(panels, values.items(), strict=True):
        names = list(sets)[::-1]
        for y, name in enumerate(names):
            scores = [score for score in sets[name] if score is not None]
            axes.plot([min(scores), max(scores)], [y, y], color="0.8", zorder=1)
        # ours last, above the others
        for i in range(len(METHODS))[::-1]:
            points = [
                (sets[name][i], y)
                for y, name in enumerate(names)
                if sets[name][i] is not None
            ]
            axes.scatter(*zip(*points, strict=True), color=COLORS[i], s=26,
                         marker=MARKERS[i], label=METHODS[i], zorder=2)  # fmt: skip
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(f"{measure}, mean over seeds", fontsize=10, loc="left")
        axes.set_xlim(0.45 if measure == "accuracy" else -0.03, 1.02)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


PLOTS = {
    ROOT / "docs" / "benchmarks_tsne.svg": (tsne_values, draw_tsne),
    ROOT / "docs" / "benchmarks_clustering.svg": (clustering_values, draw_clustering),
}


def digest(values):
    """What a plot carries, to tell whether it was drawn from these values."""
    text = json.dumps(values, ensure_ascii=False)
    return f"results {hashlib.sha256(text.encode()).hexdigest()}"


def is_drawn(path, entries):
    """Whether a plot is there and was drawn from these results."""
    values = PLOTS[path][0](entries)
    return path.exists() and digest(values) in path.read_text(encoding="utf-8")


def draw(path, entries):
    """Draw one plot; needs matplotlib."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    values_of, drawn = PLOTS[path]
    values = values_of(entries)
    # the same file from the same values
    with rc_context({"svg.hashsalt": "skdec", "font.family": "DejaVu Sans"}):
        figure = Figure(layout="constrained")
        drawn(figure, values)
        about = {"Date": None, "Description": digest(values)}
        figure.savefig(path, format="svg", metadata=about, facecolor="white")
