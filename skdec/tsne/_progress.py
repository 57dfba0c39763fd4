"""What a fit says while it runs, and who may stop it."""

from time import perf_counter

import numpy as np

from skdec.utils.sklearn_compat import callback_context


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
    """

    def __init__(self, estimator, X):
        self.estimator, self.X = estimator, X
        self.verbose, self.callback = estimator.verbose, estimator.callback
        self._tick, self._last = perf_counter(), 0
        self.fitted = {}
        self._task = None
        self._context = callback_context(estimator, estimator.max_iter)
        if self._context is not None:
            self._context.call_on_fit_task_begin(estimator=estimator, X=X)

    def say(self, text):
        """Print a line if the fit is verbose."""
        if self.verbose:
            print(f"[t-SNE] {text}")

    def seconds(self):
        """Time since this was last called."""
        now = perf_counter()
        passed, self._tick = now - self._tick, now
        return passed

    def checked(self, n_iter, kl, norm, phase, Y):
        """Report a check; true if the user's callback wants no more iterations."""
        self.say(
            f"Iteration {n_iter}{phase}: error = {kl:.7f}, gradient norm = {norm:.7f} "
            f"({n_iter - self._last} iterations in {self.seconds():.3f}s)"
        )
        self._last = n_iter
        if self.callback is None:
            return False
        return bool(self.callback(n_iter, kl, self._embedding(Y)))

    def _embedding(self, Y):
        return np.ascontiguousarray(Y.T, dtype=self.X.dtype).copy()

    def begin_iteration(self):
        """Tell scikit-learn's callbacks that an iteration begins."""
        if self._context is not None:
            self._task = self._context.subcontext(task_name="iteration")
            self._task.call_on_fit_task_begin(estimator=self.estimator, X=self.X)

    def end_iteration(self, Y):
        """Tell them that it has ended; true if one of them wants no more."""
        if self._context is None:
            return False
        return self._task.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            reconstruction_attributes=lambda: {
                **self.fitted,
                "embedding_": self._embedding(Y),
            },
        )

    def end(self):
        """Tell them that the fit has ended."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self.estimator, X=self.X)
