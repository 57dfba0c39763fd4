"""What several test files of this folder need."""

import numpy as np
from numpy.testing import assert_allclose
from scipy import sparse

from skdec.clustering._scaled_rows import scale_rows

# each is a branch of the kernels: pow, products of odd and even ν, pow again
DOFS = [0.5, 1.0, 2.0, 3.0, 10.0, 20.0, 1e6]
DTYPES = [np.float32, np.float64]
RTOL = {np.float32: 2e-4, np.float64: 1e-10}
ATOL = {np.float32: 2e-5, np.float64: 1e-12}


def clusters(rng, n=11, d=2, k=3, dtype=np.float64):
    Z = rng.normal(size=(n, d)).astype(dtype)
    return Z, (1.5 * rng.normal(size=(k, d))).astype(dtype), rng.uniform(0.5, 2, n)


def joint(rng, n, dtype=np.float64):
    P = rng.uniform(size=(n, n))
    np.fill_diagonal(P, 0)
    return (P / P.sum()).astype(dtype)


def conditional(rng, n, dtype=np.float64):
    P = joint(rng, n)
    return (P / P.sum(axis=1, keepdims=True)).astype(dtype)


def close(actual, expected, dtype):
    expected = np.asarray(expected, dtype=np.float64)
    scale = max(1.0, np.abs(expected).max())
    assert_allclose(actual, expected, rtol=RTOL[dtype], atol=ATOL[dtype] * scale)


def framed(form, Z, centers, bandwidth):
    """A frame of each form; on the way its rows are what it was given."""
    rows = sparse.csr_matrix(Z) if form == "sparse" else Z
    frame = scale_rows(rows, centers, bandwidth)
    return frame.measured_by_products() if form == "products" else frame


# Every kernel, and Student-t at each way in which it is computed.
FORMS = [("student_t", dof) for dof in (0.5, 1.0, 2.0, 49.0, 100.0)] + [
    ("gaussian", 1.0)
]
