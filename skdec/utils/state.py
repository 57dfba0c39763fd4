"""Estimators that a failed call leaves as they were."""

from contextlib import contextmanager


@contextmanager
def unchanged_on_error(estimator):
    """Undo what a call has set on the estimator if it ends in any exception.

    Attributes are replaced by a call, never changed in place, so that the dictionary
    of them is all that has to be kept.  Ctrl-C is such an exception too.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        # never without its attributes: another thread may be predicting
        now = vars(estimator)
        now.update(before)
        for name in now.keys() - before.keys():
            del now[name]
        raise
