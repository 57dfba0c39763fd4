"""Progress bars, and the lines that there are without them."""

import os
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline

from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import LinearEncoder
from skdec.utils.progress import Reports, RichBar, TqdmBar, on_terminal, open_bar

IRIS = load_iris().data
TSNE = ExactTSNE(max_iter=60, tol=0, random_state=0)
CLUSTERING = StudentTClustering(3, n_init=4, random_state=0)


class Recorder:
    """In the place of tqdm's bar: what it is told."""

    made = []

    def __init__(self, total, desc):
        self.total, self.desc, self.n, self.note = total, desc, 0, ""
        self.closed = False
        self.made.append(self)

    def set_postfix_str(self, note, refresh=True):
        self.note = note

    def update(self, n):
        self.n += n

    def refresh(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """Output that somebody watches; pytest's goes to files."""
    monkeypatch.setattr("skdec.utils.progress.on_terminal", lambda stream: True)


@pytest.fixture
def recorded(monkeypatch):
    """Bars that are drawn by a tqdm of our own, since there is no rich."""
    tqdm = ModuleType("tqdm")
    tqdm.tqdm = Recorder
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setitem(sys.modules, "tqdm", tqdm)
    monkeypatch.setattr(Recorder, "made", [])
    return Recorder.made


@pytest.fixture
def no_library(monkeypatch):
    for name in ("rich", "rich.progress", "tqdm"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("estimator", [TSNE, CLUSTERING])
def test_a_bar_changes_no_result(estimator, capsys):
    pytest.importorskip("rich")
    silent, shown = clone(estimator), clone(estimator).set_params(verbose="progress")
    again = pickle.loads(pickle.dumps(clone(shown))).fit(IRIS)
    silent.fit(IRIS)
    name = "embedding_" if isinstance(estimator, ExactTSNE) else "cluster_centers_"
    assert_array_equal(getattr(again, name), getattr(silent, name))
    out = capsys.readouterr().out
    assert f"{type(estimator).__name__}: " in out
    assert "100%" in out
    assert "[" not in out  # none of the lines


def test_what_the_bars_of_a_pipeline_tell(recorded, capsys):
    model = make_pipeline(
        clone(TSNE).set_params(verbose="progress"),
        clone(CLUSTERING).set_params(verbose="progress"),
    ).fit(IRIS)
    assert [bar.desc for bar in recorded] == [
        "ExactTSNE: Computing all pairwise distances and their affinities",
        "ExactTSNE: Computing the start",
        "ExactTSNE: iterations",
        "StudentTClustering: starts",
        "StudentTClustering: self-training",
    ]
    distances, start, iterations, starts, training = recorded
    assert start.n == start.total
    assert iterations.n == 60
    assert iterations.note == f"KL = {model[0].history_['kl_divergence'][0]:.4f}"
    assert starts.n == distances.n == 100
    assert training.n == model[1].n_iter_
    assert training.note == "0.00% of labels changed"
    # what ends earlier than it might is whole all the same
    assert all(bar.closed and bar.n == bar.total for bar in recorded)
    assert capsys.readouterr().out == ""


def test_a_bar_of_an_encoders_training(recorded):
    model = StudentTClustering(
        3, encoder=LinearEncoder(2), n_init=2, max_iter=200, verbose="progress",
        batch_size=50, random_state=0,
    ).fit(IRIS)  # fmt: skip
    training = recorded[-1]
    assert training.desc == "StudentTClustering: training"
    assert training.n == model.n_steps_ <= 3 * 200
    assert training.note.endswith("% of labels changed")


def test_a_bar_that_breaks_off_is_closed_where_it_is(recorded):
    def fail(*what):
        raise RuntimeError("enough")

    tsne = ExactTSNE(verbose="progress", callback=fail, callback_every=20)
    with pytest.raises(RuntimeError, match="enough"):
        tsne.fit(IRIS)
    assert recorded[-1].closed
    assert (recorded[-1].n, recorded[-1].total) == (20, 1000)


def test_a_failed_fit_leaves_no_bar_of_rich_behind(capsys):
    pytest.importorskip("rich")

    def fail(*what):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        ExactTSNE(verbose="progress", callback=fail).fit(IRIS)
    from rich.live import Live

    with Live(auto_refresh=False):
        pass  # it would refuse beside another, before rich 14.1


def test_a_fit_inside_of_another_bar(capsys):
    """rich shows one bar at a time in its older versions: then there are lines."""
    progress = pytest.importorskip("rich.progress")
    with progress.Progress(auto_refresh=False):
        tsne = clone(TSNE).set_params(verbose="progress").fit(IRIS)
    assert tsne.n_iter_ == 60


def test_lines_where_no_library_draws_bars(no_library, capsys):
    assert open_bar("") is None
    for estimator, told in (
        (TSNE, "[t-SNE] Iteration 50"),
        (CLUSTERING, "] bandwidth"),
    ):
        clone(estimator).set_params(verbose="progress").fit(IRIS)
        assert told in capsys.readouterr().out


def test_how_much_time_is_left(no_library, capsys, monkeypatch):
    ticks = iter(np.arange(0.0, 1e4, 10.0))
    monkeypatch.setattr("skdec.tsne._progress.perf_counter", lambda: next(ticks))
    ExactTSNE(verbose="progress", max_iter=150, tol=0, random_state=0).fit(IRIS)
    lines = [x for x in capsys.readouterr().out.splitlines() if "at most" in x]
    for line in lines:
        n_iter = int(line.split("Iteration ")[1].split(" ")[0].strip(":"))
        done = int(line.split("(")[-1].split(" ")[0])
        seconds = float(line.split("iterations in ")[1].split("s")[0])
        left = float(line.split("at most ")[1].split("s left")[0])
        assert left == pytest.approx(seconds / done * (150 - n_iter), abs=0.5)
    assert len(lines) == 3


@pytest.fixture
def sixty_columns():
    rich = pytest.importorskip("rich")
    rich.reconfigure(width=60)
    yield
    rich.reconfigure()


def test_the_text_of_a_bar_is_cut_and_not_the_bar(capsys, sixty_columns):
    bar = RichBar("Somebody")
    bar.show("work", 1, 4, "and a note that is longer than what is left of the line")
    bar.show("work", 2, 4, "and a note that is longer than what is left of the line")
    bar.close(whole=False)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("━" * 8)
    assert " 50% " in line
    assert "Somebody: work" in line
    assert len(line.rstrip()) <= 60


def test_a_clock():
    from skdec.utils.progress import _clock

    assert [_clock(s) for s in (None, 0.2, 61, 3599.6)] == [
        "?",
        "0:00",
        "1:01",
        "1:00:00",
    ]


def test_levels_of_lines(capsys):
    with Reports("me", 1) as reports:
        reports.line("one")
        reports.line("two", level=2)
        reports.step("work", 1, 2)
    assert capsys.readouterr().out == "[me] one\n"


def test_bars_of_tqdm_itself(capsys):
    pytest.importorskip("tqdm")
    bar = TqdmBar("me")
    bar.show("work", 1, 4, "note")
    bar.close(whole=True)
    assert "me: work: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("estimator", [TSNE, CLUSTERING])
def test_other_words_are_refused(estimator):
    with pytest.raises(ValueError, match="verbose"):
        clone(estimator).set_params(verbose="bar").fit(IRIS)


def test_a_file_has_lines_and_no_bar(monkeypatch, capsys):
    """rich would draw one at the end of a fit of hours, and tqdm ten a second."""
    monkeypatch.undo()
    ExactTSNE(verbose="progress", max_iter=60, random_state=0).fit(IRIS)
    told = capsys.readouterr()
    assert "[t-SNE] Iteration 60: " in told.out
    assert told.err == ""


@pytest.mark.parametrize("stream", ["bare", "closed", "none"])
def test_output_that_goes_nobody_knows_where(stream, monkeypatch):
    """Objects of users need not tell, and a closed file raises when it is asked."""
    monkeypatch.undo()
    with open(os.devnull, "w") as closed:
        pass
    found = {"bare": SimpleNamespace(write=len), "closed": closed, "none": None}[stream]
    assert not on_terminal(found)


def test_a_notebook_without_widgets_has_the_bar_of_tqdm(recorded, monkeypatch):
    for name in ("rich", "rich.progress"):
        monkeypatch.delitem(sys.modules, name)
    pytest.importorskip("rich.progress")
    monkeypatch.setattr("skdec.utils.progress.on_terminal", lambda stream: False)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr("skdec.utils.progress.find_spec", lambda name: None)
    assert isinstance(open_bar("title"), TqdmBar)
    monkeypatch.setattr("skdec.utils.progress.find_spec", lambda name: True)
    bar = open_bar("title")
    bar.close(whole=False)
    assert isinstance(bar, RichBar)
