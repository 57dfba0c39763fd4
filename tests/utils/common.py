"""What several test files need of threads."""

from threadpoolctl import threadpool_info

from skdec.utils.threads import Threads


def blas_threads():
    return [
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]


def held():
    """The numbers of threads of BLAS while it is held to one."""
    with Threads(1, hold_blas=True):
        return set(blas_threads())
