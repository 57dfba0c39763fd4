"""Soft assignments q: Student-t similarities to the centroids, normalised per row."""

import numpy as np
from sklearn.utils._param_validation import validate_params

from skdec._frame import Frame
from skdec._validation import DOF, check_points
from skdec.execution import Threads
from skdec.kernels import clustering


@validate_params(
    {"Z": ["array-like", "sparse matrix"], "centers": ["array-like"], "dof": [DOF]},
    prefer_skip_nested_validation=True,
)
def soft_assignment(Z, centers, *, dof=1.0):
    r"""Student-t soft assignment of points to centroids.

    .. math:: q_{ij} = \frac{(1 + \|z_i-\mu_j\|^2/\nu)^{-(\nu+1)/2}}
              {\sum_{j'} (1 + \|z_i-\mu_{j'}\|^2/\nu)^{-(\nu+1)/2}}

    Parameters
    ----------
    Z : {array-like, sparse matrix} of shape (n_samples, n_features)
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
    Z, centers, dtype = check_points(Z, centers, accept_sparse="csr")
    with Threads() as threads:
        Q = memberships(Frame(Z, centers, 1.0), centers, dof, threads)
    return Q.astype(dtype, copy=False)


def memberships(frame, centers, dof, threads):
    """Q of the rows of a frame and centroids in the units of its X."""
    points, nu = frame.points(frame.inside(centers)), frame.dtype.type(dof)
    Q = np.empty((frame.shape[0], len(centers)), frame.dtype)
    rows = frame.rows

    def task(start, stop):
        clustering.soft_assignment_rows(rows, points, nu, start, stop, Q)

    threads.rows(task, len(Q), Q.size)
    return Q


def most_probable(frame, centers, dof, threads):
    """argmax_j q_ij, int32, of the same q without its storage."""
    points = frame.points(frame.inside(centers))
    form = frame.dtype.type(dof), np.empty(len(centers), frame.dtype)
    labels = np.empty(frame.shape[0], np.int32)
    rows = frame.rows

    def task(start, stop):
        clustering.label_rows(rows, points, form, start, stop, labels)

    threads.rows(task, len(labels), len(labels) * len(centers))
    return labels
