"""How much memory there is, asked before work begins that needs much of it."""

import os
from pathlib import Path

MEMINFO, STATM = Path("/proc/meminfo"), Path("/proc/self/statm")


def available():
    """Bytes that this process can still take; infinite where nothing tells."""
    return min(_of_address_space(), _of_machine())


def _of_address_space():
    """What RLIMIT_AS leaves beyond what the process has."""
    try:
        import resource  # not on Windows
    except ImportError:
        return float("inf")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    try:
        pages = int(STATM.read_text().split()[0])
    except OSError:
        return float(limit)
    return max(0.0, limit - pages * float(os.sysconf("SC_PAGE_SIZE")))


def _of_machine():
    """What Linux reckons it could give without swapping."""
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return float("inf")
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * float(sizes[0]) if sizes else float("inf")
