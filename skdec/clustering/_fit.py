"""What the fits of StudentTClustering do, from rows that are checked to a result.

    rows that stay   X → starts → self-training → Fit
    an encoder       X → encoder → z → starts → self-training → both learn → Fit
    a batch          X → all that is kept of a stream, fitted anew, or one step → Fit

Of the estimator only its parameters are read, here called ``params``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skdec.clustering import _remarks as remarks
from skdec.clustering._fixed_embedding import (
    PLAINLY,
    Carrier,
    Clustered,
    cluster,
    cluster_first_embedding,
)
from skdec.clustering._form import Automatic, Form, make_objective, resolve_form
from skdec.clustering._init import (
    MAX_SEED,
    called_when_single,
    check_init,
    refuse_labels,
)
from skdec.clustering._joint_training import learn
from skdec.clustering._memberships import most_probable
from skdec.clustering._prediction import encoded
from skdec.clustering._result import ClusteringResult
from skdec.clustering._scaled_rows import scale_rows
from skdec.clustering._snapshot import snapshots
from skdec.clustering._starts import find_starts
from skdec.clustering._stream import (
    Stream,
    after_fit,
    check_number,
    joined,
    numbered_as,
)
from skdec.clustering._training import Settings
from skdec.clustering._trainings import Training, choose
from skdec.clustering._watch import Watch
from skdec.utils.threads import Threads
from skdec.utils.warn import warn

if TYPE_CHECKING:
    from skdec.utils.typing import Encoder

# With an encoder every start is carried on, which takes longer, so there are fewer.
N_INIT, ENCODER_N_INIT = 40, 10

ENCODER_BATCH = 256


@dataclass(frozen=True)
class Fit:
    """What a call has found: the source of all attributes."""

    result: ClusteringResult
    form: Form
    stream: Stream | None = None  # to go on from; with an encoder there is none
    encoder: Encoder | None = None
    encoding: np.ndarray | None = None
    agreement: np.ndarray | None = None  # of several trainings
    remarks: tuple[str, ...] = ()  # what it fell short of


# -------------------------------------------------------------------- rows that stay
def fit_rows(X, weights, params, reports):
    """Cluster rows that stay where they are."""
    clustered = _cluster(X, weights, params, reports, _watch(params, X))
    outcome = clustered.outcome
    said = remarks.on_clustering(
        outcome, params.n_clusters, params.max_iter, params.batch_size
    )
    stream = after_fit(Stream(kept=None), clustered)
    return Fit(clustered.result, outcome.form, stream, remarks=tuple(said))


def _cluster(X, weights, params, reports, watch, random_state=None):
    """The best of several starts, carried through self-training."""
    joint, auto = params.encoder is not None, _automatic(params)
    init = check_init(params.init, params.n_clusters, weights, *X.shape)
    seeds = _seeds(params, init, random_state)
    with Threads(params.n_jobs, hold_blas=True, listener=reports.part_done) as threads:
        reports.begin("starts")
        starts = find_starts(X, weights, init, params.n_clusters, seeds, threads)
        reports.end_of_work()
        form = resolve_form(
            starts.spread,
            X.shape[1],
            params.dof,
            params.bandwidth,
            params.balance,
            joint,
        )
        # an encoder's starts have the defaults
        settings = (
            Settings(reports=reports, watch=watch)
            if joint
            else _settings(params, reports, watch)
        )
        strict = all(auto.values()) and not joint
        random_state = np.random.RandomState(seeds[0])
        carrier = Carrier(starts, settings, threads, random_state, strict)
        if joint:
            outcome = cluster_first_embedding(carrier, form)
        else:
            automatic = Automatic(auto["bandwidth"], auto["balance"])
            outcome = cluster(carrier, form, automatic)
        return Clustered(outcome, outcome.result())


def _seeds(params, init, random_state):
    """A seed for each start."""
    single = called_when_single(init)
    if single is not None and params.n_init not in ("auto", 1):
        warn(
            f"{single} passed: performing only one init in StudentTClustering instead "
            f"of n_init={params.n_init}",
            RuntimeWarning,
        )
    few = N_INIT if params.encoder is None else ENCODER_N_INIT
    n_init = few if params.n_init == "auto" else params.n_init
    rng = check_random_state(
        params.random_state if random_state is None else random_state
    )
    return rng.randint(MAX_SEED, size=n_init)


def _settings(params, reports, watch):
    """Settings of the self-training."""
    interval, size = params.update_interval, params.batch_size
    return Settings(
        max_iter=params.max_iter,
        tol=params.tol,
        update_interval=1 if interval == "auto" else interval,
        batch_size=None if size == "auto" else size,
        reports=reports,
        watch=watch,
    )


def _automatic(params):
    """Which parts of the form are chosen here, by name."""
    return {name: getattr(params, name) == "auto" for name in Form._fields}


def _watch(params, Z, training=0):
    """Who sees how rows z are fitted."""
    look = snapshots(params, Z, training)
    return Watch(params.callback, params.callback_every, look)


# ------------------------------------------------------------------------ an encoder
def fit_encoder(X, weights, params, reports):
    """Train an encoder with its clusters, several times if asked to."""
    trainings, errors = [], []
    # before minutes of pre-training; columns are told when the embedding has some
    check_init(params.init, params.n_clusters, weights, X.shape[0])
    with Threads(params.n_jobs):
        pass
    for number, random_state in enumerate(_random_states(params)):
        try:
            training = _train(X, weights, params, reports, random_state, number)
        except FloatingPointError as error:
            training = None
            errors.append(error)
            if len(errors) == params.n_trainings:
                raise
        trainings.append(training)
        if training is not None and training.stopped:
            break
    # those that are not begun when the fit is ended count as broken off
    trainings += [None] * (params.n_trainings - len(trainings))
    values = weights.values
    used = slice(None) if values is None else np.flatnonzero(values > 0)
    chosen = choose(trainings, used, params.n_clusters)
    if params.n_trainings > 1:
        reports.line(f"{chosen}")
    outcome, learned = chosen.training.outcome, chosen.training.learned
    said = remarks.on_failures(errors, params.n_trainings)
    said += remarks.on_training(learned, outcome, params.n_clusters, params.max_iter)
    return Fit(
        learned.result,
        outcome.form,
        encoder=learned.encoder,
        encoding=learned.Z,
        agreement=chosen.agreement if params.n_trainings > 1 else None,
        remarks=tuple(said),
    )


def _random_states(params):
    """The random state of each training; the first is that of a single one."""
    yield params.random_state
    rng = check_random_state(params.random_state)
    for _ in range(1, params.n_trainings):
        yield rng.randint(MAX_SEED)


def _train(X, weights, params, reports, random_state, number):
    """A training: an encoder, the start on its embedding, and both learning."""
    encoder = _pretrained(X, weights, params, random_state, number > 0)
    Z = encoded(X, encoder)
    watch = _watch(params, Z, number)
    clustered = _cluster(Z, weights, params, reports, watch, random_state)
    learned = _learn(X, weights, Z, clustered, encoder, params, reports, watch)
    form, Z = clustered.outcome.form, learned.Z
    centers = learned.result.centers.astype(Z.dtype)
    with Threads(params.n_jobs) as threads:
        rows = scale_rows(Z, centers, form.bandwidth)
        labels = most_probable(rows, centers, form.dof, threads)
    return Training(clustered.outcome, learned, labels)


def _pretrained(X, weights, params, random_state, reseed):
    """A clone of the encoder, fitted to the rows."""
    encoder = clone(params.encoder)
    parameters = encoder.get_params()
    # one that the user has given is that of the first training
    given = parameters.get("random_state") is not None and not reseed
    if "random_state" in parameters and not given:
        rng = check_random_state(random_state)
        encoder.set_params(random_state=rng.randint(MAX_SEED))
    weight = weights.original()
    encoder.fit(X, **({} if weight is None else {"sample_weight": weight}))
    return encoder


def _learn(X, weights, Z, clustered, encoder, params, reports, watch):
    """The encoder trained with the clusters, from z and a start."""
    interval, size = params.update_interval, params.batch_size
    size = ENCODER_BATCH if size == "auto" else size
    settings = Settings(
        max_iter=params.max_iter,
        tol=params.tol,
        update_interval=None if interval == "auto" else interval,
        batch_size=X.shape[0] if size is None else size,
        reports=reports,
        watch=watch,
    )
    encode = partial(encoded, learns=True)
    # BLAS is not held: the encoder needs it
    with Threads(params.n_jobs) as threads:
        return learn(clustered, encoder, X, weights, Z, encode, threads, settings)


# --------------------------------------------------------------------------- a stream
def fit_batch(batch, before, form, params, reports):
    """Take in a batch of a stream.

    Parameters
    ----------
    batch : Batch
        Its rows and weights.
    before : Stream or None
        What is known of the rows before; None if there were none.
    form : Form or None
        ν, h and b of the fit before.
    params : StudentTClustering
        Parameters.
    reports : Reports
        Tells how far it is.
    """
    refuse_labels(params.init)
    if before is not None:
        check_number(before, params.n_clusters)
    stream, due = (before or Stream()).with_batch(batch)
    if due or stream.now is None:
        return _fit_anew(joined(stream.kept) if due else batch, stream, params, reports)
    fit = _follow(batch, stream, form, params, reports)
    said = remarks.on_batch(batch.X.shape[0], before, fit.stream, params.n_clusters)
    return replace(fit, remarks=tuple(said))


def _fit_anew(batch, stream, params, reports):
    """Fit all that is kept of a stream, its clusters numbered as before."""
    watch = _watch(params, batch.X)
    clustered = _cluster(batch.X, batch.weights, params, reports, watch)
    result, before, stream = clustered.result, stream.now, after_fit(stream, clustered)
    if before is not None:
        order = numbered_as(before.centers, result.centers)
        result, stream = result.numbered(order), stream.numbered(order)
    # that it has not settled is not told: more rows follow
    said = remarks.on_clusters(clustered.outcome, params.n_clusters)
    told, stream = stream.flawed, replace(stream, flawed=bool(said))
    said = () if told else tuple(said)
    return Fit(result, clustered.outcome.form, stream, remarks=said)


def _follow(batch, stream, form, params, reports):
    """One step on a batch."""
    allowed = 0.0 if all(_automatic(params).values()) else PLAINLY
    settings = _settings(params, reports, _watch(params, batch.X))
    with Threads(params.n_jobs, hold_blas=True) as threads:
        objective = make_objective(
            batch.X, batch.weights, stream.now.centers, form, threads
        )
        stream = stream.follow(objective, settings, allowed)
        small = batch.X.shape[0] < remarks.BATCH_ROWS * params.n_clusters
        stream = replace(stream, small=stream.small or small)
        return Fit(stream.result(objective), form, stream)
