"""Neighbours, and P over them alone."""

import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info

from skdec import ExactTSNE
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._exact_search import (
    DOUBLE,
    SINGLE,
    Found,
    ProductIndex,
    _rounding_of_products,
)
from skdec.tsne._neighbors import besides_itself, build_index, is_large
from skdec.utils.threads import Threads
from tests import naive
from tests.tsne.common import DIGITS, IRIS, SHORT


def neighbours_only(X, perplexity, k):
    """p_{j|i} over the k nearest, by plain loops."""
    P = np.zeros((len(X), len(X)))
    for i in range(len(X)):
        D = np.array([naive.squared_distance(X[i], x) for x in X])
        D[i] = np.inf
        nearest = np.argsort(D)[:k]
        P[i, nearest] = naive.row_given_perplexity(D[nearest], perplexity)
    return P


@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_neighbours_are_three_times_the_perplexity(normalization):
    X = IRIS[::2]
    tsne = ExactTSNE(
        affinities="neighbors", perplexity=5, normalization=normalization,
        precision="double", **SHORT,
    ).fit(X)  # fmt: skip
    P = neighbours_only(X, 5, 15)
    whole = naive.conditional_affinities(X, perplexity=5)
    if normalization == "joint":
        P = naive.joint_affinities(P)
    kl = naive.embedding_kl(tsne.embedding_, P, 1.0, "student_t", normalization)
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-5)
    kept = sum(np.sort(row)[-15:].sum() for row in whole) / len(X)
    assert_allclose(tsne.truncated_mass_, 1 - kept, rtol=1e-3)
    assert tsne.truncated_mass_ > 1e-3


def test_all_neighbours_are_the_exact_affinities():
    X = IRIS[::3]
    settings = {"perplexity": 25, "precision": "double", **SHORT}
    exact = ExactTSNE(**settings).fit(X)
    graph = ExactTSNE(affinities="neighbors", **settings).fit(X)
    assert exact.truncated_mass_ == 0
    assert_allclose(graph.truncated_mass_, 0, atol=1e-6)
    assert_allclose(graph.embedding_, exact.embedding_, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "chebyshev"])
def test_neighbours_of_any_metric(metric):
    X = np.random.default_rng(0).normal(size=(150, 4))
    settings = {"affinities": "neighbors", "init": "random", "perplexity": 5, **SHORT}
    tsne = ExactTSNE(metric=metric, **settings).fit(X)
    D = pairwise_distances(X, metric=metric)
    np.fill_diagonal(D, 0)
    given = ExactTSNE(metric="precomputed", **settings).fit((D + D.T) / 2)
    assert_allclose(tsne.embedding_, given.embedding_, rtol=1e-3, atol=1e-6)
    assert 0 < tsne.truncated_mass_ < 0.3
    assert_allclose(given.truncated_mass_, tsne.truncated_mass_, rtol=1e-3)


@pytest.mark.parametrize("sigma", [0.5, 1e-3])
def test_neighbours_with_sigma(sigma):
    tsne = ExactTSNE(affinities="neighbors", sigma=sigma, **SHORT).fit(IRIS)
    assert np.isfinite(tsne.embedding_).all()


def nearest_by_loops(rows, others, k, own):
    """Columns of the k nearest and D to them, equal ones by column."""
    columns, distances = [], []
    for i, row in enumerate(rows):
        D = ((row - others) ** 2).sum(axis=1)
        if own:
            D[i] = np.inf
        columns.append(sorted(range(len(others)), key=lambda j: (D[j], j))[:k])
        distances.append(D[columns[-1]])
    return np.array(columns), np.array(distances)


def product_search(rows, k, new=None, n_jobs=2):
    """What is found, and whether products of either precision prove it of each row."""
    index = ProductIndex(rows)
    own = np.arange(len(rows)) if new is None else None
    new = rows if new is None else new
    with Threads(n_jobs, hold_blas=True) as threads:
        found = index.search(new, k, threads, own)
        within, proved = None, []
        for precision in (SINGLE, DOUBLE):
            by = index._search_by_products(precision, new, k, threads, own, within)
            proved.append(by.proved)
            within = by.D[:, -1]
    return found, *proved


def integers(rng, shape, largest):
    # whose distances are exact, so that there is one answer only
    return rng.integers(-largest, largest + 1, shape).astype(float)


FAR = 2.0**20 * np.arange(3)[:, None]
ROWS = {
    "scattered": (lambda rng: integers(rng, (700, 6), 10**4), 1.0, 1.0),
    "offset": (lambda rng: integers(rng, (700, 6), 10**4) + 2.0**40, 1.0, 1.0),
    "clusters": (
        lambda rng: integers(rng, (700, 6), 9) + FAR[np.arange(700) % 3],
        1 / 3,
        1.0,
    ),
    "duplicates": (lambda rng: integers(rng, (700, 2), 1), 0.0, 1.0),
    "alike": (lambda rng: np.full((300, 3), 7.0), 0.0, 0.0),
    "tiny": (lambda rng: integers(rng, (300, 3), 10**4) * 2.0**-140, 0.0, 1.0),
    "few": (lambda rng: integers(rng, (12, 3), 10**4), 1.0, 1.0),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("k", [1, 11, "all"])
def test_nearest_are_exact(rng, name, k):
    make, *shares = ROWS[name]
    rows = make(rng)
    before, k = rows.copy(), len(rows) - 1 if k == "all" else k
    found, *proved = product_search(rows, k)
    columns, D = nearest_by_loops(rows, rows, k, own=True)
    assert_array_equal(found.columns, columns)
    assert_array_equal(found.distances, D)
    assert_array_equal(rows, before)
    if k == 11:
        # what products do not prove, differences find
        assert_allclose(np.mean(proved, axis=1), shares, atol=0.02)


@pytest.mark.parametrize("scale", [2.0**-500, 2.0**-100, 2.0**100, 2.0**500])
def test_nearest_at_any_scale(rng, scale):
    rows = integers(rng, (300, 3), 10**4)
    rows -= np.round(rows.mean(axis=0))
    rows[0] -= rows.sum(axis=0)  # so that the mean is 0 and nothing is rounded
    columns, D = nearest_by_loops(rows, rows, 11, own=True)
    distances = SquaredDistances(rows * scale)
    with Threads(2, hold_blas=True) as threads:
        found = distances.nearest(11, threads)
    assert_array_equal(found.columns, columns)
    assert_array_equal(found.D * (distances.unit / scale) ** 2, D)
    assert found.recall == 1


def test_one_row_far_out_leaves_products_good_enough(rng):
    rows = integers(rng, (700, 6), 10**4)
    rows[5] = 2.0**60
    found, proved, _ = product_search(rows, 11)
    columns, _ = nearest_by_loops(rows, rows, 11, own=True)
    near = np.arange(700) != 5
    assert_array_equal(found.columns[near], columns[near])
    assert proved[near].all() and not proved[5]


@pytest.mark.parametrize("scale", [1.0, 2.0**10, 2.0**60, 2.0**400])
def test_nearest_of_new_rows(rng, scale):
    rows = integers(rng, (700, 6), 10**3)
    new = integers(rng, (40, 6), 10**3) * scale
    new[3] = rows[9]
    found, proved, _ = product_search(rows, 11, new)
    columns, D = nearest_by_loops(new, rows, 11, own=False)
    assert_array_equal(found.columns[3], columns[3])
    assert_array_equal(found.distances[3], D[3])
    if scale < 2.0**20:
        assert_array_equal(found.columns, columns)
    assert_allclose(found.distances, D)
    assert proved[3]
    assert not proved[np.arange(40) != 3].any() or scale < 2.0**40


def test_blocks_that_end_anywhere(rng, monkeypatch):
    rows = integers(rng, (300, 6), 10**4)
    columns, _ = nearest_by_loops(rows, rows, 20, own=True)
    monkeypatch.setattr("skdec.tsne._exact_search.LEAST_ROWS", 7)
    monkeypatch.setattr("skdec.tsne._exact_search.OTHERS_PER_BLOCK", 31)
    assert_array_equal(product_search(rows, 20)[0].columns, columns)
    # no proof is good enough
    for name, precision in (("SINGLE", SINGLE), ("DOUBLE", DOUBLE)):
        rough = precision._replace(roundoff=1.0)
        monkeypatch.setattr(f"skdec.tsne._exact_search.{name}", rough)
        monkeypatch.setattr(f"tests.tsne.test_neighbors.{name}", rough)
    found, *proved = product_search(rows, 20)
    assert_array_equal(found.columns, columns)
    assert not np.any(proved)


@pytest.mark.parametrize("precision", [SINGLE, DOUBLE])
def test_rounding_of_products_is_bounded(rng, precision):
    """The score is within the margin of the one in longdouble."""
    dtype, eps = precision.dtype, np.finfo(precision.dtype).eps
    for offset in (0.0, 1.0, 100.0):
        x, y = (rng.normal(size=(200, 30)) + offset for _ in range(2))
        score = (x.astype(dtype) * -y.astype(dtype)).cumsum(axis=1)[:, -1]
        score += (np.square(y).sum(axis=1) / 2).astype(dtype)
        x, y = x.astype(np.longdouble), y.astype(np.longdouble)
        D = np.square(x - y).sum(axis=1)
        norm = np.sqrt(np.square(x).sum(axis=1)).astype(float)
        found = norm**2 + 2 * score.astype(float)
        margin = _rounding_of_products(precision, norm, D.astype(float), 30)
        assert (np.abs(found - D) < margin).all()
        # and not so far above that nothing would be proved
        most = 100 * (1 + precision.more) * eps
        assert (margin < most * (norm**2 + D)).all()


def test_nearest_are_bitwise_the_same_for_every_n_jobs(rng, monkeypatch):
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 4)
    monkeypatch.setattr("skdec.utils.threads.SERIAL_PAIRS", 1)
    rows = rng.normal(size=(700, 6)) + FAR[np.arange(700) % 3]
    serial, proved, _ = product_search(rows, 20, n_jobs=1)
    assert 0 < proved.mean() < 1
    for n_jobs in (2, 3):
        found, *_ = product_search(rows, 20, n_jobs=n_jobs)
        assert_array_equal(found.columns, serial.columns)
        assert_array_equal(found.distances, serial.distances)


def mixture(rng, n, d=8):
    centers = 4 * rng.normal(size=(30, d))
    return centers[rng.integers(30, size=n)] + rng.normal(size=(n, d))


def test_approximate_neighbours_of_many_points(rng, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("skdec.tsne._neighbors.APPROXIMATE_FROM", 1000)
    # so few that they must be doubled
    monkeypatch.setattr("skdec.tsne._approximate_search.PROBES", 2)
    X = mixture(rng, 6100)
    X, new = X[:6000], X[6000:]
    found = []
    before = threadpool_info()
    for n_jobs in (1, 2, 2):
        distances = SquaredDistances(X)
        with Threads(n_jobs, hold_blas=True) as threads:
            nearest = distances.nearest(30, threads)
            placed = distances.nearest(30, threads, distances.prepare(new))
        found.append([*nearest, *placed])
    limits = {library["filepath"]: library["num_threads"] for library in before}
    for library in threadpool_info():
        assert limits.get(library["filepath"], 0) in (0, library["num_threads"])
    for other in found[1:]:
        for part, expected in zip(other, found[0], strict=True):
            assert_array_equal(part, expected)
    exact = ProductIndex(distances.rows)
    with Threads(2, hold_blas=True) as threads:
        expected = exact.search(distances.rows, 30, threads, np.arange(6000))
    missed = nearest.D - expected.distances[:, -1:] > 0
    assert 0 < missed.mean() < 0.06
    assert 0.95 <= nearest.recall < 1
    assert_allclose(1 - missed.mean(), nearest.recall, atol=0.02)
    settings = {"perplexity": 10, "init": "random", **SHORT}
    assert ExactTSNE(**settings).fit(X).neighbor_recall_ == nearest.recall
    rows = np.arange(6000)[:, None]
    assert (nearest.columns != rows).all()
    D = np.square(distances.rows[rows] - distances.rows[nearest.columns]).sum(axis=2)
    assert_allclose(nearest.D, D)


def test_new_points_by_an_approximate_search_are_each_alone(rng, monkeypatch):
    """Training rows stay where they are, by the grid that is read there too."""
    pytest.importorskip("faiss")
    monkeypatch.setattr("skdec.tsne._neighbors.APPROXIMATE_FROM", 1000)
    monkeypatch.setattr("skdec.tsne._field.PAIRS_UP_TO", 100)
    X = mixture(rng, 2020)
    X, new = X[:2000], X[2000:]
    tsne = ExactTSNE(perplexity=10, affinities="neighbors", **SHORT).fit(X)
    assert tsne.neighbor_recall_ < 1
    assert_array_equal(tsne.transform(X[:50]), tsne.embedding_[:50])
    together = tsne.transform(new)
    alone = np.concatenate([tsne.transform(new[i : i + 1]) for i in range(20)])
    assert_array_equal(alone, together)
    assert_array_equal(tsne.transform(new[::-1]), together[::-1])


def test_rows_of_short_lists_are_searched_exactly(rng):
    pytest.importorskip("faiss")
    from skdec.tsne._approximate_search import ListIndex

    rows = mixture(rng, 900)
    with Threads(2, hold_blas=True) as threads:
        index = ListIndex(rows, 30, threads)
        found = index.search(rows, 890, threads, np.arange(900))
        few = index.search(rows[:5], 30, threads)
        copied = pickle.loads(pickle.dumps(index)).search(rows[:5], 30, threads)
    columns, _ = nearest_by_loops(rows, rows, 890, own=True)
    assert_array_equal(found.columns, columns)
    assert_array_equal(copied.columns, few.columns)


def test_exact_search_where_lists_miss_too_many(rng, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("skdec.tsne._neighbors.APPROXIMATE_FROM", 1000)
    monkeypatch.setattr("skdec.tsne._approximate_search.RECALL", 1.01)
    rows = mixture(rng, 1000)
    with Threads(2, hold_blas=True) as threads:
        index = build_index(rows, "euclidean", None, 30, threads)
    assert isinstance(index, ProductIndex)
    assert index.recall == 1


def test_recall_is_told_as_far_as_it_is_known():
    D = pairwise_distances(IRIS)
    settings = {"perplexity": 5, "init": "random", **SHORT}
    for affinities in ("exact", "neighbors"):
        tsne = ExactTSNE(affinities=affinities, **settings).fit(IRIS)
        assert tsne.neighbor_recall_ == 1
        tsne.set_params(metric="precomputed").fit(D)
        assert tsne.neighbor_recall_ == 1
    assert np.isnan(tsne.fit(sparse.csr_array(D)).neighbor_recall_)


def test_what_is_searched_approximately():
    assert not is_large(70_000, 50)
    assert is_large(1_000_000, 50)
    assert is_large(200_000, 784)
    with Threads(hold_blas=True) as threads:
        for rows, metric in (
            (IRIS, "manhattan"),
            (sparse.csr_array(IRIS), "euclidean"),
        ):
            index = build_index(rows, metric, None, 5, threads)
            assert index.recall == 1 and not isinstance(index, ProductIndex)


def test_the_exponent_of_a_metric_is_that_of_its_parameters():
    # of which scikit-learn would warn beside its own
    with Threads(hold_blas=True) as threads:
        index = build_index(IRIS[:20], "minkowski", {"p": 3}, 2, threads)
        found = index.search(IRIS[20:30], 2, threads)
    D = pairwise_distances(IRIS[20:30], IRIS[:20], metric="minkowski", p=3)
    assert_allclose(found.distances, np.sort(D, axis=1)[:, :2])


def test_a_point_that_was_not_found_among_its_own_neighbours():
    # as there are where many rows are alike
    columns = np.array([[0, 2, 1], [2, 0, 3], [2, 1, 0], [3, 0, 1]])
    distances = np.array([[0.0, 1, 2], [1, 2, 3], [0, 4, 5], [0, 6, 7]])
    D, chosen = besides_itself(Found(distances, columns), np.arange(4))
    assert_array_equal(chosen, [[2, 1], [2, 0], [1, 0], [0, 1]])
    assert_array_equal(D, [[1, 2], [1, 2], [4, 5], [6, 7]])


def test_neighbours_by_a_function_that_is_no_metric(rng):
    """By a product a row is not the nearest to itself: none of the others is lost."""
    X = np.abs(rng.normal(size=(40, 5)))

    def far(x, y):
        return 100 - x @ y

    distances = SquaredDistances(X, far)
    with Threads(1, hold_blas=True) as threads:
        found = distances.nearest(6, threads)
    for i in range(40):
        others = sorted((far(X[i], X[j]), j) for j in range(40) if j != i)
        assert_array_equal(found.columns[i], [j for _, j in others[:6]])


@pytest.mark.parametrize(
    ("metric", "params"),
    [("minkowski", None), ("minkowski", {"p": 2}), ("sqeuclidean", None)],
)
@pytest.mark.parametrize("offset", [0, 1e9])
@pytest.mark.parametrize("n_features", [4, 20])
def test_names_of_the_euclidean_distance(n_features, offset, metric, params, rng):
    """What scikit-learn finds by products has its digits far from 0 too."""
    # the offset takes no digit
    X = rng.integers(0, 1000, size=(80, n_features)) / 8 + offset
    new = X[:9] + 0.5
    power = 2 if metric == "minkowski" else 4
    distances = SquaredDistances(X, metric, params)
    with Threads(1, hold_blas=True) as threads:
        own = distances.nearest(7, threads)
        rows = distances.prepare(new)
        found = distances.nearest(7, threads, rows)
    for of, others, itself in ((X, own, True), (new, found, False)):
        for i, x in enumerate(of):
            D = [(math.dist(x, y) ** power, j) for j, y in enumerate(X)]
            D = sorted(d for d in D if not (itself and d[1] == i))[:7]
            assert_allclose(others.D[i] * distances.unit**2, [d for d, _ in D])
    D = [[math.dist(x, y) ** power for y in X] for x in new]
    assert_allclose(distances.between(rows) * distances.unit**2, D)
    assert_allclose(distances.between(rows, alone=True), distances.between(rows))


def test_squares_out_of_range(rng):
    for scale in (1e200, 1e-200):
        with pytest.raises(ValueError, match=r"sqeuclidean.*range of numbers"):
            SquaredDistances(scale * rng.normal(size=(9, 2)), "sqeuclidean")
        same = SquaredDistances(np.full((9, 2), scale), "sqeuclidean")
        assert_array_equal(same.between(same.rows), 0)


@pytest.mark.parametrize(
    "metric", ["minkowski", "sqeuclidean", "nan_euclidean", "cosine", "correlation"]
)
def test_neighbours_of_a_row_do_not_depend_on_those_beside_it(metric, rng):
    X, new = rng.normal(size=(100, 20)), rng.normal(size=(20, 20))
    if metric == "cosine":
        X[3] = 0
    distances = SquaredDistances(X, metric)
    with Threads(1, hold_blas=True) as threads:
        distances.nearest(9, threads)
        rows = distances.prepare(new)
        together = distances.nearest(9, threads, rows)
        for i in range(20):
            alone = distances.nearest(9, threads, rows[i : i + 1])
            assert_array_equal(alone.D[0], together.D[i])
            assert_array_equal(alone.columns[0], together.columns[i])


@pytest.mark.parametrize("spread", [1e-2, 1e-4])
def test_nearly_parallel_rows_in_single_precision(spread, rng):
    X = (1 + spread * rng.normal(size=(40, 20))).astype(np.float32)
    exact = X.astype(float)
    D = [[distance_of_directions(x, y) for y in exact] for x in exact]
    for form in (np.array, sparse.csr_array):
        distances = SquaredDistances(form(X), "cosine")
        found = np.sqrt(distances.between(distances.rows)) * distances.unit
        assert_allclose(found, D, rtol=1e-6, atol=1e-14)


def distance_of_directions(x, y):
    """1 − cos of two rows, half the squared difference of their directions."""
    x, y = (np.array(row) / math.hypot(*row) for row in (x, y))
    return math.dist(x, y) ** 2 / 2


def test_graph_of_neighbours_from_a_pipeline():
    X = DIGITS[:220] * np.random.default_rng(0).uniform(1, 1.01, (220, 64))  # no ties
    settings = {"affinities": "neighbors", "init": "random", "perplexity": 10, **SHORT}
    direct = ExactTSNE(precision="double", **settings).fit(X[:200])
    pipeline = make_pipeline(
        KNeighborsTransformer(n_neighbors=30, mode="distance"),
        ExactTSNE(metric="precomputed", precision="double", **settings),
    )
    found = pipeline.fit_transform(X[:200])
    assert_allclose(found, direct.embedding_, rtol=1e-3, atol=1e-6)
    assert np.isnan(pipeline[-1].truncated_mass_)
    new = pipeline.transform(X[200:])
    assert np.isfinite(new).all()
    pipeline[-1].embedding_ = direct.embedding_
    assert_allclose(
        pipeline.transform(X[200:]),
        direct.transform(X[200:]),
        atol=1e-3,
    )


def test_graph_is_checked():
    D = sparse.csr_array(pairwise_distances(IRIS[:40]))
    graph = ExactTSNE(metric="precomputed", affinities="neighbors", init="random")
    with pytest.raises(TypeError, match="affinities='neighbors'"):
        ExactTSNE(metric="precomputed", affinities="exact", init="random").fit(D)
    assert (
        ExactTSNE(metric="precomputed", **SHORT)
        .set_params(init="random")
        .fit(D)
        .affinities_
        == "neighbors"
    )  # what "auto" takes
    with pytest.raises(ValueError, match="square distance matrix"):
        graph.fit(D[:30])
    with pytest.raises(ValueError, match="Negative values"):
        graph.fit(-D)
    few = KNeighborsTransformer(n_neighbors=5).fit_transform(IRIS[:40])
    with pytest.raises(ValueError, match="neighbors per samples are required"):
        graph.fit(few)


def test_neighbours_depend_on_neither_batch_nor_threads():
    X = DIGITS[np.random.default_rng(0).permutation(1797)]
    distances = SquaredDistances(X[:900])
    found = []
    for n_jobs in (1, 2):
        with Threads(n_jobs, hold_blas=True) as threads:
            found.append(distances.nearest(90, threads))
            rows = distances.prepare(X[900:1000])
            columns, D, *_ = distances.nearest(90, threads, rows)
    assert_array_equal(found[0].columns, found[1].columns)
    assert_array_equal(found[0].D, found[1].D)
    with Threads(2, hold_blas=True) as threads:
        for i in range(len(rows)):
            one = distances.nearest(90, threads, rows[i : i + 1])
            assert_array_equal(one.columns[0], columns[i])
            assert_array_equal(one.D[0], D[i])


def test_a_limit_leaves_the_nearest(rng):
    """What is beyond the D that is wanted may be missing, and nothing else."""
    rows, others = rng.normal(size=(90, 4)), rng.normal(size=(2000, 4))
    index = ProductIndex(others)
    with Threads(1) as threads:
        whole = index.search(rows, 10, threads)
        within = whole.distances[:, 6] * rng.choice([1, 1 + 1e-14, 1.5, 0], 90)
        within[:3] = np.inf, 0, 1e-300
        found = index.search(rows, 10, threads, None, within)
    wanted = whole.distances <= within[:, None]
    assert 0.2 < wanted.mean() < 0.9
    assert_array_equal(found.distances[wanted], whole.distances[wanted])
    assert_array_equal(found.columns[wanted], whole.columns[wanted])
    assert (found.distances[~wanted] >= whole.distances[~wanted]).all()


def test_products_with_a_limit_need_no_second_search(rng, monkeypatch):
    """With a limit products still prove what they find."""
    rows, others = rng.normal(size=(64, 4)), rng.normal(size=(1000, 4))
    index = ProductIndex(others)
    monkeypatch.setattr(ProductIndex, "_by_differences", None)  # which would fail
    with Threads(1) as threads:
        for within in (0.01, 0.5, 3.0):
            index.search(rows, 10, threads, None, np.full(64, within))


def test_a_pickled_index_holds_the_rows_once(rng):
    rows = rng.normal(size=(500, 40))
    index = ProductIndex(rows)
    data = pickle.dumps(index)
    assert len(data) < 1.05 * rows.nbytes
    again = pickle.loads(data)
    with Threads(1) as threads:
        expected, found = (i.search(rows[:9], 20, threads) for i in (index, again))
    assert_array_equal(found.columns, expected.columns)
    assert_array_equal(found.distances, expected.distances)


def test_rows_of_many_copies_need_no_differences(rng, monkeypatch):
    copies = np.repeat([[9.0, 9, 9], [-9, 9, 8]], [900, 700], axis=0)
    rows = np.vstack([rng.normal(size=(400, 3)), copies])
    rows = rows[rng.permutation(len(rows))]
    new = np.vstack([rows[:50], rng.normal(size=(20, 3))])
    with monkeypatch.context() as patch:
        patch.setattr(ProductIndex, "_by_differences", None)
        with Threads(1) as threads:
            index = ProductIndex(rows)
            own = np.arange(len(rows))
            found = index.search(rows, 12, threads, own)
            of_new = index.search(new, 12, threads)
    D = np.square(rows[:, None] - rows).sum(axis=-1)
    expected = np.argsort(D[:50], axis=1, kind="stable")[:, :12]
    assert_array_equal(of_new.columns[:50], expected)
    np.fill_diagonal(D, np.inf)
    expected = np.argsort(D, axis=1, kind="stable")[:, :12]
    assert_array_equal(found.columns, expected)
    expected = np.take_along_axis(D, expected, axis=1)
    assert_allclose(found.distances, expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's, of infinity
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_has_no_neighbours(value):
    """Not even where the user has assumed it finite: numbers from nowhere crash."""
    X, tsne = IRIS.copy(), ExactTSNE(affinities="neighbors", perplexity=5, **SHORT)
    new = X[:3] + 0.01
    X[7, 2] = new[1, 0] = value
    fitted = clone(tsne).fit(IRIS)
    with config_context(assume_finite=True):
        with pytest.raises(ValueError, match="X must be finite"):
            tsne.fit(X)
        with pytest.raises(ValueError, match=r"X must (be finite|stay within)"):
            fitted.transform(new)


def nearest_of(D, k):
    """The k nearest of each row of D but itself, the first of equal ones."""
    D = D + np.diag(np.full(len(D), np.inf))
    return np.sort(np.argsort(D, axis=1, kind="stable")[:, :k], axis=1)


def found_by(X, k, **given):
    """What the search of a metric finds, in the order of columns."""
    with Threads(1, hold_blas=True) as threads:
        found = SquaredDistances(X, **given).nearest(k, threads)
    assert found.recall == 1
    return np.sort(found.columns, axis=1)


@pytest.mark.parametrize("offset", [0, 1e8])
def test_neighbours_of_sparse_rows_that_products_cannot_tell_apart(rng, offset):
    centers = rng.normal(size=(5, 4)) + offset
    X = np.repeat(centers, 20, axis=0) + 1e-6 * rng.normal(size=(100, 4))
    D = [[naive.squared_distance(a, b) for b in X] for a in X]
    found = found_by(sparse.csr_array(X), 10, metric="euclidean")
    assert_array_equal(found, nearest_of(np.array(D), 10))


@pytest.mark.parametrize(
    "metric, stored",
    [
        ("manhattan", np.asarray),
        ("manhattan", sparse.csr_array),
        ("chebyshev", np.asarray),
        ("canberra", np.asarray),
    ],
)
def test_equal_distances_by_other_metrics_come_by_their_column(metric, stored, rng):
    """Whole numbers, of which scikit-learn's search takes any that are as near."""
    X = rng.integers(0, 4, size=(700, 20)).astype(float)
    distances = SquaredDistances(stored(X[:200]), metric)
    D = pairwise_distances(X[200:], X[:200], metric=metric)
    expected = np.argsort(D, axis=1, kind="stable")[:, :7]
    found = []
    for n_threads, size in ((1, 500), (2, 500), (1, 1)):
        with Threads(n_threads, hold_blas=True) as threads:
            distances.nearest(7, threads)
            new = distances.prepare(stored(X[200:]))
            some = range(0, 500, size) if size > 1 else range(0, 500, 50)
            found.append(
                [distances.nearest(7, threads, new[i : i + size]) for i in some]
            )
    for whole in found[:2]:
        assert_array_equal(whole[0].columns, expected)
    for i, alone in zip(range(0, 500, 50), found[2], strict=True):
        assert_array_equal(alone.columns[0], expected[i])
    assert_array_equal(
        found_by(X[:200], 9, metric=metric),
        nearest_of(pairwise_distances(X[:200], metric=metric), 9),
    )


@pytest.mark.parametrize("n_features", [4, 20])
def test_a_parameter_of_the_euclidean_distance_counts_over_neighbours_too(n_features):
    X = np.random.default_rng(0).normal(size=(60, n_features))
    # all 59 others are among 3 · perplexity
    settings = {"metric_params": {"squared": True}, "perplexity": 19.6, **SHORT}
    settings |= {"precision": "double"}
    exact = ExactTSNE(affinities="exact", **settings).fit(X)
    graph = ExactTSNE(affinities="neighbors", **settings)
    for rows in (X, sparse.csr_array(X)):
        assert graph.fit(rows).truncated_mass_ < 0.01
        assert_allclose(graph.kl_divergence_, exact.kl_divergence_, rtol=1e-3)


@pytest.mark.parametrize("metric", ["function", "braycurtis"])
def test_neighbours_by_what_is_no_metric(rng, metric):
    """Without the triangle inequality, which a tree takes for granted."""
    X = rng.gamma(0.15, size=(600, 2))
    D = pairwise_distances(X, metric="sqeuclidean" if metric == "function" else metric)
    metric = squares if metric == "function" else metric
    assert_array_equal(found_by(X, 15, metric=metric), nearest_of(D, 15))
    rows = np.arange(0, 600, 50)
    with Threads(1, hold_blas=True) as threads:
        index = SquaredDistances(X, metric).exact_index(threads)
        some = index.search(X[rows], 15, threads, rows)
    assert_array_equal(np.sort(some.columns, axis=1), nearest_of(D, 15)[rows])


def squares(a, b):
    return ((a - b) ** 2).sum()


def test_of_equal_distances_in_a_matrix_the_first_are_taken():
    lattice = np.stack(np.meshgrid(range(8), range(8)), axis=-1).reshape(-1, 2)
    D = pairwise_distances(lattice)
    found = found_by(D, 7, metric="precomputed")
    assert_array_equal(found, nearest_of(D, 7))
    assert_array_equal(found, found_by(lattice.astype(float), 7, metric="euclidean"))
