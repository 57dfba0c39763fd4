"""What a fit says while it runs, and who may stop it."""

from time import perf_counter

from skdec.utils.progress import BARS, open_bar
from skdec.utils.sklearn_compat import callback_context

# A verbose fit is not silent for longer than about twice so many seconds.
SILENCE = 5.0


class Progress:
    """Reports of one fit: printed lines, the user's callback, scikit-learn's callbacks.

    Parameters
    ----------
    estimator : ExactTSNE
        The estimator being fitted.
    X : array-like
        Its data, for scikit-learn's callbacks.

    Attributes
    ----------
    fitted : dict
        What ``transform`` needs besides the embedding, for an estimator that a callback
        asks for.
    map_of : callable or None
        The map of all rows, in X's dtype, from the Y of a descent.
    """

    def __init__(self, estimator, X):
        self.estimator, self.X = estimator, X
        self.verbose, self.callback = estimator.verbose, estimator.callback
        self._bar, self._note = None, ""
        self._tick, self._last = perf_counter(), 0
        self._said, self._work = self._tick, ""
        self.fitted, self.map_of = {}, None
        self._task = None
        self._context = callback_context(estimator, estimator.max_iter)
        if self._context is not None:
            self._context.call_on_fit_task_begin(estimator=estimator, X=X)

    def __enter__(self):
        if self.verbose == BARS:
            self._bar = open_bar(type(self.estimator).__name__)
            # without a library that draws bars there are lines
            self.verbose = self._bar is None
        return self

    def __exit__(self, kind, *_):
        if self._bar is not None:
            self._bar.close(whole=kind is None)

    def say(self, text):
        """Print a line if the fit is verbose."""
        if self.verbose:
            print(f"[t-SNE] {text}", flush=True)
            self._said = perf_counter()

    def begin(self, work):
        """Print that some work begins, of which ``part_done`` will tell."""
        self._work = work
        self.say(f"{work}...")
        self.part_done(0.0)

    def end_of_work(self):
        """What follows tells of itself."""
        self._work = ""

    def part_done(self, share):
        """Print how far the work is if nothing has been printed for a while."""
        if not self._work:
            return
        if self._bar is not None:
            self._bar.show(self._work, round(100 * share), 100)
        elif self.verbose and perf_counter() - self._said > SILENCE:
            self.say(f"{self._work}: {share:.0%} of a step done")

    def still(self, what):
        """The same of work of which nobody knows how much there is."""
        if not self._work:
            return
        if self._bar is not None:
            self._bar.show(self._work, 0, 100, what)
        elif self.verbose and perf_counter() - self._said > SILENCE:
            self.say(f"{self._work}: {what}")

    def seconds(self):
        """Time since this was last called."""
        now = perf_counter()
        passed, self._tick = now - self._tick, now
        return passed

    def awaits(self, n_iter):
        """Whether the user's callback is to be called at an iteration."""
        if self.callback is None or n_iter == 0:
            return False
        return n_iter % self.estimator.callback_every == 0

    def checked(self, n_iter, kl, norm, phase, Y):
        """Report a check; true if the user's callback wants no more iterations."""
        done, seconds = n_iter - self._last, self.seconds()
        left = (self.estimator.max_iter - n_iter) * seconds / max(done, 1)
        self.say(
            f"Iteration {n_iter}{phase}: error = {kl:.7f}, gradient norm = {norm:.7f} "
            f"({done} iterations in {seconds:.3f}s, at most {left:.0f}s left)"
        )
        self._last, self._note = n_iter, f"KL = {kl:.4f}"
        if self.callback is None:
            return False
        return bool(self.callback(n_iter, kl, self.map_of(Y)))

    def begin_iteration(self):
        """Tell scikit-learn's callbacks that an iteration begins."""
        if self._context is not None:
            self._task = self._context.subcontext(task_name="iteration")
            self._task.call_on_fit_task_begin(estimator=self.estimator, X=self.X)

    def end_iteration(self, n_iter, Y):
        """Tell them that it has ended; true if one of them wants no more."""
        if self._bar is not None:
            self._bar.show("iterations", n_iter, self.estimator.max_iter, self._note)
        if self.verbose and perf_counter() - self._said > SILENCE:
            n_done = n_iter - self._last
            each = (perf_counter() - self._tick) / n_done
            self.say(f"Iteration {n_iter}: {each:.3f}s each")
        if self._context is None:
            return False
        return self._task.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            reconstruction_attributes=lambda: {
                **self.fitted,
                "embedding_": self.map_of(Y),
            },
        )

    def end(self):
        """Tell them that the fit has ended."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self.estimator, X=self.X)
