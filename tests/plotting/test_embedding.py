"""EmbeddingDisplay: what is drawn where, in which colour."""

from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import LinearEncoder
from skdec.plotting import (
    ConvergenceDisplay,
    EmbeddingDisplay,
    MembershipDisplay,
    categorical_colors,
)
from skdec.plotting import _density as density
from skdec.plotting._colors import grey
from skdec.plotting._estimators import last_step
from skdec.plotting._names import densest, spread_apart
from tests.plotting.common import (
    Figure,
    FigureCanvasAgg,
    assert_looks_like,
    new_axes,
    picture,
    texts,
)

IRIS = load_iris().data[::3]
GRID = np.stack(np.meshgrid(np.arange(8.0), np.arange(6.0)), axis=-1).reshape(-1, 2)


def draw(embedding, **options):
    return EmbeddingDisplay.from_arrays(embedding, ax=new_axes(), **options)


def drawn(points):
    """Places and colours of a collection of points, in the order of the places."""
    places = np.asarray(points.get_offsets())
    order = np.lexsort(places.T)
    return places[order], points.get_facecolors()[order]


@pytest.fixture(scope="module")
def tsne():
    return ExactTSNE(max_iter=60, tol=0, random_state=0).fit(IRIS)


def test_points_are_where_they_are_in_the_colour_of_their_class(rng):
    Y, labels = rng.normal(size=(60, 2)), rng.integers(0, 4, 60)
    labels[labels == 2] = 3
    display = draw(Y, labels=labels, alpha=1.0)
    places, colors = drawn(display.points_)
    order = np.lexsort(Y.T)
    assert_allclose(places, Y[order])
    assert_allclose(colors, categorical_colors(4)[labels[order]])
    # a number that does not occur is not in the legend, and its colour is kept for it
    assert texts(display.legend_) == list(display.texts_) == ["0", "1", "3"]
    handles = display.legend_.legend_handles
    assert_allclose(
        [handle.get_color() for handle in handles], categorical_colors(4)[[0, 1, 3]]
    )
    assert display.figure_.axes == [display.ax_]
    assert display.ax_.get_aspect() == 1
    assert display.colorbar_ is None


def test_it_looks_like_a_plain_scatter():
    labels = np.arange(48) % 5
    ours = draw(
        GRID, labels=labels, point_size=9, alpha=0.8, annotate=False, legend=False
    )
    ax = new_axes()
    colors = categorical_colors(5)[labels]
    ax.scatter(*GRID.T, s=81, c=colors, alpha=0.8, linewidths=0)
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    assert_looks_like(ours.ax_, ax)
    with pytest.raises(AssertionError):
        assert_looks_like(
            draw(GRID, labels=labels[::-1], annotate=False, legend=False).ax_, ax
        )


def test_density_looks_like_the_mean_colors_of_a_histogram(rng):
    Y = np.concatenate([rng.normal(size=(3000, 2)), rng.normal(3, 1, size=(3000, 2))])
    labels = np.repeat([0, 1], 3000)
    ours = draw(
        Y, labels=labels, shading="density", annotate=False, legend=False
    )  # fmt: skip
    image = ours.points_
    left, right, bottom, top = image.get_extent()
    rows, columns = image.get_array().shape[:2]
    counts = [
        np.histogram2d(
            *Y[labels == j].T[::-1], (rows, columns), [(bottom, top), (left, right)]
        )[0]
        for j in (0, 1)
    ]
    total = counts[0] + counts[1]
    assert_array_equal(image.get_array()[..., 3] > 0, total > 0)
    most = np.quantile(total[total > 0], 0.98)
    expected, colors = np.zeros((rows, columns, 4)), categorical_colors(2)
    for i, j in np.argwhere(total > 0):
        share = counts[1][i, j] / total[i, j]
        expected[i, j, :3] = (1 - share) * colors[0, :3] + share * colors[1, :3]
        strength = 0.35 + 0.65 * np.log(total[i, j]) / np.log(most)
        expected[i, j, 3] = min(1, strength)
    assert_allclose(image.get_array(), expected, atol=1e-6)
    ax = new_axes()
    extent = (left, right, bottom, top)
    ax.imshow(expected, extent=extent, origin="lower", interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    assert_looks_like(ours.ax_, ax, tolerance=0.02)


def test_few_points_are_large_and_many_are_small_and_faint(rng):
    looks = [
        density.look(rng.uniform(size=(n, 2)), np.array([300.0, 300.0]))
        for n in (50, 2000, 70_000, 400_000)
    ]
    assert looks[0].diameter == density.LARGEST
    assert looks[-1].diameter == density.SMALLEST
    assert all(a.diameter >= b.diameter for a, b in pairwise(looks))
    assert looks[-1].alpha < 0.5 * looks[0].alpha
    # an even map of 2,000: the points cover about the map once, at most
    covered = 2000 * np.pi * looks[1].diameter ** 2 / 4 / 300**2
    assert 0.3 < covered < 1.1
    assert density.look(np.zeros((0, 2)), np.ones(2)).diameter == density.LARGEST


def test_crowding_is_the_mean_number_of_neighbours_in_a_cell(rng):
    points = rng.uniform(0, 5, size=(80, 2)) - 3
    cells = np.floor(points - points.min(axis=0))
    neighbours = [(cells == cell).all(axis=1).sum() for cell in cells]
    assert_allclose(density.crowding(points), np.mean(neighbours))


def test_from_many_points_on_there_is_a_picture(rng, monkeypatch):
    Y = rng.normal(size=(300, 2))
    assert type(draw(Y).points_).__name__ == "PathCollection"
    monkeypatch.setattr("skdec.plotting._embedding.MANY", 299)
    display = draw(Y, labels=np.arange(300) % 3, highlight=np.arange(300) < 5)
    assert type(display.points_).__name__ == "AxesImage"
    # the others fade, as points would
    assert display.points_.get_array()[..., 3].max() == pytest.approx(0.35)
    assert len(display.highlighted_.get_offsets()) == 5
    assert texts(display.legend_) == ["0", "1", "2", "highlighted"]
    assert set(display.texts_) == {"0", "1", "2"}


def test_what_is_beyond_given_limits_is_not_drawn_at_their_edge(rng):
    inside, outside = rng.uniform(-1, 1, (500, 2)), rng.uniform(9, 11, (800, 2))
    Y, labels = np.vstack([inside, outside]), np.repeat([0, 1], [500, 800])
    shapes = []
    for left, right in ((-1, 1), (1, -1)):
        axes = new_axes(), new_axes()
        for ax in axes:
            ax.set(xlim=(left, right), ylim=(-1, 1))
        whole = EmbeddingDisplay.from_arrays(
            Y, labels=labels, ax=axes[0], shading="density"
        )
        alone = EmbeddingDisplay.from_arrays(
            inside, labels=labels[:500], ax=axes[1], shading="density"
        )
        assert_array_equal(whole.points_.get_array(), alone.points_.get_array())
        shapes.append(whole.points_.get_array().shape)
        assert min(shapes[0][:2]) > 20
        # nor is a class called by a name that cannot be seen
        assert set(whole.texts_) == {"0"}
        place = alone.texts_["0"].get_position()
        assert_allclose(whole.texts_["0"].get_position(), place)
    assert shapes[0] == shapes[1]


def test_what_a_regressor_predicts_are_no_classes(rng):
    X = rng.normal(size=(40, 5))
    model = PLSRegression(2).fit(X, X[:, 0])
    display = EmbeddingDisplay.from_estimator(model, X, ax=new_axes())
    assert display.labels is None
    assert not display.texts_


def test_sorted_classes_do_not_cover_each_other(rng):
    labels = np.repeat([0, 1], 500)
    points = draw(rng.normal(size=(1000, 2)), labels=labels).points_
    last = points.get_facecolors()[-500:, :3]
    share = (last == categorical_colors(2)[1, :3]).all(axis=1).mean()
    assert 0.4 < share < 0.6


def test_rows_without_a_class_are_grey_and_beneath(rng):
    labels = np.array(["a", None, "b"] * 20, dtype=object)
    display = draw(rng.normal(size=(60, 2)), labels=labels)
    colors = display.points_.get_facecolors()[:, :3]
    assert_allclose(colors[:20], np.tile(grey()[:3], (20, 1)))
    assert (colors[20:] != grey()[:3]).any(axis=1).all()
    assert texts(display.legend_) == ["a", "b", "no cluster"]
    assert set(display.texts_) == {"a", "b"}


def test_a_class_that_is_called_as_those_without_one():
    labels = np.array(["no cluster", None, "b"] * 16, dtype=object)
    display = draw(GRID, labels=labels)
    assert texts(display.legend_) == ["b", "no cluster", "no cluster"]
    colors = [handle.get_color() for handle in display.legend_.legend_handles]
    assert_allclose(colors, [*categorical_colors(2), grey()])


def test_values_and_their_scale(rng):
    values = rng.normal(size=48)
    values[3] = np.nan
    display = draw(GRID, values=values, cmap="magma", alpha=1.0)
    _, colors = drawn(display.points_)
    order = np.lexsort(GRID.T)
    mappable = display.colorbar_.mappable
    assert mappable.get_cmap().name == "magma"
    assert (mappable.norm.vmin, mappable.norm.vmax) == (
        np.nanmin(values), np.nanmax(values),
    )  # fmt: skip
    expected = mappable.to_rgba(values)
    expected[3] = grey()
    assert_allclose(colors, expected[order])
    assert display.colorbar_.extend == "neither"
    assert texts(display.legend_) == ["no value"]
    assert display.texts_ == {}


def test_outliers_do_not_take_all_colors():
    values = np.append(np.linspace(0, 1, 46), [1000.0, np.inf])
    display = draw(GRID, values=values)
    norm = display.colorbar_.mappable.norm
    assert norm.vmin == 0
    # a quarter of the range of the inner 98 % beyond it
    lower, upper = np.quantile(values[:-1], (0.01, 0.99))
    assert norm.vmax == pytest.approx(upper + (upper - lower) / 4)
    assert display.colorbar_.extend == "max"
    limits = draw(GRID, values=values, vmin=0.2, vmax=0.8).colorbar_
    assert (limits.mappable.norm.vmin, limits.mappable.norm.vmax) == (0.2, 0.8)
    assert limits.extend == "both"


@pytest.mark.parametrize("norm", ["linear", "log"])
@pytest.mark.parametrize("limit", [{"vmin": 11.0}, {"vmax": 3.0}], ids=str)
def test_all_values_may_be_beyond_a_limit(norm, limit):
    display = draw(GRID, values=np.linspace(5, 10, 48), norm=norm, **limit)
    found = display.colorbar_.mappable.norm
    assert found.vmin < found.vmax
    ((name, value),) = limit.items()
    assert getattr(found, name) == value
    assert display.colorbar_.extend == name.removeprefix("v")
    assert len(np.unique(display.points_.get_facecolors(), axis=0)) == 1
    picture(display.ax_)


def test_limits_between_which_there_is_no_color():
    with pytest.raises(ValueError, match="vmin must be at most vmax; got 2 and 1"):
        draw(GRID, values=np.ones(48), vmin=2, vmax=1)
    for name in ("vmin", "vmax"):
        with pytest.raises(ValueError, match=f"{name} must be above 0 with norm='log'"):
            draw(GRID, values=np.ones(48), norm="log", **{name: 0})
        for wrong in (np.nan, np.inf):
            with pytest.raises(ValueError, match=f"{name} must be a finite number"):
                draw(GRID, values=np.ones(48), **{name: wrong})


def test_values_on_a_logarithmic_scale_and_large_ones_on_top():
    values = 10.0 ** np.linspace(-2, 2, 48)
    display = draw(GRID, values=values[::-1], norm="log", order="values")
    norm = display.colorbar_.mappable.norm
    assert type(norm).__name__ == "LogNorm"
    assert_allclose((norm.vmin, norm.vmax), (1e-2, 1e2))
    assert_allclose(display.points_.get_offsets(), GRID[::-1])
    for wrong in ({"norm": "square"}, {"order": "size"}, {"shading": "much"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be '"):
            draw(GRID, values=values, **wrong)


def test_values_that_are_missing_or_no_numbers():
    times = np.arange(48).astype("M8[D]")
    times[3] = "NaT"
    display = draw(GRID, values=times)
    norm = display.colorbar_.mappable.norm
    assert (norm.vmin, norm.vmax) == (0, 47)
    assert texts(display.legend_) == ["no value"]
    for wrong in (["a"] * 48, np.arange(48) + 1j):
        with pytest.raises(ValueError, match="values must be numbers"):
            draw(GRID, values=wrong)


def test_labels_are_no_formulas_but_names_may_be(rng):
    Y, labels = rng.normal(size=(40, 2)), ["$\\frac$", "5 $ to 9 $"] * 20
    display = draw(Y, labels=labels)
    picture(display.ax_)  # a formula that is none would be an error
    written = [*display.texts_.values(), *display.legend_.get_texts()]
    assert not any(text.get_parse_math() for text in written)
    display = draw(Y, labels=[0, 1] * 20, names=["$\\alpha$", "b"])
    assert display.texts_["$\\alpha$"].get_parse_math()
    assert all(text.get_parse_math() for text in display.legend_.get_texts())


@pytest.mark.parametrize("value", [2.5, 0.0, np.nan, np.inf])
def test_constant_values(value):
    display = draw(GRID, values=np.full(48, value))
    assert (display.colorbar_ is None) == np.isnan(value)
    picture(display.ax_)


def test_highlighted_points_are_on_top():
    mask = np.arange(48) % 7 == 0
    plain = draw(GRID, labels=np.zeros(48))
    display = draw(GRID, labels=np.zeros(48), highlight=mask, highlight_name="new")
    assert_allclose(display.highlighted_.get_offsets(), GRID[mask])
    assert len(display.points_.get_offsets()) == (~mask).sum()
    assert display.highlighted_.get_zorder() > display.points_.get_zorder()
    assert display.points_.get_alpha() < 0.5 * plain.points_.get_alpha()
    assert display.highlighted_.get_sizes()[0] > plain.points_.get_sizes()[0]
    assert texts(display.legend_) == ["0", "new"]
    with pytest.raises(ValueError, match=r"highlight must be a mask of shape \(48,\)"):
        draw(GRID, highlight=[1, 2])


def test_names_stand_where_a_class_is_densest(rng):
    # two parts of one class: not in the gap between them
    members = np.concatenate([rng.normal(size=(200, 2)), [[20.0, 0.0]] * 50])
    members[:200] *= 0.3
    Y = np.concatenate([members, rng.normal((10, 9), 0.3, size=(100, 2))])
    display = draw(Y, labels=np.repeat(["two parts", "one"], [250, 100]))
    x, y = display.texts_["two parts"].get_position()
    assert min(abs(x), abs(x - 20)) < 1.5
    assert abs(y) < 1.5
    assert_allclose(display.texts_["one"].get_position(), (10, 9), atol=0.6)
    alone = np.array([[0.3, 0.4]])
    assert_allclose(densest(alone, (0, 1, 0, 1)), alone[0])


def test_names_do_not_cover_each_other(rng):
    centers = rng.uniform(0, 6, size=(12, 2))
    centers[1] = centers[0]
    sizes = np.tile([1.0, 0.5], (12, 1))
    apart = spread_apart(centers, sizes)

    def n_overlaps(places):
        return sum(
            (abs(places[i] - places[j]) < 0.999 * sizes[i]).all()
            for i in range(12) for j in range(i)
        )  # fmt: skip

    assert n_overlaps(centers) > 2
    assert n_overlaps(apart) == 0
    assert np.linalg.norm(apart - centers, axis=1).max() < 1.5
    far = centers * 10
    far[1] += 5
    assert_array_equal(spread_apart(far, sizes), far)


def test_one_component_is_drawn_along_a_strip(rng):
    x = rng.normal(size=50)
    for embedding in (x, x[:, None]):
        display = draw(embedding, labels=np.arange(50) % 2)
        places, _ = drawn(display.points_)
        assert_allclose(np.sort(places[:, 0]), np.sort(x))
        # neighbours are apart: each fifth of the strip has a fifth of the points
        counts, _ = np.histogram(places[:, 1], 5, (0, np.ptp(x)))
        assert (abs(counts - 10) <= 1).all()
        assert display.ax_.get_aspect() == "auto"
        assert display.ax_.get_xlabel() == "component 1"


def test_more_than_two_components(rng):
    Y = rng.normal(size=(40, 4))
    for components in ((0, 1), (3, 1)):
        display = draw(Y, components=components)
        places = display.points_.get_offsets()
        order = np.lexsort(Y[:, components].T)
        assert_allclose(places[np.lexsort(places.T)], Y[order][:, components])
        assert display.ax_.get_xlabel() == f"component {components[0] + 1}"
        assert display.ax_.get_ylabel() == f"component {components[1] + 1}"
    for wrong in ((0, 4), (1,), (-1, 0), (0, 1.5), "01", 1):
        with pytest.raises(ValueError, match="components must be two numbers from 0"):
            draw(Y, components=wrong)


def test_rows_without_a_place_are_told_of():
    Y = GRID.copy()
    Y[[2, 5], [0, 1]] = np.nan, np.inf
    mask = np.arange(48) == 2
    with pytest.warns(UserWarning, match="2 rows without a finite place"):
        display = draw(Y, labels=np.arange(48) % 3, highlight=mask)
    assert len(display.points_.get_offsets()) == 46
    assert display.highlighted_ is None


@pytest.mark.parametrize("embedding", [
    np.zeros((5, 2)), np.column_stack([np.arange(5.0), np.zeros(5)]), np.zeros(5),
    np.zeros((1, 2)), np.zeros((0, 2)), np.full((5, 2), 1e-30), GRID * 1e200,
])  # fmt: skip
@pytest.mark.parametrize("shading", ["points", "density"])
def test_maps_without_extent_and_of_extreme_extent(embedding, shading):
    display = draw(embedding, labels=np.zeros(len(embedding)), shading=shading)
    picture(display.ax_)
    picture(draw(embedding, shading=shading).ax_)


def test_frames_of_pandas_and_polars(rng):
    Y = rng.normal(size=(20, 2)).astype(np.float32)
    labels = ["a", "b"] * 10
    for frame in (pd.DataFrame(Y).assign(c=labels),
                  pl.DataFrame(Y).with_columns(c=pl.Series(labels))):  # fmt: skip
        names = [name for name in frame.columns if name != "c"]
        display = draw(frame[names], labels=frame["c"])
        assert_allclose(drawn(display.points_)[0], Y[np.lexsort(Y.T)])
        assert texts(display.legend_) == ["a", "b"]
    for values in (
        pd.Series([1, None] * 10, dtype="Int64"), pl.Series([1.0, None] * 10),
        [1.0, None] * 10,
    ):  # fmt: skip
        assert texts(draw(Y, values=values).legend_) == ["no value"]


def test_legends():
    many = np.arange(48)
    assert len(texts(draw(GRID, labels=many).legend_)) == 48
    more = np.concatenate([GRID, GRID + 0.5])
    assert draw(more, labels=np.arange(96)).legend_ is None
    assert len(texts(draw(more, labels=np.arange(96), legend=True).legend_)) == 96
    assert draw(GRID, labels=many, legend=False).legend_ is None
    assert draw(GRID).legend_ is None
    display = draw(GRID, labels=many % 3, colors=["red", "#00ff00", (0, 0, 1)])
    handles = display.legend_.legend_handles
    assert_allclose([handle.get_color()[:3] for handle in handles], np.eye(3))
    with pytest.raises(ValueError, match="colors must be at least 3"):
        draw(GRID, labels=many % 3, colors=["red"])
    # outside of the axes
    picture(display.ax_)
    assert display.legend_.get_window_extent().x0 > display.ax_.bbox.x1


def test_arguments_that_are_refused():
    with pytest.raises(ValueError, match="labels and values cannot both"):
        draw(GRID, labels=np.zeros(48), values=np.zeros(48))
    with pytest.raises(ValueError, match="labels must have 48 entries; got 2"):
        draw(GRID, labels=[0, 1])
    with pytest.raises(ValueError, match=r"values must have shape \(48,\); got \(2,\)"):
        draw(GRID, values=[0, 1])
    with pytest.raises(ValueError, match="values must be numbers"):
        draw(GRID, values=["a"] * 48)
    with pytest.raises(ValueError, match="embedding"):
        draw(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("name, values", [
    ("order", ["x"]), ("shading", ["x"]), ("alpha", [2, -1, "a", np.nan, True]),
    ("point_size", [0, "a", np.nan, np.inf]), ("legend", ["below", None, 1]),
    ("annotate", ["x", None]), ("colorbar", ["x", 1]), ("colors", [["red"]]),
])  # fmt: skip
def test_what_is_refused_leaves_no_figure_open(name, values):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    for value in values:
        with pytest.raises(ValueError, match=f"{name} must be"):
            EmbeddingDisplay.from_arrays(
                GRID, labels=np.arange(48) % 2, **{name: value}
            )
    assert pyplot.get_fignums() == before


@pytest.mark.parametrize("name", ["labels", "values", "highlight"])
def test_what_is_masked_is_refused(name):
    masked = np.ma.masked_array(np.arange(48) > 9, np.arange(48) == 3)
    with pytest.raises(ValueError, match=f"{name} must have no masked entries; got 1"):
        draw(GRID, **{name: masked})


def test_more_classes_than_colors(rng):
    Y, labels = rng.normal(size=(1001, 2)), [f"class {i}" for i in range(1001)]
    advice = "labels must make at most 1000 classes; got 1001: give colors for more"
    with pytest.raises(ValueError, match=f"{advice}, or values if they are numbers"):
        draw(Y, labels=labels)
    colors = np.tile(categorical_colors(7), (143, 1))
    display = draw(Y, labels=labels, colors=colors, annotate=False)
    assert len(display.points_.get_offsets()) == 1001


def test_the_map_of_an_estimator(tsne):
    ax = new_axes()
    display = EmbeddingDisplay.from_estimator(tsne, ax=ax, labels=np.arange(50) % 3)
    assert display.ax_ is ax
    assert_array_equal(display.embedding, tsne.embedding_)
    new = EmbeddingDisplay.from_estimator(tsne, IRIS[:7] + 0.1, ax=new_axes())
    assert_array_equal(new.embedding, tsne.transform(IRIS[:7] + 0.1))
    assert new.labels is None
    with pytest.raises(NotFittedError):
        EmbeddingDisplay.from_estimator(ExactTSNE(), ax=new_axes())


def test_the_map_of_a_clustering(tsne):
    Y = tsne.embedding_
    model = StudentTClustering(3, random_state=0).fit(Y)
    with pytest.raises(TypeError, match="keeps no map of its training rows"):
        EmbeddingDisplay.from_estimator(model, ax=new_axes())
    display = EmbeddingDisplay.from_estimator(model, Y, ax=new_axes())
    assert_array_equal(display.embedding, Y)
    assert_array_equal(display.labels, model.labels_)
    deep = StudentTClustering(3, encoder=LinearEncoder(2), random_state=0, n_init=2)
    display = EmbeddingDisplay.from_estimator(deep.fit(IRIS), ax=new_axes())
    assert_array_equal(display.embedding, deep.encoding_)
    assert_array_equal(display.labels, deep.labels_)
    display = EmbeddingDisplay.from_estimator(deep, IRIS[:9], ax=new_axes())
    assert_array_equal(display.embedding, deep.encode(IRIS[:9]))
    assert_array_equal(display.labels, deep.predict(IRIS[:9]))


def test_the_map_of_a_pipeline(tsne):
    model = make_pipeline(
        ExactTSNE(max_iter=60, tol=0, random_state=0), StudentTClustering(3)
    ).fit(IRIS)
    display = EmbeddingDisplay.from_estimator(model, ax=new_axes())
    assert_array_equal(display.embedding, tsne.embedding_)
    assert_array_equal(display.labels, model[-1].labels_)
    display = EmbeddingDisplay.from_estimator(model, IRIS[:9], ax=new_axes())
    assert_array_equal(display.embedding, tsne.embedding_[:9])
    display = EmbeddingDisplay.from_estimator(model[:1], IRIS[:9], ax=new_axes())
    assert_array_equal(display.embedding, tsne.embedding_[:9])


def wrapped(deep):
    """The same clustering in a search, and in pipelines of every kind."""
    yield GridSearchCV(deep, {}, cv=2)
    yield make_pipeline(make_pipeline("passthrough", deep))
    yield Pipeline([("clusters", deep), ("none", None), ("pass", "passthrough")])
    yield make_pipeline(StandardScaler(with_std=False), GridSearchCV(deep, {}, cv=2))


def test_the_map_of_searches_and_of_pipelines_within_pipelines():
    deep = StudentTClustering(3, encoder=LinearEncoder(2), random_state=0, n_init=2)
    for model in wrapped(deep):
        last = last_step(model.fit(IRIS))
        assert isinstance(last, StudentTClustering)
        display = EmbeddingDisplay.from_estimator(model, ax=new_axes())
        assert_array_equal(display.embedding, last.encoding_)
        assert_array_equal(display.labels, last.labels_)
        display = EmbeddingDisplay.from_estimator(model, IRIS, ax=new_axes())
        assert_allclose(display.embedding, last.encoding_)
        assert_array_equal(display.labels, last.labels_)
        display = MembershipDisplay.from_estimator(model, IRIS, ax=new_axes())
        assert_array_equal(display.memberships.argmax(axis=1), last.labels_)
        line = ConvergenceDisplay.from_estimator(model, ax=new_axes()).lines_
        drawn = line["kl_divergence"].get_ydata()
        assert_array_equal(drawn, last.history_["kl_divergence"])


@pytest.mark.parametrize("last", [KMeans(3, n_init=1), GaussianMixture(3)])
def test_rows_that_a_clusterer_is_given_are_drawn_where_they_are(last):
    model = make_pipeline(PCA(2), last).fit(IRIS)
    display = EmbeddingDisplay.from_estimator(model, IRIS[::2], ax=new_axes())
    assert_allclose(display.embedding, model[0].transform(IRIS[::2]))
    alone = KMeans(3, n_init=1).fit(IRIS[:, :2])
    display = EmbeddingDisplay.from_estimator(alone, IRIS[:, :2], ax=new_axes())
    assert_allclose(display.embedding, alone.transform(IRIS[:, :2]))


def test_the_map_of_a_pipeline_that_does_nothing():
    model = make_pipeline("passthrough").fit(IRIS[:, :2])
    display = EmbeddingDisplay.from_estimator(model, IRIS[:, :2], ax=new_axes())
    assert_array_equal(display.embedding, IRIS[:, :2])


def test_what_the_axes_have_stays_in_view():
    ax = new_axes()
    ax.plot([-20, 0], [0, 3])
    EmbeddingDisplay.from_arrays(GRID, ax=ax)
    assert ax.get_xlim()[0] < -20
    assert ax.get_xlim()[1] > 7


@pytest.mark.parametrize("shading", ["points", "density"])
@pytest.mark.parametrize("sharex, sharey", [(True, True), (True, False)])
def test_panels_that_share_their_axes(sharex, sharey, shading):
    figure = Figure(figsize=(6, 3))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharex=sharex, sharey=sharey)
    for ax, size in zip(panels, (1, 3), strict=True):
        EmbeddingDisplay.from_arrays(size * GRID, ax=ax, shading=shading)
    picture(panels[0])
    for ax in panels:
        scale = np.divide(ax.bbox.size, [np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())])
        assert scale[0] == pytest.approx(scale[1])
    if sharey:
        assert panels[0].get_xlim() == panels[1].get_xlim()
        assert panels[0].get_xlim()[1] > 21


def ink(display, color):
    """How much ink each pixel within the axes has: 0 is white, 1 the full colour."""
    box, pixels = display.ax_.get_window_extent(), picture(display.ax_)[::-1]
    inner = pixels[int(box.y0) + 2 : int(box.y1) - 2, int(box.x0) + 2 : int(box.x1) - 2]
    return (1 - inner[..., 0]) / (1 - color[0])


@pytest.mark.parametrize("n, kind", [
    (100, "PathCollection"), (10_000, "PathCollection"), (150_000, "PathCollection"),
    (150_001, "AxesImage"), (1_000_000, "AxesImage"),
])  # fmt: skip
def test_a_hundred_and_a_million_points_are_legible(n, kind, rng):
    # six heaps, each wider than the last
    heap = rng.integers(0, 6, n)
    Y = rng.normal(size=(n, 2)) * (1 + heap[:, None] / 2)
    Y[:, 0] += 12 * (heap % 3)
    Y[:, 1] += 12 * (heap // 3)
    display = draw(Y, labels=np.zeros(n), annotate=False, legend=False)
    assert type(display.points_).__name__ == kind
    found = ink(display, categorical_colors(1)[0])
    inked = found > 0.05
    # neither a few specks nor one blot, and the densest places alone are full
    assert 0.05 < inked.mean() < 0.5
    assert 0.005 < (found[inked] > 0.95).mean() < 0.2
    assert 0.3 < found[inked].mean() < 0.8
