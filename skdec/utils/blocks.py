"""Rows in blocks: dask arrays and data frames, on a cluster or a local scheduler.

``collection.py`` knows Dask's collections, ``cluster.py`` its clusters.  What is
computed block by block is a function of one block, and its results come back in the
order of the blocks.  So they depend neither on the number of workers nor on which of
them is done first.  What has a number for each row stays with the workers, as ``Kept``.
"""

from __future__ import annotations

import copy
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skdec.utils.cluster import (
    by_place,
    cancel,
    fetched,
    for_tasks,
    light,
    n_bytes_of,
    one_error,
    sent_apart,
    workers_memory,
)
from skdec.utils.collection import (
    as_rows,
    check_features,
    dtype_of,
    parts_of,
    stacked,
    task_key,
)
from skdec.utils.lazily import call_of_rows, for_workers
from skdec.utils.numbers import largest_magnitude

# Rows are kept by the workers if they take at most this share of the memory that these
# may use.  Otherwise they are read again whenever they are needed.
KEPT_SHARE = 1 / 3

# Arguments of so many bytes are sent with each task, larger ones once.  A task of their
# own takes 20 ms until others have its result.
SENT_WITH_A_TASK = 2**18


class Kept:
    """A value for each block, kept where the rows are."""

    def __init__(self, groups):
        self.groups = groups  # of each group, what it is done with, persisted


class Done(NamedTuple):
    """What a task ends with that keeps something of its blocks."""

    results: list
    values: list


class Each(NamedTuple):
    """A value for each block, which is sent to it."""

    values: list


class Run(NamedTuple):
    """Consecutive blocks, whose rows every block is given, as a list."""

    start: int
    stop: int


class Shared:
    """The arguments that all blocks have in common, which Dask does not look into."""

    def __init__(self, values):
        self.values = values


class Described(NamedTuple):
    """What is known of a block once it has been looked at."""

    n_rows: int
    n_stored: int
    n_bytes: int
    largest: float  # magnitude
    is_sparse: bool


class Blocks:
    """Blocks of rows, each a CSR matrix or a C-ordered array of float32 or float64.

    Parameters
    ----------
    X : dask array or dask DataFrame of shape (n_samples, n_features)
        Rows; in a block are all of their columns.  Blocks of CSR matrices are taken as
        they are.  Number of rows and finiteness are looked at here.
    name : str, default="X"
        What errors call it.
    finite : bool or "allow-nan", default=True
        Which values are allowed, as scikit-learn's ``ensure_all_finite``.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        float32 or float64.
    n_stored, n_bytes : int
        Numbers that are stored, and bytes that they take, indices of sparse rows too.
    largest : float
        The largest magnitude of them.
    offsets : list of int
        The first row of each block, and the number of all rows.
    """

    def __init__(self, X, name="X", finite=True):
        import dask

        self.dtype = dtype_of(X)
        convert = dask.delayed(as_rows, pure=False)
        self._parts = [
            convert(part, self.dtype, name, finite, dask_key_name=task_key("rows", i))
            for i, part in enumerate(parts_of(X))
        ]
        self._groups = [[i] for i in range(len(self._parts))]
        found = self.map(_described, task="look")
        if not any(block.n_rows for block in found):
            raise ValueError(f"{name} must have a row at least; got none")
        full = [i for i, block in enumerate(found) if block.n_rows]
        self._parts, found = ([a[i] for i in full] for a in (self._parts, found))
        self._groups = [[i] for i in range(len(full))]
        if len({block.is_sparse for block in found}) > 1:
            found = self._made_sparse()
        sizes = [block.n_rows for block in found]
        self.shape = sum(sizes), int(X.shape[1])
        self.n_stored = sum(block.n_stored for block in found)
        self.largest = max(block.largest for block in found)
        self.is_sparse = any(block.is_sparse for block in found)
        self.offsets = [0, *accumulate(sizes)]
        self.collection = X
        self.n_bytes = sum(block.n_bytes for block in found)
        self.kept = self.n_bytes <= KEPT_SHARE * workers_memory()
        if self.kept:
            with one_error():
                self._parts = light(dask.persist(*self._parts))
            self._groups = by_place(self._parts)

    def __len__(self):
        return len(self._parts)

    def _made_sparse(self):
        """Make all blocks CSR matrices, where some are; what is known of them then."""
        import dask

        convert = dask.delayed(sparse.csr_matrix, pure=False)
        self._parts = [
            convert(part, dask_key_name=task_key("sparse", i))
            for i, part in enumerate(self._parts)
        ]
        return self.map(_described, task="look")

    def map(self, function, *arguments, task="map", reads=True):
        """The results of ``function(rows, *arguments)`` of each block, in order.

        Of an argument that is ``Kept`` or ``Each`` a block gets its own value.  One
        that does not read rows is given None for them: where they are not kept they
        would be read once more.
        """
        import dask

        runs = self._runs(function, arguments, task, keeps=False, reads=reads)
        with one_error():
            results = dask.compute(*runs)
        return self._in_order(results)

    def some(self, chosen):
        """A few of the blocks, to be mapped where results of all would be too much."""
        few = copy.copy(self)
        few._parts = [self._parts[i] for i in chosen]
        few._groups = [[i] for i in range(len(few._parts))]
        return few

    def update(self, function, *arguments, task="update", reads=True):
        """The same for a function that returns a result and a value to be kept."""
        import dask

        runs = self._runs(function, arguments, task, keeps=True, reads=reads)
        told = dask.delayed(_results, pure=False)
        results = [
            told(run, dask_key_name=task_key("results", g))
            for g, run in enumerate(runs)
        ]
        with one_error():
            held = light(dask.persist(*results, *runs, optimize_graph=False))
            results, runs = held[: len(runs)], held[len(runs) :]
            try:
                results = fetched(results)
            except BaseException:
                cancel(runs)
                raise
        return self._in_order(results), Kept(runs)

    def _in_order(self, results):
        """A result for each block from those of the groups."""
        in_order = [None] * len(self)
        for group, found in zip(self._groups, results, strict=True):
            for i, result in zip(group, found, strict=True):
                in_order[i] = result
        return in_order

    def _runs(self, function, arguments, task, keeps, reads):
        """A task for each group, delayed."""
        import dask

        arguments = [
            Each(sent_apart(a.values)) if isinstance(a, Each) else a for a in arguments
        ]
        shared = [None if isinstance(a, Kept | Each | Run) else a for a in arguments]
        shared = Shared(shared)
        if n_bytes_of(shared) > SENT_WITH_A_TASK:
            shared = dask.delayed(shared, pure=False, traverse=False)
        run = dask.delayed(_run_group, pure=False)
        runs = []
        for g, group in enumerate(self._groups):
            own = {}
            for position, argument in enumerate(arguments):
                if isinstance(argument, Kept):
                    own[position] = argument.groups[g]
                elif isinstance(argument, Each):
                    own[position] = [argument.values[i] for i in group]
                elif isinstance(argument, Run):
                    run_of_blocks = self._parts[argument.start : argument.stop]
                    own[position] = [run_of_blocks] * len(group)
            rows = [self._parts[i] if reads else None for i in group]
            key = task_key(task, g)
            runs.append(run(function, rows, shared, own, keeps, dask_key_name=key))
        return runs

    def across(self, estimator, X, each, finish, empty, **attributes):
        """Lazily, of each block of other rows X, what all of these blocks say of it.

        That is ``finish(model, rows, found, offsets)``, where ``found`` has
        ``each(model, rows, block)`` of each block, and ``model`` is the estimator as
        workers need it, with these attributes.
        """
        import dask

        check_features(estimator, X, reset=False)
        model, dtype = for_workers(estimator), dtype_of(X)
        vars(model).update(attributes)
        model = for_tasks(model)
        run = dask.delayed(call_of_rows, pure=False)
        parts = []
        for i, part in enumerate(parts_of(X, lazily=True)):
            found = [
                run(
                    each,
                    model,
                    part,
                    dtype,
                    own,
                    dask_key_name=task_key(f"across-{j}", i),
                )
                for j, own in enumerate(self._parts)
            ]
            key = task_key("transform", i)
            parts.append(
                run(finish, model, part, dtype, found, self.offsets, dask_key_name=key)
            )
        return stacked(X, parts, empty.astype(dtype))

    def split(self, values):
        """Values of all rows, (n_samples,), as ``Each`` block has its own."""
        if len(values) != self.shape[0]:
            raise ValueError(
                f"{len(values)} values were given for {self.shape[0]} rows"
            )
        limits = zip(self.offsets, self.offsets[1:], strict=False)
        return Each([values[start:stop] for start, stop in limits])

    def n_stored_in(self, chosen):
        """How many numbers some of the rows store."""
        if not self.is_sparse:
            return len(chosen) * self.shape[1]
        if len(chosen) == self.shape[0]:
            return self.n_stored
        wanted = np.zeros(self.shape[0], bool)
        wanted[chosen] = True
        return sum(self.map(_stored_in, self.split(wanted), task="count"))

    def none(self):
        """No rows of the kind that the blocks hold."""
        shape = 0, self.shape[1]
        kind = sparse.csr_matrix if self.is_sparse else np.empty
        return kind(shape, dtype=self.dtype)

    def __getitem__(self, chosen):
        """Some of the rows, in memory, in the order in which they are asked for."""
        chosen = np.asarray(chosen, np.intp)
        order = np.argsort(chosen, kind="stable")
        edges = np.searchsorted(chosen[order], self.offsets)
        wanted = [
            chosen[order[start:stop]] - first
            for first, start, stop in zip(self.offsets, edges, edges[1:], strict=False)
        ]
        # blocks of which no row is wanted are not read; of none there is one, for dtype
        few = [i for i, rows in enumerate(wanted) if len(rows)] or [0]
        asked = self if len(few) == len(self) else self.some(few)
        parts = asked.map(_rows_of, Each([wanted[i] for i in few]), task="take")
        if self.is_sparse:
            rows = sparse.vstack(parts, format="csr")
        else:
            rows = np.concatenate(parts)
        back = np.empty(len(order), np.intp)
        back[order] = np.arange(len(order))
        return rows[back]


def check_blocks(estimator, X, reset=False, finite=True):
    """Blocks of a collection's rows; the estimator's features are checked or set."""
    check_features(estimator, X, reset=reset)
    return Blocks(X, finite=finite)


def _described(rows):
    arrays = (
        (rows.data, rows.indices, rows.indptr) if sparse.issparse(rows) else (rows,)
    )
    return Described(
        n_rows=rows.shape[0],
        n_stored=arrays[0].size,
        n_bytes=sum(array.nbytes for array in arrays),
        largest=largest_magnitude(rows),
        is_sparse=sparse.issparse(rows),
    )


def _rows_of(rows, chosen):
    return rows[chosen]


def _stored_in(rows, wanted):
    return int(np.diff(rows.indptr)[wanted].sum())


def _run_group(function, rows, shared, own, keeps):
    """The results of a function of several blocks, and what is kept of them."""
    found = []
    own = {k: a.values if isinstance(a, Done) else a for k, a in own.items()}
    for i, block in enumerate(rows):
        arguments = [
            own[position][i] if position in own else value
            for position, value in enumerate(shared.values)
        ]
        found.append(function(block, *arguments))
    if not keeps:
        return found
    return Done([result for result, _ in found], [value for _, value in found])


def _results(done):
    return done.results
