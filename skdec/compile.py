"""Compile ahead what the first map or clustering would: ``python -m skdec.compile``.

For images, continuous integration and classrooms.  What is compiled goes to numba's
cache, beside the package or where ``NUMBA_CACHE_DIR`` says.
"""

import argparse
import logging
import sys
from time import perf_counter

import numpy as np
from scipy import sparse

from skdec.clustering import StudentTClustering
from skdec.kernels.first_use import compiled
from skdec.kernels.jit import CACHE_FOLDER, NOT_STORED
from skdec.tsne import ExactTSNE
from skdec.utils.typing import FloatArray, MatrixLike

DTYPES = np.float64, np.float32


def _blobs(n_samples: int, n_features: int) -> FloatArray:
    """Four blobs and a far outlier, which a grid leaves off."""
    rng = np.random.default_rng(0)
    centers = 8 * rng.standard_normal((4, n_features))
    X = centers[np.arange(n_samples) % 4] + rng.standard_normal((n_samples, n_features))
    X[-1] *= 1000
    return X


def _map() -> None:
    X = _blobs(120, 10)
    ExactTSNE(max_iter=160, random_state=0).fit(X).transform(X[:3] + 0.5)


def _map_of_neighbors() -> None:
    X = _blobs(600, 10)
    tsne = ExactTSNE(
        perplexity=10,
        affinities="neighbors",
        repulsion="grid",
        max_iter=160,
        random_state=0,
    )
    tsne.fit(X).transform(X[:3] + 0.5)
    # a map as wide as the kernel has a grid in double precision, and rows off it too
    start = 0.1 * np.random.default_rng(0).standard_normal((600, 2))
    start[-1] *= 1000
    tsne.set_params(init=start).fit(X)


def _cluster(X: MatrixLike) -> None:
    model = StudentTClustering(4, random_state=0).fit(X)
    model.predict(X)
    model.transform(X)
    model.score_samples(X)


def _clustering() -> None:
    X = _blobs(201, 20)[:-1]
    for dtype in DTYPES:
        _cluster(X.astype(dtype))


def _sparse_rows() -> None:
    X = np.maximum(_blobs(201, 20)[:-1], 0)
    tsne = ExactTSNE(perplexity=10, affinities="neighbors", max_iter=160)
    tsne.set_params(random_state=0).fit(sparse.csr_matrix(X))
    for dtype in DTYPES:
        _cluster(sparse.csr_matrix(X, dtype=dtype))


USES = {
    "map": (_map, "ExactTSNE over all pairs, and its transform"),
    "neighbors": (_map_of_neighbors, "ExactTSNE over neighbours, as above 3,000 rows"),
    "clustering": (_clustering, "StudentTClustering of dense rows, single and double"),
    "sparse": (_sparse_rows, "Both, of sparse rows"),
}
USUAL = "map", "neighbors", "clustering"


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:12}{text}" for name, (_, text) in USES.items())
    parser = argparse.ArgumentParser(
        prog="python -m skdec.compile",
        description="Compile ahead what the first use would compile.",
        epilog=f"what:\n{lines}\n\nWithout any: {', '.join(USUAL)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", metavar="what", help="one or more of these")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Compile, and say what and where to.

    Parameters
    ----------
    arguments : list of str, default=None
        Names of what to compile; those of the command line by default.

    Returns
    -------
    status : int
        0, or 1 if the cache cannot be written to.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments).what or USUAL
    unknown = sorted(set(chosen) - set(USES))
    if unknown:
        parser.error(f"what must be among {', '.join(USES)}; got {', '.join(unknown)}")
    if CACHE_FOLDER is None:
        print(
            "skdec: numba finds no folder that it can write to, so that nothing would "
            "be kept: set NUMBA_CACHE_DIR to one",
            file=sys.stderr,
        )
        return 1
    # this command says more than the notice of a first use
    logging.getLogger("skdec").setLevel(logging.ERROR)
    print(f"cache: {CACHE_FOLDER}")
    for name in chosen:
        use, text = USES[name]
        start = perf_counter()
        with compiled() as names:
            use()
        seconds = perf_counter() - start
        print(f"{text}: {len(names)} functions, {seconds:.1f} s", flush=True)
    if NOT_STORED:
        print(f"skdec: {len(NOT_STORED)} functions were not stored", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
