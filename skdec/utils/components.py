"""Weighted rows about their mean, for the solvers that find their components."""

import numpy as np


def weighted_mean(rows, weights):
    """The mean of rows, dense or sparse, float64."""
    return np.asarray(weights @ rows).reshape(-1) / weights.sum()


def about_mean(rows, weights):
    """√w (x − m), with m the weighted mean, as an operator that holds no dense rows.

    Its right singular vectors are the eigenvectors of the weighted covariance.

    Parameters
    ----------
    rows : {ndarray, sparse matrix} of shape (n_samples, n_features), float64
        Rows x.  Dense ones far from their mean lose digits in the products.
    weights : ndarray of shape (n_samples,)
        Weights w, not negative.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator of shape (n_samples, n_features)
        Products with vectors and with matrices, from both sides.
    """
    from scipy.sparse.linalg import LinearOperator  # importing it takes time

    root, mean = np.sqrt(weights)[:, None], weighted_mean(rows, weights)[:, None]

    def away(directions):
        directions = directions.reshape(rows.shape[1], -1)
        return root * (rows @ directions - mean.T @ directions)

    def gathered(columns):
        columns = root * columns.reshape(rows.shape[0], -1)
        return rows.T @ columns - mean * columns.sum(axis=0)

    return LinearOperator(
        rows.shape,
        matvec=away,
        rmatvec=gathered,
        matmat=away,
        rmatmat=gathered,
        dtype=np.float64,
    )
