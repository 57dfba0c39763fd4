"""Maps that go on: from the last one, and around rows that are held in place."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from skdec import ExactTSNE
from skdec.tsne._start import Start
from tests import naive
from tests.tsne.common import DIGITS, IRIS, SHORT, full_kl

WAYS = [("exact", "pairs"), ("neighbors", "pairs"), ("neighbors", "grid")]


@pytest.fixture(scope="module")
def iris():
    return ExactTSNE(random_state=0).fit(IRIS)


def shares(n, every=3):
    """A mask with every third row True."""
    return np.arange(n) % every == 0


@pytest.mark.parametrize("affinities, repulsion", WAYS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fixed_rows_do_not_move_by_a_bit(rng, affinities, repulsion, dtype):
    X, start = IRIS.astype(dtype), rng.normal(size=(len(IRIS), 2)) + 1e3
    fixed, seen = shares(len(X)), []
    tsne = ExactTSNE(init=start, affinities=affinities, repulsion=repulsion, **SHORT)
    tsne.set_params(callback=lambda n_iter, kl, embedding: seen.append(embedding))
    embedding = tsne.fit_transform(X, fixed=fixed)
    assert embedding.dtype == dtype
    for map_ in (embedding, tsne.embedding_, *seen):
        assert_array_equal(map_[fixed], start[fixed].astype(dtype))
        assert (map_[~fixed] != start[~fixed].astype(dtype)).any(axis=1).all()
    assert_array_equal(tsne.transform(X), embedding)


@pytest.mark.parametrize("affinities, repulsion", WAYS)
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_other_rows_follow_the_gradient_over_all_pairs(
    rng, affinities, repulsion, normalization
):
    # with 3 · perplexity neighbours P is that of all pairs in each case
    X, start = IRIS[::5], rng.normal(size=(30, 2))
    fixed = shares(30)
    P = naive.conditional_affinities(X, perplexity=10)
    if normalization == "joint":
        P = naive.joint_affinities(P)
    tsne = ExactTSNE(
        init=start, affinities=affinities, repulsion=repulsion, perplexity=10,
        normalization=normalization, precision="double", max_iter=1, learning_rate=1e-3,
        early_exaggeration_iter=0,
    )  # fmt: skip
    moved = tsne.fit_transform(X, fixed=fixed) - start
    gradient = naive.embedding_gradient(start, P, 1.0, "student_t", normalization)
    gradient[fixed] = 0
    # a gain starts at 1, and shrinks before the first step
    assert_allclose(moved, -1e-3 * 0.8 * gradient, atol=1e-9 * abs(gradient).max())


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
def test_a_map_extended_by_new_rows_is_as_good_as_one_of_all(affinities):
    X = DIGITS[np.random.default_rng(0).permutation(500)]
    whole = ExactTSNE(affinities=affinities, random_state=0).fit(X)
    old = ExactTSNE(affinities=affinities, random_state=0).fit(X[:450])
    start = np.vstack([old.embedding_, old.transform(X[450:])])
    extended = ExactTSNE(affinities=affinities, init=start)
    extended.fit(X, fixed=np.arange(500) < 450)
    assert_array_equal(extended.embedding_[:450], old.embedding_)
    assert extended.kl_divergence_ < 1.1 * whole.kl_divergence_
    # the places of transform, each for itself, are not as good
    placed = ExactTSNE(affinities=affinities, init=start).fit(
        X, fixed=np.ones(500, bool)
    )
    assert extended.kl_divergence_ < placed.kl_divergence_
    # nor is a map in which the old rows do not make room
    extended.set_params(warm_start=True).fit(X)
    assert extended.kl_divergence_ < 1.05 * whole.kl_divergence_


def test_all_rows_fixed_gives_the_divergence_of_a_map(iris):
    tsne = ExactTSNE(init=iris.embedding_, precision="double")
    tsne.fit(IRIS, fixed=[True] * len(IRIS))
    assert tsne.n_iter_ == 0
    assert_array_equal(tsne.embedding_, iris.embedding_)
    assert_allclose(tsne.kl_divergence_, full_kl(IRIS, iris.embedding_)[0], rtol=1e-9)


def test_no_row_fixed_is_a_fit_without_any(rng):
    tsne = ExactTSNE(**SHORT)
    free = tsne.fit_transform(IRIS)
    assert_array_equal(tsne.fit_transform(IRIS, fixed=np.zeros(len(IRIS), bool)), free)


def test_a_row_identical_to_a_fixed_one_shares_its_place(rng):
    X = np.vstack([IRIS[:40], IRIS[:20], IRIS[:10]])
    start, fixed = rng.normal(size=(70, 2)), np.zeros(70, bool)
    fixed[45:65] = True  # the second of rows 5 to 19, the third of 0 to 4
    tsne = ExactTSNE(init=start, **SHORT).fit(X, fixed=fixed)
    for copies in ([5, 45], [19, 59], [0, 40, 60], [4, 44, 64]):
        place = start[copies[-1]]
        assert_array_equal(tsne.embedding_[copies], [place] * len(copies))
    assert_array_equal(tsne.transform(X), tsne.embedding_)
    fixed[5] = True
    with pytest.raises(ValueError, match="rows 45 and 5 of X are identical"):
        tsne.fit(X, fixed=fixed)
    start[45] = start[5]
    tsne.set_params(init=start).fit(X, fixed=fixed)
    assert_array_equal(tsne.embedding_[[5, 45]], start[[5, 5]])


def test_with_fixed_rows_threads_change_nothing(rng):
    start, fixed = rng.normal(size=(1200, 2)), shares(1200)
    maps = [
        ExactTSNE(init=start, n_jobs=n_jobs, **SHORT).fit_transform(
            DIGITS[:1200], fixed=fixed
        )
        for n_jobs in (1, 2, 5)
    ]
    assert_array_equal(maps[0], maps[1])
    assert_array_equal(maps[0], maps[2])


@pytest.mark.parametrize(
    "init, fixed, message",
    [
        ("pca", shares(len(IRIS)), "set init to an array"),
        (None, np.arange(5), r"mask of booleans.*\(149,\).*int64 of shape \(5,\)"),
        (None, shares(5), r"\(149,\).*bool of shape \(5,\)"),
        (None, shares(len(IRIS)).astype(int), "got int64"),
    ],
)
def test_a_wrong_mask_is_named_and_leaves_the_last_fit(rng, init, fixed, message):
    tsne = ExactTSNE(**SHORT).fit(IRIS)
    before = dict(vars(tsne))
    start = rng.normal(size=(len(IRIS), 2)) if init is None else init
    with pytest.raises(ValueError, match=message):
        tsne.set_params(init=start).fit(IRIS, fixed=fixed)
    assert {**vars(tsne), "init": "pca"} == before


def test_a_warm_start_goes_on_from_the_map(iris):
    kls = []
    tsne = ExactTSNE(random_state=0, max_iter=160).fit(IRIS)
    first = tsne.kl_divergence_
    tsne.set_params(
        warm_start=True, max_iter=400, tol=0, callback=lambda i, kl, Y: kls.append(kl)
    )
    tsne.fit(IRIS)
    assert tsne.n_iter_ == 400
    # there is no exaggeration, which would raise it, on the way down
    assert max(kls) <= first
    assert tsne.kl_divergence_ < first
    assert tsne.kl_divergence_ < iris.kl_divergence_ * 1.05
    assert_allclose(tsne.kl_divergence_, full_kl(IRIS, tsne.embedding_)[0], rtol=1e-4)


def test_a_warm_start_takes_new_settings_new_rows_and_fixed_ones(iris):
    tsne = ExactTSNE(random_state=0, perplexity=5).fit(IRIS)
    expected = tsne.kl_divergence_
    tsne = ExactTSNE(random_state=0).fit(IRIS)
    tsne.set_params(warm_start=True, perplexity=5).fit(IRIS)
    assert tsne.perplexity_ == 5
    assert tsne.kl_divergence_ < 1.1 * expected
    # other values of the same samples, in as many dimensions as there are now
    before, fixed = tsne.embedding_, shares(len(IRIS))
    tsne.set_params(max_iter=50).fit(IRIS[:, :3] + 0.01, fixed=fixed)
    assert tsne.n_features_in_ == 3
    assert_array_equal(tsne.embedding_[fixed], before[fixed])
    assert (tsne.embedding_[~fixed] != before[~fixed]).any()


def test_a_first_warm_start_is_a_start():
    cold = ExactTSNE(**SHORT).fit_transform(IRIS)
    assert_array_equal(ExactTSNE(warm_start=True, **SHORT).fit_transform(IRIS), cold)


def test_a_short_warm_start_does_not_have_to_unfold(iris):
    tsne = ExactTSNE(random_state=0).fit(IRIS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        tsne.set_params(warm_start=True, max_iter=10).fit(IRIS)
    assert tsne.n_iter_ == 10


@pytest.mark.parametrize(
    "rows, n_components, message",
    [
        (IRIS[:40], 2, r"warm_start=True .*\(149, 2\).* \(40, 2\).*init the places"),
        (IRIS, 3, r"warm_start=True .*\(149, 2\).* \(149, 3\)"),
    ],
)
def test_a_warm_start_of_another_shape_leaves_the_map(rows, n_components, message):
    tsne = ExactTSNE(warm_start=True, **SHORT).fit(IRIS)
    before = tsne.embedding_
    with pytest.raises(ValueError, match=message):
        tsne.set_params(n_components=n_components).fit(rows)
    assert tsne.embedding_ is before


def test_the_mask_goes_through_a_pipeline(rng):
    start, fixed = rng.normal(size=(len(IRIS), 2)), shares(len(IRIS))
    pipeline = make_pipeline("passthrough", ExactTSNE(init=start, **SHORT))
    embedding = pipeline.fit_transform(IRIS, exacttsne__fixed=fixed)
    assert_array_equal(embedding[fixed], start[fixed])


@pytest.mark.parametrize("far", [1e4, 1e7, [-1e9, 0.0]])
def test_a_map_far_from_zero_loses_no_digits(far, iris):
    """q is of differences alone; single precision would have few of their digits."""
    there = iris.embedding_ + np.asarray(far)
    held = ExactTSNE(init=there).fit(IRIS, fixed=np.ones(len(IRIS), bool))
    assert_array_equal(held.embedding_, there)
    assert_allclose(held.kl_divergence_, iris.kl_divergence_, rtol=1e-6)
    few = {"max_iter": 30, "early_exaggeration_iter": 0, "tol": 0}
    fixed = np.arange(len(IRIS)) % 3 > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        near, away = (
            ExactTSNE(init=init, **few).fit(IRIS, fixed=fixed)
            for init in (iris.embedding_, there)
        )
    assert np.abs(near.embedding_ - iris.embedding_).max() > 1e-3
    assert_allclose(away.embedding_ - far, near.embedding_, atol=1e-3)
    # a map that is not far from zero stays as it is, to the bit
    assert not Start.at(iris.embedding_, np.float32).origin.any()
