"""What a map fell short of, in words: the warnings that a fit ends with."""

from skdec.tsne._schedule import unfolded_after

# It is told of a map that, so many iterations after the exaggeration, is worse by so
# many nats than points that all coincide, or no better.
PATIENCE, CHANCE_MARGIN = 20, 1e-3


def on_descent(params, ended, chance, phases, coincides):
    """What a descent through ``phases`` fell short of, as a list of texts.

    ``chance`` is KL of points that all coincide, and ``coincides`` whether the map has
    that, though P leads on.
    """
    said, rate = [], f"learning_rate={params.learning_rate!r}"
    exaggerated = max((phase.stop for phase in phases if phase.early), default=0)
    had_time = ended.n_iter - exaggerated >= PATIENCE
    unfolded = unfolded_after(params.early_exaggeration_iter)
    plain = params.exaggeration in (None, 1)  # otherwise another KL is minimised
    if had_time and plain and not ended.kl <= chance + CHANCE_MARGIN:
        said.append(
            f"the embedding (KL {ended.kl:.4g}) shows less than points that all "
            f"coincide ({chance:.4g}): the optimisation has not settled; {rate} may be "
            "too large, or places that were given too far apart (init, fixed)"
        )
    if len(phases) > 1 and ended.n_iter == params.max_iter < unfolded:
        said.append(
            f"max_iter={params.max_iter} ended the fit while the map was still "
            f"unfolding, which takes {unfolded} iterations; it settles some hundreds "
            "later"
        )
    elif had_time and coincides:
        said.append(
            f"the embedding (KL {ended.kl:.4g}) shows no more than points that all "
            f"coincide: it has not unfolded in {ended.n_iter} iterations; {rate} may "
            "be too small, the start too narrow (init, warm_start), or exaggeration "
            "too large"
        )
    return said
