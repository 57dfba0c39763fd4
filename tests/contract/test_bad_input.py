"""Bad input: one clear ValueError that names the argument, before any work starts."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import skdec
from skdec import ExactTSNE, StudentTClustering

X = np.random.default_rng(0).normal(size=(20, 3))
NAN, INF = X.copy(), X.copy()
NAN[3, 1], INF[3, 1] = np.nan, np.inf
D = np.abs(X[:, :1] - X[:, 0])
# of the shapes and sums that are wanted; nothing is computed, and compiled, on import
P = (1 - np.eye(20)) / 19
Q = np.full((20, 4), 0.25)

ARRAYS = {
    "NaN": (NAN, "NaN"),
    "infinity": (INF, "infinity"),
    "1-D": (X[:, 0], "2D array"),
    "empty": (np.empty((0, 3)), "0 sample"),
    "no columns": (np.empty((20, 0)), "0 feature"),
    "complex": (X + 1j, "Complex data not supported"),
    "3-D": (X[None], "dim 3"),
    "masked": (np.ma.masked_greater(X, 1), "must have no masked entries; got"),
}
# no estimator may reach its loops before it complains
ESTIMATORS = [ExactTSNE(max_iter=10**9), StudentTClustering(max_iter=10**9)]


@pytest.mark.parametrize("bad, message", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["tsne", "clustering"])
def test_estimators_refuse_arrays(estimator, bad, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(bad)
    for fitted in (ExactTSNE(max_iter=2), StudentTClustering(2)):
        fitted.fit(X)
        for method in ("transform", "predict", "predict_proba", "score"):
            if hasattr(fitted, method):
                with pytest.raises(ValueError, match=message):
                    getattr(fitted, method)(bad)


FUNCTIONS = {
    "soft_assignment Z": (lambda a: skdec.soft_assignment(a, X), "Z"),
    "soft_assignment centers": (lambda a: skdec.soft_assignment(X, a), "centers"),
    "target_distribution": (skdec.target_distribution, "Q"),
    "kl_divergence P": (lambda a: skdec.kl_divergence(a, Q), "P"),
    "kl_divergence Q": (lambda a: skdec.kl_divergence(Q, a), "Q"),
    "clustering_loss Z": (lambda a: skdec.clustering_loss(a, X), "Z"),
    "clustering_loss centers": (lambda a: skdec.clustering_loss(X, a), "centers"),
    "clustering_loss P": (lambda a: skdec.clustering_loss(X, X[:4], P=a), "P"),
    "conditional_affinities": (skdec.conditional_affinities, "X"),
    "joint_affinities": (skdec.joint_affinities, "P_conditional"),
    "embedding_loss Y": (lambda a: skdec.embedding_loss(a, P / 20), "Y"),
    "embedding_loss P": (lambda a: skdec.embedding_loss(X, a), "P"),
}


@pytest.mark.parametrize("call, name", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("kind", ["NaN", "infinity"])
def test_functions_refuse_arrays(call, name, kind):
    bad, message = ARRAYS[kind]
    with pytest.raises(ValueError, match=f"Input {name} contains {message}"):
        call(bad)
    for other in ("1-D", "empty", "3-D", "masked"):
        bad, message = ARRAYS[other]
        with pytest.raises(ValueError, match=message) as caught:
            call(bad)
        assert name in str(caught.value).split(":")[0].split()


HIDDEN = np.ma.masked_array(np.ones(20), mask=[1] + 19 * [0])
MASKED = {
    "fixed": lambda: ExactTSNE(init=X[:, :2]).fit(X, fixed=HIDDEN.astype(bool)),
    "init": lambda: StudentTClustering(
        3, init=np.ma.masked_array(X[:3], mask=np.eye(3))
    ).fit(X),
    "perplexity": lambda: ExactTSNE(perplexity=HIDDEN).fit(X),
    "indices": lambda: skdec.neighbors_graph(HIDDEN[:, None], np.ones((20, 1))),
    "distances": lambda: skdec.neighbors_graph(np.ones((20, 1), int), HIDDEN[:, None]),
}


@pytest.mark.parametrize("name", MASKED)
def test_masked_parameters_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must have no masked entries"):
        MASKED[name]()


PARAMETERS = [
    (ExactTSNE(perplexity=20), r"perplexity \(20\) must be less than n_samples \(20\)"),
    (ExactTSNE(perplexity=[5, 25]), r"perplexity \(25\) must be less"),
    (ExactTSNE(perplexity=0.5), "perplexity"),
    (ExactTSNE(perplexity=[]), "perplexity"),
    (ExactTSNE(perplexity="many"), "perplexity"),
    (ExactTSNE(perplexity=["a", "b"]), "perplexity must be a number"),
    (ExactTSNE(metric="mahalanobis", metric_params=None), "invertible covariance"),
    (ExactTSNE(init=X[:, :2] * 1e20), r"init must have shape .* values up to 1e\+15"),
    (ExactTSNE(n_components=0), "n_components"),
    (ExactTSNE(n_components=1.5), "n_components"),
    (ExactTSNE(dof=0), "dof"),
    (ExactTSNE(dof=-1.0), "dof"),
    (ExactTSNE(dof=np.nan), "dof"),
    (ExactTSNE(dof=np.inf), "dof"),
    (ExactTSNE(sigma=0.0), "sigma"),
    (ExactTSNE(early_exaggeration=0.5), "early_exaggeration"),
    (ExactTSNE(learning_rate=0), "learning_rate"),
    (ExactTSNE(max_iter=0), "max_iter"),
    (ExactTSNE(metric="euclidian"), "metric"),
    (ExactTSNE(init="spectre"), "init"),
    (ExactTSNE(init=X), r"init must have shape \(20, 2\)"),
    (ExactTSNE(init=NAN[:, :2]), "Input init contains NaN"),
    (ExactTSNE(precision="half"), "precision"),
    (ExactTSNE(n_jobs=1.5), "n_jobs"),
    (ExactTSNE(kernel="cauchy"), "kernel"),
    (ExactTSNE(normalization="rows"), "normalization"),
    (ExactTSNE(affinities="some"), "affinities"),
    (ExactTSNE(exaggeration=0), "exaggeration"),
    (ExactTSNE(exaggeration=1e300), "exaggeration"),
    (ExactTSNE(early_exaggeration=1e39), "early_exaggeration"),
    (ExactTSNE(tol=-1.0), "tol"),
    (ExactTSNE(callback=3), "callback"),
    (StudentTClustering(21), r"n_clusters \(21\) must not exceed n_samples \(20\)"),
    (StudentTClustering(0), "n_clusters"),
    (StudentTClustering(dof=0), "dof"),
    (StudentTClustering(bandwidth=-1.0), "bandwidth"),
    (StudentTClustering(bandwidth="wide"), "bandwidth"),
    (StudentTClustering(init="k-means"), "init"),
    (StudentTClustering(3, init=X[:4]), r"init must have shape \(3, 3\)"),
    (StudentTClustering(4, init=X[:4, :2]), r"init must have shape \(4, 3\)"),
    (StudentTClustering(4, init=NAN[:4]), "Input init contains NaN"),
    (StudentTClustering(4, init=lambda X, k, random_state: X), "init must have shape"),
    (StudentTClustering(n_init=0), "n_init"),
    (StudentTClustering(max_iter=0), "max_iter"),
    (StudentTClustering(tol=-1.0), "tol"),
    (StudentTClustering(update_interval=0), "update_interval"),
]


@pytest.mark.parametrize("estimator, message", PARAMETERS)
def test_estimators_refuse_parameters(estimator, message):
    metric = estimator.get_params().get("metric")
    # collinear columns for the one metric that minds
    fitted = {"precomputed": D, "mahalanobis": X[:, [0, 0]]}.get(metric, X)
    with pytest.raises(ValueError, match=message):
        estimator.fit(fitted)


CALLS = [
    (lambda: skdec.soft_assignment(X, X, dof=0), "dof"),
    (lambda: skdec.soft_assignment(X, X[:, :2]), "centers must have as many columns"),
    (lambda: skdec.soft_assignment(X * 1e200, X), "Z and centers must stay below"),
    (lambda: skdec.target_distribution(X), "Q must be non-negative"),
    (lambda: skdec.target_distribution(Q / 2), "every row of Q must sum to 1"),
    (lambda: skdec.kl_divergence(Q, Q[:5]), r"P must have shape \(5, 4\)"),
    (lambda: skdec.kl_divergence(Q, -Q), "Q must be non-negative"),
    (lambda: skdec.kl_divergence(-Q, Q), "P must be non-negative"),
    (lambda: skdec.clustering_loss(X, X, P=Q), r"P must have shape \(20, 20\)"),
    (lambda: skdec.clustering_loss(X, X[:4], P=Q, through_target=True), "P=None"),
    (lambda: skdec.conditional_affinities(X, perplexity=20), "must be less than"),
    (lambda: skdec.conditional_affinities(X, perplexity=[[2]]), "perplexity"),
    (lambda: skdec.conditional_affinities(X, sigma=-1), "sigma"),
    (lambda: skdec.conditional_affinities(X, metric="euclidian"), "metric"),
    (lambda: skdec.conditional_affinities(X[:1]), "minimum of 2 is required"),
    (lambda: skdec.joint_affinities(P[:5]), "P_conditional must have shape"),
    (lambda: skdec.joint_affinities(P / 2), "must sum to 1"),
    (lambda: skdec.embedding_loss(X, P), "all of P must sum to 1"),
    (lambda: skdec.embedding_loss(X, P / 20, normalization="conditional"), "every row"),
    (lambda: skdec.embedding_loss(X[:5], P / 20), r"P must have shape \(5, 5\)"),
    (lambda: skdec.embedding_loss(X, csr_matrix(P)), "all of P must sum to 1"),
    (lambda: skdec.embedding_loss(X, csr_matrix(-P)), "P must be non-negative"),
    (lambda: skdec.embedding_loss(X, csr_matrix(np.eye(20) / 20)), "zero diagonal"),
    (lambda: skdec.embedding_loss(X, np.full((20, 20), 1 / 400)), "zero diagonal"),
    (lambda: skdec.embedding_loss(X, P / 20, kernel="cauchy"), "kernel"),
    (lambda: skdec.embedding_loss(X, P / 20, normalization="row"), "normalization"),
    (lambda: skdec.embedding_loss(X, P / 20, dof=0), "dof"),
    (lambda: skdec.embedding_loss(X, P / 20, repulsion="fft"), "repulsion"),
    (lambda: skdec.embedding_loss(X, P / 20, repulsion="grid"), "a sparse P"),
]


@pytest.mark.parametrize("call, message", CALLS)
def test_functions_refuse_parameters(call, message):
    with pytest.raises(ValueError, match=message):
        call()


ASYMMETRIC, NEGATIVE, DIAGONAL = D.copy(), D.copy(), D.copy()
ASYMMETRIC[2, 5] += 1
NEGATIVE[2, 5] = NEGATIVE[5, 2] = -1
DIAGONAL[4, 4] = 1


@pytest.mark.parametrize(
    "bad, message",
    [
        (X, "square distance matrix"),
        (NEGATIVE, "Negative values in data passed to X"),
        (ASYMMETRIC, "X must be symmetric"),
        (DIAGONAL, "X must have a zero diagonal"),
    ],
)
def test_precomputed_distances_are_checked(bad, message):
    with pytest.raises(ValueError, match=message):
        ExactTSNE(metric="precomputed", init="random").fit(bad)
    with pytest.raises(ValueError, match=message):
        skdec.conditional_affinities(bad, perplexity=5, metric="precomputed")


def test_new_precomputed_distances_are_checked():
    tsne = ExactTSNE(metric="precomputed", init="random", max_iter=5).fit(D)
    with pytest.raises(ValueError, match="Negative values"):
        tsne.transform(-D[:3] - 1)
    with pytest.raises(ValueError, match="expecting 20 features"):
        tsne.transform(D[:3, :7])


def test_metrics_that_give_no_distances():
    with pytest.raises(ValueError, match="All distances should be positive"):
        ExactTSNE(metric=lambda a, b: -1.0, max_iter=5).fit(X)


@pytest.mark.parametrize(
    "weight, message",
    [
        (np.full(20, -1.0), "Negative values"),
        (np.zeros(20), "sample_weight must have a positive entry"),
        (np.ones(19), "sample_weight.shape"),
        (np.full(20, np.nan), "sample_weight"),
        (np.full(20, 1e307), r"sample_weight must have a sum of at most 1e\+307"),
        (["a"] * 20, "^sample_weight: could not convert"),
        (np.ma.masked_less(np.arange(20.0), 2), "sample_weight must have no masked"),
    ],
)
def test_weights_are_checked(weight, message):
    fitted = StudentTClustering(3).fit(X)
    for call in (
        lambda: StudentTClustering(3, max_iter=10**9).fit(X, sample_weight=weight),
        lambda: fitted.score(X, sample_weight=weight),
        lambda: skdec.clustering_loss(X, X[:2], sample_weight=weight),
        lambda: skdec.target_distribution(Q, sample_weight=weight),
        lambda: skdec.kl_divergence(Q, Q, sample_weight=weight),
    ):
        with pytest.raises(ValueError, match=message):
            call()
