"""What a fit says, and who may stop it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skdec
from skdec import ExactTSNE
from tests.tsne.common import IRIS, SHORT


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
    assert not tsne.converged_
    P = skdec.joint_affinities(skdec.conditional_affinities(IRIS))
    kl = skdec.embedding_loss(tsne.embedding_, P)[0]
    assert_allclose(tsne.kl_divergence_, kl, rtol=1e-4)


def test_whether_a_map_came_to_rest():
    tsne = ExactTSNE(random_state=0).fit(IRIS)
    assert tsne.converged_ and tsne.n_iter_ < tsne.max_iter
    assert not ExactTSNE(random_state=0, max_iter=300, tol=0).fit(IRIS).converged_
    held = ExactTSNE(init=tsne.embedding_).fit(IRIS, fixed=np.ones(len(IRIS), bool))
    assert held.n_iter_ == 0 and held.converged_
    # between two checks KL falls by less than from one to the next
    cut = tsne.n_iter_ - 49
    for how in {"max_iter": cut}, {"callback": lambda n, *_: n >= cut}:
        stopped = ExactTSNE(random_state=0, callback_every=1, **how).fit(IRIS)
        assert stopped.n_iter_ == cut and not stopped.converged_


def test_history_and_what_a_callback_sees_agree():
    seen = []
    settings = {"max_iter": 230, "tol": 0, "random_state": 0, "exaggeration": 2.0}
    plain = ExactTSNE(**settings, n_jobs=1).fit(IRIS)
    tsne = ExactTSNE(
        **settings, callback=lambda *what: seen.append(what), callback_every=40
    ).fit(IRIS)
    assert_array_equal(plain.embedding_, tsne.embedding_)
    assert [what[0] for what in seen] == tsne.history_["n_iter"].tolist()
    assert [what[1] for what in seen] == tsne.history_["kl_divergence"].tolist()
    # a callback adds entries between those that there are in any case
    assert plain.history_["n_iter"].tolist() == [50, 100, 150, 200, 230]
    assert_array_equal(
        tsne.history_["n_iter"], [40, 50, 80, 100, 120, 150, 160, 200, 230]
    )
    both = np.isin(tsne.history_["n_iter"], plain.history_["n_iter"])
    for name, entries in plain.history_.items():
        assert_array_equal(tsne.history_[name][both], entries, err_msg=name)
    # of the next step: after 50 iterations the geometric mean of 12 and 2
    assert_allclose(tsne.history_["exaggeration"][:3], [12, 24**0.5, 2])
    P = skdec.joint_affinities(skdec.conditional_affinities(IRIS))
    for n_iter, kl, embedding in seen[:3]:
        at = list(tsne.history_["n_iter"]).index(n_iter)
        assert_allclose(skdec.embedding_loss(embedding, P)[0], kl, rtol=1e-4)
        # ∂KL(P‖Q)/∂Y is linear in P, so that of αP is α(∇ − ∇₀) + ∇₀, P = 0 in ∇₀
        alpha, gradient = tsne.history_["exaggeration"][at], gradient_of(embedding, P)
        attraction = gradient - gradient_of(embedding, np.zeros_like(P))
        norm = np.linalg.norm(gradient + (alpha - 1) * attraction)
        assert_allclose(tsne.history_["grad_norm"][at], norm, rtol=1e-3)


def test_how_often_a_callback_is_called_does_not_end_the_history_earlier():
    seen = []
    plain = ExactTSNE(random_state=0).fit(IRIS)
    tsne = ExactTSNE(random_state=0, callback=lambda *what: seen.append(what[0]))
    tsne.set_params(callback_every=10).fit(IRIS)
    # between calls KL falls by less than tol long before it does in 50 iterations
    assert tsne.n_iter_ == plain.n_iter_ < 1000
    assert seen == list(range(10, plain.n_iter_ + 1, 10))
    assert_array_equal(tsne.embedding_, plain.embedding_)


def gradient_of(Y, P):
    """The gradient 4 Σ_j (p − q)(1 + D)⁻¹ (y_i − y_j) of any P, in plain arrays."""
    difference = (Y[:, None] - Y).astype(float)
    s = 1 / (1 + np.square(difference).sum(axis=2))
    np.fill_diagonal(s, 0)
    return 4 * np.einsum("ij,ijk->ik", (P - s / s.sum()) * s, difference)


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


def test_a_failed_fit_is_told_to_the_callbacks_of_scikit_learn():
    pytest.importorskip("sklearn.callback")

    class Callback:
        told = False

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, *, X=None):
            pass

        def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
            raise RuntimeError("no")

        def teardown(self, estimator, context):
            self.told = True

    callback = Callback()
    tsne = ExactTSNE(**SHORT).set_callbacks(callback)
    before = set(vars(tsne))
    with pytest.raises(RuntimeError, match="no"):
        tsne.fit(IRIS)
    assert callback.told
    assert set(vars(tsne)) == before


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"affinities": "neighbors"},
        {"metric": "cosine"},
        {"init": "spectral"},
        {"init": "spectral", "affinities": "neighbors"},
    ],
)
def test_no_silence(settings, capsys, monkeypatch):
    """Whatever takes time tells how far it is."""
    monkeypatch.setattr("skdec.tsne._progress.SILENCE", -1.0)
    ExactTSNE(verbose=1, max_iter=60, tol=0, **settings).fit(IRIS)
    text = capsys.readouterr().out
    assert ": 100% of a step done" in text
    if "init" in settings:
        assert "Computing the start: 3 products with the graph" in text
    assert text.count("s each") == 60
    assert "Iteration 57: " in text
    monkeypatch.setattr("skdec.tsne._progress.SILENCE", 1e9)
    ExactTSNE(verbose=1, max_iter=60, tol=0, **settings).fit(IRIS)
    text = capsys.readouterr().out
    assert "step done" not in text
    assert "s each" not in text
    assert "products" not in text
