"""Deep clustering: DEC and IDEC next to what they start from, and next to ClustPy.

    python -m benchmarks.deep [--mnist PATH] [--only digits mnist clustpy]
                              [--seeds 0 1 2 3 4] [--maps 0 1 2 3 4] [--cache FOLDER]

No label is used but for the scores.  With ``--cache`` the rows of a seed that were
measured before, by whatever version, are not measured again.  The peer of ``--only
clustpy`` is in the extra ``bench``.
"""

import argparse
import copy
import os
import warnings
from time import perf_counter

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from benchmarks.data import accuracy, mnist_pixels
from skdec import ExactTSNE, StudentTClustering
from skdec.encoders import AutoencoderEncoder

# passes of pre-training, and at most of what follows
EPOCHS = {"digits": (100, 50), "mnist": (30, 15)}
CLUSTPY_ROWS, CLUSTPY_EPOCHS = 10_000, {"digits": (100, 50), "mnist": (30, 15)}
# the paper of IDEC weights the KL with 0.1, which is the reconstruction with 10
GAMMAS = {"DEC": 0.0, "IDEC": 10.0}


def timed(call):
    """What a call gives, and its seconds."""
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = call()
    return result, perf_counter() - start


def scores(labels, truth):
    """Accuracy (Hungarian), NMI and ARI."""
    return (
        accuracy(labels, truth),
        normalized_mutual_info_score(truth, labels),
        adjusted_rand_score(truth, labels),
    )


def pretrained(X, seed, epochs):
    """The autoencoder that all rows of a seed begin with, and its seconds."""
    encoder = AutoencoderEncoder(epochs=epochs, precision="mixed", random_state=seed)
    return timed(lambda: encoder.fit(X))


def deep_model(encoder, gamma, seed, passes):
    """DEC or IDEC from a pre-trained encoder, as it is."""
    network = encoder.pretrained_copy(reconstruction_weight=gamma)
    return StudentTClustering(10, encoder=network, random_state=seed, max_iter=passes)


def clustered(model, X, y):
    """ACC, NMI, ARI, seconds, passes."""
    model, seconds = timed(lambda: model.fit(X))
    return *scores(model.labels_, y), seconds, model.n_iter_


def phases(X, y, seed, passes, start):
    """Name of each method → what ``clustered`` gives, for one seed."""
    encoder, seconds = start
    principal = PCA(min(50, X.shape[1]), random_state=seed).fit_transform(X)
    Z = encoder.transform(X)
    k_means = KMeans(10, n_init=10, random_state=seed)
    rows = {
        "k-means, pixels": clustered(k_means, X, y),
        "k-means, PCA 50": clustered(k_means, principal, y),
        "pre-training": (np.nan, np.nan, np.nan, seconds, encoder.epochs),
        "k-means, encoding": clustered(k_means, Z, y),
    }
    model = StudentTClustering(10, random_state=seed)
    rows["StudentTClustering, encoding"] = clustered(model, Z, y)
    for name, gamma in GAMMAS.items():
        rows[name] = clustered(deep_model(encoder, gamma, seed, passes), X, y)
    return rows


def unwhitened(encoder):
    """The encoder that ``whiten=False`` gives: without its last linear layer."""
    modules = encoder.encoder_[0], encoder.decoder_[1]
    return clone(encoder).set_params(modules=modules, epochs=0, whiten=False)


def mapped(X, y, seed, start):
    """The same for the clusters of a map of the encoding, which needs no whitening."""
    Z = unwhitened(start[0]).fit_transform(X)
    tsne = ExactTSNE(perplexity=10, affinities="neighbors", exaggeration=4.0,
                     max_iter=400, random_state=seed)  # fmt: skip
    map_, seconds = timed(lambda: tsne.fit_transform(Z))
    model = StudentTClustering(10, random_state=seed)
    return {
        "map of the encoding": (np.nan, np.nan, np.nan, seconds, tsne.n_iter_),
        "StudentTClustering, map of the encoding": clustered(model, map_, y),
    }


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


def measured(options, data, X, y, seed):
    """The rows of a seed but for those of the map, and what they began with."""
    epochs, passes = EPOCHS[data]
    start = kept(options, f"{data}-encoder-{seed}", pretrained, X, seed, epochs)
    name = f"{data}-{seed}"
    return kept(options, name, phases, X, y, seed, passes, start), start


def digits(options):
    """All phases on scikit-learn's digits."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    pretrained(X[:300], 0, 1)  # the first call of everything costs more
    table(
        f"digits {X.shape}",
        [measured(options, "digits", X, y, seed)[0] for seed in options.seeds],
    )


def whole_mnist(options):
    """All phases on MNIST, and the map of its encoding."""
    X, y = mnist_pixels(options.mnist)
    of_seeds = []
    for seed in options.seeds:
        rows, start = measured(options, "mnist", X, y, seed)
        if seed in options.maps:
            rows |= kept(options, f"mnist-map-{seed}", mapped, X, y, seed, start)
        of_seeds.append(rows)
        table(f"MNIST {X.shape}", of_seeds)


# --------------------------------------------------------------------------- ClustPy
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


PARTS = {"digits": digits, "mnist": whole_mnist, "clustpy": clustpy}


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", help="an npz file with X and y; else OpenML's")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--maps", nargs="+", type=int, default=list(range(5)),
                        help="seeds of MNIST that get a map too")  # fmt: skip
    parser.add_argument("--cache", help="folder to keep what was measured in")
    options = parser.parse_args()
    for name in options.only:
        PARTS[name](options)


if __name__ == "__main__":
    main()
