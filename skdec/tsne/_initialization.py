"""Where an embedding starts: principal components, noise, or the spectrum of P."""

import itertools

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from skdec.utils.components import about_mean, weighted_mean
from skdec.utils.numbers import largest_magnitude, power_of_two
from skdec.utils.validation import check_matrix

INITIAL_SCALE = 1e-4

# Beyond this, squared distances in the map overflow in single precision.
LARGEST_INIT = 1e15

# A column of the start whose spread is smaller than this, in units of the data or of
# the first column, is rounding.
LEAST_SPREAD = 1e-12

# Up to so many rows or columns weighted components come from a full decomposition.
SMALL_SVD = 500

# Up to so many points the eigenvectors come from a full decomposition.
SMALL = 50

# Vectors of the solver for more points.  Of a graph whose parts hang together loosely
# the eigenvalues lie close to 1 and to each other; SciPy's own choice of 20 vectors
# then takes ten times as long.
BASIS = 64


def check_given_start(init, shape):
    """The caller's own start, checked."""
    start = check_matrix(init, "init")
    if start.shape != shape or np.abs(start).max() > LARGEST_INIT:
        raise ValueError(
            f"init must have shape {shape}, that is (n_samples, n_components), "
            f"and values up to {LARGEST_INIT:g}; got shape {start.shape} and "
            f"values up to {np.abs(start).max():g}"
        )
    return start


def random_start(shape, random_state):
    """Normal with standard deviation 1e-4."""
    return INITIAL_SCALE * random_state.standard_normal(shape)


def principal_components(X, n_components, random_state, weights=None):
    """The principal components of X, the first with standard deviation 1e-4.

    Components that X does not have are noise.  scikit-learn fixes their signs by the
    largest loading, so that they do not depend on the order of the rows.
    """
    random_state = check_random_state(random_state)
    start = random_start((X.shape[0], n_components), random_state)
    rows = _varying(X)
    if rows.shape[1] == 0:
        return start
    n_known = min(n_components, *rows.shape)
    if weights is not None:
        known = _weighted_components(rows, n_known, weights, random_state)
        return scaled(known, start, weights)
    solver = "auto"
    if sparse.issparse(X):
        solver = "arpack"
        if n_known == min(rows.shape):
            # the solver for sparse matrices cannot find all components
            rows, solver = rows.toarray(), "full"
    pca = PCA(n_known, copy=False, svd_solver=solver, random_state=random_state)
    pca.set_output(transform="default")
    known = pca.fit_transform(rows)
    return scaled(known, start)


def _weighted_components(rows, n_known, weights, random_state):
    """Rows along the leading eigenvectors of their weighted covariance."""
    mean = weighted_mean(rows, weights)
    if min(rows.shape) <= SMALL_SVD:
        away = (rows.toarray() if sparse.issparse(rows) else rows) - mean
        away = np.sqrt(weights)[:, None] * away
        axes = np.linalg.svd(away, full_matrices=False)[2][:n_known]
    else:
        from scipy.sparse.linalg import svds  # importing it takes time

        v0 = random_state.uniform(-1, 1, min(rows.shape))
        _, values, axes = svds(about_mean(rows, weights), k=n_known, v0=v0)
        axes = axes[np.argsort(-values)]
    axes = _by_largest_loading(axes)
    return rows @ axes.T - mean @ axes.T


def _by_largest_loading(axes):
    """Axes with their largest loading positive."""
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return axes * np.where(largest < 0, -1.0, 1.0)[:, None]


def _varying(X):
    """The columns of X that vary, in a unit that keeps variances in range, float64.

    Dense ones are about the first row: of a column far from zero the solver would lose
    the variance, in the difference of two large sums.  Units are powers of two, so that
    nothing is rounded.
    """
    if sparse.issparse(X):
        most, least = X.max(axis=0).toarray(), X.min(axis=0).toarray()
        rows = X[:, np.flatnonzero(most != least)].astype(np.float64)
        return rows / power_of_two(float(np.abs(rows.data).max(initial=0)))
    unit = power_of_two(largest_magnitude(X))
    rows = np.divide(X, unit, dtype=np.float64)
    rows -= rows[0].copy()
    largest = np.maximum(rows.max(axis=0), -rows.min(axis=0))
    if (largest == 0).any():
        rows = rows[:, largest > 0]
    rows /= power_of_two(float(largest.max()))
    return rows


def spectral(P, n_components, random_state, weights=None, told=None):
    """Leading eigenvectors of the normalised graph P, without the constant one.

    As in Laplacian eigenmaps (Belkin & Niyogi 2003): the solutions of P v = λ D v, D
    the row sums, the first scaled to a standard deviation of 1e-4.  The entry largest
    in magnitude is positive.  With weights P is summed over the copies of each point.
    Of a million rows that takes minutes: ``told`` is called again and again with what
    has been done.
    """
    random_state = check_random_state(random_state)
    S, n = P.astype(np.float64), P.shape[0]
    start = random_start((n, n_components), random_state)
    root = np.sqrt(np.asarray(S.sum(axis=1)).reshape(-1))
    root = np.where(root > 0, root, 1.0)
    # in place: a product with a diagonal matrix is another graph of this size
    S.data *= np.repeat(1 / root, np.diff(S.indptr))
    S.data *= (1 / root)[S.indices]
    n_known = min(n_components, n - 1)
    if n_known == 0:
        return start
    if n <= max(SMALL, 2 * n_components + 4):
        values, vectors = np.linalg.eigh(S.toarray())
    else:
        from scipy.sparse.linalg import eigsh  # as late: it takes time to import

        v0, n_basis = random_state.uniform(-1, 1, n), max(BASIS, 2 * n_known + 4)
        graph = S if told is None else _counted(S, told)
        values, vectors = eigsh(
            graph, k=n_known + 1, which="LA", v0=v0, ncv=min(n, n_basis)
        )
    order = np.argsort(-values)[1 : n_known + 1]
    known = vectors[:, order] / root[:, None]
    largest = known[np.abs(known).argmax(axis=0), np.arange(n_known)]
    known *= np.where(largest < 0, -1.0, 1.0)
    return scaled(known, start, weights)


def _counted(S, told):
    """Products with S, each of them told."""
    from scipy.sparse.linalg import LinearOperator

    numbers = itertools.count(1)

    def product(v):
        told(f"{next(numbers)} products with the graph")
        return S @ v

    return LinearOperator(S.shape, matvec=product, dtype=S.dtype)


def scaled(known, start, weights=None):
    """The known columns in place of the noise, the first with the right spread.

    A column that is but the rounding of the solver is not known: of unit vectors and of
    data in units that is below 1e-12, and it is not the same every time.
    """
    spreads = known.std(axis=0)
    if weights is not None:
        away = known - np.average(known, axis=0, weights=weights)
        spreads = np.sqrt(np.average(np.square(away), axis=0, weights=weights))
    columns = np.flatnonzero(spreads > LEAST_SPREAD * max(1.0, spreads[0]))
    if 0 in columns:
        start[:, columns] = known[:, columns] / spreads[0] * INITIAL_SCALE
    return start
