"""Phases and learning rates."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import StandardScaler

import skdec
from skdec import ExactTSNE, conditional_affinities, joint_affinities
from skdec.kernels.types import GAUSSIAN, STUDENT_T, Kernel
from skdec.tsne._fit import _phases
from skdec.tsne._schedule import schedule, spreading_momentum, stable_rate
from tests import naive
from tests.tsne.common import DIGITS, IRIS, full_kl


@pytest.mark.parametrize(
    "early_iter, max_iter, momentum, stops",
    [
        (250, 1000, 0.95, [250, 280, 355, 355, 1000]),
        (250, 1000, 0.97, [250, 280, 355, 605, 1000]),
        (250, 260, 0.97, [250, 260, 260, 260, 260]),
        (0, 1000, 0.95, [0, 0, 75, 75, 1000]),
        (0, 300, 0.97, [0, 0, 75, 300, 300]),
    ],
)
def test_phases(early_iter, max_iter, momentum, stops):
    phases = schedule(
        16.0,
        4.0,
        early_iter,
        max_iter,
        lambda share, exaggeration, early: share / exaggeration,
        momentum,
    )
    assert [phase.stop for phase in phases] == stops
    # between them the geometric mean
    assert_allclose([phase.exaggeration for phase in phases], [16, 8, 4, 4, 4])
    assert_allclose(
        [phase.learning_rate for phase in phases],
        [1 / 64, 1 / 32, 1 / 8, 1 / 4, 1 / 4],
    )
    assert [phase.early for phase in phases] == [True, True] + [False] * 3
    assert [phase.momentum for phase in phases] == [0.8, 0.8, 0.8, momentum, 0.95]


def test_larger_maps_have_more_momentum():
    n, kernel = 3000 * 2**10, Kernel(STUDENT_T, 1.0)
    for few in (2, 3000):
        assert spreading_momentum(kernel, few) == 0.95
    for dof in (0.5, 1.0):
        assert_allclose(spreading_momentum(Kernel(STUDENT_T, dof), n), 1 - 0.05 / 8)
    for other in (Kernel(STUDENT_T, 1.1), Kernel(GAUSSIAN, 1.0)):
        assert spreading_momentum(other, n) == 0.95
    assert spreading_momentum(kernel, n, 0.5) == spreading_momentum(kernel, n)
    assert spreading_momentum(kernel, n, 1.1) == 0.95


def test_an_exaggerated_map_has_no_phase_that_spreads_it():
    stops = {}
    for exaggeration in (None, 4.0):
        phases = _phases(
            ExactTSNE(exaggeration=exaggeration), 10_000, Kernel(STUDENT_T, 1.0)
        )
        stops[exaggeration] = [phase.stop for phase in phases]
    assert stops == {None: [50, 80, 155, 405, 1000], 4.0: [50, 80, 155, 155, 1000]}


def test_rates_of_one_component_and_of_the_gaussian():
    assert stable_rate(Kernel(STUDENT_T, 1.0), 2) == 1
    assert stable_rate(Kernel(STUDENT_T, 1.0), 1) == 1 / 2
    # −log s of the Gaussian is D: its slope is 1 against 1/8 at ν = 1
    gaussian = Kernel(GAUSSIAN, 1.0)
    assert stable_rate(gaussian, 2) == stable_rate(gaussian, 1) == 1 / 8


def test_learning_rate():
    assert ExactTSNE(max_iter=1).fit(DIGITS).learning_rate_ == 1797
    # neighbours that coincide pull with eight times the weight of similarity 1/8
    assert ExactTSNE(max_iter=1, exaggeration=4).fit(DIGITS).learning_rate_ == 1797 / 32
    conditional = ExactTSNE(max_iter=1, normalization="conditional").fit(DIGITS)
    assert conditional.learning_rate_ == 1
    assert ExactTSNE(max_iter=1, learning_rate=7).fit(IRIS).learning_rate_ == 7


@pytest.mark.parametrize("dof", [0.05, 2.0, 4.0, 100.0])
def test_learning_rate_times_the_pull_of_neighbours_is_the_same(dof):
    """The slope of −log s where s = 1/8, for every ν as for ν = 1."""

    def energy(D, nu):
        return -naive.log_similarity(D, nu)

    def pull(nu):
        D = brentq(lambda D: energy(D, nu) - np.log(8), 1e-9, 1e9)
        return (energy(D * 1.001, nu) - energy(D * 0.999, nu)) / (0.002 * D)

    rate = ExactTSNE(3, dof=dof, max_iter=1).fit(IRIS).learning_rate_
    assert_allclose(rate * pull(dof), len(IRIS) * pull(1.0), rtol=1e-5)


@pytest.mark.parametrize(
    "X", [DIGITS[:500], StandardScaler().fit_transform(load_wine().data)]
)
def test_neighbours_are_an_eighth_as_similar_as_points_that_coincide(X):
    """exp Σ p log s at ν = 1, of maps made in short steps.

    The automatic learning rate takes 1/8 for every dof.  Longer steps spread the map
    further, where neighbours pull less.
    """
    P = skdec.joint_affinities(skdec.conditional_affinities(X, perplexity=30))
    Y = ExactTSNE(
        perplexity=30, learning_rate=len(X) / 8, random_state=0
    ).fit_transform(X)
    D = pairwise_distances(Y, metric="sqeuclidean")
    mean = np.exp(-np.sum(P * np.log1p(D)))
    assert 0.09 < mean < 0.15


@pytest.mark.parametrize(
    "form", [{"dof": 100.0}, {"dof": 10.0}, {"n_components": 5}, {"n_components": 10}]
)
def test_the_learning_rate_suits_every_dof(form, rng):
    """Not much above the KL that a small one ends with, with and without clusters."""
    for X in (rng.normal(size=(200, 20)), DIGITS[:300]):
        kl = [
            ExactTSNE(learning_rate=rate, random_state=0, **form).fit(X).kl_divergence_
            for rate in ("auto", len(X) / 8)
        ]
        assert kl[0] < 1.1 * kl[1]


@pytest.mark.parametrize("form", [{}, {"kernel": "gaussian"}, {"n_components": 3},
                                  {"normalization": "conditional"}])  # fmt: skip
@pytest.mark.parametrize("rate", [1e6, 1e30])
def test_no_learning_rate_diverges(rate, form):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the embedding", ConvergenceWarning)
        tsne = ExactTSNE(learning_rate=rate, random_state=0, tol=0, **form).fit(IRIS)
    assert np.isfinite(tsne.embedding_).all()
    assert np.isfinite(tsne.kl_divergence_)
    assert np.ptp(tsne.embedding_) <= 2 * tsne.n_iter_ * np.sqrt(tsne.dof_) + 1


def test_late_exaggeration():
    kinder = {"random_state": 0, "max_iter": 400, "tol": 0}
    late = ExactTSNE(exaggeration=4, **kinder).fit(DIGITS[:400])
    plain = ExactTSNE(**kinder).fit(DIGITS[:400])
    assert np.ptp(late.embedding_) < 0.5 * np.ptp(plain.embedding_)
    # of P as it is, not exaggerated
    assert_allclose(
        late.kl_divergence_, full_kl(DIGITS[:400], late.embedding_)[0], rtol=1e-4
    )
    neutral = ExactTSNE(exaggeration=1.0, **kinder).fit(DIGITS[:400])
    assert_array_equal(neutral.embedding_, plain.embedding_)


def test_early_exaggeration_matters():
    settings = {"max_iter": 20, "random_state": 0}
    plain = ExactTSNE(early_exaggeration_iter=0, **settings).fit_transform(IRIS)
    exaggerated = ExactTSNE(**settings).fit_transform(IRIS)
    assert not np.allclose(plain, exaggerated)


@pytest.mark.parametrize("exaggeration", [2, 4])
def test_points_whose_pull_stays_exaggerated_come_to_rest(exaggeration):
    X = DIGITS[:400]
    P = joint_affinities(conditional_affinities(X))

    def loss(rate):
        """ρ Σ p log(1/s) + log Σ s, which is descended with exaggeration ρ."""
        tsne = ExactTSNE(exaggeration=exaggeration, learning_rate=rate, random_state=0)
        D = naive.squared_distances(*2 * [tsne.fit_transform(X)])
        apart = D[~np.eye(len(X), dtype=bool)]
        return exaggeration * (P * np.log1p(D)).sum() + np.log((1 / (1 + apart)).sum())

    # with steps as long as without exaggeration it is worse by 0.5 and more
    assert loss("auto") < loss(len(X) / exaggeration / 16) + 0.1
