"""The cluster that computes, if Dask has one: who is there, and what is sent there.

Without a client that is the current one, everything is left to Dask's local scheduler.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

import numpy as np

from skdec.utils.memory import available

# Models of so many bytes are part of a graph, as are the values of blocks.  Larger ones
# are not: a graph goes to the scheduler as a whole, which warns of 10 MB.
SENT_WITH_A_GRAPH = 2**20


def current_client():
    """The client whose cluster computes, or None."""
    if "distributed" not in sys.modules:
        return None
    from dask.base import get_scheduler
    from distributed import Client

    owner = getattr(get_scheduler(), "__self__", None)
    return owner if isinstance(owner, Client) else None


def light(persisted):
    """What has been persisted, on a cluster as futures.

    Dask takes half a millisecond to put each collection into a graph.
    """
    if current_client() is None:
        return list(persisted)
    from distributed import futures_of

    return [futures_of(one)[0] for one in persisted]


def fetched(persisted):
    """The values of what has been persisted, without another graph."""
    import dask

    if (client := current_client()) is None:
        return dask.compute(*persisted)
    return client.gather(persisted)


def cancel(runs):
    """Let nobody go on with what an error, or Ctrl-C, has left unasked for."""
    if (client := current_client()) is not None:
        client.cancel(runs, force=True)


def in_task():
    """Whether this is a task of a cluster, beside others on the same machine."""
    if "distributed" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def workers_memory():
    """Bytes that those may use who compute blocks."""
    client = current_client()
    if client is None:
        return available()
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    limits = sum(worker["memory_limit"] or 0 for worker in workers)
    # those without a limit share what their machine has
    machines = {worker["host"] for worker in workers if not worker["memory_limit"]}
    return limits + sum(available() for _ in machines)


def by_place(parts):
    """Blocks in groups that are in one place, so that there are few tasks.

    A worker with several threads gets as many groups.
    """
    client = current_client()
    if client is None:
        return [[i] for i in range(len(parts))]
    from distributed import wait

    with one_error():
        wait(parts)
        where = client.who_has(parts)
    threads = client.nthreads()
    places = {place: [] for place in threads}
    for i, future in enumerate(parts):
        found = where.get(future.key) or ("",)
        places.setdefault(min(found), []).append(i)
    _balance(places, threads)
    groups = []
    for place, members in places.items():
        if not members:
            continue
        n = min(len(members), threads.get(place, 1))
        groups += [part.tolist() for part in np.array_split(members, n)]
    return groups


def _balance(places, threads):
    """Give blocks of who has most for each thread to who has least.

    They are sent once, with the first task, and stay where they are wanted.
    """
    if not places:
        return

    def load(place, more=0):
        return (len(places[place]) + more) / threads.get(place, 1)

    while True:
        most, least = max(places, key=load), min(places, key=load)
        if load(least, 1) >= load(most):
            return
        places[least].append(places[most].pop())


def _make_room():
    """Let a task that waits for tasks have a thread beside those of its worker.

    Otherwise a worker all of whose threads wait for each other's tasks waits for ever.
    A thread that has left does not come back, and ends with its task.
    """
    from distributed import secede
    from distributed.worker import thread_state

    if in_task() and not getattr(thread_state, "has_left", False):
        secede()
        thread_state.has_left = True


@contextmanager
def one_error():
    """Say in one way that the cluster is lost, however Dask notices."""
    if "distributed" not in sys.modules:
        yield
        return
    _make_room()
    from distributed import CancelledError, KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    client = current_client()
    lost = CancelledError, FutureCancelledError, CommClosedError, KilledWorker
    try:
        yield
    except (*lost, TimeoutError) as error:
        raise RuntimeError(
            "the Dask cluster was lost, or its workers were killed again and again, "
            "before the computation was done"
        ) from error
    except Exception as error:
        if client is not None and client.status in ("closed", "closing"):
            raise RuntimeError(
                "the Dask client was closed before the computation was done"
            ) from error
        raise


def for_tasks(model):
    """A model for many tasks: with their graph, or sent once to a cluster, if large."""
    import dask

    client = current_client()
    alone = client is None or not client.nthreads()
    if alone or n_bytes_of(model) <= SENT_WITH_A_GRAPH:
        return dask.delayed(model, pure=False, traverse=False)
    return client.scatter(model, hash=False)


def n_bytes_of(model):
    """How much is sent of a value; nothing is copied that can be sent as it is."""
    import cloudpickle

    arrays = []
    rest = cloudpickle.dumps(model, protocol=5, buffer_callback=arrays.append)
    return len(rest) + sum(array.raw().nbytes for array in arrays)


def sent_apart(values):
    """The same values, sent one by one if they are many, so that no graph is large."""
    import dask

    n_bytes = sum(getattr(value, "nbytes", 0) for value in values)
    if current_client() is None or n_bytes <= SENT_WITH_A_GRAPH:
        return values
    apart = [dask.delayed(value, pure=False, traverse=False) for value in values]
    with one_error():
        return light([dask.persist(one)[0] for one in apart])
