"""What the first use of a kernel compiles, told by numba's own events.

They come when something is compiled, and not when it is found in the cache; otherwise
nothing here runs.
"""

import logging
from contextlib import contextmanager
from multiprocessing import current_process

from numba.core import event

COMPILE = "numba:compile"

logger = logging.getLogger("skdec")


def _dispatcher_of(told):
    """What is being compiled, if it is a function of this package; else None."""
    dispatcher = told.data["dispatcher"]
    ours = dispatcher.py_func.__module__.startswith("skdec.")
    return dispatcher if ours else None


class Notice(event.Listener):
    """Says once, in the main process alone, why the first use takes a while."""

    def __init__(self):
        self.said = False

    def on_start(self, told):
        """Say it, where this is the first."""
        dispatcher = None if self.said else _dispatcher_of(told)
        if dispatcher is None:
            return
        self.said = True
        # workers stay silent: there would be a line of each
        if current_process().name == "MainProcess":
            # the lowest level that is shown where nobody has set up logging
            logger.warning(
                "skdec compiles what is used for the first time, which takes seconds, "
                "and keeps it in %s (python -m skdec.compile does so ahead)",
                dispatcher.stats.cache_path or "this process alone",
            )

    def on_end(self, told):
        """Nothing is said at the end."""


class _Names(event.Listener):
    """The names of what is compiled, in the order in which it begins."""

    def __init__(self):
        self.names = []

    def on_start(self, told):
        dispatcher = _dispatcher_of(told)
        if dispatcher is not None:
            self.names.append(dispatcher.py_func.__name__)

    def on_end(self, told):
        pass


@contextmanager
def compiled():
    """A list that receives the names of what is compiled within the block."""
    with event.install_listener(COMPILE, _Names()) as listener:
        yield listener.names


def announce():
    """Have the first compilation said."""
    event.register(COMPILE, Notice())
