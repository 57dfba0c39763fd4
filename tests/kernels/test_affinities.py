"""Calibration, and affinities of rows."""

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

import skdec
from skdec.kernels import affinities
from skdec.kernels.types import (
    Bandwidths,
    Scales,
)
from skdec.tsne._affinities import dense_affinities, from_matrix
from skdec.tsne._checks import resolve_perplexities
from skdec.tsne._distances import SquaredDistances
from skdec.utils.threads import Threads
from tests import naive
from tests.kernels.common import DTYPES, conditional, joint


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [{"perplexity": 3.0}, {"perplexity": [2, 5]},
                                   {"sigma": 0.8}])  # fmt: skip
def test_conditional_affinities(rng, scale, dtype):
    X = rng.normal(size=(12, 3)).astype(dtype)
    P = skdec.conditional_affinities(X, **scale)
    assert P.dtype == dtype
    expected = naive.conditional_affinities(X.astype(float), **scale)
    assert_allclose(P, expected, rtol=1e-5, atol=1e-8)
    assert_array_equal(np.diagonal(P), 0)


@njit
def calibrate_row(D, perplexity, guess, E):
    return affinities.calibrate_row(D, D[:0], perplexity, guess, E)


@njit
def likelihoods(D, beta, E):
    affinities.likelihoods(D, beta, E)


def calibrated_row(D, perplexity, guess=0.0):
    """β, whether it was found, and p, of squared distances less their minimum."""
    D = np.array(D)
    E = np.empty_like(D)
    beta, total, found = calibrate_row(D, perplexity, guess, E)
    likelihoods(D, beta, E)
    assert_allclose(E.sum(), total)
    return beta, found, E / total


def test_calibration_finds_the_bracket_from_far_away():
    # one far outlier puts the first guess of β twenty orders of magnitude off
    for guess in (-50.0, 50.0):
        _, found, p = calibrated_row([0.0, 1.0, 2.0, 3.0, 1e20], 2.5, guess)
        assert found
        assert_allclose(naive.perplexity_of(p), 2.5, rtol=1e-6)


# Of a row among a million of a mixture of Gaussians, in tenths.
FAR_OUT = [
    0, 10, 13, 25, 28, 44, 48, 49, 67, 68, 68, 79, 80, 83, 88, 88, 88, 90, 91, 91, 98,
    111, 111, 112, 112, 115, 115, 116, 116, 117, 117, 118, 120, 122, 125, 125, 125, 131,
    131, 132, 134, 135, 138, 138, 141, 142, 144, 147, 149, 150, 150, 151, 151, 153, 154,
    155, 156, 156, 156, 158, 160, 160, 162, 162, 162, 166, 167, 169, 170, 171, 171, 171,
    172, 172, 173, 173, 174, 174, 174, 175, 176, 177, 178, 179, 179, 180, 182, 182, 182,
    183,
]  # fmt: skip


def test_calibration_does_not_go_to_and_fro():
    # from 1 over the mean distance Newton's method went between two β
    D = np.array(FAR_OUT) / 10
    for guess in (-np.log(D.mean()), *np.linspace(-9, 9, 1801)):
        _, found, p = calibrated_row(D, 30.0, guess)
        assert found
        assert_allclose(naive.perplexity_of(p), 30.0, rtol=1e-6)


def test_calibration_reaches_any_magnitude():
    # distances that stand for "far", from whose mean the first guess is taken
    for exponent in (60, 130, 140, 300):
        D = np.array([0.0, 1.0, 2.0, 3.0, 10.0**exponent])
        for guess in (-np.log(D.mean()), np.log(D.mean())):
            with np.errstate(over="ignore"):  # which compiled code does not tell
                _, found, p = calibrated_row(D, 2.5, guess)
            assert found
            assert_allclose(naive.perplexity_of(p), 2.5, rtol=1e-6)


@pytest.mark.parametrize("spacings", [3, 20, 40, 100])
def test_ties_far_from_the_mean_are_ties(spacings):
    # products of rows, which are centred, lose digits that differences keep
    lattice = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) / 3
    lattice = np.concatenate([lattice, np.zeros((100, 8))], axis=1)
    X = np.concatenate([lattice - 0.3 * spacings, lattice + 0.3 * spacings])
    with pytest.warns(UserWarning, match="reached for 192 of 200 rows"):
        P = skdec.conditional_affinities(X, perplexity=2.0)
    inner = [10 * a + b for a in range(1, 9) for b in range(1, 9)]
    assert_allclose(P[inner].max(axis=1), 0.25)
    assert_allclose((P[inner] > 0.2).sum(axis=1), 4)


@pytest.mark.parametrize(
    "D, perplexity, expected, reached",
    [
        ([0.0, 0.0, 0.0, 9.0], 2.0, [1 / 3, 1 / 3, 1 / 3, 0], False),
        ([0.0, 0.0, 0.0, 9.0], 3.0, [1 / 3, 1 / 3, 1 / 3, 0], True),
        ([0.0, 1.0, 2.0], 3.5, [1 / 3, 1 / 3, 1 / 3], False),
        ([0.0, 1.0, 2.0], 3.0, [1 / 3, 1 / 3, 1 / 3], True),
        ([0.0, 0.0], 1.0, [0.5, 0.5], False),
    ],
)
def test_calibration_at_its_limits(D, perplexity, expected, reached):
    _, found, p = calibrated_row(D, perplexity)
    assert found == reached
    assert_allclose(p, expected)


def test_calibration_that_cannot_settle_says_so():
    # the entropy jumps between neighbouring β: three points, two of them tied but for
    # a distance that no β can resolve before the third has gone
    _, found, p = calibrated_row([0.0, 1e-320, 1.0], 1.5)
    assert not found
    assert_allclose(p.sum(), 1)


def conditional_rows(D, exclude, perplexities, fixed=np.nan):
    calibrated, P = np.empty(len(D), bool), np.empty(D.shape)
    beta, total = np.empty((2, max(1, len(perplexities)), len(D)))
    scales = Scales(np.empty(len(D)), beta, total)
    bandwidths = Bandwidths(np.array(perplexities), fixed)
    affinities.calibrate_rows(D, exclude, None, bandwidths, scales, calibrated)
    affinities.conditional_rows(D, exclude, scales, P)
    return P, calibrated


def test_rows_of_new_points_and_rows_out_of_reach():
    D = np.array([[4.0, 5.0, 7.0, 6.0], [3.0, 3.0, 3.0, 8.0]])
    P, calibrated = conditional_rows(D, np.array([-1, -1]), [2.0])
    assert_array_equal(calibrated, [True, False])
    assert_allclose(P[0], naive.row_given_perplexity(D[0], 2.0), rtol=1e-6)
    assert_allclose(P[1], [1 / 3, 1 / 3, 1 / 3, 0])


def test_ties_but_for_rounding_are_ties():
    # distances on a grid, which no two computations round alike
    D = np.array([[4.0, 4.0 + 1e-15, 4.0 - 1e-15, 9.0]])
    P, calibrated = conditional_rows(D, np.array([-1]), [2.0])
    assert not calibrated[0]
    assert_allclose(P[0], [1 / 3, 1 / 3, 1 / 3, 0])


def test_a_perplexity_spreads_over_those_that_are_connected():
    D = np.array([[4.0, np.inf, 5.0, 7.0, 6.0], [1.0, 2.0, 3.0, 5.0, 7.0]])
    P, calibrated = conditional_rows(D, np.array([-1, -1]), [2.0])
    assert calibrated.all()
    near = np.isfinite(D[0])
    assert_allclose(P[0, near], naive.row_given_perplexity(D[0, near], 2.0), rtol=1e-6)
    assert_array_equal(P[0, ~near], 0)
    assert_allclose(P[1], naive.row_given_perplexity(D[1], 2.0), rtol=1e-6)


def test_squared_distances_to_given_columns(rng):
    rows, others = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    columns = rng.integers(6, size=(4, 2))
    D = np.empty((4, 2))
    affinities.squared_distances_to(rows, others, columns, D)
    expected = [
        [naive.squared_distance(row, others[j]) for j in given]
        for row, given in zip(rows, columns, strict=True)
    ]
    assert_allclose(D, expected, rtol=1e-14)


@pytest.mark.parametrize("n", [2, 3, 8, 9])
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("scale", [{"perplexity": 1.5}, {"perplexity": [1.2, 1.7]},
                                   {"sigma": 0.8}])  # fmt: skip
def test_symmetric_affinities(rng, scale, joint, n):
    X = rng.normal(size=(n, 3))
    if n == 2 and "perplexity" in scale:
        scale = {"perplexity": 1.0}
    distances = SquaredDistances(X)
    perplexities = resolve_perplexities(scale.get("perplexity"), n, scale.get("sigma"))
    beta = distances.precision(scale.get("sigma"))
    with Threads(1) as threads:
        found = dense_affinities(
            distances, Bandwidths(perplexities, beta), joint, np.float64, threads
        )
    P = naive.conditional_affinities(X, **scale)
    entropy = sum(p * np.log(p) for p in P.ravel() if p > 0)
    M = (P + P.T) / 2
    if joint:
        M = naive.joint_affinities(P)
        entropy = sum(p * np.log(p) for p in M.ravel() if p > 0)
    expected = from_matrix(M, np.float64).P
    assert_allclose(found.P, expected, rtol=1e-5, atol=1e-12)
    assert_allclose(found.negentropy, entropy, rtol=1e-6, atol=1e-9)
    assert_allclose(found.mass.sum(), 1 if joint else n)
    for i in range(n):
        met = n // 2 if n % 2 or i < n // 2 else n // 2 - 1
        following = (i + 1 + np.arange(met)) % n
        assert_allclose(found.P[i, :met], M[i, following], rtol=1e-5)
        assert_array_equal(found.P[i, met:], 0)


@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_chance_is_the_divergence_of_points_that_coincide(rng, normalization):
    P = (joint if normalization == "joint" else conditional)(rng, 9)
    expected = naive.embedding_kl(np.zeros((9, 2)), P, 1.0, "student_t", normalization)
    assert_allclose(from_matrix(P, np.float64).chance, expected)


def test_joint_affinities(rng):
    P = conditional(rng, 9)
    before = P.copy()
    joint_P = skdec.joint_affinities(P)
    assert_allclose(joint_P, naive.joint_affinities(P))
    assert_array_equal(joint_P, joint_P.T)
    assert_array_equal(P, before)
