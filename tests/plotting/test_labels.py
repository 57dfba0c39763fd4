"""Labels of every kind, and clusters that take the numbers of classes."""

from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skdec.plotting import match_labels
from skdec.plotting._labels import categories

TEXT = ["b", "a", None, "b", "c"]
BY_TEXT = ([1, 0, -1, 1, 2], {0: "a", 1: "b", 2: "c"})
NUMBERS = ([7, 3, -1, 7], {3: "3", 7: "7"})
DATES = np.array(["2020-01-01", "NaT", "1999-12-31"])
BY_DATE = ([1, -1, 0], {0: "1999-12-31", 1: "2020-01-01"})
KINDS = {
    "strings": (["b", "a", "b"], ([1, 0, 1], {0: "a", 1: "b"})),
    "strings and None": (TEXT, BY_TEXT),
    "pandas strings": (pd.Series(TEXT), BY_TEXT),
    "polars strings": (pl.Series(TEXT), BY_TEXT),
    "polars categories": (pl.Series(TEXT, dtype=pl.Categorical), BY_TEXT),
    "text and NaN": (np.array(["b", "a", np.nan, "b", "c"], dtype=object), BY_TEXT),
    "integers": ([7, 3, -1, 7], NUMBERS),
    "unsigned": (np.array([7, 3], np.uint8), ([7, 3], {3: "3", 7: "7"})),
    "floats": ([7.0, 3.0, np.nan, 7.0], NUMBERS),
    "float32": (np.array([7, 3, -1, 7], np.float32), NUMBERS),
    "nullable integers": (pd.Series([7, 3, None, 7], dtype="Int64"), NUMBERS),
    "polars integers": (pl.Series([7, 3, None, 7]), NUMBERS),
    "integer objects": (np.array([7, 3, None, 7], dtype=object), NUMBERS),
    "large integers": ([1990, 1980, 1990], ([1, 0, 1], {0: "1980", 1: "1990"})),
    "fractions": ([0.5, 0.25], ([1, 0], {0: "0.25", 1: "0.5"})),
    "booleans": ([True, False], ([1, 0], {0: "False", 1: "True"})),
    "text and NaN in a list": (["b", "a", float("nan"), "b", "c"], BY_TEXT),
    "mixed": (["a", 1, None], ([1, 0, -1], {0: "1", 1: "a"})),
    "dates": (DATES.astype("M8[D]"), BY_DATE),
    "dates in nanoseconds": (
        DATES.astype("M8[ns]"),
        (BY_DATE[0], {0: "1999-12-31 00:00:00", 1: "2020-01-01 00:00:00"}),
    ),
    "dates to the nanosecond": (
        np.array([1, 0], "M8[ns]"),
        ([1, 0], {i: f"1970-01-01T00:00:00.00000000{i}" for i in range(2)}),
    ),
    "durations in nanoseconds": (
        np.array([3_000_000, "NaT"], "m8[ns]"), ([0, -1], {0: "0:00:00.003000"}),
    ),
    "durations of a few": (
        np.array([7, 3], "m8[ns]"), ([1, 0], {0: "3 nanoseconds", 1: "7 nanoseconds"}),
    ),
    "durations in a list": (
        [np.timedelta64(7, "s")], ([0], {0: "7 seconds"}),
    ),
    "one class": (["a", "a"], ([0, 0], {0: "a"})),
    "no class": ([-1, -1], ([-1, -1], {})),
    "nothing": ([], ([], {})),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_every_kind(kind):
    labels, (numbers, names) = KINDS[kind]
    found = categories(labels, "labels")
    assert found.numbers.tolist() == numbers
    assert found.names == names
    assert found.n_colors == max(names, default=-1) + 1


def test_pandas_categories_have_their_order_and_may_be_empty():
    labels = pd.Categorical(["low", "high", None], ["low", "middle", "high"])
    for column in (labels, pd.Series(labels)):
        found = categories(column, "labels")
        assert found.numbers.tolist() == [0, 2, -1]
        assert found.names == {0: "low", 2: "high"}


def test_names():
    found = categories([2, 0, 5], "labels", names=["zero", "one", "two"])
    assert found.names == {0: "zero", 2: "two", 5: "5"}
    found = categories([2, 0], "labels", names={2: "two"})
    assert found.names == {0: "0", 2: "two"}
    # a sequence has the order of labels that are words
    found = categories(["a", "b"], "labels", names=["b", "none", "a"])
    assert (found.numbers.tolist(), found.names) == ([2, 0], {0: "b", 2: "a"})
    with pytest.raises(ValueError, match="'c' is missing"):
        categories(["c"], "labels", names=["a"])
    with pytest.raises(ValueError, match="names must differ"):
        categories([0, 1], "labels", names=["a", "a"])


def test_names_in_a_series_are_by_its_index():
    for index in ([0, 5], [5, 0]):
        names = pd.Series([f"n{i}" for i in index], index=index)
        assert categories([0, 5], "labels", names=names).names == {0: "n0", 5: "n5"}
    found = categories([0, 1], "labels", names=pd.Series(["a", "b"], index=[4, 5]))
    assert found.names == {0: "0", 1: "1"}
    found = categories([0, 1], "labels", names=pl.Series(["a", "b"]))
    assert found.names == {0: "a", 1: "b"}


def test_labels_that_are_masked():
    masked = np.ma.masked_equal([0, 1, 2], 1)
    for labels, reference, name in (
        (masked, [0, 1, 2], "labels"), ([0, 1, 2], masked, "reference"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} must have no masked entries"):
            match_labels(labels, reference)


def test_labels_that_are_none():
    with pytest.raises(ValueError, match=r"labels must have one dimension; got .*2, 2"):
        categories(np.zeros((2, 2)), "labels")
    with pytest.raises(ValueError, match="labels must have 3 entries; got 2"):
        categories([0, 1], "labels", 3)


def agreement(matched, reference):
    return sum(a == b for a, b in zip(matched, reference, strict=True))


def test_clusters_are_matched_one_to_one_as_well_as_can_be(rng):
    for _ in range(20):
        labels, reference = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
        matched = match_labels(labels, reference)
        best = max(
            agreement([order[j] for j in labels], reference)
            for order in permutations(range(4))
        )
        assert agreement(matched, reference) == best
        # a renumbering: what was one cluster is one, what was two is two
        assert len(set(zip(labels, matched, strict=True))) == len(set(labels))
        assert len(set(matched)) == len(set(labels))


def test_clusters_and_classes_of_other_numbers():
    # two clusters of class "a": the larger takes its number, the other a new one
    labels, reference = [5, 5, 9, 3, 3], ["a", "a", "a", "b", "b"]
    assert match_labels(labels, reference).tolist() == [0, 0, 2, 1, 1]
    # more classes than clusters; numbers of classes stay as they are
    assert match_labels(["x", "x", "y"], [4, 7, 7]).tolist() == [4, 4, 7]
    # a cluster that shares no row with a class that is left
    assert match_labels([0, 0, 1], [0, 1, 0]).tolist() in ([1, 1, 0], [0, 0, 2])


def test_rows_without_cluster_or_class():
    matched = match_labels([0, -1, 1, 1], [1, 1, np.nan, 0])
    assert matched.tolist() == [1, -1, 0, 0]
    assert matched.dtype == np.int64
    # a cluster of rows without a class has a number of its own
    assert match_labels([0, 0, 1], [None, None, "a"]).tolist() == [1, 1, 0]
    assert_array_equal(match_labels([-1, -1], [0, 1]), [-1, -1])
    # nor do rows without a class take a cluster from the class that it has
    assert match_labels([0, 0, 0, 1], [None, None, "b", "a"]).tolist() == [1, 1, 1, 0]
    with pytest.raises(ValueError, match="reference must have 2 entries; got 3"):
        match_labels([0, 1], [0, 1, 2])


def test_hundreds_of_classes_are_their_own_numbers():
    found = categories([0, 5, 299], "labels")
    assert_array_equal(found.numbers, [0, 5, 299])
    names = [f"class {number}" for number in range(300)]
    named = categories(np.arange(300), "labels", 300, names)
    assert_array_equal(named.numbers, np.arange(300))
    years = categories([1999, 2001], "labels")  # too large for numbers of colours
    assert_array_equal(years.numbers, [0, 1])
