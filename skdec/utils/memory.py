"""How much memory there is, asked before work begins that needs much of it."""

import os
from pathlib import Path
from typing import NamedTuple

MEMINFO, STATM = Path("/proc/meminfo"), Path("/proc/self/statm")
OWN_GROUPS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


class GroupFiles(NamedTuple):
    """Where a version of Linux's control groups tells of memory."""

    limit: str
    usage: str
    cache: str  # in memory.stat: of the usage what is given up when it is needed


VERSION_1 = GroupFiles(
    "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)
VERSION_2 = GroupFiles("memory.max", "memory.current", "inactive_file")


def available():
    """Bytes that this process can still take; infinite where nothing tells."""
    return min(_of_address_space(), _of_machine(), _of_groups())


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


def _of_groups():
    """What the limits of control groups leave: of a container, or of a batch job.

    The memory that the machine tells of is then that of its host.
    """
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return float("inf")
    left = [float("inf")]
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if not kinds:
            root, files = GROUPS, VERSION_2
        elif "memory" in kinds.split(","):
            root, files = GROUPS / "memory", VERSION_1
        else:
            continue
        # a container may see its own group as the root, by a path that is the host's
        own = root / path.lstrip("/")
        above = [group for group in own.parents if group.is_relative_to(root)]
        left += [_of_group(group, files) for group in (own, *above)]
    return max(0.0, min(left))


def _of_group(group, files):
    """What the limit of one group leaves; infinite if it has none."""
    try:
        limit = float((group / files.limit).read_text())
        usage = float((group / files.usage).read_text())
        stat = (group / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # "max" is no number
        return float("inf")
    cache = dict(line.split() for line in stat).get(files.cache, 0)
    return limit - usage + float(cache)
