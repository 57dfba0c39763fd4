"""Affinities, and the loss of an embedding, as functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from scipy import sparse

from skdec.kernels.types import KERNELS, Bandwidths, Kernel
from skdec.tsne._affinities import conditional_rows, from_graph, from_matrix
from skdec.tsne._checks import (
    METRICS,
    PERPLEXITY,
    check_precomputed,
    finite_for,
    resolve_perplexities,
)
from skdec.tsne._distances import SquaredDistances
from skdec.tsne._objective import LARGEST_FUSED, EmbeddingObjective
from skdec.tsne._repulsion import check_grid
from skdec.utils.numbers import working_dtype
from skdec.utils.sklearn_compat import StrOptions, validate_params
from skdec.utils.threads import Threads
from skdec.utils.validation import (
    DOF,
    POSITIVE,
    check_distribution,
    check_matrix,
    check_square,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import (
        FloatArray,
        KernelName,
        MatrixLike,
        Normalization,
        RepulsionName,
    )


@validate_params(
    {
        "X": ["array-like"],
        "perplexity": PERPLEXITY,
        "sigma": [POSITIVE, None],
        "metric": [METRICS, callable],
    },
)
def conditional_affinities(
    X: ArrayLike,
    *,
    perplexity: float | Sequence[float] = 30.0,
    sigma: float | None = None,
    metric: str | Callable[..., float] = "euclidean",
) -> FloatArray:
    r"""Conditional affinities p_{j|i} of SNE.

    .. math:: p_{j|i} = \frac{\exp(-\beta_i d_{ij}^2)}
              {\sum_{k\neq i} \exp(-\beta_i d_{ik}^2)}, \qquad p_{i|i} = 0

    with β_i such that the row has the given perplexity, 2 to the power of its entropy
    in bits, or β = 1/σ² for all rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, n_samples)
        Samples, or their distances (not squared) with ``metric="precomputed"``; an
        infinite one stands for no connection, p = 0.
    perplexity : float or list of float, default=30.0
        Effective number of neighbours, from 1 to below n_samples.  Of several, P is
        the average of the scales.  Ignored when ``sigma`` is given.
    sigma : float, default=None
        Fixed bandwidth σ, in the units of the distances.
    metric : str or callable, default="euclidean"
        A metric of :func:`sklearn.metrics.pairwise_distances`, or "precomputed".

    Returns
    -------
    P : ndarray of shape (n_samples, n_samples)
        Affinities in X's dtype; every row i sums to 1 over j ≠ i.

    Raises
    ------
    ValueError
        If X is not finite or has fewer than 2 rows, if a perplexity is below 1 or not
        below n_samples, or if precomputed distances are not square, symmetric and
        non-negative with a zero diagonal.

    Warns
    -----
    UserWarning
        If rows cannot have the perplexity asked for, because it is above
        n_samples − 1 or below the number of ties for the nearest neighbour.

    References
    ----------
    Hinton, Roweis: Stochastic neighbor embedding, NeurIPS 2002, equation 1.
    Lee, Peluffo-Ordóñez, Verleysen: Multi-scale similarities in stochastic neighbour
    embedding, Neurocomputing 2015 (the average of several perplexities).

    Examples
    --------
    >>> from skdec import conditional_affinities
    >>> conditional_affinities([[0.0], [1.0], [3.0]], sigma=2.0).round(3)
    array([[0.   , 0.881, 0.119],
           [0.679, 0.   , 0.321],
           [0.223, 0.777, 0.   ]])
    """
    precomputed = isinstance(metric, str) and metric == "precomputed"
    finite = False if precomputed else finite_for(metric)
    X = check_matrix(X, "X", ensure_min_samples=2, ensure_all_finite=finite)
    if precomputed:
        check_precomputed(X)
    perplexities = resolve_perplexities(perplexity, len(X), sigma)
    with Threads(hold_blas=True) as threads:
        distances = SquaredDistances(X, metric)
        bandwidths = Bandwidths(perplexities, distances.precision(sigma))
        return conditional_rows(distances, bandwidths, X.dtype, threads)


@validate_params({"P_conditional": ["array-like"]})
def joint_affinities(P_conditional: ArrayLike) -> FloatArray:
    r"""Joint affinities of symmetric SNE and t-SNE.

    .. math:: p_{ij} = \frac{p_{j|i} + p_{i|j}}{2n}

    Parameters
    ----------
    P_conditional : array-like of shape (n_samples, n_samples)
        Conditional affinities; non-negative, rows sum to 1.  Not modified.

    Returns
    -------
    P : ndarray of shape (n_samples, n_samples)
        Symmetric affinities in the same dtype; the whole sums to 1.

    Raises
    ------
    ValueError
        If the input is not square or its rows are not distributions.

    References
    ----------
    van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 2008, section 3.1.

    Examples
    --------
    >>> from skdec import joint_affinities
    >>> joint_affinities([[0.0, 1.0], [1.0, 0.0]])
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    P = check_distribution(P_conditional, "P_conditional")
    check_square(P, "P_conditional")
    return (P + P.T) / (2 * len(P))


@overload
def embedding_loss(
    Y: ArrayLike,
    P: MatrixLike,
    *,
    kernel: KernelName = ...,
    dof: float = ...,
    normalization: Normalization = ...,
    repulsion: RepulsionName = ...,
    return_repulsion: Literal[False] = ...,
) -> tuple[float, FloatArray]: ...


@overload
def embedding_loss(
    Y: ArrayLike,
    P: MatrixLike,
    *,
    kernel: KernelName = ...,
    dof: float = ...,
    normalization: Normalization = ...,
    repulsion: RepulsionName = ...,
    return_repulsion: Literal[True],
) -> tuple[float, FloatArray, str]: ...


@validate_params(
    {
        "Y": ["array-like"],
        "P": ["array-like", "sparse matrix"],
        "kernel": [StrOptions(set(KERNELS))],
        "dof": [DOF],
        "normalization": [StrOptions({"joint", "conditional"})],
        "repulsion": [StrOptions({"auto", "pairs", "grid"})],
        "return_repulsion": ["boolean"],
    },
)
def embedding_loss(
    Y: ArrayLike,
    P: MatrixLike,
    *,
    kernel: KernelName = "student_t",
    dof: float = 1.0,
    normalization: Normalization = "joint",
    repulsion: RepulsionName = "auto",
    return_repulsion: bool = False,
) -> tuple[float, FloatArray] | tuple[float, FloatArray, str]:
    r"""KL(P‖Q) of an embedding and its gradient: SNE, symmetric SNE, t-SNE.

    .. math:: \frac{\partial KL}{\partial y_i} = \sum_j 2g_{ij}
              (p_{ij} - q_{ij} + p_{ji} - q_{ji}) (y_i - y_j)

    with q ∝ s over j ≠ i in each row ("conditional") or over all pairs ("joint");
    s = exp(−D), 2g = 2 ("gaussian") or s = (1 + D/ν)^(−(ν+1)/2),
    2g = (ν+1)/ν (1 + D/ν)^(−1) ("student_t"); D = ‖y_i − y_j‖².

    Parameters
    ----------
    Y : array-like of shape (n_samples, n_components)
        Embedding.
    P : {array-like, sparse matrix} of shape (n_samples, n_samples)
        Affinities, held fixed: rows sum to 1 ("conditional") or the whole does
        ("joint").  Need not be symmetric; the diagonal must be 0.  A sparse P is taken
        as CSR and stays sparse; q is over all pairs in either case.
    kernel : {"student_t", "gaussian"}, default="student_t"
        Similarity s in the embedding.
    dof : float, default=1.0
        Degrees of freedom ν of the Student-t kernel, from 1e-12 to 1e12.  This is
        scikit-learn's and DEC's form; openTSNE's ``dof`` names another family,
        (1 + D/α)^(−α).
    normalization : {"joint", "conditional"}, default="joint"
        Whether Q is one distribution over all pairs or one per row.
    repulsion : {"auto", "pairs", "grid"}, default="auto"
        How the sums of q over all pairs are taken, as in :class:`ExactTSNE`: pair by
        pair, or in n log n by an exact split into near pairs and a Fourier grid.  Of a
        dense P every pair is met, whatever this says but "grid", which is an error.
        Of a sparse P "auto" takes the cheaper way by a fixed rule, which depends on n
        and on the extent of Y: above some thousand rows the grid.  It needs 1 to 3
        components, and dof from 0.25 to 100 or the Gaussian; without it "auto" takes
        pairs.  So does "grid" too where a map is so far spread out that a grid would
        have too few digits, or too many nodes.  By the grid q's part of the gradient
        and Z have errors of 5e-6 (root mean square, relative) for float32, and of 1e-11
        for float64.
    return_repulsion : bool, default=False
        Whether to return as well which way was gone.

    Returns
    -------
    kl : float
        The divergence in nats.
    grad_Y : ndarray of shape (n_samples, n_components)
        ∂KL/∂Y in Y's dtype.
    repulsion : {"pairs", "grid"}
        How the sums over all pairs were taken.  Only returned with
        ``return_repulsion=True``.

    Raises
    ------
    ValueError
        If an input is not finite, shapes disagree, P is not such a distribution, or
        ``repulsion="grid"`` is asked for where there is none.

    References
    ----------
    Hinton, Roweis: Stochastic neighbor embedding, NeurIPS 2002, equations 2 to 5.
    van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 2008, equations 4, 5.

    Examples
    --------
    >>> from skdec import embedding_loss
    >>> P = [[0.0, 0.25, 0.0], [0.25, 0.0, 0.25], [0.0, 0.25, 0.0]]
    >>> kl, gradient = embedding_loss([[0.0], [1.0], [2.0]], P)
    >>> round(kl, 4), gradient.round(4).tolist()
    (0.1823, [[0.05], [0.0], [-0.05]])
    """
    Y = check_matrix(Y, "Y", ensure_min_samples=2)
    rows = normalization == "conditional"
    P = check_distribution(P, "P", rows=rows, accept_sparse="csr")
    check_square(P, "P", len(Y))
    if P.diagonal().any():
        raise ValueError("P must have a zero diagonal; got positive entries there")
    similarity = Kernel(KERNELS[kernel], dof)
    if repulsion == "grid":
        if not sparse.issparse(P):
            raise ValueError(
                "repulsion='grid' needs a sparse P; of a dense one, as it is here, "
                "every pair is met anyway"
            )
        check_grid(similarity, Y.shape[1])
    largest = float(np.abs(Y).max())
    working = working_dtype(Y.dtype, largest, "Y")
    points = np.ascontiguousarray(Y.T, dtype=working)
    joint = normalization == "joint"
    with Threads() as threads:
        of_matrix = from_graph if sparse.issparse(P) else from_matrix
        objective = EmbeddingObjective(
            of_matrix(P, working),
            similarity,
            joint,
            threads,
            fused=largest < LARGEST_FUSED[working],
            repulsion=repulsion,
        )
        gradient, log_Z = objective.gradient(points)
        kl = max(objective.divergence(points, log_Z), 0.0)
    grad_Y = np.ascontiguousarray(gradient.T, dtype=Y.dtype)
    return (kl, grad_Y, objective.repulsion) if return_repulsion else (kl, grad_Y)
