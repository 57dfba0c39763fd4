"""Where row blocks run: the only place that knows of threads."""

from skdec.execution._threads import Threads, block_size

__all__ = ["Threads", "block_size"]
