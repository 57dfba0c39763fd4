"""Progress bars, drawn by rich or by tqdm, whichever is installed."""

import sys
from importlib.util import find_spec
from time import perf_counter

# Drawn anew at most this often, in seconds.
REDRAW = 0.1

# Letters that a bar is wide.
BAR = 16

BARS = "progress"


class Reports:
    """What a fit says while it runs: lines, or a bar with the time that is left.

    Parameters
    ----------
    name : str
        Who speaks.
    verbose : int or "progress"
        Up to which level lines are printed; "progress" has a bar in their place, or,
        without a library that draws one, or into a file, lines of level 1.
    """

    def __init__(self, name, verbose):
        self.name = name
        self.bar = open_bar(name) if verbose == BARS else None
        if self.bar is not None:
            self.verbose = 0
        else:
            self.verbose = 1 if verbose == BARS else int(verbose)
        self._work = ""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.bar is not None:
            self.bar.close(whole=kind is None)

    def line(self, text, level=1):
        """Print a line, if it is asked for lines of this level."""
        if self.verbose >= level:
            print(f"[{self.name}] {text}", flush=True)

    def begin(self, work):
        """Say that work begins, of which ``part_done`` will tell."""
        self._work = work
        self.part_done(0.0)

    def part_done(self, share):
        """How much of that work is done."""
        if self._work:
            self.step(self._work, round(100 * share), 100)

    def end_of_work(self):
        """What follows tells of itself."""
        self._work = ""

    def step(self, work, done, total, note=""):
        """How many steps of some work are done, of at most how many."""
        if self.bar is not None:
            self.bar.show(work, done, total, note)


SILENT = Reports("", 0)


def open_bar(title):
    """A bar of the first library that there is, or None."""
    for kind in (RichBar, TqdmBar):
        try:
            return kind(title)
        except ImportError:
            continue
        except Exception as error:
            # rich shows one bar at a time, and before version 14.1 refuses another
            if type(error).__name__ != "LiveError":
                raise
    return None


def in_notebook():
    """Whether output goes to a notebook."""
    return "ipykernel" in sys.modules


def on_terminal(stream):
    """Whether a bar can move there: in a file it would be one line or thousands."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # none, one of the user's own, or closed
        return False


class RichBar:
    """A bar for each work in turn, by rich.

    It is drawn by the thread that works: another would not survive a fork.
    """

    def __init__(self, title):
        # without widgets rich draws nothing in a notebook before the end
        widgets = in_notebook() and find_spec("ipywidgets") is not None
        if not (widgets or on_terminal(sys.stdout)):
            raise ImportError("rich draws bars on terminals and by ipywidgets alone")
        from rich.progress import BarColumn, Progress, TextColumn

        self.title, self._task, self._work, self._drawn = title, None, None, 0.0
        self._note = ""
        self._bars = Progress(
            BarColumn(BAR),
            TextColumn("{task.description}", markup=False),
            auto_refresh=False,
        )
        self._bars.start()

    def show(self, work, done, total, note=""):
        """Move the bar of some work; the one before is full."""
        first = work != self._work
        if first:
            self._fill()
            self._task, self._work = self._bars.add_task("", total=total), work
        now, self._note = perf_counter(), note
        due = first or done >= total or now - self._drawn > REDRAW
        self._drawn = now if due else self._drawn
        self._bars.update(self._task, completed=done)
        if due:
            self._describe()

    def _describe(self):
        task = self._bars.tasks[-1]
        times = _clock(task.elapsed)
        if not task.finished:
            times += f", at most {_clock(task.time_remaining)} more"
        what = f"{self.title}: {self._work} {self._note}"
        text = f"{task.percentage:3.0f}% {times:19} {what}"
        # rich would cut the bar
        text = text[: max(0, self._bars.console.width - BAR - 1)]
        self._bars.update(self._task, description=text, refresh=True)

    def _fill(self):
        """What ended before its longest possible time is done all the same."""
        if self._task is not None:
            done = max(self._bars.tasks[-1].completed, 1)
            self._bars.update(self._task, total=done, completed=done)
            self._describe()

    def close(self, whole):
        """Leave it full, or where it was when something went wrong."""
        if whole:
            self._fill()
        elif self._task is not None:
            self._describe()
        self._bars.stop()


def _clock(seconds):
    """Minutes and seconds, after hours if there are any; "?" of nothing known."""
    if seconds is None:
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class TqdmBar:
    """A bar for each work in turn, by tqdm."""

    def __init__(self, title):
        if not (in_notebook() or on_terminal(sys.stderr)):
            raise ImportError("a bar in a file would be thousands of lines")
        from tqdm import tqdm

        self.title, self._make, self._bar, self._work = title, tqdm, None, None

    def show(self, work, done, total, note=""):
        """Move the bar of some work; the one before is full."""
        if work != self._work:
            self.close(whole=True)
            self._bar = self._make(total=total, desc=f"{self.title}: {work}")
            self._work = work
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self, whole):
        """Leave it full, or where it was when something went wrong."""
        if self._bar is None:
            return
        if whole:
            self._bar.n = max(self._bar.n, 1)
            self._bar.total = self._bar.n
        self._bar.refresh()
        self._bar.close()
        self._bar = None
