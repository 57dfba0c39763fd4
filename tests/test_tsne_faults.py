"""ExactTSNE: what once went wrong in silence, and must not again."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skdec import ExactTSNE

IRIS = np.unique(load_iris().data, axis=0)
DIGITS = load_digits().data
SHORT = {"random_state": 0, "max_iter": 20}


# -------------------------------------------------------------------------- state
def broken(n_iter, kl, embedding):
    raise RuntimeError("no")


def interrupted(n_iter, kl, embedding):
    raise KeyboardInterrupt


FAILURES = [
    ({"perplexity": 500}, ValueError),
    ({"init": np.ones((3, 2))}, ValueError),
    ({"callback": broken}, RuntimeError),
    ({"callback": interrupted}, KeyboardInterrupt),
    ({"metric": "precomputed"}, ValueError),
]


@pytest.mark.parametrize("parameters, error", FAILURES)
def test_a_failed_refit_leaves_the_estimator_as_it_was(parameters, error):
    tsne = ExactTSNE(**SHORT).fit(IRIS)
    new = IRIS[:3] + 0.01
    before = tsne.transform(new)
    settings = {name: getattr(tsne, name) for name in parameters}
    with pytest.raises(error):
        tsne.set_params(**parameters).fit(DIGITS[:40])
    assert tsne.n_features_in_ == 4
    assert_array_equal(tsne.set_params(**settings).transform(new), before)


@pytest.mark.parametrize("parameters, error", FAILURES)
def test_after_a_failed_first_fit_it_is_not_fitted(parameters, error):
    tsne = ExactTSNE(**{**SHORT, **parameters})
    with pytest.raises(error):
        tsne.fit(DIGITS[:40])
    assert set(vars(tsne)) == set(tsne.get_params())
    with pytest.raises(NotFittedError):
        check_is_fitted(tsne)
    with pytest.raises(NotFittedError):
        tsne.transform(IRIS)


def test_no_memory_leaves_the_estimator_as_it_was(monkeypatch):
    def full(*_):
        raise MemoryError

    tsne = ExactTSNE(**SHORT)
    monkeypatch.setattr("skdec.tsne.dense_affinities", full)
    with pytest.raises(MemoryError):
        tsne.fit(IRIS)
    assert set(vars(tsne)) == set(tsne.get_params())


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
