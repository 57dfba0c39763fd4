"""What a fit fell short of, in words: the warnings that it ends with."""

from numbers import Integral

# A batch is small if it has fewer rows a cluster, on average.
BATCH_ROWS = 5

ENCODER_REMEDY = (
    "increase the encoder's reconstruction_weight (γ), if it has one, or decrease the "
    "rate at which it follows the clusters"
)

START_KEPT = ", so that the start is kept, with the encoder as it was pre-trained"


def on_clustering(outcome, n_clusters, max_iter, batch_size):
    """What a clustering of rows that stay where they are fell short of."""
    said = on_clusters(outcome, n_clusters)
    kept = outcome.emptied or outcome.harmful
    if not (kept or outcome.converged or outcome.stopped):
        said.append(
            f"the clusters did not settle within max_iter={max_iter} passes: "
            "increase max_iter or tol"
        )
    # there are batches only of more rows
    small = min(BATCH_ROWS * n_clusters, outcome.objective.n_rows)
    if isinstance(batch_size, Integral) and batch_size < small:
        said.append(_small_batch("batch_size", batch_size, n_clusters))
    return said


def on_clusters(outcome, n_clusters):
    """What it lost: clusters, or what its start had explained."""
    said, form = [], outcome.form
    if outcome.emptied:
        said.append(
            f"clusters lost all their rows at bandwidth={form.bandwidth:g}, "
            f"dof={form.dof:g} and balance={form.balance:g}, so the start is kept: "
            "decrease n_clusters or bandwidth, or "
            f"{'decrease' if form.balance > 1 else 'increase'} balance"
        )
    elif outcome.harmful:
        said.append(
            "self-training explained the rows worse than its start (evidence "
            f"{outcome.end_evidence:.6g} after {outcome.start_evidence:.6g}), so "
            "the start is kept: leave dof, bandwidth and balance (they were "
            f"{form.dof:g}, {form.bandwidth:g} and {form.balance:g}) at 'auto', or "
            "take a smaller bandwidth"
        )
    # a warning has already told of fewer distinct rows than clusters
    if outcome.n_collapsed and not (outcome.too_few or outcome.emptied):
        said.append(_collapsed(outcome.n_collapsed, n_clusters, form))
    return said


def on_training(learned, outcome, n_clusters, max_iter):
    """What the training of an encoder fell short of."""
    if learned.vanished:
        return [f"the embedding shrank to a point{START_KEPT}: {ENCODER_REMEDY}"]
    collapsed = _collapsed(learned.n_collapsed, n_clusters, outcome.form)
    if learned.lost:
        return [
            f"{collapsed}; or {ENCODER_REMEDY}.  This came of the encoder's "
            f"training{START_KEPT}"
        ]
    if learned.worse:
        return [
            "the clusters at the end of the encoder's training explain its "
            f"embedding worse than those of the start{START_KEPT}: {ENCODER_REMEDY}"
        ]
    said = []
    if not (learned.result.converged or learned.stopped):
        said.append(
            "the encoder's training did not settle within "
            f"max_iter={max_iter} passes: increase max_iter or tol"
        )
    if learned.n_collapsed and not outcome.too_few:
        said.append(f"{collapsed}; or {ENCODER_REMEDY}")
    return said


def on_failures(errors, n_trainings):
    """What is said of trainings that broke off, if others did not."""
    if not errors:
        return []
    return [f"{len(errors)} of {n_trainings} trainings broke off: {errors[0]}"]


def _collapsed(n_collapsed, n_clusters, form):
    return (
        f"{n_collapsed} of {n_clusters} clusters collapsed: no row is "
        "labelled with them, or they share their centroid with another.  "
        f"Decrease n_clusters or bandwidth (it was {form.bandwidth:g})"
    )


def on_batch(n_rows, before, after, n_clusters):
    """What a batch that was followed made known of the stream."""
    said = []
    if after.strayed and not before.strayed:
        said.append(
            "many rows of this batch lie far outside all rows before it. "
            "partial_fit moves clusters but finds no new ones: fit a sample that "
            "holds such rows (this is said once)"
        )
    if after.small and not before.small:
        said.append(_small_batch("X", n_rows, n_clusters))
    return said


def _small_batch(name, n_rows, n_clusters):
    return (
        f"batches of {n_rows} rows ({name}) are few for n_clusters={n_clusters}: from "
        f"fewer than {BATCH_ROWS} rows a cluster, clusters wander or are lost"
    )
