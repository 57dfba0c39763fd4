"""scikit-learn's own checks, at the defaults and over other configurations.

None is expected to fail, not even the two (sample-weight equivalence) that
scikit-learn's KMeans declares.
"""

import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skdec import ExactTSNE, StudentTClustering

# the checks cut max_iter to 5, where a warning is what the user should get (a map after
# 5 iterations has no place for some points); and fit constant or tied data, whose
# perplexity cannot be reached
pytestmark = [
    pytest.mark.filterwarnings("ignore:the clusters did not settle"),
    pytest.mark.filterwarnings("ignore:the perplexity cannot be reached"),
    pytest.mark.filterwarnings("ignore:.* new points found no place in the map"),
    pytest.mark.filterwarnings("ignore:.* clusters collapsed"),
    pytest.mark.filterwarnings("ignore:n_clusters .* exceeds the number of distinct"),
    pytest.mark.filterwarnings("ignore:Number of distinct clusters"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]


@pytest.mark.parametrize("estimator", [StudentTClustering(), ExactTSNE()])
def test_check_estimator(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (ConvergenceWarning))
        check_estimator(estimator)


@parametrize_with_checks(
    [
        StudentTClustering(n_clusters=3, dof=0.5, bandwidth=1.0, n_init=2),
        StudentTClustering(n_clusters=2, init="random", update_interval=4, n_jobs=1),
        StudentTClustering(n_clusters=1, dof=7.5, tol=0.1, n_jobs=None),
        # smaller batches only take longer
        StudentTClustering(n_clusters=2, batch_size=25, n_init=2),
        ExactTSNE(n_components=1, init="random", n_jobs=1),
        ExactTSNE(n_components=3, precision="double", learning_rate=10.0),
        ExactTSNE(perplexity=[1.0, 1.5], dof=0.5, metric="manhattan", max_iter=30),
        ExactTSNE(sigma=1.0, early_exaggeration_iter=2, n_jobs=None),
        ExactTSNE(metric="precomputed", init="random"),
        ExactTSNE(affinities="neighbors", exaggeration=4.0, init="spectral"),
        ExactTSNE(kernel="gaussian", normalization="conditional"),
    ]
)
def test_parametrized_checks(estimator, check):
    check(estimator)
