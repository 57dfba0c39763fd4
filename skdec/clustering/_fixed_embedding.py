"""Clusters of rows that stay where they are: a start, its self-training, a safeguard.

    k-means starts → the one with the most evidence, or the most like the others of
                     those next to it → self-training
                   → what came of it, or the start if that explains the rows better

Evidence is the mean log density of the rows under the mixture of Student-t
distributions that memberships stand for (``ClusteringObjective.mixture``).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skdec.clustering._consensus import (
    AGREEMENT_ROWS,
    agreement_of_some,
    mean_of_others,
    pairwise_agreement,
)
from skdec.clustering._form import PAPER_BALANCE, Form, make_objective
from skdec.clustering._objective import ClusteringObjective, Mixture
from skdec.clustering._optimizers import CentroidDescent, StochasticDescent
from skdec.clustering._result import ClusteringResult
from skdec.clustering._self_training import SelfTraining
from skdec.clustering._spread import simplified_silhouette
from skdec.clustering._training import Ended, number_collapsed
from skdec.clustering._watch import Run
from skdec.utils.numbers import TINY

# If clusters lose all their rows, these shares of the automatic bandwidth are tried.
NARROWER = 0.7, 0.5, 0.35

# Two ends are equal if their sharpness differs by no more than this (nats a row).
# Otherwise rounding would decide how clusters are numbered.
SHARPNESS_TIE = 1e-4

# A start stands for the others if its mean adjusted Rand index with them is at least
# this.
LEAST_AGREEMENT = 0.5

# Starts whose labels agree so much are one: where one of them leads, the others do.
SAME_AGREEMENT = 0.95

# So many starts are tried, at most: where that many lose clusters, nearly all do.
MOST_TRIED = 10

# Labels that agree with their start's by less than this (adjusted Rand index) have to
# be better separated than those, by this much of the simplified silhouette.
FAR_AGREEMENT, CLEARER = 0.8, 0.02

# With parameters that the user has set, labels may lose this many nats a row beyond
# what chance explains.  The paper's parameters even out sizes, and lose some.
PLAINLY = 0.25

# How often clusters without rows are placed before they are left as they are.
PLACINGS = 10


@dataclass(frozen=True)
class Outcome:
    """Where the clustering of a fixed embedding ended."""

    ended: Ended  # where self-training ended, whether or not that is returned
    run: Run  # which run that was
    random_state: np.random.RandomState  # draws the batches of what comes next
    objective: ClusteringObjective
    form: Form
    start: np.ndarray  # in the units of X
    centers: np.ndarray  # in the units inside: those of the run, or its start
    start_evidence: float
    end_evidence: float  # where self-training ended, whether or not that is returned
    start_kept: bool  # the start is returned
    emptied: bool  # because clusters lost all rows
    harmful: bool  # because what the user asked for lost more evidence than by chance
    unfounded: bool  # because the labels left the start's and are no better separated
    n_reseeds: int  # clusters of the start that had no rows and were placed elsewhere
    n_collapsed: int  # clusters in the end without rows, or on another's centroid
    too_few: bool  # fewer distinct rows than clusters
    loss_allowed: float  # evidence that labels may lose, in nats a row

    def result(self):
        """What it ended with."""
        return ClusteringResult.of(
            self.objective,
            self.centers,
            self.ended,
            n_reseeds=self.n_reseeds,
            converged=self.converged,
            start_kept=self.start_kept,
        )

    @property
    def stopped(self):
        """Whether who watches the fit has ended it."""
        return self.ended.stopped

    @property
    def converged(self):
        """Whether self-training settled where it did no harm."""
        return self.ended.converged and not (self.emptied or self.harmful)

    @property
    def sharpness(self):
        """Mean log density of the rows, of an even mixture around the centroids."""
        even = np.ones(len(self.centers))
        return self.objective.evidence(Mixture(self.centers, even))

    def __str__(self):
        ended = self.ended
        return (
            f"bandwidth {self.form.bandwidth:.6g}: {ended.n_iter} passes, "
            f"converged = {ended.converged}, evidence {self.start_evidence:.7g} -> "
            f"{self.end_evidence:.7g}{', start kept' if self.start_kept else ''}"
        )


class Clustered(NamedTuple):
    """How a clustering ended, and what is told of it."""

    outcome: Outcome
    result: ClusteringResult


def cluster(carrier, form, automatic):
    """Carry the best start through self-training and judge what comes of it.

    Starts are tried in the order of their evidence, and then narrower bandwidths, until
    no cluster loses all its rows; at last the balance of the paper, which holds
    clusters together where a smaller one does not.

    Parameters
    ----------
    carrier : Carrier
        Rows, starts, and how they are carried on.
    form : Form
        ν, h and b.
    automatic : Automatic
        Whether other bandwidths or another balance may be tried.
    """
    starts = carrier.ranked(form, distinct=True)[:MOST_TRIED]
    attempts = [(start, form) for start in starts]
    for share in NARROWER if automatic.bandwidth else ():
        attempts.append((starts[0], form._replace(bandwidth=share * form.bandwidth)))
    for start, tried in attempts:
        outcome = carrier.of_sample(start, tried)
        if not outcome.emptied or outcome.stopped:
            break
    if outcome.stopped:
        return carrier.of_all(start, tried, outcome)
    if (outcome.emptied or outcome.harmful) and automatic.balance:
        start, tried = starts[0], form._replace(balance=PAPER_BALANCE)
        outcome = carrier.of_sample(start, tried)
    if outcome.emptied or (outcome.start_kept and start is not starts[0]):
        # a start will be returned: the best one
        return carrier.of_all(*attempts[0])
    return carrier.of_all(start, tried, outcome)


def cluster_first_embedding(carrier, form):
    """Clusters for an encoder to learn from: of all starts the best end.

    With ν = 1 the ends of the starts differ more than the starts, and are chosen by the
    centroids, which the encoder will pull rows to: by the density of an even mixture
    around them, of those that emptied the fewest clusters.

    Clusters of the user's own are the start as they are.  Iterations with ν = 1 and
    b = 1 would give up what they have beyond k-means.
    """
    if carrier.starts.own_clusters:
        return carrier.held(form)
    outcomes = []
    for start in carrier.ranked(form):
        outcomes.append(carrier.of_sample(start, form))
        if outcomes[-1].stopped:
            break
    held = [outcome for outcome in outcomes if not outcome.emptied] or outcomes
    sharpness = np.array([outcome.sharpness for outcome in held])
    best = held[int(np.argmax(sharpness >= sharpness.max() - SHARPNESS_TIE))]
    return carrier.of_all(best.start, form, best)


class Carrier:
    """Carries starts through self-training.

    Of large data that is done on the sample of the starts first, and its centroids are
    carried on with all rows.

    Parameters
    ----------
    starts : Starts
        Rows and starts.
    settings : Settings
        When to refresh and to stop.
    threads : Threads
        Where blocks run.
    random_state : RandomState
        Draws batches.
    strict : bool
        Whether a start is returned that has any more evidence than what came of it.
    """

    def __init__(self, starts, settings, threads, random_state, strict):
        self.starts, self.settings, self.threads = starts, settings, threads
        self.random_state = random_state
        self.strict, self.allowed = strict, _insignificant(starts)
        self.loss_allowed = self.allowed + PLAINLY
        self.sampled = starts.sample is not starts.rows
        self._tried = starts.centers

    def ranked(self, form, *, distinct=False):
        """The starts in the order in which they are tried.

        By falling evidence; of those that chance may part, by how much they agree with
        all starts, or by rising inertia if starts hardly agree.  ``distinct`` leaves
        out those that would lead where one before them does.
        """
        starts = self.starts
        if len(starts.centers) == 1:
            return starts.centers
        objective = make_objective(
            starts.sample, starts.sample_weights, starts.centers[0], form, self.threads
        )
        evidence, labels = np.empty(len(starts.centers)), []
        for i, centers in enumerate(starts.centers):
            start = objective.rows.to_internal(centers)
            evidence[i] = objective.evidence(objective.mixture(start))
            labels.append(objective.nearest(start)[0])
        alike = agreement_of_some(np.array(labels), len(start))
        agreement = mean_of_others(alike)
        ranked, left, same = [], np.arange(len(evidence)), []
        while len(left):
            equal = left[evidence[left] >= evidence[left].max() - self.allowed]
            usual = equal[np.argmax(agreement[equal])]
            ranked.append(usual if agreement[usual] >= LEAST_AGREEMENT else equal[0])
            left = left[left != ranked[-1]]
            if distinct:
                there_too = alike[ranked[-1], left] >= SAME_AGREEMENT
                same.extend(left[there_too])
                left = left[~there_too]
        self._tried = [starts.centers[i] for i in ranked + same]
        return self._tried[: len(ranked)]

    def of_sample(self, start, form):
        """Where a start leads with the sample, or with all rows if they are few."""
        settings = self.settings
        if self.sampled:
            settings = replace(settings, batch_size=None)
        rows, weights = self.starts.sample, self.starts.sample_weights
        stage = "sample" if self.sampled else "rows"
        return self._carry(stage, rows, weights, start, form, settings)

    def of_all(self, start, form, outcome=None):
        """Where it leads with all rows, begun at its end with the sample if given."""
        if outcome is not None and not self.sampled:
            return outcome
        begin = None
        # of centroids that coincide in the sample some are placed among all rows
        if outcome is not None and not self.starts.too_few:
            begin = outcome.objective.rows.to_original(outcome.centers)
        rows, weights = self.starts.rows, self.starts.weights
        return self._carry("rows", rows, weights, start, form, self.settings, begin)

    def held(self, form):
        """The first start itself, among all rows."""
        starts, settings = self.starts, replace(self.settings, max_iter=0)
        start = starts.centers[0]
        return self._carry("rows", starts.rows, starts.weights, start, form, settings)

    def _carry(self, stage, X, weights, start, form, settings, begin=None):
        which = Run(stage, self._number(start), len(self._tried))
        settings.watch.begin(which, form)
        objective = make_objective(X, weights, start, form, self.threads)
        rows, ball = objective.rows, objective.ball()
        origin, n_reseeds = _place_empty(objective, rows.to_internal(start))
        origin = ball.hold(origin)
        size = settings.batch_size
        batches = size is not None and size < objective.n_rows
        run = SelfTraining(
            origin if begin is None else ball.hold(rows.to_internal(begin)),
            StochasticDescent() if batches else CentroidDescent(),
            settings,
            ball,
            self.random_state,
        )
        ended = run.run(objective)
        outcome = self._judged(ended, which, objective, start, origin, form, n_reseeds)
        settings.reports.line(f"{outcome}")
        return outcome

    def _number(self, start):
        """The place of a start in the order in which they are tried."""
        return [tried is start for tried in self._tried].index(True)

    def _loses_labels(self, objective, origin, end):
        """Whether the labels explain the rows plainly worse than those of the start."""
        before, after = (
            objective.evidence(objective.labelled_mixture(centers))
            for centers in (origin, end)
        )
        return after < before - self.loss_allowed

    def _unfounded(self, objective, origin, end, form):
        """Whether labels left the start's although clusters are no better separated.

        The evidence of a mixture of one spread also grows where a cluster takes what
        lies between the others, or where clusters of a few far rows leave all others
        to one.
        """
        X, weights = self.starts.sample, self.starts.sample_weights
        some = np.arange(0, X.shape[0], -(-X.shape[0] // AGREEMENT_ROWS))
        weights = weights._replace(values=weights.of(some))
        begin, end = (objective.rows.to_original(where) for where in (origin, end))
        few = make_objective(X[some], weights, begin, form, self.threads)
        inside = [few.rows.to_internal(where) for where in (begin, end)]
        labels = np.array([few.nearest(where)[0] for where in inside])
        if pairwise_agreement(labels, len(begin))[0, 1] >= FAR_AGREEMENT:
            return False
        before, after = (
            _separation(X[some], weights.values, few, *each)
            for each in zip(inside, labels, strict=True)
        )
        return after < before + CLEARER

    def _judged(self, ended, run, objective, start, origin, form, n_reseeds):
        """What is returned: the end of a run, or its origin."""
        before = objective.evidence(objective.mixture(origin))
        after = objective.evidence(objective.mixture(ended.centers))
        had, has = (_occupied(objective, where) for where in (origin, ended.centers))
        emptied = ended.emptied or np.count_nonzero(has) < np.count_nonzero(had)
        worse = not emptied and after < before
        # parameters that the user has set are followed unless the result is plainly bad
        harmful = not (emptied or self.strict) and (
            after < before - self.allowed
            or self._loses_labels(objective, origin, ended.centers)
        )
        # with the user's parameters labels may lie anywhere
        unfounded = (
            self.strict
            and not (emptied or worse)
            and self._unfounded(objective, origin, ended.centers, form)
        )
        kept = emptied or harmful or unfounded or (worse and self.strict)
        centers = origin if kept else ended.centers
        return Outcome(
            ended=ended,
            run=run,
            random_state=self.random_state,
            objective=objective,
            form=form,
            start=start,
            centers=centers,
            start_evidence=before,
            end_evidence=after,
            start_kept=kept,
            emptied=emptied,
            harmful=harmful,
            unfounded=unfounded,
            n_reseeds=n_reseeds,
            n_collapsed=number_collapsed(centers, had if kept else has),
            too_few=self.starts.too_few,
            loss_allowed=self.loss_allowed,
        )


def _insignificant(starts):
    """Difference of evidence that as many parameters make on as many rows by chance.

    Half a nat for each of the k m parameters (Akaike 1974), m the dimension of the
    spread; by the row.
    """
    return len(starts.centers[0]) * starts.spread.dimension / (2 * starts.n_rows)


def _separation(X, weight, objective, centers, labels):
    """Mean over the clusters of their simplified silhouette, about their means."""
    means, _ = objective.labelled_mixture(centers, labels)
    labels, _ = objective.nearest(means)
    mass = np.bincount(labels, weights=weight)
    return simplified_silhouette(
        X, objective.rows.to_original(means), weight / mass[labels]
    )


def _occupied(objective, centers):
    """Weight of the rows that are labelled with each cluster."""
    return objective.sums(centers, centers, np.ones(len(centers))).occupied


def _place_empty(objective, centers):
    """Put clusters without rows where rows are far from all centroids.

    Rows are drawn as k-means++ draws its seeds, in proportion to their weight and D; as
    rows drawn together may be neighbours, those that stay empty are drawn again.
    Returns the centroids and how many were placed.
    """
    # a generator of its own: with an array as init, random_state must not matter
    if (_occupied(objective, centers) > 0).all():
        return centers, 0
    rng, centers, placed = np.random.RandomState(0), centers.copy(), set()
    weight = objective.weight.astype(np.float64)
    for _ in range(PLACINGS):
        labels, D = objective.nearest(centers)
        mass = np.bincount(labels, weights=weight, minlength=len(centers))
        empty = np.flatnonzero(mass <= 0)
        D = D.astype(np.float64)  # TINY is 0 in float32
        share = weight * (D / max(D.max(), TINY))
        n_drawn = min(len(empty), np.count_nonzero(share))
        if n_drawn == 0:
            break
        chosen = rng.choice(len(share), n_drawn, replace=False, p=share / share.sum())
        centers[empty[:n_drawn]] = objective.rows.internal_rows(chosen)
        placed.update(empty[:n_drawn].tolist())
    return centers, len(placed)
