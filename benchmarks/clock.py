"""Time and memory of a call."""

import os
import subprocess
import sys
from statistics import median
from threading import Event, Thread
from time import perf_counter


def timed(call, *arguments, **options):
    """The seconds of a call, and what it gives."""
    start = perf_counter()
    result = call(*arguments, **options)
    return perf_counter() - start, result


def median_seconds(call, rounds):
    """The median of a few calls."""
    return median(timed(call)[0] for _ in range(rounds))


def milliseconds(calls, rounds, repeats=1):
    """Median milliseconds of each call, in turns of a warm-up and ``repeats``.

    For short calls more than one: a pool of threads goes on spinning for some time
    after its last call, and would be charged to the other side.
    """
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            for _ in range(repeats):
                start = perf_counter()
                call()
                times[name].append(1e3 * (perf_counter() - start))
    return {name: median(values) for name, values in times.items()}


def in_new_process(code, **environment):
    """What ``code`` prints, as floats, run by a new interpreter."""
    output = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ).stdout
    return [float(word) for word in output.split()]


def peak_memory(call, kind="VmRSS"):
    """Bytes at most beyond those before a call, and those before (Linux).

    ``kind`` is a line of /proc/self/status; "RssAnon" leaves out pages of files.
    """
    base, peak, done = _resident(kind), [0], Event()

    def watch():
        while not done.wait(0.005):
            peak[0] = max(peak[0], _resident(kind))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return max(peak[0] - base, 0), base


def _resident(kind):
    with open("/proc/self/status") as lines:
        return next(1024 * int(a.split()[1]) for a in lines if a.startswith(kind))
