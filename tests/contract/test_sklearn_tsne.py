"""scikit-learn's own tests of TSNE, with ExactTSNE in TSNE's place.

Left out: tests of private functions, of Barnes-Hut itself and of its angle, and of
other public functions.  Each test runs with the affinities over all pairs and over the
neighbours only, as Barnes-Hut has them; ``method`` and ``angle`` are dropped.
"""

import inspect

import pytest
import sklearn
from sklearn.manifold.tests import test_t_sne as theirs
from sklearn.utils.fixes import parse_version

from skdec import ExactTSNE

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("the tests are those of scikit-learn 1.9", allow_module_level=True)

pytestmark = [
    pytest.mark.filterwarnings("ignore:the perplexity cannot be reached"),
    pytest.mark.filterwarnings("ignore:init='pca' needs X itself"),
    pytest.mark.filterwarnings("ignore:the embedding .* shows less than points"),
    # of scikit-learn itself, on unsorted graphs
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.EfficiencyWarning"),
    pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning"),
]

LEFT_OUT = {
    "test_gradient_descent_stops": "private",
    "test_binary_search": "private",
    "test_binary_search_underflow": "private",
    "test_binary_search_neighbors": "private",
    "test_binary_perplexity_stability": "private",
    "test_gradient": "private",
    "test_answer_gradient_two_points": "private",
    "test_answer_gradient_four_points": "private",
    "test_skip_num_points_gradient": "private",
    "test_gradient_bh_multithread_match_sequential": "private",
    "test_barnes_hut_angle": "angle",
    "test_bh_match_exact": "Barnes-Hut",
    "test_n_components_range": "Barnes-Hut",
    "test_trustworthiness": "another function",
    "test_trustworthiness_n_neighbors_error": "another function",
    "test_trustworthiness_not_euclidean_metric": "another function",
}

# what is meant to differ: (name, affinities or None for both, argument) and why
DIFFERENT = [
    ("test_max_iter_used", None, None, "n_iter_ counts all iterations done"),
    ("test_64bit", None, "float64", "the output keeps the input's dtype"),
    ("test_pca_initialization_not_compatible_with_precomputed_kernel", None, None,
     "init='pca' falls back to 'spectral' (their X is not square either)"),
    ("test_tsne_with_mahalanobis_distance", None, None,
     "the covariance is estimated from X when none is given"),
    ("test_exact_no_precomputed_sparse", "neighbors", None, "this takes a graph"),
    ("test_bad_precomputed_distances", "exact", "csr", "a graph needs 'neighbors'"),
    ("test_high_perplexity_precomputed_sparse_distances", None, None,
     "a graph needs 'neighbors', and a sample is none of its own"),
    ("test_init_ndarray", "neighbors", None,
     "copies of a single point do not unfold, of which a warning tells"),
    ("test_init_ndarray_precomputed", "neighbors", None,
     "copies of a single point do not unfold, of which a warning tells"),
    ("test_sparse_precomputed_distance", "exact", None, "a graph needs 'neighbors'"),
    ("test_verbose", "exact", None, "no neighbours to report"),
    ("test_tsne_with_different_distance_metrics", "neighbors", "cosine",
     "distances to neighbours come of directions, and keep digits that 1 - cos loses"),
    ("test_tsne_with_different_distance_metrics", "exact", "cosine",
     "cosines of float32 rows are computed in double precision"),
]  # fmt: skip


def expand(function):
    """The parameter sets that pytest would call a test function with."""
    sets = [({}, [])]
    for mark in getattr(function, "pytestmark", []):
        if mark.name != "parametrize":
            continue
        names, values = mark.args[:2]
        names = (
            [n.strip() for n in names.split(",")] if isinstance(names, str) else names
        )
        grown = []
        for value in values:
            row = value if len(names) > 1 else (value,)
            label = "-".join(getattr(v, "__name__", str(v)) for v in row)
            chosen = dict(zip(names, row, strict=True))
            grown += [({**kw, **chosen}, [*ids, label]) for kw, ids in sets]
        sets = grown
    return sets


def cases():
    for name, function in inspect.getmembers(theirs, inspect.isfunction):
        if not name.startswith("test_") or name in LEFT_OUT:
            continue
        if function.__module__ != theirs.__name__:
            continue
        for kwargs, ids in expand(function):
            for affinities in ("exact", "neighbors"):
                label = "-".join([name, affinities, *ids])
                marks = [
                    pytest.mark.xfail(strict=True, reason=reason)
                    for different, mode, argument, reason in DIFFERENT
                    if different == name
                    and mode in (None, affinities)
                    and (argument is None or argument in label)
                ]
                yield pytest.param(function, kwargs, affinities, id=label, marks=marks)


@pytest.mark.parametrize("function, kwargs, affinities", cases())
def test_theirs(function, kwargs, affinities, monkeypatch, request):
    def tsne(*args, method=None, angle=None, **parameters):
        return ExactTSNE(*args, affinities=affinities, **parameters)

    monkeypatch.setattr(theirs, "TSNE", tsne)
    if "capsys" in inspect.signature(function).parameters:
        kwargs = {**kwargs, "capsys": request.getfixturevalue("capsys")}
    function(**kwargs)


def test_nothing_else_is_left_out():
    names = {name for name in vars(theirs) if name.startswith("test_")}
    assert set(LEFT_OUT) | {row[0] for row in DIFFERENT} <= names
