"""ExactTSNE: where P and the start come from, and what a fit says while it runs."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer
from sklearn.pipeline import make_pipeline

import skdec
from skdec import ExactTSNE
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._initialization import principal_components
from skdec.tsne._neighbors import Found, besides_itself, known_to_pynndescent
from tests import naive

IRIS = np.unique(load_iris().data, axis=0)
DIGITS, TRUTH = load_digits(return_X_y=True)
SHORT = {"random_state": 0, "max_iter": 20}


def neighbours_only(X, perplexity, k):
    """p_{j|i} over the k nearest, by plain loops."""
    P = np.zeros((len(X), len(X)))
    for i in range(len(X)):
        D = np.array([naive.squared_distance(X[i], x) for x in X])
        D[i] = np.inf
        nearest = np.argsort(D)[:k]
        P[i, nearest] = naive.row_given_perplexity(D[nearest], perplexity)
    return P


# ------------------------------------------------------------------ neighbours only
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


def test_new_points_among_neighbours():
    tsne = ExactTSNE(affinities="neighbors", random_state=0).fit(DIGITS[:1200])
    assert_array_equal(tsne.transform(DIGITS[:50]), tsne.embedding_[:50])
    new = tsne.transform(DIGITS[1200:])
    classifier = KNeighborsClassifier(5).fit(tsne.embedding_, TRUTH[:1200])
    assert classifier.score(new, TRUTH[1200:]) >= 0.95
    one = tsne.transform(DIGITS[1300:1301])
    assert_allclose(one, new[100:101], rtol=1e-6, atol=1e-6)


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


@pytest.mark.slow  # pynndescent compiles for half a minute
def test_approximate_neighbours_of_many_points(monkeypatch):
    pynndescent = pytest.importorskip("pynndescent")
    settings = {"affinities": "neighbors", "random_state": 0, "max_iter": 150}
    exact = ExactTSNE(**settings).fit(DIGITS[:1200])
    monkeypatch.setattr("skdec.tsne._neighbors.APPROXIMATE_FROM", 1000)
    built = []

    class Recorded(pynndescent.NNDescent):
        def __init__(self, *arguments, **named):
            built.append(self)
            super().__init__(*arguments, **named)

    monkeypatch.setattr(pynndescent, "NNDescent", Recorded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pynndescent's own
        found = ExactTSNE(**settings).fit(DIGITS[:1200])
        new = found.transform(DIGITS[1200:1300])
    assert len(built) == 1
    # few are missed, and what is missed is counted
    assert found.truncated_mass_ < exact.truncated_mass_ + 0.02
    classifier = KNeighborsClassifier(5).fit(found.embedding_, TRUTH[:1200])
    assert classifier.score(new, TRUTH[1200:1300]) > 0.9


def test_metrics_that_approximate_search_does_not_take():
    assert not known_to_pynndescent(sparse.eye(3).tocsr(), "euclidean")
    assert not known_to_pynndescent(IRIS, lambda a, b: 0.0)
    assert not known_to_pynndescent(IRIS, "precomputed")


def test_a_point_that_was_not_found_among_its_own_neighbours():
    # as approximate search may return: rows with and without the point itself
    columns = np.array([[0, 2, 1], [2, 0, 3], [2, 1, 0], [3, 0, 1]])
    distances = np.array([[0.0, 1, 2], [1, 2, 3], [0, 4, 5], [0, 6, 7]])
    D, chosen = besides_itself(Found(distances, columns), np.arange(4), -1)
    assert_array_equal(chosen, [[2, 1], [2, 0], [1, 0], [0, 1]])
    assert_array_equal(D, [[1, 2], [1, 2], [4, 5], [6, 7]])


# ------------------------------------------------------------------- sparse input
@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array,
                                       sparse.coo_matrix])  # fmt: skip
def test_sparse_rows_are_dense_rows(metric, container, affinities):
    X = np.where(DIGITS[:150] > 6, DIGITS[:150], 0.0)
    X *= np.random.default_rng(0).uniform(1, 1.01, X.shape)  # no ties
    X[7] = X[3]
    settings = {"metric": metric, "affinities": affinities, "init": "random", **SHORT}
    dense = ExactTSNE(**settings).fit(X)
    S = container(X)
    found = ExactTSNE(**settings).fit(S)
    scale = np.abs(dense.embedding_).max()
    assert_allclose(found.embedding_, dense.embedding_, rtol=1e-3, atol=0.05 * scale)
    assert_array_equal(found.embedding_[7], found.embedding_[3])
    assert_array_equal(found.transform(S), found.embedding_)
    new = np.where(DIGITS[150:160] > 6, DIGITS[150:160], 0.0)
    found.embedding_ = dense.embedding_
    assert_allclose(found.transform(container(new)), dense.transform(new), atol=1e-4)


def test_sparse_rows_start_at_their_principal_components():
    X = np.where(DIGITS[:150] > 6, DIGITS[:150], 0.0)
    dense = principal_components(X, 2, 0)
    assert_allclose(principal_components(sparse.csr_array(X), 2, 0), dense, atol=1e-10)
    narrow = principal_components(sparse.csr_array(X[:, 20:22]), 2, 0)
    assert_allclose(narrow, principal_components(X[:, 20:22], 2, 0), atol=1e-10)


def test_sparse_input_is_left_alone():
    S = sparse.random(100, 30, 0.2, format="csr", random_state=0)
    before = S.copy()
    ExactTSNE(**SHORT).fit(S).transform(S[:5])
    assert (before != S).nnz == 0


def test_near_duplicates_among_sparse_rows():
    # the expanded form ‖a‖² + ‖b‖² − 2a·b would leave nothing of their distance
    X = np.random.default_rng(0).normal(size=(20, 6)) * (np.arange(6) < 4)
    X = np.vstack([X, X * (1 + 1e-7)])
    distances = SquaredDistances(sparse.csr_array(X))
    D = distances.between(distances.rows) * distances.unit**2
    expected = [naive.squared_distance(X[i], X[i + 20]) for i in range(20)]
    assert_allclose(D[np.arange(20), np.arange(20) + 20], expected, rtol=1e-6)


def test_metric_that_takes_no_sparse_rows():
    with pytest.raises((TypeError, ValueError), match="sparse"):
        ExactTSNE(metric="chebyshev", init="random").fit(sparse.eye(50).tocsr())


# ------------------------------------------------------------ precomputed neighbours
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
        ExactTSNE(metric="precomputed", init="random").fit(D)
    with pytest.raises(ValueError, match="square distance matrix"):
        graph.fit(D[:30])
    with pytest.raises(ValueError, match="Negative values"):
        graph.fit(-D)
    few = KNeighborsTransformer(n_neighbors=5).fit_transform(IRIS[:40])
    with pytest.raises(ValueError, match="neighbors per samples are required"):
        graph.fit(few)


# ------------------------------------------------------------------------- starts
def test_principal_components_have_their_order_signs_and_scale(rng):
    X = rng.normal(size=(80, 5)) * [5, 3, 1, 1, 1]
    start = principal_components(X, 3, 0)
    assert_allclose(start[:, 0].std(), 1e-4)
    assert start[:, 0].std() > start[:, 1].std() > start[:, 2].std()
    order = rng.permutation(80)
    assert_allclose(principal_components(X[order], 3, 0), start[order], atol=1e-12)


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("metric", ["euclidean", "precomputed"])
def test_spectral_start_tells_clusters_apart(n, metric):
    X, labels = make_blobs(n, 6, centers=3, cluster_std=1.5, random_state=0)
    given = pairwise_distances(X) if metric == "precomputed" else X
    settings = {
        "metric": metric,
        "init": "spectral",
        "perplexity": 12,
        "max_iter": 1,
        "random_state": 0,
    }
    # after one step from 1e-4 the map still is its start
    map_ = ExactTSNE(learning_rate=1e-9, **settings).fit_transform(given)
    assert_allclose(map_[:, 0].std(), 1e-4, rtol=1e-3)
    assert KNeighborsClassifier(5).fit(map_, labels).score(map_, labels) > 0.95
    again = ExactTSNE(learning_rate=1e-9, **settings).fit_transform(given)
    assert_array_equal(again, map_)


def test_principal_components_of_distances_fall_back():
    D = pairwise_distances(IRIS)
    with pytest.warns(UserWarning, match="init='spectral' is used instead"):
        found = ExactTSNE(metric="precomputed", **SHORT).fit_transform(D)
    asked = ExactTSNE(metric="precomputed", init="spectral", **SHORT).fit_transform(D)
    assert_array_equal(found, asked)


def test_spectral_start_of_few_and_of_equal_points():
    assert np.isfinite(
        ExactTSNE(5, init="spectral", **SHORT).fit_transform(IRIS[:3])
    ).all()


# ----------------------------------------------------------------------- progress
def test_verbose_lines(capsys):
    ExactTSNE(verbose=1, max_iter=100, tol=0).fit(IRIS)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[t-SNE] ") for line in lines)
    text = "\n".join(lines)
    for piece in ("pairwise distances", "Computed conditional probabilities",
                  "Mean sigma: ", "Iteration 50 (early exaggeration): error = ",
                  "Iteration 100: error = ", "gradient norm = "):  # fmt: skip
        assert piece in text
    ExactTSNE(max_iter=100).fit(IRIS)
    assert capsys.readouterr().out == ""


def test_mean_sigma_is_in_the_units_of_the_data(capsys):
    for scale in (1.0, 1000.0):
        ExactTSNE(verbose=1, max_iter=1, sigma=2.0 * scale).fit(IRIS * scale)
        assert f"Mean sigma: {2 * scale:g}" in capsys.readouterr().out


def test_callback_sees_the_fit():
    seen = []

    def watch(n_iter, kl, embedding):
        seen.append((n_iter, kl, embedding.copy()))
        embedding[:] = np.nan  # it is the callback's own

    tsne = ExactTSNE(callback=watch, max_iter=120, tol=0, random_state=0).fit(IRIS)
    assert [n_iter for n_iter, _, _ in seen] == [50, 100, 120]
    assert seen[-1][1] == tsne.kl_divergence_
    assert_array_equal(seen[-1][2], tsne.embedding_)
    plain = ExactTSNE(max_iter=120, tol=0, random_state=0).fit(IRIS)
    assert_array_equal(plain.embedding_, tsne.embedding_)


@pytest.mark.parametrize("stop_at", [50, 150])
def test_callback_stops_the_fit(stop_at):
    calls = []

    def stop(n_iter, kl, embedding):
        calls.append(n_iter)
        return n_iter >= stop_at

    tsne = ExactTSNE(callback=stop, tol=0, random_state=0).fit(IRIS)
    assert tsne.n_iter_ == stop_at == calls[-1]
    P = skdec.joint_affinities(skdec.conditional_affinities(IRIS))
    kl = skdec.embedding_loss(tsne.embedding_, P)[0]
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-4)


class Recorder:
    """A callback of scikit-learn's protocol."""

    def __init__(self, stop_at=None):
        self.stop_at, self.events, self.maps = stop_at, [], []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name, context.max_subtasks))

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.events.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.events.append(("end", context.task_name, context.task_id))
        if context.task_name == "iteration":
            self.maps.append(fitted_estimator.transform(IRIS))
            return self.stop_at is not None and context.task_id + 1 >= self.stop_at

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name, context.max_subtasks))


def test_callbacks_of_scikit_learn():
    pytest.importorskip("sklearn.callback")
    recorder = Recorder()
    tsne = ExactTSNE(max_iter=6, random_state=0).set_callbacks(recorder)
    tsne.fit(IRIS)
    assert recorder.events[0] == ("setup", "fit", 6)
    assert recorder.events[1] == ("begin", "fit", 0)
    assert recorder.events[-2][:2] == ("end", "fit")
    assert recorder.events[-1][0] == "teardown"
    steps = [e for e in recorder.events if e[1] == "iteration"]
    assert steps == [(w, "iteration", t) for t in range(6) for w in ("begin", "end")]
    assert_array_equal(recorder.maps[-1], tsne.embedding_)
    stopped = ExactTSNE(max_iter=60, random_state=0).set_callbacks(Recorder(stop_at=4))
    assert stopped.fit(IRIS).n_iter_ == 4
    failing = ExactTSNE(perplexity=10**6).set_callbacks(recorder)
    recorder.events.clear()
    with pytest.raises(ValueError, match="perplexity"):
        failing.fit(IRIS)
    plain = ExactTSNE(max_iter=6, random_state=0).fit(IRIS)
    assert_array_equal(plain.embedding_, tsne.embedding_)


def test_progress_bar_of_scikit_learn(capsys):
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    tsne = ExactTSNE(max_iter=6).set_callbacks(callback.ProgressBar())
    tsne.fit(IRIS)
    assert "ExactTSNE" in capsys.readouterr().out


# ---------------------------------------------------------------- data hard to measure
@pytest.mark.parametrize("normalization", ["joint", "conditional"])
def test_a_metric_that_is_not_symmetric(normalization):
    """Row i of P is made of the distances from i, whatever those to it."""

    def uphill(a, b):
        return float(np.abs(a - b).sum() * (2 if a[0] < b[0] else 1))

    X = IRIS[:50]
    D = np.array([[uphill(a, b) for b in X] for a in X])
    P = np.array(
        [
            naive.row_given_perplexity(np.square(np.delete(row, i)), 10)
            for i, row in enumerate(D)
        ]
    )
    P = np.array([np.insert(row, i, 0) for i, row in enumerate(P)])
    tsne = ExactTSNE(
        metric=uphill, normalization=normalization, perplexity=10, max_iter=100,
        precision="double", init="random", random_state=0,
    ).fit(X)  # fmt: skip
    if normalization == "joint":
        P = naive.joint_affinities(P)
    kl = naive.embedding_kl(tsne.embedding_, P, 1.0, "student_t", normalization)
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-6)


@pytest.mark.parametrize("affinities", ["exact", "neighbors"])
def test_one_row_far_away_leaves_the_others_their_neighbours(affinities):
    X = np.random.RandomState(0).randn(200, 5)
    far = X.copy()
    far[0] = 1e12
    kept = []
    for rows in (X, far):
        Y = ExactTSNE(affinities=affinities, random_state=0).fit_transform(rows)
        kept.append(trustworthiness(X[1:], Y[1:]))
    assert kept[1] > kept[0] - 0.02


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_a_large_constant_column_changes_no_start(container):
    X = DIGITS[:200]
    beside = np.column_stack([X, np.full(200, 1e15)])
    starts = [
        principal_components(container(rows), 2, np.random.RandomState(0))
        for rows in (X, beside)
    ]
    assert_allclose(*starts, atol=1e-9)


def test_a_column_far_from_zero_keeps_its_variance_in_the_start():
    X = np.random.RandomState(0).randn(200, 4) * [8, 4, 1, 1]
    starts = [principal_components(X + offset, 2, 0) for offset in (0.0, 1e10)]
    assert_allclose(*starts, atol=1e-3 * np.abs(starts[0]).max())


def test_new_rows_that_the_map_has_no_place_for_are_counted():
    """Noise whose neighbours are all over the map, beyond twice its radius."""
    tsne = ExactTSNE(random_state=0).fit(DIGITS[:800])
    noise = np.random.RandomState(0).uniform(0, 16, (200, 64))
    with pytest.warns(ConvergenceWarning, match="found no place in the map") as caught:
        placed = tsne.transform(noise)
    center = tsne.embedding_.mean(axis=0)
    away = np.linalg.norm(placed - center, axis=1)
    radius = np.linalg.norm(tsne.embedding_ - center, axis=1).max()
    told = int(str(caught[0].message).split()[0])
    assert 0 < (away > 2 * radius).sum() <= told < 20
