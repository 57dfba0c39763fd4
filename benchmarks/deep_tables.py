"""Means over the seeds of deep clustering, and what tells good seeds from bad."""

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score

from benchmarks.tables import Column, Table

# Columns without labels of a DEC or IDEC: all are larger where a seed is better.
MEASURES = ("evidence", "-KL", "silhouette", "neighbours", "rest")
# Columns that say which rows differ by their seed alone.
OF_A_METHOD = ("data", "method")
SPREAD = "{:.3f} ± {:.3f}"


def by_method(rows):
    """Method, or data and method where those differ → its rows, one of each seed."""
    found = {}
    for row in rows:
        names = [row[name] for name in OF_A_METHOD if name in row]
        found.setdefault(tuple(names), []).append(row)
    return found


def spread(rows, name):
    """Mean and standard deviation, if there are values."""
    values = [row[name] for row in rows]
    if None in values:
        return None
    return [np.mean(values), np.std(values)]


def means(runs, title):
    """Means and standard deviations over seeds, the worst, medians of seconds."""
    columns = (
        *(column for column in runs.columns if column.name in OF_A_METHOD),
        Column("accuracy", "", SPREAD),
        Column("worst", "", "{:.3f}"),
        Column("NMI", "", SPREAD),
        Column("ARI", "", SPREAD),
        Column("time", "s", "{:.3g}"),
        Column("passes", "", "{:.0f}"),
        Column("start kept", "", "{} of {}"),
    )
    table = Table("means", title, columns)
    for names, rows in by_method(runs.rows).items():
        kept = [row["start kept"] for row in rows]
        known = [row["accuracy"] for row in rows]
        table = table.plus(
            *names,
            spread(rows, "accuracy"),
            None if None in known else min(known),
            spread(rows, "NMI"),
            spread(rows, "ARI"),
            np.median([row["time"] for row in rows]),
            np.median([row["passes"] for row in rows]),
            None if None in kept else [sum(kept), len(kept)],
        )
    return table


def agreements(labels):
    """Mean adjusted Rand index of each labelling with the others."""
    found = np.array([[adjusted_rand_score(a, b) for b in labels] for a in labels])
    return (found.sum(axis=1) - 1) / (len(labels) - 1)


def judges(runs, labels):
    """What each measure without labels says of the seeds, next to their accuracy."""
    plain = (Column(name, "", "{:.3f}") for name in ("mean", "best", "worst"))
    names = (*MEASURES, "agreement")
    columns = *plain, *(Column(name, "", "{:.3f} ({:+.1f})") for name in names)
    table = Table("judges", "seeds judged without labels", (Column("method"), *columns))
    for (method,), rows in by_method(runs.rows).items():
        if rows[0]["evidence"] is None:
            continue
        known = np.array([row["accuracy"] for row in rows])
        cells = [known.mean(), known.max(), known.min()]
        measures = [np.array([row[name] for row in rows]) for name in MEASURES]
        for values in (*measures, agreements(labels[method])):
            constant = np.ptp(values) == 0 or np.ptp(known) == 0
            rank = 0.0 if constant else spearmanr(values, known).statistic
            cells.append([known[np.argmax(values)], rank])
        table = table.plus(method, *cells)
    return table.noted(
        "Of each measure: the accuracy of the seed it is largest for (rank correlation "
        "with accuracy over the seeds; 0 where either does not vary)."
    )
