"""What some metrics need to know of the training rows: variances and covariances."""

import numpy as np


def is_euclidean(metric, metric_params):
    """Whether a metric is the Euclidean distance, by whichever name."""
    if metric == "minkowski":
        return dict(metric_params or {}) in ({}, {"p": 2})
    return metric in ("euclidean", "l2") and not metric_params


def estimated_params(metric, rows, weights):
    """Parameters of a metric, as scikit-learn estimates them of X compared with itself.

    Weighted rows count as so many copies.
    """
    if metric == "seuclidean":
        return {"V": _variances(rows, weights)}
    if metric == "mahalanobis":
        return {"VI": _precision_matrix(rows, weights)}
    return {}


def _covariance(rows, weights):
    """The covariance of rows, or that of copies as of repeated rows: over W − 1."""
    with np.errstate(over="ignore", invalid="ignore"):  # both who ask check that
        if weights is None:
            return np.atleast_2d(np.cov(rows.T))
        away = rows - np.average(rows, axis=0, weights=weights)
        return (weights[:, None] * away).T @ away / (weights.sum() - 1)


def _variances(rows, weights):
    """V of "seuclidean", or an error where a feature has none."""
    if weights is None:
        with np.errstate(over="ignore"):
            V = np.var(rows, axis=0, ddof=1, dtype=np.float64)
    else:
        V = np.diagonal(_covariance(rows, weights)).copy()
    usable = (V > 0) & (np.inf > V)
    if not usable.all():
        j = int(usable.argmin())
        raise ValueError(
            "metric='seuclidean' needs features of X that vary, within the range of "
            f"numbers, or V in metric_params; feature {j} has the variance {V[j]:g}"
        )
    return V


def _precision_matrix(rows, weights):
    """VI of "mahalanobis", or an error where the covariance is singular.

    By way of correlations, whose rank does not depend on the units of the features.
    """
    V = _covariance(rows, weights)
    spreads = np.sqrt(np.diagonal(V))
    if np.all((spreads > 0) & (spreads < np.inf)):
        correlations = V / spreads[:, None] / spreads
        if np.linalg.matrix_rank(correlations, hermitian=True) == len(V):
            return np.linalg.inv(correlations) / spreads[:, None] / spreads
    raise ValueError(
        "metric='mahalanobis' needs X with an invertible covariance, or VI in "
        "metric_params; that of X is singular"
    )
