"""How an embedding moves, and when it stops."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import (
    ConvergenceWarning,
)

import skdec
from skdec import ExactTSNE
from skdec.kernels.types import STUDENT_T, Kernel
from skdec.tsne._gradient_descent import Descent
from skdec.tsne._schedule import Phase
from tests.tsne.common import DIGITS, IRIS, full_kl


class Scripted:
    """An objective whose KL at the checks and whose gradient are given."""

    def __init__(self, values, gradient=1.0, dof=1.0):
        self.values, self.slope = iter(values), gradient
        self.kernel = Kernel(STUDENT_T, dof)

    def gradient(self, Y, exaggeration):
        return np.full_like(Y, self.slope), None

    def divergence(self, Y, log_Z):
        return next(self.values)

    def norm(self, gradient):
        return float(np.linalg.norm(gradient))


class Silent:
    """Reports nothing, and stops nothing."""

    def say(self, text):
        pass

    def awaits(self, n_iter):
        return False

    def checked(self, *what):
        return False

    def begin_iteration(self):
        pass

    def end_iteration(self, n_iter, Y):
        return False


def descended(
    values, *, rate=1e-3, gradient=1.0, dof=1.0, stop=1000, before=0, **settings
):
    """Where a descent of three points at 0 ends, its KL and its iterations."""
    settings = {"min_grad_norm": 0.0, "patience": 10_000, "tol": 0.0, **settings}
    Y = np.zeros((2, 3))
    phases = [Phase(end, 1.0, 0.5, rate) for end in (before, stop) if end]
    objective = Scripted(values, gradient, dof)
    ended = Descent(**settings).run(objective, Y, phases, Silent())
    return Y, ended.kl, ended.n_iter


def test_descent_ends_with_its_last_phase():
    _, kl, n_iter = descended([3.0, 2.0, 1.0], stop=120)
    assert (kl, n_iter) == (1.0, 120)
    # what is told of a KL that rounding puts below 0
    assert descended([-1e-9], stop=20)[1:] == (0.0, 20)


def test_descent_ends_after_its_patience():
    _, _, n_iter = descended([5.0, 4.0, 6.0, 7.0, 6.5, 9.0], patience=100)
    # the best is that of iteration 100; no better one in more than 100 after it
    assert n_iter == 250


def test_descent_ends_where_the_divergence_is_flat():
    # it rises, falls by 1 % and falls by 0.05 % of itself
    _, kl, n_iter = descended([100.0, 101.0, 100.0, 99.95, 10.0], tol=1e-3)
    assert (kl, n_iter) == (99.95, 200)


def test_a_divergence_that_is_flat_counts_within_the_last_phase():
    # it is flat where the second phase, of another momentum, has only begun
    values, settings = [100.0, 99.99, 90.0, 80.0, 79.99], {"tol": 1e-3}
    assert descended(values, **settings)[2] == 100
    assert descended(values, before=60, **settings)[2] == 250


def test_descent_goes_on_where_all_points_coincide():
    # there the gradient vanishes too, and KL is flat until the points part
    values = [5.0, 4.9999, 4.9998, 4.0, 3.9999]
    settings = {"tol": 1e-3, "gradient": 0.0, "min_grad_norm": 1.0}
    assert descended(values, **settings)[2] == 50
    assert descended(values, chance=5.0, **settings)[2] == 200
    assert descended(values[:1] * 20, chance=5.0, patience=300, **settings)[2] == 400


@pytest.mark.parametrize("gradient, expected", [(1.0, 120), (0.1, 50)])
def test_descent_ends_where_the_gradient_is_small(gradient, expected):
    values = [3.0, 2.0, 1.0]
    found = descended(values, gradient=gradient, min_grad_norm=0.5, stop=120)
    assert found[2] == expected


@pytest.mark.parametrize("dof, longest", [(0.5, 1.0), (1.0, 1.0), (9.0, 3.0)])
def test_no_point_moves_further_than_the_kernel_is_wide(dof, longest):
    Y, _, _ = descended([1.0], rate=1e9, dof=dof, stop=1)
    assert_allclose(np.linalg.norm(Y, axis=0), longest)


ROWS = [("student_t", "joint", "auto"), ("student_t", "joint", 0.6),
        ("student_t", "conditional", 1.0), ("gaussian", "joint", "auto"),
        ("gaussian", "conditional", "auto")]  # fmt: skip


@pytest.mark.parametrize("n_components", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel, normalization, dof", ROWS)
def test_descent_ends_where_the_gradient_vanishes(
    kernel, normalization, dof, n_components
):
    X = IRIS[::3]
    tsne = ExactTSNE(
        n_components, dof=dof, kernel=kernel, normalization=normalization, tol=0,
        precision="double", max_iter=3000, random_state=0, n_iter_without_progress=3000,
    ).fit(X)  # fmt: skip
    assert tsne.dof_ == (max(n_components - 1, 1) if dof == "auto" else dof)
    P = skdec.conditional_affinities(X, perplexity=tsne.perplexity_)
    if normalization == "joint":
        P = skdec.joint_affinities(P)
    form = {"kernel": kernel, "dof": tsne.dof_, "normalization": normalization}
    start = skdec.embedding_loss(tsne.embedding_ * 1e-4, P, **form)[0]
    kl, gradient = skdec.embedding_loss(tsne.embedding_, P, **form)
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-9)
    assert kl < 0.5 * start
    mass = 1 if normalization == "joint" else len(X)
    # in one dimension points stand in each other's way
    assert np.linalg.norm(gradient) < (1e-2 if n_components == 1 else 1e-4) * mass


def test_max_iter():
    for max_iter in (1, 2, 49, 50, 51, 70, 130, 131):
        assert ExactTSNE(max_iter=max_iter, tol=0).fit(IRIS).n_iter_ == max_iter
    short = ExactTSNE(max_iter=70, early_exaggeration_iter=0).fit(IRIS)
    assert short.n_iter_ == 70


def test_small_gradient_stops():
    tsne = ExactTSNE(min_grad_norm=5e-4, tol=0, random_state=0).fit(DIGITS[:300])
    assert 100 <= tsne.n_iter_ < 1000
    gradient = full_kl(DIGITS[:300], tsne.embedding_)[1]
    assert np.linalg.norm(gradient) <= 5e-4 * 1.01


def test_no_progress_stops():
    # −1: the first look after early exaggeration already counts as no progress
    assert ExactTSNE(n_iter_without_progress=-1).fit(IRIS).n_iter_ == 100
    stuck = ExactTSNE(
        n_iter_without_progress=100, learning_rate=1e-9, max_iter=2000, tol=0
    )
    with pytest.warns(ConvergenceWarning, match="no more than points that all coin"):
        assert stuck.fit(IRIS).n_iter_ < 2000
    assert not stuck.converged_  # it rests where points all but coincide


def test_flat_divergence_stops():
    tight, loose = (
        ExactTSNE(tol=tol, max_iter=3000, random_state=0).fit(DIGITS[:400])
        for tol in (1e-5, 1e-2)
    )
    assert loose.n_iter_ < tight.n_iter_ < 3000
    assert tight.kl_divergence_ < loose.kl_divergence_
    further = ExactTSNE(tol=0, max_iter=loose.n_iter_ - 50, random_state=0).fit(
        DIGITS[:400]
    )
    fall = further.kl_divergence_ - loose.kl_divergence_
    assert 0 <= fall < 1e-2 * loose.kl_divergence_


def test_a_map_worse_than_none_is_reported(rng):
    far = 1e3 * rng.normal(size=(len(IRIS), 2))
    stuck = ExactTSNE(init=far, learning_rate=1e-9, max_iter=200)
    with pytest.warns(ConvergenceWarning, match="shows less than points that all co"):
        stuck.fit(IRIS)


@pytest.mark.parametrize("start, kernel", [("pca", "gaussian"), (1e-20, "student_t")])
def test_a_map_leaves_the_point_at_which_it_starts(start, kernel, rng):
    # p is nearly uniform, and exaggeration draws all points together at first
    X = rng.normal(size=(40, 5))
    init = start if start == "pca" else start * X[:, :2]
    tsne = ExactTSNE(perplexity=38.9, init=init, kernel=kernel, random_state=0).fit(X)
    other = ExactTSNE(perplexity=38.9, init=X[:, :2], kernel=kernel).fit(X)
    assert_allclose(tsne.kl_divergence_, other.kl_divergence_, rtol=0.6)


def test_a_map_that_stays_at_one_point_is_told():
    same = "shows no more than points that all coincide"
    with pytest.warns(ConvergenceWarning, match=same):
        ExactTSNE(learning_rate=1e-300).fit(IRIS)
    again = ExactTSNE(warm_start=True)
    with pytest.warns(UserWarning, match="perplexity cannot be reached"):
        again.fit(np.zeros_like(IRIS))
    with pytest.warns(ConvergenceWarning, match=same):
        again.fit(IRIS)


@pytest.mark.parametrize("early_iter, unfolded", [(50, 155), (0, 75)])
def test_a_map_that_has_not_unfolded_is_told(early_iter, unfolded):
    settings = {"early_exaggeration_iter": early_iter, "random_state": 0, "tol": 0}
    with pytest.warns(ConvergenceWarning, match=f"still unfolding.* {unfolded} iter"):
        ExactTSNE(max_iter=unfolded - 1, **settings).fit(IRIS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ExactTSNE(max_iter=unfolded, **settings).fit(IRIS)
