"""Data for deep clustering, and how long networks train on them."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from benchmarks.cluster_sets import counts, texts
from benchmarks.data import mnist_pixels
from skdec.encoders import RandomAffine, RandomDropout


@dataclass(frozen=True)
class Task:
    """Rows to cluster, and how long networks train on them."""

    X: object
    y: np.ndarray
    augmentation: object
    epochs: int  # of pre-training
    passes: int  # of clustering, at most
    batch_size: int = 256
    dropout: float = 0.2  # where rows are augmented; otherwise 0.2
    rate: float | None = None  # of clustering by DEC, which nothing else holds
    schedule: str = "constant"  # of the rate of pre-training

    @property
    def k(self):
        """Number of classes."""
        return len(np.unique(self.y))


def digits(options):
    """scikit-learn's digits, 8×8."""
    X, y = load_digits(return_X_y=True)
    augmentation = RandomAffine((8, 8), rotation=5, shift=0.05)
    return Task(X.astype(np.float32), y, augmentation, 100, 50)


def digits_longer(options):
    """The digits, trained until labels rest or for as long as by default."""
    return replace(digits(options), passes=300)


def digits_augmented(options):
    """The digits, augmented without a blur, on which networks train longer."""
    return replace(
        digits(options),
        augmentation=RandomAffine((8, 8), interpolation="bicubic"),
        epochs=400,
        schedule="cosine",
        passes=150,
    )


def mnist(options, n=70_000):
    """MNIST's pixels, 28×28."""
    return Task(
        *mnist_pixels(options.mnist, n), RandomAffine((28, 28)), 30, 15, dropout=0.0
    )


def mnist_longer(options):
    """MNIST, on which networks train longer, and DEC moves more slowly."""
    return replace(mnist(options), epochs=100, passes=30, rate=1e-4)


def mnist_union(options):
    """MNIST, on which each network comes to rest."""
    return replace(mnist(options), epochs=60, schedule="cosine")


def mnist_10000(options):
    """The first 10,000 rows of MNIST."""
    return replace(mnist(options, 10_000), epochs=60, passes=50)


def mnist_10000_longer(options):
    """The first 10,000 rows, on which networks come to rest, and DEC moves slowly."""
    longer = {"epochs": 200, "schedule": "cosine", "passes": 50, "rate": 1e-4}
    return replace(mnist(options, 10_000), **longer)


def text_pieces(options):
    """Pieces of the standard library's modules, TF-IDF."""
    X, y = texts()["TF-IDF, CSR"]
    return Task(X.astype(np.float32), y, RandomDropout(), 50, 50)


def simulated_counts(options):
    """Simulated counts of 2,000 genes."""
    return Task(*counts(), RandomDropout(), 50, 50)


def cells(options):
    """The 700 blood cells of scanpy, 765 genes, scaled as they ship."""
    with warnings.catch_warnings():
        # of packages that scanpy imports
        warnings.simplefilter("ignore")
        from scanpy.datasets import pbmc68k_reduced

        found = pbmc68k_reduced()
    _, y = np.unique(found.obs["bulk_labels"].astype(str), return_inverse=True)
    X = np.asarray(found.X, np.float32)
    return Task(X, y, RandomDropout(), 200, 200, batch_size=32)


def standardised(X, y, **training):
    """A table with its columns standardised."""
    X = StandardScaler().fit_transform(X).astype(np.float32)
    return Task(X, y, RandomDropout(), **training)


def tabular(load):
    """A small table of scikit-learn's."""

    def task(options):
        X, y = load(return_X_y=True)
        return standardised(X, y, epochs=200, passes=200, batch_size=32)

    return task


def of_river(name, **training):
    """A table that ships with river."""

    def task(options):
        from river import datasets

        pairs = list(getattr(datasets, name)())
        X = np.array([list(row.values()) for row, _ in pairs], dtype=np.float64)
        _, y = np.unique([label for _, label in pairs], return_inverse=True)
        return standardised(X, y, **training)

    return task


TASKS = {
    "digits": digits,
    "digits-longer": digits_longer,
    "digits-augmented": digits_augmented,
    "mnist": mnist,
    "mnist-longer": mnist_longer,
    "mnist-union": mnist_union,
    "mnist-10000": mnist_10000,
    "mnist-10000-longer": mnist_10000_longer,
    "texts": text_pieces,
    "counts": simulated_counts,
    "cells": cells,
    "iris": tabular(load_iris),
    "wine": tabular(load_wine),
    "breast-cancer": tabular(load_breast_cancer),
    "segment": of_river("ImageSegments", epochs=100, passes=50),
    "shuttle": of_river("Shuttle", epochs=30, passes=15),
}


def task_of(name, options):
    """The task of that name, as the options change it."""
    given = {
        "epochs": options.epochs,
        "passes": options.passes,
        "dropout": options.dropout,
    }
    if options.small:
        given = {"epochs": 2, "passes": 2, "dropout": None}
    task = TASKS[name](options)
    task = replace(task, **{key: n for key, n in given.items() if n is not None})
    return replace(task, X=task.X[:300], y=task.y[:300]) if options.small else task
