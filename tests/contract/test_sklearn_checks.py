"""scikit-learn's own checks, at the defaults and over other configurations.

None is expected to fail, not even the two (sample-weight equivalence) that
scikit-learn's KMeans declares.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

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
]


@parametrize_with_checks(
    [
        StudentTClustering(),
        StudentTClustering(
            3,
            dof=0.5,
            bandwidth=1.0,
            init="random",
            update_interval=4,
            n_init=3,
            n_jobs=1,
        ),
        StudentTClustering(n_clusters=1, dof=7.5, tol=0.1, n_init=2, n_jobs=None),
        # smaller batches only take longer
        StudentTClustering(n_clusters=2, batch_size=25, n_init=2),
        ExactTSNE(),
        ExactTSNE(n_components=3, precision="double", learning_rate=10.0),
        ExactTSNE(perplexity=[1.0, 1.5], dof=0.5, metric="manhattan", max_iter=30),
        ExactTSNE(sigma=1.0, early_exaggeration_iter=2, n_jobs=None),
        ExactTSNE(metric="precomputed", init="random"),
        ExactTSNE(
            affinities="neighbors", exaggeration=4.0, init="spectral", max_iter=30
        ),
        ExactTSNE(
            n_components=1,
            init="random",
            kernel="gaussian",
            normalization="conditional",
            n_jobs=1,
        ),
    ]
)
def test_checks(estimator, check):
    check(estimator)
