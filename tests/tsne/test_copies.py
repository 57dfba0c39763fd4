"""sample_weight: a row of weight w is w identical rows, which share one position."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdec import ExactTSNE
from skdec.diagnostics import reliability
from skdec.kernels.types import STUDENT_T, Kernel
from skdec.tsne import _copies, _field
from skdec.tsne._distances import SquaredDistances
from skdec.utils.threads import Threads
from tests import naive
from tests.kernels.test_copies import COPIES, UNREACHED, WEIGHTS, N, X

SETTINGS = {"max_iter": 60, "early_exaggeration_iter": 10, "random_state": 0}
QUIET = pytest.mark.filterwarnings("ignore:max_iter", "ignore:.*found no place")


@QUIET
@UNREACHED
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"affinities": "neighbors", "repulsion": "grid", "init": "spectral"},
        {"normalization": "conditional", "kernel": "gaussian", "metric": "seuclidean"},
        {"metric": "precomputed", "init": "random"},
    ],
)
def test_a_fit_is_that_of_repeated_rows(form):
    # to the bit, whatever the order: identical rows are merged, and rows put in order
    weights = np.r_[WEIGHTS, 0, 0]
    rows = np.r_[X, X[:2] + 0.1]
    copies = np.random.default_rng(0).permutation(COPIES)
    repeated = rows[copies]
    new = np.random.default_rng(1).normal(size=(3, 3))
    tsne = ExactTSNE(perplexity=2.5, **SETTINGS, **form)
    if form.get("metric") == "precomputed":
        copies = COPIES  # columns have no order of value
        D = np.sqrt(naive.squared_distances(np.r_[rows, new], np.r_[rows, new]))
        n = len(rows)
        rows, repeated = D[:n, :n], D[:n, :n][copies][:, copies]
        new, new_of_repeated = D[n:, :n], D[n:, :n][:, copies]
    else:
        new_of_repeated = new
    weighted = tsne.fit_transform(rows, sample_weight=weights)
    assert_array_equal(tsne.transform(rows), weighted)
    placed, sums = tsne.transform(new), (tsne.kl_divergence_, tsne.truncated_mass_)
    assert_array_equal(tsne.fit_transform(repeated), weighted[copies])
    assert_array_equal(tsne.transform(new_of_repeated), placed)
    assert (tsne.kl_divergence_, tsne.truncated_mass_) == sums
    assert np.isfinite(weighted).all()


@QUIET
def test_new_points_see_every_copy():
    tsne = ExactTSNE(perplexity=15.0, **SETTINGS).fit(X, sample_weight=WEIGHTS)
    new = X[:1] + 0.3
    place = tsne.transform(new)[0]
    D = [naive.squared_distance(new[0], x) for x in X[COPIES]]
    p = naive.row_given_perplexity(D, 15.0)
    Y = tsne.embedding_[COPIES]

    def kl(v):
        return naive.placement_kl(v, Y, p, 1.0)

    slope = naive.finite_difference(kl, place)
    assert_allclose(slope, 0, atol=1e-5)


@QUIET
@UNREACHED
def test_fractions_and_ones():
    tsne = ExactTSNE(perplexity=2.0, affinities="neighbors", **SETTINGS)
    plain = tsne.fit_transform(X)
    assert_array_equal(tsne.fit_transform(X, sample_weight=np.ones(N)), plain)
    maps = [
        tsne.set_params(n_jobs=n).fit_transform(X, sample_weight=WEIGHTS * 0.4)
        for n in (1, 2)
    ]
    assert_array_equal(*maps)
    new = X + 0.2
    alone = np.concatenate([tsne.transform(x[None]) for x in new])
    assert_array_equal(tsne.transform(new), alone)
    # as many copies as are wanted, however many rows that takes
    with Threads(1) as threads:
        lists = SquaredDistances(X).nearest(3, threads, weights=np.full(N, 0.5))
    assert_allclose(lists.counts.sum(axis=1), 3)
    assert lists.columns.shape == (N, 7)  # the point itself, of no copies, is first
    pipeline = make_pipeline(StandardScaler(), tsne)
    pipeline.fit(X, exacttsne__sample_weight=WEIGHTS)
    assert tsne.embedding_.shape == (N, 2)


@QUIET
def test_weighted_components_of_sparse_and_wide_rows(monkeypatch):
    from skdec.tsne import _initialization

    expected = _initialization.principal_components(X[COPIES], 2, 0)
    starts = [_initialization.principal_components(X, 2, 0, WEIGHTS * 1.0)]
    monkeypatch.setattr(_initialization, "SMALL_SVD", 0)
    for rows in (X, sparse.csr_array(X)):
        starts.append(_initialization.principal_components(rows, 2, 0, WEIGHTS * 1.0))
    for start in starts:
        assert_allclose(start[COPIES], expected, atol=1e-10)


def test_metrics_are_estimated_from_all_copies():
    for metric in ("seuclidean", "mahalanobis"):
        found = SquaredDistances(X, metric, None, WEIGHTS * 1.0).metric_params
        expected = SquaredDistances(X[COPIES], metric).metric_params
        for name, value in expected.items():
            assert_allclose(found[name], value, rtol=1e-12)


def test_a_callback_sees_no_place_of_rows_without_weight():
    seen = []
    tsne = ExactTSNE(perplexity=2.0, callback=lambda *what: seen.append(what[2]))
    tsne.fit(X, sample_weight=np.r_[0, np.ones(N - 1)])
    assert np.isnan(seen[-1][0]).all()
    assert np.isfinite(seen[-1][1:]).all()
    assert np.isfinite(tsne.embedding_).all()


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.full(N, 1 / N), "sum from 2 to"),
        (np.r_[1e-12, np.ones(N - 1)], "0 or at least"),
        (np.full(N, 1e9), "sum from 2 to"),
        (np.zeros(N), "positive entry"),
        (-np.ones(N), "(?i)negative"),
        (np.ones(N + 1), "sample_weight"),
    ],
)
def test_weights_that_count_nothing_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        ExactTSNE(perplexity=2.0).fit(X, sample_weight=weights)


def test_perplexity_is_below_the_sum_of_weights():
    with pytest.raises(ValueError, match=r"4\.5, the sum of sample_weight"):
        ExactTSNE(perplexity=5.0).fit(X, sample_weight=np.full(N, 0.5))


def test_weights_of_a_graph_are_refused():
    graph = sparse.csr_array(np.sqrt(naive.squared_distances(X, X)))
    with pytest.raises(ValueError, match="sparse graph of precomputed"):
        ExactTSNE(perplexity=2.0, metric="precomputed").fit(
            graph, sample_weight=WEIGHTS
        )


def test_weights_of_given_affinities_are_refused():
    P = naive.squared_distances(X, X)
    tsne = ExactTSNE(affinities="precomputed")
    with pytest.raises(ValueError, match="sample_weight must be None with affinities"):
        tsne.fit(P / P.sum(), sample_weight=WEIGHTS)


def test_weights_of_rows_in_blocks_are_refused():
    da = pytest.importorskip("dask.array")
    tsne = ExactTSNE(affinities="neighbors", perplexity=2.0)
    with pytest.raises(ValueError, match="sample_weight must be None where rows stay"):
        tsne.fit(da.from_array(X), sample_weight=WEIGHTS)


@QUIET
@UNREACHED
def test_held_rows_of_maps_that_go_on():
    # held rows are not merged without weights: the same by another way, to rounding
    tsne = ExactTSNE(perplexity=2.5, precision="double", **SETTINGS)
    weights, fixed = np.r_[WEIGHTS, 0, 0], np.zeros(N + 2, bool)
    rows, fixed[[1, 3, N]] = np.r_[X, X[:2] + 0.1], True
    start = np.random.default_rng(2).normal(0, 1, (N + 2, 2))
    weighted = tsne.set_params(init=start).fit_transform(
        rows, sample_weight=weights, fixed=fixed
    )
    assert_array_equal(weighted[fixed], start[fixed])
    assert np.isfinite(weighted).all()
    on = tsne.set_params(warm_start=True, max_iter=20).fit_transform(
        rows, sample_weight=weights, fixed=fixed
    )
    copies = COPIES
    tsne.set_params(init=start[copies], warm_start=False, max_iter=60)
    repeated = tsne.fit_transform(rows[copies], fixed=fixed[copies])
    assert_allclose(repeated, weighted[copies], atol=1e-6)
    tsne.set_params(warm_start=True, max_iter=20)
    repeated = tsne.fit_transform(rows[copies], fixed=fixed[copies])
    assert_allclose(repeated, on[copies], atol=1e-6)
    assert not np.allclose(on, weighted)
    with pytest.raises(ValueError, match="identical, and identical rows share"):
        tsne.set_params(init=start[:2], warm_start=False, perplexity=1.0).fit(
            X[[0, 0]], sample_weight=[2, 3], fixed=[True, True]
        )


@QUIET
@UNREACHED
def test_means_of_copies():
    places = np.array([[0.0, 0.0], [1.0, -1.0], [0.3, 0.2]])
    for form in ({"perplexity": 2.5}, {"sigma": 1.0}):
        tsne = ExactTSNE(**SETTINGS, **form).fit(X, sample_weight=WEIGHTS)
        Y = tsne.embedding_
        means = tsne.inverse_transform(places)
        alone = [tsne.inverse_transform(place[None])[0] for place in places]
        assert_array_equal(means, alone)
        tsne.fit(X[COPIES])
        assert_array_equal(tsne.embedding_, Y[COPIES])
        assert_array_equal(tsne.inverse_transform(places), means)
        # and of single rows, as they were before any of them had copies
        tsne._placing = _single(tsne, X[COPIES])
        assert_allclose(tsne.inverse_transform(places), means, atol=1e-6)


def _single(tsne, rows):
    """The placing of a fit that merges no rows."""
    held = np.arange(len(rows)) == 0
    again = ExactTSNE(**(tsne.get_params() | {"init": tsne.embedding_, "max_iter": 1}))
    return again.fit(rows, fixed=held)._placing


@QUIET
@UNREACHED
def test_missing_values_of_copies():
    rows = X.copy()
    rows[0, 1] = np.nan
    tsne = ExactTSNE(
        perplexity=2.5, metric="nan_euclidean", init="spectral", **SETTINGS
    )
    weighted = tsne.fit_transform(rows, sample_weight=WEIGHTS)
    assert_array_equal(tsne.fit_transform(rows[COPIES]), weighted[COPIES])


@QUIET
@UNREACHED
@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
def test_reliability_of_merged_rows_is_that_of_single_ones(affinities):
    tsne = ExactTSNE(perplexity=2.5, sigma=None, affinities=affinities, **SETTINGS)
    rows, chosen = X[COPIES], [0, 5]
    tsne.fit(rows)
    assert tsne._placing.copies.merged
    found = reliability(tsne, rows, rows=chosen, n_directions=1)
    with pytest.raises(ValueError, match="some of them others"):
        reliability(tsne, rows[::-1])
    tsne._placing = _single(tsne, rows)
    assert tsne._placing.copies is None
    expected = reliability(tsne, rows, rows=chosen, n_directions=1)
    assert_allclose(found.displacement, expected.displacement)
    assert_allclose(found.perturbation, expected.perturbation)
    tsne.fit(X, sample_weight=WEIGHTS)
    with pytest.raises(ValueError, match="fitted with sample_weight"):
        reliability(tsne, X)


@QUIET
@UNREACHED
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_copies_over_neighbours_follow_the_gradient_of_the_map(normalization, rng):
    """∂KL along their place, each: not that of one of them, whose list is its own."""
    X, Y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    rows = np.repeat(np.arange(60), np.r_[[12] * 3, [1] * 57])
    tsne = ExactTSNE(
        perplexity=3, affinities="neighbors", repulsion="pairs", precision="double",
        normalization=normalization, early_exaggeration_iter=0, max_iter=1,
        learning_rate=1e-3,
    )  # fmt: skip
    moved = tsne.set_params(init=Y[rows]).fit(X[rows]).embedding_ - Y[rows]

    def kl(place):
        held = place.reshape(60, 2)[rows]
        fixed = np.ones(len(rows), bool)
        return tsne.set_params(init=held).fit(X[rows], fixed=fixed).kl_divergence_

    for i in (0, 1, 2, 3, 30):
        place = Y.copy()

        def along(y, i=i, place=place):
            place[i] = y
            return kl(place)

        slope = naive.finite_difference(along, Y[i]) / (12 if i < 3 else 1)
        step = moved[rows == i]
        assert_array_equal(step, np.tile(step[0], (len(step), 1)))
        # the first gain of a coordinate is 0.8
        assert_allclose(step[0], -0.8e-3 * slope.astype(float), rtol=1e-4)


@QUIET
@UNREACHED
def test_few_identical_rows_are_not_merged():
    # a pair of points that stand for copies takes longer than one of rows
    n = int(N * _copies.MERGED_UP_TO)
    tsne = ExactTSNE(perplexity=2.0, **SETTINGS)
    for twins, merged in ((n, False), (N, True)):
        tsne.fit(np.r_[X, X[:twins]])
        assert (tsne._placing.copies is not None) == merged


def test_field_of_copies_by_a_grid(monkeypatch, rng):
    monkeypatch.setattr(_field, "PAIRS_UP_TO", 0)
    Y = np.concatenate([rng.normal(0, 8, (2, 300)), [[900.0], [0.0]]], axis=1)
    weights, kernel = rng.uniform(0.5, 5, 301), Kernel(STUDENT_T, 1.0)
    V = np.concatenate([rng.normal(0, 6, (40, 2)), [[890.0, 1.0]]])
    with Threads(1) as threads:
        found = _field.repulsion_of(Y, kernel, threads, weights)
        assert type(found) is _field.GridField
        assert found.far.shape[1] > 0
        expected = _field.PairField(Y, kernel, weights)(V, threads)
        for part, other in zip(found(V, threads), expected, strict=True):
            assert_allclose(part, other, rtol=1e-7, atol=1e-9)


@QUIET
@UNREACHED
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_new_points_beside_copies_of_a_single_row(metric):
    # of which no neighbours are searched for in a fit
    tsne = ExactTSNE(affinities="neighbors", metric=metric, **SETTINGS)
    alone, there = tsne.fit_transform(X[:3], sample_weight=[5, 0, 0]), X[:1]
    # all of p is at one place
    assert_allclose(alone, np.repeat(alone[:1], 3, axis=0), atol=1e-3)
    same = tsne.fit_transform(there.repeat(5, axis=0))
    assert_allclose(tsne.transform(X[:3]), np.repeat(same[:1], 3, axis=0), atol=1e-3)


@QUIET
@pytest.mark.parametrize("form", ["weights", "shares", "copies"])
def test_graphs_of_new_rows_beside_copies(form, rng):
    """They are placed as by all distances, if they store enough copies."""
    X = rng.normal(size=(40, 3))
    weights = None
    if form == "copies":
        X = np.repeat(X, 3, axis=0)
    else:
        weights = rng.integers(0, 4, size=40)
        weights = weights * 0.77 if form == "shares" else weights
    new = rng.normal(size=(5, 3))
    settings = {"affinities": "neighbors", "perplexity": 5, "init": "random"}
    model = ExactTSNE(metric="precomputed", **settings, **SETTINGS)
    model.fit(pairwise_distances(X), sample_weight=weights)
    D = pairwise_distances(new, X)
    expected = model.transform(D)
    n_used = len(D[0]) // 2 + 10
    kept = np.sort(np.argsort(D, axis=1)[:, :n_used], axis=1)
    graph = sparse.csr_array(
        (
            np.take_along_axis(D, kept, axis=1).ravel(),
            kept.ravel(),
            np.arange(0, 5 * n_used + 1, n_used),
        ),
        shape=D.shape,
    )
    assert_allclose(model.transform(graph), expected, rtol=1e-6)
    # a row may store more than another
    more = sparse.vstack([graph[:3], sparse.csr_array(D[3:])]).tocsr()
    assert_allclose(model.transform(more), expected, rtol=1e-6)
    third = np.sort(D, axis=1)[:, 2:3]
    few = sparse.csr_array(np.where(third < D, 0, D))
    with pytest.raises(ValueError, match="neighbors per samples are required"):
        model.transform(few)


def test_rows_of_no_weight_connect_nothing(rng):
    D = pairwise_distances(rng.normal(size=(12, 3)))
    D[10:, :10] = D[:10, 10:] = np.inf  # the last two have but each other
    settings = {"metric": "precomputed", "perplexity": 3, "init": "random"}
    tsne = ExactTSNE(**settings, **SETTINGS)
    for none in (10, 11):
        weight = np.arange(12) != none
        with pytest.raises(ValueError, match=r"of positive weight in every .* row 1"):
            tsne.fit(D, sample_weight=weight.astype(float))
    # two halves of a row are one of it, and have no other; two rows have each other
    D[10, 11] = D[11, 10] = 0
    with pytest.raises(ValueError, match=r"of positive weight in every .* row 10"):
        tsne.fit(D, sample_weight=np.r_[np.ones(10), 0.5, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tsne.fit(D, sample_weight=np.r_[np.ones(10), 0.6, 0.6])
        tsne.fit(D[:10, :10], sample_weight=np.r_[np.ones(9), 0])
    new = np.full((2, 10), np.inf)
    new[:, 9] = new[0, 3] = 1
    with pytest.raises(ValueError, match=r"a sample of positive weight.* row 1 "):
        tsne.transform(new)


def test_rows_of_no_weight_are_refused_before_the_fit(rng):
    X, weight = rng.normal(size=(30, 3)), np.ones(30)
    X[0], weight[0] = np.nan, 0
    tsne = ExactTSNE(
        metric="nan_euclidean", init="spectral", perplexity=5,
        callback=lambda *what: pytest.fail("it was fitted"), **SETTINGS,
    )  # fmt: skip
    with pytest.raises(ValueError, match="missing values of X give NaN"):
        tsne.fit(X, sample_weight=weight)


def test_a_row_of_less_than_a_copy_has_more_others(rng):
    """W − w of them: all are to be had over neighbours too."""
    X, weight = rng.normal(size=(40, 3)), np.full(40, 0.5)
    maps = [
        ExactTSNE(perplexity=19.2, affinities=kind, **SETTINGS).fit(
            X, sample_weight=weight
        )
        for kind in ("exact", "neighbors")
    ]
    assert [tsne.truncated_mass_ for tsne in maps] == [0, 0]
    assert_allclose(maps[0].kl_divergence_, maps[1].kl_divergence_, rtol=1e-5)


def test_a_fit_that_has_lost_a_row_has_not_converged(monkeypatch, rng):
    X, weight = rng.normal(size=(60, 3)), np.ones(60)
    weight[0] = 0
    whole = ExactTSNE(perplexity=5, random_state=0).fit(X, sample_weight=weight)
    assert whole.converged_
    monkeypatch.setattr("skdec.tsne._placement.OUTSIDE", 0.0)
    with pytest.warns(ConvergenceWarning, match="1 of 1 new points found no place"):
        lost = ExactTSNE(perplexity=5, random_state=0).fit(X, sample_weight=weight)
    assert not lost.converged_
