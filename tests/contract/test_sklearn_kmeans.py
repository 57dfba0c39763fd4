"""scikit-learn's own tests of KMeans, with StudentTClustering in KMeans's place.

Left out: tests of private functions and attributes, of the choice of an algorithm, of
MiniBatchKMeans alone, and of other public functions.  ``algorithm`` and ``copy_x`` are
dropped.  Tests that are for both KMeans and MiniBatchKMeans run with all rows in each
step and with batches of rows.
"""

import inspect

import numpy as np
import pytest
import sklearn
from sklearn.cluster.tests import test_k_means as theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version

from skdec import StudentTClustering

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("the tests are those of scikit-learn 1.9", allow_module_level=True)

pytestmark = [
    # KMeans says nothing when it stops at max_iter
    pytest.mark.filterwarnings("ignore:the clusters did not settle"),
    # of six rows, and of two of them
    pytest.mark.filterwarnings("ignore:batches of . rows .* are few"),
]

LEFT_OUT = {
    "test_relocate_empty_clusters": "private",
    "test_minibatch_update_consistency": "private",
    "test_minibatch_reassign": "private",
    "test_minibatch_kmeans_init_size": "private",
    "test_kmeans_init_auto_with_initial_centroids": "private",
    "test_n_init_auto": "private",
    "test_euclidean_distance": "private",
    "test_inertia": "private",
    "test_is_same_clustering": "private",
    "test_sample_weight_init": "private",
    "test_sample_weight_zero": "private",
    "test_kmeans_elkan_results": "algorithm",
    "test_warning_elkan_1_cluster": "algorithm",
    "test_minibatch_kmeans_partial_fit_init": "MiniBatchKMeans",
    "test_minibatch_kmeans_verbose": "MiniBatchKMeans",
    "test_minibatch_kmeans_warning_init_size": "MiniBatchKMeans",
    "test_minibatch_sensible_reassign": "MiniBatchKMeans",
    "test_minibatch_with_many_reassignments": "MiniBatchKMeans",
    "test_minibatch_declared_convergence": "MiniBatchKMeans",
    "test_minibatch_iter_steps": "MiniBatchKMeans",
    "test_k_means_function": "another function",
    "test_kmeans_plusplus_wrong_params": "another function",
    "test_kmeans_plusplus_output": "another function",
    "test_kmeans_plusplus_norms": "another function",
    "test_kmeans_plusplus_dataorder": "another function",
}

NO_INERTIA = "there is no inertia: clusters are compared by evidence_"

# what is meant to differ: where a test stops, and why
DIFFERENT = {
    "test_all_init": (AttributeError, NO_INERTIA),
    "test_float_precision": (AttributeError, NO_INERTIA),
    "test_kmeans_copyx": (AttributeError, NO_INERTIA),
    "test_kmeans_relocated_clusters": (AttributeError, NO_INERTIA),
    "test_kmeans_results": (AttributeError, NO_INERTIA),
    "test_n_init": (AttributeError, NO_INERTIA),
    "test_weighted_vs_repeated": (AttributeError, NO_INERTIA),
    "test_k_means_1_iteration": (
        AssertionError,
        "a step descends KL(P‖Q): it does not take the means of the rows",
    ),
    "test_kmeans_init_fitted_centers": (
        AssertionError,
        "a fit stops near the minimum, as tol says, and can go on from there",
    ),
    "test_kmeans_convergence": (
        AssertionError,
        "tol=0 asks for the precision of the computation, which takes 2,000 passes",
    ),
    "test_score_max_iter": (
        AssertionError,
        "the score is a silhouette, which is not what the iterations minimise",
    ),
    "test_transform": (AssertionError, "transform gives memberships, not distances"),
    "test_kmeans_verbose": (AssertionError, "the lines are worded otherwise"),
    "test_wrong_params": (AssertionError, "the errors are worded otherwise"),
    "test_kmeans_warns_less_centers_than_unique_points": (
        ConvergenceWarning,
        "the warning is worded otherwise",
    ),
    "test_relocating_with_duplicates": (
        ConvergenceWarning,
        "the warning is worded otherwise",
    ),
}


def all_rows(*args, algorithm=None, copy_x=None, **parameters):
    return StudentTClustering(*args, **parameters)


def batches(*args, batch_size=50, **parameters):
    return StudentTClustering(*args, batch_size=batch_size, **parameters)


# one of their tests compares it with the names of the features put out
all_rows.__name__ = batches.__name__ = StudentTClustering.__name__

# the one algorithm that is run needs no name
INSTEAD = {theirs.KMeans: all_rows, theirs.MiniBatchKMeans: batches, "lloyd": None}


def label(value, otherwise):
    """As pytest labels a value."""
    if value is None or isinstance(value, str | int | float):
        return str(value)
    return getattr(value, "__name__", otherwise)


def expand(function):
    """The parameter sets that pytest would call a test function with."""
    marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
    if "global_dtype" in inspect.signature(function).parameters:
        dtypes = pytest.mark.parametrize("global_dtype", [np.float32, np.float64])
        marks.append(dtypes.mark)
    sets = [({}, [])]
    for mark in marks:
        names, values = mark.args[:2]
        names = (
            [n.strip() for n in names.split(",")] if isinstance(names, str) else names
        )
        grown = []
        for i, value in enumerate(values):
            row = value if len(names) > 1 else (value,)
            chosen = dict(zip(names, row, strict=True))
            labels = [label(v, f"{name}{i}") for name, v in chosen.items()]
            labels = [mark.kwargs["ids"][i]] if "ids" in mark.kwargs else labels
            grown += [({**kw, **chosen}, [*ids, *labels]) for kw, ids in sets]
        sets = grown
    return sets


def cases():
    for name, function in inspect.getmembers(theirs, inspect.isfunction):
        if not name.startswith("test_") or name in LEFT_OUT:
            continue
        if function.__module__ != theirs.__name__:
            continue
        marks = []
        if name in DIFFERENT:
            raises, reason = DIFFERENT[name]
            marks = [pytest.mark.xfail(strict=True, raises=raises, reason=reason)]
        for kwargs, ids in expand(function):
            if "elkan" not in ids:
                kwargs = {
                    key: INSTEAD.get(v, v) if isinstance(v, type | str) else v
                    for key, v in kwargs.items()
                }
                case = "-".join([name, *ids])
                yield pytest.param(function, kwargs, id=case, marks=marks)


@pytest.fixture
def global_random_seed():
    return 42


@pytest.mark.parametrize("function, kwargs", cases())
def test_theirs(function, kwargs, monkeypatch, request):
    monkeypatch.setattr(theirs, "KMeans", all_rows)
    monkeypatch.setattr(theirs, "MiniBatchKMeans", batches)
    fixtures = set(inspect.signature(function).parameters) - set(kwargs)
    function(**kwargs, **{name: request.getfixturevalue(name) for name in fixtures})


def test_nothing_else_is_left_out():
    names = {name for name in vars(theirs) if name.startswith("test_")}
    assert set(LEFT_OUT) | set(DIFFERENT) <= names
