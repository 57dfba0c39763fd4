"""DEC and IDEC side by side with ClustPy: same data, layers and epochs."""

import copy

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.clock import timed
from benchmarks.data import mnist_pixels
from benchmarks.deep import GAMMAS, scores
from benchmarks.deep_tables import SPREAD, by_method, spread
from benchmarks.tables import Column, Table
from skdec import StudentTClustering
from skdec.encoders import AutoencoderEncoder

# epochs of pre-training, and of clustering at most
EPOCHS = {"digits": (100, 50), "MNIST": (30, 15)}
MNIST_ROWS = 10_000


def deep_model(encoder, gamma, seed, passes):
    """DEC or IDEC from a pre-trained encoder, as it is."""
    network = encoder.pretrained_copy(reconstruction_weight=gamma)
    return StudentTClustering(10, encoder=network, random_state=seed, max_iter=passes)


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
        seconds, _ = timed(model.fit, X)
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
            seconds, _ = timed(model.fit, X)
            rows[f"{name}, ours, {precision} precision"] = (
                *scores(model.labels_, y), seconds / model.n_iter_, model.n_iter_
            )  # fmt: skip
    return rows


def data(options):
    """Rows and classes by name."""
    X, y = load_digits(return_X_y=True)
    if options.small:
        return {"digits": (X[:300], y[:300])}
    return {"digits": (X, y), "MNIST": mnist_pixels(options.mnist, MNIST_ROWS)}


def clustpy(options):
    """DEC and IDEC side by side with ClustPy's."""
    seeds = 1 if options.small else options.seeds
    for name, (X, y) in data(options).items():
        X = X.astype(np.float32)
        X = (X - X.mean(axis=0)) / np.float32(np.sqrt(X.var(axis=0).mean()))
        epochs = (2, 2) if options.small else EPOCHS[name]
        before, during = epochs
        title = f"{name} {X.shape}, {before} epochs before, at most {during} after"
        runs = Table(f"{name}: runs", f"{title}, each run", RUNS)
        for seed in range(seeds):
            for side in (clustpy_side, our_side):
                for method, cells in side(X, y, seed, epochs).items():
                    runs = runs.plus(method, seed, *cells)
                yield runs
        yield means(
            name, f"{title}, {seeds} seeds, time of an epoch of clustering", runs
        )


RUNS = (
    Column("method"),
    Column("seed"),
    *(Column(name, "", "{:.3f}") for name in ("accuracy", "NMI", "ARI")),
    Column("an epoch", "s", "{:.3g}"),
    Column("passes"),
)


def means(name, title, runs):
    """Means and standard deviations over seeds, medians of seconds and passes."""
    columns = (
        Column("method"),
        *(Column(score, "", SPREAD) for score in ("accuracy", "NMI", "ARI")),
        Column("an epoch", "s", "{:.3g}"),
        Column("passes", "", "{:.0f}"),
    )
    table = Table(name, title, columns)
    for names, rows in by_method(runs.rows).items():
        table = table.plus(
            *names,
            *(spread(rows, score) for score in ("accuracy", "NMI", "ARI")),
            np.median([row["an epoch"] for row in rows]),
            np.median([row["passes"] for row in rows]),
        )
    return table
