"""Memberships, convergence, reliability, perplexities: what is drawn where."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skdec import ExactTSNE, StudentTClustering
from skdec.diagnostics import PerplexityTable, Reliability, reliability
from skdec.plotting import (
    ConvergenceDisplay,
    EmbeddingDisplay,
    MembershipDisplay,
    PerplexityDisplay,
    ReliabilityDisplay,
    categorical_colors,
)
from skdec.plotting._colors import grey
from skdec.plotting._reliability import COLORS
from tests.plotting.common import assert_looks_like, new_axes, picture, texts

IRIS, TARGETS = load_iris(return_X_y=True)
TABLE = PerplexityTable(
    perplexity=np.array([5.0, 10.0, 40.0, 80.0]),
    kl=np.array([0.9, 0.6, 0.3, 0.2]),
    pbic=np.array([2.0, 1.5, 1.0, 1.2]),
    perturbation=np.array([np.nan] * 4),
    singularity=np.array([50.0, 20.0, 10.0, np.inf]),
    unsettled=np.zeros(4),
    neighbor_recall=np.array([0.5, 0.6, 0.7, 0.65]),
)


@pytest.fixture(scope="module")
def tsne():
    return ExactTSNE(max_iter=160, tol=0, random_state=0).fit(IRIS)


@pytest.fixture(scope="module")
def model():
    return StudentTClustering(3, n_init=4, random_state=0).fit(IRIS)


def outline(area):
    """The area under the outline of a cluster, in rows, and its lowest and highest."""
    (path,) = area.get_paths()
    x, y = path.vertices.T
    # the shoelace formula
    size = abs(np.sum(x * np.roll(y, 1) - np.roll(x, 1) * y)) / 2
    return size, y.min(), y.max()


def test_the_area_of_a_cluster_is_the_sum_of_its_memberships(model):
    Q = model.predict_proba(IRIS)
    display = MembershipDisplay.from_estimator(model, IRIS, ax=new_axes())
    below = 0.0
    for j in range(3):
        own = Q[Q.argmax(axis=1) == j, j]
        size, low, high = outline(display.areas_[j])
        assert size == pytest.approx(own.sum())
        assert (low, high) == (pytest.approx(below), pytest.approx(below + len(own)))
        assert_allclose(display.areas_[j].get_facecolor()[0], categorical_colors(3)[j])
        below = high + 0.015 * 150
        assert f"{j}: {len(own)} (" in display.texts_[f"{j}"].get_text()
    assert_array_equal(display.ambiguous_, Q.max(axis=1) < 0.6)
    share = f"{display.ambiguous_.mean():.1%}"
    assert texts(display.legend_) == [f"below 0.6 rows are ambiguous: {share}"]
    assert_array_equal(display.line_.get_xdata(), [0.6, 0.6])


@pytest.mark.parametrize(("ambiguous", "pale"), [(0.6, 1), (0.75, 2), (0.95, 3)])
def test_each_ambiguous_row_is_pale(ambiguous, pale):
    own = np.array([0.55, 0.7, 0.9])
    Q = np.column_stack([own, 1 - own])
    display = MembershipDisplay.from_arrays(Q, ax=new_axes(), ambiguous=ambiguous)
    drawn = display.ax_.collections[1].get_paths()[0].vertices[:, 1]
    assert np.ptp(drawn) == pale
    assert drawn.min() == display.areas_[0].get_paths()[0].vertices[:, 1].min()


def test_memberships_look_like_bars():
    own = np.array([0.55, 0.7, 0.9, 0.65, 1.0])
    Q = np.column_stack([own, 1 - own])
    Q[3:] = Q[3:, ::-1]
    ours = MembershipDisplay.from_arrays(Q, ax=new_axes(), ambiguous=0.0).ax_
    for artist in (*ours.texts, ours.get_legend(), *ours.lines):
        artist.remove()
    ax, colors = new_axes(), categorical_colors(2)
    ax.barh([0.5, 1.5, 2.5], own[:3], height=1, color=colors[0], linewidth=0)
    ax.barh([3.575, 4.575], own[3:], height=1, color=colors[1], linewidth=0)
    ax.set(
        xlim=(0, 1), ylim=(-0.075, 5.15), yticks=[],
        xlabel="membership in its own cluster", ylabel="5 rows by cluster",
    )  # fmt: skip
    assert_looks_like(ours, ax, tolerance=0.02)


def test_many_rows_have_an_outline_of_few_points(rng):
    own = rng.uniform(0.5, 1, size=20_000)
    display = MembershipDisplay.from_arrays(
        np.column_stack([own, 1 - own]), ax=new_axes(), names=["first", "second"]
    )
    (path,) = display.areas_[0].get_paths()
    assert len(path.vertices) < 5000
    assert outline(display.areas_[0])[0] == pytest.approx(own.sum(), rel=1e-3)
    # the second has no rows
    assert list(display.areas_) == [0]
    assert list(display.texts_) == ["first"]


def test_names_of_clusters_in_a_series_are_by_its_index():
    names = pd.Series(["one", "five"], index=[1, 5])
    display = MembershipDisplay.from_arrays(np.eye(2), ax=new_axes(), names=names)
    assert list(display.texts_) == ["0", "one"]


def test_memberships_that_are_refused_leave_no_figure_open():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    with pytest.raises(ValueError, match="colors must be at least 3"):
        MembershipDisplay.from_arrays(np.eye(3), colors=["red"])
    assert pyplot.get_fignums() == before


def test_memberships_that_are_masked():
    Q = np.ma.masked_greater(np.eye(3), 0.5)
    with pytest.raises(ValueError, match="memberships must have no masked entries"):
        MembershipDisplay.from_arrays(Q, ax=new_axes())


def test_memberships_of_other_estimators_and_sparse_rows(model):
    mixture = GaussianMixture(3, random_state=0).fit(IRIS)
    display = MembershipDisplay.from_estimator(mixture, IRIS, ax=new_axes())
    assert_array_equal(display.memberships, mixture.predict_proba(IRIS))
    rows = sparse.csr_matrix(IRIS)
    display = MembershipDisplay.from_estimator(model, rows, ax=new_axes())
    assert_allclose(display.memberships, model.transform(IRIS), atol=1e-6)
    with pytest.raises(NotFittedError):
        MembershipDisplay.from_estimator(StudentTClustering(), IRIS)
    with pytest.raises(AttributeError, match="predict_proba"):
        MembershipDisplay.from_estimator(KMeans(2, n_init=1).fit(IRIS), IRIS)
    with pytest.raises(ValueError, match="every row of memberships must sum to 1"):
        MembershipDisplay.from_arrays(np.ones((3, 2)), ax=new_axes())
    with pytest.raises(ValueError, match="ambiguous must be from 0 to 1; got 2"):
        MembershipDisplay.from_arrays(np.ones((3, 1)), ax=new_axes(), ambiguous=2)
    with pytest.raises(ValueError, match="names must differ"):
        MembershipDisplay.from_arrays(np.eye(2), ax=new_axes(), names=["a", "a"])
    with pytest.raises(ValueError, match="memberships must make at most 1000 classes"):
        MembershipDisplay.from_arrays(np.eye(1001), ax=new_axes())


def test_memberships_where_the_last_step_alone_tells_how_to_get_them(model):
    rows = sparse.csr_matrix(IRIS)
    one_hot = make_pipeline(
        OneHotEncoder(), StudentTClustering(2, n_init=1, random_state=0)
    ).fit(IRIS[:, 3:])
    assert sparse.issparse(one_hot[0].transform(IRIS[:, 3:]))
    classifier = LogisticRegression().fit(rows, np.arange(150) % 3)
    mixture = make_pipeline(
        TruncatedSVD(2, random_state=0), GaussianMixture(2, random_state=0)
    ).fit(rows)
    search = GridSearchCV(clone(model), {"n_init": [1]}, cv=2).fit(rows)
    for estimator, X, soft in (
        (one_hot, IRIS[:, 3:], one_hot.transform),
        (classifier, rows, classifier.predict_proba),
        (mixture, rows, mixture.predict_proba),
        (search, rows, search.transform),
        (search, IRIS, search.predict_proba),
    ):
        display = MembershipDisplay.from_estimator(estimator, X, ax=new_axes())
        assert_array_equal(display.memberships, soft(X))


def test_convergence_of_a_map(tsne):
    display = ConvergenceDisplay.from_estimator(tsne, ax=new_axes())
    history = tsne.history_
    assert list(display.lines_) == ["kl_divergence", "grad_norm"]
    for name, line in display.lines_.items():
        assert_array_equal(line.get_xdata(), history["n_iter"])
        assert_array_equal(line.get_ydata(), history[name])
    right = display.right_["grad_norm"]
    assert right.get_yscale() == "log"
    assert right.yaxis.get_label_position() == "right"
    assert display.lines_["grad_norm"].axes is right
    # up to the last check with exaggerated affinities
    exaggerated = history["n_iter"][history["exaggeration"] > 1]
    assert display.shade_.get_width() == exaggerated[-1] == 50
    assert texts(display.legend_) == [
        "KL(P‖Q)", "norm of the gradient", "early exaggeration",
    ]  # fmt: skip


def test_convergence_looks_like_two_curves():
    history = {
        "n_iter": [50, 100, 150, 200],
        "kl_divergence": [3.0, 1.5, 1.2, 1.0],
        "grad_norm": [0.3, 0.1, 0.02, 0.004],
        "exaggeration": [12.0, 12.0, 1.0, 1.0],
    }
    ours = ConvergenceDisplay.from_arrays(history, ax=new_axes())
    ours.legend_.remove()
    ax, colors = new_axes(), categorical_colors(2)
    ax.plot(history["n_iter"], history["kl_divergence"], "o-", ms=3, c=colors[0])
    ax.axvspan(0, 100, color=grey(), alpha=0.2, lw=0)
    ax.set_xlabel("iteration")
    ax.set_ylabel("KL(P‖Q), nats", color=colors[0])
    right = ax.twinx()
    right.semilogy(history["n_iter"], history["grad_norm"], "o--", ms=3, c=colors[1])
    right.set_ylabel("norm of the gradient", color=colors[1])
    assert_looks_like(ours.ax_, ax)
    history["grad_norm"] = history["grad_norm"][::-1]
    other = ConvergenceDisplay.from_arrays(history, ax=new_axes())
    other.legend_.remove()
    with pytest.raises(AssertionError):
        assert_looks_like(other.ax_, ax)


def test_convergence_of_a_clustering(model):
    display = ConvergenceDisplay.from_estimator(model, ax=new_axes())
    changes = model.history_["label_changes"]
    drawn = display.lines_["label_changes"].get_ydata()
    # at first all labels are new
    assert np.isnan(drawn[0]) and changes[0] == 1
    assert_array_equal(drawn[1:], changes[1:])
    assert (changes == 0).any()
    assert_array_equal(
        display.lines_["label_changes"].get_xdata(), model.history_["n_iter"]
    )
    assert display.ax_.get_xlabel() == "pass"
    right = display.right_["label_changes"]
    assert right.get_yscale() == "symlog"
    assert right.get_ylim()[0] == 0
    assert display.shade_ is None
    picture(display.ax_)


@pytest.mark.parametrize("height", [2.0, 6.0])
def test_a_legend_leaves_room_for_a_title_and_the_name_of_the_axis(model, height):
    for display in (
        ConvergenceDisplay.from_estimator(model, ax=new_axes((5, height))),
        MembershipDisplay.from_estimator(model, IRIS, ax=new_axes((5, height))),
    ):
        ax = display.ax_
        ax.set_title("a title")
        picture(ax)
        legend, figure = display.legend_.get_window_extent(), ax.figure.bbox
        for other in (ax.title, ax.xaxis.label, ax.xaxis.get_ticklabels()[0]):
            assert not legend.overlaps(other.get_window_extent())
        assert not legend.overlaps(ax.bbox)
        assert (
            figure.y0 <= legend.y0 and figure.x0 <= legend.x0 < legend.x1 <= figure.x1
        )


def test_ticks_of_shares_are_around_them():
    for share, top in ((1 / 150, 0.01), (0.3, 1.0), (0.01, 0.1)):
        history = {"n_iter": [1, 2, 3], "kl_divergence": [3.0, 2.0, 1.0]}
        history["label_changes"] = [1.0, share, 0.0]
        right = ConvergenceDisplay.from_arrays(history, ax=new_axes()).right_
        ticks = right["label_changes"].get_yticks()
        low, high = right["label_changes"].get_ylim()
        assert low == 0 and share < high
        assert ticks[ticks < high].max() == pytest.approx(top)


def test_convergence_where_little_happens():
    """One cluster, no label that changes, entries within one pass."""
    one = StudentTClustering(1, n_init=1, random_state=0).fit(IRIS)
    right = ConvergenceDisplay.from_estimator(one, ax=new_axes()).right_
    assert right["label_changes"].get_ylim() == (0, 1)
    history = {
        "n_iter": [0, 1, 1, 1, 1, 2, 2, 5],
        "kl_divergence": np.arange(8.0),
        "label_changes": [1.0, *np.full(7, 0.25)],
    }
    display = ConvergenceDisplay.from_arrays(history, ax=new_axes())
    expected = [0, 0.25, 0.5, 0.75, 1, 1.5, 2, 5]
    assert_allclose(display.lines_["kl_divergence"].get_xdata(), expected)
    assert history["label_changes"][0] == 1.0
    # of several fits, one after the other, there is no telling
    history["n_iter"] = [1, 2, 3, 4, 1, 2, 3, 4]
    display = ConvergenceDisplay.from_arrays(history, ax=new_axes())
    assert_array_equal(display.lines_["kl_divergence"].get_xdata(), history["n_iter"])


def test_a_history_with_numbers_that_are_none():
    history = {
        "n_iter": [50, 100, 150, 200],
        "kl_divergence": [np.nan, 2.0, np.inf, 1.0],
        "grad_norm": [np.inf, 0.1, np.nan, 0.01],
    }
    display = ConvergenceDisplay.from_arrays(history, ax=new_axes())
    finite = [False, True, False, True]
    for line in display.lines_.values():
        assert_array_equal(np.isfinite(line.get_ydata()), finite)
    assert display.right_["grad_norm"].get_yscale() == "log"
    assert display.right_["grad_norm"].get_ylim()[1] < 1
    assert history["grad_norm"][0] == np.inf
    picture(display.ax_)


def test_convergence_of_the_last_step_of_a_pipeline():
    steps = make_pipeline(
        ExactTSNE(max_iter=60, random_state=0),
        StudentTClustering(3, n_init=1, random_state=0),
    ).fit(IRIS[::5])
    for estimator, step, label in (
        (steps, steps[1], "pass"),
        (steps[:1], steps[0], "iteration"),
    ):
        display = ConvergenceDisplay.from_estimator(estimator, ax=new_axes())
        assert_array_equal(
            display.lines_["kl_divergence"].get_ydata(), step.history_["kl_divergence"]
        )
        assert display.ax_.get_xlabel() == label


def test_histories_that_are_refused():
    with pytest.raises(NotFittedError):
        ConvergenceDisplay.from_estimator(ExactTSNE())
    with pytest.raises(TypeError, match="KMeans keeps no history_"):
        ConvergenceDisplay.from_estimator(KMeans(2, n_init=1).fit(IRIS))
    with pytest.raises(ValueError, match="history must have 'n_iter' and 'kl_div"):
        ConvergenceDisplay.from_arrays({"n_iter": [1]})
    for kl in ([1.0, 2.0], [[1.0]], []):
        with pytest.raises(ValueError, match="history must have one-dimensional"):
            ConvergenceDisplay.from_arrays(
                {"n_iter": [1][: len(kl)], "kl_divergence": kl}
            )
    # one entry, and no change at all
    one = {"n_iter": [1], "kl_divergence": [0.5], "label_changes": [0.0]}
    picture(ConvergenceDisplay.from_arrays(one, ax=new_axes()).ax_)


def test_scores_over_a_map(tsne):
    rows = np.arange(0, 150, 5)
    display = ReliabilityDisplay.from_estimator(
        tsne, IRIS, rows=rows, n_directions=1, ax=new_axes(), n_jumps=4
    )
    scores = display.scores
    assert_array_equal(scores.rows, rows)
    values = display.map_.values
    assert_array_equal(values[rows], scores.perturbation)
    assert np.isnan(np.delete(values, rows)).all()
    # the largest scores are drawn last, and jump
    drawn = display.map_.points_.get_offsets()
    order = rows[np.argsort(scores.perturbation, kind="stable")]
    assert_allclose(drawn[-30:], tsne.embedding_[order])
    lines = np.array(display.jumps_.get_segments())
    largest = np.argsort(-scores.perturbation)[:4]
    assert_allclose(lines[:, 0], tsne.embedding_[rows[largest]])
    assert_allclose(lines[:, 1], scores.jump[largest])
    assert texts(display.legend_) == ["not scored", "jumps of the 4 largest scores"]
    assert "perturbation" in display.colorbar_.ax.get_ylabel()
    picture(display.ax_)


def test_jumps_are_in_the_components_that_are_drawn(tsne):
    options = {"rows": 20, "n_directions": 1, "random_state": 0, "n_jumps": 4}
    plain, turned = (
        ReliabilityDisplay.from_estimator(
            tsne, IRIS, components=components, ax=new_axes(), **options
        )
        for components in ((0, 1), (1, 0))
    )
    assert_array_equal(
        np.array(turned.jumps_.get_segments()),
        np.array(plain.jumps_.get_segments())[..., ::-1],
    )


def test_reliability_looks_like_a_scatter_with_lines():
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap

    places = np.stack(np.meshgrid(np.arange(8.0), np.arange(6.0)), -1).reshape(-1, 2)
    rows, perturbation = np.arange(0, 48, 2), np.linspace(1, 0, 24)
    jump = places[rows] + [1.5, 0.5]
    none = np.full(24, np.nan)
    # the colour bar has taken room, after which limits of a fixed aspect would differ
    view = {"xlim": (-0.5, 7.5), "ylim": (-0.5, 5.5), "aspect": "auto"}
    scores = Reliability(rows, perturbation, none, none, jump, 1)

    def drawn():
        display = ReliabilityDisplay.from_arrays(
            places, scores, ax=new_axes(), n_jumps=5, point_size=8, alpha=1.0
        )
        display.colorbar_.remove()
        display.legend_.remove()
        display.ax_.set(**view)
        return display.ax_

    ax = new_axes()
    doubt = LinearSegmentedColormap.from_list("", [f"#{code}" for code in COLORS])
    colors = np.tile(grey(), (48, 1))
    colors[rows] = doubt(perturbation)
    ax.scatter(*places.T, s=64, c=colors, lw=0)
    lines = np.stack([places[rows], jump], axis=1)[:5]
    lines = LineCollection(lines, colors="k", lw=0.7, alpha=0.6)
    ax.add_collection(lines)
    ax.set(xticks=[], yticks=[], **view)
    assert_looks_like(drawn(), ax)
    perturbation[:] = perturbation[::-1].copy()
    with pytest.raises(AssertionError):
        assert_looks_like(drawn(), ax)


def test_singularity_scores_that_are_infinite(tsne):
    found = reliability(tsne, IRIS, rows=10, n_directions=0, random_state=0)
    singularity = found.singularity.copy()
    singularity[0] = np.inf
    scores = Reliability(
        found.rows, found.perturbation, singularity, found.displacement, found.jump, 0
    )
    display = ReliabilityDisplay.from_arrays(
        tsne.embedding_, scores, score="singularity", ax=new_axes()
    )
    assert display.colorbar_.extend in ("max", "both")
    assert type(display.colorbar_.mappable.norm).__name__ == "LogNorm"
    assert display.jumps_ is None
    with pytest.raises(ValueError, match="score must be one of"):
        ReliabilityDisplay.from_estimator(tsne, IRIS, score="trust")
    with pytest.raises(NotFittedError):
        ReliabilityDisplay.from_estimator(ExactTSNE(), IRIS)


def test_scores_of_ones_own(tsne):
    scores = np.linspace(0, 1, 150)
    display = ReliabilityDisplay.from_arrays(
        tsne.embedding_, scores, score="distance to the edge", ax=new_axes()
    )
    assert display.colorbar_.ax.get_ylabel() == "distance to the edge"
    assert display.legend_ is None
    for given in ([None, *scores[1:]], pl.Series([None, *scores[1:]])):
        display = ReliabilityDisplay.from_arrays(tsne.embedding_, given, ax=new_axes())
        assert texts(display.legend_) == ["not scored"]
    of_more_rows = reliability(tsne, IRIS, rows=[9], n_directions=0)
    with pytest.raises(ValueError, match=r"embedding, which has 5; .* row 9"):
        ReliabilityDisplay.from_arrays(tsne.embedding_[:5], of_more_rows)


def test_a_table_of_perplexities():
    display = PerplexityDisplay.from_arrays(TABLE, ax=new_axes())
    # a column without a number is left out
    assert list(display.lines_) == ["singularity", "pbic", "neighbor_recall"]
    assert_allclose(display.lines_["pbic"].get_ydata(), TABLE.pbic / 2)
    assert_allclose(display.lines_["singularity"].get_ydata(), [1, 0.4, 0.2, np.nan])
    assert display.ax_.get_xscale() == "log"
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == ["5", "10", "40", "80"]
    assert display.advice_["least_pbic"].get_xdata()[0] == 40
    assert display.advice_["elbow"].get_xdata()[0] == TABLE.elbow == 40
    assert texts(display.legend_)[-2:] == ["elbow: 40", "least pBIC: 40"]


def test_the_legend_of_reliability_is_as_asked_for():
    places, scores = IRIS[:, :2], np.where(np.arange(len(IRIS)) < 5, np.nan, 1.0)
    highlight = np.arange(len(IRIS)) == 9
    for options, expected in (
        ({}, ["not scored"]),
        ({"highlight": highlight}, ["not scored", "highlighted"]),
        ({"legend": True}, ["not scored"]),
    ):
        display = ReliabilityDisplay.from_arrays(
            places, scores, ax=new_axes(), **options
        )
        found = [text.get_text() for text in display.legend_.get_texts()]
        assert found == expected
    display = ReliabilityDisplay.from_arrays(
        places, scores, ax=new_axes(), legend=False
    )
    assert display.legend_ is None
    assert display.ax_.get_legend() is None
    with pytest.raises(ValueError, match="legend must be True, False or 'auto'"):
        ReliabilityDisplay.from_arrays(places, scores, ax=new_axes(), legend="best")
    named = ReliabilityDisplay.from_arrays(
        places, scores, ax=new_axes(), highlight=highlight, highlight_name="$0_$5"
    )
    picture(named.figure_)  # it is no formula


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_a_legend_below_covers_no_name_of_an_axis(n_components, rng):
    scores = np.r_[np.nan, np.arange(39.0)]  # one is not scored, and in the legend
    ax = new_axes()
    display = ReliabilityDisplay.from_arrays(
        rng.normal(size=(40, n_components)), scores, ax=ax
    )
    picture(ax)
    legend = display.legend_.get_window_extent()
    for text in (ax.xaxis.label, *ax.get_xticklabels()):
        if text.get_text() and text.get_visible():
            assert not legend.overlaps(text.get_window_extent())


def test_what_is_pale_is_not_dark_on_transparent_axes():
    ax = new_axes()
    ax.set_facecolor("none")
    MembershipDisplay.from_arrays([[0.55, 0.45], [0.9, 0.1]], ax=ax)
    covers = [area for area in ax.collections if area.get_alpha() == 0.6]
    assert covers
    for cover in covers:
        assert_array_equal(cover.get_facecolor()[0, :3], [1, 1, 1])


def test_a_display_is_drawn_again_on_other_axes(tsne, model):
    """By ``plot``, alike, and what was drawn before stays as it was."""
    found = reliability(tsne, IRIS)
    for display in (
        EmbeddingDisplay.from_estimator(tsne, labels=TARGETS, ax=new_axes((8.0, 6.0))),
        MembershipDisplay.from_estimator(model, IRIS, ax=new_axes((8.0, 6.0))),
        ConvergenceDisplay.from_estimator(tsne, ax=new_axes((8.0, 6.0))),
        ReliabilityDisplay.from_arrays(tsne.embedding_, found, ax=new_axes((8.0, 6.0))),
        PerplexityDisplay.from_arrays(TABLE, ax=new_axes((8.0, 6.0))),
    ):
        before = display.ax_
        picture(before)  # a layout settles when it is made a second time
        first = picture(before)
        again = new_axes((8.0, 6.0))
        assert display.plot(ax=again) is display
        assert display.ax_ is again
        picture(again)
        assert_looks_like(again, before)
        assert np.mean(np.square(picture(before) - first)) < 1e-4
