"""The claims of the gallery's examples on clustering, from one run of each.

They need the extra ``plot``, and so are not in the plain test line.
"""

from functools import cache

import numpy as np
import pytest

from skdec.plotting import match_labels
from tests.docs.gallery import cut_off, run_example

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

pytestmark = pytest.mark.gallery

run = cache(run_example)

NAMES = [
    "plot_choosing_k",
    "plot_clustering_parameters",
    "plot_convergence",
    "plot_convolutional_encoder",
    "plot_dask",
    "plot_deep_clustering",
    "plot_grid_search",
    "plot_memberships",
    "plot_outliers_and_density",
    "plot_streaming",
    "plot_uneven_clusters",
]
NEEDS = {
    "plot_convolutional_encoder": "torch",
    "plot_dask": "distributed",
    "plot_deep_clustering": "torch",
}


@pytest.fixture
def example(request):
    """One run of the example that a test names, for all tests of it."""
    name = request.param
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason="needs an extra")
    if NEEDS.get(name) == "torch":
        request.getfixturevalue("one_torch_thread")
    return run(name)


def of(name):
    return pytest.mark.parametrize("example", [name], indirect=True)


@pytest.mark.parametrize("example", NAMES, indirect=True)
def test_figures_are_drawn_and_nothing_is_cut_off(example):
    assert example.figures
    assert max(map(cut_off, example.figures)) < 0.02
    assert example.printed


@of("plot_uneven_clusters")
def test_ours_finds_small_clusters_and_a_mixture_wide_ones(example):
    sizes, spreads = example.names["agreement"].values()
    assert sizes["StudentTClustering"] > 0.98
    assert sizes["KMeans"] < 0.4
    assert sizes["GaussianMixture"] > 0.98
    assert spreads["KMeans"] < spreads["StudentTClustering"]
    assert spreads["StudentTClustering"] < spreads["GaussianMixture"]


@of("plot_uneven_clusters")
def test_the_film_goes_from_the_start_to_what_was_found(example):
    names = example.names
    assert names["picture"].startswith(b"GIF8")
    assert "data:image/gif;base64," in names["Film"]()._repr_html_()
    passes = names["model"].n_iter_
    # GIF joins frames that are alike: those of the end
    assert passes // 4 < len(names["frames"]) <= 2 + passes // 2
    title = "2,000 / 200 / 50 rows"
    matched = match_labels(names["model"].labels_, names["y"])
    np.testing.assert_array_equal(matched, names["found"][title]["StudentTClustering"])
    # labels settle long before the centroids, which end away from the means
    changes = names["model"].history_["label_changes"]
    assert np.flatnonzero(changes).max() < passes / 2
    model, middle = names["model"], names["X"].mean(axis=0)
    out, mean = (
        np.linalg.norm(places - middle, axis=1)
        for places in (model.cluster_centers_, model.cluster_means_)
    )
    assert out.sum() > mean.sum()


@of("plot_choosing_k")
@pytest.mark.parametrize(
    "title", ["three blobs in the plane", "eight blobs in 20 dimensions"]
)
def test_a_grid_search_finds_the_blobs(example, title):
    true, *_ = example.names["DATA"][title]
    chosen = {
        name: example.names["searches"][title, name].best_params_["n_clusters"]
        for name in example.names["METHODS"]
    }
    assert chosen["StudentTClustering"] == true
    assert chosen["KMeans"] >= 12


@of("plot_choosing_k")
def test_a_grid_search_on_the_map_of_the_digits(example):
    key = "the digits on a t-SNE map", "StudentTClustering"
    search = example.names["searches"][key]
    assert 8 <= search.best_params_["n_clusters"] <= 12
    # the peak is flat
    scores = dict(
        zip(example.names["GRID"], search.cv_results_["mean_test_score"], strict=True)
    )
    assert scores[10] > search.best_score_ - 0.03
    assert example.names["warned"][key] == 0


@of("plot_choosing_k")
def test_a_grid_search_takes_distant_pairs_for_one(example):
    title = "six blobs in three distant pairs"
    true, *_ = example.names["DATA"][title]
    search = example.names["searches"][title, "StudentTClustering"]
    assert true == 6
    assert search.best_params_["n_clusters"] == 3


def compared(example, title):
    results = example.names["results"][title]
    return [results[m] for m in ("StudentTClustering", "KMeans", "GaussianMixture")]


@of("plot_memberships")
def test_outliers_cost_student_t_the_least(example):
    ours, kmeans, mixture = compared(example, "blobs, outliers within 20")
    assert ours["right"] >= 0.98
    assert ours["right"] > max(kmeans["right"], mixture["right"]) + 0.01
    assert ours["AUC"] >= 0.9  # its memberships tell right rows from wrong ones


@of("plot_memberships")
def test_a_mixture_wins_on_unequal_blobs(example):
    ours, kmeans, mixture = compared(example, "blobs of unequal size and spread")
    assert mixture["right"] >= 0.97 > 0.96 >= ours["right"] > kmeans["right"] + 0.03
    assert mixture["ECE"] < ours["ECE"] < kmeans["ECE"]


@of("plot_memberships")
def test_on_digits_labels_are_those_of_kmeans_but_graded(example):
    ours, kmeans, mixture = compared(example, "digits on 10 components")
    assert abs(ours["right"] - kmeans["right"]) <= 0.05
    assert mixture["ARI"] > ours["ARI"]
    assert ours["ECE"] < mixture["ECE"]
    assert ours["AUC"] > mixture["AUC"] > kmeans["AUC"] == 0.5


@of("plot_memberships")
def test_claims_and_truth_are_those_said(example):
    for title, claimed, right in [
        ("blobs, outliers within 20", 0.82, 0.99),
        ("digits on 10 components", 0.80, 0.76),
    ]:
        ours, _, _ = compared(example, title)
        assert ours["claimed"] == pytest.approx(claimed, abs=0.015)
        assert ours["right"] == pytest.approx(right, abs=0.015)
    _, _, mixture = compared(example, "digits on 10 components")
    assert mixture["claimed"] == pytest.approx(0.99, abs=0.015)
    assert mixture["right"] == pytest.approx(0.78, abs=0.015)
    results = example.names["results"]
    one_more = {
        title: r["GaussianMixture, k + 1"]["right"] for title, r in results.items()
    }
    assert one_more["blobs, outliers within 20"] > 0.98
    assert one_more["blobs of unequal size and spread"] < 0.75
    assert one_more["digits on 10 components"] > mixture["right"] + 0.02


@of("plot_memberships")
def test_divided_digits_lie_between_two_clusters(example):
    q, divided = example.names["graded"], example.names["divided"]
    np.testing.assert_allclose(q.sum(axis=1), 1)
    two = np.sort(q[divided], axis=1)[:, -2:]
    assert np.all(two[:, 1] - two[:, 0] < 0.05)
    # clusters have the numbers of the digits they match
    y = example.names["digits"].target
    assert np.mean(q.argmax(axis=1) == y) > 0.7


@of("plot_memberships")
def test_calibration_error(example):
    calibration_error = example.names["calibration_error"]
    right = np.array([True, True, True, False])
    assert calibration_error(np.full(4, 0.75), right) == 0
    assert calibration_error(np.ones(4), right) == 0.25
    sure = np.array([1.0, 1.0, 0.55, 0.55])
    assert calibration_error(sure, right) == pytest.approx(0.025)


@of("plot_streaming")
def test_clusters_of_a_stream_keep_their_numbers(example):
    right = example.names["right"]
    assert right["partial_fit"].min() > 0.85
    assert right["the first batch's clusters"][-1] < 0.5
    assert right["found anew"][-10:].mean() < 0.7


@of("plot_outliers_and_density")
def test_density_finds_rows_far_from_all(example):
    found_by = example.names["found_by"]
    assert found_by["density"] > 0.95
    assert found_by["density"] > found_by["entropy"] + 0.1
    assert found_by["density"] > found_by["membership"] + 0.1


@of("plot_outliers_and_density")
def test_most_strange_digits_are_sevens_and_many_divided_ones_eights(example):
    written = example.names["digits"].target
    _, far, between = (rows for rows, _ in example.names["picked"].values())
    assert np.sum(written[far] == 7) > 5
    assert np.sum(written[between] == 8) > 3


@of("plot_clustering_parameters")
def test_a_wider_bandwidth_and_fewer_degrees_of_freedom_blur(example):
    models, factors = example.names["models"], example.names["FACTORS"]
    mean = {
        key: model.probabilities_.mean()
        for key, model in models.items()
        if not model.start_kept_
    }
    for dof in example.names["DOFS"]:
        along = [mean[dof, factor] for factor in factors if (dof, factor) in mean]
        assert np.all(np.diff(along) < 0)
    assert mean[0.5, 1] < mean[10, 1]


@of("plot_clustering_parameters")
def test_a_balance_of_one_evens_out_sizes(example):
    uneven = example.names["uneven"]
    smallest = {
        balance: np.bincount(uneven[balance, 1].labels_, minlength=3).min()
        for balance in (0.5, 1.0)
    }
    assert 45 <= smallest[0.5] <= 55
    assert smallest[1.0] > 100


@of("plot_grid_search")
def test_the_search_finds_about_ten_clusters(example):
    search = example.names["search"]
    assert 8 <= search.best_params_["clusters__n_clusters"] <= 12
    assert example.names["reached"] > 0.7
    tables, grid = example.names["tables"], example.names["GRID"]
    for perplexity, row in zip(
        grid["map__perplexity"], tables["silhouette"], strict=True
    ):
        for k, value in zip(grid["clusters__n_clusters"], row, strict=True):
            at = search.cv_results_["params"].index(
                {"map__perplexity": perplexity, "clusters__n_clusters": k}
            )
            assert search.cv_results_["mean_test_silhouette"][at] == value


@of("plot_dask")
def test_shares_of_clusters_in_blocks_are_the_true_ones(example):
    counts, shares = example.names["counts"], example.names["SHARES"]
    np.testing.assert_allclose(np.sort(counts)[::-1] / counts.sum(), shares, atol=0.01)
    assert example.names["agreement"] > 0.9


@of("plot_deep_clustering")
def test_learning_the_embedding_helps_on_the_digits(example):
    accuracy = example.names["accuracy"]
    others = accuracy["clusters of its embedding"], accuracy["k-means on pixels"]
    assert accuracy["both learning (IDEC)"] > max(others) + 0.03


@of("plot_convolutional_encoder")
def test_convolutions_find_more_digits_than_pixels_do(example):
    accuracy = example.names["accuracy"]
    assert accuracy["convolutions, IDEC"] > accuracy["k-means on pixels"] + 0.05
    assert not example.names["model"].start_kept_


@of("plot_convolutional_encoder")
def test_decoded_means_are_images_of_their_clusters(example):
    model, X = example.names["model"], example.names["X"]
    decoded, labels = example.names["means"], model.labels_
    images = np.array([X[labels == j].mean(axis=0) for j in range(10)])
    nearest = np.linalg.norm(decoded[:, None] - images, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, np.arange(10))
