"""Films of fits: their frames, the file, and the fit itself."""

import pickle
import stat
import sys
import warnings
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import LinearEncoder
from skdec.plotting import animate_fit, categorical_colors, match_labels
from skdec.plotting._film import ZOOM, Film

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
Image = pytest.importorskip("PIL.Image")

IRIS = load_iris()
X, LABELS = IRIS.data[::3], IRIS.target[::3]
TSNE = ExactTSNE(max_iter=130, tol=0, random_state=0)
SMALL = {"figsize": (2.0, 1.6), "dpi": 40, "hold": 0.0}


class Frame(NamedTuple):
    """A frame of a film: what it shows, and what was drawn."""

    shown: Any
    view: Any
    title: str
    drawn: list  # places of the points, and of the centroids
    colors: list
    ways: list
    entries: list  # of the legend


@pytest.fixture
def frames(monkeypatch):
    """What each frame of a film shows."""
    seen, frame = [], Film.frame

    def watched(self, scene, shown):
        frame(self, scene, shown)
        view = np.array([self.ax.get_xlim(), self.ax.get_ylim()])
        drawn = [child.get_offsets() for child in self.ax.collections]
        colors = [child.get_facecolor() for child in self.ax.collections]
        ways = [line.get_xydata() for line in self.ax.lines[1::2]]
        legend = self.ax.get_legend()
        entries = [] if legend is None else [t.get_text() for t in legend.get_texts()]
        title = self.ax.get_title()
        seen.append(Frame(shown, view, title, drawn, colors, ways, entries))

    monkeypatch.setattr(Film, "frame", watched)
    return seen


def test_a_film_has_a_frame_for_every_so_many_iterations(tmp_path, frames):
    path = tmp_path / "film.gif"
    fitted = animate_fit(TSNE, X, path, labels=LABELS, every=20, **SMALL)
    assert [frame.shown.n_iter for frame in frames] == [20, 40, 60, 80, 100, 120, 130]
    with Image.open(path) as film:
        assert film.n_frames == 7
        assert film.size == (80, 64)
    assert list(tmp_path.iterdir()) == [path]
    # the fit is that without a film, and so are its parameters
    plain = ExactTSNE(**TSNE.get_params()).fit(X)
    assert_array_equal(fitted.embedding_, plain.embedding_)
    assert_array_equal(frames[-1].shown.embedding, plain.embedding_)
    assert frames[-1].shown.kl == plain.kl_divergence_
    assert fitted.get_params() == TSNE.get_params()
    assert not hasattr(TSNE, "embedding_")
    title = f"iteration 130: KL = {plain.kl_divergence_:.3f}"
    assert frames[-1].title == title


def test_the_view_holds_the_map_and_does_not_jump_inwards(tmp_path, frames):
    animate_fit(TSNE, X, tmp_path / "film.gif", every=10, **SMALL)
    half = [np.ptp(frame.view, axis=1) / 2 for frame in frames]
    for frame in frames:
        (x, y), places = frame.view, frame.shown.embedding
        assert x[0] < places[:, 0].min() <= places[:, 0].max() < x[1]
        assert y[0] < places[:, 1].min() <= places[:, 1].max() < y[1]
    for before, after in pairwise(half):
        assert (after > (1 - ZOOM - 1e-9) * before).all()


def test_the_last_frame_stays(tmp_path, monkeypatch):
    grabbed = []
    monkeypatch.setattr(
        "matplotlib.animation.PillowWriter.grab_frame",
        lambda self, **_: grabbed.append(1),
    )
    monkeypatch.setattr(
        "matplotlib.animation.PillowWriter.finish",
        lambda self: open(self.outfile, "wb").close(),
    )
    options = SMALL | {"hold": 1.5}
    animate_fit(TSNE, X, tmp_path / "film.gif", every=130, fps=10, **options)
    assert len(grabbed) == 1 + 15


def test_ones_own_callback_is_called_as_ever_and_may_end_the_fit(tmp_path, frames):
    seen = []

    def watch(n_iter, kl, embedding):
        seen.append(n_iter)
        return n_iter >= 100

    tsne = ExactTSNE(**TSNE.get_params()).set_params(callback=watch)
    fitted = animate_fit(tsne, X, tmp_path / "film.gif", every=20, **SMALL)
    assert seen == [50, 100]
    assert fitted.n_iter_ == 100
    assert fitted.callback is watch
    assert [frame.shown.n_iter for frame in frames] == [20, 40, 60, 80, 100]
    seen.clear()
    tsne.set_params(callback=lambda *what: seen.append(what[0]), callback_every=30)
    animate_fit(tsne, X, tmp_path / "film.gif", every=65, **SMALL)
    assert seen == [30, 50, 60, 90, 100, 120, 130]


def test_a_film_of_a_step_of_a_pipeline(tmp_path, frames):
    model = make_pipeline(TSNE, KMeans(3, n_init=2, random_state=0))
    fitted = animate_fit(model, X, tmp_path / "film.gif", every=60, **SMALL)
    assert [frame.shown.n_iter for frame in frames] == [60, 120, 130]
    assert fitted[-1].labels_.shape == (50,)
    assert fitted[0].callback is None


def go_on(*_):
    """A callback that can be stored."""


def test_steps_of_which_copies_are_fitted_are_in_the_film(tmp_path, frames):
    tsne = clone(TSNE).set_params(callback=go_on)
    columns = ColumnTransformer([("map", make_pipeline(tsne), [0, 1, 2])])
    for model, found in (
        (make_pipeline(tsne, CLUSTERING, memory=str(tmp_path)), lambda step: step),
        (
            make_pipeline(columns, CLUSTERING),
            lambda step: step.named_transformers_["map"][0],
        ),
    ):
        # twice, because a fit that is in the cache has no frames
        for _ in range(2):
            frames.clear()
            fitted = animate_fit(model, X, tmp_path / "film.gif", every=65, **SMALL)
            assert [frame.shown.n_iter for frame in frames[:2]] == [65, 130]
            assert_array_equal(frames[2].shown.rows, found(fitted[0]).embedding_)
            assert_array_equal(frames[-1].shown.labels, fitted[-1].labels_)
        assert found(fitted[0]).callback is go_on
        assert len(pickle.dumps(fitted)) < 100_000


def test_clusters_move_on_a_map_that_has_unfolded(tmp_path, frames):
    model = make_pipeline(
        PCA(3, random_state=0), TSNE, StudentTClustering(3, n_init=2, random_state=0)
    )
    fitted = animate_fit(
        model, X, tmp_path / "film.gif", every=50, labels=LABELS, **SMALL
    )
    maps, clusters = frames[:3], frames[3:]
    assert [frame.shown.n_iter for frame in maps] == [50, 100, 130]
    assert_array_equal(maps[-1].shown.embedding, fitted[1].embedding_)
    assert len(clusters) == 1 + -(-len(fitted[2].history_["n_iter"]) // 50)
    for frame in clusters:
        assert_array_equal(frame.shown.rows, fitted[1].embedding_)
    assert fitted[1].callback is fitted[2].callback is None
    assert "centroids" not in maps[-1].entries
    assert clusters[-1].entries == ["0", "1", "2", "centroids"]


def test_rows_that_have_no_place_before_the_end(tmp_path, frames):
    weight = np.ones(50)
    weight[:5] = 0
    highlight = np.arange(50) % 4 == 0
    fitted = animate_fit(
        TSNE, X, tmp_path / "film.gif", every=100, labels=list(LABELS),
        highlight=highlight, fit_params={"sample_weight": weight}, **SMALL,
    )  # fmt: skip
    assert np.isfinite(fitted.embedding_).all()
    embedding = frames[0].shown.embedding
    assert np.isnan(embedding[:5]).all()
    assert_allclose(frames[0].drawn[1], embedding[5:][highlight[5:]])


def test_what_is_refused_before_the_fit(tmp_path):
    failing = ExactTSNE(callback=lambda *what: pytest.fail("it was fitted"))
    for path, error, told in (
        (tmp_path / "film.mov", ValueError, r"path must end in \.gif or \.mp4"),
        (tmp_path / "no" / "film.gif", ValueError, "path must be in a folder"),
    ):
        with pytest.raises(error, match=told):
            animate_fit(failing, X, path)
    with pytest.raises(ValueError, match="every must be an int of at least 1"):
        animate_fit(failing, X, tmp_path / "film.gif", every=0)
    for name, wrong in (
        ("fps", (0, -1, np.nan, np.inf)),
        ("hold", (-1, np.nan, np.inf)),
    ):
        for value in wrong:
            with pytest.raises(ValueError, match=f"{name} must be a .* got {value}"):
                animate_fit(failing, X, tmp_path / "film.gif", **{name: value})
    with pytest.raises(ValueError, match="labels must have 50 entries; got 2"):
        animate_fit(failing, X, tmp_path / "film.gif", labels=[0, 1])
    for options, error, told in (
        ({"colour": "red"}, TypeError, "unexpected keyword argument 'colour'"),
        ({"ax": None}, TypeError, "ax must not be given"),
        ({"alpha": 2}, ValueError, "alpha must be a number from 0 to 1"),
        ({"legend": "left"}, ValueError, "legend must be True, False or 'auto'"),
        ({"highlight": [True]}, ValueError, r"highlight must be a mask of shape \(50,"),
        ({"labels": np.arange(50) % 3, "colors": ["red"]}, ValueError, "at least 3"),
    ):
        with pytest.raises(error, match=told):
            animate_fit(failing, X, tmp_path / "film.gif", **options)
    search = GridSearchCV(failing, {})
    for other in (
        KMeans(3), search, make_union(failing), make_pipeline(search, KMeans(3))
    ):  # fmt: skip
        with pytest.raises(TypeError, match="estimator must have a callback"):
            animate_fit(other, X, tmp_path / "film.gif")
    for union in (
        FeatureUnion([("map", failing)], n_jobs=2),
        ColumnTransformer([("map", failing, [0, 1])], n_jobs=-1),
    ):
        with pytest.raises(ValueError, match="n_jobs must be None or 1, so that"):
            animate_fit(make_pipeline(union), X, tmp_path / "film.gif")
    failing = StudentTClustering(3, callback=lambda *what: pytest.fail("it was fitted"))
    for rows in (X, X.tolist(), sparse.csr_matrix(X), X[:, :1]):
        with pytest.raises(ValueError, match="view must be given"):
            animate_fit(failing, rows, tmp_path / "film.gif")
    for view in (X[:-1], X[:, :1]):
        with pytest.raises(ValueError, match="view must have a row for each of the 50"):
            animate_fit(failing, X, tmp_path / "film.gif", view=view)


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_start_that_could_call_back_too_is_not_in_the_film(
    in_pipeline, tmp_path, frames
):
    start = make_pipeline(ExactTSNE(perplexity=5, max_iter=50), KMeans(3))
    model = StudentTClustering(3, init=start, random_state=0)
    model = make_pipeline(StandardScaler(), model) if in_pipeline else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = animate_fit(model, X, tmp_path / "film.gif", view=X[:, :2])
    clusterer = fitted[-1] if in_pipeline else fitted
    assert clusterer.init[0].callback is None
    assert all(len(frame.drawn) == 2 for frame in frames)  # rows and centroids
    assert frames


def test_a_fit_that_fails_leaves_the_film_of_before(tmp_path):
    path = tmp_path / "film.gif"
    path.write_text("of before")

    def fail(*what):
        raise RuntimeError("enough")

    tsne = ExactTSNE(max_iter=100, callback=fail)
    with pytest.raises(RuntimeError, match="enough"):
        animate_fit(tsne, X, path, every=20, **SMALL)
    with pytest.raises(ValueError, match="perplexity"):
        animate_fit(ExactTSNE(perplexity=500), X, path, **SMALL)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "of before"


def test_an_mp4_needs_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="needs the program ffmpeg"):
        animate_fit(TSNE, X, tmp_path / "film.mp4", **SMALL)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_an_mp4_is_what_ffmpeg_writes(tmp_path, monkeypatch):
    """A stand-in for ffmpeg: it writes what it is sent into its last argument."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "data = sys.stdin.buffer.read()\n"
        "open(sys.argv[-1], 'wb').write(data)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(program.parent))
    path = tmp_path / "film.mp4"
    animate_fit(TSNE, X, path, every=60, **SMALL)
    # frames of 80 × 64 pixels of four bytes
    assert path.stat().st_size == 3 * 80 * 64 * 4
    assert {entry.name for entry in tmp_path.iterdir()} == {"bin", "film.mp4"}


PLANE, TRUTH = make_blobs(
    [120, 30, 20], centers=[[0, 0], [6, 0], [3, 5]], random_state=1
)
CLUSTERING = StudentTClustering(3, n_init=1, random_state=0)


def test_frames_of_a_clustering_are_what_its_callback_is_given(tmp_path, frames):
    seen = []
    model = clone(CLUSTERING).set_params(
        callback=lambda *what: seen.append(what[2]), callback_every=3
    )
    fitted = animate_fit(model, PLANE, tmp_path / "film.gif", every=2, **SMALL)
    history = fitted.history_
    assert [clusters.n_iter for clusters in seen] == history["n_iter"][::3].tolist()
    assert len(frames) == 1 + len(history["n_iter"][::2])
    assert_array_equal(frames[-1].shown.labels, fitted.labels_)
    assert_allclose(frames[-1].drawn[1], fitted.cluster_centers_)
    assert (
        frames[0].title == f"pass 1: KL = {history['kl_divergence'][0]:.4g}, the start"
    )
    share = f"{history['label_changes'][2]:.1%} of labels changed"
    assert frames[1].title == f"pass 3: KL = {history['kl_divergence'][2]:.4g}, {share}"
    assert frames[-1].title.endswith("at rest")
    # seen at both: the clusters of the first and of every sixth pass
    assert_array_equal(frames[3].shown.centers, seen[2].cluster_centers)
    assert_array_equal(frames[3].shown.labels, seen[2].labels())
    plain = clone(CLUSTERING).fit(PLANE)
    assert_array_equal(fitted.cluster_centers_, plain.cluster_centers_)
    assert fitted.callback is model.callback
    # each frame goes on along the ways of the centroids
    for before, after in pairwise(frames):
        for old, new in zip(before.ways, after.ways, strict=True):
            assert_array_equal(new[: len(old)], old)
    for number, way in enumerate(frames[-1].ways):
        assert_array_equal(way[-1], frames[-1].drawn[1][number])


def test_a_cluster_has_the_colour_of_the_class_that_it_matches(tmp_path, frames):
    fitted = animate_fit(
        CLUSTERING, PLANE, tmp_path / "film.gif", labels=TRUTH,
        names=["large", "middle", "small"], alpha=1.0, **SMALL,
    )  # fmt: skip
    assert frames[-1].entries == ["large", "middle", "small", "centroids"]
    matched = match_labels(fitted.labels_, TRUTH)
    colors = categorical_colors(3)
    points = frames[-1].drawn[0]
    assert len(points) == len(PLANE)
    for j in range(3):
        (number,) = set(matched[fitted.labels_ == j])
        assert_allclose(frames[-1].colors[1][j], colors[number])
        own = (frames[-1].colors[0] == colors[number]).all(axis=1)
        assert {tuple(p) for p in points[own]} == {
            tuple(p) for p in PLANE[fitted.labels_ == j]
        }
    # and all the time
    for frame in frames:
        assert_array_equal(frame.colors[1], frames[-1].colors[1])


@pytest.mark.parametrize("options", [
    {"labels": (TRUTH + 1).astype(str)},
    {"labels": TRUTH, "names": ["1", "2", "3"]},
    {"names": np.array(["1", "2", "3"])},
], ids=["strings", "names of classes", "names of clusters"])  # fmt: skip
def test_a_cluster_that_is_left_over_is_called_as_no_other(tmp_path, frames, options):
    four = clone(CLUSTERING).set_params(n_clusters=4)
    animate_fit(four, PLANE, tmp_path / "film.gif", every=50, **options, **SMALL)
    for frame in frames:
        assert frame.entries == ["1", "2", "3", "cluster 3", "centroids"]


def test_a_style_whose_figures_are_cut_to_what_is_drawn(tmp_path, frames):
    path = tmp_path / "map.gif"
    with matplotlib.rc_context({"savefig.bbox": "tight"}):
        animate_fit(TSNE, X, path, **SMALL)
    assert path.stat().st_size > 0
    assert len(frames) > 1


def test_an_error_of_the_first_frame_is_not_hidden(tmp_path, monkeypatch):
    def fails(self, **options):
        raise OSError("no space left")

    monkeypatch.setattr("matplotlib.animation.PillowWriter.grab_frame", fails)
    with pytest.raises(OSError, match="no space left"):
        animate_fit(TSNE, X, tmp_path / "map.gif", **SMALL)


@pytest.mark.parametrize("model", [TSNE, StudentTClustering(2, random_state=0)])
def test_labels_with_dollar_signs_are_no_formulas(model, tmp_path, frames):
    labels = np.where(LABELS > 0, "$0_$5", "$5_$10")
    animate_fit(model, X[:, :2], tmp_path / "film.gif", labels=labels, **SMALL)
    assert {"$0_$5", "$5_$10"} <= set(frames[-1].entries)


def test_colours_for_too_few_clusters_are_refused_before_the_fit(tmp_path):
    class Never(StudentTClustering):
        def fit(self, X, y=None, sample_weight=None):
            pytest.fail("it was fitted")

    few = {"colors": ["red", "blue"], **SMALL}
    for labels, needed in ((None, 3), (LABELS > 0, 3), (LABELS, 3)):
        with pytest.raises(ValueError, match=f"colors must be at least {needed}"):
            animate_fit(Never(3), X[:, :2], tmp_path / "film.gif", labels=labels, **few)
    # a wrong number is the fit's to refuse
    with pytest.raises(ValueError, match="n_clusters"):
        animate_fit(StudentTClustering(-1), X[:, :2], tmp_path / "film.gif", **SMALL)


def test_clusters_of_many_features_are_drawn_in_a_view(tmp_path, frames):
    rows = np.hstack([PLANE, 0.1 * PLANE[::-1]])
    view = PLANE.copy()
    view[:4] = np.nan  # without a place
    for X in (rows, sparse.csr_matrix(rows)):
        fitted = animate_fit(
            CLUSTERING, X, tmp_path / "film.gif", view=view, every=50, **SMALL
        )
        points, means = frames[-1].drawn
        assert len(points) == len(PLANE) - 4
        for j, mean in enumerate(means):
            own = (fitted.labels_ == j) & (np.arange(len(PLANE)) >= 4)
            assert_allclose(mean, PLANE[own].mean(axis=0))
        assert frames[-1].entries[-1] == "means of rows"
    highlight = np.arange(len(PLANE)) < 9
    options = {"view": view, "highlight": highlight, "every": 50}
    animate_fit(CLUSTERING, rows, tmp_path / "film.gif", **options, **SMALL)
    assert_allclose(frames[-1].drawn[1], PLANE[4:9])
    animate_fit(
        CLUSTERING, rows, tmp_path / "film.gif", components=(2, 1), every=50, **SMALL
    )
    assert_allclose(frames[-1].drawn[1], frames[-1].shown.centers[:, [2, 1]])


def test_a_film_of_an_encoders_training(tmp_path, frames):
    model = StudentTClustering(
        3,
        encoder=LinearEncoder(3),
        n_init=2,
        batch_size=50,
        max_iter=200,
        random_state=0,
    )
    fitted = animate_fit(model, IRIS.data, tmp_path / "film.gif", **SMALL)
    assert len(frames) == 1 + len(fitted.history_["n_iter"])
    assert frames[0].title.startswith("pass 0: KL")
    assert_array_equal(frames[-1].shown.rows, fitted.encoding_)
    assert np.abs(frames[0].shown.rows - fitted.encoding_).max() > 1e-3


def test_a_start_that_is_kept_and_clusters_without_rows(tmp_path, frames):
    wide = clone(CLUSTERING).set_params(
        n_clusters=6, n_init=2, bandwidth=8.0, dof=1.0, balance=0.5
    )
    view, options = IRIS.data[:, 1:3], SMALL | {"figsize": (5, 4), "every": 4}
    with pytest.warns(UserWarning, match="lost all their rows"):
        animate_fit(wide, IRIS.data, tmp_path / "film.gif", view=view, **options)
    assert frames[-1].title.endswith("the start is kept")
    assert len(frames[-1].ways[0]) <= 2
    assert any(frame.title.startswith("start 2 of 2, pass") for frame in frames)
    assert any(np.isnan(np.ma.filled(f.drawn[1], np.nan)).any() for f in frames)
    # in one run after the other the colours go on
    for frame in frames:
        assert frame.entries == [*"012345", "means of rows"]


def test_ones_own_callback_ends_a_clustering(tmp_path, frames):
    model = clone(CLUSTERING).set_params(callback=lambda n_iter, kl, _: n_iter == 4)
    fitted = animate_fit(model, PLANE, tmp_path / "film.gif", **SMALL)
    assert fitted.n_iter_ == 4
    assert len(frames) == 5
    assert frames[-1].title.endswith("not at rest")


def test_ones_own_callback_ends_a_fit_before_its_training_begins(tmp_path, frames):
    model = StudentTClustering(
        3, encoder=LinearEncoder(2), callback=lambda *_: True, random_state=0
    )
    fitted = animate_fit(model, IRIS.data, tmp_path / "film.gif", **SMALL)
    assert len(frames) == 1
    assert_array_equal(frames[0].shown.labels, fitted.labels_)
    assert frames[0].entries == ["0", "1", "2", "centroids"]
