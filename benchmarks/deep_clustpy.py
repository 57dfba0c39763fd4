"""DEC and IDEC side by side with ClustPy: same data, layers and epochs.

    python -m benchmarks.deep_clustpy [--mnist PATH] [--seeds 0 1 2 3 4]
                                      [--cache FOLDER]

ClustPy is in the extra ``bench``.  MNIST is left out without a path.
"""

import argparse
import copy
import os

import joblib
import numpy as np
from sklearn.datasets import load_digits

from benchmarks.data import mnist_pixels
from benchmarks.deep import GAMMAS, scores, timed
from skdec import StudentTClustering
from skdec.encoders import AutoencoderEncoder

CLUSTPY_ROWS, CLUSTPY_EPOCHS = 10_000, {"digits": (100, 50), "mnist": (30, 15)}


def deep_model(encoder, gamma, seed, passes):
    """DEC or IDEC from a pre-trained encoder, as it is."""
    network = encoder.pretrained_copy(reconstruction_weight=gamma)
    return StudentTClustering(10, encoder=network, random_state=seed, max_iter=passes)


def table(title, of_seeds):
    """Means and standard deviations over seeds, medians of seconds and passes."""
    print(f"\n**{title}, means ± standard deviations over {len(of_seeds)} seeds**\n")
    print("| | accuracy | NMI | ARI | seconds | passes |\n|---|---|---|---|---|---|")
    for name in max(of_seeds, key=len):
        values = np.array([rows[name] for rows in of_seeds if name in rows])
        mean, deviation = values[:, :3].mean(axis=0), values[:, :3].std(axis=0)
        cells = [
            "" if np.isnan(m) else f"{m:.3f} ± {s:.3f}"
            for m, s in zip(mean, deviation, strict=True)
        ]
        seconds, passes = np.median(values[:, 3:], axis=0)
        cells += [f"{seconds:.3g}", f"{passes:.0f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def kept(options, name, measure, *arguments):
    """What ``measure`` gives, from disk if it was measured before."""
    if not options.cache:
        return measure(*arguments)
    os.makedirs(options.cache, exist_ok=True)
    path = os.path.join(options.cache, f"{name}.joblib")
    if not os.path.exists(path):
        joblib.dump(measure(*arguments), path)
    return joblib.load(path)


def clustpy_side(X, y, seed, epochs):
    """Name → scores and seconds of an epoch of clustering, of ClustPy's two."""
    import torch
    from clustpy.deep import DEC, IDEC
    from clustpy.deep.neural_networks import FeedforwardAutoencoder

    before, during = epochs
    torch.manual_seed(seed)
    network = FeedforwardAutoencoder(
        [X.shape[1], 500, 500, 2000, 10], activation_fn=torch.nn.ReLU
    )
    network.fit(n_epochs=before, optimizer_params={"lr": 1e-3}, batch_size=256, data=X)
    rows = {}
    for make in (DEC, IDEC):
        model = make(
            10, neural_network=copy.deepcopy(network), clustering_epochs=during,
            random_state=seed, device=torch.device("cpu"),
        )  # fmt: skip
        _, seconds = timed(lambda model=model: model.fit(X))
        name = f"{make.__name__}, ClustPy"
        rows[name] = *scores(model.dec_labels_, y), seconds / during, during
    return rows


def our_side(X, y, seed, epochs):
    """The same of ours, in both precisions; layers as ClustPy's, but for whitening."""
    before, during = epochs
    encoder = AutoencoderEncoder(epochs=before, dropout=0.0, random_state=seed).fit(X)
    rows = {}
    for name, gamma in GAMMAS.items():
        for precision in ("single", "mixed"):
            start = encoder.pretrained_copy(precision=precision)
            model = deep_model(start.fit(X), gamma, seed, during)
            _, seconds = timed(lambda model=model: model.fit(X))
            rows[f"{name}, ours, {precision} precision"] = (
                *scores(model.labels_, y), seconds / model.n_iter_, model.n_iter_
            )  # fmt: skip
    return rows


def clustpy(options):
    """DEC and IDEC side by side: same data, layers, and epochs before and at most."""
    sets = {"digits": load_digits(return_X_y=True)}
    if options.mnist:
        X, y = mnist_pixels(options.mnist)
        sets["mnist"] = X[:CLUSTPY_ROWS], y[:CLUSTPY_ROWS]
    for data, (X, y) in sets.items():
        X = X.astype(np.float32)
        X = (X - X.mean(axis=0)) / np.float32(np.sqrt(X.var(axis=0).mean()))
        epochs = CLUSTPY_EPOCHS[data]
        of_seeds = [
            kept(options, f"theirs-{data}-{seed}", clustpy_side, X, y, seed, epochs)
            | kept(options, f"ours-{data}-{seed}", our_side, X, y, seed, epochs)
            for seed in options.seeds
        ]
        table(f"{data} {X.shape}, seconds of an epoch of clustering", of_seeds)


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", help="an npz file with X and y")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--cache", help="folder to keep what was measured in")
    clustpy(parser.parse_args())


if __name__ == "__main__":
    main()
