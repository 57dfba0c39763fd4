"""Films of fits: their frames, the file, and the fit itself."""

import stat
import sys
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline

from skdec import ExactTSNE, StudentTClustering
from skdec.plotting import _animation, animate_fit

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
Image = pytest.importorskip("PIL.Image")

IRIS = load_iris()
X, LABELS = IRIS.data[::3], IRIS.target[::3]
TSNE = ExactTSNE(max_iter=130, tol=0, random_state=0)
SMALL = {"figsize": (2.0, 1.6), "dpi": 40, "hold": 0.0}


@pytest.fixture
def frames(monkeypatch):
    """What each frame of a film shows: iteration, KL, view, places and title."""
    seen, frame = [], _animation.Film.frame

    def watched(self, n_iter, kl, embedding):
        frame(self, n_iter, kl, embedding)
        view = np.array([self.ax.get_xlim(), self.ax.get_ylim()])
        seen.append((n_iter, kl, view, embedding.copy(), self.ax.get_title()))

    monkeypatch.setattr(_animation.Film, "frame", watched)
    return seen


def test_a_film_has_a_frame_for_every_so_many_iterations(tmp_path, frames):
    path = tmp_path / "film.gif"
    fitted = animate_fit(TSNE, X, path, labels=LABELS, every=20, **SMALL)
    assert [frame[0] for frame in frames] == [20, 40, 60, 80, 100, 120, 130]
    with Image.open(path) as film:
        assert film.n_frames == 7
        assert film.size == (80, 64)
    assert list(tmp_path.iterdir()) == [path]
    # the fit is that without a film, and so are its parameters
    plain = ExactTSNE(**TSNE.get_params()).fit(X)
    assert_array_equal(fitted.embedding_, plain.embedding_)
    assert_array_equal(frames[-1][3], plain.embedding_)
    assert frames[-1][1] == plain.kl_divergence_
    assert fitted.get_params() == TSNE.get_params()
    assert not hasattr(TSNE, "embedding_")
    title = f"iteration 130: KL = {plain.kl_divergence_:.3f}"
    assert frames[-1][4] == title


def test_the_view_holds_the_map_and_does_not_jump_inwards(tmp_path, frames):
    animate_fit(TSNE, X, tmp_path / "film.gif", every=10, **SMALL)
    half = [np.ptp(view, axis=1) / 2 for _, _, view, _, _ in frames]
    for _, _, (x, y), places, _ in frames:
        assert x[0] < places[:, 0].min() <= places[:, 0].max() < x[1]
        assert y[0] < places[:, 1].min() <= places[:, 1].max() < y[1]
    for before, after in pairwise(half):
        assert (after > (1 - _animation.ZOOM - 1e-9) * before).all()


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
    assert [frame[0] for frame in frames] == [20, 40, 60, 80, 100]
    seen.clear()
    tsne.set_params(callback=lambda *what: seen.append(what[0]), callback_every=30)
    animate_fit(tsne, X, tmp_path / "film.gif", every=65, **SMALL)
    assert seen == [30, 50, 60, 90, 100, 120, 130]


def test_a_film_of_a_step_of_a_pipeline(tmp_path, frames):
    model = make_pipeline(TSNE, StudentTClustering(3, n_init=2, random_state=0))
    fitted = animate_fit(model, X, tmp_path / "film.gif", every=60, **SMALL)
    assert [frame[0] for frame in frames] == [60, 120, 130]
    assert fitted[-1].labels_.shape == (50,)
    assert fitted[0].callback is None


def test_rows_that_have_no_place_before_the_end(tmp_path, frames):
    weight = np.ones(50)
    weight[:5] = 0
    fitted = animate_fit(
        TSNE, X, tmp_path / "film.gif", every=100, labels=list(LABELS),
        fit_params={"sample_weight": weight}, **SMALL,
    )  # fmt: skip
    assert np.isfinite(fitted.embedding_).all()
    assert np.isnan(frames[0][3][:5]).all()


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
    with pytest.raises(ValueError, match="labels must have 50 entries; got 2"):
        animate_fit(failing, X, tmp_path / "film.gif", labels=[0, 1])
    with pytest.raises(TypeError, match="estimator must have one callback"):
        animate_fit(StudentTClustering(3), X, tmp_path / "film.gif")


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
