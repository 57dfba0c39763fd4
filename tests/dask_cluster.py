"""Clusters of real processes on this machine, for the tests with Dask."""

from contextlib import contextmanager

import pytest

distributed = pytest.importorskip("distributed")


@contextmanager
def cluster(n_workers=2, threads_per_worker=1, **settings):
    """A client of worker processes, which end with the block."""
    with (
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            dashboard_address=":0",
            silence_logs=60,
            **settings,
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client
