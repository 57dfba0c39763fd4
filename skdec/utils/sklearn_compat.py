"""The names of scikit-learn that are private, or not in every version, in one place."""

from sklearn.base import _fit_context as fit_context
from sklearn.metrics.pairwise import _VALID_METRICS as VALID_METRICS
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:
        """Nothing to support."""

    def with_callbacks(method):
        """Nothing to manage."""
        return method


__all__ = [
    "VALID_METRICS",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "callback_context",
    "check_sample_weight",
    "fit_context",
    "validate_params",
    "with_callbacks",
]


def callback_context(estimator, max_subtasks):
    """The context of scikit-learn's callbacks of a fit, or None if there are none."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(task_name="fit", max_subtasks=max_subtasks)
