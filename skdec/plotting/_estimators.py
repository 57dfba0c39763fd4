"""The steps of pipelines and searches, and where their rows are."""

from sklearn.base import is_clusterer
from sklearn.pipeline import Pipeline


def steps(estimator):
    """The steps of a fitted estimator, of pipelines and searches within it too."""
    # a search that was refitted hands X on to the best estimator
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    # what passes rows on as they are is no step
    own = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    return [inner for step in own for inner in steps(step)] or [estimator]


def last_step(estimator):
    """The last step of a pipeline, or the estimator itself."""
    return steps(estimator)[-1]


def rows_of_last_step(estimator, X):
    """What the last step of a pipeline is given of X; X itself without a pipeline."""
    for step in steps(estimator)[:-1]:
        X = step.transform(X)
    return X


def places(estimator, X=None):
    """Where an estimator has its training rows, or new ones.

    Of a pipeline they are those of its last step that keeps them, and new rows those
    that its last step is given by others, if that one clusters them: what it makes of
    them are distances, or memberships.
    """
    if X is not None:
        last, alone = last_step(estimator), len(steps(estimator)) == 1
        if hasattr(last, "encode"):
            return last.encode(rows_of_last_step(estimator, X))
        # what clusters features predicts nothing of rows
        clusters = is_clusterer(last) and hasattr(last, "predict")
        if not alone and (clusters or not hasattr(last, "transform")):
            return rows_of_last_step(estimator, X)
        return estimator.transform(X)
    for step in reversed(steps(estimator)):
        for name in ("embedding_", "encoding_"):
            found = getattr(step, name, None)
            if found is not None:
                return found
    raise TypeError(
        f"{type(estimator).__name__} keeps no map of its training rows (embedding_ or "
        "encoding_): X must be given"
    )
