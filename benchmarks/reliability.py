"""What the diagnostics of a map cost: python -m benchmarks.reliability [mnist.npz].

Scores of all of 5,000 rows, and of 2,000 of 70,000; quality of the larger map.
"""

import argparse
from time import perf_counter

from benchmarks.data import mnist_pixels
from skdec import ExactTSNE
from skdec.diagnostics import (
    continuity,
    distance_rank_correlation,
    neighbor_recall,
    reliability,
    trustworthiness,
)


def timed(function, *args, **options):
    """The seconds that a call takes, and what it gives."""
    start = perf_counter()
    result = function(*args, **options)
    return perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", help="MNIST as .npz; fetched if not given")
    parser.add_argument("--max-iter", type=int, default=500)
    parser.add_argument("--sizes", type=int, nargs="*", default=[5000, 70_000])
    options = parser.parse_args()
    X, _ = mnist_pixels(options.path)
    for n_samples in options.sizes:
        rows = X[:n_samples]
        tsne = ExactTSNE(random_state=0, max_iter=options.max_iter)
        seconds, Y = timed(tsne.fit_transform, rows)
        print(f"{n_samples} rows: fit {seconds:.1f} s")
        some = min(n_samples, 5000 if n_samples <= 5000 else 2000)
        seconds, scores = timed(reliability, tsne, rows, rows=some, random_state=0)
        print(f"  both scores of {some} rows: {seconds:.1f} s ({scores.n_lost} lost)")
        for function in (neighbor_recall, trustworthiness, continuity):
            seconds, value = timed(function, rows, Y, sample_size=2000, random_state=0)
            print(f"  {function.__name__} of 2,000 rows: {value:.4f}, {seconds:.1f} s")
        seconds, value = timed(distance_rank_correlation, rows, Y, random_state=0)
        print(f"  distance_rank_correlation: {value:.4f}, {seconds:.1f} s")


if __name__ == "__main__":
    main()
