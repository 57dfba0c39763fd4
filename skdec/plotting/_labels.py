"""Labels of any kind as numbers, of which each stands for a colour."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from skdec.utils.validation import check_unmasked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import IntArray

# Integers up to this are their own numbers; larger ones, such as years, are counted.
LARGEST_NUMBER = 999

NO_CLUSTER = -1


class Categories(NamedTuple):
    """Classes of rows by number.

    Attributes
    ----------
    numbers : ndarray of shape (n_samples,)
        The number of each row's class; −1 for none.
    names : dict of int to str
        What each number that occurs is called, by increasing number.
    """

    numbers: np.ndarray
    names: dict

    @property
    def n_colors(self):
        """How many colours they need: numbers that do not occur have one too."""
        return max(self.names, default=-1) + 1


def match_labels(labels: ArrayLike, reference: ArrayLike) -> IntArray:
    """Renumber clusters by the classes that they match best.

    Clusters and classes are matched one to one, such that as many rows as possible are
    in the cluster that matches their class.  Drawn side by side, a cluster then has the
    colour of its class.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Clusters: numbers or strings; −1, NaN or None for none.
    reference : array-like of shape (n_samples,)
        Classes, likewise.  A class that is no integer from 0 to 999 has the number that
        is its place among the sorted classes, or its code if ``reference`` is a pandas
        Categorical.

    Returns
    -------
    matched : ndarray of shape (n_samples,), int64
        For each row the number of the class that its cluster matches.  Clusters that
        are left over have the numbers after the last class, in their order; rows
        without a cluster have −1.

    Raises
    ------
    ValueError
        If the two differ in length, or are not one-dimensional.

    Examples
    --------
    >>> from skdec.plotting import match_labels
    >>> match_labels([2, 2, 0, 0, 5], ["a", "a", "b", "b", "b"]).tolist()
    [0, 0, 1, 1, 2]
    """
    found = categories(labels, "labels")
    classes = categories(reference, "reference", len(found.numbers))
    ours, own = np.unique(found.numbers, return_inverse=True)
    theirs, other = np.unique(classes.numbers, return_inverse=True)
    counts = np.zeros((len(ours), len(theirs)), dtype=np.int64)
    np.add.at(counts, (own, other), 1)
    counts[ours == NO_CLUSTER], counts[:, theirs == NO_CLUSTER] = 0, 0
    new = np.full(len(ours), NO_CLUSTER)
    for row, column in zip(*linear_sum_assignment(-counts), strict=True):
        if counts[row, column]:
            new[row] = theirs[column]
    left = (new == NO_CLUSTER) & (ours != NO_CLUSTER)
    new[left] = classes.n_colors + np.arange(left.sum())
    return new[own].astype(np.int64)


def categories(labels: Any, argument: str, n: int | None = None, names: Any = None):
    """The classes of labels as ``Categories``, or an error naming the argument.

    ``names`` are names by number, a sequence, or by label, a mapping.
    """
    values, codes = _factorized(labels, argument, n)
    names = plain_names(names)
    numbers = _numbers(values, names)
    names_of = {
        number: name_of(value, number, names)
        for value, number in zip(values, numbers, strict=True)
    }
    if len(set(names_of.values())) < len(names_of):
        raise ValueError(f"names must differ; got {sorted(names_of.values())}")
    # one more for the rows of no class, whose code is −1
    lookup = np.array([*numbers, NO_CLUSTER], dtype=np.intp)
    present = sorted(set(lookup[np.unique(codes)]) - {NO_CLUSTER})
    return Categories(lookup[codes], {number: names_of[number] for number in present})


def _factorized(labels, argument, n):
    """The distinct labels, and for each row which it has, or −1."""
    check_unmasked(labels, argument)
    categorical = getattr(labels, "cat", labels)
    if hasattr(categorical, "codes") and hasattr(categorical, "categories"):
        values, codes = list(categorical.categories), np.array(categorical.codes)
    else:
        # of words and NaN in a list NumPy would make words
        kind = object if isinstance(labels, list | tuple) else None
        array = np.asarray(labels, dtype=kind)
        if array.ndim != 1:
            raise ValueError(
                f"{argument} must have one dimension; got shape {array.shape}"
            )
        if array.dtype.kind in "OT":
            values, codes = _factorized_objects(array)
        else:
            found, codes = np.unique(array, return_inverse=True)
            values = _times(found) if array.dtype.kind in "mM" else found.tolist()
    if n is not None and len(codes) != n:
        raise ValueError(f"{argument} must have {n} entries; got {len(codes)}")
    none = np.array([_is_none(value) for value in values], dtype=bool)
    codes = codes.astype(np.intp)
    # another number of categories in place of those without a value
    moved = np.where(none, -1, np.cumsum(~none) - 1)
    kept = [value for value, is_none in zip(values, none, strict=True) if not is_none]
    return kept, np.append(moved, -1)[codes]


def _times(found):
    """Times as Python has them, or as NumPy does where Python would count them."""
    if np.datetime_data(found.dtype)[0] == "ns":
        coarser = found.astype(f"{found.dtype.kind}8[us]")
        if ((coarser == found) | np.isnat(found)).all():
            found = coarser
    values = found.tolist()
    return list(found) if any(isinstance(value, int) for value in values) else values


def _factorized_objects(array):
    """The same of Python objects, sorted where they can be."""
    places: dict = {}
    # all that stands for no class is one thing, also NaN, which differs from itself
    entries = (None if _is_none(value) else value for value in array)
    codes = np.fromiter(
        (places.setdefault(value, len(places)) for value in entries),
        np.intp,
        array.size,
    )
    values = list(places)
    try:
        order = sorted(range(len(values)), key=lambda i: (values[i] is None, values[i]))
    except TypeError:
        order = sorted(range(len(values)), key=lambda i: str(values[i]))
    rank = np.empty(len(values), np.intp)
    rank[order] = np.arange(len(values))
    return [values[i] for i in order], rank[codes]


def _is_none(value):
    """Whether a label stands for no class."""
    if value is None:
        return True
    if isinstance(value, str | bytes):
        return False
    try:
        return bool(value != value or value == NO_CLUSTER)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def _is_whole(value):
    if isinstance(value, np.timedelta64):  # which NumPy has among its integers
        return False
    return isinstance(value, Integral) or (
        isinstance(value, Real) and float(value).is_integer()
    )


def _numbers(values, names):
    """The number of each distinct label."""
    if all(_is_whole(value) and 0 <= value <= LARGEST_NUMBER for value in values):
        return [int(value) for value in values]
    if names is None or isinstance(names, Mapping):
        return list(range(len(values)))
    known = {name: number for number, name in enumerate(names)}
    strange = [value for value in values if value not in known]
    if strange:
        raise ValueError(
            "names must hold all labels that are no integers from 0 to "
            f"{LARGEST_NUMBER}; {strange[0]!r} is missing"
        )
    return [known[value] for value in values]


def plain_names(names):
    """Names as a mapping or a list; a Series of pandas is a mapping from its index."""
    if names is None or isinstance(names, Mapping):
        return names
    return dict(names.items()) if hasattr(names, "items") else list(names)


def name_of(value, number, names):
    """What a class is called."""
    if isinstance(names, Mapping):
        value = names.get(value, value)
    elif names is not None and number < len(names):
        return str(names[number])
    plain = _is_whole(value) and not isinstance(value, bool)
    return str(int(value)) if plain else str(value)
