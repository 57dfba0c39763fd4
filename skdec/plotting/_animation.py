"""Films of fits: each frame is the map as a callback of the fit was given it."""

from __future__ import annotations

import os
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skdec.plotting._axes import matplotlib
from skdec.plotting._embedding import EmbeddingDisplay
from skdec.plotting._labels import categories

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import MatrixLike

# How much of the way to a smaller view a frame goes; to a larger one it goes at once.
ZOOM = 0.25

# Room around the map, as a share of its extent.
ROOM = 0.06

# ExactTSNE calls back at each multiple of this, whatever it is asked for.
CHECK_EVERY = 50


def animate_fit(
    estimator: Any,
    X: MatrixLike,
    path: str | os.PathLike[str],
    *,
    labels: ArrayLike | None = None,
    names: Any = None,
    every: int = 10,
    fps: float = 12.0,
    hold: float = 1.0,
    figsize: tuple[float, float] = (6.0, 4.8),
    dpi: float = 100.0,
    fit_params: dict[str, Any] | None = None,
    **plot_options: Any,
) -> Any:
    """Fit, and write a film of how the map unfolds.

    Parameters
    ----------
    estimator : ExactTSNE, or a pipeline with one
        A copy of it is fitted; it stays as it is.  Its own ``callback`` is called as
        ever, and may end the fit.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows.
    path : str or path-like
        Where to write.  ".gif" needs nothing else; ".mp4" needs the program ffmpeg.
        The file is replaced when the film is whole.
    labels : array-like of shape (n_samples,), default=None
        Classes, for the colours.
    names : sequence of str or mapping, default=None
        What classes are called: by number, or from label to name.
    every : int, default=10
        Iterations from one frame to the next.  The last frame is the fitted map.
    fps : float, default=12.0
        Frames a second.
    hold : float, default=1.0
        For how many seconds the last frame stays.
    figsize : tuple of two float, default=(6.0, 4.8)
        Width and height in inches.
    dpi : float, default=100.0
        Pixels an inch.
    fit_params : dict, default=None
        Further arguments of ``fit``, such as ``sample_weight``.
    **plot_options : dict
        Further parameters of ``EmbeddingDisplay.plot``.

    Returns
    -------
    fitted : object
        The fitted copy.  The map is to the bit what ``fit`` gives without a film.

    Raises
    ------
    TypeError
        If the estimator has no ``callback``.
    ValueError
        If the name of the file ends in neither ".gif" nor ".mp4", or its folder does
        not exist.
    RuntimeError
        If ".mp4" is asked for, and there is no ffmpeg.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.plotting import animate_fit
    >>> iris = load_iris()
    >>> with TemporaryDirectory() as folder:
    ...     tsne = animate_fit(
    ...         ExactTSNE(max_iter=60), iris.data, f"{folder}/iris.gif",
    ...         labels=iris.target, every=20,
    ...     )
    >>> tsne.embedding_.shape
    (150, 2)
    """
    step, path = _step_with_callback(estimator), Path(path)
    writer = _writer(path, fps)
    if not every >= 1 or int(every) != every:
        raise ValueError(f"every must be an int of at least 1; got {every}")
    if labels is not None:
        found = categories(labels, "labels", np.shape(X)[0], names)
        labels, names = found.numbers, found.names
    fitted, given = clone(estimator), estimator.get_params()
    film = Film(writer, path, dpi, figsize, labels, names, plot_options)
    watch = _Watch(film, given, step, int(every))
    with film:
        fitted.set_params(
            **{f"{step}callback": watch, f"{step}callback_every": watch.called_every}
        )
        fitted.fit(X, **(fit_params or {}))
        watch.end()
        film.hold(round(hold * fps))
    fitted.set_params(
        **{name: given[name] for name in (f"{step}callback", f"{step}callback_every")}
    )
    return fitted


def _step_with_callback(estimator):
    """The prefix of the parameters of the step that calls back: "" of a map alone."""
    given = estimator.get_params()
    steps = [
        name.removesuffix("callback")
        for name in given
        if (name == "callback" or name.endswith("__callback"))
        and f"{name}_every" in given
    ]
    if len(steps) != 1:
        raise TypeError(
            "estimator must have one callback, as ExactTSNE has, or be a pipeline with "
            f"one such step; {type(estimator).__name__} has {len(steps)}"
        )
    return steps[0]


def _writer(path, fps):
    """What writes a film, or an error before anything is fitted."""
    animation = matplotlib("animation")
    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(f"path must end in .gif or .mp4; got {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"path must be in a folder that exists; got {str(path)!r}")
    if path.suffix == ".gif":
        return animation.PillowWriter(fps=fps)
    if not animation.FFMpegWriter.isAvailable():
        raise RuntimeError(
            "path ends in .mp4, which needs the program ffmpeg, and there is none; "
            "a path that ends in .gif needs no other program"
        )
    return animation.FFMpegWriter(fps=fps)


class Film:
    """Frames on their way into a file, which appears when it is whole.

    Parameters
    ----------
    writer : matplotlib.animation.AbstractMovieWriter
        Writes frames.
    path : Path
        Where the film goes in the end.
    dpi, figsize : float, tuple
        Of the figure.
    labels, names : ndarray or None, dict or None
        Classes by number.
    options : dict
        Parameters of ``EmbeddingDisplay.plot``.
    """

    def __init__(self, writer, path, dpi, figsize, labels, names, options):
        self.writer, self.path, self.dpi = writer, path, dpi
        self.labels, self.names, self.options = labels, names, options
        self.figure = matplotlib("figure").Figure(figsize=figsize, layout="constrained")
        self.ax = self.figure.add_subplot()
        self._half = None
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")

    def __enter__(self):
        self.writer.setup(self.figure, str(self._part), self.dpi)
        return self

    def __exit__(self, kind, *_):
        try:
            # a film of no frames would be an error beside the one that left it empty
            if kind is None or self._half is not None:
                self.writer.finish()
            if kind is None:
                os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)

    def frame(self, n_iter, kl, embedding):
        """Draw the map at an iteration, and add it."""
        # rows of no weight have no place before the end
        there = np.isfinite(embedding).all(axis=1)
        self.ax.clear()
        EmbeddingDisplay.from_arrays(
            embedding[there],
            labels=None if self.labels is None else self.labels[there],
            names=self.names,
            ax=self.ax,
            **self.options,
        )
        self.ax.set_title(f"iteration {n_iter}: KL = {kl:.3f}", fontsize=10)
        if self._half is None:
            # laid out once: the axes keep their place, and frames take half the time
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
        self._view()
        self.writer.grab_frame()

    def _view(self):
        """The limits of the frame: around the whole map, and shrinking slowly."""
        limits = np.array([self.ax.get_xlim(), self.ax.get_ylim()])
        center, half = limits.mean(axis=1), (1 + ROOM) * np.ptp(limits, axis=1) / 2
        if self._half is not None:
            slow = self._half + ZOOM * (half - self._half)
            half = np.maximum(half, slow)
        self._half = half
        self.ax.set_xlim(center[0] - half[0], center[0] + half[0], auto=True)
        self.ax.set_ylim(center[1] - half[1], center[1] + half[1], auto=True)

    def hold(self, n_frames):
        """Let the last frame stay for so many more."""
        for _ in range(n_frames):
            self.writer.grab_frame()


class _Watch:
    """The callback of a fit: adds frames to a film, and calls the user's own.

    ``given`` are the parameters of the estimator, ``step`` the prefix of those of the
    step that calls back.
    """

    def __init__(self, film, given, step, every):
        self.film, self.every = film, every
        self.callback = given[f"{step}callback"]
        self.callback_every = given[f"{step}callback_every"]
        self.max_iter = given[f"{step}max_iter"]
        self.called_every = every
        if self.callback is not None:
            self.called_every = gcd(every, self.callback_every)
        self._last = None

    def __call__(self, n_iter, kl, embedding):
        """Add a frame if it is time; true if the user's callback ends the fit."""
        self._last = None
        if n_iter % self.every == 0:
            self.film.frame(n_iter, kl, embedding)
        else:
            # it may be the last, and is drawn then
            self._last = n_iter, kl, embedding.copy()
        if self.callback is None or not self._concerns_user(n_iter):
            return False
        return self.callback(n_iter, kl, embedding)

    def _concerns_user(self, n_iter):
        """Whether the callback would have been called without a film."""
        if n_iter % CHECK_EVERY == 0 or n_iter % self.callback_every == 0:
            return True
        # a call that nobody asked for is that at the end
        return n_iter == self.max_iter or n_iter % self.called_every != 0

    def end(self):
        """Add the last map, unless it has been."""
        if self._last is not None:
            self.film.frame(*self._last)
