"""The names of scikit-learn that are private, or not in every version, in one place."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from sklearn.base import _fit_context
from sklearn.metrics.pairwise import _VALID_METRICS as VALID_METRICS
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
)
from sklearn.utils._param_validation import validate_params as _validate_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method):
        """Nothing to manage."""
        return method


# What is called inside may be an estimator of the user's, an encoder or a map: its
# parameters are checked too.
SKIP_NESTED_VALIDATION = False

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

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


def fit_context(method: Callable[P, T]) -> Callable[P, T]:
    """Check an estimator's parameters, and tell callbacks, as scikit-learn does."""
    decorated: Callable[P, T] = _fit_context(
        prefer_skip_nested_validation=SKIP_NESTED_VALIDATION
    )(method)
    return decorated


def validate_params(constraints: dict[str, Any]) -> Callable[[F], F]:
    """Check the arguments of a function, as scikit-learn does."""
    decorator: Callable[[F], F] = _validate_params(
        constraints, prefer_skip_nested_validation=SKIP_NESTED_VALIDATION
    )
    return decorator


def callback_context(estimator, max_subtasks):
    """The context of scikit-learn's callbacks of a fit, or None if there are none."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(task_name="fit", max_subtasks=max_subtasks)
