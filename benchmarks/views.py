"""What the front pages show of the results: a few rows of many parts.

Each view is a function of the entries; one that gives a single line stands within a
sentence.
"""

from dataclasses import replace

from benchmarks.cost import FIRST_FITS
from benchmarks.tables import Column, Table

# the sets of ``tsne.approximations`` that a front page shows, and how it calls them
SETS = {
    "MNIST, first 5000": "MNIST, 5,000 rows",
    "MNIST, first 10000": "MNIST, 10,000 rows",
    "MNIST, first 70000": "MNIST, all 70,000 rows",
}
OURS = "ExactTSNE, defaults"

# of each kind a set or two, and what all come to
FORMS_SHOWN = {
    "digits, pixels", "breast cancer", "uneven blobs 2", "uneven blobs 9",
    "unit sphere, 50", "unit sphere, 384", "TF-IDF, CSR", "LSA, 50", "LSA, 300",
    "counts, 2,000 genes", "2,000/200/50, 6 sd, 2 features",
    "2,000/200/50, 6 sd, 10 features", "mean", "worst less KMeans",
}  # fmt: skip


def tsne_headline(entries):
    """ExactTSNE beside its peers: time and KL."""
    columns = (
        Column("data"),
        Column("peer"),
        Column("its time", "s", "{:.2f}"),
        Column("ExactTSNE's", "s", "{:.2f}"),
        Column("times faster", "", "{:.1f}"),
        Column("its KL", "", "{:.3f}"),
        Column("ours", "", "{:.3f}"),
    )
    table = Table("headline", "", columns)
    digits = entries["tsne.exact"].table("digits")
    theirs = digits.row("method", "scikit-learn exact")
    until = digits.row("method", "ExactTSNE, until that KL")
    table = compared(table, "digits, 1,797 rows, to its KL", theirs, until)
    for name, title in SETS.items():
        found = entries["tsne.approximations"].table(name)
        ours = found.row("method", OURS)
        for theirs in found.rows:
            if not theirs["method"].startswith("ExactTSNE"):
                table = compared(table, title, theirs, ours)
    return table.markdown()


def compared(table, title, theirs, ours):
    """The table with a row of a peer and ours."""
    seconds = theirs["whole fit"], ours["whole fit"]
    loss = theirs["KL, full P"], ours["KL, full P"]
    return table.plus(title, theirs["method"], *seconds, seconds[0] / seconds[1], *loss)


def tsne_iteration(entries):
    """How many times faster an iteration is than scikit-learn's."""
    table = entries["tsne.exact"].table("iteration")
    return f"{table.rows[0]['times faster']:.0f}"


def tsne_times(entries):
    """What 500 iterations take of MNIST and of a million rows."""
    mnist = entries["tsne.approximations"].table("MNIST, first 70000")
    seconds = mnist.row("method", "ExactTSNE, 500 iterations")["whole fit"]
    million = entries["tsne.large"].table("large").row("n", 1_000_000)
    return (
        f"500 iterations take {seconds:.0f} s on 70,000 rows of MNIST, and "
        f"{million['whole fit'] / 60:.1f} minutes and "
        f"{million['peak memory with X']:.1f} GB on a million rows of 50 features, "
        f"neighbours included, on {entries['tsne.large'].machine['cores']} cores"
    )


def tsne_placing(entries):
    """How many times faster new rows are placed than by openTSNE."""
    table = entries["tsne.placing"].table("placing")
    return f"{table.row('method', 'openTSNE transform')['times ours']:.1f}"


# measure, row and what it is called; every second is on the front page
SCORED = (
    ("accuracy", "MNIST map (70,000)", "clusters of a map of MNIST, accuracy"),
    ("accuracy", "mean of digits maps", "clusters of maps of the digits, accuracy"),
    ("accuracy", "mean of all but maps", "clusters of small sets, accuracy"),
    ("ARI", "mean of all but maps", "of many dimensions or uneven sizes, ARI"),
    ("ARI", "2,000/200/50, 6 sd, 2 features", "blobs of 2,000, 200 and 50 rows, ARI"),
)
METHODS = "StudentTClustering", "KMeans", "GaussianMixture, full"


def clustering_headline(entries):
    """The clusters found without a label, beside k-means and a mixture."""
    columns = (
        Column("data, measure"),
        *(Column(method, "", "{:.3f}") for method in METHODS),
    )
    table = Table("headline", "", columns)
    for measure, data, title in SCORED:
        row = entries["clustering.quality"].table(measure).row("data", data)
        table = table.plus(title, *(row[method] for method in METHODS))
    return table.markdown()


def clustering_steps(entries):
    """A step beside its peers in single precision, least and largest ratio."""
    steps = entries["clustering.steps"].table("steps").rows
    rows = [row for row in steps if row["dtype"] == "float32"]
    columns = (
        Column("peer"),
        Column("time of a step over ours", "", "{:.1f} to {:.1f}"),
    )
    table = Table("steps", "", columns)
    for peer, ratios in (
        ("a Lloyd step of KMeans", [1 / row["ours / KMeans"] for row in rows]),
        ("the step by autograd in PyTorch", [row["torch / ours"] for row in rows]),
        ("an EM step of GaussianMixture", [row["mixture / ours"] for row in rows]),
    ):
        if None not in ratios:
            table = table.plus(peer, [min(ratios), max(ratios)])
    return table.markdown()


# Sets of deep clustering, and the parts in which their methods are.
DEEP = {
    "digits": (
        "deep.digits",
        "deep.digits-longer",
        "deep.digits-of-rows",
        "deep.digits-augmented",
    ),
    "MNIST": (
        "deep.mnist",
        "deep.mnist-augmented",
        "deep.mnist-augmented-map",
        "deep.mnist-longer",
        "deep.mnist-union",
    ),
    "MNIST, 10,000": (
        "deep.mnist-10000",
        "deep.mnist-10000-augmented",
        "deep.mnist-10000-augmented-map",
        "deep.mnist-10000-longer",
    ),
    "texts": ("deep.texts",),
    "counts": ("deep.counts",),
    "cells": ("deep.cells",),
    "iris": ("deep.iris",),
    "wine": ("deep.wine",),
    "breast cancer": ("deep.breast-cancer",),
    "segment": ("deep.segment",),
    "shuttle": ("deep.shuttle", "deep.shuttle-uneven"),
}
NO_LEARNING = "k-means", "Gaussian mixture", "StudentTClustering"
DEEP_METHODS = (
    *(f"{name}, rows" for name in NO_LEARNING),
    *(f"{name}, encoding" for name in NO_LEARNING),
    "DEC",
    "IDEC",
    "DEC, from a map of the rows",
    "IDEC, from a map of the rows",
    "DEC, longer",
    "IDEC, longer",
    *(f"{name}, encoding, not whitened" for name in NO_LEARNING),
    "DEC, not whitened",
    "IDEC, not whitened",
    "DEC, balance 0",
    "IDEC, balance 0",
    "DEC, augmented",
    "IDEC, augmented",
    "DEC, augmented, from a map",
    "IDEC, augmented, from a map",
    "DEC, augmented, from a map, longer",
    "IDEC, augmented, from a map, longer",
    "DEC, augmented, from a map of the rows, longer",
    "IDEC, augmented, from a map of the rows, longer",
    "DEC, linear",
    "IDEC, linear",
    "DEC, linear, balance 0",
    "IDEC, linear, balance 0",
    "DEC, linear, from a map",
    "IDEC, linear, from a map",
    "DEC, linear, from a map, balance 0",
    "IDEC, linear, from a map, balance 0",
    "DEC, linear, from the rows' clusters",
    "IDEC, linear, from the rows' clusters",
    "DEC, linear, from the rows' clusters, balance 0",
    "IDEC, linear, from the rows' clusters, balance 0",
    "StudentTClustering, map of the rows",
    "StudentTClustering, map of the encoding, linear",
    "StudentTClustering, map of the encoding",
    "StudentTClustering, map of the encoding, augmented",
    "StudentTClustering, map of the encoding, augmented, three wide networks",
)


def deep_all(entries):
    """Mean accuracies of deep clustering, and the worst seeds of what learns."""
    found = {
        data: {
            row["method"]: row
            for part in (*parts, "deep.linear", "deep.linear-of-rows")
            if part in entries
            for row in entries[part].table("means").rows
            if "data" not in row or f"deep.{row['data']}" in parts
        }
        for data, parts in DEEP.items()
    }
    known = [data for data in found if found[data]]
    table = Table("all", "", (Column("accuracy"), *map(Column, known)))
    for method in DEEP_METHODS:
        rows = [found[data].get(method) for data in known]
        if any(rows):
            table = table.plus(method, *map(mean_and_worst, rows))
    return table.markdown()


def mean_and_worst(row):
    """The mean of an accuracy, and the worst where they differ."""
    if row is None or row["accuracy"] is None:
        return None
    mean, worst = row["accuracy"][0], row.get("worst")
    if worst is None or f"{mean:.2f}" == f"{worst:.2f}":
        return f"{mean:.2f}"
    return f"{mean:.2f} ({worst:.2f})"


def first_calls(entries):
    """What compiling adds to the first map and to the first clustering."""
    table = entries["tsne.start_up"].tables[0]
    first_map, clustering, large_map = (
        table.row("what", f"first {call}, fresh cache")["measured"]
        for call in FIRST_FITS
    )
    return (
        f"{first_map:.0f} s for the first map, {large_map:.0f} s if it is one of more "
        f"than some 8,000 rows, and {clustering:.0f} s for the first clustering"
    )


def readme(entries):
    """A handful of numbers: what, which peer, what it reaches and what we do.

    Of clusters the peer is the one that does best.
    """
    columns = map(Column, ("", "peer", "the peer", "skdec"))
    table = Table("readme", "", tuple(columns))
    # one that many have, and the fastest
    for part, name, peer in (
        ("tsne.approximations", "MNIST, first 10000", "scikit-learn Barnes-Hut"),
        ("tsne.slow-peers", "MNIST, first 70000", "openTSNE FFT"),
        ("tsne.approximations", "MNIST, first 70000", "tsne-h2pack"),
    ):
        found = entries[part].table(name)
        ours = fit_and_loss(found.row("method", OURS))
        try:
            theirs = fit_and_loss(found.row("method", peer))
        except KeyError:  # it was not installed
            continue
        table = table.plus(f"t-SNE of {SETS[name]}", peer, theirs, ours)
    million = entries["tsne.large"].table("large").row("n", 1_000_000)
    ours = f"{million['whole fit']:.0f} s, {million['peak memory with X']:.1f} GB"
    table = table.plus("t-SNE of 1,000,000 x 50, 500 iterations", None, None, ours)
    placed = entries["tsne.placing"].table("placing")
    theirs, ours = (
        f"{placed.row('method', name)['time']:.2f} s"
        for name in ("openTSNE transform", "ExactTSNE.transform")
    )
    table = table.plus("1,000 new rows placed among 10,000", "openTSNE", theirs, ours)
    for measure, data, title in SCORED[::2]:
        row = entries["clustering.quality"].table(measure).row("data", data)
        theirs = {peer: row[peer] for peer in METHODS[1:] if row[peer] is not None}
        best = max(theirs, key=theirs.get)
        ours = f"{row[METHODS[0]]:.3f}"
        table = table.plus(title, best, f"{theirs[best]:.3f}", ours)
    return table.markdown()


def fit_and_loss(row):
    """Seconds and KL of a fit."""
    return f"{row['whole fit']:.1f} s, KL {row['KL, full P']:.2f}"


# --------------------------------------------------------------- docs/scaling.md
def scaling_tsne(entries):
    """Times and memory of ExactTSNE by size: of MNIST, and of mixtures above it."""
    columns = (
        Column("rows", "", "{:,}"),
        Column("P over"),
        Column("500 iterations", "s"),
        Column("of which the neighbours", "s", "{:.0f}"),
        Column("neighbours found", "%", "{:.1f}"),
        Column("memory"),
    )
    table = Table("tsne", "", columns)
    memory = {
        (row["affinities"], row["n"]): f"{row['memory']:.0f} MB beyond X"
        for row in entries["tsne.memory"].table("memory").rows
    }
    fits = entries["tsne.approximations"].tables
    for n, found in ((len_of(found), found) for found in fits):
        seconds = found.row("method", "ExactTSNE, 500 iterations")["whole fit"]
        seconds = f"{seconds:.1f}"
        over = "neighbors" if n > ALL_PAIRS else "exact"
        known = memory.get((over, n))
        table = table.plus(n, PAIRS[over], seconds, None, None, known)
    for row in entries["tsne.large"].table("large").rows:
        if row["n"] > max(cell["rows"] for cell in table.rows):
            known = f"{row['peak memory with X']:.1f} GB with X"
            seconds = f"{row['whole fit']:,.0f}"
            times = seconds, row["neighbours"], 100 * row["recall"]
            table = table.plus(row["n"], PAIRS["neighbors"], *times, known)
    return table.markdown()


# the rule of affinities="auto"
ALL_PAIRS = 3000
PAIRS = {"exact": "all pairs", "neighbors": "neighbours"}


def len_of(table):
    """The rows of a set of ``tsne.approximations``, by its title: (n, d)."""
    return int(table.title.partition("(")[2].partition(",")[0])


# the sets of ``clustering.memory`` as ``clustering.whole`` calls them
WHOLE = {
    "200,000, 10, 10": "200,000 x 10, float32",
    "200,000, 50, 20": "200,000 x 50, float32",
}


def scaling_clustering(entries):
    """Times and memory of StudentTClustering by size."""
    columns = (
        Column("n, d, k"),
        Column("X"),
        Column("one pass", "ms", "{:.1f}"),
        Column("a whole fit at the defaults", "s", "{:.2f}"),
        Column("memory beyond X", "MB", "{:.0f}"),
    )
    table = Table("clustering", "", columns)
    steps = entries["clustering.steps"].table("steps").rows
    whole = entries["clustering.whole"].table("whole")
    digits = whole.row("data", "digits")["at the defaults"] / 1e3
    table = table.plus("1,797, 64, 10", "float64", None, digits, None)
    for row in entries["clustering.memory"].table("memory").rows:
        size, dtype = row["n, d, k"], row["dtype"]
        passes = [
            step["StudentTClustering"]
            for step in steps
            if (step["n, d, k"], step["dtype"]) == (size, dtype)
        ]
        fit = None
        if size in WHOLE:
            fit = whole.row("data", WHOLE[size])["at the defaults"] / 1e3
        step = passes[0] if passes else None
        table = table.plus(size, dtype, step, fit, row["beyond it"])
    return table.markdown()


def clustering_forms(entries):
    """ν and b on a few sets, and the means over all of them."""
    forms = entries["clustering.forms"].table("forms")
    rows = [row for row in forms.rows if row["data"] in FORMS_SHOWN]
    return replace(forms, title="", rows=tuple(rows)).markdown()


def predicting(entries):
    """What predict takes of a million rows."""
    table = entries["clustering.predictions"].table("predictions")
    return f"{table.row('dtype', 'float32')['predict']:.0f} ms"


def new_rows(entries):
    """What placing new rows takes that does not grow with the map."""
    table = entries["tsne.new_rows"].table("new_rows")
    few, more, many = (table.row("n", n) for n in (100_000, 400_000, 1_000_000))
    return (
        f"1,000 new rows take {few['1,000 rows']:.2f} s among 100,000 x 50 rows by the "
        f"exact search, and by faiss {more['1,000 rows']:.2f} s among 400,000 and "
        f"{many['1,000 rows']:.2f} s among 1,000,000; one row takes "
        f"{few['1 row']:.1f}, {more['1 row']:.1f} and {many['1 row']:.1f} ms. The "
        "grid, the reach of the map and the hashes by which identical rows are found "
        "are made by the "
        f"first call ({few['first call']:.1f}, {more['first call']:.1f} and "
        f"{many['first call']:.1f} s)"
    )


VIEWS = {
    "readme": readme,
    "tsne.headline": tsne_headline,
    "tsne.iteration": tsne_iteration,
    "tsne.times": tsne_times,
    "tsne.start_up.first": first_calls,
    "tsne.placing.ratio": tsne_placing,
    "tsne.new_rows.times": new_rows,
    "scaling.tsne": scaling_tsne,
    "scaling.clustering": scaling_clustering,
    "scaling.predict": predicting,
    "clustering.headline": clustering_headline,
    "clustering.steps.ratios": clustering_steps,
    "clustering.forms.some": clustering_forms,
    "deep.all": deep_all,
}
