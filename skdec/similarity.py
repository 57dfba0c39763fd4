"""Soft assignments q: Student-t similarities to the centroids, normalised per row."""

import numpy as np
from sklearn.utils._param_validation import validate_params

from skdec._validation import DOF, check_points, power_of_two, working_dtype
from skdec.execution import Threads
from skdec.kernels import clustering

# Below these, 1/h is not a number of the dtype.
SMALLEST_UNIT = {np.dtype(np.float32): 1e-30, np.dtype(np.float64): 1e-300}


@validate_params(
    {"Z": ["array-like"], "centers": ["array-like"], "dof": [DOF]},
    prefer_skip_nested_validation=True,
)
def soft_assignment(Z, centers, *, dof=1.0):
    r"""Student-t soft assignment of points to centroids.

    .. math:: q_{ij} = \frac{(1 + \|z_i-\mu_j\|^2/\nu)^{-(\nu+1)/2}}
              {\sum_{j'} (1 + \|z_i-\mu_{j'}\|^2/\nu)^{-(\nu+1)/2}}

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Points, float32 or float64 (anything else is converted to float64).
    centers : array-like of shape (n_clusters, n_features)
        Centroids μ.
    dof : float, default=1.0
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.

    Returns
    -------
    Q : ndarray of shape (n_samples, n_clusters)
        Memberships in Z's dtype; every row sums to 1.

    Raises
    ------
    ValueError
        If an input is not finite or not 2-D, if ``centers`` has other columns than
        ``Z``, or if ``dof`` is not positive.

    References
    ----------
    Xie, Girshick, Farhadi: Unsupervised deep embedding for clustering analysis,
    ICML 2016, equation 1.

    Examples
    --------
    >>> from skdec import soft_assignment
    >>> soft_assignment([[0.0], [1.0]], [[0.0], [1.0]])
    array([[0.66666667, 0.33333333],
           [0.33333333, 0.66666667]])
    """
    Z, centers, dtype = check_points(Z, centers)
    with Threads() as threads:
        return memberships(Z, centers, dof, threads).astype(dtype, copy=False)


def memberships(Z, centers, dof, threads, bandwidth=1.0):
    """Q of validated points, with distances in units of ``bandwidth``."""
    if not SMALLEST_UNIT[Z.dtype] < bandwidth:
        # 1/h would overflow: a power of two off both changes nothing else
        unit = power_of_two(bandwidth)
        Z, centers = Z.astype(np.float64) / unit, centers.astype(np.float64) / unit
        bandwidth = bandwidth / unit
    largest = float(max(np.abs(Z).max(), np.abs(centers).max())) / bandwidth
    dtype = working_dtype(Z.dtype, largest, "Z")
    Q = np.empty((len(Z), len(centers)), dtype)
    Z = Z.astype(dtype, copy=False)
    # differences to a centroid nearby are exact, products with 1/h are not
    origin = np.zeros(Z.shape[1], dtype)
    if bandwidth != 1:
        shares = centers.astype(np.float64) / len(centers)
        origin = shares.sum(axis=0).astype(dtype)
    centers = ((centers.astype(np.float64) - origin) / bandwidth).astype(dtype)
    frame, nu = (origin, dtype.type(1 / bandwidth)), dtype.type(dof)

    def task(start, stop):
        clustering.soft_assignment_rows(Z, centers, frame, nu, start, stop, Q)

    threads.rows(task, len(Z), Q.size)
    return Q
