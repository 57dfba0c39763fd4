"""sample_weight: a row of weight w is w identical rows, which share one position."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdec import ExactTSNE
from skdec.kernels.types import GAUSSIAN, STUDENT_T, Bandwidths, Kernel
from skdec.tsne import _affinities
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._gradient_descent import Descent
from skdec.tsne._objective import EmbeddingObjective
from skdec.tsne._schedule import Phase
from skdec.utils.threads import Threads
from tests import naive
from tests.tsne.test_gradient_descent import Silent

# one row with more copies than a list of neighbours has room for
WEIGHTS = np.array([1, 2, 1, 14, 3, 1, 2, 1, 1])
N, W = len(WEIGHTS), WEIGHTS.sum()
COPIES = np.repeat(np.arange(N), WEIGHTS)
OF = (np.arange(N)[:, None] == COPIES) * 1.0  # copies of each row
X = np.random.default_rng(5).normal(size=(N, 3))
PLACES = np.random.default_rng(6).normal(size=(2, N))
SETTINGS = {"max_iter": 60, "early_exaggeration_iter": 10, "random_state": 0}
QUIET = pytest.mark.filterwarnings("ignore:max_iter", "ignore:.*found no place")
UNREACHED = pytest.mark.filterwarnings("ignore:the perplexity cannot be reached")


def affinities_of(rows, weights, perplexities, joint, mode, metric="euclidean"):
    """Affinities in double precision; without weights each row is one of its own."""
    distances = SquaredDistances(rows, metric)
    bandwidths = Bandwidths(np.array(perplexities), np.nan)
    with Threads(2) as threads:
        if mode == "exact":
            return _affinities.dense_affinities(
                distances, bandwidths, joint, np.float64, threads, weights
            )
        k = _affinities.neighbors_needed(perplexities, W)
        lists = distances.nearest(k, threads, weights=weights)
        return _affinities.graph_affinities(
            lists, bandwidths, joint, np.float64, threads, weights=weights
        )


def whole(P):
    """All pairs of a dense or sparse P."""
    if sparse.issparse(P):
        return P.toarray()
    n = len(P)
    out = np.zeros((n, n))
    for i in range(n):
        following = (i + 1 + np.arange(n // 2 - (n % 2 == 0 and i >= n // 2))) % n
        out[i, following] = out[following, i] = P[i, : len(following)]
    return out


@UNREACHED
@pytest.mark.parametrize("joint", [True, False])
def test_all_pairs_against_plain_loops_over_repeated_rows(joint):
    # perplexity to 1e-7 nats in both, so p to a little more
    found = affinities_of(X, WEIGHTS * 1.0, [15.0], joint, "exact")
    P = naive.conditional_affinities(X[COPIES], 15.0)
    P = naive.joint_affinities(P) if joint else P
    others = ~np.eye(N, dtype=bool)
    expected = OF @ ((P + P.T) / 2) @ OF.T
    assert_allclose(whole(found.P)[others], expected[others], rtol=1e-6)
    entropy = (P[P > 0] * np.log(P[P > 0])).sum()
    assert_allclose(found.negentropy, entropy, rtol=1e-7)
    normalization = "joint" if joint else "conditional"
    form = P, 1.0, "student_t", normalization
    Y = PLACES.T[COPIES]
    with Threads(2) as threads:
        objective = EmbeddingObjective(found, Kernel(STUDENT_T, 1.0), joint, threads)
        gradient, log_Z = objective.gradient(PLACES)
        kl = objective.divergence(PLACES, log_Z)
    assert_allclose(kl, naive.embedding_kl(Y, *form), rtol=1e-7)
    each = naive.embedding_gradient(Y, *form)
    assert_allclose(gradient.T, (OF @ each) / WEIGHTS[:, None], rtol=1e-5, atol=1e-7)
    assert_allclose(objective.norm(gradient), np.linalg.norm(each), rtol=1e-6)
    nothing = naive.embedding_kl(0 * Y, *form)
    assert_allclose(found.chance, nothing, rtol=1e-6, atol=1e-9)


@UNREACHED
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("mode", ["exact", "neighbors"])
@pytest.mark.parametrize("perplexities", [[2.5], [2.0, 15.0]])
def test_affinities_are_those_of_repeated_rows(perplexities, mode, joint):
    found = affinities_of(X, WEIGHTS * 1.0, perplexities, joint, mode)
    repeated = affinities_of(X[COPIES], None, perplexities, joint, mode)
    P, expected = whole(found.P), OF @ whole(repeated.P) @ OF.T
    if mode == "exact":  # which has pairs at one place in the sums alone
        np.fill_diagonal(expected, 0)
    assert_allclose(P, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(found.negentropy, repeated.negentropy, rtol=1e-7)
    assert_allclose(found.mass.sum(), repeated.mass.sum())
    assert_allclose(found.chance, repeated.chance, rtol=1e-6)


def test_a_function_as_metric_has_the_same_affinities():
    def metric(a, b):
        return np.sqrt(np.square(a - b).sum())

    for joint in (True, False):
        args = X, WEIGHTS * 1.0, [15.0], joint, "exact"
        P, expected = affinities_of(*args, metric), affinities_of(*args)
        assert_allclose(P.P, expected.P, rtol=1e-9)
        assert_allclose(P.negentropy, expected.negentropy, rtol=1e-9)


@UNREACHED
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kernel", [Kernel(STUDENT_T, 1.0), Kernel(GAUSSIAN, 1.0)])
@pytest.mark.parametrize("repulsion", ["all", "pairs", "grid"])
def test_gradient_and_kl_are_those_of_repeated_rows(repulsion, kernel, joint):
    mode = "exact" if repulsion == "all" else "neighbors"
    how = "pairs" if repulsion == "all" else repulsion
    found = affinities_of(X, WEIGHTS * 1.0, [2.5], joint, mode)
    repeated = affinities_of(X[COPIES], None, [2.5], joint, mode)
    Y = np.ascontiguousarray(PLACES[:, COPIES])
    with Threads(2) as threads:
        objective = EmbeddingObjective(found, kernel, joint, threads, repulsion=how)
        reference = EmbeddingObjective(repeated, kernel, joint, threads)
        gradient, log_Z = objective.gradient(PLACES, 1.5)
        each, log_Z_of_each = reference.gradient(Y, 1.5)
        assert objective.repulsion == how
        # copies of one row differ where a list ends among them: the mean moves all
        expected = each @ OF.T / WEIGHTS
        assert_allclose(gradient, expected, atol=1e-6 * np.abs(expected).max())
        kl = objective.divergence(PLACES, log_Z)
        assert_allclose(kl, reference.divergence(Y, log_Z_of_each), rtol=1e-6)


def test_far_points_in_the_plane_keep_their_repulsion():
    # Z without the copy itself is nothing beside it, and s underflows
    far, weights = PLACES * 1e4, np.full(N, 0.5)
    found = affinities_of(X, weights, [2.5], True, "exact")
    with Threads(1) as threads:
        kernel = Kernel(GAUSSIAN, 1.0)
        objective = EmbeddingObjective(found, kernel, True, threads)
        gradient, log_Z = objective.gradient(far)
    D = naive.squared_distances(far.T, far.T)
    logs = [-D[i, j] for i in range(N) for j in range(N) if i != j]
    assert_allclose(log_Z, naive.log_sum(logs) + np.log(0.25), rtol=1e-12)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("joint", [True, False])
def test_descent_is_that_of_repeated_rows(joint):
    found = affinities_of(X, WEIGHTS * 1.0, [15.0], joint, "exact")
    repeated = affinities_of(X[COPIES], None, [15.0], joint, "exact")
    rate = W if joint else 1.0
    phases = [Phase(12, 2.0, 0.8, rate), Phase(25, 1.0, 0.5, rate)]
    Y, ends = PLACES.copy(), []
    repeated_Y = np.ascontiguousarray(PLACES[:, COPIES])
    with Threads(2) as threads:
        for P, places in ((found, Y), (repeated, repeated_Y)):
            kernel = Kernel(STUDENT_T, 1.0)
            objective = EmbeddingObjective(P, kernel, joint, threads)
            run = Descent(0.0, 300, 0.0).run(objective, places, phases, Silent())
            ends.append(run)
    assert_allclose(Y[:, COPIES], repeated_Y, atol=1e-6)
    assert_allclose(ends[0].kl, ends[1].kl, rtol=1e-6)


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
